//! The inbox in Redis.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use tallymq_client::inbox::{Concurrent, Once, RedisInbox, RedisInboxError, RedisInboxSettings};
use tokio::{sync::oneshot, time::timeout};

use super::id;
use crate::support::server::{Kind, Server, shared};

/// What tests wait for that want it to run out.
const LEASE: Duration = Duration::from_secs(2);
/// Whoever renews it may be stopped for two thirds of it; a test waits for it twice.
const RENEWED: Duration = Duration::from_secs(3);
/// Whoever has this one is not to lose it.
const LONG: Duration = Duration::from_secs(60);

struct Opened {
    server: Arc<Server>,
    consumer: String,
}

fn open() -> Opened {
    Opened { server: shared(Kind::Redis), consumer: uuid::Uuid::new_v4().to_string() }
}

impl Opened {
    async fn connect(&self) -> ConnectionManager {
        let url = format!("redis+unix://{}", self.server.socket().display());
        // Its own limits, half a second for an answer, are not for busy machines.
        let limit = Some(LONG);
        let config = ConnectionManagerConfig::new();
        let config = config.set_response_timeout(limit).set_connection_timeout(limit);
        redis::Client::open(url).unwrap().get_connection_manager_with_config(config).await.unwrap()
    }

    async fn inbox(&self, concurrent: Concurrent, lease: Duration) -> RedisInbox<ConnectionManager> {
        let settings = RedisInboxSettings::default().lease(lease).concurrent(concurrent);
        RedisInbox::new(self.connect().await, &self.consumer).settings(settings)
    }
}

#[tokio::test]
async fn the_second_time_nothing_is_done() {
    let redis = open();
    let inbox = redis.inbox(Concurrent::Wait, LEASE).await;
    assert_eq!(inbox.once(&id("a"), async { Ok(1) }).await.unwrap(), Once::Done(1));
    let again = inbox.once::<(), _>(&id("a"), async { panic!("done again") }).await.unwrap();
    assert_eq!(again, Once::Repeated);
    assert_eq!(inbox.once(&id("A"), async { Ok(1) }).await.unwrap(), Once::Done(1));
    let other = RedisInbox::new(redis.connect().await, format!("{}-other", redis.consumer));
    assert_eq!(other.once(&id("a"), async { Ok(2) }).await.unwrap(), Once::Done(2));
}

