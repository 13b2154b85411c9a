//! The store from outside: what stands on disk, what is refused, and what every kind of damage comes to.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test stops where it cannot go on, and says what it skips"
)]

use crate::project::sealed;
use eegcache::error::Error;
use eegcache::model::artifact::{Facts, LabelFacts, SignalFacts};
use eegcache::model::failure::{FailureClass, Note};
use eegcache::model::id::{Digest, ProfileName, Split, VersionName};
use eegcache::model::inventory::Stamp;
use eegcache::model::manifest::{
    Annotation, Entry, Event, FileRecord, Files, History, Identity, LabelStatus, MANIFEST_SCHEMA, Made,
    Manifest, Member, Memory, Quarantined, Source,
};
use eegcache::model::quality::Quality;
use eegcache::model::recipe::Dtype;
use eegcache::model::recording::Signal;
use eegcache::model::settings::LinkMethod;
use eegcache::model::stem::Stem;
use eegcache::model::units::{Rate, Seconds};
use eegcache::store::{Line, ManifestState, MemoLine, Store, Wait, Writer, layout};
use ndarray::Array2;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

struct Bench {
    _dir: tempfile::TempDir,
    outside: PathBuf,
    store: Store,
}

fn profile() -> ProfileName {
    ProfileName::new("full").unwrap()
}

fn version() -> VersionName {
    VersionName::new("v1_256hz_10-20").unwrap()
}

fn id(text: &str) -> Stem {
    Stem::parse(text).unwrap()
}

fn rate() -> Rate {
    Rate::new(256, 1).unwrap()
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs_err::create_dir(&outside).unwrap();
        let store = Store::new(dir.path().join("cache")).without_fsync();
        Self { _dir: dir, outside, store }
    }

    fn writer(&self) -> Writer {
        self.writer_of(&version())
    }

    fn writer_of(&self, version: &VersionName) -> Writer {
        let never = |holder: &str| -> bool { panic!("nobody else is here: {holder}") };
        let writer = self.store.lock(&profile(), version, Wait::No, &never).unwrap();
        writer.begin(&identity(), &serde_json::json!({"step": "none"})).unwrap();
        writer
    }

    fn dir(&self) -> PathBuf {
        self.store.version_dir(&profile(), &version())
    }

    fn scan(&self, name: &str) -> Result<(FileRecord, Facts), String> {
        let found = self.store.scan_one(&profile(), &version(), name).map_err(|error| error.to_string())?;
        found.ok_or("it is gone".to_owned())?.outcome
    }
}

fn identity() -> Identity {
    let digest = |text: &str| Digest::of(text.as_bytes());
    Identity { dataset: "demo".to_owned(), signal: digest("s"), labels: digest("l"), splits: digest("p") }
}

fn signal(rows: usize, samples: usize) -> Signal {
    let names = ["Fp1", "F3", "µ-Cz"];
    Signal {
        data: Array2::from_shape_fn((rows, samples), |(row, sample)| {
            (row as f32 + 1.0) * 0.1 * sample as f32 - 1.5
        }),
        channels: (0..rows).map(|row| names[row % 3].to_owned()).collect(),
        rate: rate(),
        scale: (0..rows).map(|row| [row as f64, 0.5]).collect(),
        interpolated: vec!["F3".to_owned()],
        input_rate: Rate::new(512, 3).unwrap(),
        quality: Quality::default(),
        gaps: vec![],
        notes: vec![],
    }
}

fn signal_facts(name: &str, samples: u64) -> SignalFacts {
    SignalFacts {
        id: id(name),
        fingerprint: identity().signal,
        source_sha256: Digest::of(b"source"),
        arrays: BTreeMap::new(),
        samples,
        rate_hz: rate(),
        input_rate_hz: Rate::new(512, 3).unwrap(),
        offset_s: Seconds::parse("0.25").unwrap(),
        ends_s: None,
        gaps: vec![],
        interpolated: vec!["F3".to_owned()],
        quality: Some(Box::new(Quality {
            reference: Some("REF".to_owned()),
            mains_ratio: Some(0.25),
            ..Quality::default()
        })),
        notes: vec![Note::new("dc-transient", "at 1 s")],
        part: None,
    }
}

fn label_facts(name: &str, samples: u64) -> LabelFacts {
    LabelFacts {
        id: id(name),
        fingerprint: identity().labels,
        source_sha256: Digest::of(b"source"),
        annotation_sha256: vec![Digest::of(b"csv")],
        listed_as: None,
        arrays: BTreeMap::new(),
        samples,
        rate_hz: rate(),
        status: LabelStatus::Labelled,
        events: events(),
        notes: vec![],
        part: None,
    }
}

fn events() -> Vec<Event> {
    vec![Event { start: 1, end: 3, code: "fnsz".to_owned(), channels: vec!["F3".to_owned()] }]
}

fn write_pair(writer: &Writer, name: &str) -> (FileRecord, FileRecord) {
    let signal_record =
        writer.write_signal(Split::Train, &signal(2, 5), Dtype::Float32, signal_facts(name, 5)).unwrap();
    let labels = writer.write_labels(Split::Train, &[0, 1, 1, 0, 0], label_facts(name, 5)).unwrap();
    (signal_record, labels)
}

fn entry(name: &str, (signal, labels): (FileRecord, FileRecord)) -> Entry {
    let source = |path: String| Source { path, bytes: 6, sha256: Digest::of(b"source") };
    Entry {
        id: id(name),
        split: Split::Train,
        subject: "s".to_owned(),
        source: source(format!("train/{name}.edf")),
        annotation: Annotation {
            files: vec![source(format!("train/{name}.csv"))],
            status: LabelStatus::Labelled,
            listed_as: None,
        },
        files: Files { signal, labels: Some(labels) },
        samples: 5,
        rate_hz: rate(),
        events: events(),
        interpolated: vec![],
        notes: vec![],
        made: Made { signal: "built".to_owned(), labels: Some("built".to_owned()) },
        part: None,
        gaps: vec![],
        quality: None,
    }
}

