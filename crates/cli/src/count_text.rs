//! Counts with their unit, as a person reads them: `1 record`, `2 records`. Pure.

/// The count and its unit, which is given in the singular.
pub fn counted(count: u64, unit: &str) -> String {
    format!("{count} {}", of_unit(count, unit))
}

/// The unit of so many. English plurals of the words that we use.
pub fn of_unit(count: u64, unit: &str) -> String {
    let ending = match unit {
        _ if count == 1 => "",
        _ if unit.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{unit}{ending}")
}

/// The same and the verb: `1 record is`, `2 records are`.
pub fn counted_are(count: u64, unit: &str) -> String {
    format!("{} {}", counted(count, unit), if count == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        let batches = [0, 1, 2].map(|count| counted(count, "batch"));
        assert_eq!(batches, ["0 batches", "1 batch", "2 batches"]);
        let records = [0, 1, 2].map(|count| counted_are(count, "record"));
        assert_eq!(records, ["0 records are", "1 record is", "2 records are"]);
    }
}
