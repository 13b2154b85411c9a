//! One recording: read, label, process, write; or link, or relabel. Every failure of a recording ends here.
//!
//! Labels come before signal processing, so a recording that cannot be labelled costs a read, not a transform.
//! Entries are always put together from the facts inside the files, whether these were made, linked or found.

use crate::error::{Error, Result};
use crate::model::artifact::{Facts, LabelFacts, SignalFacts};
use crate::model::failure::{Failure, FailureClass, Note};
use crate::model::id::{Digest, RecordingId, Split};
use crate::model::inventory::{SourceFile, SourceRecording};
use crate::model::manifest::{
    Annotation, Entry, FileRecord, Files, Identity, LabelStatus, Made, Quarantined, Source,
};
use crate::model::recording::{Header, Recording, Signal};
use crate::model::settings::{LinkMethod, Settings};
use crate::model::units::Rate;
use crate::ops::survey::now_ns;
use crate::plan::{self, Action, Decision, FileWork, Kind, Shelf, Task, Work};
use crate::store::{MemoLine, Store, Writer};
use crate::{dsp, formats, source};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

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
    pub learned: Mutex<Vec<MemoLine>>,
    /// Link methods that were used, a count each.
    pub links: Mutex<BTreeMap<&'static str, u64>>,
    /// Things the user should hear about.
    pub warnings: Mutex<Vec<String>>,
    /// False where files may only be linked.
    pub may_make: bool,
}

/// What became of a recording.
#[derive(Debug)]
pub enum Outcome {
    /// It is in the cache.
    Done(Kind, Box<Entry>),
    /// It is not, and why.
    Failed(Box<Quarantined>),
}

/// A failure of the recording, or of the cache.
#[derive(Debug)]
enum Trouble {
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
struct Artifact<F> {
    record: FileRecord,
    facts: F,
    made: String,
}

/// What is known about a recording's signal before its labels are made.
struct Timeline {
    source: Digest,
    samples: u64,
    rate: Rate,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic elsewhere does not make the collected values wrong.
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Bench<'_> {
    /// Does what the plan says for one recording. An error is one of the cache; the recording's own are outcomes.
    pub fn run(&self, task: &Task, recording: &SourceRecording) -> Result<Outcome> {
        let (id, FileWork { signal, labels, drop }) = match (&task.work, &recording.id) {
            (Work::Files(files), Ok(id)) => (id, &**files),
            (Work::Quarantined(failure), _) | (_, Err(failure)) => {
                return Ok(self.failed(recording, failure.clone()));
            }
        };
        let (last, first): (Vec<&String>, Vec<&String>) =
            drop.iter().partition(|name| is_link_source(name, [signal, labels]));
        first.into_iter().try_for_each(|name| self.writer.remove(name))?;
        let work = || self.files(recording, id, signal, labels);
        let done =
            catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(contained(&*panic).into()));
        let outcome = match done {
            Ok(entry) => Outcome::Done(task.kind(), Box::new(entry)),
            Err(Trouble::Recording(failure)) => self.failed(recording, failure),
            Err(Trouble::Cache(error)) => return Err(error),
        };
        last.into_iter().try_for_each(|name| self.writer.remove(name))?;
        if matches!(&outcome, Outcome::Failed(failed) if !failed.class.is_transient()) {
            self.leave_no_file(recording.split, id)?;
        }
        Ok(outcome)
    }

    /// Recordings that could not be processed leave no file. (A transient failure says nothing about the files.)
    fn leave_no_file(&self, split: Split, id: &RecordingId) -> Result<()> {
        self.writer.remove(&plan::signal_name(split, id))?;
        self.writer.remove(&plan::labels_name(split, id))
    }

