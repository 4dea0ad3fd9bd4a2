//! Where new partitions and consumer groups go: to the data group that has the fewest, the lower number first. Pure
//! counting over the state, so that every replica places alike.

use std::collections::BTreeMap;

use tallymq_model::{NodeId, RaftGroup};

use super::command::PartitionPlan;
use super::outcome::{NotBootstrapped, PartitionPlanError};

/// Partitions that a cluster holds at most, over all topics.
pub const PARTITIONS_MAX: usize = 200_000;

/// How many things each data group has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Load(BTreeMap<RaftGroup, usize>);

impl Load {
    /// Groups 1 to `data_groups`, empty.
    pub(super) fn over(data_groups: u32) -> Load {
        Load((1..=data_groups).map(|group| (RaftGroup(group), 0)).collect())
    }

    /// Takes the least loaded group and counts one more for it.
    pub(super) fn take(&mut self) -> Result<RaftGroup, NotBootstrapped> {
        let (&group, count) =
            self.0.iter_mut().min_by_key(|(group, count)| (**count, **group)).ok_or(NotBootstrapped)?;
        *count += 1;
        Ok(group)
    }

    pub(super) fn add(&mut self, group: RaftGroup) {
        *self.0.entry(group).or_default() += 1;
    }

    pub(super) fn remove(&mut self, group: RaftGroup) {
        if let Some(count) = self.0.get_mut(&group) {
            *count = count.saturating_sub(1);
        }
    }

    pub(super) fn total(&self) -> usize {
        self.0.values().sum()
    }
}

/// The replicas of each partition that `plan` asks for, checked. `existing` partitions shift the round robin.
pub(super) fn replicas_of(
    plan: &PartitionPlan,
    nodes: &[NodeId],
    existing: usize,
) -> Result<Vec<Vec<NodeId>>, PartitionPlanError> {
    match plan {
        PartitionPlan::Count { count, replicas } => {
            if *count <= 0 {
                return Err(PartitionPlanError::InvalidPartitions(i64::from(*count)));
            }
            let wanted = usize::try_from(*replicas).unwrap_or(0);
            if wanted == 0 || wanted > nodes.len() {
                let replicas = i64::from(*replicas);
                return Err(PartitionPlanError::InvalidReplicationFactor { replicas, nodes: nodes.len() });
            }
            check_limit(*count as usize, existing)?;
            let at = |partition: usize| {
                (0..wanted).map(move |step| nodes[(existing + partition + step) % nodes.len()])
            };
            Ok((0..*count as usize).map(|partition| at(partition).collect()).collect())
        }
        PartitionPlan::Assigned(plan) => {
            check_assignment(plan, nodes)?;
            check_limit(plan.len(), existing)?;
            Ok(plan.clone())
        }
    }
}

fn check_limit(asked: usize, existing: usize) -> Result<(), PartitionPlanError> {
    if asked > PARTITIONS_MAX.saturating_sub(existing) {
        return Err(PartitionPlanError::TooManyPartitions {
            asked: asked as i64,
            limit: PARTITIONS_MAX as i64,
        });
    }
    Ok(())
}

fn check_assignment(plan: &[Vec<NodeId>], nodes: &[NodeId]) -> Result<(), PartitionPlanError> {
    let refuse = |reason: String| Err(PartitionPlanError::InvalidAssignment(reason));
    if plan.is_empty() {
        return Err(PartitionPlanError::InvalidPartitions(0));
    }
    for (partition, replicas) in plan.iter().enumerate() {
        if replicas.is_empty() {
            return refuse(format!(
                "The manual partition assignment includes an empty replica list for {partition}."
            ));
        }
        if replicas.len() != plan[0].len() {
            return refuse(format!(
                "The manual partition assignment includes a partition with {} replica(s), but this is not consistent \
                 with previous partitions, which have {} replica(s).",
                replicas.len(),
                plan[0].len()
            ));
        }
        for (at, node) in replicas.iter().enumerate() {
            if !nodes.contains(node) {
                return refuse(format!(
                    "The manual partition assignment includes broker {node}, which is unknown."
                ));
            }
            if replicas[..at].contains(node) {
                return refuse(format!(
                    "The manual partition assignment includes broker {node} more than once."
                ));
            }
        }
    }
    Ok(())
}
