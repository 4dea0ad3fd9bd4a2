//! What the demo does to its services and when, out of a seed. Pure: the same seed plans the same.
//!
//! Kills come in a fixed round, so that the first few already meet every process at its weakest moment; their order and
//! their times are random.

use tallymq_storage::disk::Random;

/// A place in a service's work where a kill hurts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Wherever it is.
    Any,
    /// Everything is in the transaction, which is not committed.
    BeforeCommit,
    /// The transaction is committed, and nobody knows: not sent, or not acknowledged.
    AfterCommit,
    /// The broker has acknowledged the message, and the service has not noted that.
    AfterAck,
}

/// One blow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// kill -9 of the order service.
    OrderService(Moment),
    /// kill -9 of the red-packet service.
    RedPacketService(Moment),
    /// kill -9 of the broker.
    Broker,
    /// kill -9 of the red-packet service, then of the broker, while it holds acknowledged messages that nobody has read.
    BrokerUnread,
}

impl Blow {
    /// How many processes die.
    pub fn kills(self) -> u64 {
        if self == Blow::BrokerUnread { 2 } else { 1 }
    }
}

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Kill.
    Blow(Blow),
    /// Cut every connection between services and broker.
    Cut,
    /// Send so many messages again whose red packets are made.
    Repeat(u64),
}

/// What to do, once so many orders are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub at: u64,
    /// A moment longer, so that kills of [`Moment::Any`] come anywhere.
    pub pause_ms: u64,
    pub action: Action,
}

/// How many kills there are if nobody says.
pub const KILLS: u64 = 20;
/// How many kills show every part's worth: one round's first three.
pub const KILLS_WITHOUT_MIN: u64 = 4;
/// Orders for each kill at least, so that there is work at the time.
pub const ORDERS_PER_KILL: u64 = 20;
/// Repeats are sent in so many portions.
const PORTIONS: u64 = 10;

/// The round, the weakest moments first.
const ROUND: [Blow; 9] = [
    Blow::OrderService(Moment::AfterCommit),
    Blow::RedPacketService(Moment::BeforeCommit),
    Blow::BrokerUnread,
    Blow::OrderService(Moment::AfterAck),
    Blow::RedPacketService(Moment::AfterCommit),
    Blow::Broker,
    Blow::OrderService(Moment::Any),
    Blow::RedPacketService(Moment::Any),
    Blow::OrderService(Moment::BeforeCommit),
];

/// The steps, by when they are due.
pub fn plan(orders: u64, kills: u64, seed: u64) -> Vec<Step> {
    let mut random = Random::new(seed);
    let mut blows = blows(kills);
    for at in (1..blows.len()).rev() {
        blows.swap(at, random.below(at as u64 + 1) as usize);
    }
    let mut steps = Vec::new();
    let mut spread = |actions: Vec<Action>| {
        let count = actions.len() as u64;
        for (at, action) in (0_u64..).zip(actions) {
            // Its own share of the orders between 5 % and 90 %, anywhere in it.
            let permille = 50 + (850 * at + random.below(850)) / count;
            steps.push(Step { at: orders * permille / 1000, pause_ms: random.below(80), action });
        }
    };
    spread(blows.into_iter().map(Action::Blow).collect());
    spread(vec![Action::Cut; kills.div_ceil(2).max(1) as usize]);
    spread(vec![Action::Repeat((orders / 1000).max(1)); PORTIONS as usize]);
    steps.sort_by_key(|step| step.at);
    steps
}

fn blows(kills: u64) -> Vec<Blow> {
    let mut blows: Vec<Blow> = Vec::new();
    let mut left = kills;
    for blow in ROUND.into_iter().cycle() {
        match left {
            0 => break,
            1 if blow.kills() > 1 => continue,
            _ => {}
        }
        left -= blow.kills();
        blows.push(blow);
    }
    blows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kills(steps: &[Step]) -> u64 {
        let blow = |step: &Step| if let Action::Blow(blow) = step.action { blow.kills() } else { 0 };
        steps.iter().map(blow).sum()
    }

    #[test]
    fn the_same_seed_plans_the_same_and_another_something_else() {
        assert_eq!(plan(10_000, 12, 7), plan(10_000, 12, 7));
        assert_ne!(plan(10_000, 12, 7), plan(10_000, 12, 8));
    }

    #[test]
    fn every_plan_has_its_kills_while_there_is_work() {
        for seed in 0..200 {
            for (orders, count) in [(100, 0), (100, 1), (100, 5), (10_000, 12), (1_000_000, 333)] {
                let steps = plan(orders, count, seed);
                assert_eq!(kills(&steps), count);
                assert!(steps.is_sorted_by_key(|step| step.at));
                assert!(steps.iter().all(|step| step.at >= orders / 20 && step.at <= orders * 9 / 10));
            }
        }
    }

    #[test]
    fn the_fewest_kills_for_a_missing_part_meet_each_weak_moment() {
        let steps = plan(500, KILLS_WITHOUT_MIN, 3);
        for blow in &ROUND[..3] {
            assert!(steps.iter().any(|step| step.action == Action::Blow(*blow)), "{blow:?}");
        }
        assert!(steps.iter().any(|step| matches!(step.action, Action::Repeat(count) if count > 0)));
    }
}
