//! Whether a value is valid for a key. The messages are modelled on Kafka's `ConfigDef`.

use thiserror::Error;

use super::key::{ConfigKey, ConfigType, Support};

/// Longest value, in bytes: it goes into the metadata log.
pub const VALUE_BYTES_MAX: usize = 32 * 1024;

/// Which values of its type a key takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// All.
    Any,
    /// Numbers from the first to the second, both included.
    Between(i64, i64),
    /// Decimal numbers from 0 to 1.
    Fraction,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A list of these texts, at least one.
    ListOf(&'static [&'static str]),
    /// The same, with one that is always in it.
    ListWith(&'static [&'static str], &'static str),
    /// Text that is not empty.
    NotEmpty,
    /// A list of `partition:broker` pairs, or `*` (throttled replicas, KIP-73).
    ThrottledReplicas,
}

/// A value that a key does not take. Kafka: INVALID_CONFIG (40).
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("Invalid value {value} for configuration {key}: {reason}")]
pub struct InvalidValue {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
    /// Why not.
    pub reason: String,
}

impl ConfigKey {
    /// Checks a value against type, rule, and what works so far.
    pub fn check(&self, value: &str) -> Result<(), InvalidValue> {
        self.judge(value).map_err(|reason| InvalidValue {
            key: self.name.to_owned(),
            value: if self.is_sensitive() { "[hidden]".to_owned() } else { shortened(value) },
            reason,
        })
    }

    fn judge(&self, value: &str) -> Result<(), String> {
        if value.len() > VALUE_BYTES_MAX {
            return Err(format!("The value is longer than {VALUE_BYTES_MAX} bytes"));
        }
        self.judge_type(value)?;
        self.judge_rule(value)?;
        match self.support {
            Support::Only(values, why) if !parts(value).all(|part| values.contains(&part)) => {
                Err(why.to_owned())
            }
            _ => Ok(()),
        }
    }

    fn judge_type(&self, value: &str) -> Result<(), String> {
        let number = |least: i64, most: i64, bits: &str| match value.trim().parse::<i64>() {
            Ok(number) if (least..=most).contains(&number) => Ok(()),
            _ => Err(format!("Not a number of type {bits}")),
        };
        match self.kind {
            ConfigType::Boolean => parse_bool(value)
                .map(|_| ())
                .ok_or_else(|| "Expected value to be either true or false".to_owned()),
            ConfigType::Int => number(i64::from(i32::MIN), i64::from(i32::MAX), "INT"),
            ConfigType::Short => number(i64::from(i16::MIN), i64::from(i16::MAX), "SHORT"),
            ConfigType::Long => number(i64::MIN, i64::MAX, "LONG"),
            ConfigType::Double => match value.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(()),
                _ => Err("Not a number of type DOUBLE".to_owned()),
            },
            ConfigType::String | ConfigType::List | ConfigType::Class | ConfigType::Password => Ok(()),
        }
    }

    fn judge_rule(&self, value: &str) -> Result<(), String> {
        match self.rule {
            Rule::Any => Ok(()),
            Rule::Between(least, most) => match value.trim().parse::<i64>() {
                Ok(number) if number < least => Err(format!("Value must be at least {least}")),
                Ok(number) if number > most => Err(format!("Value must be no more than {most}")),
                Ok(_) => Ok(()),
                Err(_) => Err("Not a number".to_owned()),
            },
            Rule::Fraction => match value.trim().parse::<f64>() {
                Ok(number) if (0.0..=1.0).contains(&number) => Ok(()),
                _ => Err("Value must be between 0 and 1".to_owned()),
            },
            Rule::OneOf(values) if values.contains(&value) => Ok(()),
            Rule::OneOf(values) => Err(format!("String must be one of: {}", values.join(", "))),
            Rule::ListOf(values) => judge_list(value, values),
            Rule::ListWith(values, always) => match judge_list(value, values) {
                Ok(()) if parts(value).all(|part| part != always) => {
                    Err(format!("Leaving out '{always}' is not supported"))
                }
                judged => judged,
            },
            Rule::NotEmpty if value.trim().is_empty() => Err("String must be non-empty".to_owned()),
            Rule::NotEmpty => Ok(()),
            Rule::ThrottledReplicas => {
                let pair = |part: &str| {
                    part.split_once(':').is_some_and(|(a, b)| [a, b].iter().all(|n| n.parse::<u32>().is_ok()))
                };
                if value.trim() == "*" || parts(value).all(pair) {
                    Ok(())
                } else {
                    Err("Must be the literal '*' or a list of replicas in the form [partitionId]:[brokerId]"
                        .to_owned())
                }
            }
        }
    }
}

fn judge_list(value: &str, values: &[&str]) -> Result<(), String> {
    match parts(value).find(|part| !values.contains(part)) {
        Some(_) => Err(format!("List must consist of: {}", values.join(", "))),
        None if parts(value).next().is_none() => Err("List must not be empty".to_owned()),
        None => Ok(()),
    }
}

/// The texts of a list, trimmed; empty ones are left out.
pub(super) fn parts(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// "true" or "false", in any case.
pub(super) fn parse_bool(value: &str) -> Option<bool> {
    let value = value.trim();
    if value.eq_ignore_ascii_case("true") {
        Some(true)
    } else if value.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

fn shortened(value: &str) -> String {
    if value.len() <= 200 { value.to_owned() } else { value.chars().take(200).chain("…".chars()).collect() }
}
