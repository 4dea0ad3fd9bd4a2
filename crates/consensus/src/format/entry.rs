//! One log entry. `index` and `term` repeat what the write-ahead log knows, so that an entry can never be taken for
//! another.
//!
//! ```text
//!  0        1      2        10        18
//!  | version| kind | term   | index   | body …
//!  | u8 = 1 | u8   | u64    | u64     |
//!
//!  kind 0  blank       (none)
//!  kind 1  commands    | count u32 | count × length u32 | the commands, one behind the other |
//!  kind 2  membership  see membership.rs
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use openraft::EntryPayload;
use tallymq_model::{LogIndex, Term};

use super::{VERSION, check_end, check_version, membership, take_slice, take_u8, take_u32, take_u64};
use crate::{
    Command, DecodeError, EntryId,
    batch::Batch,
    batch::joined,
    raft::{Entry, engine_log_id, entry_id},
};

const KIND_BLANK: u8 = 0;
const KIND_COMMANDS: u8 = 1;
const KIND_MEMBERSHIP: u8 = 2;
const HEADER_BYTES: usize = 18;

/// The entry's bytes, in parts. A batch is linked, not copied.
pub(crate) fn encode_entry(entry: &Entry) -> Vec<Bytes> {
    let mut header = BytesMut::with_capacity(HEADER_BYTES);
    let at = entry_id(&entry.log_id);
    let kind = match &entry.payload {
        EntryPayload::Blank => KIND_BLANK,
        EntryPayload::Normal(_) => KIND_COMMANDS,
        EntryPayload::Membership(_) => KIND_MEMBERSHIP,
    };
    header.put_u8(VERSION);
    header.put_u8(kind);
    header.put_u64(at.term.0);
    header.put_u64(at.index.0);
    match &entry.payload {
        EntryPayload::Blank => vec![header.freeze()],
        EntryPayload::Membership(membership) => {
            membership::encode(membership, &mut header);
            vec![header.freeze()]
        }
        EntryPayload::Normal(batch) => {
            let mut parts = Vec::with_capacity(1 + batch.parts().len());
            parts.push(header.freeze());
            parts.extend_from_slice(batch.parts());
            parts
        }
    }
}

/// Reads an entry back. `at` is what the log says about it. Its commands stay encoded until they are applied.
pub(crate) fn decode_entry(mut bytes: Bytes, at: EntryId) -> Result<Entry, DecodeError> {
    check_version(&mut bytes, "the entry")?;
    let kind = take_u8(&mut bytes, "the entry")?;
    let term = Term(take_u64(&mut bytes, "the entry")?);
    let index = LogIndex(take_u64(&mut bytes, "the entry")?);
    if (EntryId { term, index }) != at {
        return Err(DecodeError::new(format!(
            "the entry says it is {index} of term {term}, its place is {} of term {}",
            at.index, at.term
        )));
    }
    let payload = match kind {
        KIND_BLANK => {
            check_end(&bytes, "a blank entry")?;
            EntryPayload::Blank
        }
        KIND_COMMANDS => EntryPayload::Normal(Batch::stored(bytes)),
        KIND_MEMBERSHIP => {
            let membership = membership::decode(&mut bytes)?;
            check_end(&bytes, "the membership")?;
            EntryPayload::Membership(membership)
        }
        kind => return Err(DecodeError::new(format!("unknown entry kind {kind}"))),
    };
    Ok(Entry { log_id: engine_log_id(at), payload })
}

/// The encoded commands of a stored entry, for tools that look at the log of a stopped node; none if it is a blank or a
/// membership entry. `at` is what the log says about it.
pub fn stored_commands(payload: Bytes, at: EntryId) -> Result<Vec<Bytes>, DecodeError> {
    let EntryPayload::Normal(batch) = decode_entry(payload, at)?.payload else {
        return Ok(Vec::new());
    };
    let mut bytes = joined(batch.parts().to_vec());
    let lengths = BatchHeader::decode_lengths(&mut bytes)?;
    let commands = lengths.into_iter().map(|length| take_slice(&mut bytes, length, "a command"));
    let commands = commands.collect::<Result<Vec<_>, _>>()?;
    check_end(&bytes, "the commands")?;
    Ok(commands)
}

/// What stands in front of an entry's commands: how many there are and how long each of them is.
#[derive(Debug, Default)]
pub(crate) struct BatchHeader {
    lengths: Vec<u32>,
}

impl BatchHeader {
    /// A command of `size_bytes` follows.
    pub(crate) fn push(&mut self, size_bytes: u32) {
        self.lengths.push(size_bytes);
    }

    /// The header's bytes.
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(4 + 4 * self.lengths.len());
        out.put_u32(self.lengths.len() as u32);
        self.lengths.iter().for_each(|length| out.put_u32(*length));
        out.freeze()
    }

    fn decode_lengths(bytes: &mut Bytes) -> Result<Vec<usize>, DecodeError> {
        let count = take_u32(bytes, "the command count")? as usize;
        let mut encoded = take_slice(bytes, count.saturating_mul(4), "the command lengths")?;
        // `count` is bounded by the bytes that are there
        let mut lengths = Vec::with_capacity(count);
        while !encoded.is_empty() {
            lengths.push(take_u32(&mut encoded, "a command length")? as usize);
        }
        Ok(lengths)
    }

    /// Reads the header and then each command.
    pub(crate) fn decode_commands<C: Command>(bytes: &mut Bytes) -> Result<Vec<C>, DecodeError> {
        let lengths = BatchHeader::decode_lengths(bytes)?;
        let mut commands = Vec::with_capacity(lengths.len());
        for length in lengths {
            let mut one = take_slice(bytes, length, "a command")?;
            commands.push(C::decode(&mut one)?);
            check_end(&one, "a command")?;
        }
        check_end(bytes, "the commands")?;
        Ok(commands)
    }
}
