//! Load on a Kafka broker through librdkafka; prints one JSON object with what it measured.
//! Open loop: a record's latency counts from when it was due, not from when it could be sent
//! (no coordinated omission). May not start or watch a broker: `bench/run.py` does.

mod clock;
mod consume;
mod outage;
mod paced;
mod producer;
mod saturate;
mod topic;

use std::error::Error;

use clap::{Args, Parser, Subcommand};

/// What a run answers: a JSON object, or why it could not be measured.
pub type Measured = Result<serde_json::Value, Box<dyn Error>>;

#[derive(Parser)]
#[command(about = "Load on a Kafka broker through librdkafka")]
struct Arguments {
    /// HOST:PORT of the broker.
    #[arg(long, global = true, default_value = "127.0.0.1:9092")]
    bootstrap: String,
    #[command(subcommand)]
    run: Run,
}

/// How producers are set up; the same for every broker.
#[derive(Args, Clone)]
pub struct Producing {
    #[arg(long)]
    pub topic: String,
    #[arg(long)]
    pub partitions: i32,
    #[arg(long, default_value_t = 1)]
    pub producers: u32,
    #[arg(long, default_value_t = 1024)]
    pub record_bytes: usize,
    #[arg(long, default_value_t = 5)]
    pub linger_ms: u32,
    #[arg(long, default_value_t = 131_072)]
    pub batch_bytes: u32,
    /// Records that may be in flight over all producers together.
    #[arg(long, default_value_t = 32_000)]
    pub in_flight: u32,
}

#[derive(Subcommand)]
enum Run {
    /// Creates a topic and waits until its partitions have leaders.
    Create {
        #[arg(long)]
        topic: String,
        #[arg(long)]
        partitions: i32,
        /// KEY=VALUE, repeatable.
        #[arg(long)]
        config: Vec<String>,
    },
    /// As fast as it goes, for a time or up to an amount.
    Saturate {
        #[command(flatten)]
        producing: Producing,
        #[arg(long, default_value_t = 5.0)]
        warm_up_s: f64,
        #[arg(long, default_value_t = 20.0)]
        seconds: f64,
        /// So many records, a multiple of the producers, and no more, if the time is enough for them.
        #[arg(long)]
        records: Option<u64>,
    },
    /// At a fixed rate, open loop, with a histogram of latencies.
    Rate {
        #[command(flatten)]
        producing: Producing,
        /// Records a second over all producers.
        #[arg(long)]
        rate: u64,
        #[arg(long, default_value_t = 5.0)]
        warm_up_s: f64,
        #[arg(long, default_value_t = 20.0)]
        seconds: f64,
    },
    /// Reads a topic from the beginning to where it ends at the start.
    Consume {
        #[arg(long)]
        topic: String,
        #[arg(long)]
        partitions: i32,
        /// As a member of this group, which commits every second and at the end; else it assigns the partitions itself and
        /// commits nothing.
        #[arg(long)]
        group: Option<String>,
        /// Ends after so many records, whenever they come, instead of where the topic ends at the start.
        #[arg(long)]
        records: Option<u64>,
    },
    /// Sends one record every 5 ms until the end of input, and tells of each silence between acks.
    Outage {
        #[command(flatten)]
        producing: Producing,
    },
    /// Creates a topic and measures when it first takes a rate for a second.
    Fresh {
        #[command(flatten)]
        producing: Producing,
        #[arg(long)]
        rate: u64,
        #[arg(long)]
        config: Vec<String>,
    },
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let bootstrap = arguments.bootstrap.as_str();
    let measured = match &arguments.run {
        Run::Create { topic, partitions, config } => topic::create(bootstrap, topic, *partitions, config)?,
        Run::Saturate { producing, warm_up_s, seconds, records } => {
            saturate::run(bootstrap, producing, *warm_up_s, *seconds, *records)?
        }
        Run::Rate { producing, rate, warm_up_s, seconds } => {
            paced::run(bootstrap, producing, *rate, *warm_up_s, *seconds)?
        }
        Run::Consume { topic, partitions, group, records } => {
            consume::run(bootstrap, (topic, *partitions), group.as_deref(), *records)?
        }
        Run::Outage { producing } => outage::run(bootstrap, producing)?,
        Run::Fresh { producing, rate, config } => paced::fresh(bootstrap, producing, *rate, config)?,
    };
    println!("{measured}");
    Ok(())
}
