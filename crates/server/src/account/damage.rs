//! Records that turn out to be unreadable: found by a fetch or by whoever indexes keys, measured aside, and entered in the
//! accounts once; and again when accounts open over them later.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tallymq_broker::{account::AccountCommand, data::DataCommand};
use tallymq_model::{Offset, RaftGroup, TopicPartition};
use tallymq_storage::log::{DamageExtent, PartitionLog};
use tokio::time::{MissedTickBehavior, interval};

use crate::node::{DataHandle, Node};

/// Damaged places that are remembered; what is found beyond is only in the log of the process.
const PLACES_MAX: usize = 4096;

/// How often it is looked for accounts that have opened over damage.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

type Place = (TopicPartition, Offset);
/// The first offset that damage took, and the one behind the last.
type Extent = (Offset, Offset);

/// Places that the accounts were told of since the start, with their extent, or are about to be: a client asks for them again
/// and again.
#[derive(Default)]
pub struct Told(Mutex<BTreeMap<Place, Option<Extent>>>);

impl Told {
    /// Whether this is news; then it is measured by who asked.
    fn is_news(&self, place: Place) -> bool {
        let mut told = self.0.lock();
        let is_news = told.len() < PLACES_MAX && !told.contains_key(&place);
        if is_news {
            told.insert(place, None);
        }
        is_news
    }

    /// It was told; or not, and whoever finds it next tries again.
    fn settle(&self, place: Place, extent: Option<Extent>) {
        let mut told = self.0.lock();
        match extent {
            Some(_) => told.insert(place, extent),
            None => told.remove(&place),
        };
    }

    /// One place of each extent.
    fn extents(&self) -> Vec<(Place, Extent)> {
        let told = self.0.lock();
        let mut seen = BTreeSet::new();
        let all = told.iter().filter_map(|(place, extent)| Some((*place, (*extent)?)));
        all.filter(|((tp, _), extent)| seen.insert((*tp, *extent))).collect()
    }
}

/// Tells accounts that have opened since of the damage that is known, for as long as the node runs.
pub async fn watch(node: &Node) {
    if !node.accounting.is_on() {
        return std::future::pending().await;
    }
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for (place, extent) in node.accounting.damage.extents() {
            let (tp, at) = place;
            let found = node.data_groups().find_map(|handle| Some((handle, handle.view.log(tp)?)));
            match found {
                Some((handle, log)) if is_needed(handle, tp, extent) => {
                    let extent = node.enter_damage(handle.id, log, at).await;
                    node.accounting.damage.settle(place, extent);
                }
                Some(_) => {}
                None => node.accounting.damage.settle(place, None),
            }
        }
    }
}

/// Whether an account still counts on records that damage took.
fn is_needed(handle: &DataHandle, tp: TopicPartition, (from, to): Extent) -> bool {
    let state = handle.view.state();
    state.accounts().of_partition(tp).any(|(_, account)| account.would_lose(from, to))
}

impl Node {
    /// A read from an offset found damage. Measures it, and enters what is lost.
    pub fn found_damage(self: &Arc<Self>, data: RaftGroup, log: Arc<PartitionLog>, at: Offset) {
        let place = (log.topic_partition(), at);
        if !self.accounting.is_on() || !self.accounting.damage.is_news(place) {
            return;
        }
        let node = self.clone();
        tokio::spawn(async move {
            let extent = node.enter_damage(data, log, at).await;
            node.accounting.damage.settle(place, extent);
        });
    }

    /// What was entered; None if it was not.
    async fn enter_damage(&self, data: RaftGroup, log: Arc<PartitionLog>, at: Offset) -> Option<Extent> {
        let tp = log.topic_partition();
        let measured = tokio::task::spawn_blocking(move || log.unreadable_around(at)).await;
        let (Ok(Some(DamageExtent { from, to, damage })), Some(handle)) = (measured, self.data(data)) else {
            return None;
        };
        let lost = AccountCommand::Lost { tp, from, to, why: damage.to_string().into(), at: self.now() };
        match handle.propose(DataCommand::Account(lost)).await {
            Ok(_) => Some((from, to)),
            Err(error) => {
                tracing::warn!(%error, partition = %tp, "damage could not be entered in the account");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tallymq_model::{PartitionIndex, TopicId};

    use super::*;

    #[test]
    fn what_was_not_told_is_news_again() {
        let told = Told::default();
        let tp = TopicPartition { topic: TopicId::default(), partition: PartitionIndex(0) };
        assert!(told.is_news((tp, Offset(7))) && !told.is_news((tp, Offset(7))));
        told.settle((tp, Offset(7)), None);
        assert!(told.is_news((tp, Offset(7))));
        for at in [7, 8, 9] {
            told.settle((tp, Offset(at)), Some((Offset(7), Offset(9 + at / 9))));
        }
        assert!(!told.is_news((tp, Offset(7))));
        let extents: Vec<i64> = told.extents().iter().map(|((_, at), _)| at.0).collect();
        assert_eq!(extents, [7, 9], "each extent once");
    }
}
