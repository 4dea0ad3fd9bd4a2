//! The parameters of a request: known names only, each at most once.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::str::FromStr;

use axum::http::{HeaderMap, StatusCode, header::ORIGIN};
use tallymq_broker::account::Who;

use super::refusal::Refusal;

/// The parameters.
#[derive(Debug)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads `query`, in which only `names` may stand.
    pub(super) fn parse(query: Option<&str>, names: &[&str]) -> Result<Query, Refusal> {
        let mut found = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !names.contains(&name.as_ref()) {
                return Err(Refusal::bad(format!(
                    "parameter {name} is unknown; there are: {}",
                    names.join(", ")
                )));
            }
            if found.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(Refusal::bad(format!("parameter {name} is given more than once")));
            }
        }
        Ok(Query(found))
    }

    /// As text.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// As whatever it should be.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<Option<T>, Refusal> {
        let parse = |text: String| {
            text.parse().map_err(|error| Refusal::bad(format!("parameter {name}: `{text}`: {error}")))
        };
        self.text(name).map(parse).transpose()
    }
}

/// Refuses what a page in somebody's browser sends: browsers name the page's origin, and no page has any business in
/// changing something here.
pub(super) fn check_origin(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get(ORIGIN) {
        None => Ok(()),
        Some(_) => {
            let error = "requests of web pages may change nothing".to_owned();
            Err(Refusal { status: StatusCode::FORBIDDEN, error })
        }
    }
}

/// A person, as the journal names them.
pub(super) fn person(by: Option<&str>, from: SocketAddr) -> Who {
    Who::new("", by.unwrap_or_default(), &from.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_strangers_refused() {
        let mut query = Query::parse(Some("key=a%20b%2Bc&offset=7"), &["key", "offset"]).unwrap();
        assert_eq!(query.text("key").as_deref(), Some("a b+c"));
        assert_eq!(query.parsed::<i64>("offset"), Ok(Some(7)));
        assert_eq!(query.parsed::<i64>("offset"), Ok(None));
        for bad in ["other=1", "key=1&key=2"] {
            assert_eq!(
                Query::parse(Some(bad), &["key"]).unwrap_err().status,
                StatusCode::BAD_REQUEST,
                "{bad}"
            );
        }
        let mut query = Query::parse(Some("offset=x"), &["offset"]).unwrap();
        assert!(query.parsed::<i64>("offset").unwrap_err().error.contains("offset"));
        assert!(Query::parse(None, &[]).is_ok());
    }

    #[test]
    fn web_pages_change_nothing() {
        let mut headers = HeaderMap::new();
        assert_eq!(check_origin(&headers), Ok(()));
        headers.insert(ORIGIN, "http://example.com".parse().unwrap());
        assert_eq!(check_origin(&headers).unwrap_err().status, StatusCode::FORBIDDEN);
    }
}
