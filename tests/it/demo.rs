//! The demo corpus: the same bytes everywhere, with what datasets/demo.yaml says of it, and only where it may be.

use eegcache::demo::{self, DemoReport, DemoSpec};
use eegcache::error::Error;
use eegcache::model::dataset::{AnnotationFiles, DatasetSpec, SplitRule};
use eegcache::model::inventory::SourceRecording;
use eegcache::model::order::{Family, Key, order};
use eegcache::model::{Digest, FailureClass, Split};
use eegcache::source;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// SHA-256 over `path`, 0, content, of all recordings and annotations of 12 recordings of seed 1, in path order.
/// A change of it needs a new `GENERATOR_REVISION`.
const TWELVE_OF_SEED_1: &str = "8dba522e9293244d8ef5d1001c6f5240945ee056e2e36d338ee550850c052f26";

fn write(directory: &Path, recordings: usize, seed: u64) -> Result<DemoReport, Error> {
    demo::write(directory, DemoSpec { recordings, seed }, &|_, _| ())
}

fn dataset(root: &Path) -> DatasetSpec {
    DatasetSpec {
        name: "demo".to_owned(),
        title: String::new(),
        licence: String::new(),
        root: root.to_owned(),
        root_origin: "a test".to_owned(),
        recordings: vec![globset::Glob::new("*/*/*/*/*.edf").unwrap()],
        exclude: Vec::new(),
        id: None,
        subject: Some(regex::Regex::new("^[^/]+/([^/]+)/").unwrap()),
        subject_aliases: BTreeMap::new(),
        splits: SplitRule::Directory(vec![
            ("train".to_owned(), Split::Train),
            ("dev".to_owned(), Split::Val),
            ("eval".to_owned(), Split::Eval),
        ]),
        annotations: AnnotationFiles {
            file: vec!["{stem}.csv".to_owned()],
            cross_check: vec!["{stem}.csv_bi".to_owned()],
            cross_check_format: None,
        },
        mains_hz: Some(60.0),
        known_defects: BTreeMap::new(),
        expect: BTreeMap::new(),
        allow_no_seizures: false,
        split_policy: None,
        generate: None,
    }
}

fn list(root: &Path) -> Vec<SourceRecording> {
    source::recordings(&dataset(root), &Split::ALL, &|_, _| None).unwrap()
}

fn tree_digest(root: &Path) -> String {
    let mut all = Vec::new();
    for one in list(root) {
        for file in [Some(&one.file), one.annotation.as_ref(), one.cross_check.as_ref()].into_iter().flatten()
        {
            all.extend_from_slice(file.path.as_bytes());
            all.push(0);
            all.extend(fs_err::read(root.join(&file.path)).unwrap());
        }
    }
    Digest::of(&all).to_string()
}

#[test]
fn a_seed_gives_the_same_bytes_everywhere() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let report = write(first.path(), 12, 1).unwrap();
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(one_thread.install(|| write(second.path(), 12, 1)).unwrap(), report);
    assert_eq!(report.defects.len(), 4);
    assert_eq!(tree_digest(first.path()), tree_digest(second.path()));
    assert_eq!(tree_digest(first.path()), TWELVE_OF_SEED_1);
}

#[test]
fn the_shipped_corpus_is_what_its_dataset_file_says() {
    let root = tempfile::tempdir().unwrap();
    let report = write(root.path(), 60, 7).unwrap();
    assert!(report.bytes <= 120_000_000, "{} bytes", report.bytes);
    let defects: Vec<(&str, FailureClass)> =
        report.defects.iter().map(|(id, class)| (id.as_str(), *class)).collect();
    assert_eq!(
        defects,
        [
            ("demoaach_s002_t000", FailureClass::Truncated),
            ("demoaaiu_s002_t000", FailureClass::MissingChannels),
            ("demoaasa_s002_t001", FailureClass::NoAnnotation),
            ("demoaavs_s001_t000", FailureClass::Flat),
        ]
    );
    let found = list(root.path());
    let count = |split| found.iter().filter(|one| one.split == split).count();
    assert_eq!(Split::ALL.map(count), [38, 12, 10]);
    assert_eq!(report.bytes, found.iter().map(bytes).sum::<u64>());
    let keys: Vec<Key<'_>> = found
        .iter()
        .map(|one| Key { path: &one.file.path, split: one.split, seizures: one.seizures })
        .collect();
    let smoke: BTreeSet<&str> =
        order(&keys, Family::Path).into_iter().take(50).map(|i| found[i].name()).collect();
    assert!(defects.iter().all(|(id, _)| smoke.contains(id)), "{smoke:?}");
    for one in &found {
        let unlabelled = one.annotation.is_none() && one.cross_check.is_none();
        assert_eq!(unlabelled, one.name() == "demoaasa_s002_t001", "{}", one.name());
        check_header(root.path(), one, &defects);
    }
}

