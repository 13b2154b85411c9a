//! Whose recording a path is: id, subject and split by the rules of the dataset, and what must not be:
//! two recordings of one id, one subject in two splits.

use crate::error::{Error, Result};
use crate::model::dataset::DatasetSpec;
use crate::model::failure::{Failure, FailureClass};
use crate::model::id::{RecordingId, Split};
use crate::source::walk::Listed;
use regex::Regex;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Who a recording is.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// Its path.
    pub path: String,
    /// Its id, or why it has none.
    pub id: Result<RecordingId, Failure>,
    /// Its subject, after aliases.
    pub subject: String,
    /// Its split.
    pub split: Split,
}

/// Returns who the recordings are, in the order given; refuses duplicate ids and leaking subjects.
///
/// All splits are looked at, whichever are in force: a leak is a leak.
pub(super) fn identify(spec: &DatasetSpec, listed: &[Listed]) -> Result<Vec<Identity>> {
    let identities = listed.iter().map(|one| identity(spec, one)).collect::<Result<Vec<_>>>()?;
    refuse_duplicates(&identities)?;
    refuse_leaks(&identities)?;
    Ok(identities)
}

/// True where the rules of the dataset give a recording at that path this subject and this split.
#[must_use]
pub fn is_placed(spec: &DatasetSpec, path: &str, subject: &str, split: Split) -> bool {
    let by_rule = alias(spec, written_subject(spec, path).unwrap_or_else(|| stem(path)));
    by_rule == subject && spec.splits.split(path, subject) == Some(split)
}

/// The subject in a path; nothing where the regex finds none.
fn written_subject<'a>(spec: &DatasetSpec, path: &'a str) -> Option<&'a str> {
    spec.subject.as_ref().map_or_else(|| Some(stem(path)), |regex| group(regex, "subject", path))
}

fn alias<'a>(spec: &'a DatasetSpec, written: &'a str) -> &'a str {
    spec.subject_aliases.get(written).map_or(written, String::as_str)
}

fn identity(spec: &DatasetSpec, listed: &Listed) -> Result<Identity> {
    let path = &listed.path;
    let subject = written_subject(spec, path);
    let id = if !listed.is_utf8 {
        Err(bad_name(format!("the name of `{path}` is not UTF-8")))
    } else if subject.is_none() {
        Err(bad_name(format!("the `subject:` regex finds nothing in `{path}`")))
    } else {
        recording_id(spec.id.as_ref(), path)
    };
    let subject = alias(spec, subject.unwrap_or_else(|| stem(path))).to_owned();
    let split = spec.splits.split(path, &subject).ok_or_else(|| {
        Error::usage(
            format!("`{path}` of dataset `{}` lies in none of the folders of `splits.directory`", spec.name),
            "map its folder to `train`, `val` or `eval`, or narrow the globs of `recordings`",
        )
    })?;
    Ok(Identity { path: path.clone(), id, subject, split })
}

fn bad_name(message: String) -> Failure {
    Failure::new(FailureClass::BadName, message)
}

/// Returns the id of a path: the captured text with `/` written as `_`, or the file's stem.
fn recording_id(regex: Option<&Regex>, path: &str) -> Result<RecordingId, Failure> {
    let text = match regex {
        None => stem(path).to_owned(),
        Some(regex) => group(regex, "id", path)
            .ok_or_else(|| bad_name(format!("the `id:` regex finds nothing in `{path}`")))?
            .replace('/', "_"),
    };
    RecordingId::new(text).map_err(|error| bad_name(format!("`{path}`: {error}")))
}

/// Returns the file name without its last extension.
pub(super) fn stem(path: &str) -> &str {
    Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or(path)
}

/// Returns what the group `name`, or else the first group, captures.
fn group<'a>(regex: &Regex, name: &str, path: &'a str) -> Option<&'a str> {
    let captures = regex.captures(path)?;
    let found = captures.name(name).or_else(|| captures.get(1)).or_else(|| captures.get(0))?;
    Some(found.as_str())
}

