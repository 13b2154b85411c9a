//! Sources that change while they are read: reading is slowed down at one call, and the file changes in that time.

use super::{behind, clear, converges, has, judge};
use crate::project::{Project, Run};
use crate::tally;
use crate::tiny;
use eegcache::model::id::Digest;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

const NAME: &str = "train/a_1";
/// Long enough that the change surely happens within.
const SLOW: Duration = Duration::from_millis(700);

/// What happens to a file whose other content, of the same size, is given.
type Change = (&'static str, fn(&Path, &[u8]));

const CHANGES: &[Change] = &[
    ("replaced", |path, other| {
        fs_err::write(path.with_extension("new"), other).unwrap();
        fs_err::rename(path.with_extension("new"), path).unwrap();
    }),
    ("rewritten in place", |path, other| fs_err::write(path, other).unwrap()),
    ("rewritten in place with its times restored", |path, other| {
        let times = fs_err::metadata(path).unwrap().modified().unwrap();
        let mut file = fs_err::File::options().write(true).open(path).unwrap();
        std::io::Write::write_all(&mut file, other).unwrap();
        file.file().set_modified(times).unwrap();
    }),
    ("truncated and written again", |path, other| {
        fs_err::File::options().write(true).open(path).unwrap().set_len(300).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        fs_err::write(path, other).unwrap();
    }),
    ("replaced by the same bytes", |path, _| {
        let same = fs_err::read(path).unwrap();
        fs_err::write(path.with_extension("new"), same).unwrap();
        fs_err::rename(path.with_extension("new"), path).unwrap();
    }),
];

/// A build that is slow at the `at`-th read of the recording; the change comes as soon as that read has begun.
fn build_meanwhile(project: &Project, at: usize, change: impl FnOnce(&Path)) -> Run {
    let path = project.path(&format!("data/{NAME}.edf"));
    let trace = project.path("trace");
    let _ = fs_err::remove_file(&trace);
    let slow = SLOW.as_micros();
    // The call is written down when it ends, its predecessor when it ended.
    let inject = format!("inject=read:delay_enter={slow}:when={at}");
    let outer = ["strace", "-f", "-qq", "-o", "trace", "-e", "trace=read", "-e", &inject];
    let outer = [&outer[..], &["-P", path.to_str().unwrap()]].concat();
    let mut command = behind(project, &outer, &["build", "--json", "-j", "1"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    let reads = || fs_err::read_to_string(&trace).map_or(0, |text| text.matches("read(").count());
    while reads() < at - 1 && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(Duration::from_millis(100));
    change(&path);
    Run::of(&child.wait_with_output().unwrap())
}

/// What an entry says it was made from, and the digest of its file, after an undisturbed build of what lies there now.
fn undisturbed(project: &Project) -> (String, Digest) {
    clear(project);
    project.run(&["build"]).expect(0);
    made(project)
}

fn made(project: &Project) -> (String, Digest) {
    let manifest = project.manifest(super::FULL);
    let entry = manifest["entries"].as_array().unwrap().iter().find(|entry| entry["id"] == "a_1").unwrap();
    let file = fs_err::read(project.path(&format!("{}/{NAME}.npz", super::FULL))).unwrap();
    (entry["source"]["sha256"].as_str().unwrap().to_owned(), Digest::of(&file))
}

#[test]
fn a_recording_that_changes_while_it_is_read_is_never_a_mixture() {
    if !has(&["strace", "-f", "-e", "trace=none", "true"]) {
        return;
    }
    let project = Project::tiny();
    let path = project.path(&format!("data/{NAME}.edf"));
    let other = tiny::recording(99);
    let mut judged = 0;
    for (what, change) in CHANGES {
        // The header is read first, then the samples.
        for at in 1..=if tally::is_long() { 3 } else { 2 } {
            tiny::write_dataset(&project.path("data"), 0);
            clear(&project);
            std::thread::sleep(Duration::from_millis(20));
            let run = build_meanwhile(&project, at, |path| change(path, &other)).expect(0);
            // It was read again, at rest: the entry is that of what lies there now, and of nothing else.
            let (source, file) = made(&project);
            let now = fs_err::read(&path).unwrap();
            assert_eq!(source, Digest::of(&now).to_string(), "{what} at read {at}: {}", run.stdout);
            assert_eq!((source, file), undisturbed(&project), "{what} at read {at}");
            judged += 1;
        }
    }
    tiny::write_dataset(&project.path("data"), 0);
    clear(&project);
    converges(&project, "changes while reading");
    tally::count("source that changed while it was read", judged);
}

/// A file that is shorter in the end is a recording in quarantine, whose good predecessor is not overwritten by a mixture.
#[test]
fn a_recording_that_is_cut_short_while_it_is_read_is_not_cached() {
    if !has(&["strace", "-f", "-e", "trace=none", "true"]) {
        return;
    }
    let project = Project::tiny();
    let mut judge = judge(&project);
    for at in 1..=2 {
        clear(&project);
        let cut = |path: &Path| {
            fs_err::File::options().write(true).open(path).unwrap().set_len(800).unwrap();
        };
        let report = build_meanwhile(&project, at, cut).expect(5).json();
        let class = report["quarantine"][0]["class"].as_str().unwrap().to_owned();
        assert!(["truncated", "changed-while-reading"].contains(&class.as_str()), "{report}");
        assert!(!project.path(&format!("{}/{NAME}.npz", super::FULL)).exists());
        assert_eq!(super::finished(&project), tiny::RECORDINGS.len() - 1);
        // The judge compares what lies beside the cache: it has to lie there as it did.
        tiny::write_dataset(&project.path("data"), 0);
        fs_err::remove_file(project.path("trace")).unwrap();
        if let Some(judge) = &mut judge {
            judge.check(&project.path("cache"), &format!("cut short at read {at}"));
        }
        assert_eq!(converges(&project, "cut short"), 1);
    }
    tally::count("source that was cut short while it was read", 2);
}
