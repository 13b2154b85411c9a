//! The recordings of a dataset as they lie on disk: listed, identified, each file looked at once.

use crate::error::{Error, Result};
use crate::fault;
use crate::model::dataset::DatasetSpec;
use crate::model::id::{Digest, RecordingId, Split};
use crate::model::inventory::{SourceFile, SourceRecording, Stamp};
use crate::model::order::Seizures;
use crate::source::annotation::Shelf;
use crate::source::identity::{Identity, identify};
use crate::source::walk::{Listed, matches, walk};
use rayon::prelude::*;
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use std::path::Path;

/// What a system says of a directory that is not there, not mounted any more, or not for this user.
const ABSENT: [Errno; 9] = [
    Errno::NOENT,
    Errno::NOTDIR,
    Errno::ACCESS,
    Errno::PERM,
    Errno::LOOP,
    Errno::NAMETOOLONG,
    Errno::STALE,
    Errno::NOTCONN,
    Errno::HOSTDOWN,
];

/// True where the root of the dataset exists and is a readable directory.
///
/// Fails with `Error::Io` where the machine cannot tell: without descriptors or memory, or with a broken
/// disk, a dataset is not absent.
pub fn is_reachable(spec: &DatasetSpec) -> Result<bool> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = retry_on_intr(|| {
        fault::interruptible("open source root")?;
        rustix::fs::open(&spec.root, flags, Mode::empty())
    });
    match opened {
        Ok(_) => Ok(true),
        Err(code) if ABSENT.contains(&code) => Ok(false),
        Err(code) => Err(Error::io("open", &spec.root)(code.into())),
    }
}

/// Lists the recordings of `splits` with their annotation files, in the order of the bytes of their paths.
///
/// `memo` tells the content of a file whose path and stamp it knows; no file is opened here. Seizures
/// are `Unknown`. Fails with `Error::Io` where a directory cannot be listed, with `Error::Config` for duplicate
/// ids, a path in no split folder and an annotation pattern that leaves the root, and with `Error::Gate`
/// for a subject in two splits. A path without a valid id is listed with its `bad-name`.
pub fn recordings(
    spec: &DatasetSpec,
    splits: &[Split],
    memo: &dyn Fn(&str, &Stamp) -> Option<Digest>,
) -> Result<Vec<SourceRecording>> {
    let listing = walk(&spec.root, &spec.recordings, &spec.exclude)?;
    let identities = identify(spec, &listing.recordings)?;
    let in_force = identities.into_iter().filter(|one| splits.contains(&one.split));
    let shelf = Shelf::new(spec, &listing.seen);
    let found = in_force.map(|one| Found::new(spec, one, &shelf)).collect::<Result<Vec<_>>>()?;
    let stamps: Vec<Stamps> = found.par_iter().map(|one| one.stamps(&spec.root)).collect();
    Ok(found.into_iter().zip(stamps).map(|(found, stamps)| found.with(stamps, memo)).collect())
}

/// Returns one recording of the dataset by its path below the root, with its annotation files; nothing where no glob of
/// the dataset matches it. Only the recording's own directory is listed. Fails as [`recordings`] does.
pub fn recording(spec: &DatasetSpec, relative: &str) -> Result<Option<SourceRecording>> {
    if !matches(spec, relative)? {
        return Ok(None);
    }
    let one = Listed { path: relative.to_owned(), is_utf8: true };
    let Some(identity) = identify(spec, &[one])?.pop() else { return Ok(None) };
    let folder = relative.rsplit_once('/').map_or("", |(folder, _)| folder);
    let listing = walk(&spec.root.join(folder), &[], &[])?;
    let seen = listing.seen.iter().map(|path| join(folder, path)).collect();
    let found = Found::new(spec, identity, &Shelf::new(spec, &seen))?;
    let stamps = found.stamps(&spec.root);
    Ok(Some(found.with(stamps, &|_, _| None)))
}

fn join(folder: &str, path: &str) -> String {
    if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}

/// A recording and the paths that belong to it, before its files are looked at.
struct Found {
    identity: Identity,
    annotation: Option<String>,
    cross_check: Option<String>,
}

#[derive(Clone, Copy)]
struct Stamps {
    file: Stamp,
    annotation: Option<Stamp>,
    cross_check: Option<Stamp>,
}

impl Found {
    fn new(spec: &DatasetSpec, identity: Identity, shelf: &Shelf<'_>) -> Result<Self> {
        let id = identity.id.as_ref().ok().map(RecordingId::as_str);
        let find = |patterns: &[String]| shelf.find(spec, patterns, &identity.path, id);
        let annotation = find(&spec.annotations.file)?;
        let cross_check = find(&spec.annotations.cross_check)?;
        Ok(Self { identity, annotation, cross_check })
    }

    fn stamps(&self, root: &Path) -> Stamps {
        let of = |path: &Option<String>| path.as_ref().map(|path| stamp_of(&root.join(path)));
        Stamps {
            file: stamp_of(&root.join(&self.identity.path)),
            annotation: of(&self.annotation),
            cross_check: of(&self.cross_check),
        }
    }

    fn with(self, stamps: Stamps, memo: &dyn Fn(&str, &Stamp) -> Option<Digest>) -> SourceRecording {
        let file = |path: String, stamp| SourceFile { sha256: memo(&path, &stamp), path, stamp };
        let Identity { path, id, subject, split } = self.identity;
        SourceRecording {
            id,
            subject,
            split,
            file: file(path, stamps.file),
            annotation: self.annotation.zip(stamps.annotation).map(|(path, stamp)| file(path, stamp)),
            cross_check: self.cross_check.zip(stamps.cross_check).map(|(path, stamp)| file(path, stamp)),
            seizures: Seizures::Unknown,
        }
    }
}

/// Returns the stamp of a file, of the link itself where it leads nowhere, or zeros where nothing can be
/// said. Opening such a file says what is wrong with it, so it is not dropped here.
fn stamp_of(path: &Path) -> Stamp {
    const NOTHING: Stamp = Stamp { bytes: 0, mtime_ns: 0, ctime_ns: 0, inode: 0 };
    let metadata = fault::point("stat source").and_then(|()| fs_err::metadata(path));
    let metadata = metadata.or_else(|_| fs_err::symlink_metadata(path));
    metadata.map_or(NOTHING, |metadata| super::stamp(&metadata))
}

/// Returns a file as the file system describes it now, its content unknown.
#[must_use]
pub fn look_again(root: &Path, file: &SourceFile) -> SourceFile {
    SourceFile { stamp: stamp_of(&root.join(&file.path)), sha256: None, path: file.path.clone() }
}
