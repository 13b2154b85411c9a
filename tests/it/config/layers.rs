//! Which layer wins, where a value comes from, and where paths are taken from.

use super::{Project, shipped};
use eegcache::ops::load::{Request, load};
use std::collections::BTreeMap;

#[test]
fn each_layer_overrides_the_one_below() {
    let key = "cache.version";
    let mut project = Project::new();
    let expect = |project: &Project, value: &str, place: &str| {
        assert_eq!(project.value(key), (value.to_owned(), place.to_owned()));
    };
    project.request.set = vec!["data.dataset=tusz".to_owned()];
    expect(&project, "v1_256hz_10-20", "configs/cache/base.yaml:7");
    project.request.set.clear();
    expect(&project, "demo_v1_256hz_10-20", "configs/datasets/demo.yaml:4");
    project.write("configs/local.yaml", "cache:\n  version: local\n");
    expect(&project, "local", "configs/local.yaml:2");
    let mut project =
        project.config("a.yaml", "cache: {version: a}\n").config("sub/b.yaml", "\n\ncache: {version: b}");
    expect(&project, "b", "sub/b.yaml:3");
    project.request.configs.reverse();
    expect(&project, "a", "a.yaml:1");
    let project = project.env("EEGCACHE_CACHE__VERSION", "env");
    expect(&project, "env", "environment variable EEGCACHE_CACHE__VERSION");
    let project = project.set("cache.version=set");
    expect(&project, "set", "--set cache.version=set");
}

#[test]
fn flags_are_the_highest_layer() {
    let mut project = Project::new().set("cache.profile=dev").env("EEGCACHE_CACHE__PROFILE", "full");
    assert_eq!(project.value("cache.profile"), ("dev".to_owned(), "--set cache.profile=dev".to_owned()));
    project.request.profile = Some("smoke".to_owned());
    project.request.cache_root = Some("elsewhere".to_owned());
    assert_eq!(project.value("cache.profile"), ("smoke".to_owned(), "--profile smoke".to_owned()));
    let expected = project.root().join("elsewhere/smoke/demo_v1_256hz_10-20");
    assert_eq!(project.ok().settings.cache_dir(), expected);
}

#[test]
fn the_dataset_is_resolved_over_all_layers_first() {
    for (project, name) in [
        (Project::new(), "demo"),
        (Project::new().env("EEG_DATASET", "tusz"), "tusz"),
        (Project::new().env("EEG_DATASET", ""), "demo"),
        (Project::new().env("EEG_DATASET", "folder").config("x.yaml", "data: {dataset: tusz}"), "tusz"),
        (Project::new().config("x.yaml", "data: {dataset: tusz}").set("data.dataset=demo"), "demo"),
        (Project::new().env("EEGCACHE_DATA__DATASET", "tusz"), "tusz"),
    ] {
        assert_eq!(project.ok().settings.dataset.name, name);
    }
}

#[test]
fn values_from_the_environment_show_their_variable() {
    let project = Project::new().env("CACHE_ROOT", "/big/cache");
    assert_eq!(
        project.value("cache.root"),
        ("/big/cache".to_owned(), "configs/cache/base.yaml:8 via ${CACHE_ROOT}".to_owned())
    );
    assert_eq!(project.ok().settings.cache_root.to_str(), Some("/big/cache"));
    // A directory whose name reads as a number is still a directory.
    let project = Project::new().env("CACHE_ROOT", "2024");
    assert_eq!(project.ok().settings.cache_root, project.root().join("2024"));
    let project =
        Project::new().env("RATE", "250").config("x.yaml", "preprocessing: {sampling_rate: '${RATE}'}");
    assert_eq!(project.ok().settings.recipe.signal.output_rate().unwrap().to_string(), "250");
}

#[test]
fn an_unset_variable_matters_only_where_it_is_used() {
    let project =
        Project::new().config("x.yaml", "model: {weights: '${NOWHERE}'}\ncache: {root: '${NOWHERE}'}");
    assert!(!project.problems().is_empty());
    let project = project.set("cache.root=here");
    assert_eq!(project.ok().settings.cache_root, project.root().join("here"));
}

#[test]
fn relative_paths_are_taken_from_the_project_root() {
    let project = Project::new().config("deep/er/x.yaml", "cache: {root: ./c}\ndata: {dataset: tusz}\n");
    let cwd = project.root().join("deep");
    let request = Request { configs: vec!["er/x.yaml".into()], ..Request::default() };
    let settings = load(&BTreeMap::new(), &cwd, &request).unwrap().settings;
    assert_eq!(settings.project_root, project.root());
    assert_eq!(settings.cache_root, project.root().join("c"));
    assert_eq!(settings.dataset.root, project.root().join("data_ext4/tusz/edf"));
    // A `-c` that is not found from here is tried from the root.
    let request = Request { configs: vec!["deep/er/x.yaml".into()], ..Request::default() };
    assert!(load(&BTreeMap::new(), &cwd, &request).is_ok());
    // From outside, the first `-c` says where the project is.
    let outside = tempfile::tempdir().unwrap();
    let request = Request { configs: vec![project.root().join("deep/er/x.yaml")], ..Request::default() };
    assert_eq!(
        load(&BTreeMap::new(), outside.path(), &request).unwrap().settings.project_root,
        project.root()
    );
}

