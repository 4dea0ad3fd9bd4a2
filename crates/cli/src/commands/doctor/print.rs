//! How findings are shown: a table for each severity, the worst first, where what is the same for many objects stands once;
//! or all of it as JSON, whose names stand in docs/doctor.md.

use std::collections::BTreeMap;

use comfy_table::ContentArrangement;
use serde_json::{Value, json};

use super::Unchecked;
use crate::{
    count_text::counted,
    doctor::{
        Finding, Object, Severity,
        client::{ClientFile, Dialect},
        cluster::facts::Cluster,
    },
    failure::Failure,
    output,
};

/// Objects that are named in a row of the table.
const OBJECTS_MAX: usize = 3;

/// What there is to show.
pub struct Report<'a> {
    pub findings: &'a [Finding],
    pub unchecked: &'a [Unchecked],
    pub cluster: Option<&'a Cluster>,
    pub files: &'a [ClientFile],
}

impl Report<'_> {
    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// As one JSON value.
pub fn json(report: &Report<'_>) -> Result<(), Failure> {
    let unchecked = report.unchecked.iter();
    let unchecked: Vec<Value> =
        unchecked.map(|one| json!({ "what": one.what, "why": one.why, "refused": one.refused })).collect();
    let files = report.files.iter();
    let files: Vec<Value> = files
        .map(|file| {
            let kind = kind(file.dialect);
            let (producer, consumer) = (file.is_producer(), file.is_consumer());
            json!({ "file": file.path, "kind": kind, "guessed": file.guessed, "producer": producer, "consumer": consumer })
        })
        .collect();
    let cluster = report.cluster.map(|cluster| {
        json!({
            "id": cluster.id, "tallymq": cluster.tallymq, "brokers": cluster.brokers.len(), "topics": cluster.topics.len(),
            "groups": cluster.groups.len(), "watched_ms": cluster.watched_ms,
        })
    });
    let counts: serde_json::Map<String, Value> = Severity::ALL
        .iter()
        .map(|severity| (severity.name().to_owned(), json!(report.count(*severity))))
        .collect();
    Ok(output::print_json(&json!({
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "counts": counts,
        "unchecked": unchecked,
        "cluster": cluster,
        "client_configs": files,
    }))?)
}

fn kind(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Java => "java",
        Dialect::Librdkafka => "librdkafka",
    }
}

fn finding(found: &Finding) -> Value {
    let setting = found.setting.as_ref().map(|setting| {
        json!({
            "name": setting.name, "present": setting.present, "default": setting.is_default, "suggested": setting.suggested,
        })
    });
    json!({
        "severity": found.severity.name(),
        "rule": found.rule.name(),
        "object": object(&found.object),
        "why": found.why,
        "setting": setting,
    })
}

fn object(object: &Object) -> Value {
    match object {
        Object::Cluster => json!({ "kind": "cluster" }),
        Object::Broker(id) => json!({ "kind": "broker", "broker": id }),
        Object::Topic(topic) => json!({ "kind": "topic", "topic": topic }),
        Object::Partition(topic, partition) => {
            json!({ "kind": "partition", "topic": topic, "partition": partition })
        }
        Object::Group(group) => json!({ "kind": "group", "group": group }),
        Object::Position(group, topic, partition) => {
            json!({ "kind": "position", "group": group, "topic": topic, "partition": partition })
        }
        Object::Client(file, line) => json!({ "kind": "client", "file": file, "line": line }),
    }
}

/// As text.
pub fn tables(report: &Report<'_>) -> Result<(), Failure> {
    for severity in Severity::ALL {
        let title = match severity {
            Severity::Loss => "LOSS: records can be lost or never read",
            Severity::Duplicate => "DUPLICATE: records can be stored or handled twice",
            Severity::Advice => "ADVICE: what hides the other two or leads to them",
        };
        let count = report.count(severity);
        if count > 0 {
            output::print_line(&format!("{title} ({count})"))?;
            table(report.findings, severity)?;
            output::print_line("")?;
        }
    }
    for one in report.unchecked {
        output::print_line(&format!("NOT CHECKED: {}: {}", one.what, one.why))?;
    }
    let mut looked_at: Vec<String> = Vec::new();
    if let Some(cluster) = report.cluster {
        let name = if cluster.tallymq { "TallyMQ" } else { "Kafka" };
        let (brokers, topics, groups) = (cluster.brokers.len(), cluster.topics.len(), cluster.groups.len());
        looked_at.push(format!("{name} cluster (brokers {brokers}, topics {topics}, groups {groups})"));
    }
    looked_at.extend(report.files.iter().map(|file| format!("{} ({})", file.path, kind(file.dialect))));
    let count = counted(report.findings.len() as u64, "finding");
    Ok(output::print_line(&format!("{count}; looked at: {}", looked_at.join(", ")))?)
}

fn table(findings: &[Finding], severity: Severity) -> Result<(), Failure> {
    let mut table = output::table(&["object", "why", "setting", "now", "better"]);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    for (found, objects) in together(findings.iter().filter(|finding| finding.severity == severity)) {
        let more = objects.len().saturating_sub(OBJECTS_MAX);
        let mut named =
            objects.iter().take(OBJECTS_MAX).map(ToString::to_string).collect::<Vec<_>>().join(", ");
        if more > 0 {
            named.push_str(&format!(" and {more} more"));
        }
        let setting = found.setting.clone().unwrap_or_default();
        let mut now = setting.present.unwrap_or_else(|| "-".to_owned());
        if setting.is_default {
            now.push_str(" (default)");
        }
        let better = setting.suggested.unwrap_or_else(|| "-".to_owned());
        let name = if setting.name.is_empty() { "-".to_owned() } else { setting.name };
        table.add_row([named, found.why.clone(), name, now, better]);
    }
    Ok(output::print_table(&table)?)
}

/// What differs in nothing but the object, in the order of the first of each.
fn together<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<(&'a Finding, Vec<&'a Object>)> {
    let mut rows: Vec<(&Finding, Vec<&Object>)> = Vec::new();
    let mut places: BTreeMap<(&str, &str, Option<&str>), usize> = BTreeMap::new();
    for finding in findings {
        let present = finding.setting.as_ref().and_then(|setting| setting.present.as_deref());
        let key = (finding.rule.name(), finding.why.as_str(), present);
        let place = *places.entry(key).or_insert(rows.len());
        match rows.get_mut(place) {
            Some((first, objects)) if first.setting == finding.setting => objects.push(&finding.object),
            _ => rows.push((finding, vec![&finding.object])),
        }
    }
    rows
}
