//! A fault at any operation of a command that only looks: it says so, or it was nothing. A file that the machine would not
//! read is never called damaged, missing or changed, and nothing is moved or removed for it.

use super::{Variant, World, build_profile, is_environment, quietly, readable, tally, verify_all};
use crate::error::Result;
use crate::fault::{Fault, Plan, plan, was_hit};
use crate::ops::explain::explain;
use crate::ops::gc::{GcOptions, Scope, gc};
use crate::ops::load::load;
use crate::ops::{preflight, status};
use rustix::io::Errno;
use std::collections::BTreeMap;

/// What the machine may answer, and whether it goes on so.
const FAULTS: &[(Fault, bool)] = &[
    (Fault::Error(Errno::MFILE), true),
    (Fault::Error(Errno::MFILE), false),
    (Fault::Error(Errno::IO), false),
    (Fault::Error(Errno::NOSPC), false),
    (Fault::Error(Errno::ACCESS), false),
    (Fault::Error(Errno::STALE), false),
    (Fault::Error(Errno::INTR), false),
    (Fault::Short, false),
];

const PLAIN: Variant = Variant { signal: 0, labels: 0, source: 0, split: 0 };

/// A dataset whose root answers so is not there: the cache is judged by what it recorded.
const ABSENCE: [Fault; 2] = [Fault::Error(Errno::ACCESS), Fault::Error(Errno::STALE)];

/// A command, and what it says in one text.
type Look = (&'static str, fn(&World) -> Result<String>);

const LOOKS: &[Look] = &[
    ("verify", |world| {
        let report = readable(verify_all(&world.settings("full", PLAIN), false)?)?;
        Ok(format!("{:?} {:?} {:?}", report.damaged, report.missing, report.unlisted))
    }),
    ("verify --quick", |world| {
        let report = readable(verify_all(&world.settings("full", PLAIN), true)?)?;
        Ok(format!("{:?} {:?} {:?}", report.damaged, report.missing, report.unlisted))
    }),
    ("status", |world| {
        let report = status::status(&world.settings("full", PLAIN), None)?;
        let line = |profile: &status::ProfileStatus| {
            let splits = profile.splits.values().map(|split| (split.have, split.missing, split.stale));
            format!("{} {:?} {:?}", profile.profile, profile.state, splits.collect::<Vec<_>>())
        };
        Ok(report.profiles.iter().map(line).collect::<Vec<_>>().join("\n"))
    }),
    ("preflight", |world| {
        let (report, _) = preflight::look(&world.settings("full", PLAIN))?;
        Ok(format!("{:?} {:?}", report.state, report.gates))
    }),
    ("explain", |world| {
        let resolved = load(&BTreeMap::new(), &world.path(""), &World::request("full", PLAIN))?;
        let explained = serde_json::to_value(explain(&resolved, "a_1")?).unwrap();
        // Without the memo the content of the recording is not known: `unchecked`, and a hit nevertheless.
        let verdicts: Vec<_> = explained["files"].as_array().unwrap().iter().map(|f| &f["verdict"]).collect();
        Ok(format!("{} {verdicts:?}", explained["state"]))
    }),
    ("gc --orphans --dry-run", |world| {
        let options =
            GcOptions { scope: Scope::Orphans, profile: None, dry_run: true, assume_exclusive: false };
        Ok(format!("{:?}", gc(&world.settings("full", PLAIN), &options)?))
    }),
];

/// What was done to a cache before a command finds it.
type Situation = (&'static str, fn(&World));

const STATES: &[Situation] = &[
    ("complete", |_| {}),
    ("without a manifest", |world| {
        fs_err::remove_file(world.path("cache/full/v00/manifest.json")).unwrap();
    }),
    ("without the memo", |world| fs_err::remove_dir_all(world.path("cache/.sources")).unwrap()),
    ("damaged", |world| world.damage("full/v00/train/a_1.npz", 100, 4)),
];

#[test]
fn what_cannot_be_read_is_not_called_damaged() {
    // A world belongs to its thread.
    let threads = STATES.iter().map(|(state, prepare)| std::thread::spawn(|| check(state, *prepare)));
    let threads: Vec<_> = threads.collect();
    let count = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    tally::count("in process, a command that looks", count);
}

fn check(state: &str, prepare: fn(&World)) -> usize {
    let world = World::new();
    for profile in ["full", "smoke"] {
        build_profile(&world.settings(profile, PLAIN)).unwrap();
    }
    prepare(&world);
    let before = world.picture();
    let mut count = 0;
    for (name, look) in LOOKS {
        plan(None);
        let right = look(&world).unwrap_or_else(|error| panic!("{state}, {name}: {error}"));
        let operations = plan(None);
        for (fault, forever) in FAULTS {
            for at in (0..operations.len()).step_by(tally::stride(13)) {
                if operations[at] == "open source root" && ABSENCE.contains(fault) {
                    continue;
                }
                plan(Some(Plan { at, forever: *forever, fault: *fault }));
                let outcome = look(&world);
                plan(None);
                let what = format!("{state}, {name}: {fault:?} at {at} (`{}`)", operations[at]);
                match outcome {
                    Ok(said) => assert_eq!(said, right, "{what}"),
                    Err(error) => assert!(was_hit() && is_environment(&error), "{what}: {error:?}"),
                }
                count += usize::from(was_hit());
            }
        }
    }
    assert!(world.picture() == before);
    count
}

/// A repair moves nothing aside while there is a file that it could not read.
#[test]
fn a_repair_that_cannot_read_moves_nothing() {
    let world = World::new();
    let settings = world.settings("full", PLAIN);
    build_profile(&settings).unwrap();
    world.damage("full/v00/train/a_1.npz", 100, 4);
    let before = world.picture();
    plan(None);
    verify_all(&settings, false).unwrap();
    let operations = plan(None);
    let mut unread = 0;
    for (at, _) in operations.iter().enumerate().filter(|(_, name)| **name == "read file") {
        plan(Some(Plan { at, forever: false, fault: Fault::Error(Errno::IO) }));
        let report = quietly(|cx| crate::ops::verify::repair(cx, &settings, false)).unwrap();
        plan(None);
        assert!(report.unread.len() == 1 && report.moved.is_empty(), "{report:?}");
        assert!(report.unread[0].reason.starts_with("cannot read "), "{report:?}");
        assert!(world.picture() == before && !world.path("cache/.damaged").exists());
        unread += 1;
    }
    assert!(unread > 0);
    tally::count("in process, a repair that cannot read", unread);
}
