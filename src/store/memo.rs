//! The memo of source hashes: which bytes a source file had when its stamp was this one.
//!
//! An accelerator, so whatever cannot be read is ignored. A stamp proves something only where the
//! file was at rest when hashing began ("racily clean" in git's index): a file changed within the
//! resolution of its own times could be changed once more without any difference in the stamp.

use super::dir::{Dir, fault, is_absent};
use super::lines::{lines, whole_lines};
use super::seal;
use crate::model::id::Digest;
use crate::model::inventory::Stamp;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// A source file that was hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoLine {
    /// The path relative to the dataset root.
    pub path: String,
    /// What the file system said.
    pub stamp: Stamp,
    /// The content.
    pub sha256: Digest,
    /// When reading began, in nanoseconds since the epoch.
    pub began_ns: i64,
}

/// What is remembered of a dataset; a later line replaces an earlier one.
#[derive(Debug, Clone, Default)]
pub struct Memo {
    /// Where each path stands in `known`: there may be hundreds of thousands, and a table of numbers is a small one.
    places: HashMap<Box<str>, usize>,
    known: Vec<Known>,
    /// Lines that say nothing any more: replaced or damaged.
    stale: usize,
}

/// What is remembered of one file.
#[derive(Debug, Clone)]
struct Known {
    stamp: Stamp,
    sha256: Digest,
    began_ns: i64,
}

/// Bytes of a memo that are read at once.
const CHUNK: u64 = 1 << 20;
const SECOND_NS: i64 = 1_000_000_000;
/// Resolution of times with digits behind the second: a tick of the kernel is at most 10 ms.
const FINE_NS: i64 = 10_000_000;
/// Resolution of times in whole seconds; FAT counts in twos.
const COARSE_NS: i64 = 2 * SECOND_NS;
/// Smaller memos are not worth compacting.
const LEAST_STALE: usize = 256;

impl Memo {
    /// Returns the content of the file at `path`, if it had the same stamp and was at rest when it was hashed.
    #[must_use]
    pub fn get(&self, path: &str, stamp: &Stamp) -> Option<Digest> {
        let known = &self.known[*self.places.get(path)?];
        (known.stamp == *stamp && was_at_rest(known)).then_some(known.sha256)
    }

    /// Number of files that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// True where nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Reads a memo from its directory; nothing readable is nothing remembered.
    pub(super) fn read(sources: &Dir, name: &str) -> Self {
        let read = || {
            let file = sources.open_file(name)?;
            fault::point("stat open file")?;
            Self::decode(fault::Watched(&file, "read memo"), file.metadata()?.len())
        };
        read().unwrap_or_default()
    }

    /// Reads so many bytes, or what there is, some lines at a time.
    fn decode(mut from: impl Read, bytes: u64) -> io::Result<Self> {
        let (mut memo, mut text) = (Self::default(), Vec::new());
        while from.by_ref().take(CHUNK).read_to_end(&mut text)? > 0 {
            let end = whole_lines(&text);
            let lines = decode_lines(&text[..end]);
            if memo.known.is_empty() {
                memo.make_room(bytes.div_ceil(end.max(1) as u64).saturating_mul(lines.len() as u64));
            }
            memo.take(lines);
            text.drain(..end);
        }
        memo.take(decode_lines(&text));
        Ok(memo)
    }

    /// Tables are made at their full size, as far as the first lines tell it: growing would hash every path again and again.
    fn make_room(&mut self, lines: u64) {
        let lines = usize::try_from(lines).unwrap_or(usize::MAX);
        // Without that room it grows line by line.
        let _ = self.places.try_reserve(lines);
        let _ = self.known.try_reserve_exact(lines);
    }

    fn take(&mut self, lines: Vec<Option<MemoLine>>) {
        for line in lines {
            let Some(MemoLine { path, stamp, sha256, began_ns }) = line else {
                // A damaged line says as little as one that was replaced.
                self.stale += 1;
                continue;
            };
            let known = Known { stamp, sha256, began_ns };
            match self.places.entry(path.into_boxed_str()) {
                Entry::Occupied(place) => {
                    self.known[*place.get()] = known;
                    self.stale += 1;
                }
                Entry::Vacant(place) => {
                    place.insert(self.known.len());
                    self.known.push(known);
                }
            }
        }
    }

