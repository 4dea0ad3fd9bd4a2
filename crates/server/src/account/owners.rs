//! Which members hold which partitions, of all groups of the node, and which held them when a fetch was taken in that is answered
//! only now. Follows the groups' durable state; decides nothing.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::RwLock;
use tallymq_broker::group::{
    GroupCommand, GroupId, GroupState, Groups, MemberId, Text,
    durable::{ClassicMember, ConsumerMember},
};
use tallymq_model::{RaftGroup, TopicPartition};

use super::former::{Former, Moment};

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

/// A client, as far as a connection tells: its address, and its name for itself.
pub type Who<'a> = (IpAddr, &'a str);

/// The holders of all partitions. Invariant: `by_group` has exactly the holders that are in `by_partition`, but for those that are
/// leaving, which may be gone from there.
pub struct Owners {
    is_on: bool,
    /// How often anything moved. A change of `index` counts before its lock is given back.
    moves: AtomicU64,
    index: RwLock<Index>,
}

#[derive(Default)]
struct Index {
    by_partition: HashMap<TopicPartition, Vec<Held>>,
    /// By home too: a group that was deleted may be made again in another data group, and the two tell of it in any order.
    by_group: HashMap<(RaftGroup, GroupId), HashMap<MemberId, Holder>>,
    former: Former,
}

struct Held {
    home: RaftGroup,
    owner: Arc<Owner>,
    since: Moment,
    /// It was taken from a classic member that goes on reading it until it hears of that, and nobody else of its group has it yet.
    is_leaving: bool,
}

/// A member as it was when it was last looked at: the same value in the group's state means that nothing changed.
struct Holder {
    seen: Seen,
    owner: Arc<Owner>,
    /// Ascending.
    partitions: Vec<TopicPartition>,
    /// What it had before, ascending.
    leaving: Vec<TopicPartition>,
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
        Owners { is_on, moves: AtomicU64::new(0), index: RwLock::default() }
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

    /// Now, for [`Owners::candidates`].
    pub fn moment(&self) -> Moment {
        Moment(self.moves.load(Ordering::Acquire))
    }

    /// A group is now like this; None if it is gone. Costs a look at each member, and more only for those that changed: it is
    /// called while commands are applied.
    pub fn replace(&self, home: RaftGroup, group: &GroupId, state: Option<&GroupState>) {
        let key = (home, group.clone());
        let mut index = self.index.write();
        let now = Moment(self.moves.load(Ordering::Relaxed) + 1);
        let mut known = index.by_group.remove(&key).unwrap_or_default();
        let mut changed: HashMap<MemberId, Holder> = HashMap::new();
        known.retain(|member, holder| {
            let is_same = state.and_then(|state| seen(state, member)).is_some_and(|now| holder.seen.is(&now));
            if !is_same {
                let nothing = Holder::nothing(holder);
                changed.insert(member.clone(), std::mem::replace(holder, nothing));
            }
            is_same
        });
        let mut moved = Vec::new();
        for seen in state.into_iter().flat_map(members) {
            if known.contains_key(seen.id()) {
                continue;
            }
            let owner = seen.owner(group);
            let before = changed.get(seen.id()).filter(|before| *before.owner == owner);
            let holder = Holder::after(before, seen, owner);
            moved.extend(index.change(home, before, &holder, now));
            if before.is_some() {
                changed.remove(&holder.owner.member);
            }
            known.insert(holder.owner.member.clone(), holder);
        }
        for gone in changed.values() {
            index.change(home, Some(gone), &Holder::nothing(gone), now);
        }
        for tp in moved {
            index.let_go_of_what_another_has((home, group), tp, now);
        }
        if !known.is_empty() {
            index.by_group.insert(key, known);
        }
        self.moves.store(now.0, Ordering::Release);
    }

    /// Whether any member of a group holds a partition.
    pub fn holds(&self, group: &GroupId, tp: TopicPartition) -> bool {
        let index = self.index.read();
        index.by_partition.get(&tp).into_iter().flatten().any(|held| held.owner.group == *group)
    }

