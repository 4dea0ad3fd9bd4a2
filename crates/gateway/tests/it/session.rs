//! The connection session: order, silence, bounds, and what closes a connection.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use tallymq_gateway::kafka::client_codec::{decode_response, encode_request, take_frame};
use tallymq_gateway::kafka::frame::FrameError;
use tallymq_gateway::kafka::header::RequestHeaderError;
use tallymq_gateway::kafka::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use tallymq_gateway::kafka::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use tallymq_gateway::kafka::messages::produce::ProduceRequest;
use tallymq_gateway::kafka::wire::{DecodeFault, EncodeFault};
use tallymq_gateway::kafka::{
    ApiKey, Call, ErrorCode, Request, Response, Session, SessionError, SessionLimits,
};

const LIMITS: SessionLimits =
    SessionLimits { frame_bytes_max: 4096, requests_in_flight_max: 16, bytes_in_flight_max: 8192 };

fn heartbeat(correlation_id: i32) -> Vec<u8> {
    let request =
        HeartbeatRequest { group_id: "g".into(), generation_id: correlation_id, ..Default::default() };
    encode_request(4, correlation_id, Some("client"), &request.into()).expect("fits").concat()
}

fn answer(call: &Call) -> Option<Response> {
    let Request::Heartbeat(request) = &call.request else { panic!("not a heartbeat: {call:?}") };
    assert_eq!(request.generation_id, call.header.correlation_id);
    Some(HeartbeatResponse { throttle_time_ms: request.generation_id, ..Default::default() }.into())
}

fn calls(session: &mut Session, input: &mut BytesMut) -> Vec<Call> {
    std::iter::from_fn(|| session.handle_input(input).expect("valid input")).collect()
}

/// What a client sees of an answer, as (correlation id, response).
fn received(api: ApiKey, version: i16, pieces: Vec<Bytes>) -> (i32, Response) {
    let mut bytes = BytesMut::from(pieces.concat().as_slice());
    let frame = take_frame(&mut bytes, usize::MAX).expect("in bounds").expect("complete");
    assert!(bytes.is_empty());
    decode_response(api, version, frame).expect("an answer")
}

fn transmitted(session: &mut Session) -> Vec<i32> {
    std::iter::from_fn(|| session.poll_transmit())
        .map(|pieces| received(ApiKey::Heartbeat, 4, pieces).0)
        .collect()
}

fn fails(input: &[u8]) -> SessionError {
    let mut session = Session::new(LIMITS);
    let mut input = BytesMut::from(input);
    let error = session.handle_input(&mut input).expect_err("to be refused");
    assert!(!session.wants_input());
    assert_eq!(session.handle_input(&mut BytesMut::from(heartbeat(1).as_slice())), Ok(None), "goes on");
    error
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&(body.len() as i32).to_be_bytes(), body].concat()
}

#[test]
fn answers_leave_in_the_order_of_the_requests() {
    let mut session = Session::new(LIMITS);
    let mut input: BytesMut = (1..=3).flat_map(heartbeat).collect();
    let calls = calls(&mut session, &mut input);
    assert_eq!(calls.iter().map(|call| call.header.correlation_id).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(calls[0].header.client_id.as_deref(), Some("client"));
    session.complete(calls[2].id, answer(&calls[2])).expect("waits");
    session.complete(calls[1].id, answer(&calls[1])).expect("waits");
    assert_eq!(session.poll_transmit(), None, "the first is not answered");
    session.complete(calls[0].id, answer(&calls[0])).expect("waits");
    assert_eq!(transmitted(&mut session), [1, 2, 3]);
    assert_eq!((session.requests_in_flight(), session.bytes_in_flight()), (0, 0));
}

proptest! {
    /// Whatever the pieces in which bytes arrive and the order in which calls are answered.
    #[test]
    fn order_does_not_depend_on_timing(
        cuts in prop::collection::vec(1usize..40, 1..60),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 40),
    ) {
        let mut session = Session::new(SessionLimits { requests_in_flight_max: 5, ..LIMITS });
        let stream: Vec<u8> = (0..20).flat_map(heartbeat).collect();
        let (mut unsent, mut input) = (stream.as_slice(), BytesMut::new());
        let (mut waiting, mut seen) = (Vec::new(), Vec::new());
        let (mut cuts, mut picks) = (cuts.iter().cycle(), picks.iter().cycle());
        while seen.len() < 20 {
            let (now, later) = unsent.split_at((*cuts.next().expect("cycles")).min(unsent.len()));
            input.extend_from_slice(now);
            unsent = later;
            waiting.extend(calls(&mut session, &mut input));
            prop_assert!(session.requests_in_flight() <= 5);
            if !waiting.is_empty() {
                let call = waiting.swap_remove(picks.next().expect("cycles").index(waiting.len()));
                session.complete(call.id, answer(&call)).expect("waits");
            }
            seen.extend(transmitted(&mut session));
        }
        prop_assert_eq!(seen, (0..20).collect::<Vec<_>>());
    }
}

