//! A node with its write-ahead log, and a state machine that remembers everything it was told.

use std::{io, sync::Arc, time::Duration};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use tallymq_consensus::{
    BuildState, Command, DecodeError, EntryId, Group, GroupEnded, GroupOptions, Parts, StartError,
    StateMachine,
};
use tallymq_model::{LogIndex, NodeId, RaftGroup, Term};
use tallymq_storage::{
    disk::Disk,
    wal::{self, CommitterThread, Recovered, Wal, WalOptions},
};

pub const GROUP: RaftGroup = RaftGroup(1);

/// A line that no book takes.
pub const PANIC: &str = "panic";

/// A line for the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line(pub Bytes);

pub fn line(text: impl Into<String>) -> Line {
    Line(Bytes::from(text.into()))
}

impl Command for Line {
    fn encode(&self, out: &mut Parts) {
        out.put_u8(0x4c);
        out.link(&self.0);
    }

    fn decode(bytes: &mut Bytes) -> Result<Line, DecodeError> {
        if bytes.try_get_u8() != Ok(0x4c) {
            return Err(DecodeError::new("not a line"));
        }
        Ok(Line(std::mem::take(bytes)))
    }

    fn size_bytes(&self) -> usize {
        1 + self.0.len()
    }
}

/// What a [`Ledger`] has been told.
#[derive(Default)]
pub struct Book {
    pub lines: Vec<(EntryId, Bytes)>,
    pub runs: usize,
    /// How many of the lines came with a checkpoint.
    pub restored: usize,
    pub durable: Vec<LogIndex>,
    /// Runs before the next checkpoint's state is built.
    pub before_build: Option<Box<dyn FnOnce() -> io::Result<()> + Send>>,
}

impl Book {
    pub fn texts(&self) -> Vec<String> {
        self.lines.iter().map(|(_, text)| String::from_utf8(text.to_vec()).unwrap()).collect()
    }
}

/// Writes lines into a book that the test can read; the outcome is the line's number, from 0.
#[derive(Clone, Default)]
pub struct Ledger(pub Arc<Mutex<Book>>);

impl StateMachine for Ledger {
    type Command = Line;
    type Outcome = usize;

    fn apply(&mut self, at: EntryId, command: Line) -> usize {
        assert!(command.0 != PANIC, "as it was told to");
        let mut book = self.0.lock();
        book.lines.push((at, command.0));
        book.lines.len() - 1
    }

    fn batch_applied(&mut self) {
        self.0.lock().runs += 1;
    }

    fn begin_checkpoint(&mut self) -> BuildState {
        let mut book = self.0.lock();
        let (lines, before) = (book.lines.clone(), book.before_build.take());
        Box::new(move || {
            before.map_or(Ok(()), |before| before())?;
            Ok(vec![encode(&lines)])
        })
    }

    fn checkpoint_durable(&mut self, through: LogIndex) {
        self.0.lock().durable.push(through);
    }

    fn restore(&mut self, mut state: Bytes) -> io::Result<()> {
        let mut book = self.0.lock();
        while state.has_remaining() {
            let at = EntryId { term: Term(state.get_u64()), index: LogIndex(state.get_u64()) };
            let length = state.get_u32() as usize;
            book.lines.push((at, state.split_to(length)));
        }
        book.restored = book.lines.len();
        Ok(())
    }
}

fn encode(lines: &[(EntryId, Bytes)]) -> Bytes {
    let mut out = BytesMut::new();
    for (at, text) in lines {
        out.put_u64(at.term.0);
        out.put_u64(at.index.0);
        out.put_u32(text.len() as u32);
        out.put_slice(text);
    }
    out.freeze()
}

/// A node: one write-ahead log over a disk.
pub struct Node {
    pub disk: Arc<dyn Disk>,
    pub wal: Wal,
    pub recovered: Recovered,
    pub ended: Arc<Mutex<Vec<GroupEnded>>>,
    committer: CommitterThread,
}

impl Node {
    pub fn open(disk: impl Disk) -> Node {
        Node::open_slow(disk, Duration::ZERO)
    }

    /// On a disk that takes `sync_delay` for each sync.
    pub fn open_slow(disk: impl Disk, sync_delay: Duration) -> Node {
        let disk: Arc<dyn Disk> = Arc::new(disk);
        let options = WalOptions {
            file_bytes: 2 << 20,
            bytes_max: 64 << 20,
            spare_files: 0, // a planted fault hits what the test does, not a file made ahead
            sync_delay,
            ..WalOptions::default()
        };
        let (wal, committer, recovered) = Wal::open(disk.clone(), options).unwrap();
        let committer = wal::spawn(committer, |_| ()).unwrap();
        Node { disk, wal, recovered, ended: Arc::default(), committer }
    }

    pub fn options(&self, group: RaftGroup) -> GroupOptions {
        let ended = self.ended.clone();
        GroupOptions::new(group, NodeId(1), move |end| ended.lock().push(end))
    }

    pub async fn try_start(&self, options: GroupOptions) -> Result<(Group<Ledger>, Ledger), StartError> {
        let recovered = self.recovered.groups.get(&options.group).cloned().unwrap_or_default();
        let ledger = Ledger::default();
        let group =
            Group::start(options, self.wal.clone(), recovered, self.disk.clone(), ledger.clone()).await?;
        Ok((group, ledger))
    }

    /// Starts a group and waits until it leads.
    pub async fn start(&self, group: RaftGroup) -> (Group<Ledger>, Ledger) {
        let (group, ledger) = self.try_start(self.options(group)).await.unwrap();
        group.leader_ready().await.unwrap();
        (group, ledger)
    }

    /// Ends the node as a clean shutdown does.
    pub fn stop(self) {
        self.committer.stop().unwrap();
    }
}
