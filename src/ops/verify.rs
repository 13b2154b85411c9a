//! `verify`: every file is hashed again and compared with the manifest and with what it says of itself.
//!
//! Names that share an inode are read once. `repair` moves every name of what is damaged aside, so that `build`
//! makes it again; nothing is ever mended in place.

use crate::error::{Error, Result};
use crate::model::Digest;
use crate::model::id::{ProfileName, VersionName};
use crate::model::manifest::FileRecord;
use crate::model::settings::Settings;
use crate::ops::{Context, Kind, Step};
use crate::store::layout::MANIFEST;
use crate::store::{Held, Line, ManifestState, Store, Wait};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;

/// What verification found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VerifyReport {
    /// Versions looked at.
    pub versions: Vec<String>,
    /// Files looked at.
    pub files: usize,
    /// Bytes hashed; 0 for the quick check.
    pub bytes: u64,
    /// What is damaged.
    pub damaged: Vec<Damage>,
    /// What a manifest lists and no directory holds: `build` makes it again.
    pub missing: Vec<Damage>,
    /// Files that no manifest lists.
    pub unlisted: Vec<String>,
    /// Where damaged files lie now.
    pub moved: Vec<String>,
}

/// A file that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Damage {
    /// The profile.
    pub profile: ProfileName,
    /// The version.
    pub version: VersionName,
    /// Name in the version's directory.
    pub name: String,
    /// What is wrong.
    pub reason: String,
}

/// What is known about each inode that was read: its content, or why it is damaged.
type Seen = Mutex<HashMap<(u64, u64), std::result::Result<Digest, String>>>;

/// Verifies every version of one profile or of all; `quick` looks at sizes and structure only.
pub fn verify(
    cx: &Context<'_>,
    settings: &Settings,
    only: Option<&ProfileName>,
    quick: bool,
) -> Result<VerifyReport> {
    let store = Store::new(settings.cache_root.clone());
    let mut report = VerifyReport::default();
    let seen = Seen::default();
    for profile in settings.profiles.keys().filter(|profile| only.is_none_or(|only| only == *profile)) {
        for version in store.versions(profile)? {
            let check = Check { store: &store, profile, version: &version, quick, seen: &seen };
            check.run(cx, &mut report)?;
        }
    }
    report.damaged.sort();
    Ok(report)
}

/// Verifies everything and moves every name of what is damaged to `.damaged/`.
///
/// Refuses where locks do not exclude, unless `assume_exclusive` says that nobody else is there.
pub fn repair(
    cx: &Context<'_>,
    settings: &Settings,
    only: Option<&ProfileName>,
    assume_exclusive: bool,
) -> Result<VerifyReport> {
    let store = Store::new(settings.cache_root.clone());
    // A damaged file may have names in any profile, so all are looked at whatever was asked for.
    let mut report = verify(cx, settings, None, false)?;
    let mut places: BTreeMap<(ProfileName, VersionName), Vec<&Damage>> = BTreeMap::new();
    for damage in &report.damaged {
        places.entry((damage.profile.clone(), damage.version.clone())).or_default().push(damage);
    }
    let mut moved = Vec::new();
    for ((profile, version), damages) in places {
        let writer = store.lock(&profile, &version, Wait::Forever, &|_| !cx.is_stopped())?;
        if !writer.exclusive && !assume_exclusive {
            return Err(not_exclusive(&store, &profile, &version, writer.note.as_deref()));
        }
        let check = Check {
            store: &store,
            profile: &profile,
            version: &version,
            quick: false,
            seen: &Seen::default(),
        };
        // A build that held the lock meanwhile may have mended it.
        for damage in damages {
            if !check.is_still_damaged(&damage.name)? {
                continue;
            }
            writer.record(&Line::Removed { name: damage.name.clone() })?;
            let aside = writer.set_aside(&damage.name, &damage.reason)?;
            moved.extend(aside.map(|path| path.display().to_string()));
        }
    }
    report.moved = moved;
    report.damaged.retain(|damage| only.is_none_or(|only| *only == damage.profile));
    Ok(report)
}

fn not_exclusive(store: &Store, profile: &ProfileName, version: &VersionName, note: Option<&str>) -> Error {
    let directory = store.version_dir(profile, version);
    Error::NotReady {
        message: format!(
            "`{}` is not repaired: {}",
            directory.display(),
            note.unwrap_or("locks do not exclude")
        ),
        hint: "repair it on a machine where the cache lies on a local file system, or, when nobody else uses it, say \
               `--assume-exclusive`"
            .to_owned(),
    }
}

