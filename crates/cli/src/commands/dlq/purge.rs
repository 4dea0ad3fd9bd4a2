//! `tallymq dlq purge`: how many letters would go, and with `--execute` removes them. All, and those below an offset, by deleting
//! their records; single ones by a note in the dead-letter topic, since a log has no other way.

use std::collections::BTreeSet;

use serde_json::json;
use tallymq_client::{DeadLetter, DeadLetters, Letters};

use super::{
    counted,
    filter::{Place, Wanted, check_missing, place_of},
};
use crate::{count_text, failure::Failure, output};

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
    let count = |letter: &DeadLetter| match &what {
        What::Below(places) => {
            let (partition, offset) = place_of(letter);
            places.iter().any(|below| partition == below.0 && offset < below.1)
        }
        What::Letters(wanted) => wanted.takes_and_notes(letter, &mut named),
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
        let verb = if execute { "purged" } else { "would purge" };
        let purged = count_text::counted(purged, "letter");
        output::print_line(&format!("{verb} {purged} of {}", letters.topic()))?;
        if !execute {
            output::note("nothing was removed; --execute does it");
        }
    }
    match &what {
        What::Letters(wanted) => check_missing(letters.topic(), &wanted.missing(&named)),
        What::Below(_) => Ok(()),
    }
}
