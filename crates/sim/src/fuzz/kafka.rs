//! What comes over a connection: requests and responses of every API and version, whole sessions, record batches in every
//! compression, and what members hide in their join requests.

use bytes::{Bytes, BytesMut};
use tallymq_broker::produce::{AdmitRules, admit};
use tallymq_gateway::kafka::{
    ApiKey, Request, Response, Session, SessionLimits,
    client_codec::encode_request,
    consumer_protocol::{self as protocol, ConsumerProtocolAssignment, ConsumerProtocolSubscription},
    records::{self as batches, BatchOptions, Compression, Producer, Record, build_batch, read_records},
    wire::{Reader, Writer, sample::Sampler},
};
use tallymq_model::{BatchHeader, Timestamp, TimestampType, batch::crc32c};

use super::Target;

const FRAME_BYTES_MAX: usize = 1 << 20;
const RECORDS_BYTES_MAX: usize = 1 << 20;
/// Bytes in front of what a batch's CRC covers; the CRC is the last four.
const CRC_END: usize = 21;

fn all_versions() -> impl Iterator<Item = (ApiKey, i16)> {
    ApiKey::ALL.iter().flat_map(|api| api.decodable().map(|version| (*api, version)))
}

/// The API and version that the first two bytes name, and what is behind them.
fn api_of(input: &[u8]) -> Option<(ApiKey, i16, Bytes)> {
    let (&[api, version], body) = input.split_first_chunk()?;
    let api = ApiKey::ALL[usize::from(api) % ApiKey::ALL.len()];
    let (first, last) = api.decodable().into_inner();
    let version = first + i16::from(version) % (last - first + 1);
    Some((api, version, Bytes::copy_from_slice(body)))
}

fn named(api: ApiKey, version: i16, body: Vec<Bytes>) -> Vec<u8> {
    let at = ApiKey::ALL.iter().position(|other| *other == api).unwrap_or_default();
    let first = *api.decodable().start();
    [vec![at as u8, (version - first) as u8], body.concat()].concat()
}

pub(super) fn request() -> Target {
    let sample = |(api, version): (ApiKey, i16)| {
        let mut writer = Writer::new();
        Request::sample(api, version, &mut Sampler::new(version as u64))?
            .encode(version, &mut writer)
            .ok()?;
        Some(named(api, version, writer.into_pieces()))
    };
    let run = |input: &[u8]| {
        let Some((api, version, body)) = api_of(input) else { return false };
        let Ok(request) = Request::decode(api, version, &mut Reader::new(body)) else { return false };
        request.encode(version, &mut Writer::new()).expect("what was read can be written");
        true
    };
    Target { name: "kafka-request", seeds: all_versions().filter_map(sample).collect(), run: Box::new(run) }
}

pub(super) fn response() -> Target {
    let sample = |(api, version): (ApiKey, i16)| {
        let mut writer = Writer::new();
        Response::sample(api, version, &mut Sampler::new(version as u64))?
            .encode(version, &mut writer)
            .ok()?;
        Some(named(api, version, writer.into_pieces()))
    };
    let run = |input: &[u8]| {
        let Some((api, version, body)) = api_of(input) else { return false };
        let Ok(response) = Response::decode(api, version, &mut Reader::new(body)) else { return false };
        response.encode(version, &mut Writer::new()).expect("what was read can be written");
        true
    };
    Target { name: "kafka-response", seeds: all_versions().filter_map(sample).collect(), run: Box::new(run) }
}

pub(super) fn session() -> Target {
    let sample = |(api, version): (ApiKey, i16)| {
        let request = Request::sample(api, version, &mut Sampler::new(7))?;
        Some(encode_request(version, 3, Some("fuzz"), &request).ok()?.concat())
    };
    let run = |input: &[u8]| {
        let mut session = Session::new(SessionLimits {
            frame_bytes_max: FRAME_BYTES_MAX,
            requests_in_flight_max: 8,
            bytes_in_flight_max: FRAME_BYTES_MAX,
        });
        let mut taken = false;
        let mut arrived = BytesMut::new();
        for piece in input.chunks(1 + input.len() / 3) {
            arrived.extend_from_slice(piece);
            while session.wants_input() {
                let Ok(call) = session.handle_input(&mut arrived) else { return taken };
                let Some(call) = call else { break };
                taken = true;
                let (api, version) = (call.request.api(), call.header.version);
                let response = Response::sample(api, version, &mut Sampler::new(9));
                if session.complete(call.id, response).is_err() {
                    return taken;
                }
            }
            while session.poll_transmit().is_some() {}
        }
        taken
    };
    Target { name: "kafka-session", seeds: all_versions().filter_map(sample).collect(), run: Box::new(run) }
}

