//! Reading the newest checkpoint that is whole.

use std::io;

use bytes::Bytes;
use tallymq_model::{LogIndex, RaftGroup};
use thiserror::Error;

use super::{
    Checkpoint,
    format::{self, BadFront, FRONT_BYTES},
    group_dir,
};
use crate::{
    disk::{Disk, OpenMode},
    log::Damage,
};

/// Bytes of one read.
const READ_BYTES: usize = 1 << 20;

/// A checkpoint's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointFile {
    /// The last entry it contains.
    pub applied: LogIndex,
    /// Path, relative to the data directory.
    pub path: String,
}

/// The newest whole checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// What it holds.
    pub checkpoint: Checkpoint,
    /// Newer ones that are damaged. If there are any, the WAL must reach back to this older one.
    pub damaged: Vec<Damage>,
}

/// Why there is no checkpoint to begin with.
#[derive(Debug, Error)]
pub enum LoadError {
    /// There are checkpoints, and all are damaged.
    #[error("all checkpoints of Raft group {group} are damaged: {}", damaged.iter().map(Damage::to_string).collect::<Vec<_>>().join("; "))]
    Damaged {
        /// Whose.
        group: RaftGroup,
        /// Each file, newest first.
        damaged: Vec<Damage>,
    },
    /// Written by a newer version of the program.
    #[error("{file} has checkpoint format {version}, this program knows {}", format::VERSION)]
    UnknownVersion {
        /// Path of the file.
        file: String,
        /// Its version.
        version: u32,
    },
    /// The disk failed.
    #[error("reading {path}: {source}")]
    Io {
        /// Path of the file or directory.
        path: String,
        /// The disk's answer.
        source: io::Error,
    },
}

/// The checkpoints of a group, oldest first. Nothing is read.
pub fn list(disk: &dyn Disk, group: RaftGroup) -> io::Result<Vec<CheckpointFile>> {
    let dir = group_dir(group);
    let entries = match disk.list(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        listed => listed?,
    };
    let mut files: Vec<_> = entries
        .iter()
        .filter_map(|entry| {
            let digits = entry.name.strip_prefix("checkpoint-")?;
            let well_formed = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
            let applied = LogIndex(digits.parse().ok().filter(|_| well_formed)?);
            Some(CheckpointFile { applied, path: format!("{dir}/{}", entry.name) })
        })
        .collect();
    files.sort_by_key(|file| file.applied);
    Ok(files)
}

/// The newest checkpoint that is whole. `None` if the group has none; whether it should have one, its log says.
pub fn load(disk: &dyn Disk, group: RaftGroup) -> Result<Option<Loaded>, LoadError> {
    let files = list(disk, group).map_err(|source| LoadError::Io { path: group_dir(group), source })?;
    let mut damaged = Vec::new();
    for file in files.iter().rev() {
        match read(disk, group, file)? {
            Ok(checkpoint) => return Ok(Some(Loaded { checkpoint, damaged })),
            Err(damage) => damaged.push(damage),
        }
    }
    if damaged.is_empty() { Ok(None) } else { Err(LoadError::Damaged { group, damaged }) }
}

/// Reads and checks one of the files that [`list`] names: whole, or what is damaged in it.
pub fn read(
    disk: &dyn Disk,
    group: RaftGroup,
    named: &CheckpointFile,
) -> Result<Result<Checkpoint, Damage>, LoadError> {
    let path = &named.path;
    let failed = |source| LoadError::Io { path: path.clone(), source };
    let damage =
        |position, reason: &str| Ok(Err(Damage { file: path.clone(), position, reason: reason.to_owned() }));
    let file = disk.open(path, OpenMode::Read).map_err(failed)?;
    let size_bytes = file.size_bytes().map_err(failed)?;
    let mut front = [0; FRONT_BYTES];
    let read = file.read_at(&mut front, 0).map_err(failed)?;
    let front = match format::decode(&front[..read]) {
        Err(BadFront::UnknownVersion(version)) => {
            return Err(LoadError::UnknownVersion { file: path.clone(), version });
        }
        Err(BadFront::Damaged(position, reason)) => return damage(position, reason),
        Ok(front) => front,
    };
    if front.group != group || front.applied != named.applied {
        return damage(0, "the file is another checkpoint's");
    }
    let body_bytes = front.header_bytes.checked_add(front.state_bytes);
    if body_bytes.and_then(|body| body.checked_add(FRONT_BYTES as u64)) != Some(size_bytes) {
        return damage(size_bytes, "the file's length is not what its header says");
    }
    // The length was compared with the file's, so that no more is allocated than is there.
    let mut body = vec![0; (size_bytes - FRONT_BYTES as u64) as usize];
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    let mut position = FRONT_BYTES as u64;
    for chunk in body.chunks_mut(READ_BYTES) {
        if file.read_at(chunk, position).map_err(failed)? < chunk.len() {
            return damage(position, "the file ends early");
        }
        digest.update(chunk);
        position += chunk.len() as u64;
    }
    if digest.finalize() as u32 != front.body_crc {
        return damage(FRONT_BYTES as u64, "the checksum of the body does not match");
    }
    let mut state = Bytes::from(body);
    let header = state.split_to(front.header_bytes as usize);
    Ok(Ok(Checkpoint { applied: front.applied, term: front.term, header, state: vec![state] }))
}
