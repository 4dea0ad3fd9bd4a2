//! Numbers and lists as a person reads them. Pure.

use crate::count_text::of_unit;

/// Named, of a long list.
const NAMED_MAX: usize = 8;

/// 12345678 as 12,345,678.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 order`, `2,000 orders`.
pub fn counted(count: u64, unit: &str) -> String {
    format!("{} {}", thousands(count), of_unit(count, unit))
}

/// The numbers as ranges, the first few of them: `3, 7 to 9, 12`.
pub fn ranges(numbers: &[u64]) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let text = |(first, last): &(u64, u64)| match first == last {
        true => first.to_string(),
        false => format!("{first} to {last}"),
    };
    let mut named: Vec<String> = ranges.iter().take(NAMED_MAX).map(text).collect();
    if ranges.len() > NAMED_MAX {
        named.push("…".to_owned());
    }
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        let all = [0, 999, 1000, 12_345, 1_000_000].map(thousands);
        assert_eq!(all, ["0", "999", "1,000", "12,345", "1,000,000"]);
        assert_eq!((counted(1, "kill"), counted(0, "kill")), ("1 kill".to_owned(), "0 kills".to_owned()));
    }

    #[test]
    fn long_lists_are_short() {
        assert_eq!(ranges(&[]), "");
        assert_eq!(ranges(&[3, 7, 8, 9, 12]), "3, 7 to 9, 12");
        let many: Vec<u64> = (0..40).map(|number| number * 2).collect();
        assert_eq!(ranges(&many), "0, 2, 4, 6, 8, 10, 12, 14, …");
    }
}
