//! What clients read, and in whose name, so that a commit by somebody who holds no partition (a bare `assign()`) finds the
//! reads that it is about. Pure; bounded: what is not remembered here leaves a span ([`Forgotten`]), and counts as possibly read.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use tallymq_broker::{
    account::Witness,
    group::{GroupId, Text},
};
use tallymq_model::{Offset, Timestamp, TopicPartition};

use super::forgotten::{Forgotten, Span};

/// Ranges that one client has in one partition.
const RANGES_PER_PEER_MAX: usize = 32;
/// Clients of one partition.
const PEERS_PER_PARTITION_MAX: usize = 256;
/// Ranges of all.
const RANGES_MAX: usize = 65_536;
/// Groups that one range is known to be of.
const CLAIMS_MAX: usize = 8;

/// A client, as far as a connection tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its address.
    pub ip: IpAddr,
    /// Its name for itself.
    pub client_id: Text,
}

/// A stretch of one partition that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The first offset.
    pub from: Offset,
    /// The offset behind the last.
    pub to: Offset,
    /// Over which connection, last.
    pub connection: u64,
    /// From where.
    pub address: Text,
    /// When, last.
    pub at: Timestamp,
    /// Whose accounts were told of it.
    pub groups: Vec<GroupId>,
    /// Who else may have got it, and had no account then.
    pub doubtful: Vec<GroupId>,
}

/// A stretch that becomes a group's by its commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The stretch; its groups mean nothing.
    pub read: Read,
    /// How sure it is.
    pub witness: Witness,
}

/// A commit of one position.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Who commits.
    pub peer: &'a Peer,
    /// In whose name.
    pub group: &'a GroupId,
    /// As a member.
    pub is_member: bool,
    /// Its group's members hold the partition: then a member's own reads were attributed when they happened.
    pub is_held: bool,
    /// The partition.
    pub tp: TopicPartition,
    /// The position.
    pub to: Offset,
}

/// What the account knows of a group and a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its position.
    pub position: Option<Offset>,
    /// Whether there is an account.
    pub is_open: bool,
}

/// A read that a commit may be about.
struct Found<'a> {
    witness: Witness,
    read: &'a mut Read,
    /// It is noted as the group's: not if another client's commit is nearer to it.
    is_its: bool,
}

#[derive(Debug)]
struct PeerReads {
    peer: Peer,
    /// In the order in which they came; not empty.
    reads: Vec<Read>,
}

/// All reads of one data group's partitions. Invariant: `count` is the number of ranges.
#[derive(Debug, Default)]
pub struct Reads {
    by_partition: HashMap<TopicPartition, Vec<PeerReads>>,
    count: usize,
    forgotten: Forgotten,
}

impl Reads {
    /// A client read something.
    pub fn add(&mut self, peer: &Peer, tp: TopicPartition, read: Read) {
        let peers = self.by_partition.entry(tp).or_default();
        let known = peers.iter().position(|one| one.peer == *peer);
        let Some(at) = known else {
            peers.push(PeerReads { peer: peer.clone(), reads: vec![read] });
            self.count += 1;
            if peers.len() > PEERS_PER_PARTITION_MAX {
                let oldest =
                    peers.iter().enumerate().min_by_key(|(_, one)| one.newest()).map_or(0, |(at, _)| at);
                let gone = peers.swap_remove(oldest);
                self.forget(tp, &gone.peer, &gone.reads);
            }
            return self.bound();
        };
        let reads = &mut peers[at].reads;
        let same = reads.iter_mut().rev().find(|one| one.meets(&read));
        match same {
            Some(one) => one.merge(read),
            None => {
                reads.push(read);
                self.count += 1;
                if reads.len() > RANGES_PER_PEER_MAX {
                    let gone = reads.remove(0);
                    self.forget(tp, peer, &[gone]);
                }
                self.bound();
            }
        }
    }

    /// Whether this client read any of the partition in nobody's name.
    pub fn has_unclaimed(&self, peer: &Peer, tp: TopicPartition) -> bool {
        let peers = self.by_partition.get(&tp).into_iter().flatten();
        peers.filter(|one| one.peer == *peer).flat_map(|one| &one.reads).any(Read::is_free)
    }

