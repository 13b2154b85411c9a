//! What a fault at any single operation, or a death at any moment, leaves behind.

use super::dir::fault::{Plan, plan};
use super::{Line, ManifestState, MemoLine, Store, Wait};
use crate::error::Result;
use crate::model::artifact::{LabelFacts, SignalFacts};
use crate::model::id::{Digest, ProfileName, Split, VersionName};
use crate::model::inventory::Stamp;
use crate::model::manifest::{
    Annotation, Entry, Files, History, Identity, LabelStatus, MANIFEST_SCHEMA, Made, Manifest, Source,
};
use crate::model::quality::Quality;
use crate::model::recipe::Dtype;
use crate::model::recording::Signal;
use crate::model::settings::LinkMethod;
use crate::model::stem::Stem;
use crate::model::units::{Rate, Seconds};
use ndarray::Array2;
use rustix::io::Errno;
use std::collections::BTreeMap;

pub(super) fn names() -> (ProfileName, VersionName, VersionName) {
    (ProfileName::new("full").unwrap(), VersionName::new("v1").unwrap(), VersionName::new("v2").unwrap())
}

fn identity() -> Identity {
    let digest = Digest::of(b"x");
    Identity { dataset: "demo".to_owned(), signal: digest, labels: digest, splits: digest }
}

fn facts(samples: u64) -> (SignalFacts, LabelFacts) {
    let (id, rate, digest) = (Stem::parse("a").unwrap(), Rate::new(256, 1).unwrap(), Digest::of(b"x"));
    let signal = SignalFacts {
        id: id.clone(),
        fingerprint: digest,
        source_sha256: digest,
        arrays: BTreeMap::new(),
        samples,
        rate_hz: rate,
        input_rate_hz: rate,
        offset_s: Seconds::ZERO,
        ends_s: None,
        gaps: vec![],
        interpolated: vec![],
        quality: Some(Box::default()),
        notes: vec![],
        part: None,
    };
    let labels = LabelFacts {
        id,
        fingerprint: digest,
        source_sha256: digest,
        annotation_sha256: vec![digest],
        listed_as: None,
        arrays: BTreeMap::new(),
        samples,
        rate_hz: rate,
        status: LabelStatus::LabelledEmpty,
        events: vec![],
        notes: vec![],
        part: None,
    };
    (signal, labels)
}

fn signal(samples: usize) -> Signal {
    Signal {
        data: Array2::from_shape_fn((1, samples), |(_, sample)| sample as f32),
        channels: vec!["Cz".to_owned()],
        rate: Rate::new(256, 1).unwrap(),
        scale: vec![[0.0, 1.0]],
        interpolated: vec![],
        input_rate: Rate::new(256, 1).unwrap(),
        quality: Quality::default(),
        notes: vec![],
        gaps: vec![],
    }
}

pub(super) fn manifest(version: &VersionName, entry: Entry) -> Manifest {
    Manifest {
        schema: MANIFEST_SCHEMA,
        profile: names().0,
        version: version.clone(),
        identity: identity(),
        recipe: serde_json::Value::Null,
        builder: "0".to_owned(),
        revisions: BTreeMap::new(),
        licence: String::new(),
        subset: "all_files".to_owned(),
        durable: true,
        membership: vec![],
        totals: BTreeMap::new(),
        entries: vec![std::sync::Arc::new(entry)],
        quarantine: vec![],
        history: History::default(),
    }
}

pub(super) fn entry(files: Files) -> Entry {
    let rate = Rate::new(256, 1).unwrap();
    Entry {
        id: Stem::parse("a").unwrap(),
        split: Split::Train,
        subject: "s".to_owned(),
        source: Source { path: "a.edf".to_owned(), bytes: 1, sha256: Digest::of(b"x") },
        annotation: Annotation { files: vec![], status: LabelStatus::LabelledEmpty, listed_as: None },
        files,
        samples: 4,
        rate_hz: rate,
        events: vec![],
        interpolated: vec![],
        notes: vec![],
        made: Made { signal: "built".to_owned(), labels: None },
        part: None,
        gaps: vec![],
        quality: None,
    }
}

