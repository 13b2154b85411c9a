//! `export` by numpy's eyes: every window is the slice of the cached signal, whatever the layout.

use crate::project::{Project, Run};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const FULL: &str = "cache/full/mini_v1";
const CHECK: &str = include_str!("export_numpy.py");

/// Runs a script with numpy; false, visibly, where there is none.
#[expect(clippy::print_stderr, reason = "a skipped check must be seen")]
pub(crate) fn numpy(script: &str, arguments: &[&Path]) -> bool {
    let python = std::env::var_os("EEGCACHE_PYTHON").unwrap_or_else(|| "python3".into());
    let probe = Command::new(&python).args(["-c", "import numpy"]).output();
    if !probe.is_ok_and(|out| out.status.success()) {
        eprintln!("skipped: {} has no numpy", python.display());
        return false;
    }
    let out = Command::new(&python).arg("-c").arg(script).args(arguments).output().unwrap();
    Run::of(&out).expect(0);
    true
}

fn built() -> Project {
    let project = Project::mini();
    project.run(&["build"]).expect(0);
    project
}

/// Every file of an export by name, the lock and the record of what was made from what left out.
fn files(project: &Project, directory: &str) -> BTreeMap<String, Vec<u8>> {
    let root = project.path(directory);
    let entries = walkdir::WalkDir::new(&root).into_iter().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().is_file());
    let named = files.map(|entry| {
        let name = entry.path().strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        (name, fs_err::read(entry.path()).unwrap())
    });
    named.filter(|(name, _)| !name.starts_with(".eegcache-export")).collect()
}

fn export(project: &Project, layout: &str, directory: &str, further: &[&str]) -> Value {
    project.run(&[&["export", "--layout", layout, directory, "--json"], further].concat()).expect(0).json()
}

#[test]
fn every_layout_holds_the_slices_of_the_signal() {
    let project = built();
    let short = ["--set", "windows.length_s=7", "--set", "windows.stride_s=3"];
    let half = ["--set", "storage.dtype=float16", "--set", "cache.version=half"];
    project.run(&[&["build"], &half[..]].concat()).expect(0);
    for (layout, cache, further, length, stride) in [
        ("windows", FULL, &[][..], 60, 10),
        ("npy", FULL, &short, 7, 3),
        ("npy", "cache/full/half", &half, 60, 10),
        ("brain-brr", FULL, &[], 60, 10),
    ] {
        let out = format!("out/{layout}-{length}-{}", cache.rsplit('/').next().unwrap());
        let report = export(&project, layout, &out, further);
        assert!(report["exported"].as_u64().unwrap() > 8, "{report}");
        project.write(
            "expect.json",
            &serde_json::json!({
                "layout": layout, "length": length * 256, "stride": stride * 256, "report": report,
            })
            .to_string(),
        );
        numpy(CHECK, &[&project.path(cache), &project.path(&out), &project.path("expect.json")]);
    }
}

#[test]
fn an_export_is_resumed_and_a_changed_cache_is_exported_anew() {
    let project = built();
    let first = export(&project, "brain-brr", "out", &[]);
    let all = first["exported"].as_u64().unwrap();
    let before = files(&project, "out");
    let counts = |report: &Value| ["exported", "kept"].map(|key| report[key].as_u64().unwrap());
    assert_eq!(counts(&export(&project, "brain-brr", "out", &["-j", "1"])), [0, all]);
    // A file that is gone, one that was cut, and what a killed run leaves.
    let data: Vec<&String> = before.keys().filter(|name| name.ends_with("_data.npy")).collect();
    fs_err::remove_file(project.path("out").join(data[0])).unwrap();
    fs_err::write(project.path("out").join(data[1]), b"cut").unwrap();
    project.write("out/train/.eegcache-tmp-1-x", "torn");
    let record = project.read("out/.eegcache-export.jsonl");
    project.write("out/.eegcache-export.jsonl", &format!("{record}{{\"name\":\"train/torn"));
    assert_eq!(counts(&export(&project, "brain-brr", "out", &[])), [2, all - 2]);
    assert_eq!(files(&project, "out"), before);
    assert_eq!(project.read("out/.eegcache-export.jsonl"), record);
    // Labels alone change: everything is exported anew, and the listings follow.
    let relabelled = ["--set", "labels.seizure=[fnsz]", "--set", "cache.version=relabelled"];
    let background = ["--set", "labels.background=[bckg, seiz, gnsz, cpsz, absz, spsz, tcsz, tnsz, mysz]"];
    let relabelled = [&relabelled[..], &background[..], &["--set", "labels.expected_share=null"]].concat();
    let run = project.run(&[&["build"], &relabelled[..4], &background[..]].concat());
    assert!(run.code == 0, "{}", run.stderr);
    let changed = export(&project, "brain-brr", "out", &[&relabelled[..4], &background[..]].concat());
    assert_eq!(counts(&changed), [all, 0]);
    let after = files(&project, "out");
    assert_ne!(after["train/manifest.json"], before["train/manifest.json"]);
    // Other windows too; and the same bytes again with the first windows.
    let other = export(&project, "brain-brr", "out", &["--set", "windows.stride_s=20"]);
    assert_eq!(counts(&other), [all, 0]);
    export(&project, "brain-brr", "out", &["-j", "2"]);
    assert_eq!(files(&project, "out"), before);
}

