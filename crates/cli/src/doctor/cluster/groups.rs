//! Groups: who stands still, who reads nothing, and what of it will be removed unread. Pure: two looks at the same
//! positions, some seconds apart, come in.

use super::{
    facts::{Cluster, Group, Position},
    retention::Expiry,
};
use crate::count_text::{counted, counted_are};
use crate::doctor::{Finding, Object, Rule, Setting, Severity};

/// Kafka's default of `auto.commit.interval.ms`: who commits more rarely chose to.
const COMMIT_INTERVAL_MS: i64 = 5000;

/// Findings about groups.
pub fn examine(cluster: &Cluster) -> Vec<Finding> {
    let mut findings = Vec::new();
    for group in &cluster.groups {
        findings.extend(idle_members(group));
        findings.extend(uncommitted(group));
        for position in &group.positions {
            findings.extend(judge(cluster, group, position));
            findings.extend(commit_interval(cluster, group, position));
        }
    }
    findings
}

fn object(group: &Group, position: &Position) -> Object {
    Object::Position(group.name.clone(), position.topic.clone(), position.partition)
}

/// The worst that can be said of one position.
fn judge(cluster: &Cluster, group: &Group, position: &Position) -> Option<Finding> {
    let finding =
        |severity, rule, why: String| Some(Finding::new(severity, rule, object(group, position), why));
    let last = position.last;
    if last.position < position.log_start {
        let count = position.log_start - last.position;
        let why = format!(
            "its position {} is before the log start {}: up to {} removed unread",
            last.position,
            position.log_start,
            counted(count as u64, "record")
        );
        let found = finding(Severity::Loss, Rule::GroupExpired, why);
        return found.map(|found| kept_longer(cluster, position, found));
    }
    if last.position > last.log_end {
        let why = format!(
            "its position {} is behind the log end {}: the log was cut or made anew, and auto.offset.reset decides what is \
             skipped",
            last.position, last.log_end
        );
        return finding(Severity::Loss, Rule::GroupBeyondEnd, why);
    }
    if last.lag() == 0 {
        return None;
    }
    let expiry = Expiry::of(cluster, position);
    let text = expiry.map_or_else(|| "nothing removes them".to_owned(), Expiry::text);
    let near = expiry.is_some_and(Expiry::is_near);
    let severity = if near { Severity::Loss } else { Severity::Advice };
    // Longer retention mends nothing, but it gains time where there is little.
    let longer = |found| if near { kept_longer(cluster, position, found) } else { found };
    let lag = last.lag();
    let unread = counted_are(lag as u64, "record");
    // Who reads without being a member (`assign()`) shows by its commits.
    let moved = position.first.is_some_and(|first| last.position > first.position);
    if group.members.is_empty() && !moved {
        let why = format!("it has no members and {unread} unread; {text}");
        return finding(severity, Rule::GroupEmpty, why).map(longer);
    }
    if group.state == "Stable" && !position.owned && !moved {
        let why = format!("no member reads this partition and {unread} unread; {text}");
        return finding(severity, Rule::GroupUnowned, why).map(longer);
    }
    if let Some(grown) = stuck(position) {
        let why = format!(
            "{} came in {} s and no commit moved; {unread} unread; {text}",
            counted(grown as u64, "record"),
            cluster.watched_ms / 1000
        );
        let severity = if expiry.is_some() { Severity::Loss } else { Severity::Advice };
        return finding(severity, Rule::GroupStuck, why).map(longer);
    }
    if near && !catches_up(cluster, position, expiry) {
        let why = format!("it is {} behind; {text}", counted(lag as u64, "record"));
        return finding(Severity::Loss, Rule::GroupExpiring, why).map(longer);
    }
    None
}

/// By how much the lag of a position grew that did not move.
fn stuck(position: &Position) -> Option<i64> {
    let first = position.first?;
    let grown = position.last.lag() - first.lag();
    (position.moves == 0 && position.last.position <= first.position && grown > 0).then_some(grown)
}

