//! Which connections fetch as the same member. A consumer has one for that, so of several some belong to a client that reads
//! what it likes, under the same name and from the same host. Decides nothing; bounded by the open connections.

use std::{collections::HashMap, sync::Arc};

use tallymq_broker::group::{GroupId, MemberId};
use tallymq_model::Timestamp;

use super::{doubt::Standing, owners::Owner};

/// How long a connection that asks for nothing more, and was not closed, counts: a client may have lost it without a word.
const SILENT_MS_MAX: i64 = 60_000;

type Member = (GroupId, MemberId);

/// The member that a connection fetches as.
struct Home {
    member: Member,
    /// When last.
    at: Timestamp,
    /// Its newest fetch was only of what others hold. Once that may be a fetch that waited while its partitions moved.
    is_strange: bool,
    standing: Arc<Standing>,
}

/// The open connections that fetch as members. Invariant: `by_member` names exactly the homes of `homes`, and no list is empty.
#[derive(Default)]
pub struct Rivals {
    homes: HashMap<u64, Home>,
    by_member: HashMap<Member, Vec<u64>>,
}

impl Rivals {
    /// A connection fetched what these members hold.
    pub fn fetched<'a>(
        &mut self,
        (connection, at): (u64, Timestamp),
        mut owners: impl Iterator<Item = &'a Owner>,
    ) {
        let Some(first) = owners.next() else { return };
        if let Some(home) = self.homes.get_mut(&connection) {
            let is_home = |owner: &Owner| owner.group == home.member.0 && owner.member == home.member.1;
            if is_home(first) || owners.any(is_home) {
                (home.at, home.is_strange) = (at, false);
                return;
            }
            if !std::mem::replace(&mut home.is_strange, true) {
                return;
            }
        }
        let standing = self.leaves(connection).map(|home| home.standing).unwrap_or_default();
        let member = (first.group.clone(), first.member.clone());
        self.by_member.entry(member.clone()).or_default().push(connection);
        self.homes.insert(connection, Home { member, at, is_strange: false, standing });
    }

    /// What others will know of it; None if it fetches as no member.
    pub fn standing(&self, connection: u64) -> Option<Arc<Standing>> {
        self.homes.get(&connection).map(|home| home.standing.clone())
    }

    /// It asks for something: it is not silent, also if there is nothing to give it.
    pub fn asked(&mut self, connection: u64, at: Timestamp) {
        if let Some(home) = self.homes.get_mut(&connection) {
            home.at = at;
        }
    }

    /// The other connections that fetch as this member.
    pub fn of(&self, (connection, now): (u64, Timestamp), owner: &Owner) -> Vec<Arc<Standing>> {
        let member = (owner.group.clone(), owner.member.clone());
        let others = self.by_member.get(&member).into_iter().flatten().filter(|other| **other != connection);
        let homes = others.filter_map(|other| self.homes.get(other));
        let heard = homes.filter(|home| now.0.saturating_sub(home.at.0) <= SILENT_MS_MAX);
        heard.map(|home| home.standing.clone()).collect()
    }

    /// It fetches no more.
    pub fn closed(&mut self, connection: u64) {
        if let Some(home) = self.leaves(connection) {
            home.standing.close();
        }
    }

    fn leaves(&mut self, connection: u64) -> Option<Home> {
        let home = self.homes.remove(&connection)?;
        if let Some(connections) = self.by_member.get_mut(&home.member) {
            connections.retain(|other| *other != connection);
            if connections.is_empty() {
                self.by_member.remove(&home.member);
            }
        }
        Some(home)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(member: &str) -> Owner {
        Owner { group: "g".into(), member: member.into(), client_id: "c".into(), host: None }
    }

    /// A fetch, and whether the connection is the first member's only one.
    fn fetched(rivals: &mut Rivals, connection: u64, at: i64, members: &[&str]) -> bool {
        let owners: Vec<Owner> = members.iter().map(|member| owner(member)).collect();
        rivals.fetched((connection, Timestamp(at)), owners.iter());
        rivals.of((connection, Timestamp(at)), &owners[0]).is_empty()
    }

    #[test]
    fn one_connection_is_a_members_and_of_two_nobody_knows_which() {
        let mut rivals = Rivals::default();
        assert!(fetched(&mut rivals, 1, 0, &["a"]));
        assert!(fetched(&mut rivals, 2, 0, &["b"]), "each member has its own");
        assert!(!fetched(&mut rivals, 3, 5, &["a"]));
        assert!(!fetched(&mut rivals, 1, 6, &["a"]));
        rivals.closed(3);
        assert!(fetched(&mut rivals, 1, 7, &["a"]));
        rivals.closed(1);
        rivals.closed(2);
        assert!(rivals.homes.is_empty() && rivals.by_member.is_empty());
    }

    #[test]
    fn a_fetch_that_waited_while_its_partition_moved_makes_nobody_doubtful() {
        let mut rivals = Rivals::default();
        assert!(fetched(&mut rivals, 1, 0, &["a"]) && fetched(&mut rivals, 2, 0, &["b"]));
        assert!(!fetched(&mut rivals, 2, 1, &["a"]), "what b's connection got of a's is in doubt");
        assert!(fetched(&mut rivals, 1, 2, &["a"]), "and what a's own got is not");
        fetched(&mut rivals, 2, 3, &["a", "b"]);
        fetched(&mut rivals, 2, 4, &["a"]);
        assert!(fetched(&mut rivals, 1, 5, &["a"]), "also if it has others that it kept");
        fetched(&mut rivals, 2, 6, &["a"]);
        assert!(!fetched(&mut rivals, 1, 7, &["a"]), "but not again and again");
    }

    #[test]
    fn a_member_that_joins_again_takes_its_connection_along() {
        let mut rivals = Rivals::default();
        assert!(fetched(&mut rivals, 1, 0, &["a"]));
        assert!(fetched(&mut rivals, 1, 1, &["a2"]) && fetched(&mut rivals, 1, 2, &["a2"]));
        assert!(!fetched(&mut rivals, 2, 3, &["a2"]));
        assert_eq!(rivals.by_member.len(), 1);
    }

    #[test]
    fn a_connection_that_was_lost_without_a_word_counts_no_longer() {
        let mut rivals = Rivals::default();
        assert!(fetched(&mut rivals, 1, 0, &["a"]));
        assert!(!fetched(&mut rivals, 2, SILENT_MS_MAX, &["a"]));
        assert!(fetched(&mut rivals, 2, SILENT_MS_MAX + 1, &["a"]));
        rivals.asked(1, Timestamp(SILENT_MS_MAX));
        assert!(!fetched(&mut rivals, 2, SILENT_MS_MAX + 2, &["a"]));
    }
}
