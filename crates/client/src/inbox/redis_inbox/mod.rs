//! The inbox in Redis: a claim before the work, a note after it. It cannot put the work and the note into one
//! transaction, and says so wherever that matters.

use std::{future::Future, time::Duration};

use redis::{RedisError, Script, aio::ConnectionLike};
use tokio::{
    pin, select,
    time::{Instant, sleep, timeout_at},
};

use super::{Concurrent, MessageId, Once, WorkError};
use crate::planted::planted;

/// How a Redis inbox works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisInboxSettings {
    lease: Duration,
    keep_done: Duration,
    concurrent: Concurrent,
    wait_max: Duration,
}

impl Default for RedisInboxSettings {
    fn default() -> Self {
        RedisInboxSettings {
            lease: Duration::from_secs(30),
            keep_done: Duration::from_secs(7 * 24 * 60 * 60),
            concurrent: Concurrent::Wait,
            wait_max: Duration::from_secs(60),
        }
    }
}

impl RedisInboxSettings {
    /// How long a message stays claimed when its worker died. A living worker renews. Default 30 s, at least 30 ms.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> RedisInboxSettings {
        self.lease = lease;
        self
    }

    /// How long it is remembered that a message was done. Longer than a message can come again, as for
    /// [`Inbox::clean`](super::Inbox::clean). Default 7 days.
    #[must_use]
    pub fn keep_done(mut self, keep_done: Duration) -> RedisInboxSettings {
        self.keep_done = keep_done;
        self
    }

    /// What to do while another worker has the message. Default: wait.
    #[must_use]
    pub fn concurrent(mut self, concurrent: Concurrent) -> RedisInboxSettings {
        self.concurrent = concurrent;
        self
    }

    /// The longest such wait; after it the answer is [`Once::Busy`]. Default 60 s.
    #[must_use]
    pub fn wait_max(mut self, wait_max: Duration) -> RedisInboxSettings {
        self.wait_max = wait_max;
        self
    }
}

/// Why a message was not worked on, or whether it was is in doubt. Do not acknowledge it, and let it come again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisInboxError {
    /// The work itself failed. The claim was given back.
    #[error("the work failed: {0}")]
    Work(#[source] WorkError),
    /// The claim could not be renewed in time, and the work was dropped where it was.
    #[error(
        "the claim on message \"{0}\" was lost during the work, which was broken off: another worker may have it now; \
         let the message come again, and raise the lease if the process or Redis pauses for long"
    )]
    ClaimLost(MessageId),
    /// The work is done, but meanwhile another worker had claimed the message.
    #[error(
        "the work of message \"{0}\" is done, but another worker had taken it over meanwhile: it may be done twice; \
         let the message come again, and raise the lease if the process or Redis pauses for long"
    )]
    Overtaken(MessageId),
    /// The work is done, but this could not be noted.
    #[error("the work of message \"{id}\" is done, but could not be noted: {cause}; it will be done again")]
    NotNoted {
        /// The message.
        id: MessageId,
        /// What Redis said.
        #[source]
        cause: RedisError,
    },
    /// Redis failed before the work began.
    #[error("Redis cannot be used: {0}; nothing was done, let the message come again")]
    Redis(#[source] RedisError),
}

/// The inbox of one consumer (a group, a service) in Redis. Cheap to clone if the connection is.
///
/// What it promises: while Redis keeps its data, no two workers have the same message at the same time (as long as
/// none of them is stopped for longer than the lease *in the middle of a step*), and a message that is noted as done is not done
/// again. What it cannot promise: that work is not repeated after a crash between its end and the note. So the work must bear
/// that: be idempotent, or check a version ([`Change`](super::Change)). And Redis must not forget: `appendonly yes` with
/// `appendfsync always`, and `maxmemory-policy noeviction`. With `everysec`, its default, Redis holds back writes for up to two
/// seconds behind a slow sync although it has answered them: then a crash of Redis alone takes notes away.
///
/// ```no_run
/// use tallymq_client::inbox::{MessageId, Once, RedisInbox};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = redis::Client::open("redis://127.0.0.1/")?.get_connection_manager().await?;
/// let inbox = RedisInbox::new(redis, "red-packets");
/// let id = MessageId::from_position("orders", 3, 1077)?;
/// match inbox.once(&id, async { Ok("sent") }).await? {
///     Once::Done(_) | Once::Repeated => { /* acknowledge */ }
///     Once::Busy => { /* try again later */ }
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct RedisInbox<C> {
    connection: C,
    consumer: String,
    settings: RedisInboxSettings,
    scripts: Scripts,
}

#[derive(Debug, Clone)]
struct Scripts {
    claim: Script,
    renew: Script,
    finish: Script,
    release: Script,
}

/// A message that this worker has.
struct Claim {
    key: String,
    owner: String, // unique for each claim; it stands in the key's value
    until: Instant,
}

enum Claiming {
    Claimed(Claim),
    Done,
    Busy,
}

