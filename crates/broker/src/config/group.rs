//! The keys of a single group (resource type 32, KIP-848 and KIP-932), and how they bound each other.

use super::check::{InvalidValue, Rule};
use super::key::{ConfigKey, Synonym, Unit};
use super::layers::BrokerLayers;
use crate::metadata::ConfigSet;

const SHARE_ONLY: &str = "it concerns share groups, which are not served yet, so only the default works";

const SESSION_TIMEOUT: &[Synonym] =
    &[Synonym { name: "group.consumer.session.timeout.ms", unit: Unit::Same }];
const HEARTBEAT_INTERVAL: &[Synonym] =
    &[Synonym { name: "group.consumer.heartbeat.interval.ms", unit: Unit::Same }];

/// All group keys, by name.
pub static GROUP_KEYS: &[ConfigKey] = &[
    ConfigKey::int("consumer.heartbeat.interval.ms", "5000")
        .at_least(1)
        .anytime()
        .synonyms(HEARTBEAT_INTERVAL)
        .doc("The heartbeat interval given to the members of this consumer group."),
    ConfigKey::int("consumer.session.timeout.ms", "45000")
        .at_least(1)
        .anytime()
        .synonyms(SESSION_TIMEOUT)
        .doc("After which silence a member of this consumer group counts as gone."),
    ConfigKey::string("share.auto.offset.reset", "latest")
        .rule(Rule::OneOf(&["latest", "earliest"]))
        .anytime()
        .only(&["latest"], SHARE_ONLY)
        .doc("Where a share group begins."),
    ConfigKey::int("share.heartbeat.interval.ms", "5000")
        .at_least(1)
        .anytime()
        .only(&["5000"], SHARE_ONLY)
        .doc("The heartbeat interval given to the members of this share group."),
    ConfigKey::string("share.isolation.level", "read_uncommitted")
        .rule(Rule::OneOf(&["read_committed", "read_uncommitted"]))
        .anytime()
        .only(&["read_uncommitted"], SHARE_ONLY)
        .doc("Which transactional records a share group reads."),
    ConfigKey::int("share.record.lock.duration.ms", "30000")
        .at_least(1000)
        .anytime()
        .only(&["30000"], SHARE_ONLY)
        .doc("For how long a share group's member holds a record."),
    ConfigKey::int("share.session.timeout.ms", "45000")
        .at_least(1)
        .anytime()
        .only(&["45000"], SHARE_ONLY)
        .doc("After which silence a member of this share group counts as gone."),
];

/// Checks a group's overrides against the broker's bounds and against each other (`GroupConfig.validateValues`).
pub fn check_group_bounds(overrides: &ConfigSet, broker: &BrokerLayers<'_>) -> Result<(), InvalidValue> {
    let session = bounded(overrides, broker, "consumer.session.timeout.ms", "session.timeout.ms")?;
    let heartbeat = bounded(overrides, broker, "consumer.heartbeat.interval.ms", "heartbeat.interval.ms")?;
    if session > heartbeat {
        return Ok(());
    }
    Err(InvalidValue {
        key: "consumer.session.timeout.ms".to_owned(),
        value: session.to_string(),
        reason: "It must be greater than consumer.heartbeat.interval.ms".to_owned(),
    })
}

fn bounded(
    overrides: &ConfigSet,
    broker: &BrokerLayers<'_>,
    key: &str,
    bound: &str,
) -> Result<i64, InvalidValue> {
    let (lowest, highest) = (format!("group.consumer.min.{bound}"), format!("group.consumer.max.{bound}"));
    let Some(value) = overrides.get(key).and_then(|text| text.trim().parse::<i64>().ok()) else {
        return Ok(broker.number(&format!("group.consumer.{bound}")));
    };
    let refuse = |reason: String| Err(InvalidValue { key: key.to_owned(), value: value.to_string(), reason });
    if value < broker.number(&lowest) {
        return refuse(format!("It must be greater than or equal to {lowest}"));
    }
    if value > broker.number(&highest) {
        return refuse(format!("It must be less than or equal to {highest}"));
    }
    Ok(value)
}