#[test]
fn frames_arrive_byte_by_byte() {
    let mut session = Session::new(LIMITS);
    let mut input = BytesMut::new();
    let frame = heartbeat(5);
    for (index, byte) in frame.iter().enumerate() {
        input.extend_from_slice(&[*byte]);
        let call = session.handle_input(&mut input).expect("valid so far");
        assert_eq!(call.is_some(), index + 1 == frame.len());
    }
    assert!(input.is_empty());
}

#[test]
fn produce_without_acks_is_answered_by_silence_in_its_place() {
    let mut session = Session::new(LIMITS);
    let unacked = Request::from(ProduceRequest { acks: 0, ..Default::default() });
    let mut input = BytesMut::from(heartbeat(1).as_slice());
    input.extend_from_slice(&encode_request(9, 2, None, &unacked).expect("fits").concat());
    input.extend_from_slice(&heartbeat(3));
    let calls = calls(&mut session, &mut input);
    session.complete(calls[1].id, None).expect("waits");
    assert_eq!(session.poll_transmit(), None);
    session.complete(calls[0].id, answer(&calls[0])).expect("waits");
    session.complete(calls[2].id, answer(&calls[2])).expect("waits");
    assert_eq!(transmitted(&mut session), [1, 3]);
    assert_eq!(session.requests_in_flight(), 0);
}

#[test]
fn input_waits_while_too_many_requests_are_in_flight() {
    let mut session = Session::new(SessionLimits { requests_in_flight_max: 2, ..LIMITS });
    let mut input: BytesMut = (1..=3).flat_map(heartbeat).collect();
    let first = calls(&mut session, &mut input);
    assert_eq!(first.len(), 2);
    assert!(!session.wants_input());
    session.complete(first[0].id, answer(&first[0])).expect("waits");
    assert!(!session.wants_input(), "an answer that has not left counts");
    assert_eq!(transmitted(&mut session), [1]);
    assert!(session.wants_input());
    assert_eq!(calls(&mut session, &mut input)[0].header.correlation_id, 3);
}

#[test]
fn input_waits_while_too_many_bytes_are_in_flight() {
    let frame_bytes = heartbeat(1).len() - 4;
    let mut session = Session::new(SessionLimits { bytes_in_flight_max: frame_bytes + 1, ..LIMITS });
    let mut input: BytesMut = (1..=3).flat_map(heartbeat).collect();
    let first = calls(&mut session, &mut input);
    assert_eq!(first.len(), 2, "exceeded by one frame at most");
    assert_eq!(session.bytes_in_flight(), 2 * frame_bytes);
    session.complete(first[0].id, None).expect("waits");
    assert!(session.wants_input(), "a silent answer has no bytes");
}

#[test]
fn bad_lengths_close_the_connection() {
    let error = |length: i32| SessionError::Frame(FrameError { length, frame_bytes_max: 4096 });
    assert_eq!(fails(&4097i32.to_be_bytes()), error(4097));
    assert_eq!(fails(&i32::MAX.to_be_bytes()), error(i32::MAX));
    assert_eq!(fails(&(-1i32).to_be_bytes()), error(-1));
    assert_eq!(fails(b"GET / HTTP/1.1\r\n\r\n"), error(i32::from_be_bytes(*b"GET ")));
    let SessionError::Header(RequestHeaderError::Malformed(error)) = fails(&framed(b"")) else {
        panic!("an empty frame has no header");
    };
    assert_eq!(error.fault, DecodeFault::Truncated { wanted: 2, remaining: 0 });
}

#[test]
fn apis_and_versions_that_are_not_spoken_close_the_connection() {
    let unknown = fails(&framed(&[0, 7, 0, 3, 0, 0, 0, 9, 0xff, 0xff]));
    let expected = RequestHeaderError::UnknownApi { api_key: 7, version: 3, correlation_id: 9 };
    assert_eq!(unknown, SessionError::Header(expected));
    for (api, version) in
        [(ApiKey::Produce, 2i16), (ApiKey::Fetch, 3), (ApiKey::Metadata, 14), (ApiKey::Fetch, -1)]
    {
        let mut body = api.key().to_be_bytes().to_vec();
        body.extend_from_slice(&version.to_be_bytes());
        body.extend_from_slice(&[0, 0, 0, 9, 0xff, 0xff, 0]);
        assert_eq!(
            fails(&framed(&body)),
            SessionError::UnsupportedVersion { api, version, correlation_id: 9 }
        );
    }
}

