//! The account as a person reads it: a row per group and topic, a column per class that is not empty, the equation below,
//! and the losses by their offsets. Pure.

use comfy_table::{Cell, CellAlignment, Color, Table};
use tallymq_broker::account::Class;
use tallymq_server::books::class_name;

use super::not_stored;
use super::report::{Classes, GroupTopic, Interval, Partition, Report};
use crate::{count_text::counted, output, time_text::rfc3339};

/// Intervals that are named, of each kind.
const NAMED_MAX: usize = 30;

/// How it is shown.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Losses in red.
    pub color: bool,
    /// A row per partition.
    pub partitions: bool,
}

/// Everything, without a newline at the end.
pub fn text(report: &Report, style: Style) -> String {
    let mut lines = Vec::new();
    if !report.enabled {
        lines.push("accounts are switched off: account.enabled".to_owned());
    }
    if report.accounts.is_empty() {
        lines.push(
            "no account: one opens when a group takes its first position, or with `tallymq account open`"
                .to_owned(),
        );
        lines.extend(not_stored::lines(&report.not_stored, style.partitions));
        return lines.join("\n");
    }
    lines.extend(books(&report.accounts, report.balanced, style));
    lines.extend(remarks(report));
    lines.extend(not_stored::lines(&report.not_stored, style.partitions));
    lines.join("\n")
}

/// The table, the equation, and the offsets of what is exceptional.
pub fn books(rows: &[GroupTopic], is_balanced: bool, style: Style) -> Vec<String> {
    let classes = shown(rows);
    let mut lines = output::lines(&table(rows, &columns(rows, &classes), style));
    lines.push(String::new());
    lines.push(equation((rows, is_balanced), &classes, style));
    lines.extend(imbalances((rows, is_balanced), style));
    lines.extend(named(rows, "losses", style, |class| class.is_loss()));
    lines.extend(named(rows, "not losses, and worth knowing", style, |class| !class.is_loss()));
    lines
}

/// A column of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Class(Class),
    /// Not a term of the equation: those of the processed ones whose handler said so.
    Handled,
}

/// What handlers say stands beside what positions say, if any handler says anything.
fn columns(rows: &[GroupTopic], classes: &[Class]) -> Vec<Column> {
    let mut columns: Vec<Column> = classes.iter().map(|class| Column::Class(*class)).collect();
    if rows.iter().any(|row| row.handled > 0) {
        let processed = columns.iter().position(|column| *column == Column::Class(Class::Processed));
        columns.insert(processed.map_or(0, |at| at + 1), Column::Handled);
    }
    columns
}

/// The classes that have a column: those that are not empty, and always the one that must be.
fn shown(rows: &[GroupTopic]) -> Vec<Class> {
    let is_empty = |class: Class| rows.iter().all(|row| count(&row.classes, class) == 0);
    Class::ALL.into_iter().filter(|class| *class == Class::Lost || !is_empty(*class)).collect()
}

fn count(classes: &Classes, class: Class) -> u64 {
    classes.get(class_name(class)).copied().unwrap_or(0)
}

