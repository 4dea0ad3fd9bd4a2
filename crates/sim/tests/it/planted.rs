//! The list of planted bugs against the sources: a switch that nobody lists would never be tried.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tallymq_sim::planted::{PLANTED, find};

fn collect_switches(folder: &Path, switches: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a source folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("crates/sim") {
            collect_switches(&path, switches);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for after in code.flat_map(|line| line.split("planted(\"").skip(1)) {
                switches.extend(after.split('"').next().map(str::to_owned));
            }
        }
    }
}

#[test]
fn every_switch_in_the_sources_is_listed() {
    let mut switches = BTreeSet::new();
    collect_switches(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates"), &mut switches);
    let unlisted: Vec<_> = switches.iter().filter(|name| find(name).is_none()).collect();
    assert!(unlisted.is_empty(), "planted in the sources but not in tallymq_sim::planted: {unlisted:?}");
}

#[test]
fn names_are_unique_and_in_kebab_case() {
    let names: BTreeSet<&str> = PLANTED.iter().map(|bug| bug.name).collect();
    assert_eq!(names.len(), PLANTED.len());
    assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
}
