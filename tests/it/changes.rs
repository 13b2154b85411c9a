//! Sources that change, before, during and after they are read; and versions of which nobody knows whose they are.

use crate::project::Project;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const FULL: &str = "cache/full/mini_v1";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// The recording of the manifest's first entry.
fn recording(project: &Project) -> (String, PathBuf) {
    let manifest = project.manifest(FULL);
    let path = manifest["entries"][0]["source"]["path"].as_str().unwrap().to_owned();
    let whole = project.path("data").join(&path);
    (path, whole)
}

/// Changes the last sample without changing size or modification time, at once for whoever opens the file.
fn edit_unseen(path: &Path) {
    let times = fs_err::metadata(path).unwrap().modified().unwrap();
    let mut bytes = fs_err::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let other = path.with_extension("edited");
    fs_err::write(&other, bytes).unwrap();
    fs_err::File::options().append(true).open(&other).unwrap().file().set_modified(times).unwrap();
    fs_err::rename(other, path).unwrap();
}

#[test]
fn paranoid_finds_what_the_memo_does_not_know() {
    use std::os::unix::fs::MetadataExt;
    let project = Project::mini();
    project.run(&["build"]).expect(0);
    let (path, whole) = recording(&project);
    let known = Sha256::digest(fs_err::read(&whole).unwrap());
    edit_unseen(&whole);
    // A file system without change times would look like this: the memo has the new stamp and the old content.
    let stat = fs_err::metadata(&whole).unwrap();
    let nanoseconds = |seconds: i64, rest: i64| seconds * 1_000_000_000 + rest;
    let line = format!(
        r#"{{"path":"{path}","stamp":{{"bytes":{},"mtime_ns":{},"ctime_ns":{},"inode":{}}},"sha256":"{}","began_ns":{}}}"#,
        stat.len(),
        nanoseconds(stat.mtime(), stat.mtime_nsec()),
        nanoseconds(stat.ctime(), stat.ctime_nsec()),
        stat.ino(),
        hex(&known),
        nanoseconds(stat.ctime() + 3600, 1),
    );
    let sealed = format!("{} {line}\n", hex(&Sha256::digest(&line)));
    let mut memo =
        fs_err::File::options().append(true).open(project.path("cache/.sources/mini.jsonl")).unwrap();
    memo.write_all(sealed.as_bytes()).unwrap();
    assert_eq!(project.run(&["build", "--json"]).expect(0).json()["built"], 0, "the memo is believed");
    project.run(&["preflight"]).expect(0);
    assert_eq!(project.run(&["build", "--json", "--paranoid"]).expect(0).json()["built"], 1);
    let found = project.manifest(FULL)["entries"][0]["source"]["sha256"].clone();
    assert_eq!(found, hex(&Sha256::digest(fs_err::read(&whole).unwrap())));
    assert_eq!(project.run(&["build", "--json"]).expect(0).json()["built"], 0, "the memo was corrected");
}

#[test]
fn an_edit_of_the_same_size_is_found_by_the_next_build() {
    let project = Project::mini();
    project.run(&["build"]).expect(0);
    let (_, whole) = recording(&project);
    edit_unseen(&whole);
    project.run(&["status", "--profile", "full"]).expect(0).says(&["1 recording unchecked"]);
    assert_eq!(project.run(&["build", "--json"]).expect(0).json()["built"], 1);
}

#[test]
fn a_recording_that_never_rests_is_not_cached() {
    let project = Project::mini();
    project.run(&["build"]).expect(0);
    let reference = project.contents(FULL);
    let (path, whole) = recording(&project);
    let before = fs_err::read(&whole).unwrap();
    fs_err::remove_dir_all(project.path("cache")).unwrap();
    let stop = AtomicBool::new(false);
    let report: Value = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs_err::File::options().write(true).open(&whole).unwrap();
            while !stop.load(Ordering::Relaxed) {
                // Grows by one byte and shrinks again: neither size nor times stand still.
                file.seek(SeekFrom::End(0)).unwrap();
                file.write_all(b"x").unwrap();
                std::thread::sleep(Duration::from_millis(1));
                file.file().set_len(before.len() as u64).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let report = project.run(&["build", "--json"]);
        stop.store(true, Ordering::Relaxed);
        report.expect(5).json()
    });
    let mut new = report["quarantine"].as_array().unwrap().iter().filter(|line| line["known"] == false);
    let line = new.next().unwrap();
    let class = line["class"].as_str().unwrap();
    assert!(["changed-while-reading", "size-mismatch"].contains(&class) && new.next().is_none(), "{report}");
    let id = line["name"].as_str().unwrap();
    assert!(path.contains(id) && project.contents(FULL).keys().all(|name| !name.contains(id)), "{report}");
    assert_eq!(report["built"], 11);
    fs_err::write(&whole, before).unwrap();
    project.run(&["build"]).expect(0);
    assert!(project.contents(FULL) == reference);
}