/// Builds after the directories of the dataset became other splits.
fn build_with_splits(project: &Project, directories: &str) {
    let (path, before) = ("configs/datasets/mini.yaml", "{train: train, val: dev, eval: eval}");
    let text = project.read(path);
    assert!(text.contains(before), "{text}");
    project.write(path, &text.replace(before, directories));
    project.run(&["build"]).expect(0);
}

#[test]
fn what_is_no_recording_of_a_split_any_more_goes() {
    let project = built();
    export(&project, "npy", "out", &[]);
    let before = files(&project, "out");
    let report = export(&project, "npy", "out", &["--set", "data.splits=[train]"]);
    assert_eq!((report["removed"].as_array().unwrap().len(), files(&project, "out")), (0, before.clone()));
    // Recordings change places: a copy in the old split would leak.
    build_with_splits(&project, "{train: train, val: eval, eval: dev}");
    export(&project, "npy", "out", &[]);
    let after = files(&project, "out");
    assert_eq!(after.len(), before.len());
    for (name, content) in &before {
        let name = match name.split_once('/').unwrap() {
            ("val", leaf) => format!("eval/{leaf}"),
            ("eval", leaf) => format!("val/{leaf}"),
            _ => name.clone(),
        };
        assert!(after.get(&name) == Some(content), "{name}");
    }
}

/// Whatever a listing names lies beside it.
fn listings_are_true(project: &Project, directory: &str) -> usize {
    let mut found = 0;
    for split in ["train", "dev", "eval"] {
        let place = project.path(&format!("{directory}/{split}"));
        let Ok(text) = fs_err::read_to_string(place.join("manifest.json")) else { continue };
        let listed: BTreeMap<String, Vec<Value>> = serde_json::from_str(&text).unwrap();
        for window in listed.values().flatten() {
            assert!(place.join(window["cache_file"].as_str().unwrap()).exists(), "{split}: {window}");
        }
        found += 1;
    }
    found
}

#[test]
fn no_listing_names_what_moved_to_another_split() {
    let project = built();
    export(&project, "brain-brr", "out", &[]);
    assert_eq!(listings_are_true(&project, "out"), 3);
    build_with_splits(&project, "{train: dev, val: train, eval: eval}");
    export(&project, "brain-brr", "out", &["--set", "data.splits=[train]"]);
    // What another rule put into the splits that are not looked at goes with its listings.
    assert_eq!(listings_are_true(&project, "out"), 1);
}

#[test]
fn what_another_split_rule_put_into_other_splits_goes() {
    let project = built();
    let train = ["--set", "data.splits=[train]"];
    let mut outside = 0;
    let mut only_train_is_left = |what: &str| {
        let report = export(&project, "brain-brr", "out", &train);
        let files = files(&project, "out");
        let left: Vec<&String> = files.keys().filter(|name| !name.starts_with("train/")).collect();
        assert_eq!(left, [".cache_metadata.json"], "{what}");
        outside += report["removed"].as_array().unwrap().len();
    };
    export(&project, "brain-brr", "out", &[]);
    build_with_splits(&project, "{train: train, val: eval, eval: dev}");
    only_train_is_left("another rule");
    // Earlier programs did not say which rule it was.
    export(&project, "brain-brr", "out", &[]);
    let record = project.read("out/.eegcache-export.jsonl");
    let (before, behind) = record.split_once(",\"splits\":").unwrap();
    project
        .write("out/.eegcache-export.jsonl", &format!("{before}}}\n{}", behind.split_once('\n').unwrap().1));
    only_train_is_left("no rule on record");
    assert!(outside > 0);
    let record = project.read("out/.eegcache-export.jsonl");
    assert!(record.lines().next().unwrap().contains("\"splits\":") && !record.contains("dev/"), "{record}");
}

