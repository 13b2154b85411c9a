//! `open`: a version for reading, and the windows in it. Nothing is made, linked or processed here.
//!
//! With a configuration, every gate of pre-flight must be passed; a bare directory is judged by its
//! own manifest. Windows are counted and classed from events; only whoever maps a file reads samples.

use crate::error::{Error, Result};
use crate::model::id::{ProfileName, RecordingId, Split, VersionName};
use crate::model::manifest::{Entry, Event, Identity, LabelStatus, Manifest};
use crate::model::settings::{Settings, WindowSpec};
use crate::model::stem::Stem;
use crate::model::window::{self, Span, WindowClass};
use crate::ops::finished::Promise;
use crate::ops::gates::{self, Verdict};
use crate::ops::preflight;
use crate::ops::reader::Reader;
use crate::store::{Held, Hold, ManifestState};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A version that may be read, held against `gc` for as long as this lives.
#[derive(Debug, Serialize)]
pub struct Opened {
    /// The version's directory.
    pub cache_dir: PathBuf,
    /// The profile.
    pub profile: ProfileName,
    /// The version.
    pub version: VersionName,
    /// The configured windowing; nothing where a directory was opened.
    pub windows: Option<WindowSpec>,
    /// The splits that are demanded: `data.splits`, or those that the version was built for.
    pub splits: BTreeSet<Split>,
    /// The finished recordings of these splits, by id.
    pub entries: Vec<Entry>,
    /// Things the user should hear about.
    pub warnings: Vec<String>,
    /// What the version means.
    #[serde(skip)]
    pub identity: Identity,
    /// What keeps `gc` away.
    #[serde(skip)]
    pub hold: Option<Hold>,
}

/// One window of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowRow {
    /// First sample.
    pub start: u64,
    /// The recording's place in `Opened::entries`.
    pub recording: u32,
    /// The window's number in its recording, from 0.
    pub window: u32,
    /// Samples.
    pub length: u32,
    /// Seizure samples.
    pub seizure: u32,
    /// The class; nothing where the recording is unlabelled.
    pub class: Option<WindowClass>,
}

/// Opens the version that `settings` mean, or fails as pre-flight would.
pub fn open(settings: &Settings) -> Result<Opened> {
    let (report, survey) = preflight::look(settings)?;
    if let Some(refusal) = report.refusal() {
        return Err(refusal.into_error(&report.cache_dir));
    }
    let members = settings.splits.iter().flat_map(|split| survey.entries(*split));
    let mut entries: Vec<Entry> =
        members.filter(|entry| survey.has(entry.id.recording().as_str())).cloned().collect();
    entries.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Opened {
        cache_dir: report.cache_dir,
        profile: settings.profile.clone(),
        version: settings.version.clone(),
        windows: Some(settings.windows),
        splits: settings.splits.iter().copied().collect(),
        entries,
        warnings: report.warnings,
        identity: survey.wanted,
        hold: report.hold,
    })
}

/// Opens a version by its directory, `<cache.root>/<profile>/<version>`, without any configuration.
pub fn open_directory(directory: &Path) -> Result<Opened> {
    let reader = Reader::open(directory)?;
    let held = reader.held();
    let manifest = manifest(held, directory)?;
    let entries = complete(&reader, manifest)?;
    refuse_leaks(&entries)?;
    Ok(Opened {
        cache_dir: reader.directory(),
        profile: reader.profile().clone(),
        version: reader.version().clone(),
        windows: None,
        splits: manifest.membership.iter().map(|member| member.split).collect(),
        entries,
        warnings: held.notes.clone(),
        identity: manifest.identity.clone(),
        hold: reader.store().hold(reader.profile(), reader.version())?,
    })
}

/// Nothing says here what is wanted; but no training wants a patient, or a recording, on both sides.
fn refuse_leaks(entries: &[Entry]) -> Result<()> {
    let entries: Vec<&Entry> = entries.iter().collect();
    for verdict in [gates::subjects(&entries), gates::recordings(&entries)] {
        if let Verdict::Data { message, hint } = verdict {
            return Err(Error::Gate { message, hint });
        }
    }
    Ok(())
}

