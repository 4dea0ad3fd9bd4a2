//! Every request and every response as one enum each, read and written by API and version. Dispatch comes out of
//! the table in `api.rs`; nothing is decided here.

use super::api::{ApiKey, with_apis};
use super::messages::*;
use super::wire::{DecodeError, EncodeError, Reader, Structure, Writer};

macro_rules! message_enum {
    ($(#[$doc:meta])* $enum:ident { $($name:ident($file:ident::$message:ident),)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(clippy::large_enum_variant, reason = "lives for one call; a box would cost an allocation each")]
        pub enum $enum {
            $(#[doc = concat!("See [`", stringify!($file), "`].")] $name($file::$message),)*
        }

        impl $enum {
            /// Reads the body that follows the header. Bytes behind it are left in `reader`.
            pub fn decode(api: ApiKey, version: i16, reader: &mut Reader) -> Result<Self, DecodeError> {
                match api {
                    $(ApiKey::$name => $file::$message::decode(reader, version).map($enum::$name),)*
                }
            }

            /// Appends the body that follows the header.
            pub fn encode(&self, version: i16, writer: &mut Writer) -> Result<(), EncodeError> {
                match self {
                    $($enum::$name(message) => message.encode(writer, version),)*
                }
            }

            /// The API it belongs to.
            pub fn api(&self) -> ApiKey {
                match self {
                    $($enum::$name(_) => ApiKey::$name,)*
                }
            }

            /// A sample with every field set that the version has, or nothing if there is no such version.
            #[cfg(feature = "samples")]
            pub fn sample(api: ApiKey, version: i16, sampler: &mut super::wire::sample::Sampler) -> Option<Self> {
                use super::wire::Wire;
                match api {
                    $(ApiKey::$name => {
                        let layout = $file::$message::layout(version)?;
                        Some($enum::$name($file::$message::sample(sampler, layout)))
                    })*
                }
            }
        }

        $(impl From<$file::$message> for $enum {
            fn from(message: $file::$message) -> Self {
                $enum::$name(message)
            }
        })*
    };
}

macro_rules! request_and_response {
    ($($key:literal $name:ident $file:ident::{$request:ident, $response:ident} $advertised:expr;)*) => {
        message_enum! {
            /// What a client asks.
            Request { $($name($file::$request),)* }
        }
        message_enum! {
            /// What a broker answers.
            Response { $($name($file::$response),)* }
        }
    };
}

with_apis!(request_and_response);
