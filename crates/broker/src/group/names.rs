//! The names and handles of groups. No behaviour beyond conversion.

use std::fmt;
use std::sync::Arc;

/// Shared text that is not an id: protocol names, client ids, hosts, topic names.
pub type Text = Arc<str>;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Text);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether the text is empty, which most protocols use for "none".
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $name(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                $name(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A consumer group's name.
    GroupId
);
name!(
    /// A member's id, unique inside its group; chosen by the broker (classic) or by the client (KIP-848, from version 1).
    MemberId
);
name!(
    /// A static member's name (KIP-345), which survives restarts of the client.
    InstanceId
);

/// Milliseconds on the caller's monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// The moment `millis` later.
    pub fn after(self, millis: u32) -> Millis {
        Millis(self.0.saturating_add(u64::from(millis)))
    }
}

/// Names a request to its caller; the answer carries it. The coordinator gives it no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// Names a proposed command to the coordinator; its outcome comes back with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);
