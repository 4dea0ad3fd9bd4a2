//! This test program again as a process of its own, to be killed: the test `a_process` runs it with a task in its
//! environment.

use std::{
    io::{Read, Write},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};

const TASK: &str = "TALLYMQ_TEST_TASK";

/// The task that this process was started for, if it was: its name and arguments.
pub fn task() -> Option<Vec<String>> {
    let task = std::env::var(TASK).ok()?;
    Some(task.split('\u{1f}').map(str::to_owned).collect())
}

/// Starts this program with a task.
pub fn start(task: &[&str]) -> Killable {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["a_process", "--exact", "--nocapture", "--test-threads", "1"]);
    command.env(TASK, task.join("\u{1f}")).stdin(Stdio::piped()).stdout(Stdio::piped());
    Killable(command.spawn().unwrap())
}

/// A child that does not outlive the test.
pub struct Killable(Child);

impl Killable {
    /// Waits until it has stopped itself, with `freeze`.
    pub fn wait_until_frozen(&self) {
        let pid = Pid::from_child(&self.0);
        let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED).unwrap().expect("a child");
        assert!(status.stopped(), "it ended instead: {status:?}");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        kill_process(Pid::from_child(&self.0), Signal::CONT).unwrap();
        self.0.stdin.as_ref().unwrap().write_all(b"!").unwrap();
    }

    /// Waits until it ends by itself; answers whether it was well.
    pub fn wait(&mut self) -> bool {
        let mut rest = self.0.stdout.take().unwrap();
        std::io::copy(&mut rest, &mut std::io::sink()).unwrap();
        self.0.wait().unwrap().success()
    }
}

impl Drop for Killable {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ends this process as kill -9 does.
pub fn die() -> ! {
    let _ = kill_process(getpid(), Signal::KILL);
    std::process::abort()
}

/// Stops this process where it is, until it is thawed. Another thread may take the signal, and this one would go on for a
/// moment, perhaps into a transaction: so it waits as well.
pub fn freeze() {
    kill_process(getpid(), Signal::STOP).unwrap();
    std::io::stdin().read_exact(&mut [0]).unwrap();
}
