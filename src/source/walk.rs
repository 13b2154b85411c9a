//! The list of everything below a dataset root: one pass over the directories, many at once, every file asked once
//! for its stamp through its open directory.
//!
//! Directory links are not followed. As in a shell, a `*` does not stand for names that begin with a
//! dot (`.git` of a git-annex dataset, `._x.edf` of a Mac), unless a glob spells such a name out.

use crate::error::{Error, Result};
use crate::fault;
use crate::model::dataset::DatasetSpec;
use crate::model::inventory::Stamp;
use globset::{Glob, GlobSet};
use rayon::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir};
use rustix::io::retry_on_intr;
use std::collections::HashMap;
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Bytes of names that the system is asked for in one call.
const LISTED_AT_ONCE: usize = 32 << 10;

/// Paths with what the file system says, where it was asked.
pub(super) type Seen = HashMap<String, Option<Stamp>>;

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The paths that a glob matches, in the order of their bytes.
    pub recordings: Vec<Listed>,
    /// Every path below the root that is UTF-8: what exists need not be asked for again. Directories that no glob
    /// matches have no stamp.
    pub seen: Seen,
}

/// A path below the root that a glob matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Relative to the root, with `/`; bytes that are not UTF-8 are written as `\xff`.
    pub path: String,
    /// True where `path` is what the disk says.
    pub is_utf8: bool,
    /// What the file system says.
    pub stamp: Stamp,
}

/// Lists everything below `root` and picks what the globs match, those of `exclude` left out.
pub(super) fn walk(root: &Path, globs: &[Glob], exclude: &[Glob]) -> Result<Listing> {
    let (set, excluded) = (glob_set(globs)?, glob_set(exclude)?);
    let dotted = globs.iter().any(|glob| glob.glob().split('/').any(|part| part.starts_with('.')));
    let top = open(CWD, root).map_err(|error| Error::io("list", root)(error.into()))?;
    let found = Walk { root, top, set, excluded, dotted }.visit(Path::new(""))?;
    let mut listing =
        Listing { recordings: Vec::new(), seen: HashMap::with_capacity(found.iter().map(Vec::len).sum()) };
    for Found { path, matches, stamp } in found.into_iter().flatten() {
        let text = path.to_str();
        if matches {
            let listed = text.map_or_else(|| escaped(path.as_os_str()), str::to_owned);
            // A directory has its stamp where it matches.
            let stamp = stamp.unwrap_or(Stamp::UNKNOWN);
            listing.recordings.push(Listed { path: listed, is_utf8: text.is_some(), stamp });
        }
        if let Ok(path) = path.into_os_string().into_string() {
            listing.seen.insert(path, stamp);
        }
    }
    listing.recordings.sort_unstable_by(|a, b| (&a.path, a.is_utf8).cmp(&(&b.path, b.is_utf8)));
    Ok(listing)
}

fn open(at: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    retry_on_intr(|| {
        fault::interruptible("open source directory")?;
        rustix::fs::openat(at, path, flags, Mode::empty())
    })
}

/// Something below the root.
struct Found {
    path: PathBuf,
    matches: bool,
    stamp: Option<Stamp>,
}

struct Walk<'a> {
    root: &'a Path,
    top: OwnedFd,
    set: GlobSet,
    excluded: GlobSet,
    dotted: bool,
}

impl Walk<'_> {
    /// Everything below a directory, directory by directory. Each is closed before those inside of it are opened: a deep
    /// tree needs no more descriptors than there are threads.
    fn visit(&self, directory: &Path) -> Result<Vec<Vec<Found>>> {
        let (found, inside) = self.list(directory).map_err(|error| {
            let path = if directory.as_os_str().is_empty() {
                self.root.to_owned()
            } else {
                self.root.join(directory)
            };
            Error::io("list", path)(error.into())
        })?;
        let below: Vec<Vec<Vec<Found>>> =
            inside.par_iter().map(|directory| self.visit(directory)).collect::<Result<_>>()?;
        Ok(std::iter::once(found).chain(below.into_iter().flatten()).collect())
    }

    /// What a directory holds, and which of it are directories.
    fn list(&self, directory: &Path) -> rustix::io::Result<(Vec<Found>, Vec<PathBuf>)> {
        let here = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let handle = open(self.top.as_fd(), here)?;
        let (mut found, mut inside) = (Vec::new(), Vec::new());
        let mut buffer = Vec::with_capacity(LISTED_AT_ONCE);
        let mut entries = RawDir::new(&handle, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            fault::uninterrupted("list source")?;
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") || (!self.dotted && name.to_bytes().starts_with(b"."))
            {
                continue;
            }
            let path = directory.join(OsStr::from_bytes(name.to_bytes()));
            let matches = self.set.is_match(&path) && !self.excluded.is_match(&path);
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    let stat = rustix::fs::statat(&handle, name, AtFlags::SYMLINK_NOFOLLOW)?;
                    FileType::from_raw_mode(stat.st_mode)
                }
                kind => kind,
            };
            if kind.is_dir() {
                inside.push(path.clone());
            }
            let stamp = (matches || !kind.is_dir()).then(|| stamp_at(&handle, name));
            found.push(Found { path, matches, stamp });
        }
        Ok((found, inside))
    }
}

/// Returns the stamp of a file, of the link itself where it leads nowhere, or `UNKNOWN` where nothing can be
/// said. Opening such a file says what is wrong with it, so it is not dropped here.
fn stamp_at(directory: &OwnedFd, name: &CStr) -> Stamp {
    let stat = fault::uninterrupted("stat source");
    let stat = stat.and_then(|()| rustix::fs::statat(directory, name, AtFlags::empty()));
    let stat = stat.or_else(|_| rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW));
    stat.map_or(Stamp::UNKNOWN, |stat| Stamp {
        bytes: stat.st_size as u64,
        mtime_ns: super::nanoseconds(stat.st_mtime, stat.st_mtime_nsec as i64),
        ctime_ns: super::nanoseconds(stat.st_ctime, stat.st_ctime_nsec as i64),
        inode: stat.st_ino,
    })
}

/// True where a path below the root is a recording of the dataset.
pub(super) fn matches(spec: &DatasetSpec, relative: &str) -> Result<bool> {
    let (set, excluded) = (glob_set(&spec.recordings)?, glob_set(&spec.exclude)?);
    Ok(set.is_match(relative) && !excluded.is_match(relative))
}

fn glob_set(globs: &[Glob]) -> Result<GlobSet> {
    let mut builder = GlobSet::builder();
    for glob in globs {
        builder.add(glob.clone());
    }
    builder.build().map_err(|error| {
        Error::usage(
            format!("the globs of `recordings` cannot be used together: {error}"),
            "write fewer or shorter globs",
        )
    })
}

/// Returns a name with every byte that is not UTF-8 spelled out, so that two names stay two.
fn escaped(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}
