//! `tallymq alarms …`: the losses that nobody acknowledged, and acknowledging them.

use std::io::IsTerminal;

use comfy_table::{Cell, Color};
use serde_json::{Value, json};

use crate::{
    arguments::AlarmsCommand,
    count_text::{counted, counted_are},
    failure::{Failure, Found},
    http::Http,
    output,
    time_text::rfc3339,
};

/// Runs one of them.
pub async fn run(command: AlarmsCommand, json: bool) -> Result<(), Failure> {
    match command {
        AlarmsCommand::List { topic, group, fail, connection } => {
            let http = Http::new(&connection.http, connection.timeout);
            let answer = http.get("/v1/alarms", &[("topic", topic), ("group", group)]).await?;
            let rows = answer["alarms"].as_array().map(Vec::as_slice).unwrap_or_default();
            let overflow = answer["overflow_alarms"].as_u64().unwrap_or(0);
            if json {
                output::print_json(&answer)?;
            } else {
                print(rows, overflow)?;
            }
            let count = rows.len() as u64 + overflow;
            if fail && count > 0 {
                return Err(Failure::Found(
                    Found::Loss,
                    format!("{} not acknowledged", counted_are(count, "alarm")),
                ));
            }
            Ok(())
        }
        AlarmsCommand::Acknowledge { ids, all, by, connection } => {
            let http = Http::new(&connection.http, connection.timeout);
            let body = json!({ "ids": ids, "all": all, "by": by });
            let answer = http.post("/v1/alarms/acknowledge", &body).await?;
            let acknowledged = answer["acknowledged"].as_u64().unwrap_or(0);
            match json {
                true => output::print_json(&answer)?,
                false => output::print_line(&format!("acknowledged {}", counted(acknowledged, "alarm")))?,
            }
            check_missing(&answer)
        }
    }
}

/// Says which named alarms are not there.
fn check_missing(answer: &Value) -> Result<(), Failure> {
    let missing = answer["missing"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing: Vec<&str> = missing.collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(format!("there is no alarm {}, or it is acknowledged already", missing.join(", "))))
}

fn print(rows: &[Value], overflow: u64) -> Result<(), Failure> {
    if rows.is_empty() && overflow == 0 {
        return Ok(output::print_line("no alarms")?);
    }
    let columns = ["id", "at", "class", "group", "place", "offsets", "records", "cause", "by"];
    let mut table = output::table(&columns);
    if std::env::var_os("NO_COLOR").is_some() || !std::io::stdout().is_terminal() {
        table.force_no_tty();
    }
    for row in rows {
        let class = text(row, "class").replace('_', " ");
        let cells = [
            text(row, "id"),
            rfc3339(row["at"].as_i64().unwrap_or(0)),
            class,
            text(row, "group"),
            place(row),
            offsets(row),
            row["records"].to_string(),
            text(row, "cause"),
            by(row),
        ];
        let cells = cells.iter().enumerate();
        let red = |(at, cell)| if at == 2 { Cell::new(cell).fg(Color::Red) } else { Cell::new(cell) };
        table.add_row(cells.map(red));
    }
    output::print_table(&table)?;
    if overflow > 0 {
        output::print_line(&format!("and {overflow} that there was no room for"))?;
    }
    Ok(())
}

fn text(row: &Value, name: &str) -> String {
    row[name].as_str().unwrap_or_default().to_owned()
}

fn place(row: &Value) -> String {
    let deleted = if row["topic_deleted"] == true { " (deleted)" } else { "" };
    format!("{}-{}{deleted}", text(row, "topic"), row["partition"])
}

fn offsets(row: &Value) -> String {
    let (from, to) = (row["from"].as_i64().unwrap_or(0), row["to"].as_i64().unwrap_or(0));
    if to - from == 1 { from.to_string() } else { format!("{from}..{}", to - 1) }
}

/// Member, client and address, as far as known.
fn by(row: &Value) -> String {
    let known = ["member", "client_id", "address"].map(|name| text(row, name));
    known.iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_which_offsets_and_who() {
        let row = json!({ "from": 4, "to": 7, "member": "", "client_id": "c", "address": "127.0.0.1" });
        assert_eq!((offsets(&row), by(&row)), ("4..6".to_owned(), "c 127.0.0.1".to_owned()));
        assert_eq!(offsets(&json!({ "from": 4, "to": 5 })), "4");
    }
}
