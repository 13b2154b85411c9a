//! What a writer finds or makes before it writes: directories, the tag, its umask.

use super::dir::{Dir, fault, is_absent};
use super::{Store, layout, lock};
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

/// Removes what writers left behind that were killed; `is_alone` where locks promise that no other is at work.
pub(super) fn remove_stale(temporaries: &Dir, is_alone: bool) -> Result<()> {
    for (name, kind) in temporaries.list()? {
        if !kind.is_dir() && is_ended(temporaries, &name, is_alone) {
            temporaries.remove(&name).map_err(temporaries.error("remove", &name))?;
        }
    }
    Ok(())
}

/// True where the writer of a file in `dir` has ended for all that can be known. `is_free` says that locks exclude and
/// that nobody holds one; then only a writer on another machine, whose locks may not reach this one, can be at
/// work, and not for a day without a sign. Without locks, its number must be free on this machine as well.
pub(super) fn is_ended(dir: &Dir, name: &str, is_free: bool) -> bool {
    let is_old = || dir.stat(name).is_ok_and(|stat| age_s(&stat) > LONGEST_SILENCE_S);
    match (layout::writer_of(name), is_free) {
        (None, free) => free,
        (Some((host, _)), true) => host == lock::host() || is_old(),
        (Some((host, pid)), false) => host == lock::host() && lock::is_dead(pid) && is_old(),
    }
}

/// Seconds since a file was written to.
fn age_s(stat: &rustix::fs::Stat) -> i64 {
    (now_ns() / 1_000_000_000) as i64 - stat.st_mtime
}

/// What a writer on another machine may take for one recording, many times over.
const LONGEST_SILENCE_S: i64 = 24 * 3600;

/// Reads the umask without changing it: setting and restoring it would race with other threads.
pub(super) fn umask() -> Result<u32> {
    const USUAL: u32 = 0o022;
    const STATUS: &str = "/proc/self/status";
    let status = match fault::point("read umask").and_then(|()| fs_err::read_to_string(STATUS)) {
        Ok(status) => status,
        // Systems without this file have no other way to tell.
        Err(error) if is_absent(&error) => return Ok(USUAL),
        // A guess could let others read what nobody but its owner shall.
        Err(error) => return Err(Error::io("read", STATUS)(error)),
    };
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    Ok(line.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).unwrap_or(USUAL))
}

/// Returns the time in nanoseconds since the epoch.
pub(super) fn now_ns() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
