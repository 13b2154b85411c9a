//! Reads the configuration files and hands their texts to `config`: the verb behind every other verb.
//!
//! The project root is found here, relative paths of `-c` are tried here, and what only the disk can
//! tell (a cache root inside a dataset root) is checked here.

use crate::config::{
    self, Environment, Layer, LayerKind, Outline, Resolution, Setting, Surroundings, did_you_mean, quoted,
    shown_path,
};
use crate::dsp;
use crate::error::{ConfigError, Error, Problem, Result};
use crate::model::settings::Settings;
use std::path::{Path, PathBuf};

/// Where the recipe, the versions and the profiles of a project stand.
const BASE: &str = "configs/cache/base.yaml";
/// What one person's machine needs; git-ignored.
const LOCAL: &str = "configs/local.yaml";
/// One file a dataset.
const DATASETS: &str = "configs/datasets";

/// What the command line says about the configuration.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `-c FILE`, in order.
    pub configs: Vec<PathBuf>,
    /// `--profile`.
    pub profile: Option<String>,
    /// `--cache-root`.
    pub cache_root: Option<String>,
    /// `--set key=value`, in order.
    pub set: Vec<String>,
}

/// A checked configuration, with the place of every value.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The checked value.
    pub settings: Settings,
    /// Every value of our sections with its place.
    pub values: Vec<Setting>,
    /// The names and fingerprints.
    pub outline: Outline,
}

/// Loads the configuration of the project around `cwd`, or every problem in it.
pub fn load(env: &Environment, cwd: &Path, request: &Request) -> Result<Resolved> {
    let resolution = inspect(env, cwd, request)?;
    match resolution.settings {
        Some(settings) => Ok(Resolved { settings, values: resolution.values, outline: resolution.outline }),
        None => Err(Error::Config(ConfigError { problems: resolution.problems })),
    }
}

/// Loads a configuration and keeps what can be said about it where something in it is wrong.
///
/// Fails only where no project is found.
pub fn inspect(env: &Environment, cwd: &Path, request: &Request) -> Result<Resolution> {
    let project = Project::find(env, cwd, request)?;
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let mut layers = project.layers(request, &mut problems, &mut warnings);
    let datasets = project.datasets()?;
    let around = Surroundings { project_root: &project.root, env, datasets: &datasets };
    if !problems.is_empty() {
        // Values that could not be read would only draw problems that are none.
        return Ok(Resolution::failed(problems));
    }
    let name = match config::dataset_name(&layers, around) {
        Ok(name) => {
            let path = project.root.join(DATASETS).join(format!("{name}.yaml"));
            match project.file(LayerKind::Dataset, &path) {
                Ok(layer) => layers.push(layer),
                Err(found) => return Ok(Resolution::failed(found)),
            }
            Some(name)
        }
        Err(found) => {
            problems.extend(found);
            None
        }
    };
    let mut resolution = config::resolve(&layers, name.as_deref(), around);
    problems.extend(
        std::mem::take(&mut resolution.problems)
            .into_iter()
            .filter(|problem| !problems.contains(problem))
            .collect::<Vec<_>>(),
    );
    problems.extend(check_roots(&resolution.outline, &project.root));
    problems.extend(check_positions(&resolution));
    resolution.problems = problems;
    resolution.settings = resolution.settings.filter(|_| resolution.problems.is_empty());
    if let Some(settings) = &mut resolution.settings {
        settings.flags = flags(request);
        settings.dataset.root_origin.clone_from(&resolution.outline.dataset_root_origin);
        settings.warnings.splice(0..0, warnings.iter().cloned());
    }
    resolution.warnings.splice(0..0, warnings);
    Ok(resolution)
}

/// A project on disk.
struct Project<'a> {
    root: PathBuf,
    cwd: &'a Path,
    env: &'a Environment,
}

