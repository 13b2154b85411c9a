//! The ledger of a build: what became of every recording, as it goes into the report and the manifest.

use crate::model::failure::FailureClass;
use crate::model::id::{RecordingId, Split};
use crate::model::inventory::{Inventory, SourceRecording};
use crate::model::manifest::{Entry, History, MANIFEST_SCHEMA, Manifest, Member, Quarantined, Totals};
use crate::model::recipe::{CONTAINER_REVISION, QUALITY_REVISION, READER_REVISION};
use crate::model::settings::Settings;
use crate::model::stem::Stem;
use crate::ops::mismatch;
use crate::ops::process::Outcome;
use crate::ops::survey::Survey;
use crate::plan::{Kind, Task, Work};
use crate::source;
use crate::store::{Held, ManifestState, Merge};
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
    present: usize,
}

/// A manifest as it is about to be written.
#[derive(Debug)]
pub struct Recorded {
    /// The manifest.
    pub manifest: Manifest,
    /// Members of the profile that it accounts for: finished, or in quarantine.
    pub present: usize,
}

impl Ledger {
    /// Enters the outcomes of a run; `None` stands for a task that was not begun.
    #[must_use]
    pub fn new(outcomes: Vec<Option<Outcome>>) -> Self {
        let mut ledger = Self::default();
        for outcome in outcomes {
            match outcome {
                Some(Outcome::Done(kind, entries)) => ledger.enter(kind, entries),
                Some(Outcome::Failed(failed)) => ledger.failed.push(*failed),
                None => ledger.left += 1,
            }
        }
        ledger.entries.sort_by(|a, b| a.id.cmp(&b.id));
        ledger.failed.sort_by(|a, b| a.name.cmp(&b.name));
        ledger
    }

    /// Adds what others finished, and earlier builds: recordings of other shards, those that an interruption left, and
    /// those of splits that were not looked at.
    fn fill(&mut self, survey: &Survey, merge: &Merge<'_>, files: &BTreeMap<String, u64>) {
        let held = merge.held;
        let finished = self.entries.iter().map(|entry| entry.id.recording().as_str());
        let entered: HashSet<&str> =
            finished.chain(self.failed.iter().map(|failed| failed.name.as_str())).collect();
        let open: Vec<&str> = survey.members.names().filter(|name| !entered.contains(name)).collect();
        for name in open {
            if let Some(id) = RecordingId::new(name).ok().filter(|id| held.is_whole(id)) {
                let entries: Vec<&Arc<Entry>> =
                    Stem::of(&held.entries, &id).map(|(_, entry)| entry).collect();
                if entries.iter().all(|entry| survey.is_in_place(entry, files)) {
                    self.entries.extend(entries.into_iter().cloned());
                }
            }
            self.carried.extend(held.quarantine.get(name).cloned());
        }
        // Recordings are counted, not parts.
        let finished = self.entries.iter().filter(|entry| entry.id.is_first()).count();
        self.present = finished + self.failed.len() + self.carried.len();
        self.carry_over(survey, held);
        self.entries.sort_by(|a, b| a.id.cmp(&b.id));
    }

    /// `data.splits` limits what is built and demanded, not what is kept: the other splits stay as they were.
    fn carry_over(&mut self, survey: &Survey, held: &Held) {
        let ManifestState::Read(manifest) = &held.manifest else { return };
        let is_aside = |name: &str, split: Split| {
            !survey.settings.splits.contains(&split) && !survey.members.contains(name)
        };
        let spec = &survey.settings.dataset;
        let is_moved = |e: &&Arc<Entry>| {
            is_aside(e.id.recording().as_str(), e.split)
                && !source::is_placed(spec, &e.source.path, &e.subject, e.split)
        };
        if manifest.identity.splits != survey.wanted.splits || held.entries.values().any(|e| is_moved(&e)) {
            // They stay where a rule put them that is not in force any more: in this manifest a subject could be in two splits.
            return;
        }
        let members = manifest.membership.iter().filter(|member| is_aside(&member.name, member.split));
        self.aside.extend(members.cloned());
        let entries = held.entries.values().filter(|e| is_aside(e.id.recording().as_str(), e.split));
        self.entries.extend(entries.cloned());
        let failed = held.quarantine.values().filter(|failed| is_aside(&failed.name, failed.split));
        self.carried.extend(failed.cloned());
    }

    fn enter(&mut self, kind: Kind, entries: Vec<Arc<Entry>>) {
        *self.counts.entry(kind).or_default() += 1;
        if kind == Kind::Build {
            self.bytes_read += entries.first().map_or(0, |entry| entry.source.bytes);
        }
        self.entries.extend(entries);
    }

