//! Deletions among deliveries: what was delivered before it is deleted, or before its account ends, is in the log before that, whoever
//! deletes it. Waits a bounded time for answers that are leaving, with no lock held, and for no disk.

use std::{collections::BTreeSet, pin::pin, time::Duration};

use tallymq_broker::{
    data::{DataCommand, DataOutcome},
    group::GroupId,
};
use tallymq_consensus::{Command, Proposal, ProposeError};
use tallymq_model::{Offset, Timestamp, TopicPartition};
use tokio::time::timeout;

use super::{DataMarks, marks::Marks};
use crate::node::{DataEntry, DataHandle};

/// How long a deletion waits for answers, and how long ago they may have been made: what a client has not taken by then was not
/// delivered before the deletion, and nobody else has to wait for it again.
const LEAVING_MAX: Duration = Duration::from_secs(3);

/// What is about to be deleted.
pub(super) enum Doomed<'a> {
    /// Records of these partitions below these offsets.
    Records(&'a [(TopicPartition, Offset)]),
    /// Accounts of a group.
    Accounts(&'a GroupId),
}

impl Marks {
    /// Answers that were made since then, have not all left, and carry what is doomed to somebody whose account is told.
    fn leaving(&self, doomed: &Doomed<'_>, since: Timestamp) -> BTreeSet<u64> {
        match *doomed {
            Doomed::Records(below) => {
                let of = |(tp, to): &(TopicPartition, Offset)| {
                    let to = *to;
                    let told = self.unwritten_of(*tp).filter(move |(_, response, mark)| {
                        response.at >= since && !mark.told.is_empty() && mark.from < mark.to.min(to)
                    });
                    told.map(|(number, ..)| number)
                };
                below.iter().flat_map(of).collect()
            }
            Doomed::Accounts(group) => {
                let to_group = self.unwritten().filter(|(_, response)| {
                    let mut told = response.marks.iter().flat_map(|mark| &mark.told);
                    response.at >= since && told.any(|owner| owner.group == *group)
                });
                to_group.map(|(number, _)| number).collect()
            }
        }
    }
}

impl Marks {
    /// What is still on its way to a group becomes nobody's.
    fn take_from(&mut self, group: &GroupId) {
        for mark in self.unwritten_mut().flat_map(|response| &mut response.marks) {
            mark.told.retain(|owner| owner.group != *group);
        }
    }
}

impl DataMarks {
    /// Returns when no answer that was made since then, and carries what is doomed, is leaving any more. Those that come meanwhile
    /// are not waited for.
    async fn have_left(&self, doomed: Doomed<'_>, since: Timestamp) {
        let leaving = self.marks.lock().leaving(&doomed, since);
        for number in leaving {
            loop {
                let mut left = pin!(self.left.notified());
                left.as_mut().enable();
                if !self.marks.lock().is_leaving(number) {
                    break;
                }
                left.await;
            }
        }
    }
}

impl DataHandle {
    /// Queues a command that deletes the records of these partitions below these offsets, behind all deliveries of them: also of
    /// those whose bytes the client has already, and whose connection has not said so yet.
    pub async fn enqueue_deletion(
        &self,
        command: DataCommand,
        below: &[(TopicPartition, Offset)],
        now: Timestamp,
    ) -> Result<Proposal<DataOutcome>, ProposeError> {
        self.deliver_before(Doomed::Records(below), now).await?;
        let entry = DataEntry(command);
        let room = self.group.room(Command::size_bytes(&entry)).await?;
        // What has left while this waited goes along.
        self.place_behind_marks((room, entry), |_| true)
    }

    /// To be called for a group that was deleted, before its accounts end here: what clients take too late to be waited for would open
    /// them again.
    pub fn forget_group(&self, group: &GroupId) {
        if let Some(own) = &self.marks {
            own.marks.lock().take_from(group);
        }
    }

    /// Enqueues all deliveries, those of answers that are leaving with what is doomed as well.
    pub(super) async fn deliver_before(
        &self,
        doomed: Doomed<'_>,
        now: Timestamp,
    ) -> Result<(), ProposeError> {
        let since = Timestamp(now.0.saturating_sub(LEAVING_MAX.as_millis() as i64));
        if let Some(own) = &self.marks
            && !tallymq_model::planted("deletion-without-wait")
        {
            // What takes longer counts as not delivered.
            let _ = timeout(LEAVING_MAX, own.have_left(doomed, since)).await;
        }
        self.flush_marks().await
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, sync::Arc};

    use futures_util::FutureExt;
    use tallymq_broker::account::Witness;
    use tallymq_model::{PartitionIndex, TopicId};

    use super::*;
    use crate::account::{
        Peer,
        marks::{Fetcher, Mark, Response},
        owners::Owner,
    };

    fn tp(partition: i32) -> TopicPartition {
        TopicPartition { topic: TopicId::default(), partition: PartitionIndex(partition) }
    }

    /// Offsets 10 to 19 of a partition, on their way to their owner.
    fn answered(own: &DataMarks, number: u64, partition: i32, at: i64) {
        let peer = Peer { ip: IpAddr::from([127, 0, 0, 1]), client_id: "c".into() };
        let fetcher = Arc::new(Fetcher { peer, address: "a".into(), connection: 1 });
        let owner = Owner { group: "g".into(), member: "m".into(), client_id: "c".into(), host: None };
        let mark = Mark {
            tp: tp(partition),
            from: Offset(10),
            to: Offset(20),
            witness: Witness::Exact,
            told: vec![Arc::new(owner)],
            doubtful: Vec::new(),
            in_doubt: None,
        };
        let response = Response { fetcher, at: Timestamp(at), marks: vec![mark] };
        own.marks.lock().register(number, response);
    }

    fn is_waited_for(own: &DataMarks, partition: i32, to: i64) -> bool {
        let below = [(tp(partition), Offset(to))];
        own.have_left(Doomed::Records(&below), Timestamp(1_000)).now_or_never().is_none()
    }

    #[tokio::test]
    async fn only_answers_that_carry_what_is_deleted_and_are_not_old_are_waited_for() {
        let own = DataMarks::default();
        answered(&own, 1, 0, 1_000);
        answered(&own, 2, 1, 999);
        assert!(is_waited_for(&own, 0, 11) && is_waited_for(&own, 0, i64::MAX));
        assert!(!is_waited_for(&own, 0, 10), "it stays");
        assert!(!is_waited_for(&own, 1, 20), "who reads so slowly does not read");
        assert!(!is_waited_for(&own, 2, 20));
        let to_group = |group: &str, since| {
            own.have_left(Doomed::Accounts(&group.into()), Timestamp(since)).now_or_never().is_none()
        };
        assert!(to_group("g", 1_000) && !to_group("g", 1_001) && !to_group("h", 0));
    }

    #[test]
    fn what_leaves_to_a_group_that_was_deleted_meanwhile_is_told_to_nobody() {
        let own = DataMarks::default();
        for (group, delivered) in [("another", 1), ("g", 0)] {
            answered(&own, 1, 0, 1_000);
            own.marks.lock().take_from(&group.into());
            own.gone(|marks| marks.written(1));
            let waiting = own.marks.lock().waiting();
            assert_eq!(waiting, delivered);
            drop(own.marks.lock().take(usize::MAX));
        }
    }

    #[tokio::test]
    async fn a_deletion_goes_on_when_the_last_of_them_has_left_or_was_given_up() {
        let own = DataMarks::default();
        (1..=3).for_each(|number| answered(&own, number, 0, 1_000));
        let below = [(tp(0), Offset(20))];
        let mut waiting = pin!(own.have_left(Doomed::Records(&below), Timestamp(0)));
        assert!(waiting.as_mut().now_or_never().is_none());
        answered(&own, 4, 0, 1_000);
        for number in [3, 1] {
            own.gone(|marks| marks.written(number));
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        own.gone(|marks| marks.withdrawn(2));
        assert!(waiting.as_mut().now_or_never().is_some(), "what came later has its own time");
    }
}
