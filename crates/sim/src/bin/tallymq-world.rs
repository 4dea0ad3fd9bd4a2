//! `tallymq-world`: many seeds of the simulated world, for long runs that can be resumed. Prints where it is; ends with
//! exit code 1 and the seed of the first run that breaks a promise.

use std::{
    fs::File,
    io::BufWriter,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use tallymq_sim::{
    history::Writer,
    world::{self, Mode, Outcome},
};

const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Runs the simulated world, one seed after the other.
#[derive(Debug, Parser)]
#[command(name = "tallymq-world")]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first one.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Run each seed twice and compare what happened.
    #[arg(long)]
    twice: bool,
    /// The broker runs with `flush = "async"`.
    #[arg(long)]
    r#async: bool,
    /// Where to put the history of a run that breaks a promise (JSON lines, for tallymq-check).
    #[arg(long)]
    history: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mode = if arguments.r#async { Mode::Async } else { Mode::Sync };
    let begun = Instant::now();
    let mut reported = begun;
    let mut total = Outcome::default();
    for (count, seed) in (1..=arguments.seeds).zip(arguments.from..) {
        match one(seed, mode, arguments.twice) {
            Ok(outcome) => total.add(outcome),
            Err(broken) => {
                eprintln!("{broken}");
                if let Some(path) = &arguments.history {
                    save(path, &broken);
                }
                return ExitCode::FAILURE;
            }
        }
        if count == arguments.seeds || reported.elapsed() >= REPORT_EVERY {
            reported = Instant::now();
            print(count, seed, &total, begun.elapsed());
        }
    }
    ExitCode::SUCCESS
}

fn one(seed: u64, mode: Mode, twice: bool) -> Result<Outcome, Box<world::Broken>> {
    let outcome = world::run(seed, mode)?;
    if twice && world::run(seed, mode)? != outcome {
        let why = "the same seed gave another trace".to_owned();
        return Err(Box::new(world::Broken { seed, mode, why, history: Default::default() }));
    }
    Ok(outcome)
}

fn print(count: u64, seed: u64, total: &Outcome, elapsed: Duration) {
    println!(
        "{count} seeds, to {seed}: {} power cuts, {} kills, {} values sent, {} acknowledged, {} records read, \
         {} checkpoints, {} commands replayed, 0 lost that was synced, {} that was not; damage: {} refused, {} reported, \
         {} in the last group, {} harmless; groups: {} commits, {} members resumed, {} fenced again; \
         books: {} accounts balanced, {} events computed again, {} records processed, {} unwitnessed; {:.0} s",
        total.power_cuts,
        total.kills,
        total.sent,
        total.acknowledged,
        total.read,
        total.checkpoints,
        total.replayed,
        total.lost_unsynced,
        total.damage_refused,
        total.damage_reported,
        total.damage_last_group,
        total.damage_harmless,
        total.member_commits,
        total.resumed,
        total.refused_again,
        total.accounts,
        total.journal_events,
        total.processed,
        total.unwitnessed,
        elapsed.as_secs_f64()
    );
}

fn save(path: &PathBuf, broken: &world::Broken) {
    let written = File::create(path).map_err(|error| error.to_string()).and_then(|file| {
        let mut writer = Writer::new(BufWriter::new(file));
        let mut events = broken.history.events.iter();
        events.try_for_each(|event| writer.write(event)).map_err(|error| error.to_string())
    });
    match written {
        Ok(()) => eprintln!("its history: {}", path.display()),
        Err(error) => eprintln!("its history cannot be written to {}: {error}", path.display()),
    }
}
