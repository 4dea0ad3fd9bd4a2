//! Zigzag varints as Kafka's records have them: at most ten bytes, least significant group first. Reads never panic.

/// Appends `value`.
pub fn put(out: &mut Vec<u8>, value: i64) {
    let mut folded = ((value << 1) ^ (value >> 63)) as u64;
    while folded >= 0x80 {
        out.push(folded as u8 | 0x80);
        folded >>= 7;
    }
    out.push(folded as u8);
}

/// Takes a value off the front; None if the bytes end inside it or it is too long.
pub fn take(from: &mut &[u8]) -> Option<i64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_cut_ones_do_not() {
        for value in [0, 1, -1, 63, -64, 64, 300, i64::from(i32::MAX), i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            let mut rest = &bytes[..];
            assert_eq!(take(&mut rest), Some(value));
            assert!(rest.is_empty());
            for cut in 0..bytes.len() {
                assert_eq!(take(&mut &bytes[..cut]), None, "{value} cut at {cut}");
            }
        }
    }

    #[test]
    fn an_endless_varint_is_refused() {
        assert_eq!(take(&mut &[0xff; 20][..]), None);
    }
}
