//! What passes by while a recording is read to its end: extremes, sums, digests and amplitude over time.

use crate::formats::{self, Annotated};
use crate::model::failure::Failure;
use crate::model::recording::{Header, Signal};
use crate::ops::inspect::{InspectedAnnotation, InspectedSignal, Inspection};
use crate::source::SourceReader;
use ndarray::ArrayView1;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// Points of an envelope: as wide as a sparkline.
const POINTS: u64 = 24;

/// What the digital samples of a signal come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Values {
    /// The lowest.
    pub min: i32,
    /// The highest.
    pub max: i32,
    /// The sum.
    pub sum: i64,
    /// SHA-256 of all samples as little-endian int32.
    pub sha256_i32le: String,
}

/// What the recipe makes of a channel, before the rounding to the stored number type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Processed {
    /// The channel.
    pub channel: String,
    /// Samples.
    pub samples: usize,
    /// SHA-256 of the samples as little-endian float64.
    pub sha256_f64le: String,
}

impl Processed {
    /// Digests every channel of a signal.
    pub(super) fn of(signal: &Signal<f64>) -> Vec<Self> {
        let one = |(channel, row): (&String, ArrayView1<'_, f64>)| {
            let mut hasher = Sha256::new();
            row.iter().for_each(|sample| hasher.update(sample.to_le_bytes()));
            Self { channel: channel.clone(), samples: row.len(), sha256_f64le: hex(hasher) }
        };
        signal.channels.iter().zip(signal.data.rows()).map(one).collect()
    }
}

fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// A gap between two records, or an overlap.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stretch {
    /// The record behind it.
    pub record: u64,
    /// Onset of that record in seconds from sample 0.
    pub onset: f64,
    /// Seconds left out; negative where records overlap.
    pub seconds: f64,
}

/// All that was seen.
pub(super) struct Content {
    signals: Vec<Passed>,
    annotated: Annotated,
}

/// What has passed of one signal.
struct Passed {
    expected: u64,
    count: u64,
    least: i32,
    most: i32,
    sum: i64,
    hasher: Option<Sha256>,
    envelope: Vec<Option<(i32, i32)>>,
}

impl Passed {
    fn new(expected: u64, is_hashed: bool) -> Self {
        let envelope = vec![None; expected.min(POINTS) as usize];
        let hasher = is_hashed.then(Sha256::new);
        Self { expected, count: 0, least: i32::MAX, most: i32::MIN, sum: 0, hasher, envelope }
    }

    fn take(&mut self, samples: &[i32]) {
        let points = self.envelope.len() as u64;
        for sample in samples {
            // Wide enough: the count is at most what the file holds.
            let point = (u128::from(self.count) * u128::from(points) / u128::from(self.expected)) as usize;
            let (low, high) = self.envelope[point].get_or_insert((*sample, *sample));
            (*low, *high) = ((*low).min(*sample), (*high).max(*sample));
            self.sum += i64::from(*sample);
            self.count += 1;
        }
        if let Some(hasher) = &mut self.hasher {
            let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            hasher.update(bytes);
        }
        let ends = samples.iter().min().zip(samples.iter().max());
        if let Some((least, most)) = ends {
            (self.least, self.most) = (self.least.min(*least), self.most.max(*most));
        }
    }

    fn fill(self, signal: &mut InspectedSignal) {
        if self.count == 0 {
            return;
        }
        signal.flat = self.least == self.most;
        let heights: Vec<f32> = self
            .envelope
            .iter()
            .map(|ends| ends.map_or(0.0, |(low, high)| (f64::from(high) - f64::from(low)) as f32))
            .collect();
        let highest = heights.iter().copied().fold(0.0, f32::max);
        let share = |height: &f32| if highest > 0.0 { height / highest } else { 0.0 };
        signal.envelope = heights.iter().map(share).collect();
        signal.digital = self.hasher.map(|hasher| Values {
            min: self.least,
            max: self.most,
            sum: self.sum,
            sha256_i32le: hex(hasher),
        });
    }
}

impl Content {
    /// Reads all samples behind the header.
    pub(super) fn read(reader: &mut SourceReader, header: &Header, is_hashed: bool) -> Result<Self, Failure> {
        let expected = |samples: u64| header.records_held.saturating_mul(samples);
        let new = |samples: u64| Passed::new(expected(samples), is_hashed);
        let mut signals: Vec<Passed> =
            header.signals.iter().map(|signal| new(signal.samples_per_record)).collect();
        let mut take = |index: usize, samples: &[i32]| signals[index].take(samples);
        let annotated = formats::visit_samples(reader, header, &mut take)?;
        Ok(Self { signals, annotated })
    }

    /// Writes what was seen into the report.
    pub(super) fn fill(self, header: &Header, report: &mut Inspection) {
        for (index, passed) in self.signals.into_iter().enumerate() {
            let signal = &mut report.signals[index];
            let line = formats::calibration(&header.signals[index], header.kind).ok();
            let ends = (passed.count > 0).then_some((passed.least, passed.most));
            signal.range_uv = line.zip(ends).map(|(line, (least, most))| {
                let scaled = |value: i32| line.gain_uv * f64::from(value) + line.offset_uv;
                (scaled(least).min(scaled(most)), scaled(least).max(scaled(most)))
            });
            passed.fill(signal);
        }
        let Annotated { offset, annotations, gaps, notes } = self.annotated;
        report.offset_s = Some(offset.as_f64());
        let annotation = |tal: crate::model::recording::Tal| InspectedAnnotation {
            onset: tal.onset.as_f64(),
            duration: tal.duration.map(crate::model::units::Seconds::as_f64),
            text: tal.text,
        };
        report.annotations = annotations.into_iter().map(annotation).collect();
        let stretch =
            |gap: formats::TimeGap| Stretch { record: gap.record, onset: gap.onset_s, seconds: gap.length_s };
        report.gaps = gaps.into_iter().map(stretch).collect();
        report.notes.extend(notes);
    }
}
