//! The marks of one data group's partitions on their way into its log. Pure: no lock, no clock.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use tallymq_broker::{
    account::Witness,
    group::{GroupId, Text},
};
use tallymq_model::{Offset, Timestamp, TopicPartition};

use super::{
    doubt::{Doubt, Verdict},
    owners::Owner,
    reads::{Claim, Known, Peer, Read, Reads},
    ready::{Batch, Got, ReaderKey, Ready},
    undecided::{Doubted, Undecided},
};

/// Who fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetcher {
    /// The client.
    pub peer: Peer,
    /// Its address, for people.
    pub address: Text,
    /// The connection's number.
    pub connection: u64,
}

/// What may keep a delivery from being its member's.
#[derive(Clone, Debug)]
pub struct InDoubt {
    /// The doubt.
    pub doubt: Doubt,
    /// The member's group has an account: else a delivery that stays in doubt opens none.
    pub has_account: bool,
}

/// What a response carries of one partition.
#[derive(Clone, Debug)]
pub struct Mark {
    /// The partition.
    pub tp: TopicPartition,
    /// The first offset that was asked for.
    pub from: Offset,
    /// The offset behind the last; equal to `from` if there is nothing but a position.
    pub to: Offset,
    /// How sure it is that those who are told got it.
    pub witness: Witness,
    /// Whose accounts are told.
    pub told: Vec<Arc<Owner>>,
    /// Who else may have got it, and has no account that could be told.
    pub doubtful: Vec<GroupId>,
    /// Why `witness` may not hold; then one member is told.
    pub in_doubt: Option<InDoubt>,
}

impl Mark {
    fn is_nobodys(&self) -> bool {
        self.told.is_empty() && self.doubtful.is_empty()
    }

    /// Whether whoever commits is who fetched this: then it has all of it. Somebody else's commit says nothing of what this
    /// fetcher got, also if it is made in the name of the same group.
    fn is_committers(&self, fetcher: &Peer, commit: &Commit<'_>) -> bool {
        if let Some(owner) = self.told.iter().find(|owner| owner.group == *commit.group) {
            return commit.is_member && *owner.member.0 == *commit.member;
        }
        let may_be = self.is_nobodys() || self.doubtful.contains(commit.group);
        may_be && fetcher == commit.peer
    }

    /// Whether it may be, if it is not certain: another client of that name may be behind both.
    fn may_be_committers(&self, fetcher: &Peer, commit: &Commit<'_>) -> bool {
        let is_told = self.told.iter().any(|owner| owner.group == *commit.group);
        let may_be = self.is_nobodys() || self.doubtful.contains(commit.group);
        let is_peers = fetcher == commit.peer && !commit.is_member;
        !is_told && (is_peers || (may_be && fetcher.client_id == commit.peer.client_id))
    }
}

/// The marks of one response.
#[derive(Debug)]
pub struct Response {
    /// Who gets it.
    pub fetcher: Arc<Fetcher>,
    /// When it was answered.
    pub at: Timestamp,
    /// Per partition.
    pub marks: Vec<Mark>,
}

/// A commit on its way to this data group.
pub struct Commit<'a> {
    /// Who commits.
    pub peer: &'a Peer,
    /// In whose name.
    pub group: &'a GroupId,
    /// As this member; empty for none.
    pub member: &'a str,
    /// As a member.
    pub is_member: bool,
    /// Whether the group's members hold the partition, as far as the broker can read their assignments.
    pub holds: &'a (dyn Fn(TopicPartition) -> bool + Sync),
    /// What.
    pub positions: &'a [(TopicPartition, Offset)],
}

/// All marks that the log does not have yet, and what was read without an owner. Invariant: `on_its_way` names each response
/// of `unwritten` once at each partition of its marks, and nothing else.
#[derive(Debug, Default)]
pub struct Marks {
    /// Responses whose bytes have not all left, by number.
    unwritten: HashMap<u64, Response>,
    /// The same by partition, in the order in which they were answered: a commit looks only at its own partitions.
    on_its_way: HashMap<TopicPartition, Vec<u64>>,
    ready: Ready,
    undecided: Undecided,
    reads: Reads,
}

impl Marks {
    /// A response that is about to be handed to its socket.
    pub fn register(&mut self, number: u64, response: Response) {
        for mark in &response.marks {
            let numbers = self.on_its_way.entry(mark.tp).or_default();
            if numbers.last() != Some(&number) {
                numbers.push(number);
            }
        }
        self.unwritten.insert(number, response);
    }

    /// All of it has left.
    pub fn written(&mut self, number: u64) {
        if let Some(response) = self.take_unwritten(number) {
            self.settle(response);
        }
    }

    /// Its connection ended before that.
    pub fn withdrawn(&mut self, number: u64) {
        self.take_unwritten(number);
    }

