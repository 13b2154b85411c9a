//! `export`: the windows of a profile as the files that other programs read.
//!
//! Only a cache that passes every gate of pre-flight is exported. A recording is done when its files are there with
//! the sizes and the origins on record; what is not goes before the first file is written. Listings go before that
//! and are written when all files are right, so that none ever describes other files than those beside it.

use crate::error::{Error, Result};
pub use crate::exchange::Layout;
use crate::exchange::{self, Array, Listed, Purpose, Rows, Target};
use crate::fault::Watched;
use crate::model::artifact::{Facts, LabelFacts, SignalFacts};
use crate::model::id::{Digest, ProfileName, RecordingId, Split};
use crate::model::manifest::{Entry, FileRecord, Files, LabelStatus};
use crate::model::settings::Settings;
use crate::model::window::{WindowClass, WindowCounts, Windowing};
use crate::ops::library::Library;
use crate::ops::survey::{Options, Survey, survey, walk};
use crate::ops::{Context, Items, Kind, Step, inventory, preflight};
use crate::store::Store;
use crate::store::npz::Archive;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Component, Path, PathBuf};
use std::time::Instant;

/// The array of a signal file whose windows are exported.
const SIGNAL: &str = "signal";

/// What an export did.
#[derive(Debug, Clone, Serialize)]
pub struct ExportReport {
    /// Where.
    pub directory: PathBuf,
    /// The layout.
    pub layout: &'static str,
    /// The profile.
    pub profile: ProfileName,
    /// The version's directory.
    pub cache_dir: PathBuf,
    /// Recordings written.
    pub exported: usize,
    /// Recordings found finished.
    pub kept: usize,
    /// Recordings left undone by an interruption.
    pub left: usize,
    /// What lies in each directory of a split.
    pub splits: BTreeMap<&'static str, SplitExport>,
    /// Recordings, and parts of recordings, that are shorter than a window: they have no file.
    pub without_windows: Vec<String>,
    /// Recordings without labels: they are not exported.
    pub unlabelled: Vec<String>,
    /// Files of earlier runs that nobody wants any more and that were removed.
    pub removed: Vec<String>,
    /// Bytes written.
    pub bytes: u64,
    /// Seconds it took.
    pub seconds: f64,
    /// Things the user should hear about.
    pub warnings: Vec<String>,
}

/// What lies in the directory of a split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SplitExport {
    /// Recordings with files.
    pub recordings: usize,
    /// Their windows.
    pub windows: WindowCounts,
}

/// A recording on its way out.
struct Job<'a> {
    entry: &'a Entry,
    windowing: Windowing,
    starts: Vec<u64>,
    classes: Vec<WindowClass>,
    names: Vec<String>,
    from: Digest,
    /// The signal that its facts name.
    signal: Option<Digest>,
    /// Bytes of its arrays.
    bytes: u64,
}

