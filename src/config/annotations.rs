//! `dataset.annotations`: which files belong to a recording, in which format, and what they leave open.

use crate::config::check::Cursor;
use crate::config::suggest::quoted;
use crate::model::dataset::AnnotationFiles;
use crate::model::id::RecordingId;
use crate::model::recipe::{AnnotationFormat, NoRowMeans};
use std::collections::BTreeMap;

const KEYS: [&str; 6] = ["format", "file", "cross_check", "cross_check_format", "no_row_means", "names"];
const HINT: &str = "write it relative to the recording's folder, for instance `\"{stem}.csv\"`";

/// The section.
#[derive(Debug, Clone)]
pub(crate) struct Annotations {
    pub(crate) format: AnnotationFormat,
    pub(crate) files: AnnotationFiles,
    pub(crate) no_row_means: NoRowMeans,
    pub(crate) names: BTreeMap<String, String>,
}

impl Annotations {
    /// True where the annotations lie in the recordings themselves.
    pub(crate) fn is_inside(&self) -> bool {
        self.format == AnnotationFormat::EdfAnnotations && self.files.file.is_empty()
    }

    /// The format of the file that cross-checks, where it is not the usual one.
    pub(crate) fn unusual_cross_check(&self) -> Option<AnnotationFormat> {
        self.files.cross_check_format.filter(|format| *format != self.format.cross_check())
    }
}

/// Reads the section; without it, or with `none`, there are no annotations.
pub(crate) fn read(at: &Cursor<'_>) -> Option<Annotations> {
    if !at.is_given() || at.node.is_some_and(|node| node.to_flow() == "none") {
        return Some(Annotations {
            format: AnnotationFormat::None,
            files: AnnotationFiles::default(),
            no_row_means: NoRowMeans::Empty,
            names: BTreeMap::new(),
        });
    }
    at.keys(&KEYS).then_some(())?;
    at.at("format").required("write for instance `format: none`");
    let choose = |at: &Cursor<'_>| at.choice(AnnotationFormat::ALL, AnnotationFormat::as_str);
    let format = choose(&at.at("format"));
    let other = at.at("cross_check_format").optional(choose);
    let file = patterns(&at.at("file"), format);
    let cross_check =
        patterns(&at.at("cross_check"), other.ok().flatten().or(format.map(AnnotationFormat::cross_check)));
    let no_row = at.at("no_row_means").optional(|at| at.choice(NoRowMeans::ALL, NoRowMeans::as_str));
    let names = names(&at.at("names"), format);
    let files = AnnotationFiles { file: file?, cross_check: cross_check?, cross_check_format: other.ok()? };
    let (format, no_row, names) = (format?, no_row.ok()?, names?);
    check_files(at, format, &files)?;
    // A file of the recording's own that has no row found nothing; a list may just not know the recording.
    let silence = if format.is_shared() { NoRowMeans::Unlabelled } else { NoRowMeans::Empty };
    Some(Annotations { format, files, no_row_means: no_row.unwrap_or(silence), names })
}

fn check_files(at: &Cursor<'_>, format: AnnotationFormat, files: &AnnotationFiles) -> Option<()> {
    let (has_file, has_check) = (!files.file.is_empty(), !files.cross_check.is_empty());
    match format {
        AnnotationFormat::None if has_file => at.at("file").fail(
            format!("`{}.file` has no effect with `format: none`", at.key),
            "name the format of the file, or delete `file`",
        ),
        AnnotationFormat::EdfAnnotations if !has_file && !has_check => Some(()),
        _ if has_check && !has_file => at.at("cross_check").fail(
            format!("`{}.cross_check` has no deciding file to check", at.key),
            "write `file: \"{stem}.csv\"` as well",
        ),
        _ if files.cross_check_format.is_some() && !has_check => at.at("cross_check_format").fail(
            format!("`{}.cross_check_format` has no file to speak of", at.key),
            "write `cross_check: \"{stem}.csv_bi\"` as well, or delete it",
        ),
        AnnotationFormat::None => Some(()),
        _ if has_file => Some(()),
        _ => at.at("file").fail(
            format!("`{}.file` is not set", at.key),
            "write which file belongs to a recording: `file: \"{stem}.csv\"`",
        ),
    }
}

/// One pattern, or several of which the first that exists counts.
fn patterns(at: &Cursor<'_>, format: Option<AnnotationFormat>) -> Option<Vec<String>> {
    if !at.is_given() {
        return Some(Vec::new());
    }
    let items = at.texts()?;
    if items.is_empty() {
        return at.fail(format!("`{}` is an empty list", at.key), HINT);
    }
    items.into_iter().map(|(text, item)| pattern(&item, text, format)).collect()
}

fn pattern(at: &Cursor<'_>, text: String, format: Option<AnnotationFormat>) -> Option<String> {
    if text.starts_with('/') || text.split('/').any(|part| part == "..") {
        return at.fail(format!("`{}` is `{text}`, which leaves the recording's folder", at.key), HINT);
    }
    let own = ["{stem}", "{name}", "{id}"];
    let places: Vec<&str> = own.into_iter().chain(["{dir}", "{parent}"]).collect();
    let rest = places.iter().fold(text.clone(), |rest, place| rest.replace(place, ""));
    if rest.contains(['{', '}']) {
        let message = format!("`{}` is `{text}`; the only places in it can be {}", at.key, quoted(places));
        return at.fail(message, HINT);
    }
    if !format.is_some_and(AnnotationFormat::is_shared) && !own.iter().any(|place| text.contains(place)) {
        let message = format!("`{}` is `{text}`; it must hold one of {}", at.key, quoted(own));
        return at.fail(message, HINT);
    }
    if text.rsplit_once('/').is_some_and(|(folder, _)| folder.contains(['*', '?'])) {
        let message = format!("`{}` is `{text}`, with a wildcard in the name of a folder", at.key);
        return at.fail(message, "`*` and `?` can stand in the file's own name");
    }
    Some(text)
}

fn names(at: &Cursor<'_>, format: Option<AnnotationFormat>) -> Option<BTreeMap<String, String>> {
    if !at.is_given() {
        return Some(BTreeMap::new());
    }
    if let Some(format) = format.filter(|format| !format.is_shared()) {
        let message = format!(
            "`{}` has no effect: a file of format `{}` speaks of one recording",
            at.key,
            format.as_str()
        );
        return at.fail(message, "delete it, or let `file` find the file");
    }
    let names: BTreeMap<String, String> = at.text_entries()?.into_iter().collect();
    for id in names.keys() {
        if let Err(error) = RecordingId::new(id.as_str()) {
            let hint = "write the recording's id, then what the file calls it: `names: {PN06-1: PNO6-1.edf}`";
            return at.at(id).fail(format!("`{}`: {error}", at.at(id).key), hint);
        }
    }
    Some(names)
}
