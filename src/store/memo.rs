//! The memo of source hashes: which bytes a source file had when its stamp was this one.
//!
//! An accelerator, so whatever cannot be read is ignored. A stamp proves something only where the
//! file was at rest when hashing began ("racily clean" in git's index): a file changed within the
//! resolution of its own times could be changed once more without any difference in the stamp.

use super::dir::{Dir, fault, is_absent};
use super::seal;
use crate::model::id::Digest;
use crate::model::inventory::Stamp;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
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
    pub began_ns: i128,
}

/// What is remembered of a dataset; a later line replaces an earlier one.
#[derive(Debug, Clone, Default)]
pub struct Memo {
    known: HashMap<String, Known>,
    /// Lines that say nothing any more: replaced or damaged.
    stale: usize,
}

/// What is remembered of one file.
#[derive(Debug, Clone)]
struct Known {
    stamp: Stamp,
    sha256: Digest,
    began_ns: i128,
}

const SECOND_NS: i128 = 1_000_000_000;
/// Resolution of times with digits behind the second: a tick of the kernel is at most 10 ms.
const FINE_NS: i128 = 10_000_000;
/// Resolution of times in whole seconds; FAT counts in twos.
const COARSE_NS: i128 = 2 * SECOND_NS;
/// Smaller memos are not worth compacting.
const LEAST_STALE: usize = 256;

impl Memo {
    /// Returns the content of the file at `path`, if it had the same stamp and was at rest when it was hashed.
    #[must_use]
    pub fn get(&self, path: &str, stamp: &Stamp) -> Option<Digest> {
        let known = self.known.get(path)?;
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
        let mut text = Vec::new();
        match sources
            .open_file(name)
            .and_then(|file| fault::Watched(&file, "read memo").read_to_end(&mut text))
        {
            Ok(_) => Self::decode(&text),
            Err(_) => Self::default(),
        }
    }

    fn decode(text: &[u8]) -> Self {
        let lines = text.par_split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let lines: Vec<Option<MemoLine>> = lines.map(seal::decode).collect();
        let mut memo = Self { known: HashMap::with_capacity(lines.len()), stale: 0 };
        for line in lines {
            let replaced = line.map(|MemoLine { path, stamp, sha256, began_ns }| {
                memo.known.insert(path, Known { stamp, sha256, began_ns }).is_some()
            });
            // A damaged line says as little as one that was replaced.
            memo.stale += usize::from(replaced.unwrap_or(true));
        }
        memo
    }

    /// Returns the memo as text without its stale lines, or nothing where they are the lesser part.
    pub(super) fn compacted(&self) -> io::Result<Option<Vec<u8>>> {
        if self.stale < LEAST_STALE.max(self.known.len()) {
            return Ok(None);
        }
        let mut lines: Vec<_> = self.known.iter().collect();
        lines.sort_by_key(|(path, _)| *path);
        let mut text = Vec::new();
        for (path, known) in lines {
            let Known { stamp, sha256, began_ns } = known.clone();
            seal::encode(&MemoLine { path: path.clone(), stamp, sha256, began_ns }, &mut text)?;
        }
        Ok(Some(text))
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

    fn line(path: &str, mtime_ns: i128, ctime_ns: i128, began_ns: i128) -> MemoLine {
        let stamp = Stamp { bytes: 1, mtime_ns, ctime_ns, inode: 7 };
        MemoLine { path: path.to_owned(), stamp, sha256: Digest::of(path.as_bytes()), began_ns }
    }

    fn memo(lines: &[MemoLine]) -> Memo {
        let mut text = Vec::new();
        for line in lines {
            seal::encode(line, &mut text).unwrap();
        }
        Memo::decode(&text)
    }

    #[test]
    fn a_file_changed_while_hashing_began_is_no_hit() {
        const S: i128 = SECOND_NS;
        for (mtime, ctime, began, is_hit) in [
            (S + 1, S + 1, S + 1 + FINE_NS, false),
            (S + 1, S + 1, S + 2 + FINE_NS, true),
            (S + 1, 3 * S + 1, 2 * S, false), // changed after hashing began
            (9 * S + 1, S + 1, 2 * S, false), // modified in the future
            (S, S, 3 * S, false),             // whole seconds: two of them
            (S, S, 3 * S + 1, true),
            (S, S + 1, 2 * S, false),  // a restored time hides the resolution
            (-5 * S, -5 * S, 0, true), // before 1970
            (i128::MAX, S, i128::MAX, false),
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
        assert_eq!(Memo::decode(&text).get("a", &new.stamp), Some(new.sha256));
        assert_eq!(Memo::decode(&text).stale, 0);
    }
}
