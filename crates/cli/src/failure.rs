//! How a command ends when it does not succeed, and the exit code that says so. Scripts depend on these numbers.

use std::{fmt, io, process::ExitCode};

use crate::{client::ClientError, output};

/// What the exit codes mean; shown under `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed: the broker refused it, or not everything was acknowledged
  2  wrong usage
  3  no broker could be reached, or it did not answer in time
  4  verify found damage
  5  doctor or audit found what loses records, alarms list --fail found any
  6  doctor or audit found what doubles records
  7  doctor found only advice (with --fail-on advice), audit found only wrong order
  70  serve: a disk failed, or a part without which nothing can be acknowledged; start it again
  130  consume: a second Ctrl-C or SIGTERM ended it at once
  141  nobody reads standard output any more, as in `tallymq … | head`";

/// What a check found that ended as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// What loses records. Exit code 5.
    Loss,
    /// What doubles records, and nothing that loses them. Exit code 6.
    Duplicate,
    /// Neither. Exit code 7.
    Advice,
}

/// Why a command did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// The broker refused, or something else went wrong. Exit code 1.
    Failed(String),
    /// An argument that makes no sense. Exit code 2.
    Usage(String),
    /// No broker answered. Exit code 3.
    Unreachable(String),
    /// Verification found damage; what it is was printed. Exit code 4.
    Damaged(String),
    /// Nobody reads standard output any more. Exit code 141, as of what SIGPIPE ends, and as quiet.
    Unread,
    /// A check found something; what it is was printed. Exit codes 5 to 7.
    Found(Found, String),
}

impl Failure {
    /// The code that the process exits with.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Failed(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Unreachable(_) => 3,
            Failure::Damaged(_) => 4,
            Failure::Unread => 141,
            Failure::Found(Found::Loss, _) => 5,
            Failure::Found(Found::Duplicate, _) => 6,
            Failure::Found(Found::Advice, _) => 7,
        })
    }

    /// Says it on standard error. If nobody reads that either, the exit code has to do.
    pub fn print(&self) {
        if !matches!(self, Failure::Unread) {
            output::note(&format!("tallymq: {self}"));
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Failed(text)
            | Failure::Usage(text)
            | Failure::Unreachable(text)
            | Failure::Damaged(text)
            | Failure::Found(_, text) => f.write_str(text),
            Failure::Unread => f.write_str("nobody reads the output"),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        if error.is_connectivity() {
            Failure::Unreachable(error.to_string())
        } else {
            Failure::Failed(error.to_string())
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        // What talks to brokers has errors of its own, so this is standard output.
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::Unread,
            _ => Failure::Failed(error.to_string()),
        }
    }
}
