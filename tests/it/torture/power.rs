//! Power loss: the image of a mounted file system, copied at a commit point, is what a disk holds when the power goes.
//!
//! What the program acknowledged by then (a journal line whose sync returned, or the manifest) must be in the copy,
//! whole. Without syncs it must not be: the negative controls prove that the rig would notice. Needs root and loop devices.

use super::{UNDISTURBED, behind, has};
use crate::project::{Project, Run};
use crate::tally;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// One disk: its image, and the place where it is mounted.
struct Disk<'a> {
    project: &'a Project,
    image: &'static str,
    place: &'static str,
}

fn run(program: &str, arguments: &[&str], directory: &Path) {
    let output = Command::new(program).args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl<'a> Disk<'a> {
    /// Mounts an image. The kernel commits on its own only every five minutes, which no build here lasts.
    fn mount(project: &'a Project, image: &'static str, place: &'static str) -> Self {
        fs_err::create_dir_all(project.path(place)).unwrap();
        run("mount", &["-o", "loop,commit=300", image, place], &project.path(""));
        Self { project, image, place }
    }

    /// The power goes: whatever the disk holds at this instant is in the other image.
    fn copy(&self, to: &str) {
        run("cp", &["--sparse=always", self.image, to], &self.project.path(""));
    }

    fn cache(&self) -> String {
        format!("{}/cache", self.place)
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.project.path(self.place)).status();
    }
}

fn rig() -> Option<Project> {
    let project = Project::tiny();
    let script = "truncate -s 24M empty.img && mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 empty.img && mkdir probe \
                  && mount -o loop empty.img probe && umount probe";
    let output = Command::new("sh").args(["-c", script]).current_dir(project.path("")).output().unwrap();
    if output.status.success() {
        return Some(project);
    }
    tally::skip(&format!(
        "power loss: no loop mounts here: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    ));
    None
}

/// The files that manifest or journals acknowledge, with their digests, as they are seen before the power goes. The last
/// line of a journal does not count where the call that was to make it durable is the one before which the power goes.
fn acknowledged(cache: &Path, is_last_durable: bool) -> BTreeSet<(String, String)> {
    let version = cache.join("full/v1");
    let mut entries: Vec<serde_json::Value> = Vec::new();
    if let Ok(text) = fs_err::read_to_string(version.join("manifest.json")) {
        let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
        entries.extend(manifest["entries"].as_array().unwrap().clone());
    }
    for item in fs_err::read_dir(version.join(".build")).into_iter().flatten() {
        let path = item.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            let text = fs_err::read_to_string(path).unwrap();
            let mut lines: Vec<&str> = text.lines().collect();
            if !is_last_durable {
                lines.pop();
            }
            entries.extend(
                lines.iter().map(|line| serde_json::from_str::<serde_json::Value>(&line[65..]).unwrap()),
            );
        }
    }
    let files =
        entries.iter().flat_map(|entry| ["signal", "labels"].map(|part| entry["files"][part].clone()));
    let named = files.filter(|file| file["name"].is_string());
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    named.map(|file| (text(&file["name"]), text(&file["sha256"]))).collect()
}

/// Runs a build with `faults` until it ends or is killed, cuts the power, and returns what was acknowledged and is lost.
fn lost(project: &Project, faults: &[&str], is_last_durable: bool) -> (usize, Vec<String>, bool) {
    run("cp", &["--sparse=always", "empty.img", "live.img"], &project.path(""));
    let live = Disk::mount(project, "live.img", "live");
    let cache = live.cache();
    let strace: Vec<&str> =
        ["strace", "-f", "-qq", "-o", "trace"].into_iter().chain(faults.iter().copied()).collect();
    let build = ["build", "--json", "-j", "1", "--cache-root", &cache];
    let run = Run::of(&behind(project, &strace, &build).output().unwrap());
    live.copy("dead.img");
    let promised = acknowledged(&project.path(&cache), is_last_durable);
    drop(live);
    let dead = Disk::mount(project, "dead.img", "dead");
    let cache = project.path(&dead.cache());
    let is_lost = |(name, sha256): &&(String, String)| {
        let content = fs_err::read(cache.join("full/v1").join(name)).unwrap_or_default();
        eegcache::model::id::Digest::of(&content).to_string() != *sha256
    };
    let lost: Vec<String> = promised.iter().filter(is_lost).map(|(name, _)| name.clone()).collect();
    if lost.is_empty() {
        let root = dead.cache();
        project.run(&["build", "--cache-root", &root]).expect(0);
        let contents = project.contents(&root);
        assert!(contents == *UNDISTURBED, "{faults:?}: {:?}", contents.keys());
        project.run(&["verify", "--cache-root", &root]).expect(0).says(&["0 damaged"]);
    }
    (promised.len(), lost, run.code == -1)
}

#[test]
fn what_is_acknowledged_survives_a_power_loss_at_every_commit_point() {
    if !has(&["strace", "-e", "trace=none", "true"]) {
        return;
    }
    let Some(project) = rig() else { return };
    let mut count = 0;
    let mut most = 0;
    for call in ["fsync", "fdatasync", "unlinkat", "renameat"] {
        for at in (1..).step_by(tally::stride(7)) {
            let inject = format!("inject={call}:signal=KILL:when={at}");
            let (promised, lost, is_killed) = lost(&project, &["-e", &inject], call != "fdatasync");
            assert!(lost.is_empty(), "power lost before {call} {at}: {lost:?} were acknowledged");
            most = most.max(promised);
            if !is_killed {
                break;
            }
            count += 1;
        }
    }
    assert_eq!(most, UNDISTURBED.len(), "the last point is behind the end");
    tally::count("power loss at a commit point", count);
}

/// Negative controls: with syncs that do nothing, the rig must find that acknowledged files are lost.
#[test]
fn without_syncs_the_rig_finds_what_is_lost() {
    if !has(&["strace", "-e", "trace=none", "true"]) {
        return;
    }
    let Some(project) = rig() else { return };
    // Names and journal lines become durable, the bytes behind the names do not: seen before one of the renames.
    let kill = |at: usize| format!("inject=renameat:signal=KILL:when={at}");
    let kills: Vec<String> = (1..=4).map(kill).collect();
    let no_file: Vec<Vec<&str>> =
        kills.iter().map(|kill| vec!["-e", "inject=fsync:retval=0", "-e", kill]).collect();
    for (what, faults) in [
        ("no sync at all", vec![vec!["-e", "inject=fsync,fdatasync:retval=0"]]),
        ("no sync of files", no_file),
    ] {
        let found = faults.iter().any(|faults| {
            let (promised, lost, _) = lost(&project, faults, true);
            promised > 0 && !lost.is_empty()
        });
        assert!(found, "{what}: nothing acknowledged is lost: the rig is blind");
        tally::count("power loss without syncs, found", 1);
    }
}
