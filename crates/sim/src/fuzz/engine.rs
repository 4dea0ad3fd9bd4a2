//! Feeds a target: chooses, changes, runs, watches for panics and for memory. It reads no clock; whoever drives it decides
//! when it is enough.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use peak_alloc::PeakAlloc;
use tallymq_storage::disk::Random;

use super::{Target, mutate::mutate};

/// What one input may cost, beyond what is in memory anyway.
pub const MEMORY_BYTES_MAX: usize = 64 << 20;
/// Inputs that were taken and are changed further.
const CORPUS_MAX: usize = 2_000;

/// An input that no target may answer so.
#[derive(Debug)]
pub struct Finding {
    /// Which target.
    pub target: &'static str,
    /// What it was fed.
    pub input: Vec<u8>,
    /// What it did.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({} bytes of input)", self.target, self.what, self.input.len())
    }
}

/// Feeds one target.
pub struct Fuzzer {
    target: Target,
    corpus: Vec<Vec<u8>>,
    random: Random,
    meter: &'static PeakAlloc,
    /// Inputs that were run.
    pub runs: u64,
    /// Of these taken as valid.
    pub taken: u64,
}

/// Runs one input; true if it was taken. The meter must be the program's allocator.
pub fn try_input(target: &Target, input: &[u8], meter: &PeakAlloc) -> Result<bool, String> {
    meter.reset_peak_usage();
    let before = meter.current_usage();
    let ran = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let took = meter.peak_usage().saturating_sub(before);
    match ran {
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("panics: {}", text.unwrap_or("without a message")))
        }
        Ok(_) if took > MEMORY_BYTES_MAX => Err(format!("takes {took} bytes of memory")),
        Ok(taken) => Ok(taken),
    }
}

impl Fuzzer {
    /// A fuzzer whose inputs follow from `seed`.
    pub fn new(target: Target, seed: u64, meter: &'static PeakAlloc) -> Fuzzer {
        let mut corpus = target.seeds.clone();
        corpus.push(Vec::new());
        Fuzzer { target, corpus, random: Random::new(seed), meter, runs: 0, taken: 0 }
    }

    /// One input: first the samples as they are, then changed ones.
    pub fn step(&mut self) -> Result<(), Finding> {
        let count = self.corpus.len() as u64;
        let input = match self.target.seeds.get(self.runs as usize) {
            Some(sample) => sample.clone(),
            None => {
                let one = self.random.below(count) as usize;
                let other = self.random.below(count) as usize;
                mutate(&self.corpus[one], &self.corpus[other], &mut self.random)
            }
        };
        self.runs += 1;
        match try_input(&self.target, &input, self.meter) {
            Ok(taken) => {
                self.taken += u64::from(taken);
                if taken && self.corpus.len() < CORPUS_MAX.max(self.target.seeds.len()) {
                    self.corpus.push(input);
                }
                Ok(())
            }
            Err(what) => Err(Finding { target: self.target.name, input, what }),
        }
    }
}
