//! `tallymq dlq purge`: how many letters would go, and with `--execute` removes them. All, and those below an offset, by deleting
//! their records; single ones by a note in the dead-letter topic, since a log has no other way.

use std::collections::BTreeSet;

use serde_json::json;
use tallymq_client::{DeadLetter, DeadLetters, Letters};

use super::filter::{Place, Wanted, check_missing};
use crate::{failure::Failure, output};

/// What goes.
pub enum What {
    /// Letters.
    Letters(Wanted),
    /// Everything below these places.
    Below(Vec<Place>),
}

/// Counts, and removes.
pub async fn run(letters: DeadLetters, what: What, execute: bool, json: bool) -> Result<(), Failure> {
    let mut named = BTreeSet::new();
    let count = |letter: &DeadLetter| {
        let place = (letter.position().partition, letter.position().offset);
        match &what {
            What::Below(places) => places.iter().any(|below| place.0 == below.0 && place.1 < below.1),
            What::Letters(wanted) => {
                if wanted.names(place) {
                    named.insert(place);
                }
                wanted.takes(letter)
            }
        }
    };
    let purged = match (&what, execute) {
        (What::Letters(wanted), true) if wanted.is_all() => letters.purge(Letters::All).await?,
        (What::Letters(_), true) => letters.purge_where(count).await?,
        (What::Below(places), true) => {
            let counted = counted(&letters, count).await?;
            for (partition, offset) in places {
                letters.delete_below(*partition, *offset).await?;
            }
            counted
        }
        (_, false) => counted(&letters, count).await?,
    };
    if json {
        let shown = json!({ "topic": letters.topic(), "executed": execute, "letters": purged });
        output::print_json(&shown)?;
    } else {
        let (verb, plural) =
            (if execute { "purged" } else { "would purge" }, if purged == 1 { "" } else { "s" });
        output::print_line(&format!("{verb} {purged} letter{plural} of {}", letters.topic()))?;
        if !execute {
            eprintln!("nothing was removed; --execute does it");
        }
    }
    match &what {
        What::Letters(wanted) => check_missing(letters.topic(), &wanted.missing(&named)),
        What::Below(_) => Ok(()),
    }
}

async fn counted(letters: &DeadLetters, mut count: impl FnMut(&DeadLetter) -> bool) -> Result<u64, Failure> {
    let mut stream = letters.stream();
    let mut counted = 0;
    while let Some(letter) = stream.next().await {
        counted += u64::from(count(&letter?));
    }
    Ok(counted)
}
