//! Faults from outside through the real binary: kills, refusing systems, damage, streams, strange files.
//!
//! The oracle is always the same: after one more undisturbed build every byte is what it would have been.
#![expect(clippy::print_stderr, reason = "a skipped test must be seen")]

use crate::project::{Project, Run};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const SMOKE: &str = "cache/smoke/mini_v1";
const FULL: &str = "cache/full/mini_v1";

/// A project whose caches below `undisturbed` were built in peace.
fn project() -> (Project, BTreeMap<String, Vec<u8>>) {
    let project = Project::mini();
    for profile in ["smoke", "full"] {
        project.run(&["build", "--profile", profile, "--cache-root", "undisturbed"]).expect(0);
    }
    let contents = project.contents("undisturbed");
    (project, contents)
}

/// Builds both profiles and compares every byte.
#[track_caller]
fn converges(project: &Project, undisturbed: &BTreeMap<String, Vec<u8>>) {
    for profile in ["smoke", "full"] {
        project.run(&["build", "--profile", profile]).expect(0);
        let temporary = project.path(&format!("cache/{profile}/mini_v1/.build/tmp"));
        assert_eq!(fs_err::read_dir(temporary).unwrap().count(), 0, "temporaries are left");
    }
    assert!(project.contents("cache") == *undisturbed);
    project.run(&["verify"]).expect(0).says(&["0 damaged"]);
}

fn has(program: &str, arguments: &[&str]) -> bool {
    let works = Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success());
    if !works {
        eprintln!("skipped: `{program} {}` does not work here", arguments.join(" "));
    }
    works
}

fn signal(name: &str, process: u32) {
    assert!(Command::new("kill").args([name, &process.to_string()]).status().unwrap().success());
}

#[test]
fn kills_during_both_profiles_lose_nothing_and_break_nothing() {
    let (project, undisturbed) = project();
    let mut random: u64 = 20_261_121;
    for round in 0..14 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let profile = if round % 3 == 0 { "smoke" } else { "full" };
        let mut child = project
            .command(&["build", "--profile", profile, "-j", "2"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(random >> 56));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
        for (name, content) in project.contents("cache") {
            assert!(undisturbed[&name] == content, "{name} has a final name and other bytes");
        }
    }
    converges(&project, &undisturbed);
}

#[test]
fn a_system_call_that_fails_or_kills_anywhere_is_survived() {
    if !has("strace", &["-f", "-e", "trace=none", "true"]) {
        return;
    }
    let (project, undisturbed) = project();
    for (call, fault, first, codes) in [
        ("linkat", "error=EIO", 3, &[74][..]),
        ("linkat", "error=EPERM", 1, &[0]), // no hard links here: a rename that replaces nothing does
        ("linkat", "signal=KILL", 2, &[-1]),
        ("renameat", "error=EIO", 1, &[74]),
        ("renameat", "signal=KILL", 1, &[-1]),
        ("fsync", "error=EIO", 9, &[74]),
        ("fdatasync", "error=EIO", 2, &[74]),
        ("write", "error=ENOSPC", 60, &[74]),
        ("write", "retval=10", 60, &[74]),
        ("write", "signal=KILL", 60, &[-1]),
        ("unlinkat", "error=EIO", 2, &[0, 74]),
        ("fchmod", "error=EPERM", 4, &[74]),
        ("openat", "error=EMFILE", 80, &[0, 74]),
        ("flock", "retval=0", 1, &[0]), // a lock that locks nothing
    ] {
        let _ = fs_err::remove_dir_all(project.path("cache"));
        let program = project.command(&["build", "--profile", "smoke", "-j", "1"]);
        let mut traced = Command::new("strace");
        traced.args(["-f", "-qq", "-o", "trace", "-e", &format!("trace={call}"), "-e"]);
        traced
            .arg(format!("inject={call}:{fault}:when={first}"))
            .arg(program.get_program())
            .args(program.get_args());
        traced.current_dir(project.path(""));
        for (name, value) in program.get_envs() {
            assert!(value.is_none());
            traced.env_remove(name);
        }
        let run = Run::of(&traced.output().unwrap());
        let trace = project.read("trace");
        assert!(
            trace.contains("INJECTED") || trace.contains("killed"),
            "{call} {fault}: not reached\n{trace}"
        );
        assert!(codes.contains(&run.code), "{call} {fault}: exit {}\n{}", run.code, run.stderr);
        assert!(run.code != 74 || run.stderr.contains("error: cannot"), "{call} {fault}: {}", run.stderr);
        project.run(&["build", "--profile", "smoke"]).expect(0);
        for (name, content) in project.contents(SMOKE) {
            assert!(undisturbed[&format!("smoke/mini_v1/{name}")] == content, "{call} {fault}: {name}");
        }
    }
    converges(&project, &undisturbed);
}

