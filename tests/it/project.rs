//! A project of its own in a temporary directory: the shipped configurations, a small generated dataset, the real binary.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub(crate) struct Project {
    directory: tempfile::TempDir,
}

/// What a run of the program gave.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails with everything that was printed unless the exit code is `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.stdout, self.stderr))
    }

    /// Fails unless every fragment is in stdout or stderr.
    #[track_caller]
    pub(crate) fn says(self, fragments: &[&str]) -> Self {
        for fragment in fragments {
            let said = self.stdout.contains(fragment) || self.stderr.contains(fragment);
            assert!(said, "`{fragment}` is missing\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        }
        self
    }
}

pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn copy_tree(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for item in fs_err::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            copy_tree(&item.path(), &target);
        } else {
            fs_err::copy(item.path(), target).unwrap();
        }
    }
}

/// The text of a manifest with a right checksum.
pub(crate) fn sealed(body: &str) -> String {
    format!("{{\"checksum\":\"{}\",\n{body}", eegcache::model::Digest::of(body.as_bytes()))
}

/// Writes into a version a manifest with a right checksum and something else in it.
pub(crate) fn forge(version: &Path, change: impl FnOnce(&str) -> String) {
    let path = version.join("manifest.json");
    let text = fs_err::read_to_string(&path).unwrap();
    let body = change(text.split_once('\n').unwrap().1);
    // Other versions may hold the same file.
    fs_err::remove_file(&path).unwrap();
    fs_err::write(&path, sealed(&body)).unwrap();
}

/// The same, with some text replaced.
#[track_caller]
pub(crate) fn forge_text(version: &Path, from: &str, to: &str) {
    forge(version, |body| {
        assert!(body.contains(from), "{from} is not in\n{body}");
        body.replace(from, to)
    });
}

impl Project {
    /// The shipped configurations and nothing else.
    pub(crate) fn bare() -> Self {
        let project = Self { directory: tempfile::tempdir().unwrap() };
        copy_tree(&repository().join("configs"), &project.path("configs"));
        project
    }

    /// The dataset `mini`: 16 generated recordings, its four defects acknowledged; profiles of 6, 11 and all.
    pub(crate) fn mini() -> Self {
        let project = Self::bare();
        let report = project.generate("data", 16, 7);
        let defects: String = report
            .defects
            .iter()
            .fold(String::new(), |text, (id, class)| format!("{text}    {id}: {class}\n"));
        project.write(
            "configs/datasets/mini.yaml",
            &format!(
                "dataset:\n  title: small\n  licence: CC0-1.0\n  root: data\n  recordings: \"**/*.edf\"\n  \
                 subject: '([^/_]+)_[^/]*$'\n  splits: {{directory: {{train: train, val: dev, eval: eval}}}}\n  \
                 split_policy: official_tusz\n  annotations: {{format: tusz_csv, file: \"{{stem}}.csv\", cross_check: \"{{stem}}.csv_bi\"}}\n  \
                 known_defects:\n{defects}"
            ),
        );
        project.write(
            "configs/local.yaml",
            "data: {dataset: mini}\ncache:\n  version: mini_v1\n  profiles:\n    smoke: {subset: first_6_files}\n    \
             dev: {subset: first_11_files}\n",
        );
        project
    }

    /// Five recordings so small that a build takes milliseconds; in memory, where there is such a place.
    pub(crate) fn tiny() -> Self {
        let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        crate::tiny::write_project(directory.path());
        Self { directory }
    }

    /// Writes a generated corpus into a directory of the project.
    pub(crate) fn generate(
        &self,
        directory: &str,
        recordings: usize,
        seed: u64,
    ) -> eegcache::demo::DemoReport {
        let spec = eegcache::demo::DemoSpec { recordings, seed };
        eegcache::demo::write(&self.path(directory), spec, &|_, _| {}).unwrap()
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    pub(crate) fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, relative: &str) -> String {
        fs_err::read_to_string(self.path(relative)).unwrap()
    }

    /// The program, in the project, without anything of the surrounding environment that is configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eegcache"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("EEG") || name.starts_with("BGB_") || name == "CACHE_ROOT" {
                command.env_remove(name);
            }
        }
        command.current_dir(self.directory.path()).args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&self.command(arguments).output().unwrap())
    }

    /// Every `.npz` below a directory, by relative path: inode and content.
    pub(crate) fn entries(&self, directory: &str) -> BTreeMap<String, (u64, Vec<u8>)> {
        let root = self.path(directory);
        let mut entries = BTreeMap::new();
        let mut open = vec![root.clone()];
        while let Some(path) = open.pop() {
            if path.is_symlink() {
                continue; // `latest` shows the same files again
            }
            if path.is_dir() {
                open.extend(fs_err::read_dir(&path).unwrap().map(|item| item.unwrap().path()));
            } else if path.extension().is_some_and(|e| e == "npz") {
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                let inode = fs_err::metadata(&path).unwrap().ino();
                entries.insert(name, (inode, fs_err::read(&path).unwrap()));
            }
        }
        entries
    }

    /// The contents alone.
    pub(crate) fn contents(&self, directory: &str) -> BTreeMap<String, Vec<u8>> {
        self.entries(directory).into_iter().map(|(name, (_, content))| (name, content)).collect()
    }

    /// What a file of the profile `full` says of itself.
    pub(crate) fn facts(&self, version: &str, name: &str) -> eegcache::model::artifact::Facts {
        let store = eegcache::store::Store::new(self.path("cache"));
        let profile = eegcache::model::ProfileName::new("full").unwrap();
        store.facts(&profile, &eegcache::model::VersionName::new(version).unwrap(), name).unwrap()
    }

    pub(crate) fn manifest(&self, directory: &str) -> serde_json::Value {
        serde_json::from_str(&self.read(&format!("{directory}/manifest.json"))).unwrap()
    }
}
