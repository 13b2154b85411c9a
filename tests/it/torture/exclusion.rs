//! Locks that exclude nobody, or do not exist: a build goes on and says so, what deletes refuses, unless the user knows better.

use super::{FULL, behind, converges, finished, has, shell};
use crate::project::{Project, Run};
use crate::tally;
use crate::tiny;

/// What a file system without locks answers: a lock that locks nothing, as on some Lustre mounts, or none at all.
const ANSWERS: [&str; 4] = ["retval=0", "error=ENOLCK", "error=ENOSYS", "error=EOPNOTSUPP"];

fn without_locks(project: &Project, answer: &str, arguments: &[&str]) -> Run {
    let inject = format!("inject=flock:{answer}");
    let strace =
        ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=flock", "-e", &inject];
    Run::of(&behind(project, &strace, arguments).output().unwrap())
}

#[test]
fn what_deletes_refuses_where_locks_do_not_exclude() {
    if !has(&["strace", "-f", "--seccomp-bpf", "-e", "trace=none", "true"]) {
        return;
    }
    for answer in ANSWERS {
        let project = Project::tiny();
        let built = without_locks(&project, answer, &["build", "--json"]).expect(0);
        built.says(&["going on without a lock"]);
        assert_eq!(finished(&project), tiny::RECORDINGS.len());
        project.run(&["build", "--profile", "smoke"]).expect(0);
        let path = project.path(&format!("{FULL}/train/a_1.npz"));
        let right = fs_err::read(&path).unwrap();
        let mut wrong = right.clone();
        wrong[200] ^= 1;
        fs_err::remove_file(&path).unwrap();
        fs_err::write(&path, &wrong).unwrap();

        for arguments in [&["gc", "--version", "v1"][..], &["gc", "--orphans"], &["verify", "--repair"]] {
            let before = project.contents("cache");
            let run = without_locks(&project, answer, arguments).expect(1);
            let said = run.says(&["lock", "--assume-exclusive"]);
            assert!(said.stderr.contains("error: "), "{answer} {arguments:?}: {}", said.stderr);
            assert!(project.contents("cache") == before, "{answer} {arguments:?} removed something");
        }
        // Where the user answers for it, both do their work.
        let repair = ["verify", "--repair", "--assume-exclusive"];
        without_locks(&project, answer, &repair).expect(3).says(&["moved: "]);
        assert!(!path.exists());
        without_locks(&project, answer, &["build"]).expect(0);
        assert!(fs_err::read(&path).unwrap() == right, "{answer}");
        let remove = ["gc", "--version", "v1", "--profile", "full", "--assume-exclusive"];
        without_locks(&project, answer, &remove).expect(0).says(&["full/v1"]);
        assert!(!project.path(FULL).exists(), "{answer}");
        fs_err::remove_dir_all(project.path("cache")).unwrap();
        without_locks(&project, answer, &["build"]).expect(0);
        converges(&project, answer);
    }
    tally::count("file system without locks", ANSWERS.len());
}

/// A lock belongs to the kernel, never to what its file says: neither a crash nor a foreign pid keeps anybody waiting.
#[test]
fn a_stale_or_forged_holder_holds_nothing() {
    let project = Project::tiny();
    project.run(&["build", "--profile", "smoke"]).expect(0);
    let lock = project.path("cache/smoke/v1/.build/lock");
    for holder in [
        format!(r#"{{"host":"elsewhere","pid":{},"since":"2026-01-01T00:00:00Z"}}"#, std::process::id()),
        r#"{"host":"elsewhere","pid":4294967295,"since":"9999-01-01T00:00:00Z"}"#.to_owned(),
        "{".to_owned(),
        "x".repeat(100_000),
    ] {
        fs_err::write(&lock, holder).unwrap();
        project.run(&["build", "--profile", "smoke", "--no-wait"]).expect(0);
        project.run(&["gc", "--orphans"]).expect(0);
    }
    let script = "\"$0\" build & sleep 0.005; kill -9 $! 2>/dev/null; wait; exec \"$0\" build --no-wait";
    for _ in 0..3 {
        super::clear(&project);
        let run = shell(&project, script);
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    }
    super::clear(&project);
    converges(&project, "stale holders");
    tally::count("stale or forged holder", 7);
}
