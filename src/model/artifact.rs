//! What every finished file says of itself: the content of its `entry.json`.
//!
//! No path, no host and no time stands here, so equal inputs give equal bytes. Together the facts of
//! a signal and of its labels hold everything that a manifest entry needs, which is why a lost manifest costs only time.

use crate::model::failure::Note;
use crate::model::id::Digest;
use crate::model::manifest::{Event, LabelStatus};
use crate::model::quality::Quality;
use crate::model::stem::{PartOf, Stem};
use crate::model::units::{Rate, Seconds};
use crate::model::window::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `entry.json` of `<id>.npz` or of `<id>.labels.npz`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Facts {
    /// A signal.
    Signal(SignalFacts),
    /// Labels.
    Labels(LabelFacts),
}

/// What a signal file says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalFacts {
    /// The recording, or the part of one.
    pub id: Stem,
    /// The signal fingerprint.
    pub fingerprint: Digest,
    /// The recording's content.
    pub source_sha256: Digest,
    /// SHA-256 of the data of each array as stored (little-endian, C order, without the `.npy` header); filled by `store`.
    pub arrays: BTreeMap<String, Digest>,
    /// Samples a channel.
    pub samples: u64,
    /// The rate.
    pub rate_hz: Rate,
    /// The recording's own rate (of its first picked channel).
    pub input_rate_hz: Rate,
    /// Onset of the recording's sample 0 on the clock of its header.
    pub offset_s: Seconds,
    /// When the recording ends, in seconds from its sample 0, where its last stretch was left out; nothing where a file
    /// reaches to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_s: Option<Seconds>,
    /// Gaps, in samples; empty unless the recipe fills them.
    pub gaps: Vec<Span>,
    /// Channels that were interpolated.
    pub interpolated: Vec<String>,
    /// How well it was recorded, and how much of it the recipe changed; nothing in files from before that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Box<Quality>>,
    /// What is worth knowing.
    pub notes: Vec<Note>,
    /// Where a part lies in its recording; nothing where the recording is one piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<PartOf>,
}

/// What a labels file says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelFacts {
    /// The recording, or the part of one.
    pub id: Stem,
    /// The label fingerprint.
    pub fingerprint: Digest,
    /// The recording's content, which decides how many samples there are.
    pub source_sha256: Digest,
    /// Content of the deciding annotation file, then of the cross-checking one; empty where there is none.
    pub annotation_sha256: Vec<Digest>,
    /// The name by which a file for many recordings was asked; nothing where the annotation file is the recording's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed_as: Option<String>,
    /// SHA-256 of the data of each array as stored; filled by `store`.
    pub arrays: BTreeMap<String, Digest>,
    /// Samples.
    pub samples: u64,
    /// The rate.
    pub rate_hz: Rate,
    /// What is known.
    pub status: LabelStatus,
    /// Seizures, in samples.
    pub events: Vec<Event>,
    /// What is worth knowing.
    pub notes: Vec<Note>,
    /// Where a part lies in its recording; nothing where the recording is one piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<PartOf>,
}

impl Facts {
    /// The recording, or the part of one.
    #[must_use]
    pub fn id(&self) -> &Stem {
        match self {
            Self::Signal(facts) => &facts.id,
            Self::Labels(facts) => &facts.id,
        }
    }

    /// Where a part lies in its recording; nothing where the recording is one piece.
    #[must_use]
    pub fn part(&self) -> Option<PartOf> {
        match self {
            Self::Signal(facts) => facts.part,
            Self::Labels(facts) => facts.part,
        }
    }

    /// The fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        match self {
            Self::Signal(facts) => facts.fingerprint,
            Self::Labels(facts) => facts.fingerprint,
        }
    }

    /// The contents that it was made from: the recording, then the annotation files.
    #[must_use]
    pub fn sources(&self) -> Vec<Digest> {
        match self {
            Self::Signal(facts) => vec![facts.source_sha256],
            Self::Labels(facts) => {
                std::iter::once(facts.source_sha256).chain(facts.annotation_sha256.iter().copied()).collect()
            }
        }
    }

    /// The digests of the arrays.
    #[must_use]
    pub fn arrays(&self) -> &BTreeMap<String, Digest> {
        match self {
            Self::Signal(facts) => &facts.arrays,
            Self::Labels(facts) => &facts.arrays,
        }
    }
}
