//! The manifest as the merge of the last one and all journals, and which journals end with it.
//!
//! A plain writer is alone. Shards end beside each other: they take turns under a lock of their own, each reads again
//! what is there, and removes only journals whose writers have ended and its own. Where locks do not exclude, a
//! manifest may be replaced by one that knows less, so no living journal is removed there: readers read manifest and journals.

use super::journal::{self, Unusable};
use super::layout::{LATEST, MANIFEST, MERGE};
use super::writer::Journals;
use super::{Held, ManifestState, Writer, history, manifest, setup};
use crate::error::Result;
use crate::model::manifest::{Entry, History, Manifest};
use std::fs::File;
use std::io;
use std::sync::Arc;

/// What people should hear about a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// For instance, why `latest` could not be set.
    pub notes: Vec<String>,
}

/// What goes into the next manifest besides the writer's own work.
#[derive(Debug)]
pub struct Merge<'a> {
    /// What manifest and journals tell at this moment.
    pub held: &'a Held,
    /// True where others may have added to it since the writer began: then files must be looked at again as well.
    pub is_shared: bool,
    /// The work of writers that did not come to their end, which no manifest has counted yet.
    pub absorbed: Vec<Arc<Entry>>,
}

/// The next manifest.
#[derive(Debug)]
pub struct Next {
    /// The manifest.
    pub manifest: Manifest,
    /// True where the version is complete: `latest` points to it.
    pub is_complete: bool,
}

/// The lock of whoever merges.
struct Turn(File);

impl Drop for Turn {
    /// Unlocks, where closing alone would not: a process forked meanwhile keeps the descriptor.
    fn drop(&mut self) {
        // Closing follows in any case.
        let _ = self.0.unlock();
    }
}

impl Writer {
    /// Writes a manifest that replaces all journals. For a writer that is alone and has read them under its lock.
    ///
    /// `complete` also points `latest` at the version.
    pub fn commit(&self, manifest: &Manifest, complete: bool) -> Result<Committed> {
        self.merge(&Held::nothing(), |_| Ok(Next { manifest: manifest.clone(), is_complete: complete }))
    }

    /// Writes the manifest that `make` makes of what is there. Where no journal is left and the manifest on disk says all of
    /// that but the counts, only these are written: a hundred megabytes take longer than all the rest.
    ///
    /// `known` is what was there when the writer took its lock; for a writer that is alone, nothing else can be.
    pub fn merge(&self, known: &Held, make: impl FnOnce(&Merge<'_>) -> Result<Next>) -> Result<Committed> {
        self.sync_names()?;
        let mut journals = self.journals();
        let header = &journals.header;
        let _turn = self.turn()?;
        let ended = self.ended_journals(&journals.own)?;
        let now;
        let held = if self.exclusive {
            known
        } else {
            now = Held::read(Some(self.version_dir()), &header.profile, &header.version)?;
            &now
        };
        let names: Vec<String> = ended.iter().map(|(name, _)| name.clone()).collect();
        let absorbed = uncounted(held, Held::told_by(self.build_dir(), &names)?);
        let Next { manifest, is_complete } = make(&Merge { held, is_shared: !self.exclusive, absorbed })?;
        if (&manifest.profile, &manifest.version) != (&header.profile, &header.version) {
            let other = format!("the manifest belongs to `{}/{}`", manifest.profile, manifest.version);
            return Err(self.version_dir().error("write", MANIFEST)(io::Error::other(other)));
        }
        let is_merged = names.is_empty() && journals.own.is_empty() && held.journals == 0;
        match unchanged(held, &manifest).filter(|_| is_merged) {
            Some((after, kept)) => {
                history::append(self.build_dir(), after, kept, self.store().is_durable())?;
            }
            None => self.replace_manifest(&manifest, &mut journals, names)?,
        }
        let mut committed = Committed::default();
        if is_complete && let Err(error) = self.point_latest(manifest.version.as_str()) {
            committed.notes.push(format!("`{LATEST}` could not be set: {error}"));
        }
        if !self.exclusive && self.lock().try_alone() {
            // The last of the shards clears up after those that were killed.
            setup::remove_stale(self.temporaries(), true)?;
        }
        Ok(committed)
    }

    /// Writes a manifest, which counts for the journals of those who have ended, and for this writer's own.
    fn replace_manifest(
        &self,
        manifest: &Manifest,
        journals: &mut Journals,
        ended: Vec<String>,
    ) -> Result<()> {
        let invalid = |e: serde_json::Error| self.version_dir().error("write", MANIFEST)(e.into());
        let text = manifest::encode(manifest).map_err(invalid)?;
        self.replace_file(self.version_dir(), MANIFEST, &text)?;
        journals.open = None;
        let own = std::mem::take(&mut journals.own).into_iter().filter(|_| self.lock().is_reliable());
        for name in ended.into_iter().chain(own) {
            self.build_dir().remove(&name).map_err(self.build_dir().error("remove", &name))?;
        }
        history::clear(self.build_dir())
    }

    /// Waits for the other shards that are merging: a matter of moments, since nothing but that happens under this lock.
    fn turn(&self) -> Result<Option<Turn>> {
        if self.exclusive || !self.lock().is_reliable() {
            return Ok(None);
        }
        let build = self.build_dir();
        let file = build.open_or_create(MERGE).map_err(build.error("open", MERGE))?;
        loop {
            match file.lock() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map(|()| Some(Turn(file))).map_err(build.error("lock", MERGE)),
            }
        }
    }

