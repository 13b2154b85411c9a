//! Hostile hands in the cache and in the dataset: nothing outside of the cache is made, followed or changed.

use super::{FULL, behind, converges};
use crate::project::{Project, Run, forge, forge_text};
use crate::tally;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A signal file of the tiny dataset.
const ENTRY: &str = "train/a_1.npz";

/// What lies beside the cache and must stay as it is: name → content.
fn outside(project: &Project) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut open = vec![project.path("")];
    while let Some(directory) = open.pop() {
        for item in fs_err::read_dir(&directory).unwrap() {
            let path = item.unwrap().path();
            let name = path.to_string_lossy().into_owned();
            if path == project.path("cache") {
                continue;
            }
            if path.is_symlink() {
                files.push((
                    name,
                    fs_err::read_link(&path).unwrap().to_string_lossy().into_owned().into_bytes(),
                ));
            } else if path.is_dir() {
                files.push((name, Vec::new()));
                open.push(path);
            } else {
                files.push((name, fs_err::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// Rewrites a finished file.
fn rewrite(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs_err::read(file).unwrap();
    change(&mut bytes);
    fs_err::remove_file(file).unwrap();
    fs_err::write(file, bytes).unwrap();
}

fn swap(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
}

/// What is done to a version whose project's directory is given as well.
type Attack = (&'static str, fn(&Path, &Path));

const ATTACKS: &[Attack] = &[
    ("a path out of the cache in an entry", |version, _| {
        forge_text(version, ENTRY, "../../../../outside/x.npz");
    }),
    ("an absolute path in an entry", |version, _| forge_text(version, ENTRY, "/tmp/x.npz")),
    ("a hostile id", |version, _| forge_text(version, "\"id\":\"a_1\"", "\"id\":\"../a_1\"")),
    ("a NUL in a name", |version, _| forge_text(version, ENTRY, "train/a_1\\u0000.npz")),
    ("the same entry twice", |version, _| forge_text(version, "\"id\":\"a_2\"", "\"id\":\"a_1\"")),
    ("an absurd size", |version, _| {
        forge(version, |body| body.replace("\"bytes\":", "\"bytes\":1844674407370955"));
    }),
    ("deep nesting", |version, _| forge(version, |body| format!("{}{body}", "[".repeat(100_000)))),
    ("a million brackets and no manifest", |version, _| {
        fs_err::write(version.join("manifest.json"), "[".repeat(1_000_000)).unwrap();
    }),
    ("a link out instead of a file", |version, project| {
        fs_err::remove_file(version.join(ENTRY)).unwrap();
        symlink(project.join("outside/precious"), version.join(ENTRY)).unwrap();
    }),
    ("a link out instead of a split", |version, project| {
        fs_err::remove_dir_all(version.join("train")).unwrap();
        symlink(project.join("outside"), version.join("train")).unwrap();
    }),
    ("a link out instead of the temporaries", |version, project| {
        fs_err::remove_dir_all(version.join(".build/tmp")).unwrap();
        symlink(project.join("outside"), version.join(".build/tmp")).unwrap();
    }),
    ("a link out instead of the lock", |version, project| {
        fs_err::remove_file(version.join(".build/lock")).unwrap();
        symlink(project.join("outside/precious"), version.join(".build/lock")).unwrap();
    }),
    ("a link out instead of the manifest", |version, project| {
        fs_err::remove_file(version.join("manifest.json")).unwrap();
        symlink(project.join("outside/precious"), version.join("manifest.json")).unwrap();
    }),
    ("a link out instead of the memo", |version, project| {
        let sources = version.join("../../.sources");
        fs_err::remove_dir_all(&sources).unwrap();
        symlink(project.join("outside"), sources).unwrap();
    }),
    ("a link out instead of the tag", |version, project| {
        fs_err::remove_file(version.join("../../CACHEDIR.TAG")).unwrap();
        symlink(project.join("outside/new"), version.join("../../CACHEDIR.TAG")).unwrap();
    }),
    ("a link out instead of the damaged files", |version, project| {
        symlink(project.join("outside"), version.join("../../.damaged")).unwrap();
        rewrite(&version.join(ENTRY), |bytes| bytes[200] ^= 1);
    }),
    ("a path as the name of a member", |version, _| {
        rewrite(&version.join(ENTRY), |bytes| swap(bytes, b"signal.npy", b"../../.npy"));
    }),
    ("an absurd length of a member", |version, _| {
        rewrite(&version.join(ENTRY), |bytes| swap(bytes, b"(2, 32)", b"(9,9e9)"));
    }),
    ("an absurd size of a member", |version, _| {
        rewrite(&version.join(ENTRY), |bytes| {
            let directory = (0..bytes.len()).find(|at| bytes[*at..].starts_with(b"PK\x01\x02")).unwrap();
            bytes[directory + 20..directory + 28].copy_from_slice(&[0xFE; 8]);
        });
    }),
    ("an object array", |version, _| {
        rewrite(&version.join(ENTRY), |bytes| swap(bytes, b"'<f4'", b"'|O8'"));
    }),
    ("a FIFO instead of a file", |version, _| {
        fs_err::remove_file(version.join(ENTRY)).unwrap();
        fifo(&version.join(ENTRY));
    }),
    ("a FIFO instead of the manifest", |version, _| {
        fs_err::remove_file(version.join("manifest.json")).unwrap();
        fifo(&version.join("manifest.json"));
    }),
    ("a directory instead of the journal", |version, _| {
        fs_err::create_dir(version.join(".build/journal-x.jsonl")).unwrap();
    }),
    ("escapes in the holder's name", |version, _| {
        fs_err::write(
            version.join(".build/lock"),
            "{\"host\":\"\\u001b[31mx\",\"pid\":1,\"since\":\"\\u0007\"}",
        )
        .unwrap();
    }),
];

fn fifo(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Whatever was done: no command hangs, panics, prints an escape or touches anything outside; and a build that
/// calls itself complete after a repair is.
fn check(what: &str, attack: fn(&Path, &Path)) {
    let project = Project::tiny();
    project.write("outside/precious", "precious");
    project.run(&["build"]).expect(0);
    attack(&project.path(FULL), &project.path(""));
    let before = outside(&project);
    let mut last = 0;
    for arguments in [
        &["status"][..],
        &["preflight"],
        &["verify"],
        &["verify", "--quick"],
        &["explain", "a_1"],
        &["build", "--dry-run"],
        &["build", "--no-wait"],
        &["verify", "--repair"],
        &["build", "--no-wait"],
    ] {
        let run = Run::of(&behind(&project, &["timeout", "20"], arguments).output().unwrap());
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!([0, 1, 2, 3, 5, 74].contains(&run.code), "{what}: {arguments:?}: exit {}: {said}", run.code);
        assert!(!said.contains("panicked") && is_plain(&said), "{what}: {said:?}");
        assert!(outside(&project) == before, "{what}: {arguments:?} changed something outside");
        last = run.code;
    }
    if last == 0 {
        converges(&project, what);
    } else {
        assert_eq!(last, 74, "{what}: a build that cannot go on says why");
    }
}

/// True for a text that moves no cursor and rings no bell.
fn is_plain(said: &str) -> bool {
    !said.contains('\u{1b}') && !said.contains('\u{7}')
}

#[test]
fn hostile_hands_reach_nothing_outside() {
    for (what, attack) in ATTACKS {
        check(what, *attack);
    }
    tally::count("hostile cache", ATTACKS.len());
}

/// A directory of the cache is swapped with a link to the outside, and back, all the time while builds run.
#[test]
fn links_that_are_swapped_in_during_builds_lead_nowhere() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use std::sync::atomic::{AtomicBool, Ordering};
    let project = Project::tiny();
    let mut swaps = 0;
    for place in ["train", ".build/tmp", ".build"] {
        let _ = fs_err::remove_dir_all(project.path("cache"));
        let _ = fs_err::remove_dir_all(project.path("outside"));
        project.run(&["build"]).expect(0);
        project.write("outside/precious", "precious");
        let (directory, link) = (project.path(FULL).join(place), project.path("link"));
        let _ = fs_err::remove_file(&link);
        symlink(project.path("outside"), &link).unwrap();
        let stop = AtomicBool::new(false);
        let swapped = std::thread::scope(|scope| {
            let swapper = scope.spawn(|| {
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    count += usize::from(
                        renameat_with(CWD, &directory, CWD, &link, RenameFlags::EXCHANGE).is_ok(),
                    );
                    std::thread::sleep(std::time::Duration::from_micros(300));
                }
                count
            });
            for round in 0..if tally::is_long() { 60 } else { 8 } {
                // Something is always missing, so that every build writes.
                for base in [&directory, &link] {
                    let _ = fs_err::remove_file(base.join("a_1.npz"));
                }
                let _ = fs_err::remove_file(project.path(FULL).join("manifest.json"));
                let run = project.run(&["build", "--no-wait"]);
                assert!(
                    [0, 3, 5, 74, 75].contains(&run.code),
                    "{place} {round}: {} {}",
                    run.code,
                    run.stderr
                );
                assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
            }
            stop.store(true, Ordering::Relaxed);
            swapper.join().unwrap()
        });
        let left: Vec<_> = fs_err::read_dir(project.path("outside"))
            .unwrap()
            .map(|item| item.unwrap().file_name())
            .collect();
        assert_eq!(left, ["precious"], "{place}: something was made outside");
        assert_eq!(project.read("outside/precious"), "precious", "{place}");
        if directory.is_symlink() {
            renameat_with(CWD, &directory, CWD, &link, RenameFlags::EXCHANGE).unwrap();
        }
        fs_err::remove_file(&link).unwrap();
        converges(&project, place);
        swaps += swapped;
    }
    assert!(swaps > 10, "nothing was swapped");
    tally::count("directory swapped with a link", swaps);
}

/// Ids, subjects and paths that would lead elsewhere: whatever the dataset file makes of them, nothing leaves the cache.
#[test]
fn names_of_a_dataset_that_lead_elsewhere_make_no_path() {
    let project = Project::tiny();
    let dataset = project.read("configs/datasets/tiny.yaml");
    let edf = crate::tiny::recording(50);
    let csv = fs_err::read(project.path("data/train/a_1.csv")).unwrap();
    let long = format!("{}_1", "l".repeat(200));
    for name in
        ["..", "...", "-rf", "a b_1", "new\nline_1", "q\"uote_1", "x.labels", "x.part000", "~root_1", &long]
    {
        fs_err::create_dir_all(project.path("data/train/odd")).unwrap();
        fs_err::write(project.path(&format!("data/train/odd/{name}.edf")), &edf).unwrap();
        fs_err::write(project.path(&format!("data/train/odd/{name}.csv")), &csv).unwrap();
    }
    let before = outside(&project);
    for (id, subject) in [
        ("([^/]+)\\.edf$", "([^/_]+)_[^/]*$"),
        ("^(.*)\\.edf$", "^(.*)$"),
        ("train/(.*/?[^/]*)\\.edf$|([^/]+)\\.edf$", "(.*/)[^/]*$"),
    ] {
        let text = dataset.replace("  subject:", &format!("  id: '{id}'\n  subject:"));
        let text = text.replace("'([^/_]+)_[^/]*$'", &format!("'{subject}'"));
        fs_err::write(project.path("configs/datasets/tiny.yaml"), text).unwrap();
        let _ = fs_err::remove_dir_all(project.path("cache"));
        for arguments in [&["build", "--no-wait"][..], &["status"], &["preflight"], &["verify"]] {
            let run = project.run(arguments);
            let said = format!("{}{}", run.stdout, run.stderr);
            assert!([0, 1, 2, 3, 4, 5].contains(&run.code), "{id} {arguments:?}: exit {}: {said}", run.code);
            assert!(!said.contains("panicked") && is_plain(&said), "{id}: {said}");
        }
        fs_err::write(project.path("configs/datasets/tiny.yaml"), &dataset).unwrap();
        assert!(outside(&project) == before, "{id}: something outside changed");
        for name in project.contents("cache").keys() {
            assert_eq!(name.split('/').count(), 4, "{name} lies where no file of a cache lies");
        }
    }
    fs_err::remove_dir_all(project.path("data/train/odd")).unwrap();
    let _ = fs_err::remove_dir_all(project.path("cache"));
    converges(&project, "names that lead elsewhere");
    tally::count("name that leads elsewhere", 30);
}

/// Labels, subjects and messages of a dataset reach a terminal escaped.
#[test]
fn escapes_in_a_dataset_reach_no_terminal() {
    let project = Project::tiny();
    let csv = "channel,start_time,stop_time,label,confidence\nFP1-F7,0.0,1.0,\u{1b}]0;x\u{7}\u{1b}[2J,1.0\n";
    project.write("data/train/a_1.csv", csv);
    let mut edf = crate::tiny::recording(1);
    edf[256..264].copy_from_slice(b"\x1b[2J\x07EEG");
    fs_err::write(project.path("data/train/a_2.edf"), edf).unwrap();
    fs_err::write(project.path("data/train/e\u{1b}[31m_9.edf"), "x").unwrap();
    for arguments in
        [&["build"][..], &["status"], &["preflight"], &["explain", "a_1"], &["inspect", "data/train/a_2.edf"]]
    {
        let run = project.run(arguments);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(is_plain(&said), "{arguments:?}: {said:?}");
        assert!(!said.contains("panicked"), "{said}");
    }
    crate::tiny::write_dataset(&project.path("data"), 0);
    fs_err::remove_file(project.path("data/train/e\u{1b}[31m_9.edf")).unwrap();
    converges(&project, "escapes");
    tally::count("terminal escape", 3);
}
