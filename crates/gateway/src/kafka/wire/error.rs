//! What can be wrong with bytes that are read, and with a message that is to be written. Values only; who logs them
//! is the shell's business.

use thiserror::Error;

/// Why bytes are not the message they should be, and at which field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{fault} (at field {})", field.unwrap_or("-"))]
pub struct DecodeError {
    /// The innermost field that was being read, if inside a message.
    pub field: Option<&'static str>,
    /// What is wrong.
    pub fault: DecodeFault,
}

/// What is wrong with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeFault {
    /// The bytes end inside a value.
    #[error("{wanted} bytes wanted, {remaining} remain")]
    Truncated {
        /// Bytes the value needs.
        wanted: usize,
        /// Bytes there are.
        remaining: usize,
    },
    /// A length below -1 (null).
    #[error("negative length {0}")]
    NegativeLength(i64),
    /// A null where this version allows none.
    #[error("null is not allowed")]
    UnexpectedNull,
    /// More elements announced than the remaining bytes can hold.
    #[error("{count} elements announced, {remaining} bytes remain")]
    CountTooLarge {
        /// Elements announced.
        count: usize,
        /// Bytes there are.
        remaining: usize,
    },
    /// The message would take many times its encoded size in memory.
    #[error("the message takes too much memory for its size")]
    TooCostly,
    /// A variable-length integer longer than five bytes or above 32 bits.
    #[error("malformed variable-length integer")]
    Varint,
    /// A string that is not UTF-8.
    #[error("text is not UTF-8")]
    NotUtf8,
    /// A presence marker of a nullable structure other than -1 or 1.
    #[error("presence marker {0}")]
    PresenceMarker(i8),
    /// A tagged field whose content is shorter or longer than its announced size.
    #[error("tagged field {0} does not have its announced size")]
    TaggedFieldSize(u32),
    /// A version that this message does not have.
    #[error("version {0} is not supported")]
    UnsupportedVersion(i16),
}

impl From<DecodeFault> for DecodeError {
    fn from(fault: DecodeFault) -> Self {
        DecodeError { field: None, fault }
    }
}

impl DecodeError {
    /// The same error, with the field it happened in, unless an inner field is known already.
    pub fn at(self, field: &'static str) -> Self {
        DecodeError { field: self.field.or(Some(field)), ..self }
    }
}

/// Why a message cannot be written in the wanted version, and at which field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{fault} (at field {})", field.unwrap_or("-"))]
pub struct EncodeError {
    /// The innermost field that was being written, if inside a message.
    pub field: Option<&'static str>,
    /// What is wrong.
    pub fault: EncodeFault,
}

/// What is wrong with the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodeFault {
    /// The field is set, this version does not have it, and it matters.
    #[error("the field is set, but version {0} does not have it")]
    NotInVersion(i16),
    /// A null where this version allows none.
    #[error("null is not allowed")]
    UnexpectedNull,
    /// A value longer than its length field can say.
    #[error("{0} bytes or elements are too many")]
    TooLong(usize),
    /// A version that this message does not have.
    #[error("version {0} is not supported")]
    UnsupportedVersion(i16),
}

impl From<EncodeFault> for EncodeError {
    fn from(fault: EncodeFault) -> Self {
        EncodeError { field: None, fault }
    }
}

impl EncodeError {
    /// The same error, with the field it happened in, unless an inner field is known already.
    pub fn at(self, field: &'static str) -> Self {
        EncodeError { field: self.field.or(Some(field)), ..self }
    }
}
