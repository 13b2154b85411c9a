//! Finished files in: `entry.json`, where the members lie, and whether every byte is what it was.
//!
//! No length is believed before it is compared with the file's; member names are an allow-list; and
//! the whole frame is computed anew and compared, so no bit of a file is outside of some check.

use super::{CHUNK, ENTRY_SCHEMA, LABEL_MEMBERS, SIGNAL_MEMBERS};
use crate::container::npy::{Element, Header, SUFFIX};
use crate::container::zip::{CENTRAL_BYTES, CENTRAL_SIGNATURE, Container, END_BYTES, END64_BYTES, Frame};
use crate::fault;
use crate::model::artifact::Facts;
use crate::model::id::Digest;
use crate::store::sha256::{Sha256, update_both};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Central directory and end records of our files take far less.
const LONGEST_TAIL: u64 = 4096;
/// More than a million events; a longer `entry.json` is none of ours.
const LONGEST_ENTRY: u64 = 256 * 1024 * 1024;

/// Where a member's content lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its name, `signal.npy`.
    pub name: &'static str,
    /// Where its content begins, in bytes from the start of the file; a `.npy` header comes first.
    pub offset: u64,
    /// Bytes of its content.
    pub bytes: u64,
}

/// The frame of a finished file and what the file says of itself; array data is not looked at.
#[derive(Debug)]
pub struct Archive {
    /// The members in file order.
    pub members: Vec<Member>,
    /// The content of `entry.json`.
    pub facts: Facts,
    frames: Vec<Frame>,
    container: Container,
}

/// A file in which every byte was found to be right.
#[derive(Debug)]
pub(in crate::store) struct Verified {
    pub(in crate::store) bytes: u64,
    pub(in crate::store) sha256: Digest,
    pub(in crate::store) facts: Facts,
}

/// Why a file is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// The system would not read it, which says nothing about its bytes.
    #[error("it cannot be read: {0}")]
    Unread(io::Error),
    /// Its bytes are not what they ought to be.
    #[error("{0}")]
    Damaged(String),
}

impl From<String> for Flaw {
    fn from(message: String) -> Self {
        Self::Damaged(message)
    }
}

impl From<&str> for Flaw {
    fn from(message: &str) -> Self {
        Self::Damaged(message.to_owned())
    }
}

impl From<io::Error> for Flaw {
    fn from(error: io::Error) -> Self {
        // A file that ends before its directory says so is cut short, which is no trouble of the machine.
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Self::Damaged("it ends before its directory says so".to_owned());
        }
        Self::Unread(error)
    }
}

impl Archive {
    /// Reads the end of the file and `entry.json`.
    pub fn read(file: &File) -> Result<Self, Flaw> {
        let size = file.metadata()?.len();
        let tail = read_at(file, size.saturating_sub(LONGEST_TAIL), size.min(LONGEST_TAIL))?;
        let frames = decode_frames(&tail).ok_or("the directory at its end is not one of ours")?;
        let container = Container::plan(&frames).ok_or("its directory promises more than any file holds")?;
        if container.bytes != size {
            return Err(
                format!("it has {size} bytes where its directory promises {}", container.bytes).into()
            );
        }
        if !tail.ends_with(&container.tail) {
            return Err("the directory at its end is changed".into());
        }
        let members = frames.iter().zip(&container.offsets);
        let members: Vec<_> = members
            .map(|(frame, offset)| Member { name: frame.name, offset: *offset, bytes: frame.size })
            .collect();
        let facts = read_facts(file, &frames, &members)?;
        Ok(Self { members, facts, frames, container })
    }
}

/// True for an archive that another program finished. What is no whole archive may be one of ours that was damaged.
pub(in crate::store) fn is_foreign(file: &File) -> std::io::Result<bool> {
    const END: &[u8] = b"PK\x05\x06";
    let size = file.metadata()?.len();
    let tail = read_at(file, size.saturating_sub(LONGEST_TAIL), size.min(LONGEST_TAIL))?;
    let has_end = tail.len().checked_sub(END_BYTES).is_some_and(|at| tail[at..].starts_with(END));
    Ok(has_end && decode_frames(&tail).is_none())
}