    /// Returns the memo as text without its stale lines, or nothing where they are the lesser part.
    pub(super) fn compacted(&self) -> io::Result<Option<Vec<u8>>> {
        if self.stale < LEAST_STALE.max(self.known.len()) {
            return Ok(None);
        }
        let mut paths: Vec<_> = self.places.iter().collect();
        paths.sort_unstable();
        let mut text = Vec::new();
        for (path, place) in paths {
            let Known { stamp, sha256, began_ns } = self.known[*place].clone();
            seal::encode(&MemoLine { path: path.to_string(), stamp, sha256, began_ns }, &mut text)?;
        }
        Ok(Some(text))
    }
}

/// Reads the lines of a text; nothing in place of a damaged one.
fn decode_lines(text: &[u8]) -> Vec<Option<MemoLine>> {
    let lines = lines(text).map(|line| text[line.clone()].strip_suffix(b"\n").unwrap_or(&text[line]));
    let lines: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).collect();
    lines.into_par_iter().map(decode_line).collect()
}

/// Reads an undamaged line: as `seal::encode` writes it where it is that, which takes a fifth of the time, else as any JSON.
fn decode_line(line: &[u8]) -> Option<MemoLine> {
    let text = seal::open(line)?;
    Cursor(text).line().or_else(|| serde_json::from_slice(text).ok())
}

/// What is left of a line.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn line(mut self) -> Option<MemoLine> {
        let path = self.text(b"{\"path\":\"")?.to_owned();
        let bytes = u64::try_from(self.number(b",\"stamp\":{\"bytes\":")?).ok()?;
        let mtime_ns = self.number(b",\"mtime_ns\":")?;
        let ctime_ns = self.number(b",\"ctime_ns\":")?;
        let inode = u64::try_from(self.number(b",\"inode\":")?).ok()?;
        let sha256 = Digest::from_hex(self.text(b"},\"sha256\":\"")?)?;
        let began_ns = self.number(b",\"began_ns\":")?;
        let stamp = Stamp { bytes, mtime_ns, ctime_ns, inode };
        (self.0 == b"}").then_some(MemoLine { path, stamp, sha256, began_ns })
    }

    /// What stands between `before` and the next quote, where nothing in it is escaped.
    fn text(&mut self, before: &[u8]) -> Option<&'a str> {
        let rest = self.0.strip_prefix(before)?;
        let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        let (text, rest) = rest.split_at(end);
        self.0 = rest.strip_prefix(b"\"")?;
        std::str::from_utf8(text).ok()
    }

    /// The number behind `before`, where it is a common one.
    fn number(&mut self, before: &[u8]) -> Option<i64> {
        let rest = self.0.strip_prefix(before)?;
        let (is_negative, rest) = rest.strip_prefix(b"-").map_or((false, rest), |rest| (true, rest));
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        let (number, rest) = rest.split_at(digits);
        let add = |number: i64, digit: &u8| number.checked_mul(10)?.checked_add((digit - b'0').into());
        let number = number.iter().try_fold(0, add)?;
        self.0 = rest;
        Some(if is_negative { -number } else { number })
    }
}

fn was_at_rest(line: &Known) -> bool {
    let times = [line.stamp.mtime_ns, line.stamp.ctime_ns];
    let is_fine = times.iter().all(|time| time.rem_euclid(SECOND_NS) != 0);
    let resolution = if is_fine { FINE_NS } else { COARSE_NS };
    times.iter().all(|time| time.saturating_add(resolution) < line.began_ns)
}

/// Appends lines to a memo. Each goes out in one call that appends, so writers do not mix their lines.
pub(super) fn append(sources: &Dir, name: &str, lines: &[MemoLine]) -> io::Result<()> {
    let mut file = sources.open_appending(name)?;
    if !ends_with_newline(&mut file)? {
        // The last line was torn: it must not take the next one with it.
        fault::Watched(&file, "write memo").write_all(b"\n")?;
    }
    let mut text = Vec::new();
    for line in lines {
        text.clear();
        seal::encode(line, &mut text)?;
        fault::Watched(&file, "write memo").write_all(&text)?;
    }
    Ok(())
}

