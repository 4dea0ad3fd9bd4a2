//! The end of the demo: the table, what it means, and what to try next; the same as JSON. Pure.

use serde_json::{Value, json};

use super::{
    order::{GROUP, TOPIC},
    tally::{Tally, Verdict},
    text::{counted, thousands},
};
use crate::{
    arguments::Part,
    commands::account::show::{self, Style},
};

/// The row of what was handled.
const HANDLED_ROW: usize = 4;
/// Gaps that are shown.
const GAPS_MAX: usize = 5;

/// What was asked for.
pub struct Asked<'a> {
    /// How this program was called.
    pub program: &'a str,
    pub without: Option<Part>,
    pub seed: u64,
    /// Where everything is kept, if it is.
    pub data_dir: Option<&'a str>,
}

/// The whole text, without a newline at the end.
pub fn text(tally: &Tally, asked: &Asked<'_>, color: bool) -> String {
    let mut lines = rows(tally);
    lines.push(String::new());
    lines.push(format!("the account of group {GROUP}, as the broker keeps it:"));
    let style = Style { color, partitions: false };
    lines.extend(
        show::text(&tally.report, style).lines().map(|line| format!("  {line}").trim_end().to_owned()),
    );
    lines.push(String::new());
    lines.extend(meaning(tally, asked.without, color));
    lines.push(String::new());
    lines.extend(next(asked));
    lines.join("\n")
}

fn rows(tally: &Tally) -> Vec<String> {
    let done = &tally.done;
    let packets = tally.packet_count();
    let (without, doubled) = (tally.orders_without().len() as u64, tally.orders_doubled().len() as u64);
    let packets_say = match (without, doubled) {
        (0, 0) => "one for each order, none twice".to_owned(),
        (_, 0) => format!("{} without", counted(without, "order")),
        (0, _) => format!("{} with more than one", counted(doubled, "order")),
        _ => format!("{} without, {} with more than one", counted(without, "order"), thousands(doubled)),
    };
    let again = tally.stored().saturating_sub(tally.orders);
    let stored_say = match again {
        0 => String::new(),
        _ => format!("{} were sent again, {} of them on purpose", thousands(again), thousands(done.repeated)),
    };
    let delivered = tally.duplicates_delivered();
    let mut rows = vec![
        ("orders", tally.orders, "written by the order service".to_owned()),
        ("red packets", packets, packets_say),
        ("messages stored", tally.stored(), stored_say),
        ("processed", tally.class("processed"), "acknowledged by the red-packet service".to_owned()),
        ("handled", tally.handled(), "with a receipt of its handler".to_owned()),
        ("duplicates delivered", delivered, "messages whose red packet was made already".to_owned()),
        ("duplicates applied", tally.duplicates_applied(), String::new()),
        ("kills survived", done.kills(), kills(tally)),
        ("connections cut", done.connections_cut, String::new()),
    ];
    let unwitnessed = tally.class("unwitnessed");
    if unwitnessed > 0 {
        let say = "acknowledged too, but who they were delivered to was lost with the broker".to_owned();
        rows.insert(HANDLED_ROW, ("unwitnessed", unwitnessed, say));
    }
    let width = rows.iter().map(|(_, number, _)| thousands(*number).len()).max().unwrap_or(0);
    let row = |(name, number, say): &(&str, u64, String)| {
        format!("{name:<22}{:>width$}   {say}", thousands(*number)).trim_end().to_owned()
    };
    rows.iter().map(row).collect()
}

fn kills(tally: &Tally) -> String {
    let done = &tally.done;
    format!(
        "{} of the broker, {} of the order service, {} of the red-packet service",
        done.broker_kills, done.order_service_kills, done.packet_service_kills
    )
}

fn meaning(tally: &Tally, without: Option<Part>, color: bool) -> Vec<String> {
    let red = |text: String| if color { format!("\x1b[31m{text}\x1b[39m") } else { text };
    match tally.verdict(without) {
        Verdict::Held => {
            vec!["The promise held: every order has its red packet, and none has two.".to_owned()]
        }
        Verdict::Broken(wrong) => {
            let mut lines = vec![red("THE PROMISE DID NOT HOLD:".to_owned())];
            lines.extend(wrong.into_iter().map(|line| red(format!("  {line}"))));
            lines
        }
        Verdict::Shown(damage) => {
            let mut lines = vec![red(damage)];
            lines.extend(without.map_or("", why).lines().map(str::to_owned));
            lines.extend(named(tally, without));
            lines
        }
    }
}

