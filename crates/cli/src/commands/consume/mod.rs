//! `tallymq consume`: from given positions, or as a member of a group.

mod by_group;
mod by_position;
mod print;

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    arguments::ConsumeArguments,
    client::{Client, ClientError, EARLIEST, LATEST, TopicInfo},
    failure::Failure,
    position::PositionSpec,
};

/// How long one fetch waits for something to arrive.
const FETCH_WAIT: Duration = Duration::from_millis(500);
/// Pause after an error that may pass.
const BACKOFF: Duration = Duration::from_millis(100);

/// Reads until there is no more, enough is read, or somebody presses Ctrl-C.
pub async fn run(arguments: ConsumeArguments, json: bool) -> Result<(), Failure> {
    // Nothing was read yet that +N and -N could count from.
    let begin = PositionSpec::parse_absolute(&arguments.offset)
        .map_err(|error| Failure::Usage(format!("--offset: {error}")))?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        stop.send_replace(true);
        // The next one ends the process at once, even if the broker is gone.
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        std::process::exit(130);
    });
    let client = Client::connect(&arguments.connection).await?;
    let printer = print::Printer::new(&arguments, json);
    match arguments.group.clone() {
        Some(group) => by_group::run(client, &group, &arguments, begin, printer, stopped).await,
        None => by_position::run(client, &arguments, begin, printer, stopped).await,
    }
}

/// The offset that `begin` means in each of these partitions.
async fn resolve(
    client: &mut Client,
    topic: &TopicInfo,
    partitions: &[i32],
    begin: PositionSpec,
) -> Result<std::collections::BTreeMap<i32, i64>, ClientError> {
    let timestamp = match begin {
        PositionSpec::Offset(offset) | PositionSpec::Shift(offset) => {
            return Ok(partitions.iter().map(|partition| (*partition, offset)).collect());
        }
        PositionSpec::Earliest => EARLIEST,
        PositionSpec::Latest => LATEST,
        PositionSpec::Time(timestamp) => timestamp,
    };
    let mut found = client.offsets(topic, partitions, timestamp).await?;
    if found.values().any(|offset| *offset < 0) {
        // No record is that late: from the end on.
        let ends = client.offsets(topic, partitions, LATEST).await?;
        found.iter_mut().filter(|(_, offset)| **offset < 0).for_each(|(partition, offset)| {
            *offset = ends.get(partition).copied().unwrap_or(0);
        });
    }
    Ok(found)
}
