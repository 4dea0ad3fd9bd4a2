//! `tallymq trace`: what became of one message.

mod show;

use serde_json::Value;

use crate::{arguments::TraceArguments, failure::Failure, http::Http, output, position::PositionSpec};

/// Seconds that an answer may take beyond the search.
const BEYOND_SECONDS: u64 = 30;

/// Runs it.
pub async fn run(arguments: TraceArguments, json: bool) -> Result<(), Failure> {
    let parameters = parameters(&arguments)?;
    let http = Http::new(&arguments.http, arguments.seconds.saturating_add(BEYOND_SECONDS));
    let spinner = output::progress(None, "");
    let answer = http.get("/v1/trace", &parameters).await;
    spinner.finish_and_clear();
    let answer = answer?;
    if json {
        output::print_json(&answer)?;
    } else {
        output::print_line(&show::text(&answer))?;
    }
    match answer.get("not_here") {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(Failure::Failed("not here".to_owned())),
    }
}

type Parameters = Vec<(&'static str, Option<String>)>;

fn parameters(arguments: &TraceArguments) -> Result<Parameters, Failure> {
    let place = arguments.offset.as_deref().map(place).transpose()?;
    let (partition, offset) = place.unzip();
    let partition = partition.or_else(|| arguments.partition.map(|partition| partition.to_string()));
    Ok(vec![
        ("topic", Some(arguments.topic.clone())),
        ("partition", partition),
        ("offset", offset),
        ("key", arguments.key.clone()),
        ("producer", arguments.producer.clone()),
        ("seq", arguments.seq.map(|seq| seq.to_string())),
        ("header", arguments.header.clone()),
        ("since", time("--since", arguments.since.as_deref())?),
        ("until", time("--until", arguments.until.as_deref())?),
        ("limit", Some(arguments.limit.to_string())),
        ("seconds", Some(arguments.seconds.to_string())),
    ])
}

/// `PARTITION:OFFSET`.
fn place(text: &str) -> Result<(String, String), Failure> {
    let parsed = text.split_once(':').and_then(|(partition, offset)| {
        Some((partition.parse::<u32>().ok()?.to_string(), offset.parse::<u64>().ok()?.to_string()))
    });
    parsed.ok_or_else(|| Failure::Usage(format!("--offset: `{text}` is no place: it looks like 3:1742")))
}

fn time(flag: &str, text: Option<&str>) -> Result<Option<String>, Failure> {
    let Some(text) = text else { return Ok(None) };
    match text.parse() {
        Ok(PositionSpec::Time(ms)) => Ok(Some(ms.to_string())),
        _ => Err(Failure::Usage(format!(
            "{flag}: `{text}` is no time: use one like 2026-01-31T12:00:00Z, or @MILLISECONDS since 1970"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_times_are_read() {
        assert_eq!(place("3:17").unwrap(), ("3".to_owned(), "17".to_owned()));
        for bad in ["3", "3:", ":17", "-1:17", "3:-1", "a:b"] {
            assert!(place(bad).is_err(), "{bad}");
        }
        assert_eq!(time("--since", Some("@12")).unwrap().as_deref(), Some("12"));
        assert!(time("--since", Some("12")).is_err());
        assert_eq!(time("--since", None).unwrap(), None);
    }
}