fn has_strace(what: &str) -> bool {
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=none", "true"];
    let works = Command::new(strace[0]).args(&strace[1..]).output();
    let works = works.is_ok_and(|output| output.status.success());
    if !works {
        crate::tally::skip(&format!("{what}: strace does not work here"));
    }
    works
}

/// The program under `strace`, on one thread.
fn traced(project: &Project, inject: &str, arguments: &[&str]) -> Command {
    let program = project.command(&[arguments, &["-j", "1"]].concat());
    let mut command = Command::new("strace");
    let calls = inject.split(':').next().unwrap();
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
    command.args(["-e", &format!("inject={inject}")]).arg(program.get_program()).args(program.get_args());
    for (name, _) in program.get_envs() {
        command.env_remove(name);
    }
    command.current_dir(project.path(""));
    command
}

/// Other labels of as many bytes.
const OTHER_LABELS: [&str; 6] = [
    "--set",
    "labels.seizure=[seiz, fnsz]",
    "--set",
    "labels.background=[bckg]",
    "--set",
    "cache.version=v2",
];

#[test]
fn an_export_that_died_over_that_of_another_version_leaves_no_wrong_window() {
    if !has_strace("a death of an export") {
        return;
    }
    let project = Project::tiny();
    project.run(&["build"]).expect(0);
    project.run(&[&["build"], &OTHER_LABELS[..]].concat()).expect(0);
    export(&project, "windows", "out", &[]);
    let right = files(&project, "out");
    export(&project, "windows", "other", &OTHER_LABELS);
    let sizes = |files: &BTreeMap<String, Vec<u8>>| files.values().map(Vec::len).collect::<Vec<_>>();
    let other = files(&project, "other");
    assert!(other != right && sizes(&other) == sizes(&right));
    let over = [&["export", "--layout", "windows", "out"], &OTHER_LABELS[..]].concat();
    let mut deaths = 0;
    for call in ["rename", "unlink", "write", "fdatasync", "fsync"] {
        for at in (1..500).step_by(if call == "write" { crate::tally::stride(5) } else { 1 }) {
            let inject = format!("{call}:signal=KILL:when={at}");
            let died = traced(&project, &inject, &over).output().unwrap().status.code() != Some(0);
            export(&project, "windows", "out", &[]);
            assert!(files(&project, "out") == right, "killed at {call} {at}");
            if !died {
                break;
            }
            deaths += 1;
        }
    }
    assert!(deaths > 20, "{deaths}");
    crate::tally::count("SIGKILL of an export over another one", deaths);
}

/// A build beside an export: what was planned with the old files is not made of the new ones.
#[test]
fn an_export_beside_a_build_does_not_mix_what_was_with_what_is() {
    use std::io::{BufRead, Read};
    for what in ["labels", "signal"] {
        let project = Project::tiny();
        project.run(&["build"]).expect(0);
        export(&project, "npy", "out", &[]);
        for file in ["out/train/a_1_data.npy", "out/train/a_1_labels.npy"] {
            fs_err::remove_file(project.path(file)).unwrap();
        }
        // Whoever holds the directory keeps an export waiting that has seen the cache already.
        let lock = fs_err::File::open(project.path("out/.eegcache-export.lock")).unwrap();
        let (lock, _) = lock.into_parts();
        lock.lock().unwrap();
        let mut command = project.command(&["export", "--layout", "npy", "out"]);
        let mut child =
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let mut talk = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("waiting for another export") && talk.read_line(&mut said).unwrap() > 0 {}
        if what == "labels" {
            let text = project.read("data/train/a_1.csv");
            project.write("data/train/a_1.csv", &text.replace("4.0000,seiz", "3.0000,seiz"));
        } else {
            crate::tiny::write_dataset(&project.path("data"), 1);
        }
        let built = project.run(&["build", "--json"]).expect(0).json();
        assert_eq!(built["relabelled"].as_u64().unwrap() + built["built"].as_u64().unwrap(), 1, "{built}");
        lock.unlock().unwrap();
        talk.read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1), "{what}: {said}");
        assert!(
            said.contains("the cache changed during the export") && said.contains("run it again"),
            "{said}"
        );
        export(&project, "npy", "out", &[]);
        export(&project, "npy", "right", &[]);
        assert!(files(&project, "out") == files(&project, "right"), "{what}");
    }
}

