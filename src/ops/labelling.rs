//! The labels of one recording: kept, linked or made from its annotation files.

use crate::formats;
use crate::model::artifact::{Facts, LabelFacts};
use crate::model::failure::{Failure, FailureClass, Note};
use crate::model::id::{Digest, RecordingId};
use crate::model::inventory::{SourceFile, SourceRecording};
use crate::model::manifest::{Annotation, LabelStatus, Source};
use crate::model::units::Rate;
use crate::ops::process::{Artifact, Bench, Trouble};
use crate::plan::{self, Decision};
use crate::source;
use std::collections::BTreeMap;

/// What is known about a recording's signal before its labels are made.
pub(super) struct Timeline {
    pub(super) source: Digest,
    pub(super) samples: u64,
    pub(super) rate: Rate,
}

/// The labels of a recording.
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
    /// The labels, and the annotation as it goes into the manifest.
    pub(super) fn labels(
        &self,
        recording: &SourceRecording,
        id: &RecordingId,
        decision: &Decision,
        time: &Timeline,
        made: &str,
    ) -> Result<Labelled, Trouble> {
        let name = plan::labels_name(recording.split, id);
        let found = self.existing(decision, self.shelves[0].labels(id), &name)?;
        if let Some((record, made, Facts::Labels(facts))) = found {
            let fits = facts.fingerprint == self.wanted.labels
                && &facts.id == id
                && (facts.source_sha256, facts.samples, facts.rate_hz)
                    == (time.source, time.samples, time.rate);
            if fits {
                let annotation = Annotation { files: annotation_sources(recording), status: facts.status };
                return Ok(Labelled {
                    annotation,
                    artifact: Some(Artifact { record, facts, made }),
                    notes: Vec::new(),
                });
            }
            self.writer.remove(&name)?;
        }
        self.refuse_making()?;
        self.make_labels(recording, id, time, made)
    }

    fn make_labels(
        &self,
        recording: &SourceRecording,
        id: &RecordingId,
        time: &Timeline,
        made: &str,
    ) -> Result<Labelled, Trouble> {
        let recipe = &self.settings.recipe.labels;
        let (deciding, first) = self.deciding(recording)?;
        let cross = self.cross_check(recording)?;
        let files: Vec<Source> = first.into_iter().chain(cross.source).collect();
        let mut labels =
            formats::label(deciding.as_ref(), cross.table.as_ref(), recipe, id, time.samples, time.rate)?;
        labels.notes.extend(cross.note);
        let annotation = Annotation { files, status: labels.status };
        if labels.status == LabelStatus::Unlabelled {
            return Ok(Labelled { annotation, artifact: None, notes: labels.notes });
        }
        let facts = LabelFacts {
            id: id.clone(),
            fingerprint: self.wanted.labels,
            source_sha256: time.source,
            annotation_sha256: annotation.files.iter().map(|file| file.sha256).collect(),
            arrays: BTreeMap::new(),
            samples: time.samples,
            rate_hz: time.rate,
            status: labels.status,
            events: labels.events.clone(),
            notes: labels.notes.clone(),
        };
        let samples = labels.to_samples(time.samples);
        let record = self.writer.write_labels(recording.split, &samples, facts.clone())?;
        let artifact = Artifact { record, facts, made: made.to_owned() };
        Ok(Labelled { annotation, artifact: Some(artifact), notes: Vec::new() })
    }

    fn deciding(
        &self,
        recording: &SourceRecording,
    ) -> Result<(Option<formats::AnnotationTable>, Option<Source>), Failure> {
        let Some(file) = &recording.annotation else { return Ok((None, None)) };
        let (bytes, source) = self.annotation_bytes(file)?;
        let table = formats::read_annotations(self.settings.recipe.labels.format, &bytes);
        let table = table.map_err(|failure| {
            Failure::new(failure.class, format!("`{}`: {}", file.path, failure.message))
        })?;
        Ok((Some(table), Some(source)))
    }

    fn annotation_bytes(&self, file: &SourceFile) -> Result<(Vec<u8>, Source), Failure> {
        let (bytes, sha256, stamp) = source::read_small(&self.settings.dataset.root, &file.path)?;
        if file.sha256.is_some_and(|known| known != sha256) {
            let message = format!("`{}` changed after the build began", file.path);
            return Err(Failure::new(FailureClass::ChangedWhileReading, message));
        }
        Ok((bytes, Source { path: file.path.clone(), bytes: stamp.bytes, sha256 }))
    }

    /// The cross-checking file has the two-class format beside a per-channel file, else the deciding file's. It
    /// decides nothing: one that cannot be understood is noted.
    fn cross_check(&self, recording: &SourceRecording) -> Result<CrossCheck, Failure> {
        use crate::model::recipe::AnnotationFormat::{TuszCsv, TuszCsvBi};
        let Some(file) = &recording.cross_check else { return Ok(CrossCheck::default()) };
        let format = match self.settings.recipe.labels.format {
            TuszCsv => TuszCsvBi,
            other => other,
        };
        let (bytes, source) = match self.annotation_bytes(file) {
            Ok(read) => read,
            Err(failure) if failure.class.is_transient() => return Err(failure),
            Err(failure) => {
                let note = Note::new("cross-check", format!("it cannot be read ({})", failure.class));
                return Ok(CrossCheck { note: Some(note), ..CrossCheck::default() });
            }
        };
        let (table, note) = match formats::read_annotations(format, &bytes) {
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

fn annotation_sources(recording: &SourceRecording) -> Vec<Source> {
    let files = [&recording.annotation, &recording.cross_check].into_iter().flatten();
    files
        .filter_map(|file| {
            Some(Source { path: file.path.clone(), bytes: file.stamp.bytes, sha256: file.sha256? })
        })
        .collect()
}
