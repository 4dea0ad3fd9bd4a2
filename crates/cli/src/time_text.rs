//! Times and spans as people read them. Pure; the other direction is in `position.rs`.

/// RFC 3339 in UTC, to the second.
pub fn rfc3339(ms: i64) -> String {
    let seconds = ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// The date of a day since 1970 (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// A span in the largest unit that it has at least two of, rounded down: who is told has that long at least.
pub fn span(ms: i64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s")];
    let fitting = units.iter().find(|(unit_ms, _)| ms >= 2 * unit_ms);
    fitting.map_or_else(|| format!("{ms} ms"), |(unit_ms, name)| format!("{} {name}", ms / unit_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::PositionSpec;

    #[test]
    fn times_are_read_back() {
        for ms in [0, 1_700_000_000_000, 951_782_400_000, 4_102_444_799_000, -86_400_000] {
            assert_eq!(rfc3339(ms).parse(), Ok(PositionSpec::Time(ms)), "{}", rfc3339(ms));
        }
        assert_eq!(rfc3339(1_700_000_000_999), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn spans_have_one_unit() {
        let cases =
            [(0, "0 ms"), (1999, "1999 ms"), (2000, "2 s"), (119_999, "119 s"), (3 * 3_600_000, "3 h")];
        for (ms, text) in cases {
            assert_eq!(span(ms), text);
        }
        assert_eq!(span(7 * 86_400_000), "7 d");
    }
}
