//! `inspect`: what is in a recording, how its channels map, and what is wrong with it.

use crate::error::{Error, Result};
use crate::model::failure::{Failure, Note};
use crate::model::recording::{Header, Kind, Recording, SignalHeader, Variant};
use crate::model::settings::Settings;
use crate::source::{self, SourceReader};
use crate::{dsp, formats};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What is in a recording.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// The file.
    pub file: PathBuf,
    /// Its bytes.
    pub bytes: u64,
    /// Its content, where it could be read to the end.
    pub sha256: Option<String>,
    /// `EDF`, `EDF+C`, `BDF` …
    pub format: Option<String>,
    /// Start date and time as written.
    pub start: Option<String>,
    /// Records that the header promises, and that the file holds.
    pub records: Option<(Option<u64>, u64)>,
    /// Duration of a record in seconds.
    pub record_duration_s: Option<String>,
    /// Duration in seconds.
    pub duration_s: Option<f64>,
    /// Onset of sample 0 on the clock of the header, in seconds.
    pub offset_s: Option<String>,
    /// The signals.
    pub signals: Vec<InspectedSignal>,
    /// Channels of the recipe that would be interpolated.
    pub interpolated: Vec<String>,
    /// Annotations inside the recording: onset, duration, text.
    pub annotations: Vec<(String, Option<String>, String)>,
    /// What is worth knowing.
    pub notes: Vec<Note>,
    /// Why `build` would put it into quarantine.
    pub failure: Option<Failure>,
}

/// One signal of a recording.
#[derive(Debug, Clone, Serialize)]
pub struct InspectedSignal {
    /// Its label.
    pub label: String,
    /// Samples a second, an exact fraction.
    pub rate_hz: Option<String>,
    /// Its physical dimension.
    pub dimension: String,
    /// Its physical limits.
    pub physical: Option<(f64, f64)>,
    /// Its digital limits.
    pub digital: Option<(i64, i64)>,
    /// The name under which the recipe looks for it.
    pub key: String,
    /// What the recipe does with it: `channel`, `source`, `annotations`, or nothing.
    pub used: &'static str,
    /// Lowest and highest value in µV, of signals that are used.
    pub range_uv: Option<(f64, f64)>,
    /// True where all samples are equal.
    pub flat: bool,
}

/// Inspects a recording under the recipe of `settings`.
///
/// A file that is not there, or is a directory, is an error of whoever named it.
pub fn inspect(settings: &Settings, file: &Path) -> Result<Inspection> {
    let metadata = fs_err::metadata(file).map_err(|error| {
        let message = format!("cannot read `{}`: {}", file.display(), error.kind());
        Error::usage(message, "name an EDF or BDF file")
    })?;
    if metadata.is_dir() {
        let message = format!("`{}` is a directory", file.display());
        return Err(Error::usage(message, "name one recording in it"));
    }
    let mut report = empty(file);
    let root = file.parent().unwrap_or(Path::new("/"));
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match source::open(root, &name) {
        Ok(reader) => read(settings, reader, &mut report),
        Err(failure) => report.failure = Some(failure),
    }
    Ok(report)
}

fn empty(file: &Path) -> Inspection {
    Inspection {
        file: file.to_owned(),
        bytes: 0,
        sha256: None,
        format: None,
        start: None,
        records: None,
        record_duration_s: None,
        duration_s: None,
        offset_s: None,
        signals: Vec::new(),
        interpolated: Vec::new(),
        annotations: Vec::new(),
        notes: Vec::new(),
        failure: None,
    }
}

fn read(settings: &Settings, mut reader: SourceReader, report: &mut Inspection) {
    report.bytes = reader.file_bytes();
    let parsed = parse(settings, &mut reader, report);
    let finished = reader.finish();
    report.failure = parsed.err();
    match finished {
        Ok((sha256, _)) => report.sha256 = Some(sha256.to_string()),
        Err(failure) => report.failure = Some(failure),
    }
}

fn parse(settings: &Settings, reader: &mut SourceReader, report: &mut Inspection) -> Result<(), Failure> {
    let recipe = &settings.recipe.signal;
    let header = formats::read_header(reader, report.bytes)?;
    describe(settings, &header, report);
    let selection = dsp::select(&header.signals, recipe)?;
    report.interpolated.clone_from(&selection.interpolated);
    for pick in &selection.picks {
        report.signals[*pick].used = "channel";
    }
    let recording =
        formats::read_recording(reader, &header, &selection.picks, recipe.truncated, recipe.gaps)?;
    samples(&recording, report);
    report.notes.extend(recording.notes.iter().cloned());
    let usable = dsp::usable(recipe, &recording)?;
    report.notes.extend(usable.notes);
    for stretches in dsp::files(recipe, usable.stretches) {
        let signal = dsp::apply(recipe, &selection, &recording.only(&stretches))?;
        report.notes.extend(signal.notes);
    }
    Ok(())
}

fn describe(settings: &Settings, header: &Header, report: &mut Inspection) {
    let family = match header.kind {
        Kind::Edf => "EDF",
        Kind::Bdf => "BDF",
    };
    let variant = match header.variant {
        Variant::Plain => "",
        Variant::Continuous => "+C",
        Variant::Discontinuous => "+D",
    };
    report.format = Some(format!("{family}{variant}"));
    report.start = Some(format!("{} {}", header.start_date, header.start_time));
    report.records = Some((header.records_promised, header.records_held));
    report.record_duration_s = Some(header.record_duration.to_string());
    report.duration_s = Some(header.record_duration.as_f64() * header.records_held as f64);
    report.notes.extend(header.notes.iter().cloned());
    let pairs = settings.recipe.signal.channels.aliases.iter().map(|(a, b)| (a.as_str(), b.as_str()));
    let aliases = crate::model::channel::Aliases::new(pairs);
    report.signals = header.signals.iter().map(|signal| inspected(signal, &aliases)).collect();
}

fn inspected(signal: &SignalHeader, aliases: &crate::model::channel::Aliases) -> InspectedSignal {
    InspectedSignal {
        label: signal.label.clone(),
        rate_hz: signal.rate.map(|rate| rate.to_string()),
        dimension: signal.dimension.clone(),
        physical: signal.physical,
        digital: signal.digital,
        key: aliases.key(&signal.label).name,
        used: if signal.is_annotation { "annotations" } else { "" },
        range_uv: None,
        flat: false,
    }
}

fn samples(recording: &Recording, report: &mut Inspection) {
    report.offset_s = Some(recording.offset.to_string());
    for channel in &recording.channels {
        let values = channel.samples.to_i32();
        let scaled =
            |value: i32| channel.calibration.gain_uv * f64::from(value) + channel.calibration.offset_uv;
        let ends = values.iter().min().zip(values.iter().max());
        let signal = &mut report.signals[channel.signal];
        signal.flat = channel.samples.is_flat();
        signal.range_uv = ends.map(|(low, high)| {
            let (a, b) = (scaled(*low), scaled(*high));
            (a.min(b), a.max(b))
        });
    }
    report.annotations = recording
        .annotations
        .iter()
        .map(|tal| (tal.onset.to_string(), tal.duration.map(|d| d.to_string()), tal.text.clone()))
        .collect();
}
