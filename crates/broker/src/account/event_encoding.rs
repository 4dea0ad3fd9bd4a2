//! Events as bytes: the values of the journal's records. Each carries its version, since a journal outlives a release.
//!
//! ```text
//! version u8 = 1 | kind u8 | at i64 | partition? | group text? | fields
//! ```

use bytes::Bytes;
use tallymq_model::{Offset, Timestamp};

use super::balance::Account;
use super::class::Class;
use super::command_encoding::{put_outcome, put_witness, read_outcome, read_witness};
use super::event::{CloseReason, Happening, JournalEvent, MergedInto};
use super::stored;
use super::who::{Committer, Who};
use crate::codec::{DecodeError, Parts, Reader};
use crate::data::LogStartReason;

const VERSION: u8 = 1;

impl JournalEvent {
    /// Appends the encoding to `out`.
    pub fn encode(&self, out: &mut Parts) {
        out.put_u8(VERSION);
        out.put_u8(kind(&self.what));
        out.put_i64(self.at.0);
        out.put_option(self.tp, Parts::put_topic_partition);
        out.put_option(self.group.as_ref(), |out, group| out.put_text(group.as_str()));
        put(out, self.at, &self.what);
    }

    /// Reads one event, which has to fill `bytes`.
    pub fn decode(mut bytes: Bytes) -> Result<JournalEvent, DecodeError> {
        let mut reader = Reader::new(&mut bytes);
        let reader = &mut reader;
        reader.version("a journal event", VERSION)?;
        let kind = reader.u8("a journal event")?;
        let at = Timestamp(reader.i64("an event's time")?);
        let tp =
            reader.option("an event's partition", |reader| reader.topic_partition("an event's partition"))?;
        let group = reader.option("an event's group", |reader| reader.text("an event's group"))?;
        let what = read(reader, at, kind)?;
        if reader.remaining() > 0 {
            return Err(DecodeError::Range("a journal event's length"));
        }
        Ok(JournalEvent { at, tp, group: group.map(Into::into), what })
    }
}

fn kind(what: &Happening) -> u8 {
    match what {
        Happening::Opened { .. } => 0,
        Happening::Delivered { .. } => 1,
        Happening::Committed { .. } => 2,
        Happening::Refused { .. } => 3,
        Happening::Settled { .. } => 4,
        Happening::LogStart { .. } => 5,
        Happening::MarksMissing { .. } => 6,
        Happening::Withdrawn { .. } => 7,
        Happening::Lost { .. } => 8,
        Happening::Receipt { .. } => 9,
        Happening::Merged { .. } => 10,
        Happening::Statement(_) => 11,
        Happening::Closed { .. } => 12,
        Happening::Acknowledged { .. } => 13,
        Happening::Switched { .. } => 14,
        Happening::Trimmed { .. } => 15,
        Happening::Stored { .. } => 16,
    }
}

fn put(out: &mut Parts, at: Timestamp, what: &Happening) {
    match what {
        Happening::Opened { offset, passed_to, who } => {
            out.put_i64(offset.0);
            out.put_option(*passed_to, |out, passed| out.put_i64(passed.0));
            who.encode(out);
        }
        Happening::Delivered { from, to, witness, who, connection } => {
            put_range(out, *from, *to);
            put_witness(out, *witness);
            who.encode(out);
            out.put_u64(*connection);
        }
        Happening::Committed { to, passed, by } => {
            put_range(out, *to, *passed);
            by.encode(out);
        }
        Happening::Refused { to, by } => {
            out.put_i64(to.0);
            by.encode(out);
        }
        Happening::Settled { from, to, class } => {
            put_range(out, *from, *to);
            out.put_u8(*class as u8);
        }
        Happening::LogStart { to, why } => {
            out.put_i64(to.0);
            why.encode(out);
        }
        Happening::Stored { who, connection, runs } => stored::put(out, (who, *connection), at, runs),
        Happening::MarksMissing { below } => out.put_i64(below.0),
        Happening::Withdrawn { from, to } => put_range(out, *from, *to),
        Happening::Lost { from, to, why } => {
            put_range(out, *from, *to);
            out.put_text(why);
        }
        Happening::Receipt { from, to, outcome, who } => {
            put_range(out, *from, *to);
            put_outcome(out, *outcome);
            who.encode(out);
        }
        Happening::Merged { from, to, into } => {
            put_range(out, *from, *to);
            out.put_u8(match into {
                MergedInto::Possible => 0,
                MergedInto::Unwitnessed => 1,
                MergedInto::Counts => 2,
            });
        }
        Happening::Statement(account) => account.encode(out),
        Happening::Closed { why, statement } => {
            out.put_u8(match why {
                CloseReason::GroupDeleted => 0,
                CloseReason::PositionDeleted => 1,
                CloseReason::TopicDeleted => 2,
                CloseReason::SwitchedOff => 3,
            });
            statement.encode(out);
        }
        Happening::Acknowledged { alarms, who } => {
            out.put_u64(*alarms);
            who.encode(out);
        }
        Happening::Switched { on } => out.put_bool(*on),
        Happening::Trimmed { to } => out.put_i64(to.0),
    }
}