    /// Whether a client may be a holder of any of these.
    pub fn is_any_held(&self, mut partitions: impl Iterator<Item = TopicPartition>, who: Who<'_>) -> bool {
        let index = self.index.read();
        partitions.any(|tp| {
            let held = index.by_partition.get(&tp).into_iter().flatten();
            held.into_iter().any(|held| held.owner.fits(who))
        })
    }

    /// Per partition, the members that held it at a moment and that a client may be: at most one of each group. None if that is
    /// not known any more.
    pub fn candidates(
        &self,
        partitions: impl Iterator<Item = TopicPartition>,
        who: Who<'_>,
        at: Moment,
    ) -> Option<Vec<Vec<Arc<Owner>>>> {
        let index = self.index.read();
        index.former.is_known(at).then(|| index.candidates(partitions, who, at))
    }

    /// The same for those who hold them now.
    pub fn holders_now(
        &self,
        partitions: impl Iterator<Item = TopicPartition>,
        who: Who<'_>,
    ) -> Vec<Vec<Arc<Owner>>> {
        self.index.read().candidates(partitions, who, Moment(u64::MAX))
    }
}

impl Index {
    fn candidates(
        &self,
        partitions: impl Iterator<Item = TopicPartition>,
        who: Who<'_>,
        at: Moment,
    ) -> Vec<Vec<Arc<Owner>>> {
        let fitting = |tp| {
            let mut fitting: Vec<Arc<Owner>> = Vec::new();
            let held = self.by_partition.get(&tp).into_iter().flatten();
            let held = held.filter(|held| held.since <= at).map(|held| &held.owner);
            for owner in held.chain(self.former.holders(tp, at)) {
                if owner.fits(who) && fitting.iter().all(|other| other.group != owner.group) {
                    fitting.push(owner.clone());
                }
            }
            fitting
        };
        partitions.map(fitting).collect()
    }

    /// A member held `before` and holds `after`; what it got, and what it is leaving.
    fn change(
        &mut self,
        home: RaftGroup,
        before: Option<&Holder>,
        after: &Holder,
        now: Moment,
    ) -> Vec<TopicPartition> {
        let had = before.into_iter().flat_map(|before| before.partitions.iter().chain(&before.leaving));
        for tp in had {
            let is_leaving = has(&after.leaving, *tp);
            if !is_leaving && !has(&after.partitions, *tp) {
                self.let_go(*tp, now, |held| held.home == home && Arc::ptr_eq(&held.owner, &after.owner));
                continue;
            }
            let holders = self.by_partition.get_mut(tp).into_iter().flatten();
            for held in holders.filter(|held| held.home == home && Arc::ptr_eq(&held.owner, &after.owner)) {
                held.is_leaving = is_leaving;
            }
        }
        for tp in &after.partitions {
            let holders = self.by_partition.entry(*tp).or_default();
            if !holders.iter().any(|held| held.home == home && Arc::ptr_eq(&held.owner, &after.owner)) {
                holders.push(Held { home, owner: after.owner.clone(), since: now, is_leaving: false });
            }
        }
        after.partitions.iter().chain(&after.leaving).copied().collect()
    }

    /// What a member of the group has, no other one is leaving any more.
    fn let_go_of_what_another_has(
        &mut self,
        (home, group): (RaftGroup, &GroupId),
        tp: TopicPartition,
        now: Moment,
    ) {
        let is_theirs = |held: &Held| held.home == home && held.owner.group == *group;
        let holders = self.by_partition.get(&tp).map(Vec::as_slice).unwrap_or_default();
        let has_leaving = holders.iter().any(|held| is_theirs(held) && held.is_leaving);
        if has_leaving && holders.iter().any(|held| is_theirs(held) && !held.is_leaving) {
            self.let_go(tp, now, |held| is_theirs(held) && held.is_leaving);
        }
    }

    fn let_go(&mut self, tp: TopicPartition, now: Moment, which: impl Fn(&Held) -> bool) {
        let Some(holders) = self.by_partition.get_mut(&tp) else { return };
        holders.retain(|held| {
            let goes = which(held);
            if goes {
                self.former.add(tp, held.owner.clone(), (held.since, now));
            }
            !goes
        });
        if holders.is_empty() {
            self.by_partition.remove(&tp);
        }
    }
}

