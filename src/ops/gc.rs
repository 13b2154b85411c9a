//! `gc`: removes versions, what nothing needs any more, and what killed builds left behind.
//!
//! Never without a scope, never what a build or a reader holds, never a name that this program did not give. The memo of
//! source hashes stays: it belongs to the dataset.

use crate::error::{Error, Result};
use crate::model::id::{ProfileName, VersionName};
use crate::model::settings::Settings;
use crate::ops::inventory::{self, Taken};
use crate::ops::survey::now_ns;
use crate::store::{Claimed, Item, Store};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

/// What is to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// A version, by its name.
    Version(VersionName),
    /// Versions whose manifest was written so long ago.
    OlderThan(Duration),
    /// Inside of versions: files that nothing lists or needs, unfinished files, journals that say nothing new; and what was
    /// moved to `.damaged/` more than `DAMAGED_KEPT` ago.
    Orphans,
}

/// How `gc` runs.
#[derive(Debug, Clone)]
pub struct GcOptions {
    /// What is to be removed.
    pub scope: Scope,
    /// This profile only.
    pub profile: Option<ProfileName>,
    /// Say what would be done and do nothing.
    pub dry_run: bool,
    /// Go on where locks do not exclude: the user knows that nobody else is there.
    pub assume_exclusive: bool,
}

/// How long damaged files are kept for people to look at.
pub const DAMAGED_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// What `gc` did, or would do.
#[derive(Debug, Clone, Default, Serialize)]
pub struct GcReport {
    /// True where nothing was done.
    pub dry_run: bool,
    /// What was removed.
    pub removed: Vec<Removed>,
    /// What was in the scope and stays.
    pub kept: Vec<Kept>,
    /// Bytes of all that was removed.
    pub bytes: u64,
    /// Bytes that became free: a file that has a name elsewhere frees nothing.
    pub freed: u64,
}

/// Something that was removed.
#[derive(Debug, Clone, Serialize)]
pub struct Removed {
    /// `full/v1_256hz_10-20`, or `.damaged`.
    pub place: String,
    /// `version` or `orphans`.
    pub what: &'static str,
    /// How many files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that became free.
    pub freed: u64,
}

/// Something that stays.
#[derive(Debug, Clone, Serialize)]
pub struct Kept {
    /// `full/v1_256hz_10-20`.
    pub place: String,
    /// Why.
    pub why: String,
}

/// Removes what is in the scope, or says what would be removed.
pub fn gc(settings: &Settings, options: &GcOptions) -> Result<GcReport> {
    let store = Store::new(settings.cache_root.clone());
    let taken = match options.scope {
        Scope::Orphans => inventory::take(settings, &store.memo(&settings.dataset.name), now_ns())?,
        Scope::Version(_) | Scope::OlderThan(_) => None,
    };
    let mut run = Run {
        store: &store,
        options,
        links: BTreeMap::new(),
        settings,
        taken,
        report: GcReport { dry_run: options.dry_run, ..GcReport::default() },
    };
    let wanted = |profile: &&ProfileName| options.profile.as_ref().is_none_or(|only| only == *profile);
    let mut is_known = false;
    for profile in settings.profiles.keys().filter(wanted) {
        for version in store.versions(profile)? {
            if run.is_in_scope(profile, &version)? {
                is_known = true;
                run.version(profile, &version)?;
            }
        }
        if !options.dry_run {
            store.mend_latest(profile)?;
        }
    }
    if let (Scope::Version(version), false) = (&options.scope, is_known) {
        return Err(no_version(settings, &store, version, options.profile.as_ref()));
    }
    if options.scope == Scope::Orphans && options.profile.is_none() {
        run.damaged()?;
    }
    Ok(run.report)
}

fn no_version(
    settings: &Settings,
    store: &Store,
    version: &VersionName,
    only: Option<&ProfileName>,
) -> Error {
    let mut names = BTreeSet::new();
    for profile in settings.profiles.keys() {
        let is_ours = |version: &VersionName| matches!(store.contents(profile, version), Ok(Some(_)));
        let versions = store.versions(profile).unwrap_or_default();
        names.extend(versions.iter().filter(|v| is_ours(v)).map(|version| format!("`{profile}/{version}`")));
    }
    let hint = match names.len() {
        0 => "there is no version at all".to_owned(),
        _ => format!("there are {}", names.into_iter().collect::<Vec<_>>().join(", ")),
    };
    let who =
        only.map_or_else(|| "no profile has".to_owned(), |only| format!("profile `{only}` does not have"));
    let message = format!("{who} a version `{version}` below `{}`", settings.cache_root.display());
    Error::NotReady { message, hint }
}

