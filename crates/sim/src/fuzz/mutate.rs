//! Changes inputs: bits, bytes, lengths, order, ends, and pieces of other inputs. Knows no format.

use tallymq_storage::disk::Random;

/// Inputs do not grow beyond this.
pub(super) const INPUT_BYTES_MAX: usize = 64 << 10;

/// What lengths, counts and markers turn into when somebody tries.
const EXTREMES: [&[u8]; 14] = [
    &[0xff, 0xff, 0xff, 0xff],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0x7f],
    &[0x80, 0, 0, 0],
    &[0, 0x10, 0, 0],
    &[0, 0, 0, 1],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x7f, 0xff],
    &[0x80],
    &[0xfe],
    &[0],
    &[2],
];

/// A changed `input`; `other` is another one to take pieces from.
pub(super) fn mutate(input: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..1 + random.below(4) {
        once(&mut bytes, other, random);
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

fn once(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let length = bytes.len();
    let at = random.below(length as u64 + 1) as usize;
    let span = |random: &mut Random, from: usize, length: usize| {
        from + random.below((length - from).min(64) as u64 + 1) as usize
    };
    match random.below(10) {
        0 | 1 if at < length => bytes[at] ^= 1 << random.below(8),
        2 if at < length => bytes[at] = random.next_u64() as u8,
        3 if at < length => bytes[at] = bytes[at].wrapping_add(if random.one_in(2) { 1 } else { 0xff }),
        4 => {
            let extreme = EXTREMES[random.below(EXTREMES.len() as u64) as usize];
            let end = (at + extreme.len()).min(length);
            bytes.splice(at..end, extreme.iter().copied());
        }
        5 => {
            let extreme = EXTREMES[random.below(EXTREMES.len() as u64) as usize];
            bytes.splice(at..at, extreme.iter().copied());
        }
        6 => {
            let end = span(random, at, length);
            bytes.drain(at..end);
        }
        7 => {
            let end = span(random, at, length);
            let copied = bytes[at..end].to_vec();
            bytes.splice(at..at, copied);
        }
        8 => {
            let from = random.below(other.len() as u64 + 1) as usize;
            let end = span(random, from, other.len());
            bytes.splice(at..at, other[from..end].iter().copied());
        }
        _ if random.one_in(3) => bytes.truncate(at),
        _ => {
            let end = span(random, at, length);
            let fill = if random.one_in(2) { 0 } else { random.next_u64() as u8 };
            bytes[at..end].fill(fill);
        }
    }
}
