//! Looks at the indexes of a partition in a stopped data directory, whole. Reads only; what they say is the caller's to compare.

use std::io;

use tallymq_model::TopicPartition;

use super::{
    error::KeysError,
    file::KeyFile,
    format::Facts,
    inventory::list,
    names::{self, FileKind},
    posting::{PostingSum, unread_term},
};
use crate::{disk::Disk, log::Damage};

/// What there is.
#[derive(Debug)]
pub enum Finding {
    /// An index, whole: its checksums hold, and its postings are as many as it says and in order.
    Whole {
        /// Its path.
        file: String,
        /// What it says.
        facts: Facts,
    },
    /// An index that the broker refuses at a lookup: harmless, it is built again.
    Refused(Damage),
    /// What a build left; removed at the next start.
    Unfinished {
        /// Its path.
        file: String,
    },
}

/// All that a partition has.
pub fn check(disk: &dyn Disk, tp: TopicPartition) -> io::Result<Vec<Finding>> {
    let mut found = Vec::new();
    for name in list(disk, &names::partition_dir(tp))? {
        let file = format!("{}/{name}", names::partition_dir(tp));
        match names::parse_file(&name) {
            Some(FileKind::Index(from)) => match KeyFile::open(disk, tp, from).and_then(|index| whole(&index, &file)) {
                Ok(facts) => found.push(Finding::Whole { file, facts }),
                Err(KeysError::Damaged(damage)) => found.push(Finding::Refused(damage)),
                Err(KeysError::Io { source, .. }) => return Err(source),
            },
            Some(FileKind::Unfinished) => found.push(Finding::Unfinished { file }),
            None => {}
        }
    }
    Ok(found)
}

fn whole(index: &KeyFile, file: &str) -> Result<Facts, KeysError> {
    let mut sum = PostingSum::default();
    let mut last = None;
    for number in 0..index.facts.blocks {
        for posting in index.block(number)? {
            if last.is_some_and(|last| last >= posting) {
                let reason = format!("postings do not rise in block {number}");
                return Err(Damage { file: file.to_owned(), position: 0, reason }.into());
            }
            last = Some(posting);
            sum.add(posting.hash, posting.relative);
        }
    }
    index.unread.iter().for_each(|relative| sum.sum = sum.sum.wrapping_add(unread_term(*relative)));
    if sum != index.facts.postings {
        let reason = "its postings are not those that its header counts".to_owned();
        return Err(Damage { file: file.to_owned(), position: 0, reason }.into());
    }
    Ok(index.facts)
}
