//! One recording in two splits is refused, whatever the files are called.
//!
//! Equal content means equal size and equal beginnings, so only the few recordings that share both across
//! splits are read as a whole.

use crate::error::{Error, Result};
use crate::model::Digest;
use crate::model::inventory::{Inventory, SourceRecording};
use crate::model::settings::Settings;
use crate::source;
use std::collections::BTreeMap;
use std::io::Read;

const BEGINNING: u64 = 64 * 1024;

/// Refuses a profile with the same recording on both sides of a split.
pub fn refuse_shared_recordings(settings: &Settings, inventory: &Inventory) -> Result<()> {
    let by_size = group(inventory.profile().iter(), |r| Some(r.file.stamp.bytes));
    let crossing = by_size.into_values().filter(|group| crosses_splits(group));
    for same_size in crossing {
        let known = same_size.iter().all(|recording| recording.file.sha256.is_some());
        // Where every content is known there is nothing to read.
        let alike =
            group(same_size.into_iter(), |r| if known { r.file.sha256 } else { beginning(settings, r) });
        for suspects in alike.into_values().filter(|group| crosses_splits(group)) {
            let equal = group(suspects.into_iter(), |r| content(settings, r));
            if let Some(pair) = equal.into_values().find(|group| crosses_splits(group)) {
                return Err(shared(&pair));
            }
        }
    }
    Ok(())
}

fn group<'a, K: Ord>(
    recordings: impl Iterator<Item = &'a SourceRecording>,
    key: impl Fn(&SourceRecording) -> Option<K>,
) -> BTreeMap<K, Vec<&'a SourceRecording>> {
    let mut groups: BTreeMap<K, Vec<&SourceRecording>> = BTreeMap::new();
    for recording in recordings {
        // What cannot be read goes to quarantine when it is processed, and so is in no split.
        if let Some(key) = key(recording) {
            groups.entry(key).or_default().push(recording);
        }
    }
    groups
}

fn crosses_splits(group: &[&SourceRecording]) -> bool {
    group.iter().any(|recording| recording.split != group[0].split)
}

fn beginning(settings: &Settings, recording: &SourceRecording) -> Option<Digest> {
    let reader = source::open(&settings.dataset.root, &recording.file.path).ok()?;
    let mut bytes = Vec::new();
    reader.take(BEGINNING).read_to_end(&mut bytes).ok()?;
    Some(Digest::of(&bytes))
}

fn content(settings: &Settings, recording: &SourceRecording) -> Option<Digest> {
    let hash = || source::hash(&settings.dataset.root, &recording.file.path).ok().map(|(sha256, _)| sha256);
    recording.file.sha256.or_else(hash)
}

fn shared(pair: &[&SourceRecording]) -> Error {
    let other = pair.iter().find(|recording| recording.split != pair[0].split).unwrap_or(&pair[0]);
    Error::Gate {
        message: format!(
            "one recording lies in two splits: `{}` ({}) and `{}` ({}) hold the same bytes",
            pair[0].file.path, pair[0].split, other.file.path, other.split
        ),
        hint: "remove one of the two files, or narrow `dataset.recordings`".to_owned(),
    }
}
