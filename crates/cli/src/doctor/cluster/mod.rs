//! A cluster: what was seen of it, and what of that loses or doubles messages. Pure: facts come in, findings go out.

mod brokers;
pub mod facts;
mod groups;
mod retention;
mod topics;

use super::{Finding, client::Surroundings};
use facts::Cluster;

/// The topic where Kafka keeps the state of transactions (KIP-98).
const TRANSACTIONS: &str = "__transaction_state";

/// All that can be said of a cluster.
pub fn examine(cluster: &Cluster) -> Vec<Finding> {
    let mut findings = brokers::examine(cluster);
    findings.extend(topics::examine(cluster));
    findings.extend(groups::examine(cluster));
    findings
}

/// What rules about clients need to know of it.
pub fn surroundings(cluster: &Cluster) -> Surroundings {
    Surroundings {
        tallymq: cluster.tallymq,
        transactions: cluster.topics.iter().any(|topic| topic.name == TRANSACTIONS),
    }
}
