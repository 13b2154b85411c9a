//! The directory of an export: whose it is, how files get into it, and which of them are still right.
//!
//! ```text
//! .eegcache-export.jsonl     what the directory is for and into which splits recordings were sorted, then a line a
//!                            finished file: name, bytes, made from, SHA-256 of its arrays
//! .eegcache-export.lock      held while an export is at work
//! train/<id>_windows.npz     and so on
//! ```
//! What is made anew goes first, file and record, and that is durable before a file appears. A file appears whole, by
//! rename, and is recorded afterwards. So no record ever stands beside other bytes than its own, whether a run is
//! killed or the machine loses power: where a file did not make it to the disk, there is none under its name. The
//! directory must be absent, empty, or carry the record of the same purpose.

use crate::error::{Error, Result};
use crate::exchange::door::{open_regular, open_with};
use crate::fault::{self, Watched};
use crate::model::id::Digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const RECORDS: &str = ".eegcache-export.jsonl";
const LOCK: &str = ".eegcache-export.lock";
const TEMPORARY: &str = ".eegcache-tmp-";
const POLL: Duration = Duration::from_millis(100);

/// What a directory is for. Another purpose needs another directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purpose {
    /// The layout.
    pub layout: String,
    /// The dataset.
    pub dataset: String,
    /// The profile.
    pub profile: String,
}

/// The first line of the record.
#[derive(Debug, Serialize, Deserialize)]
struct First {
    #[serde(flatten)]
    purpose: Purpose,
    /// The split identity of the last run; earlier programs wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    splits: Option<Digest>,
}

/// What the record says.
#[derive(Debug, Default)]
struct Records {
    splits: Option<Digest>,
    files: BTreeMap<String, Record>,
}

/// A file that is finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    name: String,
    bytes: u64,
    from: Digest,
    /// SHA-256 of the data of each array, as in `entry.json`; earlier programs wrote none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    arrays: BTreeMap<String, Digest>,
}

/// What was written into a file.
#[derive(Debug)]
pub(crate) struct Written {
    /// Its bytes.
    pub(super) bytes: u64,
    /// SHA-256 of the data of each array.
    pub(super) arrays: BTreeMap<String, Digest>,
}

/// A directory that is ours to write into, for as long as this value lives.
#[derive(Debug)]
pub struct Target {
    root: PathBuf,
    purpose: Purpose,
    splits: Digest,
    records: Mutex<Records>,
    /// Directories whose names changed since they were synced.
    unsynced: Mutex<BTreeSet<PathBuf>>,
    lock: File,
}

impl Target {
    /// Makes sure that `root` is empty, absent or an export of the same purpose, and takes it for a run that sorts
    /// recordings into the splits of that identity.
    ///
    /// While another export is at work there, `on_wait` is asked again and again whether to go on waiting. Fails with
    /// `Error::Config` where the directory holds anything else; nothing is touched then.
    pub fn claim(root: &Path, purpose: Purpose, splits: Digest, on_wait: &dyn Fn() -> bool) -> Result<Self> {
        if root.exists() {
            read_records(root, &purpose)?;
        } else {
            let made = fault::point("make export").and_then(|()| fs_err::create_dir_all(root));
            made.map_err(Error::io("create", root))?;
        }
        let (lock, is_exclusive) = lock(root, on_wait)?;
        // What the other export did while this one waited.
        let records = read_records(root, &purpose)?;
        // A run that was killed synced nothing of what it recorded.
        let of_record = |name: &String| root.join(name).parent().map(Path::to_owned);
        let unsynced: BTreeSet<PathBuf> =
            records.files.keys().filter_map(of_record).filter(|path| path.is_dir()).collect();
        let (records, unsynced) = (Mutex::new(records), Mutex::new(unsynced));
        let target = Self { root: root.to_owned(), purpose, splits, records, unsynced, lock };
        if is_exclusive {
            target.remove_temporaries()?;
        }
        // Also where there is a record already: its last line may be torn.
        target.write_records()?;
        Ok(target)
    }

    /// The directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// True where recordings were sorted into other splits, or nobody knows into which: what a run does not look at may
    /// contradict what it writes.
    #[must_use]
    pub fn has_other_splits(&self) -> bool {
        self.records().splits != Some(self.splits)
    }

    /// True where the file was finished, made from the same, and still has its size.
    #[must_use]
    pub fn is_done(&self, name: &str, from: Digest) -> bool {
        let recorded = self.records().files.get(name).cloned();
        let bytes = recorded.filter(|record| record.from == from).map(|record| record.bytes);
        let on_disk = fs_err::symlink_metadata(self.root.join(name)).ok().filter(std::fs::Metadata::is_file);
        bytes.is_some() && bytes == on_disk.map(|metadata| metadata.len())
    }

    /// Takes files away that no record names. When this returns no power loss brings one back.
    pub fn remove_all(&self, names: &[String]) -> Result<()> {
        for name in names {
            self.remove(name)?;
        }
        self.sync()
    }

