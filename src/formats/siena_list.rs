//! Siena `Seizures-list-*.txt`: the seizures of all recordings of a patient, in clock times of the day.
//!
//! Blocks begin with `Seizure n 1`; `File name:` stays in force until another one, `Registration start time:` is a
//! claim to compare with the header, `Seizure start time:` (or `Start time:`) and the end count. Times are written
//! `21.11.29` or `21:11:29`; two onsets in one line are told apart by the word `electric`.

use crate::formats::annotation::{
    AnnotationRow, AnnotationTable, SEIZURE, TimeOrigin, bad_line, decode_file,
};
use crate::formats::chbmit_summary::is_named;
use crate::formats::clock::{clock_times, length_between};
use crate::model::{Failure, FailureClass, Note, Seconds};

/// Reads the blocks of the recording `name`; one without a block has no row.
///
/// Class `bad-annotation` for a time of the recording that cannot be read, a seizure of no recording and a file without
/// blocks; `annotation-incomplete` for a block of the recording without a seizure.
pub(super) fn read(bytes: &[u8], name: &str) -> Result<AnnotationTable, Failure> {
    let (text, note) = decode_file(bytes);
    let blocks = blocks(&text);
    if !blocks.iter().any(|block| block.name.is_some()) {
        return Err(bad_line(1, "no line `File name: …`: not a list of seizures, or only its beginning"));
    }
    let mut table = AnnotationTable { notes: note.into_iter().collect(), ..AnnotationTable::default() };
    let mut begins = None;
    for block in &blocks {
        match block.name {
            None if block.entries.iter().any(|(_, key, _)| *key == Key::Start) => {
                return Err(bad_line(block.line, "a seizure before any `File name: …`"));
            }
            Some(written) if is_named(written, name) => begins = block.read(&mut table)?.or(begins),
            _ => {}
        }
    }
    table.origin = TimeOrigin::Midnight { begins };
    Ok(table)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Key {
    Begins,
    Ends,
    Start,
    End,
}

/// Longer keys first: `Start time` is the tail of the others.
const KEYS: [(&str, Key); 6] = [
    ("registration start time", Key::Begins),
    ("registration end time", Key::Ends),
    ("seizure start time", Key::Start),
    ("seizure end time", Key::End),
    ("start time", Key::Start),
    ("end time", Key::End),
];

struct Block<'a> {
    line: usize,
    name: Option<&'a str>,
    entries: Vec<(usize, Key, &'a str)>,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut name = None;
    let mut named_here = true;
    for (index, line) in text.split('\n').enumerate() {
        let (number, line) = (index + 1, line.trim());
        let is_heading = after(line, "seizure n").is_some();
        let file = after(line, "file name").map(|rest| rest.trim_start_matches(':').trim());
        if is_heading || (file.is_some() && named_here) {
            blocks.push(Block { line: number, name, entries: Vec::new() });
            named_here = false;
        }
        if let Some(file) = file {
            (name, named_here) = (Some(file), true);
            if let Some(block) = blocks.last_mut() {
                block.name = name;
            }
        }
        let entry = KEYS.iter().find_map(|(key, which)| Some((*which, after(line, key)?)));
        if let (Some((key, value)), Some(block)) = (entry, blocks.last_mut()) {
            block.entries.push((number, key, value));
        }
    }
    blocks
}

/// Returns what follows a prefix, case ignored.
fn after<'a>(line: &'a str, prefix: &str) -> Option<&'a str> {
    let head = line.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &line[prefix.len()..])
}

impl Block<'_> {
    /// Adds the seizures of the block and returns when it says that the recording begins.
    fn read(&self, table: &mut AnnotationTable) -> Result<Option<Seconds>, Failure> {
        let (mut begins, mut ends) = (None, None);
        let before = table.rows.len();
        for (line, key, value) in &self.entries {
            let line = *line;
            match key {
                Key::Begins => begins = clock_times(value).first().map(|(time, _)| *time),
                Key::Ends => ends = clock_times(value).first().map(|(time, _)| *time),
                Key::Start => {
                    let start = clock(line, value, &mut table.notes)?;
                    let code = SEIZURE.to_owned();
                    table.push(AnnotationRow { channel: None, start, end: None, code, line })?;
                }
                Key::End => {
                    let end = clock(line, value, &mut table.notes)?;
                    let open = table.rows[before..].last_mut().filter(|row| row.end.is_none());
                    open.ok_or_else(|| bad_line(line, "the end of a seizure without its start"))?.end =
                        Some(end);
                }
            }
        }
        if table.rows.len() == before {
            let name = self.name.unwrap_or_default();
            let message =
                format!("line {}: `{name}` is named without a seizure (a partial download?)", self.line);
            return Err(Failure::new(FailureClass::AnnotationIncomplete, message));
        }
        table.duration =
            begins.zip(ends).map(|(begins, ends)| length_between(begins, ends)).or(table.duration);
        Ok(begins)
    }
}

