//! Where to read from or put a group, as people write it: `earliest`, `latest`, an offset, `+N`, `-N`, a time. Pure.

use std::str::FromStr;

use thiserror::Error;

/// A position in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PositionSpec {
    /// The log start.
    Earliest,
    /// The log end.
    Latest,
    /// This offset.
    Offset(i64),
    /// As many records after (or before) where it stands now.
    Shift(i64),
    /// The first record at or after this time, in milliseconds since 1970.
    Time(i64),
}

impl PositionSpec {
    /// One that means the same wherever a reader stands: not `+N` and not `-N`.
    pub fn parse_absolute(text: &str) -> Result<PositionSpec, PositionSpecError> {
        match text.parse() {
            Ok(PositionSpec::Shift(_)) | Err(_) => {
                Err(PositionSpecError { text: text.to_owned(), forms: ABSOLUTE_FORMS })
            }
            Ok(position) => Ok(position),
        }
    }
}

const ABSOLUTE_FORMS: &str =
    "earliest, latest, an offset, a time like 2026-01-31T12:00:00Z, or @MILLISECONDS";
const FORMS: &str = "earliest, latest, an offset, +N, -N, a time like 2026-01-31T12:00:00Z, or @MILLISECONDS";

/// Text that is no position.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{text}` is no position here: use {forms}")]
pub struct PositionSpecError {
    text: String,
    /// What it could have been.
    forms: &'static str,
}

impl FromStr for PositionSpec {
    type Err = PositionSpecError;

    fn from_str(text: &str) -> Result<PositionSpec, PositionSpecError> {
        let parsed = match text {
            "earliest" => Some(PositionSpec::Earliest),
            "latest" => Some(PositionSpec::Latest),
            _ => match text.as_bytes().first() {
                Some(b'+' | b'-') => text.parse().ok().map(PositionSpec::Shift),
                Some(b'@') => text[1..].parse().ok().map(PositionSpec::Time),
                _ if text.contains('T') => rfc3339(text).map(PositionSpec::Time),
                _ => text.parse().ok().map(PositionSpec::Offset),
            },
        };
        parsed.ok_or_else(|| PositionSpecError { text: text.to_owned(), forms: FORMS })
    }
}

/// The partition and the offset of one record, `PARTITION:OFFSET`; neither is negative.
pub fn place(text: &str) -> Option<(i32, i64)> {
    let (partition, offset) = text.split_once(':')?;
    let (partition, offset) = (partition.parse().ok()?, offset.parse().ok()?);
    (partition >= 0 && offset >= 0).then_some((partition, offset))
}

/// Milliseconds since 1970 of an RFC 3339 date-time with `Z` or a numeric offset.
fn rfc3339(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.split('-');
    let (year, month, day) = (digits(date.next()?, 4)?, digits(date.next()?, 2)?, digits(date.next()?, 2)?);
    if date.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let zone_at = time.find(['Z', '+', '-'])?;
    let (clock, zone) = time.split_at(zone_at);
    let (clock, millis) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, fraction_millis(fraction)?),
        None => (clock, 0),
    };
    let mut clock = clock.split(':');
    let (hour, minute, second) =
        (digits(clock.next()?, 2)?, digits(clock.next()?, 2)?, digits(clock.next()?, 2)?);
    if clock.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some((seconds - zone_seconds(zone)?) * 1000 + millis)
}

fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn fraction_millis(fraction: &str) -> Option<i64> {
    let valid = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| format!("{fraction:0<3}")[..3].parse().ok())?
}

fn zone_seconds(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let seconds = digits(hours, 2)? * 3600 + digits(minutes, 2)? * 60;
    Some(if zone.starts_with('-') { -seconds } else { seconds })
}

/// Days of the proleptic Gregorian calendar (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_as_people_write_them() {
        let cases = [
            ("earliest", PositionSpec::Earliest),
            ("latest", PositionSpec::Latest),
            ("42", PositionSpec::Offset(42)),
            ("+5", PositionSpec::Shift(5)),
            ("-5", PositionSpec::Shift(-5)),
            ("@1700000000123", PositionSpec::Time(1_700_000_000_123)),
            ("1970-01-01T00:00:00Z", PositionSpec::Time(0)),
            ("2023-11-14T22:13:20Z", PositionSpec::Time(1_700_000_000_000)),
            ("2023-11-15T00:13:20.5+02:00", PositionSpec::Time(1_700_000_000_500)),
            ("2024-02-29T12:00:00.123456-00:30", PositionSpec::Time(1_709_209_800_123)),
        ];
        for (text, spec) in cases {
            assert_eq!(text.parse(), Ok(spec), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "soon", "+", "-x", "@", "1.5", "2024-02-29", "2024-02-29T12:00:00", "2024-13-01T00:00:00Z"]
        {
            assert!(text.parse::<PositionSpec>().is_err(), "{text}");
        }
        for relative in ["+5", "-5"] {
            let said = PositionSpec::parse_absolute(relative).unwrap_err().to_string();
            assert!(
                said.contains(relative) && !said.contains("+N"),
                "what is not taken is not offered: {said}"
            );
        }
        assert_eq!(PositionSpec::parse_absolute("5"), Ok(PositionSpec::Offset(5)));
    }
}
