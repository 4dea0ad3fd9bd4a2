//! Property files of clients: what is written in them, whose syntax it is, and what of it loses or doubles messages.
//! Pure: a file's text comes in, findings go out. Keys that are no key of the client may hold secrets, so their values
//! are never shown.

mod consumer;
mod consumer_timing;
mod file;
mod java_keys;
mod keys;
mod librdkafka_keys;
mod producer;
mod producer_timing;
mod properties;
mod refused;

pub use file::{ClientFile, Dialect};

use super::{Finding, Object};

/// What is known of the cluster that a client works with, if one was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings {
    /// It is a TallyMQ: it answers acks=1 as it answers acks=all.
    pub tallymq: bool,
    /// It has transactions: somebody made its topic `__transaction_state`.
    pub transactions: bool,
}

/// All that can be said of a file, in the order of its lines.
pub fn examine(file: &ClientFile, around: Surroundings) -> Vec<Finding> {
    let mut findings = keys::examine(file);
    findings.extend(refused::examine(file));
    if file.is_producer() {
        findings.extend(producer::examine(file, around));
        findings.extend(producer_timing::examine(file));
    }
    if file.is_consumer() {
        findings.extend(consumer::examine(file, around));
        findings.extend(consumer_timing::examine(file));
    }
    findings.sort_by_key(|finding| match &finding.object {
        Object::Client(_, line) => line.unwrap_or(usize::MAX),
        _ => usize::MAX,
    });
    findings
}
