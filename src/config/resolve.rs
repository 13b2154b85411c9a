//! All layers become one checked value, or a list of everything that is wrong.

use crate::config::annotations::Annotations;
use crate::config::cache;
use crate::config::check::{Cursor, Findings};
use crate::config::dataset;
use crate::config::expand::Environment;
use crate::config::labels;
use crate::config::layer::{Layer, LayerKind, SECTIONS};
use crate::config::node::{self, Datum, Node};
use crate::config::outline::{Outline, Setting};
use crate::config::paths;
use crate::config::recipe;
use crate::config::sections::{self, Sections};
use crate::config::splits;
use crate::config::suggest::quoted;
use crate::error::Problem;
use crate::model::id::ProfileName;
use crate::model::order::Family;
use crate::model::recipe::{LabelRecipe, Recipe, SignalRecipe, Step};
use crate::model::settings::Settings;
use std::collections::BTreeMap;
use std::path::Path;

/// What `resolve` works from, besides the layers.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The directory that holds `configs/`.
    pub project_root: &'a Path,
    /// The environment.
    pub env: &'a Environment,
    /// The names of the dataset files.
    pub datasets: &'a [String],
}

/// A configuration taken apart.
#[derive(Debug)]
pub struct Resolution {
    /// The checked value; absent where there are problems.
    pub settings: Option<Settings>,
    /// What can be said in any case.
    pub outline: Outline,
    /// Every value of our sections with its place, in the order of the keys.
    pub values: Vec<Setting>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What the user should hear about.
    pub warnings: Vec<String>,
}

impl Resolution {
    /// A configuration of which nothing could be read.
    #[must_use]
    pub fn failed(problems: Vec<Problem>) -> Self {
        Self {
            settings: None,
            outline: Outline::default(),
            values: Vec::new(),
            problems,
            warnings: Vec::new(),
        }
    }
}

/// The built-in defaults as the lowest layer.
pub fn defaults() -> Result<Layer, Vec<Problem>> {
    let text = include_str!("defaults.yaml");
    let mut layer = Layer::from_yaml(LayerKind::Default, "built-in default", text, &Environment::new())?;
    layer.lines.clear();
    Ok(layer)
}

/// Resolves the name of the dataset over all layers, before its file becomes one of them.
pub fn dataset_name(layers: &[Layer], around: Surroundings<'_>) -> Result<String, Vec<Problem>> {
    let findings = Findings::default();
    let mut layers = layers.to_vec();
    layers.sort_by_key(|layer| layer.kind);
    sections::sift(&mut layers, &findings);
    let merged = node::merge(&layers);
    let at = Sections::new(&findings, &merged).data.at("dataset");
    let hint = format!(
        "write `data: {{dataset: NAME}}`; the datasets are {}",
        quoted(around.datasets.iter().map(String::as_str))
    );
    let name = if at.required(&hint) { at.text() } else { None };
    match name {
        Some(name) if around.datasets.contains(&name) => return Ok(name),
        Some(name) => dataset::unknown(&at, &name, around.datasets),
        None => {}
    }
    Err(findings.into_parts().0)
}

/// Resolves the layers; `dataset` is the name whose file is among them, or nothing where that has already failed.
#[must_use]
pub fn resolve(layers: &[Layer], dataset: Option<&str>, around: Surroundings<'_>) -> Resolution {
    let findings = Findings::default();
    let mut layers = layers.to_vec();
    layers.sort_by_key(|layer| layer.kind);
    sections::sift(&mut layers, &findings);
    let merged = node::merge(&layers);
    let (settings, outline) = checked(&findings, &merged, dataset, around);
    if settings.is_none() && dataset.is_some() && findings.is_empty() {
        // Every getter that gives nothing has said why; should one have kept silent, nothing must go on.
        findings.problem(
            None,
            "the configuration cannot be resolved",
            "this is a defect of eegcache: please report it",
        );
    }
    let (problems, warnings) = findings.into_parts();
    let settings = settings.filter(|_| problems.is_empty());
    let settings = settings.map(|settings| Settings { warnings: warnings.clone(), ..settings });
    Resolution { settings, outline, values: values(&merged), problems, warnings }
}