#[tokio::test]
async fn work_that_failed_is_free_at_once() {
    let redis = open();
    let inbox = redis.inbox(Concurrent::Skip, LEASE).await;
    let failed = inbox.once::<(), _>(&id("a"), async { Err("no".into()) }).await;
    assert!(matches!(failed, Err(RedisInboxError::Work(_))), "{failed:?}");
    assert_eq!(inbox.once(&id("a"), async { Ok(()) }).await.unwrap(), Once::Done(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_works_and_the_other_skips_or_waits() {
    let redis = open();
    let skip = redis.inbox(Concurrent::Skip, RENEWED).await;
    let wait = redis.inbox(Concurrent::Wait, RENEWED).await;
    let (go_on, told) = oneshot::channel::<bool>();
    let (begun, has_begun) = oneshot::channel();
    let first = tokio::spawn({
        let skip = skip.clone();
        async move {
            let work = async {
                begun.send(()).unwrap();
                if told.await? { Ok(()) } else { Err("given up".into()) }
            };
            skip.once(&id("a"), work).await
        }
    });
    has_begun.await.unwrap();
    assert_eq!(skip.once(&id("a"), async { Ok(()) }).await.unwrap(), Once::Busy);
    let mut second = tokio::spawn({
        let wait = wait.clone();
        async move { wait.once(&id("a"), async { Ok(()) }).await }
    });
    // Slow work is renewed: two leases later it is still one worker's.
    let early = timeout(RENEWED * 2, &mut second).await;
    assert!(early.is_err(), "the second did not wait: {early:?}");
    go_on.send(true).unwrap();
    assert_eq!(first.await.unwrap().unwrap(), Once::Done(()));
    assert_eq!(second.await.unwrap().unwrap(), Once::Repeated);
}

#[tokio::test]
async fn waiting_has_an_end() {
    let redis = open();
    let settings = RedisInboxSettings::default().wait_max(Duration::from_millis(30));
    let inbox = RedisInbox::new(redis.connect().await, "waiting").settings(settings);
    let message = id(&redis.consumer);
    let within = inbox.once(&message, async {
        assert_eq!(inbox.once(&message, async { Ok(()) }).await?, Once::Busy);
        Ok(())
    });
    assert_eq!(within.await.unwrap(), Once::Done(()));
}

#[tokio::test]
async fn a_dead_workers_message_is_free_after_the_lease() {
    let redis = open();
    let inbox = redis.inbox(Concurrent::Wait, LEASE).await;
    {
        let message = id("a");
        let dies = inbox.once::<(), _>(&message, std::future::pending());
        assert!(timeout(Duration::from_millis(50), dies).await.is_err());
    }
    assert_eq!(inbox.once(&id("a"), async { Ok(()) }).await.unwrap(), Once::Done(()));
}

/// A worker on a thread of its own that is frozen, renewals and all, until it is told how its work ends.
fn frozen(
    redis: &Opened,
    end: bool,
) -> (mpsc::Sender<()>, thread::JoinHandle<Result<Once<()>, RedisInboxError>>) {
    let (thaw, frozen) = mpsc::channel();
    let (begun, has_begun) = mpsc::channel();
    let redis = Opened { server: redis.server.clone(), consumer: redis.consumer.clone() };
    let worker = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let inbox = redis.inbox(Concurrent::Skip, LEASE).await;
            let work = async {
                begun.send(()).unwrap();
                frozen.recv().unwrap();
                if end { Ok(()) } else { Err("given up late".into()) }
            };
            inbox.once(&id("a"), work).await
        })
    });
    has_begun.recv().unwrap();
    (thaw, worker)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_overslept_cannot_give_back_what_is_anothers() {
    let redis = open();
    let wait = redis.inbox(Concurrent::Wait, LONG).await;
    let skip = redis.inbox(Concurrent::Skip, LONG).await;
    let (thaw, overslept) = frozen(&redis, false);
    let at_work = Arc::new(AtomicU64::new(0));
    let message = id("a");
    let second = wait.once(&message, async {
        at_work.fetch_add(1, SeqCst);
        // The first wakes up, fails, and gives back, or so it thinks.
        thaw.send(()).unwrap();
        let late = tokio::task::spawn_blocking(move || overslept.join().unwrap()).await?;
        assert!(matches!(late, Err(RedisInboxError::Work(_))), "{late:?}");
        let third = skip.once(&id("a"), async { Ok(at_work.fetch_add(1, SeqCst)) }).await?;
        assert_eq!(third, Once::Busy, "a third works while the second does");
        Ok(())
    });
    assert_eq!(second.await.unwrap(), Once::Done(()));
    assert_eq!(at_work.load(SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_overslept_is_told_that_the_work_may_be_done_twice() {
    let redis = open();
    let wait = redis.inbox(Concurrent::Wait, LONG).await;
    let (thaw, overslept) = frozen(&redis, true);
    let message = id("a");
    let second = wait.once(&message, async {
        thaw.send(()).unwrap();
        let late = tokio::task::spawn_blocking(move || overslept.join().unwrap()).await?;
        assert!(matches!(late, Err(RedisInboxError::Overtaken(_))), "{late:?}");
        Ok(())
    });
    assert_eq!(second.await.unwrap(), Once::Done(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_overslept_alone_still_finishes() {
    let redis = open();
    let (thaw, overslept) = frozen(&redis, true);
    let mut connection = redis.connect().await;
    let expired = async {
        let key = format!("tally:inbox:{}:a", redis.consumer);
        while redis::cmd("EXISTS").arg(&key).query_async::<i64>(&mut connection).await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(300), expired).await.expect("the claim does not expire");
    thaw.send(()).unwrap();
    let late = tokio::task::spawn_blocking(move || overslept.join().unwrap()).await.unwrap();
    assert_eq!(late.unwrap(), Once::Done(()));
    let inbox = redis.inbox(Concurrent::Skip, LEASE).await;
    assert_eq!(inbox.once(&id("a"), async { Ok(()) }).await.unwrap(), Once::Repeated);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_noted_survives_a_crash_of_redis() {
    let redis = Opened { server: Arc::new(Server::start(Kind::Redis)), consumer: "tests".into() };
    let settings = RedisInboxSettings::default().lease(LONG);
    let inbox = RedisInbox::new(redis.connect().await, "tests").settings(settings);
    assert_eq!(inbox.once(&id("before"), async { Ok(()) }).await.unwrap(), Once::Done(()));
    // A crash during the work: the claim is still there, and the note is written when Redis is back.
    let message = id("during");
    let during = inbox.once(&message, async {
        let server = redis.server.clone();
        tokio::task::spawn_blocking(move || {
            server.crash();
            server.resume();
        })
        .await?;
        Ok(())
    });
    assert_eq!(during.await.unwrap(), Once::Done(()));
    for message in ["before", "during"] {
        let again = async { panic!("{message} was done again") };
        assert_eq!(inbox.once::<(), _>(&id(message), again).await.unwrap(), Once::Repeated);
    }
}