    /// Up to where each partition was read by who may still commit it, and no mark tells of that; None if that is forgotten.
    pub fn doubts(&self) -> Option<Vec<(TopicPartition, Offset)>> {
        let forgotten = self.forgotten.ends()?;
        let unsettled = self.by_partition.iter().flat_map(|(tp, peers)| {
            let reads = peers.iter().flat_map(|one| &one.reads);
            reads.filter(|read| read.is_unsettled()).map(move |read| (*tp, read.to))
        });
        let mut below: BTreeMap<TopicPartition, Offset> = BTreeMap::new();
        for (tp, to) in forgotten.chain(unsettled) {
            let known = below.entry(tp).or_insert(to);
            *known = to.max(*known);
        }
        Some(below.into_iter().collect())
    }

    /// What of the reads below its position a commit makes its group's. `known` is asked only if there is any.
    pub fn claim(
        &mut self,
        claim: Claim<'_>,
        is_open: impl Fn(u64) -> bool,
        known: impl Fn() -> Known,
    ) -> Vec<Claimed> {
        let peers = self.by_partition.get_mut(&claim.tp).map(Vec::as_mut_slice).unwrap_or_default();
        let mut found: Vec<Found<'_>> = Vec::new();
        for one in peers.iter_mut().filter(|one| one.peer.client_id == claim.peer.client_id) {
            one.find(claim, &is_open, &mut found);
        }
        let forgotten = self.forgotten.of(claim.tp, &claim.peer.client_id, claim.to);
        if found.is_empty() && forgotten.is_empty() {
            return Vec::new();
        }
        let Known { position, is_open } = known();
        let mut claimed = Vec::new();
        if !is_open {
            // The account opens where the reading that led to the commit began, and not where somebody read long ago; what is
            // in doubt opens none.
            found.retain(|one| one.witness == Witness::Exact);
            found.sort_by_key(|one| std::cmp::Reverse(one.read.from));
            found.truncate(1);
        } else {
            let possible = |span| Claimed { read: Read::forgotten(span), witness: Witness::Possible };
            claimed.extend(forgotten.into_iter().map(possible));
        }
        for Found { witness, read, is_its } in found {
            claimed.push(Claimed { read: read.clone(), witness });
            if is_its {
                read.told(claim.group);
            }
        }
        for one in &mut claimed {
            one.read.from = one.read.from.max(position.unwrap_or_default());
        }
        claimed.retain(|one| one.read.from < one.read.to);
        claimed
    }

    fn bound(&mut self) {
        if self.count <= RANGES_MAX {
            return;
        }
        let all = self.by_partition.values().flatten();
        let mut times: Vec<Timestamp> = all.map(PeerReads::newest).collect();
        let middle = times.len() / 2;
        let keep_from = *times.select_nth_unstable(middle).1;
        let mut gone = Vec::new();
        self.by_partition.retain(|tp, peers| {
            peers.retain_mut(|one| {
                let keeps = one.newest() > keep_from;
                if !keeps {
                    gone.push((*tp, one.peer.clone(), std::mem::take(&mut one.reads)));
                }
                keeps
            });
            !peers.is_empty()
        });
        gone.into_iter().for_each(|(tp, peer, reads)| self.forget(tp, &peer, &reads));
    }

    /// By the client's name, also without its address: what a client has read may be another's of its name ([`PeerReads::find`]).
    fn forget(&mut self, tp: TopicPartition, peer: &Peer, reads: &[Read]) {
        self.count -= reads.len();
        for read in reads.iter().filter(|read| read.is_unsettled()) {
            self.forgotten.add(tp, &peer.client_id, (read.from, read.to));
        }
    }
}

impl PeerReads {
    fn newest(&self) -> Timestamp {
        self.reads.iter().map(|read| read.at).max().unwrap_or_default()
    }

    /// A client's own reads that nobody has are the committer's. Over a closed connection, or from another address, they may be;
    /// so may those that were in doubt, those of a member if the committer is none, and those of nobody if the committer is a
    /// member that held the partition: it may be another client of the same name.
    fn find<'a>(&'a mut self, claim: Claim<'_>, is_open: &impl Fn(u64) -> bool, found: &mut Vec<Found<'a>>) {
        let is_self = self.peer == *claim.peer;
        for read in self.reads.iter_mut().filter(|read| read.from < claim.to) {
            let is_free = read.is_free();
            let in_doubt = read.doubtful.contains(claim.group);
            let may_be = is_free || in_doubt || (is_self && !claim.is_member);
            if may_be && !read.groups.contains(claim.group) {
                let is_anothers = claim.is_member && claim.is_held;
                let is_certain = is_free && is_self && is_open(read.connection) && !is_anothers;
                let witness = if is_certain { Witness::Exact } else { Witness::Possible };
                found.push(Found { witness, read, is_its: is_self || in_doubt });
            }
        }
    }
}