/// Exports the profile of `settings` into `directory`, which must be absolute.
pub fn export(
    cx: &Context<'_>,
    settings: &Settings,
    layout: Layout,
    directory: &Path,
) -> Result<ExportReport> {
    let began = Instant::now();
    refuse_place(settings, directory)?;
    let library = Library::new(Store::new(settings.cache_root.clone()));
    // Held first: what is read stays until the last window is written.
    let _hold = library.store().hold(&settings.profile, &settings.version)?;
    let taken = walk(settings, &library, std::slice::from_ref(&settings.profile))?;
    let survey = survey(settings.clone(), &library, taken.as_ref(), Options::LOOK)?;
    preflight::refuse(&survey)?;
    let (entries, unlabelled) = entries(&survey);
    let jobs: Vec<Job<'_>> =
        entries.into_par_iter().map(|entry| job(&survey, layout, entry)).collect::<Result<_>>()?;
    let target = claim(cx, settings, layout, directory)?;
    let run = Run { cx, survey: &survey, layout, target: &target };
    let mut report = run.all(&jobs)?;
    report.unlabelled = unlabelled;
    if taken.is_none() {
        report.warnings.extend(inventory::unchecked(settings)?);
    }
    if !report.unlabelled.is_empty() {
        report.warnings.push(format!(
            "{} without labels not exported: files of windows without labels would pass for background",
            report.unlabelled.len()
        ));
    }
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

/// The recordings with labels, and the names of those without.
fn entries(survey: &Survey) -> (Vec<&Entry>, Vec<String>) {
    let all = survey.settings.splits.iter().flat_map(|split| survey.entries(*split));
    let present = all.filter(|entry| survey.has(entry.id.recording().as_str()));
    let (labelled, unlabelled): (Vec<&Entry>, Vec<&Entry>) =
        present.partition(|entry| entry.annotation.status != LabelStatus::Unlabelled);
    let unlabelled: BTreeSet<&RecordingId> =
        unlabelled.into_iter().map(|entry| entry.id.recording()).collect();
    (labelled, unlabelled.into_iter().map(ToString::to_string).collect())
}

/// What is to be written for a recording.
fn job<'a>(survey: &Survey, layout: Layout, entry: &'a Entry) -> Result<Job<'a>> {
    let settings = &survey.settings;
    let windowing = settings.windows.at(entry.rate_hz).ok_or_else(|| {
        let message =
            format!("`{}` has {} Hz: `windows` are no whole number of samples", entry.id, entry.rate_hz);
        Error::usage(message, "set `windows.length_s` and `windows.stride_s` to whole samples")
    })?;
    let (file, archive) = open(survey, entry, &entry.files.signal.name)?;
    let facts = signal_facts(survey, entry, &archive.facts)
        .ok_or_else(|| other_file(survey, entry, &entry.files.signal.name))?;
    let rows = rows(survey, &entry.files.signal.name, &file, &archive)?.rows() as u64;
    let starts = windowing.starts(entry.samples, &facts.gaps);
    let seizures = entry.seizures();
    Ok(Job {
        entry,
        windowing,
        classes: starts.iter().map(|start| windowing.class_at(*start, &seizures)).collect(),
        bytes: (starts.len() as u64).saturating_mul(windowing.length()).saturating_mul(4 * (rows + 1)),
        names: if starts.is_empty() { Vec::new() } else { layout.names(entry.split, &entry.id) },
        starts,
        signal: facts.arrays.get(SIGNAL).copied(),
        from: made_from(&entry.files, windowing),
    })
}

/// The identity of everything that decides the bytes of a recording's files.
fn made_from(files: &Files, windowing: Windowing) -> Digest {
    let contents: Vec<String> = files.iter().map(|file| file.sha256.to_string()).collect();
    let (length, stride) = (windowing.length(), windowing.stride());
    let revision = exchange::EXPORT_REVISION;
    Digest::of(format!("eegcache export {revision} {} {length} {stride}", contents.join(" ")).as_bytes())
}

fn open(survey: &Survey, entry: &Entry, name: &str) -> Result<(File, Archive)> {
    debug_assert!(entry.files.iter().any(|file| file.name == name));
    survey.store.open(&survey.settings.profile, &survey.settings.version, name)
}

/// What a signal file says of itself, where that is what the manifest says of it.
fn signal_facts<'a>(survey: &Survey, entry: &Entry, facts: &'a Facts) -> Option<&'a SignalFacts> {
    match facts {
        Facts::Signal(facts)
            if (facts.fingerprint, facts.source_sha256, facts.samples)
                == (survey.wanted.signal, entry.source.sha256, entry.samples) =>
        {
            Some(facts)
        }
        _ => None,
    }
}

/// The same for a labels file: everything that decides its labels.
fn label_facts<'a>(survey: &Survey, entry: &Entry, facts: &'a Facts) -> Option<&'a LabelFacts> {
    match facts {
        Facts::Labels(facts)
            if (facts.fingerprint, facts.source_sha256, facts.samples)
                == (survey.wanted.labels, entry.source.sha256, entry.samples)
                && entry.annotation.files.iter().map(|file| &file.sha256).eq(&facts.annotation_sha256)
                && (facts.status, &facts.events) == (entry.annotation.status, &entry.events) =>
        {
            Some(facts)
        }
        _ => None,
    }
}

/// Why a file is none that the survey saw: a build replaced it meanwhile, unless the manifest still lists what it listed.
fn other_file(survey: &Survey, entry: &Entry, name: &str) -> Error {
    let settings = &survey.settings;
    let held = survey.store.load(&settings.profile, &settings.version);
    if held.is_ok_and(|held| held.entries.get(&entry.id).is_some_and(|now| **now == *entry)) {
        return contradiction(survey, name);
    }
    let message = format!("the cache changed during the export: `{name}` is another file now");
    Error::NotReady { message, hint: "run it again".to_owned() }
}

fn contradiction(survey: &Survey, name: &str) -> Error {
    let message = "it is not the file that the manifest lists".to_owned();
    Error::Damaged { path: survey.settings.cache_dir().join(name), message }
}