/// Whether, at the pace between the two looks, all that is unread now is read before it expires.
fn catches_up(cluster: &Cluster, position: &Position, expiry: Option<Expiry>) -> bool {
    let (Some(first), Some(expiry)) = (position.first, expiry) else {
        return false;
    };
    let read = position.last.position - first.position;
    if read <= 0 || cluster.watched_ms <= 0 {
        return false;
    }
    let needed_ms = i128::from(position.last.lag()) * i128::from(cluster.watched_ms) / i128::from(read);
    needed_ms < i128::from(expiry.left_ms)
}

/// With the setting that would keep unread records for longer.
fn kept_longer(cluster: &Cluster, position: &Position, found: Finding) -> Finding {
    let topic = cluster.topic(&position.topic);
    let Some((topic, retention_ms)) = topic.and_then(|topic| Some((topic, topic.retention_ms()?))) else {
        return found;
    };
    let longer = retention_ms.saturating_mul(4).max(1).to_string();
    found.mended_by(topic.settings.setting("retention.ms", longer))
}

/// Not wrong for who keeps positions elsewhere; for all others a restart is a gamble.
fn uncommitted(group: &Group) -> Option<Finding> {
    let (topic, partition) = group.uncommitted.first()?;
    let why = format!(
        "it never committed on {} with records that its members have ({topic}-{partition} is one): after a \
         restart auto.offset.reset decides what is skipped or repeated",
        counted(group.uncommitted.len() as u64, "partition")
    );
    Some(Finding::new(Severity::Advice, Rule::GroupUncommitted, Object::Group(group.name.clone()), why))
}

fn idle_members(group: &Group) -> Option<Finding> {
    let idle = group.members.iter().filter(|member| member.partitions == 0).count();
    if group.state != "Stable" || idle == 0 {
        return None;
    }
    let why = format!(
        "{idle} of {} without a partition: more members than partitions do not read faster",
        counted(group.members.len() as u64, "member")
    );
    Some(Finding::new(Severity::Advice, Rule::GroupIdleMember, Object::Group(group.name.clone()), why))
}

