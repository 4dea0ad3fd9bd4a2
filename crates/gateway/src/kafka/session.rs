//! One Kafka connection as a state machine: bytes in, calls out; answers in, bytes out, in the order of the requests.
//! No socket, no clock, no task; the shell moves the bytes and closes the connection after an error.
//!
//! ```text
//!  input ─► handle_input ─► Call ─► (the server, any order) ─► complete ─► poll_transmit ─► output
//!                            └───────── slots: one per request, oldest first ─────────┘
//! ```

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use super::api::ApiKey;
use super::error_code::ErrorCode;
use super::frame::{FrameError, take_frame};
use super::header::{RequestHeader, RequestHeaderError, encode_response_header};
use super::messages::api_versions::ApiVersionsResponse;
use super::request::{Request, Response};
use super::wire::{DecodeError, EncodeError, Reader, Writer};

/// What a connection may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// The largest frame that is accepted.
    pub frame_bytes_max: usize,
    /// How many requests may wait for their answer, or their answers for the socket.
    pub requests_in_flight_max: usize,
    /// How many bytes of them; a frame is taken while there are fewer, so it is exceeded by one frame at most.
    pub bytes_in_flight_max: usize,
}

/// Which request of a session is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u64);

/// A request to be answered with [`Session::complete`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The name of this call in its session.
    pub id: CallId,
    /// API, version, correlation id and client id.
    pub header: RequestHeader,
    /// The request itself.
    pub request: Request,
    /// How many bytes its frame has; what is shared with the request keeps all of them.
    pub frame_bytes: usize,
}

/// Why the connection must be closed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SessionError {
    /// A length field out of bounds.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A header that cannot be read, or an API that is not spoken here.
    #[error(transparent)]
    Header(#[from] RequestHeaderError),
    /// A version that is not supported. (For ApiVersions the session answers by itself, KIP-511.)
    #[error("{api} version {version} is not supported (correlation id {correlation_id})")]
    UnsupportedVersion {
        /// Which API.
        api: ApiKey,
        /// The version asked for.
        version: i16,
        /// The client's number for the request.
        correlation_id: i32,
    },
    /// A body that cannot be read.
    #[error("malformed {api} request, version {version}, correlation id {correlation_id}: {error}")]
    MalformedRequest {
        /// Which API.
        api: ApiKey,
        /// The version of the body.
        version: i16,
        /// The client's number for the request.
        correlation_id: i32,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// An answer that cannot be written in the version the client asked for.
    #[error(
        "{api} response cannot be written in version {version}, correlation id {correlation_id}: {error}"
    )]
    Unanswerable {
        /// Which API.
        api: ApiKey,
        /// The version of the request.
        version: i16,
        /// The client's number for the request.
        correlation_id: i32,
        /// What is wrong with it.
        error: EncodeError,
    },
    /// An answer of one API to a request of another.
    #[error("{api} request completed with a {answered} response")]
    WrongAnswer {
        /// The API of the request.
        api: ApiKey,
        /// The API of the response.
        answered: ApiKey,
    },
    /// An answer to no request, or a second one.
    #[error("no request waits for this answer")]
    NotWaiting(CallId),
}

#[derive(Debug)]
enum Answer {
    Waiting,
    /// Answered by silence (Produce with acks=0).
    Silent,
    Ready(Vec<Bytes>),
}

/// A request that has been taken in and not yet been answered to the socket.
#[derive(Debug)]
struct Slot {
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    /// Of the request while it waits, of the response afterwards.
    bytes: usize,
    answer: Answer,
}

/// The state of one connection.
#[derive(Debug)]
pub struct Session {
    limits: SessionLimits,
    /// Oldest first; the call id of the first is `slots_from`.
    slots: VecDeque<Slot>,
    slots_from: u64,
    /// The sum of `bytes` over `slots`.
    bytes_in_flight: usize,
    /// After an error nothing more is taken in.
    failed: bool,
}

impl Session {
    /// The state of a connection that has just been opened.
    pub fn new(limits: SessionLimits) -> Self {
        Session { limits, slots: VecDeque::new(), slots_from: 0, bytes_in_flight: 0, failed: false }
    }

    /// Whether to go on reading from the socket: there is room for one more request.
    pub fn wants_input(&self) -> bool {
        !self.failed
            && self.slots.len() < self.limits.requests_in_flight_max
            && self.bytes_in_flight < self.limits.bytes_in_flight_max
    }

    /// Requests whose answers have not been given to the socket.
    pub fn requests_in_flight(&self) -> usize {
        self.slots.len()
    }

    /// Bytes of those requests, or of their answers.
    pub fn bytes_in_flight(&self) -> usize {
        self.bytes_in_flight
    }

