//! Other readers: `NumPy`, `SciPy` and MNE see in a cache what the program says is there.
#![expect(clippy::print_stderr, reason = "a skipped test must be seen")]

use crate::project::{Project, Run, repository};
use std::ffi::OsString;
use std::process::Command;

/// The Python of `EEGCACHE_PYTHON`, else `python3`, if it can import `modules`; else nothing and a visible line.
pub(crate) fn python(modules: &str) -> Option<OsString> {
    let python = std::env::var_os("EEGCACHE_PYTHON").unwrap_or_else(|| "python3".into());
    let can = Command::new(&python).args(["-c", &format!("import {modules}")]).output();
    if can.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    eprintln!("skipped: `{}` cannot import {modules} (set EEGCACHE_PYTHON)", python.display());
    None
}

/// Computes a whole cache again with `SciPy` and compares every sample, label, event, count and container.
pub(crate) fn check_cache(project: &Project, cache: &str, dataset: &str, status: &Run) {
    let Some(python) = python("numpy, scipy.signal") else { return };
    project.write("status.json", &status.stdout);
    let paths = [cache, dataset, "status.json"].map(|path| project.path(path));
    let script = repository().join("tests/golden/check_cache.py");
    let run = Run::of(&Command::new(python).arg(script).args(paths).output().unwrap());
    run.expect(0).says(&["wrong 0"]);
}

#[test]
fn scipy_computes_the_same_cache() {
    let project = Project::mini();
    for (set, dtype) in [("cache.version=single", "float32"), ("cache.version=half", "float16")] {
        let dtype = format!("storage.dtype={dtype}");
        let set = ["--set", set, "--set", &dtype];
        project.run(&[&["build"], &set[..]].concat()).expect(0);
        let status = project.run(&[&["status", "--profile", "full", "--json"], &set[..]].concat()).expect(0);
        let version = set[1].trim_start_matches("cache.version=");
        check_cache(&project, &format!("cache/full/{version}"), "data", &status);
    }
}

/// A window is read from its place in the file, without reading the file.
const MAPPED: &str = r#"
import json, os, struct, sys, zipfile
import numpy as np

cache = sys.argv[1]
manifest = json.load(open(os.path.join(cache, "manifest.json")))
assert manifest["entries"]
for entry in manifest["entries"]:
    path = os.path.join(cache, entry["files"]["signal"]["name"])
    with np.load(path) as npz:
        signal = npz["signal"]
    member = zipfile.ZipFile(path).getinfo("signal.npy")
    with open(path, "rb") as file:
        file.seek(member.header_offset + 26)
        name, extra = struct.unpack("<HH", file.read(4))
        file.seek(member.header_offset + 30 + name + extra)
        assert np.lib.format.read_magic(file) == (1, 0)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        start = file.tell()
    assert not fortran and start % 64 == 0, (fortran, start)
    mapped = np.memmap(path, dtype, "r", start, shape)
    for window in range(0, shape[1] - 15360 + 1, 2560):
        assert np.array_equal(mapped[:, window : window + 15360], signal[:, window : window + 15360])
"#;

#[test]
fn a_window_is_mapped_from_the_file() {
    let Some(python) = python("numpy") else { return };
    let project = Project::mini();
    project.run(&["build", "--profile", "smoke"]).expect(0);
    let cache = project.path("cache/smoke/mini_v1");
    Run::of(&Command::new(python).args(["-c", MAPPED]).arg(cache).output().unwrap()).expect(0);
}