impl<'a> Project<'a> {
    /// Finds the nearest directory with `configs/cache/base.yaml`, from `cwd` up, else from the first `-c` file up.
    fn find(env: &'a Environment, cwd: &'a Path, request: &Request) -> Result<Self> {
        let first = request.configs.first().map(|file| cwd.join(file));
        let starts = [Some(cwd.to_owned()), first];
        let root = starts.iter().flatten().find_map(|start| {
            start.ancestors().find(|directory| directory.join(BASE).is_file()).map(Path::to_owned)
        });
        let Some(root) = root else {
            return Err(Error::usage(
                format!(
                    "no project here: neither `{}` nor a directory above it holds `{BASE}`",
                    cwd.display()
                ),
                format!(
                    "go into the project's directory, or make `{BASE}`, which holds versions, profiles and the recipe"
                ),
            ));
        };
        Ok(Self { root, cwd, env })
    }

    fn layers(
        &self,
        request: &Request,
        problems: &mut Vec<Problem>,
        warnings: &mut Vec<String>,
    ) -> Vec<Layer> {
        let mut found = vec![config::defaults(), self.file(LayerKind::Base, &self.root.join(BASE))];
        let local = self.root.join(LOCAL);
        if local.exists() {
            found.push(self.file(LayerKind::Local, &local));
        }
        for config in &request.configs {
            match self.locate(config) {
                Ok(path) if self.is_fixed(&path) => warnings.push(format!(
                    "`-c {}` has no effect: this file is a layer of its own and always read",
                    config.display()
                )),
                Ok(path) => found.push(self.file(LayerKind::Experiment, &path)),
                Err(problem) => found.push(Err(vec![problem])),
            }
        }
        found.push(Layer::from_environment(self.env));
        // A flag of its own says more than a `--set`, whatever their order.
        found.push(Layer::from_assignments(&request.set, self.env));
        let flags = [
            ("--profile", ["cache", "profile"], &request.profile),
            ("--cache-root", ["cache", "root"], &request.cache_root),
        ];
        for (flag, key, value) in flags {
            found.extend(value.as_ref().map(|value| Layer::from_flag(flag, key, value)));
        }
        let mut layers = Vec::new();
        for layer in found {
            match layer {
                Ok(layer) => layers.push(layer),
                Err(mistakes) => problems.extend(mistakes),
            }
        }
        layers
    }

    /// Returns the path of a `-c FILE`: relative to the current directory, else to the project root.
    fn locate(&self, file: &Path) -> Result<PathBuf, Problem> {
        let tried = [self.cwd.join(file), self.root.join(file)];
        tried.iter().find(|path| path.exists()).cloned().ok_or_else(|| {
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let siblings: Vec<String> =
                tried.iter().filter_map(|path| path.parent()).flat_map(yaml_names).collect();
            let mut siblings: Vec<String> = siblings.into_iter().map(|stem| format!("{stem}.yaml")).collect();
            siblings.sort();
            siblings.dedup();
            let known = siblings.iter().map(String::as_str);
            let listed = if siblings.is_empty() {
                "there is no `.yaml` file at that place".to_owned()
            } else {
                format!("the files there are {}", quoted(known.clone()))
            };
            let places = if self.cwd == self.root {
                format!("in `{}`", self.cwd.display())
            } else {
                format!("neither in `{}` nor in `{}`", self.cwd.display(), self.root.display())
            };
            Problem {
                message: format!("`{}` does not exist, {places}", file.display()),
                origin: Some(format!("-c {}", file.display())),
                hint: Some(format!("{}{listed}", did_you_mean(&name, known))),
            }
        })
    }

    /// True for files that are layers whether they are named or not.
    fn is_fixed(&self, path: &Path) -> bool {
        let same = |other: &Path| match (fs_err::canonicalize(path), fs_err::canonicalize(other)) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        };
        same(&self.root.join(BASE)) || same(&self.root.join(LOCAL))
    }

    fn file(&self, kind: LayerKind, path: &Path) -> Result<Layer, Vec<Problem>> {
        let shown = shown_path(path, &self.root);
        let problem = |message: String, hint: &str| {
            vec![Problem { message, origin: Some(shown.clone()), hint: Some(hint.to_owned()) }]
        };
        if path.is_dir() {
            return Err(problem("this is a directory, not a file".to_owned(), "name a `.yaml` file"));
        }
        let bytes = fs_err::read(path).map_err(|error| {
            problem(format!("cannot be read: {}", cause(&error)), "check that it exists and may be read")
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid =
                String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
            let line = valid.split('\n').count();
            problem(format!("line {line} is not UTF-8 text"), "save the file as UTF-8")
        })?;
        Layer::from_yaml(kind, &shown, &text, self.env)
    }

    /// Returns the names of the dataset files, sorted.
    fn datasets(&self) -> Result<Vec<String>> {
        let directory = self.root.join(DATASETS);
        if !directory.exists() {
            return Ok(Vec::new());
        }
        // A directory that cannot be listed must not look like one that lacks the dataset's file.
        let entries = fs_err::read_dir(&directory).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
        let entries = entries.map_err(Error::io("list", &directory))?;
        let mut names: Vec<String> =
            entries.into_iter().filter_map(|entry| yaml_stem(&entry.path())).collect();
        names.sort();
        Ok(names)
    }
}

