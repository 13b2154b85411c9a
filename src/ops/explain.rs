//! `explain`: why a recording is a hit, a miss or stale.

use crate::error::{Error, Result};
use crate::model::id::Split;
use crate::model::inventory::Inventory;
use crate::model::manifest::{Entry, Quarantined};
use crate::model::settings::Settings;
use crate::ops::survey::{Options, State, Survey, survey, walk};
use crate::plan::{Action, Decision, Plan, Reason, Shelf, Task, Work};
use crate::store::Store;
use serde::Serialize;

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
    /// Its place in the one order, from 1, and whether the profile takes it.
    pub position: (usize, bool),
    /// The state of the whole version.
    pub state: State,
    /// What is decided for its files.
    pub files: Vec<FileExplanation>,
    /// The remembered failure.
    pub failure: Option<String>,
    /// What the manifest holds.
    pub entry: Option<Entry>,
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
pub fn explain(settings: &Settings, name: &str) -> Result<Explanation> {
    let store = Store::new(settings.cache_root.clone());
    let taken = walk(settings, &store)?;
    let survey = survey(settings.clone(), taken.as_ref(), Options::LOOK)?;
    let inventory =
        survey.inventory.as_ref().ok_or_else(|| crate::ops::survey::unreachable_dataset(settings))?;
    let found = inventory.recordings.iter().position(|r| r.name() == name || r.file.path == name);
    let index = found.ok_or_else(|| unknown(&survey, name))?;
    let recording = &inventory.recordings[index];
    let task = survey.plan.as_ref().and_then(|plan| task_of(plan, inventory, recording.name()));
    let files = match task.map(|task| &task.work) {
        Some(Work::Files { signal, labels, .. }) => {
            vec![file("signal", signal, &survey.shelves), file("labels", labels, &survey.shelves)]
        }
        _ => Vec::new(),
    };
    let annotations = [&recording.annotation, &recording.cross_check].into_iter().flatten();
    Ok(Explanation {
        name: recording.name().to_owned(),
        split: recording.split,
        subject: recording.subject.clone(),
        path: recording.file.path.clone(),
        sha256: recording.file.sha256.map(|sha256| sha256.to_string()),
        annotations: annotations
            .map(|file| match file.sha256 {
                Some(sha256) => format!("{} ({sha256})", file.path),
                None => format!("{} (not readable)", file.path),
            })
            .collect(),
        position: (index + 1, index < inventory.members),
        state: survey.state(),
        files,
        failure: survey.own.held.quarantine.get(recording.name()).map(failure),
        entry: recording.id.as_ref().ok().and_then(|id| survey.own.held.entries.get(id)).cloned(),
    })
}

fn failure(failed: &Quarantined) -> String {
    format!("{}: {}", failed.class, failed.message)
}

fn unknown(survey: &Survey, name: &str) -> Error {
    let names = survey.inventory.iter().flat_map(|inventory| &inventory.recordings);
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
        Action::Link { shelf, record } => format!("link {} from {}", record.name, shelves[*shelf].place()),
        Action::Make => "make from the sources".to_owned(),
        Action::Nothing => "none: unlabelled".to_owned(),
    };
    FileExplanation { file: name, verdict, action, because: because(&decision.reason) }
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
