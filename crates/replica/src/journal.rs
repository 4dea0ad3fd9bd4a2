//! The accounts' journal as a log of its data group: appended to in the apply that made its events, so that it comes again
//! from the write-ahead log like any partition's records. Decides nothing about what is in it.

use std::sync::Arc;

use tallymq_broker::account::journal::{self, JournalAppend};
use tallymq_model::{Offset, RaftGroup};
use tallymq_storage::log::{LogPosition, PartitionLog, PartitionOptions};

use crate::view::DataView;

/// Bytes of a segment: the journal is trimmed by whole ones, so they are small beside `account.journal.bytes`.
const SEGMENT_BYTES_MAX: u32 = 16 << 20;

/// Opens the journal's log as a checkpoint left it.
pub(crate) fn open(view: &DataView, group: RaftGroup, position: LogPosition) -> Arc<PartitionLog> {
    let options = PartitionOptions { segment_bytes_max: SEGMENT_BYTES_MAX, ..PartitionOptions::default() };
    let log = view.store.open(journal::partition(group), group, options, position);
    *view.journal.write() = Some(log.clone());
    log
}

/// Appends what a command made.
pub(crate) fn append(view: &DataView, group: RaftGroup, append: &JournalAppend) {
    let log = view.journal().unwrap_or_else(|| open(view, group, LogPosition::default()));
    for batch in append.batches() {
        // A refusal means that state and log disagree, as it would for any partition.
        log.append(&batch.header, batch.bytes, batch.base_offset, append.leader_epoch)
            .expect("the journal continues where the state does");
    }
}

/// Hides what a trim gave up.
pub(crate) fn trim(view: &DataView, log_start: Offset) {
    if let Some(log) = view.journal() {
        log.set_log_start(log_start);
    }
}
