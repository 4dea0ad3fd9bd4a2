//! The red-packet service: a red packet for each order, in one transaction with the id of the order's message, and only
//! then acknowledged. A process of its own, started by the demo and killed by it. Without the inbox the id is not
//! looked at; without the acknowledgement after the work, the handler puts the order aside and returns at once.

use std::{sync::Arc, time::Duration};

use sqlx::{Sqlite, Transaction};
use tallymq_client::{
    Consumer, HandlerError, Received, headers,
    inbox::{IdSource, MessageId, Once, WorkError},
    sequence::{Finding, SequenceCheck},
};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    cluster,
    control::{Control, say},
    databases::{Packets, WRITE, failed},
    order::{GROUP, Order, TOPIC},
    plan::Moment,
};
use crate::{
    arguments::{Part, ServiceArguments},
    failure::Failure,
};

const COMMIT_INTERVAL: Duration = Duration::from_millis(100);
const STOP: Duration = Duration::from_secs(60);

/// Runs until the demo says that it is over.
pub async fn run(arguments: ServiceArguments) -> Result<(), Failure> {
    let mut control = Control::listen();
    let work = Arc::new(Work {
        packets: Packets::open(&arguments.directory).await?,
        has_inbox: arguments.without != Some(Part::Inbox),
        control: control.clone(),
    });
    let aside = (arguments.without == Some(Part::AckAfter)).then(|| Aside::start(work.clone()));
    let queue = aside.as_ref().map(|aside| aside.queue.clone());
    let mut consumer = start(&arguments, &work, &queue).await?;
    say(format_args!("ready"));
    loop {
        let stopped = tokio::select! {
            () = control.finish() => break,
            stopped = consumer.ended() => stopped,
        };
        // As whoever watches over services would. After a power cut without syncs the broker may not know its member any more.
        tracing::warn!(
            failure = stopped.failure.unwrap_or_default(),
            "the consumer ended and is started again"
        );
        consumer = start(&arguments, &work, &queue).await?;
    }
    let stopped = consumer.stop(STOP).await;
    if let Some(aside) = aside {
        aside.finish().await?;
    }
    match stopped.failure {
        Some(failure) => Err(failed(failure)),
        None if stopped.abandoned > 0 => Err(failed(format!("{} handlers do not end", stopped.abandoned))),
        None => {
            say(format_args!("finished"));
            Ok(())
        }
    }
}

type Queue = mpsc::UnboundedSender<Option<Received>>;

async fn start(
    arguments: &ServiceArguments,
    work: &Arc<Work>,
    queue: &Option<Queue>,
) -> Result<Consumer, Failure> {
    // A static member: one that comes back after a kill need not wait for its predecessor's end.
    let cluster = cluster(&arguments.bootstrap, "red-packet-service")
        .set("group.instance.id", "red-packet-service")
        .set("session.timeout.ms", "10000");
    let consumer = Consumer::builder(cluster, GROUP)
        .topic(TOPIC)
        .commit_interval(COMMIT_INTERVAL)
        // Who acknowledges first has no handler that could give a receipt.
        .tell_account(arguments.without != Some(Part::AckAfter))
        .sequences(SequenceCheck::on().on_finding(|_, finding| tell(finding)));
    let (work, queue) = (work.clone(), queue.clone());
    let handler = move |record: Received| {
        let (work, queue) = (work.clone(), queue.clone());
        async move {
            match queue {
                // Acknowledged, and not done.
                Some(queue) => queue.send(Some(record)).map_err(HandlerError::from),
                None => work.once(&record).await,
            }
        }
    };
    consumer.start(handler).await.map_err(failed)
}

/// What the sequence check misses.
fn tell(finding: &Finding) {
    if let Finding::Gap { missing, .. } = finding {
        say(format_args!("missing {} {finding}", missing.end() - missing.start() + 1));
    }
}

struct Work {
    packets: Packets,
    has_inbox: bool,
    control: Control,
}

impl Work {
    /// Makes the order's red packet, unless it was made.
    async fn once(&self, record: &Received) -> Result<(), HandlerError> {
        let order: Order = serde_json::from_slice(record.value().map_or(&[][..], |value| value))?;
        let id = self.has_inbox.then(|| IdSource::Header(headers::ID.into()).id(record)).transpose()?;
        // A database that is busy is no reason for dead letters.
        let place = format!("{} {}", record.partition(), record.offset());
        self.pack(&order, id.as_ref(), place).await.map_err(HandlerError::not_now)
    }

    async fn pack(&self, order: &Order, id: Option<&MessageId>, place: String) -> Result<(), WorkError> {
        let mut tx = self.packets.pool.begin_with(WRITE).await?;
        let once = if let Some(id) = id {
            let work = async |tx: &mut Transaction<'_, Sqlite>| Ok(Packets::insert(tx, order).await?);
            self.packets.inbox.once(&mut tx, id, work).await?
        } else {
            Packets::insert(&mut tx, order).await?;
            Once::Done(())
        };
        if once == Once::Busy {
            return Err("another consumer works on it".into());
        }
        if once == Once::Done(()) {
            self.control.pass_with(Moment::BeforeCommit, place).await;
        }
        tx.commit().await?;
        self.control.pass(Moment::AfterCommit).await;
        Ok(())
    }
}

/// What many programs do: take the record, acknowledge it, and work on it when there is time.
struct Aside {
    /// None is the end.
    queue: Queue,
    task: JoinHandle<Result<(), HandlerError>>,
}

impl Aside {
    fn start(work: Arc<Work>) -> Aside {
        let (queue, mut records) = mpsc::unbounded_channel::<Option<Received>>();
        let task = tokio::spawn(async move {
            while let Some(Some(record)) = records.recv().await {
                work.once(&record).await?;
            }
            Ok(())
        });
        Aside { queue, task }
    }

    /// Works off what is there, once the consumer has stopped.
    async fn finish(self) -> Result<(), Failure> {
        drop(self.queue.send(None));
        let worked = self.task.await.map_err(failed)?;
        worked.map_err(|error| failed(error.cause()))
    }
}
