//! Quality: how well a recording was recorded, and how much of it a recipe changed.
//!
//! Measured once, when a signal file is made, and never mended: what is wrong enough to keep a recording out is a
//! `FailureClass`, what is worth a sentence is a `Note`. `dsp` measures, `entry.json` and the manifest keep it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Quality of one signal file. Shares go from 0 to 1; recorded channels bear the labels of the recording.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quality {
    /// What the content is: `EDF`, `EDF+C`, `BDF+D` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The reference suffix of the picked labels (`REF`, `LE`, `AR`, `AVG`), where they have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The mains frequency that shows, 50 or 60 Hz: the one whose power stands out more, if it stands out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mains_hz: Option<u64>,
    /// Line noise: power at 50 or 60 Hz, whichever is more, over the power beside it, the median of the recorded channels.
    /// Nothing where the rate is too low or the recording too short to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mains_ratio: Option<f64>,
    /// Share of the samples of a recorded channel that follow an equal one at a digital limit; channels without any are left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub saturated: BTreeMap<String, f64>,
    /// Recorded channels of which all samples are equal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flat: Vec<String>,
    /// Recorded channels that name no physical dimension: µV was assumed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unit_assumed: Vec<String>,
    /// Share of a channel's variance that lies in its first 5 s, behind the last filter; empty where nothing is filtered.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub early_variance: BTreeMap<String, f64>,
    /// Share of the output samples at the limit of a clip that is the recipe's last step; nothing without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clipped: Option<f64>,
}

/// No share and no ratio is ever NaN, which JSON could not keep.
impl Eq for Quality {}
