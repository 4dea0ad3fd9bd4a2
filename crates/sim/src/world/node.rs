//! One node without a runtime: its WAL, partition logs and replicas, each moved by one step at a time. It starts as
//! `consensus::recovery` does, acknowledges only what the WAL completed, and ends with the first error of its disk.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use tallymq_broker::{ApplyContext, group::GroupId};
use tallymq_model::{LogIndex, RaftGroup, Term};
use tallymq_replica::{DataView, MetadataView};
use tallymq_storage::{
    checkpoint::{self, Checkpoint},
    disk::FaultyDisk,
    log::{Damage, LogOptions, LogStore, PartitionOptions, SegmentWriter, Step as WriterStep},
    wal::{Committer, Nanos, Wal, WalOptions, WalRecord},
};

use super::{
    machine::{Answer, Building, Command, Machine, decode_entry, encode_entry},
    scene::Place,
};

/// The data groups; with the metadata group all that a node has.
pub(super) const DATA_GROUPS: u32 = 2;

/// All groups of a node.
pub(super) fn groups() -> impl Iterator<Item = RaftGroup> {
    (0..=DATA_GROUPS).map(RaftGroup)
}

/// How a node is set up; small enough that little data already rolls, recycles and evicts.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) wal: WalOptions,
    pub(super) log: LogOptions,
    pub(super) partition: PartitionOptions,
}

/// Names a proposal until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(pub(super) u64);

/// An answered proposal.
pub(super) struct Applied {
    pub(super) ticket: Ticket,
    pub(super) answer: Answer,
}

/// What a step of the committer committed.
#[derive(Default)]
pub(super) struct Committed {
    pub(super) applied: Vec<Applied>,
    /// Bytes of the entries.
    pub(super) payload_bytes: u64,
    /// An entry of the metadata group is in it, which no flush mode leaves unsynced.
    pub(super) always_synced: bool,
}

/// A disk error, after which the process ends; or damage and lies, which no crash excuses.
pub(super) type Ended = String;

/// The votes that were acknowledged: a later start must know them (Raft §5.2).
pub(super) type Votes = BTreeMap<RaftGroup, Term>;

struct Proposed {
    index: LogIndex,
    payload_bytes: u64,
    commands: Vec<(Ticket, Command)>,
    /// Answers that were made too early, by a planted bug.
    early: Vec<Applied>,
}

/// How far a checkpoint is.
enum Stage {
    Begun(Building, ApplyContext),
    Built(Checkpoint),
    Saved(LogIndex),
}

struct Group {
    id: RaftGroup,
    machine: Machine,
    term: Term,
    next: LogIndex,
    applied: ApplyContext,
    proposed: VecDeque<Proposed>,
    stage: Option<Stage>,
}

type Completed = Arc<Mutex<VecDeque<(RaftGroup, Option<LogIndex>, bool)>>>;

/// A running node.
pub(super) struct Node {
    disk: FaultyDisk,
    setup: Setup,
    wal: Wal,
    committer: Committer,
    pub(super) store: Arc<LogStore>,
    writer: SegmentWriter,
    groups: Vec<Group>,
    completed: Completed,
    /// Checkpoints that were passed over at the start, because they are damaged.
    pub(super) damaged: Vec<Damage>,
    pub(super) checkpoints: u64,
    pub(super) replayed: u64,
}

impl Node {
    /// Recovers what is on `disk`, and begins a term of its own in each group.
    pub(super) fn start(
        disk: &FaultyDisk,
        setup: &Setup,
        votes: &mut Votes,
        now: Nanos,
    ) -> Result<Node, Ended> {
        let (wal, committer, _) =
            Wal::open(Arc::new(disk.clone()), setup.wal.clone()).map_err(|error| error.to_string())?;
        let (store, writer) = LogStore::new(Arc::new(disk.clone()), setup.log.clone());
        let mut node = Node {
            disk: disk.clone(),
            setup: setup.clone(),
            wal,
            committer,
            store,
            writer,
            groups: Vec::new(),
            completed: Completed::default(),
            damaged: Vec::new(),
            checkpoints: 0,
            replayed: 0,
        };
        for id in groups() {
            let group = node.recover(id, votes)?;
            node.groups.push(group);
        }
        node.take_terms(votes, now)?;
        Ok(node)
    }

