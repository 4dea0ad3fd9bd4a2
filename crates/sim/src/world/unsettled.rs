//! What was acknowledged and may be lost all the same: under `flush = "async"` what is not synced yet, and to damage the
//! last commit group while nothing stands behind it. It believes no counter of the log: from what was acknowledged when it
//! says what the flush mode's words leave open, and asks a node that was started again what of that is gone.
//!
//! ```text
//!  step ─ step ─ step ─ step ─ step          one step of the committer each, with what it acknowledged
//!  '── firm ──' '─ may be lost to a cut ─'
//!                             '─ last ─'     may be lost to damage, if it was not closed
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tallymq_model::{RaftGroup, TopicId};
use tallymq_storage::wal::{Flush, Nanos};

use super::{
    node::Node,
    scene::{Place, Scene},
};
use crate::history::Kind;

/// Something that was acknowledged, and where it is seen whether it is there.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    /// A topic was created.
    Created { topic: TopicId },
    /// A partition was opened.
    Opened { place: Place },
    /// A batch was stored.
    Stored { place: Place, base: i64 },
    /// A position was committed over an earlier one; the event of the history says so.
    Position { place: Place, by: String, offset: i64, before: Option<i64>, event: usize },
}

/// What one step of the committer acknowledged.
struct Step {
    at: Nanos,
    /// Bytes of payload that it wrote, or more.
    bytes: u64,
    /// No power cut takes it.
    firm: bool,
    effects: Vec<Effect>,
}

/// See the module.
pub(super) struct Unsettled {
    flush: Flush,
    steps: VecDeque<Step>,
}

impl Unsettled {
    pub(super) fn new(flush: Flush) -> Unsettled {
        Unsettled { flush, steps: VecDeque::new() }
    }

    /// A step of the committer acknowledged what is noted from now on.
    pub(super) fn begin(&mut self, at: Nanos, bytes: u64) {
        self.steps.push_back(Step { at, bytes, firm: self.flush == Flush::Sync, effects: Vec::new() });
    }

    pub(super) fn note(&mut self, effect: Effect) {
        if let Some(step) = self.steps.back_mut() {
            step.effects.push(effect);
        }
    }

    /// A step at `now` succeeded; with `synced` it held something that is always synced. Of older steps the interval is
    /// over, or more bytes than may stay unsynced were written since.
    pub(super) fn settle(&mut self, now: Nanos, synced: bool) {
        if let Flush::Async { interval, bytes: bytes_max } = self.flush {
            let mut written = 0;
            for step in self.steps.iter_mut().rev() {
                written += step.bytes;
                step.firm |= synced || written >= bytes_max || step.at.plus(interval) <= now;
            }
        }
        while self.steps.len() > 1 && self.steps[0].firm {
            self.steps.pop_front();
        }
    }

    /// A node has started on what was there: from now on it stays.
    pub(super) fn clear(&mut self) {
        self.steps.clear();
    }

    /// Everything that a power cut may take, in order.
    pub(super) fn not_firm(&self) -> Vec<Effect> {
        self.steps.iter().filter(|step| !step.firm).flat_map(|step| step.effects.clone()).collect()
    }

    /// Everything that damage to the last commit group may take with it, in order: what that group acknowledged, and what
    /// nobody knows to be synced.
    pub(super) fn may_be_cut(&self) -> Vec<Effect> {
        let last = self.steps.len().saturating_sub(1);
        let steps = self.steps.iter().enumerate().filter(|(at, step)| !step.firm || *at == last);
        steps.flat_map(|(_, step)| step.effects.clone()).collect()
    }
}

impl Effect {
    /// Whether it is about a topic that may have been deleted since, and that the node does not have.
    fn is_deleted(&self, node: &Node, scene: &Scene) -> bool {
        match self {
            Effect::Created { topic } => scene.topics.get(topic).is_none_or(|topic| topic.doomed),
            Effect::Opened { place } | Effect::Stored { place, .. } | Effect::Position { place, .. } => {
                scene.is_doomed(place.tp) && node.data(place.group).state().partition(place.tp).is_none()
            }
        }
    }

    /// Whether a node has it.
    fn is_there(&self, node: &Node) -> bool {
        match self {
            Effect::Created { topic } => node.metadata().state().topics().by_id(*topic).is_some(),
            Effect::Opened { place } => node.data(place.group).state().partition(place.tp).is_some(),
            Effect::Stored { place, base, .. } => {
                let view = node.data(place.group);
                let state = view.state();
                state.partition(place.tp).is_some_and(|partition| partition.log_end().0 > *base)
            }
            Effect::Position { place, by, offset, .. } => {
                node.position(by, place).is_some_and(|found| found >= *offset)
            }
        }
    }

    /// The Raft group whose log it is in, where its absence says that all behind it is gone too.
    fn ordered_in(&self) -> Option<RaftGroup> {
        match self {
            Effect::Opened { place } | Effect::Stored { place, .. } => Some(place.group),
            Effect::Created { .. } | Effect::Position { .. } => None,
        }
    }
}

/// What of `effects` a node does not have. An error says that a log has a hole.
pub(super) fn missing(node: &Node, scene: &Scene, effects: Vec<Effect>) -> Result<Vec<Effect>, String> {
    let mut missing = Vec::new();
    let mut ended = BTreeSet::new();
    for effect in effects {
        if effect.is_deleted(node, scene) {
            continue;
        }
        let is_there = effect.is_there(node);
        if let Some(group) = effect.ordered_in() {
            if is_there && ended.contains(&group) {
                return Err(format!(
                    "group {}: {effect:?} is there, and something before it is not",
                    group.0
                ));
            }
            if !is_there {
                ended.insert(group);
            }
        }
        if !is_there {
            missing.push(effect);
        }
    }
    Ok(missing)
}

/// Takes back what was promised and is lost without a promise broken, as if the answers had never come. Gives the number
/// of batches that were acknowledged; an error says that more is gone with them.
pub(super) fn give_up(scene: &mut Scene, lost: &[Effect]) -> Result<u64, String> {
    let mut ends: BTreeMap<_, i64> = BTreeMap::new();
    let mut acknowledged = 0;
    for effect in lost.iter().rev() {
        match effect {
            Effect::Created { topic } => return Err(format!("topic {topic} was synced, and is gone")),
            Effect::Opened { place } => {
                if let Some(topic) = scene.topics.get_mut(&place.tp.topic) {
                    topic.places.retain(|one| one != place);
                }
                if scene.promises.acknowledged.get(&place.tp).is_some_and(|all| !all.is_empty()) {
                    return Err(format!("{} is gone, with batches that were synced", place.tp));
                }
            }
            Effect::Stored { place, base } => {
                let promised = scene.promises.acknowledged.entry(place.tp).or_default();
                acknowledged += u64::from(promised.remove(base).is_some());
                let end = ends.entry((place.topic.clone(), place.tp.partition.0)).or_insert(*base);
                *end = (*base).min(*end);
            }
            Effect::Position { place, by, before, event, .. } => {
                let key = (by.clone(), place.tp);
                match before {
                    Some(before) => drop(scene.promises.positions.insert(key, *before)),
                    None => drop(scene.promises.positions.remove(&key)),
                }
                scene.journal.history.events[*event].kind = Kind::Unknown;
            }
        }
    }
    scene.journal.take_back(&ends);
    // What fenced an old epoch may be among it.
    scene.promises.epochs = BTreeMap::new();
    Ok(acknowledged)
}
