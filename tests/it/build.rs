//! The main job through the real binary: build, share, relabel, survive, explain.

use crate::project::{Project, forge_text};
use crate::tally;
use serde_json::Value;
use std::collections::BTreeMap;

const SMOKE: &str = "cache/smoke/mini_v1";
const FULL: &str = "cache/full/mini_v1";

fn count(report: &Value, field: &str) -> u64 {
    report[field].as_u64().unwrap_or_else(|| panic!("no number `{field}` in {report}"))
}

fn build(project: &Project, arguments: &[&str]) -> Value {
    let arguments = [&["build", "--json"], arguments].concat();
    project.run(&arguments).expect(0).json()
}

#[test]
fn profiles_grow_on_top_of_each_other_and_share_inodes() {
    let project = Project::mini();
    let smoke = build(&project, &["--profile", "smoke"]);
    assert_eq!((count(&smoke, "kept"), count(&smoke, "linked")), (0, 0), "{smoke}");
    assert_eq!(count(&smoke, "built") + smoke["quarantine"].as_array().unwrap().len() as u64, 6);
    let again = build(&project, &["--profile", "smoke"]);
    assert_eq!((count(&again, "built"), count(&again, "kept")), (0, count(&smoke, "built")));

    let full = build(&project, &["--profile", "full"]);
    assert_eq!(count(&full, "linked"), count(&smoke, "built"));
    assert_eq!(count(&full, "linked") + count(&full, "built"), 12);
    assert_eq!(full["quarantine"].as_array().unwrap().len(), 4);
    let (shared, all) = (project.entries(SMOKE), project.entries(FULL));
    for (name, (inode, content)) in &shared {
        // A reflink has another inode: where the file system can, equal bytes without equal inodes are a clone.
        let links = full["links"].as_object().unwrap();
        assert!(
            all[name].1 == *content && (all[name].0 == *inode || links.contains_key("reflink")),
            "{name}"
        );
    }
    let dev = build(&project, &["--profile", "dev"]);
    assert_eq!(count(&dev, "built"), 0, "dev lies inside full: {dev}");

    let status = project.run(&["status", "--json"]).expect(0).json();
    let states: Vec<&str> =
        status["profiles"].as_array().unwrap().iter().map(|p| p["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["VALID"; 3]);
}

#[test]
fn the_same_input_gives_the_same_bytes_for_any_number_of_threads() {
    let project = Project::mini();
    build(&project, &["-j", "1", "--cache-root", "one"]);
    build(&project, &["-j", "4", "--cache-root", "four"]);
    let (one, four) = (project.contents("one"), project.contents("four"));
    assert!(one.len() == 24 && one == four);
}

#[test]
fn a_lost_manifest_and_lost_journals_cost_no_recording() {
    let project = Project::mini();
    let first = build(&project, &[]);
    let before = project.manifest(FULL);
    fs_err::remove_file(project.path(&format!("{FULL}/manifest.json"))).unwrap();
    project.run(&["status", "--profile", "full"]).expect(1).says(&["INCOMPLETE"]);
    for item in fs_err::read_dir(project.path(&format!("{FULL}/.build"))).unwrap() {
        let path = item.unwrap().path();
        if path.is_file() && path.extension().is_some_and(|e| e == "jsonl") {
            fs_err::remove_file(path).unwrap();
        }
    }
    let second = build(&project, &[]);
    assert_eq!((count(&second, "built"), count(&second, "kept")), (0, count(&first, "built")), "{second}");
    let after = project.manifest(FULL);
    let essence = |manifest: &Value| -> Vec<Value> {
        let mut entries = manifest["entries"].as_array().unwrap().clone();
        for entry in &mut entries {
            entry.as_object_mut().unwrap().remove("made");
        }
        entries
    };
    assert_eq!(essence(&before), essence(&after));
}

#[test]
fn a_label_rule_change_relabels_under_a_new_version_and_links_every_signal() {
    let project = Project::mini();
    let first = build(&project, &[]);
    let fewer = "labels.seizure=[seiz, gnsz, fnsz, cpsz, absz, spsz, tcsz, tnsz]";
    let set = ["--set", fewer, "--set", "labels.background=[bckg, mysz]"];
    let refused = project.run(&[&["build"], &set[..]].concat()).expect(1);
    let refused = refused.says(&["VERSION_MISMATCH", "labels.seizure", "mysz", "mini_v2", "hint:"]);
    assert!(!refused.stderr.contains("signal.steps"), "only what differs is shown: {}", refused.stderr);
    project.run(&[&["status", "--profile", "full"], &set[..]].concat()).expect(1).says(&["VERSION_MISMATCH"]);

    let second = build(&project, &[&set[..], &["--set", "cache.version=mini_v2"]].concat());
    assert_eq!(
        (count(&second, "built"), count(&second, "relabelled")),
        (0, count(&first, "built")),
        "{second}"
    );
    let (old, new) = (project.entries(FULL), project.entries("cache/full/mini_v2"));
    assert_eq!(old.keys().collect::<Vec<_>>(), new.keys().collect::<Vec<_>>());
    for (name, (inode, content)) in &old {
        let labels = name.ends_with(".labels.npz");
        assert_eq!(new[name].1 == *content, !labels, "{name}");
        assert!(labels || new[name].0 == *inode || second["links"].get("reflink").is_some(), "{name}");
    }
}

#[test]
fn a_signal_change_links_every_labels_file() {
    let project = Project::mini();
    build(&project, &["--profile", "smoke"]);
    let set = ["--set", "preprocessing.bandpass=[1.0, 100.0]", "--set", "cache.version=mini_v2"];
    let report = build(&project, &[&["--profile", "smoke"], &set[..]].concat());
    assert!(count(&report, "built") > 0);
    let (old, new) = (project.entries(SMOKE), project.entries("cache/smoke/mini_v2"));
    for (name, (_, content)) in &old {
        assert_eq!(new[name].1 == *content, name.ends_with(".labels.npz"), "{name}");
    }
    let linked = report["links"].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>();
    assert_eq!(linked, count(&report, "built"), "one labels file a recording: {report}");
}

#[test]
fn rewindowing_is_free() {
    let project = Project::mini();
    build(&project, &["--profile", "smoke"]);
    let windows = |set: &[&str]| -> u64 {
        let report =
            project.run(&[&["status", "--json", "--profile", "smoke"], set].concat()).expect(0).json();
        let splits = report["profiles"][0]["splits"].as_object().unwrap().clone();
        splits
            .values()
            .flat_map(|s| ["none", "partial", "full"].map(|k| s["windows"][k].as_u64().unwrap()))
            .sum()
    };
    assert!(windows(&["--set", "windows.length_s=10", "--set", "windows.stride_s=5"]) > windows(&[]));
}

#[test]
fn a_changed_annotation_or_recording_is_stale_until_the_next_build() {
    let project = Project::mini();
    let first = build(&project, &[]);
    let manifest = project.manifest(FULL);
    let entries = manifest["entries"].as_array().unwrap();
    let annotation = entries[0]["annotation"]["files"][0]["path"].as_str().unwrap();
    let csv = project.read(&format!("data/{annotation}"));
    project.write(&format!("data/{annotation}"), &format!("{csv}# looked at again\n"));
    project.run(&["status", "--profile", "full"]).expect(1).says(&["STALE"]);
    project.run(&["preflight"]).expect(1).says(&["STALE"]);
    let id = entries[0]["id"].as_str().unwrap();
    let explained =
        project.run(&["explain", id, "--json"]).expect(0).says(&["stale", "annotation changed"]).json();
    let changed: Vec<bool> = explained["annotations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file.as_str().unwrap().contains(", built from "))
        .collect();
    assert_eq!(changed, [true, false]);
    let report = build(&project, &[]);
    assert_eq!((count(&report, "relabelled"), count(&report, "built")), (1, 0), "{report}");

    let recording = project.path(&format!("data/{}", entries[1]["source"]["path"].as_str().unwrap()));
    let mut bytes = fs_err::read(&recording).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs_err::write(&recording, bytes).unwrap();
    let report = build(&project, &[]);
    assert_eq!(
        (count(&report, "built"), count(&report, "kept")),
        (1, count(&first, "built") - 1),
        "{report}"
    );
    project.run(&["status", "--profile", "full"]).expect(0).says(&["VALID"]);
}

#[test]
fn a_changed_split_moves_files_and_builds_nothing() {
    let project = Project::mini();
    let first = build(&project, &[]);
    let before: Vec<Vec<u8>> = project.contents(FULL).into_values().collect();
    let mini = project.read("configs/datasets/mini.yaml");
    let moved = mini.replace(
        "{directory: {train: train, val: dev, eval: eval}}",
        "{directory: {train: train, eval: dev, val: eval}}",
    );
    assert_ne!(mini, moved);
    project.write("configs/datasets/mini.yaml", &moved);
    project.run(&["status", "--profile", "full"]).expect(1).says(&["INCOMPLETE"]);
    let second = build(&project, &[]);
    assert_eq!((count(&second, "built"), count(&second, "relabelled")), (0, 0), "{second}");
    assert_eq!(count(&second, "linked") + count(&second, "kept"), count(&first, "built"));
    let mut after: Vec<Vec<u8>> = project.contents(FULL).into_values().collect();
    let mut before = before;
    before.sort();
    after.sort();
    assert!(before == after, "the same files under other names");
}

#[test]
fn preflight_links_what_another_profile_holds_and_becomes_the_command() {
    let project = Project::mini();
    project
        .run(&["preflight", "--profile", "smoke"])
        .expect(1)
        .says(&["NOT_FOUND", "eegcache build --profile smoke"]);
    build(&project, &[]);
    let ready = project.run(&["preflight", "--profile", "smoke"]).expect(0).says(&["linked"]);
    assert_eq!(ready.stdout.trim(), project.path(SMOKE).canonicalize().unwrap().display().to_string());
    let run =
        project.run(&["preflight", "--profile", "smoke", "--", "sh", "-c", "echo $EEGCACHE_DIR; exit 7"]);
    let run = run.expect(7);
    assert_eq!(run.stdout, ready.stdout);
    // The command has the large pages that it would have without this program.
    let pages = |status: &str| {
        status.lines().find(|line| line.starts_with("THP_enabled")).unwrap_or_default().to_owned()
    };
    let run = project.run(&["preflight", "--profile", "smoke", "--", "cat", "/proc/self/status"]).expect(0);
    assert_eq!(pages(&run.stdout), pages(&fs_err::read_to_string("/proc/self/status").unwrap()));
}

#[test]
fn preflight_shuts_its_gates() {
    let project = Project::mini();
    let none = ["--set", "labels.seizure=[zzzz]", "--set"];
    let background = "labels.background=[bckg, seiz, gnsz, fnsz, cpsz, absz, spsz, tcsz, tnsz, mysz]";
    let blind = [&none[..], &[background, "--set", "cache.version=blind"]].concat();
    project.run(&[&["build"], &blind[..]].concat()).expect(0);
    project.run(&[&["preflight"], &blind[..]].concat()).expect(4).says(&["train holds no seizure"]);
    build(&project, &[]);
    for (set, says) in [
        ("windows.length_s=1000", "no window"),
        ("labels.expected_share={windows: [0.0, 0.001]}", "windows hold a seizure"),
        ("cache.max_quarantined=0.0", "ready"),
    ] {
        let code = if says == "ready" { 0 } else { 4 };
        project.run(&["preflight", "--set", set]).expect(code).says(&[says]);
    }
}

#[test]
fn unacknowledged_failures_end_with_5_and_are_remembered() {
    let project = Project::mini();
    let mini = project.read("configs/datasets/mini.yaml");
    let (kept, _) = mini.split_once("  known_defects").unwrap();
    project.write("configs/datasets/mini.yaml", kept);
    for _ in 0..2 {
        let run = project.run(&["build"]).expect(5);
        run.says(&["truncated", "missing-channels", "no-annotation", "flat", "NEW"]);
    }
    project.run(&["preflight"]).expect(4).says(&["4 of 16 recordings are in quarantine"]);
    let quarantine = project.run(&["build", "--json"]).expect(5).json()["quarantine"].to_string();
    assert!(quarantine.contains("; looked for `") && quarantine.contains(".csv`"), "{quarantine}");
    // What processing would never say stays until somebody asks for another try.
    forge_text(&project.path(FULL), "the header promises", "somebody promised");
    project.run(&["build"]).expect(5).says(&["somebody promised"]);
    let retried = project.run(&["build", "--retry-failed"]).expect(5);
    assert!(!retried.stdout.contains("somebody") && !retried.stderr.contains("somebody"));
    retried.says(&["the header promises"]);
}

#[test]
fn known_defects_that_are_none_draw_a_warning() {
    let project = Project::mini();
    let mini = project.read("configs/datasets/mini.yaml");
    let good = build(&project, &[]);
    assert_eq!(good["warnings"].as_array().unwrap().len(), 0, "{good}");
    let manifest = project.manifest(FULL);
    let id = manifest["entries"][0]["id"].as_str().unwrap();
    project.write("configs/datasets/mini.yaml", &format!("{mini}    {id}: flat\n    nobody: flat\n"));
    project.run(&["build"]).expect(0).says(&["builds now", "names no recording on disk"]);
}

#[test]
fn corrections_of_recordings_that_are_not_there_draw_a_warning() {
    let project = Project::mini();
    let mini = project.read("configs/datasets/mini.yaml");
    let fixes = "  fixes:\n    nobody: [{onset: 1, remove: true, why: gone}]\n";
    project.write("configs/datasets/mini.yaml", &(mini.clone() + fixes));
    project.write("other.yaml", "cache: {version: mini_v2}\n");
    let said = "`fixes` of dataset `mini` for `nobody`: no such recording on disk";
    project.run(&["build", "-c", "other.yaml"]).expect(0).says(&[said]);
    let listed = "annotations: {format: chbmit_summary, file: list.txt, names: {somebody: x.edf}}";
    let (head, _) = mini.split_once("annotations:").unwrap();
    project.write("configs/datasets/mini.yaml", &format!("{head}{listed}\n"));
    project.write("other.yaml", "cache: {version: mini_v3}\nlabels: {unlabelled: keep}\n");
    let said = "`annotations.names` of dataset `mini` for `somebody`: no such recording on disk";
    project.run(&["build", "-c", "other.yaml"]).says(&[said]);
}

#[test]
fn the_same_recording_in_two_splits_is_refused() {
    let project = Project::mini();
    let first = project.run(&["explain", "nothing"]).expect(2);
    assert!(first.stderr.contains("no recording"));
    let find = |split: &str| {
        let root = project.path("data").join(split);
        let mut open = vec![root];
        loop {
            let path = open.pop().unwrap();
            if path.is_dir() {
                open.extend(fs_err::read_dir(&path).unwrap().map(|i| i.unwrap().path()));
            } else if path.extension().is_some_and(|e| e == "edf") {
                return path;
            }
        }
    };
    let copy = find("eval");
    let target = project.path("data/train/zzzzzzzz/s001_2012/01_tcp_ar/zzzzzzzz_s001_t000.edf");
    fs_err::create_dir_all(target.parent().unwrap()).unwrap();
    fs_err::copy(&copy, &target).unwrap();
    project.run(&["build"]).expect(4).says(&["lies in two splits", "zzzzzzzz_s001_t000.edf"]);
}

#[test]
fn a_dry_run_writes_nothing() {
    let project = Project::mini();
    let plan = project.run(&["build", "--dry-run", "--json"]).expect(0).json();
    assert_eq!((count(&plan, "to_build"), count(&plan, "present")), (16, 0));
    assert!(count(&plan, "bytes_needed") > 1_000_000 && !project.path("cache").exists());
    project.run(&["build", "--dry-run"]).expect(0).says(&["16  to build", "bytes needed"]);
}

#[test]
fn a_second_build_waits_or_says_75() {
    let project = Project::mini();
    build(&project, &["--profile", "smoke"]);
    let lock =
        fs_err::File::options().write(true).open(project.path(&format!("{SMOKE}/.build/lock"))).unwrap();
    lock.file().lock().unwrap();
    project.run(&["build", "--profile", "smoke", "--no-wait"]).expect(75).says(&["held by another build"]);
    let mut waiting = project.command(&["build", "--profile", "smoke"]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(waiting.try_wait().unwrap().is_none(), "it did not wait");
    lock.file().unlock().unwrap();
    assert!(waiting.wait().unwrap().success());
}

#[test]
fn damage_is_seen_verified_and_mended() {
    let project = Project::mini();
    build(&project, &[]);
    let good = project.contents(FULL);
    let victim = good.keys().find(|name| !name.ends_with(".labels.npz")).unwrap().clone();
    let path = project.path(&format!("{FULL}/{victim}"));
    let mut bytes = good[&victim].clone();
    bytes[good[&victim].len() / 2] ^= 4;
    fs_err::remove_file(&path).unwrap();
    fs_err::write(&path, &bytes).unwrap();
    project.run(&["verify"]).expect(3).says(&[&victim]);
    fs_err::write(&path, &bytes[..1000]).unwrap();
    project.run(&["status"]).expect(3).says(&["CORRUPT"]);
    project.run(&["preflight"]).expect(3).says(&["CORRUPT"]);
    project.run(&["build"]).expect(0);
    assert!(project.contents(FULL) == good);
    project.run(&["verify"]).expect(0).says(&["0 damaged", " files, "]);
}

#[test]
fn a_build_that_is_killed_again_and_again_converges_to_the_same_bytes() {
    let project = Project::mini();
    build(&project, &["--cache-root", "undisturbed"]);
    for round in 0..12 {
        let mut child = project.command(&["build", "-j", "2"]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(15 + 17 * round));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    build(&project, &[]);
    assert!(project.contents("cache") == project.contents("undisturbed"));
    project.run(&["verify"]).expect(0).says(&["0 damaged"]);
}

#[test]
fn recordings_that_are_no_members_any_more_are_neither_counted_nor_trained_on() {
    let project = Project::mini();
    build(&project, &[]);
    let manifest = project.manifest(FULL);
    let entry = &manifest["entries"][0];
    fs_err::remove_file(project.path(&format!("data/{}", entry["source"]["path"].as_str().unwrap())))
        .unwrap();
    project.run(&["status", "--profile", "full"]).expect(1).says(&["INCOMPLETE", "for other recordings"]);
    project.run(&["preflight"]).expect(1).says(&["INCOMPLETE", "eegcache build --profile full"]);
    let report = build(&project, &[]);
    assert_eq!((count(&report, "built"), count(&report, "kept")), (0, 11));
    let ids = |manifest: &Value| manifest["entries"].as_array().unwrap().len();
    assert_eq!((ids(&manifest), ids(&project.manifest(FULL))), (12, 11));
    project.run(&["preflight"]).expect(0);
}

#[test]
fn a_build_of_some_splits_keeps_the_others() {
    let project = Project::mini();
    build(&project, &[]);
    let before = project.manifest(FULL);
    let report = build(&project, &["--set", "data.splits=[train, val]"]);
    assert!(count(&report, "kept") > 0 && count(&report, "built") == 0, "{report}");
    let after = project.manifest(FULL);
    for field in ["entries", "quarantine", "membership", "totals"] {
        assert_eq!(before[field], after[field], "{field}");
    }
    project.run(&["status", "--profile", "full"]).expect(0).says(&["VALID"]);
}

#[test]
fn the_cache_is_judged_and_explained_without_its_dataset() {
    let project = Project::mini();
    build(&project, &[]);
    let id = project.manifest(FULL)["entries"][0]["id"].as_str().unwrap().to_owned();
    fs_err::rename(project.path("data"), project.path("elsewhere")).unwrap();
    project
        .run(&["status", "--profile", "full"])
        .expect(0)
        .says(&["VALID", "sources not reachable: not checked"]);
    project.run(&["preflight"]).expect(0).says(&["sources not reachable: not checked"]);
    project.run(&["explain", &id]).expect(0).says(&[&id, "signal built"]);
    project.run(&["build"]).expect(2).says(&["`dataset.root`", "mini.yaml"]);
}

#[test]
fn what_a_killed_build_finished_is_counted() {
    let project = Project::mini();
    let mut child = project.command(&["build", "-j", "1"]).spawn().unwrap();
    let journal = || {
        let listed = fs_err::read_dir(project.path(&format!("{FULL}/.build"))).ok()?;
        let mut names =
            listed.flatten().map(|item| item.path()).filter(|p| p.extension().is_some_and(|e| e == "jsonl"));
        names.find_map(|path| fs_err::read_to_string(path).ok()).filter(|text| text.lines().count() > 4)
    };
    while journal().is_none() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    build(&project, &[]);
    let history = &project.manifest(FULL)["history"];
    assert_eq!(count(history, "built"), 12, "{history}");
}

#[test]
fn a_build_with_nothing_to_do_is_counted_and_leaves_the_manifest_alone() {
    let project = Project::mini();
    build(&project, &[]);
    let path = format!("{FULL}/manifest.json");
    let before = project.read(&path);
    let counts = || {
        let status = project.run(&["status", "--json", "--profile", "full"]).expect(0).json();
        let history = status["profiles"][0]["history"].clone();
        (count(&history, "runs"), count(&history, "built"), count(&history, "kept"))
    };
    assert_eq!(counts(), (1, 12, 0));
    build(&project, &[]);
    build(&project, &[]);
    assert_eq!((counts(), project.read(&path) == before), ((3, 12, 24), true));
    // A line that was torn counts nothing and takes no other with it.
    let lines = format!("{FULL}/.build/history.jsonl");
    project.write(&lines, &format!("{}\n0123 torn", project.read(&lines)));
    build(&project, &[]);
    assert_eq!(counts(), (4, 12, 36));
    // The next manifest holds all of it, and lines that outlive it count nothing.
    let old = project.read(&lines);
    let lost = project.contents(FULL).into_keys().find(|name| name.ends_with(".labels.npz")).unwrap();
    fs_err::remove_file(project.path(&format!("{FULL}/{lost}"))).unwrap();
    build(&project, &[]);
    project.write(&lines, &old);
    assert_eq!(counts(), (5, 12, 47));
    assert_eq!(count(&project.manifest(FULL)["history"], "runs"), 5);
}

/// A kill between the first removed name and the journal's line of the new file must not look like success.
#[test]
fn a_listed_file_is_disowned_before_it_is_replaced() {
    let project = Project::mini();
    build(&project, &[]);
    let manifest = project.manifest(FULL);
    let entry = &manifest["entries"][0];
    let annotation = format!("data/{}", entry["annotation"]["files"][0]["path"].as_str().unwrap());
    let before = project.read(&annotation);
    project.write(&annotation, &format!("{before}# changed\n"));
    let labels = project.path(&format!("{FULL}/{}", entry["files"]["labels"]["name"].as_str().unwrap()));
    let old = fs_err::read(&labels).unwrap();
    let mut child = project.command(&["build"]).spawn().unwrap();
    while fs_err::read(&labels).is_ok_and(|now| now == old) && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    project.write(&annotation, &before);
    let state =
        project.run(&["status", "--profile", "full", "--json"]).json()["profiles"][0]["state"].clone();
    let verified = project.run(&["verify", "--profile", "full"]).code;
    assert!(state != "VALID" || verified == 0, "{state}, verify {verified}");
    build(&project, &[]);
    assert!(fs_err::read(&labels).unwrap() == old);
    project.run(&["verify"]).expect(0);
}

#[test]
fn a_deleted_annotation_file_is_noticed_where_unlabelled_recordings_are_kept() {
    let project = Project::mini();
    let keep = ["--set", "labels.unlabelled=keep"];
    build(&project, &keep);
    let entry = project.manifest(FULL)["entries"][0].clone();
    let annotation = entry["annotation"]["files"][0]["path"].as_str().unwrap();
    for name in [annotation.to_owned(), annotation.replace(".csv", ".csv_bi")] {
        fs_err::remove_file(project.path(&format!("data/{name}"))).unwrap();
    }
    project.run(&[&["status", "--profile", "full"], &keep[..]].concat()).expect(1).says(&["STALE"]);
    build(&project, &keep);
    let labels = project.path(&format!("{FULL}/{}", entry["files"]["labels"]["name"].as_str().unwrap()));
    let now = project.manifest(FULL)["entries"][0].clone();
    assert!(!labels.exists() && now["annotation"]["status"] == "unlabelled", "{now}");
    project.run(&[&["status", "--profile", "full"], &keep[..]].concat()).expect(0).says(&["VALID"]);
}

#[test]
fn an_annotation_that_lost_its_seizures_is_heard_of_before_training() {
    let project = Project::mini();
    build(&project, &[]);
    let warning = "seizure time is not confirmed";
    assert!(!project.run(&["preflight"]).expect(0).stderr.contains(warning));
    let manifest = project.manifest(FULL);
    let entries = manifest["entries"].as_array().unwrap();
    let entry = entries.iter().find(|entry| !entry["events"].as_array().unwrap().is_empty()).unwrap();
    let path = format!("data/{}", entry["annotation"]["files"][0]["path"].as_str().unwrap());
    let is_seizure =
        |line: &&str| entry["events"][0]["code"].as_str().is_some_and(|code| line.contains(code));
    let background = |line: &str| {
        let mut fields: Vec<&str> = line.split(',').collect();
        fields[3] = "bckg";
        fields.join(",") + "\n"
    };
    let text = project.read(&path);
    let cut: String = text
        .lines()
        .map(|line| if is_seizure(&line) { background(line) } else { format!("{line}\n") })
        .collect();
    project.write(&path, &cut);
    build(&project, &[]);
    let id = entry["id"].as_str().unwrap();
    project.run(&["preflight"]).expect(0).says(&[warning, id, "eegcache explain"]);
}

/// The demo's recording that is cut off has annotations of its whole length.
#[test]
fn labels_are_cut_to_the_whole_records_that_are_kept() {
    let project = Project::mini();
    let keep = ["--set", "preprocessing.truncated=keep_whole_records"];
    build(&project, &keep);
    let manifest = project.manifest(FULL);
    let is_cut = |entry: &&serde_json::Value| {
        entry["notes"].as_array().unwrap().iter().any(|note| note["code"] == "truncated")
    };
    let entry = manifest["entries"].as_array().unwrap().iter().find(is_cut).unwrap();
    let path = format!("data/{}", entry["annotation"]["files"][0]["path"].as_str().unwrap());
    let text = project.read(&path);
    let claimed = text.lines().find_map(|line| line.strip_prefix("# duration = ")).unwrap();
    let claimed: f64 = claimed.split(' ').next().unwrap().parse().unwrap();
    let samples = entry["samples"].as_u64().unwrap();
    assert!(claimed > samples as f64 / 256.0 + 1.0, "{claimed} s, {samples} samples");
    let inside = |event: &serde_json::Value| event["end"].as_u64().unwrap() <= samples;
    assert!(entry["events"].as_array().unwrap().iter().all(inside));
    // The signal files alone say so as well: nothing but labels is made again.
    project.write(&path, &text.replace(",1.0000", ",0.9000"));
    let report = build(&project, &keep);
    assert_eq!((count(&report, "built"), count(&report, "relabelled")), (0, 1));
}

#[test]
fn what_nobody_labelled_has_not_zero_seizures() {
    let project = Project::mini();
    let unlabelled = ["--set", "labels.unlabelled=keep", "--set", "cache.version=bare_v1"];
    let report = build(&project, &unlabelled);
    assert!(count(&report, "built") > 0);
    let id = project.manifest("cache/full/bare_v1")["entries"][0]["id"].as_str().unwrap().to_owned();
    let recorded =
        |arguments: &[&str]| project.run(&[&["explain", &id, "--json"], arguments].concat()).json();
    assert!(recorded(&unlabelled)["seizures"].is_u64());
    let path = format!("data/{}", recorded(&unlabelled)["path"].as_str().unwrap());
    for annotation in [path.replace(".edf", ".csv"), path.replace(".edf", ".csv_bi")] {
        fs_err::remove_file(project.path(&annotation)).unwrap();
    }
    build(&project, &unlabelled);
    assert!(recorded(&unlabelled)["seizures"].is_null());
    project.run(&[&["explain", &id], &unlabelled[..]].concat()).expect(0).says(&["not labelled"]);
}

#[test]
fn where_every_recording_fails_alike_the_hint_is_about_the_configuration() {
    let project = Project::mini();
    let channels = ["--set", "preprocessing.channels.order=[Fp1, Cx]", "--set", "cache.version=other_v1"];
    let run = project.run(&[&["build"], &channels[..]].concat()).expect(5);
    assert!(!run.stderr.contains("mend the recordings") && !run.stdout.contains("mend the recordings"));
    run.says(&["missing-channels", "compare `preprocessing.channels`"]);
}

#[test]
fn a_glob_that_matches_nothing_is_not_taken_for_a_missing_dataset_alone() {
    let project = Project::mini();
    build(&project, &[]);
    let dataset = project.read("configs/datasets/mini.yaml");
    project.write("configs/datasets/mini.yaml", &dataset.replace("**/*.edf", "**/*.edff"));
    for command in ["status", "preflight"] {
        project.run(&[command, "--profile", "full"]).expect(0).says(&["no recording", "`**/*.edff`"]);
    }
}

#[test]
fn a_build_of_one_split_keeps_no_recording_where_an_older_rule_put_it() {
    let project = Project::mini();
    let directories = "{directory: {train: train, val: dev, eval: eval}}";
    let by = |seed: u32| format!("{{by_subject: {{seed: {seed}, train: 0.4, val: 0.3}}}}");
    let path = "configs/datasets/mini.yaml";
    let original = project.read(path);
    let places = || -> BTreeMap<String, String> {
        let manifest = project.manifest(FULL);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        manifest["entries"].as_array().unwrap().iter().map(|e| (text(&e["id"]), text(&e["split"]))).collect()
    };
    project.write(path, &original.replace(directories, &by(1)));
    build(&project, &[]);
    for seed in 2..5 {
        let before = places();
        project.write(path, &original.replace(directories, &by(seed)));
        build(&project, &["--set", "data.splits=[train]"]);
        let some = places();
        build(&project, &[]);
        let all = places();
        assert!(before != all && before.len() == all.len(), "seed {seed}: the splits are others");
        assert!(some.iter().all(|(id, split)| all[id] == *split), "seed {seed}: {some:?} {all:?}");
    }
}

#[test]
fn preflight_links_recordings_without_labels() {
    let project = Project::mini();
    let path = "configs/datasets/mini.yaml";
    let dataset = project.read(path);
    let annotations = "annotations: {format: tusz_csv, file: \"{stem}.csv\", cross_check: \"{stem}.csv_bi\"}";
    project.write(path, &dataset.replace(annotations, "annotations: {format: none}"));
    let keep = ["--set", "labels.unlabelled=keep", "--set", "cache.version=bare_v1"];
    project.run(&[&["build"], &keep[..]].concat());
    let smoke = project.run(&[&["preflight", "--profile", "smoke"], &keep[..]].concat());
    assert!(!smoke.stderr.contains("was not"), "{}", smoke.stderr);
    smoke.says(&["linked"]);
    project.run(&[&["status", "--profile", "smoke"], &keep[..]].concat()).expect(0).says(&["VALID"]);
}

#[test]
fn a_name_that_is_not_the_files_own_harms_no_other_name() {
    let project = Project::mini();
    build(&project, &[]);
    let name = project.entries(FULL).into_keys().find(|name| name.starts_with("train/")).unwrap();
    for other in ["eval/aaa.npz", "val/zzz.npz"] {
        let other = project.path(&format!("{FULL}/{other}"));
        fs_err::hard_link(project.path(&format!("{FULL}/{name}")), &other).unwrap();
        let report = project.run(&["verify", "--json"]).expect(3).json();
        let damaged: Vec<&str> =
            report["damaged"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(damaged, [other.strip_prefix(project.path(FULL)).unwrap().to_str().unwrap()]);
        project.run(&["verify", "--repair"]).expect(3);
        assert!(project.path(&format!("{FULL}/{name}")).exists());
        project.run(&["verify"]).expect(0);
    }
}

#[test]
fn a_half_moved_split_converges_and_leaves_one_name() {
    let project = Project::mini();
    build(&project, &[]);
    let names = |tree: &str| project.contents(tree).into_keys().collect::<Vec<_>>();
    let before = names(FULL);
    let name = before.iter().find(|name| name.starts_with("train/") && !name.contains(".labels")).unwrap();
    let other = name.replace("train/", "val/");
    fs_err::hard_link(project.path(&format!("{FULL}/{name}")), project.path(&format!("{FULL}/{other}")))
        .unwrap();
    build(&project, &[]);
    assert_eq!(names(FULL), before, "the stray name is gone");
    fs_err::rename(project.path(&format!("{FULL}/{name}")), project.path(&format!("{FULL}/{other}")))
        .unwrap();
    let report = build(&project, &[]);
    assert_eq!(count(&report, "built"), 0, "the file was found under the other name: {report}");
    assert_eq!(names(FULL), before);
    project.run(&["status", "--profile", "full"]).expect(0).says(&["VALID"]);
}

#[test]
fn a_failure_that_another_profile_remembers_leaves_no_file() {
    let project = Project::mini();
    build(&project, &[]);
    build(&project, &["--profile", "smoke"]);
    let manifest = project.manifest(SMOKE);
    let annotation = manifest["entries"][0]["annotation"]["files"][0]["path"].as_str().unwrap();
    let csv = project.read(&format!("data/{annotation}"));
    project.write(&format!("data/{annotation}"), &csv.replace("bckg", "what"));
    project.run(&["build"]).expect(5).says(&["unknown-label"]);
    project.run(&["build", "--profile", "smoke"]).expect(5).says(&["unknown-label"]);
    project.run(&["status", "--profile", "smoke"]).expect(0).says(&["VALID", "unknown-label"]);
    let id = manifest["entries"][0]["id"].as_str().unwrap();
    assert!(!project.contents(SMOKE).keys().any(|name| name.contains(id)));
}

#[test]
fn memory_changes_no_byte_and_what_does_not_fit_is_tried_by_the_next_build() {
    let project = Project::mini();
    let run = project.run(&["build", "--memory", "1M"]).expect(5);
    run.says(&["too-long", "bytes of memory", "1048576", "`--memory`"]);
    project.run(&["build", "--memory", "1M"]).expect(5).says(&["too-long"]);
    let arrays = |root: &str| {
        let mut contents = project.contents(root);
        contents.retain(|name, _| {
            std::path::Path::new(name).extension().is_some_and(|extension| extension == "npz")
        });
        contents
    };
    assert!(arrays("cache").is_empty());
    assert_eq!(count(&build(&project, &["-j", "4", "--memory", "40M"]), "built"), 12);
    build(&project, &["--cache-root", "other"]);
    assert_eq!(arrays("cache").len(), 24);
    assert!(arrays("cache") == arrays("other"));
    project.run(&["build", "--memory", "4X"]).expect(2).says(&["for instance `4G`"]);
}

#[test]
fn a_manifest_of_a_later_program_is_not_replaced() {
    let project = Project::mini();
    build(&project, &["--profile", "smoke"]);
    forge_text(&project.path(SMOKE), "\"schema\":1", "\"schema\":2");
    let later = project.read(&format!("{SMOKE}/manifest.json"));
    project
        .run(&["build", "--profile", "smoke"])
        .expect(1)
        .says(&["later eegcache", "another `cache.version`"]);
    project.run(&["build", "--dry-run", "--profile", "smoke"]).expect(1).says(&["later eegcache"]);
    project.run(&["status", "--profile", "smoke"]).expect(1).says(&["VERSION_MISMATCH", "later eegcache"]);
    assert!(project.read(&format!("{SMOKE}/manifest.json")) == later);
}

/// What one recording leaves to the next one is memory too.
#[cfg(target_os = "linux")]
#[test]
fn a_narrow_budget_bounds_what_the_process_takes() {
    use crate::edf_writer::{EdfFile, EdfSignal};
    use eegcache::model::recording::Kind;

    const BUDGET_MIB: u64 = 120;
    let project = Project::bare();
    project.write(
        "configs/datasets/long.yaml",
        "dataset:\n  title: long\n  licence: CC0-1.0\n  root: data\n  recordings: \"*.edf\"\n  subject: '([^/]+)[.]edf$'\n  \
         splits: {by_subject: {seed: 1, train: 1.0, val: 0.0}}\n  annotations: {format: tusz_csv, file: \"{stem}.csv\"}\n",
    );
    project.write("configs/local.yaml", "data: {dataset: long}\ncache: {version: long_v1}\n");
    let lengths = [(256, 900), (512, 500), (250, 1000), (256, 1100), (400, 600), (250, 700), (512, 450)];
    for (number, (rate, seconds)) in lengths.into_iter().enumerate() {
        let noise =
            |signal: i32| (0..(rate * seconds) as i32).map(move |i| i % 601 * (7919 + signal) % 601 - 300);
        let labels = "FP1 F3 C3 P3 F7 T3 T5 O1 FZ CZ PZ FP2 F4 C4 P4 F8 T4 T6 O2".split(' ').zip(0..);
        let signals = labels
            .map(|(name, at)| EdfSignal::new(&format!("EEG {name}-REF"), rate, noise(at).collect()))
            .collect();
        let bytes = EdfFile::new(Kind::Edf, seconds, signals).to_bytes();
        project.write(
            &format!("data/s{number}.csv"),
            &format!("# duration = {seconds}.0000 secs\nchannel,start_time,stop_time,label,confidence\nFP1-F7,0.0000,{seconds}.0000,bckg,1.0000\n"),
        );
        fs_err::write(project.path(&format!("data/s{number}.edf")), bytes).unwrap();
    }
    let mut command = project.command(&["build", "-j", "2", "--memory", &format!("{BUDGET_MIB}M")]);
    let silent = std::process::Stdio::null;
    let mut running = command.stdout(silent()).stderr(silent()).spawn().unwrap();
    let (mut most, status) = (0, format!("/proc/{}/status", running.id()));
    while running.try_wait().unwrap().is_none() {
        // A high-water mark: the last one that is seen counts.
        let text = fs_err::read_to_string(&status).unwrap_or_default();
        let mark = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        most = most.max(mark.map_or(0, |kilobytes| kilobytes.parse::<u64>().unwrap() >> 10));
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert_eq!(running.wait().unwrap().code(), Some(0));
    assert_eq!(project.manifest("cache/full/long_v1")["entries"].as_array().unwrap().len(), lengths.len());
    if most == 0 {
        return tally::skip("the system tells no high-water mark of memory (VmHWM)");
    }
    // Less than a quarter of it were a test that sees nothing.
    assert!((BUDGET_MIB / 4..=BUDGET_MIB).contains(&most), "{most} MiB");
}
