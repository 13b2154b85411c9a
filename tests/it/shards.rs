//! Builders side by side: shards in any order, killed and repeated, with locks that work and locks that do not.

use crate::project::{Project, Run};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

const FULL: &str = "cache/full/mini_v1";

/// What one undisturbed plain build makes: the files, and the entries of the manifest.
static PLAIN: LazyLock<(BTreeMap<String, Vec<u8>>, Value)> = LazyLock::new(|| {
    let project = Project::mini();
    project.run(&["build"]).expect(0);
    (project.contents(FULL), entries(&project))
});

/// What the manifest says, without how it came to be.
fn entries(project: &Project) -> Value {
    let mut manifest = project.manifest(FULL);
    for entry in manifest["entries"].as_array_mut().unwrap() {
        entry.as_object_mut().unwrap().remove("made");
    }
    let keys = ["entries", "quarantine", "membership", "totals", "identity", "durable"];
    Value::Array(keys.map(|key| manifest[key].clone()).into())
}

fn spawn(project: &Project, outer: &[&str], shard: usize, of: usize) -> Child {
    let shard = format!("{shard}/{of}");
    let program = project.command(&["build", "--json", "-j", "1", "--shard", &shard]);
    let mut command = match outer {
        [] => Command::new(program.get_program()),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program.get_program());
            command
        }
    };
    for (name, _) in program.get_envs() {
        command.env_remove(name);
    }
    command.args(program.get_args()).current_dir(project.path(""));
    command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Kills a child and what it traces.
fn kill(child: &Child) {
    let group = format!("-{}", child.id());
    // It may have ended already.
    let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status().unwrap();
}

fn wait(child: Child) -> Run {
    Run::of(&child.wait_with_output().unwrap())
}

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn order(&mut self, of: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (1..=of).collect();
        for at in (1..of).rev() {
            order.swap(at, self.below(at + 1));
        }
        order
    }
}

/// Eight shards at once, some of them killed; then those again.
fn storm(project: &Project, outer: &[&str], random: &mut Random) {
    let mut open = random.order(8);
    for round in 0..12 {
        let children: Vec<(usize, Child)> =
            open.iter().map(|shard| (*shard, spawn(project, outer, *shard, 8))).collect();
        open.clear();
        // The last rounds let everybody finish.
        for _ in 0..if round < 3 { 3 } else { 0 } {
            std::thread::sleep(Duration::from_millis(random.below(120) as u64));
            let victim = random.below(children.len());
            kill(&children[victim].1);
        }
        for (shard, child) in children {
            let run = wait(child);
            assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
            match run.code {
                0 => {}
                -1 => open.push(shard),
                code => panic!("shard {shard} ended with {code}: {}", run.stderr),
            }
        }
        if open.is_empty() {
            return;
        }
    }
    panic!("shards {open:?} never came to their end");
}

fn journals(project: &Project) -> usize {
    let names = fs_err::read_dir(project.path(FULL).join(".build")).unwrap();
    names.filter(|name| name.as_ref().unwrap().file_name().to_string_lossy().starts_with("journal-")).count()
}

#[track_caller]
fn is_as_plain(project: &Project) {
    project.run(&["status", "--profile", "full"]).expect(0).says(&["VALID"]);
    assert!(project.contents(FULL) == PLAIN.0, "files differ from those of one plain build");
}

#[test]
fn shards_at_once_and_killed_end_like_one_plain_build() {
    let project = Project::mini();
    storm(&project, &[], &mut Random(20_261_121));
    is_as_plain(&project);
    // Whoever was the last cleared up.
    project.run(&["build", "--shard", "1/8"]).expect(0);
    assert_eq!(
        (journals(&project), fs_err::read_dir(project.path(FULL).join(".build/tmp")).unwrap().count()),
        (0, 0)
    );
    assert_eq!(entries(&project), PLAIN.1);
    let history = project.manifest(FULL)["history"].clone();
    let built = history["built"].as_u64().unwrap();
    assert!((6..=12).contains(&built), "killed builders' work counts, and counts once: {history}");
    project.run(&["verify", "--profile", "full"]).expect(0);
    project.run(&["build"]).expect(0).says(&["12 already there"]);
}

#[test]
fn without_locks_that_exclude_shards_end_like_one_plain_build() {
    let strace =
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=flock", "-e", "inject=flock:retval=0"];
    if !Command::new(strace[0]).args(&strace[1..]).arg("true").status().is_ok_and(|status| status.success()) {
        return eprintln!("skipped: strace does not work here");
    }
    let project = Project::mini();
    let run = wait(spawn(&project, &strace, 3, 8));
    assert!(
        run.code == 0 && run.stdout.contains("locks do not exclude here"),
        "{} {}",
        run.stdout,
        run.stderr
    );
    storm(&project, &strace, &mut Random(7));
    is_as_plain(&project);
    assert!(journals(&project) > 0, "where locks do not exclude, journals may still be written by others");
    // A build whose locks work finds that their writers have ended.
    project.run(&["build"]).expect(0);
    is_as_plain(&project);
    assert_eq!((journals(&project), entries(&project)), (0, PLAIN.1.clone()));
}

