//! `explain`: why a recording is a hit, a miss or stale.

use crate::config::Setting;
use crate::error::{Error, Result};
use crate::model::id::Split;
use crate::model::inventory::{Inventory, SourceFile};
use crate::model::manifest::{Entry, LabelStatus, Quarantined};
use crate::model::stem::Stem;
use crate::model::units::Seconds;
use crate::ops::library::Library;
use crate::ops::load::Resolved;
use crate::ops::marks::{self, Mark};
use crate::ops::mismatch::Mismatch;
use crate::ops::survey::{Options, State, Survey, survey, unreachable_dataset, walk};
use crate::plan::{Action, Decision, Plan, Reason, Shelf, Task, Work};
use crate::store::Store;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Why one recording is what it is.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// Its id, or its path.
    pub name: String,
    /// Its split.
    pub split: Split,
    /// Its subject.
    pub subject: String,
    /// Where it lies, relative to the dataset root.
    pub path: String,
    /// Its content, where it is known without reading it.
    pub sha256: Option<String>,
    /// Annotation files and their contents.
    pub annotations: Vec<String>,
    /// Its place in the one order, from 1; not known where the dataset cannot be reached.
    pub position: Option<usize>,
    /// True where the profile takes it.
    pub is_member: bool,
    /// The state of the whole version.
    pub state: State,
    /// Where the version means something else: the fields that differ.
    pub mismatch: Option<Mismatch>,
    /// The configured values that decide those fields, and where each was written.
    pub configured: Vec<Configured>,
    /// What is decided for its files.
    pub files: Vec<FileExplanation>,
    /// The remembered failure.
    pub failure: Option<String>,
    /// How many stretches of seizure there are, where it was labelled; events of single channels may overlap in one.
    pub seizures: Option<usize>,
    /// The stretches, in seconds from the recording's sample 0.
    pub marks: Vec<Mark>,
    /// What the manifest holds: the entry of the recording, or of its first part.
    pub entry: Option<Entry>,
    /// The entries of all parts, where the recording was split at its gaps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Entry>,
}

/// A configured value.
#[derive(Debug, Clone, Serialize)]
pub struct Configured {
    /// The key.
    pub key: String,
    /// The value, as YAML.
    pub value: String,
    /// Where it was written.
    pub origin: String,
}

/// Why one file is what it is.
#[derive(Debug, Clone, Serialize)]
pub struct FileExplanation {
    /// `signal` or `labels`.
    pub file: &'static str,
    /// `hit`, `miss` or `stale`.
    pub verdict: &'static str,
    /// What `build` would do.
    pub action: String,
    /// Why.
    pub because: String,
}

/// Explains a recording by its id (or its path, where it has no valid id).
pub fn explain(resolved: &Resolved, name: &str) -> Result<Explanation> {
    let settings = &resolved.settings;
    let library = Library::new(Store::new(settings.cache_root.clone()));
    let taken = walk(settings, &library, std::slice::from_ref(&settings.profile))?;
    let survey = survey(settings.clone(), &library, taken.as_ref(), Options::LOOK)?;
    let Some(inventory) = &survey.inventory else { return recorded(&survey, name) };
    let found = inventory.recordings.iter().position(|r| r.name() == name || r.file.path == name);
    let index = found.ok_or_else(|| unknown(&survey, name))?;
    let recording = &inventory.recordings[index];
    let task = survey.plan.as_ref().and_then(|plan| task_of(plan, inventory, recording.name()));
    let files = match task.map(|task| &task.work) {
        Some(Work::Files(work)) => {
            vec![file("signal", &work.signal, &survey.shelves), file("labels", &work.labels, &survey.shelves)]
        }
        _ => Vec::new(),
    };
    let annotations = [&recording.annotation, &recording.cross_check].into_iter().flatten();
    let held = &survey.own.held.entries;
    let entries = |id| Stem::of(held, id).map(|(_, entry)| &**entry).collect();
    let entries: Vec<&Entry> = recording.id.as_ref().map(entries).unwrap_or_default();
    Ok(Explanation {
        name: recording.name().to_owned(),
        split: recording.split,
        subject: recording.subject.clone(),
        path: recording.file.path.clone(),
        sha256: recording.file.sha256.map(|sha256| sha256.to_string()),
        annotations: annotations
            .map(|file| annotation(file, entries.first().copied()))
            .chain(settings.annotations_inside().then(|| "in the recording itself".to_owned()))
            .collect(),
        position: Some(index + 1),
        is_member: index < inventory.members,
        state: survey.state,
        configured: survey.mismatch.as_ref().map(|m| configured(resolved, m)).unwrap_or_default(),
        mismatch: survey.mismatch.clone(),
        files,
        failure: survey.own.held.quarantine.get(recording.name()).map(failure),
        seizures: seizures(&entries),
        marks: marks(&entries),
        entry: entries.first().copied().cloned(),
        parts: parts(&entries),
    })
}

