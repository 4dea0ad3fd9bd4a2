//! The relay: sends what was committed, in order per key, and marks it after the durable acknowledgement. It writes no
//! message of its own and removes none that was not sent.
//!
//! # Several at once
//! Order keys are divided into 64 lanes, and a lane belongs to one relay at a time, by a lease in the database. A round
//! takes free lanes, the longest unserved first, sends a bounded batch, and gives them back in the transaction that marks
//! it; so relays share the work without knowing of each other.
//!
//! *A relay that wakes up after its lease is gone breaks no order*: each relay sends message n + 1 of a key only after its own
//! n (or another relay's mark of n) was acknowledged. So does the other, so whichever copy of n + 1 is stored first, a copy of n is
//! stored before it; the other copies are repetitions, which carry the same `tally-id`. And a mark only says that there
//! was an acknowledgement, which stays true.

use std::{future::Future, time::Duration};

use parking_lot::Mutex;
use tokio::{
    pin, select,
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    Destination, Outbox, OutboxDatabase, StoreError,
    statements::{Picked, StoredRow},
};
use crate::planted::planted;

mod sending;
mod settings;
mod settle;
mod status;

use sending::{Counts, Sending};
use settings::milliseconds;
pub use settings::{OnRefused, RelaySettings};
use settle::Settled;
pub use status::{RelayStatus, Round, Step};

type OnStep = Box<dyn Fn(&Step) + Send + Sync>;

/// Sends an outbox's messages to a destination. Made by [`Outbox::relay`]; see the [module](super) for what it promises.
pub struct Relay<DB: OutboxDatabase, D> {
    outbox: Outbox<DB>,
    destination: D,
    settings: RelaySettings,
    owner: String,
    settled: Mutex<Settled>, // acknowledgements and failures that the database does not know yet
    status: watch::Sender<RelayStatus>,
    on_step: Option<OnStep>,
    clean_at: Instant,
}

