//! What the broker counts and measures, in one registry per broker (never a global, so that several brokers can live
//! in one process). Recording must stay cheap: a counter or one histogram step, no formatting and no allocation.

mod account;
mod books;
mod commit;
mod requests;
mod storage;

use parking_lot::Mutex;
use prometheus_client::{encoding::text::encode, registry::Registry};

use crate::books::AccountSummary;

pub use account::AccountMetrics;
pub use commit::CommitMetrics;
pub use requests::RequestMetrics;
pub use storage::{GroupLag, StorageReading};

/// All metrics of one broker.
pub struct Metrics {
    /// Per API: requests, errors, latency, bytes.
    pub requests: RequestMetrics,
    /// The write-ahead log's committer.
    pub commit: CommitMetrics,
    /// Losses that the accounts found.
    pub account: AccountMetrics,
    storage: storage::StorageMetrics,
    books: books::BookMetrics,
    registry: Mutex<Registry>,
}

impl Metrics {
    /// A fresh registry with every metric at zero. `facts` become the labels of `tallymq_info`.
    pub fn new(facts: Vec<(String, String)>) -> Metrics {
        let mut registry = Registry::with_prefix("tallymq");
        let requests = RequestMetrics::register(&mut registry);
        let commit = CommitMetrics::register(&mut registry);
        let account = AccountMetrics::register(&mut registry);
        let storage = storage::StorageMetrics::register(&mut registry);
        let books = books::BookMetrics::register(&mut registry);
        registry.register(
            "broker",
            "Version, durability mode and other facts of this broker",
            prometheus_client::metrics::info::Info::new(facts),
        );
        Metrics { requests, commit, account, storage, books, registry: Mutex::new(registry) }
    }

    /// Takes over the gauges that are read only when somebody asks.
    pub fn observe_storage(&self, reading: &StorageReading) {
        self.storage.set(reading);
    }

    /// The same for the accounts.
    pub fn observe_books(&self, summary: &AccountSummary) {
        self.books.set(summary);
    }

    /// The Prometheus text exposition of everything.
    pub fn exposition(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry.lock()).expect("writing to a string cannot fail");
        text
    }
}

/// Bucket bounds in seconds for latencies: 50 µs to 26 s, doubling.
fn latency_buckets() -> impl Iterator<Item = f64> {
    prometheus_client::metrics::histogram::exponential_buckets(50e-6, 2.0, 20)
}
