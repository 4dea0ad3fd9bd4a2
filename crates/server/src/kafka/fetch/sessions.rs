//! Fetch sessions (KIP-227): which partitions a consumer follows, so that it need not name them each time and hears only
//! of those that changed. Soft state: a lost session costs the client one full fetch. Bounded in number; the session
//! that was used longest ago makes room. Of a consumer without a session it is only known, as long as its connection lives, which
//! positions the account was told of.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use indexmap::IndexMap;
use parking_lot::Mutex;
use tallymq_gateway::kafka::{error_code::ErrorCode, messages::fetch::FetchRequest};
use uuid::Uuid;

/// Closes the session, or asks for none (`FetchMetadata.FINAL_EPOCH`).
const FINAL_EPOCH: i32 = -1;
/// Asks for a new session (`FetchMetadata.INITIAL_EPOCH`).
const INITIAL_EPOCH: i32 = 0;
/// Partitions of a fetch without a session that are remembered.
const REMEMBERED_MAX: usize = 4096;
/// The id of "no session".
pub const NO_SESSION: i32 = 0;

/// A topic as the client names it: by name up to version 12, by id from version 13 on (KIP-516).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TopicKey {
    /// By name.
    Name(Arc<str>),
    /// By id.
    Id(Uuid),
}

/// A partition as the client names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PartitionKey {
    /// The topic.
    pub topic: TopicKey,
    /// The partition's index.
    pub partition: i32,
}

/// What the client wants of a partition, and what it was last told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Where to read from.
    pub fetch_offset: i64,
    /// The most bytes of this partition.
    pub bytes_max: i32,
    /// The client's idea of the leader epoch, or -1.
    pub current_leader_epoch: i32,
    /// Epoch of the last record that it has, or -1.
    pub last_fetched_epoch: i32,
    /// The account knows of the position, or of records from there on.
    positioned: bool,
    told: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    high_watermark: i64,
    log_start: i64,
    error: bool,
}

const TOLD_NOTHING: Told = Told { high_watermark: -1, log_start: -1, error: false };

/// The partitions of one fetch, in the order in which they get their share of the bytes.
pub struct FetchContext {
    /// What the answer carries as its session id.
    pub session_id: i32,
    /// Only partitions with news are answered.
    pub incremental: bool,
    epoch: i32,
    connection: u64,
    partitions: IndexMap<PartitionKey, Followed>,
    start: usize,
}

struct Kept {
    epoch: i32,
    partitions: IndexMap<PartitionKey, Followed>,
    start: usize,
    used: u64,
}

/// All sessions of a broker.
pub struct FetchSessions {
    kept: Mutex<HashMap<i32, Kept>>,
    /// What connections fetched last without a session.
    sessionless: Mutex<HashMap<u64, IndexMap<PartitionKey, Followed>>>,
    slots: usize,
    uses: AtomicU64,
}

impl FetchSessions {
    /// Room for `slots` sessions (`max.incremental.fetch.session.cache.slots`).
    pub fn new(slots: usize) -> FetchSessions {
        FetchSessions {
            kept: Mutex::default(),
            sessionless: Mutex::default(),
            slots,
            uses: AtomicU64::new(0),
        }
    }

