//! Versions as they lie on disk: manifest and journals, the directory's files, and the shelf that a plan reads.
//!
//! Each version is read once a command, whoever asks for it. Files that no manifest and no journal lists explain
//! themselves by their `entry.json`; `build` proves them by their hashes, reading commands only look.

use crate::error::{Error, Result};
use crate::model::artifact::Facts;
use crate::model::id::{Digest, ProfileName, RecordingId, VersionName};
use crate::model::manifest::{FileRecord, Identity};
use crate::ops::process::lock;
use crate::plan::{Adopted, Listed, OnDisk, Shelf};
use crate::store::layout::FileName;
use crate::store::{Held, ManifestState, Scanned, Store};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

/// How far files that nobody lists are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// `entry.json` is read and believed: good enough to report.
    Look,
    /// File and arrays are hashed: good enough to build on.
    Prove,
}

/// The versions of a cache, each read once, when it is first asked for.
pub struct Library {
    store: Store,
    read: Mutex<BTreeMap<(ProfileName, VersionName), Arc<Stored>>>,
}

/// A version as it was read: the same for whoever asks.
struct Stored {
    held: Arc<Held>,
    files: Arc<BTreeMap<String, u64>>,
    /// What a plan reads, nothing adopted.
    shelf: Shelf,
    wrong_size: Option<String>,
}

impl Library {
    /// Returns the library of a cache; nothing is read yet.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, read: Mutex::default() }
    }

    /// The cache.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Reads a version whose manifest and journals are known already.
    pub fn put(&self, profile: &ProfileName, version: &VersionName, held: Held) -> Result<()> {
        let stored = Arc::new(Stored::new(&self.store, profile, version, held)?);
        lock(&self.read).insert((profile.clone(), version.clone()), stored);
        Ok(())
    }

    fn stored(&self, profile: &ProfileName, version: &VersionName) -> Result<Arc<Stored>> {
        let key = (profile.clone(), version.clone());
        if let Some(stored) = lock(&self.read).get(&key) {
            return Ok(Arc::clone(stored));
        }
        // Read without the lock: a version may be large, and others need not wait for it.
        let held = self.store.load(profile, version)?;
        let stored = Arc::new(Stored::new(&self.store, profile, version, held)?);
        Ok(Arc::clone(lock(&self.read).entry(key).or_insert(stored)))
    }

    /// Reads a version before it is asked for. What goes wrong is said to whoever asks.
    pub fn prefetch(&self, profile: &ProfileName, version: &VersionName) {
        let _ = self.stored(profile, version);
    }

    /// Loads a version. `wanted` names the files worth adopting where nobody lists them.
    pub fn load(
        &self,
        profile: &ProfileName,
        version: &VersionName,
        wanted: &Wanted<'_>,
        depth: Depth,
    ) -> Result<Loaded> {
        let stored = self.stored(profile, version)?;
        let unlisted = stored.shelf.unlisted.values().flatten();
        let mut unlisted: Vec<String> = unlisted.filter(|name| (wanted.names)(name)).cloned().collect();
        unlisted.sort_unstable();
        let mut loaded = Loaded {
            identity: stored.held.identity.clone(),
            held: Arc::clone(&stored.held),
            files: Arc::clone(&stored.files),
            shelf: stored.shelf.clone(),
            wrong_size: stored.wrong_size.clone(),
            damaged: Vec::new(),
            adopted: 0,
        };
        if loaded.is_empty() {
            // What it once meant binds nobody.
            loaded.identity = None;
        }
        adopt(&self.store, &mut loaded, unlisted, wanted.identity, depth)?;
        if loaded.identity.is_none()
            && let Some(name) = loaded.files.keys().next()
            && let Some(Ok(facts)) = look(&self.store, profile, version, name)?
        {
            // None of the files is wanted, and nothing says what they are: one of them may.
            reveal(&mut loaded, &facts, wanted.identity);
        }
        Ok(loaded)
    }
}

