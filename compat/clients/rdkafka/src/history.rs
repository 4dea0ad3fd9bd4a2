//! Writes one history file of JSON lines. May not interpret them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::{Arc, Mutex};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

use crate::Parameters;

/// Shared by the callbacks of a client.
#[derive(Clone)]
pub struct History {
    file: Arc<Mutex<BufWriter<File>>>,
    process: u32,
    topic: String,
}

impl History {
    pub fn create(parameters: &Parameters) -> std::io::Result<Self> {
        let file = BufWriter::with_capacity(1 << 20, File::create(&parameters.history)?);
        let topic = parameters.topic.clone();
        Ok(Self { file: Arc::new(Mutex::new(file)), process: parameters.process, topic })
    }

    /// `rest`: the line's further members, an object.
    pub fn log(&self, op: &str, kind: &str, rest: Value) {
        let now = clock_gettime(ClockId::Monotonic);
        let mut line = Map::new();
        line.insert("process".into(), json!(self.process));
        line.insert("time_ns".into(), json!(now.tv_sec * 1_000_000_000 + now.tv_nsec));
        line.insert("op".into(), json!(op));
        line.insert("type".into(), json!(kind));
        line.insert("topic".into(), json!(self.topic));
        if let Value::Object(members) = rest {
            line.extend(members);
        }
        let mut file = self.file.lock().expect("no holder panics");
        writeln!(file, "{}", Value::Object(line)).expect("the history can be written");
    }

    pub fn flush(&self) {
        self.file.lock().expect("no holder panics").flush().expect("the history can be written");
    }
}
