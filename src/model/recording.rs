//! A recording as `formats` reads it and a signal as `dsp` leaves it.

use crate::model::failure::Note;
use crate::model::quality::Quality;
use crate::model::units::{Rate, Seconds};
use crate::model::window::Span;
use ndarray::Array2;
use std::ops::Range;

/// The family of a recording, decided by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// European Data Format, 16-bit samples.
    Edf,
    /// `BioSemi` Data Format, 24-bit samples.
    Bdf,
}

/// What the reserved field of the header claims about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// No claim: plain EDF or BDF.
    Plain,
    /// `EDF+C` or `BDF+C`.
    Continuous,
    /// `EDF+D` or `BDF+D`.
    Discontinuous,
}

/// The header of a recording, read strictly enough to be trusted and tolerantly enough to be useful.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// EDF or BDF, by the first eight bytes.
    pub kind: Kind,
    /// What the reserved field claims.
    pub variant: Variant,
    /// The patient field, Latin-1 decoded, trimmed.
    pub patient: String,
    /// The recording field, Latin-1 decoded, trimmed.
    pub recording: String,
    /// The start date as written (`dd.mm.yy`).
    pub start_date: String,
    /// The start time as written (`hh.mm.ss`).
    pub start_time: String,
    /// Bytes of the header.
    pub header_bytes: u64,
    /// Records promised by the header, nothing for −1 (unknown).
    pub records_promised: Option<u64>,
    /// Whole records that the file holds.
    pub records_held: u64,
    /// Bytes behind the last whole record.
    pub trailing_bytes: u64,
    /// Duration of a record, exactly.
    pub record_duration: Seconds,
    /// The signals in file order, annotation signals included.
    pub signals: Vec<SignalHeader>,
    /// Oddities that are noted and not fatal.
    pub notes: Vec<Note>,
}

impl Header {
    /// Returns what the content is: `EDF`, `EDF+C`, `BDF+D` …
    #[must_use]
    pub fn format(&self) -> String {
        let family = match self.kind {
            Kind::Edf => "EDF",
            Kind::Bdf => "BDF",
        };
        let variant = match self.variant {
            Variant::Plain => "",
            Variant::Continuous => "+C",
            Variant::Discontinuous => "+D",
        };
        format!("{family}{variant}")
    }
}

/// The header of one signal.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalHeader {
    /// The label, Latin-1 decoded, trimmed.
    pub label: String,
    /// The transducer field.
    pub transducer: String,
    /// The physical dimension as written (`uV`).
    pub dimension: String,
    /// Physical limits as written, in `dimension`; nothing where the field is no finite number.
    pub physical: Option<(f64, f64)>,
    /// Digital limits as written; nothing where a field is no whole number.
    pub digital: Option<(i64, i64)>,
    /// The prefilter field.
    pub prefilter: String,
    /// Samples in a record.
    pub samples_per_record: u64,
    /// True for `EDF Annotations` and `BDF Annotations`.
    pub is_annotation: bool,
    /// Samples per record / record duration; nothing for an annotation signal or a duration of 0.
    pub rate: Option<Rate>,
}

/// Raw samples of one signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Digital {
    /// EDF.
    I16(Vec<i16>),
    /// BDF: 24 bits, sign-extended.
    I32(Vec<i32>),
}

impl Digital {
    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::I16(samples) => samples.len(),
            Self::I32(samples) => samples.len(),
        }
    }

    /// Bytes of memory that the samples take.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::I16(samples) => size_of_val(samples.as_slice()) as u64,
            Self::I32(samples) => size_of_val(samples.as_slice()) as u64,
        }
    }

    /// True where there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the samples as 32-bit integers.
    #[must_use]
    pub fn to_i32(&self) -> Vec<i32> {
        match self {
            Self::I16(samples) => samples.iter().map(|s| i32::from(*s)).collect(),
            Self::I32(samples) => samples.clone(),
        }
    }

    /// Returns the samples of some ranges, one behind the other.
    #[must_use]
    pub fn only(&self, ranges: impl Iterator<Item = Range<usize>>) -> Self {
        match self {
            Self::I16(samples) => Self::I16(ranges.flat_map(|range| &samples[range]).copied().collect()),
            Self::I32(samples) => Self::I32(ranges.flat_map(|range| &samples[range]).copied().collect()),
        }
    }

    /// True where all samples are equal: decided on integers, never after scaling.
    #[must_use]
    pub fn is_flat(&self) -> bool {
        match self {
            Self::I16(samples) => samples.windows(2).all(|pair| pair[0] == pair[1]),
            Self::I32(samples) => samples.windows(2).all(|pair| pair[0] == pair[1]),
        }
    }
}

