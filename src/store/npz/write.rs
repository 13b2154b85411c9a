//! Arrays and facts out: one pass over every array for the checksum that stands before it, one to write and hash it.

use super::{CHUNK, ENTRY, ENTRY_SCHEMA};
use crate::container::npy::{Element, Header, SUFFIX};
use crate::container::zip::{Container, Frame};
use crate::model::artifact::Facts;
use crate::model::recipe::Dtype;
use crate::model::recording::Signal;
use crate::store::hashed::Hashed;
use crate::store::sha256::Sha256;
use half::f16;
use half::slice::HalfFloatSliceExt;
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, Write};
use zerocopy::IntoBytes;

/// An array that is to be written.
pub(in crate::store) struct Array<'a> {
    member: &'static str,
    header: Header,
    data: Data<'a>,
}

/// Elements as they lie in memory.
enum Data<'a> {
    Float32(Cow<'a, [f32]>),
    /// Rounded to binary16 (nearest, ties to even) on the way out.
    Float16(Cow<'a, [f32]>),
    Bytes(Cow<'a, [u8]>),
}

/// `entry.json`.
#[derive(Serialize)]
struct EntryText<'a> {
    schema: u64,
    #[serde(flatten)]
    facts: &'a Facts,
}

/// Rounds samples to what a file of this type gives back.
pub fn round_as_stored(signal: &mut Signal, dtype: Dtype) {
    if dtype == Dtype::Float16 {
        // As the slices of `Data::Float16`: to nearest, ties to even.
        signal.data.mapv_inplace(|value| f16::from_f32(value).to_f32());
    }
}

/// Returns the arrays of a signal file.
pub(in crate::store) fn signal_arrays(signal: &Signal, dtype: Dtype) -> Vec<Array<'_>> {
    let (rows, samples) = (signal.data.nrows() as u64, signal.data.ncols() as u64);
    let values = match signal.data.as_slice() {
        Some(values) => Cow::Borrowed(values),
        None => Cow::Owned(signal.data.iter().copied().collect()),
    };
    let (element, data) = match dtype {
        Dtype::Float32 => (Element::Float32, Data::Float32(values)),
        Dtype::Float16 => (Element::Float16, Data::Float16(values)),
    };
    let (text, names) = text_data(&signal.channels);
    let rate = signal.rate.as_f64().to_le_bytes().to_vec();
    let scale = signal.scale.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    vec![
        Array { member: "signal.npy", header: Header::new(element, &[rows, samples]), data },
        Array::of_bytes("channels.npy", Header::new(text, &[signal.channels.len() as u64]), names),
        Array::of_bytes("rate_hz.npy", Header::new(Element::Float64, &[]), rate),
        Array::of_bytes("scale.npy", Header::new(Element::Float64, &[signal.scale.len() as u64, 2]), scale),
    ]
}

/// Returns the arrays of a labels file.
pub(in crate::store) fn label_arrays(labels: &[u8]) -> Vec<Array<'_>> {
    let header = Header::new(Element::Uint8, &[labels.len() as u64]);
    vec![Array { member: "labels.npy", header, data: Data::Bytes(Cow::Borrowed(labels)) }]
}

/// Encodes texts as `NumPy` does: UTF-32, padded with zeros to the longest one.
fn text_data(texts: &[String]) -> (Element, Vec<u8>) {
    let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
    let mut bytes = Vec::with_capacity(texts.len() * longest * 4);
    for text in texts {
        let padded = text.chars().map(u32::from).chain(std::iter::repeat(0)).take(longest);
        bytes.extend(padded.flat_map(u32::to_le_bytes));
    }
    (Element::Text(longest as u64), bytes)
}

/// Writes the whole file; fills in the digests of the arrays on the way.
pub(in crate::store) fn write(
    arrays: &[Array<'_>],
    mut facts: Facts,
    out: &mut Hashed<impl Write>,
) -> io::Result<Facts> {
    let mut frames = arrays.iter().map(Array::frame).collect::<io::Result<Vec<_>>>()?;
    let mut digests = std::collections::BTreeMap::new();
    // What stands before a member does not depend on those behind it.
    for (array, header) in arrays.iter().zip(plan(&frames)?.headers) {
        out.write_all(&header)?;
        out.write_all(&array.header.encode())?;
        let mut sha = Sha256::new();
        array.data.for_each_chunk(|chunk| out.write_for_both(chunk, &mut sha))?;
        digests.insert(array.member.trim_end_matches(SUFFIX).to_owned(), sha.finish());
    }
    match &mut facts {
        Facts::Signal(facts) => facts.arrays = digests,
        Facts::Labels(facts) => facts.arrays = digests,
    }
    let entry = serde_json::to_vec(&EntryText { schema: ENTRY_SCHEMA, facts: &facts })?;
    frames.push(Frame { name: ENTRY, size: entry.len() as u64, crc: crc32fast::hash(&entry) });
    let container = plan(&frames)?;
    out.write_all(&container.headers[arrays.len()])?;
    out.write_all(&entry)?;
    out.write_all(&container.tail)?;
    Ok(facts)
}

fn plan(frames: &[Frame]) -> io::Result<Container> {
    Container::plan(frames).ok_or_else(|| io::Error::other("the arrays exceed 64 bits"))
}

impl Array<'_> {
    fn of_bytes(member: &'static str, header: Header, data: Vec<u8>) -> Self {
        Self { member, header, data: Data::Bytes(Cow::Owned(data)) }
    }

    /// Computes the CRC-32 of the member, which stands before it.
    fn frame(&self) -> io::Result<Frame> {
        let header = self.header.encode();
        let mut crc = crc32fast::Hasher::new();
        crc.update(&header);
        let mut size = header.len() as u64;
        self.data.for_each_chunk(|chunk| {
            crc.update(chunk);
            size += chunk.len() as u64;
            Ok(())
        })?;
        Ok(Frame { name: self.member, size, crc: crc.finalize() })
    }
}

impl Data<'_> {
    /// Hands out the stored bytes piece by piece, each small enough to stay in the processor's cache.
    fn for_each_chunk(&self, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => bytes.chunks(CHUNK).try_for_each(each),
            // Little-endian memory is what is stored: nothing to convert.
            Self::Float32(values) if cfg!(target_endian = "little") => {
                values.as_bytes().chunks(CHUNK).try_for_each(each)
            }
            Self::Float32(values) => {
                let mut buffer = vec![0; CHUNK];
                values.chunks(CHUNK / 4).try_for_each(|values| {
                    let bytes = &mut buffer[..values.len() * 4];
                    for (out, value) in bytes.as_chunks_mut().0.iter_mut().zip(values) {
                        *out = value.to_le_bytes();
                    }
                    each(bytes)
                })
            }
            Self::Float16(values) => {
                let (mut halves, mut buffer) = (vec![f16::ZERO; CHUNK / 4], vec![0; CHUNK / 2]);
                values.chunks(CHUNK / 4).try_for_each(|values| {
                    let (halves, bytes) = (&mut halves[..values.len()], &mut buffer[..values.len() * 2]);
                    halves.convert_from_f32_slice(values);
                    for (out, value) in bytes.as_chunks_mut().0.iter_mut().zip(&*halves) {
                        *out = value.to_le_bytes();
                    }
                    each(bytes)
                })
            }
        }
    }
}
