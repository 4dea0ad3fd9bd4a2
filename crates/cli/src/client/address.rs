//! Addresses of brokers, as people write them.

use std::{fmt, str::FromStr};

use super::ClientError;

/// Kafka's port.
const DEFAULT_PORT: u16 = 9092;

/// Host and port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl FromStr for Address {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Address, ClientError> {
        let bad = || ClientError::Address(text.to_owned());
        let (host, port) = match text.rsplit_once(':') {
            // An IPv6 address without brackets has more than one colon and no port.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, port.parse().map_err(|_| bad())?)
            }
            _ => (text, DEFAULT_PORT),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() {
            return Err(bad());
        }
        Ok(Address { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A list with commas between, as in Kafka's `bootstrap.servers`.
pub fn parse_list(text: &str) -> Result<Vec<Address>, ClientError> {
    let addresses: Vec<Address> = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    if addresses.is_empty() { Err(ClientError::Address(text.to_owned())) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let cases = [
            ("localhost:9", "localhost:9"),
            ("127.0.0.1", "127.0.0.1:9092"),
            ("[::1]:19092", "[::1]:19092"),
            ("::1", "[::1]:9092"),
        ];
        for (text, shown) in cases {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
        for bad in ["", ":9092", "host:port", "host:70000"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
        assert_eq!(parse_list("a:1, b:2").unwrap().len(), 2);
        assert!(parse_list(" , ").is_err());
    }
}