/// The first array of a finished file.
fn rows<'a>(survey: &Survey, name: &str, file: &'a File, archive: &Archive) -> Result<Rows<'a>> {
    let path = survey.settings.cache_dir().join(name);
    let member = archive.members.first().ok_or_else(|| contradiction(survey, name))?;
    Rows::open(file, member.offset, member.bytes).map_err(Error::io("read", path))
}

/// Takes the directory, waiting for another export of it.
fn claim(cx: &Context<'_>, settings: &Settings, layout: Layout, directory: &Path) -> Result<Target> {
    let purpose = Purpose {
        layout: layout.as_str().to_owned(),
        dataset: settings.dataset.name.clone(),
        profile: settings.profile.to_string(),
    };
    let is_told = std::cell::Cell::new(false);
    Target::claim(directory, purpose, settings.dataset.split_identity(), &|| {
        if !is_told.replace(true) {
            cx.progress.say("waiting for another export into this directory");
        }
        !cx.is_stopped()
    })
}

/// Nothing but `store` writes below the cache root, and nothing below a dataset root.
pub(super) fn refuse_place(settings: &Settings, directory: &Path) -> Result<()> {
    let place = resolved(directory);
    for (what, root) in
        [("the cache root", &settings.cache_root), ("the dataset root", &settings.dataset.root)]
    {
        if place.starts_with(resolved(root)) {
            return Err(Error::usage(
                format!("`{}` lies below {what} `{}`", directory.display(), root.display()),
                "choose a directory outside of it",
            ));
        }
    }
    Ok(())
}

/// A path with every link and `..` resolved, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let existing =
        path.ancestors().find_map(|ancestor| Some((ancestor, fs_err::canonicalize(ancestor).ok()?)));
    let Some((ancestor, mut place)) = existing else { return path.to_owned() };
    for part in path.strip_prefix(ancestor).unwrap_or(path).components() {
        match part {
            Component::ParentDir => drop(place.pop()),
            Component::Normal(name) => place.push(name),
            _ => {}
        }
    }
    place
}

/// An export at work.
struct Run<'a> {
    cx: &'a Context<'a>,
    survey: &'a Survey,
    layout: Layout,
    target: &'a Target,
}