struct Run<'a> {
    store: &'a Store,
    options: &'a GcOptions,
    settings: &'a Settings,
    /// What lies in the dataset, where orphans are asked for and it can be reached.
    taken: Option<Taken>,
    /// How many names of each file have been removed.
    links: BTreeMap<(u64, u64), u64>,
    report: GcReport,
}

impl Run<'_> {
    fn is_in_scope(&self, profile: &ProfileName, version: &VersionName) -> Result<bool> {
        let Some(contents) = self.store.contents(profile, version)? else {
            // A directory that this program did not make.
            return Ok(false);
        };
        Ok(match &self.options.scope {
            Scope::Version(wanted) => wanted == version,
            // An empty directory may be anybody's, and is nobody's orphan.
            Scope::Orphans => !contents.ours.is_empty(),
            Scope::OlderThan(age) => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                // Nobody knows the age of what was never committed.
                let committed = self.store.committed_at(profile, version)?;
                committed.is_some_and(|then| then < now.as_secs().saturating_sub(age.as_secs()) as i64)
            }
        })
    }

    fn version(&mut self, profile: &ProfileName, version: &VersionName) -> Result<()> {
        let place = format!("{profile}/{version}");
        if self.options.dry_run {
            match self.store.holder(profile, version)? {
                Some(why) => self.report.kept.push(Kept { place, why }),
                None => self.take(profile, version, place, None)?,
            }
            return Ok(());
        }
        match self.store.claim(profile, version, self.options.assume_exclusive)? {
            Claimed::Absent => Ok(()),
            Claimed::Held(why) => {
                self.report.kept.push(Kept { place, why });
                Ok(())
            }
            Claimed::Yours(claim) => self.take(profile, version, place, Some(*claim)),
        }
    }

    /// Removes what is in the scope by way of `claim`; without one, only counts it.
    fn take(
        &mut self,
        profile: &ProfileName,
        version: &VersionName,
        place: String,
        claim: Option<crate::store::Claim>,
    ) -> Result<()> {
        if self.options.scope == Scope::Orphans {
            let orphans = self.store.orphans(profile, version, &self.members(profile))?;
            claim.map_or(Ok(()), |claim| claim.remove_orphans(&orphans))?;
            if !orphans.is_empty() {
                self.count(place, "orphans", &orphans);
            }
            return Ok(());
        }
        let contents = self.store.contents(profile, version)?.unwrap_or_default();
        claim.map_or(Ok(true), crate::store::Claim::remove_version)?;
        if !contents.foreign.is_empty() {
            let names: Vec<String> =
                contents.foreign.iter().take(3).map(|name| format!("`{name}`")).collect();
            let more = if contents.foreign.len() > 3 { " and more" } else { "" };
            let why = format!("{}{more} in it is not eegcache's", names.join(", "));
            self.report.kept.push(Kept { place: place.clone(), why });
        }
        self.count(place, "version", &contents.ours);
        Ok(())
    }

    /// The recordings that a profile demands as it is configured now; none where the dataset cannot be reached.
    fn members(&self, profile: &ProfileName) -> BTreeSet<String> {
        let Some(taken) = &self.taken else { return BTreeSet::new() };
        let inventory = taken.profile(&self.settings.for_profile(profile));
        inventory.profile().iter().map(|recording| recording.name().to_owned()).collect()
    }

    fn damaged(&mut self) -> Result<()> {
        let items = self.store.damaged(DAMAGED_KEPT.as_secs())?;
        if items.is_empty() {
            return Ok(());
        }
        if !self.options.dry_run {
            self.store.remove_damaged(&items)?;
        }
        self.count(".damaged".to_owned(), "orphans", &items);
        Ok(())
    }

    /// A file is free when its last name is gone. In a real run earlier versions are gone already when names are counted.
    fn count(&mut self, place: String, what: &'static str, items: &[Item]) {
        if !self.options.dry_run {
            self.links.clear();
        }
        let mut removed = Removed { place, what, files: items.len(), bytes: 0, freed: 0 };
        for item in items {
            let gone = self.links.entry(item.inode).or_default();
            *gone += 1;
            removed.bytes += item.bytes;
            removed.freed += if *gone >= item.links { item.bytes } else { 0 };
        }
        self.report.bytes += removed.bytes;
        self.report.freed += removed.freed;
        self.report.removed.push(removed);
    }
}