/// The one time of a line, or the one that is called electric: the onset that the EEG shows.
fn clock(line: usize, value: &str, notes: &mut Vec<Note>) -> Result<Seconds, Failure> {
    let times = clock_times(value);
    let mut electric = times.iter().filter(|(_, remark)| remark.to_ascii_lowercase().contains("electric"));
    match (&times[..], electric.next(), electric.next()) {
        ([(time, _)], _, _) => Ok(*time),
        ([], _, _) => Err(bad_line(line, format!("`{}` is no time of the day", value.trim()))),
        (_, Some((time, _)), None) => {
            let text = format!("line {line}: of two onsets the electric one is taken, `{}`", value.trim());
            notes.push(Note::new("two-onsets", text));
            Ok(*time)
        }
        _ => Err(bad_line(line, format!("`{}` names more than one time", value.trim()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::annotation::tests::shape;

    const LIST: &str = "PN00\n\nChannel 1: Fp1      \r\n\nSeizure n 1\nFile name: P-1.edf\nRegistration start time: 19.39.33\n\
        Registration end time:  20.22.58\nSeizure start time: 19.58.36\nSeizure end time: 19.59.46\n\n\
        Seizure n 2 \nFile name: P-2.edf\nRegistration start time:2 2.00.00\nSeizure start time: 01:00:01\nSeizure end time: 01:00:31\n\n\
        Seizure n 3\nFile name: P-2.edf\nSeizure start time: 02.00.00 (CLINICAL ONSET); 02.00.06 (ELECTRIC ONSET)\nSeizure end time:02.01.00\n\
        Seizure n 4\nStart time: 03.00.00\nEnd time: 03.00.10\n";

    fn times(text: &str, name: &str) -> String {
        shape(&read(text.as_bytes(), name).unwrap())
    }

    #[test]
    fn blocks_belong_to_the_recording_named_last() {
        for text in [
            LIST.to_owned(),
            LIST.replace('\n', "\r\n"),
            LIST.replace("\r\n", "\n").replace('\n', "\r"),
            format!("\u{feff}{LIST}"),
        ] {
            assert_eq!(times(&text, "P-1.edf"), "71916-71986 seiz");
            assert_eq!(times(&text, "p-2.EDF"), "3601-3631 seiz, 7206-7260 seiz, 10800-10810 seiz");
            assert_eq!(times(&text, "P-3.edf"), "");
        }
        let table = read(LIST.as_bytes(), "P-1.edf").unwrap();
        assert_eq!(table.duration, Seconds::parse("2605"));
        assert_eq!(table.origin, TimeOrigin::Midnight { begins: Seconds::parse("70773") });
        let table = read(LIST.as_bytes(), "P-2.edf").unwrap();
        assert_eq!(table.origin, TimeOrigin::Midnight { begins: Seconds::parse("79200") });
        assert_eq!(table.notes[0].code, "two-onsets");
        // Without headings each `File name` begins a block of its own.
        let bare = LIST.replace("Seizure n", "No.");
        assert_eq!(times(&bare, "P-1.edf"), "71916-71986 seiz");
        // The last line is missing.
        assert_eq!(
            times(LIST.trim_end().strip_suffix("End time: 03.00.10").unwrap(), "P-2.edf").split(", ").last(),
            Some("10800-? seiz")
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        use FailureClass::{AnnotationIncomplete, BadAnnotation};
        for (text, class, words) in [
            (LIST.replace("19.58.36", "19.58"), BadAnnotation, "line 9: `: 19.58`"),
            (LIST.replace("19.58.36", "19.78.36"), BadAnnotation, "no time of the day"),
            (LIST.replace("19.58.36", "19.58.36 or 19.58.40"), BadAnnotation, "more than one"),
            (LIST.replace("Seizure start time: 19.58.36\n", ""), BadAnnotation, "without its start"),
            (
                LIST.replace("Seizure start time: 19.58.36\nSeizure end time: 19.59.46\n", ""),
                AnnotationIncomplete,
                "`P-1.edf` is named without",
            ),
            (LIST.replacen("File name", "Fle name", 1), BadAnnotation, "before any `File name"),
            ("PN00\n".to_owned(), BadAnnotation, "not a list"),
        ] {
            let failure = read(text.as_bytes(), "P-1.edf").unwrap_err();
            assert_eq!(failure.class, class, "{text}");
            assert!(failure.message.contains(words), "{failure}");
        }
    }
}
