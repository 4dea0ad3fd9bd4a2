//! The lives of a world's node: it starts, things happen in an order that the seed chooses, it dies; at the end everything
//! is healed, everybody is answered, and all is read from the beginning.

use std::time::Duration;

use tallymq_model::RaftGroup;
use tallymq_storage::{
    disk::{Fault, FaultyDisk, MemoryDisk, Operation, Random},
    log::{LogOptions, PartitionOptions},
    wal::{Flush, Nanos, WalOptions},
};

use super::{
    Mode, Outcome, admin, books,
    consumer::{Consumer, read_values},
    damage::{self, Verdict},
    inspect,
    node::{Ended, Node, Setup, Votes, groups},
    producer::Producer,
    scene::Scene,
    team::{self, Team},
    unsettled,
};
use crate::history::{History, Kind, Op};

/// Steps after which a healed node must have answered everything.
const HEALING_STEPS: u32 = 20_000;
/// Copies of the disk that are damaged after each crash, and at the end.
const COPIES_PER_CRASH: u32 = 1;
const COPIES_AT_THE_END: u32 = 2;
/// Process of the readers of the end.
const LAST_READER: i64 = 900;

/// See the module.
pub(super) struct World {
    memory: MemoryDisk,
    disk: FaultyDisk,
    setup: Setup,
    votes: Votes,
    pub(super) scene: Scene,
    pub(super) producers: Vec<Producer>,
    pub(super) consumers: Vec<Consumer>,
    pub(super) team: Team,
    outcome: Outcome,
    /// No fault is planned, so that no error is excused.
    healthy: bool,
    /// Nothing is lost on the way to clients any more.
    pub(super) healing: bool,
}

fn setup(random: &mut Random, mode: Mode) -> Setup {
    let flush = match mode {
        Mode::Sync => Flush::Sync,
        Mode::Async => Flush::Async {
            interval: Duration::from_millis(5 + random.below(60)),
            bytes: 20_000 + random.below(400_000),
        },
    };
    Setup {
        wal: WalOptions {
            file_bytes: 32 << 10,
            bytes_max: [300 << 10, 2 << 20][random.below(2) as usize],
            group_bytes_max: 1_000 + random.below(20_000) as usize,
            spare_files: random.below(3) as usize,
            closing_delay: Duration::from_millis(random.below(30)),
            flush,
            ..WalOptions::default()
        },
        log: LogOptions {
            tail_cache_bytes_max: random.below(3) * 6_000,
            open_files_max: 1 + random.below(5) as usize,
            write_bytes_max: 1 + random.below(8_000) as usize,
            ..LogOptions::default()
        },
        partition: PartitionOptions {
            segment_bytes_max: [600, 4_000, 30_000][random.below(3) as usize],
            segment_ms_max: u64::MAX,
            index_interval_bytes: [1, 500, 8_000][random.below(3) as usize],
        },
    }
}

impl World {
    pub(super) fn new(seed: u64, mode: Mode) -> World {
        let mut random = Random::new(seed);
        let memory = MemoryDisk::new();
        let setup = setup(&mut random, mode);
        let idempotent = 1 + random.below(3) as usize;
        let producers =
            (0..idempotent + random.below(2) as usize).map(|at| Producer::new(at, at < idempotent));
        let producers = producers.collect();
        let consumers = (0..1 + random.below(3) as usize).map(Consumer::new).collect();
        // Under async a group may go back with what was not synced.
        let team = if mode == Mode::Sync { Team::new(&mut random) } else { Team::empty() };
        World {
            disk: FaultyDisk::over_memory(memory.clone()),
            memory,
            scene: Scene::new(random, setup.wal.flush),
            setup,
            votes: Votes::new(),
            producers,
            consumers,
            team,
            outcome: Outcome::default(),
            healthy: true,
            healing: false,
        }
    }

    pub(super) fn into_parts(self) -> (History, Outcome) {
        let mut outcome = Outcome { trace: self.scene.journal.trace, ..self.outcome };
        self.team.count(&mut outcome);
        outcome.refused_again = self.scene.refused_again;
        (self.scene.journal.history, outcome)
    }

    fn now(&mut self) -> Nanos {
        self.scene.journal.now_ns += 1 + self.scene.random.below(3_000_000);
        Nanos(self.scene.journal.now_ns)
    }

    /// Everything, from the first start to the last read. An error says which promise is broken.
    pub(super) fn live(&mut self) -> Result<(), String> {
        for _ in 0..2 + self.scene.random.below(3) {
            let Some(mut node) = self.start(true)? else { continue };
            self.plan_fault();
            let ended = self.happenings(&mut node).and_then(|()| self.stop(&mut node));
            self.ended(&node);
            if let Err(why) = ended
                && !self.is_excused(&why)
            {
                return Err(why);
            }
            drop(node);
            self.crash();
            if self.setup.wal.flush == Flush::Sync {
                self.damage(COPIES_PER_CRASH)?;
            }
        }
        let Some(mut node) = self.start(false)? else { return Err("no start on a healthy disk".to_owned()) };
        self.heal(&mut node)?;
        inspect::all(&node, &mut self.scene)?;
        books::check(&node, &mut self.outcome)?;
        self.read_all(&node)?;
        self.ended(&node);
        drop(node);
        self.damage(COPIES_AT_THE_END)
    }

