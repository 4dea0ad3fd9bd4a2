//! `tallymq demo`, small: the promise holds through kills, cuts and repeats, and each part that is left out shows what it
//! was for. The kills come where they hurt, so that the damage is no matter of luck.

use serde_json::Value;

use super::broker::{code, json_lines, run, stderr, stdout};

const ORDERS: u64 = 500;
const KILLS: u64 = 10;

/// Runs it to its end, which has to be a good one.
fn demo(more: &[&str]) -> Value {
    let (orders, kills) = (ORDERS.to_string(), KILLS.to_string());
    // Always the same plan; `proof/` plays others.
    let mut arguments = vec!["--json", "demo", "--orders", &orders, "--kills", &kills, "--seed", "1"];
    arguments.extend(more);
    let output = run(&arguments);
    assert_eq!(code(&output), 0, "{}{}", stderr(&output), stdout(&output));
    let told = json_lines(&output).remove(0);
    assert_eq!(told["account_balanced"], true, "{told}");
    assert_eq!(told["orders"], ORDERS, "{told}");
    let kills = told["kills"].as_object().unwrap().values().map(|count| count.as_u64().unwrap());
    assert_eq!(kills.sum::<u64>(), KILLS, "{told}");
    told
}

fn number(told: &Value, field: &str) -> u64 {
    told[field].as_u64().unwrap_or_else(|| panic!("{field} in {told}"))
}

fn count(told: &Value, field: &str) -> usize {
    told[field].as_array().unwrap_or_else(|| panic!("{field} in {told}")).len()
}

/// That was announced, and nothing else went wrong.
fn shown(part: &str) -> Value {
    let told = demo(&["--without", part]);
    assert_eq!((told["verdict"].as_str(), told["without"].as_str()), (Some("shown"), Some(part)), "{told}");
    told
}

#[test]
fn every_order_has_one_red_packet_whatever_is_killed() {
    let told = demo(&[]);
    assert_eq!(told["verdict"], "held", "{told}");
    assert_eq!(number(&told, "red_packets"), ORDERS);
    assert_eq!(number(&told, "duplicates_applied"), 0);
    assert!(number(&told, "duplicates_delivered") >= number(&told, "sent_again_on_purpose"), "{told}");
    assert!(number(&told, "sent_again_on_purpose") > 0 && number(&told, "connections_cut") > 0, "{told}");
    assert_eq!(number(&told, "stored"), number(&told, "processed") + number(&told, "unwitnessed"), "{told}");
    assert!((1..=number(&told, "stored")).contains(&number(&told, "handled")), "{told}");
    assert_eq!(count(&told, "sequence_gaps"), 0, "{told}");
}

#[test]
fn without_the_inbox_orders_have_two_red_packets() {
    let told = shown("inbox");
    assert!(count(&told, "orders_with_more_than_one") > 0, "{told}");
    assert_eq!(count(&told, "orders_without_red_packet"), 0, "{told}");
}

#[test]
fn without_the_outbox_orders_are_never_heard_of() {
    let told = shown("outbox");
    assert!(count(&told, "orders_without_red_packet") > 0, "{told}");
    assert_eq!(number(&told, "stored"), number(&told, "processed") + number(&told, "unwitnessed"), "{told}");
}

#[test]
fn without_the_sync_acknowledged_messages_are_lost() {
    let told = shown("sync");
    assert!(count(&told, "orders_without_red_packet") > 0, "{told}");
    assert_eq!(number(&told, "duplicates_applied"), 0, "{told}");
}

#[test]
fn without_acknowledging_after_the_work_processed_is_not_handled() {
    let told = shown("ack-after");
    assert!(count(&told, "orders_without_red_packet") > 0, "{told}");
    assert!(number(&told, "processed") > 0 && number(&told, "handled") == 0, "{told}");
}

#[test]
fn what_cannot_show_anything_is_refused() {
    for arguments in [
        &["demo", "--orders", "100", "--kills", "6"][..],
        &["demo", "--without", "sync", "--kills", "0"],
        &["demo", "--orders", "1"],
        &["demo", "--data-dir", env!("CARGO_MANIFEST_DIR")],
    ] {
        let output = run(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", stderr(&output));
    }
}
