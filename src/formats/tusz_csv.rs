//! TUH EEG Seizure Corpus `.csv`: a row for each channel and stretch of time.
//!
//! `#` lines are comments, one of them `# duration = 301.0000 secs`; the header row starts with `channel`
//! and names the columns `channel,start_time,stop_time,label,confidence`. Columns are found by name.

use crate::formats::annotation::{AnnotationRow, AnnotationTable, bad_line, decode_file, read_time};
use crate::model::{Failure, Seconds};

/// Reads the file; anything that is neither comment, header row nor complete row is class `bad-annotation`.
pub(super) fn read(bytes: &[u8]) -> Result<AnnotationTable, Failure> {
    let (text, note) = decode_file(bytes);
    let mut table = AnnotationTable { notes: note.into_iter().collect(), ..AnnotationTable::default() };
    let mut columns: Option<Columns> = None;
    let mut last = 0;
    for (index, line) in text.split('\n').enumerate() {
        let (number, line) = (index + 1, line.trim());
        last = number;
        if let Some(comment) = line.strip_prefix('#') {
            read_comment(number, comment, &mut table)?;
        } else if let Some(columns) = columns.as_ref().filter(|_| !line.is_empty()) {
            table.push(columns.read_row(number, line)?)?;
        } else if !line.is_empty() {
            columns = Some(Columns::read(number, line)?);
        }
    }
    match columns {
        Some(_) => Ok(table),
        None => Err(bad_line(last, "the file ends without a header row that starts with `channel`")),
    }
}

fn read_comment(line: usize, comment: &str, table: &mut AnnotationTable) -> Result<(), Failure> {
    let Some((key, value)) = comment.split_once('=') else { return Ok(()) };
    if !key.trim().eq_ignore_ascii_case("duration") {
        return Ok(());
    }
    let number = value.split_whitespace().next().unwrap_or_default();
    let duration = Seconds::parse(number)
        .filter(|duration| *duration >= Seconds::ZERO)
        .ok_or_else(|| bad_line(line, format!("the duration `{}` is no time in seconds", value.trim())))?;
    match table.duration.replace(duration) {
        Some(before) if before != duration => {
            Err(bad_line(line, format!("the duration is {duration} s here and {before} s before")))
        }
        _ => Ok(()),
    }
}

/// Where the columns are.
struct Columns {
    count: usize,
    channel: usize,
    start: usize,
    stop: usize,
    label: usize,
}

impl Columns {
    fn read(line: usize, row: &str) -> Result<Self, Failure> {
        let names: Vec<String> = row.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
        if names[0] != "channel" {
            return Err(bad_line(line, "expected the header row, which starts with `channel`"));
        }
        let find = |wanted: &str| {
            let mut places =
                names.iter().enumerate().filter(|(_, name)| *name == wanted).map(|(place, _)| place);
            match (places.next(), places.next()) {
                (Some(place), None) => Ok(place),
                (None, _) => Err(bad_line(line, format!("the header row has no column `{wanted}`"))),
                (Some(_), Some(_)) => Err(bad_line(line, format!("the header row names `{wanted}` twice"))),
            }
        };
        let (channel, start, stop, label) =
            (find("channel")?, find("start_time")?, find("stop_time")?, find("label")?);
        Ok(Self { count: names.len(), channel, start, stop, label })
    }

