//! Tagged fields (KIP-482): the optional tail of every structure of a flexible version. Unknown ones are skipped.
//!
//! ```text
//! count, then per field: tag, size, value        (all three numbers are unsigned varints, tags ascend)
//! ```

use super::{DecodeError, DecodeFault, EncodeError, EncodeFault, Layout, Reader, Wire, Writer};

/// Reads the tagged fields of one structure. `known` reads the value of a tag it knows and answers `true`; a tag
/// it does not know (`false`) is skipped. The order of tags is not checked, as Kafka's own reader does not.
pub fn read_tagged(
    reader: &mut Reader,
    mut known: impl FnMut(u32, &mut Reader) -> Result<bool, DecodeError>,
) -> Result<(), DecodeError> {
    for _ in 0..reader.unsigned_varint()? {
        let tag = reader.unsigned_varint()?;
        let size = reader.unsigned_varint()? as usize;
        let Some(after) = reader.remaining().checked_sub(size) else {
            let fault = DecodeFault::Truncated { wanted: size, remaining: reader.remaining() };
            return Err(fault.into());
        };
        if !known(tag, reader)? {
            reader.skip(size)?;
        }
        if reader.remaining() != after {
            return Err(DecodeFault::TaggedFieldSize(tag).into());
        }
    }
    Ok(())
}

/// Collects the tagged fields of one structure that are not at their default.
#[derive(Debug, Default)]
pub struct TaggedFields {
    count: u32,
    content: Writer,
}

impl TaggedFields {
    /// Adds a field; tags must come in ascending order.
    pub fn add<T: Wire>(&mut self, tag: u32, value: &T, layout: Layout) -> Result<(), EncodeError> {
        let mut encoded = Writer::new();
        value.write(&mut encoded, layout)?;
        let size = u32::try_from(encoded.bytes()).map_err(|_| EncodeFault::TooLong(encoded.bytes()))?;
        self.count += 1;
        self.content.unsigned_varint(tag);
        self.content.unsigned_varint(size);
        self.content.append(encoded);
        Ok(())
    }

    /// Appends the section to `writer`.
    pub fn write(self, writer: &mut Writer) {
        writer.unsigned_varint(self.count);
        if self.count > 0 {
            writer.append(self.content);
        }
    }
}