#[test]
fn a_malformed_body_is_named() {
    let mut body = heartbeat(77)[4..].to_vec();
    body.truncate(body.len() - 2);
    let error = fails(&framed(&body));
    let text = error.to_string();
    assert!(text.contains("malformed Heartbeat request, version 4, correlation id 77"), "{text}");
}

#[test]
fn an_unknown_api_versions_version_is_answered_in_version_0() {
    for version in [5, 99, i16::MAX] {
        let mut session = Session::new(LIMITS);
        let mut input = BytesMut::from(heartbeat(1).as_slice());
        let mut body = vec![0, 18];
        body.extend_from_slice(&version.to_be_bytes());
        body.extend_from_slice(b"\0\0\0\x02\0\x01c\0 whatever the future holds");
        input.extend_from_slice(&framed(&body));
        input.extend_from_slice(&heartbeat(3));
        let calls = calls(&mut session, &mut input);
        assert_eq!(calls.len(), 2, "the session answers by itself and goes on");
        for call in &calls {
            session.complete(call.id, answer(call)).expect("waits");
        }
        session.poll_transmit().expect("the first heartbeat");
        let pieces = session.poll_transmit().expect("in its place");
        let raw = pieces.concat();
        assert_eq!(
            raw, b"\0\0\0\x10\0\0\0\x02\0\x23\0\0\0\x01\0\x12\0\0\0\x04",
            "KIP-511, header and body 0"
        );
        let (correlation_id, response) = received(ApiKey::ApiVersions, version, pieces);
        let Response::ApiVersions(response) = response else { panic!("{response:?}") };
        assert_eq!((correlation_id, response.error_code), (2, ErrorCode::UnsupportedVersion));
        assert_eq!(response.api_keys, [ApiKey::ApiVersions.advertisement()]);
    }
}

#[test]
fn a_known_api_versions_version_is_a_call_like_any_other() {
    let mut session = Session::new(LIMITS);
    let request = ApiVersionsRequest { client_software_name: "c".into(), ..Default::default() };
    let frame = encode_request(3, 1, None, &request.clone().into()).expect("fits").concat();
    let call = session.handle_input(&mut BytesMut::from(frame.as_slice())).expect("valid").expect("whole");
    assert_eq!(call.request, request.into());
    let api_keys: Vec<_> = ApiKey::ALL.iter().map(|api| api.advertisement()).collect();
    let response = Response::from(ApiVersionsResponse { api_keys, ..Default::default() });
    session.complete(call.id, Some(response.clone())).expect("waits");
    let pieces = session.poll_transmit().expect("answered");
    assert_eq!(received(ApiKey::ApiVersions, 3, pieces), (1, response));
}

#[test]
fn answers_that_do_not_fit_are_errors() {
    let mut session = Session::new(LIMITS);
    let mut input: BytesMut = (1..=2).flat_map(heartbeat).collect();
    let calls = calls(&mut session, &mut input);
    session.complete(calls[0].id, answer(&calls[0])).expect("waits");
    let again = session.complete(calls[0].id, None);
    assert_eq!(again, Err(SessionError::NotWaiting(calls[0].id)));
    assert_eq!(transmitted(&mut session), [1]);
    let gone = session.complete(calls[0].id, None);
    assert_eq!(gone, Err(SessionError::NotWaiting(calls[0].id)));
    let wrong = session.complete(calls[1].id, Some(ApiVersionsResponse::default().into()));
    let (api, answered) = (ApiKey::Heartbeat, ApiKey::ApiVersions);
    assert_eq!(wrong, Err(SessionError::WrongAnswer { api, answered }));
}

#[test]
fn an_answer_that_the_version_cannot_say_names_its_field() {
    use tallymq_gateway::kafka::messages::fetch::{FetchRequest, FetchResponse};

    let mut session = Session::new(LIMITS);
    let frame = encode_request(4, 8, None, &FetchRequest::default().into()).expect("fits").concat();
    let call = session.handle_input(&mut BytesMut::from(frame.as_slice())).expect("valid").expect("whole");
    let response = FetchResponse { session_id: 5, ..Default::default() };
    let error = session.complete(call.id, Some(response.into())).expect_err("sessions came with version 7");
    let SessionError::Unanswerable { error, .. } = &error else { panic!("{error}") };
    assert_eq!((error.field, error.fault), (Some("session_id"), EncodeFault::NotInVersion(4)));
}
