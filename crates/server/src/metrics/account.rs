//! Metrics of the accounts: losses, as they are found.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tallymq_broker::account::Class;

use crate::books::class_name;

/// The class that the records ended in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabel {
    class: &'static str,
}

/// Counters of losses; clones share them.
#[derive(Clone)]
pub struct AccountMetrics {
    alarms: Family<ClassLabel, Counter>,
    unreadable_receipts: Counter,
}

impl AccountMetrics {
    pub(super) fn register(registry: &mut Registry) -> AccountMetrics {
        let metrics = AccountMetrics { alarms: Family::default(), unreadable_receipts: Counter::default() };
        registry.register(
            "account_alarms",
            "Losses that the accounts found, per class",
            metrics.alarms.clone(),
        );
        registry.register(
            "account_unreadable_receipts",
            "Committed metadata that begins like receipts and is none",
            metrics.unreadable_receipts.clone(),
        );
        // A series that begins with its first loss would hide it from a rate.
        for class in Class::ALL.into_iter().filter(|class| class.is_loss()) {
            metrics.alarms_of(class);
        }
        metrics
    }

    /// Notes metadata that begins like receipts and is none.
    pub fn unreadable_receipts(&self) {
        self.unreadable_receipts.inc();
    }

    /// Notes one alarm.
    pub fn alarmed(&self, class: Class) {
        self.alarms_of(class).inc();
    }

    fn alarms_of(&self, class: Class) -> Counter {
        self.alarms.get_or_create_owned(&ClassLabel { class: class_name(class) })
    }
}
