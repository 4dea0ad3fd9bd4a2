//! The tables hold together, refuse what does not work, and resolve as Kafka does.

use std::collections::BTreeSet;

use tallymq_broker::config::{
    BROKER_TABLE, BrokerLayers, ConfigEdit, ConfigKey, ConfigSource, EditError, EditOperation, GROUP_KEYS,
    GROUP_TABLE, Support, TOPIC_KEYS, TOPIC_TABLE, TopicSettings, broker_keys, check_group_bounds,
    describe_broker, describe_cluster_default, describe_group, describe_topic, find_broker_key,
    find_topic_key,
};
use tallymq_broker::metadata::ConfigSet;
use tallymq_model::TimestampType;

fn set(pairs: &[(&str, &str)]) -> ConfigSet {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn all_keys() -> impl Iterator<Item = &'static ConfigKey> {
    TOPIC_KEYS.iter().chain(GROUP_KEYS).chain(broker_keys())
}

fn layers<'a>(broker: &'a ConfigSet, cluster: &'a ConfigSet, fixed: &'a ConfigSet) -> BrokerLayers<'a> {
    BrokerLayers { broker, cluster, fixed }
}

#[test]
fn every_default_is_valid_and_every_key_documented() {
    for key in all_keys() {
        if let Some(default) = key.default {
            key.check(default).unwrap_or_else(|error| panic!("{error}"));
        }
        assert!(key.doc.ends_with('.') && key.documentation().len() >= key.doc.len(), "{}", key.name);
    }
}

#[test]
fn names_are_unique_and_synonyms_exist_with_the_same_default() {
    for keys in [TOPIC_KEYS.iter().collect::<Vec<_>>(), GROUP_KEYS.iter().collect(), broker_keys().collect()]
    {
        let names: BTreeSet<_> = keys.iter().map(|key| key.name).collect();
        assert_eq!(names.len(), keys.len());
    }
    assert!(TOPIC_KEYS.is_sorted_by_key(|key| key.name));
    let none = ConfigSet::new();
    for key in TOPIC_KEYS.iter().chain(GROUP_KEYS) {
        for synonym in key.synonyms {
            assert!(find_broker_key(synonym.name).is_some(), "{} of {}", synonym.name, key.name);
        }
        let fallback = layers(&none, &none, &none).fallback(key);
        assert_eq!(fallback.value.as_deref(), key.default, "{}", key.name);
        assert_eq!(fallback.source, ConfigSource::Default);
    }
}

#[test]
fn what_does_not_work_yet_is_refused_with_a_reason() {
    let refused = [
        ("cleanup.policy", "compact", "compaction is not available"),
        ("cleanup.policy", "delete,compact", "compaction is not available"),
        ("remote.storage.enable", "true", "tiered storage is not available"),
        ("compression.type", "gzip", "never compressed again"),
    ];
    for (key, value, reason) in refused {
        let error = TOPIC_TABLE.check_set(&set(&[(key, value)])).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains(key), "{error}");
    }
    // What tools set for every topic that they make, and what changes nothing.
    for (key, value) in [
        ("flush.messages", "1"),
        ("flush.ms", "5"),
        ("min.insync.replicas", "2"),
        ("min.cleanable.dirty.ratio", "0.1"),
        ("delete.retention.ms", "100"),
    ] {
        TOPIC_TABLE.check_set(&set(&[(key, value)])).unwrap();
    }
    for (key, value) in [
        ("log.cleaner.min.cleanable.ratio", "0.1"),
        ("log.local.retention.ms", "5"),
        ("max.connection.creation.rate", "100"),
        ("transaction.max.timeout.ms", "5"),
    ] {
        let error = find_broker_key(key).unwrap().check(value).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
    let protocols = find_broker_key("group.coordinator.rebalance.protocols").unwrap();
    assert!(protocols.check("consumer").is_err() && protocols.check("classic,streams").is_err());
    protocols.check("classic").unwrap();
}

/// A text that says that something is missing goes with a refusal, not with a setting that is kept.
#[test]
fn nothing_is_kept_that_would_work_one_day() {
    for key in all_keys() {
        if let Support::Stored(why) = key.support {
            assert!(!why.contains("yet"), "{}: {why}", key.name);
        }
    }
}

