//! The accounts of a world. A node's shell has eyes for deliveries; here they are played: what a client was given becomes a
//! mark, and marks become a command before the commit that relies on them, or by chance earlier; a crash takes those that are not
//! in the log. What must hold is looked at here too: every balance comes out, the journal gives the same ones by other code,
//! and who commits only what it was given is never said to have skipped a record. It moves no account by itself.

use tallymq_broker::{
    account::{
        AccountCommand, Class, Committer, CommitterKind, Delivery, Happening, JournalEvent, OpenFrom, Reader,
        Who, Witness, journal, recompute::Recomputation,
    },
    data::{DataCommand, DataGroup},
    group::GroupId,
};
use tallymq_model::{Offset, RaftGroup, Timestamp};
use tallymq_replica::DataView;

use super::{
    Outcome,
    machine::Command,
    node::{DATA_GROUPS, Node},
    scene::{Place, Scene, Waiting},
};

/// Bytes that one read of the journal takes.
const READ_BYTES: usize = 64 << 10;
/// One delivery in so many may have been another group's.
const DELIVERIES_PER_DOUBT: u64 = 12;

/// A delivery that is not in the log yet.
struct Mark {
    home: RaftGroup,
    reader: Reader,
    delivery: Delivery,
}

/// What the eyes saw and the log does not know; in the order in which it happened.
#[derive(Default)]
pub(super) struct Marks(Vec<Mark>);

/// Whom a client says to be.
pub(super) fn who(process: i64) -> Who {
    Who::new(&format!("member-{process}"), "client", "10.0.0.7")
}

/// In whose name a client commits.
pub(super) fn committer(process: i64) -> Committer {
    Committer { kind: CommitterKind::Member, who: who(process) }
}

fn data_groups() -> impl Iterator<Item = RaftGroup> {
    (1..=DATA_GROUPS).map(RaftGroup)
}

impl Scene {
    fn at(&self) -> Timestamp {
        Timestamp((self.journal.now_ns / 1_000_000) as i64)
    }

    fn tell(&mut self, home: RaftGroup, command: AccountCommand) {
        self.send(home, Command::Data(DataCommand::Account(command)), Waiting::Account);
    }

    /// A client of a group was given `from..to`; with an empty range it took its position there.
    pub(super) fn delivered(&mut self, place: &Place, (group, process): (&str, i64), from: i64, to: i64) {
        let doubtful = from < to && self.random.one_in(DELIVERIES_PER_DOUBT);
        let witness = if doubtful { Witness::Possible } else { Witness::Exact };
        let reader =
            Reader { group: GroupId::from(group), who: who(process), connection: process.unsigned_abs() };
        let (from, to) = (Offset(from), Offset(to));
        let delivery = Delivery { tp: place.tp, reader: 0, from, to, witness, at: self.at() };
        self.marks.0.push(Mark { home: place.group, reader, delivery });
    }

    /// Everything that was seen in a data group is on its way to its log, before whatever is sent later.
    pub(super) fn flush_marks(&mut self, home: RaftGroup) {
        let all = std::mem::take(&mut self.marks.0);
        let (ours, others) = all.into_iter().partition(|mark: &Mark| mark.home == home);
        self.marks.0 = others;
        let (mut readers, mut deliveries): (Vec<Reader>, Vec<Delivery>) = (Vec::new(), Vec::new());
        for Mark { reader, delivery, .. } in ours {
            let known = readers.iter().position(|known| *known == reader);
            let at = known.unwrap_or(readers.len());
            if known.is_none() {
                readers.push(reader);
            }
            deliveries.push(Delivery { reader: at as u32, ..delivery });
        }
        if !deliveries.is_empty() {
            self.tell(home, AccountCommand::Deliver { readers, deliveries });
        }
    }

    /// The process is gone, and what it saw with it.
    pub(super) fn lose_marks(&mut self) {
        self.marks = Marks::default();
    }

    /// A leader begins: before it delivers anything.
    pub(super) fn begin_books(&mut self) {
        let at = self.at();
        data_groups().for_each(|home| self.tell(home, AccountCommand::MarksMayBeMissing { at }));
    }

    /// A leader stops, and nobody is given anything any more.
    pub(super) fn end_books(&mut self) {
        let at = self.at();
        for home in data_groups() {
            self.flush_marks(home);
            self.tell(home, AccountCommand::MarksComplete { at });
        }
    }
}

/// One thing that happens to the books by itself, or because a person asks for it.
pub(super) fn happen(node: &Node, scene: &mut Scene) {
    let home = RaftGroup(1 + scene.random.below(u64::from(DATA_GROUPS)) as u32);
    let at = scene.at();
    match scene.random.below(12) {
        0 => scene.tell(home, AccountCommand::AcknowledgeAlarms { ids: None, by: who(1), at }),
        1 => trim(node, scene, home),
        2 => open(scene),
        3 => lose(node, scene),
        _ => scene.flush_marks(home),
    }
}

