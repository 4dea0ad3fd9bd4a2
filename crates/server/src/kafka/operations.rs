//! What a client may do, in the bits of KIP-430. Until there are access rules, everybody may do everything.

/// READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS.
const GROUP: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;
/// READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS.
const TOPIC: i32 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;
/// CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE.
const CLUSTER: i32 = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;
/// The answer to who did not ask.
const NOT_ASKED: i32 = i32::MIN;

/// What may be done with a group.
pub fn of_group(is_asked: bool) -> i32 {
    if is_asked { GROUP } else { NOT_ASKED }
}

/// What may be done with a topic.
pub fn of_topic(is_asked: bool) -> i32 {
    if is_asked { TOPIC } else { NOT_ASKED }
}

/// What may be done with the cluster.
pub fn of_cluster(is_asked: bool) -> i32 {
    if is_asked { CLUSTER } else { NOT_ASKED }
}
