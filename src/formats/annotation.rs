//! Annotation files as a table of rows, whatever their format; each format has its own file.
//!
//! A row that cannot be read is a failure with its line, never a row less: a lost seizure is worse than a
//! lost recording.

use crate::formats::date::Start;
use crate::formats::{
    bids_events, chbmit_summary, edf_annotations, siena_list, tuh_tse, tusz_csv, tusz_csv_bi, wfdb_seizures,
};
use crate::model::recipe::AnnotationFormat;
use crate::model::{Failure, FailureClass, Note, Seconds};

/// The code of rows whose format knows seizures only.
pub const SEIZURE: &str = "seiz";

/// The code of the note on a seizure whose end is written as several times; its text begins with `line N:`, the row's line.
pub(super) const TWO_ENDS: &str = "two-ends";

/// The most rows that are taken from a file.
const ROW_LIMIT: usize = 1_000_000;
/// The longest code, in bytes.
const CODE_LIMIT: usize = 4096;

/// What an annotation file says about one recording.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AnnotationTable {
    /// The rows in file order.
    pub rows: Vec<AnnotationRow>,
    /// The length that the file claims the recording has, in seconds.
    pub duration: Option<Seconds>,
    /// What the times of the rows count from.
    pub origin: TimeOrigin,
    /// True where the file says in so many words that the recording has no seizure.
    pub says_none: bool,
    /// Oddities of the file that changed nothing.
    pub notes: Vec<Note>,
}

/// A stretch of time with a code; whether it is sensible is decided by [`crate::formats::label`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnotationRow {
    /// The channel; nothing where the row speaks of the whole recording.
    pub channel: Option<String>,
    /// Begin in seconds from the table's origin.
    pub start: Seconds,
    /// End in seconds from the table's origin, where the file names one.
    pub end: Option<Seconds>,
    /// The code as written.
    pub code: String,
    /// The line in the file, counted from 1; the number of the annotation in files without lines.
    pub line: usize,
}

/// What times count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeOrigin {
    /// Sample 0 of the recording.
    #[default]
    SampleZero,
    /// Midnight: they are clock times, of the day on which the recording starts or of the next.
    Midnight {
        /// When the file says that the recording begins, for comparison with its header.
        begins: Option<Seconds>,
    },
    /// The start in the header of the file that holds them.
    Header(Start),
}

impl AnnotationTable {
    /// Adds a row; more of them than any recording has, or a code as long as a page, are class `bad-annotation`, so that
    /// a hostile file cannot exhaust memory.
    pub(super) fn push(&mut self, row: AnnotationRow) -> Result<(), Failure> {
        if self.rows.len() >= ROW_LIMIT {
            return Err(bad_line(row.line, format!("more than {ROW_LIMIT} rows")));
        }
        if row.code.len() > CODE_LIMIT {
            return Err(bad_line(row.line, format!("a code of {} bytes", row.code.len())));
        }
        self.rows.push(row);
        Ok(())
    }

    /// True where both say the same of a recording.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let rows = |table: &Self| -> Vec<_> {
            table.rows.iter().map(|row| (row.start, row.end, row.code.clone())).collect()
        };
        rows(self) == rows(other)
    }
}

/// Reads what an annotation file says about the recording `name`, the name of its file.
///
/// Only formats with many recordings in one file look at the name. Classes: `bad-annotation` for what cannot be read,
/// `annotation-incomplete` where the file shows that something is missing.
pub fn read_annotations(
    format: AnnotationFormat,
    bytes: &[u8],
    name: &str,
) -> Result<AnnotationTable, Failure> {
    match format {
        AnnotationFormat::None => Ok(AnnotationTable::default()),
        AnnotationFormat::TuszCsv => tusz_csv::read(bytes),
        AnnotationFormat::TuszCsvBi => tusz_csv_bi::read(bytes),
        AnnotationFormat::TuhTse => tuh_tse::read(bytes),
        AnnotationFormat::ChbmitSummary => chbmit_summary::read(bytes, name),
        AnnotationFormat::WfdbSeizures => wfdb_seizures::read(bytes),
        AnnotationFormat::SienaList => siena_list::read(bytes, name),
        AnnotationFormat::BidsEvents => bids_events::read(bytes),
        AnnotationFormat::EdfAnnotations => edf_annotations::read(bytes),
    }
}

/// Returns a failure of class `bad-annotation` that names the line.
pub(super) fn bad_line(line: usize, what: impl std::fmt::Display) -> Failure {
    Failure::new(FailureClass::BadAnnotation, format!("line {line}: {what}"))
}

/// Returns a number of seconds, exactly; anything else is class `bad-annotation`.
pub(super) fn read_time(line: usize, text: &str) -> Result<Seconds, Failure> {
    Seconds::parse(text).ok_or_else(|| bad_line(line, format!("`{text}` is no time in seconds")))
}

/// Returns the text of a file, its lines ended by `\n`: UTF-8, with or without byte order mark, or Latin-1, which is noted.
///
/// A lone `\r` ends a line too, as in files from old spreadsheets: taken for a blank, it would hide all rows in the first line.
pub(super) fn decode_file(bytes: &[u8]) -> (String, Option<Note>) {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let lines = |text: String| {
        if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text }
    };
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (lines(text.to_owned()), None);
    }
    let note = Note::new("non-ascii", "the annotation file is no UTF-8 and was read as Latin-1");
    (lines(bytes.iter().copied().map(char::from).collect()), Some(note))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// `start-end code channel` of every row, `?` for no end.
    pub(in crate::formats) fn shape(table: &AnnotationTable) -> String {
        let row = |row: &AnnotationRow| {
            let end = row.end.map_or("?".to_owned(), |end| end.to_string());
            let channel = row.channel.as_ref().map_or(String::new(), |channel| format!(" {channel}"));
            format!("{}-{end} {}{channel}", row.start, row.code)
        };
        table.rows.iter().map(row).collect::<Vec<_>>().join(", ")
    }
}
