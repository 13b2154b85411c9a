//! Configuration from files to `Settings`: layers, places, every mistake, reports, fingerprints.

mod fingerprints;
mod layers;
mod mistakes;
mod reports;

use eegcache::error::{Error, Problem};
use eegcache::ops::load::{Request, Resolved, load};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A project of its own in a temporary directory, with the shipped base and datasets.
struct Project {
    directory: tempfile::TempDir,
    env: BTreeMap<String, String>,
    request: Request,
}

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs")
}

impl Project {
    fn new() -> Self {
        let project = Self::bare();
        for file in ["cache/base.yaml", "datasets/demo.yaml", "datasets/tusz.yaml", "datasets/folder.yaml"] {
            let text = fs_err::read_to_string(shipped().join(file)).unwrap();
            project.write(&format!("configs/{file}"), &text);
        }
        project
    }

    fn bare() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory, env: BTreeMap::new(), request: Request::default() }
    }

    fn root(&self) -> &Path {
        self.directory.path()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    /// Adds a `-c FILE`.
    fn config(mut self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self.request.configs.push(path.into());
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn set(mut self, assignment: &str) -> Self {
        self.request.set.push(assignment.to_owned());
        self
    }

    fn load(&self) -> Result<Resolved, Error> {
        load(&self.env, self.root(), &self.request)
    }

    fn ok(&self) -> Resolved {
        self.load().unwrap_or_else(|error| panic!("{error}"))
    }

    fn problems(&self) -> Vec<Problem> {
        match self.load() {
            Err(Error::Config(error)) => error.problems,
            Err(other) => panic!("no configuration error: {other}"),
            Ok(_) => Vec::new(),
        }
    }

    /// Returns value and place of a key.
    fn value(&self, key: &str) -> (String, String) {
        let values = self.ok().values;
        let found = values.into_iter().find(|setting| setting.key == key);
        found.map_or_else(|| panic!("no `{key}`"), |setting| (setting.shown, setting.origin))
    }
}

/// One problem holds all fragments, in its place, message or hint.
fn holds(problems: &[Problem], fragments: &[&str]) -> bool {
    let text = |problem: &Problem| format!("{problem}\nhint: {}", problem.hint.clone().unwrap_or_default());
    problems.iter().map(text).any(|text| fragments.iter().all(|fragment| text.contains(fragment)))
}

fn told(problems: &[Problem]) -> String {
    let text =
        |problem: &Problem| format!("  {problem}\n    hint: {}", problem.hint.clone().unwrap_or_default());
    problems.iter().map(text).collect::<Vec<_>>().join("\n")
}
