//! The books of a stopped broker: every account's equation, the balance against what the journal gives by other code, and
//! the alarms against the losses that the journal tells. Names each difference; repairs none.

use std::collections::BTreeMap;

use tallymq_broker::{
    account::{Alarm, Happening, JournalEvent, journal, recompute::Recomputation},
    data::DataGroup,
};
use tallymq_model::{Offset, RaftGroup, TopicPartition};
use tallymq_storage::{
    disk::Disk,
    log::{
        LogPosition,
        scan::{self, Finding},
    },
};

use super::Report;

/// One data group's books.
pub struct Books<'a> {
    /// Which group.
    pub group: RaftGroup,
    /// Its state at the end of the log.
    pub state: &'a DataGroup,
    /// How far the newest checkpoint has the journal.
    pub position: LogPosition,
    /// What the log made for the journal behind that.
    pub behind: &'a BTreeMap<Offset, Vec<JournalEvent>>,
}

/// A loss that the journal tells.
type Loss = (TopicPartition, String, &'static str, i64, i64);

/// What is gathered from the journal on the way.
struct Reading {
    recomputation: Recomputation,
    next: Offset,
    losses: Vec<(Loss, i64)>,
    damage: Vec<String>,
}

/// Checks them.
pub fn check(disk: &dyn Disk, books: &Books<'_>, report: &mut Report) {
    let place = format!("groups/{}", books.group);
    let (accounts, state) = (books.state.accounts(), books.state);
    for (tp, group, account) in accounts.iter() {
        report.counts.accounts += 1;
        let Some(ledger) = state.ledger(tp) else {
            let reason =
                format!("there is an account of group {group} in partition {tp}, which does not exist");
            report.damage(&place, 0, reason);
            continue;
        };
        for imbalance in account.check(ledger) {
            report.damage(&place, 0, format!("account of group {group} in partition {tp}: {imbalance}"));
        }
    }
    let (from, to) = state.journal_bounds();
    let mut reading =
        Reading { recomputation: Recomputation::new(), next: from, losses: Vec::new(), damage: Vec::new() };
    read_segments(disk, books, &mut reading);
    for (base, events) in books.behind.range(books.position.log_end..) {
        events.iter().zip(base.0..).for_each(|(event, offset)| reading.feed(Offset(offset), event));
    }
    report.counts.journal_events += reading.next.0.saturating_sub(from.0).max(0) as u64;
    for reason in &reading.damage {
        report.damage(&place, 0, format!("journal: {reason}"));
    }
    // What cannot be read cannot be compared; that it cannot is damage already.
    if reading.next != to || !reading.damage.is_empty() {
        let reason = format!(
            "journal: it goes from event {from} to {to} by the state, and is readable up to {}; the balances are not \
             compared",
            reading.next
        );
        return report.damage(&place, 0, reason);
    }
    check_alarms(state, &reading, from == Offset::ZERO, &place, report);
    let ledger = |tp| state.ledger(tp);
    for difference in reading.recomputation.compare(accounts, ledger) {
        report.damage(&place, 0, difference.to_string());
    }
}

/// Feeds what the segments have up to the checkpoint. Damage in the files is the segments' check to tell.
fn read_segments(disk: &dyn Disk, books: &Books<'_>, reading: &mut Reading) {
    if books.position.log_end == Offset::ZERO {
        return;
    }
    let tp = journal::partition(books.group);
    let log_end = books.position.log_end;
    let scanned = scan::partition(disk, tp, Some(&books.position), &mut |found| {
        let Finding::Batch { bytes, behind_checkpoint: false, .. } = found else { return };
        match journal::decode(bytes) {
            Ok(events) => {
                let kept = events.iter().filter(|(offset, _)| *offset < log_end);
                kept.for_each(|(offset, event)| reading.feed(*offset, event));
            }
            Err(error) => reading.damage.push(error.to_string()),
        }
    });
    if let Err(error) = scanned {
        reading.damage.push(format!("cannot be read: {error}"));
    }
}

impl Reading {
    /// The next event; those before the journal's start were given up, and may still be there.
    fn feed(&mut self, offset: Offset, event: &JournalEvent) {
        if offset < self.next {
            return;
        }
        if offset > self.next && self.damage.is_empty() {
            self.damage.push(format!("events {} to {} are missing", self.next, offset.0 - 1));
        }
        self.next = offset.plus(1);
        self.recomputation.feed(offset, event);
        if let (Some(tp), Some(group), Happening::Settled { from, to, class }) =
            (event.tp, &event.group, &event.what)
            && class.is_loss()
        {
            let loss = (tp, group.to_string(), class.name(), from.0, to.0);
            self.losses.push((loss, event.at.0));
        }
    }
}

/// Each alarm must be about a loss that the journal tells, and each loss must have raised one. With a trimmed journal only what
/// it still has can be compared.
fn check_alarms(state: &DataGroup, reading: &Reading, is_whole: bool, place: &str, report: &mut Report) {
    let alarms = state.accounts().alarms();
    for alarm in alarms.iter() {
        report.counts.alarms += 1;
        let span = alarm.to.0.saturating_sub(alarm.from.0);
        if !alarm.class.is_loss() || span <= 0 || (alarm.merged == 0 && alarm.records != span as u64) {
            report.damage(place, 0, format!("alarm {} contradicts itself", named(alarm)));
        } else if is_whole && !reading.losses.iter().any(|(loss, at)| is_about(alarm, loss, *at)) {
            report.damage(
                place,
                0,
                format!("alarm {} is about a loss that the journal has not", named(alarm)),
            );
        }
    }
    let raised = alarms.last_id();
    if is_whole && raised != reading.losses.len() as u64 {
        let reason =
            format!("alarms raised: {raised}; losses that the journal tells: {}", reading.losses.len());
        report.damage(place, 0, reason);
    }
}

fn is_about(alarm: &Alarm, loss: &Loss, at: i64) -> bool {
    let (tp, group, class, from, to) = loss;
    let is_same =
        (*tp, group.as_str(), *class, at) == (alarm.tp, alarm.group.as_str(), alarm.class.name(), alarm.at.0);
    let fits = match alarm.merged {
        0 => (*from, *to) == (alarm.from.0, alarm.to.0),
        _ => *from >= alarm.from.0 && *to <= alarm.to.0,
    };
    is_same && fits
}

fn named(alarm: &Alarm) -> String {
    format!(
        "{} ({} of group {} in partition {}, offsets {} to {})",
        alarm.id,
        alarm.class.name(),
        alarm.group,
        alarm.tp,
        alarm.from,
        alarm.to.0 - 1
    )
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tallymq_broker::{
        ApplyContext,
        account::{AccountCommand, OpenFrom, Who},
        data::{DataCommand, OpenPartition, Produce},
    };
    use tallymq_gateway::kafka::records::{BatchOptions, Record, build_batch};
    use tallymq_model::{BatchHeader, LeaderEpoch, LogIndex, PartitionIndex, Term, Timestamp, TopicId};
    use tallymq_storage::disk::MemoryDisk;

    use super::*;

    type Journal = BTreeMap<Offset, Vec<JournalEvent>>;

    const AT: Timestamp = Timestamp(1000);

    /// Five records, of which the group's account calls two lost.
    fn two_of_five_lost() -> (DataGroup, Journal) {
        let tp = TopicPartition { topic: TopicId::default(), partition: PartitionIndex(0) };
        let batch: Bytes = build_batch(&vec![Record::default(); 5], &BatchOptions::default());
        let header = BatchHeader::parse(&batch).unwrap();
        let (group, by) = ("g".into(), Who::default());
        let from = OpenFrom::Earliest;
        let lost = |from, to| {
            let (from, to) = (Offset(from), Offset(to));
            AccountCommand::Lost { tp, from, to, why: "damage".into(), at: AT }
        };
        let commands = [
            DataCommand::OpenPartitions {
                partitions: vec![OpenPartition { tp, leader_epoch: LeaderEpoch(0) }],
            },
            DataCommand::Produce(Produce { tp, header, batch, now: AT }),
            DataCommand::Account(AccountCommand::OpenAccount {
                group,
                partitions: vec![tp],
                from,
                by,
                at: AT,
            }),
            DataCommand::Account(lost(1, 2)),
            DataCommand::Account(lost(3, 4)),
        ];
        let (mut state, mut journal) = (DataGroup::new(), Journal::new());
        for (index, command) in (1..).zip(&commands) {
            let at = ApplyContext { index: LogIndex(index), term: Term(1) };
            if let Some(noted) = state.apply_noting(at, command).1 {
                journal.insert(noted.base_offset, noted.events);
            }
        }
        (state, journal)
    }

    fn found(state: &DataGroup, behind: &Journal) -> Vec<String> {
        let books = Books { group: RaftGroup(1), state, position: LogPosition::default(), behind };
        let mut report = Report::default();
        check(&MemoryDisk::default(), &books, &mut report);
        report.damages.into_iter().map(|damage| damage.reason).collect()
    }

    #[test]
    fn books_that_agree_are_whole() {
        let (state, journal) = two_of_five_lost();
        assert_eq!(found(&state, &journal), Vec::<String>::new());
    }

    #[test]
    fn an_alarm_without_its_loss_and_a_loss_without_its_alarm_are_found() {
        let (state, mut journal) = two_of_five_lost();
        for event in journal.values_mut().flatten() {
            if let Happening::Settled { from, to, .. } = &mut event.what
                && *from == Offset(1)
            {
                (*from, *to) = (Offset(0), Offset(1));
            }
        }
        let reasons = found(&state, &journal);
        assert!(
            reasons.iter().any(|reason| reason.contains("about a loss that the journal has not")),
            "{reasons:?}"
        );

        let (_, mut journal) = two_of_five_lost();
        let acknowledged = Happening::Acknowledged { alarms: 0, who: Who::default() };
        for event in journal.values_mut().flatten() {
            if matches!(event.what, Happening::Settled { from: Offset(3), .. }) {
                event.what = acknowledged.clone();
            }
        }
        let reasons = found(&state, &journal);
        let told = "alarms raised: 2; losses that the journal tells: 1";
        assert!(reasons.iter().any(|reason| reason == told), "{reasons:?}");
    }

    #[test]
    fn a_balance_that_the_journal_does_not_give_is_found_by_class() {
        let (state, mut journal) = two_of_five_lost();
        for event in journal.values_mut().flatten() {
            if let Happening::Lost { to, .. } = &mut event.what {
                *to = to.plus(1);
            }
        }
        let reasons = found(&state, &journal);
        let told = "the balance counts 2 records as lost, the journal 4";
        assert!(reasons.iter().any(|reason| reason.contains(told)), "{reasons:?}");
    }

    #[test]
    fn a_journal_with_a_hole_is_not_compared_but_told() {
        let (state, mut journal) = two_of_five_lost();
        journal.pop_last();
        let reasons = found(&state, &journal);
        assert!(reasons.iter().any(|reason| reason.contains("the balances are not compared")), "{reasons:?}");
        let (_, mut journal) = two_of_five_lost();
        let first = *journal.keys().nth(1).unwrap();
        journal.remove(&first);
        let reasons = found(&state, &journal);
        assert!(reasons.iter().any(|reason| reason.contains("are missing")), "{reasons:?}");
    }
}
