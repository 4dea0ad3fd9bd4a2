//! By which client records were stored: runs of offsets for each connection, since producers of one partition may take turns batch by
//! batch. Only the journal keeps it; no account moves.

use tallymq_model::{Offset, Timestamp, TopicPartition};

use super::event::{Happening, JournalEvent, Notes};
use super::who::Who;
use crate::codec::{DecodeError, Parts, Reader};

/// What one connection stored in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBy {
    /// The partition.
    pub tp: TopicPartition,
    /// The client; no member.
    pub who: Who,
    /// The broker's number of the connection.
    pub connection: u64,
    /// When the first of it was stored, in milliseconds.
    pub at: Timestamp,
    /// Runs of offsets, rising.
    pub runs: Vec<StoredRun>,
}

/// Records that one connection stored one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredRun {
    /// The first offset.
    pub from: Offset,
    /// The offset behind the last.
    pub to: Offset,
    /// When the first of them was stored, in milliseconds.
    pub at: Timestamp,
}

impl StoredBy {
    /// Writes it down, up to the log end of now.
    pub(crate) fn note(&self, log_end: Offset, notes: &mut Notes) {
        let known = |run: &StoredRun| StoredRun { to: run.to.min(log_end), ..*run };
        let runs = self.runs.iter().map(known).filter(|run| run.from.0 >= 0 && run.from < run.to);
        let runs: Vec<StoredRun> = runs.collect();
        if !runs.is_empty() {
            let what = Happening::Stored { who: self.who.clone(), connection: self.connection, runs };
            notes.push(JournalEvent { at: self.at, tp: Some(self.tp), group: None, what });
        }
    }

    pub(super) fn encode(&self, out: &mut Parts) {
        out.put_topic_partition(self.tp);
        out.put_i64(self.at.0);
        put(out, (&self.who, self.connection), self.at, &self.runs);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<StoredBy, DecodeError> {
        let tp = reader.topic_partition("a partition")?;
        let at = Timestamp(reader.i64("when records were stored")?);
        let (who, connection, runs) = read(reader, at)?;
        Ok(StoredBy { tp, who, connection, at, runs })
    }
}

/// Runs are written as distance to the end of the one before, length, and time since the one before; the first since `at`.
pub(super) fn put(out: &mut Parts, (who, connection): (&Who, u64), at: Timestamp, runs: &[StoredRun]) {
    who.encode(out);
    out.put_u64(connection);
    out.put_length(runs.len());
    let (mut end, mut at) = (0_i64, at.0);
    for run in runs {
        out.put_i64(run.from.0.wrapping_sub(end));
        out.put_i64(run.to.0.wrapping_sub(run.from.0));
        out.put_i64(run.at.0.wrapping_sub(at));
        (end, at) = (run.to.0, run.at.0);
    }
}

type Read = (Who, u64, Vec<StoredRun>);

pub(super) fn read(reader: &mut Reader<'_>, at: Timestamp) -> Result<Read, DecodeError> {
    let (who, connection) = (Who::decode(reader)?, reader.u64("a connection")?);
    let count = reader.count("runs of stored records", 3)?;
    let mut runs = Vec::new();
    let (mut end, mut at) = (0_i64, at.0);
    for _ in 0..count {
        let from = end.wrapping_add(reader.i64("a run of stored records")?);
        end = from.wrapping_add(reader.i64("a run of stored records")?);
        at = at.wrapping_add(reader.i64("when a run was stored")?);
        runs.push(StoredRun { from: Offset(from), to: Offset(end), at: Timestamp(at) });
    }
    Ok((who, connection, runs))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tallymq_model::{PartitionIndex, TopicId};

    use super::*;
    use crate::account::AccountCommand;

    fn run(from: i64, to: i64) -> StoredRun {
        StoredRun { from: Offset(from), to: Offset(to), at: Timestamp(9 + from) }
    }

    fn stored(runs: &[(i64, i64)]) -> StoredBy {
        StoredBy {
            tp: TopicPartition { topic: TopicId::default(), partition: PartitionIndex(3) },
            who: Who::new("", "client", "127.0.0.1"),
            connection: 7,
            at: Timestamp(9),
            runs: runs.iter().map(|(from, to)| run(*from, *to)).collect(),
        }
    }

    #[test]
    fn it_is_read_back_and_turns_cost_few_bytes() {
        let turns: Vec<(i64, i64)> = (0..1000).map(|turn| (turn * 20, turn * 20 + 10)).collect();
        let command = AccountCommand::Stored { stored: vec![stored(&turns), stored(&[])], at: Timestamp(9) };
        let mut parts = Parts::new();
        command.encode(&mut parts);
        let mut bytes: Bytes = parts.into_bytes();
        assert!(bytes.len() < 3200, "{}", bytes.len());
        assert_eq!(AccountCommand::decode(&mut bytes), Ok(command));
    }

    #[test]
    fn only_what_is_in_the_log_is_noted() {
        let mut notes = Notes::new(Offset(0));
        stored(&[(0, 4), (6, 9), (-3, 2), (12, 20)]).note(Offset(8), &mut notes);
        stored(&[(9, 12)]).note(Offset(8), &mut notes);
        let events = notes.into_events();
        assert_eq!(events.len(), 1);
        let mut parts = Parts::new();
        events[0].encode(&mut parts);
        assert_eq!(JournalEvent::decode(parts.into_bytes()).as_ref(), Ok(&events[0]));
        let Happening::Stored { runs, .. } = &events[0].what else { panic!("{events:?}") };
        assert_eq!(*runs, [run(0, 4), run(6, 8)]);
    }
}
