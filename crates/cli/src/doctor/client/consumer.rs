//! Consumers: what is committed when, where they begin without a position, and what they read (KIP-98, KIP-1106). Pure.

use super::{ClientFile, Dialect, Surroundings, file::Known};
use crate::doctor::{Finding, Rule, Severity};

/// Settings that only a member of a group has a use for.
const OF_GROUPS: &[&str] = &[
    "group.id",
    "group.instance.id",
    "group.protocol",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "max.poll.interval.ms",
    "auto.commit.interval.ms",
    "enable.auto.offset.store",
    "partition.assignment.strategy",
];
/// The defaults of `max.poll.interval.ms` and `max.poll.records`.
pub(super) const POLL_INTERVAL_MS: i64 = 300_000;
pub(super) const POLL_RECORDS: i64 = 500;

/// Findings about commits, positions and transactions.
pub fn examine(file: &ClientFile, around: Surroundings) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(commits_itself(file));
    findings.extend(reset(file));
    findings.extend(reads_aborted(file, around));
    findings.extend(unchecked(file));
    findings
}

/// Whether positions are committed without the application's doing. Java does so by default only where there is a group
/// (`ConsumerConfig.maybeOverrideEnableAutoCommit`).
pub(super) fn auto_commit(file: &ClientFile) -> Known<bool> {
    let grouped = OF_GROUPS.iter().any(|key| file.written(key).is_some());
    file.flag("enable.auto.commit", grouped || file.dialect == Dialect::Librdkafka)
}

fn commits_itself(file: &ClientFile) -> Option<Finding> {
    let commit = auto_commit(file);
    if !commit.value {
        return None;
    }
    match file.dialect {
        Dialect::Java => Some(java_commits(file, &commit)),
        Dialect::Librdkafka => librdkafka_stores(file),
    }
}

/// Java commits inside of poll() what the polls before it returned: safe for who handles all of it before the next poll.
fn java_commits(file: &ClientFile, commit: &Known<bool>) -> Finding {
    let interval = file.number("max.poll.interval.ms", POLL_INTERVAL_MS);
    let records = file.number("max.poll.records", POLL_RECORDS);
    let slow = [(interval.value > POLL_INTERVAL_MS, &interval), (records.value < POLL_RECORDS, &records)];
    let (severity, why) = match slow.iter().find(|(slow, _)| *slow) {
        Some((_, hint)) => (
            Severity::Loss,
            format!(
                "handlers seem to be slow ({}={}), and the next poll() commits what is handed to other threads before \
                 it is handled: a crash loses it",
                hint.name, hint.text
            ),
        ),
        None => (
            Severity::Duplicate,
            "poll() commits by the clock: after a crash what was handled since comes again, and what other threads \
             still work on is lost"
                .to_owned(),
        ),
    };
    file.finding(severity, Rule::ClientAutoCommit, commit, "false, and commit after handling", why)
}

/// librdkafka commits in the background what it has handed out, handled or not, unless the application stores offsets.
fn librdkafka_stores(file: &ClientFile) -> Option<Finding> {
    let store = file.flag("enable.auto.offset.store", true);
    let why = "a record's offset is stored when it is handed out and committed by the clock: a crash while it is handled \
               loses it";
    let suggested = "false, and store the offset after handling";
    store.value.then(|| file.finding(Severity::Loss, Rule::ClientOffsetStore, &store, suggested, why))
}

fn reset(file: &ClientFile) -> Option<Finding> {
    let default = if file.dialect == Dialect::Java { "latest" } else { "largest" };
    let reset = file.word("auto.offset.reset", default);
    let why = match reset.value.as_str() {
        "latest" | "largest" | "end" => {
            "where there is no valid position (a new group, an added partition, an expired or deleted position) it jumps to \
             the end and never reads what is before"
                .to_owned()
        }
        text if text.starts_with("by_duration:") => {
            "where there is no valid position, records that are older than the duration are never read".to_owned()
        }
        _ => return None,
    };
    Some(file.finding(Severity::Loss, Rule::ClientOffsetReset, &reset, "earliest", why))
}

