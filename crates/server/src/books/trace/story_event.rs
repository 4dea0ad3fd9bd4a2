//! One thing that happened to a record, as it is shown.

use serde::Serialize;
use tallymq_broker::account::{Committer, CommitterKind, Who};

/// One thing that happened. What is not known or makes no sense is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoryEvent {
    /// When, in milliseconds by the broker's clock.
    pub at: i64,
    /// What: `opened`, `delivered`, `redelivered`, `acknowledged`, `passed`, `reset`, `refused`, `settled`, `handled`,
    /// `dead_lettered`, `merged`, `closed`, `stored`, `removed`, `withdrawn`, `lost`.
    pub what: &'static str,
    /// The class that it has from here on, where that is exceptional.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<&'static str>,
    /// The first offset that the event is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// The offset behind the last; of commits the position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<i64>,
    /// The member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The client id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The broker's number of the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<u64>,
    /// Of a delivery: `exact`, or `possible` where several groups fit. Of a commit: `member`, `standalone` or `admin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<&'static str>,
    /// Why, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What one group had to do with a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GroupStory {
    /// The group.
    pub group: String,
    /// Its class now; `settled` where only counts are kept and several classes fit; absent without an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<&'static str>,
    /// The position that the group committed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// What happened, in order.
    pub events: Vec<StoryEvent>,
    /// Further events that are not shown.
    pub more: u64,
    /// The group's retry topics, where it acknowledged the record without a receipt of its handler: a copy of it may be there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retry_topics: Vec<String>,
}

impl StoryEvent {
    /// Something at a time.
    pub fn new(at: i64, what: &'static str) -> StoryEvent {
        StoryEvent { at, what, ..StoryEvent::default() }
    }

    /// About these offsets.
    pub fn range(mut self, from: i64, to: i64) -> StoryEvent {
        (self.from, self.to) = (Some(from), Some(to));
        self
    }

    /// By somebody, as far as known.
    pub fn who(mut self, who: &Who) -> StoryEvent {
        let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        self.member = known(who.member());
        self.client_id = known(who.client_id());
        self.address = known(who.address());
        self
    }

    /// By somebody who commits.
    pub fn committer(self, by: &Committer) -> StoryEvent {
        let role = match by.kind {
            CommitterKind::Unrecorded => None,
            CommitterKind::Member => Some("member"),
            CommitterKind::Standalone => Some("standalone"),
            CommitterKind::Admin => Some("admin"),
        };
        StoryEvent { by: role, ..self.who(&by.who) }
    }
}
