//! Bytes as JSON text: UTF-8 as it is, anything else as base64 (RFC 4648 §4) under a name that says so.

use serde_json::{Map, Value};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Puts `bytes` under `name`; bytes that are not UTF-8 go under `<name>_base64`.
pub fn put(object: &mut Map<String, Value>, name: &str, bytes: Option<&[u8]>) {
    match bytes.map(|bytes| (bytes, str::from_utf8(bytes))) {
        None => object.insert(name.to_owned(), Value::Null),
        Some((_, Ok(text))) => object.insert(name.to_owned(), Value::from(text)),
        Some((bytes, Err(_))) => object.insert(format!("{name}_base64"), Value::from(base64(bytes))),
    };
}

fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..1 + chunk.len()].copy_from_slice(chunk);
        let word = u32::from_be_bytes(word);
        for digit in 0..4 {
            let index = (word >> (18 - 6 * digit)) & 63;
            out.push(if digit <= chunk.len() { char::from(ALPHABET[index as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let vectors = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, encoded) in vectors {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
        assert_eq!(base64(&[0xff, 0xfe]), "//4=");
    }

    #[test]
    fn what_is_not_utf8_says_so() {
        let mut object = Map::new();
        put(&mut object, "key", None);
        put(&mut object, "value", Some(&[0xff]));
        put(&mut object, "text", Some("ä".as_bytes()));
        assert_eq!(Value::Object(object).to_string(), r#"{"key":null,"text":"ä","value_base64":"/w=="}"#);
    }
}
