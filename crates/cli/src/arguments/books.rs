//! The flags of `account`, `alarms` and `trace`, which talk to the broker's HTTP listener.

use clap::{Args, Subcommand};

/// Which broker's HTTP listener.
#[derive(Clone, Debug, Args)]
pub struct HttpConnection {
    /// The broker's HTTP listener.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9644", env = "TALLYMQ_HTTP")]
    pub http: String,
    /// Give up on an answer after this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
}

/// `account`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AccountArguments {
    /// Something else than showing.
    #[command(subcommand)]
    pub command: Option<AccountCommand>,
    /// This topic only.
    #[arg(long, short)]
    pub topic: Option<String>,
    /// This group only.
    #[arg(long, short)]
    pub group: Option<String>,
    /// A row per partition.
    #[arg(long, short)]
    pub partitions: bool,
    /// The accounts that have ended, with their group, their position or the topic: what they were then, newest first.
    #[arg(long, short)]
    pub ended: bool,
    /// With --ended: stop reading the journals after this many seconds.
    #[arg(long, default_value_t = 10, requires = "ended", value_parser = clap::value_parser!(u64).range(1..=300))]
    pub seconds: u64,
    /// Show it again and again, until interrupted.
    #[arg(long, short, conflicts_with = "ended")]
    pub watch: bool,
    /// How often.
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    pub interval: u64,
    /// Partitions at most, over all groups.
    #[arg(long, default_value_t = 10_000)]
    pub limit: u64,
    /// The broker.
    #[command(flatten)]
    pub connection: HttpConnection,
}

/// `account …`.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Open a group's accounts before it takes its first position.
    Open {
        /// The group.
        #[arg(long, short)]
        group: String,
        /// The topic; every topic that the group has a position or an account in if not given.
        #[arg(long, short)]
        topic: Option<String>,
        /// Where they open: `earliest` or an offset.
        #[arg(long, default_value = "earliest")]
        from: String,
        /// The broker.
        #[command(flatten)]
        connection: HttpConnection,
    },
}

/// `alarms …`.
#[derive(Debug, Subcommand)]
pub enum AlarmsCommand {
    /// List the losses that nobody acknowledged.
    List {
        /// This topic only.
        #[arg(long, short)]
        topic: Option<String>,
        /// This group only.
        #[arg(long, short)]
        group: Option<String>,
        /// Exit with code 5 if there are any.
        #[arg(long)]
        fail: bool,
        /// The broker.
        #[command(flatten)]
        connection: HttpConnection,
    },
    /// Say that a person has seen alarms. The records stay in their class.
    Acknowledge {
        /// These, as `list` names them; may be given more than once.
        #[arg(long = "id", value_name = "ID", num_args = 1.., required_unless_present = "all", conflicts_with = "all")]
        ids: Vec<String>,
        /// All of them.
        #[arg(long)]
        all: bool,
        /// Who, for the journal.
        #[arg(long, value_name = "NAME", env = "USER", default_value = "")]
        by: String,
        /// The broker.
        #[command(flatten)]
        connection: HttpConnection,
    },
}

/// `trace`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("record").required(true).args(["key", "offset", "producer", "header"]))]
pub struct TraceArguments {
    /// The topic.
    #[arg(long, short)]
    pub topic: String,
    /// By its key.
    #[arg(long, short)]
    pub key: Option<String>,
    /// By its place.
    #[arg(long, short, value_name = "PARTITION:OFFSET")]
    pub offset: Option<String>,
    /// By its producer: an idempotent producer's id, or what the header tally-producer says.
    #[arg(long, value_name = "ID", requires = "seq")]
    pub producer: Option<String>,
    /// The sequence at that producer.
    #[arg(long, value_name = "N", requires = "producer")]
    pub seq: Option<u64>,
    /// By a header.
    #[arg(long, short = 'H', value_name = "NAME=VALUE")]
    pub header: Option<String>,
    /// In this partition only.
    #[arg(long, short, conflicts_with = "offset")]
    pub partition: Option<i32>,
    /// Search records from this time on (RFC 3339, or milliseconds since 1970 as `@N`). With --offset it bounds nothing.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Search records before this time.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Records at most, newest first.
    #[arg(long, short = 'n', default_value_t = 10)]
    pub limit: u64,
    /// Stop a search after this many seconds; Ctrl-C stops it earlier, with what was found so far.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// The broker's HTTP listener.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9644", env = "TALLYMQ_HTTP")]
    pub http: String,
}
