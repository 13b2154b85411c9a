//! The lines of a text that may be large: manifest and memo of 100,000 recordings have a hundred megabytes each.

use std::iter;
use std::ops::Range;

/// Where each line lies, with the newline that ends it; the last one may have none.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let (mut newlines, mut begin) = (memchr::memchr_iter(b'\n', text), 0);
    iter::from_fn(move || {
        let end = newlines.next().map_or(text.len(), |newline| newline + 1);
        let line = begin..end;
        begin = end;
        (!line.is_empty()).then_some(line)
    })
}

/// Bytes of the text up to the end of its last whole line.
pub(super) fn whole_lines(text: &[u8]) -> usize {
    memchr::memrchr(b'\n', text).map_or(0, |newline| newline + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_standard_library() {
        for text in ["", "\n", "a", "a\n", "\n\na", "a\n\nb\n", "ab\nc"] {
            let bytes = text.as_bytes();
            let found: Vec<&[u8]> = lines(bytes).map(|line| &bytes[line]).collect();
            let expected: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
            assert_eq!(found, expected, "{text:?}");
            assert_eq!(whole_lines(bytes), text.rfind('\n').map_or(0, |last| last + 1), "{text:?}");
        }
    }
}
