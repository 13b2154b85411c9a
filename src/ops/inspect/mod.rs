//! `inspect`: what is in a recording, how its channels map, and what is wrong with it.
//!
//! The recording is read twice: once all of it, judging nothing, so that a refused file can be shown and
//! held against another parser; once as `build` would, for the verdict. [`Page`] is the stretch that is drawn.

mod content;
mod page;

pub use content::{Processed, Stretch, Values};
pub use page::{Mark, Page, Panel, Trace};

use crate::error::{Error, Result};
use crate::model::channel::Aliases;
use crate::model::failure::{Failure, FailureClass, Note};
use crate::model::quality::Quality;
use crate::model::recipe::{GapPolicy, SignalRecipe, Step};
use crate::model::recording::{Header, Recording, Signal, SignalHeader};
use crate::model::settings::Settings;
use crate::model::units::Rate;
use crate::ops::marks::{self, Annotated};
use crate::ops::reading;
use crate::ops::remarks;
use crate::source;
use crate::{dsp, formats};
use content::Content;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What is to be found out beyond the header and the verdict.
#[derive(Debug, Clone, Copy, Default)]
pub struct InspectOptions {
    /// Sum and SHA-256 of all samples of every signal, and SHA-256 of what the recipe makes of them, before the last rounding.
    pub samples: bool,
    /// A page to draw.
    pub page: bool,
    /// Where the page begins, in seconds; the first seizure or annotation where nothing is said.
    pub page_start_s: Option<f64>,
}

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
    /// Start date and time, `2021-03-15T22:10:05`; as written where that is no date.
    pub start: Option<String>,
    /// Duration of a record in seconds.
    pub record_seconds: Option<f64>,
    /// Whole records in the file.
    pub records: Option<u64>,
    /// Records that the header promises; nothing for −1.
    pub records_promised: Option<u64>,
    /// Seconds of signal, gaps left out.
    pub duration_s: Option<f64>,
    /// Onset of sample 0 on the clock of the header, in seconds.
    pub offset_s: Option<f64>,
    /// The signals.
    pub signals: Vec<InspectedSignal>,
    /// Channels of the recipe that would be interpolated.
    pub interpolated: Vec<String>,
    /// The channels as the recipe leaves them, in double precision; asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processed: Vec<Processed>,
    /// Annotations inside the recording.
    pub annotations: Vec<InspectedAnnotation>,
    /// Gaps and overlaps between records.
    pub gaps: Vec<Stretch>,
    /// What the dataset's annotations say, where the file is one of its recordings.
    pub labels: Option<Annotated>,
    /// Quality of the picked channels, as `build` would record it; before the recipe only, where that cannot run.
    pub quality: Option<Quality>,
    /// What is worth knowing.
    pub notes: Vec<Note>,
    /// Why `build` would put it into quarantine: the class.
    pub class: Option<FailureClass>,
    /// And the details.
    pub message: Option<String>,
}

/// One signal of a recording.
#[derive(Debug, Clone, Serialize)]
pub struct InspectedSignal {
    /// Its label.
    pub label: String,
    /// Its transducer.
    pub transducer: String,
    /// Its physical dimension.
    pub dimension: String,
    /// The lower physical limit as written.
    pub physical_min: Option<f64>,
    /// The upper one.
    pub physical_max: Option<f64>,
    /// The lower digital limit as written.
    pub digital_min: Option<i64>,
    /// The upper one.
    pub digital_max: Option<i64>,
    /// Its prefilter.
    pub prefilter: String,
    /// Samples in the whole records of the file.
    pub samples: u64,
    /// Samples a second, as numerator and denominator.
    pub rate: Option<(u64, u64)>,
    /// True for an annotation signal.
    pub is_annotation: bool,
    /// The channel or electrode of the recipe that it is.
    pub maps_to: Option<String>,
    /// What the recipe does with it: `channel`, `source` (for interpolation), `annotations`, or nothing.
    pub used: &'static str,
    /// Lowest and highest value in µV, where the dimension is a voltage.
    pub range_uv: Option<(f64, f64)>,
    /// True where all samples are equal.
    pub flat: bool,
    /// Peak-to-peak amplitude over time, as shares of the largest one.
    pub envelope: Vec<f32>,
    /// What the digital samples come to; asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digital: Option<Values>,
}

