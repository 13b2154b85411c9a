//! A layer: values of one origin with the place of each, before anything is merged.
//!
//! Four kinds of text become layers: built-in defaults, YAML files, variables, flags. `${NAME}` is filled in
//! here, so that merging sees values only.

use crate::config::expand::{Environment, ExpandError, expand};
use crate::config::spans::KeyPath;
use crate::config::suggest::{nearest, quoted};
use crate::config::yaml;
use crate::error::Problem;
use figment::value::{Dict, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Where a layer comes from; a later kind overrides an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LayerKind {
    /// Built into the program.
    Default,
    /// `configs/cache/base.yaml`.
    Base,
    /// The dataset file that `data.dataset` names.
    Dataset,
    /// `configs/local.yaml`.
    Local,
    /// A `-c FILE`, in the order of the command line.
    Experiment,
    /// `EEGCACHE_<SECTION>__<KEY>`.
    Environment,
    /// `--profile`, `--cache-root`, `--set`.
    CommandLine,
}

/// The sections that are ours; what else a file holds belongs to the experiment and is left alone.
pub(crate) const SECTIONS: [&str; 7] =
    ["cache", "data", "dataset", "labels", "preprocessing", "storage", "windows"];

/// What is known about one place of a layer besides its value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Remark {
    /// The text before it was read as YAML: what a key that wants a text takes.
    pub(crate) text: Option<String>,
    /// True where the default of a `${NAME:-default}` was used.
    pub(crate) fallback: bool,
    /// Variables that were used.
    pub(crate) used: Vec<String>,
    /// The variable that is missing, or the `${…}` that is none.
    pub(crate) broken: Option<ExpandError>,
}

/// Values of one origin.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The origin's kind.
    pub kind: LayerKind,
    /// The file, or what the place of every value begins with.
    pub name: String,
    pub(crate) values: Dict,
    pub(crate) lines: BTreeMap<KeyPath, usize>,
    pub(crate) origins: BTreeMap<KeyPath, String>,
    pub(crate) remarks: BTreeMap<KeyPath, Remark>,
}

impl Layer {
    /// Reads a YAML file's text; `name` is the path that messages show.
    pub fn from_yaml(
        kind: LayerKind,
        name: &str,
        text: &str,
        env: &Environment,
    ) -> Result<Self, Vec<Problem>> {
        let document = yaml::parse(text).map_err(|faults| {
            let problem = |fault: yaml::Fault| Problem {
                message: fault.message,
                origin: Some(fault.line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"))),
                hint: Some(fault.hint),
            };
            faults.into_iter().map(problem).collect::<Vec<_>>()
        })?;
        let mut layer = Self::empty(kind, name);
        layer.values = document.values;
        layer.lines = document.lines;
        layer.expand(env);
        Ok(layer)
    }

    /// Collects `EEGCACHE_<SECTION>__<KEY>`; names without a double underscore are no configuration.
    pub fn from_environment(env: &Environment) -> Result<Self, Vec<Problem>> {
        let mut layer = Self::empty(LayerKind::Environment, "environment");
        let mut problems = Vec::new();
        let mut spellings: BTreeMap<KeyPath, (&String, &String)> = BTreeMap::new();
        for (name, text) in env {
            let lower = name.to_lowercase();
            let Some(rest) = lower.strip_prefix("eegcache_").filter(|rest| rest.contains("__")) else {
                continue;
            };
            let path: KeyPath = rest.split("__").map(str::to_owned).collect();
            let origin = format!("environment variable {name}");
            if let Some((other, before)) = spellings.insert(path.clone(), (name, text))
                && before != text
            {
                problems.push(Problem {
                    message: format!("`{name}={text}` and `{other}={before}` are two spellings of one key"),
                    origin: Some(origin.clone()),
                    hint: Some(format!("unset `{name}` or `{other}`")),
                });
            }
            problems.extend(layer.set(path, text, origin).err());
        }
        layer.expand(env);
        if problems.is_empty() { Ok(layer) } else { Err(problems) }
    }

    /// Collects `--set key.sub=value`, in order.
    pub fn from_assignments(assignments: &[String], env: &Environment) -> Result<Self, Vec<Problem>> {
        let mut layer = Self::empty(LayerKind::CommandLine, "command line");
        let mut problems = Vec::new();
        for assignment in assignments {
            let origin = format!("--set {assignment}");
            let Some((key, text)) = assignment.split_once('=') else {
                problems.push(Problem {
                    message: format!("`{assignment}` has no `=`"),
                    origin: Some(origin),
                    hint: Some("write `--set key=value`, for instance `--set windows.stride_s=5`".to_owned()),
                });
                continue;
            };
            let path: KeyPath = key.trim().split('.').map(str::to_owned).collect();
            problems.extend(layer.set(path, text.trim(), origin).err());
        }
        layer.expand(env);
        if problems.is_empty() { Ok(layer) } else { Err(problems) }
    }

    /// A flag that sets one text, such as `--profile smoke`.
    pub fn from_flag(flag: &str, key: [&str; 2], text: &str) -> Result<Self, Vec<Problem>> {
        let mut layer = Self::empty(LayerKind::CommandLine, "command line");
        match layer.set(key.map(str::to_owned).to_vec(), text, format!("{flag} {text}")) {
            Ok(()) => Ok(layer),
            Err(problem) => Err(vec![problem]),
        }
    }

    fn empty(kind: LayerKind, name: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            values: Dict::new(),
            lines: BTreeMap::new(),
            origins: BTreeMap::new(),
            remarks: BTreeMap::new(),
        }
    }

