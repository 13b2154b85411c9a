//! TUH EEG `.tse` and `.tse_bi`: the recording as a whole, cut into stretches.
//!
//! `version = tse_v1.0.0`, then rows `start stop label probability` between blanks. The older releases of the
//! corpus have it in place of the `.csv`; the two-class `.tse_bi` has the same form.

use crate::formats::annotation::{AnnotationRow, AnnotationTable, bad_line, decode_file, read_time};
use crate::model::Failure;

/// Reads the file; anything that is neither comment, version nor complete row is class `bad-annotation`.
pub(super) fn read(bytes: &[u8]) -> Result<AnnotationTable, Failure> {
    let (text, note) = decode_file(bytes);
    let mut table = AnnotationTable { notes: note.into_iter().collect(), ..AnnotationTable::default() };
    let mut versioned = false;
    let mut last = 0;
    for (index, line) in text.split('\n').enumerate() {
        let (number, line) = (index + 1, line.trim());
        last = number;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if versioned {
            table.push(row(number, line)?)?;
        } else if is_version(line) {
            versioned = true;
        } else {
            return Err(bad_line(number, "expected the line `version = tse_v1.0.0` before the first row"));
        }
    }
    if versioned { Ok(table) } else { Err(bad_line(last, "the file ends without a line `version = …`")) }
}

fn is_version(line: &str) -> bool {
    line.split_once('=').is_some_and(|(key, value)| {
        key.trim().eq_ignore_ascii_case("version") && value.trim().to_ascii_lowercase().starts_with("tse")
    })
}

fn row(line: usize, text: &str) -> Result<AnnotationRow, Failure> {
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let ([start, stop, code] | [start, stop, code, _]) = fields[..] else {
        return Err(bad_line(
            line,
            format!("{} fields where a row has start, stop, label, probability", fields.len()),
        ));
    };
    let (start, end) = (read_time(line, start)?, read_time(line, stop)?);
    Ok(AnnotationRow { channel: None, start, end: Some(end), code: code.to_owned(), line })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::annotation::tests::shape;
    use crate::model::FailureClass;

    #[test]
    fn rows_follow_the_version() {
        let plain = "version = tse_v1.0.0\n\n0.0000 36.8868 bckg 1.0000\n36.8868 183.3055 seiz 1.0000\n";
        for text in [
            plain.to_owned(),
            plain.replace('\n', "\r\n"),
            plain.replace('\n', "\r"),
            format!("\u{feff}{plain}"),
            plain.replace(' ', "\t "),
            plain.replace(" 1.0000", ""),
            format!("# comment\n{}", plain.trim_end()),
        ] {
            let table = read(text.as_bytes()).unwrap();
            assert_eq!(shape(&table), "0-36.8868 bckg, 36.8868-183.3055 seiz", "{text}");
        }
        assert!(read(b"version = tse_v1.0.0\n").unwrap().rows.is_empty());
    }

    #[test]
    fn what_cannot_be_read_fails_with_its_line() {
        for (text, words) in [
            ("", "line 1"),
            ("0 1 bckg 1\n", "line 1: expected the line `version"),
            ("version = 2\n", "line 1"),
            ("version = tse_v1\n0 1\n", "line 2: 2 fields"),
            ("version = tse_v1\n0 1 bckg 1 1\n", "line 2: 5 fields"),
            ("version = tse_v1\n0 x bckg 1\n", "line 2: `x` is no time"),
            ("version = tse_v1\n\n0 1e3 bckg\n", "line 3: `1e3`"),
        ] {
            let failure = read(text.as_bytes()).unwrap_err();
            assert_eq!(failure.class, FailureClass::BadAnnotation);
            assert!(failure.message.contains(words), "{text}: {failure}");
        }
    }
}
