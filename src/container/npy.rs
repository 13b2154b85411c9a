//! `.npy` headers, version 1.0 (NEP 1): little-endian, C order, and only the types that are stored.

use super::zip::ALIGNMENT;
use std::fmt;

/// The ending of members and files that are arrays; the array's name is what stands before it.
pub const SUFFIX: &str = ".npy";
const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
/// Longer headers are none of ours: a shape has at most two numbers.
const LONGEST_HEADER: usize = 1024;

/// The type of an array's elements. Objects are not among them, so nothing is ever unpickled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// IEEE 754 binary16.
    Float16,
    /// IEEE 754 binary32.
    Float32,
    /// IEEE 754 binary64.
    Float64,
    /// Bytes.
    Uint8,
    /// Text of at most so many characters, in UTF-32.
    Text(u64),
}

impl Element {
    /// Bytes of one element; nothing where a hostile text length overflows.
    #[must_use]
    pub fn bytes(self) -> Option<u64> {
        match self {
            Self::Float16 => Some(2),
            Self::Float32 => Some(4),
            Self::Float64 => Some(8),
            Self::Uint8 => Some(1),
            Self::Text(characters) => characters.checked_mul(4),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "<f2" => Some(Self::Float16),
            "<f4" => Some(Self::Float32),
            "<f8" => Some(Self::Float64),
            "|u1" => Some(Self::Uint8),
            _ => text.strip_prefix("<U")?.parse().ok().map(Self::Text),
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float16 => f.write_str("<f2"),
            Self::Float32 => f.write_str("<f4"),
            Self::Float64 => f.write_str("<f8"),
            Self::Uint8 => f.write_str("|u1"),
            Self::Text(characters) => write!(f, "<U{characters}"),
        }
    }
}

/// What a `.npy` header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The type of the elements.
    pub element: Element,
    /// The lengths of the axes, the slowest first.
    pub shape: Vec<u64>,
}

impl Header {
    /// Returns a header.
    #[must_use]
    pub fn new(element: Element, shape: &[u64]) -> Self {
        Self { element, shape: shape.to_owned() }
    }

    /// Bytes of the array's data; nothing where hostile lengths overflow.
    #[must_use]
    pub fn data_bytes(&self) -> Option<u64> {
        self.shape.iter().try_fold(self.element.bytes()?, |bytes, length| bytes.checked_mul(*length))
    }

    fn text(&self) -> String {
        let shape = match &self.shape[..] {
            [length] => format!("({length},)"),
            lengths => {
                format!("({})", lengths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
            }
        };
        format!("{{'descr': '{}', 'fortran_order': False, 'shape': {shape}, }}", self.element)
    }

    /// Returns the header as bytes, padded with blanks to a multiple of 64.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let text = self.text();
        let bytes = (MAGIC.len() + 2 + text.len() + 1).next_multiple_of(ALIGNMENT as usize);
        let mut out = Vec::with_capacity(bytes);
        out.extend(MAGIC);
        out.extend(((bytes - MAGIC.len() - 2) as u16).to_le_bytes());
        out.extend(text.as_bytes());
        out.resize(bytes - 1, b' ');
        out.push(b'\n');
        out
    }

    /// Reads the length of a header from its first ten bytes.
    #[must_use]
    pub fn encoded_bytes(start: &[u8]) -> Option<usize> {
        let length = start.strip_prefix(MAGIC)?.first_chunk::<2>()?;
        let bytes = MAGIC.len() + 2 + usize::from(u16::from_le_bytes(*length));
        (bytes <= LONGEST_HEADER).then_some(bytes)
    }

    /// Reads a header; only the very bytes that `encode` makes are accepted.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        Self::decode_foreign(bytes).filter(|header| header.encode() == bytes)
    }

    /// Reads a header that another program wrote, `NumPy` above all: padded otherwise, else the same text.
    #[must_use]
    pub fn decode_foreign(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes.get(MAGIC.len() + 2..)?).ok()?;
        let (element, rest) = text.strip_prefix("{'descr': '")?.split_once('\'')?;
        let (shape, _) = rest.strip_prefix(", 'fortran_order': False, 'shape': (")?.split_once(')')?;
        let lengths = shape.split(',').map(str::trim).filter(|length| !length.is_empty());
        let shape = lengths.map(|length| length.parse().ok()).collect::<Option<Vec<u64>>>()?;
        let header = Self { element: Element::parse(element)?, shape };
        (header.text() == text.trim_end()).then_some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_back_and_aligned() {
        for (element, shape) in [
            (Element::Float32, vec![19, 345_600]),
            (Element::Float16, vec![1, 0]),
            (Element::Float64, vec![]),
            (Element::Uint8, vec![u64::MAX]),
            (Element::Text(3), vec![19]),
        ] {
            let header = Header { element, shape };
            let bytes = header.encode();
            assert_eq!(bytes.len() % 64, 0);
            assert_eq!(Header::encoded_bytes(&bytes), Some(bytes.len()));
            assert_eq!(Header::decode(&bytes), Some(header));
        }
    }

    #[test]
    fn foreign_headers_are_refused() {
        let good = Header::new(Element::Float32, &[2, 3]).encode();
        let text = String::from_utf8_lossy(&good[10..]).into_owned();
        for (from, to) in [
            ("<f4", "|O8"),
            (">f4", "<f4"),
            ("<f4", ">f4"),
            ("False", "True"),
            ("(2, 3)", "(3, 2,)"),
            ("(2, 3)", "(02, 3)"),
            ("(2, 3)", "(-2, 3)"),
            ("'descr'", "'DESCR'"),
        ] {
            let changed = text.replace(from, to);
            if changed != text {
                let bytes = [&good[..10], changed.as_bytes()].concat();
                assert_eq!(Header::decode(&bytes), None, "{to}");
            }
        }
        assert_eq!(Header::new(Element::Float64, &[u64::MAX, 2]).data_bytes(), None);
    }
}
