//! The flags of `demo`, and of the services that it starts as processes of their own.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `demo`.
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// How many orders.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    pub orders: u64,
    /// How often a service or the broker is killed with kill -9; at most one kill for 20 orders. If not given 20, or as many as
    /// the orders have room for.
    #[arg(long)]
    pub kills: Option<u64>,
    /// Plans the kills, cuts and repeats; the same seed plans the same. Random if not given.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Leave a part out, and see what it is for.
    #[arg(long, value_enum, value_name = "PART")]
    pub without: Option<Part>,
    /// Keep databases, logs and the broker's data in this directory, which must be new or empty; without it everything is
    /// temporary.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// What keeps an order from being lost or doubled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The red packet and the id of its message in one transaction.
    Inbox,
    /// The order and its message in one transaction.
    Outbox,
    /// The broker's sync before it acknowledges.
    Sync,
    /// The acknowledgement after the work.
    AckAfter,
}

/// The order service and the red-packet service.
#[derive(Debug, Args)]
pub struct ServiceArguments {
    /// Where the databases are.
    #[arg(long)]
    pub directory: PathBuf,
    /// The broker.
    #[arg(long)]
    pub bootstrap: String,
    /// The part that is left out.
    #[arg(long, value_enum)]
    pub without: Option<Part>,
}