struct Check<'a> {
    store: &'a Store,
    profile: &'a ProfileName,
    version: &'a VersionName,
    quick: bool,
    seen: &'a Seen,
}

impl Check<'_> {
    fn run(&self, cx: &Context<'_>, report: &mut VerifyReport) -> Result<()> {
        let held = self.store.load(self.profile, self.version)?;
        let files = self.store.files(self.profile, self.version)?;
        let place = format!("{}/{}", self.profile, self.version);
        if let ManifestState::Damaged(reason) = &held.manifest {
            report.damaged.push(self.damage(MANIFEST, reason.clone()));
        }
        let listed = listed(&held);
        let missing = listed.keys().filter(|name| !files.contains_key(**name));
        report.missing.extend(missing.map(|name| self.damage(name, "missing".to_owned())));
        cx.progress.start(&place, files.len() as u64, files.values().sum());
        let names: Vec<(&String, &u64)> = files.iter().collect();
        let found: Vec<Option<Damage>> = names
            .par_iter()
            .map(|(name, bytes)| {
                let wrong = self.file(name, **bytes, listed.get(name.as_str()).copied());
                cx.progress.step(Step { kind: Kind::Present, bytes: **bytes });
                wrong.map(|reason| self.damage(name, reason))
            })
            .collect();
        cx.progress.finish();
        report.damaged.extend(found.into_iter().flatten());
        let unlisted = files.keys().filter(|name| !listed.contains_key(name.as_str()));
        report.unlisted.extend(unlisted.map(|name| format!("{place}/{name}")));
        report.files += files.len();
        report.bytes += if self.quick { 0 } else { files.values().sum() };
        report.versions.push(place);
        Ok(())
    }

    /// Looks again. What cannot be looked at stops the repair: a damaged file that stays must not go unsaid.
    fn is_still_damaged(&self, name: &str) -> Result<bool> {
        let held = self.store.load(self.profile, self.version)?;
        if name == MANIFEST {
            return Ok(matches!(held.manifest, ManifestState::Damaged(_)));
        }
        let files = self.store.files(self.profile, self.version)?;
        let listed = listed(&held);
        Ok(files.get(name).is_some_and(|bytes| self.file(name, *bytes, listed.get(name).copied()).is_some()))
    }

    fn damage(&self, name: &str, reason: String) -> Damage {
        let (profile, version) = (self.profile.clone(), self.version.clone());
        Damage { profile, version, name: name.to_owned(), reason }
    }

    /// Why a file is damaged, if it is.
    fn file(&self, name: &str, bytes: u64, listed: Option<&FileRecord>) -> Option<String> {
        if let Some(record) = listed.filter(|record| record.bytes != bytes) {
            return Some(format!("{bytes} bytes instead of {}", record.bytes));
        }
        if self.quick {
            return self.store.facts(self.profile, self.version, name).err().map(|error| error.to_string());
        }
        match (self.content(name), listed) {
            (Err(reason), _) => Some(reason),
            (Ok(sha256), Some(record)) if sha256 != record.sha256 => {
                Some(format!("sha256 {} instead of {}", sha256.short(), record.sha256.short()))
            }
            _ => None,
        }
    }

    /// The content of a file, read once for all its names.
    fn content(&self, name: &str) -> std::result::Result<Digest, String> {
        let path = self.store.version_dir(self.profile, self.version).join(name);
        let inode = fs_err::symlink_metadata(path).map(|m| (m.dev(), m.ino())).map_err(|e| e.to_string())?;
        let lock = || self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = lock().get(&inode) {
            return known.clone();
        }
        let scanned = self.store.scan(self.profile, self.version, &[name.to_owned()]).pop();
        let outcome = scanned.ok_or("it is gone".to_owned()).and_then(|scanned| scanned.outcome);
        let content = outcome.map(|(record, _)| record.sha256);
        lock().insert(inode, content.clone());
        content
    }
}

fn listed(held: &Held) -> BTreeMap<&str, &FileRecord> {
    let records = held.entries.values().flat_map(|entry| entry.files.iter());
    records.map(|record| (record.name.as_str(), record)).collect()
}
