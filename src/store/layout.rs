//! The disk layout: every name below a cache root comes from here.
//!
//! ```text
//! cache/                              the root; may itself be a link, nothing below it is reached through one
//! ├── CACHEDIR.TAG                    tells backup programs to leave the tree alone
//! ├── .sources/<dataset>.jsonl        memo of source hashes, one line a source file
//! ├── .damaged/                       what `verify --repair` moved aside, each with a `.reason.txt`
//! └── full/                           a profile
//!     ├── latest -> v1_256hz_10-20    for people: the version completed last; never read
//!     └── v1_256hz_10-20/             a version = data.cache_dir
//!         ├── manifest.json
//!         ├── train/<id>.npz          a signal; val/ and eval/ likewise
//!         ├── train/<id>.labels.npz   its labels
//!         ├── train/<id>.part000.npz  a part of a recording that was split at its gaps; its labels likewise
//!         └── .build/
//!             ├── lock                made once, never removed; plain builds hold it alone, shards together
//!             ├── shard-K-of-N        held by the builder of that shard
//!             ├── merge               held while a shard merges journals into the manifest
//!             ├── identity            what the version means, should manifest and journals be lost
//!             ├── removed             the manifest of a version that is being removed, for its age
//!             ├── journal-*.jsonl     one a writer, locked while it lives
//!             ├── history.jsonl       builds that found everything present since the manifest was written
//!             └── tmp/                files that are being written
//! ```

use crate::model::id::{ProfileName, Split, VersionName};
use crate::model::stem::Stem;
use std::fmt;
use std::path::{Path, PathBuf};

/// Name of the tag of <https://bford.info/cachedir/>.
pub const TAG: &str = "CACHEDIR.TAG";
/// Content of the tag; its first line is the signature that the specification fixes.
pub const TAG_TEXT: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This directory is a cache made by eegcache: everything in it can be built again.\n\
    # For information about cache directory tags, see https://bford.info/cachedir/\n";
/// Directory of the memo, below the root.
pub const SOURCES: &str = ".sources";
/// Directory of damaged files with the reasons, below the root.
pub const DAMAGED: &str = ".damaged";
/// Link to the version completed last, below a profile.
pub const LATEST: &str = "latest";
/// Name of the manifest, below a version.
pub const MANIFEST: &str = "manifest.json";
/// What belongs to builders, below a version.
pub const BUILD: &str = ".build";
/// Name of the lock file, below `BUILD`.
pub const LOCK: &str = "lock";
/// Name of the counts that the manifest does not hold yet, below `BUILD`.
pub const HISTORY: &str = "history.jsonl";
/// Name of the lock of whoever merges journals beside others, below `BUILD`.
pub const MERGE: &str = "merge";
/// Name of the file that says what the version means, below `BUILD`.
pub const IDENTITY: &str = "identity";
/// Name of what was the manifest of a version that is being removed, below `BUILD`.
pub const REMOVED: &str = "removed";
/// Directory of unfinished files, below `BUILD`.
pub const TEMPORARIES: &str = "tmp";

const JOURNAL_PREFIX: &str = "journal-";
const JOURNAL_SUFFIX: &str = ".jsonl";
const FILE_SUFFIX: &str = ".npz";
const LABELS_SUFFIX: &str = ".labels.npz";

/// A directory of the cache.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// The root itself.
    Root,
    /// `.sources`.
    Sources,
    /// `<profile>`.
    Profile(&'a ProfileName),
    /// `<profile>/<version>`.
    Version(&'a ProfileName, &'a VersionName),
    /// `<profile>/<version>/train` and so on.
    Split(&'a ProfileName, &'a VersionName, Split),
    /// `<profile>/<version>/.build`.
    Build(&'a ProfileName, &'a VersionName),
}

impl<'a> Place<'a> {
    /// Returns the names that lead from the root to the directory.
    #[must_use]
    pub fn components(self) -> Vec<&'a str> {
        match self {
            Self::Root => vec![],
            Self::Sources => vec![SOURCES],
            Self::Profile(profile) => vec![profile.as_str()],
            Self::Version(profile, version) => vec![profile.as_str(), version.as_str()],
            Self::Split(profile, version, split) => vec![profile.as_str(), version.as_str(), split.as_str()],
            Self::Build(profile, version) => vec![profile.as_str(), version.as_str(), BUILD],
        }
    }

    /// Returns the path of the directory below `root`.
    #[must_use]
    pub fn path(self, root: &Path) -> PathBuf {
        let mut path = root.to_owned();
        path.extend(self.components());
        path
    }
}

/// What a finished file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `<id>.npz`.
    Signal,
    /// `<id>.labels.npz`.
    Labels,
}

impl Part {
    fn suffix(self) -> &'static str {
        match self {
            Self::Signal => FILE_SUFFIX,
            Self::Labels => LABELS_SUFFIX,
        }
    }
}

/// The checked name of a finished file relative to its version: `train/<id>.npz`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileName {
    /// The directory.
    pub split: Split,
    /// The stem: a recording, or a part of one.
    pub id: Stem,
    /// The ending.
    pub part: Part,
}

impl FileName {
    /// Returns the name of a part of a recording.
    #[must_use]
    pub fn new(split: Split, id: Stem, part: Part) -> Self {
        Self { split, id, part }
    }

