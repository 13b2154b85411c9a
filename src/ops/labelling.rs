//! The labels of one recording: kept, linked or made from its annotation files.

use crate::formats;
use crate::model::artifact::{Facts, LabelFacts, SignalFacts};
use crate::model::failure::{Failure, FailureClass, Note};
use crate::model::id::{Digest, RecordingId};
use crate::model::inventory::{SourceFile, SourceRecording};
use crate::model::manifest::{Annotation, Event, LabelStatus, Source};
use crate::model::recipe::LabelRecipe;
use crate::model::recording::Tal;
use crate::model::stem::{PartOf, Stem};
use crate::model::units::{Rate, Seconds};
use crate::model::window::Span;
use crate::ops::process::{Artifact, Bench, Existing, Trouble};
use crate::ops::reading::{Cut, Part};
use crate::plan::{Action, Decision};
use crate::source;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What is known about a recording's signal before its labels are made.
pub(super) struct Timeline {
    source: Digest,
    rate: Rate,
    /// The recording in one piece, or its parts.
    pieces: Vec<Piece>,
    /// Samples of the only piece that were never recorded.
    gaps: Vec<Span>,
    /// When the recording ends, where that is behind its last piece.
    ends: Option<Seconds>,
    /// Onset of sample 0 behind the start in the header.
    pub(super) offset: Seconds,
    /// The file ends before its header says.
    pub(super) is_cut_off: bool,
    /// What the recording says itself, where it was read just now.
    pub(super) told: Option<Told>,
}

/// What a recording says itself that its labels may need.
#[derive(Clone, Default)]
pub(super) struct Told {
    pub(super) start: formats::Start,
    /// It has an annotation signal.
    pub(super) is_annotated: bool,
    pub(super) annotations: Vec<Tal>,
    pub(super) notes: Vec<Note>,
}

impl Told {
    /// Its own annotations; nothing where it has no room for any.
    pub(super) fn table(&self) -> Result<Option<formats::AnnotationTable>, Failure> {
        formats::own_annotations(self.is_annotated, &self.annotations, &self.notes)
    }
}

/// The deciding annotations, the file they are from, and what the recording has to say to them.
type Deciding<'a> = (Option<formats::AnnotationTable>, Option<Source>, Cow<'a, Told>);

/// Returns what a file for many recordings calls this one: the name of its file, or what the dataset says.
pub(super) fn written_name<'a>(recipe: &'a LabelRecipe, recording: &'a SourceRecording) -> &'a str {
    let path = &recording.file.path;
    let written = recording.id.as_ref().ok().and_then(|id| recipe.names.get(id.as_str()));
    written.map_or_else(|| path.rsplit_once('/').map_or(path.as_str(), |(_, name)| name), String::as_str)
}

/// Returns that name where labels depend on it: it is not in the content of any file.
pub(super) fn listed_as(recipe: &LabelRecipe, recording: &SourceRecording) -> Option<String> {
    let is_listed = recipe.format.is_shared() && recording.annotation.is_some();
    is_listed.then(|| written_name(recipe, recording).to_owned())
}

/// A file of labels to be.
struct Piece {
    stem: Stem,
    part: Option<PartOf>,
    samples: u64,
}

impl Piece {
    /// Where the piece lies, for `formats::label`.
    fn place(&self) -> formats::Piece {
        let start = self.part.map_or(Seconds::ZERO, |part| part.start_s);
        formats::Piece { start, samples: self.samples }
    }
}

impl Timeline {
    /// The timeline of signal files that are there.
    pub(super) fn of_files(signals: &[Artifact<SignalFacts>]) -> Self {
        let piece = |signal: &Artifact<SignalFacts>| Piece {
            stem: signal.facts.id.clone(),
            part: signal.facts.part,
            samples: signal.facts.samples,
        };
        // There is at least one file: `Bench::existing` finds nothing otherwise.
        let first = &signals[0].facts;
        Self {
            source: first.source_sha256,
            rate: first.rate_hz,
            pieces: signals.iter().map(piece).collect(),
            gaps: first.gaps.clone(),
            ends: first.ends_s,
            offset: first.offset_s,
            is_cut_off: formats::is_cut_off(&first.notes),
            told: None,
        }
    }

