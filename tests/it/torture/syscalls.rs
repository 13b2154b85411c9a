//! Every system call of a build, one after the other: the program dies before it, or it fails.

use super::{behind, clear, converges, finished, has, judge};
use crate::project::{Project, Run};
use crate::tally;
use crate::tiny;
use std::sync::Mutex;

const STRACE: [&str; 3] = ["strace", "-f", "-qq"];
/// Stops at the traced calls alone, which is quicker; but deaths are not injected then.
const QUICK: &str = "--seccomp-bpf";

/// What can change a disk, and what opens it.
const DEADLY: [&str; 15] = [
    "open",
    "openat",
    "read",
    "write",
    "fsync",
    "fdatasync",
    "fchmod",
    "linkat",
    "renameat",
    "unlinkat",
    "mkdirat",
    "mkdir",
    "symlinkat",
    "flock",
    "ftruncate",
];

/// A call, and the errors that it may give.
const REFUSED: &[(&str, &[&str])] = &[
    ("open", &["EMFILE", "EIO"]),
    ("openat", &["EMFILE", "ENOSPC", "EIO", "EROFS"]),
    ("write", &["ENOSPC", "EIO", "EDQUOT"]),
    ("fsync", &["EIO", "ENOSPC"]),
    ("fdatasync", &["EIO", "ENOSPC"]),
    ("fchmod", &["EIO", "EROFS"]),
    ("linkat", &["ENOSPC", "EIO", "EROFS"]),
    ("renameat", &["ENOSPC", "EIO", "EROFS"]),
    ("unlinkat", &["EIO", "EROFS"]),
    ("mkdirat", &["ENOSPC", "EIO", "EROFS", "EMFILE"]),
    ("mkdir", &["ENOSPC", "EIO", "EROFS"]),
    ("symlinkat", &["ENOSPC", "EROFS"]),
    ("flock", &["EIO", "EMFILE"]),
    ("getdents64", &["EIO"]),
    ("pread64", &["EIO"]),
    ("statx", &["EIO"]),
    ("fstatfs", &["EIO"]),
    ("statfs", &["EIO"]),
    ("ftruncate", &["EIO", "ENOSPC"]),
];

/// Whether a fault was injected.
#[derive(Debug, PartialEq, Eq)]
enum Injected {
    /// The build makes fewer such calls.
    No,
    /// Into what is not the cache's or the dataset's: the dynamic linker, the kernel's files, a stream.
    Elsewhere,
    Yes,
}

/// A build under `strace` with a fault at the `at`-th of its calls. It runs on one thread, so each call has one place.
fn build(project: &Project, call: &str, fault: &str, at: usize) -> (Run, Injected, String) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{fault}:when={at}"));
    let quick = if fault.starts_with("error") { &[QUICK][..] } else { &[] };
    let outer =
        [&STRACE[..], quick, &["-o", log.path().to_str().unwrap(), "-e", &trace, "-e", &inject]].concat();
    let output = behind(project, &outer, &["build", "--json", "-j", "1"]).output().unwrap();
    let trace = fs_err::read_to_string(log.path()).unwrap();
    let line = trace.lines().find(|line| line.contains("INJECTED")).unwrap_or_default();
    // 127: the dynamic linker could not start the program.
    let injected = match output.status.code() {
        None | Some(137) => Injected::Yes,
        _ if line.is_empty() => Injected::No,
        Some(code) if code != 127 && is_ours(line) => Injected::Yes,
        Some(_) => Injected::Elsewhere,
    };
    (Run::of(&output), injected, line.to_owned())
}

/// True for a line of a trace that names something below the project, relative to a directory held open or by its path.
fn is_ours(line: &str) -> bool {
    let arguments = line.split_once('(').map_or("", |(_, rest)| rest);
    let is_stream = ["1, ", "2, "].iter().any(|stream| arguments.starts_with(stream));
    let is_absolute = arguments.starts_with("AT_FDCWD, \"/");
    let is_configuration = line.contains("/configs/");
    !is_stream && !is_configuration && (!is_absolute || line.contains("/cache") || line.contains("/data"))
}

fn kill(call: &str, faults: &Mutex<usize>) {
    let project = Project::tiny();
    let mut judge = judge(&project);
    let stride = tally::stride(19);
    for at in (1 + call.len() % stride..).step_by(stride) {
        clear(&project);
        let what = format!("killed at {call} {at}");
        let (run, injected, _) = build(&project, call, "signal=KILL", at);
        if injected == Injected::No {
            assert_eq!(run.code, 0, "{what}: {}", run.stderr);
            break;
        }
        if let Some(judge) = &mut judge {
            judge.check(&project.path("cache"), &what);
        }
        let before = finished(&project);
        let built = converges(&project, &what);
        assert_eq!(
            built as usize,
            tiny::RECORDINGS.len() - before,
            "{what}: only what was unfinished is processed"
        );
        *faults.lock().unwrap() += 1;
    }
}

