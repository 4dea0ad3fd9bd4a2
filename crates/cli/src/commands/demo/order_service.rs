//! The order service: an order and its message are one transaction, and the outbox's relay sends what was committed. A
//! process of its own, started by the demo and killed by it. Without the outbox it commits first and sends then.

use std::time::Duration;

use tallymq_client::{
    Cluster, Producer,
    outbox::{RelaySettings, Step},
};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{
    cluster,
    control::{Control, say},
    databases::{Orders, WRITE, failed},
    order::Order,
    plan::Moment,
};
use crate::{
    arguments::{Part, ServiceArguments},
    failure::Failure,
};

/// How long a relay that was killed keeps its lanes from the next one.
const LEASE: Duration = Duration::from_millis(1500);
const POLL: Duration = Duration::from_millis(20);
const CLOSE: Duration = Duration::from_secs(60);

/// Runs until the demo says that it is over.
pub async fn run(arguments: ServiceArguments) -> Result<(), Failure> {
    let mut control = Control::listen();
    let orders = Orders::open(&arguments.directory).await?;
    let cluster: Cluster = cluster(&arguments.bootstrap, "order-service");
    let producer = Producer::builder(cluster).start().await.map_err(failed)?;
    let has_outbox = arguments.without != Some(Part::Outbox);
    let relay = has_outbox.then(|| Relaying::start(&orders, &producer, &control));
    say(format_args!("ready"));
    let mut number = orders.count().await? + 1;
    while control.may_write(number).await {
        let order = Order::number(number);
        let mut tx = orders.pool.begin_with(WRITE).await?;
        Orders::insert(&mut tx, &order).await?;
        if has_outbox {
            orders.outbox.put(&mut tx, order.record()).await.map_err(failed)?;
        }
        control.pass(Moment::BeforeCommit).await;
        tx.commit().await?;
        control.pass(Moment::AfterCommit).await;
        if !has_outbox {
            send_plainly(&producer, &order, &control);
        }
        number += 1;
    }
    if let Some(relay) = relay {
        relay.finish(&orders).await?;
    }
    producer.close(CLOSE).await.map_err(failed)?;
    say(format_args!("finished"));
    Ok(())
}

/// What many programs do: hope that nothing happens between the commit and the acknowledgement.
fn send_plainly(producer: &Producer, order: &Order, control: &Control) {
    let (number, control) = (order.number, control.clone());
    producer.send_with(order.record(), move |outcome| {
        control.pass_blocking(Moment::AfterAck);
        if let Err(error) = outcome {
            tracing::error!(number, %error, "an order was not sent");
        }
    });
}

/// The relay at its work.
struct Relaying {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Relaying {
    fn start(orders: &Orders, producer: &Producer, control: &Control) -> Relaying {
        let settings = RelaySettings::default()
            .lanes_max(64)
            .lease(LEASE)
            .poll(POLL)
            .back_off_max(Duration::from_secs(1));
        let control = control.clone();
        let relay = orders.outbox.relay(producer.clone()).settings(settings).on_step(move |step| {
            if matches!(step, Step::Sent(_)) {
                control.pass_blocking(Moment::AfterAck);
            }
        });
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(relay.run(async { drop(stopped.await) }));
        Relaying { stop, task }
    }

    /// Waits until everything is sent.
    async fn finish(self, orders: &Orders) -> Result<(), Failure> {
        let mut looks = tokio::time::interval(POLL);
        while orders.pending().await? > 0 {
            looks.tick().await;
        }
        // It may have ended already.
        self.stop.send(()).ok();
        self.task.await.map_err(failed)
    }
}
