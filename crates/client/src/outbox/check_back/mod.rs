//! Transactional messages for applications that cannot keep an outbox in their own database: half, then commit or roll
//! back; who dies between is asked later what became of it. It never guesses an answer.
//!
//! ```text
//!   prepare ──▶ half ──commit──▶ outbox in the same file ──relay──▶ topic
//!                │ └─roll back─▶ gone
//!                └─ nothing said in time ─▶ ask the application ─▶ Committed, RolledBack, Unknown (ask again, a bounded
//!                                                                   number of times, then unresolved: a person decides)
//! ```
//!
//! The half is durable before the business change, so that it cannot be forgotten; and it is not sent before the
//! application says that the change was made.

mod progress;
mod rows;
mod settings;

use std::{future::Future, path::Path, time::Duration};

use sqlx::{
    Sqlite, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{
    join, pin, select,
    sync::watch,
    time::{sleep, timeout},
};

pub use progress::CheckBackProgress;
use rows::State;
pub use settings::CheckBackSettings;

use super::{Destination, Outbox, PutError, StoreError};
use crate::{Record, headers, inbox::MessageId};

/// What became of the business change of a half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It was made: send the message.
    Committed,
    /// It was not made and never will be: forget the message.
    RolledBack,
    /// It cannot be told now: ask again.
    Unknown,
}

/// The application's answer to the question what became of a half. It must look at the business data itself, not at
/// what this process remembers: it may be another process that is asked.
pub trait Ask: Send + Sync {
    /// Whether the change that belongs to this half was made.
    fn what_became_of(&self, half: &HalfMessage) -> impl Future<Output = Verdict> + Send;
}

/// A half, as the application is asked about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HalfMessage {
    /// Its id.
    pub id: MessageId,
    /// The record that was prepared.
    pub record: Record,
    /// How often it was asked about, with this time.
    pub checks: u32,
}

/// A half was not prepared or settled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckBackError {
    /// The record cannot be put.
    #[error(transparent)]
    Put(#[from] PutError),
    /// A half with this id was prepared before, by this process or another.
    #[error(
        "a half with the id \"{0}\" is there already; if it is the same one, CheckBack::commit and CheckBack::rollback take \
         its id, else give this one an id of its own"
    )]
    IdTaken(MessageId),
    /// The file cannot be used.
    #[error("the check-back file cannot be used: {0}; check its path, its rights and the space on its disk")]
    File(#[from] sqlx::Error),
    /// There is no such half.
    #[error(
        "no half with the id \"{0}\" is known; it was never prepared here, or settled longer than keep_settled ago"
    )]
    NotFound(MessageId),
    /// It was decided otherwise before, here or by an answer to a check.
    #[error(
        "the half \"{id}\" is already {}; if that is wrong, first_check_after is too short or the answer to the check was",
        if *committed { "committed and will be sent" } else { "rolled back and will not be sent" }
    )]
    Settled {
        /// Its id.
        id: MessageId,
        /// Which way.
        committed: bool,
    },
}

/// Half messages and their outbox, in one SQLite file of their own. Cheap to clone.
///
/// ```
/// use tallymq_client::{Record, outbox::CheckBack};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("halves.sqlite");
/// let halves = CheckBack::open(path).await?;
/// let half = halves.prepare(Record::to("orders").key("42").value("paid")).await?;
/// // … the business change, wherever it is made …
/// half.commit().await?;
/// assert_eq!(halves.progress().await?.outbox.pending, 1);
/// # Ok(()) }
/// ```
///
/// [`CheckBack::run`] sends what was committed and asks about what was not.
#[derive(Debug, Clone)]
pub struct CheckBack {
    pool: SqlitePool,
    outbox: Outbox<Sqlite>,
    settings: CheckBackSettings,
}

/// A message that is durable and not yet to be sent. Dropping it decides nothing: the application will be asked.
#[derive(Debug)]
#[must_use = "say what became of it, or the application will be asked"]
pub struct Half {
    halves: CheckBack,
    id: MessageId,
}

impl Half {
    /// The id that the message will carry; write it down with the business change, to answer checks by it.
    pub fn id(&self) -> &MessageId {
        &self.id
    }

    /// The change was made: the message will be sent.
    ///
    /// # Errors
    /// If the file cannot be written (the application will be asked then), or a check was answered otherwise meanwhile.
    pub async fn commit(self) -> Result<(), CheckBackError> {
        self.halves.commit(&self.id).await
    }

    /// The change was not made: the message is forgotten.
    ///
    /// # Errors
    /// As [`Half::commit`].
    pub async fn rollback(self) -> Result<(), CheckBackError> {
        self.halves.rollback(&self.id).await
    }
}