fn read(reader: &mut Reader<'_>, at: Timestamp, kind: u8) -> Result<Happening, DecodeError> {
    Ok(match kind {
        0 => {
            let offset = Offset(reader.i64("an opening")?);
            let passed = reader.option("an opening", |reader| reader.i64("an opening"))?;
            Happening::Opened { offset, passed_to: passed.map(Offset), who: Who::decode(reader)? }
        }
        1 => {
            let (from, to) = read_range(reader)?;
            let (witness, who) = (read_witness(reader)?, Who::decode(reader)?);
            Happening::Delivered { from, to, witness, who, connection: reader.u64("a connection")? }
        }
        2 => {
            let (to, passed) = read_range(reader)?;
            Happening::Committed { to, passed, by: Committer::decode(reader)? }
        }
        3 => Happening::Refused { to: Offset(reader.i64("a position")?), by: Committer::decode(reader)? },
        4 => {
            let (from, to) = read_range(reader)?;
            Happening::Settled { from, to, class: Class::from_number(reader.u8("a class")?)? }
        }
        5 => {
            let to = Offset(reader.i64("a log start")?);
            Happening::LogStart { to, why: LogStartReason::decode(reader)? }
        }
        6 => Happening::MarksMissing { below: Offset(reader.i64("a crash window")?) },
        7 => {
            let (from, to) = read_range(reader)?;
            Happening::Withdrawn { from, to }
        }
        8 => {
            let (from, to) = read_range(reader)?;
            Happening::Lost { from, to, why: reader.text("what is known of damage")?.into() }
        }
        9 => {
            let (from, to) = read_range(reader)?;
            Happening::Receipt { from, to, outcome: read_outcome(reader)?, who: Who::decode(reader)? }
        }
        10 => {
            let (from, to) = read_range(reader)?;
            Happening::Merged { from, to, into: read_merged(reader)? }
        }
        11 => Happening::Statement(Box::new(Account::decode(reader)?)),
        12 => {
            let why = read_close_reason(reader)?;
            Happening::Closed { why, statement: Box::new(Account::decode(reader)?) }
        }
        13 => {
            let alarms = reader.u64("acknowledged alarms")?;
            Happening::Acknowledged { alarms, who: Who::decode(reader)? }
        }
        14 => Happening::Switched { on: reader.bool("the accounts' switch")? },
        15 => Happening::Trimmed { to: Offset(reader.i64("the journal's start")?) },
        16 => {
            let (who, connection, runs) = stored::read(reader, at)?;
            Happening::Stored { who, connection, runs }
        }
        found => return Err(DecodeError::Variant { what: "a journal event", found }),
    })
}

fn read_merged(reader: &mut Reader<'_>) -> Result<MergedInto, DecodeError> {
    match reader.u8("what records were merged into")? {
        0 => Ok(MergedInto::Possible),
        1 => Ok(MergedInto::Unwitnessed),
        2 => Ok(MergedInto::Counts),
        found => Err(DecodeError::Variant { what: "what records were merged into", found }),
    }
}

fn read_close_reason(reader: &mut Reader<'_>) -> Result<CloseReason, DecodeError> {
    match reader.u8("why an account closed")? {
        0 => Ok(CloseReason::GroupDeleted),
        1 => Ok(CloseReason::PositionDeleted),
        2 => Ok(CloseReason::TopicDeleted),
        3 => Ok(CloseReason::SwitchedOff),
        found => Err(DecodeError::Variant { what: "why an account closed", found }),
    }
}

fn put_range(out: &mut Parts, from: Offset, to: Offset) {
    out.put_i64(from.0);
    out.put_i64(to.0);
}

fn read_range(reader: &mut Reader<'_>) -> Result<(Offset, Offset), DecodeError> {
    Ok((Offset(reader.i64("an event's offset")?), Offset(reader.i64("an event's offset")?)))
}
