//! Versions as they lie on disk: manifest and journals, the directory's files, and the shelf that a plan reads.
//!
//! Each version is loaded once a command. Files that no manifest and no journal lists explain themselves
//! by their `entry.json`; `build` proves them by their hashes, reading commands only look.

use crate::error::{Error, Result};
use crate::model::artifact::Facts;
use crate::model::id::{Digest, ProfileName, VersionName};
use crate::model::manifest::{FileRecord, Identity};
use crate::plan::{Offer, OnDisk, Shelf};
use crate::store::{Held, ManifestState, Scanned, Store};
use std::collections::{BTreeMap, BTreeSet};

/// How far files that nobody lists are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// `entry.json` is read and believed: good enough to report.
    Look,
    /// File and arrays are hashed: good enough to build on.
    Prove,
}

/// A version as it lies on disk.
pub struct Loaded {
    /// Manifest merged with journals.
    pub held: Held,
    /// What the directory holds: name → bytes.
    pub files: BTreeMap<String, u64>,
    /// What a plan reads.
    pub shelf: Shelf,
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

/// Loads a version. `wanted` names the files worth adopting where nobody lists them.
pub fn load(
    store: &Store,
    profile: &ProfileName,
    version: &VersionName,
    wanted: &Wanted<'_>,
    depth: Depth,
) -> Result<Loaded> {
    let held = store.load(profile, version)?;
    let files = store.files(profile, version)?;
    let mut shelf = Shelf::empty(profile.clone(), version.clone());
    if let Some(identity) = &held.identity {
        held.entries.values().for_each(|entry| shelf.put(entry, identity, &files));
    }
    shelf.quarantine.clone_from(&held.quarantine);
    shelf.durable = held.durable;
    shelf.names = files.keys().cloned().collect();
    let listed: BTreeSet<&str> =
        held.entries.values().flat_map(|e| e.files.iter()).map(|record| record.name.as_str()).collect();
    let unlisted: Vec<String> = files
        .keys()
        .filter(|name| !listed.contains(name.as_str()) && (wanted.names)(name))
        .cloned()
        .collect();
    let mut loaded =
        Loaded { identity: held.identity.clone(), held, files, shelf, damaged: Vec::new(), adopted: 0 };
    if loaded.is_empty() {
        // What it once meant binds nobody.
        loaded.identity = None;
    }
    adopt(store, &mut loaded, unlisted, wanted.identity, depth)?;
    if loaded.identity.is_none()
        && let Some(name) = loaded.files.keys().next()
        && let Some(Ok(facts)) = look(store, profile, version, name)?
    {
        // None of the files is wanted, and nothing says what they are: one of them may.
        reveal(&mut loaded, &facts, wanted.identity);
    }
    Ok(loaded)
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
    let (source, annotation) = match facts {
        Facts::Signal(facts) => (facts.source_sha256, Vec::new()),
        Facts::Labels(facts) => (facts.source_sha256, facts.annotation_sha256.clone()),
    };
    let offer = Offer {
        record: Some(record),
        parts: facts.part().map(|part| part.of),
        fingerprint: facts.fingerprint(),
        source,
        source_bytes: None,
        annotation,
        on_disk: OnDisk::Present,
    };
    let id = facts.id().clone();
    let shelf = &mut loaded.shelf;
    let offers = match facts {
        Facts::Signal(_) => &mut shelf.signals,
        Facts::Labels(_) => &mut shelf.labels,
    };
    // What is listed and lies there goes first: the other name is what a killed build left behind.
    if offers.get(&id).is_none_or(|listed| listed.on_disk != OnDisk::Present) {
        offers.insert(id, offer);
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
