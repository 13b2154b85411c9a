//! BIDS and `SzCORE` `events.tsv`: tab-separated rows with onset and duration in seconds from sample 0.
//!
//! Columns are found by name: `onset`, `duration`, `eventType` (`SzCORE`; else BIDS' own `trial_type`), and where
//! they are, `channels` and `recordingDuration`. `n/a` is what the specification writes for nothing.

use crate::formats::annotation::{AnnotationRow, AnnotationTable, bad_line, decode_file, read_time};
use crate::model::{Failure, Seconds};

/// Reads the file; a row that is not complete, or whose onset is no time, is class `bad-annotation`.
///
/// A row that names several channels becomes one for each of them; `n/a` as duration becomes a row without end.
pub(super) fn read(bytes: &[u8]) -> Result<AnnotationTable, Failure> {
    let (text, note) = decode_file(bytes);
    let mut lines = text.split('\n').enumerate().map(|(index, line)| (index + 1, line));
    let columns = match lines.next() {
        Some((line, names)) => Columns::read(line, names)?,
        None => return Err(bad_line(1, "the file is empty")),
    };
    let mut table = AnnotationTable { notes: note.into_iter().collect(), ..AnnotationTable::default() };
    for (line, row) in lines.filter(|(_, row)| !row.trim().is_empty()) {
        columns.read_row(line, row, &mut table)?;
    }
    Ok(table)
}

/// Where the columns are.
struct Columns {
    count: usize,
    onset: usize,
    duration: usize,
    code: usize,
    channels: Option<usize>,
    recording: Option<usize>,
}

impl Columns {
    fn read(line: usize, header: &str) -> Result<Self, Failure> {
        let names: Vec<&str> = header.split('\t').map(str::trim).collect();
        let find = |wanted: &str| {
            let mut places = names.iter().enumerate().filter(|(_, name)| name.eq_ignore_ascii_case(wanted));
            match (places.next(), places.next()) {
                (place, None) => Ok(place.map(|(place, _)| place)),
                _ => Err(bad_line(line, format!("the header row names `{wanted}` twice"))),
            }
        };
        let missing = |wanted: &str| bad_line(line, format!("the header row has no column `{wanted}`"));
        let code = match find("eventType")? {
            Some(place) => place,
            None => find("trial_type")?.ok_or_else(|| missing("eventType` or `trial_type"))?,
        };
        Ok(Self {
            count: names.len(),
            onset: find("onset")?.ok_or_else(|| missing("onset"))?,
            duration: find("duration")?.ok_or_else(|| missing("duration"))?,
            code,
            channels: find("channels")?,
            recording: find("recordingDuration")?,
        })
    }

    fn read_row(&self, line: usize, row: &str, table: &mut AnnotationTable) -> Result<(), Failure> {
        let fields: Vec<&str> = row.split('\t').map(str::trim).collect();
        if fields.len() != self.count {
            let found = fields.len();
            return Err(bad_line(line, format!("{found} fields where the header row names {}", self.count)));
        }
        let optional = |place: usize| Some(fields[place]).filter(|text| !is_nothing(text));
        let start = read_time(line, fields[self.onset])?;
        let length = optional(self.duration).map(|text| read_time(line, text)).transpose()?;
        let end = length.map(|length| start.plus(length));
        if fields[self.code].is_empty() {
            return Err(bad_line(line, "the event type is empty"));
        }
        if let Some(text) = self.recording.and_then(optional) {
            claim(line, read_time(line, text)?, &mut table.duration)?;
        }
        let channels = self.channels.and_then(optional).filter(|text| !text.eq_ignore_ascii_case("all"));
        let row = |channel| AnnotationRow { channel, start, end, code: fields[self.code].to_owned(), line };
        let names = channels.into_iter().flat_map(|text| text.split(',')).map(str::trim);
        let mut names = names.filter(|name| !name.is_empty()).peekable();
        if names.peek().is_none() {
            return table.push(row(None));
        }
        names.try_for_each(|name| table.push(row(Some(name.to_owned()))))
    }
}

fn claim(line: usize, duration: Seconds, known: &mut Option<Seconds>) -> Result<(), Failure> {
    match known.replace(duration) {
        Some(before) if before != duration => {
            Err(bad_line(line, format!("the recording lasts {duration} s here and {before} s before")))
        }
        _ => Ok(()),
    }
}

fn is_nothing(text: &str) -> bool {
    text.is_empty() || text.eq_ignore_ascii_case("n/a")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::annotation::tests::shape;
    use crate::model::FailureClass;

    const TEXT: &str = "onset\tduration\teventType\tconfidence\tchannels\tdateTime\trecordingDuration\n\
        1198.00\t0.00\timpd\tn/a\tn/a\t2000-01-01 00:00:00\t14024.00\n\
        1300.5\t30.25\tsz_foc_ia\t1\tFp1, F3\t2000-01-01 00:00:00\t14024.00\n\
        1400\tn/a\tsz\tn/a\tall\tn/a\tn/a\n";

    #[test]
    fn rows_are_read_by_the_names_of_their_columns() {
        let rows = "1198-1198 impd, 1300.5-1330.75 sz_foc_ia Fp1, 1300.5-1330.75 sz_foc_ia F3, 1400-? sz";
        for text in [
            TEXT.to_owned(),
            TEXT.replace('\n', "\r\n"),
            TEXT.replace('\n', "\r"),
            TEXT.replace("Fp1, F3", "Fp1,, F3, ,"),
            format!("\u{feff}{TEXT}\n"),
            TEXT.trim_end().to_owned(),
        ] {
            let table = read(text.as_bytes()).unwrap();
            assert_eq!(shape(&table), rows);
            assert_eq!(table.duration, Seconds::parse("14024"));
        }
        // A list of no channels is none: the seizure stays.
        assert_eq!(
            shape(&read(TEXT.replace("Fp1, F3", " , ").as_bytes()).unwrap()).split(", ").nth(1),
            Some("1300.5-1330.75 sz_foc_ia")
        );
        let own = "trial_type\tduration\tonset\nbckg\t9\t0\n";
        assert_eq!(shape(&read(own.as_bytes()).unwrap()), "0-9 bckg");
        assert_eq!(shape(&read(b"onset\tduration\teventType").unwrap()), "");
        assert_eq!(read(b"onset\tduration\teventType\n1\t2\tCris\xe9\n").unwrap().notes[0].code, "non-ascii");
    }

    #[test]
    fn unreadable_rows_fail_with_their_line() {
        for (from, to, words) in [
            ("1300.5\t", "", "line 3: 6 fields"),
            ("1300.5", "n/a", "line 3: `n/a` is no time"),
            ("30.25", "30,25", "`30,25`"),
            ("30.25", "1e3", "`1e3`"),
            ("sz_foc_ia", "", "line 3: the event type is empty"),
            ("onset\t", "begin\t", "no column `onset`"),
            ("eventType", "kind", "no column `eventType` or `trial_type`"),
            ("confidence", "onset", "names `onset` twice"),
            (
                "\t1\tFp1, F3\t2000-01-01 00:00:00\t14024.00",
                "\t1\tn/a\tn/a\t14000",
                "line 3: the recording lasts 14000 s",
            ),
        ] {
            let failure = read(TEXT.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert_eq!(failure.class, FailureClass::BadAnnotation);
            assert!(failure.message.contains(words), "{from} {to}: {failure}");
        }
        assert!(read(b"").is_err());
    }
}
