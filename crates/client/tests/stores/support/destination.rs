//! Destinations for relays: one in memory that fails as told, and one in a file that outlives the process.

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::{Arc, Mutex},
};

use tallymq_client::{
    Record, headers,
    outbox::{Destination, DestinationError},
};
use tokio::sync::Semaphore;

/// What arrived: the key, the value and the id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrived {
    pub key: String,
    pub value: String,
    pub id: String,
}

impl Arrived {
    pub fn of(record: &Record) -> Arrived {
        let text = |bytes: Option<&bytes::Bytes>| {
            bytes.map_or(String::new(), |bytes| String::from_utf8_lossy(bytes).into_owned())
        };
        let mut ids = record.headers().iter().filter(|header| header.name == headers::ID);
        let id = text(ids.next().and_then(|header| header.value.as_ref()));
        assert!(ids.next().is_none(), "two ids on {record:?}");
        Arrived { key: text(record.key_bytes()), value: text(record.value_bytes()), id }
    }
}

type Fate = Box<dyn Fn(&Record, usize) -> Result<(), DestinationError> + Send + Sync>;

/// Keeps what arrived. Cheap to clone.
#[derive(Clone)]
pub struct Memory {
    arrived: Arc<Mutex<Vec<Arrived>>>,
    fate: Arc<Fate>,
    /// Each send takes one; without limit by default.
    pub gate: Arc<Semaphore>,
}

impl Memory {
    pub fn new() -> Memory {
        Memory::failing(|_, _| Ok(()))
    }

    /// Asks for each record, with the number that arrived before, whether it is to be stored.
    pub fn failing(
        fate: impl Fn(&Record, usize) -> Result<(), DestinationError> + Send + Sync + 'static,
    ) -> Memory {
        let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        Memory { arrived: Arc::default(), fate: Arc::new(Box::new(fate)), gate }
    }

    /// Lets nothing through until permits are added to the gate.
    pub fn gated(mut self) -> Memory {
        self.gate = Arc::new(Semaphore::new(0));
        self
    }

    pub fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    pub fn values(&self) -> Vec<String> {
        self.arrived().into_iter().map(|arrived| arrived.value).collect()
    }
}

impl Destination for Memory {
    async fn send(&self, record: Record) -> Result<(), DestinationError> {
        self.gate.acquire().await.unwrap().forget();
        let mut arrived = self.arrived.lock().unwrap();
        (self.fate)(&record, arrived.len())?;
        arrived.push(Arrived::of(&record));
        Ok(())
    }
}

/// Appends a line per record to a file, which survives a kill -9 of this process.
pub struct Lines(Mutex<File>);

impl Lines {
    pub fn append_to(path: &Path) -> Lines {
        Lines(Mutex::new(File::options().append(true).create(true).open(path).unwrap()))
    }

    pub fn read(path: &Path) -> Vec<Arrived> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // What follows the last line's end was cut off by the kill, and nobody was told that it arrived.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let arrived = |line: &str| {
            let mut parts = line.split('\t').map(str::to_owned);
            let mut part = || parts.next().expect("three parts");
            Arrived { key: part(), value: part(), id: part() }
        };
        whole.lines().map(arrived).collect()
    }
}

impl Destination for Lines {
    async fn send(&self, record: Record) -> Result<(), DestinationError> {
        let Arrived { key, value, id } = Arrived::of(&record);
        self.0.lock().unwrap().write_all(format!("{key}\t{value}\t{id}\n").as_bytes()).unwrap();
        Ok(())
    }
}

/// That the first arrivals of each key are in the order of their values, which are numbers, from 0, without a hole;
/// answers how many there are.
pub fn check_order(arrived: &[Arrived]) -> usize {
    let mut next = std::collections::HashMap::<&str, u64>::new();
    let mut ids = std::collections::HashMap::<(&str, u64), &str>::new();
    for one in arrived {
        let number: u64 = one.value.parse().unwrap();
        let next = next.entry(&one.key).or_default();
        assert!(number <= *next, "{} of key {} came before {}", number, one.key, *next);
        *next = (*next).max(number + 1);
        let id = ids.entry((&one.key, number)).or_insert(&one.id);
        assert_eq!(*id, one.id, "a repetition with another id");
    }
    next.values().sum::<u64>() as usize
}
