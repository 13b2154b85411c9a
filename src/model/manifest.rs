//! The manifest: what a version holds, as a value. `store::manifest` writes and reads it.

use crate::model::failure::{FailureClass, Note};
use crate::model::id::{Digest, ProfileName, Split, VersionName};
use crate::model::quality::Quality;
use crate::model::stem::{PartOf, Stem};
use crate::model::units::Rate;
use crate::model::window::{self, Span, WindowCounts, Windowing};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The schema number written into manifests; a reader refuses a larger one.
pub const MANIFEST_SCHEMA: u64 = 1;

/// What a version means. A version never changes its meaning, except for the split identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Name of the dataset.
    pub dataset: String,
    /// Signal fingerprint.
    pub signal: Digest,
    /// Label fingerprint.
    pub labels: Digest,
    /// Split identity: entries move when it changes, nothing is rebuilt.
    pub splits: Digest,
}

/// Everything that a version holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// `MANIFEST_SCHEMA`.
    pub schema: u64,
    /// The profile.
    pub profile: ProfileName,
    /// The version.
    pub version: VersionName,
    /// What the version means.
    pub identity: Identity,
    /// The full recipe, for people and for the field-by-field difference.
    pub recipe: serde_json::Value,
    /// Version of the program that wrote the manifest.
    pub builder: String,
    /// Revisions of container and readers.
    pub revisions: BTreeMap<String, u64>,
    /// Licence of the dataset.
    pub licence: String,
    /// How the profile chose its members, for instance `first_50_files`.
    pub subset: String,
    /// False where the build ran without fsync.
    pub durable: bool,
    /// The recordings that the profile was built for, present or not, sorted by name.
    pub membership: Vec<Member>,
    /// Totals, by split.
    pub totals: BTreeMap<Split, Totals>,
    /// One a finished recording, or one a part of it, sorted by id. Shared with whoever works from them: there may be
    /// 100,000.
    #[serde(with = "shared")]
    pub entries: Vec<Arc<Entry>>,
    /// One a recording that could not be processed, sorted by name.
    pub quarantine: Vec<Quarantined>,
    /// Hits and misses over the life of the version.
    pub history: History,
}

/// Entries are written and read as if nobody shared them.
mod shared {
    use super::{Arc, Entry};
    use serde::{Deserialize, Deserializer, Serializer};

    /// An entry that is where it stays from the beginning: they are large.
    struct Shared(Arc<Entry>);

    impl<'de> Deserialize<'de> for Shared {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            Entry::deserialize(from).map(|entry| Self(Arc::new(entry)))
        }
    }

    pub(super) fn serialize<S: Serializer>(entries: &[Arc<Entry>], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(entries.iter().map(Arc::as_ref))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Arc<Entry>>, D::Error> {
        Ok(Vec::<Shared>::deserialize(from)?.into_iter().map(|Shared(entry)| entry).collect())
    }
}

/// A recording that a profile is made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Member {
    /// The id, or the path where the path gives no valid id.
    pub name: String,
    /// Its split.
    pub split: Split,
}

/// Totals of a split that do not depend on the windowing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Finished recordings.
    pub recordings: u64,
    /// Subjects.
    pub subjects: u64,
    /// Recorded samples a channel; gaps that were filled are left out.
    pub samples: u64,
    /// Recorded samples that are seizure.
    pub seizure_samples: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

/// A finished recording, or a finished part of one that was split at its gaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The stem of the files: the recording's id, or `<id>.part000` and so on.
    pub id: Stem,
    /// The split, the directory of the files.
    pub split: Split,
    /// The subject.
    pub subject: String,
    /// The recording.
    pub source: Source,
    /// The annotation.
    pub annotation: Annotation,
    /// The files in the cache.
    pub files: Files,
    /// Samples a channel.
    pub samples: u64,
    /// The rate.
    pub rate_hz: Rate,
    /// Seizures, in samples.
    pub events: Vec<Event>,
    /// Channels that were interpolated.
    pub interpolated: Vec<String>,
    /// Quality notes.
    pub notes: Vec<Note>,
    /// How each file came to be.
    pub made: Made,
    /// Where a part lies in its recording; nothing where the recording is one piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<PartOf>,
    /// Samples that were never recorded and hold zeros (`gaps: fill`); windows that touch them are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Span>,
    /// How well it was recorded, and how much of it the recipe changed; nothing in files from before that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Box<Quality>>,
}

impl Entry {
    /// Returns the windows by class; those that touch a gap are left out.
    #[must_use]
    pub fn windows(&self, windowing: Windowing) -> WindowCounts {
        windowing.classify(self.samples, &self.seizures(), &self.gaps)
    }

