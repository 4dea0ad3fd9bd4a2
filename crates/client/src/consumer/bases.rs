//! Which subscribed topic a record belongs to: the one it was read from, or the one that a retry topic was made for. What
//! its headers say of its origin decides nothing here: a redriven record may come by another topic. Pure.

use std::collections::HashMap;

use super::policy;

/// The topics that a consumer reads.
#[derive(Debug, Clone, Default)]
pub(super) struct Bases {
    of_retry: HashMap<String, String>, // retry topic → the subscribed topic that it serves
}

impl Bases {
    /// Of these topics, each with so many retry topics of that group.
    pub(super) fn new(topics: &[String], group: &str, levels: usize) -> Bases {
        let pairs = topics.iter().flat_map(|topic| {
            (0..levels).map(move |level| (policy::retry_topic(topic, group, level), topic.clone()))
        });
        Bases { of_retry: pairs.collect() }
    }

    /// The subscribed topic to which records of that topic belong.
    pub(super) fn of<'a>(&'a self, topic: &'a str) -> &'a str {
        self.of_retry.get(topic).map_or(topic, String::as_str)
    }

    /// Whether it is a retry topic of ours.
    pub(super) fn is_retry(&self, topic: &str) -> bool {
        self.of_retry.contains_key(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_belongs_to_what_was_subscribed() {
        let topics = ["orders".to_owned(), "orders.g.dead".to_owned()];
        let bases = Bases::new(&topics, "g", 2);
        for (topic, base, is_retry) in [
            ("orders", "orders", false),
            ("orders.g.retry-2", "orders", true),
            ("orders.g.retry-3", "orders.g.retry-3", false),
            ("orders.g.dead", "orders.g.dead", false),
            ("orders.g.dead.g.retry-1", "orders.g.dead", true),
        ] {
            assert_eq!((bases.of(topic), bases.is_retry(topic)), (base, is_retry), "{topic}");
        }
    }
}
