//! A version held for reading: `gc` leaves alone what somebody holds.
//!
//! The hold is a shared lock on the version's directory itself, opened for reading: it works where nothing may be
//! written and leaves nothing behind. The kernel binds it to the open descriptor, so it lasts until the last
//! process that inherited the descriptor has ended, however that one ends.

use super::Store;
use super::dir::{Dir, is_absent};
use super::layout::Place;
use crate::error::{Error, Result};
use crate::model::id::{ProfileName, VersionName};
use std::time::{Duration, Instant};

/// A version that is held for reading; dropping it lets go.
#[derive(Debug)]
pub struct Hold {
    dir: Dir,
    is_locked: bool,
}

/// `gc` holds a version exclusively while it removes it, which takes moments.
const LONGEST_REMOVAL: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

impl Hold {
    /// Lets programs that this process becomes, or starts, hold the version as well.
    pub fn inherit(&self) -> Result<()> {
        self.dir.inherit().map_err(Error::io("keep open", self.dir.path()))
    }

    /// False where the file system does not lock directories: there `gc` refuses by itself.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.is_locked
    }
}

impl Store {
    /// Holds a version for reading; nothing where it has no directory. `Error::Busy` while `gc` removes it.
    pub fn hold(&self, profile: &ProfileName, version: &VersionName) -> Result<Option<Hold>> {
        let began = Instant::now();
        let reach = || Dir::reach(self.root(), &Place::Version(profile, version).components());
        loop {
            let Some(dir) = reach()? else { return Ok(None) };
            match dir.try_share() {
                // What was locked may have been removed just before, and another directory have its name.
                Ok(true) if reach()?.is_some_and(|named| named.is_same(&dir)) => {
                    return Ok(Some(Hold { dir, is_locked: true }));
                }
                Ok(_) if began.elapsed() > LONGEST_REMOVAL => {
                    let holder = "`gc`, which removes it".to_owned();
                    return Err(Error::Busy { path: dir.path().to_owned(), holder });
                }
                Ok(_) => std::thread::sleep(POLL),
                Err(error) if is_absent(&error) => return Ok(None),
                Err(_) => return Ok(Some(Hold { dir, is_locked: false })),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::TryLockError;

    #[test]
    fn readers_share_a_version_and_keep_others_from_owning_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().to_owned());
        let (profile, version) = (ProfileName::new("full").unwrap(), VersionName::new("v1").unwrap());
        assert!(store.hold(&profile, &version).unwrap().is_none());
        fs_err::create_dir_all(store.version_dir(&profile, &version)).unwrap();
        let holds = [0, 1].map(|_| store.hold(&profile, &version).unwrap().unwrap());
        assert!(holds.iter().all(Hold::is_locked));
        let owner = fs_err::File::open(store.version_dir(&profile, &version)).unwrap();
        for hold in holds {
            assert!(matches!(owner.file().try_lock(), Err(TryLockError::WouldBlock)));
            drop(hold);
        }
        owner.file().try_lock().unwrap();
    }
}