    /// Samples that were recorded: all but the gaps.
    #[must_use]
    pub fn recorded_samples(&self) -> u64 {
        self.samples.saturating_sub(window::covered(&window::merge(&self.gaps)))
    }

    /// Recorded samples that are seizure.
    #[must_use]
    pub fn seizure_samples(&self) -> u64 {
        let (seizures, gaps) = (self.seizures(), window::merge(&self.gaps));
        window::covered(&seizures) - window::shared(&seizures, &gaps)
    }

    /// Stretches of seizure, sorted and disjoint; events of single channels may overlap in one.
    #[must_use]
    pub fn seizures(&self) -> Vec<Span> {
        let spans: Vec<Span> = self.events.iter().map(Event::span).collect();
        window::merge(&spans)
    }
}

/// A source file and its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Path relative to the dataset root.
    pub path: String,
    /// Bytes.
    pub bytes: u64,
    /// Content.
    pub sha256: Digest,
}

/// The annotation of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// The deciding file, then the cross-checking one; empty where there is none.
    pub files: Vec<Source>,
    /// What is known.
    pub status: LabelStatus,
    /// The name by which a file for many recordings was asked; nothing where the file is the recording's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed_as: Option<String>,
}

/// What is known about the seizures of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabelStatus {
    /// At least one seizure.
    Labelled,
    /// An annotation without a seizure.
    LabelledEmpty,
    /// Nothing: no labels file.
    Unlabelled,
}

/// The files of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// `<id>.npz`.
    pub signal: FileRecord,
    /// `<id>.labels.npz`; absent when the recording is unlabelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<FileRecord>,
}

impl Files {
    /// The files, the signal first.
    pub fn iter(&self) -> impl Iterator<Item = &FileRecord> {
        std::iter::once(&self.signal).chain(&self.labels)
    }
}

impl FileRecord {
    /// The name inside the directory of the split.
    #[must_use]
    pub fn leaf(&self) -> &str {
        self.name.rsplit_once('/').map_or(&self.name, |(_, leaf)| leaf)
    }

    /// True where the file lies in the directory of a split.
    #[must_use]
    pub fn is_in(&self, split: Split) -> bool {
        self.name.split_once('/').is_some_and(|(place, _)| place == split.as_str())
    }

    /// Returns the name that the file has in the directory of a split.
    #[must_use]
    pub fn name_in(&self, split: Split) -> String {
        format!("{split}/{}", self.leaf())
    }
}

/// A finished file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Name relative to the version's directory, `train/x.npz`.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// Content.
    pub sha256: Digest,
}

/// A seizure: half-open samples, code and channels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Event {
    /// First sample.
    pub start: u64,
    /// One behind the last sample.
    pub end: u64,
    /// The code, `fnsz`.
    pub code: String,
    /// The channels that were marked, sorted; empty where the format names none.
    pub channels: Vec<String>,
}

impl Event {
    /// The stretch of samples.
    #[must_use]
    pub fn span(&self) -> Span {
        Span { start: self.start, end: self.end }
    }
}

/// How the files of an entry came to be: `built`, `relabelled`, `linked from full/v1 …`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The signal file.
    pub signal: String,
    /// The labels file, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
}

/// A recording that could not be processed, and under which circumstances that was so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The id, or the path where the path gives no valid id.
    pub name: String,
    /// The split.
    pub split: Split,
    /// Path relative to the dataset root.
    pub path: String,
    /// The class.
    pub class: FailureClass,
    /// The details.
    pub message: String,
    /// The failure is remembered for exactly these circumstances.
    pub memory: Memory,
}

/// The circumstances of a failure: it is tried again when any of them differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Bytes of the recording.
    pub bytes: u64,
    /// Content of the recording; nothing where it could not be read.
    pub source: Option<Digest>,
    /// Content of the deciding annotation file; nothing where it is absent.
    pub annotation: Option<Digest>,
    /// The name by which a file for many recordings was asked; nothing where the file is the recording's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed_as: Option<String>,
    /// Signal fingerprint.
    pub signal: Digest,
    /// Label fingerprint.
    pub labels: Digest,
    /// Revision of the readers.
    pub reader_revision: u64,
}

/// Hits and misses over the life of a version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Builds that committed.
    pub runs: u64,
    /// Recordings processed.
    pub built: u64,
    /// Recordings taken from another profile or version.
    pub linked: u64,
    /// Recordings whose labels alone were made.
    pub relabelled: u64,
    /// Recordings found present.
    pub kept: u64,
}
