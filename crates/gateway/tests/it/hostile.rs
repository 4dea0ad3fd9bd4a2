//! Bytes from people who mean harm: valid frames of every API and version, then cut and changed. Never a panic;
//! whatever is still accepted can be written again.

use bytes::{Bytes, BytesMut};
use tallymq_gateway::kafka::client_codec::{decode_response, encode_request};
use tallymq_gateway::kafka::wire::Writer;
use tallymq_gateway::kafka::wire::sample::Sampler;
use tallymq_gateway::kafka::{Request, Response, Session, SessionLimits};

use crate::versions::{all_versions, response_bytes};

const FRAME_BYTES_MAX: usize = 1 << 20;
const MUTATIONS: usize = 250;

fn session() -> Session {
    let bytes_in_flight_max = FRAME_BYTES_MAX;
    Session::new(SessionLimits {
        frame_bytes_max: FRAME_BYTES_MAX,
        requests_in_flight_max: 8,
        bytes_in_flight_max,
    })
}

/// What lengths, counts and markers turn into when somebody tries.
const EXTREMES: &[&[u8]] = &[
    &[0xff, 0xff, 0xff, 0xff],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x80, 0, 0, 0],
    &[0, 0x10, 0, 0],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0x7f, 0xff],
    &[0x80],
    &[0xfe],
    &[0],
    &[2],
];

fn mutate(bytes: &[u8], sampler: &mut Sampler) -> Vec<u8> {
    let mut mutated = bytes.to_vec();
    for _ in 0..1 + sampler.number() as u64 % 3 {
        let at = sampler.number() as u64 as usize % mutated.len().max(1);
        match sampler.number() & 3 {
            0 => mutated.truncate(at),
            1 if at < mutated.len() => mutated[at] ^= 1 << (sampler.number() & 7),
            2 => mutated
                .splice(at.min(mutated.len())..at.min(mutated.len()), [sampler.number() as u8])
                .for_each(drop),
            _ => {
                let extreme = EXTREMES[sampler.number() as u64 as usize % EXTREMES.len()];
                let end = (at + extreme.len()).min(mutated.len());
                mutated.splice(at.min(end)..end, extreme.iter().copied()).for_each(drop);
            }
        }
    }
    mutated
}

fn rewrite(version: i16, encode: impl Fn(&mut Writer) -> bool, what: &dyn std::fmt::Debug) {
    assert!(encode(&mut Writer::new()), "version {version} accepted but cannot be written: {what:?}");
}

#[test]
fn mutated_requests_never_panic() {
    let (mut accepted, mut refused) = (0, 0);
    for (api, version) in all_versions() {
        let mut sampler = Sampler::new(i64::from(api.key()) as u64 * 100 + version as u64);
        for _ in 0..MUTATIONS {
            let request = Request::sample(api, version, &mut sampler).expect("known version");
            let frame = encode_request(version, 1, Some("client"), &request).expect("a sample fits").concat();
            let body = mutate(&frame[4..], &mut sampler);
            let mut input = BytesMut::from(&(body.len() as i32).to_be_bytes()[..]);
            input.extend_from_slice(&body);
            let mut session = session();
            match session.handle_input(&mut input) {
                Ok(Some(call)) => {
                    accepted += 1;
                    let version = call.header.version;
                    rewrite(version, |writer| call.request.encode(version, writer).is_ok(), &call);
                }
                Ok(None) => {
                    assert!(session.poll_transmit().is_some(), "only an answered ApiVersions is no call")
                }
                Err(error) => {
                    refused += 1;
                    assert!(!error.to_string().is_empty());
                }
            }
        }
    }
    assert!(accepted > 1000 && refused > 1000, "{accepted} accepted, {refused} refused");
}

#[test]
fn mutated_responses_never_panic() {
    let (mut accepted, mut refused) = (0, 0);
    for (api, version) in all_versions() {
        let mut sampler = Sampler::new(i64::from(api.key()) as u64 * 100 + version as u64);
        for _ in 0..MUTATIONS {
            let response = Response::sample(api, version, &mut sampler).expect("known version");
            let frame = Bytes::from(mutate(&response_bytes(&response, version), &mut sampler));
            match decode_response(api, version, frame) {
                Ok((_, response)) => {
                    accepted += 1;
                    // ApiVersions may have been read as version 0, whose fields every version has.
                    rewrite(version, |writer| response.encode(version, writer).is_ok(), &response);
                }
                Err(error) => {
                    refused += 1;
                    assert!(!error.to_string().is_empty());
                }
            }
        }
    }
    assert!(accepted > 1000 && refused > 1000, "{accepted} accepted, {refused} refused");
}

#[test]
fn every_truncation_is_an_error() {
    for (api, version) in all_versions() {
        let request = Request::sample(api, version, &mut Sampler::new(3)).expect("known version");
        let frame = encode_request(version, 1, Some("client"), &request).expect("a sample fits").concat();
        for length in 0..frame.len() - 4 {
            let mut input = BytesMut::from(&(length as i32).to_be_bytes()[..]);
            input.extend_from_slice(&frame[4..4 + length]);
            let outcome = session().handle_input(&mut input);
            assert!(outcome.is_err(), "{api} {version} cut to {length} bytes: {outcome:?}");
        }
    }
}