fn refuse(call: &str, error: &str, faults: &Mutex<usize>) {
    let project = Project::tiny();
    let mut judge = judge(&project);
    let stride = tally::stride(43);
    for at in (1 + (call.len() + error.len()) % stride..).step_by(stride) {
        clear(&project);
        let what = format!("{error} at {call} {at}");
        let (run, injected, trace) = build(&project, call, &format!("error={error}"), at);
        if injected == Injected::No {
            assert_eq!(run.code, 0, "{what}: {}", run.stderr);
            break;
        }
        if injected == Injected::Elsewhere {
            continue;
        }
        assert!(!run.stderr.contains("panicked"), "{what}: {}", run.stderr);
        match run.code {
            0 => {}
            5 => assert!(run.stdout.contains("io-error"), "{what}: {}\n{trace}", run.stdout),
            74 => assert!(
                run.stderr.contains("error: ") && run.stderr.contains("hint: "),
                "{what}: {}",
                run.stderr
            ),
            code => panic!("{what}: exit {code}: {}{}\n{trace}", run.stdout, run.stderr),
        }
        if let Some(judge) = &mut judge {
            judge.check(&project.path("cache"), &what);
        }
        converges(&project, &what);
        *faults.lock().unwrap() += 1;
    }
}

/// Does all jobs on two threads.
fn both<T: Sync>(jobs: &[T], work: impl Fn(&T) + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let worker = || {
        while let Some(job) = jobs.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            work(job);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(worker);
        worker();
    });
}

#[test]
fn a_death_before_any_system_call_loses_only_what_was_in_hand() {
    if !has(&["strace", "-f", "-e", "trace=none", "true"]) {
        return;
    }
    let faults = Mutex::new(0);
    both(&DEADLY, |call| kill(call, &faults));
    assert!(*faults.lock().unwrap() > 0, "nobody was killed");
    tally::count("SIGKILL before a system call", *faults.lock().unwrap());
}

#[test]
fn a_system_call_that_is_refused_ends_with_74_or_5_and_the_next_build_goes_on() {
    if !has(&["strace", "-f", "--seccomp-bpf", "-e", "trace=none", "true"]) {
        return;
    }
    let jobs: Vec<_> =
        REFUSED.iter().flat_map(|(call, errors)| errors.iter().map(move |error| (*call, *error))).collect();
    let faults = Mutex::new(0);
    both(&jobs, |(call, error)| refuse(call, error, &faults));
    assert!(*faults.lock().unwrap() > 0, "nothing was refused");
    tally::count("refused system call", *faults.lock().unwrap());
}

/// A recording or its annotation that cannot be read is one recording in quarantine; the others are built.
#[test]
fn an_unreadable_source_is_one_recording_in_quarantine() {
    if !has(&["strace", "-f", "--seccomp-bpf", "-e", "trace=none", "true"]) {
        return;
    }
    let project = Project::tiny();
    let mut count = 0;
    for name in tiny::RECORDINGS {
        // Which of the two calls opens a file depends on the processor.
        let calls = ["read", "open,openat"];
        for (ending, call) in calls.iter().flat_map(|call| [("edf", call), ("csv", call)]) {
            let path = project.path(&format!("data/{name}.{ending}"));
            let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error=EIO"));
            let log = ["-o", "/dev/null", "-e", &trace, "-e", &inject, "-P", path.to_str().unwrap()];
            let outer = [&["strace", "-f", "-qq"][..], &log].concat();
            let run = Run::of(&behind(&project, &outer, &["build", "--json"]).output().unwrap());
            let report = run.expect(5).json();
            assert_eq!(report["quarantine"].as_array().unwrap().len(), 1, "{name}.{ending} {call}: {report}");
            assert_eq!(report["quarantine"][0]["class"], "io-error");
            assert_eq!(finished(&project), tiny::RECORDINGS.len() - 1, "{name}.{ending} {call}");
            assert_eq!(converges(&project, name), 1);
            clear(&project);
            count += 1;
        }
    }
    tally::count("unreadable source", count);
}

/// A recording or an annotation that cannot be read to see whether it changed keeps what the cache has of it.
#[test]
fn what_cannot_be_read_again_keeps_what_it_has() {
    if !has(&["strace", "-f", "--seccomp-bpf", "-e", "trace=none", "true"]) {
        return;
    }
    let project = Project::tiny();
    converges(&project, "first");
    let mut count = 0;
    for (ending, call) in [("edf", "read"), ("csv", "read"), ("edf", "open,openat"), ("csv", "open,openat")] {
        let path = project.path(&format!("data/{}.{ending}", tiny::RECORDINGS[1]));
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error=EIO"));
        let log = ["-o", "/dev/null", "-e", &trace, "-e", &inject, "-P", path.to_str().unwrap()];
        let outer = [&["strace", "-f", "-qq"][..], &log].concat();
        let run = |arguments: &[&str]| {
            // Without the memo everything has to be read again.
            let _ = fs_err::remove_dir_all(project.path("cache/.sources"));
            Run::of(&behind(&project, &outer, arguments).output().unwrap())
        };
        run(&["status", "--profile", "full"]).expect(0).says(&["VALID", "unchecked"]);
        run(&["preflight"]).expect(0);
        let report = run(&["build", "--json"]).expect(5).json();
        assert_eq!(report["unread"].as_array().unwrap().len(), 1, "{ending} {call}: {report}");
        assert!(report["quarantine"].as_array().unwrap().is_empty(), "{ending} {call}: {report}");
        assert!(project.contents("cache") == *super::UNDISTURBED, "{ending} {call}");
        assert_eq!(converges(&project, ending), 0);
        count += 3;
    }
    tally::count("source that cannot be read again", count);
}
