//! One index as it is read: its header and table whole, its blocks where they are needed. What does not check is refused.

use std::{io, sync::Arc};

use tallymq_model::{Offset, TopicPartition};

use super::{
    error::KeysError,
    format::{self, BLOCK_BYTES, Facts, HEADER_BYTES},
    names,
    posting::{KeyHash, Posting},
};
use crate::{
    disk::{Disk, File, OpenMode},
    log::Damage,
};

/// An open index.
pub(super) struct KeyFile {
    path: String,
    file: Arc<dyn File>,
    pub facts: Facts,
    identity: u32,
    /// The first posting of each block.
    firsts: Vec<Posting>,
    /// Batches whose keys could not be found, rising.
    pub unread: Vec<u32>,
}

/// Reads only the header, and checks that it is of the file of this name and size.
pub(super) fn read_facts(disk: &dyn Disk, tp: TopicPartition, from: Offset) -> Result<Facts, KeysError> {
    Ok(open_facts(disk, tp, from)?.2)
}

type OpenFacts = (String, Arc<dyn File>, Facts);

fn open_facts(disk: &dyn Disk, tp: TopicPartition, from: Offset) -> Result<OpenFacts, KeysError> {
    let path = names::index(tp, from);
    let io = |source| KeysError::Io { file: path.clone(), source };
    let file = match disk.open(&path, OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(damage(&path, 0, "the file is missing"));
        }
        opened => opened.map_err(io)?,
    };
    let mut header = [0; HEADER_BYTES];
    let read = file.read_at(&mut header, 0).map_err(io)?;
    let facts = format::decode_header(&header[..read]).map_err(|reason| damage(&path, 0, reason))?;
    if (facts.tp, facts.from) != (tp, from) {
        return Err(damage(&path, 0, "this is another part's"));
    }
    if file.size_bytes().map_err(io)? != facts.file_bytes() {
        return Err(damage(&path, 0, "the file is not as long as its header says"));
    }
    Ok((path, file, facts))
}

fn damage(path: &str, position: u64, reason: &str) -> KeysError {
    KeysError::Damaged(Damage { file: path.to_owned(), position, reason: reason.to_owned() })
}

impl KeyFile {
    pub(super) fn open(disk: &dyn Disk, tp: TopicPartition, from: Offset) -> Result<KeyFile, KeysError> {
        let (path, file, facts) = open_facts(disk, tp, from)?;
        // The file is as long, so this is no claim.
        let mut table = vec![0; facts.table_bytes() as usize];
        let read = file.read_at(&mut table, facts.table_at());
        let read = read.map_err(|source| KeysError::Io { file: path.clone(), source })?;
        let (firsts, unread) = format::decode_table(&facts, &table[..read])
            .ok_or_else(|| damage(&path, facts.table_at(), "the table is damaged"))?;
        let identity = format::identity(tp, facts.from, facts.to);
        Ok(KeyFile { path, file, facts, identity, firsts, unread })
    }

    /// All postings of a block.
    pub(super) fn block(&self, number: u32) -> Result<Vec<Posting>, KeysError> {
        let position = HEADER_BYTES as u64 + u64::from(number) * BLOCK_BYTES as u64;
        let mut block = [0; BLOCK_BYTES];
        let read = self.file.read_at(&mut block, position);
        let read = read.map_err(|source| KeysError::Io { file: self.path.clone(), source })?;
        let first = self.firsts.get(number as usize);
        let postings = Some(&block).filter(|_| read == BLOCK_BYTES);
        let postings = postings.and_then(|block| format::decode_block(self.identity, number, block));
        let postings = postings.filter(|postings| postings.first() == first);
        postings.ok_or_else(|| damage(&self.path, position, "the block is damaged"))
    }

    /// Batches below `below` (relative) that may hold a key of this hash, the last ones first, at most `batches_max`.
    pub(super) fn find(&self, hash: KeyHash, below: u32, batches_max: usize) -> Result<Vec<u32>, KeysError> {
        let mut found = Vec::new();
        let end = Posting { hash, relative: below };
        let mut blocks = self.firsts.partition_point(|first| *first < end);
        while blocks > 0 && found.len() < batches_max {
            blocks -= 1;
            let postings = self.block(blocks as u32)?;
            let until = postings.partition_point(|posting| *posting < end);
            let matching = postings[..until].iter().rev().take_while(|posting| posting.hash == hash);
            found.extend(matching.map(|posting| posting.relative));
            if self.firsts[blocks].hash < hash {
                break;
            }
        }
        found.extend(self.unread.iter().rev().filter(|relative| **relative < below));
        found.sort_unstable_by(|one, other| other.cmp(one));
        found.dedup();
        found.truncate(batches_max);
        Ok(found)
    }
}
