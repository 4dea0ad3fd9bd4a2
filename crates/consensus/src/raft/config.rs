//! The engine's settings, each with its reason.

use std::sync::Arc;

use openraft::{Config, SnapshotPolicy, StepDownPolicy};

/// Settings for a group of `voters`.
pub(crate) fn engine_config(
    cluster_name: String,
    voters: usize,
) -> Result<Arc<Config>, openraft::ConfigError> {
    let alone = voters == 1;
    let config = Config {
        cluster_name,
        // A node that cannot win does not raise the term and disturb a healthy leader when it comes back (Raft thesis
        // §9.6). A single voter skips it by itself.
        enable_pre_vote: Some(true),
        // A leader that restarted has not applied all that it acknowledged: it must be elected again, which commits an
        // entry of its own term behind them all (Raft §5.4.2, §8).
        enable_leader_restore: Some(false),
        // Checkpoints are ours to trigger: by bytes in the write-ahead log, not by entries.
        snapshot_policy: SnapshotPolicy::Never,
        // What a checkpoint covers leaves the log at once; a follower behind it gets the checkpoint.
        max_in_snapshot_log_to_keep: 0,
        purge_batch_size: 1,
        // Alone there is no one to hear a heartbeat, and the election is triggered: without ticks an idle group costs
        // nothing.
        enable_tick: !alone,
        enable_heartbeat: !alone,
        heartbeat_interval: 100,
        election_timeout_min: 500,
        election_timeout_max: 1000,
        removed_leader_step_down: if alone { StepDownPolicy::Never } else { StepDownPolicy::After(500) },
        allow_log_reversion: Some(false),
        // These count entries, and an entry is large: few are ever queued. Bytes are bounded where commands are proposed
        // and where entries are read.
        api_channel_size: Some(1024),
        notification_channel_size: Some(4096),
        state_machine_channel_size: Some(64),
        max_append_entries: Some(16),
        max_payload_entries: 16,
        ..Config::default()
    };
    config.validate().map(Arc::new)
}
