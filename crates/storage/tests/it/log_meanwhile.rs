//! What happens to the log in the midst of something else: on a disk that lets a test in at the creation of a file, and
//! between a sweep and what it removes.

use std::{io, sync::Arc};

use parking_lot::Mutex;
use tallymq_model::{LeaderEpoch, LogIndex, Offset, RaftGroup};
use tallymq_storage::{
    disk::{DirEntry, Disk, File, MemoryDisk, OpenMode, Space},
    log::{LogOptions, LogPosition, LogStore, PartitionLog, PartitionOptions, SegmentWriter},
};

use crate::log_world::{Model, append, batch, small_log, small_segments, tp, write_all};

const GROUP: RaftGroup = RaftGroup(1);
const OTHER: RaftGroup = RaftGroup(2);

type Meanwhile = Box<dyn FnOnce() + Send>;

/// Notes what changes a directory and what syncs it.
#[derive(Clone)]
struct WatchedDisk {
    memory: MemoryDisk,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Done once, right before the file whose name ends so is created.
    meanwhile: Arc<Mutex<Option<(&'static str, Meanwhile)>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Created(String),
    DirSynced(String),
}

impl WatchedDisk {
    fn new() -> WatchedDisk {
        WatchedDisk { memory: MemoryDisk::new(), seen: Arc::default(), meanwhile: Arc::default() }
    }

    fn before_creating(&self, ending: &'static str, meanwhile: impl FnOnce() + Send + 'static) {
        *self.meanwhile.lock() = Some((ending, Box::new(meanwhile)));
    }

    /// Whether each file's directory was synced behind its creation.
    fn has_synced_what_it_created(&self) -> bool {
        let seen = self.seen.lock();
        seen.iter().enumerate().all(|(at, seen_then)| match seen_then {
            Seen::Created(path) => {
                let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
                seen[at..].contains(&Seen::DirSynced(dir.to_owned()))
            }
            Seen::DirSynced(_) => true,
        })
    }
}

impl Disk for WatchedDisk {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let meanwhile = self.meanwhile.lock().take_if(|(ending, _)| path.ends_with(*ending));
        if let Some((_, meanwhile)) = meanwhile {
            meanwhile();
        }
        if mode == OpenMode::Create {
            self.seen.lock().push(Seen::Created(path.to_owned()));
        }
        self.memory.open(path, mode)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.memory.create_dir(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        self.memory.list(path)
    }

    fn remove_file(&self, path: &str) -> io::Result<()> {
        self.memory.remove_file(path)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.memory.remove_dir(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.memory.rename(from, to)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.seen.lock().push(Seen::DirSynced(path.to_owned()));
        self.memory.sync_dir(path)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.memory.sync_all()
    }

    fn space(&self) -> io::Result<Space> {
        self.memory.space()
    }
}

fn fill(log: &Arc<PartitionLog>, model: &mut Model, batches: u64) {
    for number in 0..batches {
        append(log, model.push(batch(&[number as i64], 200, number), &[number as i64], LeaderEpoch(0)));
    }
}

fn checkpoint(store: &LogStore, writer: &mut SegmentWriter, group: RaftGroup, applied: u64) {
    let mark = store.begin_checkpoint(group);
    write_all(writer);
    store.finish_checkpoint(&mark).unwrap();
    store.checkpoint_durable(mark, LogIndex(applied));
    write_all(writer);
}

#[test]
fn a_file_that_is_created_during_another_groups_checkpoint_is_synced_by_its_own() {
    for ending in [".log", ".index"] {
        let disk = WatchedDisk::new();
        let (store, mut writer) = LogStore::new(Arc::new(disk.clone()), small_log());
        let options = PartitionOptions { index_interval_bytes: 1, ..small_segments() };
        let log = store.open(tp(0), GROUP, options, LogPosition::default());
        let others = store.begin_checkpoint(OTHER);
        write_all(&mut writer);
        let other_store = Arc::clone(&store);
        disk.before_creating(ending, move || drop(other_store.finish_checkpoint(&others).unwrap()));
        // Enough for a second segment, and with it for the first one's index.
        fill(&log, &mut Model::default(), 40);
        checkpoint(&store, &mut writer, GROUP, 1);
        assert!(disk.meanwhile.lock().is_none(), "the other checkpoint came in between");
        assert!(disk.has_synced_what_it_created(), "{ending}: {:?}", disk.seen.lock());
    }
}

#[test]
fn what_is_opened_after_a_sweep_took_it_for_left_over_stays() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let options = LogOptions { tail_cache_bytes_max: 0, ..small_log() };
    {
        let (store, mut writer) = LogStore::new(Arc::clone(&disk), options.clone());
        for number in [0, 1] {
            let log = store.open(tp(number), GROUP, small_segments(), LogPosition::default());
            fill(&log, &mut Model::default(), 20);
        }
        write_all(&mut writer);
    }
    let (store, mut writer) = LogStore::new(Arc::clone(&disk), options);
    assert_eq!(store.sweep(&[GROUP], |_| false).unwrap(), 2);
    let log = store.open(tp(0), GROUP, small_segments(), LogPosition::default());
    let mut model = Model::default();
    fill(&log, &mut model, 5);
    for applied in 1..=3 {
        checkpoint(&store, &mut writer, GROUP, applied);
    }
    model.check_whole(&log, 500);
    assert_eq!(log.log_end(), Offset(5));
    assert_eq!(tallymq_storage::log::scan::partitions(&*disk).unwrap(), [tp(0)], "the other one went");
}