fn bytes(one: &SourceRecording) -> u64 {
    let beside = [&one.annotation, &one.cross_check].into_iter().flatten();
    one.file.stamp.bytes + beside.map(|file| file.stamp.bytes).sum::<u64>()
}

/// Checks size, labels and the dead electrode against the header, read by hand (EDF 1992: fixed fields of ASCII).
fn check_header(root: &Path, one: &SourceRecording, defects: &[(&str, FailureClass)]) {
    let name = one.name();
    let defect = defects.iter().find(|(id, _)| *id == name).map(|(_, class)| *class);
    let file = fs_err::read(root.join(&one.file.path)).unwrap();
    let text = |from: usize, width: usize| std::str::from_utf8(&file[from..from + width]).unwrap().trim_end();
    let number = |from: usize, width: usize| text(from, width).parse::<usize>().unwrap();
    let (head, records, signals) = (number(184, 8), number(236, 8), number(252, 4));
    let samples: Vec<usize> = (0..signals).map(|i| number(256 + 216 * signals + 8 * i, 8)).collect();
    let record = 2 * samples.iter().sum::<usize>();
    assert_eq!(head, 256 * (signals + 1), "{name}");
    assert!((90..=240).contains(&records), "{name}: {records} s");
    let whole = head + record * records;
    assert_eq!(file.len() < whole, defect == Some(FailureClass::Truncated), "{name}");
    assert!(file.len() <= whole, "{name}");
    let labels: Vec<&str> = (0..signals).map(|i| text(256 + 16 * i, 16)).collect();
    assert_eq!(labels.iter().collect::<BTreeSet<_>>().len(), signals, "{name}");
    let cz = labels.iter().any(|label| label.starts_with("EEG CZ-"));
    assert_eq!(!cz, defect == Some(FailureClass::MissingChannels), "{name}");
    let fz = labels.iter().any(|label| label.starts_with("EEG FZ-"));
    assert!(fz || labels.iter().any(|label| label.starts_with("EEG EKG1-")), "{name}");
    let flat = (0..signals).filter(|signal| is_flat(&file[head..], &samples, *signal)).count();
    assert_eq!(flat, usize::from(defect == Some(FailureClass::Flat)), "{name}");
}

fn is_flat(data: &[u8], samples: &[usize], signal: usize) -> bool {
    let record = 2 * samples.iter().sum::<usize>();
    let from = 2 * samples[..signal].iter().sum::<usize>();
    let block = |record: &'_ [u8]| record[from..from + 2 * samples[signal]].to_vec();
    let all: Vec<u8> = data.chunks_exact(record).flat_map(block).collect();
    all.chunks_exact(2).all(|pair| pair == &all[..2])
}

#[test]
fn annotations_tile_the_recording_and_agree_with_their_summary() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), 20, 3).unwrap();
    let mut with_seizures = BTreeSet::new();
    for one in list(root.path()) {
        let Some((deciding, summary)) = one.annotation.as_ref().zip(one.cross_check.as_ref()) else {
            continue;
        };
        let channels = rows(&root.path().join(&deciding.path));
        let summary = rows(&root.path().join(&summary.path));
        assert_eq!(summary.keys().collect::<Vec<_>>(), ["TERM"]);
        let union: BTreeSet<(u64, u64)> = seizures(&summary["TERM"]);
        let mut widest: BTreeMap<u64, u64> = BTreeMap::new();
        for (start, end) in channels.values().flat_map(|rows| seizures(rows)) {
            let earliest = widest.entry(end).or_insert(start);
            *earliest = start.min(*earliest);
        }
        assert_eq!(widest.into_iter().map(|(end, start)| (start, end)).collect::<BTreeSet<_>>(), union);
        if !union.is_empty() {
            with_seizures.insert(one.split);
        }
    }
    assert_eq!(with_seizures.len(), 3, "seizures in every split");
}

