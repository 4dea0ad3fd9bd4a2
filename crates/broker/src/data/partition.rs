//! The durable state of one partition: its log's bounds, leader epochs and idempotent producers. The records
//! themselves are elsewhere; here their offsets are assigned.

use tallymq_model::{LeaderEpoch, Offset, Term};

use super::command::Produce;
use super::epochs::{EpochEnd, EpochList};
use super::outcome::{LogStartMoved, MoveLogStartError, ProduceRefusal, Produced};
use super::producers::{Producers, Sequencing};
use super::turned::TurnedAway;
use crate::account::Ledger;
use crate::codec::{DecodeError, Parts, Reader};

/// One partition. Invariants: `log_start <= log_end`; no epoch in `epochs` is above the epoch of the newest term applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    log_start: Offset,
    log_end: Offset,
    opened_epoch: LeaderEpoch,
    opened_term: Term,
    epochs: EpochList,
    producers: Producers,
    /// Records ever appended, counted by the appends and not taken from the offsets: the left side of the accounts.
    appended: u64,
    turned_away: TurnedAway,
}

impl Partition {
    pub(super) fn open(epoch: LeaderEpoch, term: Term) -> Partition {
        Partition {
            log_start: Offset::ZERO,
            log_end: Offset::ZERO,
            opened_epoch: epoch,
            opened_term: term,
            epochs: EpochList::default(),
            producers: Producers::default(),
            appended: 0,
            turned_away: TurnedAway::default(),
        }
    }

    /// The first offset that is kept.
    pub fn log_start(&self) -> Offset {
        self.log_start
    }

    /// The offset behind the last record; also the high watermark, since what is applied is committed.
    pub fn log_end(&self) -> Offset {
        self.log_end
    }

    /// The leader epoch while the group's term is `term`: it rises with the term and never falls.
    pub fn leader_epoch(&self, term: Term) -> LeaderEpoch {
        let risen = i32::try_from(term.0.saturating_sub(self.opened_term.0)).unwrap_or(i32::MAX);
        let epoch = LeaderEpoch(self.opened_epoch.0.saturating_add(risen));
        self.epochs.last().map_or(epoch, |last| last.max(epoch))
    }

    /// Where the epoch `asked` ends (OffsetForLeaderEpoch), while the group's term is `term`.
    pub fn epoch_end(&self, asked: LeaderEpoch, term: Term) -> EpochEnd {
        self.epochs.end_of(asked, self.leader_epoch(term), self.log_end)
    }

    /// The epochs that have records.
    pub fn epochs(&self) -> &EpochList {
        &self.epochs
    }

    /// The idempotent producers that are remembered.
    pub fn producers(&self) -> &Producers {
        &self.producers
    }

    /// What came and was not stored.
    pub fn turned_away(&self) -> &TurnedAway {
        &self.turned_away
    }

    pub(super) fn count_anew(&mut self) {
        self.turned_away = TurnedAway::default();
    }

    pub(super) fn produce(&mut self, produce: &Produce, term: Term) -> Result<Produced, ProduceRefusal> {
        let header = &produce.header;
        if header.has_producer() {
            match self.producers.check(header) {
                Ok(Sequencing::Next) => self.producers.note(header, self.log_end, produce.now),
                Err(refusal) => {
                    self.turned_away.refused(header, &refusal);
                    return Err(refusal);
                }
                Ok(Sequencing::Duplicate { base_offset, timestamp }) => {
                    self.turned_away.duplicate(header);
                    return Ok(Produced::Duplicate { base_offset, timestamp, log_start: self.log_start });
                }
            }
        }
        let (base_offset, leader_epoch) = self.assign(i64::from(header.last_offset_delta) + 1, term);
        // Not the same number once more: that each record has one offset is what the accounts' equation is to find out.
        self.appended = self.appended.saturating_add_signed(i64::from(header.record_count));
        Ok(Produced::Appended { base_offset, leader_epoch, log_start: self.log_start })
    }

    /// Gives the next offsets away.
    pub(super) fn assign(&mut self, offsets: i64, term: Term) -> (Offset, LeaderEpoch) {
        let base_offset = self.log_end;
        let leader_epoch = self.leader_epoch(term);
        self.epochs.note(leader_epoch, base_offset);
        self.log_end = base_offset.plus(offsets);
        (base_offset, leader_epoch)
    }

    /// What accounts have to know.
    pub(super) fn ledger(&self) -> Ledger {
        Ledger { log_start: self.log_start, log_end: self.log_end, appended: self.appended }
    }

    pub(super) fn move_log_start(&mut self, to: Offset) -> Result<LogStartMoved, MoveLogStartError> {
        if to.0 < 0 || to > self.log_end {
            return Err(MoveLogStartError::OutOfRange { to, log_end: self.log_end });
        }
        let from = self.log_start;
        if to > from {
            self.log_start = to;
            self.epochs.trim(to);
        }
        Ok(LogStartMoved { from, log_start: self.log_start })
    }

    pub(super) fn producers_mut(&mut self) -> &mut Producers {
        &mut self.producers
    }

    pub(super) fn encode(&self, out: &mut Parts) {
        out.put_i64(self.log_start.0);
        out.put_i64(self.log_end.0);
        out.put_i32(self.opened_epoch.0);
        out.put_u64(self.opened_term.0);
        self.epochs.encode(out);
        self.producers.encode(out);
        out.put_u64(self.appended);
        self.turned_away.encode(out);
    }

    /// As a data state of this version has it. Before version 2 nobody counted appends; each offset was one record. Before version 3
    /// nobody counted what was turned away.
    pub(super) fn decode(reader: &mut Reader<'_>, version: u8) -> Result<Partition, DecodeError> {
        let log_start = Offset(reader.i64("a log start")?);
        let mut log_end = Offset(reader.i64("a log end")?);
        if tallymq_model::planted("log-end-not-restored") {
            log_end = log_start;
        }
        if log_start.0 < 0 || log_start > log_end {
            return Err(DecodeError::Range("a partition's bounds"));
        }
        let opened_epoch = LeaderEpoch(reader.i32("a partition's first epoch")?);
        let opened_term = Term(reader.u64("a partition's first term")?);
        let epochs = EpochList::decode(reader)?;
        let producers = Producers::decode(reader)?;
        let appended =
            if version < 2 { log_end.0 as u64 } else { reader.u64("a partition's appended records")? };
        let turned_away = if version < 3 { TurnedAway::default() } else { TurnedAway::decode(reader)? };
        Ok(Partition {
            log_start,
            log_end,
            opened_epoch,
            opened_term,
            epochs,
            producers,
            appended,
            turned_away,
        })
    }
}
