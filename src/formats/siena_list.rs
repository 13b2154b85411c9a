//! Siena `Seizures-list-*.txt`: the seizures of all recordings of a patient, in clock times of the day.
//!
//! Blocks begin with `Seizure n 1`; `File name:` stays in force until another one, and begins a block itself where it does
//! not stand in a heading's. `Registration start time:` is a claim to compare with the header, `Seizure start time:` (or
//! `Start time:`) and the end count. Times are written `21.11.29` or `21:11:29`; two onsets in one line are told apart by
//! the word `electric`.

use crate::formats::annotation::{
    AnnotationRow, AnnotationTable, SEIZURE, TWO_ENDS, TimeOrigin, bad_line, decode_file,
};
use crate::formats::chbmit_summary::is_named;
use crate::formats::clock::{clock_times, length_between};
use crate::model::{Failure, FailureClass, Note, Seconds};

/// Reads the blocks of the recording `name`; one without a block has no row.
///
/// Class `bad-annotation` for a time of the recording that cannot be read, a seizure of no recording and a file without
/// blocks; `annotation-incomplete` for a heading of the recording without a seizure, and where it has no seizure at all.
pub(super) fn read(bytes: &[u8], name: &str) -> Result<AnnotationTable, Failure> {
    let (text, note) = decode_file(bytes);
    let blocks = blocks(&text);
    if !blocks.iter().any(|block| block.name.is_some()) {
        return Err(bad_line(1, "no line `File name: …`: not a list of seizures, or only its beginning"));
    }
    if let Some(block) = blocks.iter().find(|block| block.name.is_none() && block.has_seizure()) {
        return Err(bad_line(block.line, "a seizure before any `File name: …`"));
    }
    let mut table = AnnotationTable { notes: note.into_iter().collect(), ..AnnotationTable::default() };
    let own: Vec<&Block<'_>> = blocks.iter().filter(|block| block.is_of(name)).collect();
    let mut begins = None;
    for block in &own {
        begins = block.read(&mut table)?.or(begins);
    }
    if let Some(block) = own.first().filter(|_| table.rows.is_empty()) {
        return Err(block.without_seizure());
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
    /// True where a heading begins it, which promises a seizure; else it may be what the blocks behind it share.
    has_heading: bool,
    /// True where the name stands in the block and not before it.
    is_named: bool,
    name: Option<&'a str>,
    entries: Vec<(usize, Key, &'a str)>,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut name = None;
    for (index, line) in text.split('\n').enumerate() {
        let (line_number, line) = (index + 1, line.trim());
        let has_heading = after(line, "seizure n").is_some();
        let file = after(line, "file name").map(|rest| rest.trim_start_matches(':').trim());
        let takes_name = blocks.last().is_some_and(|block| !block.is_named && !block.has_seizure());
        if has_heading || (file.is_some() && !takes_name) {
            blocks.push(Block { line: line_number, has_heading, is_named: false, name, entries: Vec::new() });
        }
        let Some(block) = blocks.last_mut() else { continue };
        if file.is_some() {
            name = file;
            (block.name, block.is_named) = (name, true);
        }
        if let Some((key, value)) = KEYS.iter().find_map(|(key, which)| Some((*which, after(line, key)?))) {
            block.entries.push((line_number, key, value));
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
    fn is_of(&self, name: &str) -> bool {
        self.name.is_some_and(|written| is_named(written, name))
    }

    /// True where a seizure begins or ends in it: a name behind that is another recording's.
    fn has_seizure(&self) -> bool {
        self.entries.iter().any(|(_, key, _)| matches!(key, Key::Start | Key::End))
    }

    /// Adds the seizures of the block and returns when it says that the recording begins.
    fn read(&self, table: &mut AnnotationTable) -> Result<Option<Seconds>, Failure> {
        let (mut begins, mut ends, mut is_open) = (None, None, false);
        let before = table.rows.len();
        for (line, key, value) in &self.entries {
            match key {
                Key::Begins => begins = clock_times(value).first().map(|(time, _)| *time),
                Key::Ends => ends = clock_times(value).first().map(|(time, _)| *time),
                Key::Start => is_open = start(*line, value, table)?,
                Key::End if is_open => is_open = end(*line, value, table)?,
                Key::End => return Err(bad_line(*line, "the end of a seizure without its start")),
            }
        }
        if self.has_heading && table.rows.len() == before {
            return Err(self.without_seizure());
        }
        table.duration =
            begins.zip(ends).map(|(begins, ends)| length_between(begins, ends)).or(table.duration);
        Ok(begins)
    }

    fn without_seizure(&self) -> Failure {
        let name = self.name.unwrap_or_default();
        let message =
            format!("line {}: `{name}` is named without a seizure (a partial download?)", self.line);
        Failure::new(FailureClass::AnnotationIncomplete, message)
    }
}

/// Adds a seizure, which is open from now on.
fn start(line: usize, value: &str, table: &mut AnnotationTable) -> Result<bool, Failure> {
    let start = clock(line, value, &mut table.notes)?
        .ok_or_else(|| bad_line(line, format!("`{}` names more than one time", value.trim())))?;
    table.push(AnnotationRow { channel: None, start, end: None, code: SEIZURE.to_owned(), line })?;
    Ok(true)
}

/// Ends the last seizure. Of two ends nobody knows the right one: it stays without, and a fix can give it one.
fn end(line: usize, value: &str, table: &mut AnnotationTable) -> Result<bool, Failure> {
    let time = clock(line, value, &mut table.notes)?;
    if let Some(row) = table.rows.last_mut() {
        row.end = time;
        let text =
            format!("line {}: its end, in line {line}, is `{}`", row.line, value.trim_matches([':', ' ']));
        table.notes.extend(time.is_none().then(|| Note::new(TWO_ENDS, text)));
    }
    Ok(false)
}

/// The one time of a line, or the one that is called electric: the onset that the EEG shows. Nothing where there are several.
fn clock(line: usize, value: &str, notes: &mut Vec<Note>) -> Result<Option<Seconds>, Failure> {
    let times = clock_times(value);
    let mut electric = times.iter().filter(|(_, remark)| remark.to_ascii_lowercase().contains("electric"));
    match (&times[..], electric.next(), electric.next()) {
        ([(time, _)], _, _) => Ok(Some(*time)),
        ([], _, _) => Err(bad_line(line, format!("`{}` is no time of the day", value.trim()))),
        (_, Some((time, _)), None) => {
            let text = format!("line {line}: of two onsets the electric one is taken, `{}`", value.trim());
            notes.push(Note::new("two-onsets", text));
            Ok(Some(*time))
        }
        _ => Ok(None),
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
    fn a_name_behind_a_seizure_speaks_of_what_follows() {
        let head = |name: &str, begin: &str| {
            format!("File name: {name}\nRegistration start time: {begin}\nRegistration end time: 11.00.00\n")
        };
        let seizure =
            |n: usize, at: &str| format!("Seizure n {n}\nStart time: 10.{at}.00\nEnd time: 10.{at}.30\n");
        let (a, b) = (head("A.edf", "10.00.00"), head("B.edf", "10.01.00"));
        for (text, of_a, of_b) in [
            // Heads before the headings.
            (
                format!("{a}{}{b}{}", seizure(1, "05"), seizure(2, "06")),
                "36300-36330 seiz",
                "36360-36390 seiz",
            ),
            // One head for several seizures.
            (
                format!("{a}\n{}{}{b}{}", seizure(1, "05"), seizure(2, "06"), seizure(3, "07")),
                "36300-36330 seiz, 36360-36390 seiz",
                "36420-36450 seiz",
            ),
            // The second heading is mistyped.
            (
                format!(
                    "Seizure n 1\n{a}Start time: 10.05.00\nEnd time: 10.05.30\nSeizure 2\n{b}Start time: 10.06.00\nEnd time: 10.06.30\n"
                ),
                "36300-36330 seiz",
                "36360-36390 seiz",
            ),
        ] {
            for (name, rows, begins, duration) in
                [("A.edf", of_a, "36000", "3600"), ("B.edf", of_b, "36060", "3540")]
            {
                let table = read(text.as_bytes(), name).unwrap();
                assert_eq!(shape(&table), rows, "{name} in {text}");
                let begins = Seconds::parse(begins);
                assert_eq!(
                    (table.origin, table.duration),
                    (TimeOrigin::Midnight { begins }, Seconds::parse(duration))
                );
            }
        }
        // Named, and nothing behind the name.
        let text = format!("{a}{}{b}", seizure(1, "05"));
        assert_eq!(read(text.as_bytes(), "B.edf").unwrap_err().class, FailureClass::AnnotationIncomplete);
    }

    #[test]
    fn two_ends_are_none() {
        let text = LIST.replace("19.59.46", "19.59.46 opure 19.59.26");
        let table = read(text.as_bytes(), "P-1.edf").unwrap();
        assert_eq!(shape(&table), "71916-? seiz");
        assert_eq!((table.notes.len(), table.notes[0].code.as_str()), (1, "two-ends"));
        // The seizure has ended all the same.
        let text = text.replace("Seizure n 2", "Seizure end time: 19.59.50\nSeizure n 2");
        let failure = read(text.as_bytes(), "P-1.edf").unwrap_err();
        assert!(failure.message.contains("without its start"), "{failure}");
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
