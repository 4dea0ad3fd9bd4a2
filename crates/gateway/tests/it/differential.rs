//! Every message in every version that the crate kafka-protocol knows too: what we write it reads and writes back
//! byte for byte, and what it writes we read as the same value. It only ever gets bytes that we or itself have
//! written, as it trusts lengths.

use bytes::BytesMut;
use kafka_protocol::messages::{ApiKey as TheirApiKey, RequestKind, ResponseKind};
use tallymq_gateway::kafka::wire::Reader;
use tallymq_gateway::kafka::wire::sample::Sampler;
use tallymq_gateway::kafka::{ApiKey, Request, Response};

use crate::versions::{SAMPLES, all_versions, request_bytes, response_bytes};

/// Requests that it does not know although it knows the responses.
const REQUESTS_UNKNOWN_TO_THEM: [(ApiKey, i16); 2] = [(ApiKey::OffsetCommit, 10), (ApiKey::OffsetFetch, 10)];

fn shared_versions() -> impl Iterator<Item = (ApiKey, TheirApiKey, i16)> {
    all_versions().filter_map(|(api, version)| {
        let theirs = TheirApiKey::try_from(api.key()).expect("knows every API of ours");
        let range = theirs.valid_versions();
        (range.min..=range.max).contains(&version).then_some((api, theirs, version))
    })
}

#[test]
fn most_versions_are_shared() {
    let only_ours: Vec<_> = all_versions()
        .filter(|(api, version)| {
            !shared_versions().any(|(shared, _, shared_version)| (shared, shared_version) == (*api, *version))
        })
        .collect();
    assert_eq!(only_ours, [(ApiKey::ListOffsets, 11), (ApiKey::DescribeLogDirs, 5)]);
}

#[test]
fn requests_agree() {
    for (api, theirs, version) in shared_versions() {
        if REQUESTS_UNKNOWN_TO_THEM.contains(&(api, version)) {
            continue;
        }
        for seed in 0..SAMPLES {
            let request = Request::sample(api, version, &mut Sampler::new(seed)).expect("known version");
            let ours = request_bytes(&request, version);
            let mut unread = ours.clone();
            let decoded = RequestKind::decode(theirs, &mut unread, version)
                .unwrap_or_else(|error| panic!("{api} {version} {seed}: {error:#}\n{request:?}"));
            assert!(unread.is_empty(), "{api} {version} {seed}");
            let mut back = BytesMut::new();
            decoded.encode(&mut back, version).expect("they write what they read");
            assert_eq!(ours, back, "{api} {version} {seed}\n{request:?}\n{decoded:?}");
            let again = Request::decode(api, version, &mut Reader::new(back.freeze()));
            assert_eq!(again, Ok(request), "{api} {version} {seed}");
        }
    }
}

#[test]
fn responses_agree() {
    for (api, theirs, version) in shared_versions() {
        for seed in 0..SAMPLES {
            let response = Response::sample(api, version, &mut Sampler::new(seed)).expect("known version");
            let ours = response_bytes(&response, version);
            let mut unread = ours.clone();
            let decoded = ResponseKind::decode(theirs, &mut unread, version)
                .unwrap_or_else(|error| panic!("{api} {version} {seed}: {error:#}\n{response:?}"));
            assert!(unread.is_empty(), "{api} {version} {seed}");
            let mut back = BytesMut::new();
            decoded.encode(&mut back, version).expect("they write what they read");
            assert_eq!(ours, back, "{api} {version} {seed}\n{response:?}\n{decoded:?}");
            let again = Response::decode(api, version, &mut Reader::new(back.freeze()));
            assert_eq!(again, Ok(response), "{api} {version} {seed}");
        }
    }
}

#[test]
fn headers_agree() {
    use kafka_protocol::protocol::Decodable;
    use tallymq_gateway::kafka::header::{RequestHeader, encode_response_header};
    use tallymq_gateway::kafka::wire::Writer;

    for (api, theirs, version) in shared_versions() {
        for client_id in [None, Some(String::new()), Some("a client".to_owned())] {
            let header = RequestHeader { api, version, correlation_id: -7, client_id };
            let mut writer = Writer::new();
            header.encode(&mut writer).expect("short");
            let mut ours = bytes::Bytes::from(writer.into_pieces().concat());
            assert_eq!(RequestHeader::decode(&mut Reader::new(ours.clone())), Ok(header.clone()));
            let header_version = theirs.request_header_version(version);
            let decoded = kafka_protocol::messages::RequestHeader::decode(&mut ours, header_version)
                .expect("they read our header");
            assert!(ours.is_empty(), "{api} {version}");
            assert_eq!(decoded.request_api_key, api.key());
            assert_eq!(decoded.client_id.as_deref(), header.client_id.as_deref());
        }
        let mut writer = Writer::new();
        encode_response_header(api, version, 9, &mut writer);
        let expected: &[u8] =
            if theirs.response_header_version(version) == 0 { &[0, 0, 0, 9] } else { &[0, 0, 0, 9, 0] };
        assert_eq!(writer.into_pieces().concat(), expected, "{api} {version}");
    }
}
