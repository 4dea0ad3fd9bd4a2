//! The server-side assignors against what they promise, over random subscriptions and random changes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tallymq_broker::group::assignor::AssignedMember;
use tallymq_broker::group::topics::PartitionSet;
use tallymq_broker::group::{Assignor, MemberId};
use tallymq_model::TopicId;

use crate::group_world::{topic_id, tp};

type Members = BTreeMap<MemberId, AssignedMember>;

fn members(subscriptions: &[BTreeSet<u8>]) -> Members {
    let member = |(at, topics): (usize, &BTreeSet<u8>)| {
        let id = format!("m{at:02}");
        let topics = topics.iter().map(|&topic| topic_id(u128::from(topic))).collect();
        (MemberId::from(id.clone()), AssignedMember { order: id, topics, before: PartitionSet::new() })
    };
    subscriptions.iter().enumerate().map(member).collect()
}

fn topics(counts: &[u32]) -> BTreeMap<TopicId, u32> {
    counts.iter().enumerate().map(|(at, &count)| (topic_id(at as u128), count)).collect()
}

/// Everything that has a subscriber has exactly one holder, and that one is subscribed.
fn check(members: &Members, topics: &BTreeMap<TopicId, u32>, all: &BTreeMap<MemberId, PartitionSet>) {
    let mut held = PartitionSet::new();
    for (id, own) in all {
        for tp in own {
            assert!(members[id].topics.contains(&tp.topic));
            assert!(held.insert(*tp), "{tp} is assigned twice");
            assert!((tp.partition.0 as u32) < topics[&tp.topic]);
        }
    }
    let wanted = |topic: &TopicId| members.values().any(|member| member.topics.contains(topic));
    let count: u32 = topics.iter().filter(|(topic, _)| wanted(topic)).map(|(_, count)| count).sum();
    assert_eq!(held.len(), count as usize);
}

fn with_before(mut members: Members, all: &BTreeMap<MemberId, PartitionSet>) -> Members {
    for (id, member) in &mut members {
        member.before = all.get(id).cloned().unwrap_or_default();
    }
    members
}

fn subscription() -> impl Strategy<Value = BTreeSet<u8>> {
    prop::collection::btree_set(0..6_u8, 0..6)
}

proptest! {
    #[test]
    fn every_partition_has_one_subscriber(
        subscriptions in prop::collection::vec(subscription(), 0..9),
        next in prop::collection::vec(subscription(), 0..9),
        counts in prop::collection::vec(0..12_u32, 6),
    ) {
        for assignor in [Assignor::Uniform, Assignor::Range] {
            let (first, topics) = (members(&subscriptions), topics(&counts));
            let all = assignor.assign(&first, &topics);
            check(&first, &topics, &all);
            let second = with_before(members(&next), &all);
            let all = assignor.assign(&second, &topics);
            check(&second, &topics, &all);
            // A second round over the same input moves nothing.
            prop_assert_eq!(assignor.assign(&with_before(second, &all), &topics), all);
        }
    }

    #[test]
    fn equal_subscriptions_are_balanced_and_move_as_little_as_possible(
        count in 1..9_usize,
        counts in prop::collection::vec(0..12_u32, 6),
    ) {
        let equal = |count: usize| members(&vec![(0..6).collect(); count]);
        let topics = topics(&counts);
        let total = counts.iter().sum::<u32>() as usize;
        let before = Assignor::Uniform.assign(&equal(count), &topics);
        let after = Assignor::Uniform.assign(&with_before(equal(count + 1), &before), &topics);
        let (least, most) = (after.values().map(|own| own.len()).min(), after.values().map(|own| own.len()).max());
        prop_assert!(most <= least.map(|least| least + 1));
        let newcomer = MemberId::from(format!("m{count:02}"));
        let moved: usize = after.iter().filter(|(id, _)| **id != newcomer)
            .map(|(id, own)| own.difference(&before[id]).count()).sum();
        prop_assert_eq!(moved, 0, "only the newcomer gets anything");
        prop_assert!(after[&newcomer].len() <= total.div_ceil(count + 1));
    }

    #[test]
    fn unequal_subscriptions_leave_no_move_that_would_balance(
        subscriptions in prop::collection::vec(subscription(), 1..9),
        counts in prop::collection::vec(0..12_u32, 6),
    ) {
        let (members, topics) = (members(&subscriptions), topics(&counts));
        let all = Assignor::Uniform.assign(&members, &topics);
        for own in all.values() {
            for tp in own {
                for (other, member) in &members {
                    let fits = member.topics.contains(&tp.topic);
                    prop_assert!(!fits || all[other].len() + 1 >= own.len());
                }
            }
        }
    }
}

#[test]
fn ranges_of_topics_with_equal_subscribers_lie_together() {
    let members = members(&[[1, 2].into(), [1, 2].into()]);
    let all = Assignor::Range.assign(&members, &[(topic_id(1), 3), (topic_id(2), 3)].into());
    let first: PartitionSet = [tp(1, 0), tp(1, 1), tp(2, 0), tp(2, 1)].into();
    assert_eq!(all[&MemberId::from("m00")], first);
}
