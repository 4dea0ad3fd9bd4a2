//! Headers in front of requests and responses. Request header 1 or 2, response header 0 or 1; the higher one is for
//! flexible versions. (Request header 0, without a client id, belonged to ControlledShutdown 0 only.)
//!
//! ```text
//! request   key i16, version i16, correlation id i32, client id nullable string (never compact), [tagged fields]
//! response  correlation id i32, [tagged fields]
//! ```

use thiserror::Error;

use super::api::ApiKey;
use super::wire::{DecodeError, EncodeError, Layout, Reader, TaggedFields, Wire, Writer, read_tagged};

/// The client id is a plain string even in flexible headers, so that any broker can read it (KIP-482).
const CLIENT_ID_LAYOUT: Layout = Layout { version: 1, flexible: false };

/// What stands in front of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// Which API.
    pub api: ApiKey,
    /// In which version the body is; not necessarily one that can be read.
    pub version: i16,
    /// The client's number for the request, which the response repeats.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<String>,
}

/// Why a request header cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RequestHeaderError {
    /// Not a header.
    #[error("malformed request header: {0}")]
    Malformed(#[from] DecodeError),
    /// A header whose rest depends on an API that is not spoken here.
    #[error("API key {api_key} (version {version}, correlation id {correlation_id}) is not supported")]
    UnknownApi {
        /// The key asked for.
        api_key: i16,
        /// The version asked for.
        version: i16,
        /// The client's number for the request.
        correlation_id: i32,
    },
}

impl RequestHeader {
    /// Reads a header; its own version follows from the API and version in it.
    pub fn decode(reader: &mut Reader) -> Result<Self, RequestHeaderError> {
        let api_key = i16::read(reader, CLIENT_ID_LAYOUT)?;
        let version = i16::read(reader, CLIENT_ID_LAYOUT)?;
        let correlation_id = i32::read(reader, CLIENT_ID_LAYOUT)?;
        let api = ApiKey::from_key(api_key).ok_or(RequestHeaderError::UnknownApi {
            api_key,
            version,
            correlation_id,
        })?;
        let client_id =
            Option::<String>::read(reader, CLIENT_ID_LAYOUT).map_err(|error| error.at("client_id"))?;
        if api.is_flexible(version) {
            read_tagged(reader, |_, _| Ok(false))?;
        }
        Ok(RequestHeader { api, version, correlation_id, client_id })
    }

    /// Appends the header.
    pub fn encode(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        self.api.key().write(writer, CLIENT_ID_LAYOUT)?;
        self.version.write(writer, CLIENT_ID_LAYOUT)?;
        self.correlation_id.write(writer, CLIENT_ID_LAYOUT)?;
        self.client_id.write(writer, CLIENT_ID_LAYOUT).map_err(|error| error.at("client_id"))?;
        if self.api.is_flexible(self.version) {
            TaggedFields::default().write(writer);
        }
        Ok(())
    }
}

/// Whether the response header has tagged fields. Never for ApiVersions: its client cannot know yet what the broker
/// speaks (KIP-511).
fn response_header_is_flexible(api: ApiKey, version: i16) -> bool {
    api != ApiKey::ApiVersions && api.is_flexible(version)
}

/// Appends the header of the response to a request of this API and version.
pub fn encode_response_header(api: ApiKey, version: i16, correlation_id: i32, writer: &mut Writer) {
    writer.put(&correlation_id.to_be_bytes());
    if response_header_is_flexible(api, version) {
        TaggedFields::default().write(writer);
    }
}

/// Reads the header of the response to a request of this API and version: its correlation id.
pub fn decode_response_header(api: ApiKey, version: i16, reader: &mut Reader) -> Result<i32, DecodeError> {
    let correlation_id = i32::from_be_bytes(reader.array()?);
    if response_header_is_flexible(api, version) {
        read_tagged(reader, |_, _| Ok(false))?;
    }
    Ok(correlation_id)
}
