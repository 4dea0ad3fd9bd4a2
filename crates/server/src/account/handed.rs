//! From a fetch that is answered to marks: whose it was, noted before its bytes leave, and again when they have left.

use std::{net::SocketAddr, sync::Arc};

use tallymq_broker::{
    account::Witness,
    group::{GroupId, Text},
};
use tallymq_model::{Offset, RaftGroup, Timestamp, TopicPartition};

use super::{
    Accepted, Accounting, Peer,
    attribution::{ToWhom, attribute, uncertain},
    doubt::Standing,
    marks::{Fetcher, InDoubt, Mark, Response},
};
use crate::{net::connection::Watcher, node::Node};

/// What a fetch got of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchedRange {
    /// Where the partition lives.
    pub data: RaftGroup,
    /// The partition.
    pub tp: TopicPartition,
    /// The offset that was asked for.
    pub from: Offset,
    /// The offset behind the last record; equal to `from` if it got nothing, and took only a position.
    pub to: Offset,
}

/// A response on its way. Dropped before all of it has left, it was never delivered.
pub struct HandedOver {
    accounting: Arc<Accounting>,
    number: u64,
    data: Vec<RaftGroup>,
    /// Of its connection; None if that fetches as no member.
    standing: Option<Arc<Standing>>,
}

impl Peer {
    /// The client behind a connection.
    pub fn new(client: SocketAddr, client_id: &str) -> Peer {
        Peer { ip: client.ip().to_canonical(), client_id: client_id.into() }
    }
}

impl Node {
    /// Notes what a response carries, before its bytes leave: it is theirs who held the partitions when the fetch came. None if
    /// there is nothing to note.
    pub async fn hand_over(
        &self,
        (connection, client): (u64, SocketAddr),
        client_id: &str,
        accepted: Accepted,
        ranges: &[FetchedRange],
    ) -> Option<HandedOver> {
        let accounting = &self.accounting;
        if !accounting.is_on() || ranges.is_empty() {
            return None;
        }
        let ip = client.ip().to_canonical();
        let partitions = ranges.iter().map(|range| range.tp);
        let at = self.now();
        let who = (ip, client_id);
        let (whose, standing) = match accounting.owners.candidates(partitions.clone(), who, accepted.held) {
            Some(candidates) => accounting
                .connections
                .whose((connection, at, accepted.answers), |binding| attribute(candidates, binding)),
            None => (uncertain(accounting.owners.holders_now(partitions, who)), None),
        };
        let has_moved = accounting.owners.moment() != accepted.held;
        let mut marks: Vec<(RaftGroup, Mark)> = Vec::with_capacity(ranges.len());
        for (range, to_whom) in ranges.iter().zip(whose) {
            // Nobody can have gone if nothing moved since the fetch came.
            let to_whom =
                if has_moved { to_whom.without_gone(|group| self.was_deleted(group)) } else { to_whom };
            marks.extend(self.mark(range, to_whom).map(|mark| (range.data, mark)));
        }
        if marks.is_empty() {
            return None;
        }
        let peer = Peer { ip, client_id: client_id.into() };
        let address = Text::from(client.to_string());
        let fetcher = Arc::new(Fetcher { peer, address, connection });
        Some(self.register((fetcher, at), standing, marks).await)
    }

    /// Whether a group that had members was deleted while their fetch waited: what they are sent now would open its accounts again.
    fn was_deleted(&self, group: &GroupId) -> bool {
        let home = self.home_of(group.as_str());
        home.is_none_or(|home| home.view.state().groups().group(group).is_none())
    }

    /// A mere position says something only where it opens an account. A doubtful delivery is told only to accounts that there
    /// are: it would open another group's account where that group never read.
    fn mark(&self, range: &FetchedRange, to_whom: ToWhom) -> Option<Mark> {
        let FetchedRange { data, tp, from, to } = *range;
        let has_account = |group: &GroupId| {
            let handle = self.data(data);
            handle.is_some_and(|handle| handle.view.state().accounts().account(tp, group).is_some())
        };
        let is_empty = from >= to;
        let (witness, told, doubtful) = match to_whom {
            ToWhom::Exact(owner) if is_empty && has_account(&owner.group) => return None,
            ToWhom::Exact(owner) => (Witness::Exact, vec![owner], Vec::new()),
            ToWhom::Doubtful(..) | ToWhom::Possible(_) | ToWhom::Nobody if is_empty => return None,
            ToWhom::Doubtful(owner, doubt) => {
                let in_doubt = Some(InDoubt { doubt, has_account: has_account(&owner.group) });
                let (told, doubtful) = (vec![owner], Vec::new());
                return Some(Mark { tp, from, to, witness: Witness::Exact, told, doubtful, in_doubt });
            }
            ToWhom::Possible(owners) => {
                let (told, others): (Vec<_>, Vec<_>) =
                    owners.into_iter().partition(|owner| has_account(&owner.group));
                let doubtful = others.iter().map(|owner| owner.group.clone()).collect();
                (Witness::Possible, told, doubtful)
            }
            ToWhom::Nobody => (Witness::Possible, Vec::new(), Vec::new()),
        };
        Some(Mark { tp, from, to, witness, told, doubtful, in_doubt: None })
    }

    async fn register(
        &self,
        (fetcher, at): (Arc<Fetcher>, Timestamp),
        standing: Option<Arc<Standing>>,
        mut marks: Vec<(RaftGroup, Mark)>,
    ) -> HandedOver {
        let accounting = &self.accounting;
        let number = accounting.next_answer();
        marks.sort_by_key(|(data, _)| *data);
        let mut handed = HandedOver { accounting: accounting.clone(), number, data: Vec::new(), standing };
        for some in marks.chunk_by(|(one, _), (other, _)| one == other) {
            let data = some[0].0;
            let Some(own) = accounting.data.get(&data) else { continue };
            if own.marks.lock().is_crowded()
                && let Some(handle) = self.data(data)
            {
                // Readers wait for the log here, so that what it does not have yet stays bounded. What fails stays noted.
                let _ = handle.flush_ready().await;
            }
            let marks = some.iter().map(|(_, mark)| mark.clone()).collect();
            own.marks.lock().register(number, Response { fetcher: fetcher.clone(), at, marks });
            handed.data.push(data);
        }
        handed
    }
}

impl Watcher for HandedOver {
    fn left(mut self: Box<Self>) {
        if let Some(standing) = &self.standing {
            standing.left(self.accounting.next_answer());
        }
        for data in std::mem::take(&mut self.data) {
            if let Some(own) = self.accounting.data.get(&data) {
                own.gone(|marks| marks.written(self.number));
                own.waiting.notify_one();
            }
        }
    }
}

impl Drop for HandedOver {
    fn drop(&mut self) {
        for data in &self.data {
            if let Some(own) = self.accounting.data.get(data) {
                own.gone(|marks| marks.withdrawn(self.number));
            }
        }
    }
}
