//! `.seizures`: the binary annotation format of the MIT databases, with `[` and `]` around each seizure.
//!
//! `annot(5)` of the WFDB library: 16-bit words, little-endian, the upper 6 bits a code and the lower 10 an interval
//! in samples since the last annotation. A first note carries `## time resolution: 256`.

use crate::formats::annotation::{AnnotationRow, AnnotationTable, SEIZURE, bad_line};
use crate::model::units::{Rate, Seconds};
use crate::model::{Failure, FailureClass};

const BEGIN: u16 = 32;
const END: u16 = 33;
const SKIP: u16 = 59;
const NUM: u16 = 60;
const CHN: u16 = 62;
const AUX: u16 = 63;

/// Reads the file.
///
/// Class `annotation-incomplete` where it ends without its end mark, `bad-annotation` where brackets do not pair or
/// seizures come without a time resolution. A seizure that never ends is a row without end.
pub(super) fn read(bytes: &[u8]) -> Result<AnnotationTable, Failure> {
    let mut words = Words { bytes, at: 0 };
    let (mut time, mut rate) = (0_i64, None);
    let mut table = AnnotationTable::default();
    loop {
        let word = words.next()?;
        match (word >> 10, word & 0x3ff) {
            (0, 0) => break,
            (SKIP, _) => time = time.saturating_add(i64::from(words.long()?)),
            (NUM..=CHN, _) => {}
            (AUX, length) => rate = rate.or(resolution(words.text(usize::from(length))?)),
            (code, interval) => {
                time = time.saturating_add(i64::from(interval));
                if code == BEGIN || code == END {
                    let rate = rate.ok_or_else(|| {
                        bad_line(words.count(), "a seizure before the file has named its time resolution")
                    })?;
                    bracket(&mut table, code, words.count(), Seconds::of_sample(time, rate))?;
                }
            }
        }
    }
    Ok(table)
}

fn bracket(table: &mut AnnotationTable, code: u16, line: usize, time: Seconds) -> Result<(), Failure> {
    let open = table.rows.last_mut().filter(|row| row.end.is_none());
    match (open, code) {
        (None, BEGIN) => {
            let code = SEIZURE.to_owned();
            table.push(AnnotationRow { channel: None, start: time, end: None, code, line })
        }
        (Some(row), END) => {
            row.end = Some(time);
            Ok(())
        }
        (Some(_), _) => Err(bad_line(line, "a seizure begins before the last one has ended")),
        (None, _) => Err(bad_line(line, "a seizure ends that has not begun")),
    }
}

/// `## time resolution: 256`.
fn resolution(text: &[u8]) -> Option<Rate> {
    let text = std::str::from_utf8(text).ok()?;
    Rate::from_decimal(text.split_once("time resolution:")?.1.split_whitespace().next()?)
}

struct Words<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Words<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Failure> {
        let end = self.at.saturating_add(count);
        let taken = self.bytes.get(self.at..end).ok_or_else(|| {
            let message = format!(
                "the file ends at byte {} without its end mark (a partial download?)",
                self.bytes.len()
            );
            Failure::new(FailureClass::AnnotationIncomplete, message)
        })?;
        self.at = end;
        Ok(taken)
    }

    fn next(&mut self) -> Result<u16, Failure> {
        let word = self.take(2)?;
        Ok(u16::from_le_bytes([word[0], word[1]]))
    }

    /// A 32-bit number with its upper word first.
    fn long(&mut self) -> Result<i32, Failure> {
        let (upper, lower) = (self.next()?, self.next()?);
        Ok((i32::from(upper.cast_signed()) << 16) | i32::from(lower))
    }

    /// A text, padded to whole words.
    fn text(&mut self, length: usize) -> Result<&'a [u8], Failure> {
        Ok(&self.take(length + length % 2)?[..length])
    }

    /// The number of the word read last, from 1: what stands for a line in messages.
    fn count(&self) -> usize {
        self.at / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::annotation::tests::shape;

    fn word(code: u16, interval: u16) -> [u8; 2] {
        (code << 10 | interval).to_le_bytes()
    }

    fn head(rate: &str) -> Vec<u8> {
        let text = format!("## time resolution: {rate}");
        let mut bytes = [word(22, 0), word(AUX, text.len() as u16)].concat();
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        bytes
    }

    fn skip(samples: i32) -> Vec<u8> {
        let samples = samples.cast_unsigned();
        [word(SKIP, 0), ((samples >> 16) as u16).to_le_bytes(), (samples as u16).to_le_bytes()].concat()
    }

    #[test]
    fn brackets_become_seizures() {
        let body =
            [&skip(83_712)[..], &word(BEGIN, 0), &word(NUM, 3), &skip(5119), &word(END, 1), &word(1, 7)]
                .concat();
        let seizure = [head("256"), body.clone(), vec![0, 0]].concat();
        assert_eq!(shape(&read(&seizure).unwrap()), "327-347 seiz");
        // A third of a second has no end as a decimal: it must not fall before its sample.
        let third = [&head("3")[..], &word(BEGIN, 1), &word(END, 1), &[0, 0]].concat();
        let row = &read(&third).unwrap().rows[0];
        let rate = Rate::new(3, 1).unwrap();
        assert_eq!((row.start.floor_samples(rate), row.end.unwrap().floor_samples(rate)), (1, 2));
        let open = [&head("256")[..], &word(BEGIN, 256), &[0, 0]].concat();
        assert_eq!(shape(&read(&open).unwrap()), "1-? seiz");
        assert_eq!(shape(&read(&[0, 0]).unwrap()), "");
    }

    #[test]
    fn what_does_not_pair_or_end_is_refused() {
        use FailureClass::{AnnotationIncomplete, BadAnnotation};
        for (bytes, class) in [
            (vec![], AnnotationIncomplete),
            (vec![0], AnnotationIncomplete),
            ([&head("256")[..], &word(BEGIN, 1), &word(END, 1)].concat(), AnnotationIncomplete),
            ([&head("256")[..], &word(SKIP, 0), &[1, 0]].concat(), AnnotationIncomplete),
            (word(AUX, 1023).to_vec(), AnnotationIncomplete),
            ([&head("256")[..], &word(END, 1), &[0, 0]].concat(), BadAnnotation),
            ([&head("256")[..], &word(BEGIN, 1), &word(BEGIN, 1), &[0, 0]].concat(), BadAnnotation),
            ([&head("x")[..], &word(BEGIN, 1), &[0, 0]].concat(), BadAnnotation),
            ([&word(BEGIN, 1)[..], &[0, 0]].concat(), BadAnnotation),
        ] {
            assert_eq!(read(&bytes).unwrap_err().class, class, "{bytes:?}");
        }
    }
}
