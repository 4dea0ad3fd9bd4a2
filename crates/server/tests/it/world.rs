//! A broker in this process, and what a test sets of it.

use std::{net::SocketAddr, path::Path, sync::Arc};

use tallymq_server::{Config, Server, ServerError, Sources};

use crate::{client::Client, disks::TestDisk};

/// Small and on ports of the system's choice; `more` counts above it.
pub fn config(data_dir: &Path, more: &[(&str, &str)]) -> Config {
    let data_dir = data_dir.display().to_string();
    let ours = [
        ("data.dir", data_dir.as_str()),
        ("listen", "127.0.0.1:0"),
        ("http.listen", ""),
        ("data.groups", "2"),
        ("wal.bytes", "16777216"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("disk.reserve.bytes", "0"),
    ];
    let flags = ours.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Config::load(Sources { flags: flags.collect(), ..Sources::default() }).unwrap()
}

/// Starts on a directory.
pub async fn start(data_dir: &Path, more: &[(&str, &str)]) -> Result<Broker, ServerError> {
    Server::start(config(data_dir, more)).await.map(Broker)
}

/// Starts on a disk in memory.
pub async fn start_on(disk: &TestDisk, more: &[(&str, &str)]) -> Broker {
    let config = config(Path::new("nowhere"), more);
    Broker(Server::start_on(Arc::new(disk.clone()), config).await.unwrap())
}

/// A running broker.
pub struct Broker(pub Server);

impl Broker {
    pub fn address(&self) -> SocketAddr {
        self.0.kafka_addresses()[0]
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.address()).await
    }

    pub async fn stop(self) {
        self.0.stop().await;
    }
}
