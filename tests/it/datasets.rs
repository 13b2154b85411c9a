//! The shipped dataset files on trees with real names and real annotation files; recordings of the right length are
//! generated, because only headers and annotations of these datasets may lie beside the repository.

use crate::edf_writer::{EdfFile, EdfSignal};
use crate::project::{Project, Run};
use crate::shared::shared;
use eegcache::model::recording::Kind;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Keeps the recordings' own, low rate, so that hours cost nothing; everything else is the dataset file's.
const CHEAP: &str = "preprocessing: {sampling_rate: null, bandpass: null, notch_freq: null}\n\
                     cache:\n  max_quarantined: 1.0\nwindows: {length_s: 60, stride_s: 60}\n";

/// A dataset in a project of its own, under one of the shipped files.
struct Bed {
    project: Project,
    dataset: &'static str,
}

impl Bed {
    fn new(dataset: &'static str) -> Self {
        let project = Project::bare();
        project.write("cheap.yaml", CHEAP);
        Self { project, dataset }
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.project.path("data").join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let mut command = self.project.command(arguments);
        command.env("EEG_DATASET", self.dataset).env("EEG_DATA_ROOT", self.project.path("data"));
        Run::of(&command.output().unwrap())
    }

    /// Builds everything and returns the manifest.
    #[track_caller]
    fn build(&self, code: i32) -> Value {
        self.run(&["build", "-c", "cheap.yaml"]).expect(code);
        let cache = self.project.path("cache/full");
        let version =
            fs_err::read_dir(cache).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap());
        let version = version.filter(|name| name != "latest").collect::<Vec<_>>();
        assert_eq!(version.len(), 1, "{version:?}");
        self.project.manifest(&format!("cache/full/{}", version[0]))
    }
}

/// A recording with pseudo-random samples: as many whole seconds at `rate` as asked for.
fn recording(channels: &[&str], rate: usize, seconds: usize, date: &str, time: &str) -> EdfFile {
    let mut state = 1_u32;
    let signals = channels.iter().map(|label| {
        let samples = (0..rate * seconds).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            i32::from((state >> 16) as u16 as i16) / 8
        });
        EdfSignal::new(label, rate * seconds, samples.collect())
    });
    let mut file = EdfFile::new(Kind::Edf, 1, signals.collect());
    (file.date, file.time) = (date.to_owned(), time.to_owned());
    "Startdate X X X X".clone_into(&mut file.recording);
    file.record_duration = seconds.to_string();
    file
}

/// `id: start-end code …` of every entry, in samples.
fn events(manifest: &Value) -> BTreeMap<String, String> {
    let event = |event: &Value| {
        let text = |key: &str| event[key].to_string().replace('"', "");
        format!("{}-{} {}", text("start"), text("end"), text("code"))
    };
    let entry = |entry: &Value| {
        let events: Vec<String> = entry["events"].as_array().unwrap().iter().map(event).collect();
        (entry["id"].as_str().unwrap().to_owned(), events.join(", "))
    };
    manifest["entries"].as_array().unwrap().iter().map(entry).collect()
}

fn quarantine(manifest: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let failed = manifest["quarantine"].as_array().unwrap().iter();
    failed.map(|failed| (text(&failed["name"]), text(&failed["class"]))).collect()
}

fn entry<'a>(manifest: &'a Value, id: &str) -> &'a Value {
    let entries = manifest["entries"].as_array().unwrap();
    entries.iter().find(|entry| entry["id"] == id).unwrap_or_else(|| panic!("no {id}"))
}

