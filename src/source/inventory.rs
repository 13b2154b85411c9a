//! The recordings of a dataset as they lie on disk: listed, identified, each file looked at once.

use crate::error::{Error, Result};
use crate::model::dataset::DatasetSpec;
use crate::model::id::{Digest, Split};
use crate::model::inventory::{SourceFile, SourceRecording, Stamp};
use crate::model::order::Seizures;
use crate::source::identity::{Identity, identify, stem};
use crate::source::walk::walk;
use rayon::prelude::*;
use std::collections::HashMap;
use std::path::Path;

/// True where the root of the dataset exists and is a readable directory.
#[must_use]
pub fn is_reachable(spec: &DatasetSpec) -> bool {
    fs_err::read_dir(&spec.root).is_ok()
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
    let listing = walk(&spec.root, &spec.recordings)?;
    let identities = identify(spec, &listing.recordings)?;
    let put_together = Found { spec, seen: &listing.seen, memo };
    let in_force: Vec<_> = identities
        .into_iter()
        .zip(&listing.recordings)
        .filter(|(one, _)| splits.contains(&one.split))
        .collect();
    in_force.into_par_iter().map(|(one, listed)| put_together.recording(one, listed.stamp)).collect()
}

/// What a walk found and what is remembered of it.
struct Found<'a> {
    spec: &'a DatasetSpec,
    seen: &'a HashMap<String, Option<Stamp>>,
    memo: &'a (dyn Fn(&str, &Stamp) -> Option<Digest> + Sync),
}

impl Found<'_> {
    fn recording(&self, identity: Identity, stamp: Stamp) -> Result<SourceRecording> {
        let annotation = self.beside(&identity, self.spec.annotations.file.as_deref())?;
        let cross_check = self.beside(&identity, self.spec.annotations.cross_check.as_deref())?;
        let Identity { path, id, subject, split } = identity;
        let file = self.file(path, stamp);
        Ok(SourceRecording { id, subject, split, file, annotation, cross_check, seizures: Seizures::Unknown })
    }

    fn file(&self, path: String, stamp: Stamp) -> SourceFile {
        SourceFile { sha256: (self.memo)(&path, &stamp), path, stamp }
    }

    /// The annotation file that a pattern names, where it exists.
    fn beside(&self, identity: &Identity, pattern: Option<&str>) -> Result<Option<SourceFile>> {
        let Some(pattern) = pattern else { return Ok(None) };
        let path = beside(&identity.path, pattern).ok_or_else(|| {
            Error::usage(
                format!(
                    "annotation pattern `{pattern}` of dataset `{}` leaves the root for `{}`",
                    self.spec.name, identity.path
                ),
                "write a pattern relative to the recording's directory that stays below `root`",
            )
        })?;
        let Some(stamp) = self.seen.get(&path) else { return Ok(None) };
        let stamp = stamp.unwrap_or_else(|| stamp_of(&self.spec.root.join(&path)));
        Ok(Some(self.file(path, stamp)))
    }
}

/// Returns the stamp of a directory that has the name of an annotation file; reading it says what is wrong.
fn stamp_of(path: &Path) -> Stamp {
    fs_err::symlink_metadata(path).map_or(super::NO_STAMP, |metadata| super::stamp(&metadata))
}

/// Returns the path that `pattern` names for a recording, or nothing where it leaves the root.
fn beside(recording: &str, pattern: &str) -> Option<String> {
    if pattern.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = recording.split('/').collect();
    parts.pop();
    let written = pattern.replace("{stem}", stem(recording));
    for part in written.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotation_patterns_stay_below_the_root() {
        for (recording, pattern, expected) in [
            ("a/b/x.edf", "{stem}.csv", Some("a/b/x.csv")),
            ("x.edf", "{stem}.edf.seizures", Some("x.edf.seizures")),
            ("a/b/x.v2.edf", "../csv/{stem}.csv", Some("a/csv/x.v2.csv")),
            ("a/b/x.edf", "../../all.csv", Some("all.csv")),
            ("a/b/x.edf", "./s/{stem}/{stem}.csv", Some("a/b/s/x/x.csv")),
            ("a/x.edf", "../../{stem}.csv", None),
            ("a/x.edf", "/etc/{stem}.csv", None),
        ] {
            assert_eq!(beside(recording, pattern).as_deref(), expected, "{recording} {pattern}");
        }
    }
}