fn overwrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs_err::read(path).unwrap();
    change(&mut bytes);
    fs_err::remove_file(path).unwrap();
    fs_err::write(path, bytes).unwrap();
}

/// Where the damage is done, what it is called, what `status --profile full` says.
type Damage = (&'static str, fn(&Path, &Path), i32);

const DAMAGES: &[Damage] = &[
    ("a file cut short", |cache, file| overwrite(&cache.join(file), |bytes| bytes.truncate(1000)), 3),
    ("an empty file", |cache, file| overwrite(&cache.join(file), Vec::clear), 3),
    ("a lost file", |cache, file| fs_err::remove_file(cache.join(file)).unwrap(), 1),
    (
        "a link instead of a file",
        |cache, file| {
            let outside = cache.join("../../../outside");
            fs_err::copy(cache.join(file), &outside).unwrap();
            fs_err::remove_file(cache.join(file)).unwrap();
            symlink(fs_err::canonicalize(outside).unwrap(), cache.join(file)).unwrap();
        },
        1,
    ),
    (
        "a manifest cut short",
        |cache, _| overwrite(&cache.join("manifest.json"), |b| b.truncate(b.len() / 2)),
        3,
    ),
    ("an empty manifest", |cache, _| fs_err::write(cache.join("manifest.json"), "").unwrap(), 3),
    (
        "a manifest edited by hand",
        |cache, _| {
            let text = fs_err::read_to_string(cache.join("manifest.json")).unwrap();
            fs_err::write(cache.join("manifest.json"), text.replacen("\"samples\": ", "\"samples\": 1", 1))
                .unwrap();
        },
        3,
    ),
    (
        "no manifest and no .build",
        |cache, _| {
            fs_err::remove_file(cache.join("manifest.json")).unwrap();
            fs_err::remove_dir_all(cache.join(".build")).unwrap();
        },
        1,
    ),
    (
        "a memo of noise",
        |cache, _| fs_err::write(cache.join("../../.sources/mini.jsonl"), [0xA5; 5000]).unwrap(),
        0,
    ),
];

#[test]
fn every_damage_is_seen_and_the_next_build_mends_it() {
    let (project, undisturbed) = project();
    converges(&project, &undisturbed);
    let file = project.entries(FULL).into_keys().find(|name| !name.contains(".labels.")).unwrap();
    for (what, damage, code) in DAMAGES {
        damage(&project.path(FULL), Path::new(&file));
        let status = project.run(&["status", "--profile", "full"]);
        assert_eq!(status.code, *code, "{what}: {}", status.stdout);
        let report = project.run(&["build", "--json"]).expect(0).json();
        assert!(report["built"].as_u64().unwrap() <= 1, "{what}: {report}");
        converges(&project, &undisturbed);
    }
    let outside = fs_err::read(project.path("outside")).unwrap();
    assert!(outside == undisturbed[&format!("full/mini_v1/{file}")], "nothing is written through a link");
}

#[test]
fn a_flipped_bit_is_found_by_verify_in_every_name_and_repaired() {
    let (project, undisturbed) = project();
    converges(&project, &undisturbed);
    let file = project.entries(SMOKE).into_keys().find(|name| !name.contains(".labels.")).unwrap();
    let path = project.path(SMOKE).join(&file);
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut bytes = fs_err::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 16;
    fs_err::write(&path, bytes).unwrap(); // in place, so in every profile that shares the inode
    let names =
        project.entries("cache").into_iter().filter(|(name, (_, content))| undisturbed[name] != *content);
    let names: Vec<String> = names.map(|(name, _)| format!("damaged: {name}")).collect();
    assert!(!names.is_empty());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    project.run(&["verify"]).expect(3).says(&names);
    project.run(&["verify", "--repair"]).expect(3).says(&["moved: "]);
    assert!(!path.exists());
    project.run(&["status", "--profile", "smoke"]).expect(1).says(&["INCOMPLETE"]);
    converges(&project, &undisturbed);
}

#[test]
fn a_full_disk_ends_with_74_and_the_build_goes_on_when_there_is_space() {
    // A file system of its own, seen by nobody else; `df`-like sizes are the demo corpus's.
    if !has("unshare", &["--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]) {
        return;
    }
    let project = Project::mini();
    let program = project.command(&[]);
    let script = format!(
        "mkdir disk && mount -t tmpfs -o size=2m tmpfs disk || exit 1\n\
         '{0}' build --cache-root disk; echo \"too small: $?\"\n\
         mount -o remount,size=120m,nr_inodes=24 disk\n\
         '{0}' build --cache-root disk; echo \"no inodes: $?\"\n\
         '{0}' status --profile full --cache-root disk; echo \"status: $?\"\n\
         mount -o remount,nr_inodes=1000 disk\n\
         '{0}' build --cache-root disk; echo \"enough: $?\"\n\
         '{0}' verify --cache-root disk; echo \"verify: $?\"\n",
        program.get_program().display()
    );
    let mut shell = Command::new("unshare");
    shell.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).current_dir(project.path(""));
    program.get_envs().for_each(|(name, _)| drop(shell.env_remove(name)));
    let run = Run::of(&shell.output().unwrap());
    let kept = run.stdout.contains(" already there");
    let says = ["too small: 74", "bytes needed", "no inodes: 74", "status: 1", "enough: 0", "verify: 0"];
    let run = run.says(&says);
    assert!(kept, "finished recordings stay:\n{}\n{}", run.stdout, run.stderr);
}

#[test]
fn few_descriptors_end_with_74_and_nothing_is_lost() {
    let (project, undisturbed) = project();
    for limit in [10, 14, 18, 22] {
        let program = project.command(&["build", "-j", "4"]);
        let mut shell = Command::new("sh");
        let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
        shell.args(["-c", &script]).arg(program.get_program()).args(program.get_args());
        shell.current_dir(project.path(""));
        program.get_envs().for_each(|(name, _)| drop(shell.env_remove(name)));
        let run = Run::of(&shell.output().unwrap());
        assert!([0, 74].contains(&run.code), "{limit}: {}\n{}", run.code, run.stderr);
    }
    converges(&project, &undisturbed);
}

#[test]
fn many_builders_at_once_make_the_same_files_once() {
    let (project, undisturbed) = project();
    let start = |further: &[&str]| {
        let mut command = project.command(&[&["build", "--json", "-j", "2"], further].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..6).map(|_| start(&[])).collect();
    let hasty: Vec<_> = (0..2).map(|_| start(&["--no-wait"])).collect();
    let built = |child: std::process::Child| {
        Run::of(&child.wait_with_output().unwrap()).expect(0).json()["built"].clone()
    };
    let total: u64 = children.into_iter().map(|child| built(child).as_u64().unwrap()).sum();
    let mut once = total;
    for child in hasty {
        let run = Run::of(&child.wait_with_output().unwrap());
        assert!([0, 75].contains(&run.code), "{}", run.stderr);
        once += if run.code == 0 { run.json()["built"].as_u64().unwrap() } else { 0 };
    }
    assert_eq!(once, 12, "every recording is processed by one of them");
    converges(&project, &undisturbed);
}

#[test]
fn an_interrupted_build_ends_with_130_and_goes_on() {
    let (project, undisturbed) = project();
    let mut interrupted = 0;
    for (round, name) in ["-INT", "-TERM", "-HUP", "-INT", "-INT"].into_iter().enumerate() {
        let mut command = project.command(&["build", "--json", "-j", "1"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(120 + 40 * round as u64));
        signal(name, child.id());
        let run = Run::of(&child.wait_with_output().unwrap());
        assert!([0, 130].contains(&run.code), "{name}: {} {}", run.code, run.stderr);
        if run.code == 130 {
            interrupted += 1;
            assert!(
                run.json()["left"].as_u64().unwrap() > 0 && run.stderr.contains("interrupted"),
                "{}",
                run.stderr
            );
            project.run(&["status", "--profile", "full"]).expect(1).says(&["INCOMPLETE"]);
        }
    }
    assert!(interrupted > 0, "no build was still running when its signal came");
    converges(&project, &undisturbed);
}

/// Runs a script in `sh` with the program as `$0`.
fn shell(project: &Project, script: &str) -> Run {
    let program = project.command(&[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(program.get_program()).current_dir(project.path(""));
    program.get_envs().for_each(|(name, _)| drop(shell.env_remove(name)));
    Run::of(&shell.output().unwrap())
}

#[test]
fn closed_full_and_broken_streams_harm_nothing() {
    let (project, undisturbed) = project();
    for (script, code) in [
        ("\"$0\" build >/dev/full", 74),
        ("\"$0\" build 2>/dev/full", 0),
        ("\"$0\" build <&- >&- 2>&-", 0),
        ("\"$0\" status >/dev/full", 74),
        ("\"$0\" config show | head -n 1", 0),
        ("{ \"$0\" status; echo $? >code; } | true; exit $(cat code)", 0),
        ("LC_ALL=C \"$0\" status <&-", 0),
    ] {
        let run = shell(&project, script);
        assert_eq!(run.code, code, "{script}: {}", run.stderr);
        assert!(!run.stderr.contains("panicked"), "{script}: {}", run.stderr);
    }
    converges(&project, &undisturbed);
}

#[test]
fn files_get_the_mode_that_the_umask_leaves() {
    let project = Project::mini();
    let run = shell(&project, "umask 027; \"$0\" build --profile smoke");
    run.expect(0);
    let directory = project.path(SMOKE);
    let mode = |path: &Path| fs_err::symlink_metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&directory), 0o750);
    for name in project.entries(SMOKE).keys() {
        assert_eq!(mode(&directory.join(name)), 0o440, "{name}");
    }
}

/// Takes away every write bit below, directories included; gives them back when it is dropped.
struct ReadOnly(std::path::PathBuf);

impl ReadOnly {
    fn new(path: std::path::PathBuf) -> Self {
        chmod("a-w", &path);
        Self(path)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        chmod("u+w", &self.0);
    }
}

fn chmod(mode: &str, path: &Path) {
    assert!(Command::new("chmod").args(["-R", mode]).arg(path).status().unwrap().success());
}

#[test]
fn reading_commands_need_no_right_to_write() {
    let project = Project::mini();
    project.run(&["build"]).expect(0);
    let is_root = fs_err::metadata(project.path("configs")).unwrap().uid() == 0;
    chmod("a+rX", &project.path(""));
    let _locked = ReadOnly::new(project.path("cache"));
    let id = project.manifest(FULL)["entries"][0]["id"].as_str().unwrap().to_owned();
    for (arguments, code, says) in [
        (&["status"][..], 0, "VALID"),
        (&["preflight"], 0, "ready"),
        (&["explain", &id], 0, "hit"),
        (&["verify"], 0, "0 damaged"),
        (&["build", "--dry-run"], 0, "0  to build"),
        (&["build", "--profile", "smoke"], 74, "ermission denied"),
        (&["preflight", "--profile", "smoke"], 1, "eegcache build --profile smoke"),
    ] {
        let mut command = project.command(arguments);
        if is_root {
            command.uid(65_534).gid(65_534);
        }
        match command.output() {
            Ok(output) => drop(Run::of(&output).expect(code).says(&[says])),
            Err(error) => return eprintln!("skipped: the program cannot be run as another user: {error}"),
        }
    }
}

#[test]
fn strange_files_in_a_dataset_go_to_quarantine() {
    let (project, undisturbed) = project();
    let strange = project.path("data/train/strange/s");
    fs_err::create_dir_all(&strange).unwrap();
    let at = |name: &str| strange.join(format!("strange_{name}.edf"));
    fs_err::create_dir(at("directory")).unwrap();
    assert!(Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
    symlink("/dev/zero", at("device")).unwrap();
    symlink("/nonexistent/x.edf", at("dangling")).unwrap();
    symlink("..", strange.join("loop")).unwrap();
    fs_err::write(at("empty"), "").unwrap();
    fs_err::write(at("noise"), [0x5A; 4096]).unwrap();
    fs_err::write(at("sp ace"), "").unwrap();
    fs_err::write(at("x.labels"), "").unwrap();
    fs_err::write(strange.join(OsStr::from_bytes(b"strange_\xff.edf")), "").unwrap();
    let expected = [
        ("strange_directory", "not-a-recording"),
        ("strange_fifo", "not-a-recording"),
        ("strange_device", "not-a-recording"),
        ("strange_dangling", "not-a-recording"),
        ("strange_empty", "not-a-recording"),
        ("strange_noise", "bad-header"),
        ("train/strange/s/strange_sp ace.edf", "bad-name"),
        ("train/strange/s/strange_x.labels.edf", "bad-name"),
        ("train/strange/s/strange_\\xff.edf", "bad-name"),
    ];
    for _ in 0..2 {
        let report = project.run(&["build", "--json"]).expect(5).json();
        let lines = report["quarantine"].as_array().unwrap();
        let class =
            |name: &str| lines.iter().find(|line| line["name"] == name).map(|line| line["class"].clone());
        for (name, wanted) in expected {
            assert_eq!(class(name), Some(wanted.into()), "{name}");
        }
        assert_eq!(lines.len(), 4 + expected.len(), "{report}");
    }
    fs_err::remove_dir_all(strange).unwrap();
    converges(&project, &undisturbed);
}
