//! `gc`: what it removes, what it leaves alone, and what it looks like when it is killed.

use crate::project::{Project, Run};
use ndarray_npy::NpzWriter;
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

const FULL: &str = "cache/full/mini_v1";
const SMOKE: &str = "cache/smoke/mini_v1";

fn built() -> Project {
    let project = Project::mini();
    for profile in ["smoke", "full"] {
        project.run(&["build", "--profile", profile]).expect(0);
        // The second one finds everything present, and is counted beside the manifest.
        project.run(&["build", "--profile", profile]).expect(0);
        assert!(project.path(&format!("cache/{profile}/mini_v1/.build/history.jsonl")).exists());
    }
    project
}

/// Every path below a directory, with the content of files and links.
fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let kind = fs_err::symlink_metadata(&path).unwrap().file_type();
        let content = if kind.is_dir() {
            open.extend(fs_err::read_dir(&path).unwrap().map(|item| item.unwrap().path()));
            Vec::new()
        } else if kind.is_symlink() {
            fs_err::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else {
            fs_err::read(&path).unwrap()
        };
        all.insert(path, content);
    }
    all
}

#[test]
fn without_a_scope_it_names_the_scopes() {
    let project = built();
    let before = tree(&project.path("cache"));
    for arguments in [&["gc"][..], &["gc", "--dry-run"], &["gc", "--profile", "smoke"]] {
        project.run(arguments).expect(2).says(&["--version", "--older-than", "--orphans"]);
    }
    for arguments in
        [&["--older-than", "soon"][..], &["--version", "../x"], &["--orphans", "--older-than", "1d"]]
    {
        project.run(&[&["gc"], arguments].concat()).expect(2);
    }
    project
        .run(&["gc", "--version", "mini_v9"])
        .expect(1)
        .says(&["no profile has a version", "`full/mini_v1`"]);
    assert!(tree(&project.path("cache")) == before);
}

#[test]
fn a_version_goes_from_one_profile_and_says_what_became_free() {
    let project = built();
    let before = tree(&project.path("cache"));
    let gc = ["gc", "--json", "--version", "mini_v1", "--profile", "smoke"];
    let dry = project.run(&[&gc[..], &["--dry-run"]].concat()).expect(0).json();
    assert!(tree(&project.path("cache")) == before);
    let report = project.run(&gc).expect(0).json();
    assert_eq!((&report["bytes"], &report["freed"]), (&dry["bytes"], &dry["freed"]));
    assert_eq!((&report["schema"], &report["removed"][0]["place"]), (&1.into(), &"smoke/mini_v1".into()));
    let shared = project.run(&["build", "--profile", "smoke", "--json"]).expect(0).json();
    if shared["links"].get("hardlink").is_some() {
        let (bytes, freed) = (report["bytes"].as_u64().unwrap(), report["freed"].as_u64().unwrap());
        assert!(freed < 100_000 && bytes > 1_000_000, "only manifest and locks are free: {report}");
    }
    project
        .run(&["gc", "--version", "mini_v1", "--profile", "smoke"])
        .expect(0)
        .says(&["freed", "is shared"]);
    assert!(
        !project.path(SMOKE).exists()
            && fs_err::symlink_metadata(project.path("cache/smoke/latest")).is_err()
    );
    project.run(&["status", "--profile", "smoke"]).expect(1).says(&["NOT_FOUND"]);
    project.run(&["status", "--profile", "full"]).expect(0).says(&["VALID"]);
    // Its last names gone, everything is free; the memo stays.
    let all = project.run(&["gc", "--json", "--version", "mini_v1"]).expect(0).json();
    assert_eq!(all["freed"], all["bytes"]);
    assert!(!project.path(FULL).exists() && project.path("cache/.sources/mini.jsonl").exists());
    project.run(&["gc", "--orphans"]).expect(0).says(&["freed 0 B of 0 B"]);
}

#[test]
fn latest_goes_to_the_version_that_is_left() {
    let project = built();
    project.run(&["build", "--set", "cache.version=mini_v2"]).expect(0);
    let latest = project.path("cache/full/latest");
    assert_eq!(fs_err::read_link(&latest).unwrap(), Path::new("mini_v2"));
    project.run(&["gc", "--version", "mini_v2"]).expect(0);
    assert_eq!(fs_err::read_link(&latest).unwrap(), Path::new("mini_v1"));
}

#[test]
fn age_counts_from_the_last_build() {
    let project = built();
    let then = SystemTime::now() - Duration::from_secs(40 * 24 * 3600);
    let age = |name: &str| {
        let file = fs_err::File::options().append(true).open(project.path(FULL).join(name)).unwrap();
        file.file().set_modified(then).unwrap();
    };
    age("manifest.json");
    // A build that found everything present a moment ago says that the version is in use.
    project.run(&["gc", "--older-than", "1d"]).expect(0).says(&["freed 0 B"]);
    age(".build/history.jsonl");
    project.run(&["gc", "--older-than", "41d"]).expect(0).says(&["freed 0 B"]);
    project.run(&["gc", "--older-than", "5w"]).expect(0).says(&["full/mini_v1"]);
    assert!(!project.path(FULL).exists() && project.path(SMOKE).exists());
}

