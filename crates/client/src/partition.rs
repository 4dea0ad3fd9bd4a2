//! Which partition a record goes to: murmur2 of the key, as Java's `DefaultPartitioner` does, so that clients in both
//! languages agree; without a key, one partition for a while, then the next (KIP-480). Pure.

use std::collections::HashMap;

/// After so many bytes without key, the next partition has its turn: the default `batch.size` of the Java client.
const STICKY_BYTES: usize = 16 * 1024;

/// Kafka's variant of murmur2 (`org.apache.kafka.common.utils.Utils.murmur2`). The gateway has the same: this crate may use no
/// other crate of ours.
pub fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mut hash = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes(word.try_into().expect("chunks of four")).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (at, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * at);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition of a key: `toPositive(murmur2(key)) % partitions`. `partitions` must be positive.
///
/// ```
/// use tallymq_client::partition::partition_of_key;
///
/// assert_eq!(partition_of_key(b"foobar", 10), 6); // as the Java client has it
/// ```
pub fn partition_of_key(key: &[u8], partitions: i32) -> i32 {
    ((murmur2(key) & 0x7fff_ffff) % partitions.max(1) as u32) as i32
}

/// Chooses partitions for records without a key.
#[derive(Debug, Default)]
pub(crate) struct Sticky {
    topics: HashMap<String, Turn>,
}

#[derive(Debug, Default)]
struct Turn {
    partition: i32,
    bytes: usize, // < STICKY_BYTES
}

impl Sticky {
    /// The partition for `bytes` more, out of so many.
    pub(crate) fn choose(&mut self, topic: &str, bytes: usize, partitions: i32) -> i32 {
        if !self.topics.contains_key(topic) {
            self.topics.insert(topic.to_owned(), Turn::default());
        }
        let turn = self.topics.get_mut(topic).expect("inserted above");
        let chosen = turn.partition % partitions.max(1);
        turn.bytes += bytes;
        if turn.bytes >= STICKY_BYTES {
            *turn = Turn { partition: (chosen + 1) % partitions.max(1), bytes: 0 };
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_the_java_client_does() {
        // The vectors of Apache Kafka's UtilsTest.testMurmur2.
        let known: [(&[u8], i32); 7] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
            (b"", 275_646_681),
        ];
        for (key, hash) in known {
            assert_eq!(murmur2(key) as i32, hash, "{key:?}");
        }
    }

    #[test]
    fn records_without_key_take_turns() {
        let mut sticky = Sticky::default();
        let chosen: Vec<i32> = (0..6).map(|_| sticky.choose("t", STICKY_BYTES / 2, 3)).collect();
        assert_eq!(chosen, [0, 0, 1, 1, 2, 2]);
        assert_eq!(sticky.choose("t", 1, 3), 0);
        assert_eq!(sticky.choose("other", 1, 3), 0);
    }

    #[test]
    fn fewer_partitions_than_before_are_no_trouble() {
        let mut sticky = Sticky::default();
        for _ in 0..4 {
            sticky.choose("t", STICKY_BYTES, 8);
        }
        assert_eq!(sticky.choose("t", 1, 2), 0);
    }
}
