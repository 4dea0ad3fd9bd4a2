//! `tallymq audit`: reads a topic of any Kafka-compatible cluster and names what is missing, stored twice or out of order, by
//! the sequence numbers in the records' headers.

mod print;
mod read;

use tallymq_gateway::kafka::records::Record;

use crate::{
    arguments::AuditArguments,
    audit::{Book, Bounds, Ledger, LookUp, label},
    client::Client,
    count_text::counted_are,
    failure::{Failure, Found},
    position::PositionSpec,
};

/// Reads the topic once, and once more the parts with repeats.
pub async fn run(arguments: AuditArguments, json: bool) -> Result<(), Failure> {
    let since = time("--since", arguments.since.as_deref())?;
    let until = time("--until", arguments.until.as_deref())?;
    let mut client = Client::connect(&arguments.connection).await?;
    let topic = client.topic_with_leaders(&arguments.topic, false).await?;
    let compacted = read::is_compacted(&mut client, &topic.name).await;
    let ranges = read::ranges(&mut client, &topic, since, until).await?;

    let mut book = Book::new(Bounds::default());
    for (partition, range) in &ranges {
        book.open(*partition, range.from, range.to);
    }
    let noted = |event: read::Event<'_>| match event {
        read::Event::Record(partition, record) => note(&mut book, partition, record),
        read::Event::Jump(partition) => book.jump(partition),
    };
    read::read(&mut client, &topic, &ranges, noted).await?;
    let again = read::up_to(&ranges, &book.to_look_up());
    let mut look_up = LookUp::new(&book);
    let noted = |event: read::Event<'_>| {
        if let read::Event::Record(partition, record) = event {
            look_up.note(partition, record.offset.0, label(&record.headers));
        }
    };
    read::read(&mut client, &topic, &again, noted).await?;
    look_up.finish(&mut book);

    let totals = Totals::of(&book);
    let report = print::Report { topic: &topic.name, compacted, book: &book, totals };
    if json {
        print::json(&report)?
    } else {
        print::tables(&report)?
    }
    verdict(&arguments.topic, &totals, compacted)
}

fn note(book: &mut Book, partition: i32, record: &Record) {
    book.note(partition, record.offset.0, label(&record.headers));
}

fn time(flag: &str, text: Option<&str>) -> Result<Option<i64>, Failure> {
    let Some(text) = text else {
        return Ok(None);
    };
    match text.parse() {
        Ok(PositionSpec::Time(ms)) => Ok(Some(ms)),
        _ => Err(Failure::Usage(format!(
            "{flag}: `{text}` is no time: use one like 2026-01-31T12:00:00Z, or @MILLISECONDS since 1970"
        ))),
    }
}

/// Sums over all partitions.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    records: u64,
    labelled: u64,
    unlabelled: u64,
    malformed: u64,
    unjudged: u64,
    missing: u64,
    repeated: u64,
    late: u64,
}

impl Totals {
    fn of(book: &Book) -> Totals {
        let mut totals = Totals::default();
        for partition in book.partitions.values() {
            let sum = |count: fn(&Ledger) -> u64| partition.producers.values().map(count).sum::<u64>();
            totals.records += partition.records;
            totals.unlabelled += partition.unlabelled;
            totals.malformed += partition.malformed;
            totals.unjudged += partition.unjudged + sum(|ledger| ledger.forgotten);
            totals.labelled += sum(|ledger| ledger.records);
            totals.missing += sum(Ledger::missing);
            totals.repeated += sum(|ledger| ledger.repeated);
            totals.late += sum(|ledger| ledger.late);
        }
        totals
    }
}

/// The exit code is that of the worst.
fn verdict(topic: &str, totals: &Totals, compacted: bool) -> Result<(), Failure> {
    let Totals { missing, repeated, late, .. } = *totals;
    let found = |found, text: String| Err(Failure::Found(found, format!("topic {topic}: {text}")));
    if missing > 0 && !compacted {
        return found(Found::Loss, format!("{} missing", counted_are(missing, "record")));
    }
    if repeated > 0 {
        return found(Found::Duplicate, format!("{} stored twice", counted_are(repeated, "record")));
    }
    if late > 0 {
        return found(Found::Advice, format!("{} out of order", counted_are(late, "record")));
    }
    if totals.records > 0 && totals.labelled == 0 {
        return Err(Failure::Failed(format!(
            "topic {topic}: no record has the headers tally-producer and tally-seq, so there is nothing to go by"
        )));
    }
    Ok(())
}
