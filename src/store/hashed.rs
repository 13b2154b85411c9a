//! Hashed: bytes are hashed on their way out, some of them a second time by themselves.

use super::sha256::{Sha256, update_both};
use crate::model::id::Digest;
use std::io::{self, Write};

/// Writes, counts and hashes.
#[derive(Debug)]
pub(super) struct Hashed<W> {
    out: W,
    sha: Sha256,
}

impl<W: Write> Hashed<W> {
    /// Begins with nothing.
    pub(super) fn new(out: W) -> Self {
        Self { out, sha: Sha256::new() }
    }

    /// Writes all of the bytes, which another hash takes in, too.
    pub(super) fn write_for_both(&mut self, bytes: &[u8], other: &mut Sha256) -> io::Result<()> {
        self.out.write_all(bytes)?;
        update_both(&mut self.sha, other, bytes);
        Ok(())
    }

    /// Returns the number of bytes and their digest.
    pub(super) fn finish(self) -> (u64, Digest) {
        (self.sha.bytes(), self.sha.finish())
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sha.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