const COMPRESSIONS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn sample_batches() -> Vec<Vec<u8>> {
    let record = |number: i64| Record {
        timestamp: Timestamp(1_000 + number),
        key: (number % 3 != 0).then(|| Bytes::from(number.to_string())),
        value: (number % 5 != 0).then(|| Bytes::from(vec![b'v'; (number * 7) as usize])),
        headers: vec![("name".to_owned(), (number % 2 == 0).then(|| Bytes::from_static(b"value")))],
        ..Record::default()
    };
    let mut batches = Vec::new();
    for compression in COMPRESSIONS {
        for (count, producer) in [(1, None), (20, Some(Producer { id: 5, epoch: 1, base_sequence: 3 }))] {
            let records: Vec<Record> = (0..count).map(record).collect();
            batches.push(build_batch(&records, &BatchOptions { compression, producer }).to_vec());
        }
    }
    batches
}

/// Makes length and CRC of a batch right again, so that what is behind them is reached.
fn resealed(input: &[u8]) -> Bytes {
    let mut batch = input.to_vec();
    if batch.len() >= CRC_END {
        let length = (batch.len() - 12) as i32;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        let crc = crc32c(&batch[CRC_END..]);
        batch[CRC_END - 4..CRC_END].copy_from_slice(&crc.to_be_bytes());
    }
    batch.into()
}

pub(super) fn records() -> Target {
    let run = |input: &[u8]| {
        let batch = resealed(input);
        let Ok(header) = BatchHeader::parse(&batch) else { return false };
        let _ = header.check_count();
        read_records(&header, &batch, RECORDS_BYTES_MAX).is_ok()
    };
    Target { name: "records", seeds: sample_batches(), run: Box::new(run) }
}

pub(super) fn decompressors() -> Target {
    let mut seeds = Vec::new();
    for batch in sample_batches() {
        let codec = batch[22] & 7;
        seeds.push([&[codec], &batch[tallymq_model::batch::HEADER_BYTES..]].concat());
    }
    // A frame of zstd that asks for a window of 128 MiB, and one for the largest that there is (RFC 8878 §3.1.1.1.2).
    for window in [17 << 3, 0xff] {
        seeds.push(vec![4, 0x28, 0xb5, 0x2f, 0xfd, 0, window, 1 | 3 << 3, 0, 0, b'a', b'b', b'c']);
    }
    let run = |input: &[u8]| {
        let Some((codec, body)) = input.split_first() else { return false };
        let body = Bytes::copy_from_slice(body);
        match batches::decompress(i16::from(codec % 6), body, RECORDS_BYTES_MAX) {
            Ok(records) => {
                assert!(codec % 6 == 0 || records.len() <= RECORDS_BYTES_MAX, "within its bound");
                true
            }
            Err(_) => false,
        }
    };
    Target { name: "decompress", seeds, run: Box::new(run) }
}

pub(super) fn admission() -> Target {
    let run = |input: &[u8]| {
        let timestamp_type = if input.len().is_multiple_of(2) {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        };
        let rules = AdmitRules {
            request_version: 9,
            message_bytes_max: FRAME_BYTES_MAX,
            timestamp_type,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            walk_records: true,
        };
        let _ = admit(Bytes::copy_from_slice(input), &rules, Timestamp(5_000));
        let Ok(admitted) = admit(resealed(input), &rules, Timestamp(5_000)) else { return false };
        admitted.header.check_crc(&admitted.batch).expect("what is stored has a good CRC");
        true
    };
    Target { name: "admit", seeds: sample_batches(), run: Box::new(run) }
}

pub(super) fn consumer_protocol() -> Target {
    let mut seeds = Vec::new();
    for version in 0..=3 {
        let subscription =
            ConsumerProtocolSubscription { topics: vec!["one".into(), "two".into()], ..Default::default() };
        seeds.extend(protocol::encode(&subscription, version).map(Vec::from));
        seeds.extend(protocol::encode(&ConsumerProtocolAssignment::default(), version).map(Vec::from));
    }
    let run = |input: &[u8]| {
        let payload = Bytes::copy_from_slice(input);
        let subscription = protocol::decode::<ConsumerProtocolSubscription>(payload.clone());
        let assignment = protocol::decode::<ConsumerProtocolAssignment>(payload);
        subscription.is_ok() || assignment.is_ok()
    };
    Target { name: "consumer-protocol", seeds, run: Box::new(run) }
}
