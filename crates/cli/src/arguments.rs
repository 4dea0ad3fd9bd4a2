//! The command line as clap sees it: names, flags and help texts. No behaviour.

mod books;
mod demo;
mod dlq;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use books::{AccountArguments, AccountCommand, AlarmsCommand, HttpConnection, TraceArguments};
pub use demo::{DemoArguments, Part, ServiceArguments};
pub use dlq::{DlqCommand, LetterFilter};

/// A message queue that keeps books: what it acknowledged is on disk.
#[derive(Debug, Parser)]
#[command(name = "tallymq", version, propagate_version = true, arg_required_else_help = true, after_help = crate::failure::EXIT_CODES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Print JSON instead of tables and text.
    #[arg(long, global = true)]
    pub json: bool,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// See it at work: orders and red packets, while services and broker are killed. Needs no broker.
    Demo(DemoArguments),
    /// The order service of `demo`.
    #[command(hide = true)]
    DemoOrderService(ServiceArguments),
    /// The red-packet service of `demo`.
    #[command(hide = true)]
    DemoRedPacketService(ServiceArguments),
    /// Start the broker.
    Serve(ServeArguments),
    /// Create, list, describe, change and delete topics.
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Send records: a line each from standard input or from files.
    Produce(ProduceArguments),
    /// Read records, as a member of a group or from given positions.
    Consume(ConsumeArguments),
    /// List, describe, reset and delete consumer groups.
    #[command(subcommand)]
    Group(GroupCommand),
    /// Measure a broker: open loop at a fixed rate, or as fast as it goes.
    Bench(BenchArguments),
    /// Check a stopped broker's data directory: every checksum, offset and sequence, and the books.
    Verify(VerifyArguments),
    /// Show what became of every record, group by group: the account.
    Account(AccountArguments),
    /// List the losses that nobody acknowledged, and acknowledge them.
    #[command(subcommand)]
    Alarms(AlarmsCommand),
    /// Tell what became of one message: when it was stored, delivered, acknowledged.
    Trace(TraceArguments),
    /// Count, show, send again and remove what consumers gave up on: dead letters.
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// Look at any Kafka cluster (plaintext) and at clients' property files for what can lose or double messages.
    Doctor(DoctorArguments),
    /// Read a topic of any Kafka cluster (plaintext) and name what is missing or stored twice, by the sequence numbers in headers.
    Audit(AuditArguments),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// `serve`.
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// Where everything is kept.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address for Kafka clients; may be given more than once. `localhost` is 127.0.0.1 and ::1.
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Vec<String>,
    /// Address for health, metrics and the account.
    #[arg(long, value_name = "HOST:PORT")]
    pub http_listen: Vec<String>,
    /// TOML file with settings.
    #[arg(long, value_name = "FILE", env = "TALLYMQ_CONFIG")]
    pub config: Option<PathBuf>,
    /// Set any setting, as in the file; the strongest source, also over the flags above. May be given more than once.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Print the effective settings with where each comes from, as TOML (as JSON with `--json`), and exit.
    #[arg(long)]
    pub print_config: bool,
    /// As `demo` starts it: what is not synced is lost with the process, as in a power cut, and it stops when its
    /// standard input ends.
    #[arg(long, hide = true)]
    pub volatile: bool,
}

/// Which broker to talk to.
#[derive(Clone, Debug, Args)]
pub struct Connection {
    /// Brokers to ask first.
    #[arg(
        long,
        short = 'b',
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:9092",
        env = "TALLYMQ_BOOTSTRAP"
    )]
    pub bootstrap: String,
    /// Give up on a request after this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub timeout: u64,
}

