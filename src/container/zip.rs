//! The frame of a stored ZIP (PKWARE APPNOTE 6.3.10), computed from names, sizes and checksums.
//!
//! Sizes and CRC stand in the local headers, times are 1980-01-01, zip64 fields appear only where a
//! number needs them, and every array's data begins at a multiple of 64 bytes.

use super::npy::SUFFIX;

/// The alignment of array data. `.npy` headers are padded to the same number.
pub const ALIGNMENT: u64 = 64;
/// From here on a size or an offset stands in a zip64 field.
const LARGE: u64 = 0xFFFF_FFFF;
/// 1980-01-01 in the format of MS-DOS; the time is 0.
const DOS_DATE: u16 = 0x0021;
/// APPNOTE 4.6.9: "Data Stream Alignment (Apache Commons-Compress)": alignment, then padding.
const ALIGNMENT_FIELD: u16 = 0xA11E;
const ZIP64_FIELD: u16 = 0x0001;
/// Made on Unix (3), so the attributes are a Unix mode: a regular file, 0644.
const MADE_ON_UNIX: u16 = 3 << 8;
/// APPNOTE 4.4.3.2: 4.5, "File uses ZIP64 format extensions".
const ZIP64_NEEDED: u16 = 0x2D;
const ATTRIBUTES: u32 = 0o100_644 << 16;

/// Length of the record that ends every ZIP, without comment.
pub const END_BYTES: usize = 22;
/// Length of the zip64 record and its locator, which stand before it where they are needed.
pub const END64_BYTES: usize = 56 + 20;
/// The number that begins an entry of the central directory.
pub const CENTRAL_SIGNATURE: u32 = 0x0201_4B50;
/// Length of such an entry, without name and fields.
pub const CENTRAL_BYTES: usize = 46;

/// What decides the frame of one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The member's name.
    pub name: &'static str,
    /// Bytes of its content, `.npy` header included.
    pub size: u64,
    /// CRC-32 of its content.
    pub crc: u32,
}

/// Every byte of a ZIP that is no member's content.
#[derive(Debug)]
pub struct Container {
    /// The local header of each member.
    pub headers: Vec<Vec<u8>>,
    /// Where each member's content begins in the file.
    pub offsets: Vec<u64>,
    /// Central directory and end records.
    pub tail: Vec<u8>,
    /// Bytes of the whole file.
    pub bytes: u64,
}

impl Container {
    /// Lays out the members one after another; nothing where their sizes exceed any file.
    #[must_use]
    pub fn plan(frames: &[Frame]) -> Option<Self> {
        let (mut headers, mut offsets) = (Vec::new(), Vec::new());
        let (mut directory, mut position) = (Vec::new(), 0_u64);
        for frame in frames {
            let header = local_header(frame, position);
            directory.extend(central_header(frame, position));
            position += header.len() as u64;
            offsets.push(position);
            headers.push(header);
            // No file is longer than the largest signed number, so what follows cannot overflow.
            position = position.checked_add(frame.size).filter(|end| *end < 1 << 62)?;
        }
        let tail = end_records(directory, position, frames.len() as u16);
        let bytes = position + tail.len() as u64;
        Some(Self { headers, offsets, tail, bytes })
    }
}

fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend(value.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_le_bytes());
}

/// The value of a 32-bit field whose real value stands in a zip64 field where it is large.
fn capped(value: u64) -> u32 {
    value.min(LARGE) as u32
}

/// APPNOTE 4.4.3: 2.0 for plain files, 4.5 for zip64.
fn version_needed(is_large: bool) -> u16 {
    if is_large { ZIP64_NEEDED } else { 20 }
}

/// The fields that local and central headers share, from "version needed" to "file name length".
fn put_shared(out: &mut Vec<u8>, frame: &Frame, is_large: bool) {
    put16(out, version_needed(is_large));
    put16(out, 0); // flags: no data descriptor, names are ASCII
    put16(out, 0); // method: stored
    put16(out, 0); // time
    put16(out, DOS_DATE);
    put32(out, frame.crc);
    put32(out, capped(frame.size)); // compressed
    put32(out, capped(frame.size)); // uncompressed
    put16(out, frame.name.len() as u16);
}

