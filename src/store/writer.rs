//! The one who may write into a version: finished files, journal lines, the manifest, the memo.
//!
//! Order is everything: an entry's files are durable before its journal line is, and all journal
//! lines before the manifest that replaces them (`store::merge`).

use super::dir::Dir;
use super::journal::{self, Journal, Line};
use super::layout::{self, FileName, IDENTITY, LATEST, Part, SOURCES};
use super::lock::{self, Lock, Patience};
use super::memo::{self, Memo, MemoLine};
use super::publish::{self, SplitDir, Temporary, Verdict};
use super::setup::{self, Directories};
use super::{Store, npz, seal};
use crate::error::{Error, Result};
use crate::model::artifact::{Facts, LabelFacts, SignalFacts};
use crate::model::id::{ProfileName, Split, VersionName};
use crate::model::manifest::{FileRecord, Identity};
use crate::model::recipe::Dtype;
use crate::model::recording::Signal;
use crate::model::shard::Shard;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Writes into one version, from many threads at once. Dropping it releases the lock.
#[derive(Debug)]
pub struct Writer {
    /// True where no other writer can be at work on the version; what deletes must refuse without.
    pub exclusive: bool,
    /// Why locks do not exclude here, in one line for people.
    pub note: Option<String>,
    store: Store,
    profile: Dir,
    version: Dir,
    build: Dir,
    temporaries: Dir,
    splits: [SplitDir; 3],
    /// `<host>-<pid>-<random>`: unique among all writers, ever.
    name: String,
    counter: AtomicU64,
    umask: u32,
    journal: Mutex<Journals>,
    unsupported: Mutex<BTreeSet<(u64, &'static str)>>,
    compacted: Mutex<BTreeSet<String>>,
    lock: Lock,
}

/// The writer's own journals.
#[derive(Debug)]
pub(super) struct Journals {
    pub(super) header: journal::Header,
    pub(super) open: Option<Journal>,
    /// Names of all that this writer made since its last manifest.
    pub(super) own: Vec<String>,
}

/// How often a name may vanish between being found taken and being looked at.
const ATTEMPTS: usize = 8;

impl Writer {
    /// Makes the directories of a version, and takes its lock.
    pub(super) fn open(
        store: &Store,
        profile: &ProfileName,
        version: &VersionName,
        shard: Option<Shard>,
        patience: &Patience<'_>,
    ) -> Result<Self> {
        loop {
            let dirs = Directories::make(store, profile, version)?;
            let Some(lock) = Lock::acquire(&dirs.build, dirs.version.path(), shard, patience)? else {
                continue;
            };
            // While this one waited, the version, or parts of it, may have been removed by the other.
            let dirs = Directories::make(store, profile, version)?;
            if lock.is_current(&dirs.build) {
                return Self::with_lock(store, profile, version, dirs, lock);
            }
        }
    }

    fn with_lock(
        store: &Store,
        profile: &ProfileName,
        version: &VersionName,
        dirs: Directories,
        lock: Lock,
    ) -> Result<Self> {
        if lock.is_exclusive() || !lock.is_reliable() {
            setup::remove_stale(&dirs.temporaries, lock.is_exclusive())?;
        }
        let header = journal::Header {
            schema: journal::JOURNAL_SCHEMA,
            profile: profile.clone(),
            version: version.clone(),
            identity: None,
            recipe: None,
            durable: store.is_durable(),
            began_ns: setup::now_ns(),
        };
        let random = RandomState::new().build_hasher().finish();
        Ok(Self {
            exclusive: lock.is_exclusive(),
            note: lock.note.clone(),
            store: store.clone(),
            name: format!("{}-{}-{random:016x}", lock::host(), std::process::id()),
            counter: AtomicU64::new(0),
            umask: setup::umask()?,
            journal: Mutex::new(Journals { header, open: None, own: Vec::new() }),
            unsupported: Mutex::default(),
            compacted: Mutex::default(),
            splits: dirs.splits.map(SplitDir::new),
            profile: dirs.profile,
            version: dirs.version,
            build: dirs.build,
            temporaries: dirs.temporaries,
            lock,
        })
    }

    /// Begins this writer's journal: what the version means, durable before anything else is.
    pub fn begin(&self, identity: &Identity, recipe: &serde_json::Value) -> Result<()> {
        let mut journals = self.journals();
        journals.header.identity = Some(identity.clone());
        journals.header.recipe = Some(recipe.clone());
        journals.open = None;
        self.open_journal(&mut journals)?;
        self.leave_identity(&journals.header)
    }

