//! Standing between clients and a broker: connections are passed on, and cut in front of the requests that a test chooses.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use crate::broker::Broker;

/// A request that is not to reach the broker, by its frame without the length.
pub type IsCut = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// A broker that clients find only behind the returned address.
pub fn broker_behind(is_cut: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> (Broker, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let broker = Broker::start_with(&[&format!("advertised.listeners=PLAINTEXT://{address}")]);
    stand_between(listener, broker.address().to_owned(), Arc::new(is_cut));
    (broker, address)
}

/// Passes connections on from the listener to a broker.
fn stand_between(listener: TcpListener, broker: String, is_cut: IsCut) {
    thread::spawn(move || {
        for client in listener.incoming().map(Result::unwrap) {
            let Ok(broker) = TcpStream::connect(&broker) else { continue };
            let (mut answers, mut to_client) = (broker.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || {
                let _ = std::io::copy(&mut answers, &mut to_client);
                let _ = to_client.shutdown(Shutdown::Both);
            });
            let is_cut = is_cut.clone();
            thread::spawn(move || {
                pass(&client, &broker, &*is_cut);
                let _ = (client.shutdown(Shutdown::Both), broker.shutdown(Shutdown::Both));
            });
        }
    });
}

/// Passes on frames, until one ends or is to be cut.
fn pass(mut client: &TcpStream, mut broker: &TcpStream, is_cut: &(dyn Fn(&[u8]) -> bool + Send + Sync)) {
    let mut length = [0; 4];
    while client.read_exact(&mut length).is_ok() {
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        if client.read_exact(&mut frame).is_err() || is_cut(&frame) {
            return;
        }
        if broker.write_all(&[&length, &frame[..]].concat()).is_err() {
            return;
        }
    }
}
