//! The demo's processes and what is between them: broker, order service, red-packet service, and the proxy through which
//! they speak. It starts and kills; when, others say.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tallymq_client::Cluster;

use super::{
    order::{PARTITIONS, TOPIC},
    process::{Process, a_moment},
    proxy::Proxy,
};
use crate::{
    arguments::{Connection, Part},
    client::Client,
    failure::Failure,
    http::Http,
};

/// Enough for the demo, and made in a moment at each start.
const WAL_BYTES: u64 = 32 << 20;
/// Longer than it all takes: a sync in between would make the damage a matter of luck.
const ASYNC_INTERVAL_MS: u64 = 3_600_000;
/// The broker needs some time to come back, or to end, on a busy machine with a slow disk, and never this long.
const START: Duration = Duration::from_secs(300);
const STOP: Duration = Duration::from_secs(300);
const HTTP_SECONDS: u64 = 300;

/// Who plays. A process is None while it is dead.
pub struct Scene {
    directory: PathBuf,
    without: Option<Part>,
    pub proxy: Proxy,
    http: Option<SocketAddr>,
    pub broker: Option<Process>,
    pub order_service: Option<Process>,
    pub packet_service: Option<Process>,
    /// What the red-packet service's sequence check missed, as killed processes said it.
    gaps: BTreeSet<String>,
}

impl Scene {
    /// Nobody plays yet.
    pub async fn set(directory: &Path, without: Option<Part>) -> Result<Scene, Failure> {
        std::fs::create_dir_all(directory.join("logs"))?;
        Ok(Scene {
            directory: directory.to_owned(),
            without,
            proxy: Proxy::start().await?,
            http: None,
            broker: None,
            order_service: None,
            packet_service: None,
            gaps: BTreeSet::new(),
        })
    }

    /// Where clients connect.
    pub fn bootstrap(&self) -> String {
        self.proxy.address().to_string()
    }

    /// The broker's books, while it lives.
    pub fn http(&self) -> Option<Http> {
        self.broker.as_ref()?;
        Some(Http::new(&self.http?.to_string(), HTTP_SECONDS))
    }

    /// Where the broker's data is.
    pub fn broker_directory(&self) -> PathBuf {
        self.directory.join("broker")
    }

    /// Starts the broker and leads the proxy to it.
    pub async fn start_broker(&mut self) -> Result<(), Failure> {
        let data_dir = self.broker_directory().display().to_string();
        let advertised = format!("advertised.listeners={}", self.proxy.address());
        let mut arguments =
            words("serve --volatile --listen 127.0.0.1:0 --http-listen 127.0.0.1:0 --data-dir");
        arguments.extend([data_dir, "--set".to_owned(), advertised]);
        // There is one member, so that its group need not wait for others.
        let delay = "group.initial.rebalance.delay.ms=0".to_owned();
        for setting in [format!("wal.bytes={WAL_BYTES}"), format!("num.partitions={PARTITIONS}"), delay] {
            arguments.extend(["--set".to_owned(), setting]);
        }
        if self.without == Some(Part::Sync) {
            let interval = format!("flush.interval.ms={ASYNC_INTERVAL_MS}");
            arguments.extend(["--set".to_owned(), "flush=async".to_owned(), "--set".to_owned(), interval]);
        }
        let mut broker = Process::start("broker", &arguments, &self.logs())?;
        is_ready(&mut broker).await?;
        self.proxy.lead_to(address(&broker, "kafka listening on ")?);
        self.http = address(&broker, "http listening on ")?;
        self.broker = Some(broker);
        Ok(())
    }

    /// Has the broker make the topic of the orders.
    pub async fn create_topic(&self) -> Result<(), Failure> {
        let connection = Connection { bootstrap: self.bootstrap(), timeout: HTTP_SECONDS };
        let mut client = Client::connect(&connection).await?;
        client.topic_with_leaders(TOPIC, true).await?;
        Ok(())
    }

    /// Starts the order service.
    pub async fn start_order_service(&mut self) -> Result<(), Failure> {
        self.order_service = Some(self.service("order service", "demo-order-service").await?);
        Ok(())
    }

