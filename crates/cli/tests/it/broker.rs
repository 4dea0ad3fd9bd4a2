//! The real binary as a broker on a port that the system chose, and as the commands that talk to it. Waits for output
//! lines, never for time.

use std::{
    io::{BufRead, BufReader, Lines, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio},
    sync::atomic::{AtomicU8, Ordering},
};

use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_tallymq");
/// What `--timeout` gets where a broker has to come back, however slow its disk is.
pub const PATIENT_S: &str = "600";
const SIGTERM: &str = "-TERM";
const SIGSTOP: &str = "-STOP";

/// The binary, with nothing of ours in its environment.
pub fn tallymq() -> Command {
    let mut command = Command::new(BINARY);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TALLYMQ_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
pub fn run(arguments: &[&str]) -> Output {
    tallymq().args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// The exit code.
pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// Standard output as text.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Standard error as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Each line of standard output as JSON.
pub fn json_lines(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A process whose output lines can be waited for; killed if it is dropped.
pub struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts the binary.
    pub fn start(arguments: &[&str]) -> Process {
        let mut command = tallymq();
        let command = command.args(arguments).stdin(Stdio::null());
        Process::of(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// A child whose standard output is a pipe.
    pub fn of(mut child: Child) -> Process {
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Process { child, lines }
    }

    /// Starts the binary with a standard input that is written later.
    pub fn start_with_input(arguments: &[&str]) -> (Process, ChildStdin) {
        let mut command = tallymq();
        let command = command.args(arguments).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (Process { child, lines }, stdin)
    }

    /// Waits for the end by itself.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// The next line; None at the end of the output.
    pub fn line(&mut self) -> Option<String> {
        self.lines.next().map(Result::unwrap)
    }

    /// The next line that begins with `start`, without that.
    pub fn line_after(&mut self, start: &str) -> String {
        loop {
            let line = self.line().expect("the process ended before it said what is waited for");
            if let Some(rest) = line.strip_prefix(start) {
                return rest.to_owned();
            }
        }
    }

    /// Asks it to end, and waits until it did.
    pub fn terminate(mut self) -> ExitStatus {
        let killed = Command::new("kill").args([SIGTERM, &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        self.child.wait().unwrap()
    }

    /// SIGSTOP: it is there, and does nothing.
    pub fn pause(&mut self) {
        let stopped = Command::new("kill").args([SIGSTOP, &self.child.id().to_string()]).status().unwrap();
        assert!(stopped.success());
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

/// A running broker.
pub struct Broker {
    process: Process,
    /// Where it listens.
    pub address: String,
    http: String,
}

impl Broker {
    /// On a port that the system chooses, of an address of its own: nobody takes it while it is killed and starts again.
    pub fn start(data_dir: &Path) -> Broker {
        static BEFORE: AtomicU8 = AtomicU8::new(0);
        Broker::start_on(data_dir, &format!("127.0.1.{}:0", BEFORE.fetch_add(1, Ordering::Relaxed)))
    }

    /// On this address.
    pub fn start_on(data_dir: &Path, address: &str) -> Broker {
        Broker::start_with(data_dir, address, &[])
    }

    /// On this address, with more flags.
    pub fn start_with(data_dir: &Path, address: &str, flags: &[&str]) -> Broker {
        let data_dir = data_dir.to_str().unwrap();
        let serve = ["serve", "--listen", address, "--http-listen", "127.0.0.1:0", "--data-dir", data_dir];
        let mut process = Process::start(&[&serve[..], flags].concat());
        let address = process.line_after("kafka listening on ");
        let http = process.line_after("http listening on ");
        process.line_after("ready");
        Broker { process, address, http }
    }

    /// One that has said these lines and is ready.
    pub fn of(process: Process, lines: &[String]) -> Broker {
        let after = |start| lines.iter().find_map(|line| line.strip_prefix(start)).unwrap().to_owned();
        Broker { address: after("kafka listening on "), http: after("http listening on "), process }
    }

    /// Runs a command against it.
    pub fn run(&self, arguments: &[&str]) -> Output {
        run(&[arguments, &["-b", &self.address]].concat())
    }

    /// Runs a command against it that must succeed.
    pub fn ok(&self, arguments: &[&str]) -> Output {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        output
    }

    /// Runs a command against its HTTP listener.
    pub fn books(&self, arguments: &[&str]) -> Output {
        run(&[arguments, &["--http", &self.http]].concat())
    }

    /// The metrics as text.
    pub fn metrics(&self) -> String {
        self.ask_http("GET", "/metrics")
    }

    /// What the HTTP listener answers, head and body.
    pub fn ask_http(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.http);
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// Runs a command with this standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = tallymq();
        command.args(arguments).args(["-b", &self.address]);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin: ChildStdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        output
    }

    /// Starts a command that goes on.
    pub fn follow(&self, arguments: &[&str]) -> Process {
        Process::start(&[arguments, &["-b", &self.address]].concat())
    }

    /// Starts a command that goes on at its HTTP listener.
    pub fn watch(&self, arguments: &[&str]) -> Process {
        Process::start(&[arguments, &["--http", &self.http]].concat())
    }

    /// SIGTERM; must end well.
    pub fn stop(self) {
        assert!(self.process.terminate().success());
    }

    /// kill -9; gives the address back.
    pub fn kill(self) -> String {
        self.process.kill();
        self.address
    }
}