/// The line from digital to microvolts: µV = gain · digital + offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// µV a digital step; negative where the physical limits are inverted.
    pub gain_uv: f64,
    /// µV at digital zero.
    pub offset_uv: f64,
}

/// One picked channel.
#[derive(Debug, Clone, PartialEq)]
pub struct RawChannel {
    /// Its index among the header's signals.
    pub signal: usize,
    /// Its rate.
    pub rate: Rate,
    /// Its scale.
    pub calibration: Calibration,
    /// The digital limits of the header, where saturation shows.
    pub digital_limits: (i64, i64),
    /// Its samples over the whole recording.
    pub samples: Digital,
}

/// One entry of an annotation signal (EDF+ specification, section 2.2.4).
#[derive(Debug, Clone, PartialEq)]
pub struct Tal {
    /// Onset in seconds from the start time of the header.
    pub onset: Seconds,
    /// Duration in seconds, where there is one.
    pub duration: Option<Seconds>,
    /// The text.
    pub text: String,
}

/// Records that follow each other without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The first of them.
    pub first_record: u64,
    /// How many they are, at least 1.
    pub records: u64,
    /// When it begins, in seconds from the recording's sample 0.
    pub onset: Seconds,
}

/// The picked channels of a recording as raw integers.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// The channels in the order in which they were asked for; a gap leaves no trace in their samples.
    pub channels: Vec<RawChannel>,
    /// Where the samples lie in time, in order: one stretch, unless the recording has gaps.
    pub stretches: Vec<Stretch>,
    /// Onset of the first record: sample 0 lies here on the clock of the header.
    pub offset: Seconds,
    /// EDF+ annotations, time-keeping ones left out, onsets relative to sample 0.
    pub annotations: Vec<Tal>,
    /// Oddities found while reading, the header's own left out.
    pub notes: Vec<Note>,
}

impl Recording {
    /// Returns where the samples of a stretch lie in a channel.
    #[must_use]
    pub fn samples_of(&self, channel: &RawChannel, stretch: &Stretch) -> Range<usize> {
        let records: u64 = self.stretches.iter().map(|stretch| stretch.records).sum();
        let before = self.stretches.iter().take_while(|other| other.first_record < stretch.first_record);
        let before: u64 = before.map(|stretch| stretch.records).sum();
        let in_record = channel.samples.len() / (records.max(1) as usize);
        in_record * before as usize..in_record * (before + stretch.records) as usize
    }

    /// Returns the recording with some of its stretches only; times stay as they are.
    #[must_use]
    pub fn only(&self, stretches: &[Stretch]) -> Self {
        let channel = |channel: &RawChannel| {
            let ranges = stretches.iter().map(|stretch| self.samples_of(channel, stretch));
            RawChannel { samples: channel.samples.only(ranges), ..*channel }
        };
        Self {
            channels: self.channels.iter().map(channel).collect(),
            stretches: stretches.to_vec(),
            offset: self.offset,
            annotations: self.annotations.clone(),
            notes: self.notes.clone(),
        }
    }
}

/// The processed signal of one recording; `f64` where the last rounding was left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal<T = f32> {
    /// channels × samples.
    pub data: Array2<T>,
    /// Names of the rows.
    pub channels: Vec<String>,
    /// The rate of the columns.
    pub rate: Rate,
    /// Centre and divisor in µV for every row: µV = z·divisor + centre up to clipping.
    pub scale: Vec<[f64; 2]>,
    /// Rows that were interpolated.
    pub interpolated: Vec<String>,
    /// The rate that the recording had (of its first picked channel).
    pub input_rate: Rate,
    /// How well it was recorded, and how much of it the recipe changed.
    pub quality: Quality,
    /// Columns that were never recorded and hold zeros.
    pub gaps: Vec<Span>,
    /// What is worth knowing.
    pub notes: Vec<Note>,
}