/// One recording built in `v1` and linked into `v2`, from lock to commit.
fn build(store: &Store) -> Result<()> {
    let (profile, first, second) = names();
    let writer = store.lock(&profile, &first, Wait::No, &|_| true)?;
    writer.begin(&identity(), &serde_json::Value::Null)?;
    let stamp = Stamp { bytes: 1, mtime_ns: 1, ctime_ns: 1, inode: 1 };
    let line = MemoLine { path: "a.edf".to_owned(), stamp, sha256: Digest::of(b"x"), began_ns: 1 };
    writer.remember("demo", &[line])?;
    let (signal_facts, label_facts) = facts(4);
    let signal_record = writer.write_signal(Split::Train, &signal(4), Dtype::Float32, signal_facts)?;
    let labels = writer.write_labels(Split::Train, &[0; 4], label_facts)?;
    let entry = entry(Files { signal: signal_record.clone(), labels: Some(labels) });
    writer.record(&Line::Entry(Box::new(entry.clone())))?;
    writer.commit(&manifest(&first, entry.clone()), true)?;
    drop(writer);

    let writer = store.lock(&profile, &second, Wait::No, &|_| true)?;
    writer.begin(&identity(), &serde_json::Value::Null)?;
    for record in entry.files.iter() {
        writer.link(&store.version_dir(&profile, &first).join(&record.name), record, &LinkMethod::ALL)?;
    }
    writer.record(&Line::Entry(Box::new(entry.clone())))?;
    writer.commit(&manifest(&second, entry), true)?;
    Ok(())
}

/// Every finished file as (version and name, digest); each must be whole.
fn finished(store: &Store) -> BTreeMap<String, Digest> {
    let (profile, first, second) = names();
    let mut found = BTreeMap::new();
    for version in [first, second] {
        let names: Vec<_> = store.files(&profile, &version).unwrap().into_keys().collect();
        for scanned in store.scan(&profile, &version, &names).unwrap() {
            let (record, _) = scanned.outcome.unwrap_or_else(|why| panic!("{}: {why}", scanned.name));
            found.insert(format!("{version}/{}", record.name), record.sha256);
        }
        let held = store.load(&profile, &version).unwrap();
        assert!(!matches!(held.manifest, ManifestState::Damaged(_)), "{:?}", held.manifest);
        for record in held.entries.values().flat_map(|entry| entry.files.iter()) {
            let name = format!("{version}/{}", record.name);
            assert_eq!(found.get(&name), Some(&record.sha256), "claimed but not there: {name}");
        }
    }
    found
}

fn temporaries(store: &Store) -> usize {
    let (profile, first, second) = names();
    let count = |version| {
        let dir = store.version_dir(&profile, version).join(".build/tmp");
        fs_err::read_dir(dir).map_or(0, Iterator::count)
    };
    count(&first) + count(&second)
}

/// A fault at the k-th operation, for every k: nothing half-done is ever taken for finished, and the
/// next build ends with the bytes of an undisturbed one.
#[test]
fn any_fault_and_any_death_is_survived() {
    // In memory, where there is such a place: hundreds of builds with all their syncs.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let undisturbed = Store::new(dir.path().join("undisturbed"));
    plan(None);
    build(&undisturbed).unwrap();
    let operations = plan(None).len();
    let right = finished(&undisturbed);
    assert_eq!((right.len(), operations > 80), (4, true), "{operations} operations");
    for (forever, code) in [(true, Errno::IO), (false, Errno::NOSPC), (false, Errno::OPNOTSUPP)] {
        for at in 0..operations {
            let store = Store::new(dir.path().join(format!("{}-{forever}-{at}", code.raw_os_error())));
            plan(Some(Plan { at, forever, fault: code.into() }));
            let outcome = build(&store);
            let log = plan(None);
            let what = format!("{code} at {at} ({:?}), forever: {forever}", log.get(at));
            // Setting `latest` is the last step, and the only one that may fail without failing the build.
            assert!(outcome.is_err() || !forever || ["symlink", "rename"].contains(&log[at]), "{what}");
            let before = finished(&store);
            assert!(before.iter().all(|(name, digest)| right.get(name) == Some(digest)), "{what}");
            build(&store.clone().without_fsync()).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(finished(&store), right, "{what}");
            assert_eq!(temporaries(&store), 0, "{what}");
        }
    }
}

