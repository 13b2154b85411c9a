//! A state machine against a model: whatever people, defects of disks and deaths do one after the other, in any order.
//!
//! The model is the set of files that are right, by place and digest; the oracle is what undisturbed builds make of
//! each configuration and source. What a disk damaged silently is known to the model by inode, and nothing else may differ.

use super::{
    Oracle, Picture, Variant, World, build_profile, build_with, is_environment, is_known, learn, quietly,
    readable, repair_all, tally, verify_all,
};
use crate::error::{Error, Result};
use crate::fault::{Fault, Plan, plan, was_hit};
use crate::model::id::VersionName;
use crate::model::settings::Settings;
use crate::ops::build::{BuildOptions, BuildReport};
use crate::ops::gc::{GcOptions, GcReport, Scope, gc};
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

/// How a profile is built.
#[derive(Debug, Clone, Copy)]
enum How {
    Plain,
    /// All shards of three, one behind the other, from this one on.
    Shards(u8),
    NoFsync,
    Paranoid,
}

impl How {
    /// Builds the profile, in one run or in three.
    fn build(self, settings: &Settings) -> Result<Vec<BuildReport>> {
        let one = |options| build_with(settings, options).map(|report| vec![report]);
        match self {
            Self::Plain => one(BuildOptions::default()),
            Self::NoFsync => one(BuildOptions { no_fsync: true, ..BuildOptions::default() }),
            Self::Paranoid => one(BuildOptions { paranoid: true, ..BuildOptions::default() }),
            Self::Shards(first) => {
                let shard = |number: u8| {
                    let shard = format!("{}/3", (first + number) % 3 + 1).parse().unwrap();
                    build_with(settings, BuildOptions { shard: Some(shard), ..BuildOptions::default() })
                };
                (0..3).map(shard).collect()
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Action {
    /// A build of a profile in a configuration; a fault may strike.
    Build(usize, Variant, How, Option<Strike>),
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
    /// The full check, or the quick one; a fault may strike.
    Verify(bool, Option<Strike>),
    /// A version is removed, or what nothing needs; a fault may strike.
    Collect(Option<Variant>, Option<Strike>),
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

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        4 => Just(How::Plain),
        1 => (0..3u8).prop_map(How::Shards),
        1 => Just(How::NoFsync),
        1 => Just(How::Paranoid),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let strike = || prop::option::of((0..400usize, 0..FAULTS.len()));
    let index = any::<prop::sample::Index>;
    prop_oneof![
        8 => (0..2usize, variant(), how(), strike()).prop_map(|(p, v, h, s)| Action::Build(p, v, h, s)),
        1 => (0..2usize, variant()).prop_map(|(p, v)| Action::Mismatch(p, v)),
        3 => (index(), any::<usize>(), 1..=255u8).prop_map(|(i, at, bits)| Action::Flip(i, at, bits)),
        1 => index().prop_map(Action::Truncate),
        1 => index().prop_map(Action::Lose),
        2 => (index(), 0..3u8).prop_map(|(i, what)| Action::Forget(i, what)),
        1 => (any::<bool>(), strike()).prop_map(|(quick, s)| Action::Verify(quick, s)),
        2 => (prop::option::of(variant()), strike()).prop_map(|(v, s)| Action::Collect(v, s)),
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
            Action::Build(profile, variant, how, strike) => self.build(*profile, *variant, *how, *strike),
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
            Action::Verify(quick, strike) => self.verify(*quick, *strike),
            Action::Collect(version, strike) => self.collect(*version, *strike),
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

    fn build(&mut self, profile: usize, variant: Variant, how: How, strike: Option<Strike>) {
        let settings = self.world.settings(PROFILES[profile], variant);
        let wanted = &self.made.files[&(profile, variant)];
        let before = self.world.picture();
        let is_listed = |(profile, version): &(_, VersionName)| {
            self.world.store().version_dir(profile, version).join("manifest.json").exists()
        };
        let has_all_manifests = self.world.versions().iter().all(is_listed);
        let is_unexplained = self.is_unexplained(&settings, wanted);
        let (outcome, struck) = self.run(strike, || how.build(&settings));
        let after = self.world.picture();
        let lost = before.iter().filter(|(name, digest)| wanted.get(*name) == Some(*digest));
        for (name, _) in lost {
            assert!(after.contains_key(name), "{name} was finished and wanted, and is gone: {outcome:?}");
        }
        let reports = match outcome {
            Ok(reports) => reports,
            Err(Error::NotReady { .. }) if is_unexplained => {
                assert!(after == before);
                make_room(&settings);
                return self.build(profile, variant, how, None);
            }
            Err(error) => return assert!(struck && is_environment(&error), "{error:?}"),
        };
        // A recording that could not be read to see whether it changed keeps what it has, and the report says so.
        if reports.iter().any(|report| !report.quarantine.is_empty() || !report.unread.is_empty()) {
            return assert!(struck, "{reports:?}");
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
            let built: usize = reports.iter().map(|report| report.built).sum();
            let is_right = if has_all_manifests { built == missing } else { built >= missing };
            assert!(is_right, "only what is nowhere is processed, {missing}: {reports:?}");
        }
    }

    /// True where nothing says what the files of a version are, and none of them is wanted: they may be of another dataset.
    fn is_unexplained(&self, settings: &Settings, wanted: &Picture) -> bool {
        let held = self.world.store().load(&settings.profile, &settings.version).unwrap();
        let place = format!("{}/{}/", settings.profile, settings.version);
        let picture = self.world.picture();
        let mut files = picture.iter().filter(|(name, _)| name.starts_with(&place)).peekable();
        held.identity.is_none()
            && files.peek().is_some()
            && files.all(|(name, digest)| wanted.get(name) != Some(digest))
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

    fn verify(&mut self, quick: bool, strike: Option<Strike>) {
        let wrong = self.wrong();
        let settings = self.world.settings("full", Variant::default());
        let (outcome, struck) = self.run(strike, || verify_all(&settings, quick).and_then(readable));
        let report = match outcome {
            Ok(report) => report,
            Err(error) => return assert!(struck && is_environment(&error), "{error:?}"),
        };
        let found: BTreeSet<String> =
            report.damaged.iter().map(|d| format!("{}/{}/{}", d.profile, d.version, d.name)).collect();
        // The quick check looks at no array.
        assert!(
            if quick { found.is_subset(&wrong) } else { found == wrong },
            "{found:?} instead of {wrong:?}"
        );
    }

    /// Removes a version of all profiles, or what nothing needs; nothing else goes, and nothing changes.
    fn collect(&mut self, version: Option<Variant>, strike: Option<Strike>) {
        let settings = self.world.settings("full", version.unwrap_or_default());
        let scope = version.map_or(Scope::Orphans, |_| Scope::Version(settings.version.clone()));
        let options = GcOptions { scope, profile: None, dry_run: false, assume_exclusive: false };
        let (before, claims) = (self.world.picture(), self.world.claims());
        let (outcome, struck): (Result<GcReport>, bool) =
            self.run(strike, || quietly(|_| gc(&settings, &options)));
        let after = self.world.picture();
        let is_meant =
            |name: &str| version.is_some() && name.split('/').nth(1) == Some(settings.version.as_str());
        for (name, digest) in &before {
            let stays = version.is_some() || claims.contains_key(name);
            let is_there = after.get(name) == Some(digest);
            assert!(is_there || is_meant(name) || !stays, "{name} is gone: {outcome:?}");
        }
        assert!(after.keys().all(|name| before.contains_key(name)), "{outcome:?}");
        match outcome {
            Ok(_) => assert!(struck || !after.keys().any(|name| is_meant(name)), "{:?}", after.keys()),
            Err(Error::NotReady { .. }) => assert!(!before.keys().any(|name| is_meant(name))),
            Err(error) => assert!(struck && is_environment(&error), "{error:?}"),
        }
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
            self.step(&Action::Build(profile, Variant::default(), How::Plain, None));
            let wanted = &self.made.files[&(profile, Variant::default())];
            let after = self.world.picture();
            assert!(wanted.iter().all(|(name, digest)| after.get(name) == Some(digest)));
        }
    }
}

/// What people do about files that nothing explains.
fn make_room(settings: &Settings) {
    let (scope, profile) = (Scope::Version(settings.version.clone()), Some(settings.profile.clone()));
    let options = GcOptions { scope, profile, dry_run: false, assume_exclusive: false };
    gc(settings, &options).unwrap();
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
