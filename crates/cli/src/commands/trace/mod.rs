//! `tallymq trace`: what became of one message. A search is asked for in slices: that shows how far it is, and Ctrl-C ends it with
//! what was found so far.

mod show;
mod slices;

use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde_json::Value;

use crate::{
    arguments::TraceArguments,
    failure::Failure,
    http::Http,
    output,
    position::{self, PositionSpec},
};

/// Seconds that an answer may take beyond the search.
const BEYOND_SECONDS: u64 = 30;
/// How long one slice of a search takes; Ctrl-C waits for its end.
const SLICE_SECONDS: u64 = 1;

/// Runs it.
pub async fn run(arguments: TraceArguments, json: bool) -> Result<(), Failure> {
    let answer = search(&arguments).await?;
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

/// Slice by slice, until it is over, the limit or the time is reached, or somebody presses Ctrl-C.
async fn search(arguments: &TraceArguments) -> Result<Value, Failure> {
    let http = Http::new(&arguments.http, SLICE_SECONDS + BEYOND_SECONDS);
    let until = Instant::now() + Duration::from_secs(arguments.seconds);
    let spinner = output::progress(None, "");
    let mut bar: Option<ProgressBar> = None;
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let mut is_interrupted = false;
    let mut whole: Option<Value> = None;
    loop {
        let found = whole.as_ref().map_or(0, slices::found);
        let resume = whole.as_ref().and_then(slices::resume).map(ToOwned::to_owned);
        let parameters = parameters(arguments, resume, arguments.limit.saturating_sub(found))?;
        let slice = http.get("/v1/trace", &parameters);
        tokio::pin!(slice);
        let answer = tokio::select! {
            answer = &mut slice => answer?,
            // Its slice is short, and what it finds counts.
            _ = &mut interrupted, if !is_interrupted => {
                is_interrupted = true;
                slice.await?
            }
        };
        let answer = match whole.take() {
            Some(before) => slices::joined(before, answer),
            None => answer,
        };
        let is_enough = slices::found(&answer) >= arguments.limit || Instant::now() >= until;
        if slices::resume(&answer).is_none() || is_enough || is_interrupted {
            spinner.finish_and_clear();
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
            return Ok(answer);
        }
        spinner.finish_and_clear();
        let (done, all) = slices::progress(&answer);
        let bar = bar.get_or_insert_with(|| output::progress(Some(all), "bytes"));
        bar.set_length(all);
        bar.set_position(done);
        whole = Some(answer);
    }
}

type Parameters = Vec<(&'static str, Option<String>)>;

fn parameters(arguments: &TraceArguments, resume: Option<String>, limit: u64) -> Result<Parameters, Failure> {
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
        ("limit", Some(limit.max(1).to_string())),
        ("seconds", Some(arguments.seconds.min(SLICE_SECONDS).to_string())),
        ("resume", resume),
    ])
}

/// `PARTITION:OFFSET`.
fn place(text: &str) -> Result<(String, String), Failure> {
    let parsed = position::place(text).map(|(partition, offset)| (partition.to_string(), offset.to_string()));
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