    /// Takes the next request off the front of `input`, without copying payloads. `None` while there is no whole
    /// one, or no room for it; to be called again until then, and after [`Session::poll_transmit`] has made room.
    /// After an error the connection is to be closed.
    pub fn handle_input(&mut self, input: &mut BytesMut) -> Result<Option<Call>, SessionError> {
        while self.wants_input() {
            let taken = take_frame(input, self.limits.frame_bytes_max).inspect_err(|_| self.failed = true)?;
            let Some(frame) = taken else { break };
            let opened = self.open(frame).inspect_err(|_| self.failed = true)?;
            if let Some(call) = opened {
                return Ok(Some(call));
            }
        }
        Ok(None)
    }

    /// Gives the answer to a call; `None` sends nothing (Produce with acks=0). Any order will do.
    pub fn complete(&mut self, id: CallId, response: Option<Response>) -> Result<(), SessionError> {
        let slot = id.0.checked_sub(self.slots_from).and_then(|index| self.slots.get_mut(index as usize));
        let Some(slot) = slot.filter(|slot| matches!(slot.answer, Answer::Waiting)) else {
            return Err(SessionError::NotWaiting(id));
        };
        let answer = match response {
            Some(response) => Answer::Ready(slot.encode(&response).inspect_err(|_| self.failed = true)?),
            None => Answer::Silent,
        };
        self.bytes_in_flight -= slot.bytes;
        slot.bytes = answer.bytes();
        self.bytes_in_flight += slot.bytes;
        slot.answer = answer;
        self.debug_check();
        Ok(())
    }

    /// Whether the answer to a call has been given to the socket by [`Session::poll_transmit`].
    pub fn is_transmitted(&self, id: CallId) -> bool {
        id.0 < self.slots_from
    }

    /// The next answer to write, as pieces to be written one after the other; `None` while the oldest request waits.
    pub fn poll_transmit(&mut self) -> Option<Vec<Bytes>> {
        loop {
            if matches!(self.slots.front()?.answer, Answer::Waiting) {
                return None;
            }
            let slot = self.slots.pop_front()?;
            self.slots_from += 1;
            self.bytes_in_flight -= slot.bytes;
            self.debug_check();
            if let Answer::Ready(pieces) = slot.answer {
                return Some(pieces);
            }
        }
    }

    /// Reads the request in a frame; `None` if the session has answered it by itself.
    fn open(&mut self, frame: Bytes) -> Result<Option<Call>, SessionError> {
        let bytes = frame.len();
        let mut reader = Reader::new(frame);
        let header = RequestHeader::decode(&mut reader)?;
        let RequestHeader { api, version, correlation_id, .. } = header;
        let mut slot = Slot { api, version, correlation_id, bytes, answer: Answer::Waiting };
        if !api.decodable().contains(&version) {
            if api != ApiKey::ApiVersions {
                return Err(SessionError::UnsupportedVersion { api, version, correlation_id });
            }
            slot.answer = Answer::Ready(slot.encode_versions_fallback()?);
            slot.bytes = slot.answer.bytes();
            self.push(slot);
            return Ok(None);
        }
        let request = Request::decode(api, version, &mut reader)
            .map_err(|error| SessionError::MalformedRequest { api, version, correlation_id, error })?;
        let id = self.push(slot);
        Ok(Some(Call { id, header, request, frame_bytes: bytes }))
    }

    fn push(&mut self, slot: Slot) -> CallId {
        let id = CallId(self.slots_from + self.slots.len() as u64);
        self.bytes_in_flight += slot.bytes;
        self.slots.push_back(slot);
        self.debug_check();
        id
    }

    fn debug_check(&self) {
        debug_assert_eq!(self.bytes_in_flight, self.slots.iter().map(|slot| slot.bytes).sum::<usize>());
    }
}

impl Answer {
    fn bytes(&self) -> usize {
        match self {
            Answer::Ready(pieces) => pieces.iter().map(Bytes::len).sum(),
            Answer::Waiting | Answer::Silent => 0,
        }
    }
}

impl Slot {
    fn encode(&self, response: &Response) -> Result<Vec<Bytes>, SessionError> {
        if response.api() != self.api {
            return Err(SessionError::WrongAnswer { api: self.api, answered: response.api() });
        }
        self.encode_in(self.version, response)
    }

    /// What KIP-511 asks for when an ApiVersions version is not known: error 35 in the layout of version 0, with the
    /// versions of ApiVersions itself.
    fn encode_versions_fallback(&self) -> Result<Vec<Bytes>, SessionError> {
        let response = ApiVersionsResponse {
            error_code: ErrorCode::UnsupportedVersion,
            api_keys: vec![ApiKey::ApiVersions.advertisement()],
            ..Default::default()
        };
        self.encode_in(0, &response.into())
    }

    fn encode_in(&self, version: i16, response: &Response) -> Result<Vec<Bytes>, SessionError> {
        let mut writer = Writer::frame();
        encode_response_header(self.api, version, self.correlation_id, &mut writer);
        response.encode(version, &mut writer).and_then(|()| Ok(writer.into_frame()?)).map_err(|error| {
            SessionError::Unanswerable { api: self.api, version, correlation_id: self.correlation_id, error }
        })
    }
}
