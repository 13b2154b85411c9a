//! `inspect` against an independent parser, on every recording and every defect of the shared data; and what it draws.

use crate::edf_writer::{EdfFile, EdfSignal};
use crate::project::Project;
use crate::shared::shared;
use eegcache::model::Digest;
use eegcache::model::recording::Kind;
use serde_json::Value;
use std::path::Path;

fn load(path: &Path) -> Value {
    serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
}

fn inspect(project: &Project, file: &Path, more: &[&str]) -> Value {
    let file = file.to_str().unwrap();
    let run = project.run(&[&["inspect", file, "--json", "--samples"], more].concat());
    let report = run.json();
    assert_eq!(run.code, if report["class"].is_null() { 0 } else { 5 }, "{file}: {}", run.stderr);
    report
}

/// Holds what is shown against what an independent parser read.
fn check(name: &str, report: &Value, spec: &Value) {
    assert_eq!(report["sha256"], spec["sha256"], "{name}");
    assert_eq!(report["records"], spec["n_records_actual"], "{name}");
    assert_eq!(report["record_seconds"].as_f64(), spec["record_duration"].as_f64(), "{name}");
    let signals = report["signals"].as_array().unwrap();
    assert_eq!(signals.len(), spec["signals"].as_array().unwrap().len(), "{name}");
    for (signal, expected) in signals.iter().zip(spec["signals"].as_array().unwrap()) {
        let name = format!("{name}: {}", expected["label"]);
        for (ours, theirs) in [
            ("label", "label"),
            ("dimension", "dimension"),
            ("prefilter", "prefilter"),
            ("transducer", "transducer"),
        ] {
            assert_eq!(signal[ours], expected[theirs], "{name}");
        }
        for field in ["physical_min", "physical_max", "digital_min", "digital_max"] {
            assert_eq!(signal[field].as_f64(), expected[field].as_f64(), "{name}: {field}");
        }
        if expected["is_annotations"].as_bool() == Some(true) {
            continue;
        }
        assert_eq!(signal["samples"], expected["n_samples"], "{name}");
        let rate = signal["rate"][0].as_f64().unwrap() / signal["rate"][1].as_f64().unwrap();
        assert!((rate - expected["sfreq"].as_f64().unwrap()).abs() < 1e-9 * rate, "{name}: {rate}");
        for field in ["min", "max", "sum", "sha256_i32le"] {
            assert_eq!(signal["digital"][field], expected["digital"][field], "{name}: {field}");
        }
    }
    check_annotations(name, report, spec);
}

fn check_annotations(name: &str, report: &Value, spec: &Value) {
    let first = spec["record_onsets_first5"].get(0).and_then(Value::as_str).unwrap_or("0");
    let offset: f64 = first.parse().unwrap();
    assert_eq!(report["offset_s"].as_f64(), Some(offset), "{name}");
    let expected = spec["annotations_spec"].as_array().unwrap();
    let annotations = report["annotations"].as_array().unwrap();
    assert_eq!(annotations.len(), expected.len(), "{name}");
    for (one, expected) in annotations.iter().zip(expected) {
        let onset: f64 = expected["onset"].as_str().unwrap().parse().unwrap();
        assert!((one["onset"].as_f64().unwrap() - (onset - offset)).abs() < 1e-9, "{name}: {one}");
        let duration = expected["duration"].as_str().map(|text| text.parse::<f64>().unwrap());
        assert_eq!(one["duration"].as_f64(), duration, "{name}");
        assert_eq!(one["text"], expected["text"], "{name}");
    }
}

#[test]
fn every_real_recording_shows_the_values_of_an_independent_parser() {
    let Some(shared) = shared() else { return };
    let project = Project::bare();
    let mut checked = 0;
    for item in fs_err::read_dir(shared.join("data/golden")).unwrap() {
        let path = item.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if ["annotations.json", "malformed_outcomes.json"].contains(&name.as_str()) {
            continue;
        }
        let golden = load(&path);
        let relative = golden["split_path"].as_str().or(golden["file"].as_str()).unwrap();
        let file = shared.join("data").join(relative);
        check(&name, &inspect(&project, &file, &[]), &golden["spec"]);
        checked += 1;
    }
    assert_eq!(checked, 18);
}

