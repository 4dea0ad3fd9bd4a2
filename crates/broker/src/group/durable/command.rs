//! What the leader of a data group writes to its log about consumer groups: facts, already decided.

use tallymq_model::{TopicId, TopicPartition};

use super::GroupState;
use super::classic::ClassicMember;
use super::consumer::{ConsumerMember, MemberState};
use super::positions::{CommitPosition, Fence};
use crate::account::Committer;
use crate::group::names::{GroupId, MemberId, Text};
use crate::group::request::SyncAssignment;
use crate::group::topics::PartitionSet;

/// Why a command changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandRefused {
    /// The group is gone, or of the other type.
    NoSuchGroup,
    /// It was decided on an older state: the generation or epoch is not above the one known, or not the current one.
    StaleGeneration,
    /// The group has members.
    NotEmpty,
}

/// A command about a consumer group, or about positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupCommand {
    /// A group without members exists, if it did not before: somebody commits positions in its name.
    Created {
        /// The group.
        group: GroupId,
    },
    /// A classic group's members joined: a new generation. Without members the group is empty.
    ClassicRebalanced {
        /// The group; it is created if it does not exist.
        group: GroupId,
        /// The generation.
        formed: Box<ClassicGeneration>,
    },
    /// The leader of a generation assigned; who is missing gets nothing.
    ClassicAssigned {
        /// The group.
        group: GroupId,
        /// The generation that it is for.
        generation: i32,
        /// Per member, with the partitions where they are known.
        assignments: Vec<(SyncAssignment, PartitionSet)>,
    },
    /// Members left or expired; the others have to join again.
    ClassicMembersLeft {
        /// The group.
        group: GroupId,
        /// Who left.
        members: Vec<MemberId>,
    },
    /// A static member came back under another id, and has its assignment (KIP-345).
    ClassicMemberReplaced {
        /// The group.
        group: GroupId,
        /// The id that is fenced from now on.
        old: MemberId,
        /// The member; its assignment is that of the old id.
        member: Box<ClassicMember>,
        /// The members have to join again.
        rebalance: bool,
    },
    /// A consumer group changed: the facts hold together or not at all.
    ConsumerChanged {
        /// The group; it is created if it does not exist.
        group: GroupId,
        /// The revision that they were decided on; 0 if there was no such group.
        base: u64,
        /// In order.
        facts: Vec<ConsumerFact>,
    },
    /// The group has another type from now on, and this state.
    TypeChanged {
        /// The group; it is created if it does not exist.
        group: GroupId,
        /// What it is now. Its epoch is not below the one before.
        state: Box<GroupState>,
    },
    /// An empty group is gone.
    Deleted {
        /// The group.
        group: GroupId,
    },
    /// Positions in partitions of this data group; the consumer group itself may live elsewhere.
    CommitPositions {
        /// The group.
        group: GroupId,
        /// What the committer was at the time.
        fence: Fence,
        /// Per partition.
        positions: Vec<CommitPosition>,
        /// Who commits; it matters to the accounts, not to the positions.
        by: Committer,
    },
    /// Positions go: some, or with None all that the group has here, and what is known of its generations.
    DeletePositions {
        /// The group.
        group: GroupId,
        /// Which ones.
        partitions: Option<Vec<TopicPartition>>,
    },
}

/// A generation of a classic group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicGeneration {
    /// Above the last one.
    pub generation: i32,
    /// The members' protocol type.
    pub protocol_type: Option<Text>,
    /// What was selected.
    pub protocol: Option<Text>,
    /// Who assigns.
    pub leader: Option<MemberId>,
    /// All members; who is not among them is gone.
    pub members: Vec<ClassicMember>,
}

/// One change of a consumer group (KIP-848).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumerFact {
    /// The group's epoch rose.
    EpochAdvanced {
        /// Above the last one.
        epoch: i32,
        /// The subscribed topics and their partition counts.
        topics: Vec<(TopicId, u32)>,
    },
    /// A target assignment was made.
    TargetAssigned {
        /// The group epoch that it is for.
        epoch: i32,
        /// Members whose target changed.
        changes: Vec<(MemberId, PartitionSet)>,
    },
    /// A member joined or changed.
    MemberUpserted(Box<ConsumerMember>),
    /// A member came one step nearer to its target.
    MemberAdvanced {
        /// Who.
        member: MemberId,
        /// Its epoch now.
        epoch: i32,
        /// Its epoch before.
        previous_epoch: i32,
        /// How far it is.
        state: MemberState,
        /// What it holds.
        assigned: PartitionSet,
        /// What it has to give up.
        revoking: PartitionSet,
    },
    /// A static member came back under another id; its target goes with it.
    MemberReplaced {
        /// The id that is fenced from now on.
        old: MemberId,
        /// The id that it has now; its upsert follows.
        new: MemberId,
    },
    /// A member left or expired.
    MemberLeft(MemberId),
}

impl GroupCommand {
    /// The group that it is about.
    pub fn group(&self) -> &GroupId {
        match self {
            GroupCommand::Created { group }
            | GroupCommand::ClassicRebalanced { group, .. }
            | GroupCommand::ClassicAssigned { group, .. }
            | GroupCommand::ClassicMembersLeft { group, .. }
            | GroupCommand::ClassicMemberReplaced { group, .. }
            | GroupCommand::ConsumerChanged { group, .. }
            | GroupCommand::TypeChanged { group, .. }
            | GroupCommand::Deleted { group }
            | GroupCommand::CommitPositions { group, .. }
            | GroupCommand::DeletePositions { group, .. } => group,
        }
    }
}