/// What was seen of its commits: (moves + 1) intervals were longer than the time that was watched.
fn commit_interval(cluster: &Cluster, group: &Group, position: &Position) -> Option<Finding> {
    let first = position.first?;
    let read = position.last.position - first.position;
    let seldom = (position.moves as i64 + 1).saturating_mul(COMMIT_INTERVAL_MS) < cluster.watched_ms;
    if read <= 0 || position.moves == 0 || !seldom {
        return None;
    }
    let why = format!(
        "it moved {} in {} s, by {}: after a crash what is handled since its last commit comes again",
        counted(position.moves, "time"),
        cluster.watched_ms / 1000,
        counted(read as u64, "record")
    );
    let setting = Setting {
        name: "auto.commit.interval.ms".to_owned(),
        present: None,
        is_default: false,
        suggested: Some(format!("{COMMIT_INTERVAL_MS}, or a commit after each batch")),
    };
    let found = Finding::new(Severity::Duplicate, Rule::GroupCommitInterval, object(group, position), why);
    Some(found.mended_by(setting))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::cluster::facts::{Look, Member, Topic};

    const NOW_MS: i64 = 1_700_000_000_000;
    const HOUR_MS: i64 = 3_600_000;

    fn position(first: (i64, i64), last: (i64, i64), moves: u64) -> Position {
        let look = |(position, log_end)| Look { position, log_end };
        Position {
            topic: "t".to_owned(),
            first: Some(look(first)),
            last: look(last),
            moves,
            unread_ms: Some(NOW_MS - HOUR_MS),
            owned: true,
            ..Position::default()
        }
    }

    /// The topic keeps records for `retention_ms`; the next unread one is an hour old.
    fn found(position: Position, members: &[usize], retention_ms: i64) -> Vec<String> {
        let mut topic = Topic { name: "t".to_owned(), ..Topic::default() };
        topic.settings.put("cleanup.policy", "delete", true);
        topic.settings.put("retention.ms", retention_ms.to_string(), true);
        let members =
            members.iter().map(|partitions| Member { partitions: *partitions, ..Member::default() });
        let state = if members.len() == 0 { "Empty" } else { "Stable" };
        let group = Group {
            name: "g".to_owned(),
            state: state.to_owned(),
            members: members.collect(),
            positions: vec![position],
            uncommitted: Vec::new(),
        };
        let cluster = Cluster {
            topics: vec![topic],
            groups: vec![group],
            now_ms: NOW_MS,
            watched_ms: 12_000,
            ..Cluster::default()
        };
        let findings = examine(&cluster).into_iter();
        findings.map(|finding| format!("{} {}", finding.severity.name(), finding.rule.name())).collect()
    }

    const NONE: [&str; 0] = [];
    const LONG_MS: i64 = 100 * HOUR_MS;
    const SHORT_MS: i64 = HOUR_MS + 60_000;

    #[test]
    fn what_is_gone_already() {
        let mut expired = position((5, 100), (5, 100), 0);
        expired.log_start = 50;
        assert_eq!(found(expired, &[1], LONG_MS), ["loss group-expired"]);
        assert_eq!(found(position((200, 100), (200, 100), 0), &[1], LONG_MS), ["loss group-beyond-end"]);
    }

    #[test]
    fn stuck_is_growing_lag_without_a_commit() {
        assert_eq!(found(position((5, 100), (5, 110), 0), &[1], LONG_MS), ["loss group-stuck"]);
        assert_eq!(
            found(position((5, 100), (5, 110), 0), &[1], -1),
            ["advice group-stuck"],
            "nothing expires"
        );
        assert_eq!(found(position((5, 100), (5, 100), 0), &[1], LONG_MS), NONE, "nothing came");
        assert_eq!(found(position((5, 100), (9, 200), 3), &[1], LONG_MS), NONE, "slow, but it moves");
        assert_eq!(found(position((100, 100), (100, 100), 0), &[1], LONG_MS), NONE, "all is read");
        let mut one_look = position((5, 100), (5, 110), 0);
        one_look.first = None;
        assert_eq!(found(one_look, &[1], LONG_MS), NONE, "one look cannot tell");
    }

    #[test]
    fn nobody_reads() {
        assert_eq!(found(position((5, 100), (5, 110), 0), &[], LONG_MS), ["advice group-empty"]);
        assert_eq!(
            found(position((5, 100), (5, 100), 0), &[], SHORT_MS),
            ["loss group-empty"],
            "soon removed"
        );
        assert_eq!(found(position((100, 100), (100, 100), 0), &[], SHORT_MS), NONE);
        assert_eq!(
            found(position((5, 100), (9, 100), 3), &[], LONG_MS),
            NONE,
            "it reads without being a member"
        );
        let mut unowned = position((5, 100), (5, 100), 0);
        unowned.owned = false;
        assert_eq!(found(unowned, &[3], LONG_MS), ["advice group-unowned"]);
        assert_eq!(
            found(position((100, 100), (100, 100), 0), &[1, 0], LONG_MS),
            ["advice group-idle-member"]
        );
    }

    #[test]
    fn a_race_with_retention() {
        // 60 s are left for 1,000 records; 10 in 12 s are too few, 900 are enough.
        assert_eq!(found(position((90, 1100), (100, 1100), 4), &[1], SHORT_MS), ["loss group-expiring"]);
        assert_eq!(found(position((0, 1900), (900, 1900), 4), &[1], SHORT_MS), NONE);
        assert_eq!(found(position((90, 1100), (100, 1100), 4), &[1], LONG_MS), NONE);
    }

    #[test]
    fn a_group_that_never_commits() {
        let group = Group { uncommitted: vec![("t".to_owned(), 3)], ..Group::default() };
        let cluster = Cluster { groups: vec![group], ..Cluster::default() };
        let found = examine(&cluster);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].rule, found[0].severity), (Rule::GroupUncommitted, Severity::Advice));
        assert!(found[0].why.contains("1 partition ") && found[0].why.contains("t-3"), "{}", found[0].why);
    }

    #[test]
    fn rare_commits() {
        assert_eq!(
            found(position((0, 100), (100, 100), 1), &[1], LONG_MS),
            ["duplicate group-commit-interval"]
        );
        assert_eq!(found(position((0, 100), (100, 100), 2), &[1], LONG_MS), NONE, "each 5 s, as by default");
    }
}
