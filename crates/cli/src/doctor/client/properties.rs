//! The syntax of property files: Java's (`java.util.Properties.load`), of which librdkafka's `key=value` lines are a part.
//! Pure; it knows no key.
//!
//! ```text
//! # or ! begins a comment        key = value, key: value, key value
//! a line that ends in an odd number of \ goes on in the next, whose leading space is dropped
//! ```

/// One key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value, trimmed, as the clients' parsers do.
    pub value: String,
    /// The line where it begins, from 1.
    pub line: usize,
}

/// The entries of a file, in its order.
pub fn parse(text: &str) -> Vec<Entry> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut entries = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let start = line.trim_start();
        if start.is_empty() || start.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = start.to_owned();
        while goes_on(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, more)) => logical.push_str(more.trim_start()),
                None => break,
            }
        }
        let (key, value) = split(&logical);
        entries.push(Entry { key: unescape(key), value: unescape(value).trim().to_owned(), line: at + 1 });
    }
    entries
}

fn goes_on(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// At the first `=`, `:` or white space that is not escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.char_indices().find(|(_, letter)| {
        let found = !escaped && (matches!(letter, '=' | ':') || letter.is_whitespace());
        escaped = !escaped && *letter == '\\';
        found
    });
    let Some((end, _)) = end else {
        return (line, "");
    };
    let rest = line[end..].trim_start();
    (&line[..end], rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start())
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let digits: String = letters.by_ref().take(4).collect();
                out.push(
                    u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).unwrap_or('\u{fffd}'),
                );
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_java_reads_them() {
        let text = "\u{feff}# comment\n! comment\n\n acks = all \nretries:3\nlinger.ms 5\nsasl.jaas.config=a \\\n   b=c\n\
                    path=C\\:\\\\x\\u0041\nempty=\nalone\nspaced\\ key=v\nlast=\\";
        let entries = parse(text);
        let found: Vec<_> =
            entries.iter().map(|entry| (entry.key.as_str(), entry.value.as_str(), entry.line)).collect();
        let expected = [
            ("acks", "all", 4),
            ("retries", "3", 5),
            ("linger.ms", "5", 6),
            ("sasl.jaas.config", "a b=c", 7),
            ("path", "C:\\xA", 9),
            ("empty", "", 10),
            ("alone", "", 11),
            ("spaced key", "v", 12),
            ("last", "", 13),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn odd_text_is_no_trouble() {
        assert_eq!(parse("\r\n\r\n"), []);
        assert_eq!(parse("a=\\u12"), [Entry { key: "a".to_owned(), value: "\u{12}".to_owned(), line: 1 }]);
        assert_eq!(parse("=x")[0].key, "");
    }
}
