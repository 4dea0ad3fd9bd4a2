//! Golden messages, written by Kafka's own Java classes (kafka-clients 4.3.0): the versions that the crate
//! kafka-protocol does not know.

use bytes::Bytes;
use tallymq_gateway::kafka::messages::describe_log_dirs::*;
use tallymq_gateway::kafka::messages::list_offsets::*;
use tallymq_gateway::kafka::messages::offset_commit::*;
use tallymq_gateway::kafka::messages::offset_fetch::*;
use tallymq_gateway::kafka::wire::{Reader, Structure};
use tallymq_gateway::kafka::{ApiKey, Request, Response};
use uuid::Uuid;

use crate::versions::{request_bytes, response_bytes};

const TOPIC_ID: Uuid = Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);

fn bytes(hex: &str) -> Bytes {
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(digits).collect()
}

fn assert_request(request: Request, version: i16, hex: &str) {
    assert_eq!(request_bytes(&request, version), bytes(hex));
    assert_eq!(Request::decode(request.api(), version, &mut Reader::new(bytes(hex))), Ok(request));
}

#[test]
fn list_offsets_11() {
    let partition = ListOffsetsPartition { partition_index: 3, current_leader_epoch: 7, timestamp: -4 };
    let request = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: 1,
        topics: vec![ListOffsetsTopic { name: "orders".into(), partitions: vec![partition] }],
        timeout_ms: 500,
    };
    let hex = "ffffffff0102076f7264657273020000000300000007fffffffffffffffc0000000001f400";
    assert_request(request.into(), 11, hex);
}

#[test]
fn offset_commit_10() {
    let partition = OffsetCommitRequestPartition {
        partition_index: 3,
        committed_offset: 42,
        committed_leader_epoch: 7,
        committed_metadata: Some("note".into()),
    };
    let topic =
        OffsetCommitRequestTopic { topic_id: TOPIC_ID, partitions: vec![partition], ..Default::default() };
    let request = OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: 5,
        member_id: "m".into(),
        topics: vec![topic],
        ..Default::default()
    };
    let hex = "026700000005026d00020102030405060708090a0b0c0d0e0f100200000003000000000000002a00000007056e6f7465\
               000000";
    assert_request(request.into(), 10, hex);
}

#[test]
fn offset_fetch_10() {
    let topic =
        OffsetFetchRequestTopics { topic_id: TOPIC_ID, partition_indexes: vec![3, 4], ..Default::default() };
    let some_topics = OffsetFetchRequestGroup {
        group_id: "g".into(),
        member_id: Some("m".into()),
        member_epoch: 5,
        topics: Some(vec![topic]),
    };
    let all_topics = OffsetFetchRequestGroup { group_id: "h".into(), topics: None, ..Default::default() };
    let groups = vec![some_topics, all_topics];
    let request = OffsetFetchRequest { groups, require_stable: true, ..Default::default() };
    let hex =
        "030267026d00000005020102030405060708090a0b0c0d0e0f100300000003000000040000026800ffffffff00000100";
    assert_request(request.into(), 10, hex);
}

#[test]
fn describe_log_dirs_5() {
    let partition = DescribeLogDirsPartition {
        partition_index: 3,
        partition_size: 77,
        offset_lag: 2,
        is_future_key: false,
    };
    let result = DescribeLogDirsResult {
        log_dir: "/data".into(),
        topics: vec![DescribeLogDirsTopic { name: "orders".into(), partitions: vec![partition] }],
        total_bytes: 1000,
        usable_bytes: 600,
        is_cordoned: true,
        ..Default::default()
    };
    let response = Response::from(DescribeLogDirsResponse {
        throttle_time_ms: 1,
        results: vec![result],
        ..Default::default()
    });
    let hex = "000000010000020000062f6461746102076f72646572730200000003000000000000004d0000000000000002000000000000\
               00000003e80000000000000258010000";
    assert_eq!(response_bytes(&response, 5), bytes(hex));
    let mut reader = Reader::new(bytes(hex));
    assert_eq!(Response::decode(ApiKey::DescribeLogDirs, 5, &mut reader), Ok(response));
    assert_eq!(DescribeLogDirsResponse::VERSIONS, 1..=5);
}
