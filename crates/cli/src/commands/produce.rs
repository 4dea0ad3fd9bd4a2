//! `tallymq produce`: a record a line from standard input, or a record a file. What waits is sent together, and nothing
//! waits for more to come; each record's line is printed only once it is acknowledged.

use std::{
    collections::BTreeMap,
    io::{self, BufRead},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use indicatif::ProgressBar;
use serde_json::json;
use tallymq_gateway::kafka::records::{Compression, Header, Record};
use tallymq_model::{Offset, Timestamp};
use tokio::sync::mpsc;

use crate::{
    arguments::{Codec, ProduceArguments},
    client::{Batch, Client, ClientError, Outcome, Partitioner, Producer},
    count_text::counted,
    failure::Failure,
    output,
};

/// Inputs that may be read ahead.
const QUEUE_INPUTS: usize = 4096;
/// Records and bytes of one batch at most; below Kafka's default `message.max.bytes`.
const BATCH_RECORDS_MAX: usize = 10_000;
const BATCH_BYTES_MAX: usize = 900_000;

/// What is to become a record.
struct Input {
    /// Line number or file name, for messages.
    name: String,
    bytes: Bytes,
}

/// Batches being filled, with the names of their records.
#[derive(Default)]
struct Gathered {
    batches: BTreeMap<i32, (Batch, Vec<String>)>,
    bytes: usize,
    records: usize,
}

/// Sends everything.
pub async fn run(arguments: ProduceArguments, json: bool) -> Result<(), Failure> {
    let headers = headers(&arguments.headers)?;
    let mut client = Client::connect(&arguments.connection).await?;
    let producer = Producer::start(&mut client, &arguments.topic, compression(arguments.compression)).await?;
    let partitions = producer.topic().partitions.len() as i32;
    if arguments.partition.is_some_and(|fixed| !(0..partitions).contains(&fixed)) {
        return Err(Failure::Usage(format!(
            "topic {} has partitions 0 to {}",
            arguments.topic,
            partitions - 1
        )));
    }
    let mut run = Run {
        partitioner: Partitioner::new(partitions, arguments.partition),
        key_separator: arguments.key_separator.filter(|separator| !separator.is_empty()),
        headers,
        quiet: arguments.quiet,
        json,
        bar: output::progress(None, "records"),
        acknowledged: 0,
        is_unread: false,
        client,
        producer,
    };
    let (sender, inputs) = mpsc::channel(QUEUE_INPUTS);
    let files = arguments.files;
    let reader = std::thread::spawn(move || read(&files, &sender));
    let sent = run.send_all(inputs).await;
    run.bar.finish_and_clear();
    let summed_up = if json {
        output::print_json(&json!({ "acknowledged": run.acknowledged, "failed": sent.is_err() }))
    } else {
        output::note(&format!("{} acknowledged", counted(run.acknowledged, "record")));
        Ok(())
    };
    sent?;
    match reader.join() {
        Ok(read) => read?,
        Err(_) => return Err(Failure::Failed("the thread that reads the input panicked".to_owned())),
    }
    // Last: what was not sent weighs more than who reads about it.
    if run.is_unread {
        return Err(Failure::Unread);
    }
    Ok(summed_up?)
}

fn headers(texts: &[String]) -> Result<Vec<Header>, Failure> {
    let header = |text: &String| {
        let (name, value) = text.split_once('=')?;
        Some((name.to_owned(), Some(Bytes::from(value.to_owned()))))
    };
    let bad = |text: &String| Failure::Usage(format!("`{text}` is not NAME=VALUE"));
    texts.iter().map(|text| header(text).ok_or_else(|| bad(text))).collect()
}

fn compression(codec: Codec) -> Compression {
    match codec {
        Codec::None => Compression::None,
        Codec::Gzip => Compression::Gzip,
        Codec::Snappy => Compression::Snappy,
        Codec::Lz4 => Compression::Lz4,
        Codec::Zstd => Compression::Zstd,
    }
}

/// Reads the input until its end, or until nobody wants more of it.
fn read(files: &[PathBuf], sender: &mpsc::Sender<Input>) -> Result<(), Failure> {
    for path in files {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| Failure::Failed(format!("{name}: {error}")))?;
        if sender.blocking_send(Input { name, bytes: bytes.into() }).is_err() {
            return Ok(());
        }
    }
    if !files.is_empty() {
        return Ok(());
    }
    let mut input = io::stdin().lock();
    let mut number = 0_u64;
    loop {
        let mut line = Vec::new();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.ends_with(b"\n") {
            line.pop();
        }
        if line.ends_with(b"\r") {
            line.pop();
        }
        number += 1;
        if sender.blocking_send(Input { name: number.to_string(), bytes: line.into() }).is_err() {
            return Ok(());
        }
    }
}

struct Run {
    partitioner: Partitioner,
    key_separator: Option<String>,
    headers: Vec<Header>,
    quiet: bool,
    json: bool,
    bar: ProgressBar,
    acknowledged: u64,
    /// Nobody reads standard output any more.
    is_unread: bool,
    client: Client,
    producer: Producer,
}

