//! Consumer groups that nobody would miss: deletions that a stop interrupted, places of groups that never came to be, and
//! groups without members and positions, which Kafka forgets too (`GroupCoordinatorShard.cleanupGroupMetadata`). All are
//! deleted the way a client deletes a group, so that a group that comes to life meanwhile stays.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use tallymq_broker::group::{GroupError, GroupId};

use super::{DeleteGroupError, Node};

/// Deletions at a time: they share syncs.
const DELETIONS_MAX: usize = 64;
/// Groups that are looked at before others get their turn.
const LOOKS_PER_TURN: usize = 256;

/// Which groups count as dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dead {
    /// Those that are not there, but left a place or positions behind.
    Interrupted,
    /// Those, and groups without members and positions.
    Unused,
}

impl Node {
    /// Finishes deletions that a stop interrupted. At start, and idempotent.
    pub(super) async fn reconcile_groups(&self) {
        let groups = self.forget_dead_groups(Dead::Interrupted).await;
        if groups > 0 {
            tracing::info!(groups, "finished deletions of consumer groups that a stop interrupted");
        }
    }

    /// Deletes what is left of dead groups, and says of how many.
    pub async fn forget_dead_groups(&self, which: Dead) -> usize {
        let mut dead = Vec::new();
        for (at, group) in self.known_groups().into_iter().enumerate() {
            if self.is_dead(&group, which) {
                dead.push(group);
            }
            if at % LOOKS_PER_TURN == LOOKS_PER_TURN - 1 {
                tokio::task::yield_now().await;
            }
        }
        let mut forgotten = 0;
        for some in dead.chunks(DELETIONS_MAX) {
            let deletions = some.iter().map(|group| self.forget_if_dead(group, which));
            forgotten += join_all(deletions).await.into_iter().filter(|is_forgotten| *is_forgotten).count();
        }
        forgotten
    }

    async fn forget_if_dead(&self, group: &GroupId, which: Dead) -> bool {
        match self.delete_group_if(group, || self.is_dead(group, which)).await {
            Ok(()) => self.home_of(group.as_str()).is_none(),
            // What it says of a place without a group and positions.
            Err(DeleteGroupError::Refused(GroupError::GroupIdNotFound)) => {
                self.home_of(group.as_str()).is_none()
            }
            // Somebody is joining it.
            Err(DeleteGroupError::Refused(_)) => false,
            Err(DeleteGroupError::Propose(error)) => {
                tracing::warn!(%error, %group, "what is left of a consumer group could not be deleted");
                false
            }
        }
    }

    /// Every group that has a place or positions.
    fn known_groups(&self) -> BTreeSet<GroupId> {
        let mut known: BTreeSet<GroupId> = {
            let metadata = self.metadata_view().state();
            metadata.placed_groups().map(|(group, _)| GroupId::from(group)).collect()
        };
        for handle in self.data_groups() {
            let state = handle.view.state();
            known.extend(state.groups().positions().groups().cloned());
        }
        known
    }

    fn is_dead(&self, group: &GroupId, which: Dead) -> bool {
        let state = self.home_of(group.as_str()).and_then(|home| {
            let state = home.view.state();
            state.groups().group(group).cloned()
        });
        match state {
            None => true,
            Some(state) => which == Dead::Unused && state.is_empty() && !self.has_positions(group),
        }
    }

    /// Whether the group has a position in any partition.
    pub(super) fn has_positions(&self, group: &GroupId) -> bool {
        self.data_groups().any(|handle| {
            let state = handle.view.state();
            state.groups().positions().of_group(group).next().is_some()
        })
    }
}
