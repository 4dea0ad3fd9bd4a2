//! The command line: a role, then `NAME=VALUE`. It knows no name.

use std::{collections::HashMap, str::FromStr};

/// See the module.
pub struct Arguments {
    role: String,
    values: HashMap<String, String>,
}

/// What is wrong with a command line.
#[derive(Debug, thiserror::Error)]
pub enum ArgumentError {
    #[error("a role is missing")]
    NoRole,
    #[error("\"{0}\" is not NAME=VALUE")]
    NotNamed(String),
    #[error("{0}= is missing")]
    Missing(String),
    #[error("{0}={1} is not a number")]
    NoNumber(String, String),
}

impl Arguments {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, ArgumentError> {
        let role = words.next().ok_or(ArgumentError::NoRole)?;
        let mut values = HashMap::new();
        for word in words {
            let (name, value) = word.split_once('=').ok_or_else(|| ArgumentError::NotNamed(word.clone()))?;
            values.insert(name.to_owned(), value.to_owned());
        }
        Ok(Arguments { role, values })
    }

    pub fn role(&self) -> &str {
        &self.role
    }

    pub fn text(&self, name: &str) -> Result<&str, ArgumentError> {
        self.values.get(name).map(String::as_str).ok_or_else(|| ArgumentError::Missing(name.to_owned()))
    }

    pub fn number<N: FromStr>(&self, name: &str) -> Result<N, ArgumentError> {
        let text = self.text(name)?;
        text.parse().map_err(|_| ArgumentError::NoNumber(name.to_owned(), text.to_owned()))
    }
}
