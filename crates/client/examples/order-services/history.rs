//! What a process saw, as events of the history that `tallymq-check` judges, a JSON line each. A line is in the file before
//! what follows from it is done, so that a kill -9 takes nothing away that was relied on.

use std::{
    fs::File,
    io::{self, Write},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use rustix::time::{ClockId, clock_gettime};

use crate::{Failure, arguments::Arguments};

/// The header that carries the name of one attempt to send: a record that a relay sends again has another.
pub const SEND_HEADER: &str = "proof-send";

/// Processes of one history have numbers this far apart: each handled record gets one of its own between them, because
/// handlers work side by side and have no position that could go back.
const PROCESS_STEP: i64 = 1 << 32;

/// The file of one process.
pub struct History {
    file: File,
    process: i64,
    topic: String,
    group: &'static str,
    next: AtomicU64,
}

/// How a send ended.
#[derive(Clone, Copy)]
pub enum SendEnd {
    /// Stored, and where. In a spool it has no place yet.
    Stored(Option<(i32, i64)>),
    /// Certainly not stored.
    Refused,
    /// Nobody can say.
    Unknown,
}

impl History {
    /// Appends to the file that the arguments name.
    pub fn open(arguments: &Arguments, group: &'static str) -> Result<History, Failure> {
        let file = File::options().append(true).create(true).open(arguments.text("history")?)?;
        let process = arguments.number::<i64>("process")? * PROCESS_STEP;
        let topic = arguments.text("topic")?.to_owned();
        Ok(History { file, process, topic, group, next: AtomicU64::new(0) })
    }

    /// A name that no other send of the run has.
    pub fn new_value(&self) -> String {
        format!("{}-{}", self.process / PROCESS_STEP, self.next.fetch_add(1, Relaxed))
    }

    /// A send begins. It is one of an idempotent producer, unless the producer may send again from its spool.
    pub fn sending(&self, value: &str, idempotent: bool) {
        let rest = format!("\"value\":\"{value}\"{}", self.producer(idempotent));
        self.write(self.process, "send", "invoke", &rest);
    }

    /// It ended.
    pub fn sent(&self, value: &str, idempotent: bool, end: SendEnd) {
        let mut rest = format!("\"value\":\"{value}\"{}", self.producer(idempotent));
        if let SendEnd::Stored(Some((partition, offset))) = end {
            rest += &format!(",\"partition\":{partition},\"offset\":{offset}");
        }
        let kind = match end {
            SendEnd::Stored(_) => "ok",
            SendEnd::Refused => "fail",
            SendEnd::Unknown => "unknown",
        };
        self.write(self.process, "send", kind, &rest);
    }

    /// A handler was given a record.
    pub fn handed(&self, partition: i32, offset: i64, value: &str) {
        let process = self.process + 1 + self.next.fetch_add(1, Relaxed) as i64;
        let group = self.group;
        let rest = format!(
            "\"group\":\"{group}\",\"partition\":{partition},\"offset\":{offset},\"value\":\"{value}\""
        );
        self.write(process, "poll", "ok", &rest);
    }

    /// From here on the whole topic is read once more.
    pub fn final_phase(&self) {
        self.write(self.process, "final", "ok", "\"value\":\"final\"");
    }

    /// A reader was given a record, in the partition's order.
    pub fn read(&self, partition: i32, offset: i64, value: &str) {
        let rest = format!("\"partition\":{partition},\"offset\":{offset},\"value\":\"{value}\"");
        self.write(self.process, "poll", "ok", &rest);
    }

    fn producer(&self, idempotent: bool) -> String {
        if idempotent { format!(",\"producer\":{}", self.process) } else { String::new() }
    }

    fn write(&self, process: i64, op: &str, kind: &str, rest: &str) {
        let (time_ns, topic) = (monotonic_ns(), &self.topic);
        let line = format!(
            "{{\"process\":{process},\"time_ns\":{time_ns},\"op\":\"{op}\",\"type\":\"{kind}\",\"topic\":\"{topic}\",{rest}}}\n"
        );
        let written: io::Result<()> = (&self.file).write_all(line.as_bytes());
        written.expect("the history can be written");
    }
}

/// The clock that all processes of a machine share.
fn monotonic_ns() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}