    /// The journals of others who have ended, locked where locks exclude, so that they stay as they are. A later
    /// program's journal holds what this one cannot merge.
    fn ended_journals(&self, own: &[String]) -> Result<Vec<(String, Option<File>)>> {
        let build = self.build_dir();
        let mut ended = Vec::new();
        for name in journal::names(build)?.into_iter().filter(|name| !own.contains(name)) {
            if matches!(journal::read(build, &name)?, Err(Unusable::Later(_))) {
                continue;
            }
            if !self.lock().is_reliable() {
                ended.extend(setup::is_ended(build, &name, false).then_some((name, None)));
            } else if let Some(file) = journal::lock_ended(build, &name)?
                && setup::is_ended(build, &name, true)
            {
                ended.push((name, Some(file)));
            }
        }
        Ok(ended)
    }
}

/// Where a manifest says nothing but what the one on disk says, save that a build found recordings present: the runs
/// that the one on disk counts, and how many were present.
fn unchanged(held: &Held, next: &Manifest) -> Option<(u64, u64)> {
    let ManifestState::Read(before) = &held.manifest else { return None };
    let kept = next.history.kept.checked_sub(held.history.kept)?;
    let idle = History { runs: held.history.runs + 1, kept: held.history.kept + kept, ..held.history };
    (next.history == idle && is_same(before, next)).then_some((before.history.runs, kept))
}

/// True where two manifests differ in their counts at most.
fn is_same(before: &Manifest, next: &Manifest) -> bool {
    let Manifest {
        schema,
        profile,
        version,
        identity,
        recipe,
        builder,
        revisions,
        licence,
        subset,
        durable,
        membership,
        totals,
        entries,
        quarantine,
        history: _,
    } = before;
    (schema, profile, version, identity, recipe, builder)
        == (&next.schema, &next.profile, &next.version, &next.identity, &next.recipe, &next.builder)
        && (revisions, licence, subset, durable)
            == (&next.revisions, &next.licence, &next.subset, &next.durable)
        && (membership, totals, entries, quarantine)
            == (&next.membership, &next.totals, &next.entries, &next.quarantine)
}

/// The entries that the manifest does not hold.
pub(super) fn uncounted(held: &Held, told: Vec<Arc<Entry>>) -> Vec<Arc<Entry>> {
    if told.is_empty() {
        return told;
    }
    let ManifestState::Read(manifest) = &held.manifest else { return told };
    let counted: std::collections::BTreeMap<_, _> =
        manifest.entries.iter().map(|entry| (&entry.id, entry)).collect();
    told.into_iter().filter(|entry| counted.get(&entry.id) != Some(&entry)).collect()
}
