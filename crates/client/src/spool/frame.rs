//! The bytes of the spool. A file is a head and a row of frames; nothing else stands in it.
//!
//! ```text
//!   head: "TMQSPOOL" · format version u32 · crc32c of both
//!
//!   0        4        8         12    13
//!   │ marker │ length │ crc32c  │kind │ body …            numbers little-endian
//!                      └ over kind and body; length counts both
//!
//!   1 record    id u64 · record          waits to be sent
//!   2 assigned  id u64 · partition i32 · numbered u8 · producer [16] · number u64
//!   3 settled   id u64                   stored by the broker, or discarded by a person
//!   4 refused   id u64 · record          the broker will never take it; kept for a person
//!
//!   record: topic · partition i32 (-1: none) · timestamp i64 (-1: none) · key · value · count u32 · (name · value) …
//!   each text or value: length u32, then bytes; length u32::MAX is null
//! ```
//!
//! It knows bytes, and no file.

use bytes::Bytes;
use uuid::Uuid;

use crate::{headers::Header, record::Record, sequence::SequenceId};

/// What a frame begins with; a search for the next whole frame looks for it.
pub(super) const MARKER: [u8; 4] = *b"\x9btQ1";
/// Marker, length and checksum.
pub(super) const FRAME_HEAD_BYTES: usize = 12;
/// No frame is longer, whatever its length field says.
pub(super) const FRAME_BYTES_MAX: usize = 128 * 1024 * 1024;

/// What a file begins with.
const FILE_MAGIC: &[u8; 8] = b"TMQSPOOL";
/// The only format there is.
const FORMAT: u32 = 1;
/// Magic, version and checksum.
pub(super) const FILE_HEAD_BYTES: usize = 16;

/// The head of a new file.
pub(super) fn file_head() -> [u8; FILE_HEAD_BYTES] {
    head_of(FORMAT)
}

/// The head of a file of any format.
pub(super) fn head_of(format: u32) -> [u8; FILE_HEAD_BYTES] {
    let mut head = [0; FILE_HEAD_BYTES];
    head[..8].copy_from_slice(FILE_MAGIC);
    head[8..12].copy_from_slice(&format.to_le_bytes());
    let checksum = crc32c(&head[..12]);
    head[12..].copy_from_slice(&checksum.to_le_bytes());
    head
}

/// Where a file's frames begin: 0 if its head is torn or damaged, so that it counts as that. Err with the version if it
/// is not ours.
pub(super) fn frames_begin(file: &[u8]) -> Result<usize, u32> {
    let Some((head, _)) = file.split_first_chunk::<FILE_HEAD_BYTES>() else { return Ok(0) };
    let format = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    match format {
        _ if *head != head_of(format) => Ok(0),
        FORMAT => Ok(FILE_HEAD_BYTES),
        other => Err(other),
    }
}

const NULL: u32 = u32::MAX;

/// One frame.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Frame {
    Record { id: u64, record: Record },
    Assigned { id: u64, partition: i32, sequence: Option<SequenceId> },
    Settled { id: u64 },
    Refused { id: u64, record: Record },
}

impl Frame {
    /// Appends the frame's bytes.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&MARKER);
        out.extend_from_slice(&[0; 8]);
        match self {
            Frame::Record { id, record } => encode_with_record(out, 1, *id, record),
            Frame::Assigned { id, partition, sequence } => {
                out.push(2);
                out.extend_from_slice(&id.to_le_bytes());
                out.extend_from_slice(&partition.to_le_bytes());
                out.push(u8::from(sequence.is_some()));
                let sequence = sequence.unwrap_or(SequenceId { producer: Uuid::nil(), number: 0 });
                out.extend_from_slice(sequence.producer.as_bytes());
                out.extend_from_slice(&sequence.number.to_le_bytes());
            }
            Frame::Settled { id } => {
                out.push(3);
                out.extend_from_slice(&id.to_le_bytes());
            }
            Frame::Refused { id, record } => encode_with_record(out, 4, *id, record),
        }
        let body = &out[start + FRAME_HEAD_BYTES..];
        let (length, checksum) = (body.len() as u32, crc32c(body));
        out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
        out[start + 8..start + 12].copy_from_slice(&checksum.to_le_bytes());
    }

    /// The frame at the beginning of `bytes` and its length; None if there is no whole one with the right checksum.
    pub(super) fn decode(bytes: &[u8]) -> Option<(Frame, usize)> {
        if bytes.get(..4)? != MARKER {
            return None;
        }
        let length = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?) as usize;
        let checksum = u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?);
        if length > FRAME_BYTES_MAX {
            return None;
        }
        let body = bytes.get(FRAME_HEAD_BYTES..FRAME_HEAD_BYTES + length)?;
        if crc32c(body) != checksum {
            return None;
        }
        let mut reader = Reader { rest: body };
        let frame = match reader.take(1)?[0] {
            1 => Frame::Record { id: reader.u64()?, record: reader.record()? },
            2 => {
                let (id, partition) = (reader.u64()?, reader.u32()? as i32);
                let numbered = reader.take(1)?[0] == 1;
                let producer = Uuid::from_slice(reader.take(16)?).ok()?;
                let sequence = SequenceId { producer, number: reader.u64()? };
                Frame::Assigned { id, partition, sequence: numbered.then_some(sequence) }
            }
            3 => Frame::Settled { id: reader.u64()? },
            4 => Frame::Refused { id: reader.u64()?, record: reader.record()? },
            _ => return None,
        };
        Some((frame, FRAME_HEAD_BYTES + length))
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

