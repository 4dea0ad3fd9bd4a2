//! How the demo leads a service, and what the service says: lines, one way and the other. A service that loses its demo
//! ends.
//!
//! | the demo says | |
//! |---|---|
//! | `write N` | orders up to the N-th may be written |
//! | `hold MOMENT` | stop there the next time, and say so: what follows is kill -9 |
//! | `finish` | end in order, once everything is done |
//!
//! | a service says | |
//! |---|---|
//! | `ready` | it works |
//! | `holding WHAT` | it has stopped where it should, with this in its hands: nothing, or a record's `PARTITION OFFSET` |
//! | `missing N TEXT` | its sequence check misses so many messages |
//! | `finished` | its last line |

use std::{
    fmt,
    io::{BufRead, Write},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::plan::Moment;

/// A service's end of it. Clones are one.
#[derive(Clone)]
pub struct Control {
    write: watch::Receiver<u64>,
    finish: watch::Receiver<bool>,
    hold: Arc<Mutex<Option<Moment>>>,
}

impl Control {
    /// Listens on standard input, on a thread of its own.
    pub fn listen() -> Control {
        let (may_write, write) = watch::channel(0);
        let (finishes, finish) = watch::channel(false);
        let hold = Arc::new(Mutex::new(None));
        let told = hold.clone();
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let Ok(line) = line else { break };
                match line.split_once(' ') {
                    Some(("write", number)) => drop(may_write.send_replace(number.parse().unwrap_or(0))),
                    Some(("hold", moment)) => *told.lock() = Moment::parse(moment),
                    _ => drop(finishes.send_replace(line == "finish")),
                }
            }
            // Without its demo it has nothing to do.
            std::process::exit(0);
        });
        Control { write, finish, hold }
    }

    /// Waits until that order may be written; false if it never will.
    pub async fn may_write(&mut self, number: u64) -> bool {
        loop {
            if *self.write.borrow_and_update() >= number {
                return true;
            }
            if *self.finish.borrow_and_update() {
                return false;
            }
            tokio::select! {
                _ = self.write.changed() => {}
                _ = self.finish.changed() => {}
            }
        }
    }

    /// Waits until the demo is over.
    pub async fn finish(&mut self) {
        drop(self.finish.wait_for(|finish| *finish).await);
    }

    /// Passes this moment; stops there for ever if the demo said so.
    pub async fn pass(&self, moment: Moment) {
        self.pass_with(moment, "").await;
    }

    /// The same, and says what it has in its hands.
    pub async fn pass_with(&self, moment: Moment, what: impl fmt::Display) {
        if self.is_held(moment) {
            say(format_args!("holding {what}"));
            std::future::pending::<()>().await;
        }
    }

    /// The same, where nothing can be awaited.
    pub fn pass_blocking(&self, moment: Moment) {
        if self.is_held(moment) {
            say(format_args!("holding"));
            loop {
                std::thread::park();
            }
        }
    }

    fn is_held(&self, moment: Moment) -> bool {
        let mut hold = self.hold.lock();
        let is_held = *hold == Some(moment);
        if is_held {
            *hold = None;
        }
        is_held
    }
}

/// Says a line to the demo. If nobody listens, the service is about to end.
pub fn say(line: fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}

impl Moment {
    /// Its name in a line.
    pub fn name(self) -> &'static str {
        match self {
            Moment::Any => "any",
            Moment::BeforeCommit => "before-commit",
            Moment::AfterCommit => "after-commit",
            Moment::AfterAck => "after-ack",
        }
    }

    fn parse(name: &str) -> Option<Moment> {
        [Moment::BeforeCommit, Moment::AfterCommit, Moment::AfterAck]
            .into_iter()
            .find(|moment| moment.name() == name)
    }
}
