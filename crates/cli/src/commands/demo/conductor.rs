//! Carries the plan out: lets orders be written, strikes when it is time, and in the end waits until everything has
//! arrived. It never waits for time where it can wait for something to be there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use tallymq_client::Producer;
use tallymq_storage::disk::Random;
use tokio::task::JoinSet;

use super::{
    databases::{Orders, Packets, failed},
    order::{GROUP, Order, TOPIC},
    plan::{Action, Blow, Moment, Step},
    process::{Process, a_moment},
    progress::Progress,
    scene::{Scene, cluster},
    tally::Done,
    text::counted,
};
use crate::{arguments::Part, commands::account::report::Report, failure::Failure};

/// Nothing moves for so long: it does not come to an end.
const STALL: Duration = Duration::from_secs(300);
/// Between two looks at the broker's books.
const BOOKS_INTERVAL: Duration = Duration::from_millis(100);
/// Orders that may be written beyond the next step, so that there is work when it comes: one in so many.
const AHEAD_SHARE: u64 = 50;
/// Orders that are acknowledged before a broker is killed whose messages nobody has read.
const UNREAD: u64 = 5;

/// Everything that the plan is carried out with.
pub struct Conductor {
    pub scene: Scene,
    pub orders: Orders,
    pub packets: Packets,
    pub progress: Progress,
    pub done: Done,
    total: u64,
    without: Option<Part>,
    allowed: u64,
    producer: Producer,
    repeats: JoinSet<()>,
    repeated: Arc<AtomicU64>,
    random: Random,
}

/// How far everything is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look {
    orders: u64,
    pending: u64,
    packets: u64,
}

impl Conductor {
    /// Starts everybody.
    pub async fn start(
        mut scene: Scene,
        (orders, packets): (Orders, Packets),
        total: u64,
        without: Option<Part>,
        seed: u64,
    ) -> Result<Conductor, Failure> {
        let progress = Progress::start(total);
        scene.start_broker().await?;
        scene.create_topic().await?;
        scene.start_packet_service().await?;
        scene.start_order_service().await?;
        progress.event("the broker, the order service and the red-packet service are running");
        let producer =
            Producer::builder(cluster(&scene.bootstrap(), "demo")).start().await.map_err(failed)?;
        Ok(Conductor {
            scene,
            orders,
            packets,
            progress,
            done: Done::default(),
            total,
            without,
            allowed: 0,
            producer,
            repeats: JoinSet::new(),
            repeated: Arc::default(),
            random: Random::new(!seed),
        })
    }

    /// The plan, to its last step.
    pub async fn strike(&mut self, steps: &[Step]) -> Result<(), Failure> {
        for step in steps {
            self.allow(step.at + (self.total / AHEAD_SHARE).max(2)).await;
            self.until("orders", async |_, look| Ok(look.orders >= step.at)).await?;
            match step.action {
                Action::Blow(blow) => self.blow(blow, step.pause_ms).await?,
                Action::Cut => {
                    tokio::time::sleep(Duration::from_millis(step.pause_ms)).await;
                    let cut = self.scene.proxy.cut();
                    self.done.connections_cut += cut;
                    self.progress.event(&format!("cut {}", counted(cut, "connection")));
                }
                Action::Repeat(count) => self.repeat(count).await?,
            }
        }
        Ok(())
    }

