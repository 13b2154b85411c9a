//! Where the arrays of a finished file lie, so that a reader maps them, and the channel names that a signal file carries.

use super::Store;
use super::dir::fault;
use crate::container::npy::{Element, Header, SUFFIX};
use crate::error::{Error, Result};
use crate::model::artifact::Facts;
use crate::model::id::{ProfileName, VersionName};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Names of a few thousand channels; a longer member is none of ours.
const LONGEST_NAMES: u64 = 1 << 20;
/// Every `.npy` header begins with its own length.
const HEADER_START: u64 = 10;

/// An array in a finished file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrayPlace {
    /// The type of the elements.
    pub element: Element,
    /// The lengths of the axes, the slowest first.
    pub shape: Vec<u64>,
    /// Where the data begins, in bytes from the start of the file; a multiple of 64.
    pub offset: u64,
    /// Bytes of the data.
    pub bytes: u64,
}

/// A finished file, opened, with what it says of itself and where its arrays lie.
#[derive(Debug)]
pub struct Arrays {
    /// The file.
    pub file: File,
    /// Its `entry.json`.
    pub facts: Facts,
    /// Its arrays by name: `signal`, `labels`.
    pub places: BTreeMap<&'static str, ArrayPlace>,
}

impl Store {
    /// Returns the names of the rows of a signal file, in order.
    pub fn channels(&self, profile: &ProfileName, version: &VersionName, name: &str) -> Result<Vec<String>> {
        let path = self.version_dir(profile, version).join(name);
        let damaged = |message: &str| Error::Damaged { path: path.clone(), message: message.to_owned() };
        let Arrays { file, places, .. } = self.arrays(profile, version, name)?;
        let place = places.get("channels").filter(|place| place.bytes <= LONGEST_NAMES);
        let place = place.ok_or_else(|| damaged("it has no array of channel names"))?;
        let mut bytes = vec![0; place.bytes as usize];
        file.read_exact_at(&mut bytes, place.offset).map_err(Error::io("read", &path))?;
        decode_names(place, &bytes).ok_or_else(|| damaged("its channel names cannot be read"))
    }

    /// Opens a finished file and finds its arrays; no data is read.
    pub fn arrays(&self, profile: &ProfileName, version: &VersionName, name: &str) -> Result<Arrays> {
        let path = self.version_dir(profile, version).join(name);
        let (file, archive) = self.open(profile, version, name)?;
        let mut places = BTreeMap::new();
        for member in &archive.members {
            let Some(array) = member.name.strip_suffix(SUFFIX) else { continue };
            let place = locate(&file, member.offset, member.bytes).map_err(Error::io("read", &path))?;
            let message = || format!("the header of its array `{array}` cannot be read");
            let place = place.ok_or_else(|| Error::Damaged { path: path.clone(), message: message() })?;
            places.insert(array, place);
        }
        Ok(Arrays { file, facts: archive.facts, places })
    }
}

/// Reads the header of an array that lies, header and data, in `bytes` bytes from `offset` on; nothing where it is none.
fn locate(file: &File, offset: u64, bytes: u64) -> io::Result<Option<ArrayPlace>> {
    // The frame was compared with the size of the file: what cannot be read is the machine's doing.
    let read = |length: u64| {
        let mut start = vec![0; length.min(bytes) as usize];
        fault::point("read file").and_then(|()| file.read_exact_at(&mut start, offset)).map(|()| start)
    };
    let Some(length) = Header::encoded_bytes(&read(HEADER_START)?) else { return Ok(None) };
    let text = read(length as u64)?;
    Ok(place(&text, offset, bytes))
}

fn place(text: &[u8], offset: u64, bytes: u64) -> Option<ArrayPlace> {
    let header = Header::decode(text)?;
    let (length, data) = (text.len() as u64, header.data_bytes()?);
    (length.checked_add(data)? == bytes).then_some(ArrayPlace {
        element: header.element,
        shape: header.shape,
        offset: offset + length,
        bytes: data,
    })
}

/// `NumPy`'s `<U…`: rows of equal length in UTF-32, little-endian, filled up with zeros.
fn decode_names(place: &ArrayPlace, data: &[u8]) -> Option<Vec<String>> {
    let width = place.element.bytes().filter(|width| *width > 0)?;
    data.chunks_exact(width as usize).map(decode_name).collect()
}

fn decode_name(row: &[u8]) -> Option<String> {
    let codes = row.chunks_exact(4).map(|code| u32::from_le_bytes([code[0], code[1], code[2], code[3]]));
    codes.take_while(|code| *code != 0).map(char::from_u32).collect()
}
