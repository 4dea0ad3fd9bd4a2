//! A child process whose lines can be waited for; killed with -9 if it is dropped.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

/// See the module.
pub struct Process {
    child: Child,
    input: Option<ChildStdin>, // None once it was ended
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts it with nothing of ours in its environment but `TALLYMQ_PLANTED`, and keeps its log to itself.
    pub fn start(command: &mut Command) -> Process {
        Process::start_loud(command.stderr(Stdio::null()))
    }

    /// The same, but what it says on standard error is seen.
    pub fn start_loud(command: &mut Command) -> Process {
        for (name, _) in std::env::vars() {
            if name.starts_with("TALLYMQ_") && name != "TALLYMQ_PLANTED" {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let input = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Process { child, input, lines }
    }

    /// Writes a line to its input.
    pub fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().expect("its input is open"), "{line}").unwrap();
    }

    /// The next line.
    pub fn line(&mut self) -> String {
        self.lines.next().expect("the process ended").unwrap()
    }

    /// The next line that begins with `start`, without that.
    pub fn line_after(&mut self, start: &str) -> String {
        loop {
            if let Some(rest) = self.line().strip_prefix(start) {
                return rest.to_owned();
            }
        }
    }

    /// Ctrl-C; and what it still says.
    pub fn interrupt(mut self) -> Vec<String> {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        self.last_lines()
    }

    /// Ends its input; and what it still says.
    pub fn end_input(mut self) -> Vec<String> {
        drop(self.input.take());
        self.last_lines()
    }

    /// Up to its end, which has to be a good one.
    pub fn last_lines(&mut self) -> Vec<String> {
        let lines = self.lines.by_ref().map(Result::unwrap).collect();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {lines:?}");
        lines
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
