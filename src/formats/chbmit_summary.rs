//! CHB-MIT `-summary.txt`: the seizures of all recordings of a patient, in seconds from their begin.
//!
//! A section begins with `File Name:`, says `Number of Seizures in File:` and lists `Seizure Start Time: 2996
//! seconds` and `Seizure End Time:`, with or without a number. Everything else (channels, blank lines) is for
//! people. A recording that no section names has no table row and is not declared free of seizures.

use crate::formats::annotation::{AnnotationRow, AnnotationTable, SEIZURE, bad_line, decode_file, read_time};
use crate::formats::clock::{clock_times, length_between};
use crate::model::{Failure, FailureClass, Seconds};

/// Reads the section of the recording `name`.
///
/// Class `bad-annotation` for lines of the section that cannot be read, or that say twice what a section says once, for two
/// sections that disagree, and for a file without sections; `annotation-incomplete` where a section does not list as many seizures as it declares.
pub(super) fn read(bytes: &[u8], name: &str) -> Result<AnnotationTable, Failure> {
    let (text, note) = decode_file(bytes);
    let sections = sections(&text);
    if sections.is_empty() {
        return Err(bad_line(1, "no line `File Name: …`: not a summary, or only its beginning"));
    }
    let mut own = sections.iter().filter(|section| is_named(section.name, name));
    let Some(section) = own.next() else {
        return Ok(AnnotationTable { notes: note.into_iter().collect(), ..AnnotationTable::default() });
    };
    let mut table = section.read()?;
    for other in own {
        if !other.read()?.says_the_same(&table) {
            let message = format!("`{}` again, and not as in line {}", other.name, section.line);
            return Err(bad_line(other.line, message));
        }
    }
    table.notes.extend(note);
    Ok(table)
}

/// True where two names are the same, case and a missing ending ignored.
pub(super) fn is_named(written: &str, name: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    written.eq_ignore_ascii_case(name) || written.eq_ignore_ascii_case(stem)
}

struct Section<'a> {
    name: &'a str,
    line: usize,
    /// Keys in lower case with single blanks, and their values.
    entries: Vec<(usize, String, &'a str)>,
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let key = key.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase();
        let (line, value) = (index + 1, value.trim());
        if key == "file name" {
            sections.push(Section { name: value, line, entries: Vec::new() });
        } else if let Some(section) = sections.last_mut() {
            section.entries.push((line, key, value));
        }
    }
    sections
}

impl Section<'_> {
    fn read(&self) -> Result<AnnotationTable, Failure> {
        let mut rows: Vec<AnnotationRow> = Vec::new();
        let (mut declared, mut begin, mut end) = (None, None, None);
        for (line, key, value) in &self.entries {
            let line = *line;
            match key.as_str() {
                "file start time" => once(line, key, &mut begin, first_time(value))?,
                "file end time" => once(line, key, &mut end, first_time(value))?,
                "number of seizures in file" => once(line, key, &mut declared, count(line, value)?)?,
                key if is_boundary(key, "start time") => {
                    let (start, end) = (seconds(line, value)?, None);
                    rows.push(AnnotationRow { channel: None, start, end, code: SEIZURE.to_owned(), line });
                }
                key if is_boundary(key, "end time") => match rows.last_mut() {
                    Some(row) if row.end.is_none() => row.end = Some(seconds(line, value)?),
                    _ => return Err(bad_line(line, "the end of a seizure without its start")),
                },
                key if key.starts_with("seizure") => {
                    return Err(bad_line(line, format!("`{key}` is neither start nor end of a seizure")));
                }
                _ => {}
            }
        }
        self.check_count(declared, rows.len())?;
        let duration = begin.flatten().zip(end.flatten()).map(|(begin, end)| length_between(begin, end));
        Ok(AnnotationTable { says_none: rows.is_empty(), rows, duration, ..AnnotationTable::default() })
    }

    fn check_count(&self, declared: Option<usize>, found: usize) -> Result<(), Failure> {
        let what = match declared {
            Some(declared) if declared == found => return Ok(()),
            Some(declared) => format!("declares {declared} seizures and lists {found}"),
            None => "does not say how many seizures there are".to_owned(),
        };
        let message = format!("line {}: `{}` {what} (a partial download?)", self.line, self.name);
        Err(Failure::new(FailureClass::AnnotationIncomplete, message))
    }
}

/// Takes what a section says once. Said twice, it speaks of two recordings, and one `File Name:` was lost or mistyped.
fn once<T>(line: usize, key: &str, slot: &mut Option<T>, value: T) -> Result<(), Failure> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(bad_line(line, format!("a second `{key}` without a `File Name: …` before it"))),
    }
}

fn first_time(value: &str) -> Option<Seconds> {
    clock_times(value).first().map(|(time, _)| *time)
}

fn count(line: usize, value: &str) -> Result<usize, Failure> {
    value.parse().map_err(|_| bad_line(line, format!("`{value}` is no count")))
}

/// `seizure start time`, `seizure 2 start time`.
fn is_boundary(key: &str, which: &str) -> bool {
    let between = key.strip_prefix("seizure").and_then(|rest| rest.strip_suffix(which));
    between.is_some_and(|between| between.bytes().all(|b| b == b' ' || b.is_ascii_digit()))
}

