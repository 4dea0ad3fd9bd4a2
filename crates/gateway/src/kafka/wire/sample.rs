//! Sample messages for tests and fuzzers: the same seed always gives the same message. Not random, not part of a
//! release build.

use bytes::Bytes;

/// Chooses values: nulls, empties, small and extreme ones, all of them from one seed.
#[derive(Clone, Debug)]
pub struct Sampler {
    state: u64,
}

impl Sampler {
    /// A sampler whose choices follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Sampler { state: seed }
    }

    /// 64 well-mixed bits (SplitMix64).
    pub fn number(&mut self) -> i64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as i64
    }

    /// True once in `times`, on average.
    pub fn chance(&mut self, times: u64) -> bool {
        (self.number() as u64).is_multiple_of(times)
    }

    /// How many elements a list gets.
    pub fn list_length(&mut self) -> usize {
        if self.chance(6) { 0 } else { 1 + self.number() as u64 as usize % 3 }
    }

    /// Null, empty, short or long text, not only ASCII.
    pub fn text(&mut self) -> Option<String> {
        match self.number() & 7 {
            0 => None,
            1 => Some(String::new()),
            2 => Some("ü€𝄞".repeat(40)),
            _ => Some(format!("text-{:x}", self.number())),
        }
    }

    /// Null, empty, short or long bytes.
    pub fn bytes(&mut self) -> Option<Bytes> {
        match self.number() & 7 {
            0 => None,
            1 => Some(Bytes::new()),
            2 => Some(vec![self.number() as u8; 700].into()),
            _ => Some(self.number().to_be_bytes().to_vec().into()),
        }
    }
}