fn trim(node: &Node, scene: &mut Scene, home: RaftGroup) {
    let (from, to) = node.data(home).state().journal_bounds();
    let to = from.plus(scene.random.below((to.0 - from.0) as u64 + 1) as i64);
    let at = scene.at();
    scene.tell(home, AccountCommand::TrimJournal { to, at });
}

fn open(scene: &mut Scene) {
    let Some(place) = scene.pick_place() else { return };
    let group = GroupId::from(format!("group-{}", scene.random.below(3)));
    let (partitions, by, at) = (vec![place.tp], who(1), scene.at());
    let from = OpenFrom::Earliest;
    scene.tell(place.group, AccountCommand::OpenAccount { group, partitions, from, by, at });
}

/// Records are said to be unreadable.
fn lose(node: &Node, scene: &mut Scene) {
    let Some(place) = scene.pick_place() else { return };
    let Some(log) = node.data(place.group).log(place.tp) else { return };
    let (start, end) = log.bounds();
    let from = start.plus(scene.random.below((end.0 - start.0) as u64 + 1) as i64);
    let to = from.plus(1 + scene.random.below(4) as i64);
    let (why, at) = ("a bad checksum".into(), scene.at());
    scene.tell(place.group, AccountCommand::Lost { tp: place.tp, from, to, why, at });
}

/// Looks at the books of a node, and adds what is in them to `outcome`. An error says what does not come out.
pub(super) fn check(node: &Node, outcome: &mut Outcome) -> Result<(), String> {
    for home in data_groups() {
        let view = node.data(home);
        let state = view.state();
        let events = read_journal(&view, &state)?;
        check_balances(&state, outcome)?;
        outcome.journal_events += events.len() as u64;
        let mut recomputation = Recomputation::new();
        let mut losses = 0;
        for (offset, event) in &events {
            recomputation.feed(*offset, event);
            losses += u64::from(matches!(&event.what, Happening::Settled { class, .. } if class.is_loss()));
        }
        if let Some(difference) = recomputation.compare(state.accounts(), |tp| state.ledger(tp)).first() {
            return Err(format!("group {}: {difference}", home.0));
        }
        let (from, raised) = (state.journal_bounds().0, state.accounts().alarms().last_id());
        if from == Offset::ZERO && raised != losses {
            return Err(format!("group {}: {raised} alarms, and the journal tells {losses} losses", home.0));
        }
    }
    Ok(())
}

/// The same of a node with damage in the file `path`. True if whoever reads the journal is told of it.
pub(super) fn look(node: &Node, path: &str) -> Result<bool, String> {
    match check(node, &mut Outcome::default()) {
        Err(why) if why.contains(path) => Ok(true),
        looked => looked.map(|()| false),
    }
}

fn check_balances(state: &DataGroup, outcome: &mut Outcome) -> Result<(), String> {
    for (tp, group, account) in state.accounts().iter() {
        let Some(ledger) = state.ledger(tp) else {
            return Err(format!("{group} has an account of {tp}, which is not there"));
        };
        if let Some(imbalance) = account.check(ledger).first() {
            return Err(format!("{group} in {tp}: {imbalance}"));
        }
        let classes = account.classes(ledger);
        // Nobody here commits what it was not given, and no record expires.
        for class in [Class::Skipped, Class::ExpiredUnread] {
            if classes.of(class) > 0 {
                return Err(format!("{group} in {tp}: {} records are {}", classes.of(class), class.name()));
            }
        }
        outcome.accounts += 1;
        outcome.processed += classes.of(Class::Processed);
        outcome.unwitnessed += classes.of(Class::Unwitnessed);
    }
    Ok(())
}

/// The journal as its log has it, from its start to its end.
fn read_journal(view: &DataView, state: &DataGroup) -> Result<Vec<(Offset, JournalEvent)>, String> {
    let (start, end) = state.journal_bounds();
    let Some(log) = view.journal() else {
        return if end == Offset::ZERO { Ok(Vec::new()) } else { Err("the journal is gone".to_owned()) };
    };
    if log.bounds() != (start, end) {
        return Err(format!("the journal is {start} to {end} by the state, {:?} by its log", log.bounds()));
    }
    let (mut from, mut events) = (start, Vec::new());
    while from < end {
        let fetched = log.read(from, READ_BYTES, true).map_err(|error| format!("the journal: {error}"))?;
        let decoded = journal::decode(&fetched.pieces.concat()).map_err(|error| error.to_string())?;
        // A trim may begin inside a batch.
        events.extend(decoded.into_iter().filter(|(offset, _)| *offset >= from));
        if fetched.next <= from {
            return Err(format!("the journal has nothing at {from} of {end}"));
        }
        from = fetched.next;
    }
    Ok(events)
}
