//! EDF+ annotations as labels: the texts are the codes, of the recording itself or of a file beside it.
//!
//! Sleep stagings lie in files of their own, seizures often in the recording. Onsets of another file count from that
//! file's start, which its header names.

use crate::formats::annotation::{AnnotationRow, AnnotationTable, TimeOrigin};
use crate::formats::date::start;
use crate::formats::{read_header, read_recording};
use crate::model::recipe::{GapPolicy, TruncationPolicy};
use crate::model::recording::{Header, Tal};
use crate::model::{Failure, FailureClass, Note};

/// True where a recording has room for annotations: one that has none says nothing, also not that there was no seizure.
#[must_use]
pub fn has_annotations(header: &Header) -> bool {
    header.signals.iter().any(|signal| signal.is_annotation)
}

/// Returns the annotations of the recording itself as a table; `notes` are what was noted while it was read. Nothing where
/// it has no annotation signal, which `is_annotated` says: that is as if a file were missing.
///
/// A list that could not be read might have been a seizure: that is class `bad-annotation`.
pub fn own_annotations(
    is_annotated: bool,
    annotations: &[Tal],
    notes: &[Note],
) -> Result<Option<AnnotationTable>, Failure> {
    is_annotated.then(|| table(annotations, notes)).transpose()
}

fn table(annotations: &[Tal], notes: &[Note]) -> Result<AnnotationTable, Failure> {
    let lost = |note: &&Note| ["unreadable-annotation", "annotations-left-out"].contains(&note.code.as_str());
    if let Some(note) = notes.iter().find(lost) {
        return Err(Failure::new(FailureClass::BadAnnotation, note.text.clone()));
    }
    let row = |(index, tal): (usize, &Tal)| AnnotationRow {
        channel: None,
        start: tal.onset,
        end: tal.duration.map(|duration| tal.onset.plus(duration)),
        code: tal.text.trim().to_owned(),
        line: index + 1,
    };
    let rows = annotations.iter().enumerate().map(row).collect();
    Ok(AnnotationTable { rows, ..AnnotationTable::default() })
}

/// Reads another EDF+ or BDF+ file; one that is none, or has no annotations, is class `bad-annotation`.
pub(super) fn read(bytes: &[u8]) -> Result<AnnotationTable, Failure> {
    let refuse = |failure: Failure| {
        let message = format!("not readable as EDF+ ({}): {}", failure.class, failure.message);
        Failure::new(FailureClass::BadAnnotation, message)
    };
    let mut reader = bytes;
    let header = read_header(&mut reader, bytes.len() as u64).map_err(refuse)?;
    if !has_annotations(&header) {
        return Err(Failure::new(FailureClass::BadAnnotation, "the file has no annotation signal"));
    }
    let (truncated, gaps) = (TruncationPolicy::Quarantine, GapPolicy::Error);
    let recording = read_recording(&mut reader, &header, &[], truncated, gaps).map_err(refuse)?;
    let mut table = table(&recording.annotations, &recording.notes)?;
    for row in &mut table.rows {
        row.start = row.start.plus(recording.offset);
        row.end = row.end.map(|end| end.plus(recording.offset));
    }
    table.origin = TimeOrigin::Header(start(&header));
    Ok(table)
}