    fn recover(&mut self, id: RaftGroup, votes: &Votes) -> Result<Group, Ended> {
        let mut machine = Machine::new(id, &self.store);
        let mut applied = ApplyContext { index: LogIndex(0), term: Term(0) };
        let mut term = Term(0);
        let mut damaged = Vec::new();
        if let Some(loaded) = checkpoint::load(&self.disk, id).map_err(|error| error.to_string())? {
            damaged = loaded.damaged;
            let stored = loaded.checkpoint;
            applied = ApplyContext { index: stored.applied, term: stored.term };
            term = decode_vote(&stored.header)?;
            machine.restore(stored.state.concat().into())?;
        }
        let mut last = applied;
        if let Some(wal) = self.wal.group(id) {
            let first = if wal.last.is_some() { wal.first } else { wal.purged_through.next() };
            if first > applied.index.next() {
                return Err(format!("group {}: a gap, {} to {first} {damaged:?}", id.0, applied.index));
            }
            if let Some(vote) = wal.vote {
                term = term.max(decode_vote(&vote)?);
            }
            if let Some((index, term)) = wal.last.filter(|(index, _)| *index > applied.index) {
                last = ApplyContext { index, term };
            }
        }
        if applied.index > LogIndex(0) {
            checkpoint::settle(&self.disk, id, &damaged).map_err(|error| error.to_string())?;
            // The one that followed the checkpoint may be lost, and so may entries that the checkpoint covers.
            let through = applied.index;
            submit(&self.wal, &self.completed, id, None, WalRecord::Purge { group: id, through });
        }
        self.damaged.extend(damaged);
        if term < votes.get(&id).copied().unwrap_or_default() || term < last.term {
            return Err(format!("group {}: an acknowledged vote is lost, {} is left", id.0, term.0));
        }
        let mut group = Group {
            id,
            machine,
            term,
            next: last.index.next(),
            applied,
            proposed: VecDeque::new(),
            stage: None,
        };
        self.replay(&mut group, last.index)?;
        configure(&group.machine, self.setup.partition);
        Ok(group)
    }

    fn replay(&mut self, group: &mut Group, last: LogIndex) -> Result<(), Ended> {
        while group.applied.index < last {
            let from = group.applied.index.next();
            let entries =
                self.wal.read(group.id, from, last.next(), 20_000).map_err(|error| error.to_string())?;
            for entry in entries {
                if entry.index != group.applied.index.next() || entry.term < group.applied.term {
                    return Err(format!("group {}: entry {} is out of order", group.id.0, entry.index));
                }
                let at = ApplyContext { index: entry.index, term: entry.term };
                for command in decode_entry(group.id, entry.payload)? {
                    group.machine.apply(at, command);
                    self.replayed += 1;
                }
                group.applied = at;
            }
        }
        Ok(())
    }

    /// Votes for itself, and once that is durable proposes a blank entry (Raft §5.4.2, §8).
    fn take_terms(&mut self, votes: &mut Votes, now: Nanos) -> Result<(), Ended> {
        for group in &mut self.groups {
            group.term = Term(group.term.0 + 1);
            let record = WalRecord::Vote {
                group: group.id,
                vote: Bytes::copy_from_slice(&group.term.0.to_be_bytes()),
            };
            submit(&self.wal, &self.completed, group.id, None, record);
        }
        self.committer.step(now).map_err(|error| error.to_string())?;
        let voted: Vec<_> = self.completed.lock().expect("nobody panicked").drain(..).collect();
        for (group, _, done) in voted {
            if done {
                votes.insert(group, self.groups[group.0 as usize].term);
            }
        }
        for id in groups() {
            self.propose(id, Vec::new());
        }
        while self.groups.iter().any(|group| !group.proposed.is_empty()) {
            self.commit(now).1?;
        }
        Ok(())
    }

    /// Queues an entry with these commands.
    pub(super) fn propose(&mut self, id: RaftGroup, commands: Vec<(Ticket, Command)>) {
        let group = &mut self.groups[id.0 as usize];
        let payload = encode_entry(commands.iter().map(|(_, command)| command));
        let payload_bytes = payload.iter().map(|part| part.len() as u64).sum();
        let at = ApplyContext { index: group.next, term: group.term };
        let record = WalRecord::Entry { group: id, index: at.index, term: at.term, payload };
        let mut proposed = Proposed { index: at.index, payload_bytes, commands, early: Vec::new() };
        if tallymq_model::planted("read-before-durable") {
            proposed.early = group.apply(at, std::mem::take(&mut proposed.commands));
            configure(&group.machine, self.setup.partition);
        }
        group.proposed.push_back(proposed);
        group.next = at.index.next();
        submit(&self.wal, &self.completed, id, Some(at.index), record);
    }

    /// One step of the committer, and what it committed is applied, also that which it committed before it failed.
    pub(super) fn commit(&mut self, now: Nanos) -> (Committed, Result<(), Ended>) {
        let step = self.committer.step(now);
        let completed: Vec<_> = self.completed.lock().expect("nobody panicked").drain(..).collect();
        let mut committed = Committed::default();
        for (id, index, done) in completed {
            let (Some(index), true) = (index, done) else { continue };
            let group = &mut self.groups[id.0 as usize];
            let Some(next) = group.proposed.pop_front().filter(|next| next.index == index) else {
                return (committed, Err(format!("group {}: entry {index} completed out of order", id.0)));
            };
            let at = ApplyContext { index, term: group.term };
            committed.applied.extend(next.early);
            committed.applied.extend(group.apply(at, next.commands));
            committed.payload_bytes += next.payload_bytes;
            committed.always_synced |= id == RaftGroup::METADATA;
            configure(&group.machine, self.setup.partition);
        }
        (committed, step.map(drop).map_err(|error| error.to_string()))
    }

