//! `tallymq-fuzz`: feeds decoders and recovery paths with changed samples for a time. `all` runs each target in a process of
//! its own, so that memory can be told apart, as many at once as asked for. Exits 1 with the input saved if one fails.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode},
    time::{Duration, Instant},
};

use clap::Parser;
use peak_alloc::PeakAlloc;
use tallymq_sim::fuzz::{Finding, Fuzzer, TARGETS, Target, find, try_input};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Inputs between two looks at the clock.
const RUNS_PER_LOOK: u64 = 20;

/// Feeds decoders and recovery paths with changed samples.
#[derive(Debug, Parser)]
#[command(name = "tallymq-fuzz")]
struct Arguments {
    /// A target's name, `all`, or `list`.
    #[arg(default_value = "all")]
    target: String,
    /// How long each target is fed.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// What the inputs follow from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// With `all`: how many targets at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Feeds only this input, a saved one.
    #[arg(long)]
    input: Option<PathBuf>,
    /// Where an input that fails is saved.
    #[arg(long, default_value = "target/fuzz-findings")]
    save: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match &arguments.target[..] {
        "all" => all(&arguments),
        "list" => {
            TARGETS.iter().for_each(|(name, _)| println!("{name}"));
            ExitCode::SUCCESS
        }
        name => match (find(name), &arguments.input) {
            (None, _) => {
                eprintln!("there is no target {name}; see: tallymq-fuzz list");
                ExitCode::from(2)
            }
            (Some(target), Some(path)) => again(&target, path),
            (Some(target), None) => feed(target, &arguments),
        },
    }
}

/// Every target, each in its own process.
fn all(arguments: &Arguments) -> ExitCode {
    let mut waiting = TARGETS.iter().map(|(name, _)| *name);
    let mut running: Vec<(&str, Child)> = Vec::new();
    let (mut passed, mut failed) = (0, 0);
    loop {
        while running.len() < arguments.jobs.max(1) {
            let Some(name) = waiting.next() else { break };
            match start(name, arguments) {
                Ok(child) => running.push((name, child)),
                Err(error) => {
                    eprintln!("{name}: cannot be started: {error}");
                    failed += 1;
                }
            }
        }
        if running.is_empty() {
            break;
        }
        let (name, mut child) = running.remove(0);
        match child.wait() {
            Ok(status) if status.success() => passed += 1,
            Ok(status) => {
                eprintln!("{name}: {status}; again: tallymq-fuzz {name} --seed {}", arguments.seed);
                failed += 1;
            }
            Err(error) => {
                eprintln!("{name}: {error}");
                failed += 1;
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn start(name: &str, arguments: &Arguments) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .arg(name)
        .args(["--seconds", &arguments.seconds.to_string(), "--seed", &arguments.seed.to_string(), "--save"])
        .arg(&arguments.save)
        .spawn()
}

fn feed(target: Target, arguments: &Arguments) -> ExitCode {
    let name = target.name;
    let begun = Instant::now();
    let limit = Duration::from_secs(arguments.seconds);
    let mut fuzzer = Fuzzer::new(target, arguments.seed, &ALLOCATED);
    while begun.elapsed() < limit {
        for _ in 0..RUNS_PER_LOOK {
            if let Err(finding) = fuzzer.step() {
                eprintln!("{finding}");
                save(&finding, &arguments.save);
                return ExitCode::FAILURE;
            }
        }
    }
    let per_second = fuzzer.runs as f64 / begun.elapsed().as_secs_f64();
    println!("{name:18} {:>9} runs, {:>8} taken, {per_second:>8.0} a second", fuzzer.runs, fuzzer.taken);
    ExitCode::SUCCESS
}

fn save(finding: &Finding, folder: &Path) {
    let digest = tallymq_model::batch::crc32c(&finding.input);
    let path = folder.join(format!("{}-{digest:08x}", finding.target));
    let saved = fs::create_dir_all(folder).and_then(|()| fs::write(&path, &finding.input));
    match saved {
        Ok(()) => eprintln!("again: tallymq-fuzz {} --input {}", finding.target, path.display()),
        Err(error) => eprintln!("the input cannot be saved to {}: {error}", path.display()),
    }
}

fn again(target: &Target, path: &Path) -> ExitCode {
    let input = match fs::read(path) {
        Ok(input) => input,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            return ExitCode::from(2);
        }
    };
    match try_input(target, &input, &ALLOCATED) {
        Ok(taken) => {
            println!("{}: {}", target.name, if taken { "taken" } else { "refused" });
            ExitCode::SUCCESS
        }
        Err(what) => {
            eprintln!("{}: {what}", target.name);
            ExitCode::FAILURE
        }
    }
}