impl Read {
    fn forgotten((from, to): Span) -> Read {
        let (address, at) = (Text::from(""), Timestamp::default());
        Read { from, to, connection: 0, address, at, groups: Vec::new(), doubtful: Vec::new() }
    }

    /// Nobody has it.
    fn is_free(&self) -> bool {
        self.groups.is_empty() && self.doubtful.is_empty()
    }

    /// A commit may still make it somebody's.
    fn is_unsettled(&self) -> bool {
        self.groups.is_empty() || !self.doubtful.is_empty()
    }

    fn told(&mut self, group: &GroupId) {
        self.doubtful.retain(|other| other != group);
        if self.groups.len() < CLAIMS_MAX {
            self.groups.push(group.clone());
        }
    }

    fn meets(&self, other: &Read) -> bool {
        let is_same = self.groups == other.groups && self.doubtful == other.doubtful;
        is_same && self.from <= other.to && other.from <= self.to
    }

    fn merge(&mut self, other: Read) {
        let (from, to) = (self.from.min(other.from), self.to.max(other.to));
        *self = Read { from, to, ..other };
    }
}

#[cfg(test)]
mod tests {
    use tallymq_model::{PartitionIndex, TopicId};

    use super::*;

    fn tp(partition: i32) -> TopicPartition {
        TopicPartition { topic: TopicId::default(), partition: PartitionIndex(partition) }
    }

    fn peer(last: u8) -> Peer {
        Peer { ip: IpAddr::from([127, 0, 0, last]), client_id: "c".into() }
    }

    fn read(from: i64, to: i64, groups: &[&str]) -> Read {
        Read {
            from: Offset(from),
            to: Offset(to),
            connection: 1,
            address: "a".into(),
            at: Timestamp(to),
            groups: groups.iter().map(|group| (*group).into()).collect(),
            doubtful: Vec::new(),
        }
    }

    /// What a commit claims, of a group with an account and a position.
    fn claim(reads: &mut Reads, who: (&str, &Peer, bool), to: i64, position: i64) -> Vec<(i64, i64, bool)> {
        let (group, peer, is_member) = who;
        let (group, is_held) = (&group.into(), false);
        let claim = Claim { peer, group, is_member, is_held, tp: tp(0), to: Offset(to) };
        let known = || Known { position: Some(Offset(position)), is_open: true };
        let claimed = reads.claim(claim, |connection| connection == 1, known);
        let said = claimed.iter().map(|one| (one.read.from.0, one.read.to.0, one.witness == Witness::Exact));
        said.collect()
    }

    #[test]
    fn what_nobody_has_becomes_the_first_committers_and_then_may_be_anothers() {
        let mut reads = Reads::default();
        (0..10).for_each(|step| reads.add(&peer(1), tp(0), read(step * 10, step * 10 + 10, &[])));
        assert_eq!(reads.count, 1);
        assert!(reads.has_unclaimed(&peer(1), tp(0)));
        assert_eq!(reads.doubts(), Some(vec![(tp(0), Offset(100))]));
        assert_eq!(claim(&mut reads, ("g", &peer(1), false), 50, 0), [(0, 100, true)]);
        assert_eq!(claim(&mut reads, ("g", &peer(1), false), 100, 50), []);
        assert_eq!(claim(&mut reads, ("h", &peer(1), false), 60, 0), [(0, 100, false)]);
        assert_eq!(reads.doubts(), Some(Vec::new()));
    }

    #[test]
    fn members_claim_only_what_nobody_has_and_others_may_have_read_what_is_a_members() {
        let mut reads = Reads::default();
        reads.add(&peer(1), tp(0), read(0, 10, &["h"]));
        assert_eq!(claim(&mut reads, ("g", &peer(1), true), 10, 0), []);
        assert_eq!(claim(&mut reads, ("g", &peer(1), false), 10, 4), [(4, 10, false)]);
        assert_eq!(claim(&mut reads, ("i", &peer(2), false), 10, 0), [], "another address is somebody else");
    }

