//! Every message in every version: what is written reads back as the same value, and nothing is left over.

use bytes::Bytes;
use tallymq_gateway::kafka::wire::sample::Sampler;
use tallymq_gateway::kafka::wire::{EncodeFault, Reader, Writer};
use tallymq_gateway::kafka::{ApiKey, Request, Response};

/// Samples per message and version.
pub const SAMPLES: u64 = 24;

/// Every API with every version that can be read.
pub fn all_versions() -> impl Iterator<Item = (ApiKey, i16)> {
    ApiKey::ALL.iter().flat_map(|api| api.decodable().map(|version| (*api, version)))
}

pub fn request_bytes(request: &Request, version: i16) -> Bytes {
    let mut writer = Writer::new();
    request.encode(version, &mut writer).unwrap_or_else(|error| panic!("{version} {request:?}: {error}"));
    writer.into_pieces().concat().into()
}

pub fn response_bytes(response: &Response, version: i16) -> Bytes {
    let mut writer = Writer::new();
    response.encode(version, &mut writer).unwrap_or_else(|error| panic!("{version} {response:?}: {error}"));
    writer.into_pieces().concat().into()
}

#[test]
fn requests_read_back() {
    for (api, version) in all_versions() {
        for seed in 0..SAMPLES {
            let request = Request::sample(api, version, &mut Sampler::new(seed)).expect("known version");
            let mut reader = Reader::new(request_bytes(&request, version));
            assert_eq!(Request::decode(api, version, &mut reader), Ok(request), "{api} {version} {seed}");
            assert_eq!(reader.remaining(), 0, "{api} {version} {seed}");
        }
    }
}

#[test]
fn responses_read_back() {
    for (api, version) in all_versions() {
        for seed in 0..SAMPLES {
            let response = Response::sample(api, version, &mut Sampler::new(seed)).expect("known version");
            let mut reader = Reader::new(response_bytes(&response, version));
            assert_eq!(Response::decode(api, version, &mut reader), Ok(response), "{api} {version} {seed}");
            assert_eq!(reader.remaining(), 0, "{api} {version} {seed}");
        }
    }
}

#[test]
fn a_field_that_the_version_lacks_is_refused_unless_it_is_ignorable() {
    use tallymq_gateway::kafka::messages::metadata::MetadataRequest;
    use tallymq_gateway::kafka::messages::produce::{ProduceResponse, TopicProduceResponse};

    let asks_not_to_create = MetadataRequest { allow_auto_topic_creation: false, ..Default::default() };
    let error = Request::from(asks_not_to_create).encode(3, &mut Writer::new()).expect_err("since version 4");
    assert_eq!(error.field, Some("allow_auto_topic_creation"));
    assert_eq!(error.fault, EncodeFault::NotInVersion(3));

    let name = "named, though version 13 only has ids".to_owned();
    let topic = TopicProduceResponse { name, ..Default::default() };
    let response = ProduceResponse { responses: vec![topic], ..Default::default() };
    assert_eq!(Response::from(response).encode(13, &mut Writer::new()), Ok(()));
}

#[test]
fn null_is_refused_where_the_version_has_none() {
    use tallymq_gateway::kafka::messages::metadata::MetadataRequest;
    use tallymq_gateway::kafka::wire::DecodeFault;

    let all_topics = Request::from(MetadataRequest { topics: None, ..Default::default() });
    assert_eq!(all_topics.encode(1, &mut Writer::new()), Ok(()));
    let error = all_topics.encode(0, &mut Writer::new()).expect_err("null since version 1");
    assert_eq!((error.field, error.fault), (Some("topics"), EncodeFault::UnexpectedNull));
    let mut null = Reader::new(Bytes::from_static(&[0xff; 4]));
    let error = Request::decode(ApiKey::Metadata, 0, &mut null).expect_err("null since version 1");
    assert_eq!((error.field, error.fault), (Some("topics"), DecodeFault::UnexpectedNull));
}

#[test]
fn unknown_tagged_fields_are_skipped() {
    // Heartbeat 4: group, generation, member, instance; then tags 5 (three bytes) and 300 (none).
    let body = b"\x02g\0\0\0\x07\x02m\0\x02\x05\x03abc\xac\x02\0".as_slice();
    let mut reader = Reader::new(Bytes::from_static(body));
    let Ok(Request::Heartbeat(heartbeat)) = Request::decode(ApiKey::Heartbeat, 4, &mut reader) else {
        panic!("not read");
    };
    assert_eq!(reader.remaining(), 0);
    assert_eq!((heartbeat.group_id.as_str(), heartbeat.generation_id), ("g", 7));
}

#[test]
fn a_tagged_field_has_its_announced_size() {
    use tallymq_gateway::kafka::wire::DecodeFault;

    // Fetch 12 with nothing but a cluster id (tag 0) "ab", whose compact form takes three bytes.
    let fetch = |size: u8| {
        let mut body = vec![0; 4 + 4 + 4 + 4 + 1 + 4 + 4];
        body.extend_from_slice(&[1, 1, 1, 1, 0, size, 3, b'a', b'b', 0, 0]);
        Request::decode(ApiKey::Fetch, 12, &mut Reader::new(body.into()))
    };
    let Ok(Request::Fetch(request)) = fetch(3) else { panic!("{:?}", fetch(3)) };
    assert_eq!(request.cluster_id.as_deref(), Some("ab"));
    for size in [2, 4] {
        let error = fetch(size).expect_err("three bytes");
        assert_eq!(error.fault, DecodeFault::TaggedFieldSize(0));
    }
}
