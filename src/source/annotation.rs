//! Which annotation files belong to a recording: patterns become paths that exist.
//!
//! A pattern is relative to the recording's directory. The first pattern that finds a file counts; one with
//! wildcards that finds two is refused, because neither is more right than the other.

use crate::error::{Error, Result};
use crate::model::dataset::DatasetSpec;
use crate::source::identity::stem;
use crate::source::walk::Seen;
use std::collections::BTreeMap;

/// The files below a root, for looking up what patterns name.
pub(super) struct Shelf<'a> {
    seen: &'a Seen,
    /// File names by directory; filled only where a pattern has wildcards.
    names: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Shelf<'a> {
    pub(super) fn new(spec: &DatasetSpec, seen: &'a Seen) -> Self {
        let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut patterns = spec.annotations.file.iter().chain(&spec.annotations.cross_check);
        if patterns.any(|pattern| is_wild(pattern)) {
            for path in seen.keys() {
                let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
                names.entry(directory).or_default().push(name);
            }
            for names in names.values_mut() {
                names.sort_unstable();
            }
        }
        Self { seen, names }
    }

    /// Returns the path of the first pattern that finds a file for a recording.
    pub(super) fn find(
        &self,
        spec: &DatasetSpec,
        patterns: &[String],
        recording: &str,
        id: Option<&str>,
    ) -> Result<Option<String>> {
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
            let found =
                if is_wild(pattern) { self.match_one(pattern, &path, recording)? } else { Some(path) };
            if let Some(path) = found.filter(|path| self.seen.contains_key(path)) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// The one file that a path with wildcards in its last part names; a recording is not its own annotation.
    fn match_one(&self, pattern: &str, path: &str, recording: &str) -> Result<Option<String>> {
        let (directory, last) = path.rsplit_once('/').unwrap_or(("", path));
        let joined =
            |name: &str| if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
        let names = self.names.get(directory).map_or(&[][..], Vec::as_slice);
        let mut found = names.iter().filter(|name| matches(last.as_bytes(), name.as_bytes()));
        let mut next = || found.by_ref().map(|name| joined(name)).find(|path| path != recording);
        match (next(), next()) {
            (Some(first), Some(second)) => Err(Error::usage(
                format!("annotation pattern `{pattern}` finds `{first}` and `{second}` for `{recording}`"),
                "write a pattern that finds one file a recording, or take the other file away",
            )),
            (found, _) => Ok(found),
        }
    }
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
    let mut parts: Vec<&str> = recording.split('/').collect();
    let name = parts.pop()?;
    let folder = |above: usize| parts.iter().rev().nth(above).copied().unwrap_or_default();
    let places = [
        ("{stem}", stem(recording)),
        ("{name}", name),
        ("{id}", id.unwrap_or_default()),
        ("{dir}", folder(0)),
        ("{parent}", folder(1)),
    ];
    let written = places.iter().fold(pattern.to_owned(), |text, (place, value)| text.replace(place, value));
    for part in written.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
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
