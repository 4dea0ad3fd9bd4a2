//! Groups, watched for some seconds: where each stood before, how often it moved, where it stands after. The order of
//! the questions keeps the answers fit for each other: log starts are asked before positions and log ends after them, so that
//! neither ever seems to have passed the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use indicatif::ProgressBar;
use tokio::time::{Instant, sleep};

use super::{Unchecked, gather::not_told};
use crate::{
    client::{
        Address, CONSUMERS, Client, ClientError, EARLIEST, GroupInfo, LATEST, Position as Place, TopicInfo,
    },
    doctor::cluster::facts::{Group, Look, Member, Position},
};

/// How often positions are looked at meanwhile.
const SAMPLE: Duration = Duration::from_secs(1);

/// How often, and after which pause, something is asked again that a broker cannot say yet, as while it loads its groups.
const TRIES_MAX: usize = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// Asks until there is an answer, an error that stays, or patience is at its end.
macro_rules! patiently {
    ($client:ident, $ask:expr) => {{
        let mut tries = 1;
        loop {
            match $ask.await {
                Err(error) if may_pass(&error) && tries < TRIES_MAX => {
                    tries += 1;
                    $client.forget_coordinators();
                    sleep(PAUSE).await;
                }
                answer => break answer,
            }
        }
    }};
}

/// A broker that does not answer has been waited for already.
fn may_pass(error: &ClientError) -> bool {
    error.is_retriable() && !error.is_connectivity()
}

type Positions = BTreeMap<Place, i64>;

/// A group while it is watched.
struct Watched {
    name: String,
    info: GroupInfo,
    first: Positions,
    now: Positions,
    moves: BTreeMap<Place, u64>,
}

/// What was seen of the cluster before.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// Each coordinates some groups.
    pub brokers: &'a BTreeMap<i32, Address>,
    /// All of them.
    pub topics: &'a [TopicInfo],
}

/// All groups of consumers with what was seen of them, and how long that took in milliseconds; 0 for a single look.
pub async fn groups(
    client: &mut Client,
    seen: Seen<'_>,
    limit: Duration,
    bar: &ProgressBar,
    unchecked: &mut Vec<Unchecked>,
) -> (Vec<Group>, i64) {
    let mut watched = open(client, seen.brokers, unchecked).await;
    let topics = &with_positions(seen.topics, &watched);
    let first_ends = offsets(client, topics, LATEST, unchecked).await;
    let begin = Instant::now();
    if !topics.is_empty() {
        watch(client, &mut watched, limit, bar).await;
    }
    let starts = offsets(client, topics, EARLIEST, unchecked).await;
    for group in &mut watched {
        match patiently!(client, client.committed(&group.name)) {
            Ok(now) => group.take(now),
            Err(error) => not_told(unchecked, format!("positions of group {}", group.name), &error),
        }
    }
    let twice = !limit.is_zero() && !topics.is_empty();
    let watched_ms = if twice { begin.elapsed().as_millis() as i64 } else { 0 };
    let ends = offsets(client, topics, LATEST, unchecked).await;
    let edges = Edges { first_ends, starts, ends, twice };
    let mut groups: Vec<Group> = watched.into_iter().map(|group| group.finish(&edges)).collect();
    unread(client, topics, &mut groups, unchecked).await;
    (groups, watched_ms)
}

impl Watched {
    /// Takes up a later look.
    fn take(&mut self, now: Positions) {
        for (place, position) in &now {
            if self.now.get(place).is_some_and(|before| before != position) {
                *self.moves.entry(place.clone()).or_default() += 1;
            }
        }
        self.now = now;
    }

    fn finish(self, edges: &Edges) -> Group {
        let owned: BTreeSet<&Place> =
            self.info.members.iter().flat_map(|member| &member.partitions).collect();
        let positions = self.now.iter().filter_map(|(place, position)| {
            // A topic that is gone, or a partition without a leader, has no ends.
            let (log_start, log_end) = (*edges.starts.get(place)?, *edges.ends.get(place)?);
            let first = edges.first_ends.get(place).zip(self.first.get(place)).filter(|_| edges.twice);
            Some(Position {
                topic: place.0.clone(),
                partition: place.1,
                log_start,
                first: first.map(|(log_end, position)| Look { position: *position, log_end: *log_end }),
                last: Look { position: *position, log_end },
                moves: self.moves.get(place).copied().unwrap_or(0),
                unread_ms: None,
                owned: owned.contains(place),
            })
        });
        let positions = positions.collect();
        let uncommitted = owned.iter().filter(|place| {
            let edges = edges.starts.get(**place).zip(edges.ends.get(**place));
            !self.now.contains_key(**place) && edges.is_some_and(|(start, end)| start < end)
        });
        let uncommitted = uncommitted.map(|place| (*place).clone()).collect();
        let members = self.info.members.iter().map(|member| Member {
            id: member.id.clone(),
            client_id: member.client_id.clone(),
            partitions: member.partitions.len(),
        });
        Group { name: self.name, state: self.info.state, members: members.collect(), positions, uncommitted }
    }
}