/// The channels to ask for, where a defect file has others than most.
const CHANNELS: [(&str, &str); 8] = [
    ("ok_record_0p1.edf", "[Fp1]"),
    ("ok_record_odd.edf", "[Fp1]"),
    ("ok_record_30s.edf", "[Fpz-Cz]"),
    ("label_dup.edf", "[Fp1]"),
    ("label_latin1.edf", "[Fp1]"),
    ("label_empty.edf", "[Fp1]"),
    ("many_signals_640.edf", "[C0000, C0001]"),
    ("one_sample.edf", "[EEG]"),
];

/// What the outcomes leave open: the policies `flat` and `duplicates` decide two, no step of the default recipe runs on
/// one sample, and a file without signals is read, but holds no channel.
const DECIDED_ELSEWHERE: [(&str, &str); 4] = [
    ("sig_flat.edf", "flat"),
    ("label_dup.edf", "ambiguous-channels"),
    ("one_sample.edf", "too-short"),
    ("ann_only.edf", "missing-channels"),
];

fn class_of(code: &str) -> &str {
    match code {
        "E_HEADER" | "E_NREC" | "E_RECDUR" | "E_MAGIC" => "bad-header",
        "E_TRUNCATED" => "truncated",
        "E_SIZE_MISMATCH" => "size-mismatch",
        "E_CAL" => "bad-calibration",
        "E_DISCONTINUOUS" => "discontinuous",
        "E_EMPTY" | "E_POINTER" => "not-a-recording",
        other => other,
    }
}

