//! What faults hit: every command that changes a cache, in the situations in which it does something else.

use super::sweep::{PLAIN, RELABELLED, RESOURCED, RESPLIT, Scenario, sweep};
use super::{Variant, World, build_profile, build_with, repair_all, tally};
use crate::error::{Error, Result};
use crate::fault::{Fault, Plan, plan};
use crate::model::failure::FailureClass;
use crate::model::id::VersionName;
use crate::model::settings::LinkMethod;
use crate::ops::build::{BuildOptions, BuildReport};
use crate::ops::gc::{GcOptions, Scope, gc};
use rustix::io::Errno;

pub(super) fn quietly_build(world: &World, profile: &str, variant: Variant) -> Result<Vec<FailureClass>> {
    build_profile(&world.settings(profile, variant)).map(|report| failures(&report))
}

fn failures(report: &BuildReport) -> Vec<FailureClass> {
    let unread = report.unread.iter().map(|failure| failure.class);
    report.quarantine.iter().map(|line| line.class).chain(unread).collect()
}

fn quietly_build_with(world: &World, profile: &str, options: BuildOptions) -> Result<Vec<FailureClass>> {
    build_with(&world.settings(profile, PLAIN), options).map(|report| failures(&report))
}

/// Removes what is in the scope. What is gone already is no error: an earlier run removed it.
fn quietly_collect(world: &World, scope: Scope) -> Result<Vec<FailureClass>> {
    let options = GcOptions { scope, profile: None, dry_run: false, assume_exclusive: false };
    match gc(&world.settings("full", PLAIN), &options) {
        Ok(report) => {
            assert!(report.kept.is_empty(), "{report:?}");
            Ok(Vec::new())
        }
        Err(Error::NotReady { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn prepared(world: &World, profiles: &[&str]) {
    for profile in profiles {
        assert!(quietly_build(world, profile, PLAIN).unwrap().is_empty());
    }
}

/// Runs verbs one behind the other.
fn all(outcomes: impl IntoIterator<Item = Result<Vec<FailureClass>>>) -> Result<Vec<FailureClass>> {
    outcomes.into_iter().collect::<Result<Vec<_>>>().map(|classes| classes.concat())
}

/// A file that both profiles hold, and which are one inode.
const SHARED: &str = "full/v00/train/a_1.npz";

#[test]
fn a_build() {
    sweep(&Scenario {
        name: "build",
        prepare: |_| {},
        act: |world| quietly_build(world, "full", PLAIN),
        valid: &[("full", PLAIN)],
    });
}

#[test]
fn a_link() {
    sweep(&Scenario {
        name: "link",
        prepare: |world| prepared(world, &["full"]),
        act: |world| quietly_build(world, "smoke", PLAIN),
        valid: &[("full", PLAIN), ("smoke", PLAIN)],
    });
}

#[test]
fn a_link_by_copy() {
    sweep(&Scenario {
        name: "copy",
        prepare: |world| prepared(world, &["smoke"]),
        act: |world| {
            let mut settings = world.settings("full", PLAIN);
            settings.link = vec![LinkMethod::Copy];
            build_profile(&settings).map(|report| failures(&report))
        },
        valid: &[("full", PLAIN), ("smoke", PLAIN)],
    });
}

#[test]
fn a_new_label_rule() {
    sweep(&Scenario {
        name: "relabel",
        prepare: |world| prepared(world, &["full"]),
        act: |world| quietly_build(world, "full", RELABELLED),
        valid: &[("full", PLAIN), ("full", RELABELLED)],
    });
}

#[test]
fn another_division() {
    sweep(&Scenario {
        name: "resplit",
        prepare: |world| prepared(world, &["full"]),
        act: |world| quietly_build(world, "full", RESPLIT),
        valid: &[("full", RESPLIT)],
    });
}

#[test]
fn a_changed_recording() {
    sweep(&Scenario {
        name: "changed source",
        prepare: |world| prepared(world, &["full"]),
        act: |world| quietly_build(world, "full", RESOURCED),
        valid: &[("full", RESOURCED)],
    });
}

#[test]
fn a_lost_manifest() {
    sweep(&Scenario {
        name: "adopt",
        prepare: |world| {
            prepared(world, &["full"]);
            fs_err::remove_file(world.path("cache/full/v00/manifest.json")).unwrap();
        },
        act: |world| quietly_build(world, "full", PLAIN),
        valid: &[("full", PLAIN)],
    });
}

#[test]
fn a_repair() {
    sweep(&Scenario {
        name: "repair",
        prepare: |world| {
            prepared(world, &["full", "smoke"]);
            world.damage(SHARED, 100, 4);
            world.damage("full/v00/manifest.json", 200, 1);
        },
        act: |world| {
            let settings = world.settings("full", PLAIN);
            repair_all(&settings)?;
            all(["full", "smoke"].into_iter().map(|profile| quietly_build(world, profile, PLAIN)))
        },
        valid: &[("full", PLAIN), ("smoke", PLAIN)],
    });
}

/// Three shards, one behind the other; the last one finds all journals of the others.
#[test]
fn three_shards() {
    sweep(&Scenario {
        name: "shards",
        prepare: |_| {},
        act: |world| {
            let shard = |shard: &str| {
                let options = BuildOptions { shard: Some(shard.parse().unwrap()), ..BuildOptions::default() };
                quietly_build_with(world, "full", options)
            };
            all(["2/3", "1/3", "3/3"].map(shard))
        },
        valid: &[("full", PLAIN)],
    });
}

/// A version made without syncs, and files shared from it, which are proved before.
#[test]
fn without_syncs() {
    sweep(&Scenario {
        name: "no fsync",
        prepare: |_| {},
        act: |world| {
            let options = BuildOptions { no_fsync: true, ..BuildOptions::default() };
            all([quietly_build_with(world, "full", options), quietly_build(world, "smoke", PLAIN)])
        },
        valid: &[("full", PLAIN), ("smoke", PLAIN)],
    });
}

#[test]
fn a_paranoid_build() {
    sweep(&Scenario {
        name: "paranoid",
        prepare: |world| prepared(world, &["full"]),
        act: |world| {
            let options = BuildOptions { paranoid: true, ..BuildOptions::default() };
            all([quietly_build_with(world, "full", options), quietly_build(world, "smoke", PLAIN)])
        },
        valid: &[("full", PLAIN), ("smoke", PLAIN)],
    });
}

/// A version goes whose signals live on under other names.
#[test]
fn a_removed_version() {
    sweep(&Scenario {
        name: "gc --version",
        prepare: |world| {
            prepared(world, &["full", "smoke"]);
            assert!(quietly_build(world, "full", RELABELLED).unwrap().is_empty());
        },
        act: |world| {
            quietly_collect(world, Scope::Version(VersionName::new("v01").unwrap()))?;
            assert!(!world.path("cache/full/v01").exists());
            all(["full", "smoke"].into_iter().map(|profile| quietly_build(world, profile, PLAIN)))
        },
        valid: &[("full", PLAIN), ("smoke", PLAIN)],
    });
}

/// Everything goes, however young.
#[test]
fn every_version_removed() {
    sweep(&Scenario {
        name: "gc --older-than",
        prepare: |world| prepared(world, &["full", "smoke"]),
        act: |world| {
            // A copied cache is young.
            for version in ["full/v00", "smoke/v00"] {
                let manifest = world.path("cache").join(version).join("manifest.json");
                if let Ok(file) = fs_err::File::options().append(true).open(manifest) {
                    file.file().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
                }
            }
            quietly_collect(world, Scope::OlderThan(std::time::Duration::from_secs(3600)))?;
            quietly_build(world, "smoke", PLAIN)
        },
        valid: &[("smoke", PLAIN)],
    });
}

/// What nothing needs: a file of no member, what a killed build left, what was moved aside long ago.
#[test]
fn orphans() {
    sweep(&Scenario {
        name: "gc --orphans",
        prepare: |world| {
            prepared(world, &["full"]);
            plan(Some(Plan { at: 90, forever: true, fault: Fault::Error(Errno::IO) }));
            assert!(build_profile(&world.settings("smoke", PLAIN)).is_err());
            plan(None);
            let at = |name: &str| world.path("cache").join(name);
            fs_err::copy(at("full/v00/train/a_1.npz"), at("full/v00/train/left_the_dataset.npz")).unwrap();
            fs_err::write(at("full/v00/.build/tmp/half"), "half").unwrap();
            fs_err::write(at("full/v00/.build/journal-torn-1-ff-0.jsonl"), "torn").unwrap();
            fs_err::create_dir_all(at(".damaged")).unwrap();
            fs_err::write(at(".damaged/full--v00--x--1.reason.txt"), "why").unwrap();
        },
        act: |world| {
            quietly_collect(world, Scope::Orphans)?;
            assert!(!world.path("cache/full/v00/train/left_the_dataset.npz").exists());
            assert!(!world.path("cache/.damaged/full--v00--x--1.reason.txt").exists());
            all(["full", "smoke"].into_iter().map(|profile| quietly_build(world, profile, PLAIN)))
        },
        valid: &[("full", PLAIN), ("smoke", PLAIN)],
    });
}

/// Where a file system, or this one file, takes no link, the next method is used: too many links, links to others' files
/// forbidden, two file systems, none at all.
#[test]
fn a_refused_link_becomes_a_copy() {
    let world = World::new();
    prepared(&world, &["full"]);
    plan(None);
    assert!(quietly_build(&world, "smoke", PLAIN).unwrap().is_empty());
    let operations = plan(None);
    let right = world.picture();
    let mut count = 0;
    for code in [Errno::MLINK, Errno::PERM, Errno::ACCESS, Errno::XDEV, Errno::OPNOTSUPP, Errno::NOSYS] {
        for at in (0..operations.len()).filter(|at| ["link", "clone"].contains(&operations[*at])) {
            fs_err::remove_dir_all(world.path("cache/smoke")).unwrap();
            plan(Some(Plan { at, forever: false, fault: Fault::Error(code) }));
            let report = build_profile(&world.settings("smoke", PLAIN));
            plan(None);
            let report = report.unwrap_or_else(|error| panic!("{code} at {at}: {error}"));
            assert_eq!((report.built, report.linked), (0, 3), "{code} at {at}: {report:?}");
            assert!(world.picture() == right, "{code} at {at}");
            count += 1;
        }
    }
    assert!(count > 0);
    tally::count("in process, a refused link", count);
}
