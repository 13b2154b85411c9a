//! What profiles, versions and datasets share, and what they refuse to share.

use crate::project::Project;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

const FULL: &str = "cache/full/mini_v1";
const SPLITS: &str = "{directory: {train: train, val: dev, eval: eval}}";

fn counts(report: &Value) -> (u64, u64, u64, u64) {
    let of = |key: &str| report[key].as_u64().unwrap();
    (of("built"), of("linked"), of("relabelled"), of("kept"))
}

fn build(project: &Project, arguments: &[&str]) -> (u64, u64, u64, u64) {
    counts(&project.run(&[&["build", "--json"], arguments].concat()).expect(0).json())
}

fn profile(project: &Project, arguments: &[&str]) -> Value {
    let run = project.run(&[&["status", "--json", "--profile"], arguments].concat());
    assert!(run.code <= 1, "{}", run.stderr);
    run.json()["profiles"][0].clone()
}

fn ids(manifest: &Value) -> BTreeSet<String> {
    let members = manifest["membership"].as_array().unwrap();
    members.iter().map(|member| member["name"].as_str().unwrap().to_owned()).collect()
}

fn edit(project: &Project, from: &str, to: &str) {
    let path = "configs/datasets/mini.yaml";
    let before = project.read(path);
    let after = before.replace(from, to);
    assert_ne!(before, after, "`{from}` is not in the dataset file");
    project.write(path, &after);
}

/// Copies a recording and its annotations to another place of the dataset, its last sample changed unless `same`.
fn copy_recording(project: &Project, from: &str, to: &str, same: bool) {
    let at = |path: &str, ending: &str| project.path(&format!("data/{path}.{ending}"));
    fs_err::create_dir_all(at(to, "edf").parent().unwrap()).unwrap();
    for ending in ["csv", "csv_bi", "edf"] {
        fs_err::copy(at(from, ending), at(to, ending)).unwrap();
    }
    if !same {
        let mut bytes = fs_err::read(at(to, "edf")).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs_err::write(at(to, "edf"), bytes).unwrap();
    }
}

/// The path of the first finished recording of a split, without its ending.
fn a_recording(project: &Project, split: &str) -> String {
    let manifest = project.manifest(FULL);
    let entries = manifest["entries"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["split"] == split).unwrap();
    entry["source"]["path"].as_str().unwrap().trim_end_matches(".edf").to_owned()
}

#[test]
fn every_way_to_the_same_files_links_them() {
    let project = Project::mini();
    let (built, linked, ..) = build(&project, &[]);
    assert_eq!(linked, 0);
    // Profile, further arguments: the files are there, whatever they are called by.
    let ways: [(&str, &[&str]); 5] = [
        ("smoke", &[]),
        ("dev", &[]),
        ("full", &["--set", "cache.version=other"]),
        ("dev", &["--set", "cache.version=other"]),
        ("full", &["--set", "cache.version=copied", "--set", "cache.link=[copy]"]),
    ];
    let full = project.entries(FULL);
    for (name, further) in ways {
        let report =
            project.run(&[&["build", "--json", "--profile", name], further].concat()).expect(0).json();
        let (made, linked, relabelled, kept) = counts(&report);
        assert_eq!((made, relabelled, kept), (0, 0, 0), "{name} {further:?}: {report}");
        assert!(linked > 0 && (name != "full" || linked == built), "{report}");
        let directory = report["cache_dir"].as_str().unwrap();
        let version = directory.rsplit('/').next().unwrap();
        for (file, (inode, content)) in project.entries(&format!("cache/{name}/{version}")) {
            let shared = full[&file].0 == inode || report["links"].get("reflink").is_some();
            assert!(full[&file].1 == content && shared != (version == "copied"), "{name}/{version}/{file}");
        }
    }
}

