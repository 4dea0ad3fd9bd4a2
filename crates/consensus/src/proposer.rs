//! Turns the commands of many connections into few entries. One task per group: it takes what is queued, up to a bound of
//! bytes and commands, into one entry, and has a few entries in flight. It never waits for more commands: a lone one
//! goes at once, and while entries are in flight those that come meanwhile gather, so entries grow with the load.

use std::sync::Arc;

use openraft::{errors::ClientWriteError, raft::ClientWriteResult};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::{
    Command, GroupOptions, Parts, ProposeError, StateMachine,
    batch::{Batch, Live, LiveBatch, Waiter},
    fate::{Fate, Phase},
    format::BatchHeader,
    raft::{Answer, Engine, Types},
};

/// A command that waits for its entry.
pub(crate) struct Queued<M: StateMachine> {
    pub(crate) command: M::Command,
    pub(crate) waiter: Waiter<M>,
    /// Its share of the bytes in flight, with its rider's.
    pub(crate) bytes: OwnedSemaphorePermit,
    /// Goes into the same entry, right before it; nobody waits for its outcome.
    pub(crate) rider: Option<M::Command>,
}

impl<M: StateMachine> Queued<M> {
    fn size_bytes(&self) -> usize {
        self.command.size_bytes() + self.rider.as_ref().map_or(0, Command::size_bytes)
    }
}

/// The task's state.
pub(crate) struct Proposer<M: StateMachine> {
    queue: mpsc::UnboundedReceiver<Queued<M>>,
    slots: Arc<Semaphore>,
    engine: Engine,
    fate: Arc<Fate>,
    options: GroupOptions,
    /// Taken from the queue, but one too many for the last entry.
    carried: Option<Queued<M>>,
}

impl<M: StateMachine> Proposer<M> {
    pub(crate) fn new(
        queue: mpsc::UnboundedReceiver<Queued<M>>,
        engine: Engine,
        fate: Arc<Fate>,
        options: GroupOptions,
    ) -> Proposer<M> {
        let slots = Arc::new(Semaphore::new(options.entries_in_flight_max.max(1)));
        Proposer { queue, slots, engine, fate, options, carried: None }
    }

    /// Runs until the group closes; then everything is answered: what is still queued with "not appended", and what is
    /// in flight by its own outcome, for which this waits.
    pub(crate) async fn run(mut self) {
        let fate = self.fate.clone();
        tokio::select! {
            biased;
            () = fate.reached(Phase::Closing) => {}
            () = self.propose_all() => {}
        }
        self.queue.close();
        while let Some(queued) = self.carried.take().or_else(|| self.queue.try_recv().ok()) {
            // who does not wait any more needs no answer
            let _ = queued.waiter.send(Err(ProposeError::ShuttingDown));
        }
        let all = u32::try_from(self.options.entries_in_flight_max.max(1)).unwrap_or(u32::MAX);
        tokio::select! {
            biased;
            () = fate.reached(Phase::Ended) => {}
            _ = self.slots.acquire_many(all) => {}
        }
    }

    /// Cut off at an await point it loses nothing that was not handed to the engine.
    async fn propose_all(&mut self) {
        while self.carry_next().await {
            // commands go on gathering while this waits
            let slot = self.slots.clone().acquire_owned().await.expect("the slots are never closed");
            let Some(first) = self.carried.take() else {
                continue;
            };
            let (batch, live) = self.gather(first, slot);
            let answer = Answer::new(move |result: ClientWriteResult<Types>| refuse(&live, result));
            if self.engine.client_write_ff(batch, Some(answer)).await.is_err() {
                return; // the engine has ended: dropping the batch answers that the outcome is not known
            }
        }
    }

    /// Waits for a command; false if none will come any more.
    async fn carry_next(&mut self) -> bool {
        if self.carried.is_none() {
            self.carried = self.queue.recv().await;
        }
        self.carried.is_some()
    }

    /// Takes what is queued behind `first`, up to the bounds of an entry, and encodes it.
    fn gather(&mut self, first: Queued<M>, slot: OwnedSemaphorePermit) -> (Batch, Live) {
        let mut entry = EntryBuilder::<M>::new();
        entry.push(first);
        while entry.commands.len() < self.options.entry_commands_max {
            let Ok(next) = self.queue.try_recv() else { break };
            if entry.parts.len() + next.size_bytes() > self.options.entry_bytes_max {
                self.carried = Some(next);
                break;
            }
            entry.push(next);
        }
        entry.finish(slot)
    }
}

impl<M: StateMachine> Drop for Proposer<M> {
    /// Without it nothing would ever be proposed again, and nobody would be told.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fate.fail("the proposer panicked");
        }
    }
}

/// An entry under construction.
struct EntryBuilder<M: StateMachine> {
    header: BatchHeader,
    parts: Parts,
    commands: Vec<(M::Command, Option<Waiter<M>>)>,
    bytes: Option<OwnedSemaphorePermit>,
}

impl<M: StateMachine> EntryBuilder<M> {
    fn new() -> EntryBuilder<M> {
        EntryBuilder {
            header: BatchHeader::default(),
            parts: Parts::new(),
            commands: Vec::new(),
            bytes: None,
        }
    }

    fn push(&mut self, queued: Queued<M>) {
        let Queued { command, waiter, bytes, rider } = queued;
        if let Some(rider) = rider {
            self.add(rider, None);
        }
        self.add(command, Some(waiter));
        match &mut self.bytes {
            Some(held) => held.merge(bytes),
            None => self.bytes = Some(bytes),
        }
    }

    fn add(&mut self, command: M::Command, waiter: Option<Waiter<M>>) {
        let before = self.parts.len();
        command.encode(&mut self.parts);
        self.header.push((self.parts.len() - before) as u32); // bounded by `command_bytes_max`
        self.commands.push((command, waiter));
    }

    fn finish(self, slot: OwnedSemaphorePermit) -> (Batch, Live) {
        let live = Live::new(LiveBatch::<M> { commands: self.commands, _slot: slot, _bytes: self.bytes });
        let mut parts = vec![self.header.encode()];
        parts.extend(self.parts.into_parts());
        (Batch::proposed(parts, live.clone()), live)
    }
}

/// What the engine says about an entry: an outcome was delivered by the apply path, a refusal goes to all who wait.
fn refuse(live: &Live, result: ClientWriteResult<Types>) {
    let error = match result {
        Ok(_) => return, // the apply path has answered
        Err(ClientWriteError::ForwardToLeader(to)) => ProposeError::NotLeader { leader: to.leader_id },
        Err(_) => ProposeError::Unknown,
    };
    live.refuse(&error);
}
