//! `tallymq verify`: checks a stopped broker's data directory and says every damage with its file and position.

use std::path::Path;

use indicatif::ProgressBar;
use serde_json::{Value, json};
use tallymq_storage::disk::RealDisk;

use crate::{
    arguments::VerifyArguments,
    count_text::counted,
    failure::Failure,
    output,
    verify::{self, Finding, Lost, Progress, Report},
};

struct Bar(ProgressBar);

impl Progress for Bar {
    fn partitions(&self, count: u64) {
        self.0.set_length(count);
    }

    fn partition_done(&self) {
        self.0.inc(1);
    }
}

/// Checks it. The directory's lock is held meanwhile, so that no broker starts on it; a directory that may only be read
/// and has no lock file is checked without.
pub fn run(arguments: &VerifyArguments, json: bool) -> Result<(), Failure> {
    // Which one it was must be plain wherever the name came from.
    let path = &std::path::absolute(&arguments.data_dir)?;
    if !path.is_dir() {
        return Err(Failure::Usage(match path.exists() {
            true => format!("{} is not a directory", path.display()),
            false => format!("there is no data directory at {}", path.display()),
        }));
    }
    let disk = RealDisk::open_read_only(path).map_err(|error| Failure::Failed(error.to_string()))?;
    let bar = Bar(output::progress(Some(0), "partitions"));
    let mut report = verify::verify(&disk, &bar);
    bar.0.finish_and_clear();
    if !disk.is_locked() {
        let reason = "is not there and cannot be made: what was checked may have changed meanwhile";
        report.note("lock", 0, reason);
    }
    if json {
        output::print_json(&as_json(path, &report))?
    } else {
        print(path, &report)?
    }
    match report.damages.len() as u64 {
        0 => Ok(()),
        count => Err(Failure::Damaged(format!("{} in {}", counted(count, "damage"), path.display()))),
    }
}

fn as_json(path: &Path, report: &Report) -> Value {
    let findings = |found: &[Finding]| -> Vec<Value> {
        let found = found.iter();
        found.map(|one| json!({ "file": one.file, "position": one.position, "reason": one.reason })).collect()
    };
    let counts = &report.counts;
    json!({
        "data_dir": path.display().to_string(),
        "whole": report.damages.is_empty(),
        "damages": findings(&report.damages),
        "notes": findings(&report.notes),
        "lost": report.lost.iter().map(lost).collect::<Vec<_>>(),
        "checked": {
            "checkpoints": counts.checkpoints, "wal_groups": counts.wal_groups, "wal_entries": counts.wal_entries,
            "partitions": counts.partitions, "segments": counts.segments, "batches": counts.batches,
            "accounts": counts.accounts, "journal_events": counts.journal_events, "alarms": counts.alarms,
            "bytes": counts.bytes, "compared": counts.compared, "unchecked_bytes": counts.unchecked_bytes,
        },
    })
}

fn lost(lost: &Lost) -> Value {
    json!({
        "topic": lost.topic, "topic_id": lost.tp.topic.to_string(), "partition": lost.tp.partition.0,
        "from": lost.from.0, "to": lost.to.0, "has_copy": lost.has_copy, "groups": lost.groups,
    })
}

fn print(path: &Path, report: &Report) -> Result<(), Failure> {
    output::print_line(&format!("data directory {}", path.display()))?;
    let counts = &report.counts;
    let mut table = output::table(&["checked", "count"]);
    let rows = [
        ("checkpoints", counts.checkpoints),
        ("commit groups of the WAL", counts.wal_groups),
        ("entries replayed", counts.wal_entries),
        ("partitions", counts.partitions),
        ("segments", counts.segments),
        ("batches", counts.batches),
        ("bytes of batches", counts.bytes),
        ("batches compared with the WAL", counts.compared),
        ("accounts", counts.accounts),
        ("events of their journals", counts.journal_events),
        ("alarms", counts.alarms),
        ("bytes that could not be checked", counts.unchecked_bytes),
    ];
    for (name, count) in rows {
        table.add_row([name.to_owned(), count.to_string()]);
    }
    output::print_table(&table)?;
    for (kind, found) in [("note", &report.notes), ("DAMAGE", &report.damages)] {
        for one in found {
            output::print_line(&format!("{kind}: {} at byte {}: {}", one.file, one.position, one.reason))?;
        }
    }
    if report.damages.is_empty() {
        output::print_line(
            "whole: every checksum, offset and sequence holds, and every account is balanced",
        )?;
    }
    Ok(())
}
