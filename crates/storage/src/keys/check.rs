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
    /// An index whose checksums hold and that contradicts itself: a lookup would believe it.
    Wrong(Damage),
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
            Some(FileKind::Index(from)) => {
                let checked = KeyFile::open(disk, tp, from).and_then(|index| whole(&index));
                found.push(match checked {
                    Ok(Ok(facts)) => Finding::Whole { file, facts },
                    Ok(Err(reason)) => {
                        Finding::Wrong(Damage { file, position: 0, reason: reason.to_owned() })
                    }
                    Err(KeysError::Damaged(damage)) => Finding::Refused(damage),
                    Err(KeysError::Io { source, .. }) => return Err(source),
                });
            }
            Some(FileKind::Unfinished) => found.push(Finding::Unfinished { file }),
            None => {}
        }
    }
    Ok(found)
}

/// What an index says of itself, or why that cannot be.
fn whole(index: &KeyFile) -> Result<Result<Facts, &'static str>, KeysError> {
    let mut sum = PostingSum::default();
    let mut last = None;
    for number in 0..index.facts.blocks {
        for posting in index.block(number)? {
            if last.is_some_and(|last| last >= posting) {
                return Ok(Err("its postings do not rise"));
            }
            last = Some(posting);
            sum.add(posting.hash, posting.relative);
        }
    }
    index.unread.iter().for_each(|relative| sum.sum = sum.sum.wrapping_add(unread_term(*relative)));
    let is_same = sum == index.facts.postings;
    Ok(if is_same { Ok(index.facts) } else { Err("its postings are not those that its header counts") })
}
