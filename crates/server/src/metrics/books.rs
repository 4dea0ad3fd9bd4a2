//! Gauges of the accounts, read only when somebody asks for the metrics. Bounded by groups and topics, like the lag.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::books::{AccountSummary, class_name};

/// One class of one group's account of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabel {
    group: String,
    topic: String,
    class: &'static str,
}

/// One group's account of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AccountLabel {
    group: String,
    topic: String,
}

/// Why batches of a topic were not stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WhyLabel {
    topic: String,
    why: &'static str,
}

pub(super) struct BookMetrics {
    records: Family<ClassLabel, Gauge>,
    stored: Family<AccountLabel, Gauge>,
    handled: Family<AccountLabel, Gauge>,
    not_stored: Family<WhyLabel, Gauge>,
    unbalanced: Gauge,
    alarms: Gauge,
    unopened: Gauge,
}

impl BookMetrics {
    pub(super) fn register(registry: &mut Registry) -> BookMetrics {
        let records = Family::default();
        let about = "Records since a group's accounts of a topic opened, by what became of them";
        registry.register("account_records", about, records.clone());
        let stored = Family::default();
        let about = "Records stored since a group's accounts of a topic opened";
        registry.register("account_stored", about, stored.clone());
        let handled = Family::default();
        let about = "Records whose handler sent a receipt, since a group's accounts of a topic opened";
        registry.register("account_handled", about, handled.clone());
        let not_stored = Family::default();
        let about = "Batches of producers that were not stored, by why; refused_since_start since the start, the others for ever";
        registry.register("account_not_stored_batches", about, not_stored.clone());
        let mut gauge = |name: &str, about: &str| {
            let gauge = Gauge::default();
            registry.register(name, about, gauge.clone());
            gauge
        };
        BookMetrics {
            records,
            stored,
            handled,
            not_stored,
            unbalanced: gauge(
                "account_unbalanced",
                "Accounts whose classes do not add up to what was stored",
            ),
            alarms: gauge("account_alarms_unacknowledged", "Losses that nobody acknowledged yet"),
            unopened: gauge("account_unopened", "Accounts that did not open because there are too many"),
        }
    }

    pub(super) fn set(&self, summary: &AccountSummary) {
        self.unbalanced.set(summary.unbalanced as i64);
        self.alarms.set(summary.alarms as i64);
        self.unopened.set(summary.unopened as i64);
        self.records.clear();
        self.stored.clear();
        self.handled.clear();
        self.not_stored.clear();
        for (topic, counts) in &summary.not_stored {
            for (why, batches) in counts.by_why().into_iter().filter(|(_, batches)| *batches > 0) {
                let label = WhyLabel { topic: topic.clone(), why };
                self.not_stored.get_or_create(&label).set(batches as i64);
            }
        }
        for account in &summary.records {
            let (group, topic) = (account.group.clone(), account.topic.clone());
            let label = AccountLabel { group, topic };
            self.stored.get_or_create(&label).set(account.stored as i64);
            // Groups whose clients send none have no such series.
            if account.handled > 0 {
                self.handled.get_or_create(&label).set(account.handled as i64);
            }
            for (class, count) in account.shown() {
                let (group, topic) = (account.group.clone(), account.topic.clone());
                let label = ClassLabel { group, topic, class: class_name(class) };
                self.records.get_or_create(&label).set(count as i64);
            }
        }
    }
}
