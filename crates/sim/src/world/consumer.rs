//! A consumer: one partition, a group of its own. It starts at the group's committed position, reads on from there, and
//! commits what it was given.

use std::sync::Arc;

use bytes::Bytes;
use tallymq_broker::{
    data::DataCommand,
    group::{
        GroupCommand, GroupId,
        durable::{CommitPosition, Fence},
    },
};
use tallymq_gateway::kafka::records::read_records;
use tallymq_model::{BatchHeader, LeaderEpoch, Offset, Timestamp};
use tallymq_storage::log::{PartitionLog, ReadError};

use super::{
    books,
    machine::Command,
    node::Node,
    scene::{Place, Scene, Waiting},
};
use crate::history::{Kind, Op};

/// Bytes of a batch's records after decompression, at most.
const RECORDS_BYTES_MAX: usize = 1 << 20;

/// One consumer.
pub(super) struct Consumer {
    at: usize,
    process: i64,
    group: String,
    place: Option<Place>,
    /// Where it reads on; None until it has started.
    position: Option<i64>,
    /// Rises with every start, as a rebalance would let it.
    generation: i32,
    /// The generation whose commit was acknowledged last, and where.
    acknowledged: Option<(i32, Place)>,
    /// The commit that it waits for, by number.
    committing: Option<u64>,
}

/// The records of whole batches from `from` on, and the offset behind them.
pub(super) fn read_values(
    log: &Arc<PartitionLog>,
    from: i64,
    bytes_max: usize,
) -> Result<(Vec<(i64, String)>, i64), ReadError> {
    let fetched = log.read(Offset(from), bytes_max, true)?;
    let mut bytes = Bytes::from(fetched.pieces.concat());
    let mut values = Vec::new();
    while !bytes.is_empty() {
        let header = BatchHeader::parse(&bytes).expect("a served batch was checked");
        let batch = bytes.split_to(header.size_bytes);
        for record in read_records(&header, &batch, RECORDS_BYTES_MAX).expect("as it was sent") {
            if record.offset.0 >= from {
                let value = String::from_utf8_lossy(&record.value.unwrap_or_default()).into_owned();
                values.push((record.offset.0, value));
            }
        }
    }
    Ok((values, fetched.next.0))
}

impl Consumer {
    pub(super) fn new(at: usize) -> Consumer {
        Consumer {
            at,
            process: 500 + at as i64,
            group: format!("group-{at}"),
            place: None,
            position: None,
            generation: 0,
            acknowledged: None,
            committing: None,
        }
    }

    /// Its connection is gone, and with it the answer that it waited for.
    pub(super) fn disconnected(&mut self) {
        self.position = None;
        self.committing = None;
    }

    fn leave(&mut self) {
        self.disconnected();
        self.place = None;
    }

    /// What it was told may not hold any more.
    pub(super) fn forget(&mut self) {
        self.leave();
        self.acknowledged = None;
    }

    /// Finds its committed position and starts there. An error says which promise is broken.
    fn start(&mut self, node: &Node, scene: &mut Scene) -> Result<(), String> {
        if scene.random.one_in(8) || self.place.as_ref().is_none_or(|place| scene.is_doomed(place.tp)) {
            self.place = scene.pick_place();
        }
        let Some(place) = &self.place else { return Ok(()) };
        let view = node.data(place.group);
        let Some(log) = view.log(place.tp) else {
            return Err(format!("partition {} is gone", place.tp));
        };
        let committed = node.position(&self.group, place);
        let promised = scene.promises.positions.get(&(self.group.clone(), place.tp)).copied();
        if committed.unwrap_or(-1) < promised.unwrap_or(-1) {
            return Err(format!(
                "{} committed {promised:?} in {} and finds {committed:?}",
                self.group, place.tp
            ));
        }
        let start = committed.unwrap_or(log.log_start().0);
        let (journal, group) = (&mut scene.journal, Some(&self.group[..]));
        journal.position(self.process, (Op::Assign, Kind::Invoke), place.spot(), start, group);
        journal.position(self.process, (Op::Assign, Kind::Ok), place.spot(), start, group);
        scene.delivered(place, (&self.group, self.process), start, start);
        self.position = Some(start);
        self.generation += 1;
        Ok(())
    }

