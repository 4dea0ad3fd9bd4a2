//! Tables for people, JSON for scripts, progress for terminals. Standard output gets results only; everything else goes
//! to standard error.

use std::{
    borrow::Cow,
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

/// Prints a table.
pub fn print_table(table: &Table) -> io::Result<()> {
    print_line(&lines(table).join("\n"))
}

/// A table's lines, without blanks at their ends.
pub fn lines(table: &Table) -> Vec<String> {
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Prints one line, or several. Others wrote some of it, payloads and client ids, and no terminal is to obey them.
pub fn print_line(text: &str) -> io::Result<()> {
    print_raw(&format!("{}\n", harmless(text)))
}

/// A line for each.
pub fn print_warnings(warnings: &[String]) -> io::Result<()> {
    warnings.iter().try_for_each(|warning| print_line(&format!("WARNING {warning}")))
}

/// Line breaks, tabs and colors stay; other control characters are shown as `\u{1b}`.
fn harmless(text: &str) -> Cow<'_, str> {
    let is_obeyed = |char: char| char.is_control() && !matches!(char, '\n' | '\t');
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for (at, char) in text.char_indices() {
        if is_obeyed(char) && !is_color(&text[at..]) {
            shown.extend(char.escape_default())
        } else {
            shown.push(char)
        }
    }
    Cow::Owned(shown)
}

/// Whether it begins with a sequence that only chooses a color (ECMA-48 SGR).
fn is_color(text: &str) -> bool {
    let parameters = text
        .strip_prefix("\x1b[")
        .map(|rest| rest.trim_start_matches(|char: char| char.is_ascii_digit() || char == ';'));
    parameters.is_some_and(|rest| rest.starts_with('m'))
}

/// Prints a text in which every control character is meant, and no line break behind it.
pub fn print_raw(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Says something on standard error. That nobody reads it is no reason to fail.
pub fn note(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

/// Prints a JSON value on a line of its own.
pub fn print_json(value: &Value) -> io::Result<()> {
    // It has its own way to write control characters.
    print_raw(&format!("{value}\n"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_moves_no_cursor() {
        for meant in ["a\tä\nb", "\u{1b}[31mred\u{1b}[0;39m"] {
            assert_eq!(harmless(meant), meant);
        }
        assert_eq!(harmless("\u{1b}[2Jgone\r\u{9b}1A\u{1b}"), "\\u{1b}[2Jgone\\r\\u{9b}1A\\u{1b}");
    }
}