fn encode_with_record(out: &mut Vec<u8>, kind: u8, id: u64, record: &Record) {
    out.push(kind);
    out.extend_from_slice(&id.to_le_bytes());
    put(out, Some(record.topic.as_bytes()));
    out.extend_from_slice(&record.partition.unwrap_or(-1).to_le_bytes());
    out.extend_from_slice(&record.timestamp_ms.unwrap_or(-1).to_le_bytes());
    put(out, record.key.as_deref());
    put(out, record.value.as_deref());
    out.extend_from_slice(&(record.headers.len() as u32).to_le_bytes());
    for header in &record.headers {
        put(out, Some(header.name.as_bytes()));
        put(out, header.value.as_deref());
    }
}

fn put(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    out.extend_from_slice(&bytes.map_or(NULL, |bytes| bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes.unwrap_or_default());
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn value(&mut self) -> Option<Option<Bytes>> {
        match self.u32()? {
            NULL => Some(None),
            length => Some(Some(Bytes::copy_from_slice(self.take(length as usize)?))),
        }
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.value()??.to_vec()).ok()
    }

    fn record(&mut self) -> Option<Record> {
        let topic = self.text()?;
        let partition = self.u32()? as i32;
        let timestamp_ms = self.u64()? as i64;
        let (key, value) = (self.value()?, self.value()?);
        let mut headers = Vec::new();
        for _ in 0..self.u32()? {
            headers.push(Header { name: self.text()?, value: self.value()? });
        }
        Some(Record {
            topic,
            partition: (partition >= 0).then_some(partition),
            key,
            value,
            headers,
            timestamp_ms: (timestamp_ms >= 0).then_some(timestamp_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames() -> Vec<Frame> {
        let record = Record::to("t").key("k").value("v").header("h", "x").partition(3).timestamp_ms(5);
        let null = Record { headers: vec![Header { name: "n".into(), value: None }], ..Record::to("t") };
        let sequence = Some(SequenceId { producer: Uuid::from_u128(9), number: 4 });
        vec![
            Frame::Record { id: 1, record: record.clone() },
            Frame::Record { id: 2, record: null },
            Frame::Assigned { id: 2, partition: 7, sequence },
            Frame::Assigned { id: 3, partition: 0, sequence: None },
            Frame::Settled { id: 1 },
            Frame::Refused { id: 2, record },
        ]
    }

    #[test]
    fn every_frame_comes_back() {
        for frame in frames() {
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            assert_eq!(Frame::decode(&bytes), Some((frame, bytes.len())));
        }
    }

    #[test]
    fn no_part_of_a_frame_and_no_changed_frame_is_one() {
        for frame in frames() {
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            for cut in 0..bytes.len() {
                assert_eq!(Frame::decode(&bytes[..cut]), None);
            }
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 0x10;
                assert_eq!(Frame::decode(&changed), None, "byte {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn bad_bytes_get_no_panic(body in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut bytes = MARKER.to_vec();
            bytes.extend((body.len() as u32).to_le_bytes());
            bytes.extend(crc32c(&body).to_le_bytes());
            bytes.extend(&body);
            drop(Frame::decode(&bytes));
        }
    }
}
