//! Who did something: the member, the client, the address. Text from outside, cut to a bound before it is kept.

use crate::codec::{DecodeError, Parts, Reader as Bytes};
use crate::group::names::{GroupId, Text};

/// Bytes that are kept of each text.
const TEXT_BYTES_MAX: usize = 256;

/// A client, as the journal and the alarms name it. Empty where it is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    member: Text,
    client_id: Text,
    address: Text,
}

impl Who {
    /// Texts longer than 256 bytes are cut.
    pub fn new(member: &str, client_id: &str, address: &str) -> Who {
        Who { member: cut(member), client_id: cut(client_id), address: cut(address) }
    }

    /// The member id; empty for who is no member.
    pub fn member(&self) -> &str {
        &self.member
    }

    /// The client id.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The peer's address.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn size_bytes(&self) -> usize {
        6 + self.member.len() + self.client_id.len() + self.address.len()
    }

    pub(crate) fn encode(&self, out: &mut Parts) {
        out.put_text(&self.member);
        out.put_text(&self.client_id);
        out.put_text(&self.address);
    }

    pub(crate) fn decode(reader: &mut Bytes<'_>) -> Result<Who, DecodeError> {
        let member = reader.text("a member id")?;
        let client_id = reader.text("a client id")?;
        Ok(Who::new(&member, &client_id, &reader.text("a client's address")?))
    }
}

/// At most [`TEXT_BYTES_MAX`] bytes of a text, whole characters.
pub(super) fn cut(text: &str) -> Text {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].into()
}

/// In what role somebody commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum CommitterKind {
    /// From before accounts were kept: moves positions and no account.
    #[default]
    Unrecorded = 0,
    /// A member of the group.
    Member = 1,
    /// A client that assigns its partitions itself.
    Standalone = 2,
    /// A tool or a person, in the name of a group.
    Admin = 3,
}

/// Who commits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committer {
    /// In what role.
    pub kind: CommitterKind,
    /// Who.
    pub who: Who,
}

impl Committer {
    pub(crate) fn size_bytes(&self) -> usize {
        1 + self.who.size_bytes()
    }

    pub(crate) fn encode(&self, out: &mut Parts) {
        out.put_u8(self.kind as u8);
        self.who.encode(out);
    }

    pub(crate) fn decode(reader: &mut Bytes<'_>) -> Result<Committer, DecodeError> {
        let kind = match reader.u8("a committer's kind")? {
            0 => CommitterKind::Unrecorded,
            1 => CommitterKind::Member,
            2 => CommitterKind::Standalone,
            3 => CommitterKind::Admin,
            found => return Err(DecodeError::Variant { what: "a committer's kind", found }),
        };
        Ok(Committer { kind, who: Who::decode(reader)? })
    }
}

/// Who was delivered something, and over which connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// The group in whose name.
    pub group: GroupId,
    /// Who.
    pub who: Who,
    /// The broker's number of the connection.
    pub connection: u64,
}