    /// Lets everybody finish, and stops them. Answers the broker's books.
    pub async fn finish(&mut self) -> Result<Report, Failure> {
        self.allow(self.total).await;
        let total = self.total;
        self.until("the last order", async |_, look| Ok(look.orders >= total)).await?;
        say(&mut self.scene.order_service, "finish").await;
        self.until("the outbox", async |_, look| Ok(look.pending == 0)).await?;
        self.until("the order service's end", async |all, _| Ok(has_finished(&all.scene.order_service)))
            .await?;
        self.scene.order_service = None;
        while let Some(repeat) = self.repeats.join_next().await {
            repeat.map_err(failed)?;
        }
        self.done.repeated = self.repeated.load(Relaxed);
        self.progress.event("every order is written and sent; the red-packet service works off what is left");
        self.until("the red-packet service", async |all, _| {
            Ok(all.books().await?.of(GROUP, TOPIC).is_some_and(|account| {
                account.stored > 0 && account.class("pending") + account.class("in_flight") == 0
            }))
        })
        .await?;
        say(&mut self.scene.packet_service, "finish").await;
        self.until("the red-packet service's end", async |all, _| {
            Ok(has_finished(&all.scene.packet_service))
        })
        .await?;
        self.progress.end();
        self.report().await
    }

    /// Orders up to that number may be written.
    async fn allow(&mut self, number: u64) {
        self.allowed = self.allowed.max(number.min(self.total));
        let line = format!("write {}", self.allowed);
        say(&mut self.scene.order_service, &line).await;
    }

    async fn blow(&mut self, blow: Blow, pause_ms: u64) -> Result<(), Failure> {
        match blow {
            Blow::OrderService(moment) => {
                self.hold(moment, pause_ms, false).await?;
                let id = self.scene.kill_order_service().await?;
                self.done.order_service_kills += 1;
                self.struck("order service", id, moment);
                self.scene.start_order_service().await?;
                self.allow(self.allowed).await;
            }
            Blow::RedPacketService(moment) => {
                self.hold(moment, pause_ms, true).await?;
                if self.without == Some(Part::AckAfter) && moment == Moment::BeforeCommit {
                    self.until_acknowledged().await?;
                }
                self.kill_packet_service(moment).await?;
                self.scene.start_packet_service().await?;
            }
            Blow::Broker => {
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                self.kill_broker("").await?;
                self.start_broker().await?;
            }
            Blow::BrokerUnread => {
                self.kill_packet_service(Moment::Any).await?;
                let written = self.look().await?.orders;
                self.allow(self.allowed + UNREAD).await;
                let has_outbox = self.without != Some(Part::Outbox);
                self.until("messages that nobody has read", async |all, look| {
                    Ok(match has_outbox {
                        true => all.orders.is_sent_after(written).await?,
                        false => look.orders > written,
                    })
                })
                .await?;
                self.kill_broker(", which has messages that nobody has read").await?;
                self.start_broker().await?;
                self.scene.start_packet_service().await?;
            }
        }
        Ok(())
    }

    /// Waits until the service stands where it is to be killed.
    async fn hold(&mut self, moment: Moment, pause_ms: u64, packets: bool) -> Result<(), Failure> {
        if moment == Moment::Any {
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            return Ok(());
        }
        let line = format!("hold {}", moment.name());
        let service = if packets { &mut self.scene.packet_service } else { &mut self.scene.order_service };
        say(service, &line).await;
        // It may be past that moment with the last order that it may write.
        self.allow(self.allowed + 1).await;
        self.until(&line, async |all, _| {
            let service = if packets { &all.scene.packet_service } else { &all.scene.order_service };
            Ok(service.as_ref().is_some_and(|service| service.heard("holding").is_some()))
        })
        .await
    }

    /// Waits until the record that the red-packet service holds, and has not worked on, is acknowledged.
    async fn until_acknowledged(&mut self) -> Result<(), Failure> {
        let held = self.scene.packet_service.as_ref().and_then(|service| service.heard("holding "));
        let held = held.as_deref().and_then(|held| held.split_once(' '));
        let (partition, offset) = held
            .and_then(|(partition, offset)| {
                Some((partition.parse::<i32>().ok()?, offset.parse::<i64>().ok()?))
            })
            .ok_or_else(|| failed("the red-packet service does not say which record it holds"))?;
        self.until("the acknowledgement of what nobody has worked on", async |all, _| {
            let books = all.books().await?;
            let mut partitions = books.of(GROUP, TOPIC).into_iter().flat_map(|account| &account.partitions);
            Ok(partitions.any(|one| one.partition == partition && one.position > Some(offset)))
        })
        .await
    }

