//! A version opened for reading by a program that trains: held against `gc`, with what manifest and journals list.
//!
//! Nothing is judged and nothing is written here; `preflight` says whether a version is fit for training.

use crate::error::{Error, Result};
use crate::model::id::{ProfileName, VersionName};
use crate::model::manifest::FileRecord;
use crate::model::settings::Settings;
use crate::store::{Held, Hold, Store};
use std::path::{Path, PathBuf};

/// A version that is held for reading. Dropping it, in every process that inherited it, lets `gc` have it.
#[derive(Debug)]
pub struct Reader {
    store: Store,
    profile: ProfileName,
    version: VersionName,
    hold: Hold,
    held: Held,
}

impl Reader {
    /// Opens the version that a configuration means. `Error::NotReady` where it has no directory.
    pub fn of(settings: &Settings) -> Result<Self> {
        Self::new(Store::new(settings.cache_root.clone()), settings.profile.clone(), settings.version.clone())
    }

    /// Opens the version at `directory`, a `data.cache_dir`: `<cache.root>/<profile>/<version>`, links followed.
    pub fn open(directory: &Path) -> Result<Self> {
        let real = fs_err::canonicalize(directory).map_err(Error::io("open", directory))?;
        let name = |path: Option<&Path>| path?.file_name()?.to_str().map(str::to_owned);
        let version = name(Some(&real)).and_then(|name| VersionName::new(name).ok());
        let profile = name(real.parent()).and_then(|name| ProfileName::new(name).ok());
        let root = real.parent().and_then(Path::parent);
        let (Some(version), Some(profile), Some(root)) = (version, profile, root) else {
            return Err(Error::usage(
                format!("`{}` is no `<cache.root>/<profile>/<version>`", directory.display()),
                "`eegcache preflight` prints the directory of a cache",
            ));
        };
        Self::new(Store::new(root.to_owned()), profile, version)
    }

    fn new(store: Store, profile: ProfileName, version: VersionName) -> Result<Self> {
        let Some(hold) = store.hold(&profile, &version)? else {
            let directory = store.version_dir(&profile, &version);
            return Err(Error::NotReady {
                message: format!("NOT_FOUND: there is no cache at `{}`", directory.display()),
                hint: "`eegcache build` makes it".to_owned(),
            });
        };
        let held = store.load(&profile, &version)?;
        Ok(Self { store, profile, version, hold, held })
    }

    /// What manifest and journals list.
    #[must_use]
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// Reads manifest and journals again: a build may have finished more.
    pub fn reload(&mut self) -> Result<()> {
        self.held = self.store.load(&self.profile, &self.version)?;
        Ok(())
    }

    /// What keeps `gc` away.
    #[must_use]
    pub fn hold(&self) -> &Hold {
        &self.hold
    }

    /// The cache.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The profile.
    #[must_use]
    pub fn profile(&self) -> &ProfileName {
        &self.profile
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> &VersionName {
        &self.version
    }

    /// The version's directory.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.store.version_dir(&self.profile, &self.version)
    }

    /// Where a listed file lies. (Names were checked when manifest and journals were read.)
    #[must_use]
    pub fn path(&self, record: &FileRecord) -> PathBuf {
        self.directory().join(&record.name)
    }
}