/// `topic …`.
#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// Create a topic.
    Create {
        /// Its name.
        name: String,
        /// How many partitions; the broker's `num.partitions` if not given.
        #[arg(long, short)]
        partitions: Option<i32>,
        /// A setting of the topic; may be given more than once.
        #[arg(long = "set", visible_alias = "config", value_name = "KEY=VALUE")]
        configs: Vec<String>,
        /// Succeed if the topic is there already.
        #[arg(long)]
        if_not_exists: bool,
        /// The broker.
        #[command(flatten)]
        connection: Connection,
    },
    /// List the topics.
    List {
        /// The broker.
        #[command(flatten)]
        connection: Connection,
    },
    /// Show a topic's partitions, positions and settings.
    Describe {
        /// Its name.
        name: String,
        /// Also the settings that have their default.
        #[arg(long)]
        all: bool,
        /// The broker.
        #[command(flatten)]
        connection: Connection,
    },
    /// Change a topic's settings or add partitions.
    Alter {
        /// Its name.
        name: String,
        /// Set a setting; may be given more than once.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        set: Vec<String>,
        /// Put a setting back to its default; may be given more than once.
        #[arg(long = "unset", value_name = "KEY")]
        unset: Vec<String>,
        /// Grow to this many partitions.
        #[arg(long)]
        partitions: Option<i32>,
        /// The broker.
        #[command(flatten)]
        connection: Connection,
    },
    /// Delete a topic with all its records.
    Delete {
        /// Its name.
        name: String,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
        /// The broker.
        #[command(flatten)]
        connection: Connection,
    },
}

/// `produce`.
#[derive(Debug, Args)]
pub struct ProduceArguments {
    /// The topic.
    pub topic: String,
    /// Files to send, a record each; standard input, a record a line, if none is given.
    pub files: Vec<PathBuf>,
    /// Split each line into key and value at the first of these.
    #[arg(long, short = 'k', value_name = "TEXT")]
    pub key_separator: Option<String>,
    /// A header of each record; may be given more than once.
    #[arg(long = "header", short = 'H', value_name = "NAME=VALUE")]
    pub headers: Vec<String>,
    /// Send to this partition only; by key or in turn if not given.
    #[arg(long, short)]
    pub partition: Option<i32>,
    /// Compress the batches.
    #[arg(long, value_enum, default_value_t = Codec::None)]
    pub compression: Codec,
    /// Print nothing but the summary.
    #[arg(long, short)]
    pub quiet: bool,
    /// The broker.
    #[command(flatten)]
    pub connection: Connection,
}

/// Compression of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Codec {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy in xerial's framing.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// `consume`.
#[derive(Debug, Args)]
pub struct ConsumeArguments {
    /// The topic.
    pub topic: String,
    /// Read as a member of this group, and commit what was printed.
    #[arg(long, short, conflicts_with = "partition")]
    pub group: Option<String>,
    /// Read this partition only.
    #[arg(long, short)]
    pub partition: Option<i32>,
    /// Where to begin: `earliest`, `latest`, a number, or a time (RFC 3339, or milliseconds since 1970 as `@N`). A group
    /// begins where it stopped; this is for its first time. `+N` and `-N` are for `group reset`.
    #[arg(long, short, default_value = "earliest", allow_hyphen_values = true)]
    pub offset: String,
    /// Go on at the end of the log and wait for more.
    #[arg(long, short)]
    pub follow: bool,
    /// Stop after this many records.
    #[arg(long, short = 'n', value_name = "COUNT")]
    pub max: Option<u64>,
    /// Print the key and this in front of each value.
    #[arg(long, short = 'k', value_name = "TEXT")]
    pub key_separator: Option<String>,
    /// The broker.
    #[command(flatten)]
    pub connection: Connection,
}

