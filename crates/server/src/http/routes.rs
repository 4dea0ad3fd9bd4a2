//! The table of paths. A test holds it against docs/openapi.json.

use std::sync::Arc;

use axum::{
    Router,
    http::{Method, Uri},
    routing::{MethodRouter, get, post},
};

use super::{Shared, account, alarms, health, refusal::Refusal, trace};

type Handler = MethodRouter<Arc<Shared>>;

/// Path, method, handler.
fn table() -> Vec<(&'static str, &'static str, Handler)> {
    vec![
        ("/health", "get", get(health::ready)),
        ("/health/live", "get", get(health::live)),
        ("/health/ready", "get", get(health::ready)),
        ("/metrics", "get", get(health::metrics)),
        ("/v1/account", "get", get(account::read)),
        ("/v1/account/ended", "get", get(account::ended)),
        ("/v1/account/open", "post", post(account::open)),
        ("/v1/alarms", "get", get(alarms::list)),
        ("/v1/alarms/acknowledge", "post", post(alarms::acknowledge)),
        ("/v1/trace", "get", get(trace::read)),
    ]
}

/// All of them.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let routes = table().into_iter();
    routes
        .fold(Router::new(), |router, (path, _, handler)| router.route(path, handler))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(shared)
}

async fn no_such_path(uri: Uri) -> Refusal {
    Refusal::not_found(format!("there is no {}; there are {}", uri.path(), requests(|_| true)))
}

/// The header `allow` comes from the router.
async fn no_such_method(method: Method, uri: Uri) -> Refusal {
    Refusal::not_allowed(format!("no {method} here, only {}", requests(|path| path == uri.path())))
}

/// `GET /health, GET /metrics`, of the paths that are so.
fn requests(is_so: impl Fn(&str) -> bool) -> String {
    let so = table().into_iter().filter(|(path, ..)| is_so(path));
    let requests: Vec<String> =
        so.map(|(path, method, _)| format!("{} {path}", method.to_uppercase())).collect();
    requests.join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    const DOCUMENT: &str = include_str!("../../../../docs/openapi.json");

    #[test]
    fn the_document_has_the_paths_of_the_router() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let mut described = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            described.extend(methods.as_object().unwrap().keys().map(|method| format!("{method} {path}")));
        }
        let routed: BTreeSet<String> =
            table().into_iter().map(|(path, method, _)| format!("{method} {path}")).collect();
        assert_eq!(described, routed);
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let mut rest = vec![&document];
        let mut references = 0;
        while let Some(value) = rest.pop() {
            if let Some(target) = value.get("$ref").and_then(Value::as_str) {
                let pointer = target.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{target}");
                references += 1;
            }
            rest.extend(value.as_object().into_iter().flat_map(|object| object.values()));
            rest.extend(value.as_array().into_iter().flatten());
        }
        assert!(references > 10);
    }
}
