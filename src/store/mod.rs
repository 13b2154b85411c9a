//! The store: the only writer below `cache/`.
//!
//! It owns the disk layout, the container of finished files, the manifest with its journals, the lock
//! and the publish step. What has a final name is whole and never changes; manifest and journals say what
//! is there, and are only ever an accelerator, since every file explains itself. The store refuses names that are no
//! finished file's, links inside the cache, and files whose bytes are not what they say.

mod arrays;
mod damaged;
mod dir;
#[cfg(test)]
mod faults;
mod hashed;
mod held;
mod history;
mod hold;
mod journal;
pub mod layout;
mod lines;
mod link;
mod lock;
mod manifest;
mod memo;
mod merge;
pub mod npz;
mod publish;
mod removal;
mod scan;
mod seal;
mod setup;
mod sha256;
mod writer;

pub use arrays::{ArrayPlace, Arrays};
pub use held::{Glance, Held, ManifestState};
pub use hold::Hold;
pub use journal::{JOURNAL_SCHEMA, Line};
pub use lock::Wait;
pub use memo::{Memo, MemoLine};
pub use merge::{Committed, Merge, Next};
pub use removal::{Claim, Claimed, Contents, Item};
pub use scan::Scanned;
pub use writer::Writer;

use crate::error::{Error, Result};
use crate::model::id::{ProfileName, VersionName};
use crate::model::shard::Shard;
use dir::Dir;
use layout::Place;
use lock::Patience;
use std::path::{Path, PathBuf};

/// A cache on disk. Its reading functions make nothing and work where nothing may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    root: PathBuf,
    durable: bool,
}

impl Store {
    /// Returns the cache at `root`, which need not exist.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root, durable: true }
    }

    /// Leaves out every sync: faster, and after a power loss whatever was written last may be damaged.
    #[must_use]
    pub fn without_fsync(self) -> Self {
        Self { durable: false, ..self }
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// True where finished work survives a power loss.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.durable
    }

    /// Returns the directory of a version, `data.cache_dir`.
    #[must_use]
    pub fn version_dir(&self, profile: &ProfileName, version: &VersionName) -> PathBuf {
        Place::Version(profile, version).path(&self.root)
    }

    /// Returns the versions of a profile that have a directory, sorted.
    pub fn versions(&self, profile: &ProfileName) -> Result<Vec<VersionName>> {
        let Some(dir) = Dir::reach(&self.root, &Place::Profile(profile).components())? else {
            return Ok(Vec::new());
        };
        let directories = dir.list()?.into_iter().filter(|(_, kind)| kind.is_dir());
        Ok(directories.filter_map(|(name, _)| VersionName::new(name).ok()).collect())
    }

    /// Returns what a version holds by manifest and journals; no finished file is looked at.
    pub fn load(&self, profile: &ProfileName, version: &VersionName) -> Result<Held> {
        let dir = Dir::reach(&self.root, &Place::Version(profile, version).components())?;
        Held::read(dir.as_ref(), profile, version)
    }

    /// Looks at manifest and journals without reading them: a cheap way to know that a `load` from before still holds.
    pub fn glance(&self, profile: &ProfileName, version: &VersionName) -> Result<Glance> {
        Ok(Glance::at(Dir::reach(&self.root, &Place::Version(profile, version).components())?.as_ref()))
    }

    /// Returns what is remembered of a dataset's source files; nothing where it cannot be read.
    #[must_use]
    pub fn memo(&self, dataset: &str) -> Memo {
        let sources = Dir::reach(&self.root, &Place::Sources.components()).ok().flatten();
        match (sources, layout::memo_name(dataset)) {
            (Some(sources), Some(name)) => Memo::read(&sources, &name),
            _ => Memo::default(),
        }
    }

    /// Takes the version for writing and makes its directories where they are absent.
    ///
    /// Where another writer holds it, `on_wait` hears again and again who that is and says whether to go on:
    /// if not, `Error::Interrupted`; `Error::Busy` when `wait` is over. Where locks do not exclude, the writer says so in `exclusive` and `note`.
    pub fn lock(
        &self,
        profile: &ProfileName,
        version: &VersionName,
        wait: Wait,
        on_wait: &dyn Fn(&str) -> bool,
    ) -> Result<Writer> {
        Writer::open(self, profile, version, None, &Patience::new(wait, on_wait))
    }

    /// Takes a shard of the version for writing, beside the builders of other shards; otherwise like `lock`.
    pub fn lock_shard(
        &self,
        profile: &ProfileName,
        version: &VersionName,
        shard: Shard,
        wait: Wait,
        on_wait: &dyn Fn(&str) -> bool,
    ) -> Result<Writer> {
        Writer::open(self, profile, version, Some(shard), &Patience::new(wait, on_wait))
    }

    /// Returns the bytes that this user may still write below the root, or where the root would be made.
    pub fn free_bytes(&self) -> Result<u64> {
        let existing = self.root.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        let stat = dir::fault::point("stat file system").and_then(|()| Ok(rustix::fs::statvfs(existing)?));
        let stat = stat.map_err(Error::io("read", existing))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}
