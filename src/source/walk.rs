//! The list of everything below a dataset root: one pass over the directories, no file is looked at.
//!
//! Directory links are not followed. As in a shell, a `*` does not stand for names that begin with a
//! dot (`.git` of a git-annex dataset, `._x.edf` of a Mac), unless a glob spells such a name out.

use crate::error::{Error, Result};
use crate::fault;
use crate::model::dataset::DatasetSpec;
use globset::{Glob, GlobSet};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use walkdir::{DirEntry, WalkDir};

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The paths that a glob matches, in the order of their bytes.
    pub recordings: Vec<Listed>,
    /// Every path below the root that is UTF-8: what exists need not be asked for again.
    pub seen: HashSet<String>,
}

/// A path below the root that a glob matches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listed {
    /// Relative to the root, with `/`; bytes that are not UTF-8 are written as `\xff`.
    pub path: String,
    /// True where `path` is what the disk says.
    pub is_utf8: bool,
}

/// Lists everything below `root` and picks what the globs match, those of `exclude` left out.
pub(super) fn walk(root: &Path, globs: &[Glob], exclude: &[Glob]) -> Result<Listing> {
    let (set, excluded) = (glob_set(globs)?, glob_set(exclude)?);
    let dotted = globs.iter().any(|glob| glob.glob().split('/').any(|part| part.starts_with('.')));
    let mut listing = Listing::default();
    let entries = WalkDir::new(root).min_depth(1).into_iter();
    for entry in entries.filter_entry(|entry| entry.depth() == 0 || dotted || !is_hidden(entry)) {
        fault::point("list source").map_err(Error::io("list", root))?;
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(root).to_owned();
            Error::io("list", path)(error.into())
        })?;
        let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
        let matches = set.is_match(relative) && !excluded.is_match(relative);
        if let Some(path) = relative.to_str() {
            if matches {
                listing.recordings.push(Listed { path: path.to_owned(), is_utf8: true });
            }
            listing.seen.insert(path.to_owned());
        } else if matches {
            listing.recordings.push(Listed { path: escaped(relative.as_os_str()), is_utf8: false });
        }
    }
    listing.recordings.sort_unstable();
    Ok(listing)
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

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_bytes().starts_with(b".")
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
