//! L1, pure: what is to be done, decided before anything is done.
//!
//! The plan holds one task a recording with an action for each of its two files, signal and labels, and the
//! reason with its data. `status`, `preflight`, `explain`, `--dry-run` and `build` read the same plan. It never sees
//! a file: shelves say what caches hold, the inventory says what lies on disk.

use crate::model::failure::{Failure, FailureClass};
use crate::model::id::{Digest, ProfileName, RecordingId, Split, VersionName};
use crate::model::inventory::{Inventory, SourceFile, SourceRecording};
use crate::model::manifest::{Entry, FileRecord, Identity, LabelStatus, Memory, Quarantined, Source};
use crate::model::recipe::{READER_REVISION, Unlabelled};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

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

/// What one version of one profile holds; the first shelf of a plan is the version's own. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shelf {
    /// The profile.
    pub profile: ProfileName,
    /// The version.
    pub version: VersionName,
    /// What the listed recordings were made under.
    pub identity: Option<Identity>,
    /// The recordings that manifest and journals list.
    pub listed: Arc<HashMap<RecordingId, Listed>>,
    /// Failures by name.
    pub quarantine: Arc<BTreeMap<String, Quarantined>>,
    /// Names of finished files that nobody lists, by id.
    pub unlisted: Arc<BTreeMap<RecordingId, Vec<String>>>,
    /// Unlisted signal files that were looked at and are better than what is listed.
    pub adopted_signals: BTreeMap<RecordingId, Adopted>,
    /// Unlisted labels files, likewise.
    pub adopted_labels: BTreeMap<RecordingId, Adopted>,
}

/// A listed recording and what the file system says of its files.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What is listed.
    pub entry: Arc<Entry>,
    /// The signal file.
    pub signal: OnDisk,
    /// The labels file; `Present` where there is none.
    pub labels: OnDisk,
}

impl Listed {
    /// The files and what the file system says of each, the signal first.
    pub fn files(&self) -> impl Iterator<Item = (&FileRecord, OnDisk)> {
        self.entry.files.iter().zip([self.signal, self.labels])
    }

    /// True where every file lies there with its recorded size.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.signal == OnDisk::Present && self.labels == OnDisk::Present
    }
}

/// An unlisted file and what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// The file.
    pub record: FileRecord,
    /// The fingerprint it was made under.
    pub fingerprint: Digest,
    /// The recording's content.
    pub source: Digest,
    /// The annotation files' contents (labels only).
    pub annotation: Vec<Digest>,
}

impl Adopted {
    fn offer(&self) -> Offer<'_> {
        Offer {
            record: Some(&self.record),
            fingerprint: self.fingerprint,
            source: self.source,
            source_bytes: None,
            annotation: Annotations::Told(&self.annotation),
            on_disk: OnDisk::Present,
        }
    }
}

/// A file that a shelf holds, and what it was made from.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The file; nothing where the recording is unlabelled and has no labels file.
    pub record: Option<&'a FileRecord>,
    /// The fingerprint it was made under.
    pub fingerprint: Digest,
    /// The recording's content.
    pub source: Digest,
    /// The recording's bytes, where known.
    pub source_bytes: Option<u64>,
    /// The annotation files' contents (labels only).
    pub annotation: Annotations<'a>,
    /// What the file system says.
    pub on_disk: OnDisk,
}

/// The annotation files that labels were made from.
#[derive(Debug, Clone, Copy)]
pub enum Annotations<'a> {
    /// As a manifest lists them.
    Listed(&'a [Source]),
    /// As a file says itself.
    Told(&'a [Digest]),
}

impl Annotations<'_> {
    /// Their contents, the deciding one first.
    #[must_use]
    pub fn digests(self) -> Vec<Digest> {
        match self {
            Self::Listed(files) => files.iter().map(|file| file.sha256).collect(),
            Self::Told(digests) => digests.to_vec(),
        }
    }
}

/// What the file system says of an offered file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDisk {
    /// The recorded size.
    Present,
    /// No such file.
    Missing,
    /// Another size: damaged.
    Size(u64),
}

impl Shelf {
    /// An empty shelf.
    #[must_use]
    pub fn empty(profile: ProfileName, version: VersionName) -> Self {
        Self {
            profile,
            version,
            identity: None,
            listed: Arc::default(),
            quarantine: Arc::default(),
            unlisted: Arc::default(),
            adopted_signals: BTreeMap::new(),
            adopted_labels: BTreeMap::new(),
        }
    }