#[test]
fn another_dataset_under_the_same_version_is_refused_and_shares_by_content() {
    let project = Project::mini();
    let (built, ..) = build(&project, &[]);
    project.write("configs/datasets/twin.yaml", &project.read("configs/datasets/mini.yaml"));
    let twin = ["--set", "data.dataset=twin"];
    let refused = project.run(&[&["build"], &twin[..]].concat()).expect(1);
    refused.says(&["VERSION_MISMATCH", "dataset: mini in the cache, twin configured", "mini_v2"]);
    assert_eq!(build(&project, &[&twin[..], &["--set", "cache.version=mini_v2"]].concat()), (0, built, 0, 0));
    let again = project.run(&[&["preflight"], &twin[..]].concat()).expect(1);
    again.says(&["`mini_v2` exists and holds what is configured"]);
}

#[test]
fn new_recordings_are_missing_until_they_are_built() {
    let project = Project::mini();
    let (built, ..) = build(&project, &[]);
    let from = a_recording(&project, "train");
    copy_recording(&project, &from, "train/zzzzzzzz/s/zzzzzzzz_s001_t000", true);
    let state = profile(&project, &["full"]);
    assert_eq!((&state["state"], &state["splits"]["train"]["missing"]), (&"INCOMPLETE".into(), &1.into()));
    project.run(&["preflight"]).expect(1).says(&["INCOMPLETE", "train: 1 of"]);
    assert_eq!(build(&project, &[]), (1, 0, 0, built));
    project.run(&["preflight"]).expect(0);
}

#[test]
fn without_the_dataset_the_cache_is_judged_by_its_membership() {
    let project = Project::mini();
    build(&project, &[]);
    fs_err::rename(project.path("data"), project.path("away")).unwrap();
    project
        .run(&["status", "--profile", "full"])
        .expect(0)
        .says(&["VALID", "sources not reachable: not checked"]);
    project.run(&["preflight"]).expect(0).says(&["sources not reachable: not checked", "ready"]);
    project.run(&["preflight", "--profile", "smoke"]).expect(1).says(&["NOT_FOUND"]);
    project.run(&["verify"]).expect(0);
    project.run(&["build"]).expect(2).says(&["no readable directory", "hint:"]);
    let file = project.entries(FULL).into_keys().next().unwrap();
    fs_err::remove_file(project.path(FULL).join(file)).unwrap();
    project.run(&["preflight"]).expect(1).says(&["INCOMPLETE"]);
}

#[test]
fn only_the_splits_that_are_asked_for_are_built_and_demanded() {
    let project = Project::mini();
    let two = ["--set", "data.splits=[train, val]"];
    let (first, ..) = build(&project, &two);
    assert!(project.entries(FULL).keys().all(|name| !name.starts_with("eval/")));
    project.run(&[&["preflight"], &two[..]].concat()).expect(0);
    let (second, _, _, kept) = build(&project, &[]);
    assert!(second > 0 && kept == first);
    project.run(&["preflight"]).expect(0);
    // What one user leaves out is not lost for the other.
    build(&project, &two);
    project.run(&["preflight"]).expect(0);
}

#[test]
fn a_split_that_is_not_built_yet_is_incomplete_and_nothing_else() {
    let project = Project::mini();
    build(&project, &["--set", "data.splits=[train, val]"]);
    let run = project.run(&["preflight"]).expect(1).says(&["INCOMPLETE", "eval: 3 of 3"]);
    assert!(!run.stderr.contains("windows.length_s"), "{}", run.stderr);
}

