//! Commands about accounts as bytes: version, variant, fields.

use bytes::Bytes;
use tallymq_model::{Offset, Timestamp, TopicPartition};

use super::command::{AccountCommand, Delivery, OpenFrom, Receipt, ReceiptOutcome};
use super::mark::Witness;
use super::stored::StoredBy;
use super::who::{Committer, Reader as Fetcher, Who, cut};
use crate::codec::{DecodeError, Parts, Reader};
use crate::group::names::GroupId;

const VERSION: u8 = 1;

impl AccountCommand {
    /// Appends the command to `out`.
    pub fn encode(&self, out: &mut Parts) {
        out.put_u8(VERSION);
        match self {
            AccountCommand::Deliver { readers, deliveries } => {
                out.put_u8(0);
                put_deliver(out, readers, deliveries);
            }
            AccountCommand::MarksMayBeMissing { at } => put_timed(out, 1, *at),
            AccountCommand::MarksComplete { at } => put_timed(out, 2, *at),
            AccountCommand::OpenAccount { group, partitions, from, by, at } => {
                put_timed(out, 3, *at);
                out.put_text(group.as_str());
                out.put_length(partitions.len());
                partitions.iter().for_each(|tp| out.put_topic_partition(*tp));
                let offset = match from {
                    OpenFrom::Earliest => None,
                    OpenFrom::Offset(offset) => Some(offset),
                };
                out.put_option(offset, |out, offset| out.put_i64(offset.0));
                by.encode(out);
            }
            AccountCommand::AcknowledgeAlarms { ids, by, at } => {
                put_timed(out, 4, *at);
                out.put_option(ids.as_ref(), |out, ids| {
                    out.put_length(ids.len());
                    ids.iter().for_each(|id| out.put_u64(*id));
                });
                by.encode(out);
            }
            AccountCommand::Receipts { receipts, by, at } => {
                put_timed(out, 5, *at);
                out.put_length(receipts.len());
                receipts.iter().for_each(|receipt| receipt.encode(out));
                by.encode(out);
            }
            AccountCommand::Lost { tp, from, to, why, at } => {
                put_timed(out, 6, *at);
                put_place(out, *tp, *from, *to);
                out.put_text(&cut(why));
            }
            AccountCommand::Refused { group, positions, by, at } => {
                put_timed(out, 7, *at);
                out.put_text(group.as_str());
                put_positions(out, positions);
                by.encode(out);
            }
            AccountCommand::Switch { on, at } => {
                put_timed(out, 8, *at);
                out.put_bool(*on);
            }
            AccountCommand::TrimJournal { to, at } => {
                put_timed(out, 9, *at);
                out.put_i64(to.0);
            }
            AccountCommand::ReadsInDoubt { below, at } => {
                put_timed(out, 10, *at);
                put_positions(out, below);
            }
            AccountCommand::Stored { stored, at } => {
                put_timed(out, 12, *at);
                out.put_length(stored.len());
                stored.iter().for_each(|one| one.encode(out));
            }
            AccountCommand::StateAccounts { accounts, at } => {
                put_timed(out, 11, *at);
                put_accounts(out, accounts);
            }
        }
    }

    /// Reads one command from the front of `bytes`.
    pub fn decode(bytes: &mut Bytes) -> Result<AccountCommand, DecodeError> {
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        reader.version("an account command", VERSION)?;
        let variant = reader.u8("an account command")?;
        if variant == 0 {
            return read_deliver(reader);
        }
        let at = Timestamp(reader.i64("an account command's time")?);
        Ok(match variant {
            1 => AccountCommand::MarksMayBeMissing { at },
            2 => AccountCommand::MarksComplete { at },
            3 => AccountCommand::OpenAccount {
                group: reader.text("a group")?.into(),
                partitions: read_list(reader, 17, |reader| reader.topic_partition("a partition"))?,
                from: match reader.option("an opening", |reader| reader.i64("an opening"))? {
                    Some(offset) => OpenFrom::Offset(Offset(offset)),
                    None => OpenFrom::Earliest,
                },
                by: Who::decode(reader)?,
                at,
            },
            4 => AccountCommand::AcknowledgeAlarms {
                ids: reader
                    .option("alarms", |reader| read_list(reader, 1, |reader| reader.u64("an alarm")))?,
                by: Who::decode(reader)?,
                at,
            },
            5 => AccountCommand::Receipts {
                receipts: read_list(reader, 21, Receipt::decode)?,
                by: Who::decode(reader)?,
                at,
            },
            6 => {
                let (tp, from, to) = read_place(reader)?;
                AccountCommand::Lost { tp, from, to, why: cut(&reader.text("what is known of damage")?), at }
            }
            7 => AccountCommand::Refused {
                group: reader.text("a group")?.into(),
                positions: read_positions(reader)?,
                by: Committer::decode(reader)?,
                at,
            },
            8 => AccountCommand::Switch { on: reader.bool("the accounts' switch")?, at },
            9 => AccountCommand::TrimJournal { to: Offset(reader.i64("the journal's start")?), at },
            10 => AccountCommand::ReadsInDoubt { below: read_positions(reader)?, at },
            11 => AccountCommand::StateAccounts {
                accounts: read_list(reader, 18, |reader| {
                    Ok((reader.topic_partition("a partition")?, reader.text("a group")?.into()))
                })?,
                at,
            },
            12 => AccountCommand::Stored { stored: read_list(reader, 23, StoredBy::decode)?, at },
            found => return Err(DecodeError::Variant { what: "an account command", found }),
        })
    }