#[test]
fn empty_files_and_sections_say_nothing() {
    let project = Project::new()
        .config("a.yaml", "")
        .config("b.yaml", "# nothing\ncache:\npreprocessing:\n  # clip: 5\n");
    project.write("configs/local.yaml", "---\n");
    assert_eq!(project.ok().settings.recipe, Project::new().ok().settings.recipe);
}

#[test]
fn an_experiment_keeps_its_own_sections() {
    let text = "model: {name: x, layers: [1, {a: !!str 2}]}\ntraining: &t {lr: 1.0e-4}\nexperiment: {name: a}\ndata: {batch_size: 4, num_workers: 0}\nother: *t\n";
    assert!(Project::new().config("x.yaml", text).load().is_ok());
}

#[test]
fn the_origins_spellings_are_accepted() {
    let text = "data:\n  sampling_rate: 256\n  window_size: 60\n  stride: 10\n  data_dir: .demo/edf\n  cache_dir: cache/full/demo_v1_256hz_10-20\n\
                preprocessing: {normalize: true, use_mne: true}\ncache: {reuse_from: [dev, smoke]}\n";
    let project = Project::new().config("x.yaml", text);
    assert_eq!(project.ok().settings.recipe, Project::new().ok().settings.recipe);
    // The fallback of a variable yields to a directory that somebody wrote.
    let project = Project::new().config("x.yaml", "data: {dataset: tusz, data_dir: /data/tusz}");
    assert_eq!(project.ok().settings.dataset.root.to_str(), Some("/data/tusz"));
    let project = Project::new().env("EEG_DATASET", "folder").config("x.yaml", "data: {data_dir: mine}");
    assert_eq!(project.ok().settings.dataset.root, project.root().join("mine"));
    assert!(!project.env("EEG_DATA_ROOT", "/other").problems().is_empty());
}

#[test]
fn the_origins_switches_draw_a_warning() {
    let warnings =
        Project::new().env("BGB_LIMIT_FILES", "50").env("BGB_SMOKE_TEST", "1").ok().settings.warnings;
    assert!(warnings.len() == 2 && warnings[0].contains("`BGB_LIMIT_FILES=50`"), "{warnings:?}");
    let warnings = Project::new().set("preprocessing.notch_freq=50").ok().settings.warnings;
    assert!(warnings[0].contains("mains frequency is 60 Hz"), "{warnings:?}");
}

#[test]
fn naming_a_fixed_layer_with_c_changes_nothing() {
    let mut project = Project::new();
    project.request.configs = vec!["configs/cache/base.yaml".into()];
    let resolved = project.ok();
    assert_eq!(resolved.settings.version.as_str(), "demo_v1_256hz_10-20");
    assert!(resolved.settings.warnings[0].contains("always read"), "{:?}", resolved.settings.warnings);
}

#[test]
fn the_shipped_datasets_resolve() {
    let cwd = shipped();
    for (name, version) in
        [("demo", "demo_v1_256hz_10-20"), ("tusz", "v1_256hz_10-20"), ("folder", "folder_v1_256hz_10-20")]
    {
        let mut env = BTreeMap::from([("EEG_DATASET".to_owned(), name.to_owned())]);
        if name != "demo" {
            env.insert("EEG_DATA_ROOT".to_owned(), "/data".to_owned());
        }
        let settings =
            load(&env, &cwd, &Request::default()).unwrap_or_else(|error| panic!("{error}")).settings;
        assert_eq!((settings.dataset.name.as_str(), settings.version.as_str()), (name, version));
    }
}

#[test]
fn the_shipped_patterns_read_paths_as_they_should() {
    let subject = |name: &str, path: &str| {
        let project = Project::new().env("EEG_DATASET", name).env("EEG_DATA_ROOT", "/data");
        let spec = project.ok().settings.dataset;
        let matched = spec.recordings.iter().any(|glob| glob.compile_matcher().is_match(path));
        let captures = spec.subject.unwrap();
        (matched, captures.captures(path).and_then(|c| c.name("subject")).map(|m| m.as_str().to_owned()))
    };
    for (dataset, path, matched, id) in [
        ("tusz", "train/aaaaaaac/s001_2002/01_tcp_ar/aaaaaaac_s001_t000.edf", true, "aaaaaaac"),
        ("tusz", "dev/aaaaabbb/s002/aaaaabbb_s002_t001.EDF", false, "aaaaabbb"),
        ("folder", "a/b_c/chb01_03.edf", true, "chb01"),
        ("folder", "PN00-1.EDF", true, "PN00"),
        ("folder", "x.Bdf", true, "x.Bdf"),
        ("folder", "x.csv", false, "x.csv"),
    ] {
        let found = subject(dataset, path);
        assert_eq!(found.0, matched, "{path}");
        assert_eq!(found.1.as_deref(), Some(id), "{path}");
    }
}
