//! The recordings of a dataset as they lie on disk: listed, identified, each file looked at once.

use crate::error::{Error, Result};
use crate::fault;
use crate::model::dataset::DatasetSpec;
use crate::model::id::{Digest, RecordingId, Split};
use crate::model::inventory::{SourceFile, SourceRecording, Stamp};
use crate::model::order::Seizures;
use crate::source::annotation;
use crate::source::identity::{Identity, identify};
use crate::source::walk::{Listed, Seen, matches, walk};
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
    memo: &(dyn Fn(&str, &Stamp) -> Option<Digest> + Sync),
) -> Result<Vec<SourceRecording>> {
    let listing = walk(&spec.root, &spec.recordings, &spec.exclude)?;
    let identities = identify(spec, &listing.recordings)?;
    let put_together = Found { spec, seen: &listing.seen, memo };
    let in_force: Vec<_> = identities
        .into_iter()
        .zip(&listing.recordings)
        .filter(|(one, _)| splits.contains(&one.split))
        .collect();
    // Each is put where it stays, and none is moved: of 100,000 that would be tens of megabytes more.
    let recordings: Vec<Result<SourceRecording>> =
        in_force.into_par_iter().map(|(one, listed)| put_together.recording(one, listed.stamp)).collect();
    recordings.into_iter().collect()
}

/// Returns one recording of the dataset by its path below the root, with its annotation files; nothing where no glob of
/// the dataset matches it. Only the recording's own directory is listed. Fails as [`recordings`] does.
pub fn recording(spec: &DatasetSpec, relative: &str) -> Result<Option<SourceRecording>> {
    if !matches(spec, relative)? {
        return Ok(None);
    }
    let stamp = stamp_of(&spec.root.join(relative));
    let one = Listed { path: relative.to_owned(), is_utf8: true, stamp };
    let Some(identity) = identify(spec, &[one])?.pop() else { return Ok(None) };
    let folder = relative.rsplit_once('/').map_or("", |(folder, _)| folder);
    let listing = walk(&spec.root.join(folder), &[], &[])?;
    let found = Found { spec, seen: &listing.seen.below(folder), memo: &|_, _| None };
    found.recording(identity, stamp).map(Some)
}

/// What a walk found and what is remembered of it.
struct Found<'a> {
    spec: &'a DatasetSpec,
    seen: &'a Seen,
    memo: &'a (dyn Fn(&str, &Stamp) -> Option<Digest> + Sync),
}

impl Found<'_> {
    fn recording(&self, identity: Identity, stamp: Stamp) -> Result<SourceRecording> {
        let annotation = self.beside(&identity, &self.spec.annotations.file)?;
        let cross_check = self.beside(&identity, &self.spec.annotations.cross_check)?;
        let Identity { path, id, subject, split } = identity;
        let file = self.file(path, stamp);
        let (listed_as, seizures) = (None, Seizures::Unknown);
        Ok(SourceRecording { id, subject, split, file, annotation, cross_check, listed_as, seizures })
    }

    fn file(&self, path: String, stamp: Stamp) -> SourceFile {
        SourceFile { sha256: (self.memo)(&path, &stamp), path, stamp }
    }

    /// The annotation file that patterns name, where it exists.
    fn beside(&self, identity: &Identity, patterns: &[String]) -> Result<Option<SourceFile>> {
        let id = identity.id.as_ref().ok().map(RecordingId::as_str);
        let Some((path, stamp)) = annotation::find(self.seen, self.spec, patterns, &identity.path, id)?
        else {
            return Ok(None);
        };
        let stamp = stamp.unwrap_or_else(|| stamp_of(&self.spec.root.join(&path)));
        Ok(Some(self.file(path, stamp)))
    }
}

/// Returns the stamp of a file, of the link itself where it leads nowhere, or `UNKNOWN` where nothing can be
/// said. Opening such a file says what is wrong with it, so it is not dropped here.
fn stamp_of(path: &Path) -> Stamp {
    let metadata = fault::point("stat source").and_then(|()| fs_err::metadata(path));
    let metadata = metadata.or_else(|_| fs_err::symlink_metadata(path));
    metadata.map_or(Stamp::UNKNOWN, |metadata| super::stamp(&metadata))
}

/// Returns a file as the file system describes it now, its content unknown.
#[must_use]
pub fn look_again(root: &Path, file: &SourceFile) -> SourceFile {
    SourceFile { stamp: stamp_of(&root.join(&file.path)), sha256: None, path: file.path.clone() }
}
