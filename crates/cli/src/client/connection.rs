//! One connection: requests are pipelined, answers come back in order (Kafka promises that per connection). It knows
//! versions, frames and correlation ids, and no request's meaning; it never retries.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tallymq_gateway::kafka::{
    ApiKey, ErrorCode, Request, Response,
    client_codec::{decode_response, encode_request, take_frame},
    messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{Address, ClientError, check};

const FRAME_BYTES_MAX: usize = 256 << 20;
const READ_BYTES: usize = 64 * 1024;
/// The version of the first ApiVersions request: every broker since Kafka 2.4 reads it, and older ones say so.
const API_VERSIONS_FIRST: i16 = 3;

type Reply = oneshot::Sender<Result<Response, ClientError>>;

/// What waits for its answer.
struct Waiting {
    correlation_id: i32,
    api: ApiKey,
    version: i16,
    reply: Reply,
}

#[derive(Default)]
struct Shared {
    waiting: VecDeque<Waiting>,
    ended: Option<String>,
}

struct Outgoing {
    version: i16,
    request: Request,
    reply: Reply,
}

/// A connection to one broker. Cheap to clone; it closes when the last clone is gone.
#[derive(Clone)]
pub struct Connection {
    address: Address,
    outgoing: mpsc::UnboundedSender<Outgoing>,
    shared: Arc<Mutex<Shared>>,
    versions: Arc<HashMap<ApiKey, i16>>,
    timeout: Duration,
}

/// An answer that is on its way.
pub struct Pending {
    connection: Connection,
    api: ApiKey,
    answer: oneshot::Receiver<Result<Response, ClientError>>,
}

impl Connection {
    /// Connects under that name and asks which versions the broker speaks.
    pub async fn open(
        address: &Address,
        limit: Duration,
        client_id: &str,
    ) -> Result<Connection, ClientError> {
        let connect = TcpStream::connect((address.host.as_str(), address.port));
        let failed = |source| ClientError::Connect { address: address.to_string(), source };
        let stream = match timeout(limit, connect).await {
            Ok(connected) => connected.map_err(failed)?,
            Err(_) => return Err(failed(std::io::ErrorKind::TimedOut.into())),
        };
        stream.set_nodelay(true).map_err(failed)?;
        let (read, write) = stream.into_split();
        let (outgoing, queue) = mpsc::unbounded_channel();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let writer = tokio::spawn(write_all(write, (queue, client_id.to_owned()), shared.clone()));
        tokio::spawn(read_all(read, shared.clone(), writer.abort_handle()));
        let mut connection = Connection {
            address: address.clone(),
            outgoing,
            shared,
            versions: Arc::default(),
            timeout: limit,
        };
        connection.versions = Arc::new(connection.negotiate().await?);
        Ok(connection)
    }

    async fn negotiate(&self) -> Result<HashMap<ApiKey, i16>, ClientError> {
        let mut answer = self.ask_versions(API_VERSIONS_FIRST).await?;
        if answer.error_code == ErrorCode::UnsupportedVersion {
            // An older broker: it says which version it reads, or nothing (KIP-511).
            let own = answer.api_keys.iter().find(|theirs| theirs.api_key == ApiKey::ApiVersions.key());
            let version = own.map_or(0, |own| own.max_version.clamp(0, API_VERSIONS_FIRST));
            answer = self.ask_versions(version).await?;
        }
        check(format!("versions of {}", self.address), answer.error_code, None)?;
        let common = answer.api_keys.iter().filter_map(|theirs| {
            let api = ApiKey::from_key(theirs.api_key)?;
            let version = theirs.max_version.min(newest(api));
            (version >= theirs.min_version.max(*api.decodable().start())).then_some((api, version))
        });
        Ok(common.collect())
    }

