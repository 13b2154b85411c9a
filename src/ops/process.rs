//! One recording: read, label, process, write; or link, or relabel. Every failure of a recording ends here.
//!
//! Reading and labelling have rooms of their own (`ops::reading`, `ops::labelling`). Labels come before signal
//! processing, so a recording that cannot be labelled costs a read, not a transform. Entries are put
//! together from the facts inside the files, whether these were made, linked or found.

use crate::dsp;
use crate::error::{Error, Result};
use crate::model::artifact::{Facts, SignalFacts};
use crate::model::failure::{Failure, FailureClass};
use crate::model::id::{Digest, RecordingId, Split};
use crate::model::inventory::SourceRecording;
use crate::model::manifest::{Entry, FileRecord, Files, Identity, Made, Quarantined, Source};
use crate::model::settings::{LinkMethod, Settings};
use crate::ops::labelling::{Labelled, Timeline};
use crate::plan::{self, Action, Decision, FileWork, Kind, Shelf, Task, Work};
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
    /// It is in the cache.
    Done(Kind, Arc<Entry>),
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
        let work = || self.files(recording, id, signal, labels);
        let done =
            catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(contained(&*panic).into()));
        let outcome = match done {
            Ok(entry) => Outcome::Done(task.kind(), Arc::new(entry)),
            Err(Trouble::Recording(failure)) => self.failed(recording, failure),
            Err(Trouble::Cache(error)) => return Err(error),
        };
        last.into_iter().try_for_each(|name| self.writer.remove(name))?;
        if matches!(&outcome, Outcome::Failed(failed) if !failed.class.is_transient()) {
            self.leave_no_file(recording.split, id)?;
        }
        Ok(outcome)
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
        self.writer.remove(&plan::signal_name(split, id))?;
        self.writer.remove(&plan::labels_name(split, id))
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
    ) -> Result<Entry, Trouble> {
        if let Some(found) = self.existing_signal(recording, id, signal)? {
            let time = Timeline {
                source: found.facts.source_sha256,
                samples: found.facts.samples,
                rate: found.facts.rate_hz,
                offset: found.facts.offset_s,
                told: None,
            };
            let labels = self.labels(recording, id, labels, &time, "relabelled")?;
            return Ok(assemble(recording, id, found, labels));
        }
        self.refuse_making()?;
        let raw = self.read(recording)?;
        let (input_samples, input_rate) = raw.length()?;
        let (samples, rate) = dsp::output_length(&self.settings.recipe.signal, input_samples, input_rate)?;
        let (offset, told) = (raw.offset(), Some(raw.told()));
        let time = Timeline { source: raw.source, samples, rate, offset, told };
        let labels = self.labels(recording, id, labels, &time, "built")?;
        let signal = self.make_signal(recording, id, raw)?;
        Ok(assemble(recording, id, signal, labels))
    }

    /// The signal file where it is kept or linked; nothing where it has to be made after all.
    fn existing_signal(
        &self,
        recording: &SourceRecording,
        id: &RecordingId,
        decision: &Decision,
    ) -> Result<Option<Artifact<SignalFacts>>, Trouble> {
        let name = plan::signal_name(recording.split, id);
        let Some((record, made, facts)) = self.existing(decision, self.shelves[0].signal(id), &name)? else {
            return Ok(None);
        };
        let source = recording.file.sha256;
        match facts {
            Facts::Signal(facts)
                if facts.fingerprint == self.wanted.signal
                    && &facts.id == id
                    && source.is_none_or(|source| source == facts.source_sha256) =>
            {
                Ok(Some(Artifact { record, facts, made }))
            }
            // A manifest that promised another file than the one that lies there.
            _ => {
                self.writer.remove(&name)?;
                Ok(None)
            }
        }
    }

    /// A kept file, or one linked just now, with what it says of itself. Nothing where it has to be made: also
    /// where the file that a manifest promised is gone or damaged.
    pub(super) fn existing(
        &self,
        decision: &Decision,
        own: Option<plan::Offer<'_>>,
        name: &str,
    ) -> Result<Option<(FileRecord, String, Facts)>, Trouble> {
        let found = match &decision.action {
            Action::Make | Action::Nothing => return Ok(None),
            Action::Keep => {
                let Some(record) = own.and_then(|offer| offer.record.cloned()) else { return Ok(None) };
                self.kept(record, name)
            }
            Action::Link { shelf, record } => self.linked(&self.shelves[*shelf], record, name),
        };
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_bad_file(&error) && self.may_make => {
                lock(&self.warnings).push(format!("{error}; it is made again"));
                self.writer.remove(name)?;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn kept(&self, record: FileRecord, name: &str) -> Result<(FileRecord, String, Facts)> {
        let facts = self.store.facts(&self.settings.profile, &self.settings.version, name)?;
        Ok((record, "kept".to_owned(), facts))
    }

    fn linked(&self, shelf: &Shelf, record: &FileRecord, name: &str) -> Result<(FileRecord, String, Facts)> {
        let facts = self.store.facts(&shelf.profile, &shelf.version, &record.name)?;
        let from = self.store.version_dir(&shelf.profile, &shelf.version).join(&record.name);
        let target = FileRecord { name: name.to_owned(), ..record.clone() };
        let method = self.writer.link(&from, &target, self.methods)?;
        *lock(&self.links).entry(method.as_str()).or_default() += 1;
        Ok((target, format!("linked from {}", shelf.place()), facts))
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
        .any(|decision| matches!(&decision.action, Action::Link { shelf: 0, record } if record.name == name))
}

/// A file of the cache that is gone or damaged: the recording is still there to make it from.
fn is_bad_file(error: &Error) -> bool {
    match error {
        Error::Damaged { .. } => true,
        Error::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

fn contained(panic: &(dyn std::any::Any + Send)) -> Failure {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    Failure::new(FailureClass::Panic, format!("a defect of eegcache, please report it: {text}"))
}

/// An entry of the manifest from what the files say of themselves.
fn assemble(
    recording: &SourceRecording,
    id: &RecordingId,
    signal: Artifact<SignalFacts>,
    labels: Labelled,
) -> Entry {
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
        id: id.clone(),
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
    }
}
