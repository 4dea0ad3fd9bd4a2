//! The flags of `dlq`.

use clap::{Args, Subcommand};

use super::Connection;

/// Which dead letters; all, if nothing is said.
#[derive(Clone, Debug, Default, Args)]
pub struct LetterFilter {
    /// The letter at this place of the dead-letter topic; may be given more than once.
    #[arg(long = "offset", value_name = "PARTITION:OFFSET")]
    pub offsets: Vec<String>,
    /// Letters whose cause contains this.
    #[arg(long, value_name = "TEXT")]
    pub cause: Option<String>,
    /// Letters that were first stored in this topic.
    #[arg(long, value_name = "TOPIC")]
    pub origin: Option<String>,
    /// Letters that this group gave up on.
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
}

/// `dlq …`.
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// Count the dead letters, by topic, origin and cause.
    List {
        /// Dead-letter topics; every topic whose name ends with `.dead` if none is given.
        topics: Vec<String>,
        /// The broker.
        #[command(flatten)]
        connection: Connection,
    },
    /// Show dead letters with their payload and story.
    Show {
        /// The dead-letter topic.
        topic: String,
        /// Which.
        #[command(flatten)]
        filter: LetterFilter,
        /// Letters at most.
        #[arg(long, default_value_t = 10)]
        limit: u64,
        /// The broker.
        #[command(flatten)]
        connection: Connection,
    },
    /// Send dead letters again, each once. Shows what it would do unless `--execute` is given.
    Redrive {
        /// The dead-letter topic.
        topic: String,
        /// Which.
        #[command(flatten)]
        filter: LetterFilter,
        /// Send them to this topic; to the topic where each was first stored if not given.
        #[arg(long, value_name = "TOPIC")]
        to: Option<String>,
        /// Do it.
        #[arg(long)]
        execute: bool,
        /// The broker.
        #[command(flatten)]
        connection: Connection,
    },
    /// Remove dead letters for good: all of them, or those that are asked for. Shows what it would do unless `--execute`
    /// is given.
    Purge {
        /// The dead-letter topic.
        topic: String,
        /// Which. These are marked as done with, and their records stay until all up to them are deleted.
        #[command(flatten)]
        filter: LetterFilter,
        /// Delete the records of a partition below this offset; may be given more than once.
        #[arg(long, value_name = "PARTITION:OFFSET", conflicts_with_all = ["offsets", "cause", "origin", "group"])]
        below: Vec<String>,
        /// Do it.
        #[arg(long)]
        execute: bool,
        /// The broker.
        #[command(flatten)]
        connection: Connection,
    },
}
