//! The ledger of a build: what became of every recording, as it goes into the report and the manifest.

use crate::model::failure::FailureClass;
use crate::model::id::Split;
use crate::model::inventory::{Inventory, SourceRecording};
use crate::model::manifest::{Entry, Event, History, MANIFEST_SCHEMA, Manifest, Member, Quarantined, Totals};
use crate::model::recipe::{CONTAINER_REVISION, READER_REVISION};
use crate::model::settings::Settings;
use crate::model::window::{self, Span};
use crate::ops::mismatch;
use crate::ops::process::Outcome;
use crate::ops::survey::Survey;
use crate::plan::Kind;
use crate::store::ManifestState;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// What became of every recording.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Finished recordings.
    pub entries: Vec<Arc<Entry>>,
    /// Recordings in quarantine.
    pub failed: Vec<Quarantined>,
    /// Recordings that were not begun because of an interruption.
    pub left: usize,
    /// Bytes of the recordings that were processed.
    pub bytes_read: u64,
    counts: BTreeMap<Kind, usize>,
    /// Members of splits that this build did not look at, and their failures.
    aside: Vec<Member>,
    carried: Vec<Quarantined>,
}

impl Ledger {
    /// Enters the outcomes of a run; `None` stands for a task that was not begun.
    ///
    /// After an interruption, what earlier builds finished stays.
    #[must_use]
    pub fn new(survey: &Survey, inventory: &Inventory, outcomes: Vec<Option<Outcome>>) -> Self {
        let mut ledger = Self::default();
        for (outcome, recording) in outcomes.into_iter().zip(inventory.profile()) {
            match outcome {
                Some(Outcome::Done(kind, entry)) => ledger.enter(kind, entry),
                Some(Outcome::Failed(failed)) => ledger.failed.push(*failed),
                None => {
                    ledger.left += 1;
                    let (held, name) = (&survey.own.held, recording.name());
                    let entry = recording.id.as_ref().ok().and_then(|id| held.entries.get(id));
                    ledger.entries.extend(entry.filter(|_| survey.has(name)).cloned());
                    ledger.failed.extend(held.quarantine.get(name).cloned());
                }
            }
        }
        ledger.carry_over(survey);
        ledger.entries.sort_by(|a, b| a.id.cmp(&b.id));
        ledger.failed.sort_by(|a, b| a.name.cmp(&b.name));
        ledger
    }

    /// `data.splits` limits what is built and demanded, not what is kept: the other splits stay as they were.
    fn carry_over(&mut self, survey: &Survey) {
        let ManifestState::Read(manifest) = &survey.own.held.manifest else { return };
        let is_aside = |name: &str, split: Split| {
            !survey.settings.splits.contains(&split) && !survey.members.contains(name)
        };
        let members = manifest.membership.iter().filter(|member| is_aside(&member.name, member.split));
        self.aside.extend(members.cloned());
        let entries = survey.own.held.entries.values().filter(|e| is_aside(e.id.as_str(), e.split));
        self.entries.extend(entries.cloned());
        let failed =
            survey.own.held.quarantine.values().filter(|failed| is_aside(&failed.name, failed.split));
        self.carried.extend(failed.cloned());
    }

    fn enter(&mut self, kind: Kind, entry: Arc<Entry>) {
        *self.counts.entry(kind).or_default() += 1;
        if kind == Kind::Build {
            self.bytes_read += entry.source.bytes;
        }
        self.entries.push(entry);
    }