    async fn ask_versions(&self, version: i16) -> Result<ApiVersionsResponse, ClientError> {
        let request = ApiVersionsRequest {
            client_software_name: "tallymq".to_owned(),
            client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        match self.begin(request.into(), version).answer().await? {
            Response::ApiVersions(answer) => Ok(answer),
            other => Err(ClientError::WrongAnswer(other.api())),
        }
    }

    /// Sends a request; the answer is awaited with [`Pending::answer`]. Requests go out in the order of these calls.
    pub fn start(&self, request: impl Into<Request>) -> Result<Pending, ClientError> {
        let request = request.into();
        let api = request.api();
        let version = self.versions.get(&api).copied();
        let version = version.ok_or(ClientError::Unsupported { address: self.address.to_string(), api })?;
        Ok(self.begin(request, version))
    }

    fn begin(&self, request: Request, version: i16) -> Pending {
        let (reply, answer) = oneshot::channel();
        let api = request.api();
        // If the connection has ended, the reply is dropped with the message and the answer says so.
        drop(self.outgoing.send(Outgoing { version, request, reply }));
        Pending { connection: self.clone(), api, answer }
    }

    /// Sends a request and waits for its answer.
    pub async fn call(&self, request: impl Into<Request>) -> Result<Response, ClientError> {
        self.start(request)?.answer().await
    }

    /// Whether it can still be used.
    pub fn is_open(&self) -> bool {
        !self.outgoing.is_closed() && lock(&self.shared).ended.is_none()
    }
}

impl Pending {
    /// Waits for the answer, up to the connection's time limit.
    pub async fn answer(self) -> Result<Response, ClientError> {
        let address = || self.connection.address.to_string();
        match timeout(self.connection.timeout, self.answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => {
                let ended = lock(&self.connection.shared).ended.clone();
                Err(ClientError::Lost {
                    address: address(),
                    reason: ended.unwrap_or_else(|| "closed".to_owned()),
                })
            }
            Err(_) => Err(ClientError::Timeout {
                address: address(),
                what: self.api.name().to_owned(),
                after: self.connection.timeout,
            }),
        }
    }
}

/// The newest version that this client uses. Below the protocol's newest where that one names topics by id, which
/// would need a lookup per request and brings this client nothing.
fn newest(api: ApiKey) -> i16 {
    let known = *api.decodable().end();
    known.min(match api {
        ApiKey::Produce | ApiKey::Fetch => 12,
        ApiKey::OffsetCommit => 9,
        ApiKey::OffsetFetch => 7,
        ApiKey::FindCoordinator => 3,
        ApiKey::DeleteTopics => 5,
        _ => i16::MAX,
    })
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the connection: who waits is told by the drop of its reply.
fn end(shared: &Mutex<Shared>, reason: String) {
    let mut shared = lock(shared);
    shared.ended.get_or_insert(reason);
    shared.waiting.clear();
}

async fn write_all(
    mut write: OwnedWriteHalf,
    (mut queue, client_id): (mpsc::UnboundedReceiver<Outgoing>, String),
    shared: Arc<Mutex<Shared>>,
) {
    let mut correlation_id = 0_i32;
    while let Some(Outgoing { version, request, reply }) = queue.recv().await {
        correlation_id = correlation_id.wrapping_add(1);
        let frame = match encode_request(version, correlation_id, Some(&client_id), &request) {
            Ok(frame) => frame,
            Err(error) => {
                drop(reply.send(Err(error.into())));
                continue;
            }
        };
        {
            let mut shared = lock(&shared);
            if shared.ended.is_some() {
                return;
            }
            shared.waiting.push_back(Waiting { correlation_id, api: request.api(), version, reply });
        }
        if let Err(error) = write_parts(&mut write, frame).await {
            return end(&shared, error.to_string());
        }
    }
}

async fn write_parts(write: &mut OwnedWriteHalf, parts: Vec<Bytes>) -> std::io::Result<()> {
    for part in parts {
        write.write_all(&part).await?;
    }
    Ok(())
}

async fn read_all(mut read: OwnedReadHalf, shared: Arc<Mutex<Shared>>, writer: tokio::task::AbortHandle) {
    let reason = loop_frames(&mut read, &shared).await;
    end(&shared, reason);
    writer.abort();
}

async fn loop_frames(read: &mut OwnedReadHalf, shared: &Mutex<Shared>) -> String {
    let mut input = BytesMut::new();
    loop {
        loop {
            let frame = match take_frame(&mut input, FRAME_BYTES_MAX) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => return error.to_string(),
            };
            let Some(waiting) = lock(shared).waiting.pop_front() else {
                return "an answer that nobody asked for".to_owned();
            };
            let answer = decode_response(waiting.api, waiting.version, frame);
            if let Ok((correlation_id, _)) = &answer
                && *correlation_id != waiting.correlation_id
            {
                return format!("answer {correlation_id} where {} was due", waiting.correlation_id);
            }
            // Who asked may have given up.
            drop(waiting.reply.send(answer.map(|(_, response)| response).map_err(ClientError::from)));
        }
        input.reserve(READ_BYTES);
        match read.read_buf(&mut input).await {
            Ok(0) => return "the broker closed it".to_owned(),
            Ok(_) => {}
            Err(error) => return error.to_string(),
        }
    }
}
