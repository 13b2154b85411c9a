//! What lies on disk, with annotation contents known and in the one order: the input of every plan.

use crate::error::{Error, Result};
use crate::formats;
use crate::model::Split;
use crate::model::failure::Failure;
use crate::model::inventory::{Inventory, SourceFile, SourceRecording, Stamp};
use crate::model::order::{Family, Key, Seizures, order};
use crate::model::settings::Settings;
use crate::ops::labelling;
use crate::ops::survey::now_ns;
use crate::ops::{Context, Items, Kind, Step};
use crate::source;
use crate::store::{Memo, MemoLine};
use rayon::prelude::*;
use std::sync::{Arc, Mutex};

/// The recordings of the dataset and what was learned on the way.
pub struct Taken {
    /// All recordings in the one order; the profile is not yet cut.
    pub recordings: Arc<Vec<SourceRecording>>,
    /// Contents that the memo did not know; `build` remembers them.
    pub learned: Vec<MemoLine>,
    /// Recordings whose annotation the machine would not read, by name, and why.
    pub unread: Vec<(String, Failure)>,
}

/// Walks the dataset; nothing where its root cannot be reached or holds no recording.
///
/// Annotation files are small: their content is known afterwards. Recordings are never hashed here.
pub fn take(settings: &Settings, memo: &Memo, began_ns: i64) -> Result<Option<Taken>> {
    let spec = &settings.dataset;
    if !source::is_reachable(spec)? {
        return Ok(None);
    }
    let lookup = |path: &str, stamp: &Stamp| memo.get(path, stamp);
    let mut recordings = source::recordings(spec, &Split::ALL, &lookup)?;
    if recordings.is_empty() {
        // An empty mount point looks like this too: reading commands judge by the recorded membership.
        return Ok(None);
    }
    let learned = Mutex::new(Vec::new());
    let unread = recordings.par_iter_mut().filter_map(|recording| {
        recording.listed_as = labelling::listed_as(&settings.recipe.labels, recording);
        let balanced = settings.family == Family::Balanced;
        let failure = read_annotations(settings, recording, balanced, began_ns, &learned)?;
        Some((recording.name().to_owned(), failure))
    });
    let unread = unread.collect();
    let recordings = Arc::new(in_order(recordings, settings.family));
    Ok(Some(Taken { recordings, learned: into_inner(learned), unread }))
}

/// A poisoned lock means a panic elsewhere, which does not make the collected lines wrong.
pub(crate) fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Taken {
    /// Cuts the inventory of a profile.
    #[must_use]
    pub fn profile(&self, settings: &Settings) -> Inventory {
        let size = settings.profile_spec().subset.size(self.recordings.len());
        if Split::ALL.iter().all(|split| settings.splits.contains(split)) {
            return Inventory { recordings: Arc::clone(&self.recordings), members: size };
        }
        let (prefix, rest) = self.recordings.split_at(size);
        // `data.splits` leaves out, it does not make room for others: who is a member does not depend on it.
        let (members, left_out): (Vec<_>, Vec<_>) =
            prefix.iter().cloned().partition(|recording| settings.splits.contains(&recording.split));
        let count = members.len();
        Inventory { recordings: Arc::new([members, left_out, rest.to_vec()].concat()), members: count }
    }
}

/// What reading commands say where no recording of the dataset is found.
pub const NOT_CHECKED: &str = "sources not reachable: not checked";

/// Says so where the root of the dataset can be read, and holds no recording: a glob may be wrong, or a disk not mounted.
pub fn nothing_matches(settings: &Settings) -> Result<Option<String>> {
    Ok(source::is_reachable(&settings.dataset)?.then(|| no_recordings(settings).to_string()))
}

/// The warnings of a command that judged a cache without its sources.
pub fn unchecked(settings: &Settings) -> Result<Vec<String>> {
    let mut warnings = vec![NOT_CHECKED.to_owned()];
    warnings.extend(nothing_matches(settings)?);
    Ok(warnings)
}

/// The error of a command that needs recordings where the root is there and holds none.
#[must_use]
pub fn no_recordings(settings: &Settings) -> Error {
    let globs: Vec<String> = settings.dataset.recordings.iter().map(|g| format!("`{}`", g.glob())).collect();
    Error::usage(
        format!(
            "no recording of dataset `{}` matches {} below `{}`",
            settings.dataset.name,
            globs.join(", "),
            settings.dataset.root.display()
        ),
        "check `dataset.root` (often `EEG_DATA_ROOT`), `dataset.recordings` and `data.splits`",
    )
}

fn in_order(mut recordings: Vec<SourceRecording>, family: Family) -> Vec<SourceRecording> {
    let keys: Vec<Key<'_>> =
        recordings.iter().map(|r| Key { path: &r.file.path, split: r.split, seizures: r.seizures }).collect();
    let indices = order(&keys, family);
    put_in_order(&mut recordings, indices);
    recordings
}