    /// Returns how many recordings were finished in that way.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.counts.get(&kind).copied().unwrap_or_default()
    }

    /// Returns the manifest that holds the ledger.
    #[must_use]
    pub fn into_manifest(mut self, survey: &Survey) -> Manifest {
        self.failed.append(&mut self.carried);
        self.failed.sort_by(|a, b| a.name.cmp(&b.name));
        let settings = &survey.settings;
        let membership = self.membership(survey);
        Manifest {
            schema: MANIFEST_SCHEMA,
            profile: settings.profile.clone(),
            version: settings.version.clone(),
            identity: survey.wanted.clone(),
            recipe: mismatch::recipe_value(settings),
            builder: format!("eegcache {}", env!("CARGO_PKG_VERSION")),
            revisions: BTreeMap::from([
                ("container".to_owned(), CONTAINER_REVISION),
                ("reader".to_owned(), READER_REVISION),
            ]),
            licence: settings.dataset.licence.clone(),
            subset: settings.profile_spec().subset.to_string(),
            durable: survey.store.is_durable(),
            membership,
            totals: totals(&self.entries),
            history: self.history(survey),
            entries: self.entries,
            quarantine: self.failed,
        }
    }

    /// The members that were looked at, and those of splits that were not.
    fn membership(&self, survey: &Survey) -> Vec<Member> {
        let mut all: Vec<Member> = survey.members.iter().chain(&self.aside).cloned().collect();
        all.sort();
        all
    }

    fn history(&self, survey: &Survey) -> History {
        let before = survey.own.held.history;
        let killed = unmerged(survey);
        let killed = |kind| killed.iter().filter(|k| **k == kind).count() as u64;
        let count = |kind| self.count(kind) as u64 + killed(kind);
        History {
            runs: before.runs + 1,
            built: before.built + count(Kind::Build),
            linked: before.linked + count(Kind::Link),
            relabelled: before.relabelled + count(Kind::Relabel),
            kept: before.kept + self.count(Kind::Present) as u64,
        }
    }

    /// Acknowledged defects that are something else now.
    #[must_use]
    pub fn warnings(&self, settings: &Settings, inventory: &Inventory) -> Vec<String> {
        let mut warnings = Vec::new();
        let is_empty = settings.dataset.known_defects.is_empty();
        let recordings = inventory.recordings.iter().filter(|_| !is_empty);
        let on_disk: HashSet<&str> = recordings.map(SourceRecording::name).collect();
        for (id, class) in &settings.dataset.known_defects {
            let known = format!("known defect `{id}: {class}` of dataset `{}`", settings.dataset.name);
            let failed = || self.failed.binary_search_by(|failed| failed.name.as_str().cmp(id.as_str()));
            if !on_disk.contains(id.as_str()) {
                warnings.push(format!("{known} names no recording on disk"));
            } else if self.entries.binary_search_by(|entry| entry.id.cmp(id)).is_ok() {
                warnings.push(format!("{known} builds now: remove it from `known_defects`"));
            } else if let Some(other) =
                failed().ok().map(|index| &self.failed[index]).filter(|failed| failed.class != *class)
            {
                warnings.push(format!("{known} fails otherwise now: {}: {}", other.class, other.message));
            }
        }
        warnings
    }
}

/// A recording in quarantine, as people and scripts see it.
#[derive(Debug, Clone, Serialize)]
pub struct QuarantineLine {
    /// Its id, or its path.
    pub name: String,
    /// The split.
    pub split: Split,
    /// The class.
    pub class: FailureClass,
    /// The details.
    pub message: String,
    /// True where the dataset file acknowledges exactly this.
    pub known: bool,
}

/// Failures as people and scripts see them.
#[must_use]
pub fn quarantine_lines<'a>(
    settings: &Settings,
    failed: impl IntoIterator<Item = &'a Quarantined>,
) -> Vec<QuarantineLine> {
    let line = |failed: &Quarantined| QuarantineLine {
        name: failed.name.clone(),
        split: failed.split,
        class: failed.class,
        message: failed.message.clone(),
        known: is_known(settings, failed),
    };
    failed.into_iter().map(line).collect()
}

/// True where the dataset file acknowledges this recording with this class.
#[must_use]
pub fn is_known(settings: &Settings, failed: &Quarantined) -> bool {
    settings.dataset.known_defects.get(failed.name.as_str()) == Some(&failed.class)
}

/// How the entries were made that only journals know: the work of builds that did not come to their end.
fn unmerged(survey: &Survey) -> Vec<Kind> {
    if survey.own.held.merged().is_some() {
        return Vec::new();
    }
    let merged: BTreeMap<_, _> = match &survey.own.held.manifest {
        ManifestState::Read(manifest) => manifest.entries.iter().map(|entry| (&entry.id, entry)).collect(),
        _ => BTreeMap::new(),
    };
    let new = survey.own.held.entries.values().filter(|entry| merged.get(&entry.id) != Some(entry));
    new.map(|entry| match (entry.made.signal.as_str(), entry.made.labels.as_deref()) {
        ("built", _) => Kind::Build,
        (_, Some("relabelled")) => Kind::Relabel,
        ("kept", Some("kept") | None) => Kind::Present,
        _ => Kind::Link,
    })
    .collect()
}

fn totals(entries: &[Arc<Entry>]) -> BTreeMap<Split, Totals> {
    let mut totals: BTreeMap<Split, Totals> = BTreeMap::new();
    let mut subjects: BTreeMap<Split, BTreeSet<&str>> = BTreeMap::new();
    for entry in entries {
        let spans: Vec<Span> = entry.events.iter().map(Event::span).collect();
        let total = totals.entry(entry.split).or_default();
        total.recordings += 1;
        total.samples += entry.samples;
        total.seizure_samples += window::merge(&spans).iter().map(|span| span.end - span.start).sum::<u64>();
        total.bytes += entry.files.iter().map(|record| record.bytes).sum::<u64>();
        subjects.entry(entry.split).or_default().insert(&entry.subject);
    }
    for (split, names) in subjects {
        totals.entry(split).or_default().subjects = names.len() as u64;
    }
    totals
}
