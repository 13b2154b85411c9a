//! The door to the raw side: a dataset root is listed and read here, and never written.
//!
//! A *recording* is a path below the root that a glob of the dataset matches, whatever it turns out to
//! be: a directory, a FIFO or a dangling link is listed too and ends in quarantine when it is opened, so
//! nothing is skipped silently. Links to files are followed (git-annex datasets consist of them), links
//! to directories are not. What the bytes mean is the business of `formats`; whether they may be used at
//! all is decided here, by `SourceReader::finish`.

mod annotation;
mod identity;
mod inventory;
mod reader;
mod walk;

pub use annotation::annotation_names;
pub use identity::is_placed;
pub use inventory::{is_reachable, look_again, recording, recordings};
pub use reader::{ANNOTATION_BYTES_LIMIT, SourceReader, hash, open, read_small};

use crate::model::inventory::Stamp;
use std::os::unix::fs::MetadataExt;

/// Times before 1677 are all one, and so are those after 2262.
fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

/// Returns what the file system says of a file, with times in nanoseconds.
fn stamp(metadata: &std::fs::Metadata) -> Stamp {
    Stamp {
        bytes: metadata.len(),
        mtime_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
        ctime_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        inode: metadata.ino(),
    }
}
