//! Annotation files as a table of rows, whatever their format; each format has its own file.
//!
//! A row that cannot be read is a failure with its line, never a row less: a lost seizure is worse than a
//! lost recording.

use crate::formats::{tusz_csv, tusz_csv_bi};
use crate::model::recipe::AnnotationFormat;
use crate::model::{Failure, FailureClass, Note, Seconds};

/// What an annotation file says about one recording.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AnnotationTable {
    /// The rows in file order.
    pub rows: Vec<AnnotationRow>,
    /// The length that the file claims the recording has, in seconds.
    pub duration: Option<Seconds>,
    /// Oddities of the file that changed nothing.
    pub notes: Vec<Note>,
}

/// A stretch of time with a code; whether it is sensible is decided by [`crate::formats::label`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnotationRow {
    /// The channel; nothing where the row speaks of the whole recording.
    pub channel: Option<String>,
    /// Begin in seconds from sample 0.
    pub start: Seconds,
    /// End in seconds from sample 0.
    pub end: Seconds,
    /// The code as written.
    pub code: String,
    /// The line in the file, counted from 1.
    pub line: usize,
}

/// Reads an annotation file of a format; everything that cannot be read is class `bad-annotation`.
pub fn read_annotations(format: AnnotationFormat, bytes: &[u8]) -> Result<AnnotationTable, Failure> {
    match format {
        AnnotationFormat::None => Ok(AnnotationTable::default()),
        AnnotationFormat::TuszCsv => tusz_csv::read(bytes),
        AnnotationFormat::TuszCsvBi => tusz_csv_bi::read(bytes),
    }
}

/// True where the rows of each channel must cover the recording from begin to end.
pub(super) fn is_tiling(format: AnnotationFormat) -> bool {
    match format {
        AnnotationFormat::None => false,
        AnnotationFormat::TuszCsv | AnnotationFormat::TuszCsvBi => true,
    }
}

/// Returns a failure of class `bad-annotation` that names the line.
pub(super) fn bad_line(line: usize, what: impl std::fmt::Display) -> Failure {
    Failure::new(FailureClass::BadAnnotation, format!("line {line}: {what}"))
}

/// Returns the text of a file: UTF-8, with or without byte order mark, or Latin-1, which is noted.
pub(super) fn decode_file(bytes: &[u8]) -> (String, Option<Note>) {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (text.to_owned(), None);
    }
    let note = Note::new("non-ascii", "the annotation file is no UTF-8 and was read as Latin-1");
    (bytes.iter().copied().map(char::from).collect(), Some(note))
}
