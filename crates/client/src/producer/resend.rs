//! Emptying the spool: in order, under the old numbers, with growing pauses while no broker answers.

use std::{sync::Arc, time::Duration};

use super::{
    dispatch::Core,
    wire::{Attempt, NoMetadata, NotQueued},
};
use crate::{
    record::Record,
    sequence::SequenceId,
    spool::{Spool, SpoolError},
};

const BATCH_RECORDS_MAX: usize = 256;
const BATCH_BYTES_MAX: usize = 1024 * 1024;
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Makes up for a bell that rang between a look and the wait for it.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Runs until it is aborted with its producer.
pub(super) async fn run(core: Arc<Core>, spool: Arc<Spool>) {
    loop {
        let changed = core.changed.notified();
        let (spooling, unsettled) = {
            let desk = core.desk.lock();
            (desk.spooling, desk.unsettled)
        };
        // What is still on its way may fail and belong between those that wait: the order is known when all are settled.
        if !spooling || unsettled > 0 {
            drop(tokio::time::timeout(LOOK_AGAIN, changed).await);
            continue;
        }
        if let Err(error) = drain(&core, &spool).await {
            tracing::error!(%error, "the spool cannot be read");
            tokio::time::sleep(PAUSE_MAX).await;
        }
    }
}

/// One episode: until nothing waits.
async fn drain(core: &Arc<Core>, spool: &Spool) -> Result<(), SpoolError> {
    spool.arrange().await?;
    tracing::info!(waiting = spool.waiting(), "sending from the spool");
    let mut pause = PAUSE_MIN;
    loop {
        let batch = spool.next(BATCH_RECORDS_MAX, BATCH_BYTES_MAX).await?;
        if batch.is_empty() {
            let mut desk = core.desk.lock();
            if spool.waiting() == 0 {
                desk.emptied();
                tracing::info!("the spool is empty");
                return Ok(());
            }
            continue;
        }
        if send_batch(core, spool, batch).await? {
            pause = PAUSE_MIN;
        } else {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// False if the broker did not answer for all of them.
async fn send_batch(
    core: &Arc<Core>,
    spool: &Spool,
    mut batch: Vec<(u64, Record)>,
) -> Result<bool, SpoolError> {
    let Some(refused) = place(core, spool, &mut batch).await? else { return Ok(false) };
    let mut verdicts = Vec::with_capacity(batch.len());
    let mut answered = true;
    for (id, record) in &batch {
        match core.wire.enqueue(record) {
            Ok(verdict) => verdicts.push((*id, Ok(verdict))),
            Err(NotQueued::Ended(attempt @ (Attempt::Refused(_) | Attempt::NoTopic(_)))) => {
                verdicts.push((*id, Err(attempt)));
            }
            Err(_) => {
                answered = false;
                break;
            }
        }
    }
    let (mut stored, mut refused) = (Vec::new(), refused);
    for (id, verdict) in verdicts {
        let attempt = match verdict {
            Ok(verdict) => core.wire.verdict(verdict).await,
            Err(attempt) => attempt,
        };
        match attempt {
            Attempt::Stored { .. } => stored.push(id),
            Attempt::Unknown(_) => answered = false,
            Attempt::Refused(cause) => refused.push((id, cause)),
            Attempt::NoTopic(topic) => refused.push((id, format!("topic {topic} does not exist"))),
        }
    }
    if !stored.is_empty() {
        spool.settle(stored).await?;
    }
    for (id, cause) in refused {
        tracing::error!(id, cause, "the broker refuses a record of the spool for good; it is kept there");
        spool.refuse(id).await?;
    }
    Ok(answered)
}

/// Gives partition and number to those that came into the spool before their topic was known, or behind such, and notes them
/// durably, so that a resend after a crash has the same. None if the broker does not answer; else those whose topic does not exist.
async fn place(
    core: &Arc<Core>,
    spool: &Spool,
    batch: &mut Vec<(u64, Record)>,
) -> Result<Option<Vec<(u64, String)>>, SpoolError> {
    let (mut assigned, mut refused) = (Vec::new(), Vec::new());
    for (id, record) in batch.iter_mut().filter(|(_, record)| core.desk.lock().lacks_place(record)) {
        let partitions = match record.partition {
            Some(_) => Ok(None),
            None => core.wire.partitions(&record.topic, core.deadline).await.map(Some),
        };
        match partitions {
            Ok(partitions) => {
                let topic = record.topic.clone();
                core.desk.lock().place(record, &topic, partitions);
                let partition = record.partition.expect("placed");
                assigned.push((*id, partition, SequenceId::of(&record.headers)));
            }
            Err(NoMetadata::Missing(cause)) => refused.push((*id, cause)),
            Err(NoMetadata::Unreachable(_)) => {
                // Numbers given above must not be given again to others.
                if !assigned.is_empty() {
                    spool.assign(assigned).await?;
                }
                return Ok(None);
            }
        }
    }
    if !assigned.is_empty() {
        spool.assign(assigned).await?;
    }
    batch.retain(|(id, _)| !refused.iter().any(|(refused, _)| refused == id));
    Ok(Some(refused))
}
