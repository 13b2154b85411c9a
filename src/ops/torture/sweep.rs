//! A fault at the k-th operation of a verb, for every k until the verb succeeds.

use super::invariant::Judge;
use super::verbs::quietly_build;
use super::{
    Oracle, Picture, Variant, World, build_profile, copy_tree, is_environment, is_known, learn, reference,
    tally, tiny,
};
use crate::error::Result;
use crate::fault::{Fault, Plan, plan, was_hit};
use crate::model::failure::FailureClass;
use crate::model::id::{Digest, ProfileName, VersionName};
use crate::ops::survey::State;
use crate::plan::stem_of;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A kind of fault: its name, what happens, and whether it goes on happening.
const FAULTS: &[(&str, Fault, bool)] = &[
    ("killed", Fault::Error(Errno::IO), true),
    ("ENOSPC from here on", Fault::Error(Errno::NOSPC), true),
    ("EMFILE from here on", Fault::Error(Errno::MFILE), true),
    ("ENOSPC", Fault::Error(Errno::NOSPC), false),
    ("EIO", Fault::Error(Errno::IO), false),
    ("EDQUOT", Fault::Error(Errno::DQUOT), false),
    ("EMFILE", Fault::Error(Errno::MFILE), false),
    ("EROFS", Fault::Error(Errno::ROFS), false),
    ("EINTR", Fault::Error(Errno::INTR), false),
    ("short read or write", Fault::Short, false),
    ("panic", Fault::Panic, false),
];

/// The independent judge looks at every so many-th.
const JUDGED: usize = 61;

pub(super) const PLAIN: Variant = Variant { signal: 0, labels: 0, source: 0, split: 0 };
pub(super) const RELABELLED: Variant = Variant { labels: 1, ..PLAIN };
pub(super) const RESOURCED: Variant = Variant { source: 1, ..PLAIN };
pub(super) const RESPLIT: Variant = Variant { split: 1, ..PLAIN };

/// What faults hit, and what lies there before.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) prepare: fn(&World),
    /// Done again without a fault, it must end with everything right. Returns what went into quarantine.
    pub(super) act: fn(&World) -> Result<Vec<FailureClass>>,
    /// The profiles that are complete then.
    pub(super) valid: &'static [(&'static str, Variant)],
}

/// What is right in the course of a scenario.
struct Right {
    oracle: Oracle,
    end: Picture,
    /// Digests that damage made before the fault: known to be wrong, and no fault's doing.
    damaged: Vec<String>,
    versions: Vec<(ProfileName, VersionName)>,
    operations: Vec<&'static str>,
}

fn undisturbed(world: &World, scenario: &Scenario) -> Right {
    let mut oracle = Oracle::new();
    for variant in [PLAIN, RELABELLED, RESOURCED] {
        world.clear();
        assert!(quietly_build(world, "full", variant).unwrap().is_empty());
        learn(&mut oracle, &world.picture());
    }
    world.clear();
    (scenario.prepare)(world);
    let is_wrong = |(name, digest): &(String, Digest)| !is_known(&oracle, name, *digest);
    let damaged = world.picture().into_iter().filter(is_wrong).map(|(name, _)| name).collect();
    if world.path("cache").exists() {
        copy_tree(&world.path("cache"), &world.path("template"));
    }
    plan(None);
    assert!((scenario.act)(world).unwrap().is_empty());
    let operations = plan(None);
    let end = world.picture();
    assert!(world.leftovers().is_empty());
    Right { oracle, end, damaged, versions: world.versions(), operations }
}

pub(super) fn sweep(scenario: &Scenario) {
    let world = World::new();
    let right = undisturbed(&world, scenario);
    let mut judge = Judge::start(&world.path(""), &reference(&right.oracle));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    // Everything else goes through the operations of a build as well.
    let stride = if scenario.name == "build" { tally::stride(37) } else { tally::thin(37, 7) };
    for (number, (name, fault, forever)) in FAULTS.iter().enumerate() {
        // A few more than there were: one operation more or less is no matter.
        for at in (number * 5 % stride..right.operations.len() + 8).step_by(stride) {
            let operation = right.operations.get(at).copied().unwrap_or("?");
            if *fault == Fault::Panic && operation != "read source" {
                continue;
            }
            let what = format!("{}: {name} at {at} (`{operation}`)", scenario.name);
            let plan = Plan { at, forever: *forever, fault: *fault };
            if check(&world, scenario, &right, plan, &what) {
                *counts.entry(name).or_default() += 1;
            }
            if let Some(judge) = judge.as_mut().filter(|_| (at / stride).is_multiple_of(JUDGED)) {
                judge.check(&world.path("cache"), &what);
            }
        }
    }
    for (name, count) in counts {
        tally::count(&format!("in process, {name}"), count);
    }
}

