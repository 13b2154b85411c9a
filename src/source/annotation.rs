//! Which annotation files belong to a recording: patterns become paths that exist.
//!
//! A pattern is relative to the recording's directory. The first pattern that finds a file counts; one with
//! wildcards that finds two is refused, because neither is more right than the other.

use crate::error::{Error, Result};
use crate::model::dataset::DatasetSpec;
use crate::model::inventory::Stamp;
use crate::source::identity::stem;
use crate::source::walk::Seen;

/// Returns the path of the first pattern that finds a file for a recording, and what the walk was told of it.
pub(super) fn find(
    seen: &Seen,
    spec: &DatasetSpec,
    patterns: &[String],
    recording: &str,
    id: Option<&str>,
) -> Result<Option<(String, Option<Stamp>)>> {
    for pattern in patterns {
        let path = beside(recording, id, pattern).ok_or_else(|| {
            Error::usage(
                format!(
                    "annotation pattern `{pattern}` of dataset `{}` leaves the root for `{recording}`",
                    spec.name
                ),
                "write a pattern relative to the recording's directory that stays below `root`",
            )
        })?;
        let found = if is_wild(pattern) { match_one(seen, pattern, &path, recording)? } else { Some(path) };
        if let Some(path) = found
            && let Some((_, stamp)) = seen.get(&path)
        {
            return Ok(Some((path, *stamp)));
        }
    }
    Ok(None)
}

/// The one file that a path with wildcards in its last part names; a recording is not its own annotation.
fn match_one(seen: &Seen, pattern: &str, path: &str, recording: &str) -> Result<Option<String>> {
    let (directory, last) = path.rsplit_once('/').unwrap_or(("", path));
    let joined =
        |name: &str| if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
    let names = seen.names(directory).iter().map(|(name, _)| name.as_str());
    let mut found = names.filter(|name| matches(last.as_bytes(), name.as_bytes()));
    let mut next = || found.by_ref().map(joined).find(|path| path != recording);
    match (next(), next()) {
        (Some(first), Some(second)) => Err(Error::usage(
            format!("annotation pattern `{pattern}` finds `{first}` and `{second}` for `{recording}`"),
            "write a pattern that finds one file a recording, or take the other file away",
        )),
        (found, _) => Ok(found),
    }
}

/// Returns the paths under which the annotation file of a recording is looked for; wildcards stand as they are.
#[must_use]
pub fn annotation_names(spec: &DatasetSpec, recording: &str, id: &str) -> Vec<String> {
    spec.annotations.file.iter().filter_map(|pattern| beside(recording, Some(id), pattern)).collect()
}

fn is_wild(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// `*` stands for any bytes, `?` for one. Linear in the product of the lengths.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen, mut back) = (0, 0, None);
    while seen < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                back = Some((at, seen));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[seen] => (at, seen) = (at + 1, seen + 1),
            _ => {
                let Some((star, from)) = back else { return false };
                (at, seen, back) = (star + 1, from + 1, Some((star, from + 1)));
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// Returns the path that `pattern` names for a recording, or nothing where it leaves the root.
fn beside(recording: &str, id: Option<&str>, pattern: &str) -> Option<String> {
    if pattern.starts_with('/') {
        return None;
    }
    let (folder, name) = recording.rsplit_once('/').unwrap_or(("", recording));
    let above = |count: usize| folder.rsplit('/').nth(count).unwrap_or_default();
    let value = |place: &str| match place {
        "stem" => Some(stem(recording)),
        "name" => Some(name),
        "id" => Some(id.unwrap_or_default()),
        "dir" => Some(above(0)),
        "parent" => Some(above(1)),
        _ => None,
    };
    let mut written = String::with_capacity(recording.len() + pattern.len());
    fill(pattern, value, &mut written);
    if !pattern.contains('/') && !matches!(&*written, "" | "." | "..") {
        // Nearly every pattern names a file in the recording's own directory.
        let slash = if folder.is_empty() { "" } else { "/" };
        return Some([folder, slash, &written].concat());
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in written.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Writes a pattern with the values of its places; braces around anything else stay as they are.
fn fill<'a>(pattern: &str, value: impl Fn(&str) -> Option<&'a str>, out: &mut String) {
    let mut rest = pattern;
    while let Some((before, behind)) = rest.split_once('{') {
        out.push_str(before);
        let known = behind.split_once('}').and_then(|(place, after)| Some((value(place)?, after)));
        let (text, after) = known.unwrap_or(("{", behind));
        out.push_str(text);
        rest = after;
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotation_patterns_stay_below_the_root() {
        for (recording, pattern, expected) in [
            ("a/b/x.edf", "{stem}.csv", Some("a/b/x.csv")),
            ("x.edf", "{stem}.edf.seizures", Some("x.edf.seizures")),
            ("x.edf", "{name}.seizures", Some("x.edf.seizures")),
            ("p/a/x.edf", "{dir}-summary.txt", Some("p/a/a-summary.txt")),
            ("p/a/x.edf", "{parent}_{id}.tsv", Some("p/a/p_i.tsv")),
            ("x.edf", "{dir}-summary.txt", Some("-summary.txt")),
            ("a/b/x.v2.edf", "../csv/{stem}.csv", Some("a/csv/x.v2.csv")),
            ("a/b/x.edf", "../../all.csv", Some("all.csv")),
            ("a/b/x.edf", "./s/{stem}/{stem}.csv", Some("a/b/s/x/x.csv")),
            ("a/x.edf", "../../{stem}.csv", None),
            ("a/x.edf", "/etc/{stem}.csv", None),
            ("a/x.edf", "{stem", Some("a/{stem")),
            ("a/x.edf", "{what}_{{stem}}", Some("a/{what}_{x}")),
            ("p/{id}/x.edf", "{dir}.csv", Some("p/{id}/{id}.csv")),
            ("a/x.edf", "..", Some("")),
            ("a/..edf", "{stem}", Some("a")),
            ("x.edf", "..", None),
        ] {
            assert_eq!(beside(recording, Some("i"), pattern).as_deref(), expected, "{recording} {pattern}");
        }
    }

    #[test]
    fn wildcards_match_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("x?-H.edf", "xC-H.edf", true),
            ("x?-H.edf", "x-H.edf", false),
            ("x*.edf", "x.edf", true),
            ("*a*b", "xaxbxab", true),
            ("*a*b", "xaxbxa", false),
            ("*", "", true),
            ("?", "", false),
            ("a", "ab", false),
            ("a*", "a", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
