//! When unread records expire. Retention removes whole segments, each once the newest timestamp in it is older than
//! `retention.ms`; so this is the earliest time for the records that are read next, and the segment that is still written
//! may keep them for longer. Pure.

use super::facts::{Cluster, Position};
use crate::time_text::{rfc3339, span};

/// When the next unread records of a position expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// How long until then; negative if it is over.
    pub left_ms: i64,
    /// For how long the topic keeps records.
    pub retention_ms: i64,
}

impl Expiry {
    /// Of a position with unread records; None if they stay, or if it is not known.
    pub fn of(cluster: &Cluster, position: &Position) -> Option<Expiry> {
        let retention_ms = cluster.topic(&position.topic)?.retention_ms()?;
        let at_ms = position.unread_ms.filter(|ms| *ms >= 0)?.saturating_add(retention_ms);
        Some(Expiry { at_ms, left_ms: at_ms.saturating_sub(cluster.now_ms), retention_ms })
    }

    /// Less than a quarter of the time that records are kept is left.
    pub fn is_near(self) -> bool {
        self.left_ms < self.retention_ms / 4
    }

    /// As a part of a sentence.
    pub fn text(self) -> String {
        if self.left_ms <= 0 {
            return format!("unread records may be removed at any moment (since {})", rfc3339(self.at_ms));
        }
        format!("unread records expire in about {} at {}", span(self.left_ms), rfc3339(self.at_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::cluster::facts::Topic;

    fn expiry(policy: &str, retention: &str, unread_ms: Option<i64>, now_ms: i64) -> Option<Expiry> {
        let mut topic = Topic { name: "t".to_owned(), ..Topic::default() };
        topic.settings.put("cleanup.policy", policy, true);
        topic.settings.put("retention.ms", retention, true);
        let cluster = Cluster { topics: vec![topic], now_ms, ..Cluster::default() };
        Expiry::of(&cluster, &Position { topic: "t".to_owned(), unread_ms, ..Position::default() })
    }

    #[test]
    fn it_is_the_records_time_and_the_retention() {
        let hour = 3_600_000;
        let found =
            expiry("delete", &(4 * hour).to_string(), Some(1_700_000_000_000), 1_700_000_000_000 + hour);
        let found = found.unwrap();
        assert_eq!((found.left_ms, found.is_near()), (3 * hour, false));
        assert_eq!(found.text(), "unread records expire in about 3 h at 2023-11-15T02:13:20Z");
        let late = expiry("compact,delete", "1000", Some(1_700_000_000_000), 1_700_000_001_000).unwrap();
        assert!(late.is_near());
        assert_eq!(late.text(), "unread records may be removed at any moment (since 2023-11-14T22:13:21Z)");
    }

    #[test]
    fn some_never_expire() {
        assert_eq!(expiry("compact", "1000", Some(1), 5), None);
        assert_eq!(expiry("", "1000", Some(1), 5), None);
        assert_eq!(expiry("delete", "-1", Some(1), 5), None);
        assert_eq!(expiry("delete", "1000", None, 5), None);
        assert_eq!(expiry("delete", "1000", Some(-1), 5), None, "records without a timestamp");
        assert_eq!(
            expiry("delete", "9223372036854775807", Some(10), 5).map(|found| found.is_near()),
            Some(false)
        );
    }
}