fn table(rows: &[GroupTopic], columns: &[Column], style: Style) -> Table {
    let mut names = vec!["group", "topic"];
    if rows.iter().any(|row| row.ended.is_some()) {
        names.extend(["ended", "why"]);
    }
    if style.partitions {
        names.extend(["partition", "opened at", "position"]);
    }
    names.push("stored");
    names.extend(columns.iter().map(|column| match column {
        Column::Class(class) => class.name(),
        Column::Handled => "handled",
    }));
    let mut table = output::table(&names);
    if style.color {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    for row in rows {
        if style.partitions {
            for partition in &row.partitions {
                table.add_row(partition_cells(row, partition, columns));
            }
        } else {
            let mut cells = named_cells(row);
            cells.push(number(row.stored));
            cells.extend(columns.iter().map(|column| cell(*column, &row.classes, row.handled)));
            table.add_row(cells);
        }
    }
    table
}

/// Which account, and how it ended if it has.
fn named_cells(row: &GroupTopic) -> Vec<Cell> {
    let deleted = if row.is_topic_deleted() { " (deleted)" } else { "" };
    let mut cells = vec![Cell::new(&row.group), Cell::new(format!("{}{deleted}", row.topic))];
    if let Some(ended) = &row.ended {
        cells.extend([Cell::new(rfc3339(ended.ended_at)), Cell::new(ended.why.replace('_', " "))]);
    }
    cells
}

fn partition_cells(row: &GroupTopic, partition: &Partition, columns: &[Column]) -> Vec<Cell> {
    let position = partition.position.map_or_else(|| "-".to_owned(), |position| position.to_string());
    let mut cells = named_cells(row);
    cells.extend([
        number(partition.partition),
        number(partition.opened_at),
        number(position),
        number(partition.stored),
    ]);
    cells.extend(columns.iter().map(|column| cell(*column, &partition.classes, partition.handled)));
    cells
}

fn number(number: impl ToString) -> Cell {
    Cell::new(number).set_alignment(CellAlignment::Right)
}

fn cell(column: Column, classes: &Classes, handled: u64) -> Cell {
    match column {
        Column::Class(class) => class_cell(classes, class),
        Column::Handled => number(handled),
    }
}

fn class_cell(classes: &Classes, class: Class) -> Cell {
    let count = count(classes, class);
    let cell = number(count);
    if class.is_loss() && count > 0 { cell.fg(Color::Red) } else { cell }
}

/// `stored = …`, summed over all rows.
fn equation((rows, is_balanced): (&[GroupTopic], bool), classes: &[Class], style: Style) -> String {
    let stored: u64 = rows.iter().map(|row| row.stored).sum();
    let mut terms = Vec::new();
    let mut sum = 0_u64;
    for class in classes {
        let records: u64 = rows.iter().map(|row| count(&row.classes, *class)).sum();
        sum += records;
        let term = format!("{records} {}", class.name());
        terms.push(if class.is_loss() && records > 0 { red(&term, style) } else { term });
    }
    let (sign, verdict) = match is_balanced && stored == sum {
        true => ("=", "balanced".to_owned()),
        false => ("≠", red("NOT BALANCED", style)),
    };
    format!("{stored} stored {sign} {}   {verdict}", terms.join(" + "))
}

fn imbalances((rows, is_balanced): (&[GroupTopic], bool), style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    if !is_balanced && rows.iter().all(|row| row.balanced) {
        lines.push(red("an account that is not listed does not come out: a higher --limit names it", style));
    }
    for row in rows.iter().filter(|row| !row.balanced) {
        for partition in row.partitions.iter().filter(|partition| !partition.balanced) {
            for imbalance in &partition.imbalances {
                let place = place(row, partition);
                lines.push(red(&format!("{place}, group {}: {imbalance}", row.group), style));
            }
        }
    }
    lines
}

/// The offsets of some classes.
fn named(rows: &[GroupTopic], title: &str, style: Style, wanted: fn(Class) -> bool) -> Vec<String> {
    let classes: Vec<Class> = Class::ALL.into_iter().filter(|class| wanted(*class)).collect();
    let class_of = |interval: &Interval| classes.iter().find(|class| class_name(**class) == interval.class);
    let mut lines = Vec::new();
    let mut hidden = 0;
    for row in rows {
        for partition in &row.partitions {
            for interval in &partition.intervals {
                let Some(class) = class_of(interval) else { continue };
                if lines.len() >= NAMED_MAX {
                    hidden += 1;
                    continue;
                }
                let (records, last) = (interval.to - interval.from, interval.to - 1);
                let offsets = if records == 1 {
                    format!("offset {last}")
                } else {
                    format!("offsets {} to {last}", interval.from)
                };
                let place = place(row, partition);
                let line = format!("  {}: {place} {offsets} ({records}), group {}", class.name(), row.group);
                lines.push(if class.is_loss() { red(&line, style) } else { line });
            }
        }
    }
    if hidden > 0 {
        lines.push(format!("  and {hidden} more: --json names them"));
    }
    if !lines.is_empty() {
        lines.insert(0, format!("\n{title}:"));
    }
    lines
}

fn remarks(report: &Report) -> Vec<String> {
    let sum = |of: fn(&GroupTopic) -> u64| report.accounts.iter().map(of).sum::<u64>();
    let sums = [
        (sum(|row| row.tallies.redelivered), "delivered again", "record"),
        (sum(|row| row.tallies.recovered), "skipped or unwitnessed, and read after all", "record"),
        (sum(|row| row.tallies.refused), "refused, since their member was fenced", "commit"),
        (sum(|row| row.possible), "in flight, but perhaps to another group", "record"),
        (sum(without_receipt), "processed without a receipt of their handler", "record"),
        (sum(|row| row.tallies.merged_records), "blurred to keep accounts bounded", "record"),
        (sum(|row| row.tallies.intervals_folded), "without offsets to keep accounts bounded", "interval"),
        (report.unopened, "not opened because there are too many", "account"),
        (report.alarms, "not acknowledged (tallymq alarms list)", "alarm"),
    ];
    let sums = sums.iter().filter(|(count, ..)| *count > 0);
    let mut lines: Vec<String> =
        sums.map(|(count, what, unit)| format!("{what}: {}", counted(*count, unit))).collect();
    if report.accounts.iter().flat_map(|row| &row.partitions).any(|partition| partition.more) {
        lines.push("older intervals are only counted".to_owned());
    }
    if report.more {
        lines.push("there are more accounts than --limit".to_owned());
    }
    if !lines.is_empty() {
        lines.insert(0, String::new());
    }
    lines
}

/// Of a group whose clients send receipts.
fn without_receipt(row: &GroupTopic) -> u64 {
    let processed = count(&row.classes, Class::Processed);
    if row.handled > 0 { processed.saturating_sub(row.handled) } else { 0 }
}

fn place(row: &GroupTopic, partition: &Partition) -> String {
    let deleted = if row.is_topic_deleted() { " (deleted)" } else { "" };
    format!("{}-{}{deleted}", row.topic, partition.partition)
}

fn red(text: &str, style: Style) -> String {
    if style.color { format!("\x1b[31m{text}\x1b[39m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn report(classes: Value, intervals: Value, balanced: bool) -> Report {
        let tallies = json!({
            "redelivered": 7, "recovered": 0, "refused": 0, "merged_records": 0, "intervals_folded": 0
        });
        let partition = json!({
            "partition": 3, "opened_at": 0, "position": 10, "stored": 10, "classes": classes,
            "handled": 0, "intervals": intervals, "more": false, "balanced": balanced, "imbalances": ["10 and 9"]
        });
        let row = json!({
            "group": "billing", "topic": "orders", "stored": 10, "classes": classes, "possible": 0, "handled": 0,
            "tallies": tallies, "balanced": balanced, "partitions": [partition]
        });
        let report = json!({
            "enabled": true, "balanced": balanced, "accounts": [row], "more": false, "unopened": 0, "alarms": 1
        });
        serde_json::from_value(report).unwrap()
    }

    const PLAIN: Style = Style { color: false, partitions: false };

    #[test]
    fn empty_classes_have_no_column_but_lost_has() {
        let text = text(&report(json!({ "processed": 10, "pending": 0 }), json!([]), true), PLAIN);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0].split_whitespace().collect::<Vec<_>>(),
            ["GROUP", "TOPIC", "STORED", "PROCESSED", "LOST"]
        );
        assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["billing", "orders", "10", "10", "0"]);
        assert_eq!(lines[3], "10 stored = 10 processed + 0 lost   balanced");
        assert!(text.contains("delivered again: 7 records"), "{text}");
        assert!(text.contains("not acknowledged (tallymq alarms list): 1 alarm"), "{text}");
        assert!(!text.contains('\x1b'), "{text}");
    }

    #[test]
    fn what_handlers_say_stands_beside_processed_and_is_no_term() {
        let mut report = report(json!({ "processed": 9, "dead_lettered": 1 }), json!([]), true);
        report.accounts[0].handled = 7;
        report.accounts[0].partitions[0].handled = 7;
        for partitions in [false, true] {
            let text = text(&report, Style { color: false, partitions });
            let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
            assert!(
                lines[0].ends_with(&["STORED", "PROCESSED", "HANDLED", "DEAD-LETTERED", "LOST"]),
                "{text}"
            );
            assert!(lines[1].ends_with(&["10", "9", "7", "1", "0"]), "{text}");
            assert!(text.contains("10 stored = 9 processed + 1 dead-lettered + 0 lost   balanced"), "{text}");
            assert!(text.contains("processed without a receipt of their handler: 2 records"), "{text}");
        }
    }

    #[test]
    fn losses_are_named_and_red_on_a_terminal_only() {
        let intervals = json!([
            { "from": 4, "to": 7, "class": "skipped" },
            { "from": 8, "to": 9, "class": "unwitnessed" },
        ]);
        let report = report(json!({ "processed": 6, "skipped": 3, "unwitnessed": 1 }), intervals, true);
        let plain = text(&report, PLAIN);
        assert!(plain.contains("losses:\n  skipped: orders-3 offsets 4 to 6 (3), group billing"), "{plain}");
        assert!(
            plain.contains("worth knowing:\n  unwitnessed: orders-3 offset 8 (1), group billing"),
            "{plain}"
        );
        let colored = text(&report, Style { color: true, partitions: true });
        assert!(colored.contains("\x1b[31m  skipped: orders-3"), "{colored}");
        assert!(!colored.contains("\x1b[31m  unwitnessed"), "{colored}");
    }

    #[test]
    fn an_equation_that_does_not_come_out_is_not_called_balanced() {
        for report in [
            report(json!({ "processed": 9 }), json!([]), false),
            report(json!({ "processed": 9 }), json!([]), true),
        ] {
            let text = text(&report, PLAIN);
            assert!(text.contains("10 stored ≠ 9 processed + 0 lost   NOT BALANCED"), "{text}");
            assert!(!text.contains("not listed"), "{text}");
        }
    }

    #[test]
    fn an_account_beyond_the_limit_that_does_not_come_out_is_said() {
        let mut report = report(json!({ "processed": 10 }), json!([]), true);
        report.balanced = false;
        let text = text(&report, PLAIN);
        assert!(text.contains("NOT BALANCED\nan account that is not listed does not come out"), "{text}");
    }
}