fn refuse_duplicates(identities: &[Identity]) -> Result<()> {
    let ids = || identities.iter().filter_map(|one| Some((one.id.as_ref().ok()?, &one.path)));
    let mut seen: HashMap<String, &String> = HashMap::with_capacity(identities.len());
    let mut clashes = Vec::new();
    for (id, path) in ids() {
        if let Some(first) = seen.insert(id.as_str().to_ascii_lowercase(), path) {
            clashes.push((id, first, path));
        }
    }
    let Some((id, first, second)) = clashes.first() else { return Ok(()) };
    let more = match clashes.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more such files)"),
    };
    let message = format!("`{first}` and `{second}` have the same recording id `{id}`, case ignored{more}");
    let paths: Vec<&str> = ids().map(|(_, path)| path.as_str()).collect();
    Err(Error::usage(message, duplicate_hint(&paths)))
}

fn duplicate_hint(paths: &[&str]) -> String {
    match mending_regex(paths) {
        Some(regex) => format!("make ids of directory and name: write `id: '{regex}'` in the dataset file"),
        None => {
            "rename one of them, or write an `id:` regex in the dataset file that tells them apart".to_owned()
        }
    }
}

/// Returns a regex under which all of `paths` have ids of their own: as few directories as do, then the stem.
fn mending_regex(paths: &[&str]) -> Option<String> {
    let deepest = paths.iter().map(|path| path.matches('/').count()).max().unwrap_or(0);
    let shallowest = paths.iter().map(|path| path.matches('/').count()).min().unwrap_or(0);
    let by_depth = (1..=shallowest).map(|depth| format!(r"({}[^/]+)\.[^./]+$", "[^/]+/".repeat(depth)));
    let whole = (deepest > 0).then(|| r"^(.+)\.[^./]+$".to_owned());
    let candidates = by_depth.chain(whole).chain([r"^(.+)$".to_owned()]);
    candidates.into_iter().find(|candidate| tells_apart(candidate, paths))
}

fn tells_apart(candidate: &str, paths: &[&str]) -> bool {
    let Ok(regex) = Regex::new(candidate) else { return false };
    let mut ids = std::collections::BTreeSet::new();
    paths
        .iter()
        .all(|path| recording_id(Some(&regex), path).is_ok_and(|id| ids.insert(id.as_str().to_lowercase())))
}

fn refuse_leaks(identities: &[Identity]) -> Result<()> {
    let mut first: HashMap<&str, &Identity> = HashMap::new();
    let mut leaks: BTreeMap<&str, (&Identity, &Identity)> = BTreeMap::new();
    for one in identities.iter().filter(|one| one.id.is_ok()) {
        let known = *first.entry(&one.subject).or_insert(one);
        if known.split != one.split {
            leaks.entry(&one.subject).or_insert((known, one));
        }
    }
    let Some((subject, (a, b))) = leaks.first_key_value() else { return Ok(()) };
    let more = match leaks.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more subjects)"),
    };
    Err(Error::Gate {
        message: format!(
            "subject `{subject}` is in two splits, {} (`{}`) and {} (`{}`){more}",
            a.split, a.path, b.split, b.path
        ),
        hint: "if they are different people, let the `subject:` regex capture more of the path or name one of them in `subject_aliases`; \
               if it is one person, divide with `splits: by_subject`"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proposed_regex_takes_as_few_directories_as_it_can() {
        for (paths, expected) in [
            (vec!["train/a/x.edf", "train/b/x.edf"], Some(r"([^/]+/[^/]+)\.[^./]+$")),
            (vec!["a/s1/x.edf", "b/s1/x.edf"], Some(r"([^/]+/[^/]+/[^/]+)\.[^./]+$")),
            (vec!["x.edf", "b/x.edf"], Some(r"^(.+)\.[^./]+$")),
            (vec!["a/x.edf", "a/x.bdf"], Some(r"^(.+)$")),
            (vec!["a/x.edf", "A/X.edf"], None),
            (vec!["a b/x.edf", "c d/x.edf"], None),
        ] {
            assert_eq!(mending_regex(&paths).as_deref(), expected, "{paths:?}");
        }
    }
}