/// Reads the whole file once and compares every byte with what it ought to be.
pub(in crate::store) fn verify(file: &File) -> Result<Verified, Flaw> {
    let archive = Archive::read(file)?;
    let mut stream = Stream { file, position: 0, sha: Sha256::new(), buffer: vec![0; CHUNK] };
    let mut headers = Vec::new();
    for (index, frame) in archive.frames.iter().enumerate() {
        stream.expect(&archive.container.headers[index], frame.name)?;
        if let Some(array) = frame.name.strip_suffix(SUFFIX) {
            let (header, digest) = stream.array(frame)?;
            if archive.facts.arrays().get(array) != Some(&digest) {
                return Err(format!("array `{array}` is not the one that `entry.json` names").into());
            }
            headers.push(header);
        } else {
            let crc = stream.content(frame.size, &mut Sha256::new(), crc32fast::Hasher::new())?;
            check_crc(frame, crc)?;
        }
    }
    stream.expect(&archive.container.tail, "directory")?;
    if archive.facts.arrays().len() != headers.len() {
        return Err("`entry.json` names arrays that are not there".into());
    }
    check_shapes(&archive.facts, &headers)?;
    let sha256 = stream.sha.finish();
    Ok(Verified { bytes: archive.container.bytes, sha256, facts: archive.facts })
}

fn read_at(file: &File, offset: u64, bytes: u64) -> io::Result<Vec<u8>> {
    let mut out = vec![0; bytes as usize];
    fault::point("read file").and_then(|()| file.read_exact_at(&mut out, offset))?;
    Ok(out)
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(width)?)?;
    Some(field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// Reads names, sizes and checksums from the central directory at the end of `tail`. Whatever else
/// stands there is not believed but compared with a frame computed from these.
fn decode_frames(tail: &[u8]) -> Option<Vec<Frame>> {
    let end = tail.len().checked_sub(END_BYTES)?;
    let count = number(tail, end + 10, 2)? as usize;
    let is_large = number(tail, end + 16, 4)? == 0xFFFF_FFFF;
    let directory_end = if is_large { end.checked_sub(END64_BYTES)? } else { end };
    let directory_bytes = number(tail, end + 12, 4)? as usize;
    let names: &[&'static str] = match count {
        5 => &SIGNAL_MEMBERS,
        2 => &LABEL_MEMBERS,
        _ => return None,
    };
    let mut at = directory_end.checked_sub(directory_bytes)?;
    let mut frames = Vec::new();
    for name in names {
        let (frame, bytes) = decode_frame(tail.get(at..directory_end)?, name)?;
        frames.push(frame);
        at += bytes;
    }
    Some(frames)
}

/// Reads one entry of the central directory and returns its length with it.
fn decode_frame(entry: &[u8], name: &'static str) -> Option<(Frame, usize)> {
    let name_bytes = number(entry, 28, 2)? as usize;
    let extra_bytes = number(entry, 30, 2)? as usize;
    let stored_name = entry.get(CENTRAL_BYTES..CENTRAL_BYTES + name_bytes)?;
    if number(entry, 0, 4)? != u64::from(CENTRAL_SIGNATURE) || stored_name != name.as_bytes() {
        return None;
    }
    let size = match number(entry, 24, 4)? {
        // The size is the first number of the zip64 field, behind its id and length.
        0xFFFF_FFFF => number(entry, CENTRAL_BYTES + name_bytes + 4, 8)?,
        size => size,
    };
    let frame = Frame { name, size, crc: number(entry, 16, 4)? as u32 };
    Some((frame, CENTRAL_BYTES + name_bytes + extra_bytes))
}

fn read_facts(file: &File, frames: &[Frame], members: &[Member]) -> Result<Facts, Flaw> {
    let (Some(frame), Some(member)) = (frames.last(), members.last()) else {
        return Err("it has no members".into());
    };
    if member.bytes > LONGEST_ENTRY {
        return Err(format!("its `entry.json` of {} bytes is absurd", member.bytes).into());
    }
    let text = read_at(file, member.offset, member.bytes)?;
    check_crc(frame, crc32fast::hash(&text))?;
    let facts = decode_facts(&text)?;
    let names = match facts {
        Facts::Signal(_) => &SIGNAL_MEMBERS[..],
        Facts::Labels(_) => &LABEL_MEMBERS[..],
    };
    if members.len() != names.len() {
        return Err("its `entry.json` is of another kind than its arrays".into());
    }
    Ok(facts)
}

fn decode_facts(text: &[u8]) -> Result<Facts, String> {
    #[derive(serde::Deserialize)]
    struct Head {
        schema: u64,
    }
    let no_json = |error: serde_json::Error| format!("its `entry.json` cannot be read: {error}");
    let head: Head = serde_json::from_slice(text).map_err(no_json)?;
    if head.schema != ENTRY_SCHEMA {
        return Err(format!("its `entry.json` has schema {}, known is {ENTRY_SCHEMA}", head.schema));
    }
    serde_json::from_slice(text).map_err(no_json)
}

fn check_crc(frame: &Frame, crc: u32) -> Result<(), String> {
    if crc == frame.crc { Ok(()) } else { Err(format!("member `{}` fails its checksum", frame.name)) }
}

/// Compares the shapes of the arrays with each other and with the facts.
fn check_shapes(facts: &Facts, headers: &[Header]) -> Result<(), String> {
    let is_right = match (facts, headers) {
        (Facts::Signal(facts), [signal, channels, rate, scale]) => {
            let rows = signal.shape.first().copied().unwrap_or(0);
            matches!(signal.element, Element::Float32 | Element::Float16)
                && signal.shape == [rows, facts.samples]
                && matches!(channels.element, Element::Text(_))
                && channels.shape == [rows]
                && *rate == Header::new(Element::Float64, &[])
                && *scale == Header::new(Element::Float64, &[rows, 2])
        }
        (Facts::Labels(facts), [labels]) => *labels == Header::new(Element::Uint8, &[facts.samples]),
        _ => false,
    };
    if is_right { Ok(()) } else { Err("the shapes of its arrays contradict its `entry.json`".to_owned()) }
}

/// A forward walk over a file that hashes everything it passes.
struct Stream<'a> {
    file: &'a File,
    position: u64,
    sha: Sha256,
    buffer: Vec<u8>,
}

