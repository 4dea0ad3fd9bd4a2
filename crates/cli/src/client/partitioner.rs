//! Which partition a record goes to: by its key as Kafka's Java client does, or in turn.

use tallymq_gateway::kafka::records::murmur2;

/// Assigns partitions. Records without a key take turns.
#[derive(Debug)]
pub struct Partitioner {
    partitions: i32,
    fixed: Option<i32>,
    turn: i32,
}

impl Partitioner {
    /// For a topic of this many partitions (at least one); `fixed` sends everything to one of them.
    pub fn new(partitions: i32, fixed: Option<i32>) -> Partitioner {
        Partitioner { partitions: partitions.max(1), fixed, turn: 0 }
    }

    /// The partition of the next record.
    pub fn partition(&mut self, key: Option<&[u8]>) -> i32 {
        if let Some(fixed) = self.fixed {
            return fixed;
        }
        match key {
            Some(key) => (murmur2(key) & 0x7fff_ffff) as i32 % self.partitions,
            None => {
                self.turn = (self.turn + 1) % self.partitions;
                self.turn
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_and_others_take_turns() {
        let mut partitioner = Partitioner::new(3, None);
        let by_key = partitioner.partition(Some(b"foobar"));
        assert_eq!(by_key, ((-790_332_482_i32) & 0x7fff_ffff) % 3);
        assert_eq!(partitioner.partition(Some(b"foobar")), by_key);
        let turns: std::collections::BTreeSet<i32> = (0..3).map(|_| partitioner.partition(None)).collect();
        assert_eq!(turns.len(), 3);
        assert_eq!(Partitioner::new(3, Some(2)).partition(Some(b"foobar")), 2);
    }
}
