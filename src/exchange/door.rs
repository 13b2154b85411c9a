//! Opening what anybody may have put there: regular files only, and without waiting for one.

use fs_err::os::unix::fs::OpenOptionsExt;
use fs_err::{File, OpenOptions};
use rustix::fs::OFlags;
use std::io;
use std::path::Path;

/// Opens a regular file for reading, links followed. Fails with `InvalidInput` for everything else: a pipe would block
/// until somebody writes to it, a device has no end.
pub fn open_regular(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path)
}

/// As `open_regular`, in another way than for reading.
pub(super) fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
}