impl CheckBack {
    /// Opens the file, or makes it. Several processes may use one file.
    ///
    /// # Errors
    /// If that does not work.
    pub async fn open(path: impl AsRef<Path>) -> Result<CheckBack, CheckBackError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        let outbox = Outbox::new(pool.clone());
        outbox.create_schema().await.map_err(|StoreError(error)| error)?;
        sqlx::raw_sql(include_str!("../sql/check_back.sql")).execute(&pool).await?;
        Ok(CheckBack { pool, outbox, settings: CheckBackSettings::default() })
    }

    /// Works like that instead of by default.
    #[must_use]
    pub fn settings(mut self, settings: CheckBackSettings) -> CheckBack {
        self.settings = settings;
        self
    }

    /// Writes a half: durable when this returns, and sent only after a commit. Then make the business change.
    ///
    /// # Errors
    /// If the record cannot be put, there is a half with its id, or the file cannot be written. Do not make the change then.
    pub async fn prepare(&self, record: Record) -> Result<Half, CheckBackError> {
        self.outbox.check(&record)?;
        let id = Outbox::<Sqlite>::id_of(&record)?;
        match rows::insert(&self.pool, &id, &record, self.settings.first_check_after).await {
            Ok(()) => Ok(Half { halves: self.clone(), id }),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                Err(CheckBackError::IdTaken(id))
            }
            Err(error) => Err(CheckBackError::File(error)),
        }
    }

    /// As [`Half::commit`], for a half of which only the id is at hand. Repeating it is harmless.
    ///
    /// # Errors
    /// As [`Half::commit`], and if there is no such half.
    pub async fn commit(&self, id: &MessageId) -> Result<(), CheckBackError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        match rows::state(&mut tx, id).await? {
            Some(State::Open) => {}
            Some(State::Committed) => return Ok(()),
            Some(State::RolledBack) => {
                return Err(CheckBackError::Settled { id: id.clone(), committed: false });
            }
            None => return Err(CheckBackError::NotFound(id.clone())),
        }
        let mut record = rows::record(&mut tx, id).await?;
        headers::put(&mut record.headers, headers::ID, Some(id.as_str().to_owned()));
        self.outbox.put(&mut tx, record).await?;
        rows::settle(&mut tx, id, State::Committed).await?;
        tx.commit().await?;
        self.outbox.wake();
        Ok(())
    }

    /// As [`Half::rollback`], for a half of which only the id is at hand. Repeating it is harmless.
    ///
    /// # Errors
    /// As [`CheckBack::commit`].
    pub async fn rollback(&self, id: &MessageId) -> Result<(), CheckBackError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        match rows::state(&mut tx, id).await? {
            Some(State::Open) => {}
            Some(State::RolledBack) => return Ok(()),
            Some(State::Committed) => {
                return Err(CheckBackError::Settled { id: id.clone(), committed: true });
            }
            None => return Err(CheckBackError::NotFound(id.clone())),
        }
        rows::settle(&mut tx, id, State::RolledBack).await?;
        Ok(tx.commit().await?)
    }

    /// Asks about the halves that are due, one after the other; answers how many were asked about. [`CheckBack::run`]
    /// does this by itself.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub async fn check(&self, ask: &impl Ask) -> Result<usize, CheckBackError> {
        let mut asked = 0;
        for id in rows::due(&self.pool).await? {
            // Another process may have taken it, or the application settled it.
            let Some(half) = rows::begin_check(&self.pool, &id, self.settings.check_every).await? else {
                continue;
            };
            asked += 1;
            let answer = timeout(self.settings.ask_timeout, ask.what_became_of(&half)).await;
            let settled = match answer.unwrap_or(Verdict::Unknown) {
                Verdict::Committed => self.commit(&id).await,
                Verdict::RolledBack => self.rollback(&id).await,
                Verdict::Unknown if half.checks >= self.settings.checks_max => {
                    tracing::error!(%id, checks = half.checks, "nobody knows what became of a half message; decide with CheckBack::commit or CheckBack::rollback");
                    rows::give_up(&self.pool, &id).await.map_err(CheckBackError::File)
                }
                Verdict::Unknown => Ok(()),
            };
            match settled {
                // The application settled it while it was asked: its word counts.
                Err(CheckBackError::Settled { .. }) => {}
                other => other?,
            }
        }
        rows::forget(&self.pool, self.settings.keep_settled).await?;
        Ok(asked)
    }

    /// Sends what was committed and asks about what was not, until `until` is ready. Errors do not end it; it backs off
    /// and says so to `tracing`.
    pub async fn run(&self, destination: impl Destination, ask: impl Ask, until: impl Future<Output = ()>) {
        let (stop, stopped) = watch::channel(false);
        let over = |mut stopped: watch::Receiver<bool>| async move {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        let relay = self.outbox.relay(destination).settings(self.settings.relay.clone());
        let ends = async {
            until.await;
            let _ = stop.send(true);
        };
        join!(ends, relay.run(over(stopped.clone())), self.check_all(ask, over(stopped.clone())));
    }

    async fn check_all(&self, ask: impl Ask, until: impl Future<Output = ()>) {
        pin!(until);
        loop {
            if let Err(error) = self.check(&ask).await {
                tracing::warn!(%error, "half messages could not be checked");
            }
            let pause =
                (self.settings.check_every / 10).clamp(Duration::from_millis(10), Duration::from_secs(5));
            select! {
                biased;
                () = &mut until => return,
                () = sleep(pause) => {}
            }
        }
    }

    /// How many halves there are, and how far the committed messages are.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub async fn progress(&self) -> Result<CheckBackProgress, CheckBackError> {
        // In this order, what is committed meanwhile is counted in both, and never in neither.
        let (prepared, unresolved) = rows::counts(&self.pool).await?;
        let outbox = self.outbox.progress().await.map_err(|StoreError(error)| error)?;
        Ok(CheckBackProgress { prepared, unresolved, outbox })
    }

    /// Halves of which nobody could say what became of them. They wait for [`CheckBack::commit`] or
    /// [`CheckBack::rollback`].
    ///
    /// # Errors
    /// If the file cannot be used.
    pub async fn unresolved(&self, halves_max: u32) -> Result<Vec<HalfMessage>, CheckBackError> {
        Ok(rows::unresolved(&self.pool, halves_max).await?)
    }

    /// The outbox in which committed messages wait.
    pub fn outbox(&self) -> &Outbox<Sqlite> {
        &self.outbox
    }
}
