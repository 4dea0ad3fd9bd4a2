//! What can be set about a group.

use std::{fmt, sync::Arc};

use tallymq_model::{NodeId, RaftGroup};

use crate::{GroupEnded, fate::OnFatal};

/// Settings of one group.
#[derive(Clone)]
pub struct GroupOptions {
    /// Which group.
    pub group: RaftGroup,
    /// This node; for now the group's only voter.
    pub node: NodeId,
    /// Bytes of commands after which an entry takes no further one. A larger command has an entry of its own.
    pub entry_bytes_max: usize,
    /// Commands in one entry.
    pub entry_commands_max: usize,
    /// Entries between the proposer and the apply path. More of them catch the next sync sooner; fewer are larger.
    pub entries_in_flight_max: usize,
    /// Bytes of commands queued or in flight; a proposal beyond it waits.
    pub bytes_in_flight_max: usize,
    /// The largest command; a larger one is refused.
    pub command_bytes_max: usize,
    /// Called once if the group ends by a failure: the process must end.
    pub on_fatal: OnFatal,
}

impl GroupOptions {
    /// The defaults: entries of 1 MiB, four of them in flight, 64 MiB queued, commands up to 32 MiB.
    pub fn new(
        group: RaftGroup,
        node: NodeId,
        on_fatal: impl Fn(GroupEnded) + Send + Sync + 'static,
    ) -> GroupOptions {
        GroupOptions {
            group,
            node,
            entry_bytes_max: 1 << 20,
            entry_commands_max: 4096,
            entries_in_flight_max: 4,
            bytes_in_flight_max: 64 << 20,
            command_bytes_max: 32 << 20,
            on_fatal: Arc::new(on_fatal),
        }
    }
}

impl fmt::Debug for GroupOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupOptions")
            .field("group", &self.group)
            .field("node", &self.node)
            .field("entry_bytes_max", &self.entry_bytes_max)
            .field("entry_commands_max", &self.entry_commands_max)
            .field("entries_in_flight_max", &self.entries_in_flight_max)
            .field("bytes_in_flight_max", &self.bytes_in_flight_max)
            .field("command_bytes_max", &self.command_bytes_max)
            .finish_non_exhaustive()
    }
}