/// Runs the program; one that is not done after 20 s ends with 124.
pub(crate) fn in_time(project: &Project, arguments: &[&str]) -> Run {
    let program = project.command(arguments);
    let mut command = Command::new("timeout");
    command.arg("20").arg(program.get_program()).args(program.get_args()).current_dir(project.path(""));
    for (name, _) in program.get_envs() {
        command.env_remove(name);
    }
    Run::of(&command.output().unwrap())
}

pub(crate) fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn an_export_waits_for_no_pipe() {
    let project = Project::tiny();
    project.run(&["build"]).expect(0);
    for (name, code) in [(".eegcache-export.jsonl", 2), (".eegcache-export.lock", 74)] {
        fs_err::create_dir(project.path(name)).unwrap();
        make_pipe(&project.path(name).join(name));
        in_time(&project, &["export", "--layout", "npy", name]).expect(code);
    }
}

#[test]
fn parts_of_a_recording_count_as_one() {
    let project = crate::gaps::project("split");
    project.run(&["build"]).expect(0);
    let report = export(&project, "brain-brr", "out", &["-j", "1"]);
    assert_eq!(
        (&report["exported"], &report["splits"]["train"]["recordings"]),
        (&6.into(), &4.into()),
        "{report}"
    );
    let part = project.path("out/train/a_gaps.part001_data.npy");
    fs_err::remove_file(part).unwrap();
    let report = export(&project, "brain-brr", "out", &[]);
    assert_eq!((&report["exported"], &report["kept"]), (&1.into(), &5.into()), "{report}");
    let run = project.run(&["export", "--layout", "brain-brr", "out"]).expect(0);
    run.says(&["complete, all of 6 recordings (6 already there)"]);
}

#[test]
fn an_export_goes_nowhere_it_should_not() {
    let project = built();
    let caches = project.contents("cache");
    project.write("full/mine.txt", "precious");
    fs_err::create_dir(project.path("empty")).unwrap();
    std::os::unix::fs::symlink(project.path("cache"), project.path("sneaky")).unwrap();
    for (directory, why) in [
        ("cache/out", "lies below the cache root"),
        ("cache", "lies below the cache root"),
        ("data/out", "lies below the dataset root"),
        ("sneaky/out", "lies below the cache root"),
        ("empty/../cache/x/y", "lies below the cache root"),
        ("full", "it holds `mine.txt`"),
        ("full/mine.txt", "is no directory"),
    ] {
        project.run(&["export", "--layout", "npy", directory]).expect(2).says(&[why, "hint:"]);
    }
    assert_eq!(project.contents("cache"), caches);
    assert!(!project.path("data/out").exists() && !project.path("full/train").exists());
    // A planted link in place of a split's directory is not followed.
    export(&project, "npy", "empty", &["--set", "data.splits=[train]"]);
    std::os::unix::fs::symlink(project.path("full"), project.path("empty/val")).unwrap();
    project.run(&["export", "--layout", "npy", "empty"]).expect(74).says(&["symbolic link"]);
    assert_eq!(fs_err::read_dir(project.path("full")).unwrap().count(), 1);
    // Nor is anything taken away through one.
    project.write("full/manifest.json", "precious");
    fs_err::create_dir(project.path("listed")).unwrap();
    std::os::unix::fs::symlink(project.path("full"), project.path("listed/dev")).unwrap();
    fs_err::write(
        project.path("listed/.eegcache-export.jsonl"),
        project.read("empty/.eegcache-export.jsonl").replace("npy", "brain-brr"),
    )
    .unwrap();
    project.run(&["export", "--layout", "brain-brr", "listed"]).expect(74).says(&["symbolic link"]);
    assert_eq!(project.read("full/manifest.json"), "precious");
    for (arguments, why) in [
        (&["--layout", "windows"][..], "layout npy"),
        (&["--layout", "npy", "--profile", "smoke"], "profile full"),
    ] {
        project.run(&["build", "--profile", "smoke"]).expect(0);
        let run = project.run(&[&["export", "empty"], arguments].concat()).expect(2);
        run.says(&["holds another export", why]);
    }
    project.run(&["export", "--layout", "zarr", "x"]).expect(2);
}

