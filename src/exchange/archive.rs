//! Arrays that another program wrote: a `.npy` file, or a member of an `.npz`, stored or deflated.
//!
//! Nothing is believed that the bytes do not bear out, nothing is unpickled, no name is used as a path. Sizes are
//! compared before anything is read, and what is read streams: a file can promise much and cost nothing.

use crate::container::npy::{Element, Header};
use crate::container::zip::{CENTRAL_BYTES, CENTRAL_SIGNATURE, END_BYTES};
use crate::exchange::door::open_regular;
use flate2::read::DeflateDecoder;
use fs_err::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// A directory of two members and the longest comment of a ZIP; longer ones are no archives of windows.
const LONGEST_TAIL: u64 = 128 * 1024;
const LOCAL_BYTES: u64 = 30;
const LARGE: u64 = 0xFFFF_FFFF;

/// Deflate packs a signal by a fifth, and nothing by more than 1,032 times.
const MOST_PACKED: u64 = 200;

/// Why a file is refused.
pub(super) type Reason = String;

/// An array that is about to be read, float by float, in the order of the file.
pub(super) struct Stream {
    /// The lengths of its axes.
    pub(super) shape: Vec<u64>,
    content: Box<dyn Read>,
    crc: crc32fast::Hasher,
    /// The checksum that the archive promises.
    promised: Option<u32>,
}

/// Where a member lies and what the archive promises of it.
struct Member {
    name: String,
    is_deflated: bool,
    crc: u32,
    packed: u64,
    bytes: u64,
    header: u64,
}

/// Opens a `.npy` file.
pub(super) fn open_npy(path: &Path) -> Result<Stream, Reason> {
    let file = open(path)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    Stream::new(Box::new(BufReader::new(file)), bytes, None)
}

/// Opens the arrays `names` of an `.npz`, the signal first; nothing stands for one that is not there. Other members
/// are refused.
pub(super) fn open_npz(path: &Path, names: [&str; 2]) -> Result<[Option<Stream>; 2], Reason> {
    let mut file = open(path)?;
    let members = directory(&mut file)?;
    let strange = members.iter().find(|member| !names.contains(&member.name.as_str()));
    if let Some(member) = strange {
        return Err(format!("it has a member {:?}", member.name));
    }
    if members.len() > names.len() || (members.len() == 2 && members[0].name == members[1].name) {
        return Err("a member stands in it twice".to_owned());
    }
    if let Some(bomb) =
        members.iter().find(|one| one.name == names[0] && one.bytes / MOST_PACKED > one.packed)
    {
        return Err(format!("its {} bytes promise {}, which no signal does", bomb.packed, bomb.bytes));
    }
    let open = |name: &str| -> Result<Option<Stream>, Reason> {
        let Some(member) = members.iter().find(|member| member.name == name) else { return Ok(None) };
        let stream = member.content(self::open(path)?);
        stream.and_then(|content| Stream::new(content, member.bytes, Some(member.crc))).map(Some)
    };
    Ok([open(names[0])?, open(names[1])?])
}

fn open(path: &Path) -> Result<File, Reason> {
    open_regular(path).map_err(unreadable)
}

#[expect(clippy::needless_pass_by_value, reason = "handed to `map_err`")]
fn unreadable(error: io::Error) -> Reason {
    format!("it cannot be read: {error}")
}

/// Why a file whose first ten bytes are these is not read.
fn other_start(start: &[u8]) -> Reason {
    match start.strip_prefix(b"\x93NUMPY") {
        Some([major, minor, ..]) => {
            format!("its header is too long, or of version {major}.{minor} and not 1.0")
        }
        _ => "it is no `.npy` file".to_owned(),
    }
}

/// Why an array is not read whose header says this. Of objects nothing is read, not even the type.
fn other_header(text: &[u8]) -> Reason {
    let text = String::from_utf8_lossy(text);
    let element = text.split_once("'descr': '").and_then(|(_, rest)| rest.split_once('\''));
    match element {
        Some((element, _)) if element.contains('O') => "it holds objects: nothing is unpickled".to_owned(),
        Some((_, rest)) if rest.contains("'fortran_order': True") => {
            "its numbers are in Fortran order and not in C order".to_owned()
        }
        Some((element, _)) if element != "<f4" => format!("its numbers are `{element}` and not `<f4`"),
        _ => "its header is none of an array of plain numbers".to_owned(),
    }
}

