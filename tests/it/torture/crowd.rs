//! Many at once, few resources, sudden ends: eight builders, random kills, stops, few descriptors, little space.

use super::{UNDISTURBED, behind, clear, converges, has, judge, shell};
use crate::project::{Project, Run};
use crate::tally;
use crate::tiny;
use std::process::{Child, Stdio};
use std::time::Duration;

const BUILDERS: usize = 8;

fn rounds(fast: usize, long: usize) -> usize {
    if tally::is_long() { long } else { fast }
}

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Starts builders at once and returns what each of them did.
fn crowd(project: &Project, outer: &[&str]) -> Vec<Run> {
    let start = |number: usize| {
        let threads = ["1", "2", "3"][number % 3];
        let arguments = ["build", "--json", "-j", threads];
        let mut command =
            if outer.is_empty() { project.command(&arguments) } else { behind(project, outer, &arguments) };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<Child> = (0..BUILDERS).map(start).collect();
    children.into_iter().map(|child| Run::of(&child.wait_with_output().unwrap())).collect()
}

#[test]
fn eight_builders_at_once_only_wait_for_each_other() {
    let project = Project::tiny();
    let mut judge = judge(&project);
    let rounds = rounds(3, 100);
    for round in 0..rounds {
        clear(&project);
        let runs = crowd(&project, &[]);
        let built: u64 = runs.into_iter().map(|run| run.expect(0).json()["built"].as_u64().unwrap()).sum();
        assert_eq!(built as usize, tiny::RECORDINGS.len(), "round {round}: each recording is processed once");
        if let Some(judge) = &mut judge {
            judge.check(&project.path("cache"), &format!("round {round}"));
        }
        assert_eq!(converges(&project, "eight builders"), 0);
    }
    tally::count("round of eight builders", rounds);
}

#[test]
fn eight_builders_whose_locks_do_nothing_make_the_same_files() {
    if !has(&["strace", "-f", "--seccomp-bpf", "-e", "trace=none", "true"]) {
        return;
    }
    let project = Project::tiny();
    let mut judge = judge(&project);
    let rounds = rounds(3, 100);
    let strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "inject=flock:retval=0"];
    for round in 0..rounds {
        clear(&project);
        for run in crowd(&project, &strace) {
            let run = run.expect(0);
            assert!(run.stdout.contains("going on without a lock"), "{}", run.stdout);
        }
        if let Some(judge) = &mut judge {
            judge.check(&project.path("cache"), &format!("round {round}"));
        }
        converges(&project, "eight builders without locks");
    }
    tally::count("round of eight builders without locks", rounds);
}