fn quarantined(name: &str) -> Quarantined {
    Quarantined {
        name: name.to_owned(),
        split: Split::Val,
        path: format!("val/{name}.edf"),
        class: FailureClass::Flat,
        message: "channel `Cz` is flat".to_owned(),
        memory: Memory {
            bytes: 1,
            source: None,
            annotation: None,
            listed_as: None,
            signal: Digest::of(b"s"),
            labels: Digest::of(b"l"),
            reader_revision: 1,
        },
    }
}

fn manifest(entries: Vec<Entry>, quarantine: Vec<Quarantined>) -> Manifest {
    Manifest {
        schema: MANIFEST_SCHEMA,
        profile: profile(),
        version: version(),
        identity: identity(),
        recipe: serde_json::json!({"step": "none"}),
        builder: "0.1.0".to_owned(),
        revisions: BTreeMap::from([("container".to_owned(), 1)]),
        licence: "none".to_owned(),
        subset: "all_files".to_owned(),
        durable: false,
        membership: entries.iter().map(|e| Member { name: e.id.to_string(), split: e.split }).collect(),
        totals: BTreeMap::new(),
        entries: entries.into_iter().map(std::sync::Arc::new).collect(),
        quarantine,
        history: History::default(),
    }
}

/// Writes into a finished file as a disk or a careless person would.
fn overwrite(path: &Path, bytes: &[u8]) {
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    fs_err::write(path, bytes).unwrap();
}

