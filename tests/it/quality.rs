//! Quality in entries, in `inspect` and before training: what was recorded badly is said, and nothing is mended.

use crate::edf_writer::{EdfFile, EdfSignal};
use crate::project::Project;
use eegcache::model::artifact::{Facts, SignalFacts};
use eegcache::model::recording::Kind;
use serde_json::{Value, json};

const RATE: usize = 256;
const SECONDS: usize = 40;

/// Noise over mains of an amplitude in digital steps.
fn samples(seed: u32, mains_hz: f64, amplitude: f64) -> Vec<i32> {
    let mut state = seed;
    let sample = |index: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (state >> 16) as u16 as i16 / 32;
        let turn = std::f64::consts::TAU * mains_hz * index as f64 / RATE as f64;
        i32::from(noise) + (amplitude * turn.sin()) as i32
    };
    (0..RATE * SECONDS).map(sample).collect()
}

/// Three channels against an ear; the one in the middle hits the rail for a tenth of the time.
fn recording(kind: Kind, mains_hz: f64) -> EdfFile {
    let signal = |label: &str, samples| EdfSignal::new(label, RATE, samples);
    let mut railed = samples(2, mains_hz, 900.0);
    railed[2048..3072].fill(32767);
    let signals = vec![
        signal("EEG F3-LE", samples(1, mains_hz, 900.0)),
        signal("EEG Cz-LE", railed).dimension(""),
        signal("EEG O2-LE", vec![7; RATE * SECONDS]),
    ];
    EdfFile::new(kind, SECONDS, signals)
}

/// Recordings in `data` under a dataset file that names the mains.
fn project(mains_hz: Option<u32>) -> Project {
    let project = Project::bare();
    fs_err::create_dir(project.path("data")).unwrap();
    project.write("configs/local.yaml", "data: {dataset: own}\n");
    write_dataset(&project, mains_hz);
    project
}

fn write_dataset(project: &Project, mains_hz: Option<u32>) {
    let mains = mains_hz.map_or_else(String::new, |hertz| format!("  mains_hz: {hertz}\n"));
    let text = "cache: {version: own}\nlabels: {unlabelled: keep}\n\
         preprocessing: {channels: {order: [F3, Cz, O2], interpolate: []}, flat: zero}\n\
         dataset:\n  root: data\n  recordings: \"*.*df\"\n  splits: {by_subject: {seed: 1, train: 1, val: 0}}\n  \
         annotations: {format: none}\n  allow_no_seizures: true\n";
    project.write("configs/datasets/own.yaml", &format!("{text}{mains}"));
}

fn put(project: &Project, name: &str, file: &EdfFile) {
    fs_err::write(project.path("data").join(name), file.to_bytes()).unwrap();
}

/// The entry of the only recording.
fn entry(project: &Project) -> Value {
    let manifest = project.manifest("cache/full/own");
    assert_eq!(manifest["entries"].as_array().unwrap().len(), 1);
    manifest["entries"][0].clone()
}

/// What the signal file says of itself.
fn signal_facts(project: &Project) -> SignalFacts {
    match project.facts("own", "train/a.npz") {
        Facts::Signal(facts) => facts,
        Facts::Labels(_) => panic!("labels"),
    }
}

fn codes(notes: &Value) -> Vec<&str> {
    notes.as_array().unwrap().iter().map(|note| note["code"].as_str().unwrap()).collect()
}

#[test]
fn an_entry_says_how_well_it_was_recorded() {
    let project = project(Some(50));
    put(&project, "a.edf", &recording(Kind::Edf, 50.0));
    project.run(&["build"]).expect(0);
    let entry = entry(&project);
    let quality = &entry["quality"];
    for (field, expected) in [
        ("format", json!("EDF")),
        ("reference", json!("LE")),
        ("mains_hz", json!(50)),
        ("saturated", json!({"EEG Cz-LE": 0.099_912})),
        ("flat", json!(["EEG O2-LE"])),
        ("unit_assumed", json!(["EEG Cz-LE"])),
    ] {
        assert_eq!(quality[field], expected, "{field}: {quality}");
    }
    assert!(quality["mains_ratio"].as_f64().unwrap() > 100.0, "{quality}");
    let early: Vec<&String> = quality["early_variance"].as_object().unwrap().keys().collect();
    assert_eq!(early, ["Cz", "F3"], "a flat channel has no variance");
    let clipped = quality["clipped"].as_f64().unwrap();
    assert!((0.0..0.01).contains(&clipped), "{quality}");
    let found = codes(&entry["notes"]);
    assert!(
        found.contains(&"saturated") && found.contains(&"flat") && found.contains(&"unit-assumed"),
        "{entry}"
    );
    assert!(!found.contains(&"mains-mismatch") && !found.contains(&"misnamed"), "{entry}");
    // The same stands in the file itself, and `inspect` shows it without a build.
    let facts = signal_facts(&project);
    assert_eq!(serde_json::to_value(facts.quality).unwrap(), *quality);
    let shown = project.run(&["inspect", "data/a.edf", "--json"]).expect(0).json();
    assert_eq!(shown["quality"], *quality);
    let words = [
        "mains 50 Hz",
        "reference LE",
        "saturated: EEG Cz-LE 10.0 %",
        "flat: EEG O2-LE",
        "unit assumed: EEG Cz-LE",
    ];
    project.run(&["inspect", "data/a.edf"]).expect(0).says(&words).says(&["of the samples clipped"]);
    project.run(&["explain", "a"]).expect(0).says(&words).says(&["of the samples clipped"]);
}

