//! Which members hold which partitions, of all groups of the node. Follows the groups' durable state; decides nothing.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::RwLock;
use tallymq_broker::group::{
    GroupCommand, GroupId, GroupState, Groups, MemberId, Text,
    durable::{ClassicMember, ConsumerMember},
};
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

/// The holders of all partitions. Invariant: `by_group` has exactly the holders that are in `by_partition`.
pub struct Owners {
    is_on: bool,
    index: RwLock<Index>,
}

#[derive(Default)]
struct Index {
    by_partition: HashMap<TopicPartition, Vec<Held>>,
    /// By home too: a group that was deleted may be made again in another data group, and the two tell of it in any order.
    by_group: HashMap<(RaftGroup, GroupId), HashMap<MemberId, Holder>>,
}

struct Held {
    home: RaftGroup,
    owner: Arc<Owner>,
}

/// A member as it was when it was last looked at: the same value in the group's state means that nothing changed.
struct Holder {
    seen: Seen,
    owner: Arc<Owner>,
    partitions: Vec<TopicPartition>,
}

/// Members are never changed in place: another value is another `Arc`, which this keeps from being used again.
#[derive(Clone)]
enum Seen {
    Classic(Arc<ClassicMember>),
    Consumer(Arc<ConsumerMember>),
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

    /// A group is now like this; None if it is gone. Costs a look at each member, and more only for those that changed: it is
    /// called while commands are applied.
    pub fn replace(&self, home: RaftGroup, group: &GroupId, state: Option<&GroupState>) {
        let key = (home, group.clone());
        let mut index = self.index.write();
        let Index { by_partition, by_group } = &mut *index;
        let known = by_group.entry(key.clone()).or_default();
        known.retain(|member, holder| {
            let is_same = state.and_then(|state| seen(state, member)).is_some_and(|now| holder.seen.is(&now));
            if !is_same {
                forget(by_partition, home, holder);
            }
            is_same
        });
        for now in state.into_iter().flat_map(members) {
            if known.contains_key(now.id()) {
                continue;
            }
            let (owner, partitions) = (Arc::new(now.owner(group)), now.partitions());
            for tp in &partitions {
                by_partition.entry(*tp).or_default().push(Held { home, owner: owner.clone() });
            }
            known.insert(owner.member.clone(), Holder { seen: now, owner, partitions });
        }
        if known.is_empty() {
            by_group.remove(&key);
        }
    }

    /// Whether any member of a group holds a partition.
    pub fn holds(&self, group: &GroupId, tp: TopicPartition) -> bool {
        let index = self.index.read();
        index.by_partition.get(&tp).into_iter().flatten().any(|held| held.owner.group == *group)
    }

    /// Whether a connection from `ip` of a client that calls itself `client_id` may belong to a holder of any of these.
    pub fn is_any_held(
        &self,
        mut partitions: impl Iterator<Item = TopicPartition>,
        (ip, client_id): (IpAddr, &str),
    ) -> bool {
        let index = self.index.read();
        partitions.any(|tp| {
            let held = index.by_partition.get(&tp).into_iter().flatten();
            held.into_iter().any(|held| held.owner.fits(ip, client_id))
        })
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
                    if owner.fits(ip, client_id) && fitting.iter().all(|other| other.group != owner.group) {
                        fitting.push(owner.clone());
                    }
                }
                fitting
            })
            .collect()
    }
}

impl Owner {
    fn fits(&self, ip: IpAddr, client_id: &str) -> bool {
        *self.client_id == *client_id && self.host == Some(ip)
    }
}

impl Seen {
    fn is(&self, other: &Seen) -> bool {
        match (self, other) {
            (Seen::Classic(one), Seen::Classic(other)) => Arc::ptr_eq(one, other),
            (Seen::Consumer(one), Seen::Consumer(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    fn id(&self) -> &MemberId {
        match self {
            Seen::Classic(member) => &member.id,
            Seen::Consumer(member) => &member.id,
        }
    }

    fn owner(&self, group: &GroupId) -> Owner {
        let (client_id, host) = match self {
            Seen::Classic(member) => (&member.client_id, &member.client_host),
            Seen::Consumer(member) => (&member.client_id, &member.client_host),
        };
        let host = host.trim_start_matches('/').parse().ok();
        Owner { group: group.clone(), member: self.id().clone(), client_id: client_id.clone(), host }
    }

    /// Every partition that the member holds, or has not given up yet.
    fn partitions(&self) -> Vec<TopicPartition> {
        match self {
            // While the group rebalances this is what each member was assigned last: cooperative ones go on reading it.
            Seen::Classic(member) => member.assignment.partitions.iter().copied().collect(),
            Seen::Consumer(member) => member.assigned.union(&member.revoking).copied().collect(),
        }
    }
}

fn members(state: &GroupState) -> Vec<Seen> {
    match state {
        GroupState::Classic(classic) => classic.members.values().cloned().map(Seen::Classic).collect(),
        GroupState::Consumer(consumer) => consumer.members.values().cloned().map(Seen::Consumer).collect(),
    }
}

fn seen(state: &GroupState, member: &MemberId) -> Option<Seen> {
    match state {
        GroupState::Classic(classic) => classic.members.get(member).cloned().map(Seen::Classic),
        GroupState::Consumer(consumer) => consumer.members.get(member).cloned().map(Seen::Consumer),
    }
}

fn forget(by_partition: &mut HashMap<TopicPartition, Vec<Held>>, home: RaftGroup, holder: &Holder) {
    for tp in &holder.partitions {
        if let Some(holders) = by_partition.get_mut(tp) {
            holders.retain(|held| held.home != home || !Arc::ptr_eq(&held.owner, &holder.owner));
            if holders.is_empty() {
                by_partition.remove(tp);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tallymq_broker::group::durable::ConsumerGroup;
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

    #[test]
    fn only_members_that_changed_are_looked_into() {
        let owners = Owners::new(true);
        let (home, group) = (RaftGroup(1), GroupId::from("g"));
        let before = state(&[("a", "c", &[0, 1], &[]), ("b", "c", &[2], &[])]);
        owners.replace(home, &group, Some(&before));
        let ip = IpAddr::from([127, 0, 0, 1]);
        let holder =
            |partition| owners.candidates([tp(partition)].into_iter(), (ip, "c")).remove(0).remove(0);
        let (a, b) = (holder(0), holder(2));
        let GroupState::Consumer(mut now) = before else { panic!("made as one") };
        let moved = ConsumerMember { assigned: [tp(2), tp(3)].into(), ..(*now.members[&"b".into()]).clone() };
        now.members.insert("b".into(), Arc::new(moved));
        owners.replace(home, &group, Some(&GroupState::Consumer(now)));
        assert!(Arc::ptr_eq(&a, &holder(0)) && !Arc::ptr_eq(&b, &holder(2)));
        assert_eq!(
            (names(&owners, 2, "c"), names(&owners, 3, "c")),
            (vec!["g/b".to_owned()], vec!["g/b".to_owned()])
        );
        assert!(
            owners.holds(&group, tp(3)) && !owners.holds(&"h".into(), tp(3)) && !owners.holds(&group, tp(4))
        );
        assert!(owners.is_any_held([tp(4), tp(0)].into_iter(), (ip, "c")));
        assert!(!owners.is_any_held([tp(0)].into_iter(), (ip, "other")));
    }
}