    fn take_unwritten(&mut self, number: u64) -> Option<Response> {
        let response = self.unwritten.remove(&number)?;
        for mark in &response.marks {
            if let Some(numbers) = self.on_its_way.get_mut(&mark.tp) {
                numbers.retain(|other| *other != number);
                if numbers.is_empty() {
                    self.on_its_way.remove(&mark.tp);
                }
            }
        }
        Some(response)
    }

    /// Responses that have not all left.
    pub(super) fn unwritten(&self) -> impl Iterator<Item = (u64, &Response)> {
        self.unwritten.iter().map(|(number, response)| (*number, response))
    }

    pub(super) fn unwritten_mut(&mut self) -> impl Iterator<Item = &mut Response> {
        self.unwritten.values_mut()
    }

    /// What of a partition has not all left, with its response.
    pub(super) fn unwritten_of(&self, tp: TopicPartition) -> impl Iterator<Item = (u64, &Response, &Mark)> {
        let numbers = self.on_its_way.get(&tp).into_iter().flatten();
        let responses = numbers.filter_map(move |number| Some((*number, self.unwritten.get(number)?)));
        responses.flat_map(move |(number, response)| {
            let marks = response.marks.iter().filter(move |mark| mark.tp == tp);
            marks.map(move |mark| (number, response, mark))
        })
    }

    /// Whether not all of an answer has left yet.
    pub fn is_leaving(&self, number: u64) -> bool {
        self.unwritten.contains_key(&number)
    }

    /// Whether this client read any of these partitions in nobody's name.
    pub fn has_unclaimed(&self, peer: &Peer, mut partitions: impl Iterator<Item = TopicPartition>) -> bool {
        partitions.any(|tp| {
            let mut on_its_way =
                self.unwritten_of(tp).filter(|(_, response, _)| response.fetcher.peer == *peer);
            self.reads.has_unclaimed(peer, tp)
                || on_its_way.any(|(_, _, mark)| mark.is_nobodys() && mark.from < mark.to)
        })
    }

    /// A commit is about to be enqueued: whatever its group was given below its positions must be in the log before it.
    pub fn before(
        &mut self,
        commit: &Commit<'_>,
        is_open: impl Fn(u64) -> bool,
        known: impl Fn(TopicPartition) -> Known,
    ) {
        self.settle_overtaken(commit);
        let passed = self.undecided.take(|one| {
            let passes = |(tp, to): &(TopicPartition, Offset)| *tp == one.got.tp && one.got.from < *to;
            one.reader.group == *commit.group && commit.positions.iter().any(passes)
        });
        self.decide(passed);
        for &(tp, to) in commit.positions {
            let Commit { peer, group, is_member, holds, .. } = *commit;
            self.doubt_overtaken(commit, (tp, to), || known(tp).is_open);
            let claim = Claim { peer, group, is_member, is_held: holds(tp), tp, to };
            for claimed in self.reads.claim(claim, &is_open, || known(tp)) {
                let Read { from, to, connection, address, at, .. } = claimed.read;
                let got = Got { tp, from, to, witness: claimed.witness, at };
                self.ready.add(reader_key(commit, connection), &address, got);
            }
        }
    }

    /// Whoever commits what it was sent has got it, also if its last bytes left only just now and nobody has said so yet.
    fn settle_overtaken(&mut self, commit: &Commit<'_>) {
        let mut overtaken = BTreeSet::new();
        for (tp, to) in commit.positions {
            let passed = self.unwritten_of(*tp).filter(|(_, _, mark)| mark.from < *to);
            let its = passed.filter(|(_, response, mark)| mark.is_committers(&response.fetcher.peer, commit));
            overtaken.extend(its.map(|(number, ..)| number));
        }
        overtaken.into_iter().for_each(|number| self.written(number));
    }

    /// What is on its way to somebody who may be the committer is in doubt for its group, and stays on its way.
    fn doubt_overtaken(
        &mut self,
        commit: &Commit<'_>,
        (tp, to): (TopicPartition, Offset),
        has_account: impl Fn() -> bool,
    ) {
        let passed = self.unwritten_of(tp).filter(|(_, _, mark)| mark.from < to && mark.from < mark.to);
        let may_be =
            passed.filter(|(_, response, mark)| mark.may_be_committers(&response.fetcher.peer, commit));
        let found: Vec<_> = may_be
            .map(|(_, response, mark)| (response.fetcher.clone(), response.at, mark.from, mark.to))
            .collect();
        if found.is_empty() || !has_account() {
            return;
        }
        for (fetcher, at, from, end) in found {
            let got = Got { tp, from, to: end, witness: Witness::Possible, at };
            self.ready.add(reader_key(commit, fetcher.connection), &fetcher.address, got);
        }
    }