    async fn kill_packet_service(&mut self, moment: Moment) -> Result<(), Failure> {
        let id = self.scene.kill_packet_service().await?;
        self.done.packet_service_kills += 1;
        self.struck("red-packet service", id, moment);
        Ok(())
    }

    async fn kill_broker(&mut self, how: &str) -> Result<(), Failure> {
        let id = self.scene.kill_broker().await?;
        self.done.broker_kills += 1;
        self.progress.event(&format!("kill -9 {id}: the broker{how}"));
        Ok(())
    }

    async fn start_broker(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        self.scene.start_broker().await?;
        self.progress.event(&format!("the broker is back after {:.1} s", began.elapsed().as_secs_f64()));
        Ok(())
    }

    fn struck(&self, name: &str, id: u32, moment: Moment) {
        let when = match moment {
            Moment::Any => "",
            Moment::BeforeCommit => ", just before a commit",
            Moment::AfterCommit => ", just after a commit",
            Moment::AfterAck => ", just after the broker's acknowledgement",
        };
        self.progress.event(&format!("kill -9 {id}: the {name}{when}"));
    }

    /// Sends messages again whose red packets are made.
    async fn repeat(&mut self, count: u64) -> Result<(), Failure> {
        if self.packets.count().await? == 0 {
            // Without syncs all that was written may be gone.
            self.allow(self.allowed + 1).await;
        }
        self.until("red packets", async |_, look| Ok(look.packets > 0)).await?;
        let packets = self.packets.count().await?;
        for _ in 0..count {
            let at = self.random.below(packets);
            let order = Order::number(self.packets.order_of(at).await?);
            let (producer, repeated) = (self.producer.clone(), self.repeated.clone());
            self.repeats.spawn(async move {
                if producer.send(order.record()).await.is_ok() {
                    repeated.fetch_add(1, Relaxed);
                }
            });
        }
        self.progress.event(&format!("sent {} again", counted(count, "message")));
        Ok(())
    }

    /// Looks again and again until it is so. An error if a process ends by itself, or nothing moves any more.
    async fn until(
        &mut self,
        what: &str,
        is_so: impl AsyncFn(&Conductor, &Look) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let mut last = Look::default();
        let mut moved = Instant::now();
        loop {
            self.scene.check()?;
            let look = self.look().await?;
            self.progress.at(look.orders, look.packets);
            if is_so(self, &look).await? {
                return Ok(());
            }
            if look != last {
                (last, moved) = (look, Instant::now());
            } else if moved.elapsed() > STALL {
                let seconds = STALL.as_secs();
                return Err(failed(format!(
                    "nothing has moved for {seconds} s while waiting for {what}: {look:?}"
                )));
            }
            a_moment().await;
        }
    }

    async fn look(&self) -> Result<Look, Failure> {
        Ok(Look {
            orders: self.orders.count().await?,
            pending: self.orders.pending().await?,
            packets: self.packets.count().await?,
        })
    }

    /// The broker's books, after a while.
    async fn books(&self) -> Result<Report, Failure> {
        tokio::time::sleep(BOOKS_INTERVAL).await;
        self.report().await
    }

    async fn report(&self) -> Result<Report, Failure> {
        let http = self.scene.http().ok_or_else(|| failed("the broker is not running"))?;
        let answer: Value = http.get("/v1/account", &[]).await?;
        serde_json::from_value(answer).map_err(failed)
    }
}

async fn say(process: &mut Option<Process>, line: &str) {
    if let Some(process) = process {
        process.say(line).await;
    }
}

fn has_finished(process: &Option<Process>) -> bool {
    process.as_ref().is_some_and(|process| process.heard("finished").is_some())
}
