//! Consumer groups of a world, their members and the coordinators that they ask, and what must hold of them: no partition has
//! two owners; what was applied of a group is there after a restart, its members, ids and generations too; who was fenced
//! stays fenced; and in the end everybody works.

use std::{collections::BTreeMap, sync::Arc};

use tallymq_broker::group::{
    GroupId, GroupOutcome, GroupState, Ticket,
    durable::{ClassicPhase, Fence},
    topics::PartitionSet,
};
use tallymq_model::{RaftGroup, TopicPartition};
use tallymq_storage::disk::Random;

use super::{
    Outcome,
    consumer::commit_command,
    desk::Desk,
    member::{Member, all_partitions},
    node::{DATA_GROUPS, Node},
    portion::height,
    scene::{Place, Scene, Waiting},
};

/// See the module.
pub(super) struct Team {
    members: Vec<Member>,
    desk: Desk,
    commits: u64,
    resumed: u64,
}

impl Team {
    /// Nobody, or one to two groups of one to four members: of one protocol, of the other, or of both.
    pub(super) fn new(random: &mut Random) -> Team {
        let mut members = Vec::new();
        for number in 0..random.below(3) {
            let group = GroupId::from(format!("team-{number}"));
            let home = RaftGroup(1 + random.below(u64::from(DATA_GROUPS)) as u32);
            let protocol = random.below(3);
            for _ in 0..1 + random.below(4) {
                let native = if protocol == 2 { random.one_in(2) } else { protocol == 1 };
                let is_static = random.one_in(4);
                members.push(Member::new(members.len(), native, is_static, group.clone(), home));
            }
        }
        Team { members, desk: Desk::closed(), commits: 0, resumed: 0 }
    }

