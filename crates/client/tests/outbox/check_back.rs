//! Half messages: sent if and only if the business change was made, whoever dies when.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tallymq_client::{
    Record, headers,
    outbox::{Ask, CheckBack, CheckBackError, CheckBackSettings, HalfMessage, Verdict},
};

use super::{LIMIT, quick};
use crate::support::{
    child::{self, die},
    destination::Memory,
};

/// Answers as told, and counts.
#[derive(Clone)]
struct Answer(Verdict, Arc<AtomicUsize>);

impl Answer {
    fn always(verdict: Verdict) -> Answer {
        Answer(verdict, Arc::default())
    }
}

impl Ask for Answer {
    async fn what_became_of(&self, _: &HalfMessage) -> Verdict {
        self.1.fetch_add(1, SeqCst);
        self.0
    }
}

fn at_once() -> CheckBackSettings {
    CheckBackSettings::default()
        .first_check_after(Duration::ZERO)
        .check_every(Duration::ZERO)
        .checks_max(4)
        .relay(quick())
}

async fn open(path: &Path, settings: CheckBackSettings) -> CheckBack {
    CheckBack::open(path).await.unwrap().settings(settings)
}

fn record(value: &str) -> Record {
    Record::to("orders").key("a").value(value.to_owned())
}

async fn sent(halves: &CheckBack) -> Vec<String> {
    let memory = Memory::new();
    super::drain(halves.outbox(), &mut halves.outbox().relay(memory.clone()).settings(quick())).await;
    memory.values()
}

#[tokio::test]
async fn only_what_was_committed_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    let halves = open(&directory.path().join("halves"), CheckBackSettings::default()).await;
    let _forgotten = halves.prepare(record("half")).await.unwrap();
    let first = halves.prepare(record("first")).await.unwrap();
    let second = halves.prepare(record("second")).await.unwrap();
    let id = first.id().clone();
    second.rollback().await.unwrap();
    first.commit().await.unwrap();
    assert_eq!(sent(&halves).await, ["first"]);
    halves.commit(&id).await.unwrap();
    assert_eq!(sent(&halves).await, Vec::<String>::new(), "sent again");
    let contradiction = halves.rollback(&id).await;
    assert!(
        matches!(contradiction, Err(CheckBackError::Settled { committed: true, .. })),
        "{contradiction:?}"
    );
    let progress = halves.progress().await.unwrap();
    assert_eq!((progress.prepared, progress.unresolved), (1, 0));
    let never = tallymq_client::inbox::MessageId::new("never").unwrap();
    assert!(matches!(halves.commit(&never).await, Err(CheckBackError::NotFound(_))));
}

#[tokio::test]
async fn an_id_that_has_a_half_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let halves = open(&directory.path().join("halves"), CheckBackSettings::default()).await;
    let named = |value: &str| record(value).header(headers::ID, "order-42");
    let half = halves.prepare(named("first")).await.unwrap();
    for state in ["prepared", "committed"] {
        let again = halves.prepare(named("second")).await.unwrap_err();
        assert!(matches!(&again, CheckBackError::IdTaken(id) if id == half.id()), "{state}: {again}");
        halves.commit(half.id()).await.unwrap();
    }
    assert_eq!(sent(&halves).await, ["first"]);
}

#[tokio::test]
async fn the_application_is_asked_after_the_time_and_not_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("halves");
    let patient = open(&path, CheckBackSettings::default()).await;
    drop(patient.prepare(record("later")).await.unwrap());
    let committed = Answer::always(Verdict::Committed);
    assert_eq!(patient.check(&committed).await.unwrap(), 0);

    let halves = open(&path, at_once()).await;
    drop(halves.prepare(record("yes")).await.unwrap());
    assert_eq!(halves.check(&committed).await.unwrap(), 1);
    let late = halves.prepare(record("no")).await.unwrap();
    assert_eq!(halves.check(&Answer::always(Verdict::RolledBack)).await.unwrap(), 1);
    let contradiction = late.commit().await;
    assert!(
        matches!(contradiction, Err(CheckBackError::Settled { committed: false, .. })),
        "{contradiction:?}"
    );
    assert_eq!(sent(&halves).await, ["yes"]);
    assert_eq!(halves.progress().await.unwrap().prepared, 1);
}