/// Writes into a file in place, which is far faster than writing it anew thousands of times.
fn poke(path: &Path, at: usize, bytes: &[u8]) {
    let file = fs_err::OpenOptions::new().write(true).open(path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(file.file(), bytes, at as u64).unwrap();
}

fn cut(path: &Path, bytes: usize) {
    fs_err::OpenOptions::new().write(true).open(path).unwrap().set_len(bytes as u64).unwrap();
}

/// Every path below `root` with what it holds.
fn tree(root: &Path) -> Vec<(PathBuf, String)> {
    let walk = walkdir::WalkDir::new(root).sort_by_file_name().into_iter().filter_map(Result::ok);
    walk.map(|found| {
        let content = if found.file_type().is_file() { fs_err::read(found.path()).unwrap() } else { vec![] };
        (found.path().to_owned(), Digest::of(&content).to_string())
    })
    .collect()
}

// ---- the container --------------------------------------------------------------------------------

/// Changes with any byte of the container; then `model::recipe::CONTAINER_REVISION` has to rise.
#[test]
fn tiny_artifacts_have_known_bytes() {
    let bench = Bench::new();
    let writer = bench.writer();
    let (signal_record, labels) = write_pair(&writer, "a");
    let half = writer.write_signal(Split::Val, &signal(2, 5), Dtype::Float16, signal_facts("a", 5)).unwrap();
    let found: Vec<_> =
        [&signal_record, &labels, &half].map(|r| format!("{} {} {}", r.name, r.bytes, r.sha256)).into();
    insta::assert_snapshot!(found.join("\n"), @r"
    train/a.npz 1989 d4c14079fc2f8c414b5b194ffce85757e5cff94cce6db96e03790002d7aea98f
    train/a.labels.npz 868 7fe82954bb0b2a4c4ba2ab0d708a122da3718e880eb7fa1307b2750a1146328b
    val/a.npz 1989 c631425343923576871920cc8f0fc20bec7d12545810a2edbb6ba7385046c1d4
    ");
    for record in [&signal_record, &labels, &half] {
        let bytes = fs_err::read(bench.dir().join(&record.name)).unwrap();
        assert_eq!((bytes.len() as u64, Digest::of(&bytes)), (record.bytes, record.sha256));
        assert_eq!(bench.scan(&record.name).unwrap().0, *record);
    }
}

#[test]
fn any_memory_layout_gives_the_same_bytes() {
    let bench = Bench::new();
    let writer = bench.writer();
    let (first, _) = write_pair(&writer, "a");
    let mut other = signal(2, 5);
    other.data = other.data.t().as_standard_layout().into_owned().reversed_axes();
    assert!(!other.data.is_standard_layout());
    let second = writer.write_signal(Split::Val, &other, Dtype::Float32, signal_facts("a", 5)).unwrap();
    assert_eq!(first.sha256, second.sha256);
}

#[test]
fn numpy_opens_every_file() {
    let bench = Bench::new();
    let writer = bench.writer();
    write_pair(&writer, "a");
    writer.write_signal(Split::Val, &signal(3, 100_000), Dtype::Float16, signal_facts("h", 100_000)).unwrap();
    writer.write_signal(Split::Eval, &signal(1, 0), Dtype::Float32, signal_facts("e", 0)).unwrap();
    python(include_str!("store_numpy.py"), &[bench.dir().as_os_str()]);
}

/// Runs a script with the Python of `EEGCACHE_PYTHON`, else `python3`, if it has `NumPy`.
fn python(script: &str, arguments: &[&std::ffi::OsStr]) {
    let python = std::env::var_os("EEGCACHE_PYTHON").unwrap_or_else(|| "python3".into());
    let has_numpy =
        Command::new(&python).args(["-c", "import numpy"]).output().is_ok_and(|out| out.status.success());
    if !has_numpy {
        eprintln!("skipped: {} has no numpy", python.display());
        return;
    }
    let out = Command::new(&python).arg("-c").arg(script).args(arguments).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn facts_and_members_are_read_without_the_arrays() {
    let bench = Bench::new();
    let (record, labels) = write_pair(&bench.writer(), "a");
    let facts = bench.store.facts(&profile(), &version(), &record.name).unwrap();
    let Facts::Signal(facts) = facts else { panic!("a signal") };
    assert_eq!(
        facts.arrays.keys().map(String::as_str).collect::<Vec<_>>(),
        ["channels", "rate_hz", "scale", "signal"]
    );
    assert_eq!(SignalFacts { arrays: BTreeMap::new(), ..facts }, signal_facts("a", 5));
    let (file, archive) = bench.store.open(&profile(), &version(), &labels.name).unwrap();
    let labels = archive.members[0];
    let mut data = [9; 5];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut data, labels.offset + labels.bytes - 5).unwrap();
    assert_eq!(data, [0, 1, 1, 0, 0]);
}

#[test]
fn every_flipped_bit_of_a_file_is_found() {
    let bench = Bench::new();
    let (signal_record, labels) = write_pair(&bench.writer(), "a");
    for record in [signal_record, labels] {
        let path = bench.dir().join(&record.name);
        let good = fs_err::read(&path).unwrap();
        overwrite(&path, &[&good[..], b"\0"].concat());
        assert!(bench.scan(&record.name).is_err(), "one byte more");
        cut(&path, good.len());
        for bit in 0..good.len() * 8 {
            let (byte, mask) = (bit / 8, 1 << (bit % 8));
            poke(&path, byte, &[good[byte] ^ mask]);
            assert!(bench.scan(&record.name).is_err(), "mask {mask} in byte {byte} of {}", record.name);
            poke(&path, byte, &[good[byte]]);
        }
        assert!(bench.scan(&record.name).is_ok());
        for end in (0..good.len()).rev() {
            cut(&path, end);
            assert!(bench.scan(&record.name).is_err(), "cut at {end}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hostile_bytes_never_panic(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), tail in any::<bool>()) {
        thread_local!(static GOOD: (Bench, FileRecord, Vec<u8>) = {
            let bench = Bench::new();
            let (record, _) = write_pair(&bench.writer(), "a");
            let bytes = fs_err::read(bench.dir().join(&record.name)).unwrap();
            (bench, record, bytes)
        });
        GOOD.with(|(bench, record, good)| {
            let mut bytes = good.clone();
            // Half of the cases go for the directory at the end, where the numbers are.
            let start = if tail { bytes.len() - 340 } else { 0 };
            for (at, value) in &edits {
                let at = start + at.index(bytes.len() - start);
                bytes[at] = *value;
            }
            let path = bench.dir().join(&record.name);
            fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            poke(&path, 0, &bytes);
            let found = bench.scan(&record.name);
            let _ = bench.store.facts(&profile(), &version(), &record.name);
            poke(&path, 0, good);
            assert_eq!(found.is_ok(), bytes == *good);
        });
    }
}

#[test]
fn a_file_under_another_name_is_damaged() {
    let bench = Bench::new();
    write_pair(&bench.writer(), "a");
    let dir = bench.dir().join("train");
    fs_err::rename(dir.join("a.npz"), dir.join("b.npz")).unwrap();
    fs_err::copy(dir.join("a.labels.npz"), dir.join("c.npz")).unwrap();
    insta::assert_snapshot!(bench.scan("train/b.npz").unwrap_err(), @"its `entry.json` says that it is `a.npz`");
    insta::assert_snapshot!(bench.scan("train/c.npz").unwrap_err(), @"its `entry.json` says that it is `a.labels.npz`");
    let error = bench.store.facts(&profile(), &version(), "train/b.npz").unwrap_err().to_string();
    let error = error.replace(bench.dir().to_str().unwrap(), "…");
    insta::assert_snapshot!(error, @"damaged cache: `…/train/b.npz`: its `entry.json` says that it is `a.npz`");
}

#[test]
fn what_no_reader_would_accept_is_not_written() {
    let bench = Bench::new();
    let writer = bench.writer();
    assert!(writer.write_signal(Split::Train, &signal(2, 5), Dtype::Float32, signal_facts("a", 6)).is_err());
    let short = Signal { scale: vec![], ..signal(2, 5) };
    assert!(writer.write_signal(Split::Train, &short, Dtype::Float32, signal_facts("a", 5)).is_err());
    assert!(writer.write_labels(Split::Train, &[0; 4], label_facts("a", 5)).is_err());
    assert!(bench.store.files(&profile(), &version()).unwrap().is_empty());
}

// ---- publishing -----------------------------------------------------------------------------------

#[test]
fn finished_files_are_read_only_and_leave_no_temporary() {
    let bench = Bench::new();
    let (record, _) = write_pair(&bench.writer(), "a");
    let stat = fs_err::metadata(bench.dir().join(&record.name)).unwrap();
    assert_eq!((stat.mode() & 0o222, stat.mode() & 0o400, stat.nlink()), (0, 0o400, 1));
    assert_eq!(fs_err::read_dir(bench.dir().join(".build/tmp")).unwrap().count(), 0);
    let tag = fs_err::read_to_string(bench.store.root().join(layout::TAG)).unwrap();
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
}

type Change = fn(&Bench, &Path);

/// What stands under the name, and what becomes of it.
#[test]
fn a_name_that_exists_is_judged() {
    let good = |bench: &Bench| fs_err::read(bench.dir().join("train/a.npz")).unwrap();
    let cases: [(&str, Change, bool); 6] = [
        ("equal bytes", |_, _| {}, true),
        (
            "a damaged byte",
            |_, path| {
                let mut bytes = fs_err::read(path).unwrap();
                bytes[200] ^= 1;
                overwrite(path, &bytes);
            },
            false,
        ),
        ("nothing in it", |_, path| overwrite(path, b""), false),
        (
            "a link to the outside",
            |bench, path| {
                fs_err::rename(path, bench.outside.join("a.npz")).unwrap();
                symlink(bench.outside.join("a.npz"), path).unwrap();
            },
            false,
        ),
        (
            "a file of other sources",
            |bench, path| {
                fs_err::remove_file(path).unwrap();
                let facts = SignalFacts { source_sha256: Digest::of(b"older"), ..signal_facts("a", 5) };
                bench.writer().write_signal(Split::Train, &signal(2, 5), Dtype::Float32, facts).unwrap();
            },
            false,
        ),
        (
            "a file of another recipe",
            |bench, path| {
                fs_err::remove_file(path).unwrap();
                let facts = SignalFacts { fingerprint: Digest::of(b"older"), ..signal_facts("a", 5) };
                bench.writer().write_signal(Split::Train, &signal(2, 5), Dtype::Float32, facts).unwrap();
            },
            false,
        ),
    ];
    for (what, change, stays) in cases {
        let bench = Bench::new();
        let (record, _) = write_pair(&bench.writer(), "a");
        let bytes = good(&bench);
        change(&bench, &bench.dir().join("train/a.npz"));
        let inode = fs_err::symlink_metadata(bench.dir().join("train/a.npz")).unwrap().ino();
        let writer = bench.writer();
        let again =
            writer.write_signal(Split::Train, &signal(2, 5), Dtype::Float32, signal_facts("a", 5)).unwrap();
        assert_eq!((again, good(&bench)), (record, bytes), "{what}");
        let stat = fs_err::symlink_metadata(bench.dir().join("train/a.npz")).unwrap();
        assert_eq!((stat.is_file(), stat.ino() == inode), (true, stays), "{what}");
        let journals: String =
            journals(&bench).iter().map(|path| fs_err::read_to_string(path).unwrap()).collect();
        let replaced = journals.contains(r#"{"kind":"replacing","name":"train/a.npz"}"#);
        assert_eq!(replaced, !stays, "{what}: {journals}");
        assert_eq!(fs_err::read_dir(bench.dir().join(".build/tmp")).unwrap().count(), 0, "{what}");
    }
}

/// Another program version may have made other bytes from the same recipe and sources: they are good, and stay.
#[test]
fn a_good_file_of_the_same_recipe_and_sources_stays() {
    let bench = Bench::new();
    let writer = bench.writer();
    let (record, _) = write_pair(&writer, "a");
    let other = SignalFacts { notes: vec![], ..signal_facts("a", 5) };
    let found = writer.write_signal(Split::Train, &signal(2, 5), Dtype::Float32, other).unwrap();
    assert_eq!(found, record);
    assert_eq!(bench.scan("train/a.npz").unwrap().0, record);
}

#[test]
fn many_writers_of_one_recording_agree() {
    let bench = Bench::new();
    let writer = bench.writer();
    let records = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for name in ["a", "b", "c", "d"] {
                    let record = write_pair(&writer, name);
                    records.lock().unwrap().push((name, record));
                }
            });
        }
    });
    let records = records.into_inner().unwrap();
    for (name, record) in &records {
        assert_eq!(*record, write_pair(&writer, name));
    }
    assert_eq!(bench.store.files(&profile(), &version()).unwrap().len(), 8);
}

