//! The accounts that have ended as a person reads them: as the living ones, with when and why, and what is not known any more. Pure.

use super::report::EndedReport;
use super::show::{self, Style};
use crate::time_text::rfc3339;

/// Everything, without a newline at the end.
pub fn text(report: &EndedReport, style: Style) -> String {
    let mut lines = match report.ended.is_empty() {
        true => vec!["no account has ended, as far as the journals tell".to_owned()],
        false => show::books(&report.ended, report.balanced, style),
    };
    let remarks = remarks(report);
    if !remarks.is_empty() {
        lines.push(String::new());
        lines.extend(remarks);
    }
    lines.join("\n")
}

/// What is missing, and why.
fn remarks(report: &EndedReport) -> Vec<String> {
    let mut lines = Vec::new();
    if report.more {
        lines.push("there are older ones: --limit shows more".to_owned());
    }
    if report.trimmed {
        lines.push(
            "older events were trimmed from the journal (account.journal.bytes), endings among them"
                .to_owned(),
        );
    }
    if !report.complete {
        let remedy = if report.unreadable.is_empty() { ": --seconds gives it more time" } else { "" };
        lines.push(format!("the journal was not read as far as it goes{remedy}"));
    }
    if let Some(since) = report.known_since {
        lines.push(format!("endings before {} may be missing", rfc3339(since)));
    }
    lines.extend(report.unreadable.iter().map(|one| format!("UNREADABLE: {one}")));
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const PLAIN: Style = Style { color: false, partitions: false };

    fn report(more: Value) -> EndedReport {
        let classes = json!({ "processed": 10, "purged": 40 });
        let tallies = json!({
            "redelivered": 0, "recovered": 0, "refused": 0, "merged_records": 0, "intervals_folded": 0
        });
        let partition = json!({
            "partition": 3, "opened_at": 0, "position": 10, "stored": 50, "classes": classes, "handled": 0,
            "intervals": [{ "from": 10, "to": 50, "class": "purged" }], "more": false, "balanced": true
        });
        let row = json!({
            "ended_at": 1_700_000_000_000_i64, "why": "topic_deleted", "topic_id": "x", "topic_deleted": true,
            "group": "billing", "topic": "orders", "stored": 50, "classes": classes, "possible": 0, "handled": 0,
            "tallies": tallies, "balanced": true, "partitions": [partition]
        });
        let mut report = json!({
            "at": 1, "balanced": true, "ended": [row], "more": false, "trimmed": false, "complete": true
        });
        report.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(report).unwrap()
    }

    #[test]
    fn an_ended_account_says_when_and_why() {
        for partitions in [false, true] {
            let text = text(&report(json!({})), Style { partitions, ..PLAIN });
            let lines: Vec<&str> = text.lines().collect();
            let columns: Vec<&str> = lines[0].split_whitespace().collect();
            assert!(columns.starts_with(&["GROUP", "TOPIC", "ENDED", "WHY"]), "{text}");
            let cells: Vec<&str> = lines[1].split_whitespace().collect();
            let when = ["billing", "orders", "(deleted)", "2023-11-14T22:13:20Z", "topic", "deleted"];
            assert!(cells.starts_with(&when) && cells.ends_with(&["50", "10", "40", "0"]), "{text}");
            assert_eq!(lines[3], "50 stored = 10 processed + 40 purged + 0 lost   balanced");
            assert!(
                text.ends_with("purged: orders-3 (deleted) offsets 10 to 49 (40), group billing"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let all = json!({
            "more": true, "trimmed": true, "complete": false, "known_since": 1_700_000_000_000_i64,
            "unreadable": ["events 3 to 4"]
        });
        let text = text(&report(all), PLAIN);
        for said in
            ["--limit", "trimmed", "not read", "before 2023-11-14T22:13:20Z", "UNREADABLE: events 3 to 4"]
        {
            assert!(text.contains(said), "{said}: {text}");
        }
        let nothing = report(json!({ "ended": [] }));
        assert_eq!(super::text(&nothing, PLAIN), "no account has ended, as far as the journals tell");
    }
}
