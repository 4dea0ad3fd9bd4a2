//! How a record's headers stand in a row: one block of bytes. It trusts no length that it reads.
//!
//! ```text
//! version 1 (u8) | per header: name length (u32) | name (UTF-8) | value length (i32, -1 is null) | value
//! ```
//! Numbers are big-endian.

use bytes::Bytes;

use crate::headers::Header;

const VERSION: u8 = 1;

pub(crate) fn encode(headers: &[Header]) -> Vec<u8> {
    let mut block = vec![VERSION];
    for header in headers {
        block.extend_from_slice(&(header.name.len() as u32).to_be_bytes());
        block.extend_from_slice(header.name.as_bytes());
        let value = header.value.as_deref();
        block.extend_from_slice(&value.map_or(-1, |value| value.len() as i32).to_be_bytes());
        block.extend_from_slice(value.unwrap_or_default());
    }
    block
}

/// The headers of a block; `None` if it is damaged or of a newer version.
pub(crate) fn decode(block: &[u8]) -> Option<Vec<Header>> {
    let mut rest = block.strip_prefix(&[VERSION])?;
    let mut headers = Vec::new();
    while !rest.is_empty() {
        let name_bytes = u32::from_be_bytes(take(&mut rest, 4)?.try_into().ok()?) as usize;
        let name = String::from_utf8(take(&mut rest, name_bytes)?.to_vec()).ok()?;
        let value = match i32::from_be_bytes(take(&mut rest, 4)?.try_into().ok()?) {
            -1 => None,
            value_bytes => Some(Bytes::copy_from_slice(take(&mut rest, usize::try_from(value_bytes).ok()?)?)),
        };
        headers.push(Header { name, value });
    }
    Some(headers)
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_block_is_as_drawn() {
        let headers = [Header::new("a", "xy"), Header { name: "b".into(), value: None }];
        let block = encode(&headers);
        assert_eq!(block, b"\x01\x00\x00\x00\x01a\x00\x00\x00\x02xy\x00\x00\x00\x01b\xff\xff\xff\xff");
        assert_eq!(decode(&block).unwrap(), headers);
    }

    proptest! {
        #[test]
        fn headers_come_back(names in prop::collection::vec((".{0,8}", prop::option::of(prop::collection::vec(any::<u8>(), 0..9))), 0..5)) {
            let headers: Vec<Header> =
                names.into_iter().map(|(name, value)| Header { name, value: value.map(Bytes::from) }).collect();
            prop_assert_eq!(decode(&encode(&headers)), Some(headers));
        }

        #[test]
        fn damage_is_an_answer_and_no_panic(block in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&block);
        }

        #[test]
        fn every_cut_is_noticed_or_between_headers(cut in 0usize..23) {
            let block = encode(&[Header::new("a", "xy"), Header::new("b", "z")]);
            if let Some(headers) = decode(&block[..cut.min(block.len())]) {
                prop_assert!(headers.len() <= 2);
                prop_assert!(encode(&headers) == block[..cut.min(block.len())]);
            }
        }
    }
}
