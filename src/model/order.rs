//! The one deterministic order of a dataset's recordings, of which every profile is a prefix.
//!
//! One recording of each split (train, val, eval), then always one from the split with the smallest
//! taken/size, ties in that order. Inside a split: by bytes of the relative path, or alternating with and
//! without seizures. So smoke ⊂ dev ⊂ full always holds.

use crate::model::id::Split;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The order inside a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// By bytes of the relative path.
    Path,
    /// Alternating recordings with and without seizures in path order until one kind runs out, unlabelled last.
    Balanced,
}

/// How many recordings a profile takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subset {
    /// `all_files`.
    All,
    /// `first_N_files`.
    First(usize),
    /// `balanced_N_files`.
    Balanced(usize),
}

impl Subset {
    /// Reads `all_files`, `first_N_files` or `balanced_N_files` with N ≥ 1.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "all_files" {
            return Some(Self::All);
        }
        let (family, rest) = text.split_once('_')?;
        let digits = rest.strip_suffix("_files")?;
        let n: usize = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
        match (family, n) {
            (_, 0) => None,
            ("first", n) => Some(Self::First(n)),
            ("balanced", n) => Some(Self::Balanced(n)),
            _ => None,
        }
    }

    /// Returns how many of `all` recordings it takes.
    #[must_use]
    pub fn size(self, all: usize) -> usize {
        match self {
            Self::All => all,
            Self::First(n) | Self::Balanced(n) => n.min(all),
        }
    }
}

impl std::fmt::Display for Subset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => write!(f, "all_files"),
            Self::First(n) => write!(f, "first_{n}_files"),
            Self::Balanced(n) => write!(f, "balanced_{n}_files"),
        }
    }
}

/// What is known about seizures in a recording before it is processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seizures {
    /// At least one.
    Some,
    /// None, and it is labelled.
    None,
    /// Not labelled, or not readable.
    Unknown,
}

/// What the order depends on.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// The relative path.
    pub path: &'a str,
    /// The split.
    pub split: Split,
    /// Looked at by the balanced family only.
    pub seizures: Seizures,
}

/// Returns the indices of `keys` in the one order.
#[must_use]
pub fn order(keys: &[Key<'_>], family: Family) -> Vec<usize> {
    let queues = Split::ALL.map(|split| split_order(keys, split, family));
    let sizes = queues.each_ref().map(Vec::len);
    let mut taken = [0_usize; 3];
    let mut result = Vec::with_capacity(keys.len());
    for first in 0..3 {
        if sizes[first] > 0 {
            result.push(queues[first][0]);
            taken[first] = 1;
        }
    }
    while result.len() < keys.len() {
        // taken/size compared as products: exact, and no division by an empty split.
        let open = (0..3).filter(|s| taken[*s] < sizes[*s]);
        let least = open.reduce(|a, b| if taken[b] * sizes[a] < taken[a] * sizes[b] { b } else { a });
        let Some(split) = least else { break };
        result.push(queues[split][taken[split]]);
        taken[split] += 1;
    }
    result
}

fn split_order(keys: &[Key<'_>], split: Split, family: Family) -> Vec<usize> {
    let mut members: Vec<usize> = (0..keys.len()).filter(|i| keys[*i].split == split).collect();
    members.sort_by(|a, b| keys[*a].path.as_bytes().cmp(keys[*b].path.as_bytes()));
    match family {
        Family::Path => members,
        Family::Balanced => alternate(keys, &members),
    }
}

fn alternate(keys: &[Key<'_>], members: &[usize]) -> Vec<usize> {
    let of = |kind| members.iter().copied().filter(|i| keys[*i].seizures == kind).collect::<VecDeque<_>>();
    let (mut with, mut without) = (of(Seizures::Some), of(Seizures::None));
    let mut result = Vec::with_capacity(members.len());
    while let (Some(a), Some(b)) = (with.front(), without.front()) {
        result.extend([*a, *b]);
        with.pop_front();
        without.pop_front();
    }
    result.extend(with);
    result.extend(without);
    result.extend(of(Seizures::Unknown));
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn subsets_are_read_and_written() {
        for text in ["all_files", "first_50_files", "balanced_500_files"] {
            assert_eq!(Subset::parse(text).unwrap().to_string(), text);
        }
        for bad in
            ["first_0_files", "first_files", "last_3_files", "first_-1_files", "first_5", "balanced_+5_files"]
        {
            assert_eq!(Subset::parse(bad), None, "{bad}");
        }
    }

    fn key(path: &str, split: Split, seizures: Seizures) -> Key<'_> {
        Key { path, split, seizures }
    }

    #[test]
    fn every_split_is_served_first_then_the_least_taken() {
        let t = |path| key(path, Split::Train, Seizures::None);
        let keys = [
            t("t/4"),
            t("t/1"),
            t("t/2"),
            t("t/3"),
            key("d/1", Split::Val, Seizures::None),
            key("d/2", Split::Val, Seizures::None),
            key("e/1", Split::Eval, Seizures::None),
        ];
        let paths: Vec<&str> = order(&keys, Family::Path).into_iter().map(|i| keys[i].path).collect();
        assert_eq!(paths, ["t/1", "d/1", "e/1", "t/2", "t/3", "d/2", "t/4"]);
    }

    #[test]
    fn balanced_alternates_and_puts_unlabelled_last() {
        let keys = [
            key("1", Split::Train, Seizures::None),
            key("2", Split::Train, Seizures::Unknown),
            key("3", Split::Train, Seizures::None),
            key("4", Split::Train, Seizures::Some),
            key("5", Split::Train, Seizures::None),
        ];
        let paths: Vec<&str> = order(&keys, Family::Balanced).into_iter().map(|i| keys[i].path).collect();
        assert_eq!(paths, ["4", "1", "3", "5", "2"]);
    }

    proptest! {
        /// smoke ⊂ dev ⊂ full: each is a prefix of one permutation, whatever order the disk lists files in.
        #[test]
        fn profiles_are_prefixes_of_one_permutation(
            raw in proptest::collection::btree_map("[a-z]{1,3}/[a-z0-9]{1,4}", (0_u8..3, 0_u8..3), 0..80),
            balanced: bool, smoke in 1_usize..40, more in 0_usize..40, rotate in 0_usize..80,
        ) {
            let kinds = [Seizures::Some, Seizures::None, Seizures::Unknown];
            let mut keys: Vec<Key<'_>> = raw.iter()
                .map(|(path, (split, kind))| key(path, Split::ALL[*split as usize], kinds[*kind as usize])).collect();
            let family = if balanced { Family::Balanced } else { Family::Path };
            let named = |keys: &[Key<'_>]| order(keys, family).into_iter()
                .map(|i| keys[i].path.to_owned()).collect::<Vec<_>>();
            let full = named(&keys);
            prop_assert_eq!(full.iter().collect::<BTreeSet<_>>().len(), keys.len());
            let dev = Subset::First(smoke + more).size(full.len());
            prop_assert!(Subset::First(smoke).size(full.len()) <= dev && dev <= Subset::All.size(full.len()));
            if !keys.is_empty() {
                let by = rotate % keys.len();
                keys.rotate_left(by);
                prop_assert_eq!(named(&keys), full);
            }
        }
    }
}
