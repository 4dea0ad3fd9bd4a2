//! What one log entry carries: several commands, encoded, and as long as the proposals wait on this node also the
//! commands themselves with who waits for them. Applied from memory then, decoded only in a replay or on a follower.

use std::{any::Any, fmt, sync::Arc};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::{Committed, ProposeError, StateMachine, format::BatchHeader};

/// The commands of one entry. Cheap to clone: the buffers and the live commands are shared.
#[derive(Clone)]
pub(crate) struct Batch {
    parts: Vec<Bytes>,
    live: Option<Live>,
}

impl Batch {
    /// Read back from the log.
    pub(crate) fn stored(bytes: Bytes) -> Batch {
        Batch { parts: vec![bytes], live: None }
    }

    /// Proposed here.
    pub(crate) fn proposed(parts: Vec<Bytes>, live: Live) -> Batch {
        Batch { parts, live: Some(live) }
    }

    /// The encoded commands.
    pub(crate) fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    /// The same to be applied: without the bytes, if they are not needed for it.
    pub(crate) fn to_apply(&self) -> Batch {
        let parts = if self.live.is_some() { Vec::new() } else { self.parts.clone() };
        Batch { parts, live: self.live.clone() }
    }

    pub(crate) fn live(&self) -> Option<&Live> {
        self.live.as_ref()
    }

    /// Decodes the commands.
    pub(crate) fn decode<M: StateMachine>(self) -> Result<Vec<M::Command>, crate::DecodeError> {
        BatchHeader::decode_commands(&mut joined(self.parts))
    }
}

/// All parts as one buffer; copies only if there is more than one.
pub(crate) fn joined(mut parts: Vec<Bytes>) -> Bytes {
    if parts.len() == 1 {
        return parts.swap_remove(0);
    }
    let mut whole = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
    parts.iter().for_each(|part| whole.extend_from_slice(part));
    whole.freeze()
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of commands", self.parts.iter().map(Bytes::len).sum::<usize>())
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The live commands of an entry, type-erased so that the engine is compiled once for all state machines.
#[derive(Clone)]
pub(crate) struct Live(Arc<Mutex<Option<Box<dyn LiveCommands>>>>);

impl Live {
    pub(crate) fn new<M: StateMachine>(commands: LiveBatch<M>) -> Live {
        Live(Arc::new(Mutex::new(Some(Box::new(commands)))))
    }

    /// Answers everyone who waits with an error. The commands stay: whether they are applied is the log's decision.
    pub(crate) fn refuse(&self, error: &ProposeError) {
        if let Some(commands) = self.0.lock().as_mut() {
            commands.refuse(error);
        }
    }

    /// The commands, the first time; they are applied once.
    pub(crate) fn take<M: StateMachine>(&self) -> Option<LiveBatch<M>> {
        let commands: Box<dyn Any> = self.0.lock().take()?.into_any();
        Some(*commands.downcast().expect("a group's entries carry its own state machine's commands"))
    }
}

trait LiveCommands: Send {
    fn refuse(&mut self, error: &ProposeError);
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

/// Where a proposal's outcome goes.
pub(crate) type Waiter<M> = oneshot::Sender<Result<Committed<<M as StateMachine>::Outcome>, ProposeError>>;

/// The live commands of one entry.
pub(crate) struct LiveBatch<M: StateMachine> {
    pub(crate) commands: Vec<(M::Command, Option<Waiter<M>>)>,
    /// The place among the entries in flight, free again when this is dropped.
    pub(crate) _slot: OwnedSemaphorePermit,
    /// The bytes in flight, likewise.
    pub(crate) _bytes: Option<OwnedSemaphorePermit>,
}

impl<M: StateMachine> LiveCommands for LiveBatch<M> {
    fn refuse(&mut self, error: &ProposeError) {
        for (_, waiter) in &mut self.commands {
            if let Some(waiter) = waiter.take() {
                // who does not wait any more needs no answer
                let _ = waiter.send(Err(error.clone()));
            }
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