    /// How people call the shelf: `full/v1_256hz_10-20`.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}/{}", self.profile, self.version)
    }

    /// The signal file of a recording. What is adopted goes first: it was adopted because nothing listed lies there.
    #[must_use]
    pub fn signal(&self, id: &RecordingId) -> Option<Offer<'_>> {
        if let Some(adopted) = self.adopted_signals.get(id) {
            return Some(adopted.offer());
        }
        let (listed, identity) = (self.listed.get(id)?, self.identity.as_ref()?);
        let record = Some(&listed.entry.files.signal);
        Some(listed.offer(record, listed.signal, identity.signal, Annotations::Told(&[])))
    }

    /// The labels of a recording, also where it is known to have none.
    #[must_use]
    pub fn labels(&self, id: &RecordingId) -> Option<Offer<'_>> {
        if let Some(adopted) = self.adopted_labels.get(id) {
            return Some(adopted.offer());
        }
        let (listed, identity) = (self.listed.get(id)?, self.identity.as_ref()?);
        let (record, annotation) = (listed.entry.files.labels.as_ref(), &listed.entry.annotation);
        let is_known = record.is_some() || annotation.status == LabelStatus::Unlabelled;
        is_known.then(|| {
            listed.offer(record, listed.labels, identity.labels, Annotations::Listed(&annotation.files))
        })
    }

    /// True where anything is known of the recording's files.
    #[must_use]
    pub fn holds(&self, id: &RecordingId) -> bool {
        self.listed.contains_key(id)
            || self.adopted_signals.contains_key(id)
            || self.adopted_labels.contains_key(id)
    }

    /// The names of the recording's files that lie there, listed or not.
    fn names(&self, id: &RecordingId) -> impl Iterator<Item = &str> {
        let listed = self.listed.get(id).into_iter().flat_map(Listed::files);
        let there = listed.filter(|(_, on_disk)| *on_disk != OnDisk::Missing);
        let unlisted = self.unlisted.get(id).into_iter().flatten();
        there.map(|(record, _)| record.name.as_str()).chain(unlisted.map(String::as_str))
    }
}

