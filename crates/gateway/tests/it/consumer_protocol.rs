//! The opaque payloads of the protocol type `consumer`, against the crate kafka-protocol and against bad input.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable};
use tallymq_gateway::kafka::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, decode, encode,
};
use tallymq_gateway::kafka::wire::sample::Sampler;
use tallymq_gateway::kafka::wire::{DecodeFault, Structure};

fn agree<Ours, Theirs>()
where
    Ours: Structure + PartialEq + std::fmt::Debug,
    Theirs: Encodable + Decodable,
{
    for version in Ours::VERSIONS {
        for seed in 0..40 {
            let layout = Ours::layout(version).expect("known version");
            let value = Ours::sample(&mut Sampler::new(seed), layout);
            let ours = encode(&value, version).expect("a sample fits its version");
            let mut unread = ours.slice(2..);
            let theirs = Theirs::decode(&mut unread, version).expect("they read ours");
            assert!(unread.is_empty());
            let mut back = BytesMut::new();
            back.put_i16(version);
            theirs.encode(&mut back, version).expect("they write what they read");
            assert_eq!(ours, back);
            assert_eq!(decode::<Ours>(back.freeze()), Ok(value));
        }
    }
}

#[test]
fn subscriptions_agree() {
    agree::<ConsumerProtocolSubscription, kafka_protocol::messages::ConsumerProtocolSubscription>();
}

#[test]
fn assignments_agree() {
    agree::<ConsumerProtocolAssignment, kafka_protocol::messages::ConsumerProtocolAssignment>();
}

#[test]
fn a_newer_version_reads_as_the_newest_known() {
    let value = ConsumerProtocolSubscription {
        topics: vec!["orders".to_owned()],
        rack_id: Some("r1".to_owned()),
        ..Default::default()
    };
    let known = encode(&value, 3).expect("fits");
    let mut newer = BytesMut::new();
    newer.put_i16(9);
    newer.put(known.slice(2..));
    newer.put_slice(b"fields of the future");
    assert_eq!(decode(newer.freeze()), Ok(value));
}

#[test]
fn bad_payloads_are_errors() {
    let fault = |bytes: &'static [u8]| {
        let payload = Bytes::from_static(bytes);
        decode::<ConsumerProtocolSubscription>(payload).expect_err("not a subscription").fault
    };
    assert_eq!(fault(b""), DecodeFault::Truncated { wanted: 2, remaining: 0 });
    assert_eq!(fault(b"\xff\xff"), DecodeFault::UnsupportedVersion(-1));
    assert_eq!(
        fault(b"\0\0\x7f\xff\xff\xff"),
        DecodeFault::CountTooLarge { count: i32::MAX as usize, remaining: 0 }
    );
}
