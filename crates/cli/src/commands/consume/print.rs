//! How a record is shown: its value on a line, or everything as JSON on a line.

use std::io::{self, Write};

use serde_json::{Map, Value, json};
use tallymq_gateway::kafka::records::Record;

use crate::{arguments::ConsumeArguments, bytes_text, client::Fetched};

/// Prints records, up to a number of them.
pub struct Printer {
    topic: String,
    json: bool,
    key_separator: Option<String>,
    left: Option<u64>,
}

impl Printer {
    /// As the arguments say.
    pub fn new(arguments: &ConsumeArguments, json: bool) -> Printer {
        Printer {
            topic: arguments.topic.clone(),
            json,
            key_separator: arguments.key_separator.clone(),
            left: arguments.max,
        }
    }

    /// Whether as many were printed as were asked for.
    pub fn is_done(&self) -> bool {
        self.left == Some(0)
    }

    /// Prints what may still be printed; the offset behind the last one that was.
    pub fn print(&mut self, fetched: &Fetched) -> io::Result<Option<i64>> {
        let count = self.left.map_or(fetched.records.len(), |left| fetched.records.len().min(left as usize));
        let mut out = Vec::new();
        for record in &fetched.records[..count] {
            match self.json {
                true => self.put_json(&mut out, fetched.partition, record),
                false => self.put_text(&mut out, record),
            }
            out.push(b'\n');
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(&out)?;
        stdout.flush()?;
        if let Some(left) = &mut self.left {
            *left -= count as u64;
        }
        Ok(fetched.records[..count].last().map(|record| record.offset.0 + 1))
    }

    fn put_text(&self, out: &mut Vec<u8>, record: &Record) {
        if let Some(separator) = &self.key_separator {
            out.extend_from_slice(record.key.as_deref().unwrap_or_default());
            out.extend_from_slice(separator.as_bytes());
        }
        out.extend_from_slice(record.value.as_deref().unwrap_or_default());
    }

    fn put_json(&self, out: &mut Vec<u8>, partition: i32, record: &Record) {
        let mut object = Map::new();
        object.insert("topic".to_owned(), json!(self.topic));
        object.insert("partition".to_owned(), json!(partition));
        object.insert("offset".to_owned(), json!(record.offset.0));
        object.insert("timestamp".to_owned(), json!(record.timestamp.0));
        bytes_text::put(&mut object, "key", record.key.as_deref());
        bytes_text::put(&mut object, "value", record.value.as_deref());
        let headers = record.headers.iter().map(|(name, value)| {
            let mut header = Map::new();
            header.insert("name".to_owned(), json!(name));
            bytes_text::put(&mut header, "value", value.as_deref());
            Value::Object(header)
        });
        object.insert("headers".to_owned(), headers.collect());
        out.extend_from_slice(Value::Object(object).to_string().as_bytes());
    }
}
