//! One event of a history and its JSON form. Data only: nothing here judges.
//!
//! A history is a file of JSON objects, one a line, in the order in which things happened. What a client begins is an
//! `invoke`; how it ended is `ok` (it happened), `fail` (it certainly did not and never will) or `unknown` (a timeout, a
//! crash: it may have happened, or happen later). An invocation without a completion counts as `unknown`, a completion
//! without an invocation as instantaneous.
//!
//! ```text
//! {"process":1,"time_ns":10,"op":"send","type":"invoke","topic":"t","partition":0,"value":"a1","producer":7}
//! {"process":1,"time_ns":25,"op":"send","type":"ok","topic":"t","partition":0,"offset":0,"value":"a1","producer":7}
//! {"process":2,"time_ns":30,"op":"assign","type":"ok","group":"g","topic":"t","records":[{"partition":0,"offset":0}]}
//! {"process":2,"time_ns":40,"op":"poll","type":"ok","topic":"t","records":[{"partition":0,"offset":0,"value":"a1"}]}
//! ```
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `process` | int | one client, doing one thing of each kind at a time (sends may overlap: their values pair them) |
//! | `time_ns` | int | when, in nanoseconds of one clock shared by all processes of the history |
//! | `op` | string | see below; an unknown one is refused |
//! | `type` | string | `invoke`, `ok`, `fail`, `unknown` |
//! | `topic`, `partition`, `offset`, `value` | string, int, int, string | the one record meant, if `records` is absent; else `topic` and `partition` are what its entries inherit |
//! | `records` | list of `{topic, partition, offset, value}` | the records meant; in a poll or lease in the order delivered |
//! | `producer` | int | on a send: the idempotent producer instance; absent if the producer is not idempotent |
//! | `txn` | string | the transaction of a send, and of the `commit_txn` or `abort_txn` that ends it; unique |
//! | `group` | string | consumer group; on `assign` or `poll` it is remembered for the process |
//! | `lease_ns` | int | how long a lease (`lease`, `renew`) lasts; absent: until it is given back |
//!
//! Every other field is ignored. Values are unique: each is sent once, and stands for the record's payload.
//!
//! | `op` | it says | `records` |
//! |---|---|---|
//! | `send` | one or more records are produced. A send without acknowledgement (acks=0) ends `unknown` | value; offset when `ok` |
//! | `poll` | records reach a consumer with a position (read committed). Only what an `ok` lists was read | partition, offset, value |
//! | `assign` | a consumer gains these partitions; its position there becomes `offset`, or is unknown without | partition, maybe offset |
//! | `revoke` | a consumer loses these partitions; without records all | partition |
//! | `seek` | a consumer moves on purpose | partition, maybe offset |
//! | `commit` | a group's position is committed: `offset` is the next one to read | partition, offset |
//! | `commit_txn`, `abort_txn` | a transaction ends | none |
//! | `trim` | records below `offset` are deleted on purpose (DeleteRecords, retention) | partition, offset |
//! | `lease` | records are delivered to a holder (the process) for a time | value, maybe partition, offset |
//! | `renew` | a holder extends leases | value |
//! | `ack` | a holder is done with records | value |
//! | `release` | a holder gives records back; without records (as after its crash) all it holds in the group | value |
//! | `reject` | a holder gives records up, towards the dead letters | value |
//! | `dead_letter` | these were found among the group's dead letters at the end | value |
//! | `remaining` | all that the group still had to deliver of `topic` at the end; opens the account check | value |
//! | `final` | from here on every client is new, reads from the beginning and waits until it has caught up | none |
//! | `note` | anything (a fault, a phase); ignored | ignored |

use serde::{Deserialize, Serialize};

/// What a client does. The JSON names are in snake case; the module says what each means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Op {
    Send,
    Poll,
    Assign,
    Revoke,
    Seek,
    Commit,
    CommitTxn,
    AbortTxn,
    Trim,
    Lease,
    Renew,
    Ack,
    Release,
    Reject,
    DeadLetter,
    Remaining,
    Final,
    Note,
}

/// Whether an event begins an operation, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It begins.
    Invoke,
    /// It happened.
    Ok,
    /// It did not happen and never will.
    Fail,
    /// It may have happened, or happen later.
    Unknown,
}

/// One entry of `records`; what is absent is inherited from the event or not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The topic, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The partition inside the topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// The record's offset, or a position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// The unique value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// One line of a history, in its file form (plain numbers and strings; see the module).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The client.
    pub process: i64,
    /// When, nanoseconds.
    pub time_ns: i64,
    /// What.
    pub op: Op,
    /// Begin or end.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The topic, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The partition inside the topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// The record's offset, or a position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// The unique value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The idempotent producer instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub producer: Option<i64>,
    /// The transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub txn: Option<String>,
    /// The consumer group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Length of a lease, nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ns: Option<i64>,
    /// The records meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<Record>,
}

/// A record as an event means it, with what it inherits filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'e> {
    /// The topic, by name.
    pub topic: Option<&'e str>,
    /// The partition inside the topic.
    pub partition: Option<i32>,
    /// The record's offset, or a position.
    pub offset: Option<i64>,
    /// The unique value.
    pub value: Option<&'e str>,
}

impl Event {
    /// An event about nothing yet; the builders below fill it.
    pub fn new(process: i64, time_ns: i64, op: Op, kind: Kind) -> Event {
        Event {
            process,
            time_ns,
            op,
            kind,
            topic: None,
            partition: None,
            offset: None,
            value: None,
            producer: None,
            txn: None,
            group: None,
            lease_ns: None,
            records: Vec::new(),
        }
    }

    /// Names the topic.
    pub fn topic(mut self, topic: impl Into<String>) -> Event {
        self.topic = Some(topic.into());
        self
    }

    /// Names the partition.
    pub fn partition(mut self, partition: i32) -> Event {
        self.partition = Some(partition);
        self
    }

    /// Gives the offset or position.
    pub fn offset(mut self, offset: i64) -> Event {
        self.offset = Some(offset);
        self
    }

    /// Gives the value.
    pub fn value(mut self, value: impl Into<String>) -> Event {
        self.value = Some(value.into());
        self
    }

    /// Names the group.
    pub fn group(mut self, group: impl Into<String>) -> Event {
        self.group = Some(group.into());
        self
    }

    /// Adds a record.
    pub fn record(mut self, partition: i32, offset: i64, value: impl Into<String>) -> Event {
        self.records.push(Record {
            topic: None,
            partition: Some(partition),
            offset: Some(offset),
            value: Some(value.into()),
        });
        self
    }

    /// The records that the event means, in order.
    pub fn items(&self) -> impl Iterator<Item = Item<'_>> {
        let alone = self.records.is_empty()
            && (self.partition.is_some() || self.offset.is_some() || self.value.is_some());
        let single = alone.then_some(Item {
            topic: self.topic.as_deref(),
            partition: self.partition,
            offset: self.offset,
            value: self.value.as_deref(),
        });
        single.into_iter().chain(self.records.iter().map(|record| Item {
            topic: record.topic.as_deref().or(self.topic.as_deref()),
            partition: record.partition.or(self.partition),
            offset: record.offset,
            value: record.value.as_deref(),
        }))
    }
}

/// What all clients of a run saw, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The events; their order is the order in which they happened.
    pub events: Vec<Event>,
}
