//! One recording: read, label, process, write; or link, or relabel. Every failure of a recording ends here.
//!
//! Reading and labelling have rooms of their own (`ops::reading`, `ops::labelling`). Labels come before signal
//! processing, so a recording that cannot be labelled costs a read, not a transform. Entries are put
//! together from the facts inside the files, whether these were made, linked or found.

use crate::error::{Error, Result};
use crate::model::artifact::{Facts, SignalFacts};
use crate::model::failure::{Failure, FailureClass};
use crate::model::id::{Digest, RecordingId, Split};
use crate::model::inventory::SourceRecording;
use crate::model::manifest::{Entry, FileRecord, Files, Identity, Made, Quarantined, Source};
use crate::model::settings::{LinkMethod, Settings};
use crate::model::stem::Stem;
use crate::ops::admission::Gate;
use crate::ops::labelling::{Labelled, Timeline};
use crate::ops::reading::{Cut, Part};
use crate::ops::remarks;
use crate::plan::{self, Action, Decision, FileWork, Kind, Shelf, Task, Work};
use crate::source;
use crate::store::{Line, MemoLine, Store, Writer};
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

/// How many contents are learned before they are handed to the memo.
pub const REMEMBER_EVERY: usize = 16;

/// What all tasks of a build share.
pub struct Bench<'a> {
    /// The configuration.
    pub settings: &'a Settings,
    /// What it asks for.
    pub wanted: &'a Identity,
    /// The cache, for reading.
    pub store: &'a Store,
    /// The version, for writing.
    pub writer: &'a Writer,
    /// What caches hold, the own version first.
    pub shelves: &'a [Shelf],
    /// Link methods that may be used.
    pub methods: &'a [LinkMethod],
    /// Contents learned while reading.
    pub learned: Mutex<Learned>,
    /// Link methods that were used, a count each.
    pub links: Mutex<BTreeMap<&'static str, u64>>,
    /// Things the user should hear about.
    pub warnings: Mutex<Vec<String>>,
    /// False where files may only be linked.
    pub may_make: bool,
    /// Lets recordings in as memory allows.
    pub gate: Gate,
}

/// Contents in the order in which they were learned; the first `handed` are in the memo already.
#[derive(Debug, Default)]
pub struct Learned {
    lines: Vec<MemoLine>,
    handed: usize,
    contents: HashMap<String, Digest>,
}

impl Learned {
    pub(super) fn push(&mut self, line: MemoLine) {
        self.contents.insert(line.path.clone(), line.sha256);
        self.lines.push(line);
    }
}

/// What became of a recording.
#[derive(Debug)]
pub enum Outcome {
    /// It is in the cache: one entry, or one for every part.
    Done(Kind, Vec<Arc<Entry>>),
    /// It is not, and why.
    Failed(Box<Quarantined>),
}

/// A failure of the recording, or of the cache.
#[derive(Debug)]
pub(super) enum Trouble {
    Recording(Failure),
    Cache(Error),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Recording(failure)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Cache(error)
    }
}

/// A file of the cache, how it came to be there, and what it says of itself.
pub(super) type Existing = (FileRecord, String, Facts);

