//! `tallymq account`: what became of every record, group by group; the accounts that have ended; and opening accounts by hand.

pub mod ended;
pub mod not_stored;
pub mod report;
pub mod show;

use std::io::IsTerminal;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    arguments::{AccountArguments, AccountCommand, HttpConnection},
    count_text::counted,
    failure::Failure,
    http::Http,
    output,
};
use report::{EndedReport, Report};
use show::Style;

/// Clears a terminal and goes to its upper left corner.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Runs it.
pub async fn run(arguments: AccountArguments, json: bool) -> Result<(), Failure> {
    if let Some(AccountCommand::Open { group, topic, from, connection }) = arguments.command {
        return open(&group, topic.as_deref(), &from, &connection, json).await;
    }
    if arguments.ended {
        return ended(&arguments, json).await;
    }
    let http = Http::new(&arguments.connection.http, arguments.connection.timeout);
    loop {
        match http.get("/v1/account", &parameters(&arguments)).await {
            Ok(answer) => {
                let balanced = show(&answer, &arguments, json)?;
                if !arguments.watch {
                    return if balanced { Ok(()) } else { Err(unbalanced()) };
                }
            }
            // Whoever watches wants to see it come back.
            Err(failure @ Failure::Unreachable(_)) if arguments.watch => failure.print(),
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(Duration::from_secs(arguments.interval)).await;
    }
}

/// Which accounts.
fn parameters(arguments: &AccountArguments) -> [(&'static str, Option<String>); 3] {
    [
        ("topic", arguments.topic.clone()),
        ("group", arguments.group.clone()),
        ("limit", Some(arguments.limit.to_string())),
    ]
}

/// Those that have ended.
async fn ended(arguments: &AccountArguments, json: bool) -> Result<(), Failure> {
    let HttpConnection { http, timeout } = &arguments.connection;
    // The broker takes its time.
    let http = Http::new(http, timeout.saturating_add(arguments.seconds));
    let [topic, group, limit] = parameters(arguments);
    let parameters = [topic, group, limit, ("seconds", Some(arguments.seconds.to_string()))];
    let answer = http.get("/v1/account/ended", &parameters).await?;
    let report: EndedReport = parsed(&answer)?;
    match json {
        true => output::print_json(&answer)?,
        false => output::print_line(&ended::text(&report, style(arguments)))?,
    }
    if report.balanced { Ok(()) } else { Err(unbalanced()) }
}

fn parsed<T: DeserializeOwned>(answer: &Value) -> Result<T, Failure> {
    serde_json::from_value(answer.clone())
        .map_err(|error| Failure::Failed(format!("the answer is not as expected: {error}")))
}

fn style(arguments: &AccountArguments) -> Style {
    let color = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    Style { color, partitions: arguments.partitions }
}

/// Prints it; gives back whether all equations come out.
fn show(answer: &Value, arguments: &AccountArguments, json: bool) -> Result<bool, Failure> {
    let report: Report = parsed(answer)?;
    if json {
        output::print_json(answer)?;
        return Ok(report.balanced);
    }
    if arguments.watch && std::io::stdout().is_terminal() {
        output::print_raw(CLEAR)?;
    }
    output::print_line(&show::text(&report, style(arguments)))?;
    Ok(report.balanced)
}

fn unbalanced() -> Failure {
    Failure::Failed("an equation does not come out: what the broker counted is not what it stored".to_owned())
}

async fn open(
    group: &str,
    topic: Option<&str>,
    from: &str,
    connection: &HttpConnection,
    json: bool,
) -> Result<(), Failure> {
    let from = match from.parse::<u64>() {
        Ok(offset) => json!(offset),
        Err(_) => json!(from),
    };
    let body = json!({ "group": group, "topic": topic, "from": from, "by": std::env::var("USER").ok() });
    let http = Http::new(&connection.http, connection.timeout);
    let answer = http.post("/v1/account/open", &body).await?;
    if json {
        return Ok(output::print_json(&answer)?);
    }
    let opened = answer["opened"].as_u64().unwrap_or(0);
    Ok(output::print_line(&format!("opened {} of group {group}", counted(opened, "account")))?)
}
