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
use std::sync::LazyLock;
use std::time::Duration;

const SMOKE: &str = "cache/smoke/mini_v1";
const FULL: &str = "cache/full/mini_v1";

/// What builds of both profiles write when nobody disturbs them; the generated dataset is always the same.
static UNDISTURBED: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    let project = Project::mini();
    for profile in ["smoke", "full"] {
        project.run(&["build", "--profile", profile]).expect(0);
    }
    project.contents("cache")
});

/// The program behind another one: `outer … eegcache inner …`, in the project and without surrounding configuration.
fn behind(project: &Project, outer: &[&str], inner: &[&str]) -> Run {
    let program = project.command(inner);
    let mut command = Command::new(outer[0]);
    command.args(&outer[1..]).arg(program.get_program()).args(program.get_args());
    for (name, _) in program.get_envs() {
        command.env_remove(name);
    }
    Run::of(&command.current_dir(project.path("")).output().unwrap())
}

/// Runs a script in `sh` with the program as `$0` and its arguments as `$@`.
fn shell(project: &Project, script: &str, arguments: &[&str]) -> Run {
    behind(project, &["sh", "-c", script], arguments)
}

/// Builds both profiles and compares every byte.
#[track_caller]
fn converges(project: &Project) {
    for profile in ["smoke", "full"] {
        project.run(&["build", "--profile", profile]).expect(0);
        let temporary = project.path(&format!("cache/{profile}/mini_v1/.build/tmp"));
        assert_eq!(fs_err::read_dir(temporary).unwrap().count(), 0, "temporaries are left");
    }
    assert!(project.contents("cache") == *UNDISTURBED);
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
    let project = Project::mini();
    let mut random: u64 = 20_261_121;
    for round in 0..14 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let profile = if round % 3 == 0 { "smoke" } else { "full" };
        let mut child = project
            .command(&["build", "--profile", profile, "-j", "2"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(random >> 56));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
        for (name, content) in project.contents("cache") {
            assert!(UNDISTURBED[&name] == content, "{name} has a final name and other bytes");
        }
    }
    converges(&project);
}

#[test]
fn a_system_call_that_fails_or_kills_anywhere_is_survived() {
    if !has("strace", &["-f", "-e", "trace=none", "true"]) {
        return;
    }
    let project = Project::mini();
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
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{fault}:when={first}"));
        let strace = ["strace", "-f", "-qq", "-o", "trace", "-e", &trace, "-e", &inject];
        let run = behind(&project, &strace, &["build", "--profile", "smoke", "-j", "1"]);
        let trace = project.read("trace");
        assert!(
            trace.contains("INJECTED") || trace.contains("killed"),
            "{call} {fault}: not reached\n{trace}"
        );
        assert!(codes.contains(&run.code), "{call} {fault}: exit {}\n{}", run.code, run.stderr);
        assert!(run.code != 74 || run.stderr.contains("error: "), "{call} {fault}: {}", run.stderr);
        project.run(&["build", "--profile", "smoke"]).expect(0);
        for (name, content) in project.contents(SMOKE) {
            assert!(UNDISTURBED[&format!("smoke/mini_v1/{name}")] == content, "{call} {fault}: {name}");
        }
    }
    converges(&project);
}

fn overwrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs_err::read(path).unwrap();
    change(&mut bytes);
    fs_err::remove_file(path).unwrap();
    fs_err::write(path, bytes).unwrap();
}

/// What is done to a file of a version (`cache`, name), and how `status --profile full` ends then.
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
            let edited = text.replacen("\"samples\":", "\"samples\":1", 1);
            assert_ne!(text, edited);
            fs_err::write(cache.join("manifest.json"), edited).unwrap();
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
    let project = Project::mini();
    converges(&project);
    let file = project.entries(FULL).into_keys().find(|name| !name.contains(".labels.")).unwrap();
    for (what, damage, code) in DAMAGES {
        damage(&project.path(FULL), Path::new(&file));
        let status = project.run(&["status", "--profile", "full"]);
        assert_eq!(status.code, *code, "{what}: {}", status.stdout);
        let report = project.run(&["build", "--json"]).expect(0).json();
        assert!(report["built"].as_u64().unwrap() <= 1, "{what}: {report}");
        converges(&project);
    }
    let outside = fs_err::read(project.path("outside")).unwrap();
    assert!(outside == UNDISTURBED[&format!("full/mini_v1/{file}")], "nothing is written through a link");
}

#[test]
fn a_recording_in_quarantine_has_no_file() {
    let project = Project::mini();
    converges(&project);
    let manifest = project.manifest(FULL);
    let failed =
        manifest["quarantine"].as_array().unwrap().iter().find(|failed| failed["split"] == "train").unwrap();
    let name = failed["name"].as_str().unwrap();
    fs_err::write(project.path(&format!("{FULL}/train/{name}.npz")), "junk").unwrap();
    project.run(&["preflight"]).expect(3).says(&["CORRUPT", name]);
    project.run(&["build"]).expect(0);
    project.run(&["preflight"]).expect(0);
    converges(&project);
}