    /// Nobody.
    pub(super) fn empty() -> Team {
        Team { members: Vec::new(), desk: Desk::closed(), commits: 0, resumed: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn count(&self, outcome: &mut Outcome) {
        outcome.member_commits += self.commits;
        outcome.resumed += self.resumed;
    }

    /// The node is gone.
    pub(super) fn disconnected(&mut self) {
        self.desk = Desk::closed();
        self.members.iter_mut().for_each(Member::disconnected);
    }

    /// The node has started: its coordinators take over, and members go on.
    pub(super) fn started(&mut self, node: &Node, scene: &mut Scene) -> Result<(), String> {
        if self.is_empty() {
            return Ok(());
        }
        self.desk = Desk::open(node, scene);
        for member in &mut self.members {
            self.resumed += u64::from(member.resume(&mut self.desk, node, scene));
        }
        self.check(node)
    }

    /// One thing that happens to them.
    pub(super) fn happen(&mut self, node: &Node, scene: &mut Scene) -> Result<(), String> {
        let at = scene.random.below(self.members.len() as u64) as usize;
        match scene.random.below(60) {
            0 => self.members[at].leave(&mut self.desk, scene),
            1 => self.members[at].die(scene),
            2 => commit_below_a_fence(scene),
            _ => self.members[at].act(&mut self.desk, node, scene)?,
        }
        self.check(node)
    }

    /// Time has passed.
    pub(super) fn pass(&mut self, node: &Node, scene: &mut Scene) {
        if !self.is_empty() {
            self.desk.refresh(node, scene);
        }
    }

    /// A coordinator's command was applied.
    pub(super) fn applied(
        &mut self,
        home: RaftGroup,
        scene: &mut Scene,
        ticket: Ticket,
        outcome: GroupOutcome,
    ) {
        self.desk.applied(home, scene, ticket, outcome);
    }

    /// A member's commit was applied.
    pub(super) fn committed(
        &mut self,
        scene: &mut Scene,
        at: usize,
        (place, fence): (&Place, Fence),
        (number, offset, is_taken): (u64, i64, bool),
    ) {
        let Some(member) = self.members.get_mut(at) else { return };
        let group = member.who.group.clone();
        member.portion.committed(scene, group.as_str(), place, (number, offset, is_taken));
        if is_taken {
            self.commits += 1;
            let highest = scene.promises.fences.entry((group, place.tp)).or_insert(-1);
            *highest = height(fence).max(*highest);
        }
    }

    /// What was applied of the groups has to stay; and it has one owner for each partition.
    pub(super) fn remember(&self, node: &Node, scene: &mut Scene) -> Result<(), String> {
        for member in &self.members {
            let group = &member.who.group;
            let found = node.data(member.who.home).state().groups().group(group).cloned();
            let Some(found) = found else { continue };
            let before = scene.promises.groups.insert(group.clone(), (member.who.home, found.clone()));
            if before.is_some_and(|(_, before)| Arc::ptr_eq(&before, &found)) {
                continue;
            }
            check_owners(group, &found)?;
        }
        Ok(())
    }

    /// What members believe to own at their current generation is what they were given, and nobody else believes so.
    fn check(&self, node: &Node) -> Result<(), String> {
        let mut owners: BTreeMap<(&GroupId, TopicPartition), &Member> = BTreeMap::new();
        for member in self.members.iter().filter(|member| member.is_in()) {
            let view = node.data(member.who.home);
            let state = view.state();
            let Some(group) = state.groups().group(&member.who.group) else { continue };
            if !member.who.is_current(group) {
                continue;
            }
            for tp in member.portion.partitions() {
                if let GroupState::Consumer(group) = group.as_ref()
                    && !group.members.get(&member.who.id).is_some_and(|own| own.holds(&tp))
                {
                    return Err(format!("{:?} owns {tp}, which it was not given", member.who));
                }
                if let Some(other) = owners.insert((&member.who.group, tp), member) {
                    return Err(format!("{tp} is owned by {:?} and {:?}", member.who, other.who));
                }
            }
        }
        Ok(())
    }

    /// Everybody does as a client should, without any bad luck. True once all work and every partition has an owner.
    pub(super) fn settle(&mut self, node: &Node, scene: &mut Scene) -> Result<bool, String> {
        for member in &mut self.members {
            member.act(&mut self.desk, node, scene)?;
        }
        self.check(node)?;
        let all = all_partitions(&self.desk);
        let mut owned: BTreeMap<&GroupId, (usize, PartitionSet)> = BTreeMap::new();
        for member in &self.members {
            let (count, of_group) = owned.entry(&member.who.group).or_default();
            *count += member.portion.partitions().len();
            of_group.extend(member.portion.partitions());
        }
        let everyone_works = self.members.iter().all(Member::is_in);
        Ok(everyone_works && owned.values().all(|(count, owned)| *count == all.len() && *owned == all))
    }

    /// Who works at what, in words.
    pub(super) fn state(&self) -> String {
        let all = all_partitions(&self.desk).len();
        let one = |member: &Member| format!("{member} of {all}");
        self.members.iter().map(one).collect::<Vec<_>>().join("; ")
    }
}

/// No partition has two holders.
fn check_owners(id: &GroupId, state: &GroupState) -> Result<(), String> {
    let mut owned = PartitionSet::new();
    let mut take = |tp: &TopicPartition| match owned.insert(*tp) {
        true => Ok(()),
        false => Err(format!("{tp} has two holders in {id}")),
    };
    match state {
        GroupState::Classic(group) if group.phase == ClassicPhase::Stable => {
            group.members.values().flat_map(|member| &member.assignment.partitions).try_for_each(&mut take)
        }
        GroupState::Classic(_) => Ok(()),
        GroupState::Consumer(group) => {
            let members = group.members.values();
            members.flat_map(|member| member.assigned.iter().chain(&member.revoking)).try_for_each(&mut take)
        }
    }
}

/// A node has started: each group is as it was applied last, or further on.
pub(super) fn check_recovered(node: &Node, scene: &Scene) -> Result<(), String> {
    for (id, (home, before)) in &scene.promises.groups {
        let found = node.data(*home).state().groups().group(id).cloned();
        let Some(found) = found else { return Err(format!("group {id} is gone")) };
        let is_kept = match (before.as_ref(), found.as_ref()) {
            (GroupState::Consumer(before), GroupState::Consumer(now)) => {
                now.revision > before.revision || now == before
            }
            (GroupState::Classic(before), GroupState::Classic(now))
                if now.generation == before.generation && now.phase == before.phase =>
            {
                now == before || now.phase == ClassicPhase::RebalanceDue
            }
            (before, now) => now.epoch() >= before.epoch(),
        };
        if !is_kept {
            return Err(format!("group {id} was {before:?}, and is {found:?} after a restart"));
        }
    }
    Ok(())
}

/// A commit of an earlier generation reaches the partition's log although the group has moved on there.
fn commit_below_a_fence(scene: &mut Scene) {
    let at = scene.random.below(scene.promises.fences.len() as u64) as usize;
    let Some(((group, tp), highest)) = scene.promises.fences.iter().nth(at) else { return };
    let Some(place) = scene.place_of(*tp).cloned().filter(|_| *highest > 0) else { return };
    let (group, highest) = (group.clone(), *highest);
    let fence = if scene.random.one_in(2) { Fence::Generation } else { Fence::MemberEpoch };
    let fence = fence(scene.random.below(highest as u64) as i32);
    let command = commit_command(scene, (group.as_str(), 0), fence, &place, 0);
    scene.send(place.group, command, Waiting::FencedCommit { place });
}
