//! The marks of one data group's partitions on their way into its log. Pure: no lock, no clock.

use std::{collections::BTreeMap, sync::Arc};

use tallymq_broker::{
    account::Witness,
    group::{GroupId, Text},
};
use tallymq_model::{Offset, Timestamp, TopicPartition};

use super::{
    owners::Owner,
    reads::{Claim, Known, Peer, Read, Reads},
    ready::{Batch, Got, ReaderKey, Ready},
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

/// What a response carries of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}

impl Mark {
    fn is_nobodys(&self) -> bool {
        self.told.is_empty() && self.doubtful.is_empty()
    }

    fn may_be_of(&self, group: &GroupId) -> bool {
        self.told.iter().any(|owner| owner.group == *group) || self.doubtful.contains(group)
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
    /// As a member.
    pub is_member: bool,
    /// What.
    pub positions: &'a [(TopicPartition, Offset)],
}

/// All marks that the log does not have yet, and what was read without an owner.
#[derive(Debug, Default)]
pub struct Marks {
    /// Responses whose bytes have not all left, by number.
    unwritten: BTreeMap<u64, Response>,
    ready: Ready,
    reads: Reads,
}

impl Marks {
    /// A response that is about to be handed to its socket.
    pub fn register(&mut self, number: u64, response: Response) {
        self.unwritten.insert(number, response);
    }

    /// All of it has left.
    pub fn written(&mut self, number: u64) {
        if let Some(response) = self.unwritten.remove(&number) {
            self.settle(response);
        }
    }

    /// Its connection ended before that.
    pub fn withdrawn(&mut self, number: u64) {
        self.unwritten.remove(&number);
    }

    /// Whether this client read any of these partitions in nobody's name.
    pub fn has_unclaimed(&self, peer: &Peer, mut partitions: impl Iterator<Item = TopicPartition>) -> bool {
        partitions.any(|tp| {
            let on_its_way = self.unwritten.values().filter(|response| response.fetcher.peer == *peer);
            let mut marks = on_its_way.flat_map(|response| &response.marks);
            self.reads.has_unclaimed(peer, tp)
                || marks.any(|mark| mark.tp == tp && mark.is_nobodys() && mark.from < mark.to)
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
        for &(tp, to) in commit.positions {
            let Commit { peer, group, is_member, .. } = *commit;
            let claim = Claim { peer, group, is_member, tp, to };
            for claimed in self.reads.claim(claim, &is_open, || known(tp)) {
                let Read { from, to, connection, address, at, .. } = claimed.read;
                let member = Text::from("");
                let key =
                    ReaderKey { group: group.clone(), member, client_id: peer.client_id.clone(), connection };
                self.ready.add(key, &address, Got { tp, from, to, witness: claimed.witness, at });
            }
        }
    }

    /// Whoever commits what is in a response has got it, also if its last bytes left only just now and nobody has said so yet.
    fn settle_overtaken(&mut self, commit: &Commit<'_>) {
        let is_passed =
            |mark: &Mark| commit.positions.iter().any(|(tp, to)| *tp == mark.tp && mark.from < *to);
        let overtaken = self.unwritten.iter().filter(|(_, response)| {
            let is_peers = response.fetcher.peer.client_id == commit.peer.client_id;
            response.marks.iter().any(|mark| {
                let is_its =
                    mark.may_be_of(commit.group) || (is_peers && (mark.is_nobodys() || !commit.is_member));
                is_its && is_passed(mark)
            })
        });
        let overtaken: Vec<u64> = overtaken.map(|(number, _)| *number).collect();
        overtaken.into_iter().for_each(|number| self.written(number));
    }

    fn settle(&mut self, response: Response) {
        let Response { fetcher, at, marks } = response;
        for Mark { tp, from, to, witness, told, doubtful } in marks {
            for owner in &told {
                let key = ReaderKey {
                    group: owner.group.clone(),
                    member: owner.member.0.clone(),
                    client_id: fetcher.peer.client_id.clone(),
                    connection: fetcher.connection,
                };
                self.ready.add(key, &fetcher.address, Got { tp, from, to, witness, at });
            }
            if from < to {
                let groups = told.iter().map(|owner| owner.group.clone()).collect();
                let (connection, address) = (fetcher.connection, fetcher.address.clone());
                let read = Read { from, to, connection, address, at, groups, doubtful };
                self.reads.add(&fetcher.peer, tp, read);
            }
        }
    }

    /// The next command's worth.
    pub fn take(&mut self) -> Option<Batch> {
        self.ready.take()
    }

    /// What did not get into the log.
    pub fn give_back(&mut self, batch: Batch) {
        self.ready.give_back(batch);
    }

    /// How many deliveries wait for their command.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Whether more should not come before some has gone.
    pub fn is_crowded(&self) -> bool {
        self.ready.is_crowded()
    }

    /// Whether the log will know all that a later commit may rely on, once everything that is ready is in it.
    pub fn is_complete(&self) -> bool {
        self.unwritten.is_empty() && !self.reads.is_unsettled()
    }
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
        let marks = vec![Mark { tp: tp(), from: Offset(from), to: Offset(to), witness, told, doubtful }];
        Response { fetcher, at: Timestamp(1), marks }
    }

    fn commit(marks: &mut Marks, group: &str, to: i64) {
        let commit =
            Commit { peer: &peer(), group: &group.into(), is_member: true, positions: &[(tp(), Offset(to))] };
        marks.before(&commit, |_| true, |_| Known { position: None, is_open: true });
    }

    fn taken(marks: &mut Marks) -> Vec<(i64, i64)> {
        let batch = marks.take().map(|batch| batch.command());
        let Some(AccountCommand::Deliver { deliveries, .. }) = batch else { return Vec::new() };
        deliveries.iter().map(|one| (one.from.0, one.to.0)).collect()
    }

    #[test]
    fn only_what_left_is_marked() {
        let mut marks = Marks::default();
        marks.register(1, response(0, 10, Some("g")));
        marks.register(2, response(10, 20, Some("g")));
        assert!(marks.ready() == 0 && !marks.is_complete());
        marks.written(1);
        marks.withdrawn(2);
        assert!(marks.is_complete());
        assert_eq!(taken(&mut marks), [(0, 10)]);
        marks.written(2);
        assert_eq!(marks.ready(), 0);
    }

    #[test]
    fn a_commit_that_overtakes_the_word_of_its_response_brings_it_along() {
        let mut marks = Marks::default();
        marks.register(1, response(0, 10, Some("g")));
        commit(&mut marks, "h", 10);
        assert_eq!(marks.ready(), 0, "another group's commit says nothing of it");
        commit(&mut marks, "g", 0);
        assert_eq!(marks.ready(), 0, "nor does a position before it");
        commit(&mut marks, "g", 5);
        assert_eq!(taken(&mut marks), [(0, 10)]);
        marks.written(1);
        assert_eq!(marks.ready(), 0, "and it is not told twice");
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
        assert!(marks.is_complete());
    }
}
