//! The door to other programs' files: windows cut from the cache, written only below the directory that it is handed;
//! and windows that another program cut, read and put together again.
//!
//! `Target` owns that directory: it is absent, empty or one that an earlier export made, files appear in it whole, and
//! a record of what each was made from tells which are still right. `Rows` reads a stretch of a finished file,
//! `Array` lays its windows one behind another, so nothing longer than a few windows is ever in memory.

mod archive;
mod array;
mod door;
mod found;
mod layout;
mod listing;
mod rows;
mod target;

pub use array::Array;
pub(crate) use array::{write_npy, write_npz};
pub use door::open_regular;
pub use found::{Continuous, Found, list};
pub use layout::{LISTINGS, Layout};
pub use listing::{Listed, dataset_index, metadata, window_manifest};
pub use rows::Rows;
pub use target::{Purpose, Target};

/// Revision of the files' bytes: raising it makes every export be written anew.
pub const EXPORT_REVISION: u64 = 1;
