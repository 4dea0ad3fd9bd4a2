//! What a frame may cost in memory: lists are refused before they are allocated, and a frame of 1 MiB never takes
//! more than 64 MiB, whatever is in it.

use bytes::BytesMut;
use tallymq_gateway::kafka::client_codec::encode_request;
use tallymq_gateway::kafka::wire::Reader;
use tallymq_gateway::kafka::wire::sample::Sampler;
use tallymq_gateway::kafka::{ApiKey, Request, Response};

use crate::versions::{request_bytes, response_bytes};
use crate::{ALLOCATED, alone};

const FRAME_BYTES: usize = 1 << 20;
const PEAK_BYTES_MAX: usize = 64 << 20;

/// A count of a million, as a list of each layout begins.
fn huge_count(flexible: bool) -> &'static [u8] {
    if flexible { &[0xff, 0xff, 0x3f] } else { &[0, 0x0f, 0xff, 0x00] }
}

/// Bodies that start like a valid one, then announce a million of something, then are filled with one byte: empty
/// strings, empty lists, nulls, endless counts.
fn bombs(valid: &[u8], flexible: bool) -> impl Iterator<Item = BytesMut> {
    [0x00, 0x01, 0x02, 0xff].into_iter().flat_map(move |fill| {
        [0, 1, 2, 4, 6, 10, 16, 24].into_iter().filter(|at| *at <= valid.len()).map(move |at| {
            let mut body = BytesMut::from(&valid[..at]);
            body.extend_from_slice(huge_count(flexible));
            body.resize(FRAME_BYTES, fill);
            body
        })
    })
}

#[test]
fn no_frame_costs_many_times_its_size() {
    let _alone = alone();
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    for api in ApiKey::ALL {
        for version in [*api.decodable().start(), *api.decodable().end()] {
            let flexible = api.is_flexible(version);
            let request = Request::sample(*api, version, &mut Sampler::new(1)).expect("known version");
            for bomb in bombs(&request_bytes(&request, version), flexible) {
                let _ = Request::decode(*api, version, &mut Reader::new(bomb.freeze()));
            }
            let response = Response::sample(*api, version, &mut Sampler::new(1)).expect("known version");
            for bomb in bombs(&response_bytes(&response, version), flexible) {
                let _ = Response::decode(*api, version, &mut Reader::new(bomb.freeze()));
            }
            let peak = ALLOCATED.peak_usage().saturating_sub(before);
            assert!(peak < PEAK_BYTES_MAX, "{api} {version} took {peak} bytes");
        }
    }
}

#[test]
fn record_data_is_shared_in_both_directions() {
    use tallymq_gateway::kafka::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
    use tallymq_gateway::kafka::{Records, client_codec};

    let records = bytes::Bytes::from(vec![9u8; 100_000]);
    let partition = PartitionProduceData { index: 0, records: Some(Records::from(records.clone())) };
    let topic = TopicProduceData { partition_data: vec![partition], ..Default::default() };
    let request = Request::from(ProduceRequest { topic_data: vec![topic], ..Default::default() });
    let pieces = encode_request(9, 1, None, &request).expect("fits");
    assert!(pieces.iter().any(|piece| piece.as_ptr() == records.as_ptr()), "copied while writing");

    let mut input: BytesMut = pieces.concat().as_slice().into();
    let memory = input.as_ptr_range();
    let frame = client_codec::take_frame(&mut input, 1 << 20).expect("in bounds").expect("complete");
    let mut reader = Reader::new(frame);
    let header = tallymq_gateway::kafka::header::RequestHeader::decode(&mut reader).expect("ours");
    let Ok(Request::Produce(read)) = Request::decode(header.api, header.version, &mut reader) else {
        panic!("not read back");
    };
    let piece = read.topic_data[0].partition_data[0].records.clone().expect("not null").into_contiguous();
    assert_eq!(piece, records);
    assert!(memory.contains(&piece.as_ptr()), "copied while reading");
}