fn ends_with_newline(file: &mut std::fs::File) -> io::Result<bool> {
    fault::point("stat open file")?;
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    match file.read_exact(&mut last) {
        Err(error) if !is_absent(&error) && error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        _ => Ok(last == *b"\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(path: &str, mtime_ns: i64, ctime_ns: i64, began_ns: i64) -> MemoLine {
        let stamp = Stamp { bytes: 1, mtime_ns, ctime_ns, inode: 7 };
        MemoLine { path: path.to_owned(), stamp, sha256: Digest::of(path.as_bytes()), began_ns }
    }

    fn memo(lines: &[MemoLine]) -> Memo {
        let mut text = Vec::new();
        for line in lines {
            seal::encode(line, &mut text).unwrap();
        }
        decoded(&text)
    }

    fn decoded(text: &[u8]) -> Memo {
        Memo::decode(text, text.len() as u64).unwrap()
    }

    #[test]
    fn a_line_is_read_as_any_json_reader_reads_it() {
        let usual = line("a/b c/é.edf", 1_795_242_276_268_910_221, 1_795_242_276_268_910_222, i64::MAX);
        let large = Stamp { bytes: u64::MAX, inode: u64::MAX, ..usual.stamp };
        for (line, is_usual) in [
            (usual.clone(), true),
            (line("", -1, i64::MIN, 0), false),
            (line("x", -7, 0, -1), true),
            (line("a\"b\\c\n", 1, 2, 3), false),
            (MemoLine { stamp: large, ..usual }, false),
        ] {
            let mut text = Vec::new();
            seal::encode(&line, &mut text).unwrap();
            let text = text.strip_suffix(b"\n").unwrap();
            assert_eq!(decode_line(text).as_ref(), Some(&line));
            assert_eq!(Cursor(seal::open(text).unwrap()).line().is_some(), is_usual, "{line:?}");
        }
        for other in [
            r#"{"path":"x","stamp":{"bytes":-1,"mtime_ns":1,"ctime_ns":1,"inode":1},"sha256":"","began_ns":1}"#,
            r#"{"path":"x","stamp":{"bytes":1,"mtime_ns":9223372036854775808,"ctime_ns":1,"inode":1}"#,
            r#"{"path":"x","stamp":{"bytes":,"mtime_ns":1"#,
            r#"{"path":"x"#,
            "",
        ] {
            assert_eq!(Cursor(other.as_bytes()).line(), None, "{other}");
        }
    }

    #[test]
    fn a_file_changed_while_hashing_began_is_no_hit() {
        const S: i64 = SECOND_NS;
        for (mtime, ctime, began, is_hit) in [
            (S + 1, S + 1, S + 1 + FINE_NS, false),
            (S + 1, S + 1, S + 2 + FINE_NS, true),
            (S + 1, 3 * S + 1, 2 * S, false), // changed after hashing began
            (9 * S + 1, S + 1, 2 * S, false), // modified in the future
            (S, S, 3 * S, false),             // whole seconds: two of them
            (S, S, 3 * S + 1, true),
            (S, S + 1, 2 * S, false),  // a restored time hides the resolution
            (-5 * S, -5 * S, 0, true), // before 1970
            (i64::MAX, S, i64::MAX, false),
        ] {
            let line = line("a", mtime, ctime, began);
            let hit = memo(std::slice::from_ref(&line)).get("a", &line.stamp).is_some();
            assert_eq!(hit, is_hit, "mtime {mtime} ctime {ctime} began {began}");
        }
    }

    #[test]
    fn any_difference_in_the_stamp_is_no_hit() {
        let line = line("a", 1, 1, SECOND_NS);
        let memo = memo(std::slice::from_ref(&line));
        let stamp = line.stamp;
        assert_eq!(memo.get("a", &stamp), Some(line.sha256));
        for other in [
            Stamp { bytes: 2, ..stamp },
            Stamp { mtime_ns: 2, ..stamp },
            Stamp { ctime_ns: 2, ..stamp },
            Stamp { inode: 8, ..stamp },
        ] {
            assert_eq!(memo.get("a", &other), None);
        }
        assert_eq!(memo.get("b", &stamp), None);
    }

    #[test]
    fn the_later_line_wins_and_only_a_stale_memo_is_compacted() {
        let old = line("a", 1, 1, SECOND_NS);
        let new = MemoLine { sha256: Digest::of(b"new"), ..old.clone() };
        assert_eq!(memo(&[old.clone(), new.clone()]).get("a", &old.stamp), Some(new.sha256));
        let mut lines = vec![old; LEAST_STALE];
        lines.push(new.clone());
        assert!(memo(&lines[..LEAST_STALE]).compacted().unwrap().is_none());
        let text = memo(&lines).compacted().unwrap().unwrap();
        assert_eq!(decoded(&text).get("a", &new.stamp), Some(new.sha256));
        assert_eq!(decoded(&text).stale, 0);
    }
}