/// Puts first what lies at the first index, and so on; without room for a second list, which of 100,000 recordings takes tens of
/// megabytes.
fn put_in_order<T>(values: &mut [T], mut indices: Vec<usize>) {
    for begin in 0..values.len() {
        // Round each cycle of values that take each other's places.
        let mut at = begin;
        while indices[at] != begin {
            let next = std::mem::replace(&mut indices[at], at);
            values.swap(at, next);
            at = next;
        }
        indices[at] = at;
    }
}

/// Returns why a file could not be read where that says nothing about the file: it is left unknown then.
fn read_annotations(
    settings: &Settings,
    recording: &mut SourceRecording,
    balanced: bool,
    began_ns: i64,
    learned: &Mutex<Vec<MemoLine>>,
) -> Option<Failure> {
    let known = |file: &Option<SourceFile>| file.as_ref().is_none_or(|file| file.sha256.is_some());
    if !balanced && known(&recording.annotation) && known(&recording.cross_check) {
        return None;
    }
    let mut unread = None;
    let mut learn = |file: &mut SourceFile| -> Option<Vec<u8>> {
        // A file that cannot be read stays without content; processing the recording names the reason.
        let read = source::read_small(&settings.dataset.root, &file.path);
        if let Err(failure) = &read
            && failure.class.is_transient()
            && file.sha256.is_none()
        {
            file.stamp = Stamp::UNKNOWN;
            let message = format!("`{}` could not be checked: {}", file.path, failure.message);
            unread = Some(Failure::new(failure.class, message));
        }
        let (bytes, sha256, stamp) = read.ok()?;
        if file.sha256 != Some(sha256) {
            let line = MemoLine { path: file.path.clone(), stamp, sha256, began_ns };
            learned.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(line);
        }
        (file.sha256, file.stamp) = (Some(sha256), stamp);
        Some(bytes)
    };
    let deciding = recording.annotation.as_mut().and_then(&mut learn);
    if let Some(cross_check) = recording.cross_check.as_mut().filter(|file| file.sha256.is_none()) {
        learn(cross_check);
    }
    let labels = &settings.recipe.labels;
    let name = labelling::written_name(labels, recording);
    let table = deciding.and_then(|bytes| formats::read_annotations(labels.format, &bytes, name).ok());
    recording.seizures = match table {
        Some(table) if formats::has_seizures(&table, labels) => Seizures::Some,
        Some(table) if !formats::says_nothing(&table, labels) => Seizures::None,
        _ => Seizures::Unknown,
    };
    unread
}

/// What settling recordings gave.
#[derive(Debug, Default)]
pub struct Settled {
    /// Contents for the memo.
    pub learned: Vec<MemoLine>,
    /// Recordings that could not be read, by name, and why.
    pub unread: Vec<(String, Failure)>,
}

/// Hashes recordings whose content the memo does not know; `indices` are of `recordings`. Stops when asked to.
pub fn settle(
    cx: &Context<'_>,
    settings: &Settings,
    recordings: &mut Arc<Vec<SourceRecording>>,
    indices: &[usize],
) -> Settled {
    if indices.is_empty() {
        return Settled::default();
    }
    let bytes = indices.iter().map(|index| recordings[*index].file.stamp.bytes).sum();
    cx.progress.start("hashing", Items::Recordings(indices.len() as u64), bytes);
    let hash = |index: &usize| {
        let file = &recordings[*index].file;
        let began_ns = now_ns();
        // What cannot be read is left unknown: nothing finished is lost for that, and the report says so.
        let result = (!cx.is_stopped()).then(|| source::hash(&settings.dataset.root, &file.path))?;
        cx.progress.step(Step { kind: Kind::Present, bytes: file.stamp.bytes });
        let path = file.path.clone();
        let line = result.map(|(sha256, stamp)| MemoLine { path: path.clone(), stamp, sha256, began_ns });
        let line = line.map_err(|failure| {
            Failure::new(failure.class, format!("`{path}` could not be checked: {}", failure.message))
        });
        Some((*index, line))
    };
    let hashed: Vec<(usize, Result<MemoLine, Failure>)> = indices.par_iter().filter_map(hash).collect();
    cx.progress.finish();
    let recordings = Arc::make_mut(recordings);
    let mut settled = Settled::default();
    for (index, line) in hashed {
        match line {
            Ok(line) => {
                let file = &mut recordings[index].file;
                (file.sha256, file.stamp) = (Some(line.sha256), line.stamp);
                settled.learned.push(line);
            }
            Err(failure) => settled.unread.push((recordings[index].name().to_owned(), failure)),
        }
    }
    settled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_in_the_order_of_their_indices() {
        for indices in [&[][..], &[0], &[1, 0], &[2, 0, 1], &[1, 2, 0], &[0, 4, 2, 1, 3, 5], &[3, 2, 1, 0]] {
            let mut values: Vec<usize> = (0..indices.len()).map(|value| 10 * value).collect();
            put_in_order(&mut values, indices.to_vec());
            assert_eq!(values, indices.iter().map(|index| 10 * index).collect::<Vec<_>>());
        }
    }
}
