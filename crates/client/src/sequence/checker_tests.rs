//! The checker against stories, and against a naive model that remembers everything.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const A: Uuid = Uuid::from_u128(1);
const B: Uuid = Uuid::from_u128(2);

fn id(producer: Uuid, number: u64) -> Option<SequenceId> {
    Some(SequenceId { producer, number })
}

fn checker() -> SequenceChecker {
    SequenceChecker::new(SequenceLimits::default())
}

#[test]
fn a_gap_is_named_and_a_late_comer_closes_it() {
    let mut checker = checker();
    assert_eq!(checker.seen(0, 0, id(A, 0)), None);
    let gap = checker.seen(0, 5, id(A, 4)).unwrap();
    assert_eq!(gap, Finding::Gap { partition: 0, producer: A, missing: 1..=3, offset: 5 });
    assert!(gap.to_string().contains("misses 1-3 before offset 0:5"), "{gap}");
    assert!(matches!(checker.seen(0, 6, id(A, 2)), Some(Finding::Late { .. })));
    assert_eq!(checker.missing(0, A).to_string(), "1, 3");
    assert!(matches!(checker.seen(0, 7, id(A, 2)), Some(Finding::Duplicate { .. })));
    let counts = checker.counts();
    assert_eq!((counts.checked, counts.missing, counts.late, counts.duplicates), (4, 3, 1, 1));
}

#[test]
fn producers_and_partitions_count_apart() {
    let mut checker = checker();
    for (partition, offset, producer, number) in
        [(0, 0, A, 0), (0, 1, B, 0), (1, 0, A, 0), (0, 2, A, 1), (1, 1, A, 1)]
    {
        assert_eq!(checker.seen(partition, offset, id(producer, number)), None);
    }
}

#[test]
fn a_missing_beginning_is_a_gap_only_if_the_beginning_was_read() {
    let mut whole = checker();
    assert_eq!(whole.seen(0, 0, None), None);
    assert!(matches!(whole.seen(0, 1, id(A, 2)), Some(Finding::Gap { missing, .. }) if missing == (0..=1)));
    let mut joined = checker();
    assert_eq!(joined.seen(0, 700, id(A, 2)), None);
    assert!(
        matches!(joined.seen(0, 701, id(A, 4)), Some(Finding::Gap { missing, .. }) if missing == (3..=3))
    );
}

#[test]
fn going_back_is_no_duplicate_and_moving_on_elsewhere_no_gap() {
    let mut checker = checker();
    checker.seen(0, 0, id(A, 0));
    checker.seen(0, 1, id(A, 1));
    assert_eq!(checker.seen(0, 0, id(A, 0)), None);
    assert_eq!(checker.counts().redelivered, 1);
    checker.forget(0);
    assert_eq!(checker.seen(0, 90, id(A, 80)), None);
}

#[test]
fn the_producer_idle_for_longest_goes_first_and_is_not_accused_later() {
    let mut checker = SequenceChecker::new(SequenceLimits { producers_max: 2, ranges_max: 4 });
    for (offset, producer) in [A, B, A, Uuid::from_u128(3)].into_iter().enumerate() {
        let number = u64::from(offset == 2);
        assert_eq!(checker.seen(0, offset as i64, id(producer, number)), None);
    }
    assert_eq!(checker.counts().producers_dropped, 1);
    // B was dropped, A was not.
    assert_eq!(checker.seen(0, 10, id(B, 5)), None);
    assert_eq!(checker.partitions[&0].producers.len(), 2);
}

#[test]
fn too_many_holes_are_counted_and_never_called_duplicates() {
    let mut checker = SequenceChecker::new(SequenceLimits { producers_max: 2, ranges_max: 2 });
    for step in 0..6u64 {
        checker.seen(0, step as i64, id(A, step * 2));
    }
    assert_eq!(checker.counts().ranges_dropped, 3);
    assert_eq!(checker.missing(0, A).to_string(), "7, 9");
    assert_eq!(checker.seen(0, 50, id(A, 1)), None);
    assert!(matches!(checker.seen(0, 51, id(A, 8)), Some(Finding::Duplicate { .. })));
}

#[test]
fn the_largest_number_is_no_trouble() {
    let mut checker = checker();
    checker.seen(0, 0, id(A, u64::MAX));
    checker.seen(0, 1, id(A, u64::MAX));
    assert_eq!(checker.counts().checked, 2);
}

proptest! {
    #[test]
    fn agrees_with_a_model_that_remembers_everything(numbers in prop::collection::vec((0u8..3, 0u64..40), 1..120)) {
        let mut checker = checker();
        let mut seen: HashMap<u8, BTreeSet<u64>> = HashMap::new();
        let mut duplicates = 0;
        for (offset, (producer, number)) in numbers.into_iter().enumerate() {
            let uuid = Uuid::from_u128(u128::from(producer));
            let finding = checker.seen(0, offset as i64, id(uuid, number));
            let before = seen.entry(producer).or_default();
            let again = !before.insert(number);
            duplicates += u64::from(again);
            let is_duplicate = matches!(finding, Some(Finding::Duplicate { .. }));
            prop_assert_eq!(is_duplicate, again);
            let last = *before.last().unwrap();
            let missing: Vec<u64> = (0..last).filter(|number| !before.contains(number)).collect();
            prop_assert_eq!(checker.missing(0, uuid).iter().flatten().collect::<Vec<_>>(), missing);
        }
        prop_assert_eq!(checker.counts().duplicates, duplicates);
    }
}