    #[test]
    fn what_nobody_had_may_be_somebody_elses_if_the_committer_is_a_member_that_held_the_partition() {
        let mut reads = Reads::default();
        reads.add(&peer(1), tp(0), read(0, 10, &[]));
        let (peer, group) = (&peer(1), &"g".into());
        let claim = Claim { peer, group, is_member: true, is_held: true, tp: tp(0), to: Offset(10) };
        let known = || Known { position: None, is_open: true };
        let claimed = reads.claim(claim, |_| true, known);
        assert_eq!(claimed.iter().map(|one| one.witness).collect::<Vec<_>>(), [Witness::Possible]);
    }

    #[test]
    fn another_address_or_a_closed_connection_leave_a_doubt() {
        let mut reads = Reads::default();
        reads.add(&peer(1), tp(0), read(0, 10, &[]));
        reads.add(&peer(1), tp(0), Read { connection: 2, ..read(20, 30, &[]) });
        assert_eq!(claim(&mut reads, ("g", &peer(2), true), 15, 0), [(0, 10, false)]);
        assert_eq!(claim(&mut reads, ("g", &peer(1), true), 30, 0), [(0, 10, true), (20, 30, false)]);
    }

    #[test]
    fn what_was_in_doubt_stays_so_until_there_is_an_account_to_tell() {
        let mut reads = Reads::default();
        reads.add(&peer(1), tp(0), Read { doubtful: vec!["g".into(), "h".into()], ..read(0, 10, &[]) });
        let g = GroupId::from("g");
        let claim_at = |reads: &mut Reads, to| {
            let (peer, group, is_member, is_held) = (&peer(1), &g, true, false);
            let claim = Claim { peer, group, is_member, is_held, tp: tp(0), to: Offset(to) };
            reads.claim(claim, |_| true, Known::default)
        };
        assert_eq!(claim_at(&mut reads, 5), [], "it opens no account");
        assert_eq!(claim(&mut reads, ("g", &peer(1), true), 10, 5), [(5, 10, false)]);
        assert_eq!(claim(&mut reads, ("g", &peer(1), true), 10, 5), []);
        assert_eq!(claim(&mut reads, ("i", &peer(1), true), 10, 5), []);
        assert_eq!(reads.doubts(), Some(vec![(tp(0), Offset(10))]), "h may still come");
    }

    #[test]
    fn a_first_commit_opens_where_its_reading_began() {
        let mut reads = Reads::default();
        reads.add(&peer(1), tp(0), read(0, 10, &[]));
        reads.add(&peer(1), tp(0), read(500, 510, &[]));
        let (peer, group, tp, to) = (&peer(1), &"g".into(), tp(0), Offset(510));
        let claim = Claim { peer, group, is_member: false, is_held: false, tp, to };
        let claimed = reads.claim(claim, |_| true, Known::default);
        assert_eq!(claimed.iter().map(|one| one.read.from.0).collect::<Vec<_>>(), [500]);
    }

    #[test]
    fn what_is_forgotten_leaves_a_doubt_and_memory_is_bounded() {
        let mut reads = Reads::default();
        (0..100).for_each(|step| reads.add(&peer(1), tp(0), read(step * 10, step * 10 + 1, &[])));
        assert_eq!(reads.count, RANGES_PER_PEER_MAX);
        let claimed = claim(&mut reads, ("g", &peer(9), true), 1_000, 0);
        assert_eq!(claimed.first(), Some(&(0, 671, false)));
        assert_eq!(reads.doubts(), Some(vec![(tp(0), Offset(991))]));
        let tool = Peer { client_id: "tool".into(), ..peer(1) };
        assert_eq!(claim(&mut reads, ("g", &tool, false), 1_000, 0), [], "it never read");
        for partition in 0..=RANGES_MAX as i32 {
            reads.add(&peer(1), tp(partition), read(0, i64::from(partition) + 1, &["g"]));
        }
        assert!(reads.count <= RANGES_MAX && reads.count > RANGES_MAX / 4);
        let counted: usize = reads.by_partition.values().flatten().map(|one| one.reads.len()).sum();
        assert_eq!(counted, reads.count);
    }
}
