//! The rules of the source tree, as a test: who may import whom, how long a file and a function may be, which names
//! say nothing, what every file opens with.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

const FILE_LINES_MAX: usize = 500;
const MEDIAN_LINES_MAX: usize = 150;
const FUNCTION_LINES_MAX: usize = 70;
const BANNED_NAMES: [&str; 9] =
    ["util", "utils", "helper", "helpers", "common", "misc", "manager", "impl", "base"];

/// Crate → the crates of ours that it may import.
const ARROWS: [(&str, &[&str]); 10] = [
    ("model", &[]),
    ("storage", &["model"]),
    ("consensus", &["model", "storage"]),
    ("broker", &["model"]),
    ("replica", &["model", "storage", "broker"]),
    ("gateway", &["model"]),
    ("server", &["model", "storage", "consensus", "broker", "replica", "gateway"]),
    ("client", &[]),
    ("cli", &["model", "storage", "consensus", "broker", "replica", "gateway", "server", "client"]),
    ("sim", &["model", "storage", "consensus", "broker", "replica", "gateway"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().unwrap() != "target" {
            files_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every Rust file of the workspace's crates with its text; tests only if asked for.
fn sources(with_tests: bool) -> Vec<(PathBuf, String)> {
    let root = root();
    let mut found = Vec::new();
    files_below(&root.join("crates"), &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| (path.strip_prefix(&root).unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
        .filter(|(path, _)| with_tests || !is_test(path))
        .collect()
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "benches" | "fuzz")))
}

fn fail_if_any(rule: &str, broken: &str) {
    assert!(broken.is_empty(), "{rule}:\n{broken}");
}

#[test]
fn crates_import_only_along_the_arrows() {
    let mut broken = String::new();
    for (name, allowed) in ARROWS {
        let manifest = fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("[dependencies]").nth(1).unwrap_or_default();
        let dependencies = dependencies.split("[dev-dependencies]").next().unwrap_or_default();
        for line in dependencies.lines().filter(|line| line.starts_with("tallymq-")) {
            let imported = line.trim_start_matches("tallymq-").split(['.', ' ', '=']).next().unwrap();
            if !allowed.contains(&imported) {
                writeln!(broken, "  {name} imports {imported}").unwrap();
            }
        }
    }
    fail_if_any("an import against the arrows of ARCHITECTURE.md", &broken);
}

#[test]
fn every_crate_has_its_arrows() {
    let mut found: Vec<_> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut known: Vec<_> = ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect();
    found.sort();
    known.sort();
    assert_eq!(found, known);
}

#[test]
fn only_consensus_names_openraft() {
    let mut broken = String::new();
    for (path, text) in sources(false) {
        if !path.starts_with("crates/consensus") && text.contains("openraft::") {
            writeln!(broken, "  {}", path.display()).unwrap();
        }
    }
    fail_if_any("openraft outside of the consensus crate", &broken);
}

#[test]
fn only_the_disk_is_unsafe() {
    let mut broken = String::new();
    for (path, text) in sources(false) {
        let unsafe_code =
            text.lines().any(|line| line.trim_start().starts_with("unsafe ") || line.contains("= unsafe {"));
        if unsafe_code && !path.starts_with("crates/storage/src/disk") {
            writeln!(broken, "  {}", path.display()).unwrap();
        }
    }
    fail_if_any("unsafe code outside of storage::disk", &broken);
}

#[test]
fn every_file_says_what_it_is() {
    let mut broken = String::new();
    for (path, text) in sources(true) {
        if !text.starts_with("//! ") {
            writeln!(broken, "  {}", path.display()).unwrap();
        }
    }
    fail_if_any("a file without a //! header", &broken);
}

#[test]
fn files_are_rooms_and_not_halls() {
    let mut broken = String::new();
    let mut lengths = Vec::new();
    for (path, text) in sources(false) {
        let lines = text.lines().count();
        lengths.push(lines);
        if lines > FILE_LINES_MAX {
            writeln!(broken, "  {} has {lines} lines", path.display()).unwrap();
        }
    }
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    if median > MEDIAN_LINES_MAX {
        writeln!(broken, "  the median file has {median} lines").unwrap();
    }
    fail_if_any("a file that is too long", &broken);
}

#[test]
fn functions_fit_on_a_page() {
    let mut broken = String::new();
    for (path, text) in sources(false) {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let is_function =
                ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "async fn ", "pub async fn "]
                    .iter()
                    .any(|start| code.starts_with(start));
            if !is_function || line.trim_end().ends_with(';') {
                continue;
            }
            // rustfmt puts the closing brace in the column of the function's first character.
            let closing = format!("{}}}", &line[..line.len() - code.len()]);
            let length = lines[at..].iter().position(|line| *line == closing).unwrap_or(0) + 1;
            if length > FUNCTION_LINES_MAX {
                writeln!(broken, "  {}:{} has {length} lines", path.display(), at + 1).unwrap();
            }
        }
    }
    fail_if_any("a function that is too long", &broken);
}

#[test]
fn names_say_something() {
    let mut broken = String::new();
    for (path, _) in sources(true) {
        for part in path.components() {
            let part = part.as_os_str().to_str().unwrap().trim_end_matches(".rs");
            if BANNED_NAMES.contains(&part) {
                writeln!(broken, "  {}", path.display()).unwrap();
            }
        }
    }
    fail_if_any("a name that says nothing", &broken);
}

#[test]
fn tests_neither_sleep_nor_skip() {
    // Spelled in two halves, or this file would find itself.
    let anywhere = [concat!("#[ign", "ore"), concat!("todo", "!("), concat!("unimpl", "emented!(")];
    let in_tests = [concat!("thread::", "sleep("), concat!("time::", "sleep(")];
    let mut broken = String::new();
    for (path, text) in sources(true) {
        let in_tests = in_tests.iter().filter(|_| is_test(&path));
        for word in anywhere.iter().chain(in_tests).filter(|word| text.contains(**word)) {
            writeln!(broken, "  {} has {word}", path.display()).unwrap();
        }
    }
    fail_if_any("a sleep, a skip or a stub", &broken);
}
