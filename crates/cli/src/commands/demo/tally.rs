//! What was counted in the end, and what that means: the promise held, or what is wrong, or, without a part, whether that
//! went wrong which the part is there for. Pure.

use std::collections::BTreeMap;

use super::{
    order::{GROUP, TOPIC},
    text::{counted, ranges},
};
use crate::{arguments::Part, commands::account::report::Report};

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
        self.account().and_then(|account| account.classes.get(name)).copied().unwrap_or(0)
    }

    fn account(&self) -> Option<&crate::commands::account::report::GroupTopic> {
        self.report.accounts.iter().find(|account| account.group == GROUP && account.topic == TOPIC)
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