/// One fault, judged before and after the verb is run again. False where the fault did not come about.
fn check(world: &World, scenario: &Scenario, right: &Right, planned: Plan, what: &str) -> bool {
    world.clear();
    if world.path("template").exists() {
        copy_tree(&world.path("template"), &world.path("cache"));
    }
    plan(Some(planned));
    let outcome = catch_unwind(AssertUnwindSafe(|| (scenario.act)(world)));
    plan(None);
    if !was_hit() {
        return false;
    }
    check_between(world, right, what);
    check_states(world, scenario, right, what);
    match &outcome {
        // A defect outside of the processing of a recording ends the program: a death like any other.
        Err(_) => assert!(planned.fault == Fault::Panic, "{what}: a panic"),
        // What could not be removed is the next build's to remove, which `resume` shows.
        Ok(Ok(failed)) if failed.is_empty() => check_files(world, scenario, right, what),
        Ok(Ok(failed)) => assert!(failed.iter().all(|class| class.is_transient()), "{what}: {failed:?}"),
        Ok(Err(error)) => {
            assert!(is_environment(error), "{what}: {error:?}");
            let text = error.to_string();
            assert!(text.starts_with("cannot ") || text.starts_with("not enough space"), "{what}: {text}");
        }
    }
    let is_transparent = matches!(planned.fault, Fault::Short | Fault::Error(Errno::INTR));
    let is_done = matches!(&outcome, Ok(Ok(failed)) if failed.is_empty());
    assert!(is_done || !is_transparent, "{what} should have been nothing");
    resume(world, scenario, what);
    check_between(world, right, what);
    check_end(world, scenario, right, what);
    true
}

/// Runs the verb again, without a fault; only unfinished recordings are processed again.
fn resume(world: &World, scenario: &Scenario, what: &str) {
    if scenario.name == "build" {
        let is_signal = |name: &&String| !name.ends_with(".labels.npz");
        let finished = world.picture().keys().filter(is_signal).count();
        let report = build_profile(&world.settings("full", PLAIN)).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(report.built, tiny::RECORDINGS.len() - finished, "{what}: {report:?}");
        return;
    }
    let again = (scenario.act)(world).unwrap_or_else(|error| panic!("{what}, again: {error}"));
    assert!(again.is_empty(), "{what}, again: {again:?}");
}

/// At any time: nothing wrong has a final name, nothing wrong is called valid, nothing good was moved aside.
fn check_between(world: &World, right: &Right, what: &str) {
    let was_damaged = |name: &str| right.damaged.iter().any(|damaged| damaged == name);
    for (name, digest) in world.picture() {
        let is_right = was_damaged(&name) || is_known(&right.oracle, &name, digest);
        assert!(is_right, "{what}: {name} has other bytes");
    }
    for (name, is_right) in world.claims() {
        assert!(is_right || was_damaged(&name), "{what}: {name} is called valid");
    }
    for item in fs_err::read_dir(world.path("cache/.damaged")).into_iter().flatten() {
        let path = item.unwrap().path();
        let digest = Digest::of(&fs_err::read(&path).unwrap());
        let is_good = right.oracle.values().any(|digests| digests.contains(&digest));
        assert!(!is_good, "{what}: {} is good and was moved aside", path.display());
    }
}

/// A profile that is called valid has every file of an undisturbed run, those of recordings in quarantine left out. (That no
/// file holds anything wrong is seen elsewhere.)
fn check_states(world: &World, scenario: &Scenario, right: &Right, what: &str) {
    let picture = world.picture();
    for (profile, variant) in scenario.valid {
        let settings = world.settings(profile, *variant);
        if world.state(&settings) != State::Valid {
            continue;
        }
        let quarantine = world.store().load(&settings.profile, &settings.version).unwrap().quarantine;
        let place = format!("{profile}/{}/", settings.version);
        for name in right.end.keys().filter(|name| name.starts_with(&place)) {
            let id = stem_of(name).unwrap().recording().to_string();
            let is_there = picture.contains_key(name) || quarantine.contains_key(&id);
            assert!(is_there, "{what}: {profile} is called valid without {name}");
        }
    }
}

/// In the end: the files of an undisturbed run, a state that says so, and nothing beside them.
fn check_end(world: &World, scenario: &Scenario, right: &Right, what: &str) {
    check_files(world, scenario, right, what);
    // A directory in which nothing is left is no version: what removes by age cannot tell how old it is.
    let is_there = |(profile, version): &(ProfileName, VersionName)| {
        fs_err::read_dir(world.store().version_dir(profile, version)).unwrap().next().is_some()
    };
    let versions: Vec<_> = world.versions().into_iter().filter(is_there).collect();
    assert_eq!(versions, right.versions, "{what}");
    assert!(world.leftovers().is_empty(), "{what}: {:?} are left", world.leftovers());
}

fn check_files(world: &World, scenario: &Scenario, right: &Right, what: &str) {
    assert!(world.picture() == right.end, "{what}: {:#?}\ninstead of {:#?}", world.picture(), right.end);
    for (profile, variant) in scenario.valid {
        let state = world.state(&world.settings(profile, *variant));
        assert_eq!(state, State::Valid, "{what}: {profile} {variant:?}");
    }
}
