//! The sections of a configuration, and what else may stand beside them.

use crate::config::check::{Cursor, Findings};
use crate::config::layer::{Layer, LayerKind, SECTIONS};
use crate::config::node::{Datum, Node, Origin};
use crate::config::suggest::{is_typo, quoted};
use figment::value::{Empty, Value};
use std::collections::BTreeMap;

/// The keys of `data` that are ours; the others belong to the experiment.
pub(crate) const DATA_KEYS: [&str; 7] =
    ["dataset", "cache_dir", "splits", "data_dir", "sampling_rate", "window_size", "stride"];

/// A cursor on each section.
pub(crate) struct Sections<'a> {
    pub(crate) cache: Cursor<'a>,
    pub(crate) data: Cursor<'a>,
    pub(crate) dataset: Cursor<'a>,
    pub(crate) labels: Cursor<'a>,
    pub(crate) preprocessing: Cursor<'a>,
    pub(crate) storage: Cursor<'a>,
    pub(crate) windows: Cursor<'a>,
}

impl<'a> Sections<'a> {
    /// Cursors on the merged tree.
    pub(crate) fn new(findings: &'a Findings, merged: &'a BTreeMap<String, Node>) -> Self {
        let section = |key: &str| Cursor::section(findings, key, merged.get(key));
        Self {
            cache: section("cache"),
            data: section("data"),
            dataset: section("dataset"),
            labels: section("labels"),
            preprocessing: section("preprocessing"),
            storage: section("storage"),
            windows: section("windows"),
        }
    }
}

/// Takes out of every layer what cannot be merged: a section that is no map, a `dataset` outside of a dataset file.
pub(crate) fn sift(layers: &mut [Layer], findings: &Findings) {
    for layer in layers {
        let kind = layer.kind;
        let mut refused = Vec::new();
        layer.values.retain(|key, value| {
            let hint = match value {
                _ if !SECTIONS.contains(&key.as_str()) => return true,
                _ if key == "dataset" && kind != LayerKind::Dataset => dataset_hint(value),
                Value::Dict(..) => return true,
                // A section whose keys are all commented out says nothing.
                Value::Empty(_, Empty::Unit | Empty::None) => return false,
                _ => "write the keys below it, indented, or as `{key: value}`".to_owned(),
            };
            refused.push((key.clone(), hint));
            false
        });
        if kind == LayerKind::Dataset {
            refuse_choice(layer, findings);
        }
        for (key, hint) in refused {
            let message = if key == "dataset" && kind != LayerKind::Dataset {
                "`dataset` belongs into a dataset file".to_owned()
            } else {
                format!("`{key}` must be a map")
            };
            let origin = Origin { layer: 0, kind, place: layer.place(&[key]) };
            findings.problem(Some(&origin), message, hint);
        }
    }
}

/// The name was resolved before this file was read, so a choice inside of it comes too late.
fn refuse_choice(layer: &mut Layer, findings: &Findings) {
    let Some(Value::Dict(_, data)) = layer.values.get_mut("data") else { return };
    if data.remove("dataset").is_some() {
        let path = ["data".to_owned(), "dataset".to_owned()];
        let origin = Origin { layer: 0, kind: layer.kind, place: layer.place(&path) };
        let message = "a dataset file cannot choose a dataset by `data.dataset`";
        findings.problem(
            Some(&origin),
            message,
            "delete the key: the file is read because its name was chosen",
        );
    }
}

fn dataset_hint(value: &Value) -> String {
    match value.as_str() {
        Some(name) => format!("write `data: {{dataset: {name}}}`"),
        None => "choose a dataset by `data: {dataset: NAME}` or `EEG_DATASET=NAME`; describe it in \
                 `configs/datasets/NAME.yaml`, whose `root` may read a variable such as `${EEG_DATA_ROOT}`"
            .to_owned(),
    }
}

/// Looks at the names beside ours: a slip of the finger would otherwise be taken for an experiment's own section.
pub(crate) fn check_neighbours(findings: &Findings, merged: &BTreeMap<String, Node>) {
    for (key, node) in merged.iter().filter(|(key, _)| !SECTIONS.contains(&key.as_str())) {
        if let Some(section) = SECTIONS.into_iter().find(|section| is_typo(key, section)) {
            let hint = format!(
                "did you mean `{section}`? our sections are {}; other names are yours",
                quoted(SECTIONS)
            );
            findings.problem(Some(&node.origin), format!("unknown section `{key}`"), hint);
        }
    }
    let Some(Datum::Map(data)) = merged.get("data").map(|node| &node.datum) else { return };
    for (key, node) in data.iter().filter(|(key, _)| !DATA_KEYS.contains(&key.as_str())) {
        if let Some(ours) = DATA_KEYS.into_iter().find(|ours| is_typo(key, ours)) {
            let hint = format!("did you mean `{ours}`? our keys of `data` are {}", quoted(DATA_KEYS));
            findings.problem(Some(&node.origin), format!("unknown key `data.{key}`"), hint);
        }
    }
}