/// Entry durable before journal line durable before manifest durable.
#[test]
fn the_order_of_operations_is_the_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().join("cache"));
    plan(None);
    build(&store).unwrap();
    let log = plan(None);
    let start = log.iter().position(|operation| *operation == "write memo").unwrap();
    let end = log.iter().position(|operation| *operation == "rename new").unwrap_or(log.len());
    let mut shown: Vec<&str> = log[start + 1..end].to_vec();
    shown.retain(|operation| !operation.starts_with("stat") && *operation != "write memo");
    shown.dedup();
    let until_second_lock = shown.iter().position(|operation| *operation == "make root").unwrap();
    insta::assert_snapshot!(shown[..until_second_lock].join(", "), @"open file, write, set mode, sync file, link, unlink, open file, write, set mode, sync file, link, unlink, sync directory, write journal, sync data, list directory, open file, write, set mode, sync file, rename, unlink, sync directory, unlink, symlink, rename");
}

/// An error of fsync is final: the file does not appear, and nobody asks a second time.
#[test]
fn a_failed_sync_is_final() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().join("cache"));
    let (profile, version, _) = names();
    let writer = store.lock(&profile, &version, Wait::No, &|_| true).unwrap();
    plan(None);
    let write = || writer.write_signal(Split::Train, &signal(4), Dtype::Float32, facts(4).0);
    write().unwrap();
    let at = plan(None).iter().position(|operation| *operation == "sync file").unwrap();
    writer.remove("train/a.npz").unwrap();
    plan(Some(Plan { at, forever: false, fault: Errno::IO.into() }));
    let error = write().unwrap_err().to_string();
    let log = plan(None);
    assert!(error.starts_with("cannot sync `") && error.contains("/.build/tmp/"), "{error}");
    assert_eq!(log[at..], ["sync file", "unlink"]);
    assert!(finished(&store).is_empty());
    assert_eq!(temporaries(&store), 0);
    // The journal of a failed sync is left, and the next line goes to a new one.
    let line = Line::Removed { name: "train/a.npz".to_owned() };
    writer.record(&line).unwrap();
    plan(None);
    writer.record(&line).unwrap();
    let at = plan(None).iter().position(|operation| *operation == "sync data").unwrap();
    plan(Some(Plan { at, forever: false, fault: Errno::IO.into() }));
    assert!(writer.record(&line).is_err());
    plan(None);
    writer.record(&line).unwrap();
    assert_eq!(store.load(&profile, &version).unwrap().journals, 2);
}

/// Without hard links a file is published by a rename that replaces nothing.
#[test]
fn publishing_works_without_hard_links() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().join("cache"));
    let (profile, version, _) = names();
    let writer = store.lock(&profile, &version, Wait::No, &|_| true).unwrap();
    plan(None);
    let write = || writer.write_signal(Split::Train, &signal(4), Dtype::Float32, facts(4).0);
    let record = write().unwrap();
    let at = plan(None).iter().position(|operation| *operation == "link").unwrap();
    for is_there in [true, false] {
        if !is_there {
            writer.remove("train/a.npz").unwrap();
        }
        plan(Some(Plan { at, forever: false, fault: Errno::PERM.into() }));
        assert_eq!(write().unwrap(), record);
        assert!(plan(None).contains(&"rename new"));
        assert_eq!((finished(&store).len(), temporaries(&store)), (1, 0));
    }
}
