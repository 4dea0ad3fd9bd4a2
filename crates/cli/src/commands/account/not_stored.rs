//! What producers sent and was not stored, as a person reads it: a row per topic or partition, in batches. Pure.

use super::report::{NotStored, TopicNotStored};
use crate::output;

/// Nothing, if all was stored.
pub fn lines(topics: &[TopicNotStored], by_partition: bool) -> Vec<String> {
    if topics.is_empty() {
        return Vec::new();
    }
    let place = if by_partition { "partition" } else { "topic" };
    let mut table =
        output::table(&[place, "stored before", "fenced", "out of order", "refused since start", "records"]);
    table.force_no_tty();
    for topic in topics {
        if by_partition {
            for one in &topic.partitions {
                table.add_row(cells(format!("{}-{}", topic.topic, one.partition), &one.counts));
            }
        } else {
            table.add_row(cells(topic.topic.clone(), &topic.counts));
        }
    }
    let mut lines = vec![String::new(), "batches that producers sent and that were not stored:".to_owned()];
    lines.extend(output::lines(&table).into_iter().map(|line| format!("  {line}")));
    lines
}

/// The records are those of the batches that the log decided about: of others nobody knows.
fn cells(place: String, counts: &NotStored) -> [String; 6] {
    let NotStored { duplicates, fenced, out_of_order, refused_since_start } = counts;
    let records = duplicates.records + fenced.records + out_of_order.records;
    [
        place,
        duplicates.batches.to_string(),
        fenced.batches.to_string(),
        out_of_order.batches.to_string(),
        refused_since_start.to_string(),
        records.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_reason_has_its_column_and_nothing_has_no_table() {
        assert_eq!(lines(&[], false), Vec::<String>::new());
        let counts = |partition: i32| {
            json!({
                "topic": "orders", "partition": partition, "duplicates": { "batches": 3, "records": 30 },
                "fenced": { "batches": 2, "records": 4 }, "out_of_order": { "batches": 1, "records": 1 },
                "refused_since_start": 5
            })
        };
        let mut topic = counts(0);
        topic["partitions"] = json!([counts(7)]);
        let topics: Vec<TopicNotStored> = serde_json::from_value(json!([topic])).unwrap();
        for (by_partition, place) in [(false, "orders"), (true, "orders-7")] {
            let lines = lines(&topics, by_partition);
            assert_eq!(lines.len(), 4, "{lines:?}");
            let cells: Vec<&str> = lines[3].split_whitespace().collect();
            assert_eq!(cells, [place, "3", "2", "1", "5", "35"]);
        }
    }
}
