//! Records that turn out to be unreadable: found by a fetch or by whoever indexes keys, measured aside, and entered in the
//! accounts once.

use std::{collections::BTreeSet, sync::Arc};

use parking_lot::Mutex;
use tallymq_broker::{account::AccountCommand, data::DataCommand};
use tallymq_model::{Offset, RaftGroup, TopicPartition};
use tallymq_storage::log::{DamageExtent, PartitionLog};

use crate::node::Node;

/// Damaged places that are remembered; what is found beyond is only in the log of the process.
const PLACES_MAX: usize = 4096;

/// Places that the accounts were told of since the start, or are about to be: a client asks for them again and again.
#[derive(Default)]
pub struct Told(Mutex<BTreeSet<(TopicPartition, Offset)>>);

impl Told {
    /// Whether this is news; then it is measured by who asked, and forgotten again unless it comes to be told.
    fn is_news(&self, place: (TopicPartition, Offset)) -> bool {
        let mut told = self.0.lock();
        told.len() < PLACES_MAX && told.insert(place)
    }

    /// It was not told: whoever finds it next tries again.
    fn forget(&self, place: (TopicPartition, Offset)) {
        self.0.lock().remove(&place);
    }
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
            if !node.enter_damage(data, log, at).await {
                node.accounting.damage.forget(place);
            }
        });
    }

    /// Whether it was entered.
    async fn enter_damage(&self, data: RaftGroup, log: Arc<PartitionLog>, at: Offset) -> bool {
        let tp = log.topic_partition();
        let measured = tokio::task::spawn_blocking(move || log.unreadable_around(at)).await;
        let (Ok(Some(DamageExtent { from, to, damage })), Some(handle)) = (measured, self.data(data)) else {
            return false;
        };
        let lost = AccountCommand::Lost { tp, from, to, why: damage.to_string().into(), at: self.now() };
        match handle.propose(DataCommand::Account(lost)).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(%error, partition = %tp, "damage could not be entered in the account");
                false
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
        told.forget((tp, Offset(7)));
        assert!(told.is_news((tp, Offset(7))));
    }
}
