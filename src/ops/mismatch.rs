//! A version never changes its meaning: what differs, field by field, and under which name to go on.

use crate::error::Error;
use crate::model::id::{ProfileName, VersionName};
use crate::model::manifest::Identity;
use crate::model::settings::Settings;
use crate::store::Store;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A version on disk means something else than the configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mismatch {
    /// The profile that holds the version; not the one asked for where that holds none yet.
    pub profile: ProfileName,
    /// What differs.
    pub fields: Vec<FieldDifference>,
    /// The version under which to go on: the next free one, or the one that already holds what is wanted.
    pub next_version: VersionName,
    /// True where `next_version` exists and means what the configuration means.
    pub exists: bool,
    /// What to look at first, where a slip is likelier than another meaning.
    #[serde(skip)]
    pub suspect: Option<&'static str>,
}

/// A field of the recipe that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldDifference {
    /// Path in the recipe, `signal.steps.1.bandpass.high_hz`.
    pub field: String,
    /// As the version was built.
    pub held: String,
    /// As the configuration asks.
    pub wanted: String,
}

/// The error that shows every differing field and the name under which to go on.
#[must_use]
pub fn mismatch_error(settings: &Settings, mismatch: &Mismatch) -> Error {
    let fields: Vec<String> = mismatch
        .fields
        .iter()
        .map(|difference| {
            format!(
                "  {}: {} in the cache, {} configured",
                difference.field, difference.held, difference.wanted
            )
        })
        .collect();
    let verb = if mismatch.exists { "exists and holds what is configured" } else { "is free" };
    Error::NotReady {
        message: format!(
            "VERSION_MISMATCH: `{}` was built from something else, and nothing was overwritten\n{}",
            settings.for_profile(&mismatch.profile).cache_dir().display(),
            fields.join("\n")
        ),
        hint: format!(
            "{}version `{next}` {verb}: write `cache: {{version: {next}}}` or add `--set cache.version={next}`; \
             files that did not change are linked, not made again",
            mismatch.suspect.unwrap_or_default(),
            next = mismatch.next_version
        ),
    }
}

/// Compares what a version of `profile` means with what is wanted; the split identity does not count.
#[must_use]
pub fn compare(
    store: &Store,
    (settings, wanted): (&Settings, &Identity),
    profile: &ProfileName,
    held: &Identity,
    held_recipe: Option<&Value>,
) -> Option<Mismatch> {
    let same = held.dataset == wanted.dataset && held.signal == wanted.signal && held.labels == wanted.labels;
    if same {
        return None;
    }
    let mut fields = Vec::new();
    differ(&mut fields, "dataset", &held.dataset, &wanted.dataset);
    let (held_fields, wanted_fields) =
        (held_recipe.map(flatten).unwrap_or_default(), flatten(&recipe_value(settings)));
    if !held_fields.is_empty() {
        let absent = "absent".to_owned();
        let keys: BTreeSet<&String> = held_fields.keys().chain(wanted_fields.keys()).collect();
        for key in keys {
            let side = |fields: &BTreeMap<String, String>| fields.get(key).unwrap_or(&absent).clone();
            differ(&mut fields, key, &side(&held_fields), &side(&wanted_fields));
        }
    }
    if fields.is_empty() {
        // No recipe on record, or equal fields: then an algorithm or the container has a new revision.
        differ(&mut fields, "signal fingerprint", &held.signal.short(), &wanted.signal.short());
        differ(&mut fields, "label fingerprint", &held.labels.short(), &wanted.labels.short());
    }
    let (next_version, exists) = next_version(store, settings, wanted);
    Some(Mismatch { profile: profile.clone(), fields, next_version, exists, suspect: None })
}

/// The version was made from other recordings under the same dataset name; or from the same under other ids, where `renamed`
/// is the path of one, its id in the cache and its id or name now.
#[must_use]
pub fn other_recordings(
    store: &Store,
    (settings, wanted): (&Settings, &Identity),
    renamed: Option<(&str, &str, &str)>,
) -> Mismatch {
    let mut fields = Vec::new();
    if let Some((path, held, wanted)) = renamed {
        differ(&mut fields, &format!("id of `{path}`"), held, wanted);
    } else {
        let root = settings.dataset.root.display().to_string();
        differ(&mut fields, "dataset recordings", "none of those below the configured root", &root);
    }
    let suspect =
        renamed.map(|_| "correct `dataset.id` and `dataset.subject` if these are the same recordings; else ");
    let (next_version, exists) = next_version(store, settings, wanted);
    Mismatch { profile: settings.profile.clone(), fields, next_version, exists, suspect }
}

