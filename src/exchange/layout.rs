//! The layouts by name, and what files a recording has in each.

use crate::model::id::Split;
use crate::model::stem::Stem;

/// How windows lie in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `<id>_windows.npz` with `windows` and `labels`.
    Windows,
    /// `<id>_data.npy` and `<id>_labels.npy`.
    Npy,
    /// The pairs of `Npy` with the listings that the `brain_brr` loaders read.
    BrainBrr,
}

/// The listings of a split in `Layout::BrainBrr`: windows by class, windows by recording, how it was split.
pub const LISTINGS: [&str; 3] = ["manifest.json", "_dataset_index.json", ".cache_metadata.json"];

impl Layout {
    /// Every layout.
    pub const ALL: [Self; 3] = [Self::Windows, Self::Npy, Self::BrainBrr];

    /// Returns the public name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Npy => "npy",
            Self::BrainBrr => "brain-brr",
        }
    }

    /// Returns the layout of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layout| layout.as_str() == name)
    }

    /// Returns the directory of a split. The `brain_brr` loaders look for validation windows in `dev`.
    #[must_use]
    pub fn directory(self, split: Split) -> &'static str {
        match (self, split) {
            (Self::BrainBrr, Split::Val) => "dev",
            _ => split.as_str(),
        }
    }

    /// Returns the endings of a recording's files behind its id, the one with the windows first.
    #[must_use]
    pub fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Windows => &["_windows.npz"],
            Self::Npy | Self::BrainBrr => &["_data.npy", "_labels.npy"],
        }
    }

    /// Returns the names of a recording's files, relative to the target.
    #[must_use]
    pub fn names(self, split: Split, id: &Stem) -> Vec<String> {
        self.endings().iter().map(|ending| format!("{}/{id}{ending}", self.directory(split))).collect()
    }
}
