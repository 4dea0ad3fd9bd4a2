//! Worker on rust-rdkafka. One argument, JSON; modes as in compat/README.md.
//! May not judge what it sees: it writes a history and the harness checks it.

mod admin;
mod consumer;
mod history;
mod producer;

use serde::Deserialize;

/// What the harness asks for; members that a mode does not need are absent.
#[derive(Clone, Debug, Deserialize)]
pub struct Parameters {
    pub mode: String,
    pub bootstrap: String,
    pub history: String,
    pub process: u32,
    pub topic: String,
    pub partitions: i32,
    #[serde(default)]
    pub count: u64,
    /// Records a second; 0 is as fast as it goes.
    #[serde(default)]
    pub rate: u64,
    #[serde(default)]
    pub size: usize,
    #[serde(default)]
    pub compression: String,
    #[serde(default)]
    pub group: String,
    #[serde(default)]
    pub protocol: String,
    #[serde(default)]
    pub session_ms: u32,
}

pub type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let argument = std::env::args().nth(1).ok_or("one argument: JSON")?;
    let parameters: Parameters = serde_json::from_str(&argument)?;
    match parameters.mode.as_str() {
        "admin" => admin::topic_admin(&parameters),
        "create" => admin::create(&parameters),
        "produce" => producer::run(&parameters),
        "consume" => consumer::read_to_end(&parameters),
        "group" => consumer::be_member(&parameters),
        other => Err(format!("unknown mode {other}").into()),
    }
}
