//! What lies on disk below a dataset root: recordings, their annotation files, and what is known of their bytes.

use crate::model::failure::Failure;
use crate::model::id::{Digest, RecordingId, Split};
use crate::model::order::Seizures;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the file system says of a file: enough to notice a change, never an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Bytes.
    pub bytes: u64,
    /// Modification time in nanoseconds since the epoch.
    pub mtime_ns: i64,
    /// Change time in nanoseconds since the epoch.
    pub ctime_ns: i64,
    /// Inode number.
    pub inode: u64,
}

impl Stamp {
    /// The stamp of what cannot even be asked for one, or not be read: it says nothing about the file.
    pub const UNKNOWN: Self = Self { bytes: 0, mtime_ns: 0, ctime_ns: 0, inode: 0 };

    /// True where nothing is known of the file.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::UNKNOWN
    }
}

/// A file below the dataset root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The path relative to the root, with `/`.
    pub path: String,
    /// What the file system says.
    pub stamp: Stamp,
    /// The content, where the memo knows it for this very stamp.
    pub sha256: Option<Digest>,
}

/// One recording on disk.
#[derive(Debug, Clone)]
pub struct SourceRecording {
    /// Its id, or why it has none.
    pub id: Result<RecordingId, Failure>,
    /// Its subject, after aliases.
    pub subject: String,
    /// Its split.
    pub split: Split,
    /// The recording itself.
    pub file: SourceFile,
    /// The deciding annotation file, where it exists.
    pub annotation: Option<SourceFile>,
    /// The cross-checking annotation file, where it exists.
    pub cross_check: Option<SourceFile>,
    /// What an annotation file for many recordings calls this one; nothing where the file is the recording's own, or missing.
    pub listed_as: Option<String>,
    /// Known only where the profile family needs it.
    pub seizures: Seizures,
}

impl SourceRecording {
    /// Returns the id, or the path where there is none: how people call the recording.
    #[must_use]
    pub fn name(&self) -> &str {
        self.id.as_ref().map_or(&self.file.path, RecordingId::as_str)
    }

    /// True where an annotation file is there that the machine would not read: whether it changed is not known.
    #[must_use]
    pub fn has_unread_annotation(&self) -> bool {
        let files = [&self.annotation, &self.cross_check].into_iter().flatten();
        files.into_iter().any(|file| file.sha256.is_none() && file.stamp.is_unknown())
    }
}

/// The recordings of a dataset in the one order of `model::order`; a profile is a prefix.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// All recordings of the splits in force, shared by the profiles.
    pub recordings: Arc<Vec<SourceRecording>>,
    /// How many of them the profile takes.
    pub members: usize,
}

impl Inventory {
    /// The recordings of the profile.
    #[must_use]
    pub fn profile(&self) -> &[SourceRecording] {
        &self.recordings[..self.members]
    }
}