    /// Where the pieces lie.
    pub(super) fn places(&self) -> Vec<formats::Piece> {
        self.pieces.iter().map(Piece::place).collect()
    }

    /// From the recording's sample 0 to its end, gaps included, rounded down to whole samples.
    pub(super) fn samples(&self) -> u64 {
        let Some(last) = self.pieces.last() else { return 0 };
        let kept = last.samples.saturating_add_signed(last.place().start.floor_samples(self.rate));
        self.ends.map_or(kept, |ends| kept.max(0_u64.saturating_add_signed(ends.floor_samples(self.rate))))
    }

    /// The recording as its labels depend on it.
    pub(super) fn recorded<'a>(&self, id: &'a RecordingId, start: formats::Start) -> formats::Recorded<'a> {
        let (samples, rate, offset) = (self.samples(), self.rate, self.offset);
        formats::Recorded { id, samples, rate, start, offset, is_cut_off: self.is_cut_off }
    }

    /// The timeline of a recording that was read.
    pub(super) fn of_cut(cut: &Cut<'_>) -> Self {
        let piece =
            |part: &Part| Piece { stem: part.stem.clone(), part: part.part, samples: part.shape.samples };
        let gaps = cut.parts.iter().flat_map(|part| part.shape.gaps.iter().copied()).collect();
        Self {
            source: cut.source(),
            rate: cut.rate,
            pieces: cut.parts.iter().map(piece).collect(),
            gaps,
            ends: cut.ends(),
            offset: cut.offset(),
            is_cut_off: formats::is_cut_off(cut.notes()),
            told: Some(cut.told()),
        }
    }
}

/// The labels of a recording, or of a part of it.
pub(super) struct Labelled {
    pub(super) annotation: Annotation,
    pub(super) artifact: Option<Artifact<LabelFacts>>,
    pub(super) notes: Vec<Note>,
}

/// The cross-checking annotation file.
#[derive(Default)]
struct CrossCheck {
    table: Option<formats::AnnotationTable>,
    source: Option<Source>,
    note: Option<Note>,
}

