//! Which topic names are valid: the rules of Kafka's `Topic.validate`. Knows no topic.

use thiserror::Error;

/// Longest topic name, in bytes: it leaves room for `-partition` in a directory name.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// Why a topic name is not valid. Kafka: INVALID_TOPIC_EXCEPTION (17).
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TopicNameError {
    /// "".
    #[error("Topic name is invalid: the empty string is not allowed")]
    Empty,
    /// "." or "..".
    #[error("Topic name is invalid: '.' or '..' is not allowed")]
    Dots,
    /// Longer than [`TOPIC_NAME_BYTES_MAX`].
    #[error("Topic name is invalid: the length of '{0}' is longer than the max allowed length 249")]
    TooLong(String),
    /// Another character.
    #[error(
        "Topic name is invalid: '{0}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    )]
    Characters(String),
}

/// Checks a topic's name.
pub fn check_topic_name(name: &str) -> Result<(), TopicNameError> {
    match name {
        "" => Err(TopicNameError::Empty),
        "." | ".." => Err(TopicNameError::Dots),
        _ if name.len() > TOPIC_NAME_BYTES_MAX => Err(TopicNameError::TooLong(name.to_owned())),
        _ if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) => Ok(()),
        _ => Err(TopicNameError::Characters(name.to_owned())),
    }
}

/// The name with which names collide that differ only in `.` and `_`.
pub(super) fn collision_key(name: &str) -> String {
    name.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_kafkas_rules() {
        for good in ["a", "A-b_c.9", "...", "-", &"x".repeat(249)] {
            assert_eq!(check_topic_name(good), Ok(()), "{good}");
        }
        assert_eq!(check_topic_name(""), Err(TopicNameError::Empty));
        assert_eq!(check_topic_name("."), Err(TopicNameError::Dots));
        assert_eq!(check_topic_name(".."), Err(TopicNameError::Dots));
        assert!(matches!(check_topic_name(&"x".repeat(250)), Err(TopicNameError::TooLong(_))));
        for bad in ["a b", "a/b", "ä", "a\0", "a:b"] {
            assert!(matches!(check_topic_name(bad), Err(TopicNameError::Characters(_))), "{bad}");
        }
    }
}
