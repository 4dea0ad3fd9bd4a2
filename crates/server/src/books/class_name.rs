//! The classes' names in JSON and metrics. They are part of the interface: a test holds them.

use serde::{Serialize, Serializer};
use tallymq_broker::account::{Class, Counts};

/// One word per class.
pub fn class_name(class: Class) -> &'static str {
    match class {
        Class::Pending => "pending",
        Class::InFlight => "in_flight",
        Class::Processed => "processed",
        Class::DeadLettered => "dead_lettered",
        Class::Superseded => "superseded",
        Class::Withdrawn => "withdrawn",
        Class::Purged => "purged",
        Class::ExpiredUnread => "expired_unread",
        Class::Skipped => "skipped",
        Class::Unwitnessed => "unwitnessed",
        Class::Lost => "lost",
    }
}

/// Every class with its count, as a JSON object in the order of the equation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes(pub Counts);

impl Serialize for Classes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(class, count)| (class_name(class), count)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_equation_in_one_word() {
        for class in Class::ALL {
            assert_eq!(class_name(class), class.name().replace([' ', '-'], "_"));
        }
    }

    #[test]
    fn all_classes_are_there_even_at_zero() {
        let json = serde_json::to_string(&Classes::default()).unwrap();
        assert!(json.starts_with(r#"{"pending":0,"in_flight":0,"processed":0,"#), "{json}");
        assert!(json.ends_with(r#""unwitnessed":0,"lost":0}"#), "{json}");
    }
}