    /// Returns how many recordings were finished in that way.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.counts.get(&kind).copied().unwrap_or_default()
    }

    /// Returns the manifest that holds the ledger and what others did; `files` is what the directory holds.
    #[must_use]
    pub fn into_manifest(
        mut self,
        survey: &Survey,
        merge: &Merge<'_>,
        files: &BTreeMap<String, u64>,
    ) -> Recorded {
        self.fill(survey, merge, files);
        self.failed.append(&mut self.carried);
        self.failed.sort_by(|a, b| a.name.cmp(&b.name));
        let settings = &survey.settings;
        let membership = self.membership(survey);
        let history = self.history(merge);
        let manifest = Manifest {
            schema: MANIFEST_SCHEMA,
            profile: settings.profile.clone(),
            version: settings.version.clone(),
            identity: survey.wanted.clone(),
            recipe: mismatch::recipe_value(settings),
            builder: format!("eegcache {}", env!("CARGO_PKG_VERSION")),
            revisions: BTreeMap::from([
                ("container".to_owned(), CONTAINER_REVISION),
                ("quality".to_owned(), QUALITY_REVISION),
                ("reader".to_owned(), READER_REVISION),
            ]),
            licence: settings.dataset.licence.clone(),
            subset: settings.profile_spec().subset.to_string(),
            // What was once written without syncs may have been damaged since; only a new version is free of it.
            durable: survey.store.is_durable() && merge.held.durable,
            membership,
            totals: totals(&self.entries),
            history,
            entries: self.entries,
            quarantine: self.failed,
        };
        Recorded { manifest, present: self.present }
    }

    /// The members that were looked at, and those of splits that were not.
    fn membership(&self, survey: &Survey) -> Vec<Member> {
        let mut all: Vec<Member> = survey.members.iter().chain(&self.aside).cloned().collect();
        all.sort();
        all
    }

    fn history(&self, merge: &Merge<'_>) -> History {
        let before = merge.held.history;
        let killed = |kind| {
            // Recordings are counted, not parts.
            let of_kind = |entry: &&Arc<Entry>| entry.id.is_first() && how(entry) == kind;
            merge.absorbed.iter().filter(of_kind).count() as u64
        };
        let count = |kind| self.count(kind) as u64 + killed(kind);
        History {
            runs: before.runs + 1,
            built: before.built + count(Kind::Build),
            linked: before.linked + count(Kind::Link),
            relabelled: before.relabelled + count(Kind::Relabel),
            kept: before.kept + self.count(Kind::Present) as u64,
        }
    }

    /// True where the recording, or a part of it, is finished. Entries are sorted by their stems.
    fn has(&self, id: &RecordingId) -> bool {
        let first = self.entries.partition_point(|entry| entry.id.recording() < id);
        self.entries.get(first).is_some_and(|entry| entry.id.recording() == id)
    }

    /// What the dataset file says of recordings that are not there, and acknowledged defects that are something else now.
    #[must_use]
    pub fn warnings(&self, settings: &Settings, inventory: &Inventory) -> Vec<String> {
        let labels = &settings.recipe.labels;
        let is_silent =
            settings.dataset.known_defects.is_empty() && labels.fixes.is_empty() && labels.names.is_empty();
        let recordings = inventory.recordings.iter().filter(|_| !is_silent);
        let on_disk: HashSet<&str> = recordings.map(SourceRecording::name).collect();
        let mut warnings = nobodys(settings, &on_disk);
        for (id, class) in &settings.dataset.known_defects {
            let known = format!("known defect `{id}: {class}` of dataset `{}`", settings.dataset.name);
            let failed = || self.failed.binary_search_by(|failed| failed.name.as_str().cmp(id.as_str()));
            if !on_disk.contains(id.as_str()) {
                warnings.push(format!("{known} names no recording on disk"));
            } else if self.has(id) {
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

/// Fixes and names for ids that no recording has: most likely mistyped, and then without the effect that they should have.
fn nobodys(settings: &Settings, on_disk: &HashSet<&str>) -> Vec<String> {
    let (labels, dataset) = (&settings.recipe.labels, &settings.dataset.name);
    let warning = |key: &str, ids: &mut dyn Iterator<Item = &String>| {
        let unknown: Vec<String> =
            ids.filter(|id| !on_disk.contains(id.as_str())).map(|id| format!("`{id}`")).collect();
        let text = || {
            format!("`{key}` of dataset `{dataset}` for {}: no such recording on disk", unknown.join(", "))
        };
        (!unknown.is_empty()).then(text)
    };
    let fixes = warning("fixes", &mut labels.fixes.keys());
    fixes.into_iter().chain(warning("annotations.names", &mut labels.names.keys())).collect()
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

/// The recordings of a profile that cannot be processed: by the plan, else by what is remembered.
#[must_use]
pub fn quarantine(survey: &Survey) -> Vec<QuarantineLine> {
    let (Some(plan), Some(inventory)) = (&survey.plan, &survey.inventory) else {
        return quarantine_lines(&survey.settings, survey.failures());
    };
    let line = |task: &Task| {
        let Work::Quarantined(failure) = &task.work else { return None };
        let name = inventory.recordings[task.recording].name();
        let known = survey.settings.dataset.known_defects.get(name) == Some(&failure.class);
        let (name, message) = (name.to_owned(), failure.message.clone());
        Some(QuarantineLine { name, split: task.split, class: failure.class, message, known })
    };
    let mut lines: Vec<QuarantineLine> = plan.tasks.iter().filter_map(line).collect();
    lines.sort_by(|a, b| a.name.cmp(&b.name));
    lines
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

/// How an entry was made by a build that did not come to its end.
fn how(entry: &Entry) -> Kind {
    match (entry.made.signal.as_str(), entry.made.labels.as_deref()) {
        ("built", _) => Kind::Build,
        (_, Some("relabelled")) => Kind::Relabel,
        ("kept", Some("kept") | None) => Kind::Present,
        _ => Kind::Link,
    }
}

fn totals(entries: &[Arc<Entry>]) -> BTreeMap<Split, Totals> {
    let mut totals: BTreeMap<Split, Totals> = BTreeMap::new();
    let mut subjects: BTreeMap<Split, BTreeSet<&str>> = BTreeMap::new();
    for entry in entries {
        let total = totals.entry(entry.split).or_default();
        total.recordings += u64::from(entry.id.is_first());
        total.samples += entry.recorded_samples();
        total.seizure_samples += entry.seizure_samples();
        total.bytes += entry.files.iter().map(|record| record.bytes).sum::<u64>();
        subjects.entry(entry.split).or_default().insert(&entry.subject);
    }
    for (split, names) in subjects {
        totals.entry(split).or_default().subjects = names.len() as u64;
    }
    totals
}