    /// Leaves word of what the version means, should manifest and journals be lost.
    fn leave_identity(&self, header: &journal::Header) -> Result<()> {
        let known = journal::read(&self.build, IDENTITY)?.map(|known| known.header);
        if known.is_ok_and(|known| known.identity == header.identity && known.recipe == header.recipe) {
            return Ok(());
        }
        let mut text = Vec::new();
        seal::encode(header, &mut text).map_err(self.build.error("write", IDENTITY))?;
        self.replace_file(&self.build, IDENTITY, &text)
    }

    /// Writes a signal file and returns the record of what now has its name.
    ///
    /// That is the file which was there before, where it is good and of the same fingerprint and sources.
    pub fn write_signal(
        &self,
        split: Split,
        signal: &Signal,
        dtype: Dtype,
        facts: SignalFacts,
    ) -> Result<FileRecord> {
        let file = FileName::new(split, facts.id.clone(), Part::Signal);
        let (rows, samples) = signal.data.dim();
        let is_whole = [signal.channels.len(), signal.scale.len()] == [rows, rows];
        self.demand(&file, is_whole, "its rows, channel names and scales differ in number")?;
        self.demand(&file, samples as u64 == facts.samples, "its facts name another number of samples")?;
        self.write(&file, &npz::signal_arrays(signal, dtype), Facts::Signal(facts))
    }

    /// Writes a labels file (one byte a sample) and returns the record of what now has its name.
    pub fn write_labels(&self, split: Split, labels: &[u8], facts: LabelFacts) -> Result<FileRecord> {
        let file = FileName::new(split, facts.id.clone(), Part::Labels);
        self.demand(&file, labels.len() as u64 == facts.samples, "its facts name another number of samples")?;
        self.write(&file, &npz::label_arrays(labels), Facts::Labels(facts))
    }

    /// Refuses to write what no reader would accept.
    fn demand(&self, file: &FileName, is_right: bool, message: &str) -> Result<()> {
        if is_right {
            return Ok(());
        }
        Err(Error::Damaged { path: self.path_of(file), message: message.to_owned() })
    }