    /// Takes files away, recorded or not: those that are made anew, and all that the run's splits contradict. What
    /// stays is on record under these splits. When this returns no power loss brings back a file or its record.
    pub fn clear(&self, names: &[String]) -> Result<()> {
        self.remove_all(names)?;
        let mut records = self.records();
        let (splits, count) = (records.splits.replace(self.splits), records.files.len());
        for name in names {
            records.files.remove(name);
        }
        let is_changed = (splits, count) != (records.splits, records.files.len());
        drop(records);
        if is_changed {
            self.write_records()?;
        }
        self.sync()
    }

    /// Makes a file appear whole, and remembers what it was made from and what was written. Returns its bytes.
    ///
    /// A file of that name must have been taken away by `clear`.
    pub(crate) fn publish(
        &self,
        name: &str,
        from: Digest,
        write: impl FnOnce(&mut Watched<'_>) -> io::Result<Written>,
    ) -> Result<u64> {
        debug_assert!(!self.records().files.contains_key(name), "`{name}` is still on record");
        let Written { bytes, arrays } = self.replace(name, write)?;
        let record = Record { name: name.to_owned(), bytes, from, arrays };
        let path = self.root.join(RECORDS);
        let mut records = self.records();
        let append = |line: &str| {
            fault::point("open export record")?;
            let file = fs_err::OpenOptions::new().append(true).open(&path)?;
            Watched(file.file(), "write export record").write_all(line.as_bytes())
        };
        line(&record)
            .map_err(io::Error::from)
            .and_then(|line| append(&line))
            .map_err(Error::io("write", &path))?;
        records.files.insert(name.to_owned(), record);
        Ok(bytes)
    }

    /// Makes a file appear whole whose content follows from the others. Returns what `write` does.
    pub(crate) fn replace<T>(
        &self,
        name: &str,
        write: impl FnOnce(&mut Watched<'_>) -> io::Result<T>,
    ) -> Result<T> {
        let path = self.root.join(name);
        let parent = path.parent().unwrap_or(&self.root);
        // The root itself may be a link.
        if parent != self.root {
            make_directory(parent)?;
            self.unsynced().insert(self.root.clone());
        }
        let leaf = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let temporary = parent.join(format!("{TEMPORARY}{}-{leaf}", std::process::id()));
        let rename = || fault::point("rename export").and_then(|()| fs_err::rename(&temporary, &path));
        let written = write_new(&temporary, write).and_then(|written| rename().map(|()| written));
        self.unsynced().insert(parent.to_owned());
        written.map_err(|error| {
            // Nothing is decided by whether this succeeds: the next run removes it.
            let _ = fault::point("remove export").and_then(|()| fs_err::remove_file(&temporary));
            Error::io("write", &path)(error)
        })
    }

    /// Removes a file; one that is absent is removed already.
    fn remove(&self, name: &str) -> Result<()> {
        let path = self.root.join(name);
        let parent = path.parent().unwrap_or(&self.root);
        if parent != self.root && parent.is_symlink() {
            return Err(linked(parent));
        }
        match fault::point("remove export").and_then(|()| fs_err::remove_file(&path)) {
            Ok(()) => {
                self.unsynced().insert(parent.to_owned());
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io("remove", path)(error)),
        }
    }

    /// Writes the record in order of names. When this returns no power loss takes away what is recorded.
    pub fn finish(&self) -> Result<()> {
        self.sync()?;
        self.write_records()?;
        self.sync()
    }

    /// Makes durable which names there are. What files hold is durable before they have their names.
    pub fn sync(&self) -> Result<()> {
        let directories = std::mem::take(&mut *self.unsynced());
        directories.iter().try_for_each(|path| {
            let sync = || fs_err::File::open(path)?.sync_all();
            fault::point("sync export directory").and_then(|()| sync()).map_err(Error::io("sync", path))
        })
    }

    /// The names of finished files, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.records().files.keys().cloned().collect()
    }

    /// Returns the bytes that this user may still write here.
    pub fn free_bytes(&self) -> Result<u64> {
        let stat = fault::point("stat export").and_then(|()| Ok(rustix::fs::statvfs(&self.root)?));
        let stat = stat.map_err(Error::io("read", &self.root))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        // A panic elsewhere does not make the records wrong.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unsynced(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        // A panic elsewhere does not make the paths wrong.
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_records(&self) -> Result<()> {
        let records = self.records();
        let first = First { purpose: self.purpose.clone(), splits: records.splits };
        let mut text = line(&first).and_then(|first| {
            records.files.values().try_fold(first, |text, record| Ok(text + &line(record)?))
        });
        drop(records);
        let text = text.as_mut().map_err(|error| io::Error::other(error.to_string()));
        let text = text.map_err(Error::io("write", self.root.join(RECORDS)))?;
        self.replace(RECORDS, |file| file.write_all(text.as_bytes()))
    }

    /// What a killed run left behind. Only with the lock, which says that no other run is at work.
    fn remove_temporaries(&self) -> Result<()> {
        let is_ours = |entry: &walkdir::DirEntry| entry.file_name().to_string_lossy().starts_with(TEMPORARY);
        for entry in walkdir::WalkDir::new(&self.root).max_depth(2) {
            let entry = entry.map_err(|error| Error::io("list", &self.root)(error.into()))?;
            if entry.file_type().is_file() && is_ours(&entry) {
                let removed = fault::point("remove export").and_then(|()| fs_err::remove_file(entry.path()));
                removed.map_err(Error::io("remove", entry.path()))?;
            }
        }
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // Closing alone would not unlock where a forked process keeps the descriptor; nothing rests on it.
        let _ = self.lock.unlock();
    }
}

fn line(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(serde_json::to_string(value)? + "\n")
}

/// A directory of the target: made where it is absent, refused where a link would lead elsewhere.
fn make_directory(path: &Path) -> Result<()> {
    let made = fault::point("make export").and_then(|()| fs_err::create_dir_all(path));
    made.map_err(Error::io("create", path))?;
    let metadata = fs_err::symlink_metadata(path).map_err(Error::io("look at", path))?;
    if metadata.is_dir() {
        return Ok(());
    }
    Err(linked(path))
}

fn linked(path: &Path) -> Error {
    let link = io::Error::new(io::ErrorKind::InvalidInput, "a symbolic link is not followed");
    Error::io("write into", path)(link)
}

fn write_new<T>(path: &Path, write: impl FnOnce(&mut Watched<'_>) -> io::Result<T>) -> io::Result<T> {
    fault::point("create export")?;
    let file = fs_err::OpenOptions::new().write(true).create_new(true).open(path)?;
    let written = write(&mut Watched(file.file(), "write export"))?;
    // A file that is recorded as finished is finished, whatever happens to the machine.
    fault::point("sync export").and_then(|()| file.sync_data())?;
    Ok(written)
}

/// Returns what is finished in a directory. Refuses one that holds anything but an export of this purpose.
fn read_records(root: &Path, purpose: &Purpose) -> Result<Records> {
    let hint = "an export is written only into an empty directory or one that it made: choose another";
    let foreign = |what: String| Error::usage(format!("`{}` {what}", root.display()), hint);
    let read = || {
        let mut text = String::new();
        open_regular(&root.join(RECORDS))?.read_to_string(&mut text).map(|_| text)
    };
    let text = match fault::point("read export record").and_then(|()| read()) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return first_foreign(root)?.map_or(Ok(Records::default()), |name| {
                Err(foreign(format!("is not empty and no export: it holds `{name}`")))
            });
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(foreign("is no directory".to_owned()));
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            return Err(foreign(format!("is not a readable export: `{RECORDS}` is no regular file")));
        }
        Err(error) => return Err(Error::io("read", root.join(RECORDS))(error)),
    };
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let First { purpose: held, splits } = serde_json::from_str(first)
        .map_err(|error| foreign(format!("is not a readable export: `{RECORDS}` says {error}")))?;
    if held != *purpose {
        return Err(foreign(format!(
            "holds another export: layout {}, dataset {}, profile {}, where layout {}, dataset {}, profile {} are wanted",
            held.layout, held.dataset, held.profile, purpose.layout, purpose.dataset, purpose.profile
        )));
    }
    // A torn last line is that of a file which is made again; a name that leads elsewhere is none of ours.
    let records = rest.lines().filter_map(|line| serde_json::from_str::<Record>(line).ok());
    let records = records.filter(|record| is_name_of_ours(&record.name));
    Ok(Records { splits, files: records.map(|record| (record.name.clone(), record)).collect() })
}

/// A directory and a file in it, both with plain names.
fn is_name_of_ours(name: &str) -> bool {
    let is_plain = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
    };
    name.split_once('/').is_some_and(|(directory, leaf)| is_plain(directory) && is_plain(leaf))
}

