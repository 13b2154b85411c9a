//! A finished file for whoever maps it: it is opened, and found to be the one that was listed when the version was opened.
//!
//! A build may replace a recording while a program trains from it. Windows and labels belong to what was
//! listed, so a file that says something else of itself is refused; its samples are not looked at.

use crate::error::{Error, Result};
use crate::model::artifact::Facts;
use crate::model::id::{Digest, ProfileName, VersionName};
use crate::model::manifest::{Entry, Event, Identity};
use crate::model::units::Rate;
use crate::store::{ArrayPlace, Store};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// What is listed of a finished file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// Bytes.
    pub bytes: u64,
    /// What decides its content, in short.
    pub content: u64,
}

/// A file that keeps its promise.
#[derive(Debug)]
pub struct Finished {
    /// The file.
    pub file: File,
    /// Where its arrays lie, by name.
    pub arrays: BTreeMap<&'static str, ArrayPlace>,
}

impl Promise {
    /// Returns what an entry promises of its files: the signal, and the labels where there are any.
    #[must_use]
    pub fn of_entry(identity: &Identity, entry: &Entry) -> (Self, Option<Self>) {
        let promise = |fingerprint, bytes, events: &[Event]| {
            let content = content(fingerprint, entry.source.sha256, entry.samples, entry.rate_hz, events);
            Self { bytes, content }
        };
        let labels = entry.files.labels.as_ref();
        (
            promise(identity.signal, entry.files.signal.bytes, &[]),
            labels.map(|record| promise(identity.labels, record.bytes, &entry.events)),
        )
    }

    fn of_facts(facts: &Facts, bytes: u64) -> Self {
        let content = match facts {
            Facts::Signal(of) => content(of.fingerprint, of.source_sha256, of.samples, of.rate_hz, &[]),
            Facts::Labels(of) => {
                content(of.fingerprint, of.source_sha256, of.samples, of.rate_hz, &of.events)
            }
        };
        Self { bytes, content }
    }
}

/// The same recording by the same recipe has the same samples, and the same seizures in them are the same labels.
fn content(fingerprint: Digest, source: Digest, samples: u64, rate: Rate, events: &[Event]) -> u64 {
    let seizures = events.iter().map(|event| format!(" {}-{} {}", event.start, event.end, event.code));
    let text = format!("{fingerprint} {source} {samples} {rate}{}", seizures.collect::<String>());
    let digest = Digest::of(text.as_bytes());
    digest.as_bytes().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Opens the file `name`, `train/<id>.npz`, in the directory of a version, or fails where it is not what is promised.
///
/// The directory is one that `open` named: links are not followed, and nothing is held anew.
pub fn finished(directory: &Path, name: &str, promise: Promise) -> Result<Finished> {
    let (store, profile, version) = place(directory)?;
    let changed = |how: &str| Error::NotReady {
        message: format!("the cache changed since it was opened: `{}` {how}", directory.join(name).display()),
        hint: "open the cache again".to_owned(),
    };
    let arrays = match store.arrays(&profile, &version, name) {
        Err(error) if error.is_absence() => return Err(changed("is gone")),
        arrays => arrays?,
    };
    let bytes = arrays.file.metadata().map_err(Error::io("read", directory.join(name)))?.len();
    if Promise::of_facts(&arrays.facts, bytes) != promise {
        return Err(changed("was replaced by another file"));
    }
    Ok(Finished { file: arrays.file, arrays: arrays.places })
}

fn place(directory: &Path) -> Result<(Store, ProfileName, VersionName)> {
    let part = |path: Option<&Path>| path?.file_name()?.to_str().map(str::to_owned);
    let version = part(Some(directory)).and_then(|name| VersionName::new(name).ok());
    let profile = part(directory.parent()).and_then(|name| ProfileName::new(name).ok());
    let root = directory.parent().and_then(Path::parent);
    let (Some(version), Some(profile), Some(root)) = (version, profile, root) else {
        return Err(Error::usage(format!("`{}` is no directory of a version", directory.display()), ""));
    };
    Ok((Store::new(root.to_owned()), profile, version))
}