impl Run<'_> {
    fn all(&self, jobs: &[Job<'_>]) -> Result<ExportReport> {
        let is_done = |job: &Job<'_>| job.names.iter().all(|name| self.target.is_done(name, job.from));
        let (short, jobs): (Vec<&Job<'_>>, Vec<&Job<'_>>) = jobs.iter().partition(|job| job.names.is_empty());
        let open: Vec<&Job<'_>> = jobs.iter().copied().filter(|job| !is_done(job)).collect();
        self.refuse_full_disk(open.iter().map(|job| job.bytes).sum())?;
        let removed = self.unwanted(&jobs);
        self.clear(&open, &removed)?;
        let written: Vec<_> = open.iter().copied().zip(self.write(&open)?).collect();
        let without_windows = short.iter().map(|job| job.entry.id.to_string()).collect();
        let report = ExportReport { without_windows, removed, ..self.report(&jobs, &written) };
        if report.left == 0 {
            self.target.finish()?;
            self.write_listings(&[&jobs[..], &short[..]].concat())?;
        }
        Ok(report)
    }

    /// What was done, and what lies there now.
    fn report(&self, jobs: &[&Job<'_>], written: &[(&Job<'_>, Option<u64>)]) -> ExportReport {
        let such = |is_left: bool| written.iter().filter(move |(_, bytes)| bytes.is_none() == is_left);
        let left = recordings(such(true).map(|(job, _)| *job));
        // The parts of a recording stand for it together.
        let exported = recordings(such(false).map(|(job, _)| *job)).difference(&left).count();
        ExportReport {
            directory: self.target.root().to_owned(),
            layout: self.layout.as_str(),
            profile: self.survey.settings.profile.clone(),
            cache_dir: self.survey.settings.cache_dir(),
            exported,
            kept: recordings(jobs.iter().copied()).len() - exported - left.len(),
            left: left.len(),
            splits: self.splits(jobs),
            without_windows: Vec::new(),
            unlabelled: Vec::new(),
            removed: Vec::new(),
            bytes: written.iter().filter_map(|(_, bytes)| *bytes).sum(),
            seconds: 0.0,
            warnings: self.survey.settings.warnings.clone(),
        }
    }

    /// What is no recording of a split any more, and what moved to another split. Splits that this run does not look
    /// at keep the rest of their files, unless another rule put them there: a subject might be on both sides then.
    fn unwanted(&self, jobs: &[&Job<'_>]) -> Vec<String> {
        let directories: BTreeSet<&str> =
            self.survey.settings.splits.iter().map(|split| self.layout.directory(*split)).collect();
        let wanted: BTreeMap<&str, &str> = jobs
            .iter()
            .flat_map(|job| &job.names)
            .filter_map(|name| name.split_once('/'))
            .map(|(d, l)| (l, d))
            .collect();
        let has_other_splits = self.target.has_other_splits();
        let is_kept = |directory: &str| !has_other_splits && !directories.contains(directory);
        let is_wanted = |name: &String| {
            let (directory, leaf) = name.split_once('/').unwrap_or_default();
            wanted.get(leaf).map_or(is_kept(directory), |right| *right == directory)
        };
        let mut names = self.target.names();
        names.retain(|name| !is_wanted(name));
        names
    }

    fn splits(&self, jobs: &[&Job<'_>]) -> BTreeMap<&'static str, SplitExport> {
        let wanted = self.survey.settings.splits.iter();
        let mut splits: BTreeMap<_, SplitExport> =
            wanted.map(|split| (self.layout.directory(*split), SplitExport::default())).collect();
        for (directory, split) in &mut splits {
            let of_split = jobs.iter().filter(|job| self.layout.directory(job.entry.split) == *directory);
            split.recordings = recordings(of_split.copied()).len();
        }
        for job in jobs {
            let split = splits.entry(self.layout.directory(job.entry.split)).or_default();
            for class in &job.classes {
                match class {
                    WindowClass::None => split.windows.none += 1,
                    WindowClass::Partial => split.windows.partial += 1,
                    WindowClass::Full => split.windows.full += 1,
                }
            }
        }
        splits
    }

    /// Writes recordings, many at once; nothing stands for one that was not begun because of an interruption.
    fn write(&self, jobs: &[&Job<'_>]) -> Result<Vec<Option<u64>>> {
        let progress = self.cx.progress;
        progress.start(
            self.layout.as_str(),
            Items::Recordings(jobs.len() as u64),
            jobs.iter().map(|job| job.bytes).sum(),
        );
        let one = |job: &&Job<'_>| -> Result<Option<u64>> {
            if self.cx.is_stopped() {
                return Ok(None);
            }
            let bytes = self.recording(job)?;
            progress.step(Step { kind: Kind::Build, bytes: job.bytes });
            Ok(Some(bytes))
        };
        let written: Result<Vec<Option<u64>>> = jobs.par_iter().map(one).collect();
        progress.finish();
        written.map_err(|error| self.explain_full_disk(jobs, error))
    }

    /// Opens one of a recording's files again. A build may be at work beside an export, so what has the name now must
    /// be what the windows and the record of the export were planned with.
    fn reopen(&self, job: &Job<'_>, listed: &FileRecord) -> Result<(File, Archive)> {
        let (survey, entry, name) = (self.survey, job.entry, &listed.name);
        let other = || other_file(survey, entry, name);
        let opened = open(survey, entry, name);
        let (file, archive) = opened.map_err(|error| if error.is_absence() { other() } else { error })?;
        let is_same = if *name == entry.files.signal.name {
            signal_facts(survey, entry, &archive.facts)
                .is_some_and(|facts| facts.arrays.get(SIGNAL).copied() == job.signal)
        } else {
            label_facts(survey, entry, &archive.facts).is_some()
        };
        // Every byte of it: what is damaged must not become windows.
        let digest = || Digest::of_all(Watched(&file, "read rows"));
        let path = || survey.settings.cache_dir().join(name);
        if is_same && digest().map_err(Error::io("read", path()))? == listed.sha256 {
            return Ok((file, archive));
        }
        Err(other())
    }

    fn recording(&self, job: &Job<'_>) -> Result<u64> {
        let Files { signal, labels } = &job.entry.files;
        let labels = labels.as_ref().ok_or_else(|| contradiction(self.survey, &signal.name))?;
        let (signal_name, labels_name) = (&signal.name, &labels.name);
        let (signal_file, signal_archive) = self.reopen(job, signal)?;
        let (labels_file, labels_archive) = self.reopen(job, labels)?;
        let signal = rows(self.survey, signal_name, &signal_file, &signal_archive)?;
        let labels = rows(self.survey, labels_name, &labels_file, &labels_archive)?;
        for (rows, name) in [(&signal, signal_name), (&labels, labels_name)] {
            if rows.samples() != job.entry.samples {
                return Err(contradiction(self.survey, name));
            }
        }
        let windows = Array::new(signal, job.windowing, &job.starts);
        let labels = Array::new(labels, job.windowing, &job.starts);
        match (&job.names[..], self.layout) {
            ([name], _) => self.target.publish(name, job.from, |file| {
                exchange::write_npz(file, &[("windows.npy", &windows), ("labels.npy", &labels)])
            }),
            (names, _) => {
                let mut bytes = 0;
                for (name, (array, windows)) in names.iter().zip([("data", &windows), ("labels", &labels)]) {
                    let write = |file: &mut Watched<'_>| exchange::write_npy(file, array, windows);
                    bytes += self.target.publish(name, job.from, write)?;
                }
                Ok(bytes)
            }
        }
    }

    fn refuse_full_disk(&self, needed: u64) -> Result<()> {
        let free = self.target.free_bytes()?;
        if needed <= free {
            return Ok(());
        }
        Err(Error::NoSpace { path: self.target.root().to_owned(), needed, free })
    }

    /// Says how much is missing where the disk filled up on the way.
    fn explain_full_disk(&self, jobs: &[&Job<'_>], error: Error) -> Error {
        let is_full =
            |kind| matches!(kind, std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
        match error {
            Error::Io { source, .. } if is_full(source.kind()) => {
                let open = jobs
                    .iter()
                    .filter(|job| !job.names.iter().all(|name| self.target.is_done(name, job.from)));
                let needed = open.map(|job| job.bytes).sum();
                let free = self.target.free_bytes().unwrap_or_default();
                Error::NoSpace { path: self.target.root().to_owned(), needed, free }
            }
            other => other,
        }
    }

    /// Takes away what is not wanted and what is made anew, so that nothing of before is ever mixed with what is new,
    /// and the listings first.
    fn clear(&self, open: &[&Job<'_>], unwanted: &[String]) -> Result<()> {
        let replaced = open.iter().flat_map(|job| &job.names).cloned();
        let files: Vec<String> = replaced.chain(unwanted.iter().cloned()).collect();
        if files.is_empty() && !self.target.has_other_splits() {
            return Ok(());
        }
        self.target.remove_all(&self.listings(unwanted))?;
        self.target.clear(&files)
    }

    /// The listings that go before a file changes: one never describes other files than those beside it, also in a
    /// split that only loses files.
    fn listings(&self, unwanted: &[String]) -> Vec<String> {
        if self.layout != Layout::BrainBrr {
            return Vec::new();
        }
        let has_other_splits = self.target.has_other_splits();
        let splits = if has_other_splits { &Split::ALL[..] } else { &self.survey.settings.splits };
        let splits = splits.iter().map(|split| self.layout.directory(*split));
        let losing = unwanted.iter().filter_map(|name| name.split_once('/')).map(|(directory, _)| directory);
        let directories: BTreeSet<&str> = splits.chain(losing).collect();
        let names = |directory: &&str| exchange::LISTINGS.map(|name| format!("{directory}/{name}"));
        directories.iter().flat_map(names).collect()
    }

    fn write_listings(&self, jobs: &[&Job<'_>]) -> Result<()> {
        if self.layout != Layout::BrainBrr {
            return Ok(());
        }
        let settings = &self.survey.settings;
        for split in &settings.splits {
            let of_split = jobs.iter().filter(|job| job.entry.split == *split);
            let listed: Vec<Listed> = of_split.map(|job| listed(job)).collect();
            let texts = [
                exchange::window_manifest(&listed),
                exchange::dataset_index(&listed),
                exchange::metadata(&settings.dataset),
            ];
            for (name, text) in exchange::LISTINGS.iter().zip(texts) {
                self.write_text(&format!("{}/{name}", self.layout.directory(*split)), text)?;
            }
        }
        let metadata = exchange::metadata(&settings.dataset);
        self.write_text(exchange::LISTINGS[2], metadata)?;
        self.target.sync()
    }

    fn write_text(&self, name: &str, text: serde_json::Result<String>) -> Result<()> {
        use std::io::Write;
        let text = text.map_err(|error| Error::io("write", self.target.root().join(name))(error.into()))?;
        self.target.replace(name, |file| file.write_all(text.as_bytes()))
    }
}

/// The recordings of jobs: one may be in parts.
fn recordings<'a>(jobs: impl Iterator<Item = &'a Job<'a>>) -> BTreeSet<&'a RecordingId> {
    jobs.map(|job| job.entry.id.recording()).collect()
}

fn listed(job: &Job<'_>) -> Listed {
    let leaf = |name: &String| name.rsplit('/').next().unwrap_or_default().to_owned();
    Listed {
        file: job.names.first().map(leaf),
        source: job.entry.source.path.clone(),
        part: job.entry.id.part(),
        classes: job.classes.clone(),
    }
}
