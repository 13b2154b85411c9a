//! From a temporary file to a finished one: nothing half-written ever has a final name, and nothing
//! finished is ever overwritten by accident.

use super::dir::{self, Dir, is_absent, is_refused_link, is_unsupported};
use super::hashed::Hashed;
use super::npz::{self, Archive, Flaw};
use crate::error::{Error, Result};
use crate::model::artifact::Facts;
use crate::model::id::Digest;
use crate::model::manifest::FileRecord;
use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};

/// A file that is being written; dropped before it is placed, it goes.
#[derive(Debug)]
pub(super) struct Temporary<'a> {
    dir: &'a Dir,
    name: String,
    file: File,
    is_gone: bool,
}

impl<'a> Temporary<'a> {
    /// Makes an empty file that must not exist.
    pub(super) fn create(dir: &'a Dir, name: String) -> Result<Self> {
        let file = dir.create_new(&name).map_err(dir.error("create", &name))?;
        Ok(Self { dir, name, file, is_gone: false })
    }

    /// Takes over a name that was made otherwise, with an open file that it belongs to.
    pub(super) fn adopt(dir: &'a Dir, name: String, file: File) -> Self {
        Self { dir, name, file, is_gone: false }
    }

    /// The open file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Returns a writer into the file that hashes on the way.
    pub(super) fn hashed(&self) -> Hashed<dir::fault::Watched<'_>> {
        Hashed::new(dir::fault::Watched(&self.file, "write"))
    }

    /// Compares the length, sets the mode and makes the content durable.
    pub(super) fn seal(&self, bytes: u64, mode: u32, durable: bool) -> Result<()> {
        let found = dir::fault::point("stat open file").and_then(|()| self.file.metadata());
        let found = found.map_err(self.error("read"))?.len();
        if found != bytes {
            let short = io::Error::other(format!("{bytes} bytes were written and {found} are there"));
            return Err(self.error("write")(short));
        }
        // The mode first, so that one sync covers both.
        dir::set_mode(&self.file, mode).map_err(self.error("set the mode of"))?;
        if durable { dir::sync_file(&self.file).map_err(self.error("sync")) } else { Ok(()) }
    }

    /// Gives the file its final name; false where that name exists.
    pub(super) fn place(&mut self, target: &Dir, leaf: &str) -> Result<bool> {
        match self.dir.link(&self.name, target, leaf) {
            Ok(()) => {
                // Left behind, it is a second name that the next exclusive writer removes.
                self.is_gone = self.dir.remove(&self.name).is_ok();
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) if is_unsupported(&error) || is_refused_link(&error) => {
                self.place_by_rename(target, leaf)
            }
            Err(error) => Err(target.error("publish", leaf)(error)),
        }
    }

    fn place_by_rename(&mut self, target: &Dir, leaf: &str) -> Result<bool> {
        let renamed = match self.dir.rename_new(&self.name, target, leaf) {
            // Neither links nor no-replace renames: the build lock is all that is left to rely on.
            Err(error) if is_unsupported(&error) => match target.stat(leaf) {
                Err(error) if is_absent(&error) => self.dir.rename(&self.name, target, leaf),
                Ok(_) => return Ok(false),
                Err(error) => Err(error),
            },
            other => other,
        };
        match renamed {
            Ok(()) => {
                self.is_gone = true;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(target.error("publish", leaf)(error)),
        }
    }

    /// Gives the file its final name, whatever has it now.
    pub(super) fn replace(self, target: &Dir, leaf: &str) -> Result<()> {
        // Not marked as gone: between two names of one file, rename does nothing and leaves both.
        self.dir.rename(&self.name, target, leaf).map_err(target.error("replace", leaf))
    }

    /// Wraps a system error with what was tried on the file.
    pub(super) fn error(&self, action: &'static str) -> impl FnOnce(io::Error) -> Error + use<> {
        self.dir.error(action, &self.name)
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.is_gone {
            // Nothing can be done about a failure here; the next exclusive writer cleans up.
            let _ = self.dir.remove(&self.name);
        }
    }
}

/// What is to be done about a file that already has the name.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It went meanwhile: try again.
    Gone,
    /// It is good and of the same fingerprint and sources: it stays, with these bytes and this digest.
    Stays(u64, Digest),
    /// It is damaged, of another recipe or of other sources: it is replaced.
    Replace,
}

/// Judges the file at `leaf` against the one that is to get its name. Every byte of it is checked
/// against its own `entry.json`, which proves as much as a manifest or a journal could.
pub(super) fn judge(target: &Dir, leaf: &str, ours: &File) -> Result<Verdict> {
    let existing = match target.open_file(leaf) {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(Verdict::Gone),
        // A link or a device under the name of a finished file.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(Verdict::Replace),
        Err(error) => return Err(target.error("open", leaf)(error)),
    };
    let read = npz::verify(&existing).and_then(|found| Ok((found, Archive::read(ours)?)));
    let (found, ours) = match read {
        Ok(read) => read,
        Err(Flaw::Damaged(_)) => return Ok(Verdict::Replace),
        // What cannot be read may be good: nothing is replaced on a guess.
        Err(Flaw::Unread(error)) => return Err(target.error("read", leaf)(error)),
    };
    let key = |facts: &Facts| {
        (std::mem::discriminant(facts), facts.id().clone(), facts.fingerprint(), facts.sources())
    };
    if key(&found.facts) == key(&ours.facts) {
        Ok(Verdict::Stays(found.bytes, found.sha256))
    } else {
        Ok(Verdict::Replace)
    }
}

/// The directory of a split, with names in it that may not be durable yet.
#[derive(Debug)]
pub(super) struct SplitDir {
    pub(super) dir: Dir,
    is_dirty: Mutex<bool>,
}

impl SplitDir {
    pub(super) fn new(dir: Dir) -> Self {
        Self { dir, is_dirty: Mutex::new(false) }
    }

    /// A name was made, replaced or removed.
    pub(super) fn touch(&self) {
        *self.is_dirty.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Makes the names durable. Held during the sync, the mutex makes a second caller wait for it,
    /// so that nobody acknowledges a name whose sync is still under way.
    pub(super) fn sync(&self) -> Result<()> {
        let mut is_dirty = self.is_dirty.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_dirty {
            self.dir.sync()?;
            *is_dirty = false;
        }
        Ok(())
    }
}

/// True where a record names exactly this content.
pub(super) fn is_content(record: &FileRecord, bytes: u64, sha256: Digest) -> bool {
    (record.bytes, record.sha256) == (bytes, sha256)
}
