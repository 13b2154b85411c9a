//! L1, pure: what is to be done, decided before anything is done.
//!
//! The plan holds one task a recording with an action for each of its two files, signal and labels, and the
//! reason with its data. `status`, `preflight`, `explain`, `--dry-run` and `build` read the same plan. It never sees
//! a file: shelves say what caches hold, the inventory says what lies on disk.

use crate::model::failure::{Failure, FailureClass};
use crate::model::id::{Digest, RecordingId, Split};
use crate::model::inventory::{Inventory, SourceFile, SourceRecording};
use crate::model::manifest::{FileRecord, Identity, Memory, Quarantined};
use crate::model::recipe::{READER_REVISION, Unlabelled};
use crate::model::stem::Stem;
use std::fmt;

mod judge;
mod shelf;

use judge::{Asked, digests};
pub use shelf::{Adopted, Annotations, Listed, Offer, OnDisk, Shelf};

/// What the configuration asks for.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// Dataset, fingerprints and split identity.
    pub identity: &'a Identity,
    /// What a recording without annotation file means.
    pub unlabelled: Unlabelled,
    /// True where annotations lie in the recordings themselves and not in files beside them.
    pub annotations_inside: bool,
    /// Which remembered failures are tried again.
    pub retry: Retry,
}

/// Which remembered failures are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// None: reading commands account for what failed.
    Nothing,
    /// Those that say nothing about the bytes: every build.
    Transient,
    /// All: `build --retry-failed`.
    Everything,
}

impl Retry {
    fn includes(self, class: FailureClass) -> bool {
        match self {
            Self::Nothing => false,
            Self::Transient => class.is_transient(),
            Self::Everything => true,
        }
    }
}

/// Everything that is to be done for a profile.
#[derive(Debug, Clone)]
pub struct Plan {
    /// One task a member of the profile, in the one order.
    pub tasks: Vec<Task>,
}

/// What is to be done for one recording.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its index in the inventory.
    pub recording: usize,
    /// Its split.
    pub split: Split,
    /// What is to be done.
    pub work: Work,
    /// Names in the own version that are not right, or not right any more. They go before the work
    /// begins, those that the work links from behind it.
    pub drop: Vec<String>,
}

/// What is to be done for one recording.
#[derive(Debug, Clone)]
pub enum Work {
    /// It has no valid id, or failed before under the same circumstances.
    Quarantined(Failure),
    /// Its two files are kept, linked or made.
    Files(Box<FileWork>),
}

/// What is to be done for the two files of a recording.
#[derive(Debug, Clone)]
pub struct FileWork {
    /// The signal file.
    pub signal: Decision,
    /// The labels file.
    pub labels: Decision,
}

/// An action with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The action.
    pub action: Action,
    /// The reason.
    pub reason: Reason,
}

/// What happens to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It is there.
    Keep,
    /// It is shared from a shelf, by index.
    Link {
        /// The shelf.
        shelf: usize,
        /// The file there, or those of all parts.
        records: Vec<FileRecord>,
    },
    /// It is made from the sources.
    Make,
    /// There is none: the recording is unlabelled.
    Nothing,
}

/// Why a file is kept, linked or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Fingerprint and sources match.
    Matches,
    /// The recording has the recorded size, its content was not looked at.
    Unchecked,
    /// No version holds it.
    New,
    /// A shelf holds it.
    FoundIn(String),
    /// The recording is not the one that the file was made from.
    SourceChanged(Change),
    /// The annotation is not the one that the labels were made from.
    AnnotationChanged(Change),
    /// The manifest lists it, the directory does not hold it.
    FileMissing(String),
    /// It has another size than recorded: damaged.
    FileDamaged {
        /// The name.
        name: String,
        /// Bytes recorded.
        expected: u64,
        /// Bytes found.
        actual: u64,
    },
    /// The split changed: the file moves by link.
    Moved {
        /// The old name.
        from: String,
    },
    /// The recipe keeps recordings without annotation unlabelled.
    NoAnnotationFile,
    /// The labels go with a signal that is made again.
    WithSignal,
}

/// A difference between what was recorded and what lies on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// As recorded.
    pub was: String,
    /// As found.
    pub now: String,
}

impl Reason {
    /// True where a source changed after the file was made.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        matches!(self, Self::SourceChanged(_) | Self::AnnotationChanged(_))
    }
}

/// A summary of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Both files are there.
    Present,
    /// Files are shared, none is made.
    Link,
    /// Labels alone are made.
    Relabel,
    /// The recording is processed.
    Build,
    /// Remembered failure, or no valid id.
    Quarantined,
}