/// What the part was there for.
fn why(part: Part) -> &'static str {
    match part {
        Part::Inbox => {
            "Without the inbox a message that comes twice is worked on twice. The broker sees a redelivery, which is no loss:\n\
             its account is balanced. The inbox keeps the message's id in the same transaction as the red packet."
        }
        Part::Outbox => {
            "Without the outbox the order is committed first and sent then, and a kill came in between. The broker never saw\n\
             these messages: its account is balanced. The outbox writes the message in the same transaction as the order."
        }
        Part::Sync => {
            "Without the sync (flush=async) the broker acknowledged messages that were not on disk, and lost them with its power.\n\
             Its books went with them, so that its account is balanced. The power cut is imitated: the demo's broker keeps what\n\
             it has not synced in its own memory, so that kill -9 takes it along. So it does in every run; with the sync nothing is lost."
        }
        Part::AckAfter => {
            "Without acknowledging after the work, messages were acknowledged first and put aside. The broker calls them processed: it has\n\
             nothing but the group's word. They were gone with the process that had them in its memory."
        }
    }
}

/// Where the books name the damage.
fn named(tally: &Tally, without: Option<Part>) -> Vec<String> {
    let mut lines = Vec::new();
    if without == Some(Part::AckAfter) {
        let without = counted(tally.class("processed").saturating_sub(tally.handled()), "message");
        lines.push(format!("The account has not found this out: it has {without} processed without a receipt, the lost ones and the done"));
        lines.push("ones alike. This run's service sends no receipts at all: when it acknowledges there is nothing to vouch for.".to_owned());
        lines.push("In a run with every part each message has the receipt of its handler.".to_owned());
    }
    let acknowledged = tally.orders + tally.done.repeated;
    if without == Some(Part::Sync) && tally.stored() < acknowledged {
        let (said, has) = (counted(acknowledged, "message"), thousands(tally.stored()));
        lines.push(format!("The broker has acknowledged at least {said}, and has {has} of them."));
    }
    if without == Some(Part::Sync) && !tally.gaps.is_empty() {
        let missing: u64 = tally.gaps.iter().map(|(count, _)| count).sum();
        lines.push(format!(
            "The sequence check of the red-packet service names {}:",
            counted(missing, "missing message")
        ));
        lines.extend(tally.gaps.iter().take(GAPS_MAX).map(|(_, gap)| format!("  {gap}")));
        if tally.gaps.len() > GAPS_MAX {
            lines.push(format!("  and {} more gaps", tally.gaps.len() - GAPS_MAX));
        }
    }
    lines
}

fn next(asked: &Asked<'_>) -> Vec<String> {
    let program = asked.program;
    let mut tries: Vec<(String, &str)> = Vec::new();
    match asked.without {
        None => {
            for (part, what) in [
                ("inbox", "red packets twice"),
                ("outbox", "orders that nobody hears of"),
                ("sync", "messages acknowledged and lost"),
                ("ack-after", "messages acknowledged and not done"),
            ] {
                tries.push((format!("{program} demo --without {part}"), what));
            }
        }
        Some(_) => {
            tries.push((
                format!("{program} demo --seed {}", asked.seed),
                "the same kills with every part in place",
            ));
        }
    }
    match asked.data_dir {
        None => tries.push((format!("{program} demo --data-dir ./demo"), "keep everything, to look at it")),
        Some(dir) => tries.extend([
            (format!("{program} verify --data-dir {dir}/broker"), "prove the books from the files alone"),
            (format!("{program} serve --data-dir {dir}/broker"), "then, in another terminal:"),
            (format!("{program} account"), ""),
            (
                format!("{program} trace --topic {TOPIC} --header tally-id=order-17"),
                "what became of one order",
            ),
        ]),
    }
    let width = tries.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    let line =
        |(command, what): &(String, &str)| format!("  {command:<width$}  {what}").trim_end().to_owned();
    std::iter::once("try next:".to_owned()).chain(tries.iter().map(line)).collect()
}

