//! The layer table of `src/lib.rs`, held by a text search: imports are written `use crate::…`.

use std::path::{Path, PathBuf};

const LAYERS: &[(&str, &[&str])] = &[
    ("model", &["model"]),
    ("error.rs", &[]),
    ("fault.rs", &[]),
    ("config", &["model", "error", "config"]),
    ("formats", &["model", "error", "formats"]),
    ("dsp", &["model", "error", "dsp"]),
    ("plan", &["model", "error", "plan"]),
    ("container", &["container"]),
    ("source", &["model", "error", "fault", "source"]),
    ("demo", &["model", "error", "demo"]),
    ("store", &["model", "error", "fault", "container", "store"]),
    ("exchange", &["model", "error", "fault", "container", "exchange"]),
    (
        "ops",
        &[
            "model", "error", "fault", "config", "formats", "dsp", "plan", "source", "demo", "store",
            "exchange", "ops",
        ],
    ),
    ("cli", &["model", "error", "config", "ops", "cli"]),
];

/// The other face, a package of its own: it names the library as `eegcache::…`.
const PYTHON: &[&str] = &["model", "error", "config", "ops"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python/src")
}

fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let mut files: Vec<PathBuf> =
        fs_err::read_dir(path).unwrap().flat_map(|item| sources(&item.unwrap().path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    files
}

/// Modules of ours named in a file: `crate::x`, also inside a braced list behind `crate::`.
fn imports(text: &str) -> Vec<String> {
    imports_from(text, "crate::")
}

fn imports_from(text: &str, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        let list = match rest.strip_prefix('{') {
            Some(inner) => inner.split('}').next().unwrap_or_default().to_owned(),
            None => rest.to_owned(),
        };
        let items =
            if rest.starts_with('{') { list.split(',').collect::<Vec<_>>() } else { vec![list.as_str()] };
        for item in items {
            let name: String =
                item.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if !name.is_empty() {
                found.push(name);
            }
        }
    }
    found
}

#[test]
fn every_module_imports_only_what_its_layer_may() {
    for (module, allowed) in LAYERS {
        let (file, directory) = (root().join(format!("{module}.rs")), root().join(module));
        let files: Vec<PathBuf> =
            [file, directory].iter().filter(|path| path.exists()).flat_map(|path| sources(path)).collect();
        assert!(!files.is_empty(), "{module} has no source");
        // The harness of faults is test code in a room of its own.
        for file in files.into_iter().filter(|file| !file.starts_with(root().join("ops/torture"))) {
            for import in imports(&fs_err::read_to_string(&file).unwrap()) {
                assert!(allowed.contains(&import.as_str()), "{} imports crate::{import}", file.display());
            }
        }
    }
}

#[test]
fn the_python_face_imports_only_what_a_face_may() {
    let files = sources(&python());
    assert!(!files.is_empty());
    for file in files {
        for import in imports_from(&fs_err::read_to_string(&file).unwrap(), "eegcache::") {
            assert!(PYTHON.contains(&import.as_str()), "{} imports eegcache::{import}", file.display());
        }
    }
}

#[test]
fn no_file_outgrows_its_room() {
    for file in sources(&root()).into_iter().chain(sources(&python())) {
        let text = fs_err::read_to_string(&file).unwrap();
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        assert!(lines <= 600, "{} has {lines} lines before its tests", file.display());
    }
}

/// The configurations are the only place where a dataset has a name.
#[test]
fn no_dataset_is_named_in_the_sources() {
    let names = ["tusz", "chbmit", "chb-mit", "siena", "seizeit"];
    for file in sources(&root()) {
        let text = fs_err::read_to_string(&file).unwrap().to_lowercase();
        let format = file.components().any(|part| part.as_os_str() == "formats");
        for line in text.lines().take_while(|line| *line != "#[cfg(test)]") {
            let code = line.split("//").next().unwrap_or_default();
            // An annotation format may bear the name of the dataset that it comes from.
            let formats =
                ["tusz_csv", "tuszcsv", "chbmit_summary", "chbmitsummary", "siena_list", "sienalist"];
            let code = formats.iter().fold(code.to_owned(), |code, format| code.replace(format, ""));
            let named = names.iter().find(|name| code.contains(**name));
            assert!(format || named.is_none(), "{}: `{}`: {line}", file.display(), named.unwrap());
        }
    }
}

#[test]
fn the_front_page_shows_the_same_table() {
    let page = fs_err::read_to_string(root().join("lib.rs")).unwrap();
    for (module, _) in LAYERS {
        assert!(page.contains(&format!("`{}`", module.trim_end_matches(".rs"))), "{module}");
    }
}
