//! Commands whose output nobody reads any more, as behind `| head -1`: they end quietly, and no message is lost by it.

use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
};

use crate::broker::{Broker, code, stderr, stdout, tallymq};

/// With a standard output that is closed at its other end.
fn unread(command: &mut Command) -> &mut Command {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdout(writer)
}

fn run_unread(arguments: &[&str], input: &str) -> Output {
    let mut command = tallymq();
    let command = unread(command.args(arguments)).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may stop reading.
    drop(stdin.write_all(input.as_bytes()));
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[test]
fn a_command_that_nobody_reads_ends_quietly() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "1"]);
    assert_eq!(code(&broker.run_with_input(&["produce", "t", "-q"], b"1\n2\n3\n")), 0);
    let at = ["-b", broker.address.as_str()];
    for arguments in [&["topic", "list"][..], &["consume", "t", "--json"], &["consume", "t", "-g", "g"]] {
        let output = run_unread(&[arguments, &at].concat(), "");
        assert_eq!((code(&output), stderr(&output).as_str()), (141, ""), "{arguments:?}");
    }
    for arguments in [&["serve", "--print-config"][..], &["completions", "bash"]] {
        let output = run_unread(arguments, "");
        assert_eq!((code(&output), stderr(&output).as_str()), (141, ""), "{arguments:?}");
    }
    assert_eq!(stdout(&broker.ok(&["consume", "t", "-g", "g"])), "1\n2\n3\n", "nothing was committed");
    broker.stop();
}

#[test]
fn a_producer_that_nobody_reads_says_what_it_did_not_send() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path());
    broker.ok(&["topic", "create", "t", "-p", "1"]);
    let produce = ["produce", "t", "-b", broker.address.as_str()];
    let all = run_unread(&produce, "only\n");
    assert_eq!((code(&all), stderr(&all).as_str()), (141, "1 record acknowledged\n"), "all was sent");

    // More than fits into what is sent at a time: some of it is unsent when the first line cannot be printed.
    let lines: String = (0..30_000).map(|line| format!("{line}\n")).collect();
    let some = run_unread(&produce, &lines);
    assert_eq!(code(&some), 1, "{}", stderr(&some));
    let stored = stdout(&broker.ok(&["consume", "t"])).lines().count() - 1;
    assert!((1..30_000).contains(&stored), "{stored}");
    let said = stderr(&some);
    assert!(said.contains(&format!("not sent: input {},", stored + 1)), "{stored}: {said}");
    broker.stop();
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_broker_that_nobody_reads_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    // A port that was free a moment ago, since nobody reads which one it got.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut command = tallymq();
    command
        .args(["serve", "--http-listen", "127.0.0.1:0", "--listen", &address, "--data-dir"])
        .arg(dir.path());
    let mut broker = Killed(unread(&mut command).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    while TcpStream::connect(&address).is_err() {
        assert!(broker.0.try_wait().unwrap().is_none(), "it ended");
        std::thread::yield_now();
    }
    let created = tallymq().args(["topic", "create", "t", "-p", "1", "-b", &address]).output().unwrap();
    assert_eq!(code(&created), 0, "{}", stderr(&created));
    assert!(broker.0.try_wait().unwrap().is_none(), "it ended");
}
