//! Zigzag varints as records have them: at most ten bytes, least significant group first.

/// Appends `value`.
pub(super) fn put(out: &mut Vec<u8>, value: i64) {
    let mut folded = ((value << 1) ^ (value >> 63)) as u64;
    while folded >= 0x80 {
        out.push(folded as u8 | 0x80);
        folded >>= 7;
    }
    out.push(folded as u8);
}

/// Takes a value off the front; None if the bytes end inside it or it is too long.
pub(super) fn take(from: &mut &[u8]) -> Option<i64> {
    let mut folded = 0_u64;
    for (at, &byte) in from.iter().take(10).enumerate() {
        folded |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            *from = &from[at + 1..];
            return Some((folded >> 1) as i64 ^ -((folded & 1) as i64));
        }
    }
    None
}