#[test]
fn what_a_reader_or_a_build_holds_stays() {
    let project = built();
    let gc = ["gc", "--version", "mini_v1", "--profile", "full"];
    // The command ends at once; what it left running inherited the hold.
    let script = "sleep 600 >/dev/null 2>&1 & echo $!";
    let run = project.run(&["preflight", "--", "sh", "-c", script]).expect(0);
    let sleeper = run.stdout.trim();
    for further in [&[][..], &["--dry-run"], &["--assume-exclusive"]] {
        project.run(&[&gc[..], further].concat()).expect(0).says(&["kept: full/mini_v1: a reader holds it"]);
    }
    project.run(&["status", "--profile", "full"]).expect(0).says(&["VALID"]);
    project.run(&["build"]).expect(0);
    assert!(Command::new("kill").arg(sleeper).status().unwrap().success());
    let directory = fs_err::File::open(project.path(FULL)).unwrap();
    directory.file().lock().unwrap(); // free as soon as the last process has let go
    drop(directory);
    let lock = fs_err::File::options().write(true).open(project.path(FULL).join(".build/lock")).unwrap();
    lock.file().lock_shared().unwrap();
    for further in [&[][..], &["--dry-run"]] {
        project.run(&[&gc[..], further].concat()).expect(0).says(&["kept: full/mini_v1: a build holds it"]);
    }
    drop(lock);
    project.run(&gc).expect(0).says(&["freed"]);
    assert!(!project.path(FULL).exists());
}

#[test]
fn nothing_that_is_not_ours_is_touched() {
    let project = built();
    fs_err::create_dir_all(project.path("outside/train")).unwrap();
    fs_err::write(project.path("outside/manifest.json"), "mine").unwrap();
    fs_err::write(project.path("outside/train/a.npz"), "mine").unwrap();
    let outside = tree(&project.path("outside"));
    let at = |name: &str| project.path(FULL).join(name);
    symlink(project.path("outside"), project.path("cache/full/elsewhere")).unwrap();
    symlink(project.path("outside/train"), at("deep")).unwrap();
    symlink(project.path("outside/train/a.npz"), at("train/aaa.npz")).unwrap();
    fs_err::write(at("notes.txt"), "mine").unwrap();
    fs_err::write(at("train/plot.png"), "mine").unwrap();
    fs_err::create_dir(project.path("cache/full/thesis")).unwrap();
    fs_err::write(project.path("cache/full/thesis/chapter"), "mine").unwrap();
    for arguments in
        [&["--orphans"][..], &["--older-than", "0s"], &["--version", "thesis"], &["--version", "mini_v1"]]
    {
        let code = i32::from(arguments[1..] == ["thesis"]);
        project.run(&[&["gc"], arguments].concat()).expect(code);
    }
    assert!(tree(&project.path("outside")) == outside);
    for kept in ["notes.txt", "train/plot.png"] {
        assert_eq!(fs_err::read(at(kept)).unwrap(), b"mine");
    }
    assert_eq!(fs_err::read(project.path("cache/full/thesis/chapter")).unwrap(), b"mine");
    assert!(!at("manifest.json").exists() && !at("val").exists() && !at(".build").exists());
    project.run(&["status", "--profile", "full"]).expect(1).says(&["NOT_FOUND"]);
    project.run(&["build"]).expect(0);
    project.run(&["status", "--profile", "full"]).expect(0).says(&["VALID"]);
}

/// Another program's cache under names like ours, in our place and without our traces.
fn foreign(project: &Project) -> BTreeMap<PathBuf, Vec<u8>> {
    let place = project.path("cache/full/origin_cache");
    fs_err::create_dir_all(place.join("train")).unwrap();
    fs_err::write(place.join("manifest.json"), "{\"files\": [\"train/a_windows.npz\"]}").unwrap();
    let mut archive = NpzWriter::new(fs_err::File::create(place.join("train/a_windows.npz")).unwrap());
    archive.add_array("windows", &ndarray::arr1(&[1.0_f32, 2.0])).unwrap();
    archive.finish().unwrap();
    let then = SystemTime::now() - Duration::from_secs(60 * 24 * 3600);
    let file = fs_err::File::options().append(true).open(place.join("manifest.json")).unwrap();
    file.file().set_modified(then).unwrap();
    tree(&place)
}

#[test]
fn another_programs_cache_is_neither_removed_nor_repaired() {
    let project = built();
    let theirs = foreign(&project);
    let stats = project.path(FULL).join("train/stats.npz");
    let place = project.path("cache/full/origin_cache");
    fs_err::copy(place.join("train/a_windows.npz"), &stats).unwrap();
    project.run(&["gc", "--older-than", "30d"]).expect(0).says(&["freed 0 B"]);
    project.run(&["gc", "--orphans"]).expect(0).says(&["freed 0 B"]);
    project.run(&["verify"]).expect(0);
    project.run(&["verify", "--quick"]).expect(0);
    project.run(&["verify", "--repair"]).expect(0);
    assert!(tree(&place) == theirs && stats.exists());
    project.run(&["gc", "--version", "mini_v1", "--profile", "full"]).expect(0).says(&["train/stats.npz"]);
    assert!(stats.exists() && !project.path(FULL).join("manifest.json").exists());
    // What is left is no version, and `latest` does not lead there.
    assert!(fs_err::symlink_metadata(project.path("cache/full/latest")).is_err());
    let gone = project.run(&["gc", "--version", "mini_v1", "--profile", "full"]).expect(1);
    gone.says(&["profile `full` does not have a version `mini_v1`", "`smoke/mini_v1`"]);
}

