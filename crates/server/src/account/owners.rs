//! Which members hold which partitions, of all groups of the node. Follows the groups' durable state; decides nothing.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use parking_lot::RwLock;
use tallymq_broker::group::{GroupCommand, GroupId, GroupState, Groups, MemberId, Text};
use tallymq_model::{RaftGroup, TopicPartition};

/// A member that holds partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its group.
    pub group: GroupId,
    /// Its id.
    pub member: MemberId,
    /// How its client called itself when it joined.
    pub client_id: Text,
    /// From where it joined; None if that is no address.
    pub host: Option<IpAddr>,
}

/// The holders of all partitions. Invariant: `by_group` names exactly the partitions at which a group is in `by_partition`.
pub struct Owners {
    is_on: bool,
    index: RwLock<Index>,
}

#[derive(Default)]
struct Index {
    by_partition: HashMap<TopicPartition, Vec<Held>>,
    /// By home too: a group that was deleted may be made again in another data group, and the two tell of it in any order.
    by_group: HashMap<(RaftGroup, GroupId), HashSet<TopicPartition>>,
}

struct Held {
    home: RaftGroup,
    owner: Arc<Owner>,
}

impl Owners {
    /// Nobody holds anything; stays so unless accounts are kept.
    pub fn new(is_on: bool) -> Owners {
        Owners { is_on, index: RwLock::default() }
    }

    /// Whether a command may change who holds what.
    pub fn cares(&self, command: &GroupCommand) -> bool {
        self.is_on
            && !matches!(
                command,
                GroupCommand::CommitPositions { .. }
                    | GroupCommand::DeletePositions { .. }
                    | GroupCommand::Created { .. }
            )
    }

    /// All groups of a data group, at its start.
    pub fn take_over(&self, home: RaftGroup, groups: &Groups) {
        for (group, state) in groups.iter().filter(|_| self.is_on) {
            self.replace(home, group, Some(state));
        }
    }

    /// A group is now like this; None if it is gone.
    pub fn replace(&self, home: RaftGroup, group: &GroupId, state: Option<&GroupState>) {
        let held = state.map(|state| holdings(group, state)).unwrap_or_default();
        let key = (home, group.clone());
        let mut index = self.index.write();
        let Index { by_partition, by_group } = &mut *index;
        for tp in by_group.remove(&key).unwrap_or_default() {
            if let Some(holders) = by_partition.get_mut(&tp) {
                holders.retain(|held| held.home != home || held.owner.group != *group);
                if holders.is_empty() {
                    by_partition.remove(&tp);
                }
            }
        }
        if held.is_empty() {
            return;
        }
        for (tp, owner) in &held {
            by_partition.entry(*tp).or_default().push(Held { home, owner: owner.clone() });
        }
        by_group.insert(key, held.into_iter().map(|(tp, _)| tp).collect());
    }

    /// Per partition, the holders that a connection from `ip` of a client that calls itself `client_id` may belong to: at most
    /// one of each group.
    pub fn candidates(
        &self,
        partitions: impl Iterator<Item = TopicPartition>,
        (ip, client_id): (IpAddr, &str),
    ) -> Vec<Vec<Arc<Owner>>> {
        let index = self.index.read();
        partitions
            .map(|tp| {
                let mut fitting: Vec<Arc<Owner>> = Vec::new();
                for Held { owner, .. } in index.by_partition.get(&tp).into_iter().flatten() {
                    let fits = *owner.client_id == *client_id && owner.host == Some(ip);
                    if fits && fitting.iter().all(|other| other.group != owner.group) {
                        fitting.push(owner.clone());
                    }
                }
                fitting
            })
            .collect()
    }
}