#[test]
fn removing_is_idempotent() {
    let bench = Bench::new();
    let writer = bench.writer();
    write_pair(&writer, "a");
    writer.remove("train/a.npz").unwrap();
    writer.remove("train/a.npz").unwrap();
    let left: Vec<_> = bench.store.files(&profile(), &version()).unwrap().into_keys().collect();
    assert_eq!(left, ["train/a.labels.npz"]);
}

// ---- links ----------------------------------------------------------------------------------------

fn other_version() -> VersionName {
    VersionName::new("v2").unwrap()
}

fn link(bench: &Bench, record: &FileRecord, methods: &[LinkMethod]) -> Result<LinkMethod, Error> {
    bench.writer_of(&other_version()).link(&bench.dir().join(&record.name), record, methods)
}

#[test]
fn every_link_method_gives_the_same_file() {
    for methods in [&[LinkMethod::Hardlink][..], &[LinkMethod::Copy], &LinkMethod::ALL] {
        let bench = Bench::new();
        let (record, _) = write_pair(&bench.writer(), "a");
        let used = link(&bench, &record, methods).unwrap();
        assert!(methods.contains(&used));
        let from = fs_err::metadata(bench.dir().join(&record.name)).unwrap();
        let to = bench.store.version_dir(&profile(), &other_version()).join(&record.name);
        let stat = fs_err::metadata(&to).unwrap();
        assert_eq!(used == LinkMethod::Hardlink, stat.ino() == from.ino());
        assert_eq!((stat.mode(), Digest::of(&fs_err::read(&to).unwrap())), (from.mode(), record.sha256));
        assert_eq!(link(&bench, &record, methods).unwrap(), used, "a second time");
        let left =
            fs_err::read_dir(to.parent().unwrap().parent().unwrap().join(".build/tmp")).unwrap().count();
        assert_eq!(left, 0);
    }
}

#[test]
fn a_link_across_file_systems_is_a_copy() {
    let bench = Bench::new();
    let (record, _) = write_pair(&bench.writer(), "a");
    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else {
        eprintln!("skipped: no second file system");
        return;
    };
    if fs_err::metadata(elsewhere.path()).unwrap().dev() == fs_err::metadata(bench.dir()).unwrap().dev() {
        eprintln!("skipped: no second file system");
        return;
    }
    let store = Store::new(elsewhere.path().join("cache")).without_fsync();
    let writer = store.lock(&profile(), &version(), Wait::No, &|_| true).unwrap();
    let from = bench.dir().join(&record.name);
    assert_eq!(writer.link(&from, &record, &LinkMethod::ALL).unwrap(), LinkMethod::Copy);
    let none = writer.link(&from, &record, &[LinkMethod::Reflink, LinkMethod::Hardlink]).unwrap_err();
    assert!(
        none.to_string().contains("none of the link methods works here (reflink, hardlink): add `copy`"),
        "{none}"
    );
}

