//! A state machine against a model: whatever people, defects of disks and deaths do one after the other, in any order.
//!
//! The model is the set of files that are right, by place and digest; the oracle is what undisturbed builds make of
//! each configuration and source. What a disk damaged silently is known to the model by inode, and nothing else may differ.

use super::{
    Oracle, Picture, Variant, World, build_profile, is_environment, is_known, learn, repair_all, tally,
    verify_all,
};
use crate::fault::{Fault, Plan, plan, was_hit};
use crate::model::id::VersionName;
use crate::ops::survey::State;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;

const PROFILES: [&str; 2] = ["full", "smoke"];
const FAULTS: [(Fault, bool); 5] = [
    (Fault::Error(Errno::IO), true),
    (Fault::Error(Errno::NOSPC), true),
    (Fault::Error(Errno::IO), false),
    (Fault::Error(Errno::MFILE), false),
    (Fault::Short, false),
];

/// Where in a run a fault strikes, and which.
type Strike = (usize, usize);

#[derive(Debug, Clone)]
enum Action {
    /// A build of a profile in a configuration; a fault may strike.
    Build(usize, Variant, Option<Strike>),
    /// A build of another configuration under a name that is taken.
    Mismatch(usize, Variant),
    /// A byte of some file is changed in place.
    Flip(prop::sample::Index, usize, u8),
    /// Some file is cut short.
    Truncate(prop::sample::Index),
    /// Some file is lost.
    Lose(prop::sample::Index),
    /// Some manifest is lost, or all that belongs to builders, or the memo.
    Forget(prop::sample::Index, u8),
    /// The full check.
    Verify,
    /// The full check that moves aside; a fault may strike.
    Repair(Option<Strike>),
}

fn variant() -> impl Strategy<Value = Variant> {
    (0..2u8, 0..2u8, 0..2u8, 0..4u8).prop_map(|(signal, labels, source, split)| Variant {
        signal,
        labels,
        source,
        split: u8::from(split == 3),
    })
}

fn action() -> impl Strategy<Value = Action> {
    let strike = || prop::option::of((0..400usize, 0..FAULTS.len()));
    let index = any::<prop::sample::Index>;
    prop_oneof![
        8 => (0..2usize, variant(), strike()).prop_map(|(p, v, s)| Action::Build(p, v, s)),
        1 => (0..2usize, variant()).prop_map(|(p, v)| Action::Mismatch(p, v)),
        3 => (index(), any::<usize>(), 1..=255u8).prop_map(|(i, at, bits)| Action::Flip(i, at, bits)),
        1 => index().prop_map(Action::Truncate),
        1 => index().prop_map(Action::Lose),
        2 => (index(), 0..3u8).prop_map(|(i, what)| Action::Forget(i, what)),
        1 => Just(Action::Verify),
        2 => strike().prop_map(Action::Repair),
    ]
}

/// What undisturbed builds make: files by their place below the version.
struct Undisturbed {
    files: BTreeMap<(usize, Variant), Picture>,
    oracle: Oracle,
}

impl Undisturbed {
    fn new(world: &World) -> Self {
        let mut made = Self { files: BTreeMap::new(), oracle: Oracle::new() };
        for number in 0..32u8 {
            let bit = |n: u8| number >> n & 1;
            let variant = Variant { signal: bit(0), labels: bit(1), source: bit(2), split: bit(3) };
            let profile = usize::from(bit(4));
            world.clear();
            build_profile(&world.settings(PROFILES[profile], variant)).unwrap();
            learn(&mut made.oracle, &world.picture());
            made.files.insert((profile, variant), world.picture());
        }
        world.clear();
        made
    }
}

/// The machine: the disk and what the model knows of it.
struct Machine<'a> {
    world: &'a World,
    made: &'a Undisturbed,
    /// Inodes that a disk damaged.
    tainted: BTreeSet<u64>,
    faults: usize,
}

