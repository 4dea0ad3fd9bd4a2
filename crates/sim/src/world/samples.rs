//! What a world leaves behind when nothing goes wrong: a data directory and the commands in it, for fuzzers to begin with.

use bytes::{Buf, Bytes};
use tallymq_model::RaftGroup;
use tallymq_storage::{
    checkpoint,
    disk::{Disk, MemoryDisk},
    wal::{Wal, WalOptions},
};

use super::{Mode, life::World, node::groups};

/// A data directory, and what is in it.
pub struct Samples {
    /// All synced, the process gone.
    pub disk: MemoryDisk,
    /// How its WAL was set up.
    pub wal: WalOptions,
    /// Encoded commands, by group.
    pub commands: Vec<(RaftGroup, Bytes)>,
    /// The newest checkpoint's state, by group.
    pub states: Vec<(RaftGroup, Bytes)>,
}

/// Lives a seed without faults and keeps what it left.
///
/// # Panics
/// If the world breaks a promise, which its own tests are for.
pub fn samples(seed: u64) -> Samples {
    let mut world = World::new(seed, Mode::Sync);
    let (disk, wal) = world.live_in_peace().expect("a world without faults keeps its promises");
    disk.sync_all().expect("no fault is planned");
    let mut commands = Vec::new();
    let mut states = Vec::new();
    let (handle, _committer, _) =
        Wal::open(std::sync::Arc::new(disk.duplicate()), wal.clone()).expect("it was closed in order");
    for group in groups() {
        if let Ok(Some(loaded)) = checkpoint::load(&disk, group) {
            states.push((group, loaded.checkpoint.state.concat().into()));
        }
        let Some((first, Some((last, _)))) = handle.group(group).map(|state| (state.first, state.last))
        else {
            continue;
        };
        for entry in handle.read(group, first, last.next(), usize::MAX).unwrap_or_default() {
            let mut payload = entry.payload;
            for _ in 0..payload.try_get_u32().unwrap_or(0) {
                let length = payload.try_get_u32().unwrap_or(0) as usize;
                commands.push((group, payload.split_to(length.min(payload.len()))));
            }
        }
    }
    Samples { disk, wal, commands, states }
}
