//! A Raft group: started from the disk, proposed to by many, ended once.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use openraft::async_runtime::AsyncRuntime;
use tallymq_model::{LogIndex, NodeId, Term};
use tallymq_storage::{
    disk::Disk,
    wal::{RecoveredGroup, Wal},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::{
    CheckpointFailed, Command, Committed, EntryId, GroupOptions, ProposeError, StartError, StateMachine,
    applier::MachineApplier,
    checkpointer::Checkpointer,
    fate::{Fate, Phase},
    launch::{Launched, launch, restore},
    proposer::{Proposer, Queued},
    raft::{Engine, Leadership, RaftLog, Runtime},
};

/// What a queued command counts beside its own bytes.
const COMMAND_OVERHEAD_BYTES: usize = 64;

/// A handle to a running group; cheap to clone. When the last one is dropped the group ends without waiting.
pub struct Group<M: StateMachine> {
    shared: Arc<Shared>,
    queue: mpsc::UnboundedSender<Queued<M>>,
}

impl<M: StateMachine> Clone for Group<M> {
    fn clone(&self) -> Group<M> {
        Group { shared: self.shared.clone(), queue: self.queue.clone() }
    }
}

struct Shared {
    options: GroupOptions,
    fate: Arc<Fate>,
    engine: Engine,
    checkpointer: Checkpointer,
    bytes: Arc<Semaphore>,
    leadership: watch::Receiver<Leadership>,
    applied: watch::Receiver<EntryId>,
    /// The proposer and the state machine, until they have ended.
    tasks: tokio::sync::Mutex<Option<Tasks>>,
}

impl Drop for Shared {
    /// Without a handle no one can propose or wait any more: an end, not a failure.
    fn drop(&mut self) {
        self.fate.close();
    }
}

struct Tasks {
    proposer: <Runtime as AsyncRuntime>::JoinHandle<()>,
    machine_ended: oneshot::Receiver<()>,
}

/// The outcome of a queued command, when it is there.
#[must_use = "the outcome comes only to who awaits it"]
#[derive(Debug)]
pub struct Proposal<T>(oneshot::Receiver<Result<Committed<T>, ProposeError>>);

impl<T> Future for Proposal<T> {
    type Output = Result<Committed<T>, ProposeError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // a command that is dropped without an answer may be in the log all the same
        Poll::Ready(ready!(Pin::new(&mut self.0).poll(context)).unwrap_or(Err(ProposeError::Unknown)))
    }
}

/// A command's share of the bytes in flight; given back when dropped.
#[derive(Debug)]
pub struct Room {
    size_bytes: usize,
    bytes: OwnedSemaphorePermit,
}

impl Room {
    /// How large a command may be that is placed in it.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    fn check(&self, command: &impl Command) -> Result<(), ProposeError> {
        let (size_bytes, limit_bytes) = (command.size_bytes(), self.size_bytes);
        if size_bytes > limit_bytes {
            return Err(ProposeError::TooLarge { size_bytes, limit_bytes });
        }
        Ok(())
    }
}

impl<M: StateMachine> Group<M> {
    /// Starts the group from its checkpoint and its log, in the tokio runtime that this is called in: its tasks stay on
    /// that runtime. With one voter it elects itself at once; [`Group::leader_ready`] tells when all is applied.
    ///
    /// `recovered` is what [`Wal::open`] found for the group, or the default for a new one; `machine` is empty.
    pub async fn start(
        options: GroupOptions,
        wal: Wal,
        recovered: RecoveredGroup,
        disk: Arc<dyn Disk>,
        machine: M,
    ) -> Result<Group<M>, StartError> {
        let group = options.group;
        let fate = Arc::new(Fate::new(group, options.on_fatal.clone()));
        let (recovery, machine) = restore(group, disk.clone(), recovered, machine).await?;
        let applier = Box::new(MachineApplier::new(machine, fate.clone()));
        let log = Arc::new(RaftLog::new(group, wal, recovery.log, recovery.vote, fate.clone()));
        let launched = launch(&options, log.clone(), recovery, applier).await?;
        let Launched { engine, leadership, applied, machine_ended } = launched;

        let (queue, queued) = mpsc::unbounded_channel();
        let proposer = Proposer::<M>::new(queued, engine.clone(), fate.clone(), options.clone());
        let tasks = Tasks { proposer: Runtime::spawn(proposer.run()), machine_ended };
        let checkpointer = Checkpointer {
            group,
            disk,
            engine: engine.clone(),
            log,
            fate: fate.clone(),
            one: Arc::default(),
        };
        let bytes = Arc::new(Semaphore::new(options.bytes_in_flight_max));
        let tasks = tokio::sync::Mutex::new(Some(tasks));
        let shared = Shared { options, fate, engine, checkpointer, bytes, leadership, applied, tasks };
        Ok(Group { shared: Arc::new(shared), queue })
    }

    /// Queues a command; its place among the commands queued later is fixed when this returns. Waits only while too many
    /// bytes are in flight.
    pub async fn enqueue(&self, command: M::Command) -> Result<Proposal<M::Outcome>, ProposeError> {
        let room = self.room(command.size_bytes()).await?;
        self.place(room, command)
    }

