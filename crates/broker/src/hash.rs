//! A fast hasher without a random seed, so that the same commands build the same tables everywhere. For keys that are
//! ids; what iterates over such a table must not depend on the order.

use std::hash::{BuildHasherDefault, Hasher};

/// A map hashed with [`IdHasher`].
pub type IdMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<IdHasher>>;

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Multiply-and-fold over 64-bit words.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdHasher(u64);

impl IdHasher {
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word ^ MULTIPLIER) * u128::from(MULTIPLIER);
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn write_i32(&mut self, value: i32) {
        self.mix(value as u64);
    }

    fn write_i64(&mut self, value: i64) {
        self.mix(value as u64);
    }

    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn neighbouring_ids_spread() {
        let build = BuildHasherDefault::<IdHasher>::default();
        let low: HashSet<u64> = (0_i64..4096).map(|id| build.hash_one(id) & 0xffff).collect();
        assert!(low.len() > 3800, "{} of 4096 distinct in 16 bits", low.len());
        let top: HashSet<u64> = (0_i64..4096).map(|id| build.hash_one(id) >> 57).collect();
        assert_eq!(top.len(), 128);
    }
}