impl Run {
    async fn send_all(&mut self, mut inputs: mpsc::Receiver<Input>) -> Result<(), Failure> {
        while let Some(first) = inputs.recv().await {
            if self.is_unread {
                // Whoever has to know what was acknowledged would not learn it of this one.
                let what = format!("not sent: input {}", first.name);
                return Err(Failure::Failed(format!(
                    "{what}, and what came after it: nobody reads what was acknowledged any more"
                )));
            }
            let mut gathered = Gathered::default();
            self.gather(first, &mut gathered);
            while gathered.records < BATCH_RECORDS_MAX && gathered.bytes < BATCH_BYTES_MAX {
                let Ok(next) = inputs.try_recv() else { break };
                self.gather(next, &mut gathered);
            }
            self.send(gathered).await?;
        }
        Ok(())
    }

    fn gather(&mut self, input: Input, gathered: &mut Gathered) {
        let (key, value) = self.split(input.bytes);
        let partition = self.partitioner.partition(key.as_deref());
        gathered.bytes += key.as_ref().map_or(0, Bytes::len) + value.len();
        gathered.records += 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        let record = Record {
            offset: Offset::ZERO,
            timestamp: Timestamp(now),
            key,
            value: Some(value),
            headers: self.headers.clone(),
        };
        let empty = || (Batch { partition, records: Vec::new() }, Vec::new());
        let (batch, names) = gathered.batches.entry(partition).or_insert_with(empty);
        batch.records.push(record);
        names.push(input.name);
    }

    fn split(&self, line: Bytes) -> (Option<Bytes>, Bytes) {
        let Some(separator) = &self.key_separator else {
            return (None, line);
        };
        match line.windows(separator.len()).position(|part| part == separator.as_bytes()) {
            Some(at) => (Some(line.slice(..at)), line.slice(at + separator.len()..)),
            None => (None, line),
        }
    }

    async fn send(&mut self, gathered: Gathered) -> Result<(), Failure> {
        let (batches, names): (Vec<_>, Vec<_>) = gathered.batches.into_values().unzip();
        let outcomes = self.producer.send(&mut self.client, &batches).await;
        let mut failed = None;
        for ((batch, names), outcome) in batches.iter().zip(names).zip(outcomes) {
            match outcome {
                Outcome::Acknowledged(offset) => self.acknowledge(batch, &names, offset)?,
                Outcome::Failed(error) => {
                    let what = format!("not acknowledged: input {}", ranges(&names));
                    output::note(&format!("tallymq: {what}: {error}"));
                    failed = Some(failure(what, &error));
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn acknowledge(&mut self, batch: &Batch, names: &[String], base_offset: i64) -> Result<(), Failure> {
        self.acknowledged += names.len() as u64;
        self.bar.inc(names.len() as u64);
        if self.quiet || self.is_unread {
            return Ok(());
        }
        let (topic, partition) = (&self.producer.topic().name, batch.partition);
        let mut lines = Vec::with_capacity(names.len());
        for (delta, name) in names.iter().enumerate() {
            // -1: a repeat of something stored long ago; where is not known.
            let offset = if base_offset < 0 { base_offset } else { base_offset + delta as i64 };
            lines.push(match self.json {
                true => json!({ "topic": topic, "partition": partition, "offset": offset, "input": name })
                    .to_string(),
                false => format!("{topic}-{partition}@{offset}"),
            });
        }
        match self.bar.suspend(|| output::print_line(&lines.join("\n"))) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.is_unread = true,
            printed => printed?,
        }
        Ok(())
    }
}

fn failure(what: String, error: &ClientError) -> Failure {
    let text = format!("{what}, and what came after it");
    match error {
        error if error.is_connectivity() => Failure::Failed(format!("{text}: no answer from the broker")),
        _ => Failure::Failed(text),
    }
}

/// `3-5, 9` for lines; names of files as they are.
fn ranges(names: &[String]) -> String {
    let mut shown: Vec<String> = Vec::new();
    let mut open: Option<(u64, u64)> = None;
    let close = |open: Option<(u64, u64)>, shown: &mut Vec<String>| match open {
        Some((from, to)) if from == to => shown.push(from.to_string()),
        Some((from, to)) => shown.push(format!("{from}-{to}")),
        None => {}
    };
    for name in names {
        match (name.parse::<u64>(), open) {
            (Ok(number), Some((from, to))) if number == to + 1 => open = Some((from, number)),
            (Ok(number), _) => {
                close(open.take(), &mut shown);
                open = Some((number, number));
            }
            (Err(_), _) => {
                close(open.take(), &mut shown);
                shown.push(Path::new(name).display().to_string());
            }
        }
    }
    close(open, &mut shown);
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_named_in_ranges() {
        let names = ["1", "2", "3", "5", "a.txt", "9"].map(str::to_owned);
        assert_eq!(ranges(&names), "1-3, 5, a.txt, 9");
    }

    #[test]
    fn headers_are_pairs() {
        let parsed = headers(&["a=b=c".to_owned()]).unwrap();
        assert_eq!(parsed, [("a".to_owned(), Some(Bytes::from_static(b"b=c")))]);
        assert!(headers(&["none".to_owned()]).is_err());
    }
}