/// Every partition that a member holds, or has not given up yet.
fn holdings(group: &GroupId, state: &GroupState) -> Vec<(TopicPartition, Arc<Owner>)> {
    let owner = |member: &MemberId, client_id: &Text, host: &str| {
        let host = host.trim_start_matches('/').parse().ok();
        Arc::new(Owner { group: group.clone(), member: member.clone(), client_id: client_id.clone(), host })
    };
    let mut held = Vec::new();
    match state {
        // While the group rebalances this is what each member was assigned last: cooperative ones go on reading it.
        GroupState::Classic(classic) => {
            for member in classic.members.values() {
                let owner = owner(&member.id, &member.client_id, &member.client_host);
                held.extend(member.assignment.partitions.iter().map(|tp| (*tp, owner.clone())));
            }
        }
        GroupState::Consumer(consumer) => {
            for member in consumer.members.values() {
                let owner = owner(&member.id, &member.client_id, &member.client_host);
                let all = member.assigned.union(&member.revoking);
                held.extend(all.map(|tp| (*tp, owner.clone())));
            }
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use tallymq_broker::group::durable::{ConsumerGroup, ConsumerMember};
    use tallymq_model::{PartitionIndex, TopicId};

    use super::*;

    fn tp(partition: i32) -> TopicPartition {
        TopicPartition { topic: TopicId::default(), partition: PartitionIndex(partition) }
    }

    fn state(members: &[(&str, &str, &[i32], &[i32])]) -> GroupState {
        let members = members.iter().map(|(id, client_id, assigned, revoking)| {
            let member = ConsumerMember {
                client_id: (*client_id).into(),
                client_host: "/127.0.0.1".into(),
                assigned: assigned.iter().copied().map(tp).collect(),
                revoking: revoking.iter().copied().map(tp).collect(),
                ..ConsumerMember::new((*id).into())
            };
            (member.id.clone(), Arc::new(member))
        });
        GroupState::Consumer(ConsumerGroup { members: members.collect(), ..ConsumerGroup::default() })
    }

    fn names(owners: &Owners, partition: i32, client_id: &str) -> Vec<String> {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let found = owners.candidates([tp(partition)].into_iter(), (ip, client_id)).remove(0);
        found.iter().map(|owner| format!("{}/{}", owner.group, owner.member)).collect()
    }

    #[test]
    fn the_holders_follow_their_groups() {
        let owners = Owners::new(true);
        let home = RaftGroup(1);
        owners.replace(home, &"g".into(), Some(&state(&[("a", "c", &[0], &[1]), ("b", "c", &[2], &[])])));
        owners.replace(home, &"h".into(), Some(&state(&[("x", "c", &[0], &[]), ("y", "other", &[1], &[])])));
        assert_eq!(names(&owners, 0, "c"), ["g/a", "h/x"]);
        assert_eq!(names(&owners, 1, "c"), ["g/a"], "what it has to give up it still has");
        assert_eq!(names(&owners, 1, "other"), ["h/y"]);
        owners.replace(home, &"g".into(), Some(&state(&[("b", "c", &[0, 2], &[])])));
        assert_eq!((names(&owners, 0, "c").len(), names(&owners, 1, "c").len()), (2, 0));
        let elsewhere = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(owners.candidates([tp(0)].into_iter(), (elsewhere, "c")), [Vec::new()]);
    }

    #[test]
    fn a_group_that_moved_is_not_forgotten_with_its_old_home() {
        let owners = Owners::new(true);
        let moved = state(&[("a", "c", &[0], &[])]);
        owners.replace(RaftGroup(2), &"g".into(), Some(&moved));
        owners.replace(RaftGroup(1), &"g".into(), Some(&moved));
        owners.replace(RaftGroup(1), &"g".into(), None);
        assert_eq!(names(&owners, 0, "c"), ["g/a"]);
        owners.replace(RaftGroup(2), &"g".into(), None);
        assert_eq!(names(&owners, 0, "c"), [""; 0]);
        let index = owners.index.read();
        assert!(index.by_partition.is_empty() && index.by_group.is_empty());
    }
}
