//! Whatever stands in a configuration file or in the environment: it is taken or refused by name, never a panic, and what
//! was taken can be shown and loaded again. Samples are changed as the fuzz targets of the simulation change theirs; that
//! crate may not know this one.

use proptest::{prelude::*, sample::Index};
use tallymq_broker::config::{broker_keys, find_broker_key};
use tallymq_server::{Config, Sources, config::Startup};

const FILES: [&str; 4] = [
    "",
    "\"data.dir\" = \"/var/lib/tallymq\"\nlisten = [\"localhost:9092\", '[::1]:0']\n[log]\nretention.hours = 72\n",
    "insecure_listeners = true # yes\nadvertised.listeners = \"A://[::1]:9092\"\nflush = \"\"\"async\"\"\"\n[group]\nmax.count = 10\n\
     consumer = { assignors = [\"range\"], session.timeout.ms = 45_000 }\n",
    "advertised.listeners = \"PLAINTEXT://[::1]:9092\"\n\"num.partitions\" = 0x10\n     [[log]]\nwhen = 1979-05-27T07:32:00Z\nratio = -1e9\n",
];
/// What changes put in: the grammar's own words, and the ends of what numbers can be.
const WORDS: [&str; 24] = [
    "[",
    "]",
    "[[",
    "{",
    "}",
    "\"",
    "\"\"\"",
    "'",
    "=",
    ".",
    ",",
    "\n",
    "#",
    "\\u0000",
    "\u{fffd}",
    "\0",
    "-",
    "_",
    "nan",
    "9223372036854775808",
    "-9223372036854775808",
    "1e400",
    "log.retention.ms",
    "\"node.id\" = -2147483649\n",
];

#[derive(Clone, Debug)]
enum Change {
    Insert(Index, &'static str),
    Delete(Index, usize),
    Repeat(Index, usize, usize),
    Replace(Index, char),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), prop::sample::select(&WORDS[..])).prop_map(|(at, word)| Change::Insert(at, word)),
        2 => (at(), 1..20_usize).prop_map(|(at, length)| Change::Delete(at, length)),
        2 => (at(), 1..20_usize, 1..200_usize).prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
        1 => (at(), any::<char>()).prop_map(|(at, with)| Change::Replace(at, with)),
    ]
}

fn changed(sample: &str, changes: &[Change]) -> String {
    let mut text: Vec<char> = sample.chars().collect();
    for change in changes {
        let length = text.len();
        match change {
            Change::Insert(at, word) => {
                let at = at.index(length + 1);
                text.splice(at..at, word.chars());
            }
            Change::Delete(at, count) => {
                let at = at.index(length + 1);
                text.drain(at..(at + count).min(length));
            }
            Change::Repeat(at, count, times) => {
                let at = at.index(length + 1);
                let piece = text[at..(at + count).min(length)].repeat(*times);
                text.splice(at..at, piece);
            }
            Change::Replace(at, with) if length > 0 => text[at.index(length)] = *with,
            Change::Replace(..) => {}
        }
    }
    text.into_iter().collect()
}

fn file() -> impl Strategy<Value = String> {
    let changes = prop::collection::vec(change(), 0..6);
    (prop::sample::select(&FILES[..]), changes).prop_map(|(sample, changes)| changed(sample, &changes))
}

/// A variable that may be one of ours, and a value that may fit.
fn variable() -> impl Strategy<Value = (String, String)> {
    let names: Vec<String> = broker_keys()
        .map(|key| format!("TALLYMQ_{}", key.name.to_uppercase().replace(['.', '-'], "_")))
        .collect();
    let name = (prop::sample::select(names), prop::collection::vec(change(), 0..2))
        .prop_map(|(name, changes)| changed(&name, &changes));
    let value = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        prop::sample::select(&WORDS[..]).prop_map(str::to_owned),
        "[a-z0-9:,\\[\\]/ .-]{0,30}",
        ".{0,8}",
    ];
    (name, value)
}

/// What holds of every configuration that was taken.
fn check(config: &Config) {
    for (key, value) in config.set() {
        let known = find_broker_key(key).expect("only known keys are taken");
        known.check(value).expect("only valid values are taken");
    }
    let shown = config.show();
    let again = Config::load(Sources { file: Some(("shown".to_owned(), shown)), ..Sources::default() })
        .expect("what is shown can be loaded");
    for key in broker_keys().filter(|key| !key.is_sensitive()) {
        let (before, after) = (config.layers().text(key.name), again.layers().text(key.name));
        assert_eq!(before.as_deref().map(str::trim), after.as_deref().map(str::trim), "{}", key.name);
    }
    // Taken or refused; a panic is what this looks for.
    let _ = Startup::from_config(config);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_file_is_taken_or_refused(text in file()) {
        match Config::load(Sources { file: Some(("file".to_owned(), text)), ..Sources::default() }) {
            Ok(config) => check(&config),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn any_environment_is_taken_or_refused(environment in prop::collection::vec(variable(), 0..4)) {
        if let Ok(config) = Config::load(Sources { environment, ..Sources::default() }) {
            check(&config);
        }
    }

    #[test]
    fn any_flag_is_taken_or_refused(text in prop_oneof![
        ".{0,40}",
        "advertised[.]listeners=([a-z]{0,3}://)?[0-9a-z:.\\[\\]]{0,12}(,.{0,5})?",
    ]) {
        if let Ok(pair) = Config::pair(&text)
            && let Ok(config) = Config::load(Sources { flags: vec![pair], ..Sources::default() })
        {
            check(&config);
        }
    }
}

#[test]
fn the_samples_are_taken_but_for_the_last() {
    for (number, text) in FILES.into_iter().enumerate() {
        let file = Some(("sample".to_owned(), text.to_owned()));
        let loaded = Config::load(Sources { file, ..Sources::default() });
        assert_eq!(loaded.is_ok(), number < 3, "{number}: {:?}", loaded.err());
    }
}

#[test]
fn depth_without_end_is_refused_and_no_overflow() {
    let deep = [
        "a.".repeat(200_000) + "a = 1",
        "[".repeat(200_000),
        "a = ".to_owned() + &"[".repeat(200_000),
        "a = ".to_owned() + &"{ a = ".repeat(200_000),
        "[".to_owned() + &"a.".repeat(200_000) + "a]",
    ];
    for text in deep {
        let refused = Config::load(Sources { file: Some(("deep".to_owned(), text)), ..Sources::default() });
        assert!(refused.is_err());
    }
}