impl Task {
    /// Returns the summary.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match &self.work {
            Work::Quarantined(_) => Kind::Quarantined,
            Work::Files(files) => match (&files.signal.action, &files.labels.action) {
                (Action::Make, _) => Kind::Build,
                (_, Action::Make) => Kind::Relabel,
                (Action::Link { .. }, _) | (_, Action::Link { .. }) => Kind::Link,
                // The files are there, and others that should not be.
                _ if !self.drop.is_empty() => Kind::Link,
                _ => Kind::Present,
            },
        }
    }

    /// The reasons of the task's decisions.
    pub fn reasons(&self) -> impl Iterator<Item = &Reason> {
        let both = match &self.work {
            Work::Files(files) => Some([&files.signal.reason, &files.labels.reason]),
            Work::Quarantined(_) => None,
        };
        both.into_iter().flatten()
    }

    /// True where the own version holds files made from other sources.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.reasons().any(Reason::is_stale)
    }

    /// True where a file of the own version has the wrong size.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.reasons().any(|reason| matches!(reason, Reason::FileDamaged { .. }))
    }

    /// True where the content of the recording was not looked at.
    #[must_use]
    pub fn is_unchecked(&self) -> bool {
        self.reasons().any(|reason| *reason == Reason::Unchecked)
    }
}

impl Plan {
    /// Returns the tasks of a kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Task> {
        self.tasks.iter().filter(move |task| task.kind() == kind)
    }

    /// Returns how many tasks are of a kind.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.of(kind).count()
    }
}

/// Returns the recordings whose content must be known before `build` can decide, as indices of the inventory:
/// those without a memo hit for which a shelf offers a file made from as many bytes, or remembers a failure.
#[must_use]
pub fn undecided(wanted: &Wanted<'_>, inventory: &Inventory, shelves: &[Shelf]) -> Vec<usize> {
    let open = |recording: &SourceRecording| {
        let Ok(id) = &recording.id else { return false };
        let stamp = recording.file.stamp;
        let same_size = |offer: &Offer<'_>, fingerprint: Digest| {
            offer.fingerprint == fingerprint
                && offer.source_bytes.is_none_or(|bytes| bytes == stamp.bytes || stamp.is_unknown())
        };
        shelves.iter().any(|shelf| {
            shelf.signals(id).iter().any(|offer| same_size(offer, wanted.identity.signal))
                || shelf.labels(id).iter().any(|offer| same_size(offer, wanted.identity.labels))
                || shelf.quarantine.contains_key(id.as_str())
        })
    };
    let members = inventory.profile().iter().enumerate();
    members.filter(|(_, r)| r.file.sha256.is_none() && open(r)).map(|(index, _)| index).collect()
}

/// Decides what is to be done for every member of the profile. `shelves[0]` is the version's own.
#[must_use]
pub fn plan(wanted: &Wanted<'_>, inventory: &Inventory, shelves: &[Shelf]) -> Plan {
    let decide = |(recording, source): (usize, &SourceRecording)| {
        let (work, drop) = match &source.id {
            Err(failure) => (Work::Quarantined(failure.clone()), Vec::new()),
            Ok(id) => {
                let past = remembered(wanted, source, shelves).map(Work::Quarantined);
                let work = past.unwrap_or_else(|| files(wanted, id, source, shelves));
                let drop = outdated(id, source.split, &work, shelves.first());
                (work, drop)
            }
        };
        Task { recording, split: source.split, work, drop }
    };
    Plan { tasks: inventory.profile().iter().enumerate().map(decide).collect() }
}

/// The circumstances under which a failure of this recording is remembered.
#[must_use]
pub fn memory(identity: &Identity, recording: &SourceRecording) -> Memory {
    Memory {
        bytes: recording.file.stamp.bytes,
        source: recording.file.sha256,
        annotation: recording.annotation.as_ref().and_then(|file| file.sha256),
        listed_as: recording.listed_as.clone(),
        signal: identity.signal,
        labels: identity.labels,
        reader_revision: READER_REVISION,
    }
}

/// The failure that a version remembers for exactly these circumstances; they decide, not the version.
fn remembered(wanted: &Wanted<'_>, recording: &SourceRecording, shelves: &[Shelf]) -> Option<Failure> {
    let now = memory(wanted.identity, recording);
    let holds = |(own, past): &(bool, &Quarantined)| {
        // Reading commands do not hash recordings; `build` has settled this before. What could not even be
        // read has no content on record, and is remembered by the version itself only.
        let source = now.source.filter(|_| past.memory.source.is_some()).or(past.memory.source);
        // Of what could not be looked at this time, nobody knows that it is another.
        let bytes = if recording.file.stamp.is_unknown() { past.memory.bytes } else { now.bytes };
        let is_unread = recording.has_unread_annotation();
        let annotation = if is_unread { past.memory.annotation } else { now.annotation };
        let same = Memory { bytes, source, annotation, ..now.clone() } == past.memory;
        same && !wanted.retry.includes(past.class) && (*own || !past.class.is_transient())
    };
    let past = shelves.iter().enumerate();
    let mut past = past.filter_map(|(at, shelf)| Some((at == 0, shelf.quarantine.get(recording.name())?)));
    let found = past.find(holds).map(|(_, past)| past);
    found.map(|past| Failure::new(past.class, past.message.clone()))
}

fn files(wanted: &Wanted<'_>, id: &RecordingId, recording: &SourceRecording, shelves: &[Shelf]) -> Work {
    let signal = decide_signal(wanted, id, recording, shelves);
    let labels = decide_labels(wanted, id, recording, shelves, &signal);
    Work::Files(Box::new(FileWork { signal, labels }))
}

