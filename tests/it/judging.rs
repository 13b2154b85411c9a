//! What is said of a cache that was made for something else than is asked for now.

use crate::project::Project;
use serde_json::Value;

const FULL: &str = "cache/full/mini_v1";

fn built(arguments: &[&str]) -> Project {
    let project = Project::mini();
    project.run(&[&["build"], arguments].concat()).expect(0);
    project
}

fn hide_dataset(project: &Project) {
    fs_err::rename(project.path("data"), project.path("elsewhere")).unwrap();
}

/// The names of the gates that are shut.
fn shut(preflight: &Value) -> Vec<&str> {
    let gates = preflight["gates"].as_array().unwrap().iter();
    let is_shut = |gate: &&Value| !["pass", "warn"].contains(&gate["verdict"]["verdict"].as_str().unwrap());
    gates.filter(is_shut).map(|gate| gate["name"].as_str().unwrap()).collect()
}

#[test]
fn without_the_dataset_another_subset_is_not_complete() {
    let project = built(&["--set", "cache.profiles.full.subset=first_9_files"]);
    hide_dataset(&project);
    let why = "made for `first_9_files`, `all_files` is configured";
    project.run(&["status", "--profile", "full"]).expect(1).says(&["INCOMPLETE", why]);
    project.run(&["preflight"]).expect(1).says(&["INCOMPLETE", why]);
    project.run(&["preflight", "--set", "cache.profiles.full.subset=first_9_files"]).expect(0);
}

#[test]
fn without_the_dataset_a_split_that_was_never_built_is_not_complete() {
    let project = built(&["--set", "data.splits=[train]"]);
    hide_dataset(&project);
    let why = "made without a recording of val";
    project.run(&["status", "--profile", "full"]).expect(1).says(&["INCOMPLETE", why]);
    let report = project.run(&["preflight", "--json"]).expect(1).json();
    assert_eq!(shut(&report), ["cache"], "{report}");
    project.run(&["preflight", "--set", "data.splits=[train]"]).expect(0);
}

#[test]
fn no_gate_judges_by_a_manifest_that_is_outdated() {
    let project = built(&["--profile", "smoke"]);
    // Three of its six recordings are on record now; the files of the others are still there.
    project
        .run(&["build", "--profile", "smoke", "--set", "cache.profiles.smoke.subset=first_3_files"])
        .expect(0);
    let report = project.run(&["preflight", "--profile", "smoke", "--json"]).expect(1).json();
    assert_eq!((report["state"].as_str(), shut(&report)), (Some("INCOMPLETE"), vec!["cache"]), "{report}");
}

#[test]
fn a_version_means_the_same_in_every_profile() {
    let project = built(&["--profile", "smoke"]);
    let other = ["--profile", "dev", "--set", "preprocessing.clip=8"];
    for command in ["status", "build", "preflight"] {
        let run = project.run(&[&[command], &other[..]].concat()).expect(1);
        run.says(&["VERSION_MISMATCH", "clip", "mini_v2"]);
    }
    project.run(&[&["build", "--dry-run"], &other[..]].concat()).expect(1);
    assert!(!project.path("cache/dev").exists());
    project.run(&[&["build"], &other[..], &["--set", "cache.version=mini_v2"]].concat()).expect(0);
    project.run(&["build", "--profile", "dev"]).expect(0);
}

#[test]
fn other_ids_of_the_same_recordings_are_told_from_other_recordings() {
    let project = built(&["--profile", "smoke"]);
    let path = "configs/datasets/mini.yaml";
    let text = project.read(path);
    project.write(path, &text.replacen("  splits:", "  id: '^(.+)$'\n  splits:", 1));
    project.run(&["build", "--profile", "smoke"]).expect(1).says(&[
        "VERSION_MISMATCH",
        "id of `",
        "correct `dataset.id` and `dataset.subject` if these are the same recordings",
    ]);
}

