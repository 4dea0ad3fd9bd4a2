//! The range assignor: each topic is cut into one contiguous range per subscriber.

use std::collections::BTreeMap;

use tallymq_model::TopicId;

use super::{AssignedMember, partitions_of, subscribers};
use crate::group::names::MemberId;
use crate::group::topics::PartitionSet;

pub(super) fn assign(
    members: &BTreeMap<MemberId, AssignedMember>,
    topics: &BTreeMap<TopicId, u32>,
) -> BTreeMap<MemberId, PartitionSet> {
    let mut all: BTreeMap<MemberId, PartitionSet> =
        members.keys().map(|member| (member.clone(), PartitionSet::new())).collect();
    for (&topic, &count) in topics {
        let mut takers = subscribers(members, &topic);
        if takers.is_empty() {
            continue;
        }
        takers.sort_by(|a, b| (&a.1.order, a.0).cmp(&(&b.1.order, b.0)));
        let (share, more) = (count as usize / takers.len(), count as usize % takers.len());
        let mut partitions = partitions_of(topic, count);
        for (at, (member, _)) in takers.into_iter().enumerate() {
            let take = share + usize::from(at < more);
            if let Some(own) = all.get_mut(member) {
                own.extend(partitions.by_ref().take(take));
            }
        }
    }
    all
}
