//! A manifest read entry by entry, as `encode` writes it: of 100,000 recordings its text is as large as what it says, and
//! neither waits for the other to be whole.
//!
//! Whatever is not as it was written, damage above all, is nothing here: `decode` reads the whole text then and says what it is.

use super::{SEAL_BYTES, checked, seal};
use crate::model::id::{Digest, ProfileName, VersionName};
use crate::model::manifest::{Entry, Manifest};
use crate::store::lines::{lines, whole_lines};
use crate::store::sha256::Sha256;
use std::io::{self, Read};
use std::sync::Arc;

/// Bytes that are read at once: they are hashed and parsed while they are in the second-level cache.
const CHUNK: u64 = 1 << 18;
/// Bytes of a line at most: the longest entries have some ten thousand events. A longer one is read with the whole text.
const LONGEST_LINE: usize = 1 << 26;
/// The line behind which every line is an entry.
const FIRST: &str = "\"entries\":[\n";

/// Reads a manifest from its first byte to its last; nothing where it is damaged, another version's, or not as this program writes it.
pub(in crate::store) fn read(
    mut from: impl Read,
    profile: &ProfileName,
    version: &VersionName,
) -> io::Result<Option<Manifest>> {
    let (mut reader, mut text) = (Reader::new(), Vec::new());
    while from.by_ref().take(CHUNK).read_to_end(&mut text)? > 0 {
        let end = whole_lines(&text);
        if text.len() - end > LONGEST_LINE || reader.take(&text[..end]).is_none() {
            return Ok(None);
        }
        text.drain(..end);
    }
    let manifest = if text.is_empty() { reader.finish() } else { None };
    Ok(manifest.and_then(|manifest| checked(manifest, profile, version).ok()))
}

/// What was read so far.
struct Reader {
    seal: Option<Digest>,
    /// Of what follows the seal.
    hash: Sha256,
    /// Everything but the entries.
    frame: Vec<u8>,
    entries: Vec<Arc<Entry>>,
    position: Position,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// Between the fields.
    Frame,
    /// Before the first entry.
    Begin,
    /// Behind an entry and a comma.
    Comma,
    /// Behind an entry.
    Entry,
}

impl Reader {
    fn new() -> Self {
        Self {
            seal: None,
            hash: Sha256::new(),
            frame: Vec::new(),
            entries: Vec::new(),
            position: Position::Frame,
        }
    }

    /// Takes whole lines in; the first ones begin with the seal.
    fn take(&mut self, text: &[u8]) -> Option<()> {
        let mut rest = text;
        if self.seal.is_none() {
            let (head, body) = text.split_at_checked(SEAL_BYTES)?;
            self.seal = Some(seal(head)?);
            self.frame.extend(head);
            rest = body;
        }
        self.hash.update(rest);
        // All at once: the text between quotes need not be looked at again, string by string.
        let rest = std::str::from_utf8(rest).ok()?;
        lines(rest.as_bytes()).try_for_each(|line| self.take_line(&rest[line]))
    }

    fn take_line(&mut self, line: &str) -> Option<()> {
        let is_end = line.starts_with(']');
        self.position = match self.position {
            Position::Frame => {
                self.frame.extend(line.as_bytes());
                if line == FIRST { Position::Begin } else { Position::Frame }
            }
            Position::Begin | Position::Entry if is_end => {
                self.frame.extend(line.as_bytes());
                Position::Frame
            }
            Position::Begin | Position::Comma => {
                let line = line.strip_suffix('\n')?;
                let (entry, position) =
                    line.strip_suffix(',').map_or((line, Position::Entry), |entry| (entry, Position::Comma));
                self.entries.push(Arc::new(serde_json::from_str(entry).ok()?));
                position
            }
            Position::Entry => return None,
        };
        Some(())
    }

    fn finish(self) -> Option<Manifest> {
        if self.seal? != self.hash.finish() {
            return None;
        }
        let frame: Manifest = serde_json::from_slice(&self.frame).ok()?;
        // Entries that do not stand line by line are read with the frame, or not at all.
        frame.entries.is_empty().then_some(Manifest { entries: self.entries, ..frame })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::manifest::{FileRecord, Files};
    use crate::model::stem::Stem;
    use crate::store::faults;
    use crate::store::manifest::{decode, encode};

    /// A manifest of so many entries, as text.
    fn written(entries: usize) -> Vec<u8> {
        let (_, version, _) = faults::names();
        let one = |number: usize| {
            let id = format!("r{number:05}");
            let signal =
                FileRecord { name: format!("train/{id}.npz"), bytes: 7, sha256: Digest::of(id.as_bytes()) };
            let files = Files { signal, labels: None };
            Arc::new(Entry { id: Stem::parse(&id).unwrap(), ..faults::entry(files) })
        };
        let manifest = faults::manifest(&version, faults::entry(one(0).files.clone()));
        encode(&Manifest { entries: (0..entries).map(one).collect(), ..manifest }).unwrap()
    }

    fn found(text: &[u8]) -> Option<Manifest> {
        let (profile, version, _) = faults::names();
        read(text, &profile, &version).unwrap()
    }

    /// What the whole text says.
    fn expected(text: &[u8]) -> Result<Manifest, String> {
        let (profile, version, _) = faults::names();
        decode(text, &profile, &version)
    }

    fn sealed(body: &[u8]) -> Vec<u8> {
        [b"{\"checksum\":\"", Digest::of(body).to_string().as_bytes(), b"\",\n", body].concat()
    }

    #[test]
    fn what_was_written_is_read_as_its_whole_text_is() {
        for entries in [0, 1, 2, 3000] {
            let text = written(entries);
            assert!(entries < 3000 || text.len() as u64 > 4 * CHUNK, "{} bytes are few", text.len());
            let manifest = found(&text).unwrap();
            assert_eq!(manifest.entries.len(), entries);
            assert_eq!(Ok(manifest), expected(&text));
        }
    }

    #[test]
    fn what_was_not_written_so_is_nothing() {
        let text = written(2);
        for end in 0..text.len() {
            assert_eq!(found(&text[..end]), None, "cut at {end}");
        }
        for byte in 0..text.len() {
            let mut changed = text.clone();
            changed[byte] ^= 4;
            assert_eq!(found(&changed), None, "byte {byte}");
        }
        let (profile, _, other) = faults::names();
        assert_eq!(read(&text[..], &profile, &other).unwrap(), None);
        let body = std::str::from_utf8(&text[SEAL_BYTES..]).unwrap();
        for (from, to, is_manifest) in [
            ("},\n{\"id\"", "}\n{\"id\"", false),
            ("\n],\n\"quarantine\"", ",\n],\n\"quarantine\"", false),
            ("\n],\n\"quarantine\"", "\n]\n\"quarantine\"", false),
            ("\"entries\":[\n", "\"entries\":[\n\n", true),
            ("\"entries\":[\n", "\"entries\": [\n", true),
            ("\"entries\":[\n", "\"entries\":[", true),
            ("{\"id\"", " {\"id\"", true),
        ] {
            let text = sealed(body.replacen(from, to, 1).as_bytes());
            assert_ne!(&text[SEAL_BYTES..], body.as_bytes(), "{from}");
            assert_eq!(expected(&text).is_ok(), is_manifest, "{to}");
            // What is read one way and not the other is read the other way.
            assert!(found(&text).is_none_or(|manifest| Ok(manifest) == expected(&text)), "{to}");
        }
    }
}
