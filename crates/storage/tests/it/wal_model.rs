//! What the log must hold: a model of the Raft groups, and the history of what was submitted and acknowledged. After a
//! recovery the log must equal the model after some prefix of the history, one that has everything acknowledged.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use tallymq_model::{LogIndex, RaftGroup, Term};
use tallymq_storage::{
    disk::Random,
    wal::{CommitFailed, Wal, WalOptions, WalRecord},
};

/// One Raft group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupModel {
    pub vote: Option<Bytes>,
    pub purged: u64,
    pub entries: BTreeMap<u64, (u64, Bytes)>,
}

impl GroupModel {
    pub fn end(&self) -> u64 {
        self.entries.keys().next_back().copied().unwrap_or(self.purged).max(self.purged) + 1
    }
}

/// All of them.
pub type Model = BTreeMap<RaftGroup, GroupModel>;

pub fn apply(model: &mut Model, records: &[WalRecord]) {
    for record in records {
        let group = model.entry(record.group()).or_default();
        match record {
            WalRecord::Entry { index, term, payload, .. } => {
                assert_eq!(index.0, group.end(), "the test submits in order");
                group.entries.insert(index.0, (term.0, Bytes::from(payload.concat())));
            }
            WalRecord::Vote { vote, .. } => group.vote = Some(vote.clone()),
            WalRecord::Truncate { from, .. } => group.entries.retain(|index, _| *index < from.0),
            WalRecord::Purge { through, .. } => {
                group.purged = group.purged.max(through.0);
                group.entries.retain(|index, _| *index > through.0);
            }
        }
    }
}

/// What the log says it holds, every entry read back.
pub fn read_all(wal: &Wal) -> Model {
    let mut model = Model::new();
    for (group, state) in wal.groups() {
        let mut read =
            GroupModel { vote: state.vote, purged: state.purged_through.0, ..GroupModel::default() };
        assert_eq!(state.first, state.purged_through.next());
        let mut from = state.first;
        let end = state.last.map_or(from, |(last, _)| last.next());
        while from < end {
            let entries = wal.read(group, from, end, 10_000).expect("a recovered entry can be read");
            assert!(!entries.is_empty());
            for entry in entries {
                assert_eq!(entry.index, from, "without a gap");
                from = from.next();
                read.entries.insert(entry.index.0, (entry.term.0, entry.payload));
            }
        }
        if let Some((last, term)) = state.last {
            assert_eq!(read.entries[&last.0].0, term.0);
        }
        model.insert(group, read);
    }
    model
}

/// The number of a submission, and how it ended.
type Outcome = (usize, Result<(), CommitFailed>);

/// Submissions since the last recovery, and what became of them.
pub struct History {
    /// What was there before the first of `submissions`.
    base: Model,
    submissions: Vec<Vec<WalRecord>>,
    /// In the order of their completions.
    outcomes: Arc<Mutex<Vec<Outcome>>>,
    /// The state with everything submitted applied.
    pub latest: Model,
    /// Acknowledgements are only proof of a sync if they are of votes or of the metadata group.
    asynchronous: bool,
}

impl History {
    pub fn new(asynchronous: bool) -> History {
        History {
            base: Model::new(),
            submissions: Vec::new(),
            outcomes: Arc::default(),
            latest: Model::new(),
            asynchronous,
        }
    }

    pub fn submit(&mut self, wal: &Wal, records: Vec<WalRecord>) {
        let number = self.submissions.len();
        apply(&mut self.latest, &records);
        self.submissions.push(records.clone());
        let outcomes = Arc::clone(&self.outcomes);
        wal.submit(records, Box::new(move |outcome| outcomes.lock().push((number, outcome.map(|_| ())))));
    }

    /// Submissions acknowledged. Checks that completions came in queue order and none was good after a bad one.
    pub fn acked(&self) -> usize {
        let outcomes = self.outcomes.lock();
        let mut acked = 0;
        for (place, (number, outcome)) in outcomes.iter().enumerate() {
            assert_eq!(place, *number, "completions run in queue order");
            if outcome.is_ok() {
                assert_eq!(acked, place, "nothing is acknowledged after a failure");
                acked = place + 1;
            }
        }
        acked
    }

