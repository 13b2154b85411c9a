//! Lines that carry their own SHA-256: `<64 hex digits> <json>`.
//!
//! A line that was torn by a crash or changed by a disk is not misread but ignored.

use crate::model::id::Digest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;

/// Appends `value` as one sealed line.
pub(super) fn encode(value: &impl Serialize, out: &mut Vec<u8>) -> io::Result<()> {
    let text = serde_json::to_vec(value)?;
    out.extend(Digest::of(&text).to_string().as_bytes());
    out.push(b' ');
    out.extend(text);
    out.push(b'\n');
    Ok(())
}

/// Returns the JSON of an undamaged line.
pub(super) fn open(line: &[u8]) -> Option<&[u8]> {
    let (seal, text) = line.split_at_checked(65)?;
    let seal = std::str::from_utf8(seal).ok()?.strip_suffix(' ')?;
    (Digest::from_hex(seal)? == Digest::of(text)).then_some(text)
}

/// Reads an undamaged line.
pub(super) fn decode<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    serde_json::from_slice(open(line)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_or_torn_line_is_none() {
        let mut line = Vec::new();
        encode(&("a", 1), &mut line).unwrap();
        line.pop();
        assert_eq!(decode::<(String, u8)>(&line), Some(("a".to_owned(), 1)));
        for end in 0..line.len() {
            assert_eq!(decode::<(String, u8)>(&line[..end]), None, "torn at {end}");
        }
        for bit in 0..line.len() * 8 {
            let mut changed = line.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&changed), None, "bit {bit}");
        }
    }
}
