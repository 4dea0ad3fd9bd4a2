//! Which messages must stay in order, and which lane carries them. Pure and stable: rows that an older version of the
//! program wrote must get the same lane from a newer one.

use crate::Record;

/// Lanes are what relays divide between them. The schema has a row for each; the number can never change.
pub(crate) const LANES: u64 = 64;

/// The order key of a record: equal for the same topic and key, or topic and partition where the record names one. A
/// record with neither is in order with nothing, so that its own id decides.
pub(crate) fn order_key(record: &Record, message_id: &str) -> i64 {
    let hash = match (record.partition, &record.key) {
        (Some(partition), _) => fnv1a(&[b"p", record.topic.as_bytes(), &partition.to_be_bytes()]),
        (None, Some(key)) => fnv1a(&[b"k", record.topic.as_bytes(), key]),
        (None, None) => fnv1a(&[b"i", message_id.as_bytes()]),
    };
    hash as i64
}

/// The lane of an order key: 0 to `LANES` - 1.
pub(crate) fn lane(order_key: i64) -> i32 {
    // The high half: the low bits of FNV-1a are its weakest.
    (((order_key as u64) >> 32) % LANES) as i32
}

/// FNV-1a with 64 bits (draft-eastlake-fnv), each part closed by its length, so that ("a", "bc") is not ("ab", "c").
fn fnv1a(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut eat = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    for part in parts {
        part.iter().copied().for_each(&mut eat);
        (part.len() as u64).to_be_bytes().into_iter().for_each(&mut eat);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_older_versions_keep_their_lane() {
        let record = Record::to("orders").key("customer-7");
        let key = order_key(&record, "x");
        assert_eq!((key, lane(key)), (RECORDED_KEY, RECORDED_LANE));
    }

    // What the first version wrote into databases.
    const RECORDED_KEY: i64 = 4_422_242_120_947_867_348;
    const RECORDED_LANE: i32 = 7;

    #[test]
    fn only_the_same_topic_and_key_share_an_order() {
        let of = |record: &Record, id: &str| order_key(record, id);
        let a = Record::to("a").key("bc");
        assert_eq!(of(&a, "1"), of(&a.clone().value("v"), "2"));
        assert_ne!(of(&a, "1"), of(&Record::to("ab").key("c"), "1"));
        assert_ne!(of(&a, "1"), of(&a.clone().partition(1), "1"));
        assert_eq!(of(&a.clone().partition(1), "1"), of(&Record::to("a").key("other").partition(1), "2"));
        assert_ne!(of(&Record::to("a"), "1"), of(&Record::to("a"), "2"));
    }

    #[test]
    fn keys_spread_over_all_lanes() {
        let mut counts = [0; LANES as usize];
        for n in 0..6400 {
            let record = Record::to("orders").key(format!("customer-{n}"));
            counts[lane(order_key(&record, "")) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (50..200).contains(count)), "{counts:?}");
    }
}