    /// Submissions completed, in any way.
    pub fn completed(&self) -> usize {
        self.outcomes.lock().len()
    }

    pub fn submitted(&self) -> usize {
        self.submissions.len()
    }

    /// What must have survived.
    fn promised(&self) -> usize {
        let acked = self.acked();
        if !self.asynchronous {
            return acked;
        }
        let synced = |record: &WalRecord| {
            matches!(record, WalRecord::Vote { .. }) || record.group() == RaftGroup::METADATA
        };
        (0..acked).rev().find(|at| self.submissions[*at].iter().any(synced)).map_or(0, |at| at + 1)
    }

    /// Checks what a recovery found, and takes it as the state from which to go on.
    pub fn recovered(&mut self, wal: &Wal) -> Result<usize, String> {
        let found = read_all(wal);
        let promised = self.promised();
        let mut model = self.base.clone();
        let mut fits = None;
        for count in 0..=self.submissions.len() {
            if count > 0 {
                apply(&mut model, &self.submissions[count - 1]);
            }
            if count >= promised && same(&model, &found) {
                fits = Some(count);
                break;
            }
        }
        let Some(count) = fits else {
            return Err(format!(
                "recovered what no prefix with the {promised} acknowledged of {} submissions gives",
                self.submissions.len()
            ));
        };
        *self = History { base: model.clone(), latest: model, ..History::new(self.asynchronous) };
        Ok(count)
    }
}

/// Equal but for groups of which nothing is known.
fn same(one: &Model, other: &Model) -> bool {
    let known = |model: &Model| -> Model {
        model
            .iter()
            .filter(|(_, state)| **state != GroupModel::default())
            .map(|(g, s)| (*g, s.clone()))
            .collect()
    };
    known(one) == known(other)
}

/// Options with files of 32 KiB, so that a few groups fill one.
pub fn small_options() -> WalOptions {
    WalOptions {
        file_bytes: 32 << 10,
        bytes_max: 512 << 10,
        group_bytes_max: 12_000,
        ..WalOptions::default()
    }
}

/// An entry whose payload names it.
pub fn entry(group: u32, index: u64, term: u64, bytes: usize) -> WalRecord {
    let mut text = format!("group {group} index {index} term {term} ").into_bytes();
    let fill = text.len();
    text.resize(bytes, 0);
    for (at, byte) in text.iter_mut().enumerate().skip(fill) {
        *byte = (at as u64 * 31 + index * 7 + term) as u8;
    }
    let half = text.len() / 2;
    let payload =
        vec![Bytes::copy_from_slice(&text[..half]), Bytes::new(), Bytes::copy_from_slice(&text[half..])];
    WalRecord::Entry { group: RaftGroup(group), index: LogIndex(index), term: Term(term), payload }
}

/// Records that a Raft group could write next.
pub fn random_records(random: &mut Random, latest: &Model) -> Vec<WalRecord> {
    let mut model = latest.clone();
    let mut records = Vec::new();
    for _ in 0..1 + random.below(3) {
        let group = random.below(4) as u32;
        let state = model.get(&RaftGroup(group)).cloned().unwrap_or_default();
        let term = 1 + random.below(1000);
        let span = state.end() - state.purged;
        let record = match random.below(10) {
            0 => WalRecord::Vote { group: RaftGroup(group), vote: Bytes::from(format!("vote {term}")) },
            1 => WalRecord::Truncate {
                group: RaftGroup(group),
                from: LogIndex(state.end() - random.below(span.min(3))),
            },
            2 => {
                let beyond = if random.one_in(20) { 5 } else { 0 };
                let through = LogIndex(state.purged + random.below(span) + beyond);
                WalRecord::Purge { group: RaftGroup(group), through }
            }
            3 => WalRecord::Purge { group: RaftGroup(group), through: LogIndex(state.end() - 1) },
            _ => {
                let bytes = match random.below(40) {
                    0 => 40_000,
                    1..5 => random.below(9_000) as usize,
                    _ => random.below(600) as usize,
                };
                entry(group, state.end(), term, bytes)
            }
        };
        apply(&mut model, std::slice::from_ref(&record));
        records.push(record);
    }
    records
}