type Row = (u64, u64, String);

/// Reads rows by channel in ten-thousandths of a second and checks that they tile 0 to the duration.
fn rows(path: &Path) -> BTreeMap<String, Vec<Row>> {
    let text = fs_err::read_to_string(path).unwrap();
    let ticks = |text: &str| text.replace('.', "").parse::<u64>().unwrap();
    let duration =
        text.lines().find_map(|line| line.strip_prefix("# duration = ")?.strip_suffix(" secs")).unwrap();
    let mut channels: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.starts_with("channel,")) {
        let fields: Vec<&str> = line.split(',').collect();
        let row = (ticks(fields[1]), ticks(fields[2]), fields[3].to_owned());
        channels.entry(fields[0].to_owned()).or_default().push(row);
    }
    for (channel, rows) in &channels {
        assert_eq!((rows[0].0, rows[rows.len() - 1].1), (0, ticks(duration)), "{} {channel}", path.display());
        assert!(rows.windows(2).all(|pair| pair[0].1 == pair[1].0), "{} {channel}", path.display());
        assert!(rows.iter().all(|row| row.0 < row.1), "{} {channel}", path.display());
    }
    channels
}

fn seizures(rows: &[Row]) -> BTreeSet<(u64, u64)> {
    rows.iter().filter(|row| row.2 != "bckg").map(|row| (row.0, row.1)).collect()
}

#[test]
fn a_finished_corpus_is_left_alone_and_an_unfinished_one_is_completed() {
    let root = tempfile::tempdir().unwrap();
    let at = root.path().join("new/demo");
    let steps = AtomicUsize::new(0);
    let spec = DemoSpec { recordings: 3, seed: 5 };
    let on_file = |done: usize, of: usize| {
        assert!(done >= 1 && done <= of && of == 3);
        steps.fetch_add(1, Ordering::Relaxed);
    };
    let report = demo::write(&at, spec, &on_file).unwrap();
    assert_eq!((report.recordings, report.written, steps.into_inner()), (3, 3, 3));
    let digest = tree_digest(&at);
    assert_eq!(write(&at, 3, 5).unwrap().written, 0);

    // Something was deleted.
    let first = at.join(&list(&at)[0].file.path);
    fs_err::remove_file(&first).unwrap();
    assert_eq!(write(&at, 3, 5).unwrap().written, 1);
    assert_eq!(tree_digest(&at), digest);

    // The process was killed: half a temporary, an empty file after a crash, no final marker.
    let marker = at.join(".eegcache-demo.json");
    let text = fs_err::read_to_string(&marker).unwrap();
    fs_err::write(&marker, text.replace("\"complete\":true", "\"complete\":false")).unwrap();
    fs_err::write(first.with_extension("csv"), b"").unwrap();
    let temporary = format!(".{}.tmp", first.with_extension("csv").file_name().unwrap().display());
    fs_err::write(first.with_file_name(&temporary), b"half").unwrap();
    assert_eq!(write(&at, 3, 5).unwrap().written, 1);
    assert_eq!(tree_digest(&at), digest);
    assert!(!first.with_file_name(temporary).exists());
    assert_eq!(fs_err::read_to_string(&marker).unwrap(), text);
}

#[test]
fn only_its_own_directory_is_written_into() {
    let root = tempfile::tempdir().unwrap();
    let refused = |directory: &Path, recordings, seed| match write(directory, recordings, seed) {
        Err(Error::Config(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let foreign = root.path().join("foreign");
    fs_err::create_dir(&foreign).unwrap();
    fs_err::write(foreign.join("thesis.txt"), b"x").unwrap();
    assert!(refused(&foreign, 1, 7).contains("`thesis.txt`"));
    assert_eq!(fs_err::read_dir(&foreign).unwrap().count(), 1);

    let own = root.path().join("own");
    write(&own, 1, 7).unwrap();
    assert!(refused(&own, 1, 8).contains("another demo corpus"));
    assert!(refused(&own, 2, 7).contains("another demo corpus"));
    assert!(refused(&root.path().join("zero"), 0, 7).contains("not 0"));
    assert!(!root.path().join("zero").exists());
    fs_err::write(root.path().join("file"), b"").unwrap();
    assert!(matches!(write(&root.path().join("file"), 1, 7), Err(Error::Io { .. })));
}