#[test]
fn values_are_checked_by_type_and_range() {
    let bad = [
        ("retention.ms", "-2"),
        ("retention.ms", "abc"),
        ("retention.ms", "9223372036854775808"),
        ("max.message.bytes", "2147483648"),
        ("max.message.bytes", "-1"),
        ("segment.bytes", "1048575"),
        ("message.timestamp.type", "Whenever"),
        ("min.cleanable.dirty.ratio", "1.5"),
        ("min.cleanable.dirty.ratio", "NaN"),
        ("preallocate", "yes"),
        ("cleanup.policy", "shrink"),
        ("cleanup.policy", ""),
        ("leader.replication.throttled.replicas", "1-2"),
    ];
    for (key, value) in bad {
        let error = TOPIC_TABLE.check_set(&set(&[(key, value)])).unwrap_err();
        assert!(matches!(error, EditError::InvalidValue(_)), "{key}={value}: {error:?}");
    }
    let good = [
        ("retention.ms", "-1"),
        ("retention.bytes", "-1"),
        ("preallocate", "TRUE"),
        ("leader.replication.throttled.replicas", "0:1,1:1"),
        ("leader.replication.throttled.replicas", "*"),
    ];
    for (key, value) in good {
        TOPIC_TABLE.check_set(&set(&[(key, value)])).unwrap();
    }
    let unknown = TOPIC_TABLE.check_set(&set(&[("retention", "1")])).unwrap_err();
    assert_eq!(unknown.to_string(), "Unknown topic config name: retention");
    let crossed = set(&[("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "5")]);
    assert!(TOPIC_TABLE.check_set(&crossed).is_err());
}

#[test]
fn edits_set_delete_append_and_subtract() {
    let edit = |key: &str, operation| ConfigEdit { key: key.to_owned(), operation };
    let default_of = |key: &'static ConfigKey| key.default.map(str::to_owned);
    let apply =
        |current: &[(&str, &str)], edits: &[ConfigEdit]| TOPIC_TABLE.edit(&set(current), edits, default_of);
    let throttled = "leader.replication.throttled.replicas";

    let changed = apply(
        &[("retention.ms", "1"), ("segment.ms", "2")],
        &[
            edit("retention.ms", EditOperation::Delete),
            edit("segment.ms", EditOperation::Set("3".to_owned())),
        ],
    );
    assert_eq!(changed, Ok(set(&[("segment.ms", "3")])));
    let appended =
        apply(&[(throttled, "0:1")], &[edit(throttled, EditOperation::Append("0:1,1:1".to_owned()))]);
    assert_eq!(appended, Ok(set(&[(throttled, "0:1,1:1")])));
    let subtracted =
        apply(&[(throttled, "0:1,1:1")], &[edit(throttled, EditOperation::Subtract("0:1".to_owned()))]);
    assert_eq!(subtracted, Ok(set(&[(throttled, "1:1")])));
    let from_default = apply(&[], &[edit("cleanup.policy", EditOperation::Append("delete".to_owned()))]);
    assert_eq!(from_default, Ok(set(&[("cleanup.policy", "delete")])));
    let compact = apply(&[], &[edit("cleanup.policy", EditOperation::Append("compact".to_owned()))]);
    assert!(matches!(compact, Err(EditError::InvalidValue(_))), "{compact:?}");
    let not_a_list = apply(&[], &[edit("retention.ms", EditOperation::Append("1".to_owned()))]);
    assert_eq!(not_a_list, Err(EditError::NotAList("retention.ms".to_owned())));
    let twice = [edit("retention.ms", EditOperation::Delete), edit("retention.ms", EditOperation::Delete)];
    assert_eq!(apply(&[], &twice), Err(EditError::DuplicateKey("retention.ms".to_owned())));
    let unknown = apply(&[], &[edit("x", EditOperation::Delete)]);
    assert!(matches!(unknown, Err(EditError::UnknownKey { scope: "topic", .. })), "{unknown:?}");
}

#[test]
fn keys_of_the_start_are_read_only() {
    for key in ["data.dir", "node.id", "flush", "num.partitions"] {
        let error = BROKER_TABLE.check_set(&set(&[(key, find_broker_key(key).unwrap().default.unwrap())]));
        assert_eq!(error, Err(EditError::ReadOnly(key.to_owned())));
    }
    BROKER_TABLE.check_set(&set(&[("log.retention.ms", "5"), ("message.max.bytes", "9")])).unwrap();
}

#[test]
fn the_strongest_layer_counts_and_hours_become_milliseconds() {
    let key = find_topic_key("retention.ms").unwrap();
    let (none, hours, minutes, ms) = (
        ConfigSet::new(),
        set(&[("log.retention.hours", "2")]),
        set(&[("log.retention.hours", "2"), ("log.retention.minutes", "3")]),
        set(&[("log.retention.ms", "44")]),
    );
    let fallback = |broker, cluster, fixed| {
        let found = layers(broker, cluster, fixed).fallback(key);
        (found.name, found.value.unwrap(), found.source)
    };
    assert_eq!(
        fallback(&none, &none, &hours),
        ("log.retention.hours", "7200000".to_owned(), ConfigSource::Static)
    );
    assert_eq!(
        fallback(&none, &none, &minutes),
        ("log.retention.minutes", "180000".to_owned(), ConfigSource::Static)
    );
    assert_eq!(
        fallback(&none, &ms, &minutes),
        ("log.retention.ms", "44".to_owned(), ConfigSource::DynamicDefault)
    );
    assert_eq!(
        fallback(&ms, &none, &minutes),
        ("log.retention.ms", "44".to_owned(), ConfigSource::DynamicBroker)
    );
    let other = set(&[("log.retention.ms", "55")]);
    let strongest = |broker, cluster, fixed| fallback(broker, cluster, fixed).1;
    assert_eq!(strongest(&none, &other, &ms), "55", "the cluster's default over the start's");
    assert_eq!(strongest(&other, &ms, &ms), "55", "the broker's own over the cluster's");
    let forever = set(&[("log.retention.hours", "-1")]);
    assert_eq!(fallback(&none, &none, &forever).1, "-1");
}

#[test]
fn a_topics_settings_are_its_own_over_the_brokers() {
    let none = ConfigSet::new();
    let defaults = TopicSettings::resolve(&none, &layers(&none, &none, &none));
    assert_eq!(
        defaults,
        TopicSettings {
            retention_ms: Some(604_800_000),
            retention_bytes: None,
            segment_bytes_max: 1 << 30,
            segment_ms_max: 604_800_000,
            message_bytes_max: 1_048_588,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
        }
    );
    let cluster =
        set(&[("log.retention.bytes", "500"), ("message.max.bytes", "7"), ("log.retention.ms", "9")]);
    let own = set(&[
        ("retention.ms", "-1"),
        ("message.timestamp.type", "LogAppendTime"),
        ("max.message.bytes", "8"),
    ]);
    let settings = TopicSettings::resolve(&own, &layers(&none, &cluster, &none));
    assert_eq!(
        (settings.retention_ms, settings.retention_bytes, settings.message_bytes_max),
        (None, Some(500), 8)
    );
    assert_eq!(settings.timestamp_type, TimestampType::LogAppendTime);
}

#[test]
fn descriptions_name_every_key_with_source_and_synonyms() {
    let (none, fixed) = (ConfigSet::new(), set(&[("log.retention.hours", "1"), ("flush", "async")]));
    let cluster = set(&[("log.retention.ms", "77")]);
    let broker = layers(&none, &cluster, &fixed);
    let topic = describe_topic(&set(&[("retention.ms", "5")]), &broker);
    assert_eq!(topic.len(), TOPIC_KEYS.len());
    let retention = topic.iter().find(|described| described.name == "retention.ms").unwrap();
    assert_eq!((retention.value.as_deref(), retention.source), (Some("5"), ConfigSource::Topic));
    assert!(!retention.read_only && !retention.sensitive);
    let synonyms: Vec<_> =
        retention.synonyms.iter().map(|s| (s.name, s.value.clone().unwrap(), s.source)).collect();
    assert_eq!(
        synonyms,
        [
            ("retention.ms", "5".to_owned(), ConfigSource::Topic),
            ("log.retention.ms", "77".to_owned(), ConfigSource::DynamicDefault),
            ("log.retention.hours", "1".to_owned(), ConfigSource::Static),
        ],
        "no default of a mere fallback"
    );
    let all = describe_broker(&broker);
    assert_eq!(all.len(), broker_keys().count());
    let flush = all.iter().find(|described| described.name == "flush").unwrap();
    assert_eq!(
        (flush.value.as_deref(), flush.source, flush.read_only),
        (Some("async"), ConfigSource::Static, true)
    );
    let unset = all.iter().find(|described| described.name == "log.roll.ms").unwrap();
    assert_eq!((unset.value.as_deref(), unset.source), (None, ConfigSource::Default));
    assert_eq!(unset.synonyms, [], "not log.roll.hours by default");
    assert_eq!(describe_cluster_default(&cluster).len(), 1);
    let group = describe_group(&set(&[("consumer.session.timeout.ms", "50000")]), &broker);
    let session = group.iter().find(|described| described.name == "consumer.session.timeout.ms").unwrap();
    assert_eq!((session.value.as_deref(), session.source), (Some("50000"), ConfigSource::Group));
}

#[test]
fn a_groups_timeouts_stay_inside_the_brokers_bounds() {
    let none = ConfigSet::new();
    let broker = layers(&none, &none, &none);
    let check = |pairs: &[(&str, &str)]| check_group_bounds(&set(pairs), &broker);
    check(&[]).unwrap();
    check(&[("consumer.session.timeout.ms", "60000"), ("consumer.heartbeat.interval.ms", "15000")]).unwrap();
    for (key, value) in [
        ("consumer.session.timeout.ms", "44999"),
        ("consumer.session.timeout.ms", "60001"),
        ("consumer.heartbeat.interval.ms", "4999"),
        ("consumer.heartbeat.interval.ms", "15001"),
    ] {
        assert!(check(&[(key, value)]).is_err(), "{key}={value}");
    }
    let fixed =
        set(&[("group.consumer.min.session.timeout.ms", "1"), ("group.consumer.session.timeout.ms", "2")]);
    assert!(
        check_group_bounds(&none, &layers(&none, &none, &fixed)).is_err(),
        "a session shorter than a heartbeat"
    );
    assert!(GROUP_TABLE.check_set(&set(&[("share.session.timeout.ms", "1000")])).is_err());
}