#[test]
fn every_defect_is_shown_with_its_class_in_little_memory() {
    let Some(shared) = shared() else { return };
    let project = Project::bare();
    let outcomes = load(&shared.join("data/golden/malformed_outcomes.json"));
    let mut wrong = Vec::new();
    for outcome in outcomes.as_array().unwrap() {
        let file = outcome["file"].as_str().unwrap();
        let channels = CHANNELS.iter().find(|(name, _)| *name == file).map_or("[Fp1, Fp2]", |(_, list)| list);
        let order = format!("preprocessing.channels.order={channels}");
        let path = shared.join("data/malformed").join(file);
        let command = project.command(&["inspect", path.to_str().unwrap(), "--json", "--set", &order]);
        let report = in_256_mb(&command);
        let code = outcome["meta"]["code"].as_str().unwrap_or("");
        let expected = match outcome["meta"]["expect"].as_str().unwrap() {
            "reject" => Some(class_of(code)),
            _ => DECIDED_ELSEWHERE.iter().find(|(name, _)| *name == file).map(|(_, class)| *class),
        };
        let is_noted = !report["notes"].as_array().unwrap().is_empty();
        let silent = outcome["meta"]["expect"] == "accept_warn" && report["class"].is_null() && !is_noted;
        if report["class"].as_str() != expected || silent {
            wrong.push(format!("{file}: {expected:?} {code}: {} {}", report["class"], report["notes"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Runs a command that may have 256 MB of address space; a panic or an exhausted memory prints no JSON.
fn in_256_mb(command: &std::process::Command) -> Value {
    let mut limited = std::process::Command::new("sh");
    limited
        .args(["-c", "ulimit -v 262144; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args());
    limited.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    crate::project::Run::of(&limited.output().unwrap()).json()
}

/// Twelve seconds of two channels, the second one with hostile names around it.
fn drawn() -> Project {
    let project = Project::bare();
    let wave = |step: i32| (0..12 * 256).map(|i| (i * step) % 400 - 200).collect();
    let signals =
        vec![EdfSignal::new("EEG Fp1-REF", 256, wave(3)), EdfSignal::new("EEG <F3>&-REF", 256, wave(7))];
    fs_err::write(project.path("a.edf"), EdfFile::new(Kind::Edf, 12, signals).to_bytes()).unwrap();
    project
}

#[test]
fn what_the_recipe_makes_is_digested_before_the_last_rounding() {
    let project = drawn();
    let order = "preprocessing.channels.order=[Fp1, \"<F3>&\"]";
    let bare = ["--set", order, "--set", "preprocessing.steps=[]"];
    let report = inspect(&project, &project.path("a.edf"), &bare);
    for (row, (name, step)) in [("Fp1", 3), ("<F3>&", 7)].into_iter().enumerate() {
        let digital = (0..12 * 256).map(|i| (i * step) % 400 - 200);
        // Without a step these are the recorded values, rounded to float32 where they enter.
        let samples = digital.map(|x| f64::from((0.1 * f64::from(x) + 0.05) as f32));
        let bytes: Vec<u8> = samples.flat_map(f64::to_le_bytes).collect();
        let expected = serde_json::json!({
            "channel": name, "samples": 12 * 256, "sha256_f64le": Digest::of(&bytes).to_string()
        });
        assert_eq!(report["processed"][row], expected);
    }
    let one = "preprocessing.steps=[{zscore: {epsilon: 1.0e-8}}]";
    let scaled = inspect(&project, &project.path("a.edf"), &["--set", order, "--set", one]);
    assert_ne!(scaled["processed"][0]["sha256_f64le"], report["processed"][0]["sha256_f64le"]);
    let run = project.run(&["inspect", "a.edf", "--json", "--set", order]).expect(0);
    assert_eq!(run.json()["processed"], Value::Null, "only where it was asked for");
}

#[test]
fn a_page_is_drawn_before_and_after_the_recipe() {
    let project = drawn();
    let order = "preprocessing.channels.order=[Fp1, \"<F3>&\"]";
    let plot = |name: &str, more: &[&str]| {
        project.run(&[&["inspect", "a.edf", "--plot", name, "--set", order], more].concat())
    };
    plot("out.svg", &[]).expect(0);
    let svg = project.read("out.svg");
    assert_eq!(svg.matches("<path").count(), 4, "two channels, twice");
    for text in [
        "as recorded",
        "after the recipe",
        "negative up",
        "EEG &lt;F3&gt;&amp;-REF",
        "0 s to 10 s",
        " µV</text>",
    ] {
        assert!(svg.contains(text), "{text}");
    }
    plot("again.svg", &[]).expect(0);
    assert_eq!(svg, project.read("again.svg"), "the same bytes");
    plot("later.svg", &["--at", "100"]).expect(0);
    assert!(project.read("later.svg").contains("2 s to 12 s"), "never behind the last page");
    for (name, more, words) in [
        ("out.png", &[][..], "does not end in `.svg`"),
        ("cache/../cache/out.svg", &[], "cannot write"),
        ("out.svg", &["--at", "soon"], "`--at soon` is no time"),
        ("out.svg", &["--at=-1"], "`--at -1` is no time"),
    ] {
        let run = plot(name, more).says(&[words]);
        assert!(run.code == 2 || run.code == 74, "{name}: {}", run.code);
    }
}

#[test]
fn texts_of_marks_stand_above_each_other_where_they_would_overlap() {
    let project = drawn();
    let wave: Vec<i32> = (0..12 * 256).map(|i| (i * 3) % 400 - 200).collect();
    let onsets: Vec<String> = (0..12).map(|record| format!("+{record}")).collect();
    let onsets: Vec<&str> = onsets.iter().map(String::as_str).collect();
    let file = EdfFile::new(Kind::Edf, 12, vec![EdfSignal::new("EEG Fp1-REF", 256, wave)]);
    let file = file.plus("EDF+C", &onsets).annotate(1, "+3", None, "a rather long text");
    let file = file.annotate(1, "+3.2", Some("2"), "a second one").annotate(8, "+8", None, "far off");
    fs_err::write(project.path("b.edf"), file.to_bytes()).unwrap();
    let arguments = ["inspect", "b.edf", "--plot", "b.svg", "--set", "preprocessing.channels.order=[Fp1]"];
    project.run(&arguments).expect(0);
    let svg = project.read("b.svg");
    let height = |text: &str| {
        let line = svg.lines().find(|line| line.contains(&format!(">{text}</text>"))).unwrap();
        line.split("y=\"").nth(1).unwrap().split('"').next().unwrap().parse::<f64>().unwrap()
    };
    assert_eq!(height("a rather long text"), height("far off"));
    assert_eq!(height("a rather long text") - height("a second one"), 13.0);
}

#[test]
fn what_is_refused_is_shown_and_not_drawn() {
    let project = drawn();
    project
        .run(&["inspect", "a.edf", "--plot", "out.svg"])
        .expect(5)
        .says(&["missing-channels", "no page was drawn"]);
    assert!(!project.path("out.svg").exists());
    let report = inspect(&project, &project.path("a.edf"), &[]);
    assert_eq!(report["signals"][0]["maps_to"], "Fp1");
    assert_eq!(report["signals"][0]["rate"], serde_json::json!([256, 1]));
    assert_eq!(report["signals"][1]["maps_to"], Value::Null);
}
