//! A consumer that starts while its broker goes away: it waits for it, for a while, instead of ending with an error.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use tallymq_client::{Cluster, Consumer, HandlerError, Received};

use crate::{broker::Broker, topic, waiting::within};

/// The API key of CreateTopics.
const CREATE_TOPICS: [u8; 2] = [0, 19];

/// Passes connections on from the listener to a broker; so many requests to create topics it answers by cutting the connection.
fn stand_between(listener: TcpListener, broker: String, left: Arc<AtomicUsize>) {
    thread::spawn(move || {
        for client in listener.incoming().map(Result::unwrap) {
            let Ok(broker) = TcpStream::connect(&broker) else { continue };
            let (mut answers, mut to_client) = (broker.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || {
                let _ = std::io::copy(&mut answers, &mut to_client);
                let _ = to_client.shutdown(Shutdown::Both);
            });
            let left = left.clone();
            thread::spawn(move || {
                let is_cut = || left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
                pass(&client, &broker, is_cut);
                let _ = (client.shutdown(Shutdown::Both), broker.shutdown(Shutdown::Both));
            });
        }
    });
}

/// Passes on frames, until one ends or a request to create topics is to be cut.
fn pass(mut client: &TcpStream, mut broker: &TcpStream, is_cut: impl Fn() -> bool) {
    let mut length = [0; 4];
    while client.read_exact(&mut length).is_ok() {
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        if client.read_exact(&mut frame).is_err() || (frame.starts_with(&CREATE_TOPICS) && is_cut()) {
            return;
        }
        if broker.write_all(&[&length, &frame[..]].concat()).is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_waits_for_a_broker_that_goes_away_while_it_starts() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let broker = Broker::start_with(&[&format!("advertised.listeners=PLAINTEXT://{address}")]);
    let left = Arc::new(AtomicUsize::new(0));
    stand_between(listener, broker.address().to_owned(), left.clone());
    broker.create_topic("orders", 3);
    left.store(2, SeqCst);
    let handler = |_: Received| async { Ok::<(), HandlerError>(()) };
    let builder = Consumer::builder(Cluster::at(&address), "billing").topic("orders");
    let consumer = within("it has started", builder.start(handler)).await.unwrap();
    assert_eq!(left.load(SeqCst), 0);
    assert_eq!(topic::partitions(&address, "orders.billing.dead"), 3);
    assert!(within("stop", consumer.stop(Duration::from_secs(5))).await.failure.is_none());
}
