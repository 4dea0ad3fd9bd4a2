//! Deliveries that wait for their command: neighbours merged, readers named once, in batches of bounded size. Pure.

use std::collections::{HashMap, VecDeque};

use tallymq_broker::{
    account::{AccountCommand, Delivery, Reader, Who, Witness},
    group::{GroupId, Text},
};
use tallymq_model::{Offset, Timestamp, TopicPartition};

/// Deliveries of one command.
const BATCH_MAX: usize = 4096;

/// What one reader got of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Got {
    /// The partition.
    pub tp: TopicPartition,
    /// From here.
    pub from: Offset,
    /// To before here.
    pub to: Offset,
    /// How sure it is that it was the reader's.
    pub witness: Witness,
    /// When.
    pub at: Timestamp,
}

/// Who got it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReaderKey {
    /// In whose name.
    pub group: GroupId,
    /// The member; empty if it is none.
    pub member: Text,
    /// The client's name for itself.
    pub client_id: Text,
    /// The connection's number.
    pub connection: u64,
}

/// One command's worth.
#[derive(Debug, Default)]
pub struct Batch {
    readers: Vec<Reader>,
    reader_at: HashMap<ReaderKey, u32>,
    deliveries: Vec<Delivery>,
    /// Each reader's newest delivery of a partition.
    newest: HashMap<(u32, TopicPartition), usize>,
    /// What the readers take of the command.
    readers_bytes: usize,
}

/// All that wait. Invariant: only the last batch takes more; none is empty.
#[derive(Debug, Default)]
pub struct Ready {
    batches: VecDeque<Batch>,
}

impl Ready {
    /// Adds a delivery; `address` is the reader's.
    pub fn add(&mut self, reader: ReaderKey, address: &str, got: Got) {
        if self.batches.back().is_none_or(|batch| batch.deliveries.len() >= BATCH_MAX) {
            self.batches.push_back(Batch::default());
        }
        if let Some(batch) = self.batches.back_mut() {
            batch.add(reader, address, got);
        }
    }

    /// How many deliveries wait.
    pub fn len(&self) -> usize {
        self.batches.iter().map(|batch| batch.deliveries.len()).sum()
    }

    /// Their records.
    pub fn records(&self) -> u64 {
        let all = self.batches.iter().flat_map(|batch| &batch.deliveries);
        all.map(|one| one.to.0.saturating_sub(one.from.0).max(0) as u64).fold(0, u64::saturating_add)
    }

    /// Whether so much waits that more should not come before it is gone.
    pub fn is_crowded(&self) -> bool {
        self.batches.len() > 1
    }

    /// How large the oldest batch's command is; None if there is none.
    pub fn next_size_bytes(&self) -> Option<usize> {
        self.batches.front().map(Batch::size_bytes)
    }

    /// The oldest batch, if its command is no larger.
    pub fn take(&mut self, size_bytes_max: usize) -> Option<Batch> {
        self.batches.pop_front_if(|batch| batch.size_bytes() <= size_bytes_max)
    }
}

impl Batch {
    fn add(&mut self, key: ReaderKey, address: &str, got: Got) {
        let next = self.readers.len() as u32;
        let (readers, bytes) = (&mut self.readers, &mut self.readers_bytes);
        let reader = *self.reader_at.entry(key).or_insert_with_key(|key| {
            let who = Who::new(&key.member, &key.client_id, address);
            let reader = Reader { group: key.group.clone(), who, connection: key.connection };
            *bytes += AccountCommand::deliver_size_bytes([&reader], 0);
            readers.push(reader);
            next
        });
        let Got { tp, from, to, witness, at } = got;
        let newest = self.newest.get(&(reader, tp)).and_then(|at| self.deliveries.get_mut(*at));
        match newest {
            Some(newest) if newest.to == from && newest.witness == witness && newest.from < newest.to => {
                newest.to = to;
                newest.at = at;
            }
            _ => {
                self.newest.insert((reader, tp), self.deliveries.len());
                self.deliveries.push(Delivery { tp, reader, from, to, witness, at });
            }
        }
    }

    /// At least as many bytes as its command has.
    fn size_bytes(&self) -> usize {
        self.readers_bytes + AccountCommand::deliver_size_bytes([], self.deliveries.len())
    }

    /// The command that says it all.
    pub fn into_command(self) -> AccountCommand {
        AccountCommand::Deliver { readers: self.readers, deliveries: self.deliveries }
    }
}

#[cfg(test)]
mod tests {
    use tallymq_model::{PartitionIndex, TopicId};

    use super::*;

    fn got(partition: i32, from: i64, to: i64) -> Got {
        let tp = TopicPartition { topic: TopicId::default(), partition: PartitionIndex(partition) };
        Got { tp, from: Offset(from), to: Offset(to), witness: Witness::Exact, at: Timestamp(to) }
    }

    fn reader(group: &str, connection: u64) -> ReaderKey {
        ReaderKey { group: group.into(), member: "m".into(), client_id: "c".into(), connection }
    }

    #[test]
    fn neighbours_become_one_delivery_of_one_reader() {
        let mut ready = Ready::default();
        for step in 0..100 {
            for (group, partition) in [("g", 0), ("g", 1), ("h", 0)] {
                ready.add(reader(group, 1), "a", got(partition, step * 10, step * 10 + 10));
            }
        }
        ready.add(reader("g", 1), "a", got(0, 5_000, 5_010));
        assert_eq!(ready.records(), 3_010);
        let batch = ready.take(usize::MAX).unwrap();
        assert_eq!((batch.readers.len(), batch.deliveries.len()), (2, 4));
        assert_eq!(ready.records(), 0);
        assert_eq!((batch.deliveries[0].from, batch.deliveries[0].to), (Offset(0), Offset(1000)));
        assert_eq!(ready.len(), 0);
    }

    #[test]
    fn batches_are_bounded_and_taken_only_where_there_is_room() {
        let mut ready = Ready::default();
        for partition in 0..=BATCH_MAX as i32 {
            ready.add(reader("g", 1), "a", got(partition, 0, 1));
        }
        assert!(ready.is_crowded());
        let size_bytes = ready.next_size_bytes().unwrap();
        assert!(ready.take(size_bytes - 1).is_none());
        let first = ready.take(size_bytes).unwrap();
        assert_eq!(first.deliveries.len(), BATCH_MAX);
        assert!(first.into_command().size_bytes() <= size_bytes);
        assert_eq!(ready.take(usize::MAX).unwrap().deliveries.len(), 1);
        assert!(ready.take(usize::MAX).is_none() && ready.next_size_bytes().is_none());
    }
}
