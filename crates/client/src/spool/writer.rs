//! The spool's thread: takes what is queued, writes it at once, syncs once, answers all. It ends with the last sender.

use std::{
    io,
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, Release},
        mpsc,
    },
    thread,
};

use tokio::sync::oneshot;

use super::{Gauges, SpoolError, journal::Journal, medium::Medium};
use crate::{record::Record, sequence::SequenceId};

/// One group is not larger than this, so that the first in it does not wait for long.
const GROUP_RECORDS_MAX: usize = 4096;

pub(super) type Reply<T> = oneshot::Sender<Result<T, SpoolError>>;

/// What the thread is asked for; answered in order.
#[derive(Debug)]
pub(super) enum Request {
    Append { record: Record, reply: Reply<()> },
    Arrange { reply: Reply<()> },
    Next { records_max: usize, bytes_max: usize, reply: Reply<Vec<(u64, Record)>> },
    Assign { assigned: Vec<(u64, i32, Option<SequenceId>)>, reply: Reply<()> },
    Settle { ids: Vec<u64>, reply: Reply<()> },
    Refuse { id: u64, reply: Reply<()> },
    Refused { reply: Reply<Vec<(u64, Record)>> },
    Discard { id: u64, reply: Reply<()> },
}

/// Starts the thread.
pub(super) fn start<M: Medium>(
    journal: Journal<M>,
    gauges: Arc<Gauges>,
) -> io::Result<(mpsc::Sender<Request>, thread::JoinHandle<()>)> {
    let (sender, requests) = mpsc::channel();
    let mut writer = Writer { journal, gauges };
    let thread = thread::Builder::new().name("tallymq-spool".into()).spawn(move || writer.run(&requests))?;
    Ok((sender, thread))
}

struct Writer<M> {
    journal: Journal<M>,
    gauges: Arc<Gauges>,
}

impl<M: Medium> Writer<M> {
    fn run(&mut self, requests: &mpsc::Receiver<Request>) {
        let (mut records, mut replies) = (Vec::new(), Vec::new());
        while let Ok(first) = requests.recv() {
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Append { record, reply } => {
                        records.push(record);
                        replies.push(reply);
                    }
                    other => {
                        self.append(&mut records, &mut replies);
                        self.serve(other);
                    }
                }
                next = if records.len() < GROUP_RECORDS_MAX { requests.try_recv().ok() } else { None };
            }
            self.append(&mut records, &mut replies);
            self.gauges.bytes.store(self.journal.bytes(), Relaxed);
        }
    }

    fn append(&mut self, records: &mut Vec<Record>, replies: &mut Vec<Reply<()>>) {
        if records.is_empty() {
            return;
        }
        let count = records.len() as u64;
        let bytes: u64 = records.iter().map(|record| record.size_bytes() as u64).sum();
        let result = self.journal.append(std::mem::take(records)).map_err(failed);
        self.gauges.bytes.store(self.journal.bytes(), Relaxed);
        self.gauges.queued_bytes.fetch_sub(bytes, Relaxed);
        match &result {
            Ok(()) => self.gauges.taken.fetch_add(count, Relaxed),
            Err(_) => self.gauges.waiting.fetch_sub(count, Relaxed),
        };
        for reply in replies.drain(..) {
            // Who asked may be gone; the record is kept all the same.
            let _ = reply.send(result.clone());
        }
    }

    fn serve(&mut self, request: Request) {
        // An answer that nobody waits for any more may be dropped: the journal has changed all the same.
        match request {
            Request::Append { .. } => unreachable!("appends are gathered before"),
            Request::Arrange { reply } => {
                self.journal.arrange();
                drop(reply.send(Ok(())));
            }
            Request::Next { records_max, bytes_max, reply } => {
                let result = self.journal.next(records_max, bytes_max).map_err(failed);
                self.note_damage();
                drop(reply.send(result));
            }
            Request::Assign { assigned, reply } => {
                drop(reply.send(self.journal.assign(assigned).map_err(failed)));
            }
            Request::Settle { ids, reply } => {
                let result = self.journal.settle(&ids).map_err(failed);
                // First: who sees that they wait no more has to see that they were sent.
                self.gauges.resent.fetch_add(ids.len() as u64, Relaxed);
                self.gauges.waiting.fetch_sub(ids.len() as u64, Release);
                self.gauges.bytes.store(self.journal.bytes(), Relaxed);
                self.note_damage();
                drop(reply.send(result));
            }
            Request::Refuse { id, reply } => {
                let result = self.journal.refuse(id).map_err(failed);
                self.gauges.refused.store(self.journal.refused_count(), Relaxed);
                self.gauges.waiting.fetch_sub(u64::from(matches!(result, Ok(true))), Release);
                self.note_damage();
                drop(reply.send(result.map(drop)));
            }
            Request::Refused { reply } => {
                let result = self.journal.refused().map_err(failed);
                self.note_damage();
                drop(reply.send(result));
            }
            Request::Discard { id, reply } => {
                let result = self.journal.discard(id).map_err(failed);
                self.gauges.refused.store(self.journal.refused_count(), Relaxed);
                self.gauges.bytes.store(self.journal.bytes(), Relaxed);
                self.note_damage();
                drop(reply.send(result));
            }
        }
    }

    /// Before the answer: who gets no record has to see that none waits.
    fn note_damage(&mut self) {
        let bytes = self.journal.damaged_bytes;
        if self.gauges.damaged_bytes.swap(bytes, Relaxed) != bytes {
            self.gauges.waiting.fetch_sub(self.journal.take_lost(), Relaxed);
            self.gauges.refused.store(self.journal.refused_count(), Relaxed);
        }
    }
}

fn failed(error: io::Error) -> SpoolError {
    SpoolError::Failed(Arc::new(error))
}