/// The stems of the `.yaml` files in a directory.
fn yaml_names(directory: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| yaml_stem(&entry.path())).collect()
}

fn yaml_stem(path: &Path) -> Option<String> {
    let yaml = path.extension().is_some_and(|extension| extension == "yaml");
    if yaml { path.file_stem().map(|stem| stem.to_string_lossy().into_owned()) } else { None }
}

/// Why a file cannot be read, in a word; in the system's own where there is none (`EMFILE`, `EIO`).
fn cause(error: &std::io::Error) -> String {
    let system = error.get_ref().and_then(std::error::Error::source).map(ToString::to_string);
    match (error.kind().to_string(), system) {
        (kind, Some(system)) if kind == "uncategorized error" => system,
        (kind, _) => kind,
    }
}

/// The flags of a request as a shell reads them, each behind a blank.
fn flags(request: &Request) -> String {
    let configs = request.configs.iter().map(|file| ("-c", file.display().to_string()));
    let root = request.cache_root.iter().map(|root| ("--cache-root", root.clone()));
    let set = request.set.iter().map(|set| ("--set", set.clone()));
    configs.chain(root).chain(set).fold(String::new(), |text, (flag, value)| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,@%+".contains(c);
        let quoted =
            if value.chars().all(is_plain) { value } else { format!("'{}'", value.replace('\'', "'\\''")) };
        format!("{text} {flag} {quoted}")
    })
}

/// Refuses to interpolate a channel of which nobody knows where on the head it lies.
fn check_positions(resolution: &Resolution) -> Option<Problem> {
    let channels = &resolution.settings.as_ref()?.recipe.signal.channels;
    let nowhere = channels.interpolate.iter().find(|name| !dsp::has_position(name))?;
    let key = "preprocessing.channels.interpolate";
    let written = resolution.values.iter().find(|setting| setting.key.starts_with(key));
    Some(Problem {
        message: format!("`{key}` names `{nowhere}`, which has no position in the 10-20 and 10-10 systems"),
        origin: written.map(|setting| setting.origin.clone()),
        hint: Some(
            "interpolate electrodes such as Fz or Pz, and leave other channels out of the list".to_owned(),
        ),
    })
}

/// Refuses a cache inside the dataset's root, or the reverse: one would be read as the other.
fn check_roots(outline: &Outline, project_root: &Path) -> Option<Problem> {
    let (cache, dataset) = (outline.cache_root.as_ref()?, outline.dataset_root.as_ref()?);
    let (real_cache, real_dataset) = (real(cache), real(dataset));
    let relation = if real_cache == real_dataset {
        "is"
    } else if real_cache.starts_with(&real_dataset) {
        "lies inside of"
    } else if real_dataset.starts_with(&real_cache) {
        "holds"
    } else {
        return None;
    };
    Some(Problem {
        message: format!(
            "the cache root `{}` ({}) {relation} the dataset's root `{}` ({})",
            shown_path(cache, project_root),
            outline.cache_root_origin,
            shown_path(dataset, project_root),
            outline.dataset_root_origin,
        ),
        origin: None,
        hint: Some(
            "keep them apart, for instance with `--cache-root` or `CACHE_ROOT`: nothing is ever written below a dataset"
                .to_owned(),
        ),
    })
}

/// Returns the path with symbolic links followed as far as it exists.
fn real(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let Ok(real) = fs_err::canonicalize(ancestor) {
            let rest = path.strip_prefix(ancestor).unwrap_or(Path::new(""));
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    path.to_owned()
}