/// The first name in a directory that no export left there.
fn first_foreign(root: &Path) -> Result<Option<String>> {
    let entries = fault::point("list export").and_then(|()| fs_err::read_dir(root)?.collect());
    let entries: Vec<fs_err::DirEntry> = entries.map_err(Error::io("list", root))?;
    let names = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
    // A run that was killed at once leaves nothing else.
    Ok(names.filter(|name| name != LOCK && !name.starts_with(TEMPORARY)).min())
}

/// Takes the lock, and says whether it excludes: some file systems do not lock. Unique temporaries and whole files keep
/// two exports of the same from harming each other there; of two different ones at once nobody keeps the record right.
fn lock(root: &Path, on_wait: &dyn Fn() -> bool) -> Result<(File, bool)> {
    let path = root.join(LOCK);
    let open = || open_with(fs_err::OpenOptions::new().create(true).append(true), &path);
    let file = fault::point("open export lock").and_then(|()| open());
    let (file, _) = file.map_err(Error::io("open", &path))?.into_parts();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok((file, true)),
            Err(TryLockError::Error(_)) => return Ok((file, false)),
            Err(TryLockError::WouldBlock) => {}
        }
        if !on_wait() {
            let message = "gave up waiting for another export; nothing was begun".to_owned();
            return Err(Error::Interrupted { message });
        }
        std::thread::sleep(POLL);
    }
}
