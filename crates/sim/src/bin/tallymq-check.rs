//! `tallymq-check`: judges recorded histories. Reads files, prints a report; touches nothing else.
//!
//! Exits 0 only if the history is clean and not empty, 1 if a promise is broken, 2 if it cannot be judged.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use tallymq_sim::history::{self, Allowances, History, IndexError, ReadError, Report};
use thiserror::Error;

/// Judges recorded histories of a queue's clients (JSON lines; the format stands in the docs of tallymq_sim::history).
#[derive(Debug, Parser)]
#[command(name = "tallymq-check")]
struct Arguments {
    /// History files. Several are merged by time into one history.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// Producers without idempotence retry: a value stored twice is no anomaly.
    #[arg(long)]
    allow_duplicates: bool,
    /// Fewer acknowledged values than this prove nothing: exit 2.
    #[arg(long, default_value_t = 1)]
    acknowledged_min: usize,
}

#[derive(Debug, Error)]
enum CheckError {
    #[error("{path}: {source}")]
    Open { path: PathBuf, source: io::Error },
    #[error("{path}: {source}")]
    Read { path: PathBuf, source: ReadError },
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("only {acknowledged} acknowledged values, {wanted} are needed for a verdict")]
    Empty { acknowledged: usize, wanted: usize },
    #[error("cannot print the report: {0}")]
    Print(io::Error),
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(report) if report.is_clean() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("tallymq-check: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<Report, CheckError> {
    let started = Instant::now();
    let mut histories = arguments.files.iter().map(|path| load(path)).collect::<Result<Vec<_>, _>>()?;
    let history = if histories.len() == 1 { histories.remove(0) } else { history::merge(histories) };
    let loaded = started.elapsed();
    let report = history::check(&history, Allowances { duplicates: arguments.allow_duplicates })?;
    let checked = started.elapsed() - loaded;
    print(&report, arguments.json).map_err(CheckError::Print)?;
    eprintln!("read in {:.3} s, checked in {:.3} s", loaded.as_secs_f64(), checked.as_secs_f64());
    let (acknowledged, wanted) = (report.counts.acknowledged, arguments.acknowledged_min);
    if report.is_clean() && acknowledged < wanted {
        return Err(CheckError::Empty { acknowledged, wanted });
    }
    Ok(report)
}

fn load(path: &Path) -> Result<History, CheckError> {
    let file = File::open(path).map_err(|source| CheckError::Open { path: path.to_owned(), source })?;
    history::read(BufReader::with_capacity(1 << 20, file))
        .map_err(|source| CheckError::Read { path: path.to_owned(), source })
}

fn print(report: &Report, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, report)?;
        return writeln!(out);
    }
    write!(out, "{report}")
}
