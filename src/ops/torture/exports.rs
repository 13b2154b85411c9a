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

/// An export of another version over this one, cut off anywhere: the first version exported again is what it was.
#[test]
fn an_export_over_that_of_another_version() {
    let world = World::new();
    // Other labels of as many bytes.
    let [first, second] =
        [0, 1].map(|labels| world.settings("full", Variant { labels, ..Variant::default() }));
    for settings in [&first, &second] {
        build_profile(settings).unwrap();
    }
    let mut count = 0;
    for layout in Layout::ALL {
        run(&world, &second, layout).unwrap();
        let other = picture(&world);
        run(&world, &first, layout).unwrap();
        let right = picture(&world);
        assert!(right.keys().eq(other.keys()) && right != other);
        plan(None);
        run(&world, &second, layout).unwrap();
        let operations = plan(None);
        let stride = if layout == Layout::Windows { 1 } else { tally::stride(11) };
        // A death, and a refusal.
        for (fault, forever) in &FAULTS[1..3] {
            for (at, operation) in operations.iter().enumerate().step_by(stride) {
                run(&world, &first, layout).unwrap();
                plan(Some(Plan { at, forever: *forever, fault: *fault }));
                let _ = run(&world, &second, layout);
                plan(None);
                let what = format!("{layout:?}: {fault:?} at {at} (`{operation}`), {forever}");
                run(&world, &first, layout).unwrap_or_else(|error| panic!("{what}: {error}"));
                let found = picture(&world);
                let differs = |name: &&String| right.get(*name) != found.get(*name);
                let wrong: Vec<&String> = right.keys().filter(differs).collect();
                assert!(found == right, "{what}: {wrong:?}");
                count += usize::from(was_hit());
            }
        }
        fs_err::remove_dir_all(world.path("out")).unwrap();
    }
    tally::count("in process, an export over another one", count);
}

/// No record stands beside other bytes than its own, also where the disk keeps what was synced and nothing else.
#[test]
fn what_an_export_makes_anew_is_gone_for_good_before_it_begins() {
    let world = World::new();
    let settings = [0, 1].map(|labels| world.settings("full", Variant { labels, ..Variant::default() }));
    for settings in &settings {
        build_profile(settings).unwrap();
        plan(None);
        run(&world, settings, Layout::Windows).unwrap();
    }
    let mut operations = plan(None);
    operations.retain(|operation| {
        ["remove export", "sync export", "rename export", "sync export directory", "write export record"]
            .contains(operation)
    });
    operations.dedup();
    let (record, file) = ("sync export, rename export", "sync export, rename export, write export record");
    let sync = "sync export directory";
    let files = vec![file; super::tiny::RECORDINGS.len()].join(", ");
    // The record is written when the directory is taken, without what is replaced, and at the end.
    let expected = format!(
        "{record}, {sync}, remove export, {sync}, {record}, {sync}, {files}, {sync}, {record}, {sync}"
    );
    assert_eq!(operations.join(", "), expected);
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
