//! Every single bit: what `verify` finds, what `--quick` looks at, and what `--repair` does about it.

use super::{
    Oracle, Variant, World, build_profile, is_known, learn, repair_all, set_mode, tally, verify_all,
};
use crate::model::settings::Settings;
use crate::ops::survey::State;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;

const RELABELLED: Variant = Variant { signal: 0, labels: 1, source: 0, split: 0 };
/// One inode under three names: of two profiles and of two versions.
const SIGNAL: [&str; 3] = ["full/v00/train/a_1.npz", "full/v01/train/a_1.npz", "smoke/v00/train/a_1.npz"];
/// One inode under two names: the other version has labels of its own.
const LABELS: [&str; 2] = ["full/v00/train/a_1.labels.npz", "smoke/v00/train/a_1.labels.npz"];
const MANIFEST: &str = "full/v00/manifest.json";

/// Both profiles, and a second version of one of them.
fn world() -> (World, Settings, Oracle) {
    let world = World::new();
    let plain = Variant::default();
    let mut oracle = Oracle::new();
    for (profile, variant) in [("full", plain), ("full", RELABELLED), ("smoke", plain)] {
        build_profile(&world.settings(profile, variant)).unwrap();
    }
    learn(&mut oracle, &world.picture());
    let settings = world.settings("full", plain);
    let inodes = |names: &[&str]| {
        let of = |name: &&str| fs_err::metadata(world.path("cache").join(name)).unwrap().ino();
        names.iter().map(of).collect::<BTreeSet<_>>().len()
    };
    assert_eq!((inodes(&SIGNAL), inodes(&LABELS)), (1, 1), "the rig needs a file system with hard links");
    (world, settings, oracle)
}

fn bits(world: &World, name: &str) -> usize {
    fs_err::metadata(world.path("cache").join(name)).unwrap().len() as usize * 8
}

/// The names that a check calls damaged, as `profile/version/name`.
fn found(settings: &Settings, quick: bool) -> Vec<String> {
    let report = verify_all(settings, quick).unwrap();
    report.damaged.iter().map(|d| format!("{}/{}/{}", d.profile, d.version, d.name)).collect()
}

#[test]
fn every_flipped_bit_of_an_entry_is_found_under_every_name() {
    let (world, settings, _) = world();
    let mut count = 0;
    for names in [&SIGNAL[..], &LABELS] {
        for bit in (0..bits(&world, names[0])).step_by(tally::stride(59)) {
            world.damage(names[0], bit / 8, 1 << (bit % 8));
            assert_eq!(found(&settings, false), names, "bit {bit}");
            world.damage(names[0], bit / 8, 1 << (bit % 8));
            count += 1;
        }
    }
    assert!(found(&settings, false).is_empty());
    tally::count("bit of an entry", count);
}

#[test]
fn every_flipped_bit_of_a_manifest_is_found() {
    let (world, settings, _) = world();
    let mut count = 0;
    for bit in (0..bits(&world, MANIFEST)).step_by(tally::stride(127)) {
        world.damage(MANIFEST, bit / 8, 1 << (bit % 8));
        for quick in [false, true] {
            assert_eq!(found(&settings, quick), [MANIFEST], "bit {bit}");
        }
        if bit % 16 == 0 {
            assert_eq!(world.state(&settings), State::Corrupt, "bit {bit}");
        }
        world.damage(MANIFEST, bit / 8, 1 << (bit % 8));
        count += 1;
    }
    assert_eq!(world.state(&settings), State::Valid);
    tally::count("bit of a manifest", count);
}

/// `--quick` sees sizes, the frame of the archive and `entry.json`; no array, and no checksum of an array.
#[test]
fn the_quick_check_sees_the_frame_and_no_array() {
    let (world, settings, _) = world();
    let content = fs_err::read(world.path("cache").join(SIGNAL[0])).unwrap();
    let entry = content.windows(11).rposition(|window| window == b"\"schema\":1,").unwrap() - 1;
    let mut count = 0;
    let directory = content.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    let bytes = (entry..directory).chain(content.len() - 22..content.len());
    for byte in bytes.step_by(tally::stride(7)) {
        world.damage(SIGNAL[0], byte, 32);
        assert_eq!(found(&settings, true), SIGNAL, "byte {byte}");
        world.damage(SIGNAL[0], byte, 32);
        count += 1;
    }
    world.damage(SIGNAL[0], 200, 1);
    assert!(found(&settings, true).is_empty(), "a byte of an array");
    world.damage(SIGNAL[0], 200, 1);
    tally::count("byte of a frame, quick check", count);
}

#[test]
fn repair_moves_every_name_aside_and_build_brings_the_bytes_back() {
    let (world, settings, oracle) = world();
    let right = world.picture();
    let total = bits(&world, SIGNAL[0]);
    let mut count = 0;
    for bit in (3..total).step_by(tally::stride(10) * 67) {
        world.damage(SIGNAL[0], bit / 8, 1 << (bit % 8));
        let inode = fs_err::metadata(world.path("cache").join(SIGNAL[0])).unwrap().ino();
        let report = repair_all(&settings).unwrap();
        assert_eq!((report.damaged.len(), report.moved.len()), (3, 3), "bit {bit}: {report:?}");
        for moved in &report.moved {
            assert_eq!(fs_err::metadata(moved).unwrap().ino(), inode, "moved, not copied or written");
            let reason = fs_err::read_to_string(format!("{moved}.reason.txt")).unwrap();
            let lines: Vec<&str> = reason.lines().collect();
            assert!(lines[0].ends_with("/train/a_1.npz") && !lines[1].is_empty(), "{reason}");
            assert!(lines[2].starts_with("moved ") && lines[2].ends_with(" ns after 1970-01-01"), "{reason}");
        }
        assert!(SIGNAL.iter().all(|name| !world.path("cache").join(name).exists()));
        for (profile, variant) in [("full", Variant::default()), ("smoke", Variant::default())] {
            let settings = world.settings(profile, variant);
            assert_eq!(world.state(&settings), State::Incomplete);
            build_profile(&settings).unwrap();
        }
        build_profile(&world.settings("full", RELABELLED)).unwrap();
        assert!(world.picture() == right, "bit {bit}");
        fs_err::remove_dir_all(world.path("cache/.damaged")).unwrap();
        count += 1;
    }
    assert!(world.picture().iter().all(|(name, digest)| is_known(&oracle, name, *digest)));
    tally::count("repaired bit", count);
}

/// A damaged file that could be written is not passed on: it may only be linked after it was hashed.
#[test]
fn a_damaged_file_that_is_writable_is_not_linked() {
    let (world, settings, oracle) = world();
    fs_err::remove_dir_all(world.path("cache/smoke")).unwrap();
    world.damage(SIGNAL[0], 200, 1);
    set_mode(&world.path("cache").join(SIGNAL[0]), 0o644);
    build_profile(&world.settings("smoke", Variant::default())).unwrap();
    for (name, digest) in world.picture() {
        assert!(name.starts_with("full") || is_known(&oracle, &name, digest), "{name}");
    }
    assert_eq!(found(&settings, false), SIGNAL[..2]);
}
