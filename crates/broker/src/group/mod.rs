//! Consumer groups. `durable` is what a data group's log decides about them, `coordinator` the soft half that a group's
//! leader keeps beside it; the two never share a struct. No clock, randomness or I/O: time and fresh ids are arguments.
//!
//! ```text
//!  request ─► Coordinator ─► Action::Propose(command, ticket) ─► log ─► Groups::apply ─► outcome
//!                 │ ▲                                                                       │
//!                 │ └────────────────────── handle_applied(ticket, outcome) ────────────────┘
//!                 └─► Action::Reply(token, response), only after the command it depends on was applied
//! ```

pub mod assignor;
pub mod coordinator;
pub mod durable;
pub mod error;
pub mod names;
pub mod options;
pub mod request;
pub mod response;
pub mod topics;

pub use assignor::Assignor;
pub use coordinator::{Action, Coordinator};
pub use durable::{CommandRefused, GroupCommand, GroupOutcome, GroupState, Groups};
pub use error::GroupError;
pub use names::{GroupId, InstanceId, MemberId, Millis, Text, Ticket, Token};
pub use options::{CoordinatorOptions, GroupOverrides, MigrationPolicy};
pub use request::Request;
pub use response::Response;
pub use topics::TopicImage;
