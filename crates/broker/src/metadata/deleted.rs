//! The names of topics that were deleted: alarms and final statements outlive the topics that they are about. Bounded; says
//! nothing of whether a topic is there.

use std::collections::VecDeque;

use tallymq_model::{LogIndex, TopicId};

use crate::codec::{DecodeError, Parts, Reader};

/// So many names are kept, the newest.
pub const DELETED_NAMES_MAX: usize = 1000;

/// The names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DeletedNames {
    /// Oldest first.
    names: VecDeque<(TopicId, String)>,
    /// Those of topics that were deleted behind this: above 0, an older release wrote a checkpoint there, without names.
    pub(super) kept_from: LogIndex,
}

impl DeletedNames {
    /// As behind a checkpoint without names.
    pub(super) fn none_up_to(index: LogIndex) -> DeletedNames {
        DeletedNames { names: VecDeque::new(), kept_from: index }
    }

    pub(super) fn note(&mut self, id: TopicId, name: &str) {
        if self.names.len() >= DELETED_NAMES_MAX {
            self.names.pop_front();
        }
        self.names.push_back((id, name.to_owned()));
    }

    pub(super) fn get(&self, id: TopicId) -> Option<&str> {
        self.names.iter().rev().find(|(known, _)| *known == id).map(|(_, name)| name.as_str())
    }

    pub(super) fn encode(&self, out: &mut Parts) {
        out.put_u64(self.kept_from.0);
        out.put_length(self.names.len());
        for (id, name) in &self.names {
            out.put_uuid(id.0);
            out.put_text(name);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<DeletedNames, DecodeError> {
        let kept_from = LogIndex(reader.u64("the index that names are kept behind")?);
        let count = reader.count("the names of deleted topics", 17)?;
        if count > DELETED_NAMES_MAX {
            return Err(DecodeError::Range("the names of deleted topics"));
        }
        let name = |reader: &mut Reader<'_>| {
            Ok((TopicId(reader.uuid("a deleted topic's id")?), reader.text("a deleted topic's name")?))
        };
        let names = (0..count).map(|_| name(reader)).collect::<Result<_, DecodeError>>()?;
        Ok(DeletedNames { names, kept_from })
    }
}
