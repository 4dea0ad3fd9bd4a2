//! The uniform assignor. Members keep what they had as far as balance allows; the rest goes to whoever has least.
//!
//! With equal subscriptions every member gets the same number of partitions, or one more, and no more partitions move
//! than that takes. With unequal ones a partition moves as long as its holder has two more than another subscriber.

use std::collections::{BTreeMap, BTreeSet};

use tallymq_model::{TopicId, TopicPartition};

use super::{AssignedMember, partitions_of, subscribers};
use crate::group::names::MemberId;
use crate::group::topics::PartitionSet;

pub(super) fn assign(
    members: &BTreeMap<MemberId, AssignedMember>,
    topics: &BTreeMap<TopicId, u32>,
) -> BTreeMap<MemberId, PartitionSet> {
    let (mut all, free) = keep(members, topics);
    let mut subscriptions = members.values().map(|member| &member.topics);
    let first = subscriptions.next();
    if subscriptions.all(|topics| Some(topics) == first) {
        level(members, &mut all, free);
    } else {
        fill(members, &mut all, free);
        balance(members, &mut all);
    }
    all
}

/// Everyone keeps what they had and may still have; gives back what nobody holds.
fn keep(
    members: &BTreeMap<MemberId, AssignedMember>,
    topics: &BTreeMap<TopicId, u32>,
) -> (BTreeMap<MemberId, PartitionSet>, Vec<TopicPartition>) {
    let mut taken = BTreeSet::new();
    let mut all = BTreeMap::new();
    for (id, member) in members {
        let valid = |tp: &&TopicPartition| {
            let count = topics.get(&tp.topic).copied().unwrap_or(0);
            member.topics.contains(&tp.topic) && i64::from(tp.partition.0) < i64::from(count)
        };
        let own: PartitionSet =
            member.before.iter().filter(valid).filter(|tp| taken.insert(**tp)).copied().collect();
        all.insert(id.clone(), own);
    }
    let wanted =
        topics.iter().filter(|(topic, _)| members.values().any(|member| member.topics.contains(topic)));
    let free = wanted
        .flat_map(|(&topic, &count)| partitions_of(topic, count))
        .filter(|tp| !taken.contains(tp))
        .collect();
    (all, free)
}

/// Equal subscriptions: cuts everyone to the quota, then fills everyone up to it.
fn level(
    members: &BTreeMap<MemberId, AssignedMember>,
    all: &mut BTreeMap<MemberId, PartitionSet>,
    mut free: Vec<TopicPartition>,
) {
    if members.is_empty() {
        return;
    }
    let total = free.len() + all.values().map(PartitionSet::len).sum::<usize>();
    let (share, mut more) = (total / members.len(), total % members.len());
    let mut order: Vec<&MemberId> = members.keys().collect();
    order.sort_by_key(|member| std::cmp::Reverse(all[*member].len()));
    let mut quotas = BTreeMap::new();
    for member in order {
        let extra = usize::from(more > 0);
        more -= extra;
        quotas.insert(member, share + extra);
        let own = all.get_mut(member).expect("every member was given a set");
        while own.len() > share + extra {
            free.extend(own.pop_last());
        }
    }
    free.sort();
    let mut free = free.into_iter();
    for (member, own) in all.iter_mut() {
        let lacking = quotas[member].saturating_sub(own.len());
        own.extend(free.by_ref().take(lacking));
    }
}

/// Unequal subscriptions: topics with the fewest subscribers first, each partition to whoever has least.
fn fill(
    members: &BTreeMap<MemberId, AssignedMember>,
    all: &mut BTreeMap<MemberId, PartitionSet>,
    free: Vec<TopicPartition>,
) {
    let mut by_topic: BTreeMap<TopicId, Vec<TopicPartition>> = BTreeMap::new();
    for tp in free {
        by_topic.entry(tp.topic).or_default().push(tp);
    }
    let mut order: Vec<_> =
        by_topic.into_iter().map(|(topic, free)| (subscribers(members, &topic), free)).collect();
    order.sort_by_key(|(takers, _)| takers.len());
    for (takers, free) in order {
        // The takers by what they have, so that the next one is always at the front.
        let mut loads: BTreeSet<(usize, &MemberId)> =
            takers.iter().map(|(id, _)| (all[*id].len(), *id)).collect();
        for tp in free {
            let Some((load, id)) = loads.pop_first() else {
                break;
            };
            all.get_mut(id).expect("every member was given a set").insert(tp);
            loads.insert((load + 1, id));
        }
    }
}

/// Moves partitions one by one from members with more to subscribers with at least two less, until none is left. Ends,
/// because each move makes the sum of the squares of all loads smaller.
fn balance(members: &BTreeMap<MemberId, AssignedMember>, all: &mut BTreeMap<MemberId, PartitionSet>) {
    let topics: BTreeSet<TopicId> = all.values().flatten().map(|tp| tp.topic).collect();
    let mut moved = true;
    while moved {
        moved = false;
        for topic in &topics {
            moved |= balance_topic(members, all, topic);
        }
    }
}

fn balance_topic(
    members: &BTreeMap<MemberId, AssignedMember>,
    all: &mut BTreeMap<MemberId, PartitionSet>,
    topic: &TopicId,
) -> bool {
    let takers = subscribers(members, topic);
    let mut loads: BTreeSet<(usize, &MemberId)> =
        takers.iter().map(|(id, _)| (all[*id].len(), *id)).collect();
    let mut moved = false;
    // The fullest holder of this topic that has two more than the emptiest subscriber gives one away.
    while let Some(&(least, taker)) = loads.first() {
        let held = |id: &MemberId| all[id].iter().rev().find(|tp| tp.topic == *topic).copied();
        let giver = loads
            .iter()
            .rev()
            .take_while(|(load, _)| *load > least + 1)
            .find_map(|&(load, id)| Some((load, id, held(id)?)));
        let Some((load, giver, tp)) = giver else { break };
        all.get_mut(giver).expect("every member was given a set").remove(&tp);
        all.get_mut(taker).expect("every member was given a set").insert(tp);
        loads.remove(&(load, giver));
        loads.remove(&(least, taker));
        loads.insert((load - 1, giver));
        loads.insert((least + 1, taker));
        moved = true;
    }
    moved
}