#[test]
fn a_file_that_is_not_its_record_is_not_linked() {
    let bench = Bench::new();
    let (record, _) = write_pair(&bench.writer(), "a");
    let path = bench.dir().join(&record.name);
    let good = fs_err::read(&path).unwrap();
    let refused = |methods: &[LinkMethod]| {
        let error = link(&bench, &record, methods).unwrap_err();
        let there = bench.store.files(&profile(), &other_version()).unwrap();
        assert!(there.is_empty(), "{there:?}");
        error.to_string().replace(bench.store.root().to_str().unwrap(), "…")
    };
    overwrite(&path, &good[1..]);
    insta::assert_snapshot!(refused(&LinkMethod::ALL), @"damaged cache: `…/full/v1_256hz_10-20/train/a.npz`: it has 1988 bytes where its record says 1989");
    // Right in size but writable, so its content is compared: a link would share the damage.
    let mut bytes = good.clone();
    bytes[300] ^= 1;
    overwrite(&path, &bytes);
    insta::assert_snapshot!(refused(&[LinkMethod::Hardlink]), @"damaged cache: `…/full/v1_256hz_10-20/train/a.npz`: its bytes are not those of its record");
    // Read-only again: a copy is compared whatever the mode.
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
    insta::assert_snapshot!(refused(&[LinkMethod::Copy]), @"damaged cache: `…/full/v1_256hz_10-20/train/a.npz`: its bytes are not those of its record");
    fs_err::remove_file(&path).unwrap();
    assert!(
        refused(&LinkMethod::ALL)
            .starts_with("cannot open `…/full/v1_256hz_10-20/train/a.npz`: No such file")
    );
    // Writable but right: linked, and read-only from then on.
    fs_err::write(&path, &good).unwrap();
    assert_eq!(link(&bench, &record, &[LinkMethod::Hardlink]).unwrap(), LinkMethod::Hardlink);
    assert_eq!(fs_err::metadata(&path).unwrap().mode() & 0o222, 0);
}

// ---- hostile names and links ------------------------------------------------------------------------

#[test]
fn names_never_lead_out_of_the_version() {
    let bench = Bench::new();
    let writer = bench.writer();
    let (record, _) = write_pair(&writer, "a");
    fs_err::write(bench.outside.join("x.npz"), b"precious").unwrap();
    let before = tree(&bench.outside);
    for name in [
        "../../../outside/x.npz",
        "/etc/passwd",
        "train/../../x.npz",
        "manifest.json",
        ".build/lock",
        "train/a\n.npz",
    ] {
        assert!(matches!(writer.remove(name), Err(Error::Damaged { .. })), "{name}");
        let hostile = FileRecord { name: name.to_owned(), ..record.clone() };
        let from = bench.dir().join(&record.name);
        assert!(
            matches!(writer.link(&from, &hostile, &LinkMethod::ALL), Err(Error::Damaged { .. })),
            "{name}"
        );
        assert!(bench.scan(name).is_err());
        assert!(bench.store.open(&profile(), &version(), name).is_err());
    }
    assert_eq!(tree(&bench.outside), before);
}

#[test]
fn links_inside_the_cache_are_not_followed() {
    for replaced in ["full", "full/v1_256hz_10-20", "full/v1_256hz_10-20/train", "full/v1_256hz_10-20/.build"]
    {
        let bench = Bench::new();
        write_pair(&bench.writer(), "a");
        let path = bench.store.root().join(replaced);
        fs_err::rename(&path, bench.outside.join("moved")).unwrap();
        symlink(bench.outside.join("moved"), &path).unwrap();
        let before = tree(&bench.outside);
        let error = bench.store.lock(&profile(), &version(), Wait::No, &|_| true).unwrap_err().to_string();
        assert!(error.contains("links inside a cache are not followed"), "{error}");
        if !replaced.contains("/.") {
            assert!(bench.store.files(&profile(), &version()).is_err(), "{replaced}");
            assert!(bench.scan("train/a.npz").is_err(), "{replaced}");
        }
        assert_eq!(tree(&bench.outside), before, "{replaced}");
    }
}

#[test]
fn a_link_swapped_in_under_a_writer_leads_nowhere() {
    let bench = Bench::new();
    let writer = bench.writer();
    let train = bench.dir().join("train");
    fs_err::rename(&train, bench.dir().join("away")).unwrap();
    symlink(&bench.outside, &train).unwrap();
    write_pair(&writer, "a");
    writer.remove("train/a.npz").unwrap();
    assert_eq!(fs_err::read_dir(&bench.outside).unwrap().count(), 0);
}

#[test]
fn reading_makes_nothing() {
    let bench = Bench::new();
    let (p, v) = (profile(), version());
    let root = bench.store.root().to_owned();
    assert!(bench.store.free_bytes().unwrap() > 0);
    for is_there in [false, true] {
        if is_there {
            write_pair(&bench.writer(), "a");
        }
        let before = tree(root.parent().unwrap());
        let held = bench.store.load(&p, &v).unwrap();
        assert_eq!(held.manifest, ManifestState::Absent);
        assert_eq!(bench.store.files(&p, &v).unwrap().len(), if is_there { 2 } else { 0 });
        assert_eq!(bench.store.versions(&p).unwrap().len(), usize::from(is_there));
        assert_eq!(bench.scan("train/a.npz").is_ok(), is_there);
        assert_eq!(bench.store.facts(&p, &v, "train/a.npz").is_ok(), is_there);
        assert!(bench.store.memo("demo").is_empty());
        assert_eq!(tree(root.parent().unwrap()), before);
    }
}

#[test]
fn only_finished_files_are_listed() {
    let bench = Bench::new();
    let (record, labels) = write_pair(&bench.writer(), "a");
    let train = bench.dir().join("train");
    for stray in ["x y.npz", "a.npz.tmp", ".hidden.npz", "note.txt"] {
        fs_err::write(train.join(stray), b"").unwrap();
    }
    symlink(train.join("a.npz"), train.join("link.npz")).unwrap();
    fs_err::create_dir(train.join("dir.npz")).unwrap();
    let files = bench.store.files(&profile(), &version()).unwrap();
    assert_eq!(files, BTreeMap::from([(record.name, record.bytes), (labels.name, labels.bytes)]));
}

#[test]
fn versions_are_sorted_directories() {
    let bench = Bench::new();
    for name in ["v2", "v10", "v1"] {
        let _ = bench.writer_of(&VersionName::new(name).unwrap());
    }
    let full = bench.store.root().join("full");
    symlink("v2", full.join("latest")).unwrap();
    symlink("v2", full.join("v3")).unwrap();
    fs_err::write(full.join("v4"), b"").unwrap();
    fs_err::create_dir(full.join(".hidden")).unwrap();
    let names: Vec<_> = bench.store.versions(&profile()).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["v1", "v10", "v2"]);
}

