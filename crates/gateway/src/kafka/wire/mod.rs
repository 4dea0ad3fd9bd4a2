//! Kafka's wire primitives. Reading is bounded by the bytes that are there and never copies payloads; writing links
//! large payloads into a chain and never copies them. No message is known here.

mod error;
mod message;
mod reader;
mod records;
#[cfg(feature = "samples")]
pub mod sample;
mod tagged;
mod text;
mod values;
mod writer;

pub use error::{DecodeError, DecodeFault, EncodeError, EncodeFault};
pub use message::{Layout, Structure, Wire};
pub use reader::Reader;
pub use records::Records;
pub use tagged::{TaggedFields, read_tagged};
pub use writer::Writer;
