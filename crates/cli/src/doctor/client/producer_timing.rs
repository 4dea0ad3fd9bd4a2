//! Producers: how long they try, and what overtakes what (KIP-91, KIP-580). Pure.

use super::{
    ClientFile, Dialect,
    producer::{RETRIES_DEFAULT, acks, idempotence},
};
use crate::doctor::{Finding, Rule, Severity};

/// A broker that restarts, or a partition that gets a new leader, may be away for so long.
const OUTAGE_MS: i64 = 30_000;
/// Java's and librdkafka's defaults (KIP-580).
const BACKOFF_MS: i64 = 100;
const BACKOFF_MAX_MS: i64 = 1000;

/// Findings about retries, timeouts and order.
pub fn examine(file: &ClientFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(retries_few(file));
    findings.extend(delivery_short(file));
    findings.extend(overtaking(file));
    findings
}

/// `retries.len()` waits, each twice as long as the one before, up to a limit; jitter left out.
fn covered_ms(retries: i64, first_ms: i64, most_ms: i64) -> i64 {
    let (mut left, mut wait, mut sum) = (retries, first_ms.max(0), 0_i64);
    while left > 0 && wait < most_ms {
        sum = sum.saturating_add(wait);
        wait = wait.saturating_mul(2).max(1);
        left -= 1;
    }
    sum.saturating_add(left.saturating_mul(most_ms.max(first_ms)))
}

fn retries_few(file: &ClientFile) -> Option<Finding> {
    let retries = file.number("retries", RETRIES_DEFAULT);
    if !retries.is_set() || acks(file).1 == Some(0) {
        return None;
    }
    let backoff = file.number("retry.backoff.ms", BACKOFF_MS).value;
    let covered =
        covered_ms(retries.value, backoff, file.number("retry.backoff.max.ms", BACKOFF_MAX_MS).value);
    let limit = match file.dialect {
        Dialect::Java => "delivery.timeout.ms",
        Dialect::Librdkafka => "message.timeout.ms",
    };
    let why = match retries.value {
        0 => format!(
            "the first passing error, as when a leader changes, is final; {limit} is what should end it"
        ),
        _ if covered < OUTAGE_MS => format!(
            "the retries can be used up after {:.1} s, before a restarting broker is back; {limit} is what should end them",
            covered as f64 / 1000.0
        ),
        _ => return None,
    };
    Some(file.finding(Severity::Loss, Rule::ClientRetries, &retries, "2147483647", why))
}

fn delivery_short(file: &ClientFile) -> Option<Finding> {
    let default = if file.dialect == Dialect::Java { 120_000 } else { 300_000 };
    let delivery = file.number("delivery.timeout.ms", default);
    // librdkafka's 0 is no limit.
    let endless = file.dialect == Dialect::Librdkafka && delivery.value == 0;
    if !delivery.is_set() || endless || delivery.value >= OUTAGE_MS {
        return None;
    }
    let why = format!(
        "records are given up after {:.1} s, before a restarting broker is back",
        delivery.value as f64 / 1000.0
    );
    Some(file.finding(Severity::Loss, Rule::ClientDeliveryTimeout, &delivery, &default.to_string(), why))
}

fn overtaking(file: &ClientFile) -> Option<Finding> {
    let default = if file.dialect == Dialect::Java { 5 } else { 1_000_000 };
    let in_flight = file.number("max.in.flight.requests.per.connection", default);
    let again = file.number("retries", RETRIES_DEFAULT).value > 0 && acks(file).1 != Some(0);
    if idempotence(file).on || in_flight.value <= 1 || !again {
        return None;
    }
    let why = "without idempotence a batch that is sent again is overtaken by the next one: records change their order";
    let suggested = "1, or idempotence on";
    Some(file.finding(Severity::Advice, Rule::ClientOrder, &in_flight, suggested, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str, dialect: Dialect) -> Vec<&'static str> {
        let file = ClientFile::parse("f", text, Some(dialect));
        examine(&file).iter().map(|finding| finding.rule.name()).collect()
    }

    #[test]
    fn back_off_doubles_up_to_its_limit() {
        assert_eq!(covered_ms(0, 100, 1000), 0);
        assert_eq!(covered_ms(3, 100, 1000), 700);
        assert_eq!(covered_ms(6, 100, 1000), 100 + 200 + 400 + 800 + 1000 + 1000);
        assert_eq!(covered_ms(2, 5000, 1000), 10_000, "a first wait above the limit stays as it is");
        assert_eq!(covered_ms(i64::from(i32::MAX), 0, 0), 0);
        assert!(covered_ms(i64::MAX, i64::MAX / 4, i64::MAX) > 0, "no overflow");
    }

    #[test]
    fn retries_must_outlast_a_restart() {
        let few = ["client-retries"];
        assert_eq!(rules("retries=0", Dialect::Java), few);
        assert_eq!(rules("retries=5", Dialect::Java), few);
        assert_eq!(rules("retries=60", Dialect::Java), [""; 0]);
        assert_eq!(
            rules("retries=5\nretry.backoff.ms=10000\nretry.backoff.max.ms=10000", Dialect::Java),
            [""; 0]
        );
        assert_eq!(rules("retries=5\nacks=0", Dialect::Java), [""; 0], "acks=0 never sends again");
        assert_eq!(rules("acks=all", Dialect::Java), [""; 0]);
    }

    #[test]
    fn a_delivery_that_gives_up_early_loses() {
        assert_eq!(rules("delivery.timeout.ms=5000", Dialect::Java), ["client-delivery-timeout"]);
        assert_eq!(rules("delivery.timeout.ms=30000", Dialect::Java), [""; 0]);
        let rd = "enable.idempotence=true\nmessage.timeout.ms=";
        assert_eq!(rules(&format!("{rd}3000"), Dialect::Librdkafka), ["client-delivery-timeout"]);
        assert_eq!(rules(&format!("{rd}0"), Dialect::Librdkafka), [""; 0], "0 is no limit");
    }

    #[test]
    fn order_needs_idempotence_or_one_at_a_time() {
        assert_eq!(rules("enable.idempotence=false", Dialect::Java), ["client-order"]);
        assert_eq!(
            rules("enable.idempotence=false\nmax.in.flight.requests.per.connection=1", Dialect::Java),
            [""; 0]
        );
        assert_eq!(rules("linger.ms=1", Dialect::Librdkafka), ["client-order"]);
        assert_eq!(rules("max.in.flight=1", Dialect::Librdkafka), [""; 0]);
    }
}