fn checked(
    findings: &Findings,
    merged: &BTreeMap<String, Node>,
    name: Option<&str>,
    around: Surroundings<'_>,
) -> (Option<Settings>, Outline) {
    let at = Sections::new(findings, merged);
    let experiment = Cursor::section(findings, "experiment", merged.get("experiment"));
    sections::check_neighbours(findings, merged);
    check_environment(findings, around.env);
    let cache = cache::read(&at.cache, around.project_root);
    let dataset = name.map(|name| dataset::read(&at, name, around.project_root)).unwrap_or_default();
    let signal = recipe::signal(&at);
    let windows = labels::windows(&at, signal.as_ref().and_then(SignalRecipe::output_rate));
    let context = labels::Context {
        annotations: dataset.annotations.as_ref(),
        fixes: dataset.fixes.clone(),
        signal: signal.as_ref(),
    };
    let label_recipe = labels::recipe(&at.labels, context);
    let expected_share = labels::expected_share(&at.labels);
    let splits = splits::selected(&at.data.at("splits"), dataset.splits.as_ref());
    let names: Vec<&str> = cache.profiles.iter().flat_map(BTreeMap::keys).map(ProfileName::as_str).collect();
    cache::check_experiment(&experiment, cache.profile.as_ref(), &names.into_iter().collect());
    check_generated(&at, name, dataset.is_generated, around);
    check_family(&at, &cache, dataset.annotations.as_ref());
    check_mains(findings, dataset.mains_hz, signal.as_ref());
    let outline =
        outline(&at, &experiment, name, &cache, &dataset, signal.as_ref(), label_recipe.as_ref(), around);
    cache::check_cache_dir(&at, outline.cache_dir.as_deref(), around.project_root);
    let settings = || {
        Some(Settings {
            project_root: around.project_root.to_owned(),
            cache_root: cache.root?,
            version: cache.version?,
            profile: cache.profile?,
            profiles: cache.profiles?,
            family: cache.family?,
            link: cache.link?,
            max_quarantined: cache.max_quarantined?,
            dataset: dataset.spec?,
            splits: splits?,
            recipe: Recipe { signal: signal?, labels: label_recipe? },
            windows: windows?,
            expected_share: expected_share.ok()?,
            flags: String::new(),
            warnings: Vec::new(),
        })
    };
    (settings(), outline)
}

#[expect(
    clippy::too_many_arguments,
    reason = "gathers the parts of one pass; a struct would only name them twice"
)]
fn outline(
    at: &Sections<'_>,
    experiment: &Cursor<'_>,
    name: Option<&str>,
    cache: &cache::Cache,
    dataset: &dataset::Dataset,
    signal: Option<&SignalRecipe>,
    labels: Option<&LabelRecipe>,
    around: Surroundings<'_>,
) -> Outline {
    let directory = || {
        Some(
            cache
                .root
                .as_ref()?
                .join(cache.profile.as_ref()?.as_str())
                .join(cache.version.as_ref()?.as_str()),
        )
    };
    let subset = || Some(cache.profiles.as_ref()?.get(cache.profile.as_ref()?)?.subset.to_string());
    Outline {
        project_root: around.project_root.to_owned(),
        dataset: name.map(str::to_owned),
        profile: cache.profile.as_ref().map(ToString::to_string),
        version: cache.version.as_ref().map(ToString::to_string),
        cache_root: cache.root.clone(),
        cache_dir: directory(),
        subset: subset(),
        dataset_root: dataset.root.clone(),
        signal: signal.map(SignalRecipe::fingerprint),
        labels: labels.map(LabelRecipe::fingerprint),
        claims: cache::claims(at, experiment, around.project_root),
        cache_root_origin: at.cache.at("root").place(),
        dataset_root_origin: dataset.root_origin.clone(),
    }
}

