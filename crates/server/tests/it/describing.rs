//! What a broker says of itself: of settings what counts, not only what was set; of features what old clients can read.

use tallymq_gateway::kafka::{
    messages::{
        api_versions::ApiVersionsRequest,
        describe_configs::{DescribeConfigsRequest, DescribeConfigsResource},
    },
    request::Response,
};

use crate::{
    client::{Client, answer},
    disks::TestDisk,
    world::start_on,
};

const BROKER: i8 = 4;
/// Set in the configuration of the broker.
const STATIC: i8 = 4;

/// Value and source of these keys.
async fn described(client: &mut Client, broker: i32, keys: &[&str]) -> Vec<(String, Option<String>, i8)> {
    let resource = DescribeConfigsResource {
        resource_type: BROKER,
        resource_name: broker.to_string(),
        configuration_keys: Some(keys.iter().map(|key| (*key).to_owned()).collect()),
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let mut answered = answer!(client.call(request).await, DescribeConfigs);
    let configs = answered.results.remove(0).configs.into_iter();
    configs.map(|config| (config.name, config.value, config.config_source)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_directory_was_made_with_is_shown_whatever_was_set_later() {
    let disk = TestDisk::new();
    start_on(&disk, &[("node.id", "7"), ("data.groups", "3")]).await.stop().await;
    let broker = start_on(&disk, &[("data.groups", "2")]).await;
    let mut client = broker.client().await;
    let mut shown = described(&mut client, 7, &["node.id", "data.groups", "advertised.listeners"]).await;
    shown.sort();
    let here = format!("PLAINTEXT://{}", broker.address());
    let fixed = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()), STATIC);
    let expected = [fixed("advertised.listeners", &here), fixed("data.groups", "3"), fixed("node.id", "7")];
    assert_eq!(shown, expected);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_clients_are_not_told_of_features_that_begin_at_level_0() {
    let disk = TestDisk::new();
    let broker = start_on(&disk, &[]).await;
    let mut client = broker.client().await;
    let request = ApiVersionsRequest {
        client_software_name: "test".to_owned(),
        client_software_version: "1".to_owned(),
    };
    for (version, told) in [(3, 0), (4, 1)] {
        client.send_as(version, request.clone()).await;
        let answered = client.receive().await;
        let Response::ApiVersions(answered) = answered else { panic!("{answered:?}") };
        assert_eq!(answered.supported_features.len(), told, "version {version}");
        assert_eq!(answered.finalized_features.len(), 1, "version {version}");
    }
    broker.stop().await;
}