impl Bench<'_> {
    /// The labels of every piece, and the annotation as it goes into the manifest.
    pub(super) fn labels(
        &self,
        recording: &SourceRecording,
        id: &RecordingId,
        decision: &Decision,
        time: &Timeline,
        made: &str,
    ) -> Result<Vec<Labelled>, Trouble> {
        let found = self.existing(recording, decision, &self.shelves[0].labels(id))?.unwrap_or_default();
        let names: Vec<String> = found.iter().map(|(record, ..)| record.name.clone()).collect();
        let is_complete = found.len() == time.pieces.len();
        let fitting = found.into_iter().zip(&time.pieces);
        let fitting: Option<Vec<_>> =
            fitting.map(|(found, piece)| self.fitting(recording, found, time, piece)).collect();
        if let Some(labelled) = fitting.filter(|_| is_complete) {
            return Ok(labelled);
        }
        names.iter().try_for_each(|name| self.writer.remove(name))?;
        if decision.action != Action::Nothing {
            self.refuse_making()?;
        }
        self.make_labels(recording, id, time, made)
    }

    /// A file that is there, where it holds the labels of that piece.
    fn fitting(
        &self,
        recording: &SourceRecording,
        (record, made, facts): Existing,
        time: &Timeline,
        piece: &Piece,
    ) -> Option<Labelled> {
        let Facts::Labels(facts) = facts else { return None };
        let fits = facts.fingerprint == self.wanted.labels
            && (&facts.id, facts.part) == (&piece.stem, piece.part)
            && (facts.source_sha256, facts.samples, facts.rate_hz) == (time.source, piece.samples, time.rate)
            && (facts.listed_as.is_none() || facts.listed_as == recording.listed_as);
        let (files, listed_as) = (annotation_sources(recording), facts.listed_as.clone());
        let annotation = Annotation { files, status: facts.status, listed_as };
        let artifact = Some(Artifact { record, facts, made });
        fits.then_some(Labelled { annotation, artifact, notes: Vec::new() })
    }

    fn make_labels(
        &self,
        recording: &SourceRecording,
        id: &RecordingId,
        time: &Timeline,
        made: &str,
    ) -> Result<Vec<Labelled>, Trouble> {
        let recipe = &self.settings.recipe.labels;
        let (deciding, first, told) = self.deciding(recording, time)?;
        let cross = self.cross_check(recording)?;
        let files: Vec<Source> = first.into_iter().chain(cross.source).collect();
        let places = time.places();
        let recorded = time.recorded(id, told.start);
        let labels = formats::label_parts(deciding, cross.table, recipe, &recorded, &places)
            .map_err(|failure| self.looked_for(recording, id, failure))?;
        let mut all = Vec::with_capacity(labels.len());
        for (mut labels, piece) in labels.into_iter().zip(&time.pieces) {
            labels.notes.extend(cross.note.clone());
            labels.notes.extend(in_gap(&labels.events, &time.gaps));
            all.push(self.write_labels(recording, time, piece, &files, labels, made)?);
        }
        Ok(all)
    }

    /// Adds the names that a missing annotation file could have had.
    fn looked_for(&self, recording: &SourceRecording, id: &RecordingId, failure: Failure) -> Failure {
        let names = source::annotation_names(&self.settings.dataset, &recording.file.path, id.as_str());
        if failure.class != FailureClass::NoAnnotation || recording.annotation.is_some() || names.is_empty() {
            return failure;
        }
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        Failure::new(failure.class, format!("{}; looked for {}", failure.message, names.join(", ")))
    }

    fn write_labels(
        &self,
        recording: &SourceRecording,
        time: &Timeline,
        piece: &Piece,
        files: &[Source],
        labels: formats::Labels,
        made: &str,
    ) -> Result<Labelled, Trouble> {
        let listed_as = recording.listed_as.clone();
        let annotation = Annotation { files: files.to_vec(), status: labels.status, listed_as };
        if labels.status == LabelStatus::Unlabelled {
            return Ok(Labelled { annotation, artifact: None, notes: labels.notes });
        }
        let samples = labels.to_samples(piece.samples);
        let facts = LabelFacts {
            id: piece.stem.clone(),
            fingerprint: self.wanted.labels,
            source_sha256: time.source,
            annotation_sha256: annotation.files.iter().map(|file| file.sha256).collect(),
            listed_as: annotation.listed_as.clone(),
            arrays: BTreeMap::new(),
            samples: piece.samples,
            rate_hz: time.rate,
            status: labels.status,
            events: labels.events,
            notes: labels.notes,
            part: piece.part,
        };
        let record = self.writer.write_labels(recording.split, &samples, facts.clone())?;
        let artifact = Artifact { record, facts, made: made.to_owned() };
        Ok(Labelled { annotation, artifact: Some(artifact), notes: Vec::new() })
    }

    fn deciding<'a>(&self, recording: &SourceRecording, time: &'a Timeline) -> Result<Deciding<'a>, Failure> {
        let told = |needed: bool| match &time.told {
            Some(told) => Ok(Cow::Borrowed(told)),
            None if needed => self.ask(recording, time.source).map(Cow::Owned),
            None => Ok(Cow::Owned(Told::default())),
        };
        if self.settings.annotations_inside() {
            let told = told(true)?;
            return Ok((told.table()?, None, told));
        }
        let Some(file) = &recording.annotation else { return Ok((None, None, told(false)?)) };
        let (bytes, source) = self.annotation_bytes(file)?;
        let recipe = &self.settings.recipe.labels;
        let table = formats::read_annotations(recipe.format, &bytes, written_name(recipe, recording));
        let table = table.map_err(|failure| {
            Failure::new(failure.class, format!("`{}`: {}", file.path, failure.message))
        })?;
        let told = told(table.origin != formats::TimeOrigin::SampleZero)?;
        Ok((Some(table), Some(source), told))
    }

    /// Reads what a recording says itself: its header, and what is behind it only where the annotations lie there.
    ///
    /// The header alone is believed for the stamp under which the content is known; annotations for their content.
    fn ask(&self, recording: &SourceRecording, source: Digest) -> Result<Told, Failure> {
        let mut reader = source::open(&self.settings.dataset.root, &recording.file.path)?;
        let (stamp, bytes) = (reader.stamp(), reader.file_bytes());
        let header = formats::read_header(&mut reader, bytes)?;
        let start = formats::start(&header);
        let expect = |same: bool| {
            let message = format!("`{}` changed after the build began", recording.file.path);
            if same { Ok(()) } else { Err(Failure::new(FailureClass::ChangedWhileReading, message)) }
        };
        if !self.settings.annotations_inside() {
            expect(stamp == recording.file.stamp)?;
            return Ok(Told { start, ..Told::default() });
        }
        let recipe = &self.settings.recipe.signal;
        let read = formats::read_recording(&mut reader, &header, &[], recipe.truncated, recipe.gaps)?;
        expect(reader.finish()?.0 == source)?;
        let is_annotated = formats::has_annotations(&header);
        Ok(Told { start, is_annotated, annotations: read.annotations, notes: read.notes })
    }

    fn annotation_bytes(&self, file: &SourceFile) -> Result<(Vec<u8>, Source), Failure> {
        let (bytes, sha256, stamp) = source::read_small(&self.settings.dataset.root, &file.path)?;
        if file.sha256.is_some_and(|known| known != sha256) {
            let message = format!("`{}` changed after the build began", file.path);
            return Err(Failure::new(FailureClass::ChangedWhileReading, message));
        }
        Ok((bytes, Source { path: file.path.clone(), bytes: stamp.bytes, sha256 }))
    }

    /// Reads the cross-checking file. It decides nothing: one that cannot be understood is noted.
    fn cross_check(&self, recording: &SourceRecording) -> Result<CrossCheck, Failure> {
        let Some(file) = &recording.cross_check else { return Ok(CrossCheck::default()) };
        let recipe = &self.settings.recipe.labels;
        let format = recipe.cross_check.unwrap_or_else(|| recipe.format.cross_check());
        let (bytes, source) = match self.annotation_bytes(file) {
            Ok(read) => read,
            Err(failure) if failure.class.is_transient() => return Err(failure),
            Err(failure) => {
                let note = Note::new("cross-check", format!("it cannot be read ({})", failure.class));
                return Ok(CrossCheck { note: Some(note), ..CrossCheck::default() });
            }
        };
        let name = written_name(recipe, recording);
        let (table, note) = match formats::read_annotations(format, &bytes, name) {
            Ok(table) => (Some(table), None),
            Err(failure) => {
                // No path here: the note becomes part of the file, which must not depend on where it lay.
                let text = format!("the file to compare with cannot be read: {}", failure.message);
                (None, Some(Note::new("cross-check", text)))
            }
        };
        Ok(CrossCheck { table, source: Some(source), note })
    }
}

/// A note for every event of which nothing was recorded.
fn in_gap(events: &[Event], gaps: &[Span]) -> Vec<Note> {
    let inside = |event: &&Event| gaps.iter().any(|gap| gap.start <= event.start && event.end <= gap.end);
    let note = |event: &Event| {
        let (code, start, end) = (&event.code, event.start, event.end);
        Note::new("event-in-gap", format!("`{code}`, samples {start} to {end}: none of it was recorded"))
    };
    events.iter().filter(inside).map(note).collect()
}

fn annotation_sources(recording: &SourceRecording) -> Vec<Source> {
    let files = [&recording.annotation, &recording.cross_check].into_iter().flatten();
    files
        .filter_map(|file| {
            Some(Source { path: file.path.clone(), bytes: file.stamp.bytes, sha256: file.sha256? })
        })
        .collect()
}
