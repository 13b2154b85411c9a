//! What one writer did since the last manifest, line by line, each durable before the next step.
//!
//! A writer holds the lock of its journal as long as it lives. A journal gets its name when it is locked and its first
//! line is written, so one that can be locked by somebody else belongs to a writer that has ended.
//! A journal is an accelerator: losing it costs time, never data. Its first line says what it is
//! about; a journal without an undamaged first line, or of a later schema, is left unread with a note.

use super::dir::{self, Dir, fault, is_absent};
use super::publish::Temporary;
use super::{layout, seal};
use crate::error::Result;
use crate::model::id::{ProfileName, VersionName};
use crate::model::manifest::{Entry, Identity, Quarantined};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};

/// The schema number in a journal's first line; a reader skips larger ones.
pub const JOURNAL_SCHEMA: u64 = 1;

/// One thing that a writer did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[expect(clippy::large_enum_variant, reason = "a line lives for one call and is never kept in numbers")]
pub enum Line {
    /// A recording is finished; its files are durable.
    Entry(Box<Entry>),
    /// A recording could not be processed.
    Quarantined(Quarantined),
    /// A file, or an entry by its id, or a quarantined recording by its name, is no longer there.
    Removed {
        /// `train/<id>.npz`, `<id>`, or the name of a quarantined recording.
        name: String,
    },
    /// A damaged or outdated file is about to be replaced.
    Replacing {
        /// `train/<id>.npz`.
        name: String,
    },
}

/// The first line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    /// `JOURNAL_SCHEMA`.
    pub(super) schema: u64,
    /// The profile, which is also the directory.
    pub(super) profile: ProfileName,
    /// The version, which is also the directory.
    pub(super) version: VersionName,
    /// What the version means; nothing where the writer only removed files.
    pub(super) identity: Option<Identity>,
    /// The full recipe.
    pub(super) recipe: Option<serde_json::Value>,
    /// False where the writer leaves out syncs.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub(super) durable: bool,
    /// When the writer began, in nanoseconds since the epoch; it orders journals and decides nothing else.
    pub(super) began_ns: u64,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_yes(durable: &bool) -> bool {
    *durable
}

/// A journal that is being written.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    name: String,
    durable: bool,
}

impl Journal {
    /// Makes a journal of a sealed first line out of an empty temporary; `writer` becomes a part of its name.
    pub(super) fn create(
        build: &Dir,
        temporary: Temporary<'_>,
        writer: &str,
        header: &Header,
        mode: u32,
    ) -> Result<Self> {
        let name = layout::journal_name(writer);
        let file = temporary.file().try_clone().map_err(temporary.error("open"))?;
        // Where locks do not work, nobody takes a free one for a sign of anything.
        let _ = file.try_lock();
        dir::set_mode(&file, mode).map_err(temporary.error("set the mode of"))?;
        let mut journal = Self { file, name, durable: header.durable };
        journal.append(build, std::slice::from_ref(header))?;
        temporary.replace(build, &journal.name)?;
        if header.durable {
            build.sync()?;
        }
        Ok(journal)
    }

    /// Appends lines and returns when they are durable.
    pub(super) fn append(&mut self, build: &Dir, lines: &[impl Serialize]) -> Result<()> {
        let mut text = Vec::new();
        let sealed = lines.iter().try_for_each(|line| seal::encode(line, &mut text));
        sealed.and_then(|()| self.write(&text)).map_err(build.error("write", &self.name))
    }

    fn write(&mut self, text: &[u8]) -> std::io::Result<()> {
        fault::Watched(&self.file, "write journal").write_all(text)?;
        if self.durable { dir::sync_data(&self.file) } else { Ok(()) }
    }
}

impl Drop for Journal {
    /// Unlocks, where closing alone would not: a process forked meanwhile keeps the descriptor.
    fn drop(&mut self) {
        // Closing follows in any case.
        let _ = self.file.unlock();
    }
}

/// A journal that was read.
#[derive(Debug)]
pub(super) struct Recorded {
    /// Its first line.
    pub(super) header: Header,
    /// The undamaged lines behind it.
    pub(super) lines: Vec<Line>,
}

/// Lists the journals of a version.
pub(super) fn names(build: &Dir) -> Result<Vec<String>> {
    let names = build.list()?.into_iter().map(|(name, _)| name);
    Ok(names.filter(|name| layout::is_journal_name(name)).collect())
}

/// Returns the journal locked, where its writer has ended; nothing where it lives, or the journal is gone.
pub(super) fn lock_ended(build: &Dir, name: &str) -> Result<Option<File>> {
    match build.open_file(name) {
        Ok(file) => Ok(file.try_lock().is_ok().then_some(file)),
        Err(error) if is_absent(&error) => Ok(None),
        // A directory or a link with the name of a journal is no writer's.
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => Ok(None),
        Err(error) => Err(build.error("open", name)(error)),
    }
}

/// Why a journal says nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// A later program wrote it.
    #[error("it has schema {0}, written by a later eegcache; known is {JOURNAL_SCHEMA}")]
    Later(u64),
    /// Its first line is not whole.
    #[error("its first line is damaged")]
    Damaged,
    /// It is gone, or no file.
    #[error("it cannot be read: {0}")]
    NoFile(std::io::Error),
}

/// Reads a journal; lines that are torn or changed are left out. `Error::Io` where the machine would not read it: what it
/// says is not lost then, and nobody may go on as if it said nothing.
pub(super) fn read(build: &Dir, name: &str) -> Result<std::result::Result<Recorded, Unusable>> {
    let mut text = Vec::new();
    let read =
        build.open_file(name).and_then(|file| fault::Watched(&file, "read journal").read_to_end(&mut text));
    match read {
        Ok(_) => Ok(decode(&text)),
        Err(error) if is_absent(&error) || error.kind() == std::io::ErrorKind::InvalidInput => {
            Ok(Err(Unusable::NoFile(error)))
        }
        Err(error) => Err(build.error("read", name)(error)),
    }
}

fn decode(text: &[u8]) -> std::result::Result<Recorded, Unusable> {
    #[derive(Deserialize)]
    struct Schema {
        schema: u64,
    }
    let mut lines = text.split(|byte| *byte == b'\n');
    let first = lines.next().and_then(seal::open).ok_or(Unusable::Damaged)?;
    let schema = serde_json::from_slice::<Schema>(first).map_err(|_| Unusable::Damaged)?.schema;
    if schema > JOURNAL_SCHEMA {
        return Err(Unusable::Later(schema));
    }
    let header = serde_json::from_slice(first).map_err(|_| Unusable::Damaged)?;
    Ok(Recorded { header, lines: lines.filter_map(seal::decode).collect() })
}
