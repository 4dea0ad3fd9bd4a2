//! `tallymq dlq redrive`: which letters would go where, and with `--execute` sends them. What was sent is noted in the dead-letter
//! topic, so that a second redrive does not send it again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tallymq_client::{DeadLetter, DeadLetters};

use super::{
    counted,
    filter::{Place, Wanted, check_missing},
};
use crate::{failure::Failure, output};

/// What to do.
pub struct Redrive {
    /// Where they go; None for where each was first stored.
    pub to: Option<String>,
    /// Do it.
    pub execute: bool,
}

/// Counts, and sends.
pub async fn run(letters: DeadLetters, wanted: Wanted, redrive: &Redrive, json: bool) -> Result<(), Failure> {
    let bar = output::progress(None, "letters");
    let mut to: BTreeMap<String, u64> = BTreeMap::new();
    let mut named: BTreeSet<Place> = BTreeSet::new();
    let count = |letter: &DeadLetter| {
        if !wanted.takes_and_notes(letter, &mut named) {
            return false;
        }
        bar.inc(1);
        *to.entry(destination(redrive, letter)).or_default() += 1;
        true
    };
    let redriven = match redrive.execute {
        true => letters.redrive_where(count, redrive.to.as_deref()).await?,
        false => counted(&letters, count).await?,
    };
    bar.finish_and_clear();
    print(letters.topic(), redrive, (&to, redriven), json)?;
    check_missing(letters.topic(), &wanted.missing(&named))
}

/// A letter that does not say where it came from has nowhere to go to.
fn destination(redrive: &Redrive, letter: &DeadLetter) -> String {
    match &redrive.to {
        Some(topic) => topic.clone(),
        None if letter.origin() == *letter.position() => "(unknown: say --to)".to_owned(),
        None => letter.origin().topic,
    }
}

fn print(
    topic: &str,
    redrive: &Redrive,
    (to, letters): (&BTreeMap<String, u64>, u64),
    json: bool,
) -> Result<(), Failure> {
    if json {
        let shown = json!({ "topic": topic, "executed": redrive.execute, "letters": letters, "to": to });
        return Ok(output::print_json(&shown)?);
    }
    if letters == 0 {
        return Ok(output::print_line(&format!("nothing to send again: {topic} has no such letter"))?);
    }
    let mut table = output::table(&["from", "to", "letters"]);
    for (to, letters) in to {
        table.add_row([topic.to_owned(), to.clone(), letters.to_string()]);
    }
    output::print_table(&table)?;
    if !redrive.execute {
        output::note("nothing was sent; --execute does it");
    }
    Ok(())
}