    /// About how many bytes the encoding takes; never far below it.
    pub fn size_bytes(&self) -> usize {
        if let AccountCommand::Deliver { readers, deliveries } = self {
            return AccountCommand::deliver_size_bytes(readers, deliveries.len());
        }
        let mut parts = Parts::new();
        self.encode(&mut parts);
        parts.len()
    }

    /// The same for deliveries that are still being gathered.
    pub fn deliver_size_bytes<'a>(
        readers: impl IntoIterator<Item = &'a Fetcher>,
        deliveries: usize,
    ) -> usize {
        let readers = readers.into_iter();
        let readers = readers.map(|reader| 16 + reader.group.as_str().len() + reader.who.size_bytes());
        24 + readers.sum::<usize>() + deliveries * 64
    }
}

impl Receipt {
    fn encode(&self, out: &mut Parts) {
        put_place(out, self.tp, self.from, self.to);
        out.put_text(self.group.as_str());
        put_outcome(out, self.outcome);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Receipt, DecodeError> {
        let (tp, from, to) = read_place(reader)?;
        let group = reader.text("a receipt's group")?.into();
        Ok(Receipt { tp, group, from, to, outcome: read_outcome(reader)? })
    }
}

fn put_accounts(out: &mut Parts, accounts: &[(TopicPartition, GroupId)]) {
    out.put_length(accounts.len());
    for (tp, group) in accounts {
        out.put_topic_partition(*tp);
        out.put_text(group.as_str());
    }
}

fn put_positions(out: &mut Parts, positions: &[(TopicPartition, Offset)]) {
    out.put_length(positions.len());
    for (tp, offset) in positions {
        out.put_topic_partition(*tp);
        out.put_i64(offset.0);
    }
}

fn read_positions(reader: &mut Reader<'_>) -> Result<Vec<(TopicPartition, Offset)>, DecodeError> {
    read_list(reader, 18, |reader| {
        Ok((reader.topic_partition("a partition")?, Offset(reader.i64("a position")?)))
    })
}

fn put_timed(out: &mut Parts, variant: u8, at: Timestamp) {
    out.put_u8(variant);
    out.put_i64(at.0);
}

fn put_deliver(out: &mut Parts, readers: &[Fetcher], deliveries: &[Delivery]) {
    out.put_length(readers.len());
    for reader in readers {
        out.put_text(reader.group.as_str());
        reader.who.encode(out);
        out.put_u64(reader.connection);
    }
    out.put_length(deliveries.len());
    for delivery in deliveries {
        put_place(out, delivery.tp, delivery.from, delivery.to);
        out.put_u32(delivery.reader);
        put_witness(out, delivery.witness);
        out.put_i64(delivery.at.0);
    }
}

fn read_deliver(reader: &mut Reader<'_>) -> Result<AccountCommand, DecodeError> {
    let readers = read_list(reader, 5, |reader| {
        let (group, who) = (reader.text("a reader's group")?.into(), Who::decode(reader)?);
        Ok(Fetcher { group, who, connection: reader.u64("a connection")? })
    })?;
    let deliveries = read_list(reader, 22, |reader| {
        let (tp, from, to) = read_place(reader)?;
        let (fetcher, witness) = (reader.u32("a delivery's reader")?, read_witness(reader)?);
        if fetcher as usize >= readers.len() {
            return Err(DecodeError::Range("a delivery's reader"));
        }
        let at = Timestamp(reader.i64("a delivery's time")?);
        Ok(Delivery { tp, reader: fetcher, from, to, witness, at })
    })?;
    Ok(AccountCommand::Deliver { readers, deliveries })
}

fn put_place(out: &mut Parts, tp: TopicPartition, from: Offset, to: Offset) {
    out.put_topic_partition(tp);
    out.put_i64(from.0);
    out.put_i64(to.0);
}

fn read_place(reader: &mut Reader<'_>) -> Result<(TopicPartition, Offset, Offset), DecodeError> {
    let tp = reader.topic_partition("a partition")?;
    Ok((tp, Offset(reader.i64("an offset")?), Offset(reader.i64("an offset")?)))
}

pub(super) fn put_witness(out: &mut Parts, witness: Witness) {
    out.put_bool(witness == Witness::Exact);
}

pub(super) fn read_witness(reader: &mut Reader<'_>) -> Result<Witness, DecodeError> {
    Ok(if reader.bool("a delivery's witness")? { Witness::Exact } else { Witness::Possible })
}

pub(super) fn put_outcome(out: &mut Parts, outcome: ReceiptOutcome) {
    out.put_bool(outcome == ReceiptOutcome::DeadLettered);
}

pub(super) fn read_outcome(reader: &mut Reader<'_>) -> Result<ReceiptOutcome, DecodeError> {
    let is_dead = reader.bool("a receipt")?;
    Ok(if is_dead { ReceiptOutcome::DeadLettered } else { ReceiptOutcome::Handled })
}

/// Reads a list whose elements take at least so many bytes each. Grows with what was really read.
fn read_list<T>(
    reader: &mut Reader<'_>,
    element_bytes_min: usize,
    read: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = reader.count("a list of an account command", element_bytes_min)?;
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(read(reader)?);
    }
    Ok(items)
}
