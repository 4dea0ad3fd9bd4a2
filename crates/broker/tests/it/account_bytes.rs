//! Damaged bytes of states, commands and events are errors and never a panic; what is taken for whole is written the same way
//! again.

use bytes::Bytes;
use proptest::prelude::*;
use tallymq_broker::Parts;
use tallymq_broker::account::{
    AccountCommand, Delivery, JournalEvent, OpenFrom, Reader, Receipt, ReceiptOutcome, Who, Witness,
};
use tallymq_broker::data::{DataCommand, DataGroup};
use tallymq_model::{Offset, Timestamp};

use crate::account_world::{World, who};
use crate::batches::tp;

/// One account in every state that there is, alarms, a window, receipts.
fn eventful() -> World {
    let mut world = World::new(2);
    world.produce(0, 60);
    world.produce(1, 5);
    world.deliver("g", 0, 2, 10);
    world.deliver_witnessed("g", 0, (10, 14), Witness::Possible);
    world.commit("g", 0, 20);
    world.deliver("g", 0, 12, 17);
    world.deliver("g", 0, 22, 24);
    world.receipt("g", 0, (22, 23), ReceiptOutcome::DeadLettered);
    world.receipt("g", 0, (2, 9), ReceiptOutcome::Handled);
    world.receipt("g", 0, (12, 13), ReceiptOutcome::Handled);
    world.lose(0, 30, 33);
    world.expire(0, 25);
    world.purge(0, 28);
    world.crash();
    world.deliver("other", 1, 0, 3);
    world.commit("other", 1, 5);
    world.trim(Offset(4));
    world
}

fn commands() -> Vec<AccountCommand> {
    let at = Timestamp(7);
    let delivery = |reader| Delivery {
        tp: tp(1, 0),
        reader,
        from: Offset(1),
        to: Offset(9),
        witness: Witness::Exact,
        at,
    };
    let reader = |group: &str| Reader { group: group.into(), who: who("m"), connection: 300 };
    let receipt = Receipt {
        tp: tp(1, 1),
        group: "g".into(),
        from: Offset(0),
        to: Offset(4),
        outcome: ReceiptOutcome::DeadLettered,
    };
    let open = |from| AccountCommand::OpenAccount {
        group: "g".into(),
        partitions: vec![tp(1, 0), tp(1, 1)],
        from,
        by: who("p"),
        at,
    };
    let (tp, from, to) = (tp(1, 0), Offset(0), Offset(5));
    vec![
        AccountCommand::Deliver {
            readers: vec![reader("g"), reader("h")],
            deliveries: vec![delivery(1), delivery(0)],
        },
        AccountCommand::MarksMayBeMissing { at },
        AccountCommand::MarksComplete { at },
        open(OpenFrom::Earliest),
        open(OpenFrom::Offset(Offset(3))),
        AccountCommand::AcknowledgeAlarms { ids: Some(vec![1, 200]), by: who(""), at },
        AccountCommand::AcknowledgeAlarms { ids: None, by: who(""), at },
        AccountCommand::Receipts { receipts: vec![receipt], by: who("m"), at },
        AccountCommand::Lost { tp, from, to, why: "torn".into(), at },
        AccountCommand::Refused { group: "g".into(), positions: vec![(tp, to)], by: Default::default(), at },
        AccountCommand::Switch { on: true, at },
        AccountCommand::TrimJournal { to, at },
    ]
}

fn encoded(put: impl FnOnce(&mut Parts)) -> Bytes {
    let mut parts = Parts::new();
    put(&mut parts);
    parts.into_bytes()
}

fn damaged(whole: &[u8], flip: &prop::sample::Index, bit: u32, cut: &prop::sample::Index) -> [Bytes; 2] {
    let mut flipped = whole.to_vec();
    flipped[flip.index(whole.len())] ^= 1 << bit;
    [flipped.into(), Bytes::copy_from_slice(&whole[..cut.index(whole.len())])]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn states(flip in any::<prop::sample::Index>(), bit in 0..8_u32, cut in any::<prop::sample::Index>()) {
        let whole = eventful().encoded();
        let [flipped, short] = damaged(&whole, &flip, bit, &cut);
        prop_assert!(DataGroup::decode(&mut short.clone()).is_err());
        if let Ok(state) = DataGroup::decode(&mut flipped.clone()) {
            let first = encoded(|out| state.encode(out));
            let again = DataGroup::decode(&mut first.clone()).unwrap();
            prop_assert_eq!(encoded(|out| again.encode(out)), first);
            state.account_views(|_, _| true).for_each(drop);
        }
    }

    #[test]
    fn every_command(
        which in any::<prop::sample::Index>(),
        flip in any::<prop::sample::Index>(),
        bit in 0..8_u32,
        cut in any::<prop::sample::Index>(),
    ) {
        let commands = commands();
        let command = DataCommand::Account(commands[which.index(commands.len())].clone());
        let whole = encoded(|out| command.encode(out));
        prop_assert!(whole.len() <= command.size_bytes());
        prop_assert_eq!(&DataCommand::decode(&mut whole.clone()).unwrap(), &command);
        let [flipped, short] = damaged(&whole, &flip, bit, &cut);
        prop_assert!(DataCommand::decode(&mut short.clone()).is_err());
        if let Ok(other) = DataCommand::decode(&mut flipped.clone()) {
            prop_assert_eq!(DataCommand::decode(&mut encoded(|out| other.encode(out))).unwrap(), other.clone());
            eventful().apply(other);
        }
    }

    #[test]
    fn every_event(
        which in any::<prop::sample::Index>(),
        flip in any::<prop::sample::Index>(),
        bit in 0..8_u32,
        cut in any::<prop::sample::Index>(),
    ) {
        let world = eventful();
        let event = &world.journal[which.index(world.journal.len())].1;
        let whole = encoded(|out| event.encode(out));
        prop_assert_eq!(&JournalEvent::decode(whole.clone()).unwrap(), event);
        let [flipped, short] = damaged(&whole, &flip, bit, &cut);
        prop_assert!(JournalEvent::decode(short).is_err());
        if let Ok(other) = JournalEvent::decode(flipped) {
            prop_assert_eq!(JournalEvent::decode(encoded(|out| other.encode(out))).unwrap(), other);
        }
    }
}

#[test]
fn every_kind_of_event_is_in_the_sample_and_the_equation_holds() {
    let world = eventful();
    world.assert_balanced();
    assert_eq!(world.view("g", 0).classes.total(), 58);
    assert!(world.alarms().len() > 3);
}

#[test]
fn long_texts_are_cut_at_a_character() {
    let long = "ü".repeat(300);
    let cut = Who::new(&long, &long, "a");
    assert_eq!((cut.member().len(), cut.client_id().chars().count(), cut.address()), (256, 128, "a"));
}
