//! A vote: for whom, in which term, and whether a quorum has granted it.
//!
//! ```text
//!  | version u8 = 1 | term u64 | node i32 | granted by a quorum u8 |
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use tallymq_model::NodeId;

use super::{VERSION, check_end, check_version, take_i32, take_u8, take_u64};
use crate::{DecodeError, raft::Vote};

pub(crate) fn encode_vote(vote: &Vote) -> Bytes {
    let mut out = BytesMut::with_capacity(14);
    out.put_u8(VERSION);
    out.put_u64(vote.leader_id.term);
    out.put_i32(vote.leader_id.voted_for.0);
    out.put_u8(u8::from(vote.committed));
    out.freeze()
}

pub(crate) fn decode_vote(mut bytes: Bytes) -> Result<Vote, DecodeError> {
    check_version(&mut bytes, "the vote")?;
    let term = take_u64(&mut bytes, "the vote")?;
    let node = NodeId(take_i32(&mut bytes, "the vote")?);
    let committed = match take_u8(&mut bytes, "the vote")? {
        0 => false,
        1 => true,
        other => {
            return Err(DecodeError::new(format!("the vote's last byte is {other}, not 0 or 1")));
        }
    };
    check_end(&bytes, "the vote")?;
    Ok(if committed { Vote::new_committed(term, node) } else { Vote::new(term, node) })
}
