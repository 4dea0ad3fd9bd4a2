//! What a bench run prints.

use serde_json::json;

use super::load::Measured;
use crate::{arguments::BenchArguments, count_text::counted, failure::Failure, output};

/// Prints it all, as a table or as JSON.
pub fn print(arguments: &BenchArguments, measured: &Measured, json: bool) -> Result<(), Failure> {
    let seconds = measured.took.as_secs_f64().max(f64::MIN_POSITIVE);
    let rate = measured.records as f64 / seconds;
    let megabytes = measured.bytes as f64 / seconds / 1e6;
    let millis = |quantile: f64| measured.latency_micros.value_at_quantile(quantile) as f64 / 1000.0;
    let max = measured.latency_micros.max() as f64 / 1000.0;
    if json {
        return Ok(output::print_json(&json!({
            "topic": arguments.topic, "connections": arguments.connections, "target_rate": arguments.rate,
            "record_bytes": arguments.record_bytes, "batch_records": arguments.batch_records,
            "seconds": seconds, "records": measured.records, "errors": measured.errors,
            "records_per_second": rate, "megabytes_per_second": megabytes,
            "latency_ms": { "p50": millis(0.5), "p99": millis(0.99), "p99_9": millis(0.999), "max": max },
        }))?);
    }
    let from = if arguments.rate.is_some() { "from when it was due" } else { "from when it was sent" };
    let mut table = output::table(&["measured", "value"]);
    table.add_row([
        "acknowledged".to_owned(),
        format!("{} in {seconds:.2} s", counted(measured.records, "record")),
    ]);
    table.add_row(["throughput".to_owned(), format!("{rate:.0} records/s, {megabytes:.1} MB/s")]);
    table.add_row(["latency of a batch".to_owned(), from.to_owned()]);
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
        table.add_row([format!("  {name}"), format!("{:.2} ms", millis(quantile))]);
    }
    table.add_row(["  max".to_owned(), format!("{max:.2} ms")]);
    table.add_row(["errors".to_owned(), measured.errors.to_string()]);
    Ok(output::print_table(&table)?)
}
