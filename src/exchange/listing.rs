//! The listings that the `brain_brr` loaders read beside the pairs: all of a split in three JSON files.

use crate::model::dataset::{DatasetSpec, SplitRule};
use crate::model::window::WindowClass;
use serde::Serialize;
use std::collections::BTreeMap;

/// What the listings say of a recording.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Name of the file with the windows, inside the directory of its split; nothing where it has no window.
    pub file: Option<String>,
    /// Path of the recording relative to the dataset root.
    pub source: String,
    /// Which part of the recording it is; nothing where the recording is one piece.
    pub part: Option<u32>,
    /// The class of each window.
    pub classes: Vec<WindowClass>,
}

#[derive(Serialize)]
struct Window<'a> {
    cache_file: &'a str,
    window_idx: usize,
}

/// Returns `manifest.json`: the windows by class, each list by file name, then window.
pub fn window_manifest<'a>(recordings: &'a [Listed]) -> serde_json::Result<String> {
    let mut files: Vec<(&'a str, &Listed)> =
        recordings.iter().filter_map(|listed| Some((listed.file.as_deref()?, listed))).collect();
    files.sort_unstable_by_key(|(file, _)| *file);
    let of = |class: WindowClass| -> Vec<Window<'a>> {
        let windows = |(cache_file, listed): &(&'a str, &Listed)| {
            let all = listed.classes.iter().enumerate().filter(|(_, one)| **one == class);
            all.map(|(window_idx, _)| Window { cache_file, window_idx }).collect::<Vec<_>>()
        };
        files.iter().flat_map(windows).collect()
    };
    let lists: BTreeMap<&str, Vec<Window<'a>>> = BTreeMap::from([
        ("partial_seizure", of(WindowClass::Partial)),
        ("full_seizure", of(WindowClass::Full)),
        ("no_seizure", of(WindowClass::None)),
    ]);
    line(&lists)
}

/// Returns `_dataset_index.json`: the recordings in path order, the parts of one in theirs, and how many
/// windows each has.
pub fn dataset_index(recordings: &[Listed]) -> serde_json::Result<String> {
    let mut sorted: Vec<&Listed> = recordings.iter().collect();
    sorted.sort_unstable_by_key(|listed| (&listed.source, listed.part));
    let files: Vec<&str> = sorted.iter().map(|listed| listed.source.as_str()).collect();
    let counts: Vec<usize> = sorted.iter().map(|listed| listed.classes.len()).collect();
    line(&serde_json::json!({ "files": files, "window_counts": counts }))
}

/// Returns `.cache_metadata.json`. The policy is the word that the dataset has for loaders, without one how the splits were
/// made, which stands beside it in any case.
pub fn metadata(dataset: &DatasetSpec) -> serde_json::Result<String> {
    let made_by = match dataset.splits {
        SplitRule::Directory(_) => "directory",
        SplitRule::BySubject { .. } => "by_subject",
    };
    let policy = dataset.split_policy.as_deref().unwrap_or(made_by);
    line(&serde_json::json!({ "split_policy": policy, "dataset": dataset.name, "splits": made_by }))
}

fn line(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(serde_json::to_string(value)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_recording_are_listed_in_order() {
        let part = |part: u32| Listed {
            file: None,
            source: "train/a.edf".to_owned(),
            part: Some(part),
            classes: vec![WindowClass::None; part as usize],
        };
        let index = dataset_index(&[part(2), part(0), part(1)]).unwrap();
        assert!(index.contains(r#""window_counts":[0,1,2]"#), "{index}");
    }
}
