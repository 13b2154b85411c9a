//! Windows of rows as an array: written one behind another, as slices of the stretch that is in memory.

use crate::container::npy::{Element, Header, SUFFIX};
use crate::container::zip::{Container, Frame};
use crate::exchange::rows::{FLOAT, Rows};
use crate::exchange::target::Written;
use crate::fault::Watched;
use crate::model::id::Digest;
use crate::model::window::{Span, Windowing};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{self, IoSlice, Seek, Write};

/// Bytes of a stretch: long enough that little is read twice, short enough for many threads.
const STRETCH_BYTES: u64 = 32 * 1024 * 1024;

/// The windows of rows: n × rows × samples, or n × samples where there is but one row without an axis of its own.
#[derive(Debug)]
pub struct Array<'a> {
    rows: Rows<'a>,
    length: u64,
    starts: &'a [u64],
}

impl<'a> Array<'a> {
    /// Returns the windows that begin at `starts`, which ascend; each must end within the rows.
    #[must_use]
    pub fn new(rows: Rows<'a>, windowing: Windowing, starts: &'a [u64]) -> Self {
        Self { rows, length: windowing.length(), starts }
    }

    fn header(&self) -> Header {
        let mut shape = vec![self.starts.len() as u64];
        shape.extend(&self.rows.outer);
        shape.push(self.length);
        Header::new(Element::Float32, &shape)
    }

    /// Writes header and data; returns the CRC-32 of both and the digest of the data.
    fn write(&self, out: &mut impl Write) -> io::Result<(u32, Digest)> {
        let text = self.header().encode();
        let (mut crc, mut sha) = (crc32fast::Hasher::new(), Sha256::new());
        crc.update(&text);
        out.write_all(&text)?;
        self.for_each_window(&mut |slices| {
            for slice in &*slices {
                crc.update(slice);
                sha.update(&**slice);
            }
            write_all_vectored(out, slices)
        })?;
        Ok((crc.finalize(), Digest::from_bytes(sha.finalize().into())))
    }

    /// Bytes of header and data; nothing where they exceed any file.
    fn bytes(&self) -> Option<u64> {
        let header = self.header();
        header.data_bytes()?.checked_add(header.encode().len() as u64)
    }

    /// Hands out the rows of each window. Consecutive windows share one stretch of the file.
    fn for_each_window(&self, each: &mut dyn FnMut(&mut [IoSlice<'_>]) -> io::Result<()>) -> io::Result<()> {
        let most = STRETCH_BYTES / (self.rows.rows().max(1) * FLOAT) as u64;
        let (mut stretch, mut open) = (Vec::new(), self.starts);
        while let Some(first) = open.first() {
            let count = open.partition_point(|start| start + self.length <= first + most).max(1);
            let (now, rest) = open.split_at(count);
            let span = Span { start: *first, end: now[count - 1] + self.length };
            self.rows.read(span, &mut stretch)?;
            let row_bytes = (span.end - span.start) as usize * FLOAT;
            for start in now {
                let from = (start - first) as usize * FLOAT;
                let window = from..from + self.length as usize * FLOAT;
                let mut slices: Vec<IoSlice<'_>> =
                    stretch.chunks_exact(row_bytes).map(|row| IoSlice::new(&row[window.clone()])).collect();
                each(&mut slices)?;
            }
            open = rest;
        }
        Ok(())
    }
}

fn write_all_vectored(out: &mut impl Write, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match out.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(bytes) => IoSlice::advance_slices(&mut slices, bytes),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "its windows exceed any file")
}

/// Writes a `.npy` file of an array and its name.
pub(crate) fn write_npy(file: &mut Watched<'_>, name: &str, array: &Array<'_>) -> io::Result<Written> {
    let bytes = array.bytes().ok_or_else(too_large)?;
    let (_, digest) = array.write(file)?;
    Ok(Written { bytes, arrays: BTreeMap::from([(name.to_owned(), digest)]) })
}

/// Writes an `.npz` file of members and their arrays.
///
/// Sizes are known beforehand and checksums are not, so the local headers are written again at the end.
pub(crate) fn write_npz(
    file: &mut Watched<'_>,
    members: &[(&'static str, &Array<'_>)],
) -> io::Result<Written> {
    let size =
        |(name, array): &(&'static str, &Array<'_>)| Some(Frame { name, size: array.bytes()?, crc: 0 });
    let mut frames = members.iter().map(size).collect::<Option<Vec<Frame>>>().ok_or_else(too_large)?;
    let draft = Container::plan(&frames).ok_or_else(too_large)?;
    let mut arrays = BTreeMap::new();
    for (((name, array), frame), header) in members.iter().zip(&mut frames).zip(&draft.headers) {
        file.write_all(header)?;
        let (crc, digest) = array.write(file)?;
        frame.crc = crc;
        arrays.insert(name.trim_end_matches(SUFFIX).to_owned(), digest);
    }
    let container = Container::plan(&frames).ok_or_else(too_large)?;
    file.write_all(&container.tail)?;
    for (header, offset) in container.headers.iter().zip(&container.offsets) {
        file.write_all_at(header, offset - header.len() as u64)?;
    }
    debug_assert_eq!(file.0.stream_position()?, container.bytes);
    Ok(Written { bytes: container.bytes, arrays })
}
