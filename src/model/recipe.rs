//! The Recipe: everything that decides bytes, as one typed value.
//!
//! `config` makes it from YAML and is the only place that validates it; `plan` compares its
//! fingerprints, `dsp` and `formats` obey it, the manifest records it. Presets and flat keys are expanded
//! before it is made, so equal pipelines have equal fingerprints however they were written.

use crate::model::canonical::{Canonical, Encoder};
use crate::model::id::Digest;
use crate::model::units::{Rate, Seconds};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Revision of the container: ZIP layout, members, `entry.json`. A change of any byte raises it.
pub const CONTAINER_REVISION: u64 = 1;
/// Revision of what is measured of every recording (`model::quality`): it stands in a signal's `entry.json`.
pub const QUALITY_REVISION: u64 = 1;
/// Revision of the readers: a failure is tried again when it rises.
// 2: dots at the end of a label are taken off. 3: lists of seizures whose recordings are named before the headings.
pub const READER_REVISION: u64 = 3;

/// A signal recipe and a label recipe; each has its own fingerprint and its own files.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recipe {
    /// What decides `<id>.npz`.
    pub signal: SignalRecipe,
    /// What decides `<id>.labels.npz`.
    pub labels: LabelRecipe,
}

/// What decides the bytes of a signal file, besides the recording.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SignalRecipe {
    /// The channels of the output, and where they may come from.
    pub channels: Channels,
    /// What to do with a recording that has gaps.
    pub gaps: GapPolicy,
    /// What to do with a recording that holds more or less than its header promises.
    pub truncated: TruncationPolicy,
    /// What to do with a channel whose raw samples are all equal.
    pub flat: FlatPolicy,
    /// The steps in the order in which they run.
    pub steps: Vec<Step>,
    /// The stored number type.
    pub dtype: Dtype,
}

/// The channels of the output, and where they may come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Channels {
    /// Output names in output order; a name with a hyphen is a bipolar pair.
    pub order: Vec<String>,
    /// Synonyms, from recorded name to canonical name; case does not matter.
    pub aliases: BTreeMap<String, String>,
    /// The names that may be interpolated when they were not recorded.
    pub interpolate: Vec<String>,
    /// What to do when two signals answer to one name.
    pub duplicates: DuplicatePolicy,
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// Every value, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns the name used in configurations.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Returns the value of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == name)
            }
        }

        impl Canonical for $name {
            fn encode(&self, encoder: &mut Encoder) {
                encoder.tag(match self { $(Self::$variant => $number,)* });
            }
        }
    };
}