    /// Puts one value in; only sections of ours can be set from outside of a file.
    fn set(&mut self, path: KeyPath, text: &str, origin: String) -> Result<(), Problem> {
        let problem = |message: String, hint: String| Problem {
            message,
            origin: Some(origin.clone()),
            hint: Some(hint),
        };
        if path.len() < 2 || path.iter().any(String::is_empty) {
            let message = format!("`{}` names no key", path.join("."));
            let hint = "a key is a section and a name: `cache.profile`, or `EEGCACHE_CACHE__PROFILE`";
            return Err(problem(message, hint.to_owned()));
        }
        if !SECTIONS.contains(&path[0].as_str()) {
            let meant =
                nearest(&path[0], SECTIONS).map_or_else(String::new, |s| format!("did you mean `{s}`? "));
            let hint = format!("{meant}the sections are {}", quoted(SECTIONS));
            return Err(problem(
                format!("there is no section `{}` to set `{}` in", path[0], path.join(".")),
                hint,
            ));
        }
        let value = yaml::value(text).unwrap_or_else(|| Value::from(text));
        if !insert(&mut self.values, &path, value) {
            let message = format!("`{}` lies inside of a key that was set to a plain value", path.join("."));
            return Err(problem(message, "set the one or the other".to_owned()));
        }
        self.remarks.insert(path.clone(), Remark { text: Some(text.to_owned()), ..Remark::default() });
        self.origins.insert(path, origin);
        Ok(())
    }

    /// Fills in `${NAME}` in our sections; what cannot be filled in is remembered, and matters only if the value is used.
    fn expand(&mut self, env: &Environment) {
        let mut remarks = std::mem::take(&mut self.remarks);
        for (section, value) in &mut self.values {
            if SECTIONS.contains(&section.as_str()) {
                expand_value(value, &mut vec![section.clone()], env, &mut remarks);
            }
        }
        self.remarks = remarks;
    }

    /// Returns where the value at `path` was written: `configs/x.yaml:12`, a variable or a flag.
    pub(crate) fn place(&self, path: &[String]) -> String {
        let mut place = self.name.clone();
        for length in (1..=path.len()).rev() {
            if let Some(origin) = self.origins.get(&path[..length]) {
                place.clone_from(origin);
                break;
            }
            if let Some(line) = self.lines.get(&path[..length]) {
                place = format!("{}:{line}", self.name);
                break;
            }
        }
        let used: BTreeSet<&String> =
            self.remarks.get(path).into_iter().flat_map(|remark| &remark.used).collect();
        used.into_iter().fold(place, |place, name| format!("{place} via ${{{name}}}"))
    }
}

