//! docs/settings.md is what the tables of settings say: it is made from them, and this test refuses another one.

use std::{collections::BTreeSet, env, fmt::Write, fs, path::Path};

use tallymq_broker::config::{
    ConfigKey, ConfigType, GROUP_KEYS, OWN_KEYS, Rule, Support, TOPIC_KEYS, broker_keys,
};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
const HEAD: &str = "# All settings

Made from the tables in `crates/broker/src/config/`. What the own ones are for, and how settings are given, stands in
[operations.md](operations.md#settings). Keys that Kafka has too have its names, and its defaults but where this page says otherwise.

- **Set**: *start* is the configuration of the process (file, environment, flags); *any time* is that, or AlterConfigs while it runs.
- *No effect*: the value is taken, kept and shown, and changes nothing; what it asks for is always met, or cannot matter here.
- *Only …*: other values that Kafka knows are refused.
- A key that is not here is refused, with the nearest one that is.
";

#[test]
fn the_page_of_settings_is_what_the_tables_say() {
    let page = page();
    if env::var_os("WRITE_PAGES").is_some() {
        fs::write(PAGE, &page).unwrap();
    }
    let there = fs::read_to_string(Path::new(PAGE)).unwrap_or_default();
    assert!(
        there == page,
        "docs/settings.md is not what the tables say; this makes it anew: \
         WRITE_PAGES=1 cargo test -p tallymq-broker --test it settings_page"
    );
}

fn page() -> String {
    let own: BTreeSet<_> = OWN_KEYS.iter().map(|key| key.name).collect();
    let kafkas = broker_keys().filter(|key| !own.contains(key.name)).collect();
    let mut page = HEAD.to_owned();
    section(&mut page, "TallyMQ's own", OWN_KEYS.iter().collect());
    section(&mut page, "Kafka's, of the broker", kafkas);
    section(&mut page, "Kafka's, of a topic", TOPIC_KEYS.iter().collect());
    section(&mut page, "Kafka's, of a group", GROUP_KEYS.iter().collect());
    page
}

fn section(page: &mut String, title: &str, mut keys: Vec<&ConfigKey>) {
    keys.sort_by_key(|key| key.name);
    write!(page, "\n## {title}\n| key | default | values | set | |\n|---|---|---|---|---|\n").unwrap();
    for key in keys {
        let default = key.default.map_or("not set".to_owned(), code);
        let set = if key.is_read_only() { "start" } else { "any time" };
        writeln!(page, "| `{}` | {default} | {} | {set} | {} |", key.name, values(key), does(key)).unwrap();
    }
}

fn code(value: &str) -> String {
    if value.is_empty() { "empty".to_owned() } else { format!("`{value}`") }
}

fn values(key: &ConfigKey) -> String {
    let listed = |values: &[&str]| values.iter().copied().map(code).collect::<Vec<_>>().join(", ");
    match key.rule {
        Rule::Between(least, i64::MAX) => format!("at least {least}"),
        Rule::Between(least, most) => format!("{least} to {most}"),
        Rule::Fraction => "0 to 1".to_owned(),
        Rule::OneOf(values) => listed(values),
        Rule::ListOf(values) => format!("some of {}", listed(values)),
        Rule::ListWith(values, always) => format!("some of {}, `{always}` among them", listed(values)),
        Rule::NotEmpty => "not empty".to_owned(),
        Rule::ThrottledReplicas => "`*` or `partition:broker` pairs".to_owned(),
        Rule::Any => match key.kind {
            ConfigType::Boolean => "`true`, `false`",
            ConfigType::Int | ConfigType::Short | ConfigType::Long | ConfigType::Double => "any number",
            ConfigType::List => "a list",
            ConfigType::String | ConfigType::Class | ConfigType::Password => "text",
        }
        .to_owned(),
    }
}

fn does(key: &ConfigKey) -> String {
    let limit = match key.support {
        Support::Works => String::new(),
        Support::Stored(why) => format!(" *No effect:* {why}"),
        Support::Only(values, why) => {
            let values: Vec<_> = values.iter().copied().map(code).collect();
            format!(" *Only {}:* {why}.", values.join(", "))
        }
    };
    format!("{}{limit}", key.doc).replace('|', "\\|")
}
