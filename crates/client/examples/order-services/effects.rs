//! What was done for the orders, as numbers to judge: how often, for whom, in which order.

/// What the red-packet service's database holds.
#[derive(Debug, Default, serde::Serialize)]
pub struct Effects {
    /// Red packets.
    pub packets: i64,
    /// Orders that have one.
    pub distinct_orders: i64,
    /// The lowest and the highest order number with one.
    pub lowest_order: i64,
    pub highest_order: i64,
    /// Red packets that came after one of a later order of the same customer.
    pub out_of_order: i64,
    /// Messages that came again and were not worked on, as far as the store counts them.
    pub repeats: i64,
    /// Work that was done again: with Redis, which promises no more than to make that rare.
    pub redone: i64,
}
