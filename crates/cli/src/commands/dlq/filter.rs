//! Which letters are asked for. Pure.

use std::collections::BTreeSet;

use tallymq_client::DeadLetter;

use crate::{arguments::LetterFilter, failure::Failure, position};

/// A place in a dead-letter topic.
pub type Place = (i32, i64);

/// What letters have to be like.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    offsets: BTreeSet<Place>,
    cause: Option<String>,
    origin: Option<String>,
    group: Option<String>,
}

impl Wanted {
    /// From the flags.
    pub fn parse(filter: &LetterFilter) -> Result<Wanted, Failure> {
        Ok(Wanted {
            offsets: places(&filter.offsets, "--offset")?.into_iter().collect(),
            cause: filter.cause.clone(),
            origin: filter.origin.clone(),
            group: filter.group.clone(),
        })
    }

    /// Whether every letter is wanted.
    pub fn is_all(&self) -> bool {
        self.offsets.is_empty() && self.cause.is_none() && self.origin.is_none() && self.group.is_none()
    }

    /// Whether this one is.
    pub fn takes(&self, letter: &DeadLetter) -> bool {
        (self.offsets.is_empty() || self.offsets.contains(&place_of(letter)))
            && self.cause.as_ref().is_none_or(|cause| letter.cause().contains(cause.as_str()))
            && self.origin.as_ref().is_none_or(|origin| letter.origin().topic == *origin)
            && self.group.as_ref().is_none_or(|group| letter.group() == Some(group.as_str()))
    }

    /// Places that were asked for by name and are not among those found: settled already, or never there.
    pub fn missing(&self, found: &BTreeSet<Place>) -> Vec<Place> {
        self.offsets.difference(found).copied().collect()
    }

    /// Whether this one is; notes it if it was asked for by name.
    pub fn takes_and_notes(&self, letter: &DeadLetter, named: &mut BTreeSet<Place>) -> bool {
        let place = place_of(letter);
        if self.offsets.contains(&place) {
            named.insert(place);
        }
        self.takes(letter)
    }
}

/// Where a letter stands.
pub fn place_of(letter: &DeadLetter) -> Place {
    (letter.position().partition, letter.position().offset)
}

/// `PARTITION:OFFSET`, each.
pub fn places(texts: &[String], flag: &str) -> Result<Vec<Place>, Failure> {
    let wrong = |text: &String| Failure::Usage(format!("{flag}: {text} is not PARTITION:OFFSET, like 0:17"));
    texts.iter().map(|text| position::place(text).ok_or_else(|| wrong(text))).collect()
}

/// Says which named letters are not there.
pub fn check_missing(topic: &str, missing: &[Place]) -> Result<(), Failure> {
    if missing.is_empty() {
        return Ok(());
    }
    let places: Vec<String> =
        missing.iter().map(|(partition, offset)| format!("{partition}:{offset}")).collect();
    Err(Failure::Failed(format!(
        "{topic} has no dead letter at {}, or it is settled already",
        places.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_partition_and_offset() {
        let read = |text: &str| places(&[text.to_owned()], "--offset").ok();
        assert_eq!(read("3:17"), Some(vec![(3, 17)]));
        for wrong in ["17", "3:", ":17", "-1:2", "1:-2", "1:2:3", "a:b"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_was_named_and_not_found_is_said() {
        let filter = LetterFilter { offsets: vec!["0:1".into(), "0:2".into()], ..LetterFilter::default() };
        let wanted = Wanted::parse(&filter).unwrap();
        assert!(!wanted.is_all() && Wanted::default().is_all());
        let missing = wanted.missing(&BTreeSet::from([(0, 2)]));
        let said = check_missing("t.g.dead", &missing).unwrap_err().to_string();
        assert_eq!(said, "t.g.dead has no dead letter at 0:1, or it is settled already");
    }
}