    fn failed(&self, recording: &SourceRecording, failure: Failure) -> Outcome {
        let mut memory = plan::memory(self.wanted, recording);
        if memory.source.is_none() {
            let learned = lock(&self.learned);
            memory.source =
                learned.iter().rev().find(|line| line.path == recording.file.path).map(|line| line.sha256);
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
            };
            let labels = self.labels(recording, id, labels, &time, "relabelled")?;
            return Ok(assemble(recording, id, found, labels));
        }
        let raw = self.read(recording)?;
        let (input_samples, input_rate) = raw.length()?;
        let (samples, rate) = dsp::output_length(&self.settings.recipe.signal, input_samples, input_rate)?;
        let time = Timeline { source: raw.source, samples, rate };
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
        let Some((record, made, facts)) = self.existing(decision, self.shelves[0].signals.get(id), &name)?
        else {
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
    fn existing(
        &self,
        decision: &Decision,
        own: Option<&plan::Offer>,
        name: &str,
    ) -> Result<Option<(FileRecord, String, Facts)>, Trouble> {
        let found = match &decision.action {
            Action::Make | Action::Nothing => return Ok(None),
            Action::Keep => {
                let Some(record) = own.and_then(|offer| offer.record.clone()) else { return Ok(None) };
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

    /// The labels, and the annotation as it goes into the manifest.
    fn labels(
        &self,
        recording: &SourceRecording,
        id: &RecordingId,
        decision: &Decision,
        time: &Timeline,
        made: &str,
    ) -> Result<Labelled, Trouble> {
        let name = plan::labels_name(recording.split, id);
        let found = self.existing(decision, self.shelves[0].labels.get(id), &name)?;
        if let Some((record, made, Facts::Labels(facts))) = found {
            let fits = facts.fingerprint == self.wanted.labels
                && &facts.id == id
                && (facts.source_sha256, facts.samples, facts.rate_hz)
                    == (time.source, time.samples, time.rate);
            if fits {
                let annotation = Annotation { files: annotation_sources(recording), status: facts.status };
                return Ok(Labelled {
                    annotation,
                    artifact: Some(Artifact { record, facts, made }),
                    notes: Vec::new(),
                });
            }
            self.writer.remove(&name)?;
        }
        self.make_labels(recording, id, time, made)
    }

    fn make_labels(
        &self,
        recording: &SourceRecording,
        id: &RecordingId,
        time: &Timeline,
        made: &str,
    ) -> Result<Labelled, Trouble> {
        let recipe = &self.settings.recipe.labels;
        let (deciding, first) = self.deciding(recording)?;
        let cross = self.cross_check(recording)?;
        let files: Vec<Source> = first.into_iter().chain(cross.source).collect();
        let mut labels =
            formats::label(deciding.as_ref(), cross.table.as_ref(), recipe, id, time.samples, time.rate)?;
        labels.notes.extend(cross.note);
        let annotation = Annotation { files, status: labels.status };
        if labels.status == LabelStatus::Unlabelled {
            return Ok(Labelled { annotation, artifact: None, notes: labels.notes });
        }
        let facts = LabelFacts {
            id: id.clone(),
            fingerprint: self.wanted.labels,
            source_sha256: time.source,
            annotation_sha256: annotation.files.iter().map(|file| file.sha256).collect(),
            arrays: BTreeMap::new(),
            samples: time.samples,
            rate_hz: time.rate,
            status: labels.status,
            events: labels.events.clone(),
            notes: labels.notes.clone(),
        };
        let samples = labels.to_samples(time.samples);
        let record = self.writer.write_labels(recording.split, &samples, facts.clone())?;
        let artifact = Artifact { record, facts, made: made.to_owned() };
        Ok(Labelled { annotation, artifact: Some(artifact), notes: Vec::new() })
    }

    fn deciding(
        &self,
        recording: &SourceRecording,
    ) -> Result<(Option<formats::AnnotationTable>, Option<Source>), Failure> {
        let Some(file) = &recording.annotation else { return Ok((None, None)) };
        let (bytes, source) = self.annotation_bytes(file)?;
        let table = formats::read_annotations(self.settings.recipe.labels.format, &bytes);
        let table = table.map_err(|failure| {
            Failure::new(failure.class, format!("`{}`: {}", file.path, failure.message))
        })?;
        Ok((Some(table), Some(source)))
    }

    fn annotation_bytes(&self, file: &SourceFile) -> Result<(Vec<u8>, Source), Failure> {
        let (bytes, sha256, stamp) = source::read_small(&self.settings.dataset.root, &file.path)?;
        if file.sha256.is_some_and(|known| known != sha256) {
            let message = format!("`{}` changed after the build began", file.path);
            return Err(Failure::new(FailureClass::ChangedWhileReading, message));
        }
        Ok((bytes, Source { path: file.path.clone(), bytes: stamp.bytes, sha256 }))
    }

    /// The cross-checking file has the two-class format beside a per-channel file, else the deciding file's. It
    /// decides nothing: one that cannot be understood is noted.
    fn cross_check(&self, recording: &SourceRecording) -> Result<CrossCheck, Failure> {
        use crate::model::recipe::AnnotationFormat::{TuszCsv, TuszCsvBi};
        let Some(file) = &recording.cross_check else { return Ok(CrossCheck::default()) };
        let format = match self.settings.recipe.labels.format {
            TuszCsv => TuszCsvBi,
            other => other,
        };
        let (bytes, source) = self.annotation_bytes(file)?;
        let (table, note) = match formats::read_annotations(format, &bytes) {
            Ok(table) => (Some(table), None),
            Err(failure) => {
                let text = format!("`{}` cannot be compared: {}", file.path, failure.message);
                (None, Some(Note::new("cross-check", text)))
            }
        };
        Ok(CrossCheck { table, source: Some(source), note })
    }

    fn make_signal(
        &self,
        recording: &SourceRecording,
        id: &RecordingId,
        raw: Raw,
    ) -> Result<Artifact<SignalFacts>, Trouble> {
        let recipe = &self.settings.recipe.signal;
        let signal = dsp::apply(recipe, &raw.selection, &raw.recording)?;
        let facts = signal_facts(id, self.wanted.signal, &raw, &signal);
        drop(raw);
        let record = self.writer.write_signal(recording.split, &signal, recipe.dtype, facts.clone())?;
        Ok(Artifact { record, facts, made: "built".to_owned() })
    }

    /// Reads a recording once; once more where it changed meanwhile.
    fn read(&self, recording: &SourceRecording) -> Result<Raw, Failure> {
        match self.read_once(recording) {
            Err(failure) if failure.class == FailureClass::ChangedWhileReading => self.read_once(recording),
            other => other,
        }
    }

    fn read_once(&self, recording: &SourceRecording) -> Result<Raw, Failure> {
        let began_ns = now_ns();
        let path = &recording.file.path;
        let mut reader = source::open(&self.settings.dataset.root, path)?;
        let parsed = self.parse(&mut reader);
        // The rest is hashed also behind a failure, which is remembered under the recording's content.
        let (sha256, stamp) = reader.finish()?;
        lock(&self.learned).push(MemoLine { path: path.clone(), stamp, sha256, began_ns });
        let (header, selection, recording) = parsed?;
        Ok(Raw { source: sha256, header, selection, recording })
    }

    fn parse(
        &self,
        reader: &mut source::SourceReader,
    ) -> Result<(Header, dsp::Selection, Recording), Failure> {
        let recipe = &self.settings.recipe.signal;
        let bytes = reader.file_bytes();
        let header = formats::read_header(reader, bytes)?;
        let selection = dsp::select(&header.signals, recipe)?;
        let recording =
            formats::read_recording(reader, &header, &selection.picks, recipe.truncated, recipe.gaps)?;
        Ok((header, selection, recording))
    }
}

/// A recording as it was read, with its content.
struct Raw {
    source: Digest,
    header: Header,
    selection: dsp::Selection,
    recording: Recording,
}

impl Raw {
    /// Samples and rate of the leading channel, which decide the length of the labels.
    fn length(&self) -> Result<(u64, Rate), Failure> {
        let lead = self.recording.channels.iter().find(|channel| channel.signal == self.selection.lead);
        let lead =
            lead.ok_or_else(|| Failure::new(FailureClass::MissingChannels, "no channel was picked"))?;
        Ok((lead.samples.len() as u64, lead.rate))
    }
}

/// The cross-checking annotation file.
#[derive(Default)]
struct CrossCheck {
    table: Option<formats::AnnotationTable>,
    source: Option<Source>,
    note: Option<Note>,
}

/// The labels of a recording.
struct Labelled {
    annotation: Annotation,
    artifact: Option<Artifact<LabelFacts>>,
    notes: Vec<Note>,
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

fn signal_facts(id: &RecordingId, fingerprint: Digest, raw: &Raw, signal: &Signal) -> SignalFacts {
    let notes = raw.header.notes.iter().chain(&raw.recording.notes).chain(&signal.notes);
    SignalFacts {
        id: id.clone(),
        fingerprint,
        source_sha256: raw.source,
        arrays: BTreeMap::new(),
        samples: signal.data.ncols() as u64,
        rate_hz: signal.rate,
        input_rate_hz: signal.input_rate,
        offset_s: raw.recording.offset,
        gaps: Vec::new(),
        interpolated: signal.interpolated.clone(),
        reference: signal.reference.clone(),
        notes: notes.cloned().collect(),
    }
}

fn annotation_sources(recording: &SourceRecording) -> Vec<Source> {
    let files = [&recording.annotation, &recording.cross_check].into_iter().flatten();
    files
        .filter_map(|file| {
            Some(Source { path: file.path.clone(), bytes: file.stamp.bytes, sha256: file.sha256? })
        })
        .collect()
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
