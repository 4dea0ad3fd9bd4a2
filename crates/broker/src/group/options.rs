//! The coordinator's settings, and the bounds on what clients may make it keep.

use super::assignor::Assignor;

/// Which way a group may change its protocol while members are in it (`group.consumer.migration.policy`, KIP-848).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// Classic to consumer and back.
    #[default]
    Bidirectional,
    /// Only classic to consumer.
    Upgrade,
    /// Only consumer to classic.
    Downgrade,
    /// Neither.
    Disabled,
}

impl MigrationPolicy {
    /// Whether a classic group may become a consumer group.
    pub fn allows_upgrade(self) -> bool {
        matches!(self, MigrationPolicy::Bidirectional | MigrationPolicy::Upgrade)
    }

    /// Whether a consumer group may become a classic group.
    pub fn allows_downgrade(self) -> bool {
        matches!(self, MigrationPolicy::Bidirectional | MigrationPolicy::Downgrade)
    }
}

/// What a single group may set for itself (KIP-848, group configs).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupOverrides {
    /// `consumer.session.timeout.ms`.
    pub consumer_session_timeout_ms: Option<u32>,
    /// `consumer.heartbeat.interval.ms`.
    pub consumer_heartbeat_interval_ms: Option<u32>,
}

/// The coordinator's settings. Times in milliseconds; defaults are Kafka's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorOptions {
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members.
    pub initial_rebalance_delay_ms: u32,
    /// `group.min.session.timeout.ms`.
    pub session_timeout_ms_min: u32,
    /// `group.max.session.timeout.ms`.
    pub session_timeout_ms_max: u32,
    /// How long a new member's first join may wait before it counts as gone.
    pub new_member_join_timeout_ms: u32,
    /// `group.max.size`: members of a classic group.
    pub classic_members_max: usize,
    /// `group.consumer.max.size`: members of a consumer group.
    pub consumer_members_max: usize,
    /// `group.consumer.session.timeout.ms`.
    pub consumer_session_timeout_ms: u32,
    /// `group.consumer.heartbeat.interval.ms`.
    pub consumer_heartbeat_interval_ms: u32,
    /// `group.consumer.assignors`: those that members may name. The first is that of groups whose members name none, and
    /// there is a first.
    pub consumer_assignors: Vec<Assignor>,
    /// `group.consumer.migration.policy`.
    pub migration: MigrationPolicy,
    /// `group.max.count`, of which this coordinator alone may keep all.
    pub groups_max: usize,
    /// Requests of one group that wait for its command in the log.
    pub waiting_requests_max: usize,
    /// Bytes of one member's protocols and their metadata, or of its subscription.
    pub member_metadata_bytes_max: usize,
    /// Bytes of one member's assignment.
    pub member_assignment_bytes_max: usize,
    /// Bytes of a subscription's regular expression.
    pub regex_bytes_max: usize,
}

impl CoordinatorOptions {
    /// The assignor of this name, if members may name it.
    pub fn assignor(&self, name: &str) -> Option<Assignor> {
        Assignor::named(name).filter(|assignor| self.consumer_assignors.contains(assignor))
    }

    /// The assignor of groups whose members name none.
    pub fn default_assignor(&self) -> Assignor {
        self.consumer_assignors.first().copied().unwrap_or(Assignor::Uniform)
    }
}

impl Default for CoordinatorOptions {
    fn default() -> CoordinatorOptions {
        CoordinatorOptions {
            initial_rebalance_delay_ms: 3_000,
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 1_800_000,
            new_member_join_timeout_ms: 300_000,
            classic_members_max: 10_000,
            consumer_members_max: 10_000,
            consumer_session_timeout_ms: 45_000,
            consumer_heartbeat_interval_ms: 5_000,
            consumer_assignors: vec![Assignor::Uniform, Assignor::Range],
            migration: MigrationPolicy::Bidirectional,
            groups_max: 100_000,
            waiting_requests_max: 20_000,
            member_metadata_bytes_max: 1 << 20,
            member_assignment_bytes_max: 1 << 20,
            regex_bytes_max: 4_096,
        }
    }
}
