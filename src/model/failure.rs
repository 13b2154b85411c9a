//! What can be wrong with one recording, and what is only worth a note.
//!
//! A `Failure` puts a recording into quarantine and never stops a build.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! classes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why a recording could not be processed. The names are public: dataset files and scripts use them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum FailureClass {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl FailureClass {
            /// Every class.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns the public name of the class.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

classes! {
    /// The header promises more than the file holds.
    Truncated = "truncated",
    /// The file holds more whole records than the header promises.
    SizeMismatch = "size-mismatch",
    /// A header field cannot be read or contradicts another one.
    BadHeader = "bad-header",
    /// Empty, a directory, a pointer file, or nothing like a recording.
    NotARecording = "not-a-recording",
    /// Physical or digital limits that define no scale.
    BadCalibration = "bad-calibration",
    /// A physical dimension that is no voltage.
    BadUnit = "bad-unit",
    /// Records with gaps or overlaps in time.
    Discontinuous = "discontinuous",
    /// A channel of the recipe is not in the recording and may not be interpolated.
    MissingChannels = "missing-channels",
    /// Two different signals answer to one channel name.
    AmbiguousChannels = "ambiguous-channels",
    /// Picked channels with different reference suffixes.
    MixedReference = "mixed-reference",
    /// All raw samples of a picked channel are equal.
    Flat = "flat",
    /// A rate whose conversion needs factors beyond the polyphase limit.
    OddRate = "odd-rate",
    /// A filter edge at or above half the rate at that point.
    RateTooLow = "rate-too-low",
    /// Fewer samples than a step needs to run.
    TooShort = "too-short",
    /// More memory than the budget for a single channel.
    TooLong = "too-long",
    /// No annotation file, and the recipe demands one.
    NoAnnotation = "no-annotation",
    /// An annotation row that cannot be read, or ends before it begins.
    BadAnnotation = "bad-annotation",
    /// Rows that do not tile the recording.
    AnnotationIncomplete = "annotation-incomplete",
    /// An event that lies outside of the recording.
    EventOutside = "event-outside",
    /// A code that is neither a seizure nor background.
    UnknownLabel = "unknown-label",
    /// A path that gives no valid id.
    BadName = "bad-name",
    /// The operating system could not read the file.
    IoError = "io-error",
    /// The file changed under the reader, twice.
    ChangedWhileReading = "changed-while-reading",
    /// A defect of this program, contained to one recording.
    Panic = "panic",
}

impl FailureClass {
    /// Returns the class of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.as_str() == name)
    }

    /// True for classes that say nothing about the bytes, and are therefore tried by every build. (Whether a recording is too
    /// long depends on the memory that the build may use, and its header alone tells.)
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(self, Self::IoError | Self::ChangedWhileReading | Self::Panic | Self::TooLong)
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One recording could not be processed: the class, and where, what and how much in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{class}: {message}")]
pub struct Failure {
    /// The class, for scripts and for `known_defects`.
    pub class: FailureClass,
    /// The details, for people.
    pub message: String,
}

impl Failure {
    /// Returns a failure of `class` with its details.
    #[must_use]
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }
}

/// Something worth knowing about a recording that did not keep it out of the cache.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Note {
    /// A short public code such as `unit-assumed` or `dc-transient`.
    pub code: String,
    /// The details, for people.
    pub text: String,
}

impl Note {
    /// Returns a note.
    #[must_use]
    pub fn new(code: &str, text: impl Into<String>) -> Self {
        Self { code: code.to_owned(), text: text.into() }
    }
}