    /// A life without faults, with a checkpoint of each group in the middle; the disk and how its log was set up.
    pub(super) fn live_in_peace(&mut self) -> Result<(MemoryDisk, WalOptions), String> {
        let mut node = self.start(false)?.ok_or("no start on a healthy disk")?;
        for round in 0..3 {
            self.happenings(&mut node)?;
            for group in groups().filter(|_| round < 2) {
                (0..4).try_for_each(|_| node.checkpoint(group))?;
            }
        }
        self.heal(&mut node)?;
        while node.write()? {}
        Ok((self.memory.clone(), self.setup.wal.clone()))
    }

    fn ended(&mut self, node: &Node) {
        self.outcome.checkpoints += node.checkpoints;
        self.outcome.replayed += node.replayed;
        self.scene.journal.note(self.disk.changes());
    }

    /// Whether the disk was told to fail so.
    fn is_excused(&self, why: &Ended) -> bool {
        let failing = ["os error 5)", "os error 28)", "as it was told to"];
        self.disk.is_off() || (!self.healthy && failing.iter().any(|text| why.contains(text)))
    }

    /// Starts the node, on a bad day dying over it.
    fn start(&mut self, bad_day: bool) -> Result<Option<Node>, String> {
        self.disk = FaultyDisk::over_memory(self.memory.clone());
        self.healthy = true;
        if bad_day && self.scene.random.one_in(5) {
            self.disk.power_off_at(1 + self.scene.random.below(60));
        }
        let now = self.now();
        let started = Node::start(&self.disk, &self.setup, &mut self.votes, now)
            .and_then(|node| self.take_stock(&node).map(|()| node))
            .and_then(|mut node| self.begin_books(&mut node).map(|()| node));
        match started {
            Ok(node) => {
                admin::set_up(&mut self.scene);
                self.producers.iter_mut().for_each(|producer| producer.send_again(&mut self.scene));
                admin::reconcile(&node, &mut self.scene)?;
                self.team.started(&node, &mut self.scene)?;
                Ok(Some(node))
            }
            Err(why) if self.is_excused(&why) => {
                self.crash();
                Ok(None)
            }
            Err(why) => Err(format!("no start after a crash: {why}")),
        }
    }

    /// A node has started: everything that was promised is there, but what the flush mode leaves to a power cut.
    fn take_stock(&mut self, node: &Node) -> Result<(), String> {
        if let Some(damage) = node.damaged.first() {
            return Err(format!("a crash damaged a checkpoint: {damage}"));
        }
        let lost = unsettled::missing(node, &self.scene, self.scene.unsettled.not_firm())?;
        if !lost.is_empty() {
            self.scene.has_lost = true;
            self.outcome.lost_unsynced += unsettled::give_up(&mut self.scene, &lost)?;
            self.consumers.iter_mut().for_each(Consumer::forget);
        }
        self.scene.unsettled.clear();
        team::check_recovered(node, &self.scene)?;
        books::check(node, &mut self.outcome)?;
        inspect::all(node, &mut self.scene)
    }

    /// Damages copies of the disk while nothing runs.
    fn damage(&mut self, copies: u32) -> Result<(), String> {
        for _ in 0..copies {
            let verdict = damage::probe(&self.memory, &self.setup, &self.votes, &mut self.scene)?;
            self.scene.journal.note(verdict.map_or(0, |verdict| verdict as u64 + 1));
            match verdict {
                None => {}
                Some(Verdict::Refused) => self.outcome.damage_refused += 1,
                Some(Verdict::Reported) => self.outcome.damage_reported += 1,
                Some(Verdict::LastGroup) => self.outcome.damage_last_group += 1,
                Some(Verdict::Harmless) => self.outcome.damage_harmless += 1,
            }
        }
        Ok(())
    }

    fn plan_fault(&mut self) {
        let random = &mut self.scene.random;
        let nth = 1 + random.below(60);
        self.healthy = false;
        match random.below(10) {
            0..=4 => self.disk.power_off_at(1 + random.below(500)),
            5 => self.disk.fail(Operation::Sync, nth, Fault::Eio),
            6 => self.disk.fail(Operation::SyncAll, 1 + nth % 4, Fault::Eio),
            7 => self.disk.fail(Operation::Write, nth, Fault::Enospc),
            8 => self.disk.fail(Operation::Create, 1 + nth % 12, Fault::Enospc),
            _ => self.healthy = true,
        }
    }

    /// The process is gone, and perhaps the power.
    fn crash(&mut self) {
        self.scene.outbox.clear();
        self.scene.waiting.clear();
        self.scene.lose_marks();
        self.consumers.iter_mut().for_each(Consumer::disconnected);
        self.team.disconnected();
        if self.scene.random.one_in(4) {
            self.outcome.kills += 1;
            return;
        }
        self.outcome.power_cuts += 1;
        let seed = self.scene.random.next_u64();
        self.memory = self.memory.power_cut(seed);
    }

