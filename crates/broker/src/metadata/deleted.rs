//! The names of topics that were deleted: alarms and final statements outlive the topics that they are about. Bounded; says
//! nothing of whether a topic is there.

use std::collections::VecDeque;

use tallymq_model::TopicId;

use crate::codec::{DecodeError, Parts, Reader};

/// So many names are kept, the newest.
pub const DELETED_NAMES_MAX: usize = 1000;

/// The names, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DeletedNames(VecDeque<(TopicId, String)>);

impl DeletedNames {
    pub(super) fn note(&mut self, id: TopicId, name: &str) {
        if self.0.len() >= DELETED_NAMES_MAX {
            self.0.pop_front();
        }
        self.0.push_back((id, name.to_owned()));
    }

    pub(super) fn get(&self, id: TopicId) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| *known == id).map(|(_, name)| name.as_str())
    }

    pub(super) fn encode(&self, out: &mut Parts) {
        out.put_length(self.0.len());
        for (id, name) in &self.0 {
            out.put_uuid(id.0);
            out.put_text(name);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<DeletedNames, DecodeError> {
        let count = reader.count("the names of deleted topics", 17)?;
        if count > DELETED_NAMES_MAX {
            return Err(DecodeError::Range("the names of deleted topics"));
        }
        let name = |reader: &mut Reader<'_>| {
            Ok((TopicId(reader.uuid("a deleted topic's id")?), reader.text("a deleted topic's name")?))
        };
        (0..count).map(|_| name(reader)).collect::<Result<_, _>>().map(DeletedNames)
    }
}
