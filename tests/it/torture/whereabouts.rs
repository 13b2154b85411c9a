//! The same cache elsewhere, for others, or without its dataset: it stays what it was.

use super::{FULL, UNDISTURBED, behind, clear, converges, has, shell};
use crate::project::{Project, Run};
use crate::tally;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

/// How a cache comes to lie elsewhere: a script that makes `moved` of `cache`.
const MOVES: &[(&str, &str)] = &[
    ("copied, hard links and modes lost", "cp -r cache moved && chmod -R u+w moved"),
    ("archived", "tar -cf cache.tar cache && mkdir moved && tar -xf cache.tar -C moved --strip-components=1"),
    ("renamed", "mv cache moved"),
    ("behind a link", "mv cache elsewhere && ln -s elsewhere moved"),
    ("all times the same", "cp -r cache moved && find moved -exec touch -h -d @0 {} +"),
    ("times of the future", "cp -a cache moved && find moved -exec touch -h -d '2038-01-19' {} +"),
    ("without .build", "cp -r cache moved && rm -r moved/full/v1/.build moved/smoke/v1/.build"),
    ("without the memo", "cp -r cache moved && rm -r moved/.sources"),
];

#[test]
fn a_cache_that_lies_elsewhere_is_valid() {
    for (what, script) in MOVES {
        let project = Project::tiny();
        project.run(&["build"]).expect(0);
        project.run(&["build", "--profile", "smoke"]).expect(0);
        let moved = Command::new("sh").args(["-ec", script]).current_dir(project.path("")).output().unwrap();
        assert!(moved.status.success(), "{what}: {}", String::from_utf8_lossy(&moved.stderr));
        for profile in ["full", "smoke"] {
            let status = project.run(&["status", "--json", "--profile", profile, "--cache-root", "moved"]);
            assert_eq!(status.code, 0, "{what}: {}{}", status.stdout, status.stderr);
        }
        project.run(&["verify", "--cache-root", "moved"]).expect(0).says(&["0 damaged"]);
        let report = project.run(&["build", "--json", "--cache-root", "moved"]).expect(0).json();
        assert_eq!(report["kept"], 5, "{what}: {report}");
    }
    tally::count("moved cache", MOVES.len());
}

#[test]
fn without_its_dataset_a_cache_is_judged_by_what_it_recorded() {
    let project = Project::tiny();
    project.run(&["build"]).expect(0);
    fs_err::rename(project.path("data"), project.path("unmounted")).unwrap();
    for is_mounted in [false, true] {
        if is_mounted {
            fs_err::create_dir(project.path("data")).unwrap(); // an empty mount point
        }
        let status = project.run(&["status", "--profile", "full"]).expect(0);
        status.says(&["VALID", "sources not reachable: not checked"]);
        project.run(&["verify"]).expect(0).says(&["0 damaged"]);
        project.run(&["build"]).expect(2);
    }
    fs_err::remove_dir(project.path("data")).unwrap();
    fs_err::rename(project.path("unmounted"), project.path("data")).unwrap();
    assert_eq!(converges(&project, "mounted again"), 0);
    tally::count("unreachable dataset", 2);
}

#[test]
fn the_umask_decides_who_may_read_and_nobody_writes() {
    let project = Project::tiny();
    for (umask, directory, file) in
        [("077", 0o700, 0o400), ("002", 0o775, 0o444), ("022", 0o755, 0o444), ("777", 0, 0o400)]
    {
        clear(&project);
        let run = shell(&project, &format!("umask {umask}; \"$0\" build"));
        if umask == "777" && run.code == 74 {
            continue; // directories that not even their owner may enter
        }
        run.expect(0);
        let mode = |path: &str| fs_err::symlink_metadata(project.path(path)).unwrap().mode() & 0o777;
        assert_eq!(mode(FULL), directory, "{umask}");
        for name in UNDISTURBED.keys() {
            assert_eq!(mode(&format!("cache/{name}")), file, "{umask} {name}");
        }
        assert_eq!(converges(&project, umask), 0);
    }
    tally::count("umask", 4);
}

