//! The real broker on an address of its own, which it keeps through restarts. With `APACHE_KAFKA_CLASSPATH` in the
//! environment it is Apache Kafka, for the tests that need nothing else of a broker.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use tallymq_client::Cluster;
use tempfile::TempDir;

use crate::process::Process;

#[path = "apache_kafka.rs"]
mod apache_kafka;

/// A running broker with its data, or a killed one.
pub struct Broker {
    address: String,
    http: String,
    settings: Vec<String>,
    data: TempDir,
    process: Option<Process>,
}

/// The broker's binary: `TALLYMQ_BINARY`, or what was built beside these tests, or what this workspace built before.
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("TALLYMQ_BINARY") {
        return path.into();
    }
    // target/debug/deps/it-… and target/debug/tallymq
    let here = std::env::current_exe().unwrap();
    let beside = here.parent().unwrap().parent().unwrap().join("tallymq");
    let before = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/debug/tallymq");
    [beside, before].into_iter().find(|path| path.exists()).expect(
        "these tests need the broker: run `cargo build -p tallymq-cli` first, or name a binary in TALLYMQ_BINARY",
    )
}

/// On a host that no other broker has, and no client connects from: so a killed broker's port stays free until it starts again.
fn address_of_its_own() -> String {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    let [.., high, low] = std::process::id().to_be_bytes();
    format!("127.{high}.{low}.{}:0", 2 + STARTED.fetch_add(1, SeqCst) % 250)
}

fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&to).unwrap();
            copy_files(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

impl Broker {
    /// Starts one with an empty data directory.
    pub fn start() -> Broker {
        Broker::start_with(&[])
    }

    /// With settings of its own.
    pub fn start_with(settings: &[&str]) -> Broker {
        let mut broker = Broker {
            address: address_of_its_own(),
            http: String::new(),
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            data: tempfile::tempdir().unwrap(),
            process: None,
        };
        broker.start_again();
        broker
    }

    /// Starts it on its data, at its address.
    pub fn start_again(&mut self) {
        if let Some(class_path) = apache_kafka::class_path() {
            if self.address.ends_with(":0") {
                self.address = apache_kafka::prepare(&class_path, self.data.path());
            }
            let mut process = Process::start(&mut apache_kafka::server(&class_path, self.data.path()));
            process.line_after(apache_kafka::READY);
            self.process = Some(process);
            return;
        }
        let mut command = Command::new(binary());
        command.args(["serve", "--listen", &self.address, "--http-listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(self.data.path());
        for set in
            ["group.initial.rebalance.delay.ms=0", "auto.create.topics.enable=false", "background.threads=2"]
        {
            command.args(["--set", set]);
        }
        for set in &self.settings {
            command.args(["--set", set]);
        }
        let mut process = Process::start(&mut command);
        self.address = process.line_after("kafka listening on ");
        self.http = process.line_after("http listening on ");
        process.line_after("ready");
        self.process = Some(process);
    }

    /// A copy of what it has on disk. It must not run.
    pub fn backup(&self) -> TempDir {
        assert!(self.process.is_none(), "it writes");
        let copy = tempfile::tempdir().unwrap();
        copy_files(self.data.path(), copy.path());
        copy
    }

    /// Starts it on a backup, which as far as the log's end goes is what a power cut leaves of unsynced data. A leader's term lasts
    /// through that, so it is taken further first, where no client sees it.
    pub fn restore(&mut self, backup: &TempDir) {
        assert!(self.process.is_none(), "it writes");
        self.data = tempfile::tempdir().unwrap();
        copy_files(backup.path(), self.data.path());
        let address = std::mem::replace(&mut self.address, "127.0.0.1:0".into());
        for _ in 0..2 {
            self.start_again();
            self.kill();
            self.address = "127.0.0.1:0".into();
        }
        self.address = address;
        self.start_again();
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.process.take().expect("it runs").kill();
    }

    /// The address, also of a killed one.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How to reach it, with times that suit tests.
    pub fn cluster(&self) -> Cluster {
        Cluster::at(&self.address)
            .set("session.timeout.ms", "45000")
            .set("heartbeat.interval.ms", "500")
            .set("reconnect.backoff.ms", "20")
            .set("topic.metadata.refresh.interval.ms", "1000")
    }

    /// What `tallymq ARGUMENTS --json` says, asked over HTTP.
    pub fn asked(&self, arguments: &[&str]) -> serde_json::Value {
        let mut command = Command::new(binary());
        command.args(arguments).args(["--json", "--http", &self.http]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Kills it and checks its files: the books have to be provable from them alone.
    pub fn kill_and_verify(&mut self) {
        self.kill();
        let output =
            Command::new(binary()).args(["verify", "--data-dir"]).arg(self.data.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }

    /// Makes a topic.
    pub fn create_topic(&self, topic: &str, partitions: i32) {
        self.create_topic_with(topic, partitions, &[]);
    }

    /// Changes a setting of a topic.
    pub fn set(&self, topic: &str, setting: &str) {
        let mut command = Command::new(binary());
        command.args(["topic", "alter", topic, "--set", setting, "-b", &self.address]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Makes a topic with settings.
    pub fn create_topic_with(&self, topic: &str, partitions: i32, config: &[&str]) {
        let mut command = Command::new(binary());
        command.args(["topic", "create", topic, "-p", &partitions.to_string(), "-b", &self.address]);
        for config in config {
            command.args(["--config", config]);
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