#[test]
fn a_recording_that_changes_before_its_turn_is_read_as_it_is_then() {
    let project = Project::mini();
    project.run(&["build"]).expect(0);
    let entries = project.manifest(FULL)["entries"].as_array().unwrap().clone();
    let size = |entry: &&Value| entry["source"]["bytes"].as_u64().unwrap();
    let last = entries.iter().max_by_key(size).unwrap();
    let whole = project.path("data").join(last["source"]["path"].as_str().unwrap());
    for _ in 0..20 {
        fs_err::remove_dir_all(project.path("cache")).unwrap();
        let mut child = project.command(&["build", "--json", "-j", "1"]);
        let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The dataset was walked when the lock is there.
        while !project.path(FULL).join(".build/lock").exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        edit_unseen(&whole);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let manifest = project.manifest(FULL);
        let entry =
            manifest["entries"].as_array().unwrap().iter().find(|entry| entry["id"] == last["id"]).unwrap();
        if entry["source"]["sha256"] == hex(&Sha256::digest(fs_err::read(&whole).unwrap())) {
            assert_eq!(project.run(&["build", "--json"]).expect(0).json()["built"], 0);
            return;
        }
    }
    panic!("the edit was never made before the recording was read");
}

#[test]
fn what_is_built_without_fsync_stays_marked_and_is_proved_before_it_is_shared() {
    let project = Project::mini();
    let smoke = "cache/smoke/mini_v1";
    project.run(&["build"]).expect(0);
    let reference = project.contents(FULL);
    fs_err::remove_dir_all(project.path("cache")).unwrap();
    project.run(&["build", "--profile", "smoke", "--no-fsync"]).expect(0);
    assert_eq!(project.manifest(smoke)["durable"], false);
    project.run(&["build", "--profile", "smoke"]).expect(0);
    assert_eq!(project.manifest(smoke)["durable"], false, "what was not synced then is not synced now");
    let status = project.run(&["status", "--profile", "smoke"]).expect(0).says(&["VALID", "--no-fsync"]);
    assert!(status.stdout.contains("verify"));
    // As after a power loss: the size is right, the content is not.
    let file = project.entries(smoke).into_keys().find(|name| !name.contains(".labels.")).unwrap();
    let path = project.path(smoke).join(&file);
    let mut bytes = fs_err::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0);
    fs_err::remove_file(&path).unwrap();
    fs_err::write(&path, bytes).unwrap();
    fs_err::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o444)).unwrap();
    let report = project.run(&["build", "--json"]).expect(0).json();
    assert!(project.contents(FULL) == reference, "{report}");
    assert!(report["warnings"].to_string().contains("it is made again"), "{report}");
    assert_eq!(project.manifest(FULL)["durable"], true);
    let full = project.run(&["status", "--profile", "full"]).expect(0);
    assert!(!full.stdout.contains("--no-fsync"), "{}", full.stdout);
}

#[test]
fn another_dataset_never_gets_a_directory_whose_manifest_is_lost() {
    let project = Project::mini();
    project.run(&["build"]).expect(0);
    // A second dataset whose recordings bear the same names.
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .args([project.path("data"), project.path("twin")])
        .status();
    assert!(copied.unwrap().success());
    for entry in project.manifest(FULL)["entries"].as_array().unwrap() {
        edit_unseen(&project.path("twin").join(entry["source"]["path"].as_str().unwrap()));
    }
    let dataset = project.read("configs/datasets/mini.yaml").replace("root: data", "root: twin");
    project.write("configs/datasets/twin.yaml", &dataset);
    let before = project.contents(FULL);
    let twin = ["build", "--set", "data.dataset=twin"];
    fs_err::remove_file(project.path(FULL).join("manifest.json")).unwrap();
    project.run(&twin).expect(1).says(&["VERSION_MISMATCH", "dataset: mini in the cache, twin configured"]);
    fs_err::remove_dir_all(project.path(FULL).join(".build")).unwrap();
    project.run(&twin).expect(1).says(&["VERSION_MISMATCH", "dataset recordings"]);
    assert!(project.contents(FULL) == before, "nothing was overwritten");
    project.run(&["build"]).expect(0).says(&["12 already there"]);
    project.run(&[&twin[..], &["--set", "cache.version=twin_v1"]].concat()).expect(0);
}
