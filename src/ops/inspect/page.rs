//! A page of a recording as a value: ten seconds of its channels, as recorded and as the recipe leaves them.

use crate::model::recording::{RawChannel, Recording, Signal};
use crate::ops::inspect::{InspectOptions, Inspection};

/// Seconds of a page.
const SECONDS: f64 = 10.0;
/// Seconds of a page before the event that it shows.
const LEAD_S: f64 = 2.0;

/// A page.
#[derive(Debug, Clone)]
pub struct Page {
    /// Where it begins, in seconds from sample 0.
    pub start_s: f64,
    /// How long it is.
    pub seconds: f64,
    /// As recorded, then as the recipe leaves it.
    pub panels: [Panel; 2],
    /// Seizures and annotations on the page.
    pub marks: Vec<Mark>,
}

/// Channels one below the other.
#[derive(Debug, Clone)]
pub struct Panel {
    /// What is shown.
    pub title: String,
    /// The channels.
    pub traces: Vec<Trace>,
}

/// One channel.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Its name.
    pub name: String,
    /// True where it was not recorded but computed from others.
    pub is_interpolated: bool,
    /// Samples a second.
    pub rate_hz: f64,
    /// Seconds from the page's start to the first sample.
    pub offset_s: f64,
    /// The samples.
    pub microvolts: Vec<f64>,
}

/// Something that happens on a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Where it begins, in seconds from sample 0.
    pub start_s: f64,
    /// Where it ends; nothing for an instant.
    pub end_s: Option<f64>,
    /// What it is.
    pub text: String,
    /// True for a seizure.
    pub is_seizure: bool,
}

/// Cuts the page out of a recording and its processed signal.
pub(super) fn page(
    report: &Inspection,
    options: InspectOptions,
    recording: &Recording,
    signal: &Signal,
) -> Page {
    let marks = marks(report);
    let start_s = start(options.page_start_s, &marks, report.duration_s.unwrap_or(0.0));
    let mut recorded: Vec<&RawChannel> = recording.channels.iter().collect();
    // In the order of the recipe, so that both panels can be compared line by line.
    recorded.sort_by_key(|channel| place(report, signal, channel));
    let recorded = recorded.into_iter().map(|channel| raw(report, channel, start_s)).collect();
    let processed = (0..signal.channels.len()).map(|row| processed(signal, row, start_s)).collect();
    Page {
        start_s,
        seconds: SECONDS,
        panels: [
            Panel { title: "as recorded, median of the page removed".to_owned(), traces: recorded },
            Panel { title: "after the recipe, scaled back to µV".to_owned(), traces: processed },
        ],
        marks: marks.into_iter().filter(|mark| is_on_page(mark, start_s)).collect(),
    }
}

/// The seizures of the dataset's annotations, then what the recording itself says.
fn marks(report: &Inspection) -> Vec<Mark> {
    let seizures = report.labels.iter().flat_map(|labels| &labels.seizures).filter_map(|mark| {
        let codes: Vec<&str> = mark.codes.iter().map(String::as_str).collect();
        Some(Mark {
            start_s: mark.start_s.parse().ok()?,
            end_s: mark.end_s.parse().ok(),
            text: codes.join(", "),
            is_seizure: true,
        })
    });
    let written = report.annotations.iter().map(|one| Mark {
        start_s: one.onset,
        end_s: one.duration.filter(|length| *length > 0.0).map(|length| one.onset + length),
        text: one.text.clone(),
        is_seizure: false,
    });
    seizures.chain(written).collect()
}

/// The row of a recorded channel among those of the recipe; others come behind.
fn place(report: &Inspection, signal: &Signal, channel: &RawChannel) -> usize {
    let name = report.signals[channel.signal].maps_to.as_ref();
    signal.channels.iter().position(|row| Some(row) == name).unwrap_or(usize::MAX)
}

/// The first seizure, else the first annotation, else the beginning; never behind the last full page.
fn start(asked: Option<f64>, marks: &[Mark], duration_s: f64) -> f64 {
    let first = |seizure: bool| marks.iter().find(|mark| mark.is_seizure == seizure);
    let event = first(true).or(first(false)).map(|mark| (mark.start_s - LEAD_S).floor());
    asked.or(event).unwrap_or(0.0).min(duration_s - SECONDS).max(0.0)
}

fn is_on_page(mark: &Mark, start_s: f64) -> bool {
    mark.end_s.unwrap_or(mark.start_s) >= start_s && mark.start_s < start_s + SECONDS
}

/// Samples of a page: indices from the first one at or behind its start.
fn range(start_s: f64, rate_hz: f64, samples: usize) -> std::ops::Range<usize> {
    let begin = ((start_s * rate_hz).ceil() as usize).min(samples);
    let end = (((start_s + SECONDS) * rate_hz).ceil() as usize).clamp(begin, samples);
    begin..end
}

fn raw(report: &Inspection, channel: &RawChannel, start_s: f64) -> Trace {
    let rate_hz = channel.rate.as_f64();
    let samples = channel.samples.to_i32();
    let range = range(start_s, rate_hz, samples.len());
    let line = channel.calibration;
    let mut microvolts: Vec<f64> = samples[range.clone()]
        .iter()
        .map(|sample| line.gain_uv * f64::from(*sample) + line.offset_uv)
        .collect();
    let centre = median(&microvolts);
    for value in &mut microvolts {
        *value -= centre;
    }
    Trace {
        name: report.signals[channel.signal].label.clone(),
        is_interpolated: false,
        rate_hz,
        offset_s: range.start as f64 / rate_hz - start_s,
        microvolts,
    }
}

fn processed(signal: &Signal, row: usize, start_s: f64) -> Trace {
    let rate_hz = signal.rate.as_f64();
    let range = range(start_s, rate_hz, signal.data.ncols());
    let divisor = signal.scale[row][1];
    let name = signal.channels[row].clone();
    let values = signal.data.row(row);
    Trace {
        is_interpolated: signal.interpolated.contains(&name),
        name,
        rate_hz,
        offset_s: range.start as f64 / rate_hz - start_s,
        microvolts: range.map(|sample| f64::from(values[sample]) * divisor).collect(),
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}