choice! {
    /// Two different signals for one name.
    DuplicatePolicy {
        /// Class `ambiguous-channels`, unless their bytes are identical.
        Error = 1 "error",
        /// The first in the file.
        First = 2 "first",
    }
}
choice! {
    /// A recording with gaps.
    GapPolicy {
        /// Class `discontinuous`.
        Error = 1 "error",
        /// One part for every stretch.
        Split = 2 "split",
        /// Zeros after normalisation.
        Fill = 3 "fill",
    }
}
choice! {
    /// A recording that holds more or less than its header promises.
    TruncationPolicy {
        /// Class `truncated` or `size-mismatch`.
        Quarantine = 1 "quarantine",
        /// Every whole record is used.
        KeepWholeRecords = 2 "keep_whole_records",
    }
}
choice! {
    /// A channel whose raw samples are all equal.
    FlatPolicy {
        /// Class `flat`.
        Quarantine = 1 "quarantine",
        /// Written as exact zeros.
        Zero = 2 "zero",
    }
}
choice! {
    /// The stored number type.
    Dtype {
        /// IEEE 754 binary32.
        Float32 = 1 "float32",
        /// IEEE 754 binary16, rounded from the final binary32.
        Float16 = 2 "float16",
    }
}
choice! {
    /// How a rate is changed.
    ResampleMethod {
        /// `scipy.signal.resample`: one Fourier transform over the whole recording.
        Fft = 1 "fft",
        /// `scipy.signal.resample_poly` with its default window (Kaiser 5.0).
        Polyphase = 2 "polyphase",
    }
}
choice! {
    /// What a recording without annotation file means.
    Unlabelled {
        /// Class `no-annotation`.
        Error = 1 "error",
        /// A signal without labels.
        Keep = 2 "keep",
        /// Declared to be free of seizures.
        Background = 3 "background",
    }
}
choice! {
    /// What an annotation file means that has no row for the recording.
    NoRowMeans {
        /// No seizure: labelled, empty.
        Empty = 1 "empty",
        /// Nothing is known: as if there were no file.
        Unlabelled = 2 "unlabelled",
    }
}
choice! {
    /// The annotation formats, one file each in `formats`.
    AnnotationFormat {
        /// No annotations at all.
        None = 1 "none",
        /// TUH EEG Seizure Corpus `.csv`, a row for each channel and event.
        TuszCsv = 2 "tusz_csv",
        /// TUH EEG Seizure Corpus `.csv_bi`, two classes, one `TERM` channel.
        TuszCsvBi = 3 "tusz_csv_bi",
        /// TUH EEG `.tse` and `.tse_bi` of older releases.
        TuhTse = 4 "tuh_tse",
        /// CHB-MIT `-summary.txt`, one file for the recordings of a patient.
        ChbmitSummary = 5 "chbmit_summary",
        /// Binary `.seizures` beside a recording.
        WfdbSeizures = 6 "wfdb_seizures",
        /// Siena `Seizures-list-*.txt`, clock times, one file for the recordings of a patient.
        SienaList = 7 "siena_list",
        /// BIDS and `SzCORE` `events.tsv`.
        BidsEvents = 8 "bids_events",
        /// EDF+ annotations, of the recording itself or of another file.
        EdfAnnotations = 9 "edf_annotations",
    }
}

impl AnnotationFormat {
    /// True where one file speaks of many recordings.
    #[must_use]
    pub fn is_shared(self) -> bool {
        matches!(self, Self::ChbmitSummary | Self::SienaList)
    }

    /// True where the rows of each channel must cover the recording from begin to end.
    #[must_use]
    pub fn is_tiling(self) -> bool {
        matches!(self, Self::TuszCsv | Self::TuszCsvBi | Self::TuhTse)
    }

    /// Revision of the reader: it rises whenever a result changes by a single bit.
    #[must_use]
    pub fn revision(self) -> u64 {
        match self {
            // A name behind a seizure speaks of what follows; what a section says once is refused the second time; a lone
            // carriage return ends a line, and an empty channel is none; without an annotation signal nothing is known.
            Self::SienaList | Self::ChbmitSummary | Self::BidsEvents | Self::EdfAnnotations => 2,
            _ => 1,
        }
    }

    /// The format of the file that cross-checks this one, where the dataset names none: of a file per channel the one of two
    /// classes that lies beside it, of a summary the one of each recording, else its own.
    #[must_use]
    pub fn cross_check(self) -> Self {
        match self {
            Self::TuszCsv => Self::TuszCsvBi,
            Self::ChbmitSummary => Self::WfdbSeizures,
            other => other,
        }
    }
}

/// The state of a causal filter before the first sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// Zero.
    Zero,
    /// The first sample is subtracted from the channel, then zero: `sosfilt(sos, x - x[0])`.
    FirstSample,
}

/// Which way a filter runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Forward and backward: `scipy.signal.sosfiltfilt` with its default odd padding, started by `sosfilt_zi`. The gain
    /// counts twice.
    Zero,
    /// Forward: `scipy.signal.sosfilt`, from a state of zero.
    Causal(Init),
}