/// An annotation file with its content, and with the content that the cache was made from where it was another one.
fn annotation(file: &SourceFile, entry: Option<&Entry>) -> String {
    let Some(sha256) = file.sha256 else { return format!("{} (not readable)", file.path) };
    let mut recorded = entry.into_iter().flat_map(|entry| &entry.annotation.files);
    match recorded.find(|source| source.path == file.path).filter(|source| source.sha256 != sha256) {
        Some(before) => format!("{} ({sha256}, built from {})", file.path, before.sha256),
        None => format!("{} ({sha256})", file.path),
    }
}

/// What the cache alone knows of a recording, where the dataset cannot be reached.
fn recorded(survey: &Survey, name: &str) -> Result<Explanation> {
    let held = &survey.own.held;
    let is_meant = |entry: &&Entry| entry.id.recording().as_str() == name || entry.source.path == name;
    let entries: Vec<&Entry> = held.entries.values().map(Arc::as_ref).filter(is_meant).collect();
    let entry = entries.first().copied();
    let failed = held.quarantine.values().find(|failed| failed.name == name || failed.path == name);
    let (split, path, sha256) = match (entry, failed) {
        (Some(entry), _) => (entry.split, &entry.source.path, Some(entry.source.sha256)),
        (None, Some(failed)) => (failed.split, &failed.path, failed.memory.source),
        (None, None) => return Err(unreachable_dataset(&survey.settings)),
    };
    Ok(Explanation {
        name: entry.map_or(name, |entry| entry.id.recording().as_str()).to_owned(),
        split,
        subject: entry.map(|entry| entry.subject.clone()).unwrap_or_default(),
        path: path.clone(),
        sha256: sha256.map(|sha256| sha256.to_string()),
        annotations: entry
            .into_iter()
            .flat_map(|e| &e.annotation.files)
            .map(|file| file.path.clone())
            .collect(),
        position: None,
        is_member: survey.members.contains(name),
        state: survey.state,
        mismatch: survey.mismatch.clone(),
        configured: Vec::new(),
        files: Vec::new(),
        failure: failed.map(failure),
        seizures: seizures(&entries),
        marks: marks(&entries),
        entry: entries.first().copied().cloned(),
        parts: parts(&entries),
    })
}

/// The values behind the fields that differ, by the section that decides them.
fn configured(resolved: &Resolved, mismatch: &Mismatch) -> Vec<Configured> {
    let section = |field: &str| match field {
        "dataset" => "data.dataset",
        "signal.dtype" => "storage.",
        field if field.starts_with("signal") => "preprocessing.",
        _ => "labels.",
    };
    let sections: BTreeSet<&str> = mismatch.fields.iter().map(|f| section(&f.field)).collect();
    let decides = |key: &str| {
        let annotations = key.starts_with("dataset.annotations") || key.starts_with("dataset.fixes");
        sections.iter().any(|section| key.starts_with(section))
            || (sections.contains("labels.") && annotations)
    };
    let values = resolved.values.iter().filter(|setting| decides(&setting.key));
    let value =
        |s: &Setting| Configured { key: s.key.clone(), value: s.shown.clone(), origin: s.origin.clone() };
    values.map(value).collect()
}

