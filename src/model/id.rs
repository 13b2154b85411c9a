//! Names that end up in paths and in fingerprints: recording ids, versions, profiles, splits, digests.
//!
//! A name is checked once, when it is made; whoever holds one may build a path from it.

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::borrow::Borrow;
use std::fmt;
use std::io::{self, Read};

/// The reason why a text is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {kind}: {reason}")]
pub struct InvalidName {
    /// What the text should have been, for instance `recording id`.
    pub kind: &'static str,
    /// The text as it was given.
    pub text: String,
    /// The rule that it breaks.
    pub reason: &'static str,
}

const NAME_RULE: &str = "1 to 128 of the characters A-Z a-z 0-9 . _ -, beginning with a letter or a digit";

/// True for `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`.
fn is_plain_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes.len(), 1..=128)
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $extra:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks `text` and returns it as a name.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
                let text = text.into();
                let extra: fn(&str) -> Option<&'static str> = $extra;
                let reason = if is_plain_name(&text) { extra(&text) } else { Some(NAME_RULE) };
                match reason {
                    None => Ok(Self(text)),
                    Some(reason) => Err(InvalidName { kind: $kind, text, reason }),
                }
            }

            /// True where `new` would take the text; makes no text of its own.
            #[must_use]
            pub fn is_valid(text: &str) -> bool {
                let extra: fn(&str) -> Option<&'static str> = $extra;
                is_plain_name(text) && extra(text).is_none()
            }

            /// Returns the name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        /// So that maps by name can be asked with a text; equality, order and hash are those of the text.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

/// A stem that ends like the part of a split recording, `….part000`.
fn is_part_name(text: &str) -> bool {
    text.rsplit_once(".part").is_some_and(|(_, n)| n.len() >= 3 && n.bytes().all(|b| b.is_ascii_digit()))
}

name_type!(
    /// The id of a recording: the stem of its files in the cache.
    RecordingId,
    "recording id",
    |text| {
        if text.ends_with(".labels") {
            Some("ids do not end in `.labels`, which marks the file of labels")
        } else if is_part_name(text) {
            Some("ids do not end in `.partNNN`, which marks the parts of a split recording")
        } else {
            None
        }
    }
);

name_type!(
    /// The name of a cache version, which is also the name of its directory.
    VersionName,
    "cache version",
    |text| (text == "latest").then_some("`latest` is the link to the version completed last")
);

name_type!(
    /// The name of a profile (`smoke`, `dev`, `full`), which is also the name of its directory.
    ProfileName,
    "profile name",
    |_| None
);

/// The part of the experiment that a recording belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Training.
    Train,
    /// Validation.
    Val,
    /// Evaluation, looked at once.
    Eval,
}

impl Split {
    /// The three splits in the order that decides ties everywhere.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Eval];

    /// Returns the name of the split, which is also the name of its directory.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Eval => "eval",
        }
    }

    /// Returns the split of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|split| split.as_str() == name)
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Bytes hashed at once: they stay in the second-level cache.
const CHUNK: usize = 256 * 1024;

/// A SHA-256 (FIPS 180-4), written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Wraps the 32 bytes of a finished hash.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Returns the digest of all that a reader gives. Fails where reading does.
    pub fn of_all(mut from: impl Read) -> io::Result<Self> {
        let (mut hasher, mut buffer) = (Sha256::new(), vec![0; CHUNK]);
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return Ok(Self(hasher.finalize().into())),
                Ok(bytes) => hasher.update(&buffer[..bytes]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the first twelve digits, enough to tell two fingerprints apart by eye.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        let mut wrong = 0;
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let (high, low) = (HEX_VALUES[usize::from(pair[0])], HEX_VALUES[usize::from(pair[1])]);
            wrong |= high | low;
            *byte = (high << 4) | (low & 15);
        }
        (wrong < 16).then_some(Self(bytes))
    }

    /// The 64 digits.
    fn digits(&self) -> [u8; 64] {
        // By hand: a large manifest holds half a million digests, and `{:02x}` takes a second for them.
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[HEX_DIGITS[usize::from(byte >> 4)], HEX_DIGITS[usize::from(byte & 15)]]);
        }
        text
    }
}

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The value of each digit, and 255 for what is none.
const HEX_VALUES: [u8; 256] = {
    let mut values = [255; 256];
    let mut value = 0;
    while value < 16 {
        values[HEX_DIGITS[value] as usize] = value as u8;
        value += 1;
    }
    values
};

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = self.digits();
        serializer.serialize_str(std::str::from_utf8(&digits).map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Digits)
    }
}

/// Reads digits where they stand: a text of its own for each would cost more than the reading.
struct Digits;

impl Visitor<'_> for Digits {
    type Value = Digest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("64 hexadecimal digits")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Digest, E> {
        Digest::from_hex(text).ok_or_else(|| E::custom("expected 64 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recording_ids_follow_the_contract() {
        let long = "a".repeat(128);
        for good in ["aaaaaaac_s001_t000", "A", "0-.", &long] {
            assert!(RecordingId::new(good).is_ok(), "{good}");
        }
        let too_long = "a".repeat(129);
        for bad in
            ["", ".a", "-a", "_a", "a b", "ä", "a/b", "..", "x.labels", "x.part000", "x.part0001", &too_long]
        {
            assert!(RecordingId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn digest_reads_what_it_writes() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(Digest::from_hex(&digest.to_string()), Some(digest));
        assert_eq!(Digest::from_hex("BA"), None);
    }
}