/// One pass over the whole recording: from channels × samples in double precision to the same, µV until a step normalises.
///
/// Every step works on each channel by itself, except for the references, and on each stretch of a recording with gaps by
/// itself, except for the statistics of normalisations. A filter is designed for the rate at its place among the steps. Where it
/// is said that a step agrees with another program, the largest difference is at most 10⁻⁹ of the channel's largest
/// value, on the vectors of `tests/golden`. Any step fails with `too-short` on fewer than 2 samples.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Change of rate: `scipy.signal.resample` or `resample_poly`, as the method says; the unit stays.
    ///
    /// n samples at f Hz become round(n·`rate_hz`/f), halves to even (`fft`), or ⌈n·up/down⌉ with up/down = `rate_hz`/f
    /// reduced (`polyphase`). Sample k lies at k/`rate_hz` s. Nothing happens where the rate is right. Fails with `odd-rate` where
    /// up or down is above 10,000 (`polyphase`), and with `too-short` where fewer than 2 samples are left.
    Resample {
        /// The new rate in Hz.
        rate_hz: Rate,
        /// The method.
        method: ResampleMethod,
    },
    /// Butterworth band-pass: `scipy.signal.butter(N, [low, high], "bandpass", output="sos")`, 2·N poles; shape and unit stay.
    ///
    /// Fails with `rate-too-low` where `high_hz` is not below half the rate, and with `too-short` where a zero-phase filter
    /// has no more samples than it pads with (27 for N = 4).
    Bandpass {
        /// Lower edge in Hz.
        low_hz: f64,
        /// Upper edge in Hz.
        high_hz: f64,
        /// `SciPy`'s `N`.
        order: u64,
        /// The direction.
        phase: Phase,
    },
    /// Butterworth high-pass: `scipy.signal.butter(N, freq, "highpass", output="sos")`; shape, unit and failures as of the
    /// band-pass.
    Highpass {
        /// Edge in Hz.
        freq_hz: f64,
        /// `SciPy`'s `N`.
        order: u64,
        /// The direction.
        phase: Phase,
    },
    /// Butterworth low-pass: `scipy.signal.butter(N, freq, "lowpass", output="sos")`; shape, unit and failures as of the
    /// band-pass.
    Lowpass {
        /// Edge in Hz.
        freq_hz: f64,
        /// `SciPy`'s `N`.
        order: u64,
        /// The direction.
        phase: Phase,
    },
    /// Notch: `scipy.signal.iirnotch(freq, Q)` as one section; shape, unit and failures as of the band-pass (a zero-phase notch
    /// pads with 9 samples).
    Notch {
        /// Centre in Hz.
        freq_hz: f64,
        /// Quality factor.
        q: f64,
        /// The direction.
        phase: Phase,
    },
    /// Mean of the channels subtracted, sample by sample: `mne.set_eeg_reference(ref_channels="average")` over the recipe's
    /// channels, interpolated ones included, flat ones neither counted nor changed. Shape and unit stay; channels that differ
    /// in rate or length fail with `odd-rate`.
    ReferenceAverage,
    /// Differences of electrodes: `mne.set_bipolar_reference(anode, cathode)`; the pairs become the channels, in µV. A pair is met
    /// by a recorded `A-B`, by `B-A` with its sign turned, or by A − B; one with a flat electrode is written as zeros. Fails
    /// with `missing-channels`, and with `odd-rate` where channels differ in rate or length.
    ReferenceBipolar {
        /// Anode and cathode of each output channel.
        pairs: Vec<(String, String)>,
    },
    /// (x − mean) / (std + ε) over the whole recording: `numpy.mean`, `numpy.std` (ddof 0); shape stays, the unit goes, and the
    /// entry's `scale` leads back to µV. Never fails: ε keeps a constant channel finite.
    Zscore {
        /// Added to the deviation.
        epsilon: f64,
    },
    /// (x − median) / (IQR + ε) over the whole recording: `numpy.median`, `numpy.percentile(x, [25, 75])` (linear); else as
    /// the z-score.
    Robust {
        /// Added to the interquartile range.
        epsilon: f64,
    },
    /// Limits to ±limit, in the unit at that place: `numpy.clip`. Never fails; shape and unit stay.
    Clip {
        /// The limit.
        limit: f64,
    },
}

