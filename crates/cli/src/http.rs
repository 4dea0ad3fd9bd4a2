//! Requests to the broker's HTTP listener: one connection each, JSON in and out, bounded in time and size. No TLS: the
//! listener is on the loopback interface.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    client::conn::http1,
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::failure::Failure;

/// Bytes of an answer at most.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// The listener.
#[derive(Clone, Debug)]
pub struct Http {
    address: String,
    timeout: Duration,
}

impl Http {
    /// At `HOST:PORT`.
    pub fn new(address: &str, timeout_seconds: u64) -> Http {
        let address = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/').to_owned();
        Http { address, timeout: Duration::from_secs(timeout_seconds) }
    }

    /// Reads `path` with these parameters; those without a value are left out.
    pub async fn get(&self, path: &str, parameters: &[(&str, Option<String>)]) -> Result<Value, Failure> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in parameters {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        self.ask(Method::GET, &target, Bytes::new()).await
    }

    /// Sends `body` to `path`.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(Method::POST, path, body.to_string().into()).await
    }

    async fn ask(&self, method: Method, target: &str, body: Bytes) -> Result<Value, Failure> {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, &self.address)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| Failure::Usage(format!("{}: {error}", self.address)))?;
        let (status, body) =
            tokio::time::timeout(self.timeout, self.send(request)).await.map_err(|_| {
                let seconds = self.timeout.as_secs();
                Failure::Unreachable(format!("{} did not answer within {seconds} s", self.address))
            })??;
        self.answer(status, &body)
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::Unreachable(format!("{}: {error}; is that the broker's http.listen?", self.address))
        };
        let port = self.address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none() {
            return Err(Failure::Usage(format!("--http: `{}` is not HOST:PORT", self.address)));
        }
        let stream = TcpStream::connect(&self.address).await.map_err(|error| failed(&error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        // Its error comes out of the request, too.
        let driver = tokio::spawn(async move { drop(connection.await) });
        let response = sender.send_request(request).await.map_err(|error| failed(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        driver.abort();
        Ok((status, body.map_err(|error| failed(&error))?.to_bytes()))
    }

    fn answer(&self, status: StatusCode, body: &[u8]) -> Result<Value, Failure> {
        let answer: Option<Value> = serde_json::from_slice(body).ok();
        if status.is_success() {
            return answer.ok_or_else(|| Failure::Failed(format!("{} answers no JSON", self.address)));
        }
        let error = answer.as_ref().and_then(|answer| answer["error"].as_str());
        let error = error.map_or_else(|| format!("{} answers {status}", self.address), ToOwned::to_owned);
        Err(if status == StatusCode::BAD_REQUEST { Failure::Usage(error) } else { Failure::Failed(error) })
    }
}