    /// One step of the segment writer. False if there was nothing to do.
    pub(super) fn write(&mut self) -> Result<bool, Ended> {
        match self.writer.step() {
            Ok(step) => Ok(step != WriterStep::Idle),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Looks for files that a crash left behind.
    pub(super) fn sweep(&mut self) -> Result<(), Ended> {
        let data: Vec<RaftGroup> = groups().filter(|group| *group != RaftGroup::METADATA).collect();
        let views: Vec<_> = data.iter().map(|group| self.data(*group)).collect();
        let is_known = |tp| views.iter().any(|view| view.state().partition(tp).is_some());
        self.store.sweep(&data, is_known).map(drop).map_err(|error| error.to_string())
    }

    /// Takes a group's checkpoint one stage on: begin, build, save, purge.
    pub(super) fn checkpoint(&mut self, id: RaftGroup) -> Result<(), Ended> {
        let stage = self.groups[id.0 as usize].stage.take();
        let next = match stage {
            None => {
                let group = &mut self.groups[id.0 as usize];
                Some(Stage::Begun(group.machine.begin_checkpoint(), group.applied))
            }
            Some(Stage::Begun(building, at)) => Some(Stage::Built(self.build(id, building, at)?)),
            Some(Stage::Built(built)) => match checkpoint::save(&self.disk, id, &built) {
                Ok(()) => Some(Stage::Saved(built.applied)),
                // one that did not fit leaves nothing behind that is relied on
                Err(error) if error.source.kind() == std::io::ErrorKind::StorageFull => None,
                Err(error) => return Err(error.to_string()),
            },
            Some(Stage::Saved(through)) => {
                self.checkpoints += 1;
                self.groups[id.0 as usize].machine.checkpoint_durable(through);
                submit(&self.wal, &self.completed, id, None, WalRecord::Purge { group: id, through });
                None
            }
        };
        self.groups[id.0 as usize].stage = next;
        Ok(())
    }

    fn build(&mut self, id: RaftGroup, building: Building, at: ApplyContext) -> Result<Checkpoint, Ended> {
        let state = match building {
            Building::Whole(state) => state,
            Building::Pending(pending) => {
                while self.write()? {}
                pending.finish().map_err(|error| error.to_string())?
            }
        };
        let header = Bytes::copy_from_slice(&self.groups[id.0 as usize].term.0.to_be_bytes());
        Ok(Checkpoint { applied: at.index, term: at.term, header, state })
    }

    /// The readers' side of a data group.
    pub(super) fn data(&self, id: RaftGroup) -> Arc<DataView> {
        self.groups[id.0 as usize].machine.data().expect("a data group")
    }

    /// The readers' side of the metadata group.
    pub(super) fn metadata(&self) -> Arc<MetadataView> {
        self.groups[0].machine.metadata().expect("the metadata group")
    }

    /// A group's committed position.
    pub(super) fn position(&self, group: &str, place: &Place) -> Option<i64> {
        let view = self.data(place.group);
        let state = view.state();
        let position = state.groups().positions().position(&GroupId::from(group), &place.tp)?;
        Some(position.offset.0)
    }

    /// Nothing is proposed and unanswered.
    pub(super) fn is_quiet(&self) -> bool {
        self.groups.iter().all(|group| group.proposed.is_empty())
    }
}

impl Group {
    fn apply(&mut self, at: ApplyContext, commands: Vec<(Ticket, Command)>) -> Vec<Applied> {
        self.applied = at;
        let apply = |(ticket, command)| Applied { ticket, answer: self.machine.apply(at, command) };
        commands.into_iter().map(apply).collect()
    }
}

fn submit(wal: &Wal, completed: &Completed, id: RaftGroup, index: Option<LogIndex>, record: WalRecord) {
    let completed = completed.clone();
    let done = move |outcome: Result<_, _>| {
        completed.lock().expect("nobody panicked").push_back((id, index, outcome.is_ok()));
    };
    wal.submit(vec![record], Box::new(done));
}

/// What a node's background does with a topic's settings.
fn configure(machine: &Machine, options: PartitionOptions) {
    for (_, log) in machine.data().iter().flat_map(|view| view.logs()) {
        log.set_options(options);
    }
}

fn decode_vote(bytes: &Bytes) -> Result<Term, Ended> {
    let bytes = bytes[..].try_into().map_err(|_| "a vote is malformed".to_owned())?;
    Ok(Term(u64::from_be_bytes(bytes)))
}