#[test]
fn the_quarantine_is_what_the_counts_say() {
    let project = Project::mini();
    let annotation = project.path("data").join(annotation(&project));
    let text = fs_err::read(&annotation).unwrap();
    fs_err::remove_file(&annotation).unwrap();
    project.run(&["build"]).expect(5);
    let lines = |project: &Project| {
        let profile = &project.run(&["status", "--profile", "full", "--json"]).json()["profiles"][0];
        let counted: u64 =
            profile["splits"].as_object().unwrap().values().map(|s| s["quarantined"].as_u64().unwrap()).sum();
        (profile["quarantine"].as_array().unwrap().len() as u64, counted)
    };
    assert_eq!(lines(&project), (5, 5));
    fs_err::write(&annotation, text).unwrap();
    assert_eq!(lines(&project), (4, 4));
}

/// The annotation file of a recording without a defect, below the dataset's root.
fn annotation(project: &Project) -> String {
    let listed = Project::mini();
    listed.run(&["build", "--profile", "smoke"]).expect(0);
    let manifest = listed.manifest("cache/smoke/mini_v1");
    let path = manifest["entries"][0]["annotation"]["files"][0]["path"].as_str().unwrap().to_owned();
    assert!(project.path("data").join(&path).exists());
    path
}

#[test]
fn preflight_says_what_nobody_looked_at() {
    let project = built(&[]);
    assert_eq!(project.run(&["preflight", "--json"]).expect(0).json()["unchecked"], 0);
    let path = project.manifest(FULL)["entries"][0]["source"]["path"].as_str().unwrap().to_owned();
    let recording = project.path("data").join(path);
    let mut bytes = fs_err::read(&recording).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs_err::write(&recording, bytes).unwrap();
    project.run(&["preflight"]).expect(0).says(&["unchecked: 1 of the recorded size"]);
    let planned = |flags: &[&str]| {
        let plan = project.run(&[&["build", "--dry-run", "--json"], flags].concat()).expect(0).json();
        (plan["unchecked"].as_u64().unwrap(), plan["to_build"].as_u64().unwrap())
    };
    assert_eq!((planned(&[]), planned(&["--paranoid"])), ((1, 0), (0, 1)));
}

#[test]
fn copies_are_counted_where_nothing_else_is_allowed() {
    let project = built(&[]);
    let needed = |link: &str| {
        let (link, version) = (format!("cache.link={link}"), "cache.version=mini_v2");
        let flags = ["build", "--dry-run", "--json", "--set", &link, "--set", version];
        let plan = project.run(&flags).expect(0).json();
        assert_eq!((plan["to_link"].as_u64(), plan["to_build"].as_u64()), (Some(12), Some(0)), "{plan}");
        plan["bytes_needed"].as_u64().unwrap()
    };
    let held: u64 = project.contents(FULL).values().map(|content| content.len() as u64).sum();
    assert_eq!((needed("[hardlink, copy]"), needed("copy")), (0, held));
}

/// The subject decides the split, and here it was read wrongly at first.
#[test]
fn what_lies_where_a_wrong_subject_put_it_is_not_carried_over() {
    let project = Project::mini();
    let path = "configs/datasets/mini.yaml";
    let text = project.read(path);
    let (before, _) = text.split_once("  subject:").unwrap();
    let (_, behind) = text.split_once("  split_policy").unwrap();
    let with = |subject: &str, seed: u64| {
        let splits = format!("  splits: {{by_subject: {{seed: {seed}, train: 0.5, val: 0.3}}}}");
        let behind = behind.split_once('\n').unwrap().1;
        project.write(path, &format!("{before}  subject: '{subject}'\n{splits}\n{behind}"));
    };
    let leaks = (0..40).any(|seed| {
        let _ = fs_err::remove_dir_all(project.path("cache"));
        with("([^/]+)[.]edf$", seed);
        project.run(&["build"]).expect(0);
        with("([^/_]+)_[^/]*$", seed);
        project.run(&["build", "--set", "data.splits=[train]"]).expect(0);
        let entries = project.manifest(FULL)["entries"].as_array().unwrap().clone();
        let subject = |entry: &Value| {
            let name = entry["source"]["path"].as_str().unwrap().rsplit('/').next().unwrap();
            name.split('_').next().unwrap().to_owned()
        };
        let of = |is_train: bool| -> std::collections::BTreeSet<String> {
            entries.iter().filter(|e| (e["split"] == "train") == is_train).map(subject).collect()
        };
        of(true).intersection(&of(false)).next().is_some()
    });
    assert!(!leaks);
}