impl Stream<'_> {
    /// Passes bytes that are known beforehand.
    fn expect(&mut self, bytes: &[u8], what: &str) -> Result<(), Flaw> {
        let found = self.take(bytes.len())?;
        if found == bytes { Ok(()) } else { Err(format!("the frame of `{what}` is changed").into()) }
    }

    /// Passes a few bytes and returns them.
    fn take(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        let found = read_at(self.file, self.position, bytes as u64)?;
        self.position += bytes as u64;
        self.sha.update(&found);
        Ok(found)
    }

    /// Passes an array and returns its header and the digest of its data.
    fn array(&mut self, frame: &Frame) -> Result<(Header, Digest), Flaw> {
        let no_header = || format!("member `{}` has no header of ours", frame.name);
        let start = read_at(self.file, self.position, frame.size.min(10))?;
        let bytes = Header::encoded_bytes(&start).ok_or_else(no_header)?;
        if bytes as u64 > frame.size {
            return Err(no_header().into());
        }
        let text = self.take(bytes)?;
        let header = Header::decode(&text).ok_or_else(no_header)?;
        if header.data_bytes() != Some(frame.size - bytes as u64) {
            let message = format!("member `{}` has {} bytes, which is not its shape", frame.name, frame.size);
            return Err(message.into());
        }
        let mut crc = crc32fast::Hasher::new();
        crc.update(&text);
        let mut sha = Sha256::new();
        let crc = self.content(frame.size - bytes as u64, &mut sha, crc)?;
        check_crc(frame, crc)?;
        Ok((header, sha.finish()))
    }

    /// Passes `bytes` of content and returns their CRC-32.
    fn content(&mut self, bytes: u64, sha: &mut Sha256, mut crc: crc32fast::Hasher) -> io::Result<u32> {
        let mut left = bytes;
        while left > 0 {
            let chunk = &mut self.buffer[..left.min(CHUNK as u64) as usize];
            fault::point("read file").and_then(|()| self.file.read_exact_at(chunk, self.position))?;
            update_both(&mut self.sha, sha, chunk);
            crc.update(chunk);
            self.position += chunk.len() as u64;
            left -= chunk.len() as u64;
        }
        Ok(crc.finalize())
    }
}
