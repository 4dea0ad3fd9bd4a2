//! Clusters that are not ours and know less: the client asks for versions as such a broker understands them, and `doctor`
//! says what it was not told.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use serde_json::json;

use crate::broker::{code, json_lines, run, stderr};

const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;
const UNSUPPORTED_VERSION: i16 = 35;

/// A request's API, version and correlation id; None at the end.
fn request(stream: &mut TcpStream) -> Option<(i16, i16, [u8; 4])> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame).unwrap();
    let number = |at: usize| i16::from_be_bytes([frame[at], frame[at + 1]]);
    Some((number(0), number(2), frame[4..8].try_into().unwrap()))
}

fn answer(stream: &mut TcpStream, correlation_id: [u8; 4], body: &[u8]) {
    let mut frame = (4 + body.len() as u32).to_be_bytes().to_vec();
    frame.extend(correlation_id);
    frame.extend(body);
    stream.write_all(&frame).unwrap();
}

fn shorts(numbers: &[i16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// The body of an ApiVersions response, version 0.
fn versions(error: i16, apis: &[[i16; 3]]) -> Vec<u8> {
    let mut body = shorts(&[error]);
    body.extend((apis.len() as i32).to_be_bytes());
    apis.iter().for_each(|api| body.extend(shorts(api)));
    body
}

/// Metadata version 0: this one broker and no topic.
fn metadata(port: u16) -> Vec<u8> {
    let mut body = 1_i32.to_be_bytes().to_vec();
    body.extend(7_i32.to_be_bytes());
    body.extend(9_i16.to_be_bytes());
    body.extend(b"127.0.0.1");
    body.extend(i32::from(port).to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    body
}

/// Reads ApiVersions up to version 0 and Metadata version 0, and nothing else.
fn serve(mut stream: TcpStream, port: u16) {
    while let Some((api, version, correlation_id)) = request(&mut stream) {
        let body = match (api, version) {
            (API_VERSIONS, 0) => versions(0, &[[API_VERSIONS, 0, 0], [METADATA, 0, 0]]),
            (API_VERSIONS, _) => versions(UNSUPPORTED_VERSION, &[]),
            (METADATA, 0) => metadata(port),
            unknown => panic!("{unknown:?} was never offered"),
        };
        answer(&mut stream, correlation_id, &body);
    }
}

#[test]
fn what_a_cluster_does_not_have_is_said_and_is_no_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || serve(stream, address.port()));
        }
    });
    let output = run(&["doctor", "--json", "-b", &address.to_string()]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let found = &json_lines(&output)[0];
    assert_eq!((&found["cluster"]["brokers"], &found["cluster"]["id"]), (&json!(1), &json!(null)));
    assert_eq!(found["findings"], json!([]), "what is not told is not judged");
    let unchecked = found["unchecked"].as_array().unwrap();
    let whats: Vec<_> = unchecked.iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(whats, ["settings of broker 7", "groups of broker 7"]);
    assert!(unchecked.iter().all(|one| one["refused"] == json!(false)), "{unchecked:?}");
}