struct Edges {
    first_ends: Positions,
    starts: Positions,
    ends: Positions,
    twice: bool,
}

async fn open(
    client: &mut Client,
    brokers: &BTreeMap<i32, Address>,
    unchecked: &mut Vec<Unchecked>,
) -> Vec<Watched> {
    let mut listed = Vec::new();
    for (id, address) in brokers {
        match patiently!(client, client.groups_of(address)) {
            Ok(groups) => listed.extend(groups),
            Err(error) => not_told(unchecked, format!("groups of broker {id}"), &error),
        }
    }
    listed.sort_by(|a, b| a.group_id.cmp(&b.group_id));
    let mut watched = Vec::new();
    for group in listed {
        // Who commits without ever joining has no type. Connect's workers and share groups have others, and no positions.
        if !matches!(group.protocol_type.as_str(), CONSUMERS | "") {
            continue;
        }
        let name = group.group_id;
        let found = match patiently!(client, client.group(&name)) {
            Ok(info) => patiently!(client, client.committed(&name)).map(|first| (info, first)),
            Err(error) => Err(error),
        };
        match found {
            Ok((info, first)) => {
                let now = first.clone();
                watched.push(Watched { name, info, first, now, moves: BTreeMap::new() });
            }
            // It was deleted meanwhile.
            Err(ClientError::Refused {
                code: tallymq_gateway::kafka::ErrorCode::GroupIdNotFound, ..
            }) => {}
            Err(error) => not_told(unchecked, format!("group {name}"), &error),
        }
    }
    watched
}

fn with_positions(topics: &[TopicInfo], watched: &[Watched]) -> Vec<TopicInfo> {
    let owned = watched.iter().flat_map(|group| &group.info.members).flat_map(|member| &member.partitions);
    let places = watched.iter().flat_map(|group| group.first.keys()).chain(owned);
    let named: BTreeSet<&String> = places.map(|(topic, _)| topic).collect();
    topics.iter().filter(|topic| named.contains(&topic.name)).cloned().collect()
}

/// Samples those that have members until time is up. A sample that fails shows in the last look.
async fn watch(client: &mut Client, watched: &mut [Watched], limit: Duration, bar: &ProgressBar) {
    let begin = Instant::now();
    while begin.elapsed() < limit {
        sleep(SAMPLE.min(limit - begin.elapsed())).await;
        bar.set_position(begin.elapsed().as_secs());
        for group in watched.iter_mut().filter(|group| !group.info.members.is_empty()) {
            if begin.elapsed() >= limit {
                return;
            }
            if let Ok(now) = client.committed(&group.name).await {
                group.take(now);
            }
        }
    }
}

/// The log starts or ends of all led partitions.
async fn offsets(
    client: &mut Client,
    topics: &[TopicInfo],
    timestamp: i64,
    unchecked: &mut Vec<Unchecked>,
) -> Positions {
    let mut found = Positions::new();
    for topic in topics {
        let led = topic.partitions.iter().filter(|known| known.address.is_some()).map(|known| known.index);
        match client.offsets(topic, &led.collect::<Vec<_>>(), timestamp).await {
            Ok(offsets) => {
                found.extend(offsets.into_iter().map(|(index, at)| ((topic.name.clone(), index), at)))
            }
            Err(error) => not_told(unchecked, format!("log starts and ends of topic {}", topic.name), &error),
        }
    }
    found
}

/// Puts in how old what is read next is.
async fn unread(
    client: &mut Client,
    topics: &[TopicInfo],
    groups: &mut [Group],
    unchecked: &mut Vec<Unchecked>,
) {
    for topic in topics {
        let positions = groups.iter_mut().flat_map(|group| &mut group.positions);
        let mut behind: Vec<&mut Position> = positions
            .filter(|at| at.topic == topic.name && at.last.lag() > 0 && at.last.position >= at.log_start)
            .collect();
        let mut asked: Vec<(i32, i64)> = behind.iter().map(|at| (at.partition, at.last.position)).collect();
        asked.sort_unstable();
        asked.dedup();
        // Several groups may be behind in one partition: each round asks for one place in each.
        while !asked.is_empty() {
            let mut round: BTreeMap<i32, i64> = BTreeMap::new();
            asked.retain(|(partition, offset)| {
                let first = !round.contains_key(partition);
                if first {
                    round.insert(*partition, *offset);
                }
                !first
            });
            let places: Vec<(i32, i64)> =
                round.iter().map(|(partition, offset)| (*partition, *offset)).collect();
            match client.timestamps_at(topic, &places).await {
                Ok(found) => behind.iter_mut().for_each(|at| {
                    if round.get(&at.partition) == Some(&at.last.position) {
                        at.unread_ms = found.get(&at.partition).copied();
                    }
                }),
                Err(error) => {
                    not_told(unchecked, format!("age of unread records of topic {}", topic.name), &error);
                    break;
                }
            }
        }
    }
}