impl Stream {
    fn new(mut content: Box<dyn Read>, bytes: u64, promised: Option<u32>) -> Result<Self, Reason> {
        let mut text = vec![0; 10];
        content.read_exact(&mut text).map_err(unreadable)?;
        let length = Header::encoded_bytes(&text).filter(|length| *length >= text.len());
        let length = length.ok_or_else(|| other_start(&text))?;
        text.resize(length, 0);
        content.read_exact(&mut text[10..]).map_err(unreadable)?;
        let header = Header::decode_foreign(&text).ok_or_else(|| other_header(&text[10..]))?;
        if header.element != Element::Float32 {
            return Err(format!("its numbers are `{}` and not `<f4`", header.element));
        }
        if header.data_bytes().and_then(|data| data.checked_add(length as u64)) != Some(bytes) {
            return Err(format!("it has {bytes} bytes, which is not its shape {:?}", header.shape));
        }
        let mut crc = crc32fast::Hasher::new();
        crc.update(&text);
        Ok(Self { shape: header.shape, content, crc, promised })
    }

    /// Fills `out` with the next floats; `bytes` is space for four times as many bytes.
    pub(super) fn read(&mut self, bytes: &mut [u8], out: &mut [f32]) -> Result<(), Reason> {
        self.content.read_exact(bytes).map_err(unreadable)?;
        self.crc.update(bytes);
        for (float, bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
            *float = f32::from_le_bytes(*bytes);
        }
        Ok(())
    }

    /// Compares the checksum, when everything was read.
    pub(super) fn finish(self) -> Result<(), Reason> {
        let found = self.crc.finalize();
        match self.promised {
            Some(promised) if promised != found => Err("its checksum is wrong".to_owned()),
            _ => Ok(()),
        }
    }
}

impl Member {
    /// The content, behind a local header of which only the lengths are needed.
    fn content(&self, mut file: File) -> Result<Box<dyn Read>, Reason> {
        let mut local = [0; LOCAL_BYTES as usize];
        file.seek(SeekFrom::Start(self.header)).map_err(unreadable)?;
        file.read_exact(&mut local).map_err(unreadable)?;
        let names = number(&local, 26, 2).unwrap_or(0) + number(&local, 28, 2).unwrap_or(0);
        file.seek(SeekFrom::Current(names as i64)).map_err(unreadable)?;
        let packed = BufReader::new(file.take(self.packed));
        // One byte more than promised would show in the shape, so no more is ever unpacked.
        Ok(if self.is_deflated {
            Box::new(DeflateDecoder::new(packed).take(self.bytes))
        } else {
            Box::new(packed)
        })
    }
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(width)?)?;
    Some(field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// Reads the central directory (APPNOTE 4.3.12); an archive whose directory is itself beyond 4 GiB has a zip64 record.
fn directory(file: &mut File) -> Result<Vec<Member>, Reason> {
    let size = file.metadata().map_err(unreadable)?.len();
    let tail_at = size.saturating_sub(LONGEST_TAIL);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(tail_at)).map_err(unreadable)?;
    file.by_ref().take(LONGEST_TAIL).read_to_end(&mut tail).map_err(unreadable)?;
    let members = decode_directory(&tail, tail_at).ok_or("it is no ZIP archive of a few members")?;
    let is_inside = |member: &Member| {
        let end = member.header.checked_add(LOCAL_BYTES).and_then(|at| at.checked_add(member.packed));
        end.is_some_and(|end| end <= size) && (member.is_deflated || member.packed == member.bytes)
    };
    if members.iter().all(is_inside) { Ok(members) } else { Err("its members lie outside of it".to_owned()) }
}

fn decode_directory(tail: &[u8], tail_at: u64) -> Option<Vec<Member>> {
    let signature = 0x0605_4B50_u32.to_le_bytes();
    let end =
        (0..=tail.len().checked_sub(END_BYTES)?).rev().find(|at| tail[*at..].starts_with(&signature))?;
    let count = number(tail, end + 10, 2)?;
    let mut position = number(tail, end + 16, 4)?;
    if position == LARGE {
        // APPNOTE 4.3.15: the locator stands before the end record and names the zip64 record.
        let record = number(tail, end.checked_sub(20)? + 8, 8)?.checked_sub(tail_at)?;
        position = number(tail, usize::try_from(record).ok()?.checked_add(48)?, 8)?;
    }
    let mut at = usize::try_from(position.checked_sub(tail_at)?).ok()?;
    // Two are wanted; one more shows that there are too many.
    let mut members = Vec::new();
    for _ in 0..count.min(3) {
        let (member, bytes) = decode_member(tail.get(at..)?)?;
        members.push(member);
        at += bytes;
    }
    Some(members)
}