#[test]
fn a_flipped_bit_is_found_by_verify_in_every_name_and_repaired() {
    let project = Project::mini();
    converges(&project);
    let file = project.entries(SMOKE).into_keys().find(|name| !name.contains(".labels.")).unwrap();
    let path = project.path(SMOKE).join(&file);
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut bytes = fs_err::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 16;
    fs_err::write(&path, bytes).unwrap(); // in place, so in every profile that shares the inode
    let names =
        project.entries("cache").into_iter().filter(|(name, (_, content))| UNDISTURBED[name] != *content);
    let names: Vec<String> = names.map(|(name, _)| format!("damaged: {name}")).collect();
    assert!(!names.is_empty());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    project.run(&["verify"]).expect(3).says(&names);
    project.run(&["verify", "--repair"]).expect(3).says(&["moved: "]);
    assert!(!path.exists());
    project.run(&["status", "--profile", "smoke"]).expect(1).says(&["INCOMPLETE"]);
    converges(&project);
}

#[test]
fn a_full_disk_ends_with_74_and_the_build_goes_on_when_there_is_space() {
    // A file system of its own that nobody else sees.
    if !has("unshare", &["--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]) {
        return;
    }
    let project = Project::mini();
    let script = "mkdir disk && mount -t tmpfs -o size=2m tmpfs disk || exit 1
        \"$0\" build --cache-root disk; echo \"too small: $?\"
        mount -o remount,size=120m,nr_inodes=24 disk
        \"$0\" build --cache-root disk; echo \"no inodes: $?\"
        \"$0\" status --profile full --cache-root disk; echo \"status: $?\"
        mount -o remount,nr_inodes=1000 disk
        \"$0\" build --cache-root disk; echo \"enough: $?\"
        \"$0\" verify --cache-root disk; echo \"verify: $?\"";
    let run = behind(&project, &["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script], &[]);
    let kept = run.stdout.contains(" already there");
    let says = ["too small: 74", "bytes needed", "no inodes: 74", "status: 1", "enough: 0", "verify: 0"];
    let run = run.says(&says);
    assert!(kept, "finished recordings stay:\n{}\n{}", run.stdout, run.stderr);
}

#[test]
fn few_descriptors_end_with_74_and_nothing_is_lost() {
    let project = Project::mini();
    for limit in [10, 14, 18, 22] {
        let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
        let run = shell(&project, &script, &["build", "-j", "4"]);
        assert!([0, 74].contains(&run.code), "{limit}: {}\n{}", run.code, run.stderr);
    }
    converges(&project);
}

#[test]
fn many_builders_at_once_make_the_same_files_once() {
    let project = Project::mini();
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
    converges(&project);
}

#[test]
fn an_interrupted_build_ends_with_130_and_goes_on() {
    let project = Project::mini();
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
    converges(&project);
}

#[test]
fn an_interrupted_wait_ends_at_once() {
    let project = Project::mini();
    project.run(&["build", "--profile", "smoke"]).expect(0);
    let lock = project.path(&format!("{SMOKE}/.build/lock"));
    let lock = fs_err::File::options().write(true).open(lock).unwrap();
    lock.file().lock().unwrap();
    let mut child = project.command(&["build", "--profile", "smoke"]).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    signal("-INT", child.id());
    for _ in 0..40 {
        std::thread::sleep(Duration::from_millis(50));
        if let Some(status) = child.try_wait().unwrap() {
            assert_eq!(status.code(), Some(130));
            return;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("it still waits for the lock two seconds after SIGINT");
}

#[test]
fn closed_full_and_broken_streams_harm_nothing() {
    let project = Project::mini();
    for (script, code) in [
        ("\"$0\" build >/dev/full", 74),
        ("\"$0\" build 2>/dev/full", 0),
        ("\"$0\" build <&- >&- 2>&-", 0),
        ("\"$0\" status >/dev/full", 74),
        ("\"$0\" config show | head -n 1", 0),
        ("{ \"$0\" status; echo $? >code; } | true; exit $(cat code)", 0),
        ("LC_ALL=C \"$0\" status <&-", 0),
    ] {
        let run = shell(&project, script, &[]);
        assert_eq!(run.code, code, "{script}: {}", run.stderr);
        assert!(!run.stderr.contains("panicked"), "{script}: {}", run.stderr);
    }
    converges(&project);
}

#[test]
fn files_get_the_mode_that_the_umask_leaves() {
    let project = Project::mini();
    let run = shell(&project, "umask 027; \"$0\" build --profile smoke", &[]);
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
    let project = Project::mini();
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
    converges(&project);
}
