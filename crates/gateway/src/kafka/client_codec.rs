//! The client's half of the protocol: request out, response in. Frames only; connections and retries are the
//! caller's.

use bytes::Bytes;

use super::api::ApiKey;
use super::error_code::ErrorCode;
use super::header::{RequestHeader, decode_response_header};
use super::request::{Request, Response};
use super::wire::{DecodeError, EncodeError, Reader, Writer};

pub use super::frame::{FrameError, take_frame};

/// The version of an ApiVersions response that says "unsupported version", whatever was asked (KIP-511).
const API_VERSIONS_FALLBACK_VERSION: i16 = 0;

/// A request as a frame, in pieces to be written one after the other.
pub fn encode_request(
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
    request: &Request,
) -> Result<Vec<Bytes>, EncodeError> {
    let client_id = client_id.map(str::to_owned);
    let header = RequestHeader { api: request.api(), version, correlation_id, client_id };
    let mut writer = Writer::frame();
    header.encode(&mut writer)?;
    request.encode(version, &mut writer)?;
    Ok(writer.into_frame()?)
}

/// Reads the answer to a request of this API and version from a frame (without its length field, see
/// [`take_frame`]): its correlation id and the response.
pub fn decode_response(api: ApiKey, version: i16, frame: Bytes) -> Result<(i32, Response), DecodeError> {
    let mut reader = Reader::new(frame);
    let correlation_id = decode_response_header(api, version, &mut reader)?;
    let version = if api == ApiKey::ApiVersions && starts_with_unsupported_version(&reader) {
        API_VERSIONS_FALLBACK_VERSION
    } else {
        version
    };
    Ok((correlation_id, Response::decode(api, version, &mut reader)?))
}

fn starts_with_unsupported_version(reader: &Reader) -> bool {
    reader.peek().starts_with(&ErrorCode::UnsupportedVersion.code().to_be_bytes())
}