/// `group …`.
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// List the groups.
    List {
        /// The broker.
        #[command(flatten)]
        connection: Connection,
    },
    /// Show a group's members, positions and lag.
    Describe {
        /// The group.
        group: String,
        /// The broker.
        #[command(flatten)]
        connection: Connection,
    },
    /// Move an inactive group's positions. Shows what it would do unless `--execute` is given.
    Reset {
        /// The group.
        group: String,
        /// The topic.
        #[arg(long, short)]
        topic: String,
        /// One partition only.
        #[arg(long, short)]
        partition: Option<i32>,
        /// `earliest`, `latest`, an offset, `+N` or `-N` from where it stands, or a time (RFC 3339, or milliseconds
        /// since 1970 as `@N`).
        #[arg(long, allow_hyphen_values = true)]
        to: String,
        /// Do it.
        #[arg(long)]
        execute: bool,
        /// The broker.
        #[command(flatten)]
        connection: Connection,
    },
    /// Delete an inactive group with its positions.
    Delete {
        /// The group.
        group: String,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
        /// The broker.
        #[command(flatten)]
        connection: Connection,
    },
}

/// `bench`.
#[derive(Debug, Args)]
pub struct BenchArguments {
    /// The topic; made if it is not there.
    #[arg(long, default_value = "tallymq-bench")]
    pub topic: String,
    /// Partitions of the topic if it has to be made.
    #[arg(long, default_value_t = 16)]
    pub partitions: i32,
    /// Records per second in all; as fast as possible if not given.
    #[arg(long, short)]
    pub rate: Option<u64>,
    /// How long, in seconds.
    #[arg(long, short, default_value_t = 10)]
    pub seconds: u64,
    /// Bytes of a record's value.
    #[arg(long, default_value_t = 1024)]
    pub record_bytes: usize,
    /// Records in a batch.
    #[arg(long, default_value_t = 64)]
    pub batch_records: usize,
    /// Batches that may be unanswered at a time, over all connections.
    #[arg(long, default_value_t = 256)]
    pub in_flight: usize,
    /// Connections.
    #[arg(long, short, default_value_t = 4)]
    pub connections: usize,
    /// The broker.
    #[command(flatten)]
    pub connection: Connection,
}

/// `verify`.
#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// The data directory of a stopped broker; a copy that may only be read will do.
    #[arg(long, value_name = "DIR", default_value = "./data", env = "TALLYMQ_DATA_DIR")]
    pub data_dir: PathBuf,
}

/// `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// Brokers to ask first. Without this and without property files, 127.0.0.1:9092.
    #[arg(long, short = 'b', value_name = "HOST:PORT", env = "TALLYMQ_BOOTSTRAP")]
    pub bootstrap: Option<String>,
    /// A property file of a client, of Java's or librdkafka's; may be given more than once.
    #[arg(long, short = 'c', value_name = "FILE")]
    pub client_config: Vec<PathBuf>,
    /// Whose property files these are; by their keys if not given.
    #[arg(long, value_enum)]
    pub client_kind: Option<ClientKind>,
    /// How long groups are watched, to see whether they move; 0 is a single look, which cannot tell.
    #[arg(long, value_name = "SECONDS", default_value_t = 12)]
    pub watch_seconds: u64,
    /// From which severity on the exit code says so.
    #[arg(long, value_enum, default_value_t = FailOn::Loss)]
    pub fail_on: FailOn,
    /// Succeed even if the cluster refused to tell something.
    #[arg(long)]
    pub allow_unchecked: bool,
    /// Give up on a request after this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub timeout: u64,
}

/// Whose property files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClientKind {
    /// Apache Kafka's Java clients.
    Java,
    /// librdkafka and what is built on it.
    Librdkafka,
}

/// Which findings make the exit code other than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// What can lose records.
    Loss,
    /// That, and what can double them.
    Duplicate,
    /// Every finding.
    Advice,
    /// None.
    Never,
}

/// `audit`.
#[derive(Debug, Args)]
pub struct AuditArguments {
    /// The topic.
    #[arg(long, short)]
    pub topic: String,
    /// Begin at the first record that is there; the default.
    #[arg(long, conflicts_with = "since")]
    pub from_beginning: bool,
    /// Begin at this time (RFC 3339, or milliseconds since 1970 as `@N`).
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Stop at the first record of this time; the end of the log as it is now if not given.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// The broker.
    #[command(flatten)]
    pub connection: Connection,
}
