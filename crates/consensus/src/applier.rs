//! Applies the commands of an entry to the group's state machine and keeps the outcomes until the run is over. Behind a
//! trait object, so that the engine is compiled once for all state machines.

use std::sync::Arc;

use tallymq_model::LogIndex;

use crate::{
    BuildState, Committed, DecodeError, EntryId, ProposeError, StateMachine,
    batch::{Batch, Waiter},
    durability::Proof,
    fate::{Fate, Phase},
};

/// A state machine of any type.
pub(crate) trait Applier: Send + Sync + 'static {
    /// Applies one entry's commands. Fails only if the entry cannot be decoded, which must end the group.
    fn apply(&mut self, at: EntryId, batch: Batch, proof: &Proof) -> Result<(), DecodeError>;
    /// The run of entries is over: readers are woken.
    fn finish_run(&mut self);
    /// Gives the run's outcomes to those who wait.
    fn deliver(&mut self);
    /// See [`StateMachine::begin_checkpoint`].
    fn begin_checkpoint(&mut self) -> BuildState;
    /// See [`StateMachine::checkpoint_durable`].
    fn checkpoint_durable(&mut self, through: LogIndex);
}

/// An outcome, and where it goes.
type Delivery<M> = (Waiter<M>, Committed<<M as StateMachine>::Outcome>);

/// The [`Applier`] of a state machine.
pub(crate) struct MachineApplier<M: StateMachine> {
    machine: M,
    fate: Arc<Fate>,
    /// A lock for `Sync` only: outcomes need not be. Never contended.
    outcomes: parking_lot::Mutex<Vec<Delivery<M>>>,
    applied: bool,
}

impl<M: StateMachine> MachineApplier<M> {
    pub(crate) fn new(machine: M, fate: Arc<Fate>) -> MachineApplier<M> {
        MachineApplier { machine, fate, outcomes: parking_lot::Mutex::default(), applied: false }
    }
}

impl<M: StateMachine> Applier for MachineApplier<M> {
    fn apply(&mut self, at: EntryId, batch: Batch, proof: &Proof) -> Result<(), DecodeError> {
        self.applied = true;
        if let Some(live) = batch.live().and_then(|live| live.take::<M>()) {
            for (command, waiter) in live.commands {
                let outcome = self.machine.apply(at, command);
                if let Some(waiter) = waiter {
                    self.outcomes.get_mut().push((waiter, Committed::new(outcome, at, proof)));
                }
            }
            return Ok(());
        }
        for command in batch.decode::<M>()? {
            self.machine.apply(at, command);
        }
        Ok(())
    }

    fn finish_run(&mut self) {
        if std::mem::take(&mut self.applied) {
            self.machine.batch_applied();
        }
    }

    fn deliver(&mut self) {
        // the disk may have failed since: these were durable before it did, but nothing is acknowledged after a failure
        let ended = self.fate.phase() == Phase::Ended;
        for (waiter, outcome) in self.outcomes.get_mut().drain(..) {
            // who does not wait any more needs no answer
            let _ = waiter.send(if ended { Err(ProposeError::Unknown) } else { Ok(outcome) });
        }
    }

    fn begin_checkpoint(&mut self) -> BuildState {
        self.machine.begin_checkpoint()
    }

    fn checkpoint_durable(&mut self, through: LogIndex) {
        self.machine.checkpoint_durable(through);
    }
}