#[tokio::test]
async fn it_is_asked_a_bounded_number_of_times_and_then_a_person_decides() {
    let directory = tempfile::tempdir().unwrap();
    let halves = open(&directory.path().join("halves"), at_once()).await;
    drop(halves.prepare(record("who knows")).await.unwrap());
    let unknown = Answer::always(Verdict::Unknown);
    for _ in 0..10 {
        halves.check(&unknown).await.unwrap();
    }
    assert_eq!(unknown.1.load(SeqCst), 4);
    let unresolved = halves.unresolved(10).await.unwrap();
    assert_eq!((unresolved.len(), unresolved[0].checks), (1, 4));
    assert_eq!(unresolved[0].record, record("who knows"), "nothing of it is forgotten");
    assert_eq!(halves.progress().await.unwrap().unresolved, 1);
    halves.commit(&unresolved[0].id).await.unwrap();
    assert_eq!(sent(&halves).await, ["who knows"]);
}

#[tokio::test]
async fn an_application_that_does_not_answer_counts_as_unknown() {
    struct Silent;
    impl Ask for Silent {
        async fn what_became_of(&self, _: &HalfMessage) -> Verdict {
            std::future::pending().await
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let settings = at_once().ask_timeout(Duration::from_millis(5)).checks_max(2);
    let halves = open(&directory.path().join("halves"), settings).await;
    drop(halves.prepare(record("x")).await.unwrap());
    assert_eq!(halves.check(&Silent).await.unwrap(), 1);
    assert_eq!(halves.check(&Silent).await.unwrap(), 1);
    assert_eq!(halves.progress().await.unwrap().unresolved, 1);
}

/// The business is a file with a line per change.
struct InFile<'a>(&'a Path);

impl Ask for InFile<'_> {
    async fn what_became_of(&self, half: &HalfMessage) -> Verdict {
        let business = std::fs::read_to_string(self.0).unwrap_or_default();
        if business.lines().any(|line| line == half.id.as_str()) {
            Verdict::Committed
        } else {
            Verdict::RolledBack
        }
    }
}

/// `halves`: file of the halves, file of the business, the step at which to die.
pub async fn child(arguments: &[&str]) {
    let [path, business, die_at] = arguments else { panic!("{arguments:?}") };
    let die_at: usize = die_at.parse().unwrap();
    let halves = open(Path::new(path), at_once().first_check_after(Duration::ZERO)).await;
    let step = |number: usize| {
        if number == die_at {
            die();
        }
    };
    step(0);
    let half = halves.prepare(record("x")).await.unwrap();
    step(1);
    use std::io::Write;
    let mut file = std::fs::File::options().append(true).create(true).open(business).unwrap();
    writeln!(file, "{}", half.id()).unwrap();
    step(2);
    half.commit().await.unwrap();
    step(3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_killed_between_any_two_steps_is_asked_later() {
    let directory = tempfile::tempdir().unwrap();
    let (path, business) = (directory.path().join("halves"), directory.path().join("business"));
    for round in 0..20 {
        let task = ["halves", path.to_str().unwrap(), business.to_str().unwrap(), &(round % 5).to_string()];
        let well = child::start(&task).wait();
        assert_eq!(well, round % 5 == 4);
    }
    let halves = open(&path, at_once()).await;
    let memory = Memory::new();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let ends = async {
        loop {
            let progress = halves.progress().await.unwrap();
            if progress.prepared == 0 && progress.outbox.pending == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        stop.send(()).unwrap();
    };
    let run = halves.run(memory.clone(), InFile(&business), async move { drop(stopped.await) });
    tokio::time::timeout(LIMIT, async { tokio::join!(run, ends) }).await.expect("no end");
    let mut sent: Vec<String> = memory.arrived().into_iter().map(|arrived| arrived.id).collect();
    let mut made: Vec<String> =
        std::fs::read_to_string(&business).unwrap().lines().map(str::to_owned).collect();
    sent.sort();
    made.sort();
    assert_eq!(made.len(), 12);
    assert_eq!(sent, made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_check_at_once_ask_once() {
    struct Slow(Mutex<Vec<String>>, tokio::sync::Barrier);
    impl Ask for Slow {
        async fn what_became_of(&self, half: &HalfMessage) -> Verdict {
            self.0.lock().unwrap().push(half.id.to_string());
            self.1.wait().await;
            Verdict::Committed
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("halves");
    let settings = at_once().check_every(Duration::from_secs(60));
    let (one, other) = (open(&path, settings.clone()).await, open(&path, settings).await);
    drop(one.prepare(record("a")).await.unwrap());
    drop(one.prepare(record("b")).await.unwrap());
    // Neither goes on before both are asking, so that each has one of the two.
    let slow = Slow(Mutex::default(), tokio::sync::Barrier::new(2));
    let (first, second) = tokio::join!(one.check(&slow), other.check(&slow));
    assert_eq!((first.unwrap(), second.unwrap()), (1, 1));
    let mut asked = slow.0.into_inner().unwrap();
    asked.dedup();
    assert_eq!(asked.len(), 2);
    assert_eq!(sent(&one).await.len(), 2);
}
