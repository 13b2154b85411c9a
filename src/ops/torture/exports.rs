//! A fault at any operation of an export: whatever has a final name is whole, an error leaves nothing half-made behind, and
//! the next run ends with the files of an undisturbed one.

use super::{Variant, World, build_profile, is_environment, quietly, tally};
use crate::error::Result;
use crate::fault::{Fault, Plan, plan, was_hit};
use crate::model::settings::Settings;
use crate::ops::export::{ExportReport, Layout, export};
use rustix::io::Errno;
use std::collections::BTreeMap;

const FAULTS: &[(Fault, bool)] = &[
    (Fault::Error(Errno::IO), true),
    (Fault::Error(Errno::NOSPC), true),
    (Fault::Error(Errno::NOSPC), false),
    (Fault::Error(Errno::IO), false),
    (Fault::Error(Errno::DQUOT), false),
    (Fault::Error(Errno::MFILE), false),
    (Fault::Error(Errno::ROFS), false),
    (Fault::Short, false),
];

const LOCK: &str = ".eegcache-export.lock";
const RECORDS: &str = ".eegcache-export.jsonl";
const TEMPORARY: &str = ".eegcache-tmp-";

fn run(world: &World, settings: &Settings, layout: Layout) -> Result<ExportReport> {
    quietly(|cx| export(cx, settings, layout, &world.path("out")))
}

/// Every file of the export, its lock left out.
fn picture(world: &World) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in walkdir::WalkDir::new(world.path("out")) {
        let Ok(entry) = entry else { continue };
        let name = entry.path().strip_prefix(world.path("out")).unwrap().to_str().unwrap().to_owned();
        if entry.file_type().is_file() && name != LOCK {
            files.insert(name, fs_err::read(entry.path()).unwrap());
        }
    }
    files
}

#[test]
fn an_export() {
    let world = World::new();
    let settings = world.settings("full", Variant::default());
    build_profile(&settings).unwrap();
    let mut count = 0;
    for layout in ["windows", "npy", "brain-brr"] {
        let layout = Layout::from_name(layout).unwrap();
        plan(None);
        run(&world, &settings, layout).unwrap();
        let operations = plan(None);
        let right = picture(&world);
        for (fault, forever) in FAULTS {
            for at in (0..operations.len()).step_by(tally::stride(7)) {
                fs_err::remove_dir_all(world.path("out")).unwrap();
                plan(Some(Plan { at, forever: *forever, fault: *fault }));
                let outcome = run(&world, &settings, layout);
                plan(None);
                let what = format!("{layout:?}: {fault:?} at {at} (`{}`)", operations[at]);
                check(&world, &right, outcome, (*fault, *forever), &what);
                run(&world, &settings, layout).unwrap_or_else(|error| panic!("{what}, again: {error}"));
                assert!(picture(&world) == right, "{what}: {:?}", picture(&world).keys());
                count += usize::from(was_hit());
            }
        }
        fs_err::remove_dir_all(world.path("out")).unwrap();
    }
    tally::count("in process, an export", count);
}

fn check(
    world: &World,
    right: &BTreeMap<String, Vec<u8>>,
    outcome: Result<ExportReport>,
    (fault, forever): (Fault, bool),
    what: &str,
) {
    let files = picture(world);
    let is_finished = |name: &&String| *name != RECORDS && !name.contains(TEMPORARY);
    for name in files.keys().filter(is_finished) {
        assert!(right.get(name) == files.get(name), "{what}: {name} is not whole");
    }
    // Listings come last: where one is, everything that it lists is there.
    let is_listing = |name: &&String| name.rsplit('.').next() == Some("json");
    let is_listed = files.keys().any(|name| is_listing(&name));
    let is_whole = || right.keys().filter(|name| !is_listing(name)).all(|name| files.contains_key(name));
    assert!(!is_listed || is_whole(), "{what}: a listing without what it lists");
    // A death leaves what it leaves, and so does a disk on which nothing can be removed.
    let is_cleared = forever || !files.keys().any(|name| name.contains(TEMPORARY));
    assert!(is_cleared, "{what}: {:?} is half-made", files.keys());
    match outcome {
        Ok(_) => assert!(files == *right, "{what}"),
        Err(error) => {
            assert!(was_hit() && is_environment(&error) && fault != Fault::Short, "{what}: {error:?}");
            let text = error.to_string();
            assert!(text.starts_with("cannot ") || text.starts_with("not enough space"), "{what}: {text}");
        }
    }
}
