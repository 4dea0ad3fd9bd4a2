//! Histories as streams of JSON lines: reading, writing, merging. Judges nothing and skips nothing but the torn last
//! line that a killed client leaves.

use std::io::{self, BufRead, Read, Write};

use thiserror::Error;

use super::{Event, History};

/// Longest line that is read.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// Why a history cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The stream failed.
    #[error("line {line}: {source}")]
    Io {
        /// Counted from 1.
        line: usize,
        /// What the stream said.
        source: io::Error,
    },
    /// A line is not an event.
    #[error("line {line} is not an event: {source}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A line is longer than any event may be.
    #[error("line {line} has more than {LINE_BYTES_MAX} bytes")]
    TooLong {
        /// Counted from 1.
        line: usize,
    },
}

/// Reads a history. Empty lines are passed over. A last line without its line end that is not an event is the torn write
/// of a killed client: what it would have completed stays unknown.
pub fn read(mut stream: impl BufRead) -> Result<History, ReadError> {
    let mut history = History::default();
    let mut buffer = Vec::new();
    for line in 1.. {
        buffer.clear();
        let mut bounded = stream.by_ref().take(LINE_BYTES_MAX);
        let bytes =
            bounded.read_until(b'\n', &mut buffer).map_err(|source| ReadError::Io { line, source })?;
        if bytes == 0 {
            break;
        }
        let ended = buffer.last() == Some(&b'\n');
        if !ended && bytes as u64 == LINE_BYTES_MAX {
            return Err(ReadError::TooLong { line });
        }
        if buffer.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice(&buffer) {
            Ok(event) => history.events.push(event),
            Err(_) if !ended => break,
            Err(source) => return Err(ReadError::Malformed { line, source }),
        }
    }
    Ok(history)
}

/// Merges the histories of several recorders by time. The order inside of each is kept, even where its clock went back.
pub fn merge(histories: Vec<History>) -> History {
    let mut merged = History { events: Vec::with_capacity(histories.iter().map(|h| h.events.len()).sum()) };
    let mut heads: Vec<_> = histories.into_iter().map(|h| h.events.into_iter().peekable()).collect();
    loop {
        let mut first: Option<(i64, usize)> = None;
        for (number, head) in heads.iter_mut().enumerate() {
            if let Some(event) = head.peek()
                && first.is_none_or(|(time_ns, _)| event.time_ns < time_ns)
            {
                first = Some((event.time_ns, number));
            }
        }
        match first {
            Some((_, number)) => merged.events.extend(heads[number].next()),
            None => return merged,
        }
    }
}

/// Records a history as it happens: each event is one line, one `write_all`.
#[derive(Debug)]
pub struct Writer<W> {
    stream: W,
}

impl<W: Write> Writer<W> {
    /// Writes to `stream`; buffer it if that matters, and [`Writer::flush`] before the process may be killed.
    pub fn new(stream: W) -> Writer<W> {
        Writer { stream }
    }

    /// Appends one event.
    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.stream.write_all(&line)
    }

    /// Flushes the stream.
    pub fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }

    /// Gives the stream back.
    pub fn into_inner(self) -> W {
        self.stream
    }
}
