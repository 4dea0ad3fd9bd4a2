//! Classic groups: members join, one of them assigns, all sync. The rules are those of Kafka's group coordinator; which
//! facts are durable is ours: a generation before anyone is told of it, an assignment, a member that leaves.
//!
//! ```text
//!            join            all joined, or time is up            leader synced
//!  Empty ──────────► Preparing ──────(ClassicRebalanced)──► Completing ──(ClassicAssigned)──► Stable
//!    ▲                  │   ▲                                    │                              │
//!    └── nobody left ───┘   └─── a member joins anew, leaves, expires, or does not sync ◄───────┘
//! ```

mod commit;
mod heartbeat;
mod join;
mod leave;
mod rebalance;
pub(super) mod soft;
mod static_member;
mod sync;
