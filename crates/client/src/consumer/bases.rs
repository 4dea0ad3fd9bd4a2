//! Which subscribed topic a record belongs to: the one it was read from, or the one that a retry topic was made for. What
//! its headers say of its origin decides nothing here: a redriven record may come by another topic. Pure.

use std::collections::HashSet;

use super::policy;

/// The topics that a consumer reads.
#[derive(Debug, Clone, Default)]
pub(super) struct Bases {
    topics: HashSet<String>, // those subscribed, without their retry topics
    group: String,
}

impl Bases {
    /// Of these topics, with the retry topics of that group.
    pub(super) fn new(topics: &[String], group: &str) -> Bases {
        Bases { topics: topics.iter().cloned().collect(), group: group.to_owned() }
    }

    /// The subscribed topic to which records of that topic belong.
    pub(super) fn of<'a>(&self, topic: &'a str) -> &'a str {
        self.served_by(topic).unwrap_or(topic)
    }

    /// Whether it is a retry topic of ours, of whichever level: there may be more than are configured.
    pub(super) fn is_retry(&self, topic: &str) -> bool {
        self.served_by(topic).is_some()
    }

    fn served_by<'a>(&self, retry: &'a str) -> Option<&'a str> {
        if self.topics.contains(retry) {
            return None;
        }
        policy::topic_of_retry(retry, &self.group).filter(|topic| self.topics.contains(*topic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_belongs_to_what_was_subscribed() {
        let topics = ["orders", "orders.g.dead", "orders.g.retry-3"].map(str::to_owned);
        let bases = Bases::new(&topics, "g");
        for (topic, base, is_retry) in [
            ("orders", "orders", false),
            ("orders.g.retry-2", "orders", true),
            ("orders.g.retry-9", "orders", true),
            ("orders.g.retry-3", "orders.g.retry-3", false),
            ("orders.h.retry-1", "orders.h.retry-1", false),
            ("others.g.retry-1", "others.g.retry-1", false),
            ("orders.g.dead", "orders.g.dead", false),
            ("orders.g.dead.g.retry-1", "orders.g.dead", true),
        ] {
            assert_eq!((bases.of(topic), bases.is_retry(topic)), (base, is_retry), "{topic}");
        }
    }
}
