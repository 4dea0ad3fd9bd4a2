//! The sends of one round: one after the other within an order key, all keys at once. It speaks to the destination and
//! never to the database.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::{
    super::{
        Destination, DestinationError, header_block,
        statements::{Picked, StoredRow},
    },
    OnStep, RelaySettings, Step,
    settle::Settled,
};
use crate::{Record, headers};

/// The messages of one order key, in order.
#[derive(Debug)]
struct Run {
    rows: Vec<StoredRow>,
    attempts: i64, // failed ones of the first row
}

/// One round's sends and what they share.
pub(super) struct Sending<'a, D> {
    pub(super) destination: &'a D,
    pub(super) settings: &'a RelaySettings,
    pub(super) on_step: Option<&'a OnStep>,
    pub(super) settled: &'a Mutex<Settled>,
    pub(super) counts: &'a Mutex<Counts>,
    /// No send begins after this; moved on by renewals, and never past the end of the round.
    pub(super) begin_until: &'a Mutex<Instant>,
}

/// What happened in a round.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) sent: usize,
    pub(super) failed: usize,
    pub(super) parked: usize,
    pub(super) last_error: Option<String>,
}

impl<D: Destination> Sending<'_, D> {
    /// Sends them all, as far as time and destination allow.
    pub(super) async fn all(&self, rows: Vec<StoredRow>, picked: &[Picked]) {
        let mut sends: FuturesUnordered<_> =
            runs(rows, picked).into_iter().map(|run| self.one_after_the_other(run)).collect();
        while sends.next().await.is_some() {}
    }

    async fn one_after_the_other(&self, run: Run) {
        let mut attempts = run.attempts;
        for row in run.rows {
            if Instant::now() >= *self.begin_until.lock() {
                return;
            }
            match self.send(&row).await {
                Ok(()) => {
                    self.settled.lock().acknowledged(&row, attempts);
                    self.counts.lock().sent += 1;
                    if let Some(on_step) = self.on_step {
                        on_step(&Step::Sent(row.message_id));
                    }
                }
                Err(error) => {
                    let goes_on = self.settled.lock().failed(&row, attempts + 1, &error, self.settings);
                    let mut counts = self.counts.lock();
                    counts.failed += 1;
                    counts.parked += usize::from(goes_on);
                    counts.last_error = Some(format!("message {}: {error}", row.message_id));
                    if !goes_on {
                        return;
                    }
                }
            }
            attempts = 0;
        }
    }

    async fn send(&self, row: &StoredRow) -> Result<(), DestinationError> {
        let record = record_of(row)?;
        let limit: Duration = self.settings.send_timeout;
        match timeout(limit, self.destination.send(record)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(DestinationError::retry(format!("no answer within {limit:?}"))),
        }
    }
}

/// Sorts rows, which are in order, by order key.
fn runs(rows: Vec<StoredRow>, picked: &[Picked]) -> Vec<Run> {
    let attempts: HashMap<i64, i64> = picked.iter().map(|row| (row.order_key, row.attempts)).collect();
    let mut runs: Vec<Run> = Vec::new();
    let mut place = HashMap::new();
    for row in rows {
        let at = *place.entry(row.order_key).or_insert_with(|| {
            let attempts = attempts.get(&row.order_key).copied().unwrap_or(0);
            runs.push(Run { rows: Vec::new(), attempts });
            runs.len() - 1
        });
        runs[at].rows.push(row);
    }
    runs
}

/// The record of a row, with its id in the header `tally-id`.
fn record_of(row: &StoredRow) -> Result<Record, DestinationError> {
    let Some(mut list) = header_block::decode(&row.headers) else {
        return Err(DestinationError::refused("its headers are damaged, or were written by a newer version"));
    };
    headers::put(&mut list, headers::ID, Some(row.message_id.clone()));
    let mut record = Record::to(&row.topic);
    record.partition = row.partition;
    record.key = row.key.clone().map(Bytes::from);
    record.value = row.payload.clone().map(Bytes::from);
    record.headers = list;
    record.timestamp_ms = row.timestamp_ms;
    Ok(record)
}