    fn read_row(&self, line: usize, row: &str) -> Result<AnnotationRow, Failure> {
        let fields: Vec<&str> = row.split(',').map(str::trim).collect();
        if fields.len() != self.count {
            let found = fields.len();
            return Err(bad_line(line, format!("{found} fields where the header row names {}", self.count)));
        }
        let time = |place: usize| read_time(line, fields[place]);
        let filled = |place: usize, name: &str| {
            let text = fields[place];
            if text.is_empty() {
                Err(bad_line(line, format!("the {name} is empty")))
            } else {
                Ok(text.to_owned())
            }
        };
        Ok(AnnotationRow {
            channel: Some(filled(self.channel, "channel")?),
            start: time(self.start)?,
            end: Some(time(self.stop)?),
            code: filled(self.label, "label")?,
            line,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FailureClass;

    const HEAD: &str = "# version = csv_v1.0.0\n# bname = a\n# duration = 301.0000 secs\n#\n\
                        channel,start_time,stop_time,label,confidence\n";

    fn rows(table: &AnnotationTable) -> Vec<String> {
        let row = |r: &AnnotationRow| {
            format!(
                "{}:{} {}-{} {}",
                r.line,
                r.channel.as_deref().unwrap_or("-"),
                r.start,
                r.end.unwrap(),
                r.code
            )
        };
        table.rows.iter().map(row).collect()
    }

    #[test]
    fn rows_are_read_whatever_the_editor_did_to_the_file() {
        let plain = format!("{HEAD}FP1-F7,0.0000,36.8868,bckg,1.0000\nFP1-F7,36.8868,183.3055,fnsz,1.0000\n");
        let expected = ["6:FP1-F7 0-36.8868 bckg", "7:FP1-F7 36.8868-183.3055 fnsz"];
        let marked = format!("\u{feff}{plain}");
        let spaced = plain.replace(',', " , ");
        let cases = [
            plain.clone(),
            marked,
            plain.replace('\n', "\r\n"),
            spaced,
            plain.trim_end().to_owned(),
            format!("{plain}\n\n"),
        ];
        for text in cases {
            let table = read(text.as_bytes()).unwrap();
            assert_eq!(rows(&table), expected, "{text}");
            assert_eq!(table.duration, Seconds::parse("301"));
            assert!(table.notes.is_empty());
        }
        let table = read(&[b"# made by Jos\xe9\n", plain.as_bytes()].concat()).unwrap();
        assert_eq!((table.rows.len(), table.notes[0].code.as_str()), (2, "non-ascii"));
    }

    #[test]
    fn columns_are_found_by_name() {
        let text = "channel,label,start_time,stop_time\nFP1-F7,fnsz,1,2\n";
        assert_eq!(rows(&read(text.as_bytes()).unwrap()), ["2:FP1-F7 1-2 fnsz"]);
    }

    #[test]
    fn unreadable_rows_fail_with_their_line() {
        for (tail, line, words) in [
            ("FP1-F7,0.0000,36.88", 6, "3 fields"),
            ("FP1-F7,0.0000,36.8868,bckg,1.0000,x", 6, "6 fields"),
            ("\nFP1-F7,0,36s,bckg,1", 7, "`36s`"),
            ("FP1-F7,1e2,200,bckg,1", 6, "`1e2`"),
            ("FP1-F7,nan,200,bckg,1", 6, "`nan`"),
            ("FP1-F7,0,,bckg,1", 6, "``"),
            (",0,1,bckg,1", 6, "channel is empty"),
            ("FP1-F7,0,1,,1", 6, "label is empty"),
            ("\0\0\0\0", 6, "1 fields"),
            ("# duration = 300 secs", 6, "300 s here and 301 s before"),
            ("# duration = soon", 6, "`soon`"),
        ] {
            let failure = read(format!("{HEAD}{tail}").as_bytes()).unwrap_err();
            assert_eq!(failure.class, FailureClass::BadAnnotation);
            assert!(failure.message.starts_with(&format!("line {line}:")), "{tail}: {failure}");
            assert!(failure.message.contains(words), "{tail}: {failure}");
        }
    }

    #[test]
    fn a_file_without_its_header_row_is_refused() {
        for text in [
            "",
            "# duration = 3 secs\n",
            "FP1-F7,0,1,bckg,1\n",
            "channel,start,stop,label\n",
            "channel,start_time,start_time,stop_time,label\n",
            "\u{1}",
        ] {
            assert_eq!(read(text.as_bytes()).unwrap_err().class, FailureClass::BadAnnotation, "{text:?}");
        }
    }
}
