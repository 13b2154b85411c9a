//! The container of every finished file: a stored ZIP that `numpy.load` opens and a reader can map.
//!
//! Writing and reading share `zip::Container`, which computes every byte that is no array and no
//! `entry.json` from names, sizes and checksums alone. So the writer streams, and the reader accepts
//! exactly what the writer would have written: there is no second reading of a damaged file.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub use crate::container::npy::Element;
pub use read::{Archive, Flaw, Member};
pub(super) use read::{is_foreign, verify};
pub use write::round_as_stored;
pub(super) use write::{Array, label_arrays, signal_arrays, write};

/// Members of a signal file, in order.
pub const SIGNAL_MEMBERS: [&str; 5] = ["signal.npy", "channels.npy", "rate_hz.npy", "scale.npy", ENTRY];
/// Members of a labels file, in order.
pub const LABEL_MEMBERS: [&str; 2] = ["labels.npy", ENTRY];
/// The member that makes a file explain itself.
pub const ENTRY: &str = "entry.json";
/// The schema number of `entry.json`.
pub const ENTRY_SCHEMA: u64 = 1;
/// Bytes handled at once: large enough for few system calls, small enough for the second-level cache.
const CHUNK: usize = 256 * 1024;
