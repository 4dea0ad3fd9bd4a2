//! Damage at rest: while the node is stopped a copy of its disk loses a bit or a block, and a node is started on the copy.
//! The damage is named with its file, or nothing needed it; what is served is what was sent, and nothing that was
//! acknowledged is missing without a word, but what the last commit group brought while nothing stands behind it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tallymq_model::{BatchHeader, Offset, TopicPartition};
use tallymq_storage::{
    disk::{FaultyDisk, MemoryDisk, Random},
    log::{PartitionLog, ReadError},
    wal::{Nanos, ScanItem, scan},
};

use super::{
    books,
    inspect::as_sent,
    node::{Node, Setup, Votes},
    scene::{Promises, Scene},
    team::check_recovered,
    unsettled::{Effect, missing},
};

const BLOCK_BYTES: usize = 4096;

/// What came of a damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The node does not start, and names the file.
    Refused,
    /// It starts, and names the file to whoever reads what is damaged.
    Reported,
    /// What the last group brought is cut off: it was not closed, so it looks like an interrupted write.
    LastGroup,
    /// Nothing is missing.
    Harmless,
}

/// The group that a damage may take for an interrupted write.
struct OpenEnd {
    file: String,
    /// Whether it acknowledged something, and nothing was written behind it.
    is_open: bool,
}

/// Damages a copy of a stopped node's disk, and looks at what comes of it. None if the damage changed nothing. An error says
/// what was served, or missing in silence.
pub(super) fn probe(
    disk: &MemoryDisk,
    setup: &Setup,
    votes: &Votes,
    scene: &mut Scene,
) -> Result<Option<Verdict>, String> {
    let Some(path) = pick(disk, setup, &mut scene.random) else { return Ok(None) };
    let damaged = disk.duplicate();
    let what = hit(&damaged, &path, &mut scene.random).map_err(|error| error.to_string())?;
    if damaged.bytes(&path).ok() == disk.bytes(&path).ok() {
        return Ok(None);
    }
    let end = open_end(disk, setup)?;
    let mut votes = votes.clone();
    let now = Nanos(scene.journal.now_ns);
    let verdict = match Node::start(&FaultyDisk::over_memory(damaged), setup, &mut votes, now) {
        Err(why) if why.contains(&path) => Ok(Verdict::Refused),
        Err(why) if end.is_open && path == end.file && why.contains("vote is lost") => Ok(Verdict::LastGroup),
        Err(why) => Err(format!("the file is not named: {why}")),
        Ok(node) => examine(&node, scene, &path, end.is_open && path == end.file),
    };
    verdict.map(Some).map_err(|why| format!("{what} of {path}: {why}"))
}

/// A file of one of the kinds, each as likely as the others.
fn pick(disk: &MemoryDisk, setup: &Setup, random: &mut Random) -> Option<String> {
    let mut kinds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for path in disk.paths() {
        let kind = match &path {
            path if path.starts_with(&setup.wal.directory) => "wal",
            path if path.contains("checkpoint") => "checkpoint",
            path if path.ends_with(".log") => "segment",
            _ => "other",
        };
        kinds.entry(kind).or_default().push(path);
    }
    let kind = random.below(kinds.len() as u64) as usize;
    let files = kinds.into_values().nth(kind)?;
    let at = random.below(files.len() as u64) as usize;
    files.into_iter().nth(at)
}

/// Damages a file somewhere up to its last byte that is not zero; says how.
fn hit(disk: &MemoryDisk, path: &str, random: &mut Random) -> std::io::Result<&'static str> {
    let bytes = disk.bytes(path)?;
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1) as u64;
    let blocks = bytes.len().div_ceil(BLOCK_BYTES) as u64;
    let block = random.below(used.div_ceil(BLOCK_BYTES as u64)) as usize;
    match random.below(7) {
        0..=2 => disk.flip_bit(path, random.below(used * 8)).map(|()| "a flipped bit"),
        3 | 4 => disk.zero_block(path, block).map(|()| "a zeroed block"),
        5 => disk.swap_blocks(path, block, random.below(blocks) as usize).map(|()| "two swapped blocks"),
        _ => disk.cut(path, random.below(used) as usize).map(|()| "a cut"),
    }
}

fn open_end(disk: &MemoryDisk, setup: &Setup) -> Result<OpenEnd, String> {
    let mut end = OpenEnd { file: String::new(), is_open: false };
    let mut look = |item: ScanItem<'_>| {
        if let ScanItem::Group { file, bare, .. } = item {
            end = OpenEnd { file: file.to_owned(), is_open: !bare };
        }
    };
    scan(disk, &setup.wal.directory, &mut look).map_err(|error| error.to_string())?;
    Ok(end)
}

