//! Writing a checkpoint: beside the others under another name, synced, renamed, directory synced. Only then older ones go.

use std::io;

use bytes::Bytes;
use tallymq_model::RaftGroup;
use thiserror::Error;

use super::{Checkpoint, KEPT, file_name, format, group_dir};
use crate::{
    disk::{Disk, OpenMode},
    log::Damage,
};

/// Bytes of one write.
const WRITE_BYTES: usize = 1 << 20;

/// A checkpoint is not durable. The ones before it are as they were; after a failed sync the process must end.
#[derive(Debug, Error)]
#[error("{operation} {path}: {source}")]
pub struct SaveError {
    /// What was tried.
    pub operation: &'static str,
    /// Path of the file or directory, relative to the data directory.
    pub path: String,
    /// The disk's answer.
    pub source: io::Error,
    /// The checkpoint had its name already: what failed may be relied on at the next start. Before that it was a new file
    /// that nobody knows.
    pub named: bool,
}

/// Makes a checkpoint durable and removes all but the two newest. Saving the same index again replaces it.
pub fn save(disk: &dyn Disk, group: RaftGroup, checkpoint: &Checkpoint) -> Result<(), SaveError> {
    let dir = group_dir(group);
    let path = format!("{dir}/{}", file_name(checkpoint.applied));
    let beside = format!("{path}.new");
    let mut named = false;
    let failed = |operation, path: &str, named| {
        let path = path.to_owned();
        move |source| SaveError { operation, path, source, named }
    };
    disk.create_dir(&dir).map_err(failed("creating directory", &dir, named))?;
    match disk.remove_file(&beside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        removed => removed.map_err(failed("removing", &beside, named))?,
    }
    write(disk, &beside, group, checkpoint).map_err(failed("writing", &beside, named))?;
    disk.rename(&beside, &path).map_err(failed("renaming", &beside, named))?;
    named = true;
    sync_dirs(disk, &dir)?;
    remove_older(disk, &dir).map_err(failed("removing an older checkpoint in", &dir, named))
}

/// Makes sure that what was loaded is what every later start finds, before anything that it covers is given up. For a caller
/// who has found that it and the log are enough.
///
/// The name is synced: an earlier run may have ended between giving it and syncing the directory. Damaged checkpoints are
/// renamed to `damaged-…`, so that they are kept to be looked at and no longer count as one of the newest.
pub fn settle(disk: &dyn Disk, group: RaftGroup, damaged: &[Damage]) -> Result<(), SaveError> {
    let dir = group_dir(group);
    let failed = |path: &str| {
        let path = path.to_owned();
        move |source| SaveError { operation: "renaming", path, source, named: true }
    };
    for damage in damaged {
        let name = damage.file.rsplit('/').next().unwrap_or(&damage.file);
        disk.rename(&damage.file, &format!("{dir}/damaged-{name}")).map_err(failed(&damage.file))?;
    }
    sync_dirs(disk, &dir)
}

/// From the inside out, and each time: an earlier run may have ended between making a directory and syncing it.
fn sync_dirs(disk: &dyn Disk, dir: &str) -> Result<(), SaveError> {
    if tallymq_model::planted("dir-not-synced") {
        return Ok(());
    }
    for dir in [dir, "groups", ""] {
        disk.sync_dir(dir).map_err(|source| SaveError {
            operation: "syncing directory",
            path: dir.to_owned(),
            source,
            named: true,
        })?;
    }
    Ok(())
}

fn write(disk: &dyn Disk, path: &str, group: RaftGroup, checkpoint: &Checkpoint) -> io::Result<()> {
    let body = || std::iter::once(&checkpoint.header).chain(&checkpoint.state);
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    body().for_each(|part| digest.update(part));
    let front = format::encode(&format::Front {
        group,
        applied: checkpoint.applied,
        term: checkpoint.term,
        header_bytes: checkpoint.header.len() as u64,
        state_bytes: checkpoint.state.iter().map(|part| part.len() as u64).sum(),
        body_crc: digest.finalize() as u32,
    });
    let file = disk.open(path, OpenMode::Create)?;
    let mut position = 0;
    let mut parts: Vec<&[u8]> = vec![&front];
    let mut bytes = front.len();
    for part in body().map(Bytes::as_ref).flat_map(|part| part.chunks(WRITE_BYTES)) {
        parts.push(part);
        bytes += part.len();
        if bytes >= WRITE_BYTES {
            file.write_at(&parts, position)?;
            position += bytes as u64;
            parts.clear();
            bytes = 0;
        }
    }
    if !parts.is_empty() {
        file.write_at(&parts, position)?;
    }
    file.sync_data()
}

/// Removes what is neither of the newest, and what an interrupted save left. Need not be durable.
fn remove_older(disk: &dyn Disk, dir: &str) -> io::Result<()> {
    let names: Vec<_> = disk.list(dir)?.into_iter().map(|entry| entry.name).collect();
    let (unfinished, whole): (Vec<_>, Vec<_>) = names
        .into_iter()
        .filter(|name| name.starts_with("checkpoint-"))
        .partition(|name| name.ends_with(".new"));
    let over = whole.len().saturating_sub(KEPT);
    for name in unfinished.iter().chain(&whole[..over]) {
        disk.remove_file(&format!("{dir}/{name}"))?;
    }
    Ok(())
}