impl Drop for Library {
    /// Gives the memory back beside the caller: entry by entry that takes a tenth of `status`, and a program that ends
    /// meanwhile gives it back at once.
    fn drop(&mut self) {
        let read = std::mem::take(&mut *lock(&self.read));
        if !read.is_empty() {
            rayon::spawn(move || drop(read));
        }
    }
}

impl Stored {
    fn new(store: &Store, profile: &ProfileName, version: &VersionName, held: Held) -> Result<Self> {
        let files = store.files(profile, version)?;
        let entries: Vec<_> = held.entries.values().collect();
        let listed: Vec<Listed> =
            entries.into_par_iter().map(|entry| Listed::new(Arc::clone(entry), &files)).collect();
        let wrong_size = listed.iter().flat_map(Listed::files).find_map(wrong_size);
        let there = listed.iter().flat_map(Listed::files);
        let there = there.filter(|(_, on_disk)| *on_disk != OnDisk::Missing).count();
        // Names are unique, so where all of them are listed there is nothing to look for.
        let unlisted = if there == files.len() { BTreeMap::new() } else { unlisted(&held, &files) };
        let shelf = Shelf {
            identity: held.identity.clone(),
            listed: Arc::new(by_recording(listed)),
            quarantine: Arc::new(held.quarantine.clone()),
            unlisted: Arc::new(unlisted),
            durable: held.durable,
            ..Shelf::empty(profile.clone(), version.clone())
        };
        Ok(Self { held: Arc::new(held), files: Arc::new(files), shelf, wrong_size })
    }
}

/// Entries come in the order of their stems, so that parts come in order as well.
fn by_recording(listed: Vec<Listed>) -> HashMap<RecordingId, Vec<Listed>> {
    let mut recordings: HashMap<RecordingId, Vec<Listed>> = HashMap::with_capacity(listed.len());
    for one in listed {
        match recordings.get_mut(one.entry.id.recording()) {
            Some(parts) => parts.push(one),
            None => drop(recordings.insert(one.entry.id.recording().clone(), vec![one])),
        }
    }
    recordings
}

fn wrong_size((record, on_disk): (&FileRecord, OnDisk)) -> Option<String> {
    match on_disk {
        OnDisk::Size(bytes) => Some(format!("{}: {bytes} bytes instead of {}", record.name, record.bytes)),
        OnDisk::Present | OnDisk::Missing => None,
    }
}

fn unlisted(held: &Held, files: &BTreeMap<String, u64>) -> BTreeMap<RecordingId, Vec<String>> {
    let listed: HashSet<&str> =
        held.entries.values().flat_map(|e| e.files.iter()).map(|record| record.name.as_str()).collect();
    let mut unlisted: BTreeMap<RecordingId, Vec<String>> = BTreeMap::new();
    let names = files.keys().filter(|name| !listed.contains(name.as_str()));
    for (name, file) in names.filter_map(|name| Some((name, FileName::parse(name)?))) {
        unlisted.entry(file.id.recording().clone()).or_default().push(name.clone());
    }
    unlisted
}

/// A version as it lies on disk.
pub struct Loaded {
    /// Manifest merged with journals.
    pub held: Arc<Held>,
    /// What the directory holds: name → bytes.
    pub files: Arc<BTreeMap<String, u64>>,
    /// What a plan reads.
    pub shelf: Shelf,
    /// The first listed file of another size than recorded.
    pub wrong_size: Option<String>,
    /// Unlisted files that are damaged, with the reason.
    pub damaged: Vec<(String, String)>,
    /// Unlisted files that were adopted.
    pub adopted: usize,
    /// What the version means; from an adopted file where nothing else tells.
    pub identity: Option<Identity>,
}

impl Loaded {
    /// True where there is neither manifest, journal nor file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self.held.manifest, ManifestState::Absent)
            && self.held.journals == 0
            && self.files.is_empty()
    }
}

/// Which unlisted files are worth a look.
pub struct Wanted<'a> {
    /// What the configuration asks for.
    pub identity: &'a Identity,
    /// True for a name that the profile needs.
    pub names: &'a dyn Fn(&str) -> bool,
}

