//! The merged values as a tree in which every node knows where it was written.
//!
//! figment merges (maps merge, lists replace) and tags every value with its layer; this file turns
//! the tags into places.

use crate::config::expand::ExpandError;
use crate::config::layer::{Layer, LayerKind, Remark};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use std::collections::BTreeMap;

/// A merged value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Datum {
    Null,
    Flag(bool),
    Whole(i128),
    Real(f64),
    Text(String),
    List(Vec<Node>),
    Map(BTreeMap<String, Node>),
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The index of the layer, ascending with precedence.
    pub(crate) layer: usize,
    /// The kind of the layer.
    pub(crate) kind: LayerKind,
    /// The place as messages show it.
    pub(crate) place: String,
}

/// A merged value, its place, and what is known besides.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) datum: Datum,
    pub(crate) origin: Origin,
    /// The text before it was read as YAML, where it came from a variable or a flag.
    pub(crate) text: Option<String>,
    /// True where the default of a `${NAME:-default}` was used.
    pub(crate) fallback: bool,
    /// The variable that could not be filled in.
    pub(crate) broken: Option<ExpandError>,
}

struct Tagged<'a> {
    index: usize,
    layer: &'a Layer,
}

impl Provider for Tagged<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.index.to_string())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.layer.values.clone()))
    }
}

/// Merges `layers`, which ascend in precedence.
pub(crate) fn merge(layers: &[Layer]) -> BTreeMap<String, Node> {
    let mut figment = Figment::new();
    for (index, layer) in layers.iter().enumerate() {
        figment = figment.merge(Tagged { index, layer });
    }
    let mut merged = figment.data().unwrap_or_default();
    let values = merged.remove(&Profile::Default).unwrap_or_default();
    let tree = Tree { figment: &figment, layers };
    values.into_iter().map(|(key, value)| (key.clone(), tree.node(value, &mut vec![key]))).collect()
}

struct Tree<'a> {
    figment: &'a Figment,
    layers: &'a [Layer],
}

impl Tree<'_> {
    fn node(&self, value: Value, path: &mut Vec<String>) -> Node {
        let metadata = self.figment.get_metadata(value.tag());
        let index = metadata.and_then(|metadata| metadata.name.parse().ok()).unwrap_or(0);
        let layer: &Layer = &self.layers[index];
        let origin = Origin { layer: index, kind: layer.kind, place: layer.place(path) };
        let remark = layer.remarks.get(path.as_slice()).cloned().unwrap_or_default();
        let Remark { text, fallback, broken, .. } = remark;
        Node { datum: self.datum(value, path), origin, text, fallback, broken }
    }

    fn datum(&self, value: Value, path: &mut Vec<String>) -> Datum {
        let mut inner = |key: String, value: Value| {
            path.push(key);
            let node = self.node(value, path);
            path.pop();
            node
        };
        match value {
            Value::String(_, text) => Datum::Text(text),
            Value::Char(_, letter) => Datum::Text(letter.to_string()),
            Value::Bool(_, flag) => Datum::Flag(flag),
            Value::Num(_, number) => match (number.to_i128(), number.to_u128()) {
                (Some(whole), _) => Datum::Whole(whole),
                (None, Some(whole)) => Datum::Whole(i128::try_from(whole).unwrap_or(i128::MAX)),
                (None, None) => Datum::Real(number.to_f64().unwrap_or(f64::NAN)),
            },
            Value::Empty(..) => Datum::Null,
            Value::Dict(_, entries) => {
                Datum::Map(entries.into_iter().map(|(k, v)| (k.clone(), inner(k, v))).collect())
            }
            Value::Array(_, items) => {
                Datum::List(items.into_iter().enumerate().map(|(i, v)| inner(i.to_string(), v)).collect())
            }
        }
    }
}

impl Node {
    /// Returns the value as one line of YAML.
    pub(crate) fn to_flow(&self) -> String {
        match &self.datum {
            Datum::Null => "null".to_owned(),
            Datum::Flag(flag) => flag.to_string(),
            Datum::Whole(number) => number.to_string(),
            Datum::Real(number) => real_text(*number),
            Datum::Text(text) => scalar_text(text),
            Datum::List(items) => {
                format!("[{}]", items.iter().map(Self::to_flow).collect::<Vec<_>>().join(", "))
            }
            Datum::Map(entries) => {
                let entry =
                    |(key, node): (&String, &Self)| format!("{}: {}", scalar_text(key), node.to_flow());
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// Returns the value as JSON.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.datum {
            Datum::Null => serde_json::Value::Null,
            Datum::Flag(flag) => (*flag).into(),
            Datum::Whole(number) => match i64::try_from(*number) {
                Ok(number) => number.into(),
                Err(_) => number.to_string().into(),
            },
            Datum::Real(number) => (*number).into(),
            Datum::Text(text) => text.clone().into(),
            Datum::List(items) => items.iter().map(Self::to_json).collect(),
            Datum::Map(entries) => entries.iter().map(|(k, v)| (k.clone(), v.to_json())).collect(),
        }
    }
}

/// A float that stays a float when it is read again.
pub(crate) fn real_text(number: f64) -> String {
    match number {
        number if number.is_nan() => ".nan".to_owned(),
        number if number.is_infinite() => if number > 0.0 { ".inf" } else { "-.inf" }.to_owned(),
        number => format!("{number:?}"),
    }
}

/// A text as YAML, quoted only where it would be read as something else.
pub(crate) fn scalar_text(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '-' | '+' | ' ' | '(' | ')');
    let bare = text.chars().all(plain)
        && text.trim() == text
        && text.trim_start_matches('.').starts_with(|c: char| c.is_alphabetic() || matches!(c, '/' | '_'))
        && !matches!(
            text.to_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | ".inf" | ".nan"
        );
    if bare { text.to_owned() } else { format!("{text:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::expand::Environment;

    #[test]
    fn maps_merge_lists_replace_and_every_leaf_keeps_its_place() {
        let layer = |kind, name, text| Layer::from_yaml(kind, name, text, &Environment::new()).unwrap();
        let layers = [
            layer(LayerKind::Base, "base.yaml", "cache:\n  version: v1\n  link: [reflink,\n    copy]\n"),
            layer(LayerKind::Experiment, "x.yaml", "# new\ncache:\n  link:\n    - hardlink\n  root: null\n"),
        ];
        let merged = merge(&layers);
        let Datum::Map(cache) = &merged["cache"].datum else { panic!() };
        assert_eq!(cache["version"].origin.place, "base.yaml:2");
        assert_eq!(cache["link"].origin.place, "x.yaml:3");
        assert_eq!(cache["link"].to_flow(), "[hardlink]");
        assert_eq!((cache["root"].to_flow(), cache["root"].origin.layer), ("null".to_owned(), 1));
        let Datum::List(items) = &cache["link"].datum else { panic!() };
        assert_eq!(items[0].origin.place, "x.yaml:4");
    }

    #[test]
    fn texts_are_quoted_where_they_must_be() {
        for (text, flow) in [
            ("smoke", "smoke"),
            (".demo/edf", ".demo/edf"),
            (".5", "\".5\""),
            (".nan", "\".nan\""),
            ("10-20", "\"10-20\""),
            ("true", "\"true\""),
            ("", "\"\""),
            ("a: b", "\"a: b\""),
            ("/data/x y", "/data/x y"),
            ("**/*.edf", "\"**/*.edf\""),
            (" a", "\" a\""),
        ] {
            assert_eq!(scalar_text(text), flow);
        }
        assert_eq!(real_text(120.0), "120.0");
    }
}