    /// Reads on. An error is damage, or one of the disk.
    pub(super) fn poll(&mut self, node: &Node, scene: &mut Scene) -> Result<(), String> {
        if self.place.as_ref().is_some_and(|place| scene.is_doomed(place.tp)) {
            self.leave();
        }
        let Some(position) = self.position else { return self.start(node, scene) };
        let Some(place) = &self.place else { return Ok(()) };
        let Some(log) = node.data(place.group).log(place.tp) else {
            return Err(format!("partition {} is gone", place.tp));
        };
        let bytes_max = scene.random.below(6_000) as usize;
        match read_values(&log, position, bytes_max) {
            Ok((values, next)) => {
                if !values.is_empty() {
                    scene.journal.poll(self.process, place.spot(), &values, Some(&self.group));
                    scene.delivered(place, (&self.group, self.process), position, next);
                }
                self.position = Some(next.max(position));
                Ok(())
            }
            Err(ReadError::OffsetOutOfRange { log_start, .. }) if position < log_start.0 => {
                let group = Some(&self.group[..]);
                scene.journal.position(self.process, (Op::Seek, Kind::Ok), place.spot(), log_start.0, group);
                self.position = Some(log_start.0);
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Commits its position, unless it still waits for the last answer.
    pub(super) fn commit(&mut self, node: &Node, scene: &mut Scene) {
        let (Some(mut offset), Some(place), None) = (self.position, &self.place, self.committing) else {
            return;
        };
        if tallymq_model::planted("offset-committed-before-processing") {
            offset = node.data(place.group).log(place.tp).map_or(offset, |log| log.log_end().0);
        }
        let number = scene.number();
        self.committing = Some(number);
        let group = Some(&self.group[..]);
        scene.journal.position(self.process, (Op::Commit, Kind::Invoke), place.spot(), offset, group);
        let waiting = Waiting::Commit { consumer: self.at, number, offset };
        scene.flush_marks(place.group);
        let fence = Fence::Generation(self.generation);
        let command = commit_command(scene, (&self.group, self.process), fence, place, offset);
        scene.send(place.group, command, waiting);
    }

    /// A commit of an earlier generation arrives at last, to set the position back.
    pub(super) fn commit_late(&self, scene: &mut Scene) {
        let Some((generation, place)) = &self.acknowledged else { return };
        let fence = Fence::Generation(generation - 1);
        let command = commit_command(scene, (&self.group, self.process), fence, place, 0);
        scene.send(place.group, command, Waiting::StaleCommit { place: place.clone() });
    }

    /// Takes the answer to its commit.
    pub(super) fn committed(
        &mut self,
        scene: &mut Scene,
        (number, offset): (u64, i64),
        is_taken: bool,
    ) -> Result<(), String> {
        if self.committing.take_if(|waited| *waited == number).is_none() {
            return Ok(());
        }
        let Some(place) = &self.place else { return Ok(()) };
        let kind = if is_taken { Kind::Ok } else { Kind::Fail };
        if kind == Kind::Fail && !scene.is_doomed(place.tp) {
            return Err(format!("a commit in {} was refused", place.tp));
        }
        let group = Some(&self.group[..]);
        scene.journal.position(self.process, (Op::Commit, kind), place.spot(), offset, group);
        if kind == Kind::Ok {
            scene.position_promised(&self.group, place, offset);
            self.acknowledged = Some((self.generation, place.clone()));
        }
        Ok(())
    }
}

/// The commit of a position, as the coordinator's check fenced it.
pub(super) fn commit_command(
    scene: &Scene,
    (group, process): (&str, i64),
    fence: Fence,
    place: &Place,
    offset: i64,
) -> Command {
    let commit = CommitPosition {
        partition: place.tp,
        offset: Offset(offset),
        leader_epoch: LeaderEpoch(-1),
        metadata: "".into(),
        committed_at: Timestamp((scene.journal.now_ns / 1_000_000) as i64),
    };
    Command::Data(DataCommand::Group(GroupCommand::CommitPositions {
        group: GroupId::from(group),
        fence,
        positions: vec![commit],
        by: books::committer(process),
    }))
}