impl<C: ConnectionLike + Clone + Send + Sync> RedisInbox<C> {
    /// The inbox of that consumer. Give it a connection that reconnects, such as redis's `ConnectionManager`.
    pub fn new(connection: C, consumer: impl Into<String>) -> Self {
        let scripts = Scripts {
            claim: Script::new(include_str!("claim.lua")),
            renew: Script::new(include_str!("renew.lua")),
            finish: Script::new(include_str!("finish.lua")),
            release: Script::new(include_str!("release.lua")),
        };
        RedisInbox { connection, consumer: consumer.into(), settings: RedisInboxSettings::default(), scripts }
    }

    /// Works like that instead of by default.
    #[must_use]
    pub fn settings(mut self, settings: RedisInboxSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Does the work unless this message was done before, and notes it when it returns well. The claim is renewed as
    /// long as the work takes; a worker that cannot renew it breaks the work off. If the returned future is dropped, the
    /// message is free again after the lease.
    ///
    /// # Errors
    /// See [`RedisInboxError`].
    pub async fn once<T, W>(&self, id: &MessageId, work: W) -> Result<Once<T>, RedisInboxError>
    where
        W: Future<Output = Result<T, WorkError>>,
    {
        let claim = match self.claim(id).await.map_err(RedisInboxError::Redis)? {
            Claiming::Claimed(claim) => claim,
            Claiming::Done => return Ok(Once::Repeated),
            Claiming::Busy => return Ok(Once::Busy),
        };
        let outcome = {
            pin!(work);
            select! {
                biased;
                outcome = &mut work => outcome,
                () = self.renew_until_lost(&claim) => return Err(RedisInboxError::ClaimLost(id.clone())),
            }
        };
        match outcome {
            Ok(result) => match self.finish(&claim).await {
                Ok(true) => Ok(Once::Done(result)),
                Ok(false) => Err(RedisInboxError::Overtaken(id.clone())),
                Err(cause) => Err(RedisInboxError::NotNoted { id: id.clone(), cause }),
            },
            Err(error) => {
                // If this fails, the claim expires by itself.
                let mut connection = self.connection.clone();
                let mut release = self.scripts.release.key(&claim.key);
                let _ = release.arg(&claim.owner).invoke_async::<i64>(&mut connection).await;
                Err(RedisInboxError::Work(error))
            }
        }
    }

    async fn claim(&self, id: &MessageId) -> Result<Claiming, RedisError> {
        let key = format!("tally:inbox:{}:{id}", self.consumer);
        let owner =
            if planted("redis-key-without-owner") { String::new() } else { uuid::Uuid::new_v4().to_string() };
        let give_up = Instant::now() + self.settings.wait_max;
        let mut connection = self.connection.clone();
        loop {
            let until = Instant::now() + self.lease();
            let answer: i64 = self
                .scripts
                .claim
                .key(&key)
                .arg(&owner)
                .arg(milliseconds(self.lease()))
                .invoke_async(&mut connection)
                .await?;
            let free_in = match answer {
                -1 => return Ok(Claiming::Claimed(Claim { key, owner, until })),
                -2 => return Ok(Claiming::Done),
                free_in => Duration::from_millis(free_in.max(1) as u64),
            };
            let now = Instant::now();
            if self.settings.concurrent == Concurrent::Skip || now >= give_up {
                return Ok(Claiming::Busy);
            }
            // The other may finish, or give back, at any time.
            let look_again = (self.lease() / 100).clamp(Duration::from_millis(5), Duration::from_millis(250));
            sleep(look_again.min(free_in).min(give_up - now)).await;
        }
    }

    /// Returns when the claim is not this worker's any more, or may not be.
    async fn renew_until_lost(&self, claim: &Claim) {
        let mut until = claim.until;
        let mut pause = self.lease() / 3;
        loop {
            sleep(pause).await;
            let began = Instant::now();
            let mut connection = self.connection.clone();
            let mut renew = self.scripts.renew.key(&claim.key);
            renew.arg(&claim.owner).arg(milliseconds(self.lease()));
            let renewed = timeout_at(until, renew.invoke_async::<i64>(&mut connection)).await;
            match renewed {
                Ok(Ok(1)) => {
                    until = began + self.lease();
                    pause = self.lease() / 3;
                }
                Ok(Ok(_)) | Err(_) => return,
                Ok(Err(error)) if Instant::now() < until => {
                    tracing::debug!(%error, key = claim.key, "a claim in Redis was not renewed yet");
                    pause = self.lease() / 10;
                }
                Ok(Err(_)) => return,
            }
        }
    }

    /// Whether it is noted; tries for as long as a lease if Redis cannot be reached.
    async fn finish(&self, claim: &Claim) -> Result<bool, RedisError> {
        let give_up = Instant::now() + self.lease();
        loop {
            let mut connection = self.connection.clone();
            let mut finish = self.scripts.finish.key(&claim.key);
            finish.arg(&claim.owner).arg(milliseconds(self.settings.keep_done));
            match finish.invoke_async::<i64>(&mut connection).await {
                Ok(noted) => return Ok(noted == 1),
                Err(error) if Instant::now() >= give_up => return Err(error),
                Err(_) => sleep(self.lease() / 10).await,
            }
        }
    }

    fn lease(&self) -> Duration {
        self.settings.lease.max(Duration::from_millis(30))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX as u64 / 4)
}