    /// Reads `train/<id>.npz` or `train/<id>.labels.npz`; anything else is no name of a finished file.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (split, leaf) = text.split_once('/')?;
        let split = Split::from_name(split)?;
        let (stem, part) = match leaf.strip_suffix(LABELS_SUFFIX) {
            Some(stem) => (stem, Part::Labels),
            None => (leaf.strip_suffix(FILE_SUFFIX)?, Part::Signal),
        };
        Some(Self { split, id: Stem::parse(stem).ok()?, part })
    }

    /// True where `parse` would read the text; makes no text of its own for whole recordings.
    #[must_use]
    pub fn is_name(text: &str) -> bool {
        let leaf = text.split_once('/').filter(|(split, _)| Split::from_name(split).is_some());
        leaf.is_some_and(|(_, leaf)| Self::is_leaf(leaf))
    }

    /// True where `text` is the name of a finished file inside the directory of a split.
    #[must_use]
    pub fn is_leaf(text: &str) -> bool {
        let stem = text.strip_suffix(LABELS_SUFFIX).or_else(|| text.strip_suffix(FILE_SUFFIX));
        stem.is_some_and(Stem::is_valid)
    }

    /// True where `text` is the name of that part of that recording; makes no text of its own for whole recordings.
    #[must_use]
    pub fn is(text: &str, split: Split, id: &Stem, part: Part) -> bool {
        let leaf = text.strip_prefix(split.as_str()).and_then(|rest| rest.strip_prefix('/'));
        let rest = match id.part() {
            None => leaf.and_then(|leaf| leaf.strip_prefix(id.recording().as_str())),
            Some(_) => leaf.and_then(|leaf| leaf.strip_prefix(id.to_string().as_str())),
        };
        rest == Some(part.suffix())
    }

    /// Returns the name inside the directory of the split.
    #[must_use]
    pub fn leaf(&self) -> String {
        format!("{}{}", self.id, self.part.suffix())
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.split, self.leaf())
    }
}

/// Returns the name of a writer's journal.
#[must_use]
pub fn journal_name(writer: &str) -> String {
    format!("{JOURNAL_PREFIX}{writer}{JOURNAL_SUFFIX}")
}

/// The last part of a path below a version.
pub(super) fn leaf(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// True for the name of a journal.
#[must_use]
pub fn is_journal_name(name: &str) -> bool {
    name.starts_with(JOURNAL_PREFIX) && name.ends_with(JOURNAL_SUFFIX)
}

/// True for the name of a shard's lock.
#[must_use]
pub fn is_shard_name(name: &str) -> bool {
    name.starts_with("shard-")
}

/// Returns host and process of the writer that a journal or a temporary belongs to, where its name tells.
#[must_use]
pub fn writer_of(name: &str) -> Option<(&str, u32)> {
    let name = name.strip_prefix(JOURNAL_PREFIX).unwrap_or(name);
    let name = name.strip_suffix(JOURNAL_SUFFIX).unwrap_or(name);
    // `<host>-<pid>-<random>-<count>`; a host may hold hyphens.
    let mut parts = name.rsplitn(4, '-');
    let (_count, _random) = (parts.next()?, parts.next()?);
    let pid = parts.next()?.parse().ok()?;
    Some((parts.next()?, pid))
}

/// Returns the name of a dataset's memo, or nothing where the dataset's name is no plain name.
#[must_use]
pub fn memo_name(dataset: &str) -> Option<String> {
    // A dataset's name follows the rule of profile names: it becomes a file name here.
    ProfileName::new(dataset).ok().map(|name| format!("{name}{JOURNAL_SUFFIX}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_read_back_and_hostile_ones_refused() {
        for good in [
            "train/a.npz",
            "val/a.labels.npz",
            "eval/A-1_b.c.npz",
            "val/a.part007.npz",
            "val/a.part1000.labels.npz",
        ] {
            let name = FileName::parse(good).unwrap();
            assert_eq!(name.to_string(), good);
            assert!(FileName::is(good, name.split, &name.id, name.part));
            assert!(!FileName::is(&format!("{good}x"), name.split, &name.id, name.part));
            assert!(FileName::is_name(good));
        }
        let long = format!("train/{}.npz", "a".repeat(129));
        for bad in [
            "",
            "a.npz",
            "train/",
            "train/.npz",
            "train/.labels.npz",
            "train/a",
            "train/a.npz/",
            "train//a.npz",
            "dev/a.npz",
            "../train/a.npz",
            "train/../a.npz",
            "/train/a.npz",
            "train/a/b.npz",
            "train/..npz",
            "train/a\0.npz",
            "train/a\n.npz",
            "train/ä.npz",
            "train/a.labels.labels.npz",
            "train/a.labels.part000.npz",
            "train/a.part0000.npz",
            "train/a.part000.part000.npz",
            "Train/a.npz",
            &long,
        ] {
            assert_eq!(FileName::parse(bad), None, "{bad:?}");
            assert!(!FileName::is_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn names_tell_their_writer() {
        let name = journal_name("node-7-4711-0123456789abcdef-0");
        assert_eq!(writer_of(&name), Some(("node-7", 4711)));
        assert_eq!(writer_of("h-1-ff-2"), Some(("h", 1)));
        assert_eq!((writer_of("left-behind"), writer_of("a-b-c-d")), (None, None));
    }

    #[test]
    fn memo_names_cannot_leave_their_directory() {
        assert_eq!(memo_name("tusz").as_deref(), Some("tusz.jsonl"));
        assert_eq!((memo_name("../x"), memo_name(""), memo_name(".x")), (None, None, None));
    }
}