impl Holder {
    /// The same without anything.
    fn nothing(of: &Holder) -> Holder {
        let (seen, owner) = (of.seen.clone(), of.owner.clone());
        Holder { seen, owner, partitions: Vec::new(), leaving: Vec::new() }
    }

    /// A member as it is now. A classic one that is assigned less hears of it only when its own SyncGroup is answered, and joins
    /// again, or its group does, after it has: so what it had it reads until its next change.
    fn after(before: Option<&Holder>, seen: Seen, owner: Owner) -> Holder {
        let partitions = seen.partitions();
        let leaving = match (before, &seen) {
            (Some(before), Seen::Classic(_)) => {
                before.partitions.iter().copied().filter(|tp| !has(&partitions, *tp)).collect()
            }
            _ => Vec::new(),
        };
        let owner = before.map_or_else(|| Arc::new(owner), |before| before.owner.clone());
        Holder { seen, owner, partitions, leaving }
    }
}

fn has(ascending: &[TopicPartition], tp: TopicPartition) -> bool {
    ascending.binary_search(&tp).is_ok()
}

impl Owner {
    fn fits(&self, (ip, client_id): Who<'_>) -> bool {
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

    /// Every partition that the member holds, or has not given up yet, ascending.
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

#[cfg(test)]
mod tests {
    use tallymq_broker::group::durable::{ClassicGroup, ConsumerGroup, MemberAssignment};
    use tallymq_model::{PartitionIndex, TopicId};

    use super::*;

    const HOME: RaftGroup = RaftGroup(1);

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

    fn classic(members: &[(&str, &[i32])]) -> GroupState {
        let members = members.iter().map(|(id, assigned)| {
            let partitions = assigned.iter().copied().map(tp).collect();
            let member = ClassicMember {
                id: (*id).into(),
                client_id: "c".into(),
                client_host: "/127.0.0.1".into(),
                assignment: MemberAssignment { opaque: None, partitions },
                instance: None,
                session_timeout_ms: 10_000,
                rebalance_timeout_ms: 10_000,
                protocols: Vec::new(),
                subscription: None,
            };
            (member.id.clone(), Arc::new(member))
        });
        GroupState::Classic(ClassicGroup { members: members.collect(), ..ClassicGroup::default() })
    }

    fn found(owners: &Owners, partition: i32, who: Who<'_>, at: Moment) -> Vec<Arc<Owner>> {
        owners.candidates([tp(partition)].into_iter(), who, at).unwrap().remove(0)
    }

    fn names_at(owners: &Owners, partition: i32, client_id: &str, at: Moment) -> Vec<String> {
        let found = found(owners, partition, (IpAddr::from([127, 0, 0, 1]), client_id), at);
        found.iter().map(|owner| format!("{}/{}", owner.group, owner.member)).collect()
    }

    fn names(owners: &Owners, partition: i32, client_id: &str) -> Vec<String> {
        names_at(owners, partition, client_id, owners.moment())
    }

    #[test]
    fn the_holders_follow_their_groups() {
        let owners = Owners::new(true);
        owners.replace(HOME, &"g".into(), Some(&state(&[("a", "c", &[0], &[1]), ("b", "c", &[2], &[])])));
        owners.replace(HOME, &"h".into(), Some(&state(&[("x", "c", &[0], &[]), ("y", "other", &[1], &[])])));
        assert_eq!(names(&owners, 0, "c"), ["g/a", "h/x"]);
        assert_eq!(names(&owners, 1, "c"), ["g/a"], "what it has to give up it still has");
        assert_eq!(names(&owners, 1, "other"), ["h/y"]);
        owners.replace(HOME, &"g".into(), Some(&state(&[("b", "c", &[0, 2], &[])])));
        assert_eq!((names(&owners, 0, "c").len(), names(&owners, 1, "c").len()), (2, 0));
        let elsewhere = (IpAddr::from([10, 0, 0, 1]), "c");
        assert_eq!(found(&owners, 0, elsewhere, owners.moment()), []);
    }

    #[test]
    fn a_group_that_moved_is_not_forgotten_with_its_old_home() {
        let owners = Owners::new(true);
        let moved = state(&[("a", "c", &[0], &[])]);
        owners.replace(RaftGroup(2), &"g".into(), Some(&moved));
        owners.replace(HOME, &"g".into(), Some(&moved));
        owners.replace(HOME, &"g".into(), None);
        assert_eq!(names(&owners, 0, "c"), ["g/a"]);
        owners.replace(RaftGroup(2), &"g".into(), None);
        assert_eq!(names(&owners, 0, "c"), [""; 0]);
        let index = owners.index.read();
        assert!(index.by_partition.is_empty() && index.by_group.is_empty());
    }

    #[test]
    fn a_member_that_changed_keeps_what_it_keeps() {
        let owners = Owners::new(true);
        let group = GroupId::from("g");
        owners.replace(HOME, &group, Some(&state(&[("a", "c", &[0, 1], &[]), ("b", "c", &[2], &[])])));
        let before = owners.moment();
        owners.replace(HOME, &group, Some(&state(&[("a", "c", &[0, 1], &[]), ("b", "c", &[2, 3], &[])])));
        assert_eq!(
            (names(&owners, 2, "c"), names(&owners, 3, "c")),
            (vec!["g/b".into()], vec!["g/b".into()])
        );
        assert_eq!(names_at(&owners, 2, "c", before), ["g/b"]);
        assert_eq!(names_at(&owners, 3, "c", before), [""; 0]);
        assert!(
            owners.holds(&group, tp(3)) && !owners.holds(&"h".into(), tp(3)) && !owners.holds(&group, tp(4))
        );
        let ip = IpAddr::from([127, 0, 0, 1]);
        assert!(owners.is_any_held([tp(4), tp(0)].into_iter(), (ip, "c")));
        assert!(!owners.is_any_held([tp(0)].into_iter(), (ip, "other")));
    }

    #[test]
    fn a_fetch_is_its_who_held_the_partition_when_it_came() {
        let owners = Owners::new(true);
        let group = GroupId::from("g");
        let nobody = owners.moment();
        owners.replace(HOME, &group, Some(&state(&[("a", "c", &[0], &[])])));
        let its = owners.moment();
        owners.replace(HOME, &group, Some(&state(&[("a", "c", &[], &[]), ("b", "c", &[0], &[])])));
        assert_eq!(names(&owners, 0, "c"), ["g/b"]);
        assert_eq!(names_at(&owners, 0, "c", its), ["g/a"]);
        assert_eq!(names_at(&owners, 0, "c", nobody), [""; 0]);
        owners.replace(HOME, &group, None);
        assert_eq!(names_at(&owners, 0, "c", its), ["g/a"], "also when its group is gone");
    }

    #[test]
    fn a_classic_member_has_what_it_was_taken_until_it_knows_or_another_one_has_it() {
        let owners = Owners::new(true);
        let group = GroupId::from("g");
        owners.replace(HOME, &group, Some(&classic(&[("a", &[0, 1, 2])])));
        owners.replace(HOME, &group, Some(&classic(&[("a", &[0]), ("b", &[2])])));
        assert_eq!(names(&owners, 1, "c"), ["g/a"], "nobody else has it");
        assert_eq!(names(&owners, 2, "c"), ["g/b"], "this one is another's at once");
        owners.replace(HOME, &group, Some(&classic(&[("a", &[0]), ("b", &[2])])));
        assert_eq!(names(&owners, 1, "c"), [""; 0], "it has joined again");
        owners.replace(HOME, &group, Some(&classic(&[("a", &[]), ("b", &[2])])));
        assert_eq!(names(&owners, 0, "c"), ["g/a"]);
        owners.replace(HOME, &group, Some(&classic(&[("a", &[]), ("b", &[0, 2])])));
        assert_eq!(names(&owners, 0, "c"), ["g/b"]);
    }
}
