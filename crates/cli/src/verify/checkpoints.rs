//! A group's checkpoint files: each is read and checked, not only the newest.

use bytes::{Bytes, BytesMut};
use tallymq_model::{LogIndex, RaftGroup};
use tallymq_storage::{checkpoint, disk::Disk};

use super::Report;

/// A whole checkpoint.
pub struct Checkpoint {
    /// The last entry it contains.
    pub applied: LogIndex,
    /// Its file.
    pub path: String,
    /// The machine's state.
    pub state: Bytes,
}

/// The whole ones, oldest first. Each damaged one is reported.
pub fn read(disk: &dyn Disk, group: RaftGroup, report: &mut Report) -> Vec<Checkpoint> {
    let directory = format!("groups/{group}");
    let files = match checkpoint::list(disk, group) {
        Ok(files) => files,
        Err(error) => {
            report.damage(&directory, 0, format!("cannot be listed: {error}"));
            return Vec::new();
        }
    };
    let mut whole = Vec::new();
    for file in files {
        report.counts.checkpoints += 1;
        match checkpoint::read(disk, group, &file) {
            Ok(Ok(found)) => {
                let mut state = BytesMut::new();
                found.state.iter().for_each(|part| state.extend_from_slice(part));
                whole.push(Checkpoint { applied: found.applied, path: file.path, state: state.freeze() });
            }
            Ok(Err(damage)) => report.damage(&damage.file, damage.position, damage.reason),
            Err(error) => report.damage(&file.path, 0, error.to_string()),
        }
    }
    whole
}
