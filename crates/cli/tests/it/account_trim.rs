//! A journal that became too large: its beginning goes, the books are still proven, and the trace says what is not there any more.

use std::path::Path;

use serde_json::json;
use tallymq_broker::{
    account::{AccountCommand, Committer, CommitterKind, Who},
    data::DataCommand,
};
use tallymq_model::{Offset, PartitionIndex, TopicPartition};
use tallymq_server::{Config, Server, Sources};

use crate::broker::{Broker, code, json_lines, run, stderr, stdout};

/// The smallest journal that may be asked for.
const JOURNAL_BYTES: &str = "16777216";
/// Refused commits of one command.
const REFUSED: usize = 2_000;

async fn server(dir: &Path) -> Server {
    let flags = [
        ("data.dir", dir.to_str().unwrap()),
        ("listen", "127.0.0.1:0"),
        ("http.listen", ""),
        ("account.journal.bytes", JOURNAL_BYTES),
    ];
    let flags = flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Server::start(Config::load(Sources { flags, ..Sources::default() }).unwrap()).await.unwrap()
}

/// Events that change nothing but a count, and are as long as events become.
async fn make_journal_large(server: &Server, topic: &str, group: &str) {
    let node = server.node();
    let topic = node.topic(topic).unwrap();
    let tp = TopicPartition { topic: topic.id, partition: PartitionIndex(0) };
    let (handle, _) = node.partition(&topic, tp).unwrap();
    let long = "x".repeat(256);
    let by = Committer { kind: CommitterKind::Member, who: Who::new(&long, &long, &long) };
    let full = 3 * JOURNAL_BYTES.parse::<u64>().unwrap();
    while handle.view.journal().map_or(0, |log| log.size_bytes()) < full {
        let (group, positions, at) = (group.into(), vec![(tp, Offset(7)); REFUSED], node.now());
        let refused = AccountCommand::Refused { group, positions, by: by.clone(), at };
        handle.propose(DataCommand::Account(refused)).await.unwrap();
    }
}

/// Where the fullest journal begins.
fn begins_at(server: &Server) -> Offset {
    let bounds = server.node().data_groups().map(|handle| handle.view.state().journal_bounds().0);
    bounds.max().unwrap()
}

#[test]
fn a_trimmed_journal_proves_the_books_and_the_trace_says_what_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "1"]);
    let input: String = (0..20).map(|number| format!("value {number}\n")).collect();
    assert_eq!(code(&broker.run_with_input(&["produce", "t", "-q"], input.as_bytes())), 0);
    broker.ok(&["consume", "t", "-g", "g"]);
    broker.ok(&["consume", "t", "-g", "h", "-n", "5"]);
    broker.stop();

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let filling = server(dir.path()).await;
        make_journal_large(&filling, "t", "h").await;
        filling.stop().await;
        let trimming = server(dir.path()).await;
        while begins_at(&trimming) == Offset::ZERO {
            tokio::task::yield_now().await;
        }
        trimming.stop().await;
    });

    let verified = run(&["verify", "--data-dir", dir.path().to_str().unwrap(), "--json"]);
    assert_eq!(code(&verified), 0, "{} {:?}", stderr(&verified), json_lines(&verified));
    let broker = Broker::start(dir.path());
    let account = broker.books(&["account", "--group", "g", "--json"]);
    let account = json_lines(&account).remove(0);
    assert_eq!(account["balanced"], json!(true), "{account}");
    assert_eq!(account["accounts"][0]["classes"]["processed"], json!(20), "{account}");
    let trace = json_lines(&broker.books(&["trace", "-t", "t", "--offset", "0:3", "--json"])).remove(0);
    assert_eq!(trace["journal"]["trimmed"], json!(true), "{trace}");
    let group = trace["records"][0]["groups"].as_array().unwrap().iter().find(|one| one["group"] == "g");
    assert_eq!(group.unwrap()["class"], json!("processed"), "{trace}");
    let ended = json_lines(&broker.books(&["account", "--ended", "--json"])).remove(0);
    assert_eq!((&ended["trimmed"], &ended["ended"]), (&json!(true), &json!([])), "{ended}");
    assert!(ended["known_since"].as_i64().unwrap() > 0, "{ended}");
    let shown = stdout(&broker.books(&["account", "--ended"]));
    assert!(shown.contains("endings before 20") && shown.contains("trimmed"), "{shown}");
    broker.stop();
}
