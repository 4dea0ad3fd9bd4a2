//! The metadata group's replica: its state is all there is, so a checkpoint is its encoding.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use parking_lot::{RwLock, RwLockReadGuard};
use tallymq_broker::{
    ApplyContext, DecodeError, Parts,
    metadata::{Metadata, MetadataCommand, MetadataOutcome},
};

/// The readers' side of the metadata group.
#[derive(Default)]
pub struct MetadataView {
    state: RwLock<Metadata>,
    version: AtomicU64,
}

impl MetadataView {
    /// The state. Apply waits for as long as the guard is held.
    pub fn state(&self) -> RwLockReadGuard<'_, Metadata> {
        self.state.read()
    }

    /// Rises with every command, so that what was derived from the state can be kept until then.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

/// The state machine of the metadata group.
#[derive(Default)]
pub struct MetadataReplica {
    view: Arc<MetadataView>,
}

impl MetadataReplica {
    /// A cluster without anything.
    pub fn new() -> MetadataReplica {
        MetadataReplica::default()
    }

    /// The readers' side.
    pub fn view(&self) -> Arc<MetadataView> {
        self.view.clone()
    }

    /// The next committed command.
    pub fn apply(&mut self, at: ApplyContext, command: &MetadataCommand) -> MetadataOutcome {
        let outcome = self.view.state.write().apply(at, command);
        self.view.version.fetch_add(1, Ordering::Release);
        outcome
    }

    /// The whole state, encoded.
    pub fn checkpoint(&self) -> Vec<Bytes> {
        let mut parts = Parts::new();
        self.view.state.read().encode(&mut parts);
        parts.into_parts()
    }

    /// Takes over a checkpoint's state, before any apply.
    pub fn restore(&mut self, mut state: Bytes) -> Result<(), DecodeError> {
        *self.view.state.write() = Metadata::decode(&mut state)?;
        self.view.version.fetch_add(1, Ordering::Release);
        Ok(())
    }
}
