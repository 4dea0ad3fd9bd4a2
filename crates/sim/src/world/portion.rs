//! What a member of a consumer group owns, and what it does with it: it starts each partition at the group's committed
//! position, reads on, and commits, as a member of a generation: the coordinator checks it, and the partition's log again.

use std::collections::BTreeMap;

use tallymq_broker::group::{
    GroupError, Request, Response, Token, durable::Fence, request::CommitCheck, topics::PartitionSet,
};
use tallymq_model::TopicPartition;
use tallymq_storage::log::ReadError;

use super::{
    consumer::{commit_command, read_values},
    desk::Desk,
    member::Identity,
    node::Node,
    scene::{Place, Scene, Waiting},
};
use crate::history::{Kind, Op};

/// A commit on its way.
enum Commit {
    /// The coordinator looks at who asks.
    Checking { token: Token, place: Place, offset: i64 },
    /// It is in the log of the partition.
    Logged { number: u64 },
}

/// See the module.
pub(super) struct Portion {
    at: usize,
    process: i64,
    /// Each partition, and where it reads on: None until it has looked.
    owned: BTreeMap<TopicPartition, Option<i64>>,
    commit: Option<Commit>,
}

impl Portion {
    pub(super) fn new(at: usize, process: i64) -> Portion {
        Portion { at, process, owned: BTreeMap::new(), commit: None }
    }

    pub(super) fn partitions(&self) -> PartitionSet {
        self.owned.keys().copied().collect()
    }

    /// The connection is gone; nobody will say what became of a commit.
    pub(super) fn disconnected(&mut self) {
        self.commit = None;
    }

    /// Owns exactly these from now on.
    pub(super) fn own(&mut self, scene: &mut Scene, partitions: &PartitionSet) {
        let lost: Vec<_> = self.owned.keys().filter(|tp| !partitions.contains(tp)).copied().collect();
        for tp in lost {
            if let (Some(Some(_)), Some(place)) = (self.owned.remove(&tp), scene.place_of(tp).cloned()) {
                scene.journal.revoke(self.process, place.spot());
            }
        }
        for tp in partitions {
            self.owned.entry(*tp).or_insert(None);
        }
    }

    /// A partition that can be read, by chance.
    fn pick(&self, scene: &mut Scene) -> Option<(Place, Option<i64>)> {
        let at = scene.random.below(self.owned.len() as u64) as usize;
        let (tp, position) = self.owned.iter().nth(at)?;
        let place = scene.place_of(*tp).filter(|_| !scene.is_doomed(*tp))?;
        Some((place.clone(), *position))
    }

    /// Reads on in one of them. An error is damage, or one of the disk.
    pub(super) fn poll(&mut self, node: &Node, scene: &mut Scene, group: &str) -> Result<(), String> {
        let Some((place, position)) = self.pick(scene) else { return Ok(()) };
        let Some(log) = node.data(place.group).log(place.tp) else {
            return Err(format!("partition {} is gone", place.tp));
        };
        let Some(position) = position else {
            let start = node.position(group, &place).unwrap_or(log.log_start().0);
            for kind in [Kind::Invoke, Kind::Ok] {
                scene.journal.position(self.process, (Op::Assign, kind), place.spot(), start, Some(group));
            }
            scene.delivered(&place, (group, self.process), start, start);
            self.owned.insert(place.tp, Some(start));
            return Ok(());
        };
        let bytes_max = scene.random.below(6_000) as usize;
        let next = match read_values(&log, position, bytes_max) {
            Ok((values, next)) => {
                if !values.is_empty() {
                    scene.journal.poll(self.process, place.spot(), &values, Some(group));
                    scene.delivered(&place, (group, self.process), position, next);
                }
                next.max(position)
            }
            Err(ReadError::OffsetOutOfRange { log_start, .. }) if position < log_start.0 => {
                let (to, group) = (log_start.0, Some(group));
                scene.journal.position(self.process, (Op::Seek, Kind::Ok), place.spot(), to, group);
                to
            }
            Err(error) => return Err(error.to_string()),
        };
        self.owned.insert(place.tp, Some(next));
        Ok(())
    }

    /// Asks to commit one of the positions, unless it waits for the last answer.
    pub(super) fn commit(&mut self, desk: &mut Desk, scene: &mut Scene, who: &Identity) {
        if self.commit.is_some() {
            return;
        }
        let Some((place, Some(offset))) = self.pick(scene) else { return };
        let group = Some(who.group.as_str());
        scene.journal.position(self.process, (Op::Commit, Kind::Invoke), place.spot(), offset, group);
        let token = desk.ask(who.home, scene, Request::CommitCheck(who.check()));
        self.commit = Some(Commit::Checking { token, place, offset });
    }

    /// Goes on with a commit whose check was answered.
    pub(super) fn go_on(&mut self, desk: &mut Desk, scene: &mut Scene, who: &Identity) -> Result<(), String> {
        let Some(Commit::Checking { token, place, offset }) = &self.commit else { return Ok(()) };
        let Some(response) = desk.take(*token) else { return Ok(()) };
        let (place, offset) = (place.clone(), *offset);
        match response {
            Response::CommitCheck(Ok(fence)) => {
                let number = scene.number();
                scene.flush_marks(place.group);
                let by = (who.group.as_str(), self.process);
                let command = commit_command(scene, by, fence, &place, offset);
                let home = place.group;
                let waiting = Waiting::MemberCommit { member: self.at, number, offset, fence, place };
                scene.send(home, command, waiting);
                self.commit = Some(Commit::Logged { number });
            }
            Response::CommitCheck(Err(_)) => {
                let group = Some(who.group.as_str());
                scene.journal.position(self.process, (Op::Commit, Kind::Fail), place.spot(), offset, group);
                self.commit = None;
            }
            other => return Err(format!("a commit was answered with {other:?}")),
        }
        Ok(())
    }

    /// Takes the log's answer to a commit.
    pub(super) fn committed(
        &mut self,
        scene: &mut Scene,
        group: &str,
        place: &Place,
        (number, offset, is_taken): (u64, i64, bool),
    ) {
        if !matches!(self.commit, Some(Commit::Logged { number: waited }) if waited == number) {
            return;
        }
        self.commit = None;
        let kind = if is_taken { Kind::Ok } else { Kind::Fail };
        scene.journal.position(self.process, (Op::Commit, kind), place.spot(), offset, Some(group));
    }
}

/// A commit of somebody whose time is over: what must be refused, and stays refused over every restart.
#[derive(Clone)]
pub(super) struct Ghost {
    pub(super) home: tallymq_model::RaftGroup,
    pub(super) check: CommitCheck,
}

/// Whether a refusal says that the committer is not who it was.
pub(super) fn is_fenced(error: &GroupError) -> bool {
    matches!(
        error,
        GroupError::UnknownMemberId
            | GroupError::IllegalGeneration
            | GroupError::FencedInstanceId
            | GroupError::StaleMemberEpoch
            | GroupError::GroupIdNotFound
    )
}

/// The number in a fence.
pub(super) fn height(fence: Fence) -> i32 {
    match fence {
        Fence::None => -1,
        Fence::Generation(generation) => generation,
        Fence::MemberEpoch(epoch) => epoch,
    }
}
