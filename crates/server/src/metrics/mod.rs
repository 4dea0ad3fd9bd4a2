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
    /// A fresh registry with every metric at zero. `facts` become the labels of `tallymq_broker_info`.
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

    /// The Prometheus text exposition of everything, with what is read only when somebody asks. One at a time: those are
    /// cleared and filled anew, and another exposition in between would lack some.
    pub fn exposition(&self, storage: &StorageReading, books: &AccountSummary) -> String {
        let registry = self.registry.lock();
        self.storage.set(storage);
        self.books.set(books);
        let mut text = String::new();
        encode(&mut text, &registry).expect("writing to a string cannot fail");
        text
    }
}

/// Bucket bounds in seconds for latencies: 50 µs to 26 s, doubling.
fn latency_buckets() -> impl Iterator<Item = f64> {
    prometheus_client::metrics::histogram::exponential_buckets(50e-6, 2.0, 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expositions_beside_each_other_lack_no_series() {
        const GROUPS: usize = 300;
        let metrics = Metrics::new(Vec::new());
        let lag = |number: usize| GroupLag { group: format!("g{number}"), topic: "t".to_owned(), records: 7 };
        let reading = StorageReading { lag: (0..GROUPS).map(lag).collect(), ..StorageReading::default() };
        let books = AccountSummary::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let text = metrics.exposition(&reading, &books);
                        let series = text.lines().filter(|line| line.starts_with("tallymq_group_lag{"));
                        assert_eq!(series.count(), GROUPS);
                    }
                });
            }
        });
    }
}
