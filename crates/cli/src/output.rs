//! Tables for people, JSON for scripts, progress for terminals. Standard output gets results only; everything else goes
//! to standard error.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

/// An empty table with these columns.
pub fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| column.to_uppercase()));
    table
}

/// Prints a table. A reader that closed the pipe is not an error.
pub fn print_table(table: &Table) -> io::Result<()> {
    print_line(&lines(table).join("\n"))
}

/// A table's lines, without blanks at their ends.
pub fn lines(table: &Table) -> Vec<String> {
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Prints one line, or several.
pub fn print_line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Prints a JSON value on a line of its own.
pub fn print_json(value: &Value) -> io::Result<()> {
    print_line(&value.to_string())
}

/// A progress bar over `total` units (a spinner if it is not known), shown only on a terminal.
pub fn progress(total: Option<u64>, unit: &str) -> ProgressBar {
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::no_length(),
    };
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
        return bar;
    }
    let template = match (total, unit) {
        (Some(_), "bytes") => "{wide_bar} {bytes}/{total_bytes} {eta}",
        (Some(_), _) => "{wide_bar} {pos}/{len} {eta}",
        (None, "bytes") => "{spinner} {bytes} {bytes_per_sec} {msg}",
        (None, _) => "{spinner} {pos} {per_sec} {msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Asks a yes-or-no question on the terminal. Without one the answer is no.
pub fn confirm(question: &str) -> io::Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
