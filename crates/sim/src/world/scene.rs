//! What all clients of a world share: chance, the journal, proposals on their way, the topics, and what was promised to
//! whom. It holds and answers; what is done with it stands in the clients' own files.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use tallymq_broker::group::{GroupId, GroupState, durable::Fence};
use tallymq_model::{RaftGroup, TopicId, TopicPartition};
use tallymq_storage::{disk::Random, wal::Flush};

use super::{
    books::Marks,
    journal::{Journal, Spot},
    machine::Command,
    node::Ticket,
    portion::Ghost,
    unsettled::{Effect, Unsettled},
};

/// Refused committers that are remembered.
const GHOSTS_MAX: usize = 16;

/// A partition, as clients and as the node know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) topic: Arc<str>,
    pub(super) tp: TopicPartition,
    pub(super) group: RaftGroup,
}

impl Place {
    pub(super) fn spot(&self) -> Spot<'_> {
        Spot { topic: &self.topic, partition: self.tp.partition.0 }
    }
}

/// Who waits for a proposal's answer.
#[derive(Clone, Debug)]
pub(super) enum Waiting {
    /// A producer, for the batch of that number, on one of its connections.
    Batch { producer: usize, place: Place, number: u64, connection: u64 },
    /// Nobody any more: a batch of a producer's earlier epoch. Once the new epoch has written it must be fenced.
    Late { place: Place, must_be_fenced: bool },
    /// A consumer, for its committed position.
    Commit { consumer: usize, number: u64, offset: i64 },
    /// Nobody any more: a commit of a generation that is over. The newer one has committed, so it must be fenced.
    StaleCommit { place: Place },
    /// A member of a consumer group, for its committed position.
    MemberCommit { member: usize, number: u64, offset: i64, fence: Fence, place: Place },
    /// Nobody any more: a commit whose fence is below one that was acknowledged there.
    FencedCommit { place: Place },
    /// The coordinator of a data group.
    Coordinator { home: RaftGroup, ticket: tallymq_broker::group::Ticket },
    /// The node itself, for a block of producer ids.
    Ids,
    /// The administrator, for records deleted below an offset.
    Trim { place: Place, to: i64 },
    /// The administrator, for a topic.
    Create { topic: TopicId },
    /// The administrator, for a topic's end.
    Delete,
    /// The node itself, for partitions of a topic opened in a data group.
    Open { places: Vec<Place> },
    /// The node itself, for partitions that no topic has any more.
    Close,
    /// Nobody: a fact for the accounts.
    Account,
}

/// A topic that somebody asked for.
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    /// Its creation was acknowledged.
    pub(super) created: bool,
    /// Its deletion was asked for; it may or may not be there.
    pub(super) doomed: bool,
    /// Partitions that can be written to.
    pub(super) places: Vec<Place>,
}

/// A batch that was sent, whatever became of it.
pub(super) struct Sent {
    pub(super) raw: Bytes,
    pub(super) idempotent: bool,
}

/// What must hold from now on, because somebody was told so.
#[derive(Default)]
pub(super) struct Promises {
    /// By the batch's first value.
    pub(super) sent: BTreeMap<String, Sent>,
    /// By partition and base offset, the batch's first value.
    pub(super) acknowledged: BTreeMap<TopicPartition, BTreeMap<i64, String>>,
    /// The lowest position that a group may find.
    pub(super) positions: BTreeMap<(String, TopicPartition), i64>,
    /// No log may start above this: the highest offset that anybody asked to delete below.
    pub(super) trims: BTreeMap<TopicPartition, i64>,
    /// Producer ids below this were handed out.
    pub(super) ids_below: i64,
    /// Consumer groups as they were applied last, and so acknowledged; with the data group that coordinates each.
    pub(super) groups: BTreeMap<GroupId, (RaftGroup, Arc<GroupState>)>,
    /// Per consumer group and partition the highest generation or epoch whose commit was acknowledged.
    pub(super) fences: BTreeMap<(GroupId, TopicPartition), i32>,
    /// Per producer and partition the newest epoch that was acknowledged.
    pub(super) epochs: BTreeMap<(i64, TopicPartition), i16>,
}

/// See the module.
pub(super) struct Scene {
    pub(super) random: Random,
    pub(super) journal: Journal,
    pub(super) outbox: BTreeMap<RaftGroup, Vec<(Ticket, Command)>>,
    pub(super) waiting: BTreeMap<Ticket, Waiting>,
    tickets: u64,
    pub(super) topics: BTreeMap<TopicId, Topic>,
    pub(super) promises: Promises,
    pub(super) unsettled: Unsettled,
    /// Deliveries that the log does not know yet.
    pub(super) marks: Marks,
    /// Committers that were refused because they are over.
    pub(super) ghosts: Vec<Ghost>,
    /// How often a commit was refused that has to be.
    pub(super) refused_again: u64,
    /// Something that was acknowledged and not synced was lost: clients may be refused for it.
    pub(super) has_lost: bool,
    numbers: u64,
}

impl Scene {
    pub(super) fn new(random: Random, flush: Flush) -> Scene {
        Scene {
            random,
            journal: Journal::new(),
            outbox: BTreeMap::new(),
            waiting: BTreeMap::new(),
            tickets: 0,
            topics: BTreeMap::new(),
            promises: Promises::default(),
            unsettled: Unsettled::new(flush),
            marks: Marks::default(),
            ghosts: Vec::new(),
            refused_again: 0,
            has_lost: false,
            numbers: 0,
        }
    }

    /// A number that nobody had before.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Puts a command on its way to a group's log.
    pub(super) fn send(&mut self, group: RaftGroup, command: Command, waiting: Waiting) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.waiting.insert(ticket, waiting);
        self.outbox.entry(group).or_default().push((ticket, command));
    }

    /// A committer was refused, and has to be from now on.
    pub(super) fn remember_ghost(&mut self, ghost: Ghost) {
        if self.ghosts.len() < GHOSTS_MAX {
            self.ghosts.push(ghost);
        }
    }

    /// A partition that is there, by chance.
    pub(super) fn pick_place(&mut self) -> Option<Place> {
        let places = || self.topics.values().filter(|topic| !topic.doomed).flat_map(|topic| &topic.places);
        let at = self.random.below(places().count() as u64) as usize;
        places().nth(at).cloned()
    }

    /// A group's position in a partition was acknowledged, by the last event of the history.
    pub(super) fn position_promised(&mut self, group: &str, place: &Place, offset: i64) {
        let before = self.promises.positions.insert((group.to_owned(), place.tp), offset);
        let event = self.journal.history.events.len() - 1;
        let (place, by) = (place.clone(), group.to_owned());
        self.unsettled.note(Effect::Position { place, by, offset, before, event });
    }

    /// A partition's place, if it is there.
    pub(super) fn place_of(&self, tp: TopicPartition) -> Option<&Place> {
        self.topics.get(&tp.topic)?.places.iter().find(|place| place.tp == tp)
    }

    /// Whether the partition's topic was asked to be deleted.
    pub(super) fn is_doomed(&self, tp: TopicPartition) -> bool {
        self.topics.get(&tp.topic).is_none_or(|topic| topic.doomed)
    }
}
