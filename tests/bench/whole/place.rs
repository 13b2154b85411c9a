//! Where the corpora and results lie, and the programs that are measured there.

use crate::{corpus, cost, floor};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const STEPS: &str = "\
preprocessing:
  channels:
    order: [Fp1, F3, C3, P3, F7, T3, T5, O1, Fz, Cz, Pz, Fp2, F4, C4, P4, F8, T4, T6, O2]
    aliases: {T7: T3, T8: T4, P7: T5, P8: T6}
    interpolate: [Fz, Pz]
  steps:
    - bandpass: {low_hz: 0.5, high_hz: 120, order: 4, phase: zero}
    - notch: {freq_hz: 60, q: 30, phase: zero}
    - resample: {rate_hz: 256, method: polyphase}
    - zscore: {epsilon: 1.0e-8}
    - clip: {limit: 10}
";
const DATASET: &str = "\
dataset:
  title: synthetic
  licence: CC0-1.0
  root: ${EEG_DATA_ROOT}
  recordings: \"**/*.edf\"
  subject: '([^/_]+)_[^/]*$'
  splits: {directory: {train: train, val: dev, eval: eval}}
  annotations: {format: tusz_csv, file: \"{stem}.csv\"}
";
const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// A project below `target/`.
pub(crate) struct Place {
    root: PathBuf,
    /// The interpreter that `PYTHON` names.
    pub(crate) python: String,
}

impl Place {
    pub(crate) fn prepare() -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
        let configs = root.join("configs");
        fs_err::create_dir_all(configs.join("cache")).unwrap();
        fs_err::create_dir_all(configs.join("datasets")).unwrap();
        let shipped = Path::new(REPOSITORY).join("configs/cache/base.yaml");
        fs_err::copy(shipped, configs.join("cache/base.yaml")).unwrap();
        fs_err::write(configs.join("datasets/bench.yaml"), DATASET).unwrap();
        fs_err::write(root.join("steps.yaml"), STEPS).unwrap();
        let place = Self { root, python: std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned()) };
        place.recordings("corpus", |root| corpus::write(root, corpus::COUNT));
        place
    }

    /// Makes a corpus of that name.
    pub(crate) fn recordings(&self, name: &str, write: impl Fn(&Path)) {
        write(&self.root.join(name));
    }

    /// Where the cache lies that is only looked at.
    pub(crate) fn scale(&self) -> PathBuf {
        self.root.join("scale")
    }

    pub(crate) fn has(&self, packages: &str) -> bool {
        imports(&self.python, packages)
    }

    /// Builds the corpus from nothing with one thread.
    pub(crate) fn build(&self, more: &[&str]) -> Command {
        self.build_with(1, "corpus", more)
    }

    pub(crate) fn build_with(&self, jobs: usize, corpus: &str, more: &[&str]) -> Command {
        let mut command = self.eegcache(corpus, self.fresh("cache"));
        command.args(["build", "-j", &jobs.to_string()]).args(more);
        command
    }

    /// The same with so many kibibytes of address space.
    pub(crate) fn within(&self, kibibytes: u64, corpus: &str) -> Command {
        let build = self.build_with(1, corpus, &["--memory", &format!("{kibibytes}K")]);
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit -v {kibibytes}; exec \"$0\" \"$@\"")]);
        limited.arg(build.get_program()).args(build.get_args()).current_dir(&self.root);
        limited.envs(build.get_envs().filter_map(|(name, value)| Some((name, value?))));
        limited
    }

    /// Exports what the last build made.
    pub(crate) fn export(&self) -> Command {
        let target = self.fresh("windows");
        let mut command = self.eegcache("corpus", self.root.join("cache"));
        command.args(["export", "--layout", "windows", "-j", "1"]).arg(target);
        command
    }

    fn eegcache(&self, corpus: &str, cache: PathBuf) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eegcache"));
        command.current_dir(&self.root).env("EEG_DATASET", "bench");
        command.env("EEG_DATA_ROOT", self.root.join(corpus)).env("CACHE_ROOT", cache);
        command
    }

    pub(crate) fn peer(&self, options: &[&str]) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(Path::new(REPOSITORY).join("tests/bench/whole/peer.py"));
        command.arg(self.root.join("corpus")).arg(self.fresh("peer")).args(options);
        command
    }

    pub(crate) fn floor(&self, bytes: u64) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("floor").arg(self.root.join("corpus")).arg(self.fresh("floor")).arg(bytes.to_string());
        command
    }

    /// Builds once and says how many bytes that makes.
    pub(crate) fn result_bytes(&self) -> u64 {
        let _ = cost::run(vec![self.build(&[])]);
        let files = floor::files(&self.root.join("cache"), "npz");
        files.iter().map(|file| fs_err::metadata(file).unwrap().len()).sum()
    }

    /// What the Python package's own benchmark says of the last build; nothing where there is no such package.
    pub(crate) fn reading(&self) -> Option<String> {
        let installed = Path::new(REPOSITORY).join("target/python/bin/python");
        let pythons = [self.python.clone(), installed.display().to_string()];
        let python = pythons.into_iter().find(|python| imports(python, "eegcache, numpy"))?;
        let manifest = floor::files(&self.root.join("cache"), "json").pop()?;
        let script = Path::new(REPOSITORY).join("python/benchmarks/reading.py");
        let output = Command::new(python).arg(script).arg(manifest.parent()?).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(String::from_utf8(output.stdout).unwrap())
    }

    /// An empty directory.
    fn fresh(&self, name: &str) -> PathBuf {
        let directory = self.root.join(name);
        if directory.exists() {
            fs_err::remove_dir_all(&directory).unwrap();
        }
        fs_err::create_dir_all(&directory).unwrap();
        directory
    }
}

fn imports(python: &str, packages: &str) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", &format!("import {packages}")]).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The figure of a line `<name> <figure> µs`.
pub(crate) fn microseconds(line: &str, name: &str) -> Option<f64> {
    let rest = line.strip_prefix(name)?.trim();
    rest.strip_suffix("µs")?.trim().replace(',', "").parse().ok()
}