fn decode_member(entry: &[u8]) -> Option<(Member, usize)> {
    let (name_bytes, extra_bytes) = (number(entry, 28, 2)? as usize, number(entry, 30, 2)? as usize);
    let method = number(entry, 10, 2)?;
    let is_encrypted = number(entry, 8, 2)? & 1 == 1;
    if number(entry, 0, 4)? != u64::from(CENTRAL_SIGNATURE) || !matches!(method, 0 | 8) || is_encrypted {
        return None;
    }
    let extra_at = CENTRAL_BYTES + name_bytes;
    let name = String::from_utf8_lossy(entry.get(CENTRAL_BYTES..extra_at)?).into_owned();
    let mut wide = zip64_fields(entry.get(extra_at..extra_at + extra_bytes)?).into_iter();
    // APPNOTE 4.5.3: the fields stand in this order, each only where the narrow one is full.
    let mut value = |at: usize| match number(entry, at, 4)? {
        LARGE => wide.next(),
        narrow => Some(narrow),
    };
    let (bytes, packed, header) = (value(24)?, value(20)?, value(42)?);
    let crc = number(entry, 16, 4)? as u32;
    let member = Member { name, is_deflated: method == 8, crc, packed, bytes, header };
    Some((member, extra_at + extra_bytes + number(entry, 32, 2)? as usize))
}

/// The numbers of the zip64 field, where there is one.
fn zip64_fields(mut extra: &[u8]) -> Vec<u64> {
    while let (Some(id), Some(length)) = (number(extra, 0, 2), number(extra, 2, 2)) {
        let end = (4 + length as usize).min(extra.len());
        if id == 1 {
            return extra[4..end].as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        }
        extra = &extra[end..];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// An archive of one member without name or content, all of whose numbers stand in zip64 fields.
    fn archive(packed: u64, header: u64, record: u64) -> Vec<u8> {
        let mut central = vec![0; CENTRAL_BYTES];
        central[..4].copy_from_slice(&CENTRAL_SIGNATURE.to_le_bytes());
        central[10] = 8;
        for at in [20, 24, 42] {
            central[at..at + 4].fill(0xFF);
        }
        central[30] = 4 + 24;
        central.extend([1, 0, 24, 0]);
        central.extend([0, packed, header].iter().flat_map(|number| number.to_le_bytes()));
        let mut bytes = central;
        // The zip64 record with the place of the directory, its locator, and the end record.
        bytes.resize(bytes.len() + 56, 0);
        bytes.extend([0; 8]);
        bytes.extend(record.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(0x0605_4B50_u32.to_le_bytes());
        bytes.extend([0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0]);
        bytes
    }

    #[test]
    fn numbers_beyond_any_file_are_refused() {
        let record = (CENTRAL_BYTES + 28) as u64;
        for (numbers, why) in [
            ((0, 0, record), None),
            ((u64::MAX, 0, record), Some("lie outside")),
            ((u64::MAX - 29, 0, record), Some("lie outside")),
            ((u64::MAX - 29, 30, record), Some("lie outside")),
            ((0, u64::MAX, record), Some("lie outside")),
            ((0, 0, u64::MAX), Some("no ZIP archive")),
            ((0, 0, u64::MAX - 47), Some("no ZIP archive")),
        ] {
            let mut written = tempfile::NamedTempFile::new().unwrap();
            written.write_all(&archive(numbers.0, numbers.1, numbers.2)).unwrap();
            let found = directory(&mut File::open(written.path()).unwrap());
            match (why, found) {
                (None, Ok(members)) => assert_eq!(members.len(), 1),
                (Some(why), Err(reason)) => assert!(reason.contains(why), "{numbers:?}: {reason}"),
                (_, found) => panic!("{numbers:?}: {:?}", found.map(|members| members.len())),
            }
        }
    }
}
