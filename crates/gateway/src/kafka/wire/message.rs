//! The two traits of everything on the wire: `Wire` for any value, `Structure` for what comes out of a `schema!` and
//! can be a whole message. No message is known here.

use std::ops::RangeInclusive;

use super::{DecodeError, DecodeFault, EncodeError, EncodeFault, Reader, Writer};

/// In which version a message is read or written, and whether that version is flexible (KIP-482: compact lengths and
/// tagged fields).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The version.
    pub version: i16,
    /// Whether it is flexible.
    pub flexible: bool,
}

/// A value with a wire form.
pub trait Wire: Sized {
    /// The fewest bytes that any value takes in this layout; bounds how many elements a list can have.
    fn bytes_min(layout: Layout) -> usize;

    /// Reads one value. Takes from `reader` only what belongs to it, unless it fails.
    fn read(reader: &mut Reader, layout: Layout) -> Result<Self, DecodeError>;

    /// Appends the value to `writer`. After an error the writer's content is worthless.
    fn write(&self, writer: &mut Writer, layout: Layout) -> Result<(), EncodeError>;

    /// A value that sets every field the layout has, chosen by `sampler`.
    #[cfg(feature = "samples")]
    fn sample(sampler: &mut super::sample::Sampler, layout: Layout) -> Self;
}

/// A structure that comes out of a schema: knows the versions of its API.
pub trait Structure: Wire {
    /// The versions of the API it belongs to.
    const VERSIONS: RangeInclusive<i16>;
    /// The first flexible version (KIP-482), if any.
    const FLEXIBLE_FROM: Option<i16>;

    /// The layout of `version`, if the API has it.
    fn layout(version: i16) -> Option<Layout> {
        let flexible = Self::FLEXIBLE_FROM.is_some_and(|first| version >= first);
        Self::VERSIONS.contains(&version).then_some(Layout { version, flexible })
    }

    /// Reads a whole message. Bytes behind it are left in `reader`: brokers have always ignored them.
    fn decode(reader: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let layout = Self::layout(version).ok_or(DecodeFault::UnsupportedVersion(version))?;
        Self::read(reader, layout)
    }

    /// Appends the whole message to `writer`.
    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let layout = Self::layout(version).ok_or(EncodeFault::UnsupportedVersion(version))?;
        self.write(writer, layout)
    }
}

/// A structure that may be null: one byte in front says so (-1 null, 1 present).
impl<T: Structure> Wire for Option<T> {
    fn bytes_min(_: Layout) -> usize {
        1
    }

    fn read(reader: &mut Reader, layout: Layout) -> Result<Self, DecodeError> {
        match i8::read(reader, layout)? {
            -1 => Ok(None),
            1 => Ok(Some(T::read(reader, layout)?)),
            marker => Err(DecodeFault::PresenceMarker(marker).into()),
        }
    }

    fn write(&self, writer: &mut Writer, layout: Layout) -> Result<(), EncodeError> {
        match self {
            None => (-1i8).write(writer, layout),
            Some(value) => {
                1i8.write(writer, layout)?;
                value.write(writer, layout)
            }
        }
    }

    #[cfg(feature = "samples")]
    fn sample(sampler: &mut super::sample::Sampler, layout: Layout) -> Self {
        if sampler.chance(4) { None } else { Some(T::sample(sampler, layout)) }
    }
}