/// A file of the cache and what it says of itself.
pub(super) struct Artifact<F> {
    pub(super) record: FileRecord,
    pub(super) facts: F,
    pub(super) made: String,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic elsewhere does not make the collected values wrong.
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Bench<'_> {
    /// Does what the plan says for one recording. An error is one of the cache; the recording's own are outcomes.
    pub fn run(&self, task: &Task, recording: &SourceRecording) -> Result<Outcome> {
        let (id, FileWork { signal, labels }) = match (&task.work, &recording.id) {
            (Work::Files(files), Ok(id)) => (id, &**files),
            (Work::Quarantined(failure), _) | (_, Err(failure)) => {
                self.invalidate(recording, &task.drop)?;
                task.drop.iter().try_for_each(|name| self.writer.remove(name))?;
                return Ok(self.failed(recording, failure.clone()));
            }
        };
        self.invalidate(recording, &task.drop)?;
        let (last, first): (Vec<&String>, Vec<&String>) =
            task.drop.iter().partition(|name| is_link_source(name, [signal, labels]));
        first.into_iter().try_for_each(|name| self.writer.remove(name))?;
        let work = || match self.files(recording, id, signal, labels) {
            Err(Trouble::Recording(failure)) if failure.class == FailureClass::ChangedWhileReading => {
                self.files(&self.looked_at_again(recording, signal), id, signal, labels)
            }
            other => other,
        };
        let done =
            catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(contained(&*panic).into()));
        let outcome = match done {
            Ok(entries) => Outcome::Done(task.kind(), entries.into_iter().map(Arc::new).collect()),
            Err(Trouble::Recording(failure)) => self.failed(recording, failure),
            Err(Trouble::Cache(error)) => return Err(error),
        };
        last.into_iter().try_for_each(|name| self.writer.remove(name))?;
        if matches!(&outcome, Outcome::Failed(failed) if !failed.class.is_transient()) {
            self.leave_no_file(recording.split, id)?;
        }
        Ok(outcome)
    }

    /// A recording that changed under the reader, as it is now: it gets a second chance.
    fn looked_at_again(&self, recording: &SourceRecording, signal: &Decision) -> SourceRecording {
        let root = &self.settings.dataset.root;
        let mut now = recording.clone();
        if signal.action == Action::Make {
            now.file = source::look_again(root, &now.file);
        }
        for file in [&mut now.annotation, &mut now.cross_check].into_iter().flatten() {
            *file = source::look_again(root, file);
        }
        now
    }

    /// Hands contents to the memo, once there are `at_least` new ones: a killed build need not hash everything
    /// again. The memo is an accelerator, so a failure is only worth a warning.
    pub fn remember(&self, at_least: usize) {
        let new = {
            let mut learned = lock(&self.learned);
            let new = learned.lines[learned.handed..].to_vec();
            if new.is_empty() || new.len() < at_least {
                return;
            }
            learned.handed = learned.lines.len();
            new
        };
        if let Err(error) = self.writer.remember(&self.settings.dataset.name, &new) {
            lock(&self.warnings).push(format!("contents of the recordings were not remembered: {error}"));
        }
    }

    /// Makes it durable that what is listed for the recording is not to be believed any more, before
    /// the first of its files changes: a build that is killed in between must not be taken for done.
    fn invalidate(&self, recording: &SourceRecording, drop: &[String]) -> Result<()> {
        let is_listed = recording.id.as_ref().is_ok_and(|id| self.shelves[0].holds(id));
        if drop.is_empty() && !is_listed {
            return Ok(());
        }
        self.writer.record(&Line::Removed { name: recording.name().to_owned() })
    }

    /// Recordings that could not be processed leave no file. (A transient failure says nothing about the files.)
    fn leave_no_file(&self, split: Split, id: &RecordingId) -> Result<()> {
        self.shelves[0].names(id).try_for_each(|name| self.writer.remove(name))?;
        self.remove_both(split, &Stem::whole(id.clone()))
    }

    fn remove_both(&self, split: Split, stem: &Stem) -> Result<()> {
        self.writer.remove(&plan::signal_name(split, stem))?;
        self.writer.remove(&plan::labels_name(split, stem))
    }

    pub(super) fn failed(&self, recording: &SourceRecording, failure: Failure) -> Outcome {
        let mut memory = plan::memory(self.wanted, recording);
        if memory.source.is_none() {
            let learned = lock(&self.learned);
            memory.source = learned.contents.get(&recording.file.path).copied();
        }
        Outcome::Failed(Box::new(Quarantined {
            name: recording.name().to_owned(),
            split: recording.split,
            path: recording.file.path.clone(),
            class: failure.class,
            message: failure.message,
            memory,
        }))
    }

    fn files(
        &self,
        recording: &SourceRecording,
        id: &RecordingId,
        signal: &Decision,
        labels: &Decision,
    ) -> Result<Vec<Entry>, Trouble> {
        if let Some(found) = self.existing_signals(recording, id, signal)? {
            let time = Timeline::of_files(&found);
            let labels = self.labels(recording, id, labels, &time, "relabelled")?;
            return Ok(self.assemble(recording, found, labels));
        }
        self.refuse_making()?;
        let cut = self.read(recording, id)?;
        let made = self.make(recording, id, labels, &cut);
        if matches!(&made, Err(Trouble::Recording(failure)) if !failure.class.is_transient()) {
            // Some parts may have been written before another one failed.
            cut.parts.iter().try_for_each(|part| self.remove_both(recording.split, &part.stem))?;
        }
        made
    }

    fn make(
        &self,
        recording: &SourceRecording,
        id: &RecordingId,
        labels: &Decision,
        cut: &Cut<'_>,
    ) -> Result<Vec<Entry>, Trouble> {
        let labels = self.labels(recording, id, labels, &Timeline::of_cut(cut), "built")?;
        let one = |part: &Part| self.make_signal(recording, cut, part);
        let signals: Vec<_> = cut.parts.iter().map(one).collect::<Result<_, _>>()?;
        Ok(self.assemble(recording, signals, labels))
    }

    /// The entries of the manifest from what the files say of themselves, one for every part.
    fn assemble(
        &self,
        recording: &SourceRecording,
        signals: Vec<Artifact<SignalFacts>>,
        labels: Vec<Labelled>,
    ) -> Vec<Entry> {
        let one = |(signal, labels)| {
            let entry = entry(recording, signal, labels);
            let notes = remarks::renewed(self.settings, &entry.source.path, &entry);
            Entry { notes: notes.unwrap_or(entry.notes), ..entry }
        };
        signals.into_iter().zip(labels).map(one).collect()
    }

    /// The signal files where they are kept or linked; nothing where they have to be made after all.
    fn existing_signals(
        &self,
        recording: &SourceRecording,
        id: &RecordingId,
        decision: &Decision,
    ) -> Result<Option<Vec<Artifact<SignalFacts>>>, Trouble> {
        let own = self.shelves[0].signals(id);
        let Some(found) = self.existing(recording, decision, &own)? else {
            return Ok(None);
        };
        let names: Vec<String> = found.iter().map(|(record, ..)| record.name.clone()).collect();
        let source = recording.file.sha256;
        let fits = |(record, made, facts)| match facts {
            Facts::Signal(facts)
                if facts.fingerprint == self.wanted.signal
                    && facts.id.recording() == id
                    && source.is_none_or(|source| source == facts.source_sha256) =>
            {
                Some(Artifact { record, facts, made })
            }
            _ => None,
        };
        let artifacts: Option<Vec<_>> = found.into_iter().map(fits).collect();
        if artifacts.is_none() {
            // A manifest that promised other files than those that lie there.
            names.iter().try_for_each(|name| self.writer.remove(name))?;
        }
        Ok(artifacts)
    }

    /// Kept files, or those linked just now, with what they say of themselves; one, or one for every part. Nothing where they
    /// have to be made: also where a file that a manifest promised is gone or damaged.
    pub(super) fn existing(
        &self,
        recording: &SourceRecording,
        decision: &Decision,
        own: &[plan::Offer<'_>],
    ) -> Result<Option<Vec<Existing>>, Trouble> {
        let records: Vec<FileRecord> = match &decision.action {
            Action::Make | Action::Nothing => return Ok(None),
            Action::Keep => own.iter().filter_map(|offer| offer.record.cloned()).collect(),
            Action::Link { records, .. } => records.clone(),
        };
        if records.is_empty() {
            return Ok(None);
        }
        let one = |record: &FileRecord| match &decision.action {
            Action::Link { shelf, .. } => self.linked(&self.shelves[*shelf], record, recording.split),
            _ => self.kept(record),
        };
        let found: Result<Vec<_>> = records.iter().map(one).collect();
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_bad_file(&error) && self.may_make => {
                lock(&self.warnings).push(format!("{error}; it is made again"));
                records.iter().try_for_each(|record| self.writer.remove(&record.name_in(recording.split)))?;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn kept(&self, record: &FileRecord) -> Result<Existing> {
        let facts = self.store.facts(&self.settings.profile, &self.settings.version, &record.name)?;
        Ok((record.clone(), "kept".to_owned(), facts))
    }

    fn linked(&self, shelf: &Shelf, record: &FileRecord, split: Split) -> Result<Existing> {
        if !shelf.durable {
            self.prove(shelf, record)?;
        }
        let facts = self.store.facts(&shelf.profile, &shelf.version, &record.name)?;
        let from = self.store.version_dir(&shelf.profile, &shelf.version).join(&record.name);
        let target = FileRecord { name: record.name_in(split), ..record.clone() };
        let method = self.writer.link(&from, &target, self.methods)?;
        *lock(&self.links).entry(method.as_str()).or_default() += 1;
        Ok((target, format!("linked from {}", shelf.place()), facts))
    }

    /// Reads a file that was made without syncs to its last byte: its size alone proves nothing after a power loss.
    fn prove(&self, shelf: &Shelf, record: &FileRecord) -> Result<()> {
        let scanned = self.store.scan_one(&shelf.profile, &shelf.version, &record.name)?;
        let outcome = scanned.map_or_else(|| Err("it is gone".to_owned()), |scanned| scanned.outcome);
        let damaged = |message: String| {
            let path = self.store.version_dir(&shelf.profile, &shelf.version).join(&record.name);
            Error::Damaged { path, message }
        };
        match outcome {
            Ok((found, _)) if found.sha256 == record.sha256 => Ok(()),
            Ok(_) => Err(damaged("its bytes are not those of its record".to_owned())),
            Err(message) => Err(damaged(message)),
        }
    }

    /// Where files may only be linked, one that turns out not to fit ends the work.
    pub(super) fn refuse_making(&self) -> Result<()> {
        if self.may_make {
            return Ok(());
        }
        Err(Error::NotReady {
            message: "a file of another profile turned out not to fit".to_owned(),
            hint: format!("run `{}`", self.settings.build_command()),
        })
    }
}

/// True where a file of the own version moves by link: it goes after the work, not before.
fn is_link_source(name: &str, decisions: [&Decision; 2]) -> bool {
    decisions
        .iter()
        .any(|decision| matches!(&decision.action, Action::Link { shelf: 0, records } if records.iter().any(|r| r.name == name)))
}

/// A file of the cache that is gone or damaged: the recording is still there to make it from.
fn is_bad_file(error: &Error) -> bool {
    matches!(error, Error::Damaged { .. }) || error.is_absence()
}

fn contained(panic: &(dyn std::any::Any + Send)) -> Failure {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    Failure::new(FailureClass::Panic, format!("a defect of eegcache, please report it: {text}"))
}

fn entry(recording: &SourceRecording, signal: Artifact<SignalFacts>, labels: Labelled) -> Entry {
    let Artifact { record, facts, made } = signal;
    let mut notes = facts.notes;
    notes.extend(labels.notes);
    let (mut events, mut labels_record, mut labels_made) = (Vec::new(), None, None);
    if let Some(artifact) = labels.artifact {
        notes.extend(artifact.facts.notes);
        events = artifact.facts.events;
        (labels_record, labels_made) = (Some(artifact.record), Some(artifact.made));
    }
    Entry {
        id: facts.id,
        split: recording.split,
        subject: recording.subject.clone(),
        source: Source {
            path: recording.file.path.clone(),
            bytes: recording.file.stamp.bytes,
            sha256: facts.source_sha256,
        },
        annotation: labels.annotation,
        files: Files { signal: record, labels: labels_record },
        samples: facts.samples,
        rate_hz: facts.rate_hz,
        events,
        interpolated: facts.interpolated,
        notes,
        made: Made { signal: made, labels: labels_made },
        part: facts.part,
        gaps: facts.gaps,
        quality: facts.quality,
    }
}