    /// Starts the red-packet service.
    pub async fn start_packet_service(&mut self) -> Result<(), Failure> {
        self.packet_service = Some(self.service("red-packet service", "demo-red-packet-service").await?);
        Ok(())
    }

    async fn service(&self, name: &'static str, subcommand: &str) -> Result<Process, Failure> {
        let mut arguments = words(subcommand);
        arguments.extend(["--directory".to_owned(), self.directory.display().to_string()]);
        arguments.extend(["--bootstrap".to_owned(), self.bootstrap()]);
        if let Some(value) = self.without.and_then(|part| clap::ValueEnum::to_possible_value(&part)) {
            arguments.extend(["--without".to_owned(), value.get_name().to_owned()]);
        }
        let mut process = Process::start(name, &arguments, &self.logs())?;
        is_ready(&mut process).await?;
        Ok(process)
    }

    /// kill -9. Answers its process id.
    pub async fn kill_broker(&mut self) -> Result<u32, Failure> {
        self.proxy.lead_to(None);
        Ok(kill(&mut self.broker).await?.0)
    }

    /// kill -9. Answers its process id.
    pub async fn kill_order_service(&mut self) -> Result<u32, Failure> {
        Ok(kill(&mut self.order_service).await?.0)
    }

    /// kill -9. Answers its process id.
    pub async fn kill_packet_service(&mut self) -> Result<u32, Failure> {
        let (id, said) = kill(&mut self.packet_service).await?;
        self.gaps.extend(said.iter().filter_map(|line| line.strip_prefix("missing ")).map(str::to_owned));
        Ok(id)
    }

    /// An error if a process has ended by itself.
    pub fn check(&mut self) -> Result<(), Failure> {
        let all = [&mut self.broker, &mut self.order_service, &mut self.packet_service];
        all.into_iter().flatten().try_for_each(Process::check)
    }

    /// Every gap that the sequence check found so far: how many messages, and which.
    pub fn gaps(&self) -> Vec<(u64, String)> {
        let mut gaps = self.gaps.clone();
        gaps.extend(self.packet_service.iter().flat_map(|service| service.all_heard("missing ")));
        let parse = |gap: String| {
            let (count, text) = gap.split_once(' ')?;
            Some((count.parse().ok()?, text.to_owned()))
        };
        gaps.into_iter().filter_map(parse).collect()
    }

    /// Lets the broker stop in order.
    pub async fn stop_broker(&mut self) -> Result<(), Failure> {
        match self.broker.take() {
            Some(broker) => broker.end(STOP).await,
            None => Ok(()),
        }
    }

    fn logs(&self) -> PathBuf {
        self.directory.join("logs")
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

async fn is_ready(process: &mut Process) -> Result<(), Failure> {
    let since = Instant::now();
    while process.heard("ready").is_none() {
        process.check()?;
        if since.elapsed() > START {
            return Err(Failure::Failed(format!("a process does not start within {} s", START.as_secs())));
        }
        a_moment().await;
    }
    Ok(())
}

fn address(broker: &Process, start: &str) -> Result<Option<SocketAddr>, Failure> {
    let text = broker.heard(start).unwrap_or_default();
    let address = text.parse().map_err(|_| Failure::Failed(format!("the broker says \"{start}{text}\"")))?;
    Ok(Some(address))
}

async fn kill(process: &mut Option<Process>) -> Result<(u32, Vec<String>), Failure> {
    match process.take() {
        Some(process) => Ok((process.id(), process.kill().await?)),
        None => Ok((0, Vec::new())),
    }
}

/// How the services reach the broker: as any program would, but quicker to come back than librdkafka's defaults, which are made for
/// clusters that thousands of clients return to.
pub fn cluster(bootstrap: &str, client: &str) -> Cluster {
    Cluster::at(bootstrap)
        .set("client.id", client)
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200")
        .set("retry.backoff.ms", "20")
        .set("retry.backoff.max.ms", "200")
}
