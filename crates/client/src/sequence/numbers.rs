//! Giving numbers, at the sender. Pure.

use std::collections::HashMap;

/// The next number for each topic and partition of one producer instance.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    topics: HashMap<String, HashMap<i32, u64>>,
}

impl Numbers {
    /// Gives the next number.
    pub(crate) fn give(&mut self, topic: &str, partition: i32) -> u64 {
        if !self.topics.contains_key(topic) {
            self.topics.insert(topic.to_owned(), HashMap::new());
        }
        let next = self.topics.get_mut(topic).expect("inserted above").entry(partition).or_insert(0);
        *next += 1;
        *next - 1
    }

    /// Takes a number back that was never used, if it was the last one given: else it stays a gap. True if it did.
    pub(crate) fn take_back(&mut self, topic: &str, partition: i32, number: u64) -> bool {
        let next = self.topics.get_mut(topic).and_then(|partitions| partitions.get_mut(&partition));
        match next {
            Some(next) if *next == number + 1 => {
                *next = number;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_per_topic_and_partition_and_only_the_last_can_come_back() {
        let mut numbers = Numbers::default();
        assert_eq!([numbers.give("a", 0), numbers.give("a", 0), numbers.give("a", 1)], [0, 1, 0]);
        assert_eq!(numbers.give("b", 0), 0);
        assert!(!numbers.take_back("a", 0, 0));
        assert!(numbers.take_back("a", 0, 1));
        assert_eq!(numbers.give("a", 0), 1);
    }
}