/// Everything below a directory: names, types, sizes and modification times.
fn tree(project: &Project, directory: &str) -> String {
    let find = ["-ec", &format!("find {directory} -printf '%p %y %s %T@ %i\\n' | sort")].map(str::to_owned);
    let output = Command::new("sh").args(find).current_dir(project.path("")).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn another_user_reads_everything_and_writes_nothing() {
    let other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    if !has(&[&other[..], &["true"]].concat()) {
        return;
    }
    let project = Project::tiny();
    project.run(&["build"]).expect(0);
    fs_err::set_permissions(project.path(""), PermissionsExt::from_mode(0o755)).unwrap();
    let before = tree(&project, ".");
    for (arguments, code, says) in [
        (&["status"][..], 0, "VALID"),
        (&["preflight"], 0, "cache/full/v1"),
        (&["verify"], 0, "0 damaged"),
        (&["verify", "--quick"], 0, "0 damaged"),
        (&["explain", "a_1"], 0, "hit"),
        (&["build", "--dry-run"], 0, "to build"),
        (&["build", "--profile", "smoke"], 74, "ermission denied"),
        (&["preflight", "--profile", "smoke"], 1, "eegcache build --profile smoke"),
    ] {
        let run = Run::of(&behind(&project, &other, arguments).output().unwrap());
        let what = format!("{arguments:?}: {}{}", run.stdout, run.stderr);
        assert!(run.code == code && (run.stdout + &run.stderr).contains(says), "{what}");
    }
    assert_eq!(tree(&project, "."), before);
    fs_err::set_permissions(project.path(&format!("{FULL}/train")), PermissionsExt::from_mode(0o000))
        .unwrap();
    let run = Run::of(&behind(&project, &other, &["status"]).output().unwrap());
    fs_err::set_permissions(project.path(&format!("{FULL}/train")), PermissionsExt::from_mode(0o755))
        .unwrap();
    assert!(run.code == 74 && run.stderr.contains("cache/full/v1/train"), "{} {}", run.code, run.stderr);
    tally::count("foreign user", 9);
}

/// The cache under a mount that nobody may write to: not even root's rights help there.
const READ_ONLY: &str = "mount --bind cache cache && mount -o remount,ro,bind cache || exit 99
    for command in status preflight verify 'verify --quick' 'explain a_1' 'build --dry-run' 'gc --orphans --dry-run'; do
        \"$0\" $command >out 2>&1; echo \"$command: $?\"; cat out
    done
    \"$0\" build --profile smoke 2>&1; echo \"build smoke: $?\"
    \"$0\" build --set labels.background='[bckg]' --set cache.version=v2 2>&1; echo \"build v2: $?\"
    \"$0\" verify --repair 2>&1; echo \"repair: $?\"
    \"$0\" gc --version v1 2>&1; echo \"gc: $?\"
    \"$0\" preflight -- sh -c 'echo \"becomes: $EEGCACHE_DIR\"'";

#[test]
fn a_read_only_mount_is_read_and_nothing_else() {
    let probe = "mount -t tmpfs tmpfs /mnt && mount --bind /mnt /mnt && mount -o remount,ro,bind /mnt";
    let unshare = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"];
    if !has(&[&unshare[..], &[probe]].concat()) {
        return;
    }
    let project = Project::tiny();
    project.run(&["build"]).expect(0);
    let before = tree(&project, "cache");
    let run = Run::of(&behind(&project, &[&unshare[..], &[READ_ONLY]].concat(), &[]).output().unwrap());
    let run = run.expect(0).says(&[
        "status: 0",
        "preflight: 0",
        "verify: 0",
        "verify --quick: 0",
        "explain a_1: 0",
        "build --dry-run: 0",
        "gc --orphans --dry-run: 0",
        "build smoke: 74",
        "build v2: 74",
        "repair: 0",
        "becomes: ",
        "Read-only file system",
    ]);
    assert!(!run.stdout.contains("gc: 0"), "{}", run.stdout);
    assert_eq!(tree(&project, "cache"), before);
    tally::count("read-only mount", 12);
}