fn local_header(frame: &Frame, position: u64) -> Vec<u8> {
    let is_large = frame.size >= LARGE;
    let mut extra = Vec::new();
    if is_large {
        // APPNOTE 4.5.3: a local header holds both sizes.
        put16(&mut extra, ZIP64_FIELD);
        put16(&mut extra, 16);
        put64(&mut extra, frame.size);
        put64(&mut extra, frame.size);
    }
    if frame.name.ends_with(SUFFIX) {
        pad(&mut extra, position + 30 + frame.name.len() as u64);
    }
    let mut out = Vec::with_capacity(128);
    put32(&mut out, 0x0403_4B50);
    put_shared(&mut out, frame, is_large);
    put16(&mut out, extra.len() as u16);
    out.extend(frame.name.as_bytes());
    out.extend(extra);
    out
}

/// Appends an alignment field, so that what follows begins at a multiple of `ALIGNMENT`.
fn pad(extra: &mut Vec<u8>, extra_position: u64) {
    const LEAST: u64 = 6; // id, length and the alignment itself
    let end = extra_position + extra.len() as u64 + LEAST;
    let padding = end.next_multiple_of(ALIGNMENT) - end;
    put16(extra, ALIGNMENT_FIELD);
    put16(extra, (2 + padding) as u16);
    put16(extra, ALIGNMENT as u16);
    extra.resize(extra.len() + padding as usize, 0);
}

fn central_header(frame: &Frame, position: u64) -> Vec<u8> {
    let is_large = frame.size >= LARGE || position >= LARGE;
    let mut fields = Vec::new();
    if frame.size >= LARGE {
        put64(&mut fields, frame.size);
        put64(&mut fields, frame.size);
    }
    if position >= LARGE {
        put64(&mut fields, position);
    }
    let mut out = Vec::with_capacity(128);
    put32(&mut out, CENTRAL_SIGNATURE);
    put16(&mut out, MADE_ON_UNIX | version_needed(is_large));
    put_shared(&mut out, frame, is_large);
    put16(&mut out, if is_large { 4 + fields.len() as u16 } else { 0 });
    put16(&mut out, 0); // comment length
    put16(&mut out, 0); // disk
    put16(&mut out, 0); // internal attributes
    put32(&mut out, ATTRIBUTES);
    put32(&mut out, capped(position));
    out.extend(frame.name.as_bytes());
    if is_large {
        put16(&mut out, ZIP64_FIELD);
        put16(&mut out, fields.len() as u16);
        out.extend(fields);
    }
    out
}

fn end_records(directory: Vec<u8>, position: u64, members: u16) -> Vec<u8> {
    let size = directory.len() as u64;
    let mut out = directory;
    if position >= LARGE {
        let end64 = position + size;
        put32(&mut out, 0x0606_4B50);
        put64(&mut out, 44); // bytes that follow
        put16(&mut out, MADE_ON_UNIX | ZIP64_NEEDED);
        put16(&mut out, ZIP64_NEEDED);
        put64(&mut out, 0); // this disk, and the directory's disk
        put64(&mut out, u64::from(members)); // on this disk
        put64(&mut out, u64::from(members));
        put64(&mut out, size);
        put64(&mut out, position);
        put32(&mut out, 0x0706_4B50);
        put32(&mut out, 0); // disk of the zip64 record
        put64(&mut out, end64);
        put32(&mut out, 1); // disks
    }
    put32(&mut out, 0x0605_4B50);
    put32(&mut out, 0); // this disk, and the directory's disk
    put16(&mut out, members); // on this disk
    put16(&mut out, members);
    put32(&mut out, size as u32);
    put32(&mut out, capped(position));
    put16(&mut out, 0); // comment length
    out
}