/// `2996 seconds`.
fn seconds(line: usize, value: &str) -> Result<Seconds, Failure> {
    let mut words = value.split_whitespace();
    let time = read_time(line, words.next().unwrap_or_default())?;
    match words.next() {
        None => Ok(time),
        Some(unit) if unit.to_ascii_lowercase().starts_with('s') && words.next().is_none() => Ok(time),
        Some(_) => Err(bad_line(line, format!("`{value}` is no number of seconds"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::annotation::tests::shape;

    const HEAD: &str = "Data Sampling Rate: 256 Hz\n*****\n\nChannels in EDF Files:\n****\nChannel 1: FP1-F7\n\n\
        File Name: a_01.edf\nFile Start Time: 23:30:00\nFile End Time: 1:30:10\nNumber of Seizures in File: 0\n\n";
    const TWO: &str = "File Name: a_02.edf\nNumber of Seizures in File: 2\nSeizure 1 Start Time:    362 seconds\n\
        Seizure 1 End Time: 414 seconds \nSeizure 2 Start Time: 700.5 seconds\nSeizure 2 End Time: 720 secs\n";

    #[test]
    fn a_recording_finds_its_section() {
        let text = format!("{HEAD}Channels changed:\nChannel 1: FP2-F8\nChannel 5: -\n\n{TWO}");
        for text in
            [text.clone(), text.replace('\n', "\r\n"), text.replace('\n', "\r"), format!("\u{feff}{text}")]
        {
            for (name, rows, none, duration) in [
                ("a_01.edf", "", true, Some("7210")),
                ("A_02.EDF", "362-414 seiz, 700.5-720 seiz", false, None),
                ("a_02.bdf", "", false, None),
                ("a_0.edf", "", false, None),
            ] {
                let table = read(text.as_bytes(), name).unwrap();
                assert_eq!(shape(&table), rows, "{name}");
                assert_eq!(
                    (table.says_none, table.duration),
                    (none, duration.and_then(Seconds::parse)),
                    "{name}"
                );
            }
        }
        let bare = "File Name: b\nNumber of Seizures in File: 1\nSeizure Start Time: 1 seconds\nSeizure End Time: 2\n";
        assert_eq!(shape(&read(bare.as_bytes(), "b.edf").unwrap()), "1-2 seiz");
        // Twice, and the same both times.
        assert_eq!(read(format!("{TWO}{TWO}").as_bytes(), "a_02.edf").unwrap().rows.len(), 2);
    }

    #[test]
    fn a_section_is_whole_or_refused() {
        use FailureClass::{AnnotationIncomplete, BadAnnotation};
        for (text, class, words) in [
            (
                TWO.replace("Seizure 2 Start Time: 700.5 seconds\nSeizure 2 End Time: 720 secs\n", ""),
                AnnotationIncomplete,
                "declares 2 seizures and lists 1",
            ),
            (TWO.replace("File: 2", "File: 3"), AnnotationIncomplete, "line 1"),
            (TWO.replace("Number of Seizures in File: 2\n", ""), AnnotationIncomplete, "how many"),
            (TWO.replace("File: 2", "File: two"), BadAnnotation, "line 2: `two`"),
            (
                TWO.replace("Seizure 1 Start Time:    362 seconds\n", ""),
                BadAnnotation,
                "line 3: the end of a seizure",
            ),
            (TWO.replace("362 seconds", "6 minutes"), BadAnnotation, "`6 minutes`"),
            (TWO.replace("362", "0:06:02"), BadAnnotation, "no time in seconds"),
            (TWO.replace("Seizure 1 Start", "Seizure one Start"), BadAnnotation, "neither start nor end"),
            (
                format!("{TWO}{}", TWO.replace("414", "415")),
                BadAnnotation,
                "line 7: `a_02.edf` again, and not as in line 1",
            ),
            // A line `File Name: …` was lost, or mistyped: whose seizures these are is not known.
            (
                TWO.replace("File: 2\n", "File: 0\nFilename: a_03.edf\nNumber of Seizures in File: 2\n"),
                BadAnnotation,
                "line 4: a second `number of seizures in file`",
            ),
            (
                format!(
                    "File Name: a_02.edf\nFile Start Time: 1:00:00\n{}",
                    TWO.replace("File Name: a_02.edf", "File Start Time: 2:00:00")
                ),
                BadAnnotation,
                "line 3: a second `file start time`",
            ),
            (
                format!(
                    "File Name: a_02.edf\nFile End Time: ?\n{}",
                    TWO.replace("File Name: a_02.edf", "File End Time: 2:00:00")
                ),
                BadAnnotation,
                "line 3: a second `file end time`",
            ),
            ("nothing".to_owned(), BadAnnotation, "File Name"),
        ] {
            let failure = read(text.as_bytes(), "a_02.edf").unwrap_err();
            assert_eq!(failure.class, class, "{text}");
            assert!(failure.message.contains(words), "{failure}");
        }
        // Damage in the section of another recording is that recording's.
        let text = TWO.replace("362 seconds", "6 minutes").replace("a_02", "other") + TWO;
        assert_eq!(read(text.as_bytes(), "a_02.edf").unwrap().rows.len(), 2);
        // The last seizure has no end: the row has none either.
        let text = TWO.replace("Seizure 2 End Time: 720 secs\n", "");
        assert_eq!(shape(&read(text.as_bytes(), "a_02.edf").unwrap()), "362-414 seiz, 700.5-? seiz");
    }
}