/// Files that go meanwhile are not there; one that cannot be read is not damaged, and stops the command.
fn adopt(
    store: &Store,
    loaded: &mut Loaded,
    unlisted: Vec<String>,
    wanted: &Identity,
    depth: Depth,
) -> Result<()> {
    let (profile, version) = (loaded.shelf.profile.clone(), loaded.shelf.version.clone());
    let found: Vec<Scanned> = match depth {
        Depth::Prove => store.scan(&profile, &version, &unlisted)?,
        Depth::Look => {
            let look = |name: String| {
                // The content is unknown as long as nobody hashes it; looking never links, so it is never used.
                let record =
                    |bytes| FileRecord { name: name.clone(), bytes, sha256: Digest::from_bytes([0; 32]) };
                let bytes = loaded.files.get(&name).copied().unwrap_or_default();
                let facts = look(store, &profile, &version, &name)?;
                let outcome = facts.map(|facts| facts.map(|facts| (record(bytes), facts)));
                Ok(outcome.map(|outcome| Scanned { name, outcome }))
            };
            unlisted.into_iter().filter_map(|name| look(name).transpose()).collect::<Result<_>>()?
        }
    };
    for Scanned { name, outcome } in found {
        match outcome {
            Ok((record, facts)) => put(loaded, record, &facts, wanted),
            Err(reason) => loaded.damaged.push((name, reason)),
        }
    }
    Ok(())
}

/// What a file says of itself, or why it is damaged; nothing where it is gone.
pub(super) fn look(
    store: &Store,
    profile: &ProfileName,
    version: &VersionName,
    name: &str,
) -> Result<Option<std::result::Result<Facts, String>>> {
    match store.facts(profile, version, name) {
        Ok(facts) => Ok(Some(Ok(facts))),
        Err(error @ Error::Damaged { .. }) => Ok(Some(Err(error.to_string()))),
        Err(error) if error.is_absence() => Ok(None),
        Err(error) => Err(error),
    }
}

fn put(loaded: &mut Loaded, record: FileRecord, facts: &Facts, wanted: &Identity) {
    let (source, annotation, listed_as) = match facts {
        Facts::Signal(facts) => (facts.source_sha256, Vec::new(), None),
        Facts::Labels(facts) => {
            (facts.source_sha256, facts.annotation_sha256.clone(), facts.listed_as.clone())
        }
    };
    let adopted = Adopted {
        record,
        parts: facts.part().map(|part| part.of),
        fingerprint: facts.fingerprint(),
        source,
        annotation,
        listed_as,
    };
    let id = facts.id();
    let shelf = &mut loaded.shelf;
    let (offers, is_signal) = match facts {
        Facts::Signal(_) => (shelf.signals(id.recording()), true),
        Facts::Labels(_) => (shelf.labels(id.recording()), false),
    };
    // What is listed and lies there goes first: the other name is what a killed build left behind.
    if !offers.iter().any(|offer| offer.stem == id && offer.on_disk == OnDisk::Present) {
        let all = if is_signal { &mut shelf.adopted_signals } else { &mut shelf.adopted_labels };
        all.insert(id.clone(), adopted);
    }
    loaded.adopted += 1;
    reveal(loaded, facts, wanted);
}

/// Files alone do not name their dataset; a wrong one shows in the recordings' contents. But a single file of another
/// fingerprint is enough to say that the version means something else.
fn reveal(loaded: &mut Loaded, facts: &Facts, wanted: &Identity) {
    if loaded.held.identity.is_some() {
        return;
    }
    let identity = loaded.identity.get_or_insert_with(|| wanted.clone());
    match facts {
        Facts::Signal(facts) if facts.fingerprint != wanted.signal => identity.signal = facts.fingerprint,
        Facts::Labels(facts) if facts.fingerprint != wanted.labels => identity.labels = facts.fingerprint,
        _ => {}
    }
}