/// One annotation inside a recording.
#[derive(Debug, Clone, Serialize)]
pub struct InspectedAnnotation {
    /// Seconds from sample 0.
    pub onset: f64,
    /// Seconds, where there is a duration.
    pub duration: Option<f64>,
    /// The text.
    pub text: String,
}

/// Inspects a recording under the recipe of `settings`.
///
/// A file that is not there, or is a directory, is an error of whoever named it.
pub fn inspect(
    settings: &Settings,
    file: &Path,
    options: InspectOptions,
) -> Result<(Inspection, Option<Page>)> {
    let metadata = fs_err::metadata(file).map_err(|error| {
        let message = format!("cannot read `{}`: {}", file.display(), error.kind());
        Error::usage(message, "name an EDF or BDF file")
    })?;
    if metadata.is_dir() {
        let message = format!("`{}` is a directory", file.display());
        return Err(Error::usage(message, "name one recording in it"));
    }
    let mut report = empty(file);
    let verdict = look(settings, options, &mut report)
        .and_then(|()| judge(settings, options, &mut report))
        .map(|(recording, signal)| options.page.then(|| page::page(&report, options, &recording, &signal)));
    match verdict {
        Ok(page) => Ok((report, page)),
        Err(failure) => {
            report.class = Some(failure.class);
            report.message = Some(failure.message);
            Ok((report, None))
        }
    }
}

fn empty(file: &Path) -> Inspection {
    Inspection {
        file: file.to_owned(),
        bytes: 0,
        sha256: None,
        format: None,
        start: None,
        record_seconds: None,
        records: None,
        records_promised: None,
        duration_s: None,
        offset_s: None,
        signals: Vec::new(),
        interpolated: Vec::new(),
        processed: Vec::new(),
        annotations: Vec::new(),
        gaps: Vec::new(),
        labels: None,
        quality: None,
        notes: Vec::new(),
        class: None,
        message: None,
    }
}

fn open(file: &Path) -> Result<source::SourceReader, Failure> {
    let root = file.parent().unwrap_or(Path::new("/"));
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    source::open(root, &name)
}

/// Reads everything and judges nothing.
fn look(settings: &Settings, options: InspectOptions, report: &mut Inspection) -> Result<(), Failure> {
    let mut reader = open(&report.file)?;
    report.bytes = reader.file_bytes();
    let seen = formats::read_header(&mut reader, report.bytes).and_then(|header| {
        describe(settings, &header, report);
        let content = Content::read(&mut reader, &header, options.samples)?;
        content.fill(&header, report);
        Ok(())
    });
    // The whole content is hashed, also behind what could not be read.
    let (sha256, _) = reader.finish()?;
    report.sha256 = Some(sha256.to_string());
    seen
}

/// Reads it as `build` would.
fn judge(
    settings: &Settings,
    options: InspectOptions,
    report: &mut Inspection,
) -> Result<(Recording, Signal), Failure> {
    let recipe = &settings.recipe.signal;
    let mut reader = open(&report.file)?;
    let header = formats::read_header(&mut reader, report.bytes)?;
    let selection = dsp::select(&header.signals, recipe)?;
    report.interpolated.clone_from(&selection.interpolated);
    for pick in &selection.picks {
        let signal = &mut report.signals[*pick];
        signal.used = if signal.maps_to.is_some() { "channel" } else { "source" };
    }
    let recording =
        formats::read_recording(&mut reader, &header, &selection.picks, recipe.truncated, recipe.gaps)?;
    add_notes(&mut report.notes, &recording.notes);
    let format = report.format.clone();
    report.quality = Some(Quality { format: format.clone(), ..dsp::quality(&selection, &recording) });
    let signal = process(recipe, &selection, &recording, options, report)?;
    let quality = Quality { format, ..signal.quality.clone() };
    add_notes(&mut report.notes, &signal.notes);
    add_notes(&mut report.notes, &remarks::remarks(settings, &report.file.to_string_lossy(), &quality));
    report.quality = Some(quality);
    let kept = dsp::usable(recipe, &recording)?.stretches;
    let length = (signal.data.ncols() as u64, signal.rate, reading::ends(&header, &recording, &kept));
    if let Some(labelled) = marks::look(settings, &report.file, (&header, &recording), length) {
        let (labels, notes) = labelled?;
        report.labels = Some(labels);
        add_notes(&mut report.notes, &notes);
    }
    Ok((recording, signal))
}