#[test]
fn kills_at_any_time_lose_nothing() {
    let project = Project::tiny();
    let mut judge = judge(&project);
    let mut random = Random(20_261_121);
    let kills = rounds(20, 400);
    for round in 0..kills {
        if random.below(4) == 0 {
            clear(&project);
        }
        let mut child = project
            .command(&["build", "-j", "2"])
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(random.below(40_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        if let Some(judge) = &mut judge {
            judge.check(&project.path("cache"), &format!("kill {round}"));
        }
    }
    converges(&project, "random kills");
    tally::count("SIGKILL at a random time", kills);
}

#[test]
fn a_build_that_is_stopped_and_continued_is_a_build() {
    let project = Project::tiny();
    let mut random = Random(7);
    let stops = rounds(4, 60);
    let signal = |name: &str, id: u32| {
        // The build may have ended meanwhile: then there is nobody to signal.
        let _ =
            std::process::Command::new("kill").args([name, &id.to_string()]).stderr(Stdio::null()).status();
    };
    for _ in 0..stops {
        clear(&project);
        let mut command = project.command(&["build", "--json", "-j", "2"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(random.below(20_000)));
        signal("-STOP", child.id());
        std::thread::sleep(Duration::from_millis(30));
        signal("-CONT", child.id());
        Run::of(&child.wait_with_output().unwrap()).expect(0);
        assert_eq!(converges(&project, "stopped and continued"), 0);
    }
    tally::count("SIGSTOP and SIGCONT", stops);
}

#[test]
fn few_descriptors_end_with_74_or_5_and_nothing_is_lost() {
    if !has(&["prlimit", "--version"]) {
        return;
    }
    let project = Project::tiny();
    let mut judge = judge(&project);
    let limits: Vec<usize> = (6..40).step_by(tally::stride(5)).collect();
    for limit in &limits {
        clear(&project);
        let nofile = format!("--nofile={limit}");
        let run = Run::of(&behind(&project, &["prlimit", &nofile], &["build", "-j", "3"]).output().unwrap());
        let is_said = run.code != 74 || run.stderr.contains("error: ");
        assert!([0, 5, 74].contains(&run.code) && is_said, "{limit}: {} {}", run.code, run.stderr);
        if let Some(judge) = &mut judge {
            judge.check(&project.path("cache"), &format!("{limit} descriptors"));
        }
        converges(&project, &nofile);
    }
    tally::count("few descriptors", limits.len());
}

#[test]
fn no_thread_and_little_memory_end_with_74_or_a_death_and_nothing_is_lost() {
    if !has(&["prlimit", "--version"]) || !has(&["strace", "-f", "--seccomp-bpf", "-e", "trace=none", "true"])
    {
        return;
    }
    let project = Project::tiny();
    let mut judge = judge(&project);
    let mut count = 0;
    let mut check = |what: &str, outer: &[&str], codes: &[i32]| {
        clear(&project);
        let run = Run::of(&behind(&project, outer, &["build", "-j", "3"]).output().unwrap());
        assert!(codes.contains(&run.code), "{what}: exit {}: {}", run.code, run.stderr);
        assert!(run.code != 74 || run.stderr.contains("error: "), "{what}: {}", run.stderr);
        if let Some(judge) = &mut judge {
            judge.check(&project.path("cache"), &what);
        }
        converges(&project, what);
        count += 1;
    };
    for thread in 1..=4 {
        let inject = format!("inject=clone,clone3:error=EAGAIN:when={thread}");
        let strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", &inject];
        check(&inject, &strace, &[0, 74]);
        for command in ["status", "preflight", "verify"] {
            let run = Run::of(&behind(&project, &strace, &[command]).output().unwrap());
            assert!([0, 74].contains(&run.code), "{inject}, {command}: exit {}: {}", run.code, run.stderr);
        }
    }
    // A refused allocation ends the program (SIGABRT), as the kernel does where memory is short.
    for megabytes in (8..80).step_by(tally::stride(12) * 2) {
        let limit = format!("--as={}", megabytes << 20);
        check(&limit, &["prlimit", &limit], &[0, 5, 74, 127, -1]);
    }
    tally::count("no thread or little memory", count);
}

/// A file system of its own that nobody else sees, with so much space and so many inodes.
const SMALL_DISK: &str = "mkdir -p disk && mount -t tmpfs -o size=$0,nr_inodes=$1 tmpfs disk || exit 99
    \"$2\" build --json --cache-root disk/cache >small.json 2>small.err; echo \"small: $?\"
    mount -o remount,size=32m,nr_inodes=10000 disk
    \"$2\" build --cache-root disk/cache >/dev/null; echo \"again: $?\"
    \"$2\" verify --cache-root disk/cache; echo \"verify: $?\"
    cp -r disk/cache after";

#[test]
fn a_disk_of_any_size_is_survived() {
    let mount = "mount -t tmpfs tmpfs /mnt";
    if !has(&["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount]) {
        return;
    }
    let project = Project::tiny();
    let sizes = (4..120).step_by(4).map(|kib| (format!("{kib}k"), 10_000));
    let inodes = (2..40).map(|inodes| ("32m".to_owned(), inodes));
    let disks: Vec<(String, usize)> = sizes.chain(inodes).step_by(tally::stride(9)).collect();
    let mut full = 0;
    for (size, inodes) in &disks {
        let inodes = inodes.to_string();
        let outer =
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", SMALL_DISK, size, &inodes];
        let run = Run::of(&behind(&project, &outer, &[]).output().unwrap()).expect(0);
        let run = run.says(&["again: 0", "verify: 0"]);
        let is_full = run.stdout.contains("small: 74");
        assert!(is_full || run.stdout.contains("small: 0"), "{size} {inodes}: {}", run.stdout);
        let said = project.read("small.err");
        assert!(!is_full || (said.contains("error: ") && said.contains("hint: ")), "{size} {inodes}: {said}");
        assert!(project.contents("after") == *UNDISTURBED, "{size} {inodes}");
        fs_err::remove_dir_all(project.path("after")).unwrap();
        full += usize::from(is_full);
    }
    assert!(full > 0);
    tally::count("full disk", full);
}

#[test]
fn signals_and_streams_end_as_they_should() {
    let project = Project::tiny();
    for (script, code) in [
        ("\"$0\" build >/dev/full", 74),
        ("\"$0\" build 2>/dev/full", 0),
        ("\"$0\" build <&- >&- 2>&-", 0),
        ("\"$0\" build --json | true; exit 0", 0),
        ("env -i \"$0\" build", 0),
        ("LANG=C LC_ALL=C \"$0\" status", 0),
        ("\"$0\" status --cache-root \"$(printf 'caf\\303\\251-\\377')\"", 2),
        ("\"$0\" build -c \"$(printf 'no\\377.yaml')\"", 2),
    ] {
        let run = shell(&project, script);
        assert_eq!(run.code, code, "{script}: {}{}", run.stdout, run.stderr);
        assert!(!run.stderr.contains("panicked"), "{script}: {}", run.stderr);
    }
    converges(&project, "streams");
    tally::count("stream, locale or name", 8);
}