    fn settle(&mut self, response: Response) {
        let Response { fetcher, at, marks } = response;
        let mut doubted = Vec::new();
        for Mark { tp, from, to, witness, told, mut doubtful, in_doubt } in marks {
            for owner in &told {
                let reader = ReaderKey {
                    group: owner.group.clone(),
                    member: owner.member.0.clone(),
                    client_id: fetcher.peer.client_id.clone(),
                    connection: fetcher.connection,
                };
                let got = Got { tp, from, to, witness, at };
                match in_doubt.clone() {
                    None => self.ready.add(reader, &fetcher.address, got),
                    Some(in_doubt) => {
                        let address = fetcher.address.clone();
                        doubted.push(Doubted { reader, address, got, in_doubt, looks: 0 });
                    }
                }
            }
            if from < to {
                let mut groups: Vec<GroupId> = told.iter().map(|owner| owner.group.clone()).collect();
                if in_doubt.is_some_and(|in_doubt| !in_doubt.has_account) {
                    doubtful.append(&mut groups);
                }
                let (connection, address) = (fetcher.connection, fetcher.address.clone());
                let read = Read { from, to, connection, address, at, groups, doubtful };
                self.reads.add(&fetcher.peer, tp, read);
            }
        }
        let decided = self.undecided.add(doubted);
        self.decide(decided);
    }

    /// Deliveries whose doubt is over, or stays, become ready, and so do those that were looked at often enough.
    pub fn look_at_doubts(&mut self) {
        let decided = self.undecided.look();
        self.decide(decided);
    }

    /// Nothing waits any longer for a doubt to end.
    pub fn decide_all(&mut self) {
        let all = self.undecided.take(|_| true);
        self.decide(all);
    }

    fn decide(&mut self, decided: Vec<Doubted>) {
        for Doubted { reader, address, got, in_doubt, .. } in decided {
            let is_lifted = in_doubt.doubt.verdict() == Verdict::Lifted;
            let witness = if is_lifted { got.witness } else { Witness::Possible };
            if is_lifted || in_doubt.has_account {
                self.ready.add(reader, &address, Got { witness, ..got });
            }
        }
    }

    /// How large the next command would be; None if nothing is ready.
    pub fn next_size_bytes(&self) -> Option<usize> {
        self.ready.next_size_bytes()
    }

    /// The next command's worth, if its command is no larger.
    pub fn take(&mut self, size_bytes_max: usize) -> Option<Batch> {
        self.ready.take(size_bytes_max)
    }

    /// How many deliveries wait for their command, or to be certain.
    pub fn waiting(&self) -> usize {
        self.ready.len() + self.undecided.len()
    }

    /// About how many records the deliveries are that wait for their command.
    pub fn ready_records(&self) -> u64 {
        self.ready.records()
    }

    /// Whether more should not come before some has gone.
    pub fn is_crowded(&self) -> bool {
        self.ready.is_crowded()
    }

    /// Up to where each partition was read by who may still commit it, if everything that is ready is in the log; None if that
    /// is not known.
    pub fn doubts(&self) -> Option<Vec<(TopicPartition, Offset)>> {
        if self.unwritten.is_empty() { self.reads.doubts() } else { None }
    }
}