fn manifest<'a>(held: &'a Held, directory: &Path) -> Result<&'a Manifest> {
    match &held.manifest {
        ManifestState::Read(manifest) => Ok(manifest),
        ManifestState::Absent => Err(Error::NotReady {
            message: format!("NOT_FOUND: there is no `manifest.json` in `{}`", directory.display()),
            hint: "run `eegcache build`, or name the directory that `eegcache preflight` prints".to_owned(),
        }),
        ManifestState::Damaged(reason) => {
            Err(Error::Damaged { path: directory.join("manifest.json"), message: reason.clone() })
        }
        ManifestState::Later(reason) => Err(Error::NotReady {
            message: format!("VERSION_MISMATCH: `{}`: {reason}", directory.display()),
            hint: "use that version of eegcache".to_owned(),
        }),
    }
}

/// The recordings that the version was built for: each must be there in its recorded size, or accounted for.
fn complete(reader: &Reader, manifest: &Manifest) -> Result<Vec<Entry>> {
    let held = reader.held();
    let files = reader.store().files(reader.profile(), reader.version())?;
    let is_there =
        |entry: &Entry| entry.files.iter().all(|record| files.get(&record.name) == Some(&record.bytes));
    let mut entries = Vec::new();
    let mut missing = 0;
    for member in &manifest.membership {
        let id = RecordingId::new(member.name.as_str()).ok().filter(|id| held.is_whole(id));
        let parts: Vec<&Entry> =
            id.iter().flat_map(|id| Stem::of(&held.entries, id)).map(|(_, entry)| &**entry).collect();
        if !parts.is_empty() && parts.iter().all(|entry| is_there(entry)) {
            entries.extend(parts.into_iter().cloned());
        } else {
            missing += usize::from(!held.quarantine.contains_key(&member.name));
        }
    }
    if missing == 0 {
        entries.sort_by(|a, b| a.id.cmp(&b.id));
        return Ok(entries);
    }
    let (directory, members) = (reader.directory(), manifest.membership.len());
    Err(Error::NotReady {
        message: format!("INCOMPLETE: `{}`: {missing} of {members} recordings missing", directory.display()),
        hint: "run `eegcache build`".to_owned(),
    })
}

impl Opened {
    /// What is promised of the files of each entry, the signal first.
    pub fn promises(&self) -> impl Iterator<Item = (Promise, Option<Promise>)> {
        self.entries.iter().map(|entry| Promise::of_entry(&self.identity, entry))
    }

    /// Returns the windows of a split in the order of recordings, then of time.
    pub fn windows(&self, split: Split, windows: WindowSpec) -> Result<Vec<WindowRow>> {
        self.demand(split)?;
        let mut rows = Vec::new();
        for (recording, entry) in self.entries.iter().enumerate().filter(|(_, entry)| entry.split == split) {
            let Some(windowing) = windows.at(entry.rate_hz) else {
                return Err(Error::usage(
                    format!(
                        "windows of {} s every {} s are no whole number of samples at {} Hz",
                        windows.length_s, windows.stride_s, entry.rate_hz
                    ),
                    "choose `length_s` and `stride_s` that are",
                ));
            };
            let spans: Vec<Span> = entry.events.iter().map(Event::span).collect();
            let seizures = window::merge(&spans);
            let is_labelled = entry.annotation.status != LabelStatus::Unlabelled;
            rows.extend(windowing.starts(entry.samples, &entry.gaps).into_iter().map(|start| WindowRow {
                start,
                recording: recording as u32,
                window: (start / windowing.stride()) as u32,
                length: windowing.length() as u32,
                seizure: windowing.seizure_at(start, &seizures) as u32,
                class: is_labelled.then(|| windowing.class_at(start, &seizures)),
            }));
        }
        Ok(rows)
    }

    /// A split that nobody asked for is not empty: nothing is known of it.
    fn demand(&self, split: Split) -> Result<()> {
        if self.splits.contains(&split) {
            return Ok(());
        }
        let splits: Vec<String> = self.splits.iter().map(|split| format!("`{split}`")).collect();
        let hint = "`data.splits` says which are built and opened";
        Err(Error::usage(format!("the split `{split}` was not opened, only {}", splits.join(", ")), hint))
    }
}
