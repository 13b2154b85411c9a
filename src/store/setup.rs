//! What a writer finds or makes before it writes: directories, the tag, its umask.

use super::dir::{Dir, fault, is_absent};
use super::{Store, layout};
use crate::error::{Error, Result};
use crate::model::id::{ProfileName, Split, VersionName};
use std::io::Write;
use std::time::SystemTime;

/// The directories of a version, made where they are absent.
pub(super) struct Directories {
    pub(super) profile: Dir,
    pub(super) version: Dir,
    pub(super) build: Dir,
    pub(super) temporaries: Dir,
    pub(super) splits: [Dir; 3],
}

impl Directories {
    pub(super) fn make(store: &Store, profile: &ProfileName, version: &VersionName) -> Result<Self> {
        let durable = store.is_durable();
        let root = make_root(store)?;
        let profile = root.child_or_create(profile.as_str(), durable)?;
        let version = profile.child_or_create(version.as_str(), durable)?;
        let build = version.child_or_create(layout::BUILD, durable)?;
        let temporaries = build.child_or_create(layout::TEMPORARIES, durable)?;
        let split = |split: Split| version.child_or_create(split.as_str(), durable);
        let splits = [split(Split::Train)?, split(Split::Val)?, split(Split::Eval)?];
        Ok(Self { profile, version, build, temporaries, splits })
    }
}

fn make_root(store: &Store) -> Result<Dir> {
    let made = fault::point("make root").and_then(|()| fs_err::create_dir_all(store.root()));
    made.map_err(Error::io("create", store.root()))?;
    let root = Dir::open_root(store.root()).map_err(Error::io("open", store.root()))?;
    match root.stat(layout::TAG) {
        Ok(tag) if tag.st_size > 0 => Ok(root),
        Err(error) if !is_absent(&error) => Err(root.error("read", layout::TAG)(error)),
        _ => {
            let written = root
                .open_or_create(layout::TAG)
                .and_then(|file| fault::Watched(&file, "write tag").write_all(layout::TAG_TEXT.as_bytes()));
            written.map_err(root.error("write", layout::TAG))?;
            Ok(root)
        }
    }
}

/// Removes what writers left behind that were killed. Only for the holder of a lock that excludes.
pub(super) fn remove_stale(temporaries: &Dir) -> Result<()> {
    for (name, kind) in temporaries.list()? {
        if !kind.is_dir() {
            temporaries.remove(&name).map_err(temporaries.error("remove", &name))?;
        }
    }
    Ok(())
}

/// Reads the umask without changing it: setting and restoring it would race with other threads.
pub(super) fn umask() -> u32 {
    const USUAL: u32 = 0o022;
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).unwrap_or(USUAL)
}

/// Returns the time in nanoseconds since the epoch.
pub(super) fn now_ns() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