fn notes(entry: &Value) -> Vec<&str> {
    entry["notes"].as_array().unwrap().iter().map(|note| note["code"].as_str().unwrap()).collect()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn data(path: &str) -> Option<PathBuf> {
    Some(shared()?.join("data").join(path))
}

#[test]
fn every_shipped_dataset_is_free_of_conflicts() {
    let project = Project::bare();
    let mut files = vec!["config".to_owned(), "check".to_owned()];
    for item in fs_err::read_dir(project.path("configs/datasets")).unwrap() {
        let name = item.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
        project.write(&format!("configs/use_{name}.yaml"), &format!("data: {{dataset: {name}}}\n"));
        files.push(format!("configs/use_{name}.yaml"));
        if name != "folder" {
            let shown = project.command(&["config", "show"]).env("EEG_DATASET", &name).output().unwrap();
            Run::of(&shown).expect(0);
        }
    }
    files.retain(|file| !file.ends_with("folder.yaml"));
    assert!(files.len() >= 10, "{files:?}");
    let arguments: Vec<&str> = files.iter().map(String::as_str).collect();
    project.run(&arguments).expect(0);
    // The channel list that serves recorded and derived differences is one and the same.
    let order = |file: &str| {
        let value: serde_yaml::Value = serde_yaml::from_str(&project.read(file)).unwrap();
        serde_yaml::to_string(&value["preprocessing"]["channels"]["order"]).unwrap()
    };
    assert_eq!(order("configs/datasets/chbmit.yaml"), order("configs/double_banana.yaml"));
}

const BIPOLAR: [&str; 24] = [
    "FP1-F7", "F7-T7", "T7-P7", "P7-O1", "FP1-F3", "F3-C3", "C3-P3", "P3-O1", "-", "FP2-F4", "F4-C4",
    "C4-P4", "P4-O2", "FP2-F8", "F8-T8", "T8-P8", "P8-O2", "FZ-CZ", "CZ-PZ", "P7-T7", "T7-FT9", "FT9-FT10",
    "FT10-T8", "T8-P8",
];

#[test]
fn chbmit_is_read_by_its_summaries() {
    let Some(source) = data("epilepsy2bids/chbmit/chb05") else { return };
    let bed = Bed::new("chbmit");
    bed.put("chb05/chb05-summary.txt", &fs_err::read(source.join("chb05-summary.txt")).unwrap());
    let day = |time| ("13.03.59", time);
    for (name, channels, (date, time)) in [
        ("chb05_01.edf", &BIPOLAR[..], day("17.20.05")),
        ("chb05_06.edf", &BIPOLAR, day("22.21.25")),
        ("chb05_22.edf", &BIPOLAR, day("14.23.17")),
        ("chb05_40.edf", &BIPOLAR, day("00.00.00")),
    ] {
        let seconds = if name == "chb05_01.edf" { 3610 } else { 3600 };
        bed.put(&format!("chb05/{name}"), &recording(channels, 2, seconds, date, time).to_bytes());
    }
    // The real recording: right in everything but its length.
    bed.put("chb05/chb05_13.edf", &fs_err::read(source.join("chb05_13.edf")).unwrap());
    let real = shared().unwrap().join("data/mne-testing-data/chb06_04.edf.seizures");
    bed.put("chb06/chb06_04.edf.seizures", &fs_err::read(real).unwrap());
    let summary = "File Name: chb06_04.edf\nNumber of Seizures in File: 1\nSeizure 1 Start Time: 327 seconds\nSeizure 1 End Time: 347 seconds\n";
    bed.put("chb06/chb06-summary.txt", summary.as_bytes());
    bed.put("chb06/chb06_04.edf", &recording(&BIPOLAR, 2, 7200, "01.01.70", "00.00.00").to_bytes());
    // Recorded against a common electrode, and the same patient under two names.
    let unipolar: Vec<String> = [
        "FP1", "F7", "T7", "P7", "01", "F3", "C3", "P3", "FP2", "F4", "C4", "P4", "O2", "F8", "T8", "P8",
        "FZ", "CZ", "PZ",
    ]
    .map(|name| if name == "01" { name.to_owned() } else { format!("{name}-CS2") })
    .to_vec();
    let unipolar: Vec<&str> = unipolar.iter().map(String::as_str).collect();
    for name in ["chb01_01", "chb21_01"] {
        let folder = &name[..5];
        let text = format!("File Name: {name}.edf\nNumber of Seizures in File: 0\n");
        bed.put(&format!("{folder}/{folder}-summary.txt"), text.as_bytes());
        bed.put(
            &format!("{folder}/{name}.edf"),
            &recording(&unipolar, 2, 60, "01.01.70", "00.00.00").to_bytes(),
        );
    }
    let manifest = bed.build(5);
    let expected = map(&[
        ("chb05_01", ""),
        ("chb05_06", "834-1064 seiz"),
        ("chb05_22", "4696-4930 seiz"),
        ("chb06_04", "654-694 seiz"),
        ("chb01_01", ""),
        ("chb21_01", ""),
    ]);
    assert_eq!(events(&manifest), expected);
    assert_eq!(quarantine(&manifest), map(&[("chb05_13", "event-outside"), ("chb05_40", "no-annotation")]));
    let one = entry(&manifest, "chb05_06");
    assert_eq!(one["annotation"]["status"], "labelled");
    assert_eq!(entry(&manifest, "chb05_01")["annotation"]["status"], "labelled-empty");
    assert!(notes(one).contains(&"duplicate"), "{one}");
    // The summary written here leaves out a seizure that the binary file has.
    assert!(notes(entry(&manifest, "chb06_04")).contains(&"cross-check"));
    assert!(!notes(one).contains(&"cross-check"));
    let (first, later) = (entry(&manifest, "chb01_01"), entry(&manifest, "chb21_01"));
    assert_eq!((&first["subject"], &later["subject"]), (&Value::from("chb01"), &Value::from("chb01")));
    assert_eq!(first["split"], later["split"]);
    assert!(notes(first).contains(&"bipolar"), "{first}");
    // The channels of the one list, recorded or derived.
    let told = bed.run(&["explain", "chb05_06", "-c", "cheap.yaml"]).expect(0);
    told.says(&["chb05-summary.txt", "417 s to 532 s: seiz"]);
    // A label fix costs no signal.
    let again = bed.run(&["build", "-c", "cheap.yaml", "--json"]);
    assert_eq!(again.expect(5).json()["schema"], 1);
}

#[test]
fn a_recording_that_is_named_with_a_plus_has_an_id_of_its_own() {
    let bed = Bed::new("chbmit");
    for name in ["chb02_16", "chb02_16+", "chb17a_03"] {
        let file = recording(&BIPOLAR, 2, 60 + name.len(), "01.01.70", "00.00.00");
        bed.put(&format!("{}/{name}.edf", &name[..5]), &file.to_bytes());
    }
    let section = |name: &str, start: u32| {
        format!(
            "File Name: {name}.edf\nNumber of Seizures in File: 1\nSeizure Start Time: {start} seconds\nSeizure End Time: {} seconds\n",
            start + 6
        )
    };
    bed.put("chb02/chb02-summary.txt", (section("chb02_16", 13) + &section("chb02_16+", 29)).as_bytes());
    bed.put("chb17/chb17-summary.txt", section("chb17a_03", 9).as_bytes());
    let manifest = bed.build(0);
    let expected =
        map(&[("chb02_16", "26-38 seiz"), ("chb02_chb02_16", "58-70 seiz"), ("chb17a_03", "18-30 seiz")]);
    assert_eq!(events(&manifest), expected);
    assert_eq!(entry(&manifest, "chb02_chb02_16")["subject"], "chb02");
}

#[test]
fn a_recording_that_a_summary_does_not_name_is_taken_last() {
    let bed = Bed::new("chbmit");
    for name in ["chb02_01", "chb02_02", "chb02_03"] {
        let file = recording(&BIPOLAR, 2, 50 + name.as_bytes()[7] as usize, "01.01.70", "00.00.00");
        bed.put(&format!("chb02/{name}.edf"), &file.to_bytes());
    }
    let summary = "File Name: chb02_02.edf\nNumber of Seizures in File: 0\nFile Name: chb02_03.edf\n\
                   Number of Seizures in File: 1\nSeizure Start Time: 13 seconds\nSeizure End Time: 21 seconds\n";
    bed.put("chb02/chb02-summary.txt", summary.as_bytes());
    bed.project.write(
        "balanced.yaml",
        "labels: {unlabelled: keep}\ncache:\n  profile: smoke\n  profiles:\n    smoke: {subset: balanced_2_files}\n    \
         dev: {subset: balanced_3_files}\n    full: {subset: balanced_3_files}\n",
    );
    bed.run(&["build", "-c", "cheap.yaml", "-c", "balanced.yaml"]).expect(0);
    let manifest = bed.project.manifest("cache/smoke/chbmit_v1_256hz_bipolar18");
    assert_eq!(events(&manifest), map(&[("chb02_02", ""), ("chb02_03", "26-42 seiz")]));
}

/// The channels as the recipe leaves them, and the notes that say where they come from.
fn banana(bed: &Bed, file: &Path) -> (Vec<String>, Vec<String>) {
    let arguments =
        ["inspect", file.to_str().unwrap(), "--json", "--samples", "-c", "configs/double_banana.yaml"];
    let report = bed.run(&arguments).expect(0).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let channels = report["processed"].as_array().unwrap().iter().map(|one| text(&one["channel"])).collect();
    let notes = report["notes"].as_array().unwrap().iter().filter(|note| note["code"] == "bipolar");
    (channels, notes.map(|note| text(&note["text"])).collect())
}

#[test]
fn one_bipolar_list_serves_derived_and_recorded_channels() {
    let tusz = Bed::new("tusz");
    tusz.project.generate("data", 6, 3);
    let build = |bed: &Bed| bed.run(&["build", "-c", "configs/double_banana.yaml", "--json"]).json();
    let report = build(&tusz);
    assert!(report["built"].as_u64().unwrap() >= 3, "{report}");
    let manifest = tusz.project.manifest("cache/full/tusz_v1_256hz_bipolar18");
    let one = &manifest["entries"][0];
    let path = tusz.project.path("data").join(one["source"]["path"].as_str().unwrap());
    let (derived, notes) = banana(&tusz, &path);
    assert_eq!((derived.len(), notes.len()), (18, 18), "{notes:?}");
    assert_eq!(notes[1], "`F7-T7` is the difference of `F7` and `T7`");

    let Some(source) = data("epilepsy2bids/chbmit/chb05") else { return };
    let chbmit = Bed::new("chbmit");
    for name in ["chb05-summary.txt", "chb05_01.edf", "chb05_02.edf"] {
        chbmit.put(&format!("chb05/{name}"), &fs_err::read(source.join(name)).unwrap());
    }
    let report = build(&chbmit);
    assert_eq!(report["built"], 2, "{report}");
    let (recorded, notes) = banana(&chbmit, &source.join("chb05_01.edf"));
    assert_eq!((&recorded, notes.len()), (&derived, 0), "{notes:?}");
    let other = chbmit.project.manifest("cache/full/chbmit_v1_256hz_bipolar18");
    let order = |manifest: &Value| manifest["recipe"]["signal"]["channels"]["order"].clone();
    assert_eq!((order(&manifest), order(&other)), (Value::from(derived.clone()), Value::from(derived)));
}

const ELECTRODES: [&str; 21] = [
    "EEG Fp1", "EEG F3", "EEG C3", "EEG P3", "EEG O1", "EEG F7", "EEG T3", "EEG T5", "EEG Fz", "EEG Cz",
    "EEG Pz", "EEG Fp2", "EEG F4", "EEG C4", "EEG P4", "EEG O2", "EEG F8", "EEG T4", "EEG T6", "EKG EKG",
    "1",
];

#[test]
fn siena_is_read_by_clock_times() {
    let Some(source) = data("epilepsy2bids/siena/PN00") else { return };
    let bed = Bed::new("siena");
    let put = |path: &str, seconds: usize, time: &str, offset: &str| {
        let file = recording(&ELECTRODES, 2, seconds, "01.01.16", time);
        bed.put(path, &file.plus("EDF+C", &[offset]).to_bytes());
    };
    bed.put("PN00/Seizures-list-PN00.txt", &fs_err::read(source.join("Seizures-list-PN00.txt")).unwrap());
    put("PN00/PN00-1.edf", 2605, "19.39.33", "+0.5");
    put("PN00/PN00-3.edf", 2489, "18.15.44", "+0");
    put("PN00/PN00-6.edf", 60, "18.15.44", "+0");
    // The real recording: right in everything but its length.
    bed.put("PN00/PN00-2.edf", &fs_err::read(source.join("PN00-2.edf")).unwrap());
    let list = "Seizure n 1\nFile name: PNO6-1.edf\nRegistration start time: 23.50.00\nSeizure start time: 00:10:00\nSeizure end time: 00:10:30\n";
    bed.put("PN06/Seizures-list-PN06.txt", list.as_bytes());
    put("PN06/PN06-1.edf", 2000, "23.50.10", "+0");
    let manifest = bed.build(5);
    // 1143 s to 1213 s, half a second earlier on the clock of the samples; 1190 s to 1220 s past midnight.
    let expected =
        map(&[("PN00-1", "2285-2425 seiz"), ("PN00-3", "1530-1650 seiz"), ("PN06-1", "2380-2440 seiz")]);
    assert_eq!(events(&manifest), expected);
    assert_eq!(quarantine(&manifest), map(&[("PN00-2", "event-outside"), ("PN00-6", "no-annotation")]));
    assert!(notes(entry(&manifest, "PN06-1")).contains(&"start-differs"));
    // Relabelling reads nothing of the recordings but their headers.
    bed.project.write("other.yaml", "cache: {version: siena_v2}\nlabels: {background: [x]}\n");
    let relabelled = bed.run(&["build", "-c", "cheap.yaml", "-c", "other.yaml"]).expect(5);
    drop(relabelled);
    let other = bed.project.manifest("cache/full/siena_v2");
    assert_eq!(events(&other), expected);
    assert_eq!(entry(&other, "PN00-1")["made"]["labels"], "relabelled");
}

#[test]
fn lists_may_begin_with_what_all_their_seizures_share() {
    let bed = Bed::new("siena");
    let put = |path: &str, seconds: usize, time: &str| {
        bed.put(path, &recording(&ELECTRODES, 2, seconds, "01.01.16", time).to_bytes());
    };
    let list = "PN01\n\nFile name: PN01.edf\nRegistration start time: 19.00.44\nRegistration end time: 19.30.44\n\n\
                Seizure n 1\nStart time: 19:11:02\nEnd time: 19:11:56\n\nSeizure n 2\nStart time: 19:20:02\nEnd time: 19:20:56\n";
    bed.put("PN01/Seizures-list-PN01.txt", list.as_bytes());
    put("PN01/PN01-1.edf", 1800, "19.00.44");
    let list = "Seizure n 2\nFile name: PN10-2.edf\nRegistration start time: 11.30.00\nSeizure start time: 11.40.13\n\
                Seizure end time: 11.41.04 opure 11.40.43\n";
    bed.put("PN10/Seizures-list-PN10.txt", list.as_bytes());
    put("PN10/PN10-2.edf", 900, "11.30.00");
    let manifest = bed.build(5);
    assert_eq!(events(&manifest), map(&[("PN01-1", "1236-1344 seiz, 2316-2424 seiz")]));
    assert_eq!(quarantine(&manifest), map(&[("PN10-2", "bad-annotation")]));
    let message = manifest["quarantine"][0]["message"].as_str().unwrap();
    assert!(message.contains("11.41.04 opure 11.40.43") && message.contains("`fixes`"), "{message}");
    // Whoever has looked says which end it is.
    let siena = bed.project.read("configs/datasets/siena.yaml");
    let fix = "    PN10-2:\n      - {onset: 613, end: 643, why: seen}\n";
    bed.project.write("configs/datasets/siena.yaml", &(siena + fix));
    bed.project.write("other.yaml", "cache: {version: siena_v2}\n");
    bed.run(&["build", "-c", "cheap.yaml", "-c", "other.yaml"]).expect(0);
    let manifest = bed.project.manifest("cache/full/siena_v2");
    let expected = map(&[("PN01-1", "1236-1344 seiz, 2316-2424 seiz"), ("PN10-2", "1226-1286 seiz")]);
    assert_eq!(events(&manifest), expected);
    assert_eq!(notes(entry(&manifest, "PN10-2")), ["two-ends"]);
}

#[test]
fn tables_of_events_lie_beside_bids_recordings() {
    let Some(source) = data("seizeit2") else { return };
    let bed = Bed::new("seizeit2");
    let rows = |stem: &str, channels: &[&str], seconds: usize| {
        let (subject, _) = stem.split_once('_').unwrap();
        let folder = format!("{subject}/ses-01/eeg");
        let events = fs_err::read(source.join(format!("{folder}/{stem}_events.tsv"))).unwrap();
        bed.put(&format!("{folder}/{stem}_events.tsv"), &events);
        let file = recording(channels, 1, seconds, "01.01.00", "00.00.00");
        bed.put(&format!("{folder}/{stem}_eeg.edf"), &file.to_bytes());
    };
    let run = |subject: u32, run: &str| format!("sub-{subject:03}_ses-01_task-szMonitoring_run-{run}");
    rows(&run(86, "29"), &["BTEleft SD", "CROSStop SD"], 1324);
    rows(&run(84, "26"), &["BTEright SD", "CROSStop SD"], 328);
    rows(&run(115, "48"), &["BTEright SD", "CROSStop SD"], 14_024);
    rows(&run(122, "24"), &["BTEleft SD", "BTEright SD"], 443);
    rows(&run(125, "36"), &["BTEleft SD", "CROSStop SD"], 900);
    let manifest = bed.build(5);
    let (a, b, c, d, e) = (run(86, "29"), run(84, "26"), run(115, "48"), run(122, "24"), run(125, "36"));
    assert_eq!(events(&manifest), map(&[(&a, "799-946 sz_foc_ia_m_tonic"), (&b, ""), (&c, ""), (&e, "")]));
    assert_eq!(quarantine(&manifest), map(&[(&d, "missing-channels")]));
    assert_eq!(entry(&manifest, &a)["subject"], "sub-086");
    assert!(notes(entry(&manifest, &c)).contains(&"empty-row"));
    assert!(notes(entry(&manifest, &e)).contains(&"duration-differs"));
}

#[test]
fn any_bids_dataset_can_be_read() {
    let bed = Bed::new("bids");
    for (stem, events) in [
        ("sub-01_ses-01_task-rest_run-00", "onset\tduration\teventType\n10\t20\tsz_foc_ia\n"),
        ("sub-01_ses-01_task-rest_run-01", "onset\tduration\teventType\n0\t100\tbckg\n"),
        ("sub-02_ses-01_task-rest_run-00", "onset\tduration\teventType\n"),
        ("sub-03_ses-01_task-rest_run-00", "onset\tduration\teventType\n10\tn/a\tsz\n"),
        ("sub-04_ses-01_task-rest_run-00", "onset\tduration\teventType\n10\t5\tartifact\n"),
    ] {
        let folder = format!("{}/ses-01/eeg", &stem[..6]);
        bed.put(&format!("{folder}/{stem}_events.tsv"), events.as_bytes());
        let mut file = recording(&ELECTRODES, 2, 100, "01.01.00", "00.00.00");
        stem.clone_into(&mut file.patient);
        if stem.starts_with("sub-01_ses-01_task-rest_run-01") {
            file.kind = Kind::Bdf;
            bed.put(&format!("{folder}/{stem}_eeg.bdf"), &file.to_bytes());
        } else {
            bed.put(&format!("{folder}/{stem}_eeg.edf"), &file.to_bytes());
        }
        bed.put(&format!("derivatives/x/{folder}/{stem}_eeg.edf"), &file.to_bytes());
    }
    let manifest = bed.build(5);
    let expected =
        map(&[("sub-01_ses-01_task-rest_run-00", "20-60 sz_foc_ia"), ("sub-01_ses-01_task-rest_run-01", "")]);
    assert_eq!(events(&manifest), expected);
    let expected = map(&[
        ("sub-02_ses-01_task-rest_run-00", "no-annotation"),
        ("sub-03_ses-01_task-rest_run-00", "bad-annotation"),
        ("sub-04_ses-01_task-rest_run-00", "unknown-label"),
    ]);
    assert_eq!(quarantine(&manifest), expected);
}

#[test]
fn sleep_stagings_lie_in_files_of_their_own() {
    let Some(hypnogram) = data("edfio/SC4001EC-Hypnogram.edf") else { return };
    let bed = Bed::new("sleep_edf");
    let hypnogram = fs_err::read(hypnogram).unwrap();
    let psg = recording(&["EEG Fpz-Cz", "EEG Pz-Oz", "EOG horizontal"], 1, 79_500, "24.04.89", "16.13.00");
    bed.put("sleep-cassette/SC4001E0-PSG.edf", &psg.to_bytes());
    bed.put("sleep-cassette/SC4001EC-Hypnogram.edf", &hypnogram);
    bed.put("sleep-cassette/SC4002E0-PSG.edf", &psg.to_bytes()[..100_000]);
    let manifest = bed.build(5);
    assert_eq!(events(&manifest), map(&[("SC4001E", "")]));
    let one = entry(&manifest, "SC4001E");
    assert_eq!((&one["subject"], &one["annotation"]["status"]), (&"SC400".into(), &"labelled-empty".into()));
    assert_eq!(quarantine(&manifest), map(&[("SC4002E", "truncated")]));
    // A stage that nobody has declared is not swallowed.
    bed.project.write("odd.yaml", "labels: {background: [\"Sleep stage W\"]}\ncache: {version: odd}\n");
    bed.run(&["build", "-c", "cheap.yaml", "-c", "odd.yaml"])
        .expect(5)
        .says(&["unknown-label", "`Sleep stage 1`"]);
    // A second file that the pattern finds.
    bed.put("sleep-cassette/SC4001EJ-Hypnogram.edf", &hypnogram);
    bed.run(&["status", "-c", "cheap.yaml"])
        .expect(2)
        .says(&["SC4001EC-Hypnogram.edf` and", "SC4001EJ-Hypnogram.edf`"]);
}

#[test]
fn older_tuh_releases_have_tse_files() {
    let bed = Bed::new("tuh_old");
    let montage: Vec<String> = ELECTRODES[..19].iter().map(|name| format!("{name}-REF")).collect();
    let montage: Vec<&str> = montage.iter().map(String::as_str).collect();
    let mut file = recording(&montage, 2, 60, "01.01.03", "00.00.00");
    let tse = |rows: &str| format!("version = tse_v1.0.0\n\n{rows}");
    for (path, text) in [
        (
            "train/01_tcp_ar/002/00000258/s002_2003_07_21/00000258_s002_t000",
            "0 10.5 bckg 1\n10.5 20 atsz 1\n20 60 bckg 1\n",
        ),
        ("dev_test/01_tcp_ar/003/00000301/s002_2003_07_21/00000301_s002_t000", "0 60 bckg 1\n"),
        ("train/01_tcp_ar/002/00000259/s002_2003_07_21/00000259_s002_t000", "0 10.5 bckg 1\n20 60 bckg 1\n"),
        ("train/01_tcp_ar/002/00000260/s002_2003_07_21/00000260_s002_t000", "0 30 nesz 1\n30 60 bckg 1\n"),
    ] {
        path[path.len() - 18..].clone_into(&mut file.patient);
        bed.put(&format!("{path}.edf"), &file.to_bytes());
        bed.put(&format!("{path}.tse"), tse(text).as_bytes());
        bed.put(&format!("{path}.tse_bi"), tse("0 60 bckg 1\n").as_bytes());
    }
    let manifest = bed.build(5);
    assert_eq!(events(&manifest), map(&[("00000258_s002_t000", "21-40 atsz"), ("00000301_s002_t000", "")]));
    assert_eq!(
        quarantine(&manifest),
        map(&[("00000259_s002_t000", "annotation-incomplete"), ("00000260_s002_t000", "unknown-label")])
    );
    let one = entry(&manifest, "00000258_s002_t000");
    assert_eq!((&one["split"], &one["subject"]), (&"train".into(), &"00000258".into()));
    assert!(notes(one).contains(&"cross-check") && !notes(one).contains(&"no-duration"), "{one}");
    assert_eq!(entry(&manifest, "00000301_s002_t000")["split"], "val");
}

#[test]
fn annotations_may_lie_in_the_recordings() {
    let bed = Bed::new("clinic");
    let own = "cache: {version: clinic}\nlabels: {seizure: [Seizure, \"Seizure *\"], background: [\"*\"], unlabelled: keep}\n\
               dataset:\n  root: ${EEG_DATA_ROOT}\n  recordings: \"*.edf\"\n  exclude: \"*-notes.edf\"\n  splits: {by_subject: {seed: 1, train: 1, val: 0}}\n  \
               annotations: {format: edf_annotations, no_row_means: unlabelled}\n";
    bed.project.write("configs/datasets/clinic.yaml", own);
    let file = || recording(&ELECTRODES, 2, 100, "01.01.03", "10.00.00").plus("EDF+C", &["+0.25"]);
    let a = file().annotate(0, "+10.25", Some("20"), "Seizure left").annotate(0, "+50", None, "eyes open");
    bed.put("a.edf", &a.to_bytes());
    bed.put("b.edf", &file().annotate(0, "+50", None, "eyes open").to_bytes());
    bed.put("c.edf", &file().annotate(0, "+50", None, "Seizure").to_bytes());
    bed.put("d.edf", &file().to_bytes());
    bed.put("e.edf", &file().annotate(0, "+1x", Some("20"), "Seizure").to_bytes());
    bed.put("a-notes.edf", b"no recording");
    let manifest = bed.build(5);
    assert_eq!(events(&manifest), map(&[("a", "20-60 Seizure left"), ("b", ""), ("d", "")]));
    assert_eq!(quarantine(&manifest), map(&[("c", "bad-annotation"), ("e", "bad-annotation")]));
    assert_eq!(entry(&manifest, "d")["annotation"]["status"], "unlabelled");
    bed.run(&["status", "-c", "cheap.yaml", "--profile", "full"]).expect(0).says(&["VALID"]);
    // Labels are made anew from the recordings, signals stay.
    bed.project.write("other.yaml", "cache: {version: clinic2}\nlabels: {seizure: [Seizure left]}\n");
    bed.run(&["build", "-c", "cheap.yaml", "-c", "other.yaml"]).expect(5);
    let other = bed.project.manifest("cache/full/clinic2");
    assert_eq!(entry(&other, "a")["made"]["labels"], "relabelled");
    assert_eq!(events(&other), map(&[("a", "20-60 Seizure left"), ("b", ""), ("c", ""), ("d", "")]));
}

#[test]
fn a_recording_without_annotation_signal_has_no_annotations() {
    let bed = Bed::new("clinic");
    let own = "cache: {version: clinic}\nlabels: {seizure: [Seizure], background: [\"*\"]}\ndataset:\n  root: ${EEG_DATA_ROOT}\n  \
               recordings: \"*.edf\"\n  splits: {by_subject: {seed: 1, train: 1, val: 0}}\n  annotations: {format: edf_annotations}\n";
    bed.project.write("configs/datasets/clinic.yaml", own);
    let file = |time: &str| recording(&ELECTRODES, 2, 100, "01.01.03", time);
    bed.put("plain.edf", &file("10.00.00").to_bytes());
    bed.put("quiet.edf", &file("11.00.00").plus("EDF+C", &["+0"]).to_bytes());
    let manifest = bed.build(5);
    assert_eq!(quarantine(&manifest), map(&[("plain", "no-annotation")]));
    assert_eq!(entry(&manifest, "quiet")["annotation"]["status"], "labelled-empty");
    let inspect = |name: &str, more: &[&str]| {
        let file = bed.project.path("data").join(name);
        bed.run(&[&["inspect", file.to_str().unwrap(), "--json"], more].concat()).json().to_string()
    };
    assert!(inspect("plain.edf", &[]).contains("no-annotation"));
    assert!(inspect("quiet.edf", &[]).contains("labelled-empty"));
    // Both when the signal is made and when only labels are.
    for (version, made) in
        [("clinic2", "labels: {unlabelled: keep}"), ("clinic3", "labels: {unlabelled: keep, seizure: [S]}")]
    {
        bed.project.write("keep.yaml", &format!("cache: {{version: {version}}}\n{made}\n"));
        bed.run(&["build", "-c", "cheap.yaml", "-c", "keep.yaml"]).expect(0);
        let kept = bed.project.manifest(&format!("cache/full/{version}"));
        assert_eq!(entry(&kept, "plain")["annotation"]["status"], "unlabelled", "{version}");
        assert_eq!(entry(&kept, "quiet")["annotation"]["status"], "labelled-empty", "{version}");
    }
    assert!(inspect("plain.edf", &["-c", "keep.yaml"]).contains("unlabelled"));
}

#[test]
fn labels_go_with_the_name_that_the_list_was_asked_for() {
    let bed = Bed::new("listed");
    let own = "cache: {version: listed}\nlabels: {seizure: [seiz], background: []}\ndataset:\n  root: ${EEG_DATA_ROOT}\n  \
               recordings: \"*.edf\"\n  id: '^([a-z]+)'\n  splits: {by_subject: {seed: 1, train: 1, val: 0}}\n  \
               subject: '^([a-z]+)'\n  annotations: {format: chbmit_summary, file: list.txt}\n  allow_no_seizures: true\n";
    bed.project.write("configs/datasets/listed.yaml", own);
    let list = "File Name: rec_one.edf\nNumber of Seizures in File: 1\nSeizure Start Time: 10 seconds\n\
                Seizure End Time: 20 seconds\nFile Name: rec_two.edf\nNumber of Seizures in File: 0\n";
    bed.put("list.txt", list.as_bytes());
    bed.put("rec_one.edf", &recording(&ELECTRODES, 2, 60, "01.01.03", "10.00.00").to_bytes());
    let rename = |from: &str, to: &str| {
        let path = |name: &str| bed.project.path("data").join(name);
        fs_err::rename(path(from), path(to)).unwrap();
    };
    let status = ["status", "-c", "cheap.yaml", "--profile", "full"];
    assert_eq!(events(&bed.build(0)), map(&[("rec", "20-40 seiz")]));
    bed.run(&status).expect(0).says(&["VALID"]);
    rename("rec_one.edf", "rec_two.edf");
    bed.run(&status).expect(1).says(&["STALE"]);
    let told = bed.run(&["explain", "rec", "-c", "cheap.yaml"]);
    told.says(&["`rec_one.edf`", "`rec_two.edf`"]);
    let manifest = bed.build(0);
    assert_eq!(events(&manifest), map(&[("rec", "")]));
    assert_eq!(entry(&manifest, "rec")["made"]["labels"], "relabelled");
    // A failure is one under that name.
    rename("rec_two.edf", "rec_three.edf");
    assert_eq!(quarantine(&bed.build(5)), map(&[("rec", "no-annotation")]));
    rename("rec_three.edf", "rec_one.edf");
    assert_eq!(events(&bed.build(0)), map(&[("rec", "20-40 seiz")]));
    // The files know it themselves.
    fs_err::remove_file(bed.project.path("cache/full/listed/manifest.json")).unwrap();
    rename("rec_one.edf", "rec_two.edf");
    assert_eq!(events(&bed.build(0)), map(&[("rec", "")]));
}
