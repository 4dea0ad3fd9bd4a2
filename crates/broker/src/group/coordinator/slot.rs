//! One group's place in the coordinator: a view of its applied state, its soft state, and what waits.

use std::collections::VecDeque;
use std::sync::Arc;

use super::classic::soft::ClassicSoft;
use super::timers::Timer;
use crate::group::durable::GroupState;
use crate::group::error::GroupError;
use crate::group::names::{MemberId, Token};
use crate::group::request::Request;
use crate::group::response::{Joined, Response};

/// What is to be done, in order.
#[derive(Debug)]
pub(super) enum Work {
    Request(Token, Box<Request>),
    Timer(Timer),
}

/// Answers that are ready, but for a command.
pub(super) type Replies = Vec<(Token, Response)>;

/// What to do when the command in flight was applied.
#[derive(Debug)]
pub(super) enum Then {
    /// Answer.
    Reply(Replies),
    /// A classic generation was formed.
    Rebalanced,
    /// A classic generation was assigned.
    Assigned,
    /// Classic members left.
    Left { members: Vec<MemberId>, replies: Replies },
    /// A static classic member was replaced.
    Replaced(Box<Replacement>),
    /// A consumer group changed.
    Consumer(Box<ConsumerChange>),
    /// The group has another type.
    TypeChanged { retry: Option<(Token, Box<Request>)>, replies: Replies },
}

/// A static member that comes back under another id.
#[derive(Debug)]
pub(super) struct Replacement {
    pub(super) token: Token,
    pub(super) old: MemberId,
    pub(super) new: MemberId,
    /// The answer, if no rebalance is needed.
    pub(super) joined: Option<Joined>,
    /// For whoever waits under the old id.
    pub(super) fenced: Replies,
}

/// A change of a consumer group, when it is durable.
#[derive(Debug, Default)]
pub(super) struct ConsumerChange {
    pub(super) replies: Replies,
    /// Whose deadlines start.
    pub(super) seen: Option<MemberId>,
    /// That one came a step further, so its time to give partitions up begins or ends.
    pub(super) moved: bool,
    /// Whose deadlines end.
    pub(super) gone: Vec<MemberId>,
    /// A classic member joined, and has to sync.
    pub(super) joined: bool,
    /// Become a classic group if only classic members are left.
    pub(super) check_downgrade: bool,
}

/// One group.
#[derive(Debug)]
pub(super) struct Slot {
    /// The applied state, as of the last outcome.
    pub(super) durable: Option<Arc<GroupState>>,
    /// Of a classic group; empty for a consumer group.
    pub(super) classic: ClassicSoft,
    /// The topics changed since the consumer group's last decision.
    pub(super) topics_changed: bool,
    /// What follows the command in the log. Invariant: while there is one, nothing from `queue` is decided.
    pub(super) in_flight: Option<Then>,
    pub(super) queue: VecDeque<Work>,
}

impl Slot {
    pub(super) fn new(durable: Option<Arc<GroupState>>) -> Slot {
        let classic = ClassicSoft::default();
        Slot { durable, classic, topics_changed: true, in_flight: None, queue: VecDeque::new() }
    }

    /// Whether somebody would miss it.
    pub(super) fn is_needed(&self) -> bool {
        self.durable.is_some()
            || !self.classic.is_unused()
            || self.in_flight.is_some()
            || !self.queue.is_empty()
    }

    /// The refusals for everyone who waits.
    pub(super) fn abandon(mut self, error: &GroupError) -> Replies {
        let mut replies = self.classic.refuse_waiting(error);
        if let Some(then) = self.in_flight.take() {
            replies.extend(then.refuse(error));
        }
        for work in self.queue {
            if let Work::Request(token, request) = work {
                replies.push((token, Response::refuse(&request, error.clone())));
            }
        }
        replies
    }
}

impl Then {
    /// The refusals for those who wait for this command alone.
    pub(super) fn refuse(self, error: &GroupError) -> Replies {
        let refused = |replies: Replies| -> Replies {
            replies.into_iter().map(|(token, response)| (token, response.refused(error.clone()))).collect()
        };
        match self {
            Then::Reply(replies) | Then::Left { replies, .. } => refused(replies),
            Then::Rebalanced | Then::Assigned => Vec::new(),
            Then::Replaced(replacement) => {
                let mut all = refused(replacement.fenced);
                all.push((replacement.token, Response::Join(Err(error.clone()))));
                all
            }
            Then::Consumer(change) => refused(change.replies),
            Then::TypeChanged { retry, replies } => {
                let mut all = refused(replies);
                all.extend(retry.map(|(token, request)| (token, Response::refuse(&request, error.clone()))));
                all
            }
        }
    }
}

impl Response {
    /// The refusal in place of an answer that was ready.
    fn refused(self, error: GroupError) -> Response {
        match self {
            Response::Join(_) => Response::Join(Err(error)),
            Response::Sync(_) => Response::Sync(Err(error)),
            Response::Heartbeat(_) => Response::Heartbeat(Err(error)),
            Response::Leave(_) => Response::Leave(Err(error)),
            Response::CommitCheck(_) => Response::CommitCheck(Err(error)),
            Response::FetchCheck(_) => Response::FetchCheck(Err(error)),
            Response::Describe(_) => Response::Describe(Err(error)),
            Response::List(_) => Response::List(Vec::new()),
            Response::Delete(_) => Response::Delete(Err(error)),
            Response::DeletePositionsCheck(_) => Response::DeletePositionsCheck(Err(error)),
            Response::ConsumerHeartbeat(_) => Response::ConsumerHeartbeat(Err(error)),
            Response::ConsumerDescribe(_) => Response::ConsumerDescribe(Err(error)),
        }
    }
}
