//! What subscriptions mean at the current version of the topics. Regular expressions are compiled once and bounded; they
//! run in linear time, and must match a topic's whole name, as RE2/J's `matches` does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use tallymq_model::TopicId;

use crate::group::coordinator::Core;
use crate::group::durable::ConsumerMember;
use crate::group::error::GroupError;
use crate::group::names::Text;
use crate::group::topics::TopicImage;

/// Bytes that a compiled expression may take.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// Expressions whose matches are kept.
const CACHED_MAX: usize = 1_000;

/// The topics that regular expressions match, at one version of the topics.
#[derive(Debug, Default)]
pub(in crate::group::coordinator) struct Patterns {
    version: u64,
    matched: BTreeMap<Text, Arc<BTreeSet<TopicId>>>,
}

impl Patterns {
    fn topics(&mut self, pattern: &Text, image: &TopicImage) -> Arc<BTreeSet<TopicId>> {
        if self.version != image.version() || self.matched.len() >= CACHED_MAX {
            self.matched.clear();
            self.version = image.version();
        }
        if let Some(found) = self.matched.get(pattern) {
            return found.clone();
        }
        // An expression was checked when it came in; one that this build refuses matches nothing.
        let found: BTreeSet<TopicId> = match compile(pattern) {
            Ok(regex) => {
                image.topics().filter(|(name, _)| regex.is_match(name)).map(|(_, topic)| topic.id).collect()
            }
            Err(_) => BTreeSet::new(),
        };
        let found = Arc::new(found);
        self.matched.insert(pattern.clone(), found.clone());
        found
    }
}

/// Compiles an expression so that it matches whole names only.
pub(super) fn compile(pattern: &str) -> Result<Regex, GroupError> {
    RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|_| GroupError::InvalidRegularExpression)
}

impl Core {
    /// The existing topics that a member is subscribed to.
    pub(super) fn subscribed(&mut self, member: &ConsumerMember) -> BTreeSet<TopicId> {
        let topics = self.topics.clone();
        let mut all: BTreeSet<TopicId> =
            member.topics.iter().filter_map(|name| topics.topic(name)).map(|topic| topic.id).collect();
        if let Some(pattern) = member.regex.as_ref().filter(|pattern| !pattern.is_empty()) {
            all.extend(self.patterns.topics(pattern, &topics).iter());
        }
        all
    }

    /// The existing topics that members are subscribed to, with their partition counts.
    pub(super) fn subscribed_topics<'m>(
        &mut self,
        members: impl Iterator<Item = &'m ConsumerMember>,
    ) -> BTreeMap<TopicId, u32> {
        let mut ids = BTreeSet::new();
        for member in members {
            ids.extend(self.subscribed(member));
        }
        let count = |id: TopicId| {
            let name = self.topics.name(id)?;
            Some((id, self.topics.topic(name)?.partitions))
        };
        ids.into_iter().filter_map(count).collect()
    }
}