#[test]
fn what_the_configuration_demands_is_no_orphan() {
    let project = Project::mini();
    project.run(&["build", "--profile", "smoke"]).expect(0);
    let before = project.contents("cache");
    let fewer = ["--profile", "smoke", "--set", "cache.profiles.smoke.subset=first_3_files"];
    project.run(&[&["build"], &fewer[..]].concat()).expect(0);
    project.run(&["gc", "--orphans"]).expect(0).says(&["freed 0 B"]);
    assert!(project.contents("cache") == before);
    project.run(&[&["gc", "--orphans"], &fewer[2..]].concat()).expect(0).says(&["orphans"]);
    assert!(project.contents("cache").len() < before.len());
}

#[test]
fn orphans_go_and_everything_needed_stays() {
    let project = built();
    let before = project.contents("cache");
    let at = |name: &str| project.path(FULL).join(name);
    let file = project.entries(FULL).into_keys().find(|name| !name.contains(".labels.")).unwrap();
    fs_err::copy(at(&file), at("train/left_the_dataset.npz")).unwrap();
    fs_err::write(at(".build/tmp/half"), "half").unwrap();
    fs_err::write(at(".build/journal-torn-1-ff-0.jsonl"), "torn").unwrap();
    fs_err::create_dir_all(project.path("cache/.damaged")).unwrap();
    for (moved, age) in [("old", 31_u64), ("new", 29)] {
        let then = SystemTime::now() - Duration::from_secs(age * 24 * 3600);
        let then = then.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
        fs_err::write(project.path(&format!("cache/.damaged/full--v--{moved}--{then}.reason.txt")), "why")
            .unwrap();
    }
    project.run(&["gc", "--orphans", "--dry-run"]).expect(0).says(&[
        "WOULD REMOVE",
        "full/mini_v1",
        ".damaged",
    ]);
    assert!(at("train/left_the_dataset.npz").exists());
    let report = project.run(&["gc", "--orphans", "--json"]).expect(0).json();
    assert_eq!(
        (&report["removed"][0]["files"], &report["removed"][1]["files"]),
        (&3.into(), &1.into()),
        "{report}"
    );
    assert!(project.contents("cache") == before);
    assert_eq!(fs_err::read_dir(project.path("cache/.damaged")).unwrap().count(), 1);
    project.run(&["status", "--profile", "full"]).expect(0).says(&["VALID"]);
    // Without a manifest nobody knows what is needed, so every file stays.
    fs_err::remove_file(at("manifest.json")).unwrap();
    project.run(&["gc", "--orphans"]).expect(0);
    assert!(project.contents("cache") == before);
}

#[test]
fn killed_at_any_removal_it_leaves_no_false_valid() {
    let works = Command::new("strace").args(["-f", "-e", "trace=none", "true"]).output();
    if !works.is_ok_and(|output| output.status.success()) {
        return eprintln!("skipped: strace does not work here");
    }
    let project = built();
    // So that everything that is removed can be linked again.
    project.run(&["build", "--set", "cache.version=mini_v2"]).expect(0);
    let whole = project.contents(FULL);
    for when in [1, 2, 9, 25, 26, 28, 29, 30, 31, 32, 33, 34] {
        let inject = format!("inject=unlinkat:signal=KILL:when={when}");
        let program = project.command(&["gc", "--version", "mini_v1", "--profile", "full"]);
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "trace", "-e", "trace=unlinkat", "-e", &inject]);
        command.arg(program.get_program()).args(program.get_args()).current_dir(project.path(""));
        for (name, _) in program.get_envs() {
            command.env_remove(name);
        }
        let run = Run::of(&command.stdout(Stdio::null()).output().unwrap());
        let status = project.run(&["status", "--profile", "full"]);
        assert!(status.code != 0 || project.contents(FULL) == whole, "unlink {when}: {}", status.stdout);
        assert!(status.code != 3, "unlink {when}: {}", status.stdout);
        assert!([0, -1].contains(&run.code), "{}", run.stderr);
        if project.path(FULL).join(".build").exists() {
            let again = project.run(&["gc", "--version", "mini_v1", "--profile", "full"]);
            assert!([0, 1].contains(&again.code), "{}", again.stderr);
        }
        let report = project.run(&["build", "--json"]).expect(0).json();
        assert!(project.contents(FULL) == whole, "unlink {when}: {report}");
        assert_eq!(project.run(&["status", "--profile", "full"]).code, 0);
    }
}
