//! Whether a fetch was a member's while another connection fetched as the same member. Pure.
//!
//! A client that gives up a connection and opens another is seen with both for a moment: closing takes its time, and some
//! clients (franz-go) replace theirs whenever their partitions change. The doubt is over when the other one is closed and got
//! nothing since the fetch came. If it did get something, nobody can tell which of the two is the member's.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// What others have to know of an open connection, also after it was closed.
#[derive(Debug, Default)]
pub struct Standing {
    is_closed: AtomicBool,
    last_left: AtomicU64,
}

/// Why a delivery is not certain. Times are numbers that rise with every answer.
#[derive(Clone, Debug)]
pub struct Doubt {
    rivals: Vec<Arc<Standing>>,
    since: u64,
}

/// What has become of a doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is over: the delivery was the member's.
    Lifted,
    /// It is there.
    Open,
    /// It stays.
    ForEver,
}

impl Standing {
    /// The connection is closed.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    /// An answer with records left over it.
    pub fn left(&self, at: u64) {
        self.last_left.fetch_max(at, Ordering::AcqRel);
    }
}

impl Doubt {
    /// These connections fetched as the same member; the fetch came at `since`.
    pub fn new(rivals: Vec<Arc<Standing>>, since: u64) -> Doubt {
        Doubt { rivals, since }
    }

    /// What has become of it.
    pub fn verdict(&self) -> Verdict {
        if self.rivals.iter().any(|rival| rival.last_left.load(Ordering::Acquire) > self.since) {
            return Verdict::ForEver;
        }
        let are_closed = self.rivals.iter().all(|rival| rival.is_closed.load(Ordering::Acquire));
        if are_closed { Verdict::Lifted } else { Verdict::Open }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubt_ends_with_a_rival_that_got_nothing_and_stays_with_one_that_did() {
        let (one, other) = (Arc::new(Standing::default()), Arc::new(Standing::default()));
        one.left(7);
        let doubt = Doubt::new(vec![one.clone(), other.clone()], 7);
        assert_eq!(doubt.verdict(), Verdict::Open);
        one.close();
        assert_eq!(doubt.verdict(), Verdict::Open);
        other.close();
        assert_eq!(doubt.verdict(), Verdict::Lifted);
        other.left(8);
        assert_eq!(doubt.verdict(), Verdict::ForEver);
    }
}