/// Java reads records of aborted transactions by default, librdkafka does not.
fn reads_aborted(file: &ClientFile, around: Surroundings) -> Option<Finding> {
    let default = if file.dialect == Dialect::Java { "read_uncommitted" } else { "read_committed" };
    let isolation = file.word("isolation.level", default);
    if isolation.value != "read_uncommitted" || !(isolation.is_set() || around.transactions) {
        return None;
    }
    let why =
        "it reads the records of aborted transactions too, and once more when the producer sends them again";
    Some(file.finding(Severity::Duplicate, Rule::ClientIsolation, &isolation, "read_committed", why))
}

fn unchecked(file: &ClientFile) -> Option<Finding> {
    let check = file.flag("check.crcs", file.dialect == Dialect::Java);
    let why = "records that were damaged on the disk or on the way are handed to the application as they are";
    (!check.value).then(|| file.finding(Severity::Advice, Rule::ClientChecksums, &check, "true", why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, dialect: Dialect, transactions: bool) -> Vec<String> {
        let file = ClientFile::parse("f", text, Some(dialect));
        let findings = examine(&file, Surroundings { tallymq: false, transactions }).into_iter();
        findings.map(|finding| format!("{} {}", finding.severity.name(), finding.rule.name())).collect()
    }

    const SAFE: &str = "group.id=g\nauto.offset.reset=earliest\n";

    fn java(more: &str) -> Vec<String> {
        found(&format!("{SAFE}enable.auto.commit=false\n{more}"), Dialect::Java, false)
    }

    fn rd(more: &str) -> Vec<String> {
        let safe = "check.crcs=true\nenable.auto.offset.store=false\n";
        found(&format!("{SAFE}{safe}{more}"), Dialect::Librdkafka, false)
    }

    const NONE: [&str; 0] = [];

    #[test]
    fn commits_by_the_clock() {
        assert_eq!(java(""), NONE);
        assert_eq!(java("enable.auto.commit=true"), ["duplicate client-auto-commit"]);
        assert_eq!(found(SAFE, Dialect::Java, false), ["duplicate client-auto-commit"], "the default");
        assert_eq!(java("enable.auto.commit=true\nmax.poll.records=10"), ["loss client-auto-commit"]);
        assert_eq!(java("enable.auto.commit=true\nmax.poll.interval.ms=900000"), ["loss client-auto-commit"]);
        let without_group = found("auto.offset.reset=earliest", Dialect::Java, false);
        assert_eq!(without_group, NONE, "without a group Java commits nothing");
        assert_eq!(rd(""), NONE);
        assert_eq!(rd("enable.auto.offset.store=true"), ["loss client-offset-store"]);
        assert_eq!(rd("enable.auto.offset.store=true\nenable.auto.commit=false"), NONE);
        assert_eq!(
            found(SAFE, Dialect::Librdkafka, false),
            ["loss client-offset-store", "advice client-checksums"],
            "the defaults"
        );
    }

    #[test]
    fn beginnings() {
        for reset in ["latest", "by_duration:PT1H"] {
            assert_eq!(java(&format!("auto.offset.reset={reset}")), ["loss client-offset-reset"], "{reset}");
        }
        assert_eq!(java("auto.offset.reset=none"), NONE);
        assert_eq!(found("enable.auto.commit=false", Dialect::Java, false), ["loss client-offset-reset"]);
        assert_eq!(rd("auto.offset.reset=End"), ["loss client-offset-reset"]);
        assert_eq!(rd("auto.offset.reset=error"), NONE);
    }

    #[test]
    fn transactions_and_checksums() {
        assert_eq!(java("isolation.level=read_uncommitted"), ["duplicate client-isolation"]);
        assert_eq!(rd("isolation.level=read_uncommitted"), ["duplicate client-isolation"]);
        let transactions =
            |more: &str, dialect| found(&format!("{SAFE}enable.auto.commit=false\n{more}"), dialect, true);
        assert_eq!(
            transactions("", Dialect::Java),
            ["duplicate client-isolation"],
            "Java's default matters now"
        );
        assert_eq!(transactions("isolation.level=read_committed", Dialect::Java), NONE);
        assert_eq!(transactions("check.crcs=true", Dialect::Librdkafka), NONE);
        assert_eq!(java("check.crcs=false"), ["advice client-checksums"]);
    }
}