fn insert(values: &mut Dict, path: &[String], value: Value) -> bool {
    match path {
        [] => false,
        [key] => {
            values.insert(key.clone(), value);
            true
        }
        [key, rest @ ..] => {
            let inner = values.entry(key.clone()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, inner) = inner { insert(inner, rest, value) } else { false }
        }
    }
}

fn expand_value(
    value: &mut Value,
    path: &mut KeyPath,
    env: &Environment,
    remarks: &mut BTreeMap<KeyPath, Remark>,
) {
    match value {
        Value::String(_, text) => {
            if let Some(expanded) = expand_text(text, path, env, remarks) {
                *value = expanded;
            }
        }
        Value::Dict(_, entries) => {
            for (key, value) in entries {
                path.push(key.clone());
                expand_value(value, path, env, remarks);
                path.pop();
            }
        }
        Value::Array(_, items) => {
            for (index, value) in items.iter_mut().enumerate() {
                path.push(index.to_string());
                expand_value(value, path, env, remarks);
                path.pop();
            }
        }
        _ => {}
    }
}

fn expand_text(
    text: &str,
    path: &KeyPath,
    env: &Environment,
    remarks: &mut BTreeMap<KeyPath, Remark>,
) -> Option<Value> {
    match expand(text, env) {
        Ok(None) => None,
        Ok(Some(done)) => {
            let value = done.whole.then(|| yaml::value(&done.text)).flatten();
            let value = value.unwrap_or_else(|| Value::from(done.text.as_str()));
            let remark =
                Remark { text: Some(done.text), fallback: done.fallback, used: done.used, broken: None };
            remarks.insert(path.clone(), remark);
            Some(value)
        }
        Err(error) => {
            remarks.insert(path.clone(), Remark { broken: Some(error), ..Remark::default() });
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn path(text: &str) -> KeyPath {
        text.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn layers_are_ordered_as_the_contract_says() {
        use LayerKind::{Base, CommandLine, Dataset, Default, Environment, Experiment, Local};
        let order = [Default, Base, Dataset, Local, Experiment, Environment, CommandLine];
        assert!(order.is_sorted());
    }

    #[test]
    fn only_names_with_a_double_underscore_are_configuration() {
        let env = env(&[
            ("EEGCACHE_DIR", "/x"),
            ("EEGCACHE_CACHE__PROFILE", "dev"),
            ("EEGCACHE_WINDOWS__STRIDE_S", "5"),
            ("EEGCACHE_CACHE__PROFILES__DEV__SUBSET", "first_9_files"),
            ("eegcache_storage__dtype", "float16"),
        ]);
        let layer = Layer::from_environment(&env).unwrap();
        assert_eq!(layer.values.len(), 3);
        assert_eq!(layer.place(&path("windows.stride_s")), "environment variable EEGCACHE_WINDOWS__STRIDE_S");
        assert_eq!(layer.values["windows"].as_dict().unwrap()["stride_s"], Value::from(5_i64));
    }

    #[test]
    fn a_lone_variable_is_read_again_as_yaml_and_keeps_its_text() {
        let env = env(&[("N", "007"), ("R", "256"), ("L", "[copy]")]);
        let text = "cache:\n  link: ${L}\n  root: ${R}\npreprocessing: {sampling_rate: '${R}', clip: '${X:-null}'}\n";
        let layer = Layer::from_yaml(LayerKind::Base, "f.yaml", text, &env).unwrap();
        let cache = layer.values["cache"].as_dict().unwrap();
        assert_eq!(cache["link"], Value::from(vec!["copy"]));
        assert_eq!(cache["root"], Value::from(256_i64));
        assert_eq!(layer.remarks[&path("cache.root")].text.as_deref(), Some("256"));
        assert_eq!(layer.place(&path("cache.root")), "f.yaml:3 via ${R}");
        let preprocessing = layer.values["preprocessing"].as_dict().unwrap();
        assert!(matches!(preprocessing["clip"], Value::Empty(..)));
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let layer = Layer::from_yaml(LayerKind::Base, "f", "model: {path: '${NO}'}\n", &env(&[])).unwrap();
        assert!(layer.remarks.is_empty());
    }
}