    /// Waits until a command of this size may be placed, as long as too many bytes are in flight.
    pub async fn room(&self, size_bytes: usize) -> Result<Room, ProposeError> {
        let units = self.units(size_bytes)?;
        let bytes = self.shared.bytes.clone().acquire_many_owned(units).await;
        Ok(Room { size_bytes, bytes: bytes.map_err(|_| ProposeError::ShuttingDown)? })
    }

    /// Room for a command of this size, if there is any at once.
    pub fn room_now(&self, size_bytes: usize) -> Option<Room> {
        let units = self.units(size_bytes).ok()?;
        let bytes = self.shared.bytes.clone().try_acquire_many_owned(units).ok()?;
        Some(Room { size_bytes, bytes })
    }

    /// Queues a command that there is room for, without a wait; one that is larger than its room is refused.
    pub fn place(&self, room: Room, command: M::Command) -> Result<Proposal<M::Outcome>, ProposeError> {
        self.send(room, command, None)
    }

    /// The same with a rider: a command that goes into the same entry, right before the other, so that it costs no entry and
    /// no sync of its own. Nobody hears of its outcome.
    pub fn place_with_rider(
        &self,
        (room, command): (Room, M::Command),
        (riders_room, rider): (Room, M::Command),
    ) -> Result<Proposal<M::Outcome>, ProposeError> {
        riders_room.check(&rider)?;
        let mut both = room;
        both.bytes.merge(riders_room.bytes);
        self.send(both, command, Some(rider))
    }

    fn send(
        &self,
        room: Room,
        command: M::Command,
        rider: Option<M::Command>,
    ) -> Result<Proposal<M::Outcome>, ProposeError> {
        room.check(&command)?;
        let (waiter, proposal) = oneshot::channel();
        let queued = Queued { command, waiter, bytes: room.bytes, rider };
        self.queue.send(queued).map_err(|_| ProposeError::ShuttingDown)?;
        Ok(Proposal(proposal))
    }

    /// What a command of this size takes of the bytes in flight.
    fn units(&self, size_bytes: usize) -> Result<u32, ProposeError> {
        let options = &self.shared.options;
        if size_bytes > options.command_bytes_max {
            return Err(ProposeError::TooLarge { size_bytes, limit_bytes: options.command_bytes_max });
        }
        self.shared.fate.check_open()?;
        let bytes = (size_bytes + COMMAND_OVERHEAD_BYTES).min(options.bytes_in_flight_max);
        Ok(u32::try_from(bytes).unwrap_or(u32::MAX))
    }

    /// Proposes a command and waits until it is committed, durable and applied.
    pub async fn propose(&self, command: M::Command) -> Result<Committed<M::Outcome>, ProposeError> {
        self.enqueue(command).await?.await
    }

    /// Makes a checkpoint of what is applied now, while apply goes on, and purges the log through it. Gives the entry it
    /// goes through, or `None` if the newest one covers all that is applied.
    pub async fn checkpoint(&self) -> Result<Option<LogIndex>, CheckpointFailed> {
        self.shared.checkpointer.run().await
    }

    /// Whether this node leads the group.
    pub fn is_leader(&self) -> bool {
        self.shared.leadership.borrow().is_leader
    }

    /// Who leads the group, as far as is known.
    pub fn leader(&self) -> Option<NodeId> {
        self.shared.leadership.borrow().leader
    }

    /// The current term.
    pub fn term(&self) -> Term {
        self.shared.leadership.borrow().term
    }

    /// The last entry applied.
    pub fn applied(&self) -> LogIndex {
        self.shared.applied.borrow().index
    }

    /// Waits until this node leads the group and has applied all that was committed before; gives the term. Fails if the
    /// group ends before.
    pub async fn leader_ready(&self) -> Result<Term, ProposeError> {
        let (mut leadership, mut applied) = (self.shared.leadership.clone(), self.shared.applied.clone());
        let ready = async {
            loop {
                let leads = *leadership.wait_for(|now| now.is_leader).await.ok()?;
                // a leader's first entry of its own term stands behind all others (Raft §8)
                applied.wait_for(|at| at.term >= leads.term).await.ok()?;
                if leadership.borrow().is_leader && leadership.borrow().term == leads.term {
                    return Some(leads.term);
                }
            }
        };
        tokio::select! {
            () = self.shared.fate.reached(Phase::Closing) => Err(ProposeError::ShuttingDown),
            ready = ready => ready.ok_or(ProposeError::ShuttingDown),
        }
    }

    /// Ends the group: takes no new proposals, refuses those still queued, waits for those in flight, then for the state
    /// machine. When this returns nothing of the group runs any more, and every proposal has its answer.
    pub async fn shutdown(&self) {
        let shared = &self.shared;
        shared.fate.close();
        shared.bytes.close();
        let mut tasks = shared.tasks.lock().await;
        let Some(Tasks { proposer, machine_ended }) = tasks.take() else {
            return;
        };
        let _ = proposer.await; // a panic there has dropped, and so answered, what it held
        let _ = shared.engine.shutdown().await;
        let _ = machine_ended.await; // resolves by being dropped
        shared.fate.end();
    }
}

impl<M: StateMachine> std::fmt::Debug for Group<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group")
            .field("options", &self.shared.options)
            .field("fate", &self.shared.fate)
            .finish()
    }
}
