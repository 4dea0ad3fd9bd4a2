//! What consumers put into JoinGroup and SyncGroup as opaque bytes: subscription and assignment of the protocol type
//! `consumer`. Brokers only look into it to describe groups and to attribute fetches; nothing depends on it.
//!
//! ```text
//! version i16, then the structure in that version; a newer one reads as the newest known, its rest ignored
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use super::schema::schema;
use super::wire::{DecodeError, DecodeFault, EncodeError, Reader, Structure, Writer};

schema! {
    versions 0..=3, flexible none;

    /// What a member wants to consume.
    pub struct ConsumerProtocolSubscription {
        /// The topics that the member wants to consume.
        topics: Vec<String>;
        /// User data that will be passed back to the consumer.
        user_data: Option<Bytes>;
        /// The partitions that the member owns (KIP-429).
        owned_partitions: Vec<TopicPartitions>, versions 1.., ignorable true;
        /// The generation in which the member owned them (KIP-792).
        generation_id: i32, versions 2.., default -1, ignorable true;
        /// The rack of the member (KIP-881).
        rack_id: Option<String>, versions 3.., ignorable true;
    }

    /// What a member gets.
    pub struct ConsumerProtocolAssignment {
        /// The partitions assigned to the member.
        assigned_partitions: Vec<TopicPartitions>;
        /// User data.
        user_data: Option<Bytes>;
    }

    /// Partitions of one topic.
    pub struct TopicPartitions {
        /// The topic name.
        topic: String;
        /// The partition numbers.
        partitions: Vec<i32>;
    }
}

/// Reads a subscription or an assignment out of a member's opaque bytes.
pub fn decode<T: Structure>(payload: Bytes) -> Result<T, DecodeError> {
    let mut reader = Reader::new(payload);
    let version = i16::from_be_bytes(reader.array()?);
    if version < *T::VERSIONS.start() {
        return Err(DecodeFault::UnsupportedVersion(version).into());
    }
    T::decode(&mut reader, version.min(*T::VERSIONS.end()))
}

/// Writes a subscription or an assignment as a member's opaque bytes.
pub fn encode<T: Structure>(message: &T, version: i16) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    writer.put(&version.to_be_bytes());
    message.encode(&mut writer, version)?;
    let mut payload = BytesMut::with_capacity(writer.bytes());
    writer.into_pieces().into_iter().for_each(|piece| payload.put(piece));
    Ok(payload.freeze())
}
