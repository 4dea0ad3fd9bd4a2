//! An order as it stands in the database and travels in its message. Pure: everything follows from its number.

use serde::{Deserialize, Serialize};
use tallymq_client::{Record, headers};

/// The topic of the orders.
pub const TOPIC: &str = "orders";
/// Its partitions.
pub const PARTITIONS: i32 = 4;
/// The red-packet service's consumer group.
pub const GROUP: &str = "red-packets";

const CUSTOMERS: u64 = 250;

/// One order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// From 1.
    pub number: u64,
    /// Who ordered. Orders of a customer stay in order.
    pub customer: String,
    /// What is in the red packet.
    pub cents: u64,
}

impl Order {
    /// The order of that number.
    pub fn number(number: u64) -> Order {
        Order {
            number,
            customer: format!("customer-{}", number * 7919 % CUSTOMERS),
            cents: 100 + number * 37 % 900,
        }
    }

    /// Its message. The id is the same whenever and by whomever it is sent.
    pub fn record(&self) -> Record {
        let value = serde_json::to_vec(self).expect("an order is JSON");
        Record::to(TOPIC)
            .key(self.customer.clone())
            .value(value)
            .header(headers::ID, format!("order-{}", self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_the_order_and_the_same_each_time() {
        let order = Order::number(17);
        let record = order.record();
        assert_eq!(record, Order::number(17).record());
        assert_eq!(serde_json::from_slice::<Order>(record.value_bytes().unwrap()).unwrap(), order);
        assert_eq!(record.headers()[0].value.as_deref(), Some(&b"order-17"[..]));
    }
}
