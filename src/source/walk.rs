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
use std::ffi::{CStr, OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Bytes of names that the system is asked for in one call.
const LISTED_AT_ONCE: usize = 32 << 10;

/// Names in a directory with what the file system says, where it was asked; in the order of their bytes.
pub(super) type Names = Vec<(String, Option<Stamp>)>;

/// Every path below a root that is UTF-8, directory by directory: what exists need not be asked for again. Directories that no
/// glob matches have no stamp.
#[derive(Debug, Default)]
pub(super) struct Seen(HashMap<String, Names>);

impl Seen {
    /// The name of a path in its directory, where the walk found it.
    pub(super) fn get(&self, path: &str) -> Option<&(String, Option<Stamp>)> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let names = self.names(directory);
        names.binary_search_by(|(one, _)| one.as_str().cmp(name)).ok().map(|at| &names[at])
    }

    /// What a directory holds.
    pub(super) fn names(&self, directory: &str) -> &[(String, Option<Stamp>)] {
        self.0.get(directory).map_or(&[], Vec::as_slice)
    }

    /// The same for a root above, of which the walk's is the directory `folder`.
    pub(super) fn below(self, folder: &str) -> Self {
        let join = |directory: String| match (folder, directory.as_str()) {
            ("", _) => directory,
            (_, "") => folder.to_owned(),
            _ => format!("{folder}/{directory}"),
        };
        Self(self.0.into_iter().map(|(directory, names)| (join(directory), names)).collect())
    }
}

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The paths that a glob matches, in the order of their bytes.
    pub recordings: Vec<Listed>,
    /// All there is.
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
    let mut listing = Listing { recordings: Vec::new(), seen: Seen(HashMap::with_capacity(found.len())) };
    for directory in found {
        listing.recordings.extend(directory.recordings());
        listing.seen.0.extend(directory.names());
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

/// What lies in a directory below the root.
struct Found {
    directory: PathBuf,
    names: Vec<Item>,
}

struct Item {
    name: OsString,
    matches: bool,
    stamp: Option<Stamp>,
}

impl Found {
    /// What a glob matches.
    fn recordings(&self) -> impl Iterator<Item = Listed> {
        self.names.iter().filter(|one| one.matches).map(|one| {
            let path = self.directory.join(&one.name).into_os_string();
            // A directory has its stamp where it matches.
            let stamp = one.stamp.unwrap_or(Stamp::UNKNOWN);
            match path.into_string() {
                Ok(path) => Listed { path, is_utf8: true, stamp },
                Err(path) => Listed { path: escaped(&path), is_utf8: false, stamp },
            }
        })
    }

    /// What is UTF-8, in order.
    fn names(self) -> Option<(String, Names)> {
        let directory = self.directory.into_os_string().into_string().ok()?;
        let names = self.names.into_iter().filter_map(|one| Some((one.name.into_string().ok()?, one.stamp)));
        let mut names: Names = names.collect();
        names.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Some((directory, names))
    }
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
    fn visit(&self, directory: &Path) -> Result<Vec<Found>> {
        let (names, inside) = self.list(directory).map_err(|error| {
            let path = if directory.as_os_str().is_empty() {
                self.root.to_owned()
            } else {
                self.root.join(directory)
            };
            Error::io("list", path)(error.into())
        })?;
        let below: Vec<Vec<Found>> =
            inside.par_iter().map(|directory| self.visit(directory)).collect::<Result<_>>()?;
        let found = Found { directory: directory.to_owned(), names };
        Ok(std::iter::once(found).chain(below.into_iter().flatten()).collect())
    }

    /// What a directory holds, and which of it are directories.
    fn list(&self, directory: &Path) -> rustix::io::Result<(Vec<Item>, Vec<PathBuf>)> {
        let here = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let handle = open(self.top.as_fd(), here)?;
        let (mut names, mut inside) = (Vec::new(), Vec::new());
        let mut path = directory.join("").into_os_string().into_vec();
        let begin = path.len();
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
            path.truncate(begin);
            path.extend(name.to_bytes());
            let path = Path::new(OsStr::from_bytes(&path));
            let matches = self.set.is_match(path) && !self.excluded.is_match(path);
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    let stat = rustix::fs::statat(&handle, name, AtFlags::SYMLINK_NOFOLLOW)?;
                    FileType::from_raw_mode(stat.st_mode)
                }
                kind => kind,
            };
            if kind.is_dir() {
                inside.push(path.to_owned());
            }
            let stamp = (matches || !kind.is_dir()).then(|| stamp_at(&handle, name));
            names.push(Item { name: OsStr::from_bytes(name.to_bytes()).to_owned(), matches, stamp });
        }
        Ok((names, inside))
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
