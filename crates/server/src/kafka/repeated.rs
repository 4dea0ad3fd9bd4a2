//! What a request names more than once is answered once. Otherwise a request of a megabyte, which is a list of one name, could
//! ask for an answer of gigabytes; and clients keep answers by name anyway.

use std::{collections::HashSet, hash::Hash};

use indexmap::{IndexMap, IndexSet};

/// Keeps the first of those that have the same key.
pub fn keep_first<T, K: Eq + Hash>(asked: &mut Vec<T>, key: impl Fn(&T) -> K) {
    let mut seen = HashSet::new();
    asked.retain(|one| seen.insert(key(one)));
}

/// Each topic once, in the order in which they were named first, with each of its partitions once.
pub fn merge_partitions<K: Eq + Hash>(
    asked: impl IntoIterator<Item = (K, Vec<i32>)>,
) -> IndexMap<K, IndexSet<i32>> {
    let mut topics: IndexMap<K, IndexSet<i32>> = IndexMap::new();
    for (topic, partitions) in asked {
        topics.entry(topic).or_default().extend(partitions);
    }
    topics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equals_stays_in_its_place() {
        let mut asked = vec![("b", 1), ("a", 2), ("b", 3), ("c", 4), ("a", 5)];
        keep_first(&mut asked, |(name, _)| *name);
        assert_eq!(asked, [("b", 1), ("a", 2), ("c", 4)]);
    }

    #[test]
    fn a_topic_that_is_named_twice_has_the_partitions_of_both() {
        let merged = merge_partitions([("b", vec![1, 0, 1]), ("a", vec![]), ("b", vec![2, 0])]);
        let merged: Vec<_> = merged.into_iter().map(|(name, all)| (name, Vec::from_iter(all))).collect();
        assert_eq!(merged, [("b", vec![1, 0, 2]), ("a", vec![])]);
    }
}