    /// Begins a fetch: what it covers is the session's partitions with the request's changes. The session is out of the
    /// cache until [`FetchSessions::keep`], so that one session serves one fetch at a time.
    pub fn begin(&self, connection: u64, request: &FetchRequest) -> Result<FetchContext, ErrorCode> {
        let incremental = request.session_epoch != FINAL_EPOCH && request.session_epoch != INITIAL_EPOCH;
        if !incremental {
            self.kept.lock().remove(&request.session_id);
            let mut context = FetchContext {
                session_id: NO_SESSION,
                incremental: false,
                epoch: request.session_epoch,
                connection,
                partitions: IndexMap::new(),
                start: 0,
            };
            let last = self.sessionless.lock().remove(&connection);
            context.follow(request);
            context.take_positions(last.unwrap_or_default());
            return Ok(context);
        }
        let mut kept = self.kept.lock();
        let session = kept.get(&request.session_id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != request.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        let session = kept.remove(&request.session_id).expect("it was there under the same lock");
        drop(kept);
        let mut context = FetchContext {
            session_id: request.session_id,
            incremental: true,
            epoch: session.epoch,
            connection,
            partitions: session.partitions,
            start: session.start,
        };
        context.forget(request);
        context.follow(request);
        Ok(context)
    }

    /// Ends a fetch and keeps its session, or makes one if the client asked for it. Returns the session id to answer.
    pub fn keep(&self, context: FetchContext) -> i32 {
        if context.epoch == FINAL_EPOCH && context.partitions.len() <= REMEMBERED_MAX {
            self.sessionless.lock().insert(context.connection, context.partitions);
            return NO_SESSION;
        }
        if context.epoch == FINAL_EPOCH || context.partitions.is_empty() {
            return NO_SESSION;
        }
        let used = self.uses.fetch_add(1, Ordering::Relaxed);
        let mut kept = self.kept.lock();
        let id = if context.session_id == NO_SESSION { unused_id(&kept) } else { context.session_id };
        let epoch = if context.epoch == i32::MAX { 1 } else { context.epoch + 1 };
        if kept.len() >= self.slots && !evict_oldest(&mut kept) {
            return NO_SESSION;
        }
        kept.insert(id, Kept { epoch, partitions: context.partitions, start: context.start, used });
        id
    }

    /// A connection ended.
    pub fn disconnected(&self, connection: u64) {
        self.sessionless.lock().remove(&connection);
    }

    /// Sessions in the cache.
    pub fn len(&self) -> usize {
        self.kept.lock().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Session ids are random, so that a client of an earlier run of the broker cannot hit somebody else's session.
fn unused_id(kept: &HashMap<i32, Kept>) -> i32 {
    loop {
        let id = (Uuid::new_v4().as_u128() as u32 >> 1) as i32;
        if id != NO_SESSION && !kept.contains_key(&id) {
            return id;
        }
    }
}

fn evict_oldest(kept: &mut HashMap<i32, Kept>) -> bool {
    let oldest = kept.iter().min_by_key(|(_, session)| session.used).map(|(&id, _)| id);
    oldest.is_some_and(|id| kept.remove(&id).is_some())
}

impl FetchContext {
    fn follow(&mut self, request: &FetchRequest) {
        for topic in &request.topics {
            let key = topic_key(&topic.topic, topic.topic_id);
            for partition in &topic.partitions {
                let key = PartitionKey { topic: key.clone(), partition: partition.partition };
                let before = self.partitions.get(&key);
                let told = before.map_or(TOLD_NOTHING, |followed| followed.told);
                let positioned = before.is_some_and(|followed| followed.positioned);
                let followed = Followed {
                    fetch_offset: partition.fetch_offset,
                    bytes_max: partition.partition_max_bytes,
                    current_leader_epoch: partition.current_leader_epoch,
                    last_fetched_epoch: partition.last_fetched_epoch,
                    positioned,
                    told,
                };
                self.partitions.insert(key, followed);
            }
        }
    }

    /// The positions that the account knows already of the connection's last fetch.
    fn take_positions(&mut self, last: IndexMap<PartitionKey, Followed>) {
        for (key, _) in last.iter().filter(|(_, last)| last.positioned) {
            if let Some(followed) = self.partitions.get_mut(key) {
                followed.positioned = true;
            }
        }
    }

    fn forget(&mut self, request: &FetchRequest) {
        for topic in &request.forgotten_topics_data {
            let key = topic_key(&topic.topic, topic.topic_id);
            for &partition in &topic.partitions {
                self.partitions.shift_remove(&PartitionKey { topic: key.clone(), partition });
            }
        }
    }

    /// The partitions, beginning behind the one that was served last, so that a busy one cannot starve the others.
    pub fn partitions(&self) -> impl Iterator<Item = (usize, &PartitionKey, &Followed)> {
        let (count, start) = (self.partitions.len(), self.start);
        (0..count).filter_map(move |step| {
            let at = (start + step) % count;
            self.partitions.get_index(at).map(|(key, followed)| (at, key, followed))
        })
    }

    /// The partition at `at` was read, or would have been but for damage; whether that is the first time in this session.
    pub fn takes_position(&mut self, at: usize) -> bool {
        let followed = self.partitions.get_index_mut(at);
        followed.is_some_and(|(_, followed)| !std::mem::replace(&mut followed.positioned, true))
    }

    /// Whether the client has to hear of the partition at `at`, which is answered with these values; notes that it does.
    pub fn tell(
        &mut self,
        at: usize,
        high_watermark: i64,
        log_start: i64,
        error: bool,
        has_records: bool,
    ) -> bool {
        let incremental = self.incremental;
        let count = self.partitions.len();
        let Some((_, followed)) = self.partitions.get_index_mut(at) else {
            return false;
        };
        let told = Told { high_watermark, log_start, error };
        // An error is repeated each time until it is gone, as Kafka does.
        let news = has_records || error || followed.told != told;
        followed.told = told;
        if has_records {
            self.start = (at + 1) % count;
        }
        news || !incremental
    }
}

fn topic_key(name: &str, id: Uuid) -> TopicKey {
    if id.is_nil() { TopicKey::Name(name.into()) } else { TopicKey::Id(id) }
}

#[cfg(test)]
mod tests {
    use tallymq_gateway::kafka::messages::fetch::{FetchPartition, FetchTopic, ForgottenTopic};

    use super::*;

    fn request(session_id: i32, session_epoch: i32, partitions: &[i32]) -> FetchRequest {
        let partitions: Vec<_> =
            partitions.iter().map(|&partition| FetchPartition { partition, ..Default::default() }).collect();
        let topics = match partitions.is_empty() {
            true => Vec::new(),
            false => vec![FetchTopic { topic: "t".to_owned(), partitions, ..Default::default() }],
        };
        FetchRequest { session_id, session_epoch, topics, ..Default::default() }
    }

    fn indexes(context: &FetchContext) -> Vec<i32> {
        context.partitions().map(|(_, key, _)| key.partition).collect()
    }

    #[test]
    fn a_session_remembers_adds_and_forgets() {
        let sessions = FetchSessions::new(10);
        let id = sessions.keep(sessions.begin(1, &request(0, 0, &[0, 1])).unwrap());
        assert_ne!(id, NO_SESSION);
        let mut second = request(id, 1, &[2]);
        second.forgotten_topics_data =
            vec![ForgottenTopic { topic: "t".to_owned(), partitions: vec![0], ..Default::default() }];
        let context = sessions.begin(1, &second).unwrap();
        assert_eq!(indexes(&context), [1, 2]);
        assert_eq!(sessions.keep(context), id);
    }

    #[test]
    fn an_unknown_session_and_a_wrong_epoch_have_their_errors() {
        let sessions = FetchSessions::new(10);
        assert_eq!(sessions.begin(1, &request(7, 1, &[])).err(), Some(ErrorCode::FetchSessionIdNotFound));
        let id = sessions.keep(sessions.begin(1, &request(0, 0, &[0])).unwrap());
        assert_eq!(sessions.begin(1, &request(id, 2, &[])).err(), Some(ErrorCode::InvalidFetchSessionEpoch));
        assert!(sessions.begin(1, &request(id, 1, &[])).is_ok(), "a wrong epoch does not end the session");
    }

    #[test]
    fn only_news_is_told_inside_a_session() {
        let sessions = FetchSessions::new(10);
        let mut context = sessions.begin(1, &request(0, 0, &[0])).unwrap();
        assert!(context.tell(0, 5, 0, false, false), "a full fetch answers every partition");
        let id = sessions.keep(context);
        let mut context = sessions.begin(1, &request(id, 1, &[])).unwrap();
        assert!(!context.tell(0, 5, 0, false, false));
        assert!(context.tell(0, 6, 0, false, false), "the high watermark moved");
        assert!(context.tell(0, 6, 1, false, false), "the log start moved");
        assert!(
            context.tell(0, 6, 1, true, false) && context.tell(0, 6, 1, true, false),
            "an error is repeated"
        );
    }

    #[test]
    fn the_oldest_session_makes_room() {
        let sessions = FetchSessions::new(2);
        let ids: Vec<i32> =
            (0..3).map(|_| sessions.keep(sessions.begin(1, &request(0, 0, &[0])).unwrap())).collect();
        assert_eq!(sessions.len(), 2);
        assert!(sessions.begin(1, &request(ids[0], 1, &[])).is_err());
        assert!(sessions.begin(1, &request(ids[2], 1, &[])).is_ok());
    }

    #[test]
    fn a_busy_partition_does_not_starve_the_others() {
        let sessions = FetchSessions::new(2);
        let mut context = sessions.begin(1, &request(0, 0, &[0, 1, 2])).unwrap();
        context.tell(0, 5, 0, false, true);
        let id = sessions.keep(context);
        assert_eq!(indexes(&sessions.begin(1, &request(id, 1, &[])).unwrap()), [1, 2, 0]);
    }

    #[test]
    fn a_fetch_without_a_session_takes_each_position_once_per_connection() {
        let sessions = FetchSessions::new(2);
        let taken = |connection, partitions: &[i32]| {
            let mut context = sessions.begin(connection, &request(0, FINAL_EPOCH, partitions)).unwrap();
            let taken: Vec<bool> = (0..partitions.len()).map(|at| context.takes_position(at)).collect();
            assert_eq!(sessions.keep(context), NO_SESSION);
            taken
        };
        assert_eq!(taken(1, &[0, 1]), [true, true]);
        assert_eq!(taken(1, &[1, 2]), [false, true], "of a partition that it goes on with it is known");
        assert_eq!(taken(1, &[0, 1]), [true, false], "and of one that it left for a while it is told again");
        assert_eq!(taken(2, &[1]), [true]);
        sessions.disconnected(1);
        assert_eq!(taken(1, &[1]), [true]);
        assert!(sessions.is_empty());
        sessions.disconnected(1);
        sessions.disconnected(2);
        assert!(sessions.sessionless.lock().is_empty());
    }

    #[test]
    fn closing_a_session_frees_it() {
        let sessions = FetchSessions::new(2);
        let id = sessions.keep(sessions.begin(1, &request(0, 0, &[0])).unwrap());
        let context = sessions.begin(1, &request(id, FINAL_EPOCH, &[0])).unwrap();
        assert_eq!(sessions.keep(context), NO_SESSION);
        assert!(sessions.is_empty());
    }
}
