//! What was counted in the end, and what that means: the promise held, or what is wrong, or, without a part, whether that
//! went wrong which the part is there for. Pure.

use std::collections::BTreeMap;

use super::{
    order::{GROUP, TOPIC},
    text::{counted, ranges},
};
use crate::{
    arguments::Part,
    commands::account::report::{GroupTopic, Report},
};

/// What was done to everybody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    pub broker_kills: u64,
    pub order_service_kills: u64,
    pub packet_service_kills: u64,
    pub connections_cut: u64,
    /// Messages sent again on purpose, and acknowledged.
    pub repeated: u64,
}

impl Done {
    /// Of all processes.
    pub fn kills(&self) -> u64 {
        self.broker_kills + self.order_service_kills + self.packet_service_kills
    }
}

/// All that was counted: in the two databases, by the services, by the broker.
#[derive(Debug)]
pub struct Tally {
    pub orders: u64,
    /// Packets by order.
    pub packets: BTreeMap<u64, u64>,
    /// Messages that the inbox knew already.
    pub repeats: u64,
    pub done: Done,
    /// What the sequence check missed: how many, and which.
    pub gaps: Vec<(u64, String)>,
    pub report: Report,
    pub seconds: f64,
}

/// What it means.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every order has its red packet and none has two, and the books agree.
    Held,
    /// Something is wrong that should not be.
    Broken(Vec<String>),
    /// A part was left out, and that is the damage.
    Shown(String),
}

impl Tally {
    /// Red packets, all of them.
    pub fn packet_count(&self) -> u64 {
        self.packets.values().sum()
    }

    /// Orders that have none.
    pub fn orders_without(&self) -> Vec<u64> {
        (1..=self.orders).filter(|order| !self.packets.contains_key(order)).collect()
    }

    /// Orders that have more than one.
    pub fn orders_doubled(&self) -> Vec<u64> {
        self.packets.iter().filter(|(_, packets)| **packets > 1).map(|(order, _)| *order).collect()
    }

    /// Duplicates that made a red packet.
    pub fn duplicates_applied(&self) -> u64 {
        self.packet_count() - self.packets.len() as u64
    }

    /// Duplicates that reached the service's database, with or without effect.
    pub fn duplicates_delivered(&self) -> u64 {
        self.repeats + self.duplicates_applied()
    }

    /// Messages in the topic.
    pub fn stored(&self) -> u64 {
        self.account().map_or(0, |account| account.stored)
    }

    /// Messages with a receipt of the handler.
    pub fn handled(&self) -> u64 {
        self.account().map_or(0, |account| account.handled)
    }

    /// Messages of one class of the account.
    pub fn class(&self, name: &str) -> u64 {
        self.account().map_or(0, |account| account.class(name))
    }

    fn account(&self) -> Option<&GroupTopic> {
        self.report.of(GROUP, TOPIC)
    }

    /// What it all means.
    pub fn verdict(&self, without: Option<Part>) -> Verdict {
        let mut wrong = self.books_wrong();
        let (missing, doubled) = (self.orders_without(), self.orders_doubled());
        let missing_text = || {
            let number = counted(missing.len() as u64, "order");
            format!("{number} without a red packet: {}", ranges(&missing))
        };
        let doubled_text = || {
            let number = counted(doubled.len() as u64, "order");
            format!("{number} with more than one red packet: {}", ranges(&doubled))
        };
        let is_doubling = without == Some(Part::Inbox);
        let is_losing = matches!(without, Some(Part::Outbox | Part::Sync | Part::AckAfter));
        if !missing.is_empty() && !is_losing {
            wrong.push(missing_text());
        }
        if !doubled.is_empty() && !is_doubling {
            wrong.push(doubled_text());
        }
        if is_losing && missing.is_empty() {
            wrong.push("every order has its red packet, although a part was left out".to_owned());
        }
        if is_doubling && doubled.is_empty() {
            wrong.push("no order has two red packets, although the inbox was left out".to_owned());
        }
        match wrong.is_empty() {
            false => Verdict::Broken(wrong),
            true if is_losing => Verdict::Shown(missing_text()),
            true if is_doubling => Verdict::Shown(doubled_text()),
            true => Verdict::Held,
        }
    }