/// Looks at a node that started all the same.
fn examine(node: &Node, scene: &Scene, path: &str, may_be_cut: bool) -> Result<Verdict, String> {
    let mut reported = false;
    for damage in node.damaged.iter().chain(&node.store.damages()) {
        reported = true;
        if damage.file != path {
            return Err(format!("another file is named: {damage}"));
        }
    }
    let lost = if may_be_cut { missing(node, scene, scene.unsettled.may_be_cut())? } else { Vec::new() };
    if !may_be_cut {
        check_recovered(node, scene)?;
    }
    check_topics(node, scene, &lost)?;
    check_positions(node, scene, &lost)?;
    let mut excused = BTreeSet::new();
    let mut unopened = BTreeSet::new();
    for effect in &lost {
        match effect {
            Effect::Stored { place, base, .. } => drop(excused.insert((place.tp, *base))),
            Effect::Opened { place } => drop(unopened.insert(place.tp)),
            Effect::Created { .. } | Effect::Position { .. } => {}
        }
    }
    for place in scene.topics.values().filter(|topic| !topic.doomed).flat_map(|topic| &topic.places) {
        let Some(log) = node.data(place.group).log(place.tp) else {
            if unopened.contains(&place.tp) {
                continue;
            }
            return Err(format!("partition {} is gone", place.tp));
        };
        reported |= read_acknowledged(&log, path, &scene.promises, &excused)?;
        reported |= read_on(&log, path, &scene.promises)?;
    }
    reported |= books::look(node, path)?;
    Ok(match (reported, lost.is_empty()) {
        (true, _) => Verdict::Reported,
        (false, false) => Verdict::LastGroup,
        (false, true) => Verdict::Harmless,
    })
}

fn check_topics(node: &Node, scene: &Scene, lost: &[Effect]) -> Result<(), String> {
    let view = node.metadata();
    let state = view.state();
    for (id, topic) in scene.topics.iter().filter(|(_, topic)| topic.created && !topic.doomed) {
        let is_excused = lost.iter().any(|one| matches!(one, Effect::Created { topic } if topic == id));
        if state.topics().by_id(*id).is_none() && !is_excused {
            return Err(format!("{} is lost", topic.name));
        }
    }
    Ok(())
}

fn check_positions(node: &Node, scene: &Scene, lost: &[Effect]) -> Result<(), String> {
    for ((group, tp), promised) in &scene.promises.positions {
        let Some(place) = scene.place_of(*tp).filter(|_| !scene.is_doomed(*tp)) else { continue };
        let is_excused = lost
            .iter()
            .any(|one| matches!(one, Effect::Position { place, by, .. } if by == group && place.tp == *tp));
        let found = node.position(group, place);
        if found < Some(*promised) && !is_excused {
            return Err(format!("{group} committed {promised} in {tp}, and finds {found:?}"));
        }
    }
    Ok(())
}

/// Reads each acknowledged batch where it was said to stand. True if one is reported to be damaged.
fn read_acknowledged(
    log: &PartitionLog,
    path: &str,
    promises: &Promises,
    excused: &BTreeSet<(TopicPartition, i64)>,
) -> Result<bool, String> {
    let tp = log.topic_partition();
    let start = log.log_start().0;
    if start > promises.trims.get(&tp).copied().unwrap_or(0) {
        return Err(format!("{tp} starts at {start}, and nobody asked for that"));
    }
    let mut reported = false;
    for (base, first) in promises.acknowledged.get(&tp).into_iter().flat_map(|all| all.range(start..)) {
        if excused.contains(&(tp, *base)) {
            continue;
        }
        match log.read(Offset(*base), 1, true) {
            Ok(fetched) => match check_batches(tp, fetched.pieces.concat().into(), promises)? {
                Some((at, found)) if at == *base && found == *first => {}
                found => return Err(format!("{tp}: {first} was acknowledged at {base}, not {found:?}")),
            },
            Err(ReadError::Corrupt(damage)) if damage.file == path => reported = true,
            Err(error) => return Err(format!("{tp}: {first} was acknowledged at {base}: {error}")),
        }
    }
    Ok(reported)
}

/// Reads from the beginning to the end, or to what is reported to be damaged.
fn read_on(log: &PartitionLog, path: &str, promises: &Promises) -> Result<bool, String> {
    let (mut from, end) = log.bounds();
    while from < end {
        match log.read(from, 20_000, true) {
            Ok(fetched) if fetched.next > from => {
                check_batches(log.topic_partition(), fetched.pieces.concat().into(), promises)?;
                from = fetched.next;
            }
            Ok(_) => return Err(format!("{}: nothing at {from} of {end}", log.topic_partition())),
            Err(ReadError::Corrupt(damage)) if damage.file == path => return Ok(true),
            Err(error) => return Err(format!("{}: {from} of {end}: {error}", log.topic_partition())),
        }
    }
    Ok(false)
}

/// Whether batches are as they were sent; gives base offset and first value of the first.
fn check_batches(
    tp: TopicPartition,
    mut bytes: Bytes,
    promises: &Promises,
) -> Result<Option<(i64, String)>, String> {
    let mut first = None;
    while !bytes.is_empty() {
        let header = BatchHeader::parse(&bytes).map_err(|error| format!("{tp}: {error}"))?;
        let batch = bytes.split_to(header.size_bytes);
        let (value, _) = as_sent(tp, &header, &batch, promises)?;
        first.get_or_insert((header.base_offset.0, value));
    }
    Ok(first)
}
