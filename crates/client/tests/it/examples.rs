//! The examples that docs/client.md prints: they are the files of `examples/`, word for word, and each runs as it is, against the
//! broker. Cargo builds them with these tests.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use tallymq_client::{DeadLetters, Producer, Record, headers};
use tempfile::TempDir;

use crate::{
    broker::Broker,
    process::Process,
    topic,
    waiting::{until, within},
};

/// In the order of the page.
const PRINTED: [&str; 5] = ["hello", "spool", "dead_letters", "outbox", "inbox"];

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_page_prints_the_files() {
    let page = text("../../docs/client.md");
    let printed: Vec<&str> =
        page.split("```rust\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    for (name, printed) in PRINTED.iter().zip(&printed) {
        assert_eq!(*printed, text(&format!("examples/{name}.rs")), "docs/client.md prints another {name}.rs");
    }
    assert_eq!(printed.len(), PRINTED.len(), "what docs/client.md prints is an example that is run here");
    let directory = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")).unwrap();
    let files: BTreeSet<PathBuf> = directory.map(|entry| PathBuf::from(entry.unwrap().file_name())).collect();
    let single = files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
    assert_eq!(single.count(), PRINTED.len(), "an example is not printed: {files:?}");
}

#[test]
fn the_page_names_the_versions_whose_types_the_sdk_takes() {
    let (page, workspace) = (text("../../docs/client.md"), text("../../Cargo.toml"));
    for name in ["sqlx", "redis"] {
        let start = format!("{name} = {{ version = \"");
        let line = workspace.lines().find(|line| line.starts_with(&start)).unwrap();
        let version = line[start.len()..].split('"').next().unwrap();
        assert!(page.contains(&format!("{start}{version}\"")), "{name} is {version}");
    }
}

/// An example with a directory to work in.
struct Example {
    program: PathBuf,
    directory: TempDir,
}

impl Example {
    /// It is in target/debug/examples, these tests in target/debug/deps.
    fn of(name: &str) -> Example {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).with_extension("rs");
        let here = std::env::current_exe().unwrap();
        let program = here.parent().unwrap().parent().unwrap().join("examples").join(name);
        let changed = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
        let built = changed(&program).unwrap_or(SystemTime::UNIX_EPOCH);
        assert!(
            built >= changed(&source).unwrap(),
            "{} is missing or older than its source: run `cargo build -p tallymq-client --examples` first",
            program.display()
        );
        Example { program, directory: tempfile::tempdir().unwrap() }
    }

    fn start(&self, broker: &Broker, arguments: &[&str]) -> Process {
        let mut command = Command::new(&self.program);
        Process::start_loud(command.arg(broker.address()).args(arguments).current_dir(&self.directory))
    }
}

async fn send(broker: &Broker, record: Record) {
    let producer = Producer::builder(broker.cluster()).start().await.unwrap();
    let _place = producer.send(record).await.unwrap();
}

#[test]
fn hello_is_said_and_heard() {
    let broker = Broker::start();
    broker.create_topic("greetings", 1);
    let example = Example::of("hello");
    let mut hello = example.start(&broker, &[]);
    let stored = hello.line();
    assert!(stored.starts_with("InTopic { partition: 0, offset: 0, "), "{stored}");
    assert_eq!(hello.line(), "greetings-0:0 Some(b\"hello\")");
    assert_eq!(hello.interrupt(), ["0 handlers were cut short"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_wait_in_the_spool_and_are_sent_after_a_restart() {
    let mut broker = Broker::start();
    broker.create_topic("orders", 1);
    let example = Example::of("spool");
    let mut sender = example.start(&broker, &[]);
    sender.say("one book");
    assert_eq!([sender.line(), sender.line()], ["stored at 0:0", "0 wait on the disk"]);
    broker.kill();
    for (order, waiting) in [("two books", "1 wait on the disk"), ("three books", "2 wait on the disk")] {
        sender.say(order);
        assert_eq!([sender.line(), sender.line()], ["safe on the local disk", waiting]);
    }
    sender.kill();
    broker.start_again();
    let sender = example.start(&broker, &[]);
    let values = || -> Vec<String> {
        topic::read(broker.address(), "orders").into_iter().map(|record| record.value).collect()
    };
    until("all are sent", || values().len() >= 3).await;
    assert_eq!(values(), ["one book", "two books", "three books"]);
    assert_eq!(sender.end_input(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_be_billed_is_sent_again_once_it_can() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let example = Example::of("dead_letters");
    let prices = example.directory.path().join("prices");
    fs::write(&prices, "book 12\n").unwrap();
    send(&broker, Record::to("orders").value("book")).await;
    send(&broker, Record::to("orders").value("pear")).await;
    let mut billing = example.start(&broker, &[]);
    let mut said = [billing.line(), billing.line()];
    said.sort();
    assert_eq!(said, ["book: 12", "pear: given up"]);
    let letters = DeadLetters::of(broker.cluster(), "orders", "billing");
    within("the letter", async { while letters.list(1).await.unwrap().is_empty() {} }).await;

    fs::write(&prices, "book 12\npear 3\n").unwrap();
    let again = example.start(&broker, &["again"]).last_lines();
    assert_eq!(again, ["orders.billing.dead-0:0 from orders-0:1: no price of pear", "1 sent again"]);
    assert_eq!(billing.line(), "pear: 3");
    assert_eq!(billing.interrupt(), ["0 handlers were cut short"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_the_outbox_is_packed_once() {
    let broker = Broker::start();
    broker.create_topic("orders", 3);
    let (taking, packing) = (Example::of("outbox"), Example::of("inbox"));
    let mut outbox = taking.start(&broker, &[]);
    let id = outbox.line_after("order 1 is taken, its message is ");
    assert_eq!(outbox.line(), format!("{id} is sent"));
    assert_eq!(outbox.interrupt(), ["0 wait in the outbox"]);
    // As a relay does that died before it had noted the acknowledgement.
    send(&broker, Record::to("orders").key("1").value("book").header(headers::ID, id)).await;

    let mut inbox = packing.start(&broker, &[]);
    assert_eq!([inbox.line(), inbox.line()], ["book: packed", "book: packed before"]);
    assert_eq!(inbox.interrupt(), ["0 handlers were cut short"]);
}
