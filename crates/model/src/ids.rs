//! Newtypes for every id and every position, so that an offset cannot be passed for a log index. No behaviour
//! beyond conversion and stepping.

use std::fmt;

use uuid::Uuid;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A partition's number inside its topic, from 0.
    PartitionIndex(i32)
);
number!(
    /// A record's position in its partition, from 0.
    Offset(i64)
);
number!(
    /// Rises each time another leader takes a partition over (KIP-101); -1 is "unknown" on the wire.
    LeaderEpoch(i32)
);
number!(
    /// An idempotent producer's id (KIP-98); -1 is "none".
    ProducerId(i64)
);
number!(
    /// An idempotent producer's epoch; a lower one is fenced.
    ProducerEpoch(i16)
);
number!(
    /// The sequence number of the first record of a batch, per producer and partition; wraps after `i32::MAX`.
    Sequence(i32)
);
number!(
    /// Which Raft group: 0 is the metadata group, the others are data groups.
    RaftGroup(u32)
);
number!(
    /// A position in a Raft group's log, from 1; 0 is "before the first".
    LogIndex(u64)
);
number!(
    /// A Raft term.
    Term(u64)
);
number!(
    /// A broker's id in its cluster.
    NodeId(i32)
);
number!(
    /// Milliseconds since the Unix epoch, as stamped by the leader or given by a client; -1 is "none".
    Timestamp(i64)
);

impl RaftGroup {
    /// The group that holds topics, placement and producer id blocks.
    pub const METADATA: RaftGroup = RaftGroup(0);
}

impl Offset {
    /// The first offset of every partition.
    pub const ZERO: Offset = Offset(0);

    /// The offset `count` records further on.
    pub fn plus(self, count: i64) -> Offset {
        Offset(self.0 + count)
    }
}

impl LogIndex {
    /// The next position.
    pub fn next(self) -> LogIndex {
        LogIndex(self.0 + 1)
    }
}

impl ProducerId {
    /// What a producer without idempotence sends.
    pub const NONE: ProducerId = ProducerId(-1);
}

impl Sequence {
    /// The sequence `count` records further on; wraps from `i32::MAX` to 0 as Kafka's does.
    pub fn plus(self, count: i32) -> Sequence {
        if self.0 > i32::MAX - count {
            Sequence(count - (i32::MAX - self.0) - 1)
        } else {
            Sequence(self.0 + count)
        }
    }
}

/// A topic's identity, never reused; a topic deleted and created again has another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub Uuid);

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A partition's identity. Below the metadata group everything is keyed by it, never by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicId,
    /// The partition inside it.
    pub partition: PartitionIndex,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}
