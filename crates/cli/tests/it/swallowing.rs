//! A connection that breaks at the worst moment: a proxy that lets produce requests through and swallows their first
//! answers, so that the broker has stored what the client must send again.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
};

use serde_json::json;

use crate::broker::{Broker, PATIENT_S, code, json_lines, stderr, stdout};

const PRODUCE: [u8; 2] = [0, 0];

fn frame(from: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame)?;
    let bytes = u32::from_be_bytes(frame[..].try_into().unwrap()) as usize;
    frame.resize(4 + bytes, 0);
    from.read_exact(&mut frame[4..])?;
    Ok(frame)
}

/// Forwards one connection until either side ends, or an answer to a produce request is swallowed.
fn forward(mut client: TcpStream, upstream: &str, swallow: &AtomicU32) {
    let mut broker = TcpStream::connect(upstream).unwrap();
    let (mut from_client, mut to_broker) = (client.try_clone().unwrap(), broker.try_clone().unwrap());
    let (asked, kinds) = mpsc::channel();
    let requests = thread::spawn(move || {
        while let Ok(frame) = frame(&mut from_client) {
            if asked.send(frame[4..6] == PRODUCE).is_err() || to_broker.write_all(&frame).is_err() {
                break;
            }
        }
        // The other direction may have ended it already.
        drop(to_broker.shutdown(Shutdown::Both));
    });
    while let (Ok(answer), Ok(is_produce)) = (frame(&mut broker), kinds.recv()) {
        let left = swallow.load(Ordering::Relaxed);
        if is_produce && left > 0 {
            swallow.store(left - 1, Ordering::Relaxed);
            break;
        }
        if client.write_all(&answer).is_err() {
            break;
        }
    }
    drop(client.shutdown(Shutdown::Both));
    requests.join().unwrap();
}

#[test]
fn a_batch_whose_answers_were_lost_is_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = listener.local_addr().unwrap().to_string();
    let advertised = format!("advertised.listeners={proxy}");
    let broker = Broker::start_with(dir.path(), "127.0.0.1:0", &["--set", &advertised]);
    let upstream = broker.address.clone();
    let swallow = Arc::new(AtomicU32::new(3));
    let left = swallow.clone();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (upstream, left) = (upstream.clone(), left.clone());
            thread::spawn(move || forward(client.unwrap(), &upstream, &left));
        }
    });
    let patient = ["produce", "t", "-p", "0", "--json", "--timeout", PATIENT_S];
    let produced = broker.run_with_input(&patient, b"a\nb\nc\n");
    assert_eq!(code(&produced), 0, "{}", stderr(&produced));
    assert_eq!(swallow.load(Ordering::Relaxed), 0, "three answers were lost");
    let offsets: Vec<_> = json_lines(&produced).iter().take(3).map(|ack| ack["offset"].clone()).collect();
    assert_eq!(offsets, [json!(0), json!(1), json!(2)], "the place of the first time");
    assert_eq!(stdout(&broker.ok(&["consume", "t", "-p", "0"])), "a\nb\nc\n");
    broker.stop();
}
