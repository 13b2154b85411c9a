//! The listings beside another program's windows: whether they say what the labels say.

use crate::exchange::{self, Found};
use crate::model::window::WindowClass;
use crate::ops::adopt::{Examined, Finding};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

/// A manifest of half a million windows has 60 MB.
const LONGEST: u64 = 1 << 30;
const LISTS: [(&str, WindowClass); 3] = [
    ("partial_seizure", WindowClass::Partial),
    ("full_seizure", WindowClass::Full),
    ("no_seizure", WindowClass::None),
];

#[derive(serde::Deserialize)]
struct Window {
    cache_file: String,
    window_idx: u64,
}

/// Compares the manifest of every directory with the windows that lie there.
pub(super) fn compare(root: &Path, found: &[Found], recordings: &[Examined]) -> Vec<Finding> {
    let directories: BTreeSet<&str> = found.iter().map(|one| one.directory).collect();
    let in_directory = |directory: &str| -> Vec<&Examined> {
        let prefix = if directory == "." { String::new() } else { format!("{directory}/") };
        let is_there =
            |one: &&Examined| one.adopted.file.strip_prefix(&prefix).is_some_and(|leaf| !leaf.contains('/'));
        recordings.iter().filter(is_there).collect()
    };
    directories.iter().flat_map(|one| compare_one(root, one, &in_directory(one))).collect()
}

fn compare_one(root: &Path, directory: &str, recordings: &[&Examined]) -> Vec<Finding> {
    let path = root.join(directory).join("manifest.json");
    let name =
        if directory == "." { "manifest.json".to_owned() } else { format!("{directory}/manifest.json") };
    let stale = |text: String| vec![Finding::bad("stale-manifest", format!("`{name}`: {text}"))];
    let lists = match read(&path) {
        Ok(Some(lists)) => lists,
        Ok(None) => return Vec::new(),
        Err(reason) => return stale(reason),
    };
    let leaf = |file: &str| file.rsplit('/').next().unwrap_or_default().to_owned();
    let classes: BTreeMap<String, Option<&Vec<WindowClass>>> =
        recordings.iter().map(|one| (leaf(&one.adopted.file), one.classes.as_ref())).collect();
    let (mut absent, mut wrong, mut listed) = (0, 0, BTreeSet::new());
    for (list, class) in LISTS {
        for window in lists.get(list).into_iter().flatten() {
            listed.insert((window.cache_file.as_str(), window.window_idx));
            match classes.get(&window.cache_file) {
                None => absent += 1,
                // Labels that cannot be read have a finding of their own.
                Some(None) => {}
                Some(Some(classes)) => {
                    wrong += usize::from(classes.get(window.window_idx as usize) != Some(&class));
                }
            }
        }
    }
    let all: usize = classes.values().flatten().map(|classes| classes.len()).sum();
    let known = listed.iter().filter(|(file, _)| classes.get(*file).is_some_and(Option::is_some)).count();
    let parts = [
        (absent, "windows of files that are not there"),
        (wrong, "windows in the wrong list, or beyond their file"),
        (all.saturating_sub(known), "windows that it does not list"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if parts.is_empty() { Vec::new() } else { stale(parts.join(", ")) }
}

/// The lists of a manifest; nothing where there is none.
fn read(path: &Path) -> Result<Option<BTreeMap<String, Vec<Window>>>, String> {
    let file = match exchange::open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let reader = std::io::BufReader::new(file.take(LONGEST));
    serde_json::from_reader(reader).map(Some).map_err(|error| error.to_string())
}
