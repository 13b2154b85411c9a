//! `verify`: every file is hashed again and compared with the manifest and with what it says of itself.
//!
//! Names that share an inode are read once. `repair` moves every name of what is damaged aside, so that `build`
//! makes it again; nothing is ever mended in place.

use crate::error::{Error, Result};
use crate::model::Digest;
use crate::model::id::{ProfileName, VersionName};
use crate::model::manifest::FileRecord;
use crate::model::settings::Settings;
use crate::ops::{Context, Items, Kind, Step, library};
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
    /// What the machine would not read: that says nothing about its bytes, and nothing is moved then.
    pub unread: Vec<Damage>,
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

/// The content of a file, or why it is damaged.
type Content = std::result::Result<Digest, String>;

/// What is known about each inode that was read, by the name under which it was: what a file says of itself fits one name only.
type Seen = Mutex<HashMap<(u64, u64, String), Content>>;

/// What became of looking at a file.
enum Verdict {
    Right,
    Damaged(String),
    /// It went meanwhile.
    Gone,
}

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
            if !store.is_version(profile, &version)? {
                continue;
            }
            let check = Check { store: &store, profile, version: &version, quick, seen: &seen };
            check.run(cx, &mut report)?;
        }
    }
    report.damaged.sort();
    Ok(report)
}

/// Verifies all profiles, since a damaged file may have names in any, and moves every name of what is damaged to `.damaged/`;
/// nothing where some file could not be read, since it may share its bytes with what is damaged.
///
/// Refuses where locks do not exclude, unless `assume_exclusive` says that nobody else is there.
pub fn repair(cx: &Context<'_>, settings: &Settings, assume_exclusive: bool) -> Result<VerifyReport> {
    let store = Store::new(settings.cache_root.clone());
    let mut report = verify(cx, settings, None, false)?;
    if report.unread.is_empty() {
        report.moved = set_aside(cx, &store, &report.damaged, assume_exclusive)?;
    }
    Ok(report)
}

/// Moves what is still damaged and returns where it lies now.
fn set_aside(
    cx: &Context<'_>,
    store: &Store,
    damaged: &[Damage],
    assume_exclusive: bool,
) -> Result<Vec<String>> {
    let mut places: BTreeMap<(ProfileName, VersionName), Vec<&Damage>> = BTreeMap::new();
    for damage in damaged {
        places.entry((damage.profile.clone(), damage.version.clone())).or_default().push(damage);
    }
    let mut moved = Vec::new();
    for ((profile, version), damages) in places {
        let writer = store.lock(&profile, &version, Wait::Forever, &|_| !cx.is_stopped())?;
        if !writer.exclusive && !assume_exclusive {
            return Err(not_exclusive(store, &profile, &version, writer.note.as_deref()));
        }
        let check =
            Check { store, profile: &profile, version: &version, quick: false, seen: &Seen::default() };
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
    Ok(moved)
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
        let mut missing: Vec<&str> =
            listed.keys().copied().filter(|name| !files.contains_key(*name)).collect();
        cx.progress.start(&place, Items::Files(files.len() as u64), files.values().sum());
        let names: Vec<(&String, &u64)> = files.iter().collect();
        let look = |(name, bytes): &(&String, &u64)| {
            let verdict = self.file(name, **bytes, listed.get(name.as_str()).copied());
            cx.progress.step(Step { kind: Kind::Present, bytes: **bytes });
            verdict
        };
        let verdicts: Vec<Result<Verdict>> = names.par_iter().map(look).collect();
        cx.progress.finish();
        for ((name, _), verdict) in names.iter().zip(verdicts) {
            match verdict {
                Ok(Verdict::Right) => {}
                Ok(Verdict::Damaged(reason)) => report.damaged.push(self.damage(name, reason)),
                Ok(Verdict::Gone) => {
                    missing.extend(listed.contains_key(name.as_str()).then_some(name.as_str()));
                }
                Err(error @ Error::Io { .. }) => report.unread.push(self.damage(name, error.to_string())),
                Err(error) => return Err(error),
            }
        }
        missing.sort_unstable();
        report.missing.extend(missing.into_iter().map(|name| self.damage(name, "missing".to_owned())));
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
        let Some(bytes) = files.get(name) else { return Ok(false) };
        let verdict = self.file(name, *bytes, listed(&held).get(name).copied())?;
        Ok(matches!(verdict, Verdict::Damaged(_)))
    }

    fn damage(&self, name: &str, reason: String) -> Damage {
        let (profile, version) = (self.profile.clone(), self.version.clone());
        Damage { profile, version, name: name.to_owned(), reason }
    }

    /// Judges a file. `Error::Io` where the machine would not read it.
    fn file(&self, name: &str, bytes: u64, listed: Option<&FileRecord>) -> Result<Verdict> {
        let verdict = self.judged(name, bytes, listed)?;
        let is_damaged = matches!(verdict, Verdict::Damaged(_));
        if is_damaged && listed.is_none() && self.store.is_foreign(self.profile, self.version, name)? {
            // Somebody else's, and none of our business.
            return Ok(Verdict::Gone);
        }
        Ok(verdict)
    }

    fn judged(&self, name: &str, bytes: u64, listed: Option<&FileRecord>) -> Result<Verdict> {
        if let Some(record) = listed.filter(|record| record.bytes != bytes) {
            return Ok(Verdict::Damaged(format!("{bytes} bytes instead of {}", record.bytes)));
        }
        if self.quick {
            let facts = library::look(self.store, self.profile, self.version, name)?;
            return Ok(
                facts.map_or(Verdict::Gone, |facts| facts.map_or_else(Verdict::Damaged, |_| Verdict::Right))
            );
        }
        Ok(match (self.content(name)?, listed) {
            (None, _) => Verdict::Gone,
            (Some(Err(reason)), _) => Verdict::Damaged(reason),
            (Some(Ok(sha256)), Some(record)) if sha256 != record.sha256 => {
                Verdict::Damaged(format!("sha256 {} instead of {}", sha256.short(), record.sha256.short()))
            }
            (Some(Ok(_)), _) => Verdict::Right,
        })
    }

    /// The content of a file, read once for all profiles that hold it; nothing where it is gone.
    fn content(&self, name: &str) -> Result<Option<Content>> {
        let path = self.store.version_dir(self.profile, self.version).join(name);
        let inode = match fs_err::symlink_metadata(&path) {
            Ok(metadata) => (metadata.dev(), metadata.ino(), name.to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        let lock = || self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = lock().get(&inode) {
            return Ok(Some(known.clone()));
        }
        let Some(scanned) = self.store.scan_one(self.profile, self.version, name)? else { return Ok(None) };
        let content = scanned.outcome.map(|(record, _)| record.sha256);
        lock().insert(inode, content.clone());
        Ok(Some(content))
    }
}

fn listed(held: &Held) -> BTreeMap<&str, &FileRecord> {
    let records = held.entries.values().flat_map(|entry| entry.files.iter());
    records.map(|record| (record.name.as_str(), record)).collect()
}
