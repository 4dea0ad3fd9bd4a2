//! `tallymq dlq list`: how many letters, by topic, origin, group and cause.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tallymq_client::{Cluster, DeadLetter, DeadLetters};

use crate::{failure::Failure, output, time_text::rfc3339};

/// Kinds that are told apart of one topic; causes often have numbers in them.
const KINDS_MAX: usize = 1000;
/// Rows of one topic in the table.
const ROWS_MAX: usize = 20;
/// Characters of a cause in the table.
const CAUSE_CHARS: usize = 80;

/// What letters have in common: origin's topic, group, cause.
type Kind = (String, String, String);

#[derive(Clone, Copy, Default)]
struct Letters {
    count: u64,
    first_failed_at: Option<i64>,
    last_failed_at: Option<i64>,
}

/// The letters of one dead-letter topic.
#[derive(Default)]
struct Counted {
    all: Letters,
    kinds: BTreeMap<Kind, Letters>,
    others: u64, // of kinds beyond the bound
}

impl Letters {
    fn add(&mut self, letter: &DeadLetter) {
        self.count += 1;
        let Some(at) = letter.failed_at_ms() else { return };
        self.first_failed_at = Some(self.first_failed_at.map_or(at, |first| first.min(at)));
        self.last_failed_at = self.last_failed_at.max(Some(at));
    }

    fn put_into(self, object: &mut Value) {
        object["letters"] = json!(self.count);
        object["first_failed_at"] = json!(self.first_failed_at);
        object["last_failed_at"] = json!(self.last_failed_at);
    }
}

impl Counted {
    fn add(&mut self, letter: &DeadLetter) {
        self.all.add(letter);
        let group = letter.group().unwrap_or_default().to_owned();
        let kind = (letter.origin().topic, group, letter.cause().to_owned());
        if self.kinds.len() >= KINDS_MAX && !self.kinds.contains_key(&kind) {
            self.others += 1;
            return;
        }
        self.kinds.entry(kind).or_default().add(letter);
    }

    /// Most letters first.
    fn ranked(&self) -> Vec<(&Kind, Letters)> {
        let mut kinds: Vec<(&Kind, Letters)> =
            self.kinds.iter().map(|(kind, letters)| (kind, *letters)).collect();
        kinds.sort_by_key(|(_, letters)| std::cmp::Reverse(letters.count));
        kinds
    }
}

/// Counts and prints.
pub async fn run(cluster: Cluster, topics: Vec<String>, json: bool) -> Result<(), Failure> {
    let topics = match topics.is_empty() {
        true => DeadLetters::topics(cluster.clone()).await?,
        false => topics,
    };
    let bar = output::progress(None, "letters");
    let mut counted = Vec::with_capacity(topics.len());
    for topic in topics {
        let mut letters = Counted::default();
        let mut stream = DeadLetters::in_topic(cluster.clone(), topic.clone()).stream();
        while let Some(letter) = stream.next().await {
            letters.add(&letter?);
            bar.inc(1);
        }
        counted.push((topic, letters));
    }
    bar.finish_and_clear();
    if json {
        return Ok(output::print_json(&counted.iter().map(as_json).collect())?);
    }
    print(&counted)
}

fn as_json((topic, counted): &(String, Counted)) -> Value {
    let kinds = counted.ranked().into_iter().map(|((origin, group, cause), letters)| {
        let mut kind = json!({ "origin": origin, "group": group, "cause": cause });
        letters.put_into(&mut kind);
        kind
    });
    let kinds: Vec<Value> = kinds.collect();
    let mut shown = json!({ "topic": topic, "kinds": kinds, "letters_of_other_kinds": counted.others });
    counted.all.put_into(&mut shown);
    shown
}

fn print(counted: &[(String, Counted)]) -> Result<(), Failure> {
    if counted.is_empty() {
        return Ok(output::print_line("no dead-letter topics")?);
    }
    let mut table = output::table(&["topic", "letters", "origin", "group", "last failed", "cause"]);
    let time = |at: Option<i64>| at.map_or_else(|| "-".to_owned(), rfc3339);
    for (topic, counted) in counted {
        let ranked = counted.ranked();
        let shown: u64 = ranked.iter().take(ROWS_MAX).map(|(_, letters)| letters.count).sum();
        if ranked.is_empty() {
            table.add_row([topic.as_str(), "0", "-", "-", "-", "-"]);
        }
        for ((origin, group, cause), letters) in ranked.into_iter().take(ROWS_MAX) {
            let (count, last) = (letters.count.to_string(), time(letters.last_failed_at));
            table.add_row([topic.clone(), count, origin.clone(), group.clone(), last, shortened(cause)]);
        }
        let rest = counted.all.count - shown;
        if rest > 0 {
            let (rest, last) = (rest.to_string(), time(counted.all.last_failed_at));
            table.add_row([topic.clone(), rest, "-".into(), "-".into(), last, "others".into()]);
        }
    }
    Ok(output::print_table(&table)?)
}

/// One line of bounded length.
fn shortened(cause: &str) -> String {
    let mut chars = cause.chars().map(|char| if char.is_control() { ' ' } else { char });
    let mut text: String = chars.by_ref().take(CAUSE_CHARS).collect();
    if chars.next().is_some() {
        text.push('…');
    }
    text
}
