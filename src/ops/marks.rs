//! The seizures of a recording as people read them: stretches in seconds, from a manifest or before any build.

use crate::formats::{self, Recorded};
use crate::model::failure::{Failure, Note};
use crate::model::inventory::SourceRecording;
use crate::model::manifest::{Event, LabelStatus};
use crate::model::recipe::AnnotationFormat;
use crate::model::recording::{Header, Recording};
use crate::model::settings::Settings;
use crate::model::units::{Rate, Seconds};
use crate::model::window::{self, Span};
use crate::ops::labelling::written_name;
use crate::source;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;

/// A stretch of seizure; events of single channels may overlap in one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// Begin in seconds from sample 0, exactly.
    pub start_s: String,
    /// End in seconds from sample 0, exactly.
    pub end_s: String,
    /// The codes of its events.
    pub codes: BTreeSet<String>,
}

/// What the annotations of a recording come to.
#[derive(Debug, Clone, Serialize)]
pub struct Annotated {
    /// The file, relative to the dataset root; nothing where the annotations lie in the recording or are missing.
    pub file: Option<String>,
    /// The format.
    pub format: &'static str,
    /// What is known.
    pub status: LabelStatus,
    /// The seizures.
    pub seizures: Vec<Mark>,
}

/// Merges events into stretches; their sample 0 lies `begin` behind the recording's.
#[must_use]
pub fn marks(events: &[Event], rate: Rate, begin: Seconds) -> Vec<Mark> {
    let spans: Vec<Span> = events.iter().map(Event::span).collect();
    let time = |sample: u64| Seconds::of_sample(i64::try_from(sample).unwrap_or(i64::MAX), rate);
    let seconds = |sample: u64| time(sample).plus(begin).to_string();
    let mark = |span: &Span| Mark {
        start_s: seconds(span.start),
        end_s: seconds(span.end),
        codes: events
            .iter()
            .filter(|event| event.start < span.end && event.end > span.start)
            .map(|event| event.code.clone())
            .collect(),
    };
    window::merge(&spans).iter().map(mark).collect()
}

/// Labels a recording that was read just now and became `samples` at `rate`; it `ends` later where its last stretch was left
/// out. Nothing where it is none of the dataset's, or the dataset has no annotations.
pub(super) fn look(
    settings: &Settings,
    file: &Path,
    (header, recording): (&Header, &Recording),
    (samples, rate, ends): (u64, Rate, Option<Seconds>),
) -> Option<Result<(Annotated, Vec<Note>), Failure>> {
    let recipe = &settings.recipe.labels;
    if recipe.format == AnnotationFormat::None {
        return None;
    }
    let root = fs_err::canonicalize(&settings.dataset.root).ok()?;
    let path = fs_err::canonicalize(file).ok()?;
    let relative = path.strip_prefix(root).ok()?.to_str()?.to_owned();
    let found = source::recording(&settings.dataset, &relative).ok().flatten()?;
    let id = found.id.clone().ok()?;
    let labelled = || {
        let table = table(settings, &found, (header, recording))?;
        let (start, offset) = (formats::start(header), recording.offset);
        let is_cut_off = formats::is_cut_off(&recording.notes);
        let end = ends.map_or(0, |ends| u64::try_from(ends.floor_samples(rate)).unwrap_or(0));
        let recorded = Recorded { id: &id, samples: samples.max(end), rate, start, offset, is_cut_off };
        let kept = formats::Piece { start: Seconds::ZERO, samples };
        let labels = formats::label_piece(table, recipe, &recorded, kept)?;
        let annotated = Annotated {
            file: found.annotation.as_ref().map(|file| file.path.clone()),
            format: recipe.format.as_str(),
            status: labels.status,
            seizures: marks(&labels.events, rate, Seconds::ZERO),
        };
        Ok((annotated, labels.notes))
    };
    Some(labelled())
}

fn table(
    settings: &Settings,
    found: &SourceRecording,
    (header, recording): (&Header, &Recording),
) -> Result<Option<formats::AnnotationTable>, Failure> {
    if settings.annotations_inside() {
        let is_annotated = formats::has_annotations(header);
        return formats::own_annotations(is_annotated, &recording.annotations, &recording.notes);
    }
    let Some(file) = &found.annotation else { return Ok(None) };
    let (bytes, _, _) = source::read_small(&settings.dataset.root, &file.path)?;
    let recipe = &settings.recipe.labels;
    formats::read_annotations(recipe.format, &bytes, written_name(recipe, found)).map(Some)
}
