//! `open`: a version for reading, and the windows in it. Nothing is made, linked or processed here.
//!
//! With a configuration, every gate of pre-flight must be passed; a bare directory is judged by its
//! own manifest. Windows are counted and classed from events; only whoever maps a file reads samples.

use crate::error::{Error, Result};
use crate::model::id::{ProfileName, RecordingId, Split, VersionName};
use crate::model::manifest::{Entry, Event, LabelStatus, Manifest};
use crate::model::settings::{Settings, WindowSpec};
use crate::model::window::{Span, WindowClass};
use crate::ops::preflight;
use crate::store::{ArrayPlace, Held, ManifestState, Store};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A version that may be read.
#[derive(Debug, Clone, Serialize)]
pub struct Opened {
    /// The version's directory.
    pub cache_dir: PathBuf,
    /// The profile.
    pub profile: ProfileName,
    /// The version.
    pub version: VersionName,
    /// The configured windowing; nothing where a directory was opened.
    pub windows: Option<WindowSpec>,
    /// The finished recordings of every split that is demanded, by id.
    pub entries: Vec<Entry>,
    /// Things the user should hear about.
    pub warnings: Vec<String>,
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
    let mut entries: Vec<Entry> = members.filter(|entry| survey.has(entry.id.as_str())).cloned().collect();
    entries.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Opened {
        cache_dir: report.cache_dir,
        profile: settings.profile.clone(),
        version: settings.version.clone(),
        windows: Some(settings.windows),
        entries,
        warnings: report.warnings,
    })
}

/// Opens a version by its directory, `<cache.root>/<profile>/<version>`, without any configuration.
pub fn open_directory(directory: &Path) -> Result<Opened> {
    let (store, profile, version) = place(directory)?;
    let held = store.load(&profile, &version)?;
    let manifest = manifest(&held, directory)?;
    refuse_incomplete(&store, &held, manifest, directory)?;
    Ok(Opened {
        cache_dir: store.version_dir(&profile, &version),
        profile,
        version,
        windows: None,
        entries: held.entries.into_values().collect(),
        warnings: held.notes,
    })
}

/// Returns where the arrays of a file lie, `train/<id>.npz`, in the directory of a version; no sample is read.
pub fn arrays(directory: &Path, name: &str) -> Result<BTreeMap<&'static str, ArrayPlace>> {
    let (store, profile, version) = place(directory)?;
    store.arrays(&profile, &version, name)
}

/// The root, profile and version that a directory's path names; links such as `latest` are followed first.
fn place(directory: &Path) -> Result<(Store, ProfileName, VersionName)> {
    let real = fs_err::canonicalize(directory).map_err(Error::io("open", directory))?;
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let parts = || {
        let version = VersionName::new(name(&real)?).ok()?;
        let profile = ProfileName::new(name(real.parent()?)?).ok()?;
        Some((Store::new(real.parent()?.parent()?.to_owned()), profile, version))
    };
    parts().ok_or_else(|| {
        Error::usage(
            format!("`{}` is no directory of a version", directory.display()),
            "name `<cache.root>/<profile>/<version>`, or a configuration file",
        )
    })
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

/// Everything that the version was built for must be there in its recorded size, or accounted for.
fn refuse_incomplete(store: &Store, held: &Held, manifest: &Manifest, directory: &Path) -> Result<()> {
    let files = store.files(&manifest.profile, &manifest.version)?;
    let is_whole =
        |entry: &Entry| entry.files.iter().all(|record| files.get(&record.name) == Some(&record.bytes));
    let is_there = |name: &str| {
        let entry = RecordingId::new(name).ok().and_then(|id| held.entries.get(&id));
        entry.is_some_and(is_whole) || held.quarantine.contains_key(name)
    };
    let missing = manifest.membership.iter().filter(|member| !is_there(&member.name)).count();
    if missing == 0 {
        return Ok(());
    }
    let members = manifest.membership.len();
    Err(Error::NotReady {
        message: format!("INCOMPLETE: `{}`: {missing} of {members} recordings missing", directory.display()),
        hint: "run `eegcache build`".to_owned(),
    })
}

impl Opened {
    /// Returns the windows of a split in the order of recordings, then of time.
    pub fn windows(&self, split: Split, windows: WindowSpec) -> Result<Vec<WindowRow>> {
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
            let is_labelled = entry.annotation.status != LabelStatus::Unlabelled;
            let seizures = windowing.seizure_samples(entry.samples, &spans);
            rows.extend(seizures.into_iter().zip(0..).map(|(seizure, window)| WindowRow {
                start: u64::from(window) * windowing.stride(),
                recording: recording as u32,
                window,
                length: windowing.length() as u32,
                seizure: seizure as u32,
                class: is_labelled.then(|| windowing.class(seizure)),
            }));
        }
        Ok(rows)
    }
}