fn reader_key(commit: &Commit<'_>, connection: u64) -> ReaderKey {
    let client_id = commit.peer.client_id.clone();
    ReaderKey { group: commit.group.clone(), member: Text::from(""), client_id, connection }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tallymq_broker::account::AccountCommand;
    use tallymq_model::{PartitionIndex, TopicId};

    use super::*;

    fn tp() -> TopicPartition {
        TopicPartition { topic: TopicId::default(), partition: PartitionIndex(0) }
    }

    fn peer() -> Peer {
        Peer { ip: IpAddr::from([127, 0, 0, 1]), client_id: "c".into() }
    }

    fn response(from: i64, to: i64, group: Option<&str>) -> Response {
        let owner = |group: &str| {
            Arc::new(Owner { group: group.into(), member: "m".into(), client_id: "c".into(), host: None })
        };
        let told = group.map(owner).into_iter().collect();
        let (witness, doubtful) = (Witness::Exact, Vec::new());
        let fetcher = Arc::new(Fetcher { peer: peer(), address: "a".into(), connection: 1 });
        let (from, to) = (Offset(from), Offset(to));
        let marks = vec![Mark { tp: tp(), from, to, witness, told, doubtful, in_doubt: None }];
        Response { fetcher, at: Timestamp(1), marks }
    }

    /// A commit by member `m` of a group, from the peer that fetches; or by somebody else.
    fn commit_by(marks: &mut Marks, (peer, group, member): (&Peer, &str, &str), to: i64) {
        let commit = Commit {
            peer,
            group: &group.into(),
            member,
            is_member: !member.is_empty(),
            holds: &|_| false,
            positions: &[(tp(), Offset(to))],
        };
        marks.before(&commit, |_| true, |_| Known { position: None, is_open: true });
    }

    fn commit(marks: &mut Marks, group: &str, to: i64) {
        commit_by(marks, (&peer(), group, "m"), to);
    }

    fn taken(marks: &mut Marks) -> Vec<(i64, i64)> {
        said(marks).into_iter().map(|(from, to, _)| (from, to)).collect()
    }

    fn said(marks: &mut Marks) -> Vec<(i64, i64, bool)> {
        let batch = marks.take(usize::MAX).map(Batch::into_command);
        let Some(AccountCommand::Deliver { deliveries, .. }) = batch else { return Vec::new() };
        deliveries.iter().map(|one| (one.from.0, one.to.0, one.witness == Witness::Exact)).collect()
    }

    #[test]
    fn only_what_left_is_marked() {
        let mut marks = Marks::default();
        marks.register(1, response(0, 10, Some("g")));
        marks.register(2, response(10, 20, Some("g")));
        assert!(marks.waiting() == 0 && marks.doubts().is_none());
        marks.written(1);
        marks.withdrawn(2);
        assert!(marks.doubts().is_some() && marks.on_its_way.is_empty());
        assert_eq!(taken(&mut marks), [(0, 10)]);
        marks.written(2);
        assert_eq!(marks.waiting(), 0);
    }

    #[test]
    fn a_commit_that_overtakes_the_word_of_its_response_brings_it_along() {
        let mut marks = Marks::default();
        marks.register(1, response(0, 10, Some("g")));
        commit(&mut marks, "h", 10);
        assert_eq!(marks.waiting(), 0, "another group's commit says nothing of it");
        commit(&mut marks, "g", 0);
        assert_eq!(marks.waiting(), 0, "nor does a position before it");
        commit(&mut marks, "g", 5);
        assert_eq!(taken(&mut marks), [(0, 10)]);
        marks.written(1);
        assert_eq!(marks.waiting(), 0, "and it is not told twice");
    }

    #[test]
    fn what_nobody_held_is_the_committers_who_read_it() {
        let mut marks = Marks::default();
        marks.register(1, response(0, 10, None));
        assert!(marks.has_unclaimed(&peer(), [tp()].into_iter()));
        commit(&mut marks, "g", 10);
        assert_eq!(taken(&mut marks), [(0, 10)]);
        marks.register(2, response(10, 20, None));
        marks.written(2);
        commit(&mut marks, "g", 20);
        assert_eq!(taken(&mut marks), [(10, 20)]);
        assert_eq!(marks.doubts(), Some(Vec::new()));
    }

    #[test]
    fn another_committer_of_the_same_group_settles_nothing_that_did_not_leave() {
        let mut marks = Marks::default();
        marks.register(1, response(0, 10, Some("g")));
        commit_by(&mut marks, (&peer(), "g", "another member"), 10);
        assert_eq!(taken(&mut marks), []);
        let tool = Peer { ip: IpAddr::from([127, 0, 0, 9]), client_id: "tool".into() };
        commit_by(&mut marks, (&tool, "g", ""), 10);
        assert_eq!(taken(&mut marks), []);
        marks.withdrawn(1);
        assert_eq!(taken(&mut marks), [], "it was never delivered");
    }

    #[test]
    fn what_is_on_its_way_to_another_group_is_only_in_doubt_for_who_may_be_its_reader() {
        let mut marks = Marks::default();
        marks.register(1, response(0, 10, Some("h")));
        commit_by(&mut marks, (&peer(), "g", ""), 10);
        assert_eq!(said(&mut marks), [(0, 10, false)]);
        marks.written(1);
        assert_eq!(said(&mut marks), [(0, 10, true)], "it was h's all the same");
        marks.register(2, response(10, 20, None));
        let elsewhere = Peer { ip: IpAddr::from([127, 0, 0, 9]), client_id: "c".into() };
        commit_by(&mut marks, (&elsewhere, "g", ""), 20);
        assert_eq!(said(&mut marks), [(10, 20, false)]);
    }

    #[test]
    fn a_commit_looks_only_at_its_own_partitions() {
        let mut marks = Marks::default();
        let at = |partition| TopicPartition { partition: PartitionIndex(partition), ..tp() };
        for number in 0..100 {
            let mut response = response(0, 10, Some("g"));
            response.marks[0].tp = at(number);
            marks.register(number as u64, response);
        }
        assert_eq!(marks.unwritten_of(at(7)).count(), 1);
        commit(&mut marks, "g", 10);
        assert_eq!((marks.waiting(), marks.unwritten.len(), marks.on_its_way.len()), (1, 99, 99));
    }
}