    /// The account has to come out whatever was left out, and to know of no loss.
    fn books_wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if !self.report.balanced {
            wrong.push("the account does not come out".to_owned());
        }
        for class in ["lost", "skipped", "expired_unread", "pending", "in_flight"] {
            if self.class(class) > 0 {
                wrong.push(format!(
                    "the account has {} in class {class}",
                    counted(self.class(class), "message")
                ));
            }
        }
        if self.stored() == 0 {
            wrong.push("the broker keeps no account".to_owned());
        }
        wrong
    }
}

#[cfg(test)]
pub mod tests {
    use serde_json::json;

    use super::*;

    /// So many orders, these packets, and an account of these classes.
    pub fn tally(orders: u64, packets: &[(u64, u64)], classes: serde_json::Value) -> Tally {
        let stored: u64 = classes.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
        let tallies = json!({
            "redelivered": 0, "recovered": 0, "refused": 0, "merged_records": 0, "intervals_folded": 0
        });
        let account = json!({
            "group": GROUP, "topic": TOPIC, "stored": stored, "classes": classes, "possible": 0, "handled": 0,
            "tallies": tallies, "balanced": true, "partitions": []
        });
        let report = json!({
            "enabled": true, "balanced": true, "accounts": [account], "more": false, "unopened": 0, "alarms": 0
        });
        Tally {
            orders,
            packets: packets.iter().copied().collect(),
            repeats: 2,
            done: Done { broker_kills: 1, order_service_kills: 2, repeated: 1, ..Done::default() },
            gaps: Vec::new(),
            report: serde_json::from_value(report).unwrap(),
            seconds: 1.0,
        }
    }

    const WHOLE: [(u64, u64); 3] = [(1, 1), (2, 1), (3, 1)];

    #[test]
    fn one_packet_each_and_nothing_open_is_what_was_promised() {
        let whole = tally(3, &WHOLE, json!({ "processed": 4, "unwitnessed": 1, "pending": 0 }));
        assert_eq!(whole.verdict(None), Verdict::Held);
        assert_eq!((whole.duplicates_delivered(), whole.duplicates_applied(), whole.done.kills()), (2, 0, 3));
        for part in [Part::Inbox, Part::Outbox, Part::Sync, Part::AckAfter] {
            assert!(
                matches!(whole.verdict(Some(part)), Verdict::Broken(_)),
                "{part:?} did not show anything"
            );
        }
    }

    #[test]
    fn a_missing_packet_is_broken_unless_it_was_announced() {
        let missing = tally(3, &[(1, 1), (3, 1)], json!({ "processed": 3 }));
        let Verdict::Broken(wrong) = missing.verdict(None) else { panic!("held") };
        assert_eq!(wrong, ["1 order without a red packet: 2"]);
        for part in [Part::Outbox, Part::Sync, Part::AckAfter] {
            assert_eq!(missing.verdict(Some(part)), Verdict::Shown(wrong[0].clone()));
        }
        assert!(matches!(missing.verdict(Some(Part::Inbox)), Verdict::Broken(_)));
    }

    #[test]
    fn a_second_packet_is_broken_unless_it_was_announced() {
        let doubled = tally(3, &[(1, 1), (2, 1), (3, 2)], json!({ "processed": 4 }));
        let Verdict::Broken(wrong) = doubled.verdict(None) else { panic!("held") };
        assert_eq!(wrong, ["1 order with more than one red packet: 3"]);
        assert_eq!(doubled.verdict(Some(Part::Inbox)), Verdict::Shown(wrong[0].clone()));
        assert!(matches!(doubled.verdict(Some(Part::Outbox)), Verdict::Broken(_)));
        assert_eq!(doubled.duplicates_applied(), 1);
    }

    #[test]
    fn books_that_know_of_a_loss_break_every_promise() {
        for class in ["lost", "skipped", "expired_unread", "pending", "in_flight"] {
            let with_loss = tally(3, &WHOLE, json!({ "processed": 2, class: 1 }));
            assert!(matches!(with_loss.verdict(None), Verdict::Broken(_)), "{class}");
        }
        let mut unbalanced = tally(3, &WHOLE, json!({ "processed": 3 }));
        unbalanced.report.balanced = false;
        assert!(matches!(unbalanced.verdict(None), Verdict::Broken(_)));
        let without_account = tally(3, &WHOLE, json!({}));
        assert!(matches!(without_account.verdict(None), Verdict::Broken(_)));
    }
}
