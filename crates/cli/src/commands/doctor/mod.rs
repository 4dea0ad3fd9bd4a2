//! `tallymq doctor`: looks at any Kafka-compatible cluster and at clients' property files, and lists what can lose or double
//! messages. The rules are in `crate::doctor`; here the facts are gathered and the findings printed.

mod gather;
mod print;
mod watch;

use std::{fs, time::Duration};

use crate::{
    arguments::{ClientKind, Connection, DoctorArguments, FailOn},
    client::Client,
    count_text::counted,
    doctor::{
        Severity,
        client::{self as clients, ClientFile, Dialect, Surroundings},
        cluster::{self, facts::Cluster},
    },
    failure::{Failure, Found},
    output,
};

/// Where a broker is if nobody says.
const BOOTSTRAP_DEFAULT: &str = "127.0.0.1:9092";

/// Something that was not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unchecked {
    /// What.
    pub what: String,
    /// Why not.
    pub why: String,
    /// The cluster has it and did not tell; else it has no such thing.
    pub refused: bool,
}

/// Looks, prints, and ends with the exit code of the worst.
pub async fn run(arguments: DoctorArguments, json: bool) -> Result<(), Failure> {
    let files = read_files(&arguments)?;
    let mut unchecked = Vec::new();
    let cluster = look(&arguments, files.is_empty(), &mut unchecked).await?;
    let around = cluster.as_ref().map_or_else(Surroundings::default, cluster::surroundings);
    let mut findings = cluster.as_ref().map(cluster::examine).unwrap_or_default();
    for file in &files {
        findings.extend(clients::examine(file, around));
        unchecked.extend(not_told_by(file));
    }
    findings.sort_by(|a, b| (a.severity, a.rule, &a.object).cmp(&(b.severity, b.rule, &b.object)));
    let report = print::Report {
        findings: &findings,
        unchecked: &unchecked,
        cluster: cluster.as_ref(),
        files: &files,
    };
    if json {
        print::json(&report)?
    } else {
        print::tables(&report)?
    }

    let worst = findings.iter().map(|finding| finding.severity).min();
    if let Some(worst) = worst.filter(|worst| fails(arguments.fail_on, *worst)) {
        let count = findings.iter().filter(|finding| finding.severity == worst).count();
        let text = format!("{} of severity {}", counted(count as u64, "finding"), worst.name());
        return Err(Failure::Found(found(worst), text));
    }
    let refused = unchecked.iter().filter(|one| one.refused).count();
    if refused > 0 && !arguments.allow_unchecked && arguments.fail_on != FailOn::Never {
        return Err(Failure::Failed(format!(
            "{refused} things could not be checked; --allow-unchecked accepts that"
        )));
    }
    Ok(())
}

fn fails(fail_on: FailOn, severity: Severity) -> bool {
    match fail_on {
        FailOn::Never => false,
        FailOn::Loss => severity == Severity::Loss,
        FailOn::Duplicate => severity <= Severity::Duplicate,
        FailOn::Advice => true,
    }
}

fn found(severity: Severity) -> Found {
    match severity {
        Severity::Loss => Found::Loss,
        Severity::Duplicate => Found::Duplicate,
        Severity::Advice => Found::Advice,
    }
}

fn read_files(arguments: &DoctorArguments) -> Result<Vec<ClientFile>, Failure> {
    let dialect = arguments.client_kind.map(|kind| match kind {
        ClientKind::Java => Dialect::Java,
        ClientKind::Librdkafka => Dialect::Librdkafka,
    });
    let read = |path: &std::path::PathBuf| {
        let bytes = fs::read(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        Ok(ClientFile::parse(&path.display().to_string(), &String::from_utf8_lossy(&bytes), dialect))
    };
    arguments.client_config.iter().map(read).collect()
}

/// What could not be judged for lack of keys that tell.
fn not_told_by(file: &ClientFile) -> Option<Unchecked> {
    if !file.is_producer() && !file.is_consumer() {
        let why = "it has no setting that only a producer or only a consumer has: defaults were not judged"
            .to_owned();
        return Some(Unchecked { what: file.path.clone(), why, refused: false });
    }
    let why = "its keys fit Java and librdkafka: read as Java's; --client-kind says which".to_owned();
    file.guessed.then(|| Unchecked { what: file.path.clone(), why, refused: false })
}

/// The cluster that is named; the local one if nothing at all is.
async fn look(
    arguments: &DoctorArguments,
    no_files: bool,
    unchecked: &mut Vec<Unchecked>,
) -> Result<Option<Cluster>, Failure> {
    let bootstrap = match &arguments.bootstrap {
        Some(bootstrap) => bootstrap.clone(),
        None if no_files => BOOTSTRAP_DEFAULT.to_owned(),
        None => return Ok(None),
    };
    let connection = Connection { bootstrap, timeout: arguments.timeout };
    let mut client = Client::connect(&connection).await?;
    let bar = output::progress(Some(arguments.watch_seconds), "seconds");
    let limit = Duration::from_secs(arguments.watch_seconds);
    let cluster = gather::gather(&mut client, limit, &bar, unchecked).await?;
    bar.finish_and_clear();
    Ok(Some(cluster))
}
