//! The channel names that a signal file carries: the one array that `entry.json` does not repeat.

use super::Store;
use crate::container::npy::Header;
use crate::error::{Error, Result};
use crate::model::id::{ProfileName, VersionName};
use std::os::unix::fs::FileExt;

/// Names of a few thousand channels; a longer member is none of ours.
const LONGEST_NAMES: u64 = 1 << 20;

impl Store {
    /// Returns the names of the rows of a signal file, in order.
    pub fn channels(&self, profile: &ProfileName, version: &VersionName, name: &str) -> Result<Vec<String>> {
        let path = self.version_dir(profile, version).join(name);
        let damaged = |message: &str| Error::Damaged { path: path.clone(), message: message.to_owned() };
        let (file, archive) = self.open(profile, version, name)?;
        let member = archive.members.iter().find(|member| member.name == "channels.npy");
        let member = member.filter(|member| member.bytes <= LONGEST_NAMES);
        let member = member.ok_or_else(|| damaged("it has no array of channel names"))?;
        let mut bytes = vec![0; member.bytes as usize];
        file.read_exact_at(&mut bytes, member.offset).map_err(Error::io("read", &path))?;
        decode(&bytes).ok_or_else(|| damaged("its channel names cannot be read"))
    }
}

/// `NumPy`'s `<U…`: rows of equal length in UTF-32, little-endian, filled up with zeros.
fn decode(member: &[u8]) -> Option<Vec<String>> {
    let start = Header::encoded_bytes(member)?;
    let header = Header::decode(member.get(..start)?)?;
    let (rows, width) = (*header.shape.first()?, header.element.bytes()?);
    let data = member.get(start..)?;
    if width == 0 || rows.checked_mul(width)? != data.len() as u64 {
        return None;
    }
    data.chunks_exact(width as usize).map(decode_name).collect()
}

fn decode_name(row: &[u8]) -> Option<String> {
    let codes = row.chunks_exact(4).map(|code| u32::from_le_bytes([code[0], code[1], code[2], code[3]]));
    codes.take_while(|code| *code != 0).map(char::from_u32).collect()
}