#[test]
fn one_shard_does_its_part_and_says_how_much_is_there() {
    let project = Project::mini();
    let dry = |shard: &str| {
        let report = project.run(&["build", "--dry-run", "--json", "--shard", shard]).expect(0).json();
        report["to_build"].as_u64().unwrap()
    };
    let parts: u64 = ["1/3", "2/3", "3/3"].map(dry).iter().sum();
    assert_eq!(parts, 16);
    let mut present = 0;
    for shard in ["2/3", "3/3", "1/3"] {
        let report = project.run(&["build", "--json", "--shard", shard, "--retry-failed"]).expect(0).json();
        assert_eq!((&report["shard"]["shard"], &report["members"]), (&shard.into(), &16.into()));
        let own = report["shard"]["members"].as_u64().unwrap();
        present += own;
        assert!(own > 0 && report["present"] == present && report["left"] == 0, "{report}");
        let (state, code) = if present == 16 { ("VALID", 0) } else { ("INCOMPLETE", 1) };
        project.run(&["status", "--profile", "full"]).expect(code).says(&[state]);
        assert_eq!(project.path("cache/full/latest").exists(), present == 16);
    }
    is_as_plain(&project);
    project
        .run(&["build", "--shard", "2/5"])
        .expect(0)
        .says(&["full shard 2/5: complete", "full: 16 of 16 present"]);
}

#[test]
fn idle_shards_are_counted_at_once_and_taken_over_by_the_next_manifest() {
    let project = Project::mini();
    project.run(&["build"]).expect(0);
    let manifest = project.read(&format!("{FULL}/manifest.json"));
    let all_at_once = || {
        let children: Vec<Child> = (1..=4).map(|shard| spawn(&project, &[], shard, 4)).collect();
        children.into_iter().map(wait).for_each(|run| drop(run.expect(0)));
    };
    let counts = || {
        let status = project.run(&["status", "--json", "--profile", "full"]).expect(0).json();
        let history = status["profiles"][0]["history"].clone();
        ["runs", "built", "relabelled", "kept"].map(|name| history[name].as_u64().unwrap())
    };
    all_at_once();
    assert_eq!(
        (counts(), project.read(&format!("{FULL}/manifest.json")) == manifest),
        ([5, 12, 0, 12], true)
    );
    let lost = project.contents(FULL).into_keys().find(|name| name.ends_with(".labels.npz")).unwrap();
    fs_err::remove_file(project.path(&format!("{FULL}/{lost}"))).unwrap();
    all_at_once();
    assert_eq!(counts(), [9, 12, 1, 23]);
    let history = project.manifest(FULL)["history"].clone();
    assert!(history["runs"].as_u64().unwrap() > 5 && history["relabelled"] == 1, "{history}");
    is_as_plain(&project);
}

#[test]
fn a_shard_answers_for_its_own_quarantine() {
    let project = Project::mini();
    let dataset = project.read("configs/datasets/mini.yaml");
    project.write("configs/datasets/mini.yaml", dataset.split("  known_defects:").next().unwrap());
    let mut failed = 0;
    for shard in ["1/4", "2/4", "3/4", "4/4"] {
        let run = project.run(&["build", "--json", "--shard", shard]);
        let own = run.json()["quarantine"].as_array().unwrap().len();
        assert_eq!(run.code, if own > 0 { 5 } else { 0 }, "{shard}: {}", run.stderr);
        failed += own;
    }
    assert_eq!(failed, 4);
    is_as_plain(&project);
}

#[test]
fn shards_share_the_lock_and_a_plain_build_does_not() {
    let project = Project::mini();
    project.run(&["build", "--shard", "1/4"]).expect(0);
    let lock = |name: &str| {
        let path = project.path(FULL).join(".build").join(name);
        fs_err::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .unwrap()
            .into_file()
    };
    let shard = lock("shard-2-of-4");
    shard.lock().unwrap();
    project.run(&["build", "--no-wait", "--shard", "2/4"]).expect(75).says(&["held by another build"]);
    project.run(&["build", "--no-wait", "--shard", "1/4"]).expect(0);
    project.run(&["build", "--no-wait", "--shard", "2/8"]).expect(0);
    drop(shard);
    let other = lock("lock");
    other.lock_shared().unwrap();
    project.run(&["build", "--no-wait", "--shard", "2/4"]).expect(0);
    project.run(&["build", "--no-wait"]).expect(75).says(&["held by another build", "hint: wait for it"]);
    other.unlock().unwrap();
    other.lock().unwrap();
    project.run(&["build", "--no-wait", "--shard", "3/4"]).expect(75);
    other.unlock().unwrap();
    project.run(&["build", "--no-wait"]).expect(0);
}

#[test]
fn what_is_no_shard_is_refused() {
    let project = Project::mini();
    for shard in ["0/4", "5/4", "a/b", "3", "1/0"] {
        project.run(&["build", "--shard", shard]).expect(2).says(&["a shard is K/N"]);
    }
    assert!(!project.path("cache").exists());
}
