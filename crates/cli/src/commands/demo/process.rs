//! One process of the demo: this very binary with other arguments. It can be led by lines, heard, killed, and ends with
//! the demo however that ends.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::failure::Failure;

/// Lines of a log that are shown when its process ends by itself.
const LOG_LINES: usize = 5;
const LOOK: Duration = Duration::from_millis(5);

/// A running process.
pub struct Process {
    name: &'static str,
    child: Child,
    input: ChildStdin,
    heard: Arc<Mutex<Vec<String>>>,
    log: PathBuf,
}

impl Process {
    /// Starts the binary with these arguments. Its standard error goes to a log, behind what is there.
    pub fn start(name: &'static str, arguments: &[String], logs: &Path) -> Result<Process, Failure> {
        let log = logs.join(format!("{}.log", name.replace(' ', "-")));
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log)?;
        let mut command = Command::new(std::env::current_exe()?);
        for (variable, _) in std::env::vars_os() {
            // Settings of another broker are not meant for this one.
            if variable.to_str().is_some_and(|name| name.starts_with("TALLYMQ_")) {
                command.env_remove(variable);
            }
        }
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file);
        // Ctrl-C is the demo's; it ends its processes itself.
        let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else {
            return Err(Failure::Failed(format!("the {name} has no pipes")));
        };
        let heard = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(hear(output, heard.clone()));
        Ok(Process { name, child, input, heard, log })
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// Says a line to it. If it is gone, [`Process::check`] will tell.
    pub async fn say(&mut self, line: &str) {
        drop(self.input.write_all(format!("{line}\n").as_bytes()).await);
    }

    /// The first of its lines that begins so, without that.
    pub fn heard(&self, start: &str) -> Option<String> {
        self.heard.lock().iter().find_map(|line| line.strip_prefix(start)).map(str::to_owned)
    }

    /// All its lines that begin so, without that.
    pub fn all_heard(&self, start: &str) -> Vec<String> {
        self.heard.lock().iter().filter_map(|line| line.strip_prefix(start)).map(str::to_owned).collect()
    }

    /// An error if it has ended by itself, without saying that it has finished.
    pub fn check(&mut self) -> Result<(), Failure> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) if status.success() && self.heard("finished").is_some() => Ok(()),
            Some(status) => {
                let name = self.name;
                Err(Failure::Failed(format!("the {name} ended by itself ({status}){}", self.last_words())))
            }
        }
    }

    /// kill -9. Answers what it had said.
    pub async fn kill(mut self) -> Result<Vec<String>, Failure> {
        self.check()?;
        self.child.start_kill()?;
        self.child.wait().await?;
        Ok(std::mem::take(&mut *self.heard.lock()))
    }

    /// Lets it end in order, for so long.
    pub async fn end(mut self, within: Duration) -> Result<(), Failure> {
        drop(self.input);
        match tokio::time::timeout(within, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(Failure::Failed(format!("the {} ended with {status}", self.name))),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Failure::Failed(format!("the {} does not end", self.name))),
        }
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].iter().map(|line| format!("\n  {line}")).collect()
    }
}

async fn hear(output: ChildStdout, heard: Arc<Mutex<Vec<String>>>) {
    let mut lines = BufReader::new(output).lines();
    loop {
        match lines.next_line().await {
            Ok(Some(line)) => heard.lock().push(line),
            Ok(None) => return,
            Err(error) if error.kind() == ErrorKind::InvalidData => {}
            Err(_) => return,
        }
    }
}

/// Waits a moment before the next look at something.
pub async fn a_moment() {
    tokio::time::sleep(LOOK).await;
}
