//! A shard: one of N parts of a profile, for builders that work side by side.
//!
//! The cut depends on nothing but the profile's fixed order and the sizes of its recordings, so that every builder
//! makes the same one without a word to the others. What a builder finds missing does not enter.

use std::fmt;
use std::str::FromStr;

/// Part `index` of `of`, counted from 1: `3/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    index: u32,
    of: u32,
}

/// More parts are a mistake: each holds a lock file of its own.
const MOST: u32 = 100_000;

impl Shard {
    /// Returns the part, where 1 ≤ `index` ≤ `of`.
    #[must_use]
    pub fn new(index: u32, of: u32) -> Option<Self> {
        ((1..=of).contains(&index) && of <= MOST).then_some(Self { index, of })
    }

    /// Says for each recording, by its bytes and in the fixed order, whether it belongs to this part.
    ///
    /// A part is a stretch of the order; a recording belongs to the part that holds its middle byte. So every
    /// part has a share of the bytes that is right within one recording. An empty file counts as one byte.
    #[must_use]
    pub fn cut(self, sizes: &[u64]) -> Vec<bool> {
        let weights = sizes.iter().map(|size| u128::from((*size).max(1)));
        let total: u128 = weights.clone().sum();
        let mut before = 0_u128;
        let part = |weight: u128| {
            let middle = 2 * before + weight;
            before += weight;
            middle * u128::from(self.of) / (2 * total)
        };
        weights.map(part).map(|part| part == u128::from(self.index - 1)).collect()
    }

    /// Returns the name of the part's lock: `shard-3-of-8`.
    #[must_use]
    pub fn lock_name(self) -> String {
        format!("shard-{}-of-{}", self.index, self.of)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?;
        let parts = text.split_once('/').and_then(|(index, of)| Some((digits(index)?, digits(of)?)));
        let shard = parts.and_then(|(index, of)| Self::new(index, of));
        shard.ok_or_else(|| "a shard is K/N with 1 ≤ K ≤ N, for instance 3/8".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shards_are_read_strictly() {
        for text in ["1/1", "3/8", "8/8"] {
            assert_eq!(text.parse::<Shard>().unwrap().to_string(), text);
        }
        for text in ["0/4", "5/4", "a/b", "1", "1/", "/1", "1/2/3", "+1/2", "1/0", "-1/2", " 1/2", "1/999999"]
        {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }

    proptest! {
        /// Every recording lies in exactly one part, parts are stretches of the order, and bytes are balanced.
        #[test]
        fn the_cut_is_a_balanced_partition(
            sizes in proptest::collection::vec(0_u64..5_000_000_000, 0..60), of in 1_u32..12,
        ) {
            let parts: Vec<Vec<bool>> =
                (1..=of).map(|index| Shard::new(index, of).unwrap().cut(&sizes)).collect();
            let mut last = 0;
            for at in 0..sizes.len() {
                let owners: Vec<usize> = (0..parts.len()).filter(|part| parts[*part][at]).collect();
                prop_assert_eq!(owners.len(), 1);
                prop_assert!(owners[0] >= last);
                last = owners[0];
            }
            let largest = sizes.iter().copied().max().unwrap_or(0).max(1);
            let total: u64 = sizes.iter().map(|size| (*size).max(1)).sum();
            for part in parts {
                let bytes: u64 = part.iter().zip(&sizes).filter(|(own, _)| **own).map(|(_, size)| (*size).max(1)).sum();
                prop_assert!(bytes.abs_diff(total / u64::from(of)) <= largest + 1);
            }
        }
    }
}