fn marks(entries: &[&Entry]) -> Vec<Mark> {
    let begin = |entry: &Entry| entry.part.map_or(Seconds::ZERO, |part| part.start_s);
    entries.iter().flat_map(|entry| marks::marks(&entry.events, entry.rate_hz, begin(entry))).collect()
}

fn parts(entries: &[&Entry]) -> Vec<Entry> {
    entries.iter().filter(|entry| entry.part.is_some()).map(|entry| (*entry).clone()).collect()
}

fn failure(failed: &Quarantined) -> String {
    format!("{}: {}", failed.class, failed.message)
}

fn unknown(survey: &Survey, name: &str) -> Error {
    let names = survey.inventory.iter().flat_map(|inventory| inventory.recordings.iter());
    let scored = names.map(|r| (strsim::jaro_winkler(name, r.name()), r.name()));
    let nearest = scored.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.8);
    Error::usage(
        format!("no recording of dataset `{}` has the id `{name}`", survey.settings.dataset.name),
        nearest.map_or_else(
            || "ids are file stems unless the dataset file says otherwise".to_owned(),
            |(_, id)| format!("did you mean `{id}`?"),
        ),
    )
}

fn file(name: &'static str, decision: &Decision, shelves: &[Shelf]) -> FileExplanation {
    let verdict = match (&decision.action, decision.reason.is_stale()) {
        (_, true) => "stale",
        (Action::Keep | Action::Nothing, _) => "hit",
        _ => "miss",
    };
    let action = match &decision.action {
        Action::Keep => "keep".to_owned(),
        Action::Link { shelf, records } => {
            let names: Vec<&str> = records.iter().map(|record| record.name.as_str()).collect();
            format!("link {} from {}", names.join(", "), shelves[*shelf].place())
        }
        Action::Make => "make from the sources".to_owned(),
        Action::Nothing => "do nothing: it is unlabelled".to_owned(),
    };
    FileExplanation { file: name, verdict, action, because: because(&decision.reason) }
}

/// How many seizures a recording has; nothing where it is not there, or nobody labelled it.
fn seizures(entries: &[&Entry]) -> Option<usize> {
    let first = entries.first()?;
    (first.annotation.status != LabelStatus::Unlabelled).then(|| marks(entries).len())
}

/// A reason in words.
#[must_use]
pub fn because(reason: &Reason) -> String {
    match reason {
        Reason::Matches => "fingerprint and sources match".to_owned(),
        Reason::Unchecked => "the recording has the recorded size; its content was not looked at".to_owned(),
        Reason::New => "no version holds it".to_owned(),
        Reason::FoundIn(place) => format!("{place} holds it"),
        Reason::SourceChanged(change) => {
            format!("the recording changed: {} when it was built, {} now", change.was, change.now)
        }
        Reason::AnnotationChanged(change) => {
            format!("the annotation changed: {} when it was built, {} now", change.was, change.now)
        }
        Reason::FileMissing(name) => format!("`{name}` is listed and does not exist"),
        Reason::FileDamaged { name, expected, actual } => {
            format!("`{name}` has {actual} bytes instead of {expected}")
        }
        Reason::Moved { from } => format!("the split changed, it lies at `{from}`"),
        Reason::NoAnnotationFile => "there is no annotation file".to_owned(),
        Reason::WithSignal => "the signal is made again".to_owned(),
    }
}

/// What a plan says of one recording.
fn task_of<'a>(plan: &'a Plan, inventory: &Inventory, name: &str) -> Option<&'a Task> {
    plan.tasks.iter().find(|task| inventory.recordings[task.recording].name() == name)
}