// ---- manifest and journals --------------------------------------------------------------------------

fn journals(bench: &Bench) -> Vec<PathBuf> {
    let names = fs_err::read_dir(bench.dir().join(".build")).unwrap().map(|found| found.unwrap().path());
    let mut names: Vec<_> = names.filter(|path| path.extension().is_some_and(|e| e == "jsonl")).collect();
    names.sort();
    names
}

#[test]
fn a_commit_replaces_the_journals() {
    let bench = Bench::new();
    let writer = bench.writer();
    let entries: Vec<_> = ["b", "a"].map(|name| entry(name, write_pair(&writer, name))).into();
    for entry in &entries {
        writer.record(&Line::Entry(Box::new(entry.clone()))).unwrap();
    }
    writer.record(&Line::Quarantined(quarantined("q"))).unwrap();
    let before = bench.store.load(&profile(), &version()).unwrap();
    assert_eq!((before.manifest, before.journals), (ManifestState::Absent, 1));
    assert_eq!(
        (before.identity, before.recipe),
        (Some(identity()), Some(serde_json::json!({"step": "none"})))
    );
    assert_eq!(before.entries.len(), 2);

    let committed = writer.commit(&manifest(entries.clone(), vec![quarantined("q")]), true).unwrap();
    assert_eq!(committed.notes, Vec::<String>::new());
    drop(writer);
    let after = bench.store.load(&profile(), &version()).unwrap();
    assert_eq!((after.journals, after.entries, after.quarantine), (0, before.entries, before.quarantine));
    let ManifestState::Read(read) = after.manifest else { panic!("{:?}", after.manifest) };
    let mut sorted = manifest(entries, vec![quarantined("q")]);
    sorted.entries.reverse();
    sorted.membership.reverse();
    assert_eq!(*read, sorted);
    let latest = fs_err::read_link(bench.store.root().join("full/latest")).unwrap();
    assert_eq!(latest, Path::new("v1_256hz_10-20"));
    assert_eq!(fs_err::read_dir(bench.dir().join(".build/tmp")).unwrap().count(), 0);
}

#[test]
fn latest_moves_and_its_failure_is_told() {
    let bench = Bench::new();
    let commit = |name: &str, complete| {
        let version = VersionName::new(name).unwrap();
        let manifest = Manifest { version: version.clone(), ..manifest(vec![], vec![]) };
        bench.writer_of(&version).commit(&manifest, complete).unwrap()
    };
    let latest = bench.store.root().join("full/latest");
    commit("v1", false);
    assert!(fs_err::symlink_metadata(&latest).is_err());
    commit("v1", true);
    commit("v2", true);
    assert_eq!(fs_err::read_link(&latest).unwrap(), Path::new("v2"));
    fs_err::remove_file(&latest).unwrap();
    fs_err::create_dir(&latest).unwrap();
    let notes = commit("v2", true).notes;
    assert!(notes.len() == 1 && notes[0].starts_with("`latest` could not be set: "), "{notes:?}");
}

#[test]
fn one_manifest_entry_stands_on_one_line() {
    let bench = Bench::new();
    let writer = bench.writer();
    let entries: Vec<_> = ["a", "b"].map(|name| entry(name, write_pair(&writer, name))).into();
    writer.commit(&manifest(entries, vec![]), false).unwrap();
    let text = fs_err::read_to_string(bench.dir().join("manifest.json")).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with(r#"{"id":"#)).count(), 2, "{text}");
    assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["checksum"].is_string());
}

#[test]
fn every_flipped_bit_of_a_manifest_is_found() {
    let bench = Bench::new();
    let writer = bench.writer();
    let entries = vec![entry("a", write_pair(&writer, "a"))];
    writer.commit(&manifest(entries, vec![quarantined("q")]), false).unwrap();
    let path = bench.dir().join("manifest.json");
    let good = fs_err::read(&path).unwrap();
    let state = || bench.store.load(&profile(), &version()).unwrap().manifest;
    for bit in 0..good.len() * 8 {
        let (byte, mask) = (bit / 8, 1 << (bit % 8));
        poke(&path, byte, &[good[byte] ^ mask]);
        assert!(matches!(state(), ManifestState::Damaged(_)), "mask {mask} in byte {byte}");
        poke(&path, byte, &[good[byte]]);
    }
    assert!(matches!(state(), ManifestState::Read(_)));
    for end in (0..good.len()).rev() {
        cut(&path, end);
        assert!(matches!(state(), ManifestState::Damaged(_)), "cut at {end}");
    }
}