    fn happenings(&mut self, node: &mut Node) -> Result<(), String> {
        for _ in 0..60 + self.scene.random.below(300) {
            self.now();
            self.happen(node)?;
        }
        Ok(())
    }

    /// Before anybody is served it is in the log that deliveries may be missing from the books.
    fn begin_books(&mut self, node: &mut Node) -> Result<(), String> {
        self.scene.begin_books();
        self.propose_and_commit(node)
    }

    /// Now and then a life ends in good order: nobody is given anything any more, and the books say so.
    fn stop(&mut self, node: &mut Node) -> Result<(), String> {
        if !self.scene.random.one_in(4) {
            return Ok(());
        }
        self.scene.end_books();
        self.outcome.stops += 1;
        self.propose_and_commit(node)
    }

    fn propose_and_commit(&mut self, node: &mut Node) -> Result<(), String> {
        self.propose(node);
        while !node.is_quiet() {
            self.commit(node)?;
        }
        Ok(())
    }

    /// One thing that happens. An error ends the process, or breaks a promise.
    fn happen(&mut self, node: &mut Node) -> Result<(), String> {
        let scene = &mut self.scene;
        self.team.pass(node, scene);
        if !self.team.is_empty() && scene.random.one_in(3) {
            return self.team.happen(node, scene);
        }
        let producer = scene.random.below(self.producers.len() as u64) as usize;
        let consumer = scene.random.below(self.consumers.len() as u64) as usize;
        match scene.random.below(100) {
            0..=29 => self.producers[producer].send(scene),
            30..=43 => self.propose(node),
            44..=63 => return self.commit(node),
            64..=71 => drop(node.write()?),
            72..=73 => books::happen(node, scene),
            74..=82 => self.consumers[consumer].poll(node, scene)?,
            83..=85 => self.consumers[consumer].commit(node, scene),
            86 if scene.random.one_in(3) => self.consumers[consumer].commit_late(scene),
            87..=93 => {
                let group = RaftGroup(scene.random.below(groups().count() as u64) as u32);
                node.checkpoint(group)?;
            }
            94 => admin::trim(node, scene),
            95 if scene.random.one_in(3) => admin::allocate_ids(scene),
            95 => admin::create_topic(scene),
            96 if scene.random.one_in(6) => admin::delete_topic(scene),
            96 if scene.random.one_in(4) => node.sweep()?,
            97 => self.producers[producer].send_again(scene),
            98 if scene.random.one_in(4) => self.producers[producer].begin_again(scene),
            99 => self.producers[producer].arrive_late(scene),
            _ => admin::reconcile(node, scene)?,
        }
        Ok(())
    }

    /// Everything on its way becomes one entry for each group.
    fn propose(&mut self, node: &mut Node) {
        for (group, commands) in std::mem::take(&mut self.scene.outbox) {
            node.propose(group, commands);
        }
    }

    fn commit(&mut self, node: &mut Node) -> Result<(), String> {
        let now = self.now();
        let (committed, ended) = node.commit(now);
        if committed.payload_bytes > 0 {
            self.scene.unsettled.begin(now, committed.payload_bytes);
        }
        for one in committed.applied {
            self.answer(one, node)?;
        }
        self.team.remember(node, &mut self.scene)?;
        if ended.is_ok() {
            self.scene.unsettled.settle(now, committed.always_synced);
        }
        ended
    }

    /// Goes on without new work until everybody is answered.
    fn heal(&mut self, node: &mut Node) -> Result<(), String> {
        self.healing = true;
        self.producers.iter_mut().for_each(|producer| producer.send_again(&mut self.scene));
        for _ in 0..HEALING_STEPS {
            self.propose(node);
            self.commit(node)?;
            self.team.pass(node, &mut self.scene);
            let all_work = self.team.settle(node, &mut self.scene)?;
            let done = self.producers.iter().all(Producer::is_done) && self.scene.waiting.is_empty();
            if done && all_work && node.is_quiet() {
                return Ok(());
            }
        }
        let (unanswered, team) = (self.scene.waiting.len(), self.team.state());
        Err(format!("not live again after healing, {unanswered} unanswered, {team}"))
    }

    /// New clients read everything from the beginning.
    fn read_all(&mut self, node: &Node) -> Result<(), String> {
        self.scene.journal.last_phase();
        for (place, process) in admin::standing(&self.scene).into_iter().zip(LAST_READER..) {
            let view = node.data(place.group);
            let log = view.log(place.tp).ok_or_else(|| format!("partition {} is gone", place.tp))?;
            let (start, end) = log.bounds();
            let journal = &mut self.scene.journal;
            journal.position(process, (Op::Assign, Kind::Ok), place.spot(), start.0, None);
            let mut from = start.0;
            while from < end.0 {
                let (values, next) = read_values(&log, from, 8_000).map_err(|error| error.to_string())?;
                journal.poll(process, place.spot(), &values, None);
                from = next;
            }
        }
        Ok(())
    }
}