#[test]
fn a_recording_that_is_refused_is_measured_all_the_same() {
    let project = project(Some(50));
    put(&project, "a.edf", &recording(Kind::Edf, 50.0));
    let arguments = ["inspect", "data/a.edf", "--json", "--set", "preprocessing.flat=quarantine"];
    let shown = project.run(&arguments).expect(5).json();
    assert_eq!((&shown["class"], &shown["quality"]["mains_hz"]), (&json!("flat"), &json!(50)));
    assert_eq!(shown["quality"]["clipped"], Value::Null, "no step ran");
}

#[test]
fn other_mains_than_the_dataset_says_are_noted_and_training_hears_of_it() {
    let project = project(Some(60));
    put(&project, "a.edf", &recording(Kind::Edf, 50.0));
    project.run(&["build"]).expect(0);
    let (before, files) = (entry(&project), project.entries("cache/full"));
    assert!(codes(&before["notes"]).contains(&"mains-mismatch"), "{before}");
    let words = "mains of 50 Hz show";
    project.run(&["explain", "a"]).expect(0).says(&[words, "the dataset file says 60 Hz"]);
    project.run(&["inspect", "data/a.edf"]).expect(0).says(&[words]);
    let gates = ["preflight", "--set", "data.splits=[train]", "--set", "windows.length_s=5"];
    project.run(&gates).expect(0).says(&["mains-mismatch", "`a`: mains at another frequency"]);
    // It follows from the dataset file, so it goes with the next build, and nothing is made again.
    write_dataset(&project, Some(50));
    project.run(&["build"]).expect(0).says(&["1 already there"]);
    assert!(!codes(&entry(&project)["notes"]).contains(&"mains-mismatch"));
    assert_eq!(project.entries("cache/full"), files);
    let gates = project.run(&gates).expect(0);
    assert!(!gates.stderr.contains("mains-mismatch"), "{}", gates.stderr);
}

#[test]
fn without_a_word_on_mains_the_notch_is_what_they_are_compared_with() {
    let project = project(None);
    put(&project, "a.edf", &recording(Kind::Edf, 50.0));
    project.run(&["inspect", "data/a.edf"]).expect(0).says(&["mains-mismatch", "the notch is at 60 Hz"]);
    let other = project.run(&["inspect", "data/a.edf", "--set", "preprocessing.notch_freq=50"]).expect(0);
    assert!(!other.stdout.contains("mains-mismatch"), "{}", other.stdout);
}

#[test]
fn windows_that_fit_no_recording_are_said_and_shut_the_gate() {
    let project = project(None);
    // 64 samples in 0.6 s are 320/3 Hz: ten seconds are no whole number of samples, sixty are.
    let signals = ["F3", "Cz", "O2"].map(|label| {
        let samples = (0..64 * 200).map(|index| (index * 7) % 2001 - 1000).collect();
        EdfSignal::new(label, 64, samples)
    });
    let file =
        EdfFile { record_duration: "0.6".to_owned(), ..EdfFile::new(Kind::Edf, 200, signals.to_vec()) };
    put(&project, "a.edf", &file);
    let own = ["--set", "preprocessing.sampling_rate=null", "--set", "data.splits=[train]"];
    let low = [&["build"], &own[..], &["--set", "cache.version=low"]].concat();
    project.run(&low).expect(5).says(&["rate-too-low"]);
    project.run(&[&["explain", "a"], &own[..], &["--set", "cache.version=low"]].concat()).says(&[
        "`bandpass` needs 120 Hz",
        "320/3 Hz",
        "a `resample` step before it, or a lower edge, helps",
    ]);
    let bare = ["--set", "preprocessing.bandpass=[0.5, 40]", "--set", "preprocessing.notch_freq=50"];
    let with = |command: &[&'static str]| project.run(&[command, &own, &bare].concat());
    with(&["build"]).expect(0);
    with(&["status", "--profile", "full"]).expect(0).says(&["without windows: at the rate of 1 recording"]);
    with(&["preflight"]).expect(4).says(&[
        "windows of 60 s every 10 s",
        "320/3 Hz, the rate of `a`",
        "sampling_rate",
    ]);
    with(&["preflight", "--set", "windows.stride_s=60"]).expect(0);
}

#[test]
fn a_name_that_contradicts_the_content_is_noted_until_it_is_mended() {
    for (kind, wrong, right) in [(Kind::Bdf, "a.edf", "a.bdf"), (Kind::Edf, "a.bdf", "a.edf")] {
        let project = project(Some(50));
        put(&project, wrong, &recording(kind, 50.0));
        project.run(&["build"]).expect(0);
        let files = project.entries("cache/full");
        let entry_of_wrong = entry(&project);
        assert!(codes(&entry_of_wrong["notes"]).contains(&"misnamed"), "{entry_of_wrong}");
        project.run(&["explain", "a"]).expect(0).says(&["misnamed: the name ends in"]);
        let inside = signal_facts(&project);
        assert!(
            inside.notes.iter().all(|note| note.code != "misnamed"),
            "a file does not change with its source's name"
        );
        fs_err::rename(project.path("data").join(wrong), project.path("data").join(right)).unwrap();
        project.run(&["build"]).expect(0).says(&["1 already there"]);
        assert!(!codes(&entry(&project)["notes"]).contains(&"misnamed"));
        assert_eq!(project.entries("cache/full"), files);
    }
}