/// Well-sealed manifests that say what they must not.
#[test]
fn hostile_manifests_are_damaged() {
    let bench = Bench::new();
    let writer = bench.writer();
    let entries = vec![entry("a", write_pair(&writer, "a")), entry("b", write_pair(&writer, "b"))];
    writer.commit(&manifest(entries, vec![quarantined("q")]), false).unwrap();
    let path = bench.dir().join("manifest.json");
    let text = fs_err::read_to_string(&path).unwrap();
    let (_, body) = text.split_once(",\n").unwrap();
    let mut found = String::new();
    for (from, to) in [
        ("\"schema\":1", "\"schema\":2"),
        ("\"schema\":1", "\"schema\":1,\"schema\":1"),
        ("\"profile\":\"full\"", "\"profile\":\"smoke\""),
        ("\"name\":\"train/b.npz\"", "\"name\":\"../../../b.npz\""),
        ("\"name\":\"train/b.labels.npz\"", "\"name\":\"train/a.labels.npz\""),
        ("{\"id\":\"b\"", "{\"id\":\"../b\""),
        ("{\"name\":\"b\",\"split\":\"train\"}", "{\"name\":\"a\",\"split\":\"train\"}"),
        ("\"samples\":5", "\"samples\":99999999999999999999"),
        ("{\"step\":\"none\"}", &format!("{}{}", "[".repeat(10_000), "]".repeat(10_000))),
        ("\"licence\":", "\"license\":"),
    ] {
        assert!(body.contains(from), "{from}");
        let body = body.replace(from, to);
        fs_err::write(&path, sealed(&body)).unwrap();
        match bench.store.load(&profile(), &version()).unwrap().manifest {
            ManifestState::Damaged(reason) | ManifestState::Later(reason) => {
                found.extend([&reason[..], "\n"]);
            }
            other => panic!("{to}: {other:?}"),
        }
    }
    insta::assert_snapshot!(found, @r#"
    it has schema 2, written by a later eegcache; known is 1
    it is no manifest: duplicate field `schema` at line 2 column 19
    it belongs to `smoke/v1_256hz_10-20`
    entry `b` names the file "../../../b.npz" where `train/b.npz` is meant
    entry `b` names the file "train/a.labels.npz" where `train/b.labels.npz` is meant
    it is no manifest: `../b` is not a valid recording id: 1 to 128 of the characters A-Z a-z 0-9 . _ -, beginning with a letter or a digit at line 19 column 12
    it has the member "a" twice
    it is no manifest: invalid type: floating point `1e+20`, expected u64 at line 18 column 600
    it is no manifest: recursion limit exceeded at line 6 column 136
    it is no manifest: missing field `licence` at line 24 column 66
    "#);
}

#[test]
fn a_manifest_that_is_a_link_is_damaged() {
    let bench = Bench::new();
    let writer = bench.writer();
    writer.commit(&manifest(vec![], vec![]), false).unwrap();
    let path = bench.dir().join("manifest.json");
    fs_err::rename(&path, bench.outside.join("manifest.json")).unwrap();
    symlink(bench.outside.join("manifest.json"), &path).unwrap();
    let held = bench.store.load(&profile(), &version()).unwrap();
    assert!(matches!(held.manifest, ManifestState::Damaged(_)), "{:?}", held.manifest);
}

#[test]
fn what_a_killed_writer_finished_is_held() {
    let bench = Bench::new();
    let writer = bench.writer();
    let first = entry("a", write_pair(&writer, "a"));
    writer.record(&Line::Entry(Box::new(first.clone()))).unwrap();
    drop(writer);
    fs_err::write(bench.dir().join(".build/tmp/left-behind"), b"half").unwrap();
    let writer = bench.writer();
    assert!(!bench.dir().join(".build/tmp/left-behind").exists());
    let second = entry("b", write_pair(&writer, "b"));
    writer.record_all(&[Line::Entry(Box::new(second.clone())), Line::Quarantined(quarantined("q"))]).unwrap();
    let held = bench.store.load(&profile(), &version()).unwrap();
    assert_eq!((held.journals, held.entries.len(), held.quarantine.len()), (2, 2, 1));
    writer.commit(&manifest(vec![first, second], vec![]), false).unwrap();
    assert_eq!(journals(&bench), Vec::<PathBuf>::new());
    // A writer goes on after a commit.
    writer.record(&Line::Removed { name: "a".to_owned() }).unwrap();
    let held = bench.store.load(&profile(), &version()).unwrap();
    assert_eq!((held.journals, held.entries.len()), (1, 1));
}

#[test]
fn later_lines_win() {
    let bench = Bench::new();
    let writer = bench.writer();
    let one = entry("a", write_pair(&writer, "a"));
    let entry_line = Line::Entry(Box::new(one));
    let out = Line::Quarantined(quarantined("a"));
    let removed = |name: &str| Line::Removed { name: name.to_owned() };
    let replacing = Line::Replacing { name: "train/a.labels.npz".to_owned() };
    for (line, entries, quarantine) in [
        (&entry_line, 1, 0),
        (&out, 0, 1),
        (&entry_line, 1, 0),
        (&removed("train/a.npz"), 0, 0),
        (&entry_line, 1, 0),
        (&removed("val/a.npz"), 1, 0),
        (&replacing, 0, 0),
        (&out, 0, 1),
        (&removed("a"), 0, 0),
    ] {
        writer.record(line).unwrap();
        let held = bench.store.load(&profile(), &version()).unwrap();
        assert_eq!((held.entries.len(), held.quarantine.len()), (entries, quarantine), "{line:?}");
    }
}

#[test]
fn torn_and_changed_journal_lines_are_ignored() {
    let bench = Bench::new();
    let writer = bench.writer();
    for name in ["a", "b", "c"] {
        writer.record(&Line::Entry(Box::new(entry(name, write_pair(&writer, name))))).unwrap();
    }
    let path = journals(&bench).remove(0);
    // It says what the version means when nothing else does.
    fs_err::remove_file(bench.dir().join(".build/identity")).unwrap();
    let good = fs_err::read(&path).unwrap();
    let starts: Vec<_> = std::iter::once(0)
        .chain(good.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1))
        .collect();
    let held = || bench.store.load(&profile(), &version()).unwrap();
    for byte in (0..good.len()).step_by(7) {
        poke(&path, byte, &[good[byte] ^ 0x11]);
        let found = held();
        let is_header = byte < starts[1];
        assert!(found.entries.len() <= if is_header { 0 } else { 2 }, "byte {byte}");
        assert_eq!(found.identity.is_none(), is_header, "byte {byte}");
        poke(&path, byte, &[good[byte]]);
    }
    for end in (0..good.len()).rev() {
        cut(&path, end);
        // Whole lines before the cut, the header not counted; a line needs its end but not its newline.
        let whole = starts[1..].iter().filter(|start| end + 1 >= **start).count();
        let found = held();
        assert_eq!(found.entries.len(), whole.saturating_sub(1), "cut at {end}");
        assert_eq!(found.notes.len(), usize::from(whole == 0), "cut at {end}");
    }
}