/// Names of the recording in the own version that are not the ones which stay: in other splits, about to be made
/// or linked anew, or of a recording that failed.
fn outdated(id: &RecordingId, split: Split, work: &Work, own: Option<&Shelf>) -> Vec<String> {
    let Some(own) = own else { return Vec::new() };
    let keeps = |decision: &Decision| decision.action == Action::Keep;
    let (signal, labels) = match work {
        Work::Files(files) => (keeps(&files.signal), keeps(&files.labels)),
        Work::Quarantined(_) => (false, false),
    };
    let stays = |name: &&str| {
        let keeps = if name.ends_with(".labels.npz") { labels } else { signal };
        keeps && name.split_once('/').is_some_and(|(place, _)| place == split.as_str())
    };
    let mut names: Vec<String> = own.names(id).filter(|name| !stays(name)).map(str::to_owned).collect();
    let place = |name: &String| Split::ALL.iter().position(|split| name.starts_with(split.as_str()));
    names.sort_by_cached_key(|name| (place(name), name.clone()));
    names
}

/// Returns the stem in a file's name: `train/x.part000.labels.npz` → `x.part000`.
#[must_use]
pub fn stem_of(name: &str) -> Option<Stem> {
    let leaf = name.rsplit('/').next().unwrap_or(name).strip_suffix(".npz")?;
    Stem::parse(leaf.strip_suffix(".labels").unwrap_or(leaf)).ok()
}

/// The name of a signal file in a version's directory; `stem` is an id or that of a part.
#[must_use]
pub fn signal_name(split: Split, stem: &impl fmt::Display) -> String {
    format!("{split}/{stem}.npz")
}

/// The name of a labels file in a version's directory.
#[must_use]
pub fn labels_name(split: Split, stem: &impl fmt::Display) -> String {
    format!("{split}/{stem}.labels.npz")
}

/// Contents of the annotation files of a recording, the deciding one first.
#[must_use]
pub fn annotation_digests(recording: &SourceRecording) -> Vec<Digest> {
    let files: [&Option<SourceFile>; 2] = [&recording.annotation, &recording.cross_check];
    files.into_iter().flatten().filter_map(|file| file.sha256).collect()
}

fn decide_signal(
    wanted: &Wanted<'_>,
    id: &RecordingId,
    recording: &SourceRecording,
    shelves: &[Shelf],
) -> Decision {
    let asked = Asked { id, recording, fingerprint: wanted.identity.signal, labels: false };
    let why_not = match shelves.first().and_then(|shelf| asked.judge(&shelf.signals(id))) {
        Some(Ok(reason)) => return Decision { action: Action::Keep, reason },
        Some(Err(reason)) => reason,
        None => Reason::New,
    };
    match shelves.iter().enumerate().find_map(|(shelf, held)| Some((shelf, asked.find(&held.signals(id))?))) {
        Some((shelf, records)) => linked(shelf, records, shelves, why_not),
        None => Decision { action: Action::Make, reason: why_not },
    }
}

fn decide_labels(
    wanted: &Wanted<'_>,
    id: &RecordingId,
    recording: &SourceRecording,
    shelves: &[Shelf],
    signal: &Decision,
) -> Decision {
    let is_silent = recording.annotation.is_none() && !wanted.annotations_inside;
    if is_silent && wanted.unlabelled == Unlabelled::Keep {
        return unlabelled(shelves.first().and_then(|shelf| shelf.labels(id).first().copied()));
    }
    let asked = Asked { id, recording, fingerprint: wanted.identity.labels, labels: true };
    let why_not = match shelves.first().and_then(|shelf| asked.judge(&shelf.labels(id))) {
        Some(Ok(reason)) => return Decision { action: Action::Keep, reason },
        Some(Err(reason)) => reason,
        None if signal.action == Action::Make => Reason::WithSignal,
        None => Reason::New,
    };
    match shelves.iter().enumerate().find_map(|(shelf, held)| Some((shelf, asked.find(&held.labels(id))?))) {
        Some((shelf, records)) => linked(shelf, records, shelves, why_not),
        None => Decision { action: Action::Make, reason: why_not },
    }
}

/// There is nothing to make for a recording without annotation, unless it had one before.
fn unlabelled(own: Option<Offer<'_>>) -> Decision {
    let had_one = |offer: &Offer<'_>| offer.record.is_some() || !offer.annotation.digests().is_empty();
    match own.filter(had_one) {
        None => Decision { action: Action::Nothing, reason: Reason::NoAnnotationFile },
        Some(before) => {
            let change = Change { was: digests(&before.annotation.digests()), now: digests(&[]) };
            Decision { action: Action::Make, reason: Reason::AnnotationChanged(change) }
        }
    }
}

/// A link keeps the reason why the own file is not good where there was one: that makes a version stale.
fn linked(shelf: usize, records: Vec<FileRecord>, shelves: &[Shelf], why_not: Reason) -> Decision {
    let reason = match why_not {
        Reason::New | Reason::WithSignal => Reason::FoundIn(shelves[shelf].place()),
        other => other,
    };
    Decision { action: Action::Link { shelf, records }, reason }
}
