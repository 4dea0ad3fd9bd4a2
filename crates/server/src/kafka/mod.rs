//! The Kafka listener's handlers: one file per API. A handler translates between the wire's structs and the broker's nouns
//! and moves them between the groups; it decides no rule.

mod alter_configs;
mod api_versions;
mod config_changes;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_topic_partitions;
mod dispatch;
mod endpoint;
mod errors;
mod fetch;
mod find_coordinator;
mod group_words;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod operations;
mod produce;
mod repeated;
mod sync_group;

pub use dispatch::{CallContext, KafkaCalls};
pub use fetch::sessions::FetchSessions;