#[test]
fn journals_of_others_are_left_alone() {
    let bench = Bench::new();
    let lock = |identity: Identity| {
        let writer = bench.store.lock(&profile(), &version(), Wait::No, &|_| true).unwrap();
        writer.begin(&identity, &serde_json::Value::Null).unwrap();
        writer
    };
    let writer = lock(identity());
    let mine = entry("a", write_pair(&writer, "a"));
    writer.commit(&manifest(vec![mine], vec![]), false).unwrap();
    drop(writer);
    // Another recipe under the same name, and a program of the future.
    let writer = lock(Identity { labels: Digest::of(b"other"), ..identity() });
    writer.record(&Line::Quarantined(quarantined("a"))).unwrap();
    drop(writer);
    let text = r#"{"schema":2,"news":true}"#;
    let later = bench.dir().join(".build/journal-later.jsonl");
    fs_err::write(&later, format!("{} {text}\n", Digest::of(text.as_bytes()))).unwrap();
    let held = bench.store.load(&profile(), &version()).unwrap();
    assert_eq!((held.entries.len(), held.quarantine.len(), held.journals), (1, 0, 2));
    assert_eq!(held.notes.len(), 2, "{:?}", held.notes);
    assert!(held.notes.iter().any(|note| note.contains("schema 2")), "{:?}", held.notes);
    assert!(held.notes.iter().any(|note| note.contains("fingerprints")), "{:?}", held.notes);
    let writer = lock(identity());
    writer.commit(&manifest(vec![], vec![]), false).unwrap();
    assert_eq!(journals(&bench), [later]);
}

// ---- the lock ---------------------------------------------------------------------------------------

#[test]
fn the_second_writer_waits_and_is_told_for_whom() {
    let bench = Bench::new();
    let first = bench.writer();
    assert!(first.exclusive && first.note.is_none(), "{:?}", first.note);
    let busy = |wait| match bench.store.lock(&profile(), &version(), wait, &|_| true) {
        Err(Error::Busy { holder, .. }) => holder,
        other => panic!("{other:?}"),
    };
    let pid = format!("pid {}", std::process::id());
    assert!(busy(Wait::No).contains(&pid));
    assert!(busy(Wait::For(Duration::from_millis(150))).contains(&pid));
    let other = bench.store.lock(&profile(), &other_version(), Wait::No, &|_| true);
    assert!(other.is_ok(), "another version is free");
    let told = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            let on_wait = |holder: &str| {
                told.lock().unwrap().push(holder.to_owned());
                true
            };
            bench.store.lock(&profile(), &version(), Wait::Forever, &on_wait).map(|writer| writer.exclusive)
        });
        std::thread::sleep(Duration::from_millis(350));
        assert!(!second.is_finished());
        drop(first);
        assert!(second.join().unwrap().unwrap());
    });
    let told = told.into_inner().unwrap();
    assert!(!told.is_empty() && told.iter().all(|holder| holder.contains(&pid)), "{told:?}");
}

#[test]
fn a_version_removed_while_waiting_is_made_again() {
    let bench = Bench::new();
    let first = bench.writer();
    std::thread::scope(|scope| {
        let second =
            scope.spawn(|| bench.store.lock(&profile(), &version(), Wait::Forever, &|_| true).unwrap());
        std::thread::sleep(Duration::from_millis(150));
        fs_err::remove_dir_all(bench.dir()).unwrap();
        drop(first);
        let second = second.join().unwrap();
        write_pair(&second, "a");
    });
    assert!(bench.scan("train/a.npz").is_ok());
}

#[test]
fn a_hostile_lock_file_harms_only_the_message() {
    let bench = Bench::new();
    drop(bench.writer());
    let path = bench.dir().join(".build/lock");
    fs_err::write(&path, "{\"host\":\"\u{1b}[31m\",\"pid\":1,\"since\":\"\\n\"}").unwrap();
    let file = fs_err::File::open(&path).unwrap();
    file.file().lock().unwrap();
    match bench.store.lock(&profile(), &version(), Wait::No, &|_| true) {
        Err(Error::Busy { holder, .. }) => assert!(!holder.contains(char::is_control), "{holder:?}"),
        other => panic!("{other:?}"),
    }
}

// ---- the memo ---------------------------------------------------------------------------------------

#[test]
fn the_memo_remembers_across_writers() {
    let bench = Bench::new();
    let stamp = |inode| Stamp {
        bytes: 1,
        mtime_ns: 1_700_000_000_000_000_001,
        ctime_ns: 1_700_000_000_000_000_001,
        inode,
    };
    let line = |path: &str, inode, content: &[u8]| MemoLine {
        path: path.to_owned(),
        stamp: stamp(inode),
        sha256: Digest::of(content),
        began_ns: 1_800_000_000_000_000_000,
    };
    bench.writer().remember("demo", &[line("a.edf", 1, b"a"), line("b.edf", 2, b"b")]).unwrap();
    let path = bench.store.root().join(".sources/demo.jsonl");
    let torn = fs_err::read(&path).unwrap();
    fs_err::write(&path, &torn[..torn.len() - 20]).unwrap();
    bench.writer().remember("demo", &[line("a.edf", 3, b"A")]).unwrap();
    let memo = bench.store.memo("demo");
    assert_eq!(memo.len(), 1, "the torn line is lost and no other");
    assert_eq!((memo.get("a.edf", &stamp(3)), memo.get("a.edf", &stamp(1))), (Some(Digest::of(b"A")), None));
    // A memo that is mostly stale is written anew by the next writer.
    let many: Vec<_> = (0..600).map(|n| line("a.edf", n, b"A")).collect();
    bench.writer().remember("demo", &many).unwrap();
    let long = fs_err::metadata(&path).unwrap().len();
    bench.writer().remember("demo", &[line("c.edf", 9, b"c")]).unwrap();
    assert!(fs_err::metadata(&path).unwrap().len() < long / 100);
    let memo = bench.store.memo("demo");
    assert_eq!(
        (memo.get("a.edf", &stamp(599)), memo.get("c.edf", &stamp(9))),
        (Some(Digest::of(b"A")), Some(Digest::of(b"c")))
    );
    assert!(bench.writer().remember("../demo", &[]).is_err());
    assert!(bench.store.memo("../demo").is_empty());
}