fn differ(fields: &mut Vec<FieldDifference>, field: &str, held: &str, wanted: &str) {
    if held != wanted {
        let (field, held, wanted) = (field.to_owned(), held.to_owned(), wanted.to_owned());
        fields.push(FieldDifference { field, held, wanted });
    }
}

/// The full recipe as it stands in manifests.
#[must_use]
pub fn recipe_value(settings: &Settings) -> Value {
    // Cannot fail: the recipe holds only strings, finite numbers, lists and string-keyed maps.
    serde_json::to_value(&settings.recipe).unwrap_or(Value::Null)
}

/// Leaves of a JSON value by their dotted path; short lists stay on one line.
fn flatten(value: &Value) -> BTreeMap<String, String> {
    let mut leaves = BTreeMap::new();
    walk("", value, &mut leaves);
    leaves
}

fn walk(path: &str, value: &Value, leaves: &mut BTreeMap<String, String>) {
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().for_each(|(key, value)| walk(&join(key), value, leaves));
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (index, item) in items.iter().enumerate() {
                walk(&join(&index.to_string()), item, leaves);
            }
        }
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().map(plain).collect();
            leaves.insert(path.to_owned(), format!("[{}]", texts.join(", ")));
        }
        other => {
            leaves.insert(path.to_owned(), plain(other));
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The version that already means what is wanted, else the first name nobody uses.
fn next_version(store: &Store, settings: &Settings, wanted: &Identity) -> (VersionName, bool) {
    let mut name = settings.version.clone();
    loop {
        let next = increment(&name);
        if next == name {
            // A name of the full length cannot be raised; any other one will do.
            return (name, false);
        }
        name = next;
        let taken = |profile: &&ProfileName| store.version_dir(profile, &name).exists();
        let holders: Vec<&ProfileName> = settings.profiles.keys().filter(taken).collect();
        if holders.is_empty() {
            return (name, false);
        }
        if holders.iter().all(|profile| means(store, profile, &name, wanted)) {
            return (name, true);
        }
    }
}

/// True where a version on disk is known to mean what is wanted.
fn means(store: &Store, profile: &ProfileName, version: &VersionName, wanted: &Identity) -> bool {
    let held = store.load(profile, version).ok().and_then(|held| held.identity);
    held.is_some_and(|held| {
        (held.dataset, held.signal, held.labels) == (wanted.dataset.clone(), wanted.signal, wanted.labels)
    })
}

/// Raises the number behind the first `v` that stands at a word's beginning (`v1_256hz` → `v2_256hz`); appends `_v2` where there is none.
#[must_use]
pub fn increment(version: &VersionName) -> VersionName {
    let text = version.as_str();
    let mut start = 0;
    for word in text.split(['_', '-', '.']) {
        if let Some(number) = word.strip_prefix('v').and_then(|digits| digits.parse::<u64>().ok()) {
            let raised =
                format!("{}v{}{}", &text[..start], number.saturating_add(1), &text[start + word.len()..]);
            return VersionName::new(raised).unwrap_or_else(|_| version.clone());
        }
        start += word.len() + 1;
    }
    let shortened: String = text.chars().take(120).collect();
    VersionName::new(format!("{shortened}_v2")).unwrap_or_else(|_| version.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_version_keeps_the_rest_of_the_name() {
        for (before, after) in [
            ("v1_256hz_10-20", "v2_256hz_10-20"),
            ("demo_v9_256hz", "demo_v10_256hz"),
            ("paper", "paper_v2"),
            ("paper_v2", "paper_v3"),
            ("view1", "view1_v2"),
        ] {
            assert_eq!(increment(&VersionName::new(before).unwrap()).as_str(), after);
        }
    }
}
