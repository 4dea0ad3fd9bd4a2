//! Starting: what is there again, and what is refused.

use tallymq_gateway::kafka::ErrorCode;
use tallymq_server::{ServerError, node::StartError};
use tallymq_storage::disk::OpenDiskError;

use crate::{client::batch, world::start};

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_gives_the_same_data() {
    let directory = tempfile::tempdir().unwrap();
    let broker = start(directory.path(), &[]).await.unwrap();
    let mut client = broker.client().await;
    client.create("t", 1).await;
    for number in 0..20 {
        client.produce("t", batch(&number.to_string())).await;
    }
    assert_eq!(client.commit("g", "t", 7).await, ErrorCode::None);
    let (before, cluster) = (client.read_all("t").await, broker.0.node().identity.clone());
    broker.stop().await;
    let again = start(directory.path(), &[]).await.unwrap();
    let mut client = again.client().await;
    assert_eq!(client.read_all("t").await, before);
    assert_eq!(client.committed("g", "t").await, 7);
    assert_eq!(again.0.node().identity, cluster);
    assert_eq!(client.produce("t", batch("more")).await.base_offset, 20);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_gives_the_directory_back_before_it_returns() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..8 {
        start(directory.path(), &[]).await.unwrap().stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_directory_is_refused_and_the_first_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let broker = start(directory.path(), &[]).await.unwrap();
    let refused = start(directory.path(), &[]).await.err().expect("refused");
    assert!(
        matches!(refused, ServerError::Node(StartError::Disk(OpenDiskError::Locked { .. }))),
        "{refused}"
    );
    assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
    let mut client = broker.client().await;
    client.create("t", 1).await;
    assert_eq!(client.produce("t", batch("v")).await.error_code, ErrorCode::None);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_others_can_reach_is_refused_and_gives_the_directory_back() {
    let directory = tempfile::tempdir().unwrap();
    for key in ["listen", "http.listen"] {
        let refused = start(directory.path(), &[(key, "0.0.0.0:0")]).await.err().expect("refused");
        assert!(matches!(refused, ServerError::Bind(_)), "{refused}");
        assert!(refused.to_string().contains("insecure_listeners"), "{refused}");
    }
    start(directory.path(), &[]).await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_of_another_node_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    start(directory.path(), &[("node.id", "3")]).await.unwrap().stop().await;
    let refused = start(directory.path(), &[("node.id", "4")]).await.err().expect("refused");
    assert!(refused.to_string().contains("belongs to node 3"), "{refused}");
}
