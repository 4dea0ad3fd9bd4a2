//! Where consumer groups live: the data group that coordinates each, and what must not happen at once to one of them. Who
//! may do what inside a group is `broker::group`'s business.
//!
//! A group's placement is forgotten when it is deleted, and the next one may be elsewhere. So that no two data groups ever
//! coordinate one group, and no deletion takes a position that was acknowledged after it:
//!
//! ```text
//!  ask     hold (shared): placement, count up │ let go │ ask │ count down
//!  commit  hold (shared): placement, check, commit in every data group
//!  delete  hold (alone):  delete, positions in every data group, forget if nobody asks and nobody joined again
//! ```
//!
//! Reading never places a group. A join may place one that never comes to be; `dead_groups` gives such places back.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::atomic::{AtomicUsize, Ordering},
};

use tallymq_broker::{
    data::{DataCommand, DataOutcome},
    group::{GroupCommand, GroupError, GroupId, GroupOutcome, Request, Response},
    metadata::{MetadataCommand, MetadataOutcome, PlaceGroupError},
};
use tallymq_consensus::ProposeError;
use tallymq_model::Timestamp;
use thiserror::Error;
use tokio::sync::{Notify, RwLock, RwLockReadGuard};

use super::{DataHandle, Node};

/// Why no coordinator can be asked.
#[derive(Debug, Error)]
enum NoCoordinator {
    /// The group cannot have one.
    #[error(transparent)]
    Refused(#[from] GroupError),
    /// The log did not take it.
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

/// Groups share a gate with others, by the hash of their names.
const GATES: usize = 256;

/// Why a group was not deleted.
#[derive(Debug, Error)]
pub enum DeleteGroupError {
    /// Its coordinator refuses.
    #[error(transparent)]
    Refused(#[from] GroupError),
    /// The log did not take it; asked again, the deletion is finished.
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

/// The gates of all groups.
pub(super) struct GroupGates {
    gates: Vec<Gate>,
    /// Told when there is no room for another group.
    pub(super) full: Notify,
}

#[derive(Default)]
struct Gate {
    /// Held alone by deletions.
    hold: RwLock<()>,
    /// Requests on their way to a coordinator that was looked up before.
    asking: AtomicUsize,
}

/// As long as it lives, the group is not deleted, and stays where it is.
pub struct GroupHold<'a>(#[expect(dead_code, reason = "held for its drop")] RwLockReadGuard<'a, ()>);

/// Counts down when the answer is there, or when nobody waits for it any more.
struct Asking<'a>(&'a AtomicUsize);

impl Default for GroupGates {
    fn default() -> GroupGates {
        GroupGates { gates: (0..GATES).map(|_| Gate::default()).collect(), full: Notify::new() }
    }
}

impl GroupGates {
    fn of(&self, group: &str) -> &Gate {
        let mut hasher = DefaultHasher::new();
        group.hash(&mut hasher);
        &self.gates[(hasher.finish() % GATES as u64) as usize]
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Node {
    /// The data group that coordinates a consumer group, if that was ever decided.
    pub fn home_of(&self, group: &str) -> Option<&DataHandle> {
        let placed = self.metadata_view.state().placed_group(group)?;
        self.data(placed)
    }

    /// The same, but decides it if need be.
    async fn place_group(&self, group: &str) -> Result<&DataHandle, NoCoordinator> {
        let groups_max = self.with_layers(|layers| layers.number("group.max.count"));
        let groups_max = u32::try_from(groups_max).unwrap_or(u32::MAX);
        let known = self.metadata_view.state().try_place_group(group, groups_max);
        let placed = match known.transpose() {
            Some(known) => known,
            None => {
                let command = MetadataCommand::PlaceGroup { group: group.to_owned(), groups_max };
                let MetadataOutcome::GroupPlaced(placed) = self.propose_metadata(command).await? else {
                    return Err(ProposeError::Unknown.into());
                };
                placed
            }
        };
        match placed {
            Ok(placed) => Ok(self.data(placed).ok_or(ProposeError::NotLeader { leader: None })?),
            Err(PlaceGroupError::TooManyGroups { .. }) => {
                self.group_gates.full.notify_one();
                Err(GroupError::TooManyGroups.into())
            }
            Err(PlaceGroupError::NameTooLong(_)) => Err(GroupError::InvalidGroupId.into()),
            Err(PlaceGroupError::NotBootstrapped(_)) => Err(ProposeError::Unknown.into()),
        }
    }

    /// Keeps the group from being deleted while something is done that spans data groups. Not to be taken twice.
    pub async fn hold_group(&self, group: &str) -> GroupHold<'_> {
        GroupHold(self.group_gates.of(group).hold.read().await)
    }

    /// Asks the coordinator of the group that the request is about. With `may_create` the group gets a home if it has
    /// none.
    pub async fn ask_group(&self, request: Request, may_create: bool) -> Response {
        let name = request.group().map(|group| group.to_string()).unwrap_or_default();
        let gate = self.group_gates.of(&name);
        let hold = GroupHold(gate.hold.read().await);
        let home = self.coordinator_for(&name, may_create).await;
        gate.asking.fetch_add(1, Ordering::AcqRel);
        let asking = Asking(&gate.asking);
        drop(hold);
        let response = ask(home, request).await;
        drop(asking);
        response
    }

    /// The same for a request about the group that is held.
    pub async fn ask_held_group(
        &self,
        _hold: &GroupHold<'_>,
        request: Request,
        may_create: bool,
    ) -> Response {
        let name = request.group().map(|group| group.to_string()).unwrap_or_default();
        let home = self.coordinator_for(&name, may_create).await;
        ask(home, request).await
    }

    /// A group without a home exists nowhere, so that any coordinator answers as for an unknown group.
    async fn coordinator_for(&self, group: &str, may_create: bool) -> Result<&DataHandle, NoCoordinator> {
        if may_create {
            return self.place_group(group).await;
        }
        let home = self.home_of(group).or_else(|| self.data_groups().next());
        Ok(home.ok_or(ProposeError::NotLeader { leader: None })?)
    }

    /// Deletes a group with its positions. Finishes a deletion that was interrupted after its first step.
    pub async fn delete_group(&self, group: &GroupId) -> Result<(), DeleteGroupError> {
        self.delete_group_if(group, || true).await
    }

    /// The same, but only if `wanted` says so once nobody else can do anything with the group.
    pub(super) async fn delete_group_if(
        &self,
        group: &GroupId,
        wanted: impl FnOnce() -> bool,
    ) -> Result<(), DeleteGroupError> {
        let gate = self.group_gates.of(group.as_str());
        let _alone = gate.hold.write().await;
        if !wanted() {
            return Ok(());
        }
        let home = self.home_of(group.as_str());
        let coordinator = self.coordinator_for(group.as_str(), false).await;
        let at = self.now();
        if let Ok(home) = coordinator {
            home.before_accounts_end(group, at).await?;
        }
        let refused = match ask(coordinator, Request::Delete(group.clone())).await {
            Response::Delete(Ok(())) => None,
            Response::Delete(Err(GroupError::GroupIdNotFound))
                if home.is_some() || self.has_positions(group) =>
            {
                Some(GroupError::GroupIdNotFound)
            }
            Response::Delete(Err(error)) => return Err(error.into()),
            _ => return Err(ProposeError::Unknown.into()),
        };
        let positions = self.delete_positions(group, at).await?;
        if home.is_some() && self.is_gone(group, gate).await {
            self.propose_metadata(MetadataCommand::ForgetGroup { group: group.to_string() }).await?;
        }
        match refused {
            Some(error) if positions == 0 => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Whether nobody asks for the group any more, and nobody who did has joined it meanwhile. In this order: whoever
    /// stopped waiting for an answer has queued before this question, or never will.
    async fn is_gone(&self, group: &GroupId, gate: &Gate) -> bool {
        if gate.asking.load(Ordering::Acquire) > 0 {
            return false;
        }
        let coordinator = self.coordinator_for(group.as_str(), false).await;
        let again = ask(coordinator, Request::Delete(group.clone())).await;
        matches!(again, Response::Delete(Ok(()) | Err(GroupError::GroupIdNotFound)))
    }

    /// Deletes a group's positions everywhere, and says how many there were. All data groups share a sync.
    async fn delete_positions(&self, group: &GroupId, at: Timestamp) -> Result<usize, ProposeError> {
        let mut pending = Vec::new();
        for handle in self.data_groups() {
            handle.before_accounts_end(group, at).await?;
            handle.forget_group(group);
            let command = GroupCommand::DeletePositions { group: group.clone(), partitions: None };
            pending.push(handle.enqueue(DataCommand::Group(command)).await?);
        }
        let mut deleted = 0;
        for proposal in pending {
            if let DataOutcome::Group(GroupOutcome::PositionsDeleted { count }) =
                proposal.await?.into_outcome()
            {
                deleted += count;
            }
        }
        Ok(deleted)
    }
}

async fn ask(home: Result<&DataHandle, NoCoordinator>, request: Request) -> Response {
    let error = match home {
        Ok(home) => return home.coordinator.ask(request).await,
        Err(NoCoordinator::Refused(error)) => error,
        Err(NoCoordinator::Propose(ProposeError::Unknown | ProposeError::TooLarge { .. })) => {
            GroupError::CoordinatorNotAvailable
        }
        Err(NoCoordinator::Propose(ProposeError::NotLeader { .. } | ProposeError::ShuttingDown)) => {
            GroupError::NotCoordinator
        }
    };
    Response::refuse(&request, error)
}