/// The same for scripts.
pub fn json(tally: &Tally, asked: &Asked<'_>) -> Value {
    let (verdict, findings) = match tally.verdict(asked.without) {
        Verdict::Held => ("held", Vec::new()),
        Verdict::Broken(wrong) => ("broken", wrong),
        Verdict::Shown(damage) => ("shown", vec![damage]),
    };
    let without = asked.without.and_then(|part| clap::ValueEnum::to_possible_value(&part));
    let done = &tally.done;
    json!({
        "verdict": verdict,
        "findings": findings,
        "without": without.map(|part| part.get_name().to_owned()),
        "seed": asked.seed,
        "seconds": (tally.seconds * 10.0).round() / 10.0,
        "orders": tally.orders,
        "red_packets": tally.packet_count(),
        "orders_without_red_packet": tally.orders_without(),
        "orders_with_more_than_one": tally.orders_doubled(),
        "stored": tally.stored(),
        "processed": tally.class("processed"),
        "unwitnessed": tally.class("unwitnessed"),
        "handled": tally.handled(),
        "sent_again_on_purpose": done.repeated,
        "duplicates_delivered": tally.duplicates_delivered(),
        "duplicates_applied": tally.duplicates_applied(),
        "kills": {
            "broker": done.broker_kills,
            "order_service": done.order_service_kills,
            "red_packet_service": done.packet_service_kills,
        },
        "connections_cut": done.connections_cut,
        "sequence_gaps": tally.gaps.iter().map(|(count, text)| json!({ "missing": count, "text": text })).collect::<Vec<_>>(),
        "account_balanced": tally.report.balanced,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::tally::tests::tally, *};

    fn asked(without: Option<Part>, data_dir: Option<&str>) -> Asked<'_> {
        Asked { program: "tallymq", without, seed: 7, data_dir }
    }

    #[test]
    fn the_table_says_what_was_counted_and_what_it_means() {
        let whole = tally(2, &[(1, 1), (2, 1)], json!({ "processed": 3 }));
        let text = text(&whole, &asked(None, None), false);
        let rows: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().take(3).collect()).collect();
        assert_eq!(rows[0], ["orders", "2", "written"]);
        assert_eq!(rows[1], ["red", "packets", "2"]);
        assert!(text.contains("3 stored = 3 processed + 0 lost   balanced"), "{text}");
        assert!(text.contains("The promise held"), "{text}");
        assert!(text.contains("tallymq demo --without ack-after"), "{text}");
        assert!(!text.contains('\x1b'), "{text}");
    }

    #[test]
    fn damage_is_named_with_its_reason_and_red_on_a_terminal_only() {
        let doubled = tally(2, &[(1, 3), (2, 1)], json!({ "processed": 4 }));
        let colored = text(&doubled, &asked(Some(Part::Inbox), Some("d")), true);
        assert!(colored.contains("\x1b[31m1 order with more than one red packet: 1\x1b[39m"), "{colored}");
        assert!(colored.contains("Without the inbox"), "{colored}");
        assert!(colored.contains("tallymq demo --seed 7"), "{colored}");
        assert!(colored.contains("tallymq verify --data-dir d/broker"), "{colored}");
        let broken = text(&doubled, &asked(None, None), false);
        assert!(broken.contains("THE PROMISE DID NOT HOLD:\n  1 order with more than one"), "{broken}");
    }

    #[test]
    fn the_account_is_not_said_to_know_what_it_was_not_told() {
        let missing = tally(2, &[(2, 1)], json!({ "processed": 3 }));
        let text = text(&missing, &asked(Some(Part::AckAfter), None), false);
        let told = "The account has not found this out: it has 3 messages processed without a receipt";
        assert!(text.contains(told) && text.contains("sends no receipts at all"), "{text}");
    }

    #[test]
    fn scripts_get_the_same() {
        let mut missing = tally(2, &[(2, 1)], json!({ "processed": 3 }));
        missing.gaps.push((4, "producer p misses 1 to 4".to_owned()));
        let value = json(&missing, &asked(Some(Part::Sync), None));
        assert_eq!((&value["verdict"], &value["without"]), (&json!("shown"), &json!("sync")));
        assert_eq!(value["orders_without_red_packet"], json!([1]));
        assert_eq!(value["sequence_gaps"][0]["missing"], 4);
        assert_eq!(value["kills"]["order_service"], 2);
    }
}