impl<DB: OutboxDatabase, D> std::fmt::Debug for Relay<DB, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay")
            .field("owner", &self.owner)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<DB: OutboxDatabase, D: Destination> Relay<DB, D> {
    pub(super) fn new(outbox: Outbox<DB>, destination: D) -> Self {
        Relay {
            outbox,
            destination,
            settings: RelaySettings::default(),
            owner: uuid::Uuid::new_v4().to_string(),
            settled: Mutex::default(),
            status: watch::Sender::default(),
            on_step: None,
            clean_at: Instant::now(),
        }
    }

    /// Works like that instead of by default.
    #[must_use]
    pub fn settings(mut self, settings: RelaySettings) -> Self {
        self.settings = settings;
        self
    }

    /// Calls this after each step of a round, for progress that is finer than [`Relay::status`]. It must be quick.
    #[must_use]
    pub fn on_step(mut self, on_step: impl Fn(&Step) + Send + Sync + 'static) -> Self {
        self.on_step = Some(Box::new(on_step));
        self
    }

    /// What it has done so far; the receiver can wait for changes.
    pub fn status(&self) -> watch::Receiver<RelayStatus> {
        self.status.subscribe()
    }

    /// Relays until `until` is ready, then finishes the round that is under way. Errors of the database and of the
    /// destination do not end it: it backs off and goes on, and says so in its status and to `tracing`.
    pub async fn run(mut self, until: impl Future<Output = ()>) {
        pin!(until);
        let news = self.outbox.news();
        loop {
            let heard = news.notified();
            pin!(heard);
            heard.as_mut().enable(); // before the round looks, so that no news is missed
            let wait = match self.round().await {
                Ok(round) if round.sent > 0 || round.outrun => Duration::ZERO,
                Ok(_) => self.settings.poll,
                Err(error) => self.note_database_failure(&error),
            };
            if wait.is_zero() {
                // The end is asked for, but not waited for.
                if timeout(Duration::ZERO, until.as_mut()).await.is_ok() {
                    return;
                }
                continue;
            }
            select! {
                biased;
                () = &mut until => return,
                () = &mut heard => {}
                () = sleep(wait) => {}
            }
        }
    }

    fn note_database_failure(&self, error: &StoreError) -> Duration {
        let mut failures = 0;
        self.status.send_modify(|status| {
            status.database_failures += 1;
            status.last_error = Some(error.to_string());
            failures = status.database_failures;
        });
        let wait = self.settings.back_off(failures as i64);
        tracing::warn!(%error, failures, wait_ms = wait.as_millis() as u64, "the outbox relay waits for its database");
        wait
    }

    /// One round: takes lanes, sends a bounded batch, marks what was acknowledged, gives the lanes back. For tests, and
    /// for programs with a loop of their own.
    ///
    /// # Errors
    /// If the database fails. Acknowledgements that could not be noted are kept for the next round.
    pub async fn round(&mut self) -> Result<Round, StoreError> {
        self.clean().await?;
        if !self.settled.lock().is_empty() {
            self.mark(false).await?;
        }
        let leased_at = Instant::now();
        let lanes = self.claim().await?;
        let mut round = Round::default();
        let Some(lanes) = lanes else { return Ok(round) };
        if lanes.is_empty() {
            round.outrun = true;
            return Ok(round);
        }
        let (rows, picked) = self.read(&lanes).await?;
        round.read = rows.len();
        if planted("outbox-marked-before-sent") {
            self.settled.lock().sent.extend(rows.iter().map(|row| row.id));
            self.mark(false).await?;
        }
        let counts = self.send(rows, &picked, lanes.len(), leased_at).await;
        self.mark(true).await?;
        (round.sent, round.failed) = (counts.sent, counts.failed);
        self.note_round(counts);
        Ok(round)
    }

    async fn clean(&mut self) -> Result<(), StoreError> {
        if Instant::now() < self.clean_at {
            return Ok(());
        }
        let rows_max = self.settings.clean_rows_max;
        let cleaned = self.outbox.clean(self.settings.keep_sent, rows_max).await?;
        if cleaned < u64::from(rows_max) {
            self.clean_at = Instant::now() + self.settings.clean_every;
        }
        if cleaned > 0 {
            self.status.send_modify(|status| status.cleaned += cleaned);
        }
        Ok(())
    }

    /// None if no lane has anything to send; no lanes if others were faster.
    async fn claim(&self) -> Result<Option<Vec<i32>>, StoreError> {
        let mut conn = self.outbox.pool().acquire().await?;
        let wanted =
            DB::lanes_with_work(&mut conn, &self.owner, i64::from(self.settings.lanes_max.max(1))).await?;
        if wanted.is_empty() {
            self.status.send_if_modified(|status| std::mem::take(&mut status.database_failures) > 0);
            return Ok(None);
        }
        let lanes = DB::claim(&mut conn, &self.owner, &wanted, milliseconds(self.settings.lease)).await?;
        self.tell(&Step::Claimed(lanes.len()));
        Ok(Some(lanes))
    }

    /// The next messages of the lanes, in order, within the bounds of a batch.
    async fn read(&self, lanes: &[i32]) -> Result<(Vec<StoredRow>, Vec<Picked>), StoreError> {
        let mut conn = self.outbox.pool().acquire().await?;
        let per_lane = (i64::from(self.settings.batch_rows_max) / lanes.len() as i64).max(1);
        let mut picked = Vec::new();
        let mut bytes = 0_u64;
        'lanes: for lane in lanes {
            for row in DB::pick(&mut conn, *lane, per_lane).await? {
                bytes = bytes.saturating_add(row.size_bytes.max(0) as u64);
                if bytes > self.settings.batch_bytes_max && !picked.is_empty() {
                    break 'lanes;
                }
                picked.push(row);
            }
        }
        if picked.is_empty() {
            return Ok((Vec::new(), picked));
        }
        let ids: Vec<i64> = picked.iter().map(|row| row.id).collect();
        let rows = DB::fetch(&mut conn, &ids).await?;
        self.tell(&Step::Read(rows.len()));
        Ok((rows, picked))
    }

    /// Sends, and meanwhile renews the lease and notes what was acknowledged.
    async fn send(
        &self,
        rows: Vec<StoredRow>,
        picked: &[Picked],
        lanes: usize,
        leased_at: Instant,
    ) -> Counts {
        let lease = self.settings.lease;
        let round_ends = leased_at + self.settings.round_max;
        let begin_until = Mutex::new(round_ends.min(leased_at + lease));
        let counts = Mutex::new(Counts::default());
        let sending = Sending {
            destination: &self.destination,
            settings: &self.settings,
            on_step: self.on_step.as_ref(),
            settled: &self.settled,
            counts: &counts,
            begin_until: &begin_until,
        };
        let all = sending.all(rows, picked);
        pin!(all);
        let mut renewals = interval(lease / 3);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        renewals.reset();
        loop {
            select! {
                () = &mut all => break,
                _ = renewals.tick() => {
                    let began = Instant::now();
                    // The sends go on while the database is asked.
                    let renewal = self.mark(false);
                    pin!(renewal);
                    let renewed = select! {
                        biased;
                        renewed = &mut renewal => renewed,
                        () = &mut all => { let _ = renewal.await; break }
                    };
                    match renewed {
                        Ok(renewed) if renewed as usize >= lanes => {
                            *begin_until.lock() = round_ends.min(began + lease);
                        }
                        // It came too late: another relay has a lane already. Begin nothing more.
                        Ok(_) => *begin_until.lock() = began,
                        Err(error) => tracing::debug!(%error, "a lease of the outbox relay was not renewed"),
                    }
                }
            }
        }
        std::mem::take(&mut *counts.lock())
    }

    /// Notes in one transaction what was settled, and renews the lanes, or gives them back. Answers how many it renewed.
    async fn mark(&self, release: bool) -> Result<u64, StoreError> {
        let mut settled = self.settled.lock().take();
        let outcome = self.write(&mut settled, release).await;
        match outcome {
            Ok(_) => self.tell(&Step::Marked(settled.sent.len())),
            Err(_) => self.settled.lock().put_back(settled),
        }
        outcome
    }

    async fn write(&self, settled: &mut Settled, release: bool) -> Result<u64, StoreError> {
        let mut tx = self.outbox.pool().begin_with(DB::BEGIN).await?;
        settled.write::<DB>(&mut tx).await?;
        let renewed = if release {
            DB::release(&mut tx, &self.owner).await?;
            0
        } else {
            DB::renew(&mut tx, &self.owner, milliseconds(self.settings.lease)).await?
        };
        tx.commit().await?;
        Ok(renewed)
    }

    fn note_round(&self, counts: Counts) {
        if let Some(error) = &counts.last_error {
            tracing::warn!(error, failed = counts.failed, "the outbox relay could not send everything");
        }
        self.status.send_modify(|status| {
            status.rounds += 1;
            status.database_failures = 0;
            status.sent += counts.sent as u64;
            status.failed_attempts += counts.failed as u64;
            status.parked += counts.parked as u64;
            if counts.last_error.is_some() {
                status.last_error = counts.last_error;
            }
        });
    }

    fn tell(&self, step: &Step) {
        if let Some(on_step) = &self.on_step {
            on_step(step);
        }
    }
}
