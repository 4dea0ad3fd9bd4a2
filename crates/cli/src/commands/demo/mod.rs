//! `tallymq demo`: orders and red packets, while everything is killed that takes part. Each service is a process of this
//! binary with a SQLite database of its own.
//!
//! ```text
//!   order service ──────────┐              ┌────────── broker (serve) ──────────┐              ┌── red-packet service
//!   order + message         ├─ relay ───>  │ topic orders, synced before the ack │  ──> handler ├── inbox + red packet
//!   in one transaction      │    proxy     │ the account of group red-packets    │    proxy     │   in one transaction,
//!   (outbox)                │  (is cut)    └────────────────────────────────────┘  (is cut)     └── then acknowledged
//! ```
//!
//! `plan` says when what is done to whom, `conductor` does it in the `scene`, `tally` judges what was counted, `table`
//! prints it. `--without` leaves one part out; the kills stay the same.

mod conductor;
mod control;
mod databases;
mod order;
pub mod order_service;
pub mod packet_service;
mod plan;
mod process;
mod progress;
mod proxy;
mod scene;
mod table;
mod tally;
mod text;

use std::{
    fmt::Display,
    io::IsTerminal,
    path::{Path, PathBuf},
};

use self::{
    conductor::Conductor,
    databases::{Orders, Packets},
    scene::{Scene, cluster},
    table::Asked,
    tally::{Tally, Verdict},
};
use crate::{arguments::DemoArguments, failure::Failure, output};

/// Runs it.
pub async fn run(arguments: DemoArguments, json: bool) -> Result<(), Failure> {
    let kills = kills(&arguments)?;
    let seed = arguments.seed.unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0));
    let directory = directory(arguments.data_dir.as_deref())?;
    eprintln!("{} orders, seed {seed}, in {}", text::thousands(arguments.orders), directory.display());
    let played = tokio::select! {
        played = play(&arguments, kills, seed, &directory) => played,
        // Its processes end with it.
        _ = tokio::signal::ctrl_c() => {
            remove(&directory, arguments.data_dir.is_none());
            return Err(Failure::Failed("interrupted".to_owned()));
        }
    };
    let tally = played.map_err(|failure| kept(failure, &directory))?;
    let data_dir = arguments.data_dir.as_ref().map(|directory| directory.display().to_string());
    let program = std::env::args().next().unwrap_or_else(|| "tallymq".to_owned());
    let asked = Asked { program: &program, without: arguments.without, seed, data_dir: data_dir.as_deref() };
    if json {
        output::print_json(&table::json(&tally, &asked))?;
    } else {
        let color = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        output::print_line(&format!("\n{}", table::text(&tally, &asked, color)))?;
    }
    conclude(tally.verdict(arguments.without), &directory, arguments.data_dir.is_none())
}

/// What can be looked at stays if something is wrong that should not be.
fn conclude(verdict: Verdict, directory: &Path, is_temporary: bool) -> Result<(), Failure> {
    match verdict {
        Verdict::Held | Verdict::Shown(_) => {
            remove(directory, is_temporary);
            Ok(())
        }
        Verdict::Broken(wrong) => Err(kept(wrong.join("; "), directory)),
    }
}

fn kept(why: impl Display, directory: &Path) -> Failure {
    Failure::Failed(format!("{why}\nlogs and databases are in {}", directory.display()))
}

/// How many there are to be.
fn kills(arguments: &DemoArguments) -> Result<u64, Failure> {
    let kills_max = arguments.orders / plan::ORDERS_PER_KILL;
    let kills = arguments.kills.unwrap_or(plan::KILLS.min(kills_max));
    if kills > kills_max {
        let orders = arguments.orders;
        return Err(Failure::Usage(format!("{orders} orders have room for {kills_max} kills")));
    }
    if arguments.without.is_some() && kills < plan::KILLS_WITHOUT_MIN {
        let kills = plan::KILLS_WITHOUT_MIN;
        return Err(Failure::Usage(format!(
            "what a part is for shows in kills: --without needs {kills} of them"
        )));
    }
    Ok(kills)
}

/// A new directory, or the one that was asked for, if there is nothing in it.
fn directory(asked: Option<&Path>) -> Result<PathBuf, Failure> {
    let Some(directory) = asked else {
        let directory = std::env::temp_dir().join(format!("tallymq-demo-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(&directory)?;
        return Ok(directory);
    };
    std::fs::create_dir_all(directory)?;
    if std::fs::read_dir(directory)?.next().is_some() {
        return Err(Failure::Usage(format!("{} is not empty", directory.display())));
    }
    Ok(std::path::absolute(directory)?)
}

/// Removes what is temporary. What cannot be removed stays in the system's directory for such things.
fn remove(directory: &Path, is_temporary: bool) {
    if is_temporary {
        drop(std::fs::remove_dir_all(directory));
    }
}

async fn play(arguments: &DemoArguments, kills: u64, seed: u64, directory: &Path) -> Result<Tally, Failure> {
    let databases = (Orders::open(directory).await?, Packets::open(directory).await?);
    let scene = Scene::set(directory, arguments.without).await?;
    let mut conductor = Conductor::start(scene, databases, arguments.orders, arguments.without, seed).await?;
    conductor.strike(&plan::plan(arguments.orders, kills, seed)).await?;
    let report = conductor.finish().await?;
    let tally = Tally {
        orders: conductor.orders.count().await?,
        packets: conductor.packets.by_order().await?,
        repeats: conductor.packets.repeats().await?,
        done: conductor.done,
        gaps: conductor.scene.gaps(),
        report,
        seconds: conductor.progress.seconds(),
    };
    conductor.scene.stop_broker().await?;
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(orders: u64, kills: Option<u64>) -> DemoArguments {
        DemoArguments { orders, kills, seed: None, without: None, data_dir: None }
    }

    #[test]
    fn few_orders_have_few_kills_unless_more_are_asked_for() {
        let kills = |orders, asked_for| kills(&asked(orders, asked_for)).ok();
        assert_eq!((kills(10_000, None), kills(100, None)), (Some(20), Some(5)));
        assert_eq!((kills(100, Some(5)), kills(100, Some(6)), kills(100, Some(0))), (Some(5), None, Some(0)));
    }

    #[test]
    fn what_went_wrong_can_be_looked_at() {
        let all = tempfile::tempdir().unwrap();
        let directory = |name: &str| {
            let directory = all.path().join(name);
            std::fs::create_dir(&directory).unwrap();
            directory
        };
        let wrong = directory("wrong");
        let said = conclude(Verdict::Broken(vec!["a".to_owned(), "b".to_owned()]), &wrong, true).unwrap_err();
        assert_eq!(said.to_string(), format!("a; b\nlogs and databases are in {}", wrong.display()));
        assert!(wrong.is_dir());
        let good = directory("good");
        assert!(conclude(Verdict::Held, &good, false).is_ok() && good.is_dir(), "it was asked to be kept");
        assert!(conclude(Verdict::Held, &good, true).is_ok() && !good.is_dir());
    }
}
