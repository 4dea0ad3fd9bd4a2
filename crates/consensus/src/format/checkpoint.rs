//! The header of a checkpoint: what Raft must know beside the state. Which entry it goes through stands in the
//! checkpoint file itself.
//!
//! ```text
//!  | version u8 = 1 | vote: length u8, 0 if none | vote.rs … |
//!  | membership's entry: there u8 | term u64 | index u64 | membership.rs … |
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use tallymq_model::{LogIndex, Term};

use super::{
    VERSION, check_end, check_version, decode_vote, encode_vote, membership, take_slice, take_u8, take_u64,
};
use crate::{
    DecodeError, EntryId,
    raft::{StoredMembership, Vote, engine_log_id, entry_id},
};

/// What Raft must know beside the state.
#[derive(Clone, Debug, Default)]
pub(crate) struct CheckpointHeader {
    /// The vote at the time.
    pub(crate) vote: Option<Vote>,
    /// The membership as of the last entry that the checkpoint covers.
    pub(crate) membership: StoredMembership,
}

impl CheckpointHeader {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        let vote = self.vote.as_ref().map(encode_vote).unwrap_or_default();
        out.put_u8(vote.len() as u8);
        out.put_slice(&vote);
        match self.membership.log_id() {
            Some(log_id) => {
                let at = entry_id(log_id);
                out.put_u8(1);
                out.put_u64(at.term.0);
                out.put_u64(at.index.0);
            }
            None => out.put_u8(0),
        }
        membership::encode(self.membership.membership(), &mut out);
        out.freeze()
    }

    pub(crate) fn decode(mut bytes: Bytes) -> Result<CheckpointHeader, DecodeError> {
        const WHAT: &str = "the checkpoint header";
        check_version(&mut bytes, WHAT)?;
        let vote_bytes = take_u8(&mut bytes, WHAT)? as usize;
        let vote = take_slice(&mut bytes, vote_bytes, WHAT)?;
        let vote = if vote.is_empty() { None } else { Some(decode_vote(vote)?) };
        let at = match take_u8(&mut bytes, WHAT)? {
            0 => None,
            1 => {
                let term = Term(take_u64(&mut bytes, WHAT)?);
                let index = LogIndex(take_u64(&mut bytes, WHAT)?);
                Some(EntryId { term, index })
            }
            other => {
                return Err(DecodeError::new(format!("the checkpoint header has flag {other}, not 0 or 1")));
            }
        };
        if at.is_some_and(|at| at.index == LogIndex(0)) {
            return Err(DecodeError::new("entry 0 does not exist"));
        }
        let membership = membership::decode(&mut bytes)?;
        check_end(&bytes, WHAT)?;
        Ok(CheckpointHeader { vote, membership: StoredMembership::new(at.map(engine_log_id), membership) })
    }
}