impl Step {
    /// Returns the key of the step in configurations.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Resample { .. } => "resample",
            Self::Bandpass { .. } => "bandpass",
            Self::Highpass { .. } => "highpass",
            Self::Lowpass { .. } => "lowpass",
            Self::Notch { .. } => "notch",
            Self::ReferenceAverage | Self::ReferenceBipolar { .. } => "reference",
            Self::Zscore { .. } => "zscore",
            Self::Robust { .. } => "robust",
            Self::Clip { .. } => "clip",
        }
    }

    /// Returns the revision of the algorithm; it rises whenever a result changes by a single bit.
    #[must_use]
    pub fn revision(&self) -> u64 {
        match self {
            // Other last bits each time: 2 had other sweeps of the transform, 3 other radices, 4 halves the rate in another way.
            Self::Resample { method: ResampleMethod::Fft, .. } => 4,
            _ => 1,
        }
    }
}

/// What decides the bytes of a labels file, besides the annotation files and the recording's length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabelRecipe {
    /// The format of the deciding annotation file.
    pub format: AnnotationFormat,
    /// Codes that are seizures; one that ends with `*` stands for all that begin so.
    pub seizure: BTreeSet<String>,
    /// Codes that are not.
    pub background: BTreeSet<String>,
    /// The format of the file that cross-checks, where it is not the usual one: what it finds is noted in the labels file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_check: Option<AnnotationFormat>,
    /// What a recording without annotation file means.
    pub unlabelled: Unlabelled,
    /// What an annotation file means that has no row for the recording.
    pub no_row_means: NoRowMeans,
    /// What a file for many recordings calls a recording, by its id, where that is not the name of its file.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, String>,
    /// Corrections by recording id.
    pub fixes: BTreeMap<String, Vec<Fix>>,
    /// The rate of the labels; nothing where the recording's own rate is kept.
    pub rate_hz: Option<Rate>,
    /// How gaps move events.
    pub gaps: GapPolicy,
}

/// A correction of one recorded event: the event that begins at `onset` gets another end, begin or goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fix {
    /// The recorded onset of the event that is meant.
    pub onset: Seconds,
    /// The right onset, where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Seconds>,
    /// The right end, where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Seconds>,
    /// The reason, for people; it decides no bytes.
    pub why: String,
}

impl Recipe {
    /// Returns the fingerprint that decides whether a signal file can be used.
    #[must_use]
    pub fn signal_fingerprint(&self) -> Digest {
        self.signal.fingerprint()
    }

    /// Returns the fingerprint that decides whether a labels file can be used.
    #[must_use]
    pub fn label_fingerprint(&self) -> Digest {
        self.labels.fingerprint()
    }
}

impl LabelRecipe {
    /// Returns the fingerprint that decides whether a labels file can be used.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        let mut encoder = Encoder::new("eegcache label recipe 1");
        self.encode(&mut encoder);
        encoder.digest()
    }
}

impl SignalRecipe {
    /// Returns the fingerprint that decides whether a signal file can be used.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        let mut encoder = Encoder::new("eegcache signal recipe 1");
        self.encode(&mut encoder);
        encoder.digest()
    }

    /// Returns the rate of the output: the last resampling's, or nothing where the recording's own is kept.
    #[must_use]
    pub fn output_rate(&self) -> Option<Rate> {
        self.steps.iter().rev().find_map(|step| match step {
            Step::Resample { rate_hz, .. } => Some(*rate_hz),
            _ => None,
        })
    }

    /// Returns the names of the output's channels: the order, or the pairs of the last bipolar step.
    #[must_use]
    pub fn output_channels(&self) -> Vec<String> {
        let pairs = self.steps.iter().rev().find_map(|step| match step {
            Step::ReferenceBipolar { pairs } => Some(pairs),
            _ => None,
        });
        match pairs {
            Some(pairs) => pairs.iter().map(|(a, b)| format!("{a}-{b}")).collect(),
            None => self.channels.order.clone(),
        }
    }
}

