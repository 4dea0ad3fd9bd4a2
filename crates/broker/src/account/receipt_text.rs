//! Receipts in the metadata of a committed position: how handlers' words reach the broker through an API that every Kafka
//! cluster has. Text from outside: bounded, and what is not understood moves nothing.
//!
//! ```text
//! tally1;handled=1000+25,3+100;dead=1025,2
//!        |       |    |  |     |
//!        |       |    |  |     field: ranges of records that are in the dead-letter topic
//!        |       |    |  so many records lie between the last range and this one
//!        |       |    so many records; without: one
//!        |       the first offset
//!        field: ranges of records whose handler returned well
//! ```
//! Fields of other names are for later versions, and passed over.

use tallymq_model::Offset;
use thiserror::Error;

use super::command::ReceiptOutcome;

/// What metadata with receipts begins with. All other metadata is the application's own.
const PREFIX: &str = "tally1;";

/// Ranges that one position's metadata may have: what fits into Kafka's bound for it.
pub const TOLD_RANGES_MAX: usize = 2048;

/// What handlers say of offsets `from..to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The first offset.
    pub from: Offset,
    /// The offset behind the last.
    pub to: Offset,
    /// What they say.
    pub outcome: ReceiptOutcome,
}

/// Metadata that begins like receipts and is none.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ReceiptTextError {
    /// A field without `=`.
    #[error("a field of the receipts has no value")]
    Field,
    /// Not a decimal number, or none that an offset can be.
    #[error("a number of the receipts is none")]
    Number,
    /// A range without records, or two that touch.
    #[error("a range of the receipts is empty")]
    EmptyRange,
    /// More than [`TOLD_RANGES_MAX`].
    #[error("there are more than {TOLD_RANGES_MAX} ranges in the receipts")]
    TooMany,
}

/// The receipts in a position's metadata; none if it is the application's own.
///
/// # Errors
/// [`ReceiptTextError`]; the metadata is stored as any other, and says nothing.
pub fn receipts_in(metadata: &str) -> Result<Vec<Told>, ReceiptTextError> {
    let Some(fields) = metadata.strip_prefix(PREFIX) else { return Ok(Vec::new()) };
    let mut told = Vec::new();
    for field in fields.split(';').filter(|field| !field.is_empty()) {
        let (name, ranges) = field.split_once('=').ok_or(ReceiptTextError::Field)?;
        match name {
            "handled" => read_ranges(ranges, ReceiptOutcome::Handled, &mut told)?,
            "dead" => read_ranges(ranges, ReceiptOutcome::DeadLettered, &mut told)?,
            _ => {}
        }
    }
    Ok(told)
}

fn read_ranges(text: &str, outcome: ReceiptOutcome, told: &mut Vec<Told>) -> Result<(), ReceiptTextError> {
    let mut end = None;
    for range in text.split(',') {
        let (start, records) = match range.split_once('+') {
            Some((start, records)) => (number(start)?, number(records)?),
            None => (number(range)?, 1),
        };
        let from = match end {
            Some(_) if start == 0 => return Err(ReceiptTextError::EmptyRange),
            Some(end) => start.checked_add(end).ok_or(ReceiptTextError::Number)?,
            None => start,
        };
        let to = from.checked_add(records).ok_or(ReceiptTextError::Number)?;
        if records == 0 {
            return Err(ReceiptTextError::EmptyRange);
        }
        if told.len() == TOLD_RANGES_MAX {
            return Err(ReceiptTextError::TooMany);
        }
        told.push(Told { from: Offset(from), to: Offset(to), outcome });
        end = Some(to);
    }
    Ok(())
}

/// Digits only: no sign, no space.
fn number(text: &str) -> Result<i64, ReceiptTextError> {
    let is_decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_decimal).ok_or(ReceiptTextError::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Result<Vec<(char, i64, i64)>, ReceiptTextError> {
        let all = receipts_in(text)?;
        let letter = |outcome| if outcome == ReceiptOutcome::Handled { 'h' } else { 'd' };
        Ok(all.iter().map(|one| (letter(one.outcome), one.from.0, one.to.0)).collect())
    }

    #[test]
    fn ranges_are_told_from_the_first_on() {
        assert_eq!(
            told("tally1;handled=1000+25,3+100;dead=1025,2"),
            Ok(vec![('h', 1000, 1025), ('h', 1028, 1128), ('d', 1025, 1026), ('d', 1028, 1029)])
        );
        assert_eq!(told("tally1;dead=0"), Ok(vec![('d', 0, 1)]));
        assert_eq!(told("tally1;"), Ok(vec![]));
        assert_eq!(told("tally1;later=x y z;handled=7"), Ok(vec![('h', 7, 8)]), "a later version's field");
    }

    #[test]
    fn other_metadata_is_the_applications_own() {
        for text in
            ["", "handled=1", "tally2;handled=1", "my note", "tally1", " tally1;handled=1", "{\"a\":1}"]
        {
            assert_eq!(told(text), Ok(vec![]), "{text}");
        }
    }

    #[test]
    fn what_is_no_receipt_says_nothing() {
        use ReceiptTextError::*;
        for (text, error) in [
            ("tally1;handled", Field),
            ("tally1;handled=", Number),
            ("tally1;handled=-1", Number),
            ("tally1;handled=1++2", Number),
            ("tally1;handled=1+-2", Number),
            ("tally1;handled= 1", Number),
            ("tally1;handled=1,", Number),
            ("tally1;handled=99999999999999999999", Number),
            ("tally1;handled=9223372036854775807+1", Number),
            ("tally1;handled=9223372036854775806,1", Number),
            ("tally1;handled=1+0", EmptyRange),
            ("tally1;handled=1+2,0+4", EmptyRange),
            ("tally1;handled=1;dead=x", Number),
        ] {
            assert_eq!(told(text), Err(error), "{text}");
        }
        let many = |ranges: usize| format!("tally1;handled=0{}", ",1".repeat(ranges - 1));
        assert_eq!(told(&many(TOLD_RANGES_MAX)).map(|told| told.len()), Ok(TOLD_RANGES_MAX));
        assert_eq!(told(&many(TOLD_RANGES_MAX + 1)), Err(TooMany));
    }
}
