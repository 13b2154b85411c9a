//! Annotation files: real ones against the values of an independent parser, then bytes that no one wrote.

use crate::shared::shared;
use eegcache::formats::{
    AnnotationRow, AnnotationTable, Recorded, Start, TimeOrigin, label, read_annotations,
};
use eegcache::model::manifest::LabelStatus;
use eegcache::model::recipe::{AnnotationFormat, GapPolicy, LabelRecipe, NoRowMeans, Unlabelled};
use eegcache::model::{Rate, RecordingId, Seconds};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

fn recipe(format: AnnotationFormat, seizure: &[&str], background: &[&str]) -> LabelRecipe {
    let codes = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    LabelRecipe {
        format,
        seizure: codes(seizure),
        background: codes(background),
        cross_check: None,
        unlabelled: Unlabelled::Error,
        no_row_means: NoRowMeans::Empty,
        names: BTreeMap::new(),
        fixes: BTreeMap::new(),
        rate_hz: None,
        gaps: GapPolicy::Error,
    }
}

fn golden(shared: &Path, section: &str) -> Vec<(String, Value)> {
    let text = fs_err::read(shared.join("data/golden/annotations.json")).unwrap();
    let all: Value = serde_json::from_slice(&text).unwrap();
    all[section].as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn read(format: AnnotationFormat, path: &Path, name: &str) -> AnnotationTable {
    read_annotations(format, &fs_err::read(path).unwrap(), name).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn number(value: &Value) -> Seconds {
    Seconds::parse(&value.to_string()).unwrap_or_else(|| panic!("{value}"))
}

fn pairs(value: &Value) -> Vec<(Seconds, Option<Seconds>)> {
    value.as_array().unwrap().iter().map(|pair| (number(&pair[0]), Some(number(&pair[1])))).collect()
}

fn times(rows: &[AnnotationRow]) -> Vec<(Seconds, Option<Seconds>)> {
    rows.iter().map(|row| (row.start, row.end)).collect()
}

/// Returns the seizures of a table in samples at 256 Hz, labelled in a recording of `seconds` that starts at `start`.
fn events(table: AnnotationTable, recipe: &LabelRecipe, start: u32, seconds: u64) -> Vec<(u64, u64)> {
    let id = RecordingId::new("x").unwrap();
    let start = Start { day: Some(0), second: Some(start) };
    let rate = Rate::new(256, 1).unwrap();
    let recorded =
        Recorded { id: &id, samples: seconds * 256, rate, start, offset: Seconds::ZERO, is_cut_off: false };
    let labels = label(Some(table), None, recipe, &recorded).unwrap();
    labels.events.iter().map(|event| (event.start, event.end)).collect()
}

fn in_samples(seizures: &Value) -> Vec<(u64, u64)> {
    let sample = |value: &Value| number(value).floor_samples(Rate::new(256, 1).unwrap()) as u64;
    seizures.as_array().unwrap().iter().map(|pair| (sample(&pair[0]), sample(&pair[1]))).collect()
}

#[test]
fn summaries_say_what_another_parser_reads() {
    let Some(shared) = shared() else { return };
    let path = shared.join("data/epilepsy2bids/chbmit/chb05/chb05-summary.txt");
    let format = AnnotationFormat::ChbmitSummary;
    let cases = golden(&shared, "chbmit_summary");
    assert!(cases.len() > 30);
    for (name, expected) in cases {
        let table = read(format, &path, &name);
        assert_eq!(times(&table.rows), pairs(&expected["seizures"]), "{name}");
        assert_eq!(table.says_none, expected["n_declared"] == 0, "{name}");
        let labels = events(table, &recipe(format, &["seiz"], &[]), 0, 7200);
        assert_eq!(labels, in_samples(&expected["seizures"]), "{name}");
    }
    assert!(!read(format, &path, "chb05_40.edf").says_none);
}

#[test]
fn lists_of_clock_times_say_what_another_parser_reads() {
    let Some(shared) = shared() else { return };
    let path = shared.join("data/epilepsy2bids/siena/PN00/Seizures-list-PN00.txt");
    let format = AnnotationFormat::SienaList;
    for (name, expected) in golden(&shared, "siena_list") {
        let table = read(format, &path, &name);
        assert_eq!(table.duration, Some(number(&expected["recording_s"])), "{name}");
        let TimeOrigin::Midnight { begins: Some(begins) } = table.origin else { panic!("{name}: {table:?}") };
        // The header of every one of these recordings starts when the list says so.
        let rate = Rate::new(1, 1).unwrap();
        let start = begins.floor_samples(rate) as u32;
        let labels = events(table, &recipe(format, &["seiz"], &[]), start, 5000);
        assert_eq!(labels, in_samples(&expected["seizures"]), "{name}");
    }
}

#[test]
fn tables_of_events_say_what_another_parser_reads() {
    let Some(shared) = shared() else { return };
    let format = AnnotationFormat::BidsEvents;
    let cases = golden(&shared, "bids_events");
    assert!(cases.len() >= 50);
    for (name, expected) in cases {
        let table = read(format, &shared.join("data/seizeit2").join(&name), "");
        let seconds = expected["recording_s"].as_f64().unwrap() as u64;
        assert_eq!(table.duration, Some(number(&expected["recording_s"])), "{name}");
        let rows: Vec<(Seconds, Seconds, String)> = table
            .rows
            .iter()
            .map(|row| (row.start, row.end.unwrap().minus(row.start), row.code.clone()))
            .collect();
        let wanted: Vec<(Seconds, Seconds, String)> = expected["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (number(&row[0]), number(&row[1]), row[2].as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(rows, wanted, "{name}");
        let flags = expected["flags"].to_string();
        let id = RecordingId::new("x").unwrap();
        let rate = Rate::new(256, 1).unwrap();
        let start = Start::default();
        let recorded = Recorded {
            id: &id,
            samples: seconds * 256,
            rate,
            start,
            offset: Seconds::ZERO,
            is_cut_off: false,
        };
        let recipe = recipe(format, &["sz*"], &["bckg", "impd"]);
        let labels = label(Some(table), None, &recipe, &recorded).unwrap();
        let events: Vec<_> = labels.events.iter().map(|event| (event.start, event.end)).collect();
        assert_eq!(events, in_samples(&expected["seizures"]), "{name}");
        let empty = events.is_empty();
        assert_eq!(labels.status == LabelStatus::LabelledEmpty, empty, "{name}");
        let noted = |code: &str| labels.notes.iter().any(|note| note.code == code);
        assert_eq!(noted("unsorted-rows"), flags.contains("unsorted"), "{name}: {flags}");
        assert_eq!(noted("empty-row"), flags.contains("zero duration"), "{name}: {flags}");
        assert!(!noted("duration-differs"), "{name}");
    }
}

#[test]
fn binary_seizures_say_what_another_parser_reads() {
    let Some(shared) = shared() else { return };
    let format = AnnotationFormat::WfdbSeizures;
    for (name, expected) in golden(&shared, "wfdb_seizures") {
        let table = read(format, &shared.join("data/mne-testing-data").join(&name), "");
        let wanted: Vec<f64> =
            expected["seconds"].as_array().unwrap().iter().map(|s| s.as_f64().unwrap()).collect();
        let codes = expected["annotations_sample_code"].as_array().unwrap();
        let brackets: Vec<f64> = codes
            .iter()
            .zip(wanted)
            .filter(|(code, _)| [32, 33].contains(&code[1].as_i64().unwrap()))
            .map(|(_, seconds)| seconds)
            .collect();
        let read: Vec<f64> =
            table.rows.iter().flat_map(|row| [row.start.as_f64(), row.end.unwrap().as_f64()]).collect();
        assert_eq!(read, brackets, "{name}");
        assert_eq!(read.len(), 4, "{name}");
    }
}

#[test]
fn hypnograms_say_what_another_parser_reads() {
    let Some(shared) = shared() else { return };
    let golden = shared.join("data/golden/edfio__SC4001EC-Hypnogram.edf.json");
    let golden: Value = serde_json::from_slice(&fs_err::read(golden).unwrap()).unwrap();
    let wanted: Vec<(Seconds, Option<Seconds>, &str)> = golden["spec"]["annotations_spec"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let time = |key: &str| row[key].as_str().and_then(Seconds::parse);
            let onset = time("onset").unwrap();
            (onset, time("duration").map(|duration| onset.plus(duration)), row["text"].as_str().unwrap())
        })
        .collect();
    let path = shared.join("data/edfio/SC4001EC-Hypnogram.edf");
    let table = read(AnnotationFormat::EdfAnnotations, &path, "");
    let rows: Vec<_> = table.rows.iter().map(|row| (row.start, row.end, row.code.as_str())).collect();
    assert_eq!(rows, wanted);
    assert!(rows.len() > 100);
    // 24-APR-1989 16:13:00.
    assert_eq!(table.origin, TimeOrigin::Header(Start { day: Some(7053), second: Some(58_380) }));
}

/// One real file of each format, or what stands for it where none can be had.
static SEEDS: LazyLock<Vec<(AnnotationFormat, Vec<u8>)>> = LazyLock::new(|| {
    use AnnotationFormat::{
        BidsEvents, ChbmitSummary, EdfAnnotations, SienaList, TuhTse, TuszCsv, TuszCsvBi, WfdbSeizures,
    };
    let csv = "# duration = 301.0000 secs\nchannel,start_time,stop_time,label,confidence\n\
               TERM,0.0000,36.8868,bckg,1.0000\nTERM,36.8868,301.0000,seiz,1.0000\n";
    let tse = "version = tse_v1.0.0\n\n0.0000 36.8868 bckg 1.0000\n36.8868 183.3055 seiz 1.0000\n";
    let mut seeds = vec![
        (TuszCsv, csv.into()),
        (TuszCsvBi, csv.into()),
        (TuhTse, tse.into()),
        (ChbmitSummary, b"File Name: x.edf\nNumber of Seizures in File: 1\nSeizure Start Time: 4 seconds\nSeizure End Time: 5 seconds\n".to_vec()),
        (SienaList, b"Seizure n 1\nFile name: x.edf\nSeizure start time: 19.58.36\nSeizure end time: 19.59.46\n".to_vec()),
        (BidsEvents, b"onset\tduration\teventType\tchannels\n1.5\t2\tsz\tF3,C3\n9\tn/a\tbckg\tall\n".to_vec()),
    ];
    if let Some(shared) = shared() {
        let data = shared.join("data");
        let load = |path: PathBuf| fs_err::read(path).unwrap();
        let events = "seizeit2/sub-044/ses-01/eeg/sub-044_ses-01_task-szMonitoring_run-05_events.tsv";
        seeds.extend([
            (ChbmitSummary, load(data.join("epilepsy2bids/chbmit/chb05/chb05-summary.txt"))),
            (SienaList, load(data.join("epilepsy2bids/siena/PN00/Seizures-list-PN00.txt"))),
            (BidsEvents, load(data.join(events))),
            (WfdbSeizures, load(data.join("mne-testing-data/chb06_04.edf.seizures"))),
            (EdfAnnotations, load(data.join("edfio/SC4001EC-Hypnogram.edf"))),
        ]);
    }
    seeds
});

/// Reads and labels; whatever comes out keeps within the signal, and no seizure row is lost on the way.
fn survive(format: AnnotationFormat, bytes: &[u8], name: &str) {
    let Ok(table) = read_annotations(format, bytes, name) else { return };
    let recipe = recipe(format, &["se*", "sz*"], &["*"]);
    let seizures = table.rows.iter().filter(|row| recipe.is_seizure(&row.code)).count();
    let id = RecordingId::new("x").unwrap();
    for (samples, offset) in [(0, "0"), (5000, "0.25"), (100_000_000, "-86400.5")] {
        let start = Start { day: Some(7053), second: Some(58_380) };
        let rate = Rate::new(512, 3).unwrap();
        let offset = Seconds::parse(offset).unwrap();
        let recorded = Recorded { id: &id, samples, rate, start, offset, is_cut_off: false };
        if let Ok(labels) = label(Some(table.clone()), None, &recipe, &recorded) {
            assert!(labels.events.iter().all(|event| event.start < event.end && event.end <= samples));
            assert_eq!(labels.events.is_empty(), seizures == 0, "{format:?}");
        }
    }
}

/// Words that files of these formats are made of.
const WORDS: [&str; 26] = [
    "File Name: x.edf",
    "Number of Seizures in File: 1",
    "Seizure 1 Start Time: 5 seconds",
    "Seizure End Time: 9 seconds",
    "File Start Time: 25:00:00",
    "Seizure n 1",
    "File name: x.edf",
    "Registration start time: 1 6.49.25",
    "Seizure start time: 16.13.05",
    "Start time: 23:59:59",
    "End time: 00.00.01 (ELECTRIC) 00.00.02",
    "onset\tduration\teventType",
    "1\t2\tsz",
    "-1\t-2\tsz_x",
    "n/a\tn/a\tbckg",
    "version = tse_v1.0.0",
    "0 1 seiz 1",
    "999999999999999999 999999999999999999 seiz",
    "# duration = 9",
    "channel,start_time,stop_time,label",
    "TERM,0,9,seiz",
    "\u{feff}",
    "\r",
    "\0",
    "é",
    "",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn bytes_that_no_one_wrote_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for format in AnnotationFormat::ALL {
            survive(*format, &bytes, "x.edf");
        }
    }

    #[test]
    fn lines_in_any_order_never_panic(lines in proptest::collection::vec(prop::sample::select(WORDS.to_vec()), 0..12)) {
        let text = lines.join("\n");
        for format in AnnotationFormat::ALL {
            survive(*format, text.as_bytes(), "x.edf");
        }
    }

    #[test]
    fn real_files_may_be_damaged_anywhere(
        seed in any::<prop::sample::Index>(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        name in prop::sample::select(vec!["x.edf", "chb05_06.edf", "PN00-3.edf"]),
    ) {
        let (format, bytes) = &SEEDS[seed.index(SEEDS.len())];
        let mut bytes = bytes.clone();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        survive(*format, &bytes, name);
    }

    /// Whatever the rows say: events lie within the signal, and labels are 1 exactly where an event is.
    #[test]
    fn labels_keep_within_the_signal(
        rows in proptest::collection::vec(("-?[0-9]{1,18}(\\.[0-9]{0,18})?", "[0-9]{1,3}(\\.[0-9]{0,4})?", 0_usize..3), 0..8),
        samples in 0_u64..5000,
        rate in prop::sample::select(vec![(1, 1), (256, 1), (512, 3), (999, 5)]),
        tiling: bool,
    ) {
        let mut lines = vec!["channel,start_time,stop_time,label\nA,0,1000,bckg".to_owned()];
        for (start, end, code) in &rows {
            lines.push(format!("A,{start},{end},{}\nA,{end},999,seiz", ["seiz", "fnsz", "bckg"][*code]));
        }
        let text = lines.join("\n");
        let table = read_annotations(AnnotationFormat::TuszCsv, text.as_bytes(), "").unwrap();
        let format = if tiling { AnnotationFormat::TuszCsv } else { AnnotationFormat::None };
        let recipe = recipe(format, &["seiz", "fnsz"], &["bckg"]);
        let (id, rate) = (RecordingId::new("a").unwrap(), Rate::new(rate.0, rate.1).unwrap());
        let recorded = Recorded { id: &id, samples, rate, start: Start::default(), offset: Seconds::ZERO, is_cut_off: false };
        if let Ok(labels) = label(Some(table.clone()), Some(table), &recipe, &recorded) {
            let marked: std::collections::BTreeSet<u64> =
                labels.events.iter().flat_map(|event| event.start..event.end).collect();
            prop_assert!(labels.events.iter().all(|event| event.start < event.end && event.end <= samples));
            let ones = labels.to_samples(samples);
            prop_assert_eq!(ones.len() as u64, samples);
            prop_assert!((0..samples).all(|i| (ones[i as usize] == 1) == marked.contains(&i)));
            prop_assert!(labels.notes.iter().all(|note| note.code != "cross-check"));
        }
    }
}
