//! A topic's settings as the code that obeys them wants them: typed, with every fallback resolved.

use tallymq_model::TimestampType;

use super::find_topic_key;
use super::layers::BrokerLayers;
use crate::metadata::ConfigSet;

/// The settings of one topic that change what the broker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    /// `retention.ms`; `None` is forever.
    pub retention_ms: Option<u64>,
    /// `retention.bytes` of each partition; `None` is unlimited.
    pub retention_bytes: Option<u64>,
    /// `segment.bytes`.
    pub segment_bytes_max: u32,
    /// `segment.ms`.
    pub segment_ms_max: u64,
    /// `max.message.bytes`: the largest batch.
    pub message_bytes_max: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
}

impl TopicSettings {
    /// A topic's overrides over the broker's layers. Values were checked when they were set; one that is not a number all the same counts as
    /// the key's default.
    pub fn resolve(overrides: &ConfigSet, broker: &BrokerLayers<'_>) -> TopicSettings {
        let text = |name: &str| -> String {
            let own = overrides.get(name).cloned();
            let fallback = || find_topic_key(name).and_then(|key| broker.fallback(key).value);
            own.or_else(fallback).unwrap_or_default()
        };
        let number = |name: &str| -> i64 {
            let default = || find_topic_key(name).and_then(|key| key.default?.parse().ok()).unwrap_or(0);
            text(name).trim().parse().unwrap_or_else(|_| default())
        };
        let limit = |name: &str| u64::try_from(number(name)).ok();
        TopicSettings {
            retention_ms: limit("retention.ms"),
            retention_bytes: limit("retention.bytes"),
            segment_bytes_max: u32::try_from(number("segment.bytes")).unwrap_or(u32::MAX),
            segment_ms_max: limit("segment.ms").unwrap_or(u64::MAX),
            message_bytes_max: usize::try_from(number("max.message.bytes")).unwrap_or(0),
            timestamp_type: match text("message.timestamp.type").as_str() {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
        }
    }
}