/// Processes a recording as `build` would; the parts of one that is split are shown on one time axis.
fn process(
    recipe: &SignalRecipe,
    selection: &dsp::Selection,
    recording: &Recording,
    options: InspectOptions,
    report: &mut Inspection,
) -> Result<Signal, Failure> {
    let usable = dsp::usable(recipe, recording)?;
    add_notes(&mut report.notes, &usable.notes);
    if recording.stretches.len() < 2 {
        return applied(recipe, selection, recording, options, report);
    }
    if recipe.gaps == GapPolicy::Split {
        for stretch in &usable.stretches {
            add_notes(&mut report.notes, &dsp::apply(recipe, selection, &recording.only(&[*stretch]))?.notes);
        }
    }
    let filled = SignalRecipe { gaps: GapPolicy::Fill, ..recipe.clone() };
    applied(&filled, selection, &recording.only(&usable.stretches), options, report)
}

fn applied(
    recipe: &SignalRecipe,
    selection: &dsp::Selection,
    recording: &Recording,
    options: InspectOptions,
    report: &mut Inspection,
) -> Result<Signal, Failure> {
    if options.samples {
        let signal = dsp::apply_in_double(dsp::Lanes::Twelve, recipe, selection, recording)?;
        report.processed = Processed::of(&signal);
    }
    dsp::apply(recipe, selection, recording)
}

/// Both readings may have seen the same oddity.
fn add_notes(notes: &mut Vec<Note>, more: &[Note]) {
    for note in more {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
}

fn describe(settings: &Settings, header: &Header, report: &mut Inspection) {
    let format = header.format();
    report.notes.extend(remarks::misnamed(&report.file.to_string_lossy(), &format));
    report.format = Some(format);
    report.start = Some(formats::iso_start(header));
    report.record_seconds = Some(header.record_duration.as_f64());
    report.records = Some(header.records_held);
    report.records_promised = header.records_promised;
    report.duration_s = Some(header.record_duration.as_f64() * header.records_held as f64);
    report.notes.extend(header.notes.iter().cloned());
    let names = Names::new(&settings.recipe.signal);
    report.signals = header.signals.iter().map(|signal| inspected(signal, header, &names)).collect();
}

fn inspected(signal: &SignalHeader, header: &Header, names: &Names) -> InspectedSignal {
    InspectedSignal {
        label: signal.label.clone(),
        transducer: signal.transducer.clone(),
        dimension: signal.dimension.clone(),
        physical_min: signal.physical.map(|limits| limits.0),
        physical_max: signal.physical.map(|limits| limits.1),
        digital_min: signal.digital.map(|limits| limits.0),
        digital_max: signal.digital.map(|limits| limits.1),
        prefilter: signal.prefilter.clone(),
        samples: header.records_held.saturating_mul(signal.samples_per_record),
        rate: signal.rate.map(|rate: Rate| (rate.numerator(), rate.denominator())),
        is_annotation: signal.is_annotation,
        maps_to: if signal.is_annotation { None } else { names.of(&signal.label) },
        used: if signal.is_annotation { "annotations" } else { "" },
        range_uv: None,
        flat: false,
        envelope: Vec::new(),
        digital: None,
    }
}

/// The channels and electrodes that a recipe asks for.
struct Names {
    aliases: Aliases,
    wanted: Vec<String>,
}

impl Names {
    fn new(recipe: &SignalRecipe) -> Self {
        let pairs = recipe.channels.aliases.iter().map(|(from, to)| (from.as_str(), to.as_str()));
        let mut wanted = recipe.channels.order.clone();
        for step in &recipe.steps {
            if let Step::ReferenceBipolar { pairs } = step {
                wanted = pairs.iter().map(|(a, b)| format!("{a}-{b}")).collect();
                wanted.extend(pairs.iter().flat_map(|(a, b)| [a.clone(), b.clone()]));
            }
        }
        Self { aliases: Aliases::new(pairs), wanted }
    }

    /// Returns the name under which the recipe knows a label.
    fn of(&self, label: &str) -> Option<String> {
        let key = self.aliases.key(label).name;
        self.wanted.iter().find(|name| self.aliases.key(name).name == key).cloned()
    }
}
