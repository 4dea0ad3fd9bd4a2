//! Reading one partition or all of them from given positions. No group, nothing is committed.

use std::collections::BTreeMap;

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{BACKOFF, FETCH_WAIT, print::Printer, resolve};
use crate::{
    arguments::ConsumeArguments,
    client::{Client, Fetcher, LATEST},
    failure::Failure,
    position::PositionSpec,
};

/// Reads up to the log ends of when it began, or for ever with `--follow`.
pub async fn run(
    mut client: Client,
    arguments: &ConsumeArguments,
    begin: PositionSpec,
    mut printer: Printer,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let topic = client.topic_with_leaders(&arguments.topic, false).await?;
    let all: Vec<i32> = topic.partitions.iter().map(|known| known.index).collect();
    let partitions = match arguments.partition {
        Some(one) if !all.contains(&one) => {
            return Err(Failure::Usage(format!("topic {} has no partition {one}", arguments.topic)));
        }
        Some(one) => vec![one],
        None => all,
    };
    let starts = resolve(&mut client, &topic, &partitions, begin).await?;
    let ends = client.offsets(&topic, &partitions, LATEST).await?;
    let mut fetcher = Fetcher::new(topic);
    starts.iter().for_each(|(partition, offset)| fetcher.add(*partition, *offset));
    let mut failing_since: Option<Instant> = None;
    loop {
        if !arguments.follow {
            drop_finished(&mut fetcher, &ends);
        }
        if fetcher.positions().is_empty() || printer.is_done() {
            return Ok(());
        }
        let fetched = tokio::select! {
            fetched = fetcher.fetch(&mut client, FETCH_WAIT) => fetched,
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
        };
        match fetched {
            Ok(fetched) => {
                failing_since = None;
                for part in &fetched {
                    printer.print(part)?;
                }
            }
            Err(error) => {
                let since = *failing_since.get_or_insert_with(Instant::now);
                if !error.is_retriable() || since.elapsed() > client.timeout() {
                    return Err(error.into());
                }
                sleep(BACKOFF).await;
                // If the broker is still away, the next round tells.
                drop(fetcher.refresh(&mut client).await);
            }
        }
    }
}

fn drop_finished(fetcher: &mut Fetcher, ends: &BTreeMap<i32, i64>) {
    let end_of = |partition| ends.get(partition).copied().unwrap_or(0);
    let finished = fetcher.positions().iter().filter(|(partition, offset)| **offset >= end_of(*partition));
    let finished: Vec<i32> = finished.map(|(partition, _)| *partition).collect();
    finished.into_iter().for_each(|partition| fetcher.remove(partition));
}