#[test]
fn only_a_valid_cache_is_exported() {
    let project = Project::mini();
    let run = |arguments: &[&str]| project.run(&[&["export", "--layout", "npy", "out"], arguments].concat());
    run(&[]).expect(1).says(&["NOT_FOUND", "eegcache build"]);
    project.run(&["build"]).expect(0);
    let file = project.entries(FULL).into_keys().find(|name| name.starts_with("train/")).unwrap();
    let kept = fs_err::read(project.path(FULL).join(&file)).unwrap();
    fs_err::remove_file(project.path(FULL).join(&file)).unwrap();
    run(&[]).expect(1).says(&["INCOMPLETE", "train: 1 of"]);
    fs_err::write(project.path(FULL).join(&file), &kept[..kept.len() / 2]).unwrap();
    run(&[]).expect(3).says(&["CORRUPT"]);
    fs_err::write(project.path(FULL).join(&file), &kept).unwrap();
    run(&["--set", "preprocessing.clip=20"]).expect(1).says(&["VERSION_MISMATCH"]);
    run(&["--set", "windows.length_s=3600"]).expect(4).says(&["no window of 3600 s"]);
    assert!(!project.path("out").exists());
    // The sources are not needed.
    fs_err::rename(project.path("data"), project.path("away")).unwrap();
    run(&[]).expect(0).says(&["sources not reachable: not checked", "complete, all"]);
}

#[test]
fn a_changed_byte_in_the_cache_becomes_no_window() {
    let project = built();
    export(&project, "npy", "right", &[]);
    let all = project.contents(FULL);
    for is_labels in [false, true] {
        let (name, content) = all.iter().find(|(name, _)| name.contains(".labels.") == is_labels).unwrap();
        let path = project.path(FULL).join(name);
        let mut changed = content.clone();
        changed[content.len() / 2] ^= 4;
        // Another inode: files of a version may be shared with other profiles.
        fs_err::remove_file(&path).unwrap();
        fs_err::write(&path, changed).unwrap();
        let run = project.run(&["export", "--layout", "npy", "out"]).expect(3);
        run.says(&[name, "it is not the file that the manifest lists", "run `eegcache verify`"]);
        let id = name.split_once('.').unwrap().0;
        assert!(files(&project, "out").keys().all(|file| !file.contains(&format!("/{id}_"))), "{id}");
        project.run(&["verify", "--repair"]).expect(3);
        project.run(&["build"]).expect(0);
        export(&project, "npy", "out", &[]);
        assert_eq!(files(&project, "out"), files(&project, "right"));
        fs_err::remove_dir_all(project.path("out")).unwrap();
    }
}

#[test]
fn recordings_without_labels_or_windows_are_named() {
    let project = built();
    let keep =
        ["--set", "labels.unlabelled=keep", "--set", "cache.version=kept", "--set", "windows.length_s=100"];
    let run = project.run(&[&["build"], &keep[..]].concat());
    assert!(matches!(run.code, 0 | 5), "{}", run.stderr);
    let report = export(&project, "brain-brr", "out", &keep);
    assert_eq!(report["unlabelled"].as_array().unwrap().len(), 1, "{report}");
    assert!(report["warnings"].to_string().contains("1 without labels"), "{report}");
    let short = report["without_windows"].as_array().unwrap();
    assert!(!short.is_empty(), "{report}");
    let index: BTreeMap<&str, Value> = ["train", "dev", "eval"]
        .map(|split| {
            (split, serde_json::from_str(&project.read(&format!("out/{split}/_dataset_index.json"))).unwrap())
        })
        .into();
    let listed = |name: &str| {
        let of = |index: &Value| {
            let files = index["files"].as_array().unwrap().clone();
            let at =
                files.iter().position(|file| file.as_str().unwrap().ends_with(&format!("{name}.edf")))?;
            index["window_counts"][at].as_u64()
        };
        index.values().find_map(of)
    };
    for name in short {
        let name = name.as_str().unwrap();
        assert_eq!(listed(name), Some(0));
        assert!(!files(&project, "out").keys().any(|file| file.contains(name)), "{name}");
    }
    assert_eq!(listed(report["unlabelled"][0].as_str().unwrap()), None);
}