#[test]
fn a_recording_that_is_no_member_any_more_counts_no_more() {
    let project = Project::mini();
    build(&project, &[]);
    let windows = |state: &Value| -> u64 {
        let windows = state["splits"]["train"]["windows"].as_object().unwrap();
        windows.values().map(|count| count.as_u64().unwrap()).sum()
    };
    let before = windows(&profile(&project, &["full"]));
    let entry = project.manifest(FULL)["entries"][0].clone();
    assert_eq!(entry["split"], "train");
    let lost = 1 + (entry["samples"].as_u64().unwrap() - 15_360) / 2_560;
    fs_err::remove_file(project.path("data").join(entry["source"]["path"].as_str().unwrap())).unwrap();
    let state = profile(&project, &["full"]);
    assert_eq!((&state["state"], windows(&state)), (&"INCOMPLETE".into(), before - lost), "{state}");
    project.run(&["preflight"]).expect(1);
    assert_eq!(build(&project, &[]).0, 0);
    project.run(&["preflight"]).expect(0);
    let id = entry["id"].as_str().unwrap();
    assert!(project.manifest(FULL)["entries"].as_array().unwrap().iter().all(|entry| entry["id"] != id));
    project.run(&["build", "--set", "cache.profiles.dev.subset=first_7_files", "--profile", "dev"]).expect(0);
    assert_eq!(profile(&project, &["dev"])["state"], "INCOMPLETE", "eleven are wanted now");
}

#[test]
fn balanced_profiles_alternate_and_contain_each_other() {
    let project = Project::mini();
    let subsets: Vec<String> = [("smoke", 6), ("dev", 11)]
        .into_iter()
        .flat_map(|(name, n)| {
            ["--set".to_owned(), format!("cache.profiles.{name}.subset=balanced_{n}_files")]
        })
        .collect();
    let subsets: Vec<&str> = subsets.iter().map(String::as_str).collect();
    let members = ["smoke", "dev", "full"].map(|name| {
        build(&project, &[&["--profile", name], &subsets[..]].concat());
        ids(&project.manifest(&format!("cache/{name}/mini_v1")))
    });
    assert_eq!([members[0].len(), members[1].len(), members[2].len()], [6, 11, 16]);
    assert!(members[0].is_subset(&members[1]) && members[1].is_subset(&members[2]));
    let train = project.manifest("cache/smoke/mini_v1");
    let entries = train["entries"].as_array().unwrap().iter().filter(|entry| entry["split"] == "train");
    let with = entries.filter(|entry| !entry["events"].as_array().unwrap().is_empty()).count();
    assert!(with >= 1, "half of a balanced train split has seizures: {with}");
    let mixed = project.run(&["build", subsets[0], subsets[1]]).expect(2);
    mixed.says(&["cache.profiles.smoke.subset", "all profiles take prefixes of one order"]);
}

#[test]
fn subjects_are_divided_by_their_hash_alone() {
    let project = Project::mini();
    let (built, ..) = build(&project, &[]);
    let first = project.manifest(FULL)["entries"][0]["subject"].as_str().unwrap().to_owned();
    edit(
        &project,
        SPLITS,
        &format!("{{by_subject: {{seed: 5, train: 0.5, val: 0.25, pin: {{eval: [{first}]}}}}}}"),
    );
    let (made, linked, _, kept) = build(&project, &[]);
    assert_eq!((made, linked + kept), (0, built), "the split is an identity of its own");
    for entry in project.manifest(FULL)["entries"].as_array().unwrap() {
        let subject = entry["subject"].as_str().unwrap();
        let hash = Sha256::digest(format!("5\0{subject}"));
        let u = u64::from_be_bytes(hash[..8].try_into().unwrap()) as f64 / 2f64.powi(64);
        let split = match u {
            _ if subject == first => "eval",
            u if u < 0.5 => "train",
            u if u < 0.75 => "val",
            _ => "eval",
        };
        assert_eq!(entry["split"], split, "{subject}");
        assert!(entry["files"]["signal"]["name"].as_str().unwrap().starts_with(split));
    }
}

#[test]
fn a_subject_in_two_splits_is_refused_by_every_command() {
    let project = Project::mini();
    build(&project, &[]);
    let from = a_recording(&project, "train");
    let subject = from.split('/').nth(1).unwrap();
    copy_recording(&project, &from, &format!("dev/{subject}/s/{subject}_s009_t000"), false);
    for command in [&["build"][..], &["build", "--dry-run"], &["status"], &["preflight"]] {
        let run = project.run(command).expect(4);
        run.says(&[&format!("subject `{subject}` is in two splits"), "_s009_t000.edf", "hint:"]);
    }
}