impl Machine<'_> {
    /// The files that are there and not as any undisturbed build makes them; each must be a disk's doing.
    fn wrong(&self) -> BTreeSet<String> {
        let wrong =
            self.world.picture().into_iter().filter(|(name, d)| !is_known(&self.made.oracle, name, *d));
        let wrong: BTreeSet<String> = wrong.map(|(name, _)| name).collect();
        for name in &wrong {
            assert!(self.tainted.contains(&self.inode(name)), "{name} is wrong, and no disk did it");
        }
        wrong
    }

    fn inode(&self, name: &str) -> u64 {
        fs_err::metadata(self.world.path("cache").join(name)).unwrap().ino()
    }

    fn files(&self) -> Vec<String> {
        self.world.picture().into_keys().collect()
    }

    fn step(&mut self, action: &Action) {
        match action {
            Action::Build(profile, variant, strike) => self.build(*profile, *variant, *strike),
            Action::Mismatch(profile, variant) => self.mismatch(*profile, *variant),
            Action::Flip(index, at, bits) => self.harm(*index, |world, name| world.damage(name, *at, *bits)),
            Action::Truncate(index) => self.harm(*index, |world, name| {
                let path = world.path("cache").join(name);
                let content = fs_err::read(&path).unwrap();
                super::set_mode(&path, 0o644);
                fs_err::write(&path, &content[..content.len() / 2]).unwrap();
            }),
            Action::Lose(index) => self.harm(*index, |world, name| {
                fs_err::remove_file(world.path("cache").join(name)).unwrap();
            }),
            Action::Forget(index, what) => self.forget(*index, *what),
            Action::Verify => self.verify(),
            Action::Repair(strike) => self.repair(*strike),
        }
        let wrong = self.wrong();
        let inodes: BTreeSet<u64> = wrong.iter().map(|name| self.inode(name)).collect();
        self.tainted = inodes;
        for (name, is_right) in self.world.claims() {
            assert!(is_right || wrong.contains(&name), "{name} is called valid");
        }
    }

    fn harm(&mut self, index: prop::sample::Index, how: impl Fn(&World, &str)) {
        let files = self.files();
        if !files.is_empty() {
            let name = index.get(&files);
            self.tainted.insert(self.inode(name));
            how(self.world, name);
            self.faults += 1;
        }
    }

    fn forget(&mut self, index: prop::sample::Index, what: u8) {
        let versions = self.world.versions();
        if versions.is_empty() {
            return;
        }
        let (profile, version) = index.get(&versions);
        let directory = self.world.store().version_dir(profile, version);
        let _ = match what {
            0 => fs_err::remove_file(directory.join("manifest.json")),
            1 => fs_err::remove_dir_all(directory.join(".build")),
            _ => fs_err::remove_dir_all(self.world.path("cache/.sources")),
        };
        self.faults += 1;
    }

    /// Returns the outcome of a verb and whether the fault came about.
    fn run<T>(&mut self, strike: Option<Strike>, verb: impl FnOnce() -> T) -> (T, bool) {
        plan(strike.map(|(at, which)| Plan { at, forever: FAULTS[which].1, fault: FAULTS[which].0 }));
        let outcome = verb();
        plan(None);
        let struck = strike.is_some() && was_hit();
        self.faults += usize::from(struck);
        (outcome, struck)
    }

    fn build(&mut self, profile: usize, variant: Variant, strike: Option<Strike>) {
        let settings = self.world.settings(PROFILES[profile], variant);
        let wanted = &self.made.files[&(profile, variant)];
        let before = self.world.picture();
        let is_listed = |(profile, version): &(_, VersionName)| {
            self.world.store().version_dir(profile, version).join("manifest.json").exists()
        };
        let has_all_manifests = self.world.versions().iter().all(is_listed);
        let (outcome, struck) = self.run(strike, || build_profile(&settings));
        let after = self.world.picture();
        let lost = before.iter().filter(|(name, digest)| wanted.get(*name) == Some(*digest));
        for (name, _) in lost {
            assert!(after.contains_key(name), "{name} was finished and wanted, and is gone: {outcome:?}");
        }
        let report = match outcome {
            Ok(report) => report,
            Err(error) => return assert!(struck && is_environment(&error), "{error:?}"),
        };
        assert!(struck || report.quarantine.is_empty(), "{report:?}");
        // A recording that could not be read to see whether it changed keeps what it has, and the report says so.
        if !report.quarantine.is_empty() || !report.unread.is_empty() {
            assert!(struck, "{report:?}");
            return;
        }
        let place = format!("{}/{}/", settings.profile, settings.version);
        let wrong = self.wrong();
        for (name, digest) in after.iter().filter(|(name, _)| name.starts_with(&place)) {
            assert!(wrong.contains(name) || wanted.get(name) == Some(digest), "{name} does not belong here");
        }
        let is_there = |name: &String| wrong.contains(name) || after.contains_key(name);
        assert!(wanted.keys().all(is_there), "{:?} instead of {:?}", after.keys(), wanted.keys());
        assert_eq!(self.world.state(&settings), State::Valid);
        if !struck && self.tainted.is_empty() {
            let available: BTreeSet<_> = before.values().collect();
            let signals = wanted.iter().filter(|(name, _)| !name.ends_with(".labels.npz"));
            let missing = signals.filter(|(_, digest)| !available.contains(digest)).count();
            // Files of another version that no manifest lists are not looked for there: a lost manifest costs time.
            let is_right = if has_all_manifests { report.built == missing } else { report.built >= missing };
            assert!(is_right, "only what is nowhere is processed, {missing}: {report:?}");
        }
    }

    /// Another meaning under a name that is taken is refused, and nothing is touched.
    fn mismatch(&mut self, profile: usize, variant: Variant) {
        let mut settings = self.world.settings(PROFILES[profile], variant);
        let other = Variant { signal: 1 - variant.signal, ..variant };
        settings.version = VersionName::new(format!("v{}{}", other.signal, other.labels)).unwrap();
        let before = self.world.picture();
        let held = self.world.store().load(&settings.profile, &settings.version).unwrap();
        if held.identity.is_none() {
            return;
        }
        let outcome = build_profile(&settings);
        assert!(outcome.is_err(), "{outcome:?}");
        assert!(self.world.picture() == before);
    }

    fn verify(&mut self) {
        let wrong = self.wrong();
        let report = verify_all(&self.world.settings("full", Variant::default()), false).unwrap();
        let found: BTreeSet<String> =
            report.damaged.iter().map(|d| format!("{}/{}/{}", d.profile, d.version, d.name)).collect();
        assert_eq!(found, wrong);
    }

    fn repair(&mut self, strike: Option<Strike>) {
        let settings = self.world.settings("full", Variant::default());
        let before = self.world.picture();
        let (outcome, struck) = self.run(strike, || repair_all(&settings));
        let wrong = self.wrong();
        let after = self.world.picture();
        for (name, digest) in &before {
            let was_good = is_known(&self.made.oracle, name, *digest);
            assert!(!was_good || after.contains_key(name), "{name} was good and is gone: {outcome:?}");
        }
        match outcome {
            Ok(_) if !struck => assert!(wrong.is_empty(), "{wrong:?}"),
            Ok(_) => {}
            Err(error) => assert!(struck && is_environment(&error), "{error:?}"),
        }
    }

    /// Whatever happened: repair and builds end with everything right.
    fn end(&mut self) {
        self.step(&Action::Repair(None));
        for profile in 0..PROFILES.len() {
            self.step(&Action::Build(profile, Variant::default(), None));
            let wanted = &self.made.files[&(profile, Variant::default())];
            let after = self.world.picture();
            assert!(wanted.iter().all(|(name, digest)| after.get(name) == Some(digest)));
        }
    }
}

#[test]
fn any_history_ends_with_the_same_bytes() {
    let world = World::new();
    let made = Undisturbed::new(&world);
    let cases = if tally::is_long() { 1500 } else { 40 };
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 300, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let faults = std::cell::Cell::new(0);
    let outcome = runner.run(&prop::collection::vec(action(), 1..14), |actions| {
        world.clear();
        plan(None);
        let mut machine = Machine { world: &world, made: &made, tainted: BTreeSet::new(), faults: 0 };
        for action in &actions {
            machine.step(action);
        }
        machine.end();
        faults.set(faults.get() + machine.faults);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    tally::count("in a random history", faults.get());
}