/// Variables of the origin that profiles replace.
fn check_environment(findings: &Findings, env: &Environment) {
    for name in ["BGB_LIMIT_FILES", "BGB_SMOKE_TEST"] {
        if let Some(value) = env.get(name) {
            findings.warn(format!(
                "the environment variable `{name}={value}` has no effect: profiles replace it; \
                 write `--profile smoke` and unset `{name}`"
            ));
        }
    }
}

/// A generated dataset never reads `EEG_DATA_ROOT`, so whoever sets it expects something else.
fn check_generated(at: &Sections<'_>, name: Option<&str>, generated: bool, around: Surroundings<'_>) {
    let (Some(name), true) = (name, generated) else { return };
    let Some(root) = around.env.get("EEG_DATA_ROOT").filter(|root| !root.is_empty()) else { return };
    let others: Vec<&str> =
        around.datasets.iter().map(String::as_str).filter(|other| *other != name).collect();
    at.data.at("dataset").fail::<()>(
        format!("`EEG_DATA_ROOT` is set to `{root}`, but the dataset is `{name}`, which is generated and never reads it"),
        format!(
            "to use your own recordings `export EEG_DATASET=NAME`, NAME one of {}; to use `{name}`, `unset EEG_DATA_ROOT`",
            quoted(others)
        ),
    );
}

/// A balanced order has to know beforehand which recordings hold seizures.
fn check_family(at: &Sections<'_>, cache: &cache::Cache, annotations: Option<&Annotations>) {
    if cache.family == Some(Family::Balanced) && annotations.is_some_and(Annotations::is_inside) {
        at.cache.at("profiles").fail::<()>(
            "`balanced_N_files` asks which recordings hold seizures, but the annotations lie inside of the recordings",
            "write `first_N_files`: the order must be known before recordings are read",
        );
    }
}

fn check_mains(findings: &Findings, mains_hz: Option<f64>, signal: Option<&SignalRecipe>) {
    let (Some(mains), Some(signal)) = (mains_hz, signal) else { return };
    let notches = signal.steps.iter().filter_map(|step| match step {
        Step::Notch { freq_hz, .. } => Some(*freq_hz),
        _ => None,
    });
    for notch in notches.filter(|notch| *notch != mains) {
        findings.warn(format!("the notch is at {notch} Hz, but the dataset's mains frequency is {mains} Hz"));
    }
}

/// Flattens our sections; what an explicit list makes void is left out.
fn values(merged: &BTreeMap<String, Node>) -> Vec<Setting> {
    let mut settings = Vec::new();
    for section in SECTIONS {
        if let Some(node) = merged.get(section) {
            flatten(section, node, &mut settings);
        }
    }
    let has = |key: &str| settings.iter().any(|setting: &Setting| setting.key.starts_with(key));
    let void = |key: &str| match key.strip_prefix("preprocessing.") {
        Some("montage") => has("preprocessing.channels.order"),
        Some(key) => recipe::FLAT_STEPS.contains(&key) && has("preprocessing.steps"),
        None => {
            key.starts_with("data.") && !sections::DATA_KEYS.iter().any(|ours| key == format!("data.{ours}"))
        }
    };
    let dropped: Vec<bool> = settings.iter().map(|setting| void(&setting.key)).collect();
    settings.into_iter().zip(dropped).filter(|(_, dropped)| !dropped).map(|(setting, _)| setting).collect()
}

fn flatten(key: &str, node: &Node, settings: &mut Vec<Setting>) {
    match &node.datum {
        Datum::Map(entries) if !entries.is_empty() => {
            for (name, node) in entries {
                flatten(&format!("{key}.{name}"), node, settings);
            }
        }
        _ => settings.push(Setting {
            key: key.to_owned(),
            value: node.to_json(),
            origin: node.origin.place.clone(),
            shown: node.to_flow(),
        }),
    }
}

/// Shows a path as messages do.
#[must_use]
pub fn shown_path(path: &Path, project_root: &Path) -> String {
    paths::shown(path, project_root)
}