#[test]
fn the_error_for_a_duplicate_id_mends_it() {
    let folder = Project::bare().read("configs/datasets/folder.yaml").replace("${EEG_DATA_ROOT}", "data");
    let corpus = Project::mini();
    build(&corpus, &["--profile", "smoke"]);
    let manifest = corpus.manifest("cache/smoke/mini_v1");
    let path = manifest["entries"][0]["source"]["path"].as_str().unwrap();
    let recording = fs_err::read(corpus.path("data").join(path)).unwrap();
    for paths in [
        &["train/p1/s/x.edf", "dev/p1/s/x.edf"][..],
        &["a/x.edf", "b/x.edf", "c/X.edf"],
        &["a/x.edf", "x.edf"],
        &["a/x.edf", "a/x.bdf"],
        &["a/b/x.edf", "a_b/x.edf"],
    ] {
        let project = Project::bare();
        for (index, path) in paths.iter().enumerate() {
            let mut bytes = recording.clone();
            *bytes.last_mut().unwrap() = index as u8;
            let path = project.path("data").join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, bytes).unwrap();
        }
        project.write("configs/datasets/twice.yaml", &folder);
        let build = ["build", "--set", "data.dataset=twice"];
        let refused = project.run(&build).expect(2).says(&["the same recording id", "case ignored"]);
        let regex = refused.stderr.split("write `").nth(1).and_then(|rest| rest.split('`').next()).unwrap();
        project.write("configs/datasets/twice.yaml", &format!("{folder}  {regex}\n"));
        project.run(&build).expect(0).says(&[&format!("{} built", paths.len())]);
    }
}

#[test]
fn the_worst_gate_decides_the_exit_code() {
    let project = Project::mini();
    build(&project, &[]);
    let ready = ["preflight"];
    project.run(&ready).expect(0);
    let short = [&ready[..], &["--set", "windows.length_s=1000"]].concat();
    project.run(&short).expect(4);
    edit(&project, "  known_defects", "  expect: {train: {recordings: 99, subjects: 98}}\n  known_defects");
    project.run(&ready).expect(4).says(&["recordings instead of 99", "subjects instead of 98"]);
    project.run(&["preflight", "--profile", "smoke"]).expect(0); // `expect` speaks of the whole dataset
    let from = a_recording(&project, "train");
    copy_recording(&project, &from, "train/zzzzzzzz/s/zzzzzzzz_s001_t000", true);
    project.run(&short).expect(4).says(&["INCOMPLETE", "no window"]);
    let file = project.path(FULL).join(project.entries(FULL).into_keys().next().unwrap());
    fs_err::remove_file(&file).unwrap();
    fs_err::write(&file, "short").unwrap();
    project.run(&short).expect(3).says(&["CORRUPT", "verify --repair"]);
}

#[test]
fn every_reading_command_prints_one_object_of_schema_1() {
    let project = Project::mini();
    build(&project, &[]);
    let from = a_recording(&project, "train");
    let (file, id) = (format!("data/{from}.edf"), from.rsplit('/').next().unwrap());
    for command in [
        &["status"][..],
        &["status", "--profile", "dev"],
        &["preflight"],
        &["verify"],
        &["verify", "--quick"],
        &["explain", id],
        &["inspect", &file],
        &["config", "show"],
        &["config", "check", "configs/smoke_test.yaml", "configs/production.yaml"],
        &["build"],
        &["build", "--dry-run"],
    ] {
        let run = project.run(&[command, &["--json"]].concat());
        assert_eq!(run.json()["schema"], 1, "{command:?}");
        assert_eq!(run.stdout.trim_end().lines().count(), 1, "{command:?}");
    }
}
