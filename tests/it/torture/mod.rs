//! Torture from outside: the real program under kills, refusing systems, full disks, power losses, crowds and hostile hands.
//!
//! Each kind of fault has one `check`; what goes wrong stands in tables. The counterpart inside one process, with faults at
//! each operation of the file system, is `src/ops/torture`. `EEGCACHE_TORTURE=1` leaves no fault out.

mod crowd;
mod exclusion;
mod hostile;
mod long;
mod moving;
mod power;
mod syscalls;
mod whereabouts;

use crate::invariant::{Judge, Reference};
use crate::project::{Project, Run};
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::LazyLock;

/// The version of the tiny dataset, whose profiles are `smoke` and `full`.
const FULL: &str = "cache/full/v1";

/// What an undisturbed build of `full` writes.
static UNDISTURBED: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    let project = Project::tiny();
    project.run(&["build"]).expect(0);
    project.contents("cache")
});

/// Starts the independent judge of the tiny dataset's caches.
fn judge(project: &Project) -> Option<Judge> {
    let mut reference = Reference::new();
    for (name, content) in UNDISTURBED.iter() {
        let leaf = name.rsplit('/').next().unwrap().to_owned();
        let digest = eegcache::model::id::Digest::of(content).to_string();
        reference.entry(leaf).or_default().insert(digest);
    }
    Judge::start(&project.path(""), &reference)
}

/// The program behind another one: `outer … eegcache inner …`, in the project and without surrounding configuration.
fn behind(project: &Project, outer: &[&str], inner: &[&str]) -> Command {
    let program = project.command(inner);
    let mut command = Command::new(outer[0]);
    command.args(&outer[1..]).arg(program.get_program()).args(program.get_args());
    for (name, _) in program.get_envs() {
        command.env_remove(name);
    }
    command.current_dir(project.path(""));
    command
}

/// Runs a script in `sh` with the program as `$0`.
fn shell(project: &Project, script: &str) -> Run {
    Run::of(&behind(project, &["sh", "-c", script], &[]).output().unwrap())
}

/// True where a program can be used; else says so.
fn has(program: &[&str]) -> bool {
    let output = Command::new(program[0]).args(&program[1..]).output();
    let works = output.is_ok_and(|output| output.status.success());
    if !works {
        crate::tally::skip(&format!("`{}` does not work here", program.join(" ")));
    }
    works
}

/// Builds without a fault: afterwards every byte is right and nothing is left over. Returns how many recordings were processed.
#[track_caller]
fn converges(project: &Project, what: &str) -> u64 {
    let run = project.run(&["build", "--json"]);
    assert_eq!(run.code, 0, "{what}: {}{}", run.stdout, run.stderr);
    let contents = project.contents("cache");
    assert!(contents == *UNDISTURBED, "{what}: {:?}", contents.keys());
    let build = project.path(&format!("{FULL}/.build"));
    let names = fs_err::read_dir(&build).unwrap().map(|item| item.unwrap().file_name());
    let journals = names
        .filter(|name| name.to_string_lossy().starts_with("journal-") && build.join(name).is_file())
        .count();
    let temporaries = fs_err::read_dir(build.join("tmp")).unwrap().count();
    assert_eq!((journals, temporaries), (0, 0), "{what}: journals and temporaries are left");
    run.json()["built"].as_u64().unwrap()
}

/// Removes the cache, whatever is in it.
fn clear(project: &Project) {
    let _ = fs_err::remove_dir_all(project.path("cache"));
}

/// How many signals have their final name.
fn finished(project: &Project) -> usize {
    project.entries("cache").keys().filter(|name| !name.ends_with(".labels.npz")).count()
}
