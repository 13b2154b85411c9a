//! Time-stamped annotation lists: EDF+ § 2.2.4 (2003).
//!
//! `Onset[\x15Duration]\x14Text\x14…\x14\0`, as many as fit into a record's annotation signal, the rest NUL.
//! The first one of a record keeps the time: its first text is empty and its onset is the record's.

use crate::formats::{attoseconds, shown};
use crate::model::recording::Tal;
use crate::model::{Note, Seconds};

/// Annotations beyond this many are counted and left out, so that a hostile file cannot exhaust memory.
const LIMIT: usize = 1_000_000;

/// One list: an onset, a duration and its texts.
#[derive(Debug, PartialEq)]
struct Entry<'a> {
    onset: Seconds,
    duration: Option<Seconds>,
    texts: Vec<&'a [u8]>,
}

/// How often something happened, and in which record first.
#[derive(Debug, Default)]
pub(super) struct Count {
    number: u64,
    first: u64,
}

impl Count {
    pub(super) fn add(&mut self, record: u64) {
        if self.number == 0 {
            self.first = record;
        }
        self.number += 1;
    }

    pub(super) fn note(&self, code: &str, what: &str) -> Option<Note> {
        let text = format!("{} {what}, the first in record {}", self.number, self.first);
        (self.number > 0).then(|| Note::new(code, text))
    }
}

/// The annotations of a recording while it is read.
#[derive(Debug, Default)]
pub(super) struct Annotations {
    tals: Vec<Tal>,
    unreadable: Count,
    latin1: Count,
    left_out: Count,
}

impl Annotations {
    /// Takes the bytes of one annotation signal in one record and returns the onset of its time-keeping list.
    pub(super) fn take(&mut self, record: u64, bytes: &[u8]) -> Option<Seconds> {
        let mut kept = None;
        for (index, piece) in bytes.split(|b| *b == 0).filter(|piece| !piece.is_empty()).enumerate() {
            let Some(entry) = decode_entry(piece) else {
                self.unreadable.add(record);
                continue;
            };
            if index == 0 && entry.texts.first().is_none_or(|text| text.is_empty()) {
                kept = Some(entry.onset);
            }
            for text in entry.texts.iter().filter(|text| !text.is_empty()) {
                self.push(record, &entry, text);
            }
        }
        kept
    }

    fn push(&mut self, record: u64, entry: &Entry<'_>, text: &[u8]) {
        if self.tals.len() >= LIMIT {
            return self.left_out.add(record);
        }
        let text = std::str::from_utf8(text).map_or_else(
            |_| {
                self.latin1.add(record);
                text.iter().copied().map(char::from).collect()
            },
            str::to_owned,
        );
        self.tals.push(Tal { onset: entry.onset, duration: entry.duration, text });
    }

    /// Returns the annotations with onsets relative to sample 0, which lies at `offset`, and what was odd about them.
    pub(super) fn finish(mut self, offset: Seconds, length: Option<i128>) -> (Vec<Tal>, Vec<Note>) {
        for tal in &mut self.tals {
            tal.onset = tal.onset.minus(offset);
        }
        let notes = [
            self.unreadable.note("unreadable-annotation", "annotation lists cannot be read"),
            self.latin1.note("non-ascii", "annotation texts are no UTF-8 and were read as Latin-1"),
            self.left_out.note("annotations-left-out", &format!("annotations beyond {LIMIT} are left out")),
            length.and_then(|length| outside_note(&self.tals, length)),
        ];
        (self.tals, notes.into_iter().flatten().collect())
    }
}

fn outside_note(tals: &[Tal], length: i128) -> Option<Note> {
    let is_outside = |tal: &&Tal| {
        let start = attoseconds(tal.onset);
        start < 0 || start.saturating_add(tal.duration.map_or(0, attoseconds)) > length
    };
    let first = tals.iter().find(is_outside)?;
    let text = format!(
        "{} annotations reach outside of the {} s recorded, the first begins at {} s",
        tals.iter().filter(is_outside).count(),
        shown(length),
        first.onset
    );
    Some(Note::new("annotation-outside", text))
}

/// EDF+ § 2.2.4: "Onset must start with a `+` or a `-`"; every text ends with byte 20.
fn decode_entry(piece: &[u8]) -> Option<Entry<'_>> {
    let end = piece.iter().position(|b| *b == 0x14)?;
    let mut stamp = std::str::from_utf8(&piece[..end]).ok()?.split('\x15');
    let onset = stamp.next().filter(|onset| onset.starts_with(['+', '-'])).and_then(Seconds::parse)?;
    let duration = match stamp.next() {
        None | Some("") => None,
        Some(text) => Some(Seconds::parse(text).filter(|duration| *duration >= Seconds::ZERO)?),
    };
    let rest = &piece[end + 1..];
    if stamp.next().is_some() || rest.last().is_some_and(|last| *last != 0x14) {
        return None;
    }
    let texts = rest.strip_suffix(b"\x14").map_or_else(Vec::new, |rest| rest.split(|b| *b == 0x14).collect());
    Some(Entry { onset, duration, texts })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Seconds {
        Seconds::parse(text).unwrap()
    }

    #[test]
    fn lists_are_read_as_the_specification_writes_them() {
        let mut annotations = Annotations::default();
        let first = b"+0.5\x14\x14Start\x14\0+3.25\x152\x14Seizure\x14 left \x14\0\0\0";
        assert_eq!(annotations.take(0, first), Some(seconds("0.5")));
        assert_eq!(annotations.take(1, b"+1.5\x14\x14\0\0"), Some(seconds("1.5")));
        assert_eq!(annotations.take(2, b"+9\x14Cr\xeds\x14\0"), None);
        assert_eq!(annotations.take(3, b"+3.5\x14\0"), Some(seconds("3.5")));
        let (tals, notes) = annotations.finish(seconds("0.5"), Some(attoseconds(seconds("4"))));
        let read: Vec<_> = tals.iter().map(|t| (t.onset, t.duration, t.text.as_str())).collect();
        let two = Some(seconds("2"));
        let expected = [
            (seconds("0"), None, "Start"),
            (seconds("2.75"), two, "Seizure"),
            (seconds("2.75"), two, " left "),
            (seconds("8.5"), None, "Crís"),
        ];
        assert_eq!(read, expected);
        let codes: Vec<_> = notes.iter().map(|note| note.code.as_str()).collect();
        assert_eq!(codes, ["non-ascii", "annotation-outside"]);
        assert!(notes[1].text.starts_with("3 annotations"), "{}", notes[1].text);
    }

    #[test]
    fn what_cannot_be_read_is_counted() {
        for bad in [
            &b"\x14\x14\x15\x15\xff"[..],
            b"+nan\x15inf\x14x\x14",
            b"+1\x14text",
            b"1\x14x\x14",
            b"+1\x152\x153\x14x\x14",
            b"+1\x15-2\x14x\x14",
            b"+999999999999999999999999999999\x14x\x14",
            b"no stamp",
            b"+1e3\x14x\x14",
        ] {
            let mut annotations = Annotations::default();
            assert_eq!(annotations.take(7, bad), None, "{bad:?}");
            let (tals, notes) = annotations.finish(Seconds::ZERO, None);
            assert!(tals.is_empty() && notes[0].code == "unreadable-annotation", "{bad:?}");
        }
    }
}
