//! `config show` and `config check`.

use super::Project;
use eegcache::cli::config::{check_text, show_text};
use eegcache::ops::config::{CheckReport, check, show};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn at_home(files: &[&str]) -> CheckReport {
    let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
    check(&BTreeMap::new(), Path::new(env!("CARGO_MANIFEST_DIR")), &files).unwrap()
}

#[test]
fn the_shipped_configs_agree() {
    let report = at_home(&[
        "configs/smoke_test.yaml",
        "configs/tusz_train_wsl2.yaml",
        "configs/tusz_train_a100.yaml",
        "configs/local_train.yaml",
        "configs/production.yaml",
    ]);
    assert_eq!(report.conflicts, [], "{}", check_text(&report));
    assert!(
        report.rows.iter().all(|row| row.cache_dir.is_some() && row.signal.is_some() && row.labels.is_some())
    );
}

#[test]
fn the_origins_configs_show_every_conflict() {
    let names = ["smoke_test", "tusz_train_wsl2", "tusz_train_a100", "local", "production"];
    let files = names.map(|name| format!("tests/fixtures/origin/{name}.yaml"));
    let report = at_home(&files.each_ref().map(String::as_str));
    let text = check_text(&report);
    for fragment in [
        "smoke_test.yaml:7: `experiment.cache_dir` is `cache/smoke`",
        "tusz_train_wsl2.yaml:7: `experiment.cache_dir` is `cache/tusz`",
        "tusz_train_wsl2.yaml:11: `data.cache_dir` is `cache/tusz`",
        "tusz_train_a100.yaml:10: `data.cache_dir` is `/results/cache/tusz`",
        "local.yaml:10: `data.cache_dir` is `cache`",
        "production.yaml:10: `data.cache_dir` is `cache`",
        "3 directories are named for the same data",
        "conflicts: 8",
    ] {
        assert!(text.contains(fragment), "no {fragment:?} in\n{text}");
    }
    assert_eq!(report.rows.len(), 5);
    assert!(report.rows.iter().all(|row| row.signal.is_some()), "{text}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["rows"][1]["claims"][0][1], "cache/tusz");
}

fn count(files: &[&str]) -> usize {
    let mut project = Project::new();
    for (index, text) in files.iter().enumerate() {
        project = project.config(&format!("{index}.yaml"), text);
    }
    check(&project.env, project.root(), &project.request.configs).unwrap().conflicts.len()
}

/// Checks that the files conflict with exactly one message that holds the fragment.
fn conflict(files: &[&str], fragment: &str) {
    let mut project = Project::new();
    for (index, text) in files.iter().enumerate() {
        project = project.config(&format!("{index}.yaml"), text);
    }
    let report = check(&project.env, project.root(), &project.request.configs).unwrap();
    let text = check_text(&report);
    assert_eq!(report.conflicts.len(), usize::from(!fragment.is_empty()), "{text}");
    assert!(text.contains(fragment), "no {fragment:?} in\n{text}");
}

#[test]
fn conflicts_between_files_are_found() {
    conflict(&["cache: {profile: smoke}", "cache: {profile: dev}", "windows: {stride_s: 5}"], "");
    conflict(
        &["", "preprocessing: {notch_freq: 50}"],
        "the version `demo_v1_256hz_10-20` below `cache` means different data",
    );
    conflict(&["", "preprocessing: {notch_freq: 50}\ncache: {version: v50}"], "");
    conflict(&["", "labels: {unlabelled: keep}"], "means different data");
    conflict(&["cache: {version: same}", "data: {dataset: tusz}\ncache: {version: same}"], "dataset tusz");
    conflict(&["", "cache: {root: other}"], "the same data is kept below 2 cache roots");
    conflict(&["", "cache: {version: v2}"], "the same data is kept under 2 versions");
    conflict(
        &["", "cache: {profiles: {full: {subset: first_5_files}}}"],
        "is to hold different recordings: `0.yaml` takes `all_files`; `1.yaml` takes `first_5_files`",
    );
    // Each names a directory that is not its own: two mistakes, and one between them.
    let named = "data: {cache_dir: c}";
    assert_eq!(count(&[named, &format!("cache: {{profile: smoke}}\n{named}")]), 3);
    conflict(&["", "cache: {profil: smoke}"], "1.yaml:1: unknown key `cache.profil`");
    conflict(&["", "cache: [\n"], "1.yaml:");
}

#[test]
fn a_mistake_in_a_lower_layer_is_told_once() {
    let project = Project::new().config("a.yaml", "").config("b.yaml", "");
    project.write("configs/local.yaml", "windows: {length_s: -1}\n");
    let report = check(&project.env, project.root(), &project.request.configs).unwrap();
    assert_eq!(report.conflicts.len(), 1, "{}", check_text(&report));
    assert_eq!(report.conflicts[0].files, ["a.yaml", "b.yaml"]);
    assert!(check_text(&report).contains("in: a.yaml, b.yaml"));
}

#[test]
fn a_missing_file_is_a_row_and_a_conflict() {
    let project = Project::new();
    let report = check(&project.env, project.root(), &["nowhere.yaml".into()]).unwrap();
    assert_eq!((report.rows.len(), report.conflicts.len()), (1, 1));
}

#[test]
fn show_prints_values_places_and_what_follows() {
    let project = Project::new().config("x.yaml", "cache: {profile: smoke}\ndata: {splits: [val, train]}\n");
    let report = show(&project.env, project.root(), &project.request).unwrap();
    let text = show_text(&report, true);
    let line = |key: &str| {
        text.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{key}\n{text}"))
    };
    assert!(line("cache.profile:").contains("# x.yaml:1"));
    assert!(line("preprocessing.clip:").contains("# configs/cache/base.yaml:17"));
    assert!(line("preprocessing.flat:").contains("# built-in default"));
    assert!(line("data.cache_dir:").contains("cache/smoke/demo_v1_256hz_10-20"));
    assert!(line("fingerprints.signal:").len() > 80);
    assert!(!show_text(&report, false).contains('#'));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["derived"][0]["key"], "data.cache_dir");
}

#[test]
fn show_leaves_out_what_an_explicit_list_replaces() {
    let text =
        "preprocessing:\n  channels: {order: [Cz, Pz]}\n  steps:\n    - zscore\n    - clip: {limit: 5}\n";
    let project = Project::new().config("x.yaml", text);
    let shown = show_text(&show(&project.env, project.root(), &project.request).unwrap(), false);
    assert!(shown.contains("preprocessing.steps: [zscore, {clip: {limit: 5}}]"), "{shown}");
    for void in ["preprocessing.montage", "preprocessing.bandpass", "preprocessing.clip"] {
        assert!(!shown.contains(void), "{void}");
    }
}