fn unshare() -> Option<[&'static str; 6]> {
    let unshare = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"];
    let works = Command::new(unshare[0]).args(&unshare[1..]).arg("mount -t tmpfs tmpfs /mnt").output();
    if works.is_ok_and(|output| output.status.success()) {
        return Some(unshare);
    }
    crate::tally::skip("an export onto a full disk: `unshare` does not work here");
    None
}

/// An export onto a disk of so much space and so many inodes; then there is more, and the same command goes on.
const SMALL_DISK: &str = "mkdir -p disk && mount -t tmpfs -o size=$1,nr_inodes=$2 tmpfs disk || exit 99
    \"$0\" export --layout $3 disk/out >small.out 2>small.err; echo \"small: $?\"
    find disk/out -name '.eegcache-tmp-*' 2>/dev/null | sed 's/^/half-made: /'
    mount -o remount,size=32m,nr_inodes=10000 disk
    \"$0\" export --layout $3 disk/out >/dev/null 2>again.err; echo \"again: $?\"; cat again.err
    cp -r disk/out after";

#[test]
fn a_full_disk_ends_an_export_with_74_and_the_next_one_goes_on() {
    let Some(unshare) = unshare() else { return };
    let project = Project::tiny();
    project.run(&["build"]).expect(0);
    let mut full = 0;
    for layout in ["windows", "npy", "brain-brr"] {
        export(&project, layout, layout, &[]);
        let right = files(&project, layout);
        let sizes = (4..48).step_by(4).map(|kib| (format!("{kib}k"), 10_000));
        let inodes = (1..24).map(|inodes| ("32m".to_owned(), inodes));
        for (size, inodes) in sizes.chain(inodes).step_by(crate::tally::stride(5)) {
            let program = project.command(&[]);
            let mut command = Command::new(unshare[0]);
            command.args(&unshare[1..]).arg(SMALL_DISK).arg(program.get_program());
            command.args([&size, &inodes.to_string(), layout]).current_dir(project.path(""));
            let run = Run::of(&command.output().unwrap()).expect(0);
            let what = format!("{layout} {size} {inodes}: {}{}", run.stdout, run.stderr);
            assert!(run.stdout.contains("again: 0") && !run.stdout.contains("half-made: "), "{what}");
            let said = project.read("small.err");
            let is_full = run.stdout.contains("small: 74");
            assert!(is_full || run.stdout.contains("small: 0"), "{what}");
            assert!(!is_full || (said.contains("error: ") && said.contains("hint: ")), "{what}: {said}");
            assert!(files(&project, "after") == right, "{what}");
            fs_err::remove_dir_all(project.path("after")).unwrap();
            full += usize::from(is_full);
        }
    }
    assert!(full > 0);
    crate::tally::count("export onto a full disk", full);
}

/// What an export reads is held: `gc` leaves it alone until the last window is written.
#[test]
fn an_export_holds_what_it_reads() {
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync"];
    let works = Command::new(strace[0]).args(&strace[1..]).arg("true").output();
    if !works.is_ok_and(|output| output.status.success()) {
        return crate::tally::skip("an export beside `gc`: strace does not work here");
    }
    let project = Project::tiny();
    project.run(&["build"]).expect(0);
    export(&project, "windows", "right", &[]);
    let program = project.command(&["export", "--layout", "windows", "out", "-j", "1"]);
    let mut command = Command::new(strace[0]);
    command.args(&strace[1..]).args(["-e", "inject=fdatasync:delay_enter=300000"]);
    command.arg(program.get_program()).args(program.get_args()).current_dir(project.path(""));
    let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    let has_begun = || {
        let names = fs_err::read_dir(project.path("out")).into_iter().flatten().flatten();
        names.map(|item| item.path()).any(|path| path.is_dir())
    };
    while !has_begun() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let gc = ["gc", "--version", "v1"];
    project.run(&gc).expect(0).says(&["kept: full/v1: a reader holds it"]);
    assert!(child.wait().unwrap().success());
    assert!(files(&project, "out") == files(&project, "right"));
    project.run(&gc).expect(0).says(&["freed"]);
    assert!(!project.path("cache/full/v1").exists());
}
