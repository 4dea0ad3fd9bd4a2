//! The engine, openraft, and what it is given: types, runtime, log, state machine, network. Nothing outside of this
//! crate sees any of it.
//!
//! openraft counts entries from 0, everything else here from 1: the conversion is in this file and nowhere else.

mod cache;
mod config;
mod log;
mod machine;
mod network;
mod reader;
mod runtime;

pub(crate) use config::engine_config;
pub(crate) use log::{LogStore, RaftLog, StoredLog};
pub(crate) use machine::{Begun, RaftMachine, Start};
pub(crate) use network::NoNetwork;
pub(crate) use runtime::Runtime;

use openraft::{
    RaftTypeConfig, async_runtime::WatchReceiver, impls, raft::responder::Responder, type_config::alias,
};
use tallymq_model::{LogIndex, NodeId, Term};

use crate::{EntryId, batch::Batch};

/// openraft, with our types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Types;

impl RaftTypeConfig for Types {
    type D = Batch;
    type R = ();
    type NodeId = NodeId;
    type Node = impls::BasicNode;
    type Term = u64;
    // One leader per term, as in the paper (Raft §5.2): the term alone tells whose entry it is, and the write-ahead log
    // stores just that.
    type LeaderId = impls::leader_id_std::LeaderId<u64, NodeId>;
    type Vote = impls::Vote<Self::LeaderId>;
    type Payload = openraft::EntryPayload<Batch, NodeId, impls::BasicNode>;
    type Entry = impls::Entry<CommittedLeaderId, Self::Payload>;
    type AsyncRuntime = Runtime;
    type Responder<T>
        = Answer<T>
    where
        T: openraft::OptionalSend + 'static;
    type Batch<T>
        = impls::InlineBatch<T>
    where
        T: openraft::OptionalSend + 'static;
    type ErrorSource = impls::BoxedErrorSource;
}

type CommittedLeaderId =
    <impls::leader_id_std::LeaderId<u64, NodeId> as openraft::vote::RaftLeaderId>::Committed;
pub(crate) type Entry = alias::EntryOf<Types>;
pub(crate) type Vote = alias::VoteOf<Types>;
pub(crate) type EngineLogId = alias::LogIdOf<Types>;
pub(crate) type Membership = openraft::Membership<NodeId, impls::BasicNode>;
pub(crate) type StoredMembership = alias::StoredMembershipOf<Types>;
pub(crate) type Engine = openraft::Raft<Types, RaftMachine>;

/// Our name for an engine's log id.
pub(crate) fn entry_id(log_id: &EngineLogId) -> EntryId {
    EntryId { term: Term(log_id.leader_id.term), index: from_engine(log_id.index) }
}

/// The engine's name for an entry of ours. There is no entry 0.
pub(crate) fn engine_log_id(at: EntryId) -> EngineLogId {
    EngineLogId::new(CommittedLeaderId::new(at.term.0), to_engine(at.index))
}

fn from_engine(index: u64) -> LogIndex {
    LogIndex(index + 1)
}

fn to_engine(index: LogIndex) -> u64 {
    debug_assert!(index > LogIndex(0), "there is no entry 0");
    index.0.saturating_sub(1)
}

/// Called with what the engine says about a proposal.
pub(crate) struct Answer<T>(Box<dyn FnOnce(T) + Send>);

impl<T: 'static> Answer<T> {
    pub(crate) fn new(answer: impl FnOnce(T) + Send + 'static) -> Answer<T> {
        Answer(Box::new(answer))
    }
}

impl<T: openraft::OptionalSend + 'static> Responder<Types, T> for Answer<T> {
    fn on_complete(self, result: T) {
        (self.0)(result);
    }
}

/// What the engine's observers see of a change of leadership; `None` when the engine has ended.
pub(crate) async fn next_change(metrics: &mut ServerMetrics) -> Option<Leadership> {
    metrics.changed().await.ok()?;
    Some(leadership(metrics))
}

/// Who leads, as the engine sees it now.
pub(crate) fn leadership(metrics: &ServerMetrics) -> Leadership {
    let now = metrics.borrow_watched();
    Leadership {
        term: Term(now.vote.leader_id.term),
        leader: now.current_leader,
        is_leader: now.state.is_leader(),
    }
}

/// Why the engine ended.
pub(crate) fn why_ended(metrics: &EngineMetrics) -> String {
    match &metrics.borrow_watched().running_state {
        Ok(()) => "the engine ended without a reason".to_owned(),
        Err(fatal) => fatal.to_string(),
    }
}

pub(crate) type EngineMetrics = alias::WatchReceiverOf<Types, openraft::metrics::RaftMetrics<Types>>;
pub(crate) type ServerMetrics = alias::WatchReceiverOf<Types, openraft::metrics::RaftServerMetrics<Types>>;

/// Who leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leadership {
    pub(crate) term: Term,
    pub(crate) leader: Option<NodeId>,
    pub(crate) is_leader: bool,
}