impl Canonical for SignalRecipe {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.field(1, &self.channels);
        encoder.field(2, &self.gaps);
        encoder.field(3, &self.truncated);
        encoder.field(4, &self.flat);
        encoder.field(5, &self.steps);
        encoder.field(6, &self.dtype);
        encoder.field(7, &CONTAINER_REVISION);
        // The rule of units (EEG_FACTS section 5) has one revision and no parameter.
        encoder.field(8, &1_u64);
        encoder.field(9, &QUALITY_REVISION);
        encoder.end();
    }
}

impl Canonical for Channels {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.field(1, &self.order);
        // Case decides nothing in matching, so it decides nothing here.
        let upper = |(from, to): (&String, &String)| (from.to_uppercase(), to.to_uppercase());
        encoder.field(2, &self.aliases.iter().map(upper).collect::<BTreeMap<_, _>>());
        encoder.field(3, &self.interpolate.iter().map(|name| name.to_uppercase()).collect::<BTreeSet<_>>());
        encoder.field(4, &self.duplicates);
        encoder.end();
    }
}

impl Canonical for Phase {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.tag(match self {
            Self::Zero => 1,
            Self::Causal(Init::Zero) => 2,
            Self::Causal(Init::FirstSample) => 3,
        });
    }
}

impl Canonical for Step {
    fn encode(&self, encoder: &mut Encoder) {
        match self {
            Self::Resample { rate_hz, method } => {
                encoder.tag(1);
                encoder.field(1, rate_hz);
                encoder.field(2, method);
            }
            Self::Bandpass { low_hz, high_hz, order, phase } => {
                encoder.tag(2);
                encoder.field(1, low_hz);
                encoder.field(2, high_hz);
                encoder.field(3, order);
                encoder.field(4, phase);
            }
            Self::Highpass { freq_hz, order, phase } => encode_edge(encoder, 3, *freq_hz, *order, *phase),
            Self::Lowpass { freq_hz, order, phase } => encode_edge(encoder, 4, *freq_hz, *order, *phase),
            Self::Notch { freq_hz, q, phase } => {
                encoder.tag(5);
                encoder.field(1, freq_hz);
                encoder.field(2, q);
                encoder.field(3, phase);
            }
            Self::ReferenceAverage => encoder.tag(6),
            Self::ReferenceBipolar { pairs } => {
                encoder.tag(7);
                encoder.field(1, pairs);
            }
            Self::Zscore { epsilon } => encode_single(encoder, 8, *epsilon),
            Self::Robust { epsilon } => encode_single(encoder, 9, *epsilon),
            Self::Clip { limit } => encode_single(encoder, 10, *limit),
        }
        encoder.field(255, &self.revision());
        encoder.end();
    }
}

fn encode_edge(encoder: &mut Encoder, tag: u8, freq_hz: f64, order: u64, phase: Phase) {
    encoder.tag(tag);
    encoder.field(1, &freq_hz);
    encoder.field(2, &order);
    encoder.field(3, &phase);
}

fn encode_single(encoder: &mut Encoder, tag: u8, value: f64) {
    encoder.tag(tag);
    encoder.field(1, &value);
}

impl Canonical for LabelRecipe {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.field(1, &self.format);
        encoder.field(2, &self.seizure);
        encoder.field(3, &self.background);
        encoder.field(4, &self.unlabelled);
        encoder.field(5, &self.no_row_means);
        encoder.field(6, &self.fixes);
        encoder.field(7, &self.rate_hz);
        encoder.field(8, &self.gaps);
        // Rounding of events (down, exact) and the offset rule have one revision and no parameter.
        encoder.field(9, &1_u64);
        encoder.field(10, &CONTAINER_REVISION);
        if !self.names.is_empty() {
            encoder.field(11, &self.names);
        }
        if self.cross_check.is_some() {
            encoder.field(12, &self.cross_check);
        }
        if self.format.revision() > 1 {
            encoder.field(13, &self.format.revision());
        }
        encoder.end();
    }
}

impl Canonical for Fix {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.field(1, &self.onset);
        encoder.field(2, &self.start);
        encoder.field(3, &self.end);
        encoder.end();
    }
}
