//! Rows of samples in a finished file, read stretch by stretch as little-endian float32.

use crate::container::npy::{Element, Header};
use crate::fault;
use crate::model::window::Span;
use half::f16;
use half::slice::HalfFloatSliceExt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes of a float32.
pub(super) const FLOAT: usize = 4;
/// Elements converted at once.
const CHUNK: usize = 64 * 1024;

/// An array of rows × samples, or of samples alone, in an open file.
#[derive(Debug)]
pub struct Rows<'a> {
    file: &'a File,
    /// Where the first element lies.
    offset: u64,
    element: Element,
    /// The length of each axis but the last.
    pub(super) outer: Vec<u64>,
    /// Elements of a row.
    samples: u64,
}

impl<'a> Rows<'a> {
    /// Opens the `.npy` of `bytes` bytes at `offset`. Fails with `InvalidData` where it is no array of samples.
    pub fn open(file: &'a File, offset: u64, bytes: u64) -> io::Result<Self> {
        let mut start = [0; 10];
        file.read_exact_at(&mut start, offset)?;
        let length = Header::encoded_bytes(&start).ok_or_else(no_samples)?;
        let mut text = vec![0; length];
        file.read_exact_at(&mut text, offset)?;
        let header = Header::decode(&text).ok_or_else(no_samples)?;
        let is_numeric = matches!(header.element, Element::Float32 | Element::Float16 | Element::Uint8);
        let fits = header.data_bytes().and_then(|data| data.checked_add(length as u64)) == Some(bytes);
        let (samples, outer) = header.shape.split_last().ok_or_else(no_samples)?;
        if !is_numeric || !fits || outer.len() > 1 {
            return Err(no_samples());
        }
        let offset = offset + length as u64;
        Ok(Self { file, offset, element: header.element, outer: outer.to_vec(), samples: *samples })
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.outer.first().map_or(1, |rows| *rows as usize)
    }

    /// Elements of a row.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Fills `out` with the stretch of every row, one row behind another; `span` lies within the rows.
    pub(super) fn read(&self, span: Span, out: &mut Vec<u8>) -> io::Result<()> {
        // Whoever writes the rows elsewhere says what it could not write: this is another file.
        let explain = |error: io::Error| {
            io::Error::new(error.kind(), format!("the cached file cannot be read: {error}"))
        };
        self.fill(span, out).map_err(explain)
    }

    fn fill(&self, span: Span, out: &mut Vec<u8>) -> io::Result<()> {
        let length = (span.end - span.start) as usize;
        out.resize(self.rows() * length * FLOAT, 0);
        fault::point("read rows")?;
        let width = self.element.bytes().unwrap_or(1);
        for (row, out) in out.chunks_exact_mut(length * FLOAT).enumerate() {
            let at = self.offset + (row as u64 * self.samples + span.start) * width;
            match self.element {
                // The file has the bytes that are wanted, so they pass unseen.
                Element::Float32 => self.file.read_exact_at(out, at)?,
                _ => self.convert(at, width, out)?,
            }
        }
        Ok(())
    }

    fn convert(&self, mut at: u64, width: u64, out: &mut [u8]) -> io::Result<()> {
        let mut raw = vec![0; CHUNK * width as usize];
        let (mut halves, mut floats) = (vec![f16::ZERO; CHUNK], vec![0.0_f32; CHUNK]);
        for out in out.chunks_mut(CHUNK * FLOAT) {
            let count = out.len() / FLOAT;
            let raw = &mut raw[..count * width as usize];
            self.file.read_exact_at(raw, at)?;
            at += raw.len() as u64;
            let floats = &mut floats[..count];
            if self.element == Element::Float16 {
                let halves = &mut halves[..count];
                for (half, bytes) in halves.iter_mut().zip(raw.as_chunks().0) {
                    *half = f16::from_le_bytes(*bytes);
                }
                halves.convert_to_f32_slice(floats);
            } else {
                floats.iter_mut().zip(&*raw).for_each(|(float, byte)| *float = f32::from(*byte));
            }
            for (out, float) in out.as_chunks_mut().0.iter_mut().zip(&*floats) {
                *out = float.to_le_bytes();
            }
        }
        Ok(())
    }
}

fn no_samples() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it holds no array of samples")
}