impl Listed {
    fn offer<'a>(
        &self,
        record: Option<&'a FileRecord>,
        on_disk: OnDisk,
        fingerprint: Digest,
        annotation: Annotations<'a>,
    ) -> Offer<'a> {
        let Source { bytes, sha256, .. } = &self.entry.source;
        Offer { record, fingerprint, source: *sha256, source_bytes: Some(*bytes), annotation, on_disk }
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
        /// The file there.
        record: FileRecord,
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
        let same_size = |offer: Offer<'_>, fingerprint: Digest| {
            offer.fingerprint == fingerprint
                && offer.source_bytes.is_none_or(|bytes| bytes == recording.file.stamp.bytes)
        };
        shelves.iter().any(|shelf| {
            shelf.signal(id).is_some_and(|offer| same_size(offer, wanted.identity.signal))
                || shelf.labels(id).is_some_and(|offer| same_size(offer, wanted.identity.labels))
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
        let same = Memory { source, ..now.clone() } == past.memory;
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
    let stays = |name: &str| match work {
        Work::Files(files) => {
            (files.signal.action == Action::Keep && is_name(name, split, id, SIGNAL))
                || (files.labels.action == Action::Keep && is_name(name, split, id, LABELS))
        }
        Work::Quarantined(_) => false,
    };
    let mut names: Vec<String> = own.names(id).filter(|name| !stays(name)).map(str::to_owned).collect();
    let all = Split::ALL.into_iter().flat_map(|split| [(split, SIGNAL), (split, LABELS)]);
    let order: Vec<_> = if names.len() > 1 { all.collect() } else { Vec::new() };
    names.sort_by_key(|name| order.iter().position(|(split, ending)| is_name(name, *split, id, ending)));
    names
}

const SIGNAL: &str = ".npz";
const LABELS: &str = ".labels.npz";

/// True where `name` is that of a recording's file in a split; makes no text of its own.
fn is_name(name: &str, split: Split, id: &RecordingId, ending: &str) -> bool {
    let leaf = name.strip_prefix(split.as_str()).and_then(|rest| rest.strip_prefix('/'));
    leaf.and_then(|leaf| leaf.strip_prefix(id.as_str())) == Some(ending)
}

/// The name of a signal file in a version's directory.
#[must_use]
pub fn signal_name(split: Split, id: &RecordingId) -> String {
    format!("{split}/{id}{SIGNAL}")
}

/// The name of a labels file in a version's directory.
#[must_use]
pub fn labels_name(split: Split, id: &RecordingId) -> String {
    format!("{split}/{id}{LABELS}")
}

/// How an offer's sources compare with what lies on disk.
enum Match {
    Same,
    Unchecked,
    Source(Change),
    Annotation(Change),
}

fn compare(offer: Offer<'_>, recording: &SourceRecording, labels: bool) -> Match {
    let (file, sources) = (&recording.file, offer.source_bytes);
    if let Some(bytes) = sources.filter(|bytes| *bytes != file.stamp.bytes) {
        return Match::Source(Change {
            was: format!("{bytes} bytes"),
            now: format!("{} bytes", file.stamp.bytes),
        });
    }
    if let Some(sha256) = file.sha256.filter(|sha256| *sha256 != offer.source) {
        return Match::Source(Change { was: digest(offer.source), now: digest(sha256) });
    }
    if labels {
        let (was, now) = (offer.annotation.digests(), annotation_digests(recording));
        if now != was {
            return Match::Annotation(Change { was: digests(&was), now: digests(&now) });
        }
    }
    if file.sha256.is_none() { Match::Unchecked } else { Match::Same }
}

fn digest(sha256: Digest) -> String {
    format!("sha256 {}", sha256.short())
}

fn digests(all: &[Digest]) -> String {
    let texts: Vec<String> = all.iter().map(|one| digest(*one)).collect();
    if texts.is_empty() { "no annotation file".to_owned() } else { texts.join(", ") }
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
    let is_right = |name: &str| is_name(name, recording.split, id, SIGNAL);
    let own = shelves.first().and_then(|shelf| shelf.signal(id));
    let why_not = match own.map(|offer| judge(offer, wanted.identity.signal, recording, false, is_right)) {
        Some(Ok(reason)) => return Decision { action: Action::Keep, reason },
        Some(Err(reason)) => reason,
        None => Reason::New,
    };
    let offers = shelves.iter().map(|shelf| shelf.signal(id));
    match find(offers, wanted.identity.signal, recording, false) {
        Some((shelf, record)) => linked(shelf, record, shelves, why_not),
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
    let is_right = |name: &str| is_name(name, recording.split, id, LABELS);
    let own = shelves.first().and_then(|shelf| shelf.labels(id));
    let is_silent = recording.annotation.is_none() && !wanted.annotations_inside;
    if is_silent && wanted.unlabelled == Unlabelled::Keep {
        return unlabelled(own);
    }
    let why_not = match own.map(|offer| judge(offer, wanted.identity.labels, recording, true, is_right)) {
        Some(Ok(reason)) => return Decision { action: Action::Keep, reason },
        Some(Err(reason)) => reason,
        None if signal.action == Action::Make => Reason::WithSignal,
        None => Reason::New,
    };
    let offers = shelves.iter().map(|shelf| shelf.labels(id));
    match find(offers, wanted.identity.labels, recording, true) {
        Some((shelf, record)) => linked(shelf, record, shelves, why_not),
        None => Decision { action: Action::Make, reason: why_not },
    }
}

/// There is nothing to make for a recording without annotation, unless it had one before.
fn unlabelled(own: Option<Offer<'_>>) -> Decision {
    match own.filter(|offer| offer.record.is_some() || !offer.annotation.digests().is_empty()) {
        None => Decision { action: Action::Nothing, reason: Reason::NoAnnotationFile },
        Some(before) => {
            let change = Change { was: digests(&before.annotation.digests()), now: digests(&[]) };
            Decision { action: Action::Make, reason: Reason::AnnotationChanged(change) }
        }
    }
}

/// A link keeps the reason why the own file is not good where there was one: that makes a version stale.
fn linked(shelf: usize, record: &FileRecord, shelves: &[Shelf], why_not: Reason) -> Decision {
    let reason = match why_not {
        Reason::New | Reason::WithSignal => Reason::FoundIn(shelves[shelf].place()),
        other => other,
    };
    Decision { action: Action::Link { shelf, record: record.clone() }, reason }
}

/// Whether the own file can stay, and why.
fn judge(
    offer: Offer<'_>,
    fingerprint: Digest,
    recording: &SourceRecording,
    labels: bool,
    is_right: impl Fn(&str) -> bool,
) -> Result<Reason, Reason> {
    if offer.fingerprint != fingerprint {
        return Err(Reason::New);
    }
    let matched = match compare(offer, recording, labels) {
        Match::Source(change) => return Err(Reason::SourceChanged(change)),
        Match::Annotation(change) => return Err(Reason::AnnotationChanged(change)),
        Match::Same => Reason::Matches,
        Match::Unchecked => Reason::Unchecked,
    };
    let Some(record) = offer.record else { return Ok(matched) };
    match offer.on_disk {
        OnDisk::Missing => Err(Reason::FileMissing(record.name.clone())),
        OnDisk::Size(actual) => {
            Err(Reason::FileDamaged { name: record.name.clone(), expected: record.bytes, actual })
        }
        OnDisk::Present if !is_right(&record.name) => Err(Reason::Moved { from: record.name.clone() }),
        OnDisk::Present => Ok(matched),
    }
}

/// The first shelf whose file has the fingerprint and the sources, wherever it lies.
fn find<'a>(
    offers: impl Iterator<Item = Option<Offer<'a>>>,
    fingerprint: Digest,
    recording: &SourceRecording,
    labels: bool,
) -> Option<(usize, &'a FileRecord)> {
    let usable = |offer: Offer<'_>| {
        offer.fingerprint == fingerprint
            && offer.on_disk == OnDisk::Present
            && matches!(compare(offer, recording, labels), Match::Same | Match::Unchecked)
    };
    let mut candidates = offers.enumerate().filter_map(|(shelf, offer)| Some((shelf, offer?)));
    candidates.find_map(|(shelf, offer)| Some((shelf, offer.record.filter(|_| usable(offer))?)))
}
