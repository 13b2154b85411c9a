//! The description of a dataset, as a checked value: where recordings lie and what their paths mean.

use crate::model::canonical::{Canonical, Encoder};
use crate::model::failure::FailureClass;
use crate::model::id::{Digest, RecordingId, Split};
use crate::model::recipe::AnnotationFormat;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A dataset as its YAML file describes it.
#[derive(Debug, Clone)]
pub struct DatasetSpec {
    /// The name: the stem of `configs/datasets/<name>.yaml`.
    pub name: String,
    /// A line about the dataset, for people.
    pub title: String,
    /// The licence, or how to get the data.
    pub licence: String,
    /// Absolute path of the dataset's root.
    pub root: PathBuf,
    /// Where the root was written, for messages.
    pub root_origin: String,
    /// Globs below the root that match recordings.
    pub recordings: Vec<globset::Glob>,
    /// Globs below the root of files that `recordings` matches and that are none.
    pub exclude: Vec<globset::Glob>,
    /// Applied to the relative path; group `id`, or the first group, is the id. Default: the stem.
    pub id: Option<regex::Regex>,
    /// Applied to the relative path; group `subject`, or the first group, is the subject. Default: the stem.
    pub subject: Option<regex::Regex>,
    /// Other names of a subject.
    pub subject_aliases: BTreeMap<String, String>,
    /// How recordings are divided.
    pub splits: SplitRule,
    /// Which annotation files belong to a recording.
    pub annotations: AnnotationFiles,
    /// The mains frequency in Hz.
    pub mains_hz: Option<f64>,
    /// Recordings that are known not to be usable, with the class of their failure.
    pub known_defects: BTreeMap<RecordingId, FailureClass>,
    /// The counts that the whole dataset should have.
    pub expect: BTreeMap<Split, ExpectedCounts>,
    /// True where a training split without any seizure is right.
    pub allow_no_seizures: bool,
    /// The word with which programs that read an export believe that no subject is in two splits.
    pub split_policy: Option<String>,
    /// Where the dataset is a generated corpus: how it is generated.
    pub generate: Option<Generate>,
}

/// The counts that a split of the whole dataset should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedCounts {
    /// Recordings.
    pub recordings: Option<u64>,
    /// Subjects.
    pub subjects: Option<u64>,
}

/// Parameters of a generated corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generate {
    /// Number of recordings.
    pub recordings: usize,
    /// Seed.
    pub seed: u64,
}

/// Which annotation files belong to a recording, as patterns relative to the recording's directory.
///
/// `{name}` stands for the recording's file name, `{stem}` for that without its extension, `{id}` for its id, `{dir}` for
/// the name of its folder and `{parent}` for that of the folder above; `*` and `?` are wildcards in the last part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnnotationFiles {
    /// The deciding file: the first of these that exists.
    pub file: Vec<String>,
    /// A second file that only cross-checks: the first of these that exists.
    pub cross_check: Vec<String>,
    /// The format of the second file, where it is written down.
    pub cross_check_format: Option<AnnotationFormat>,
}

/// How recordings are divided into train, val and eval.
#[derive(Debug, Clone, PartialEq)]
pub enum SplitRule {
    /// The dataset's own folders: first matching path prefix wins.
    Directory(Vec<(String, Split)>),
    /// By a hash of the subject.
    BySubject {
        /// Hashed before the subject.
        seed: String,
        /// Share of train.
        train: f64,
        /// Share of val.
        val: f64,
        /// Subjects with a place of their own.
        pin: BTreeMap<String, Split>,
    },
}

impl SplitRule {
    /// Returns the split of a recording, or nothing where no folder matches.
    ///
    /// `by_subject`: u = first 8 bytes, big-endian, of SHA-256(seed ‖ 0x00 ‖ subject) / 2⁶⁴; train if
    /// u < f1, val if u < f1 + f2, else eval. Adding files moves nobody.
    #[must_use]
    pub fn split(&self, path: &str, subject: &str) -> Option<Split> {
        match self {
            Self::Directory(folders) => {
                let inside =
                    |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
                folders.iter().find(|(folder, _)| folder == "." || inside(folder)).map(|(_, split)| *split)
            }
            Self::BySubject { seed, train, val, pin } => {
                Some(pin.get(subject).copied().unwrap_or_else(|| {
                    let digest = Digest::of(&[seed.as_bytes(), &[0], subject.as_bytes()].concat());
                    let mut first = [0; 8];
                    first.copy_from_slice(&digest.as_bytes()[..8]);
                    let u = u64::from_be_bytes(first) as f64 / 18_446_744_073_709_551_616.0;
                    if u < *train {
                        Split::Train
                    } else if u < *train + *val {
                        Split::Val
                    } else {
                        Split::Eval
                    }
                }))
            }
        }
    }
}

impl DatasetSpec {
    /// Returns the identity of the split: how the recordings are divided, and nothing else.
    #[must_use]
    pub fn split_identity(&self) -> Digest {
        let mut encoder = Encoder::new("eegcache split 1");
        self.splits.encode(&mut encoder);
        encoder.field(100, &self.subject_aliases);
        encoder.end();
        encoder.digest()
    }
}

impl Canonical for Split {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.text(self.as_str());
    }
}

impl Canonical for SplitRule {
    fn encode(&self, encoder: &mut Encoder) {
        match self {
            Self::Directory(folders) => {
                encoder.tag(1);
                encoder.field(1, folders);
            }
            Self::BySubject { seed, train, val, pin } => {
                encoder.tag(2);
                encoder.field(1, seed);
                encoder.field(2, train);
                encoder.field(3, val);
                encoder.field(4, pin);
            }
        }
        encoder.end();
    }
}