    fn write(&self, file: &FileName, arrays: &[npz::Array<'_>], facts: Facts) -> Result<FileRecord> {
        let temporary = self.create_temporary()?;
        let mut out = temporary.hashed();
        npz::write(arrays, facts, &mut out).map_err(temporary.error("write"))?;
        let (bytes, sha256) = out.finish();
        temporary.seal(bytes, self.finished_mode(), self.store.is_durable())?;
        self.publish(temporary, file, FileRecord { name: file.to_string(), bytes, sha256 })
    }

    /// Gives a sealed temporary its final name, or drops it where a file stands there that is as good.
    pub(super) fn publish(
        &self,
        mut temporary: Temporary<'_>,
        file: &FileName,
        record: FileRecord,
    ) -> Result<FileRecord> {
        let (split, leaf) = (self.split(file.split), file.leaf());
        for _ in 0..ATTEMPTS {
            if temporary.place(&split.dir, &leaf)? {
                split.touch();
                return Ok(record);
            }
            match publish::judge(&split.dir, &leaf, temporary.file())? {
                Verdict::Gone => {}
                Verdict::Stays(bytes, sha256) => {
                    // Whoever placed it may not have come to make its name durable.
                    split.touch();
                    return Ok(FileRecord { bytes, sha256, ..record });
                }
                Verdict::Replace => {
                    self.record(&Line::Replacing { name: record.name.clone() })?;
                    temporary.replace(&split.dir, &leaf)?;
                    split.touch();
                    return Ok(record);
                }
            }
        }
        let busy = io::Error::other("the name is made and removed again and again by someone else");
        Err(split.dir.error("publish", &leaf)(busy))
    }

    /// Removes a finished file that is no longer valid; one that is absent is removed already.
    pub fn remove(&self, name: &str) -> Result<()> {
        let file = self.parse_name(name)?;
        let (split, leaf) = (self.split(file.split), file.leaf());
        split.dir.remove(&leaf).map_err(split.dir.error("remove", &leaf))?;
        split.touch();
        Ok(())
    }

    /// Appends a line to the journal; the files that it speaks of are made durable before.
    pub fn record(&self, line: &Line) -> Result<()> {
        self.record_all(std::slice::from_ref(line))
    }

    /// Appends many lines to the journal at the price of one.
    pub fn record_all(&self, lines: &[Line]) -> Result<()> {
        self.sync_names()?;
        let mut journals = self.journals();
        let appended = self.open_journal(&mut journals)?.append(&self.build, lines);
        if appended.is_err() {
            // A failed write or sync is final for that file: what follows goes to a new one.
            journals.open = None;
        }
        appended
    }

    /// Adds to the memo of a dataset what its files were found to hold.
    pub fn remember(&self, dataset: &str, lines: &[MemoLine]) -> Result<()> {
        let root = Dir::open_root(self.store.root()).map_err(Error::io("open", self.store.root()))?;
        let sources = root.child_or_create(SOURCES, self.store.is_durable())?;
        let Some(name) = layout::memo_name(dataset) else {
            let invalid = io::Error::new(io::ErrorKind::InvalidInput, "no plain name of a dataset");
            return Err(sources.error("write", &dataset.escape_debug().to_string())(invalid));
        };
        let is_first = self.compacted.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        if is_first {
            self.compact_memo(&sources, &name)?;
        }
        memo::append(&sources, &name, lines).map_err(sources.error("write", &name))
    }

    /// Drops stale lines. Lines that another writer appends in this very moment may be lost, which costs it a hash.
    fn compact_memo(&self, sources: &Dir, name: &str) -> Result<()> {
        let text = Memo::read(sources, name).compacted().map_err(sources.error("write", name))?;
        text.map_or(Ok(()), |text| self.replace_file(sources, name, &text))
    }

    pub(super) fn point_latest(&self, version: &str) -> Result<()> {
        let name = self.unique_name();
        let made = self.temporaries.symlink(version, &name);
        let moved = made.and_then(|()| self.temporaries.rename(&name, &self.profile, LATEST));
        if moved.is_err() {
            // What stays behind goes with the next exclusive writer.
            let _ = self.temporaries.remove(&name);
        }
        moved.map_err(self.profile.error("link", LATEST))
    }

    /// Replaces a small file atomically and durably.
    pub(super) fn replace_file(&self, target: &Dir, name: &str, text: &[u8]) -> Result<()> {
        let temporary = self.create_temporary()?;
        let mut out = temporary.hashed();
        out.write_all(text).map_err(temporary.error("write"))?;
        temporary.seal(text.len() as u64, 0o666 & !self.umask, self.store.is_durable())?;
        temporary.replace(target, name)?;
        if self.store.is_durable() { target.sync() } else { Ok(()) }
    }

    fn open_journal<'a>(&self, journals: &'a mut Journals) -> Result<&'a mut Journal> {
        if let Some(journal) = journals.open.take() {
            return Ok(journals.open.insert(journal));
        }
        let name = self.unique_name();
        journals.own.push(layout::journal_name(&name));
        let mode = 0o666 & !self.umask;
        let journal = Journal::create(&self.build, self.create_temporary()?, &name, &journals.header, mode)?;
        Ok(journals.open.insert(journal))
    }

    pub(super) fn sync_names(&self) -> Result<()> {
        if self.store.is_durable() { self.splits.iter().try_for_each(SplitDir::sync) } else { Ok(()) }
    }

    pub(super) fn journals(&self) -> MutexGuard<'_, Journals> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock.
    pub(super) fn lock(&self) -> &Lock {
        &self.lock
    }

    /// The directory of locks, journals and temporaries.
    pub(super) fn build_dir(&self) -> &Dir {
        &self.build
    }

    /// The directory of the version.
    pub(super) fn version_dir(&self) -> &Dir {
        &self.version
    }

    pub(super) fn split(&self, split: Split) -> &SplitDir {
        match split {
            Split::Train => &self.splits[0],
            Split::Val => &self.splits[1],
            Split::Eval => &self.splits[2],
        }
    }

    /// Returns a name that no other temporary has or had.
    pub(super) fn unique_name(&self) -> String {
        format!("{}-{}", self.name, self.counter.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn create_temporary(&self) -> Result<Temporary<'_>> {
        Temporary::create(&self.temporaries, self.unique_name())
    }

    pub(super) fn temporaries(&self) -> &Dir {
        &self.temporaries
    }

    pub(super) fn unsupported(&self) -> &Mutex<BTreeSet<(u64, &'static str)>> {
        &self.unsupported
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// The mode of finished files: readable for whom the umask allows it, writable for nobody.
    pub(super) fn finished_mode(&self) -> u32 {
        0o400 | (0o444 & !self.umask)
    }

    pub(super) fn path_of(&self, file: &FileName) -> PathBuf {
        self.version.path().join(file.to_string())
    }

    /// Checks a name before any path is made of it.
    pub(super) fn parse_name(&self, name: &str) -> Result<FileName> {
        FileName::parse(name).ok_or_else(|| {
            let message = format!("{name:?} is no name of a finished file");
            Error::Damaged { path: self.version.path().to_owned(), message }
        })
    }
}
