//! Recordings with gaps through the real binary: refused, split into parts, or filled.

use crate::edf_writer::{EdfFile, EdfSignal};
use crate::project::{Project, Run};
use eegcache::model::artifact::{Facts, LabelFacts, SignalFacts};
use eegcache::model::recording::Kind;
use serde_json::Value;

const CACHE: &str = "cache/full/gapped_v1";
const HZ: usize = 100;
/// 20 s, a gap of 10.5 s, 12 s, a gap of 1 s, 8 s.
const PIECES: [(usize, usize, &str); 3] = [(0, 20, "0"), (20, 12, "30.5"), (32, 8, "43.5")];
const LENGTH_S: &str = "51.5";

/// Noise that is the same for every file that holds the same record.
fn samples(channel: usize, records: std::ops::Range<usize>) -> Vec<i32> {
    let mut samples = Vec::new();
    for index in records.start * HZ..records.end * HZ {
        let mut state = (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (channel as u64) << 32;
        state = (state ^ (state >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB);
        samples.push((state >> 52) as i32 - 2048 + 300 * channel as i32);
    }
    samples
}

fn recording(records: std::ops::Range<usize>, onsets: &[String]) -> Vec<u8> {
    let signal = |(channel, name): (usize, &&str)| {
        EdfSignal::new(name, HZ, samples(channel, records.clone())).dimension("uV")
    };
    let signals: Vec<_> =
        ["Fp1", "Cz", "O2"].iter().enumerate().map(|(at, name)| signal((at, name))).collect();
    let onsets: Vec<&str> = onsets.iter().map(String::as_str).collect();
    EdfFile::new(Kind::Edf, records.len(), signals).plus("EDF+D", &onsets).to_bytes()
}

fn onsets() -> Vec<String> {
    let piece = |(_, records, start): (usize, usize, &str)| {
        let (whole, rest) = start.split_once('.').unwrap_or((start, "0"));
        let whole: usize = whole.parse().unwrap();
        (0..records).map(|at| format!("+{}.{rest}", whole + at)).collect::<Vec<_>>()
    };
    PIECES.into_iter().flat_map(piece).collect()
}

/// The recording with gaps, its three pieces as recordings of their own, and two others; each with a `.csv_bi`.
pub(crate) fn project(gaps: &str) -> Project {
    let project = Project::bare();
    let annotate = |name: &str, duration: &str, seizures: &str| {
        let text = format!(
            "# duration = {duration} secs\nchannel,start_time,stop_time,label,confidence\nTERM,0,{duration},bckg,1\n{seizures}"
        );
        project.write(&format!("data/{name}.csv_bi"), &text);
    };
    let write = |name: &str, bytes: &[u8]| {
        let path = project.path(&format!("data/{name}.edf"));
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
    };
    write("train/a_gaps", &recording(0..40, &onsets()));
    // 18 to 35 s: across the first gap.
    annotate("train/a_gaps", LENGTH_S, "TERM,18,35,seiz,1\n");
    for (index, (first, records, _)) in PIECES.into_iter().enumerate() {
        let name = format!("train/a_piece{index}");
        let own: Vec<String> = (0..records).map(|at| format!("+{at}")).collect();
        write(&name, &recording(first..first + records, &own));
        annotate(&name, &format!("{records}"), "TERM,1,3,seiz,1\n");
    }
    for (name, first) in [("val/b_whole", 50), ("eval/c_whole", 80)] {
        let own: Vec<String> = (0..20).map(|at| format!("+{at}")).collect();
        write(name, &recording(first..first + 20, &own));
        annotate(name, "20", "TERM,1,3,seiz,1\n");
    }
    project.write(
        "configs/datasets/gapped.yaml",
        "dataset:\n  title: gaps\n  licence: CC0-1.0\n  root: data\n  recordings: \"**/*.edf\"\n  \
         subject: '([^/_]+)_[^/]*$'\n  splits: {directory: {train: train, val: val, eval: eval}}\n  \
         annotations: {format: tusz_csv_bi, file: \"{stem}.csv_bi\"}\n",
    );
    project.write(
        "configs/local.yaml",
        &format!(
            "data: {{dataset: gapped}}\ncache: {{version: gapped_v1}}\nwindows: {{length_s: 4, stride_s: 4}}\n\
             preprocessing:\n  channels: {{order: [Fp1, Cz, O2], interpolate: []}}\n  gaps: {gaps}\n  steps:\n    \
             - bandpass: {{low_hz: 0.5, high_hz: 30, order: 4, phase: zero}}\n    - zscore: {{epsilon: 1.0e-8}}\n    \
             - clip: {{limit: 10}}\n"
        ),
    );
    project
}

fn build(project: &Project, arguments: &[&str]) -> Run {
    project.run(&[&["build", "--json"], arguments].concat())
}

fn facts(project: &Project, name: &str) -> Facts {
    project.facts("gapped_v1", name)
}

fn signal(project: &Project, stem: &str) -> SignalFacts {
    match facts(project, &format!("train/{stem}.npz")) {
        Facts::Signal(facts) => facts,
        Facts::Labels(_) => panic!("{stem} is a labels file"),
    }
}

fn labels(project: &Project, stem: &str) -> LabelFacts {
    match facts(project, &format!("train/{stem}.labels.npz")) {
        Facts::Labels(facts) => facts,
        Facts::Signal(_) => panic!("{stem} is a signal file"),
    }
}

fn status(project: &Project) -> Value {
    project.run(&["status", "--profile", "full", "--json"]).json()["profiles"][0].clone()
}

#[test]
fn gaps_are_refused_by_default_and_the_refusal_says_what_takes_them() {
    let project = project("error");
    let report = build(&project, &[]).expect(5).json();
    let failed = &report["quarantine"][0];
    assert_eq!((&failed["name"], &failed["class"]), (&"a_gaps".into(), &"discontinuous".into()));
    let message = failed["message"].as_str().unwrap();
    assert!(message.contains("record 20 begins at 30.5 s") && message.contains("`gaps: split`"), "{message}");
}

#[test]
fn each_part_is_processed_as_a_recording_of_its_own() {
    let project = project("split");
    build(&project, &[]).expect(0);
    for (index, (_, records, start)) in PIECES.into_iter().enumerate() {
        let (part, alone) = (
            signal(&project, &format!("a_gaps.part{index:03}")),
            signal(&project, &format!("a_piece{index}")),
        );
        assert_eq!(part.arrays, alone.arrays, "part {index}");
        assert_eq!((part.samples, alone.part), ((records * HZ) as u64, None));
        let place = part.part.unwrap();
        assert_eq!((place.of, place.start_s.to_string()), (3, start.to_owned()));
    }
    let events = |index: usize| -> Vec<(u64, u64)> {
        let facts = labels(&project, &format!("a_gaps.part{index:03}"));
        facts.events.iter().map(|event| (event.start, event.end)).collect()
    };
    // 18 to 35 s, cut to 0–20 s and to 30.5–42.5 s.
    assert_eq!((events(0), events(1), events(2)), (vec![(1800, 2000)], vec![(0, 450)], vec![]));
    let cut = labels(&project, "a_gaps.part000").notes;
    assert!(cut.iter().any(|note| note.code == "event-cut"), "{cut:?}");
    let status = status(&project);
    let train = &status["splits"]["train"];
    assert_eq!(
        (&status["state"], &train["members"], &train["have"]),
        (&"VALID".into(), &4.into(), &4.into())
    );
    // Windows of 4 s: 5 + 3 + 2, and the same again of the pieces.
    let windows = &train["windows"];
    let total: u64 = ["none", "partial", "full"].iter().map(|class| windows[class].as_u64().unwrap()).sum();
    assert_eq!(total, 20);
    assert_eq!(train["seconds"].as_f64(), Some(80.0));
    let totals = &project.manifest(CACHE)["totals"]["train"];
    assert_eq!((&totals["recordings"], &totals["samples"]), (&4.into(), &8000.into()));
    project.run(&["explain", "a_gaps", "--json"]).expect(0).says(&["a_gaps.part002", "VALID"]);
    // Times count from the recording's begin, not from the part's.
    let explained = project.run(&["explain", "a_gaps"]).expect(0);
    explained.says(&["samples in 3 parts", "18 s to 20 s", "30.5 s to 35.0 s"]);
    project.run(&["preflight"]).expect(0);
    project.run(&["verify"]).expect(0);
    project.run(&["inspect", "data/train/a_gaps.edf"]).expect(0).says(&["2 gaps of 11.5 s together"]);
}

#[test]
fn a_recording_is_there_when_all_its_parts_are() {
    let project = project("split");
    build(&project, &[]).expect(0);
    let whole = project.contents(CACHE);
    assert_eq!(whole.len(), 16);
    for lost in ["train/a_gaps.part001.npz", "train/a_gaps.part002.labels.npz"] {
        for keeps_manifest in [true, false] {
            fs_err::remove_file(project.path(&format!("{CACHE}/{lost}"))).unwrap();
            if !keeps_manifest {
                fs_err::remove_file(project.path(&format!("{CACHE}/manifest.json"))).unwrap();
            }
            let state = status(&project);
            assert_eq!(state["state"], "INCOMPLETE", "{lost}");
            assert_eq!(state["splits"]["train"]["missing"], 1, "{lost}: {state}");
            let report = build(&project, &[]).expect(0).json();
            assert_eq!(
                report["built"].as_u64().unwrap() + report["relabelled"].as_u64().unwrap(),
                1,
                "{lost}"
            );
            assert_eq!(project.contents(CACHE), whole, "{lost}");
        }
    }
    fs_err::remove_file(project.path(&format!("{CACHE}/manifest.json"))).unwrap();
    let report = build(&project, &[]).expect(0).json();
    assert_eq!((&report["built"], &report["relabelled"], &report["kept"]), (&0.into(), &0.into(), &6.into()));
    assert_eq!(status(&project)["state"], "VALID");
}

#[test]
fn parts_are_linked_relabelled_and_replaced_together() {
    let project = project("split");
    build(&project, &[]).expect(0);
    let smoke = build(&project, &["--profile", "smoke"]).expect(0).json();
    assert_eq!((&smoke["linked"], &smoke["built"]), (&6.into(), &0.into()));
    assert_eq!(project.contents("cache/smoke/gapped_v1"), project.contents(CACHE));

    let rows = "TERM,0,51.5,bckg,1\nTERM,44,46,seiz,1\n";
    let text = format!("# duration = {LENGTH_S} secs\nchannel,start_time,stop_time,label,confidence\n{rows}");
    project.write("data/train/a_gaps.csv_bi", &text);
    let report = build(&project, &[]).expect(0).json();
    assert_eq!((&report["relabelled"], &report["kept"], &report["built"]), (&1.into(), &5.into(), &0.into()));
    let events = labels(&project, "a_gaps.part002").events;
    assert_eq!((events[0].start, events[0].end), (50, 250));
    assert!(labels(&project, "a_gaps.part000").events.is_empty());

    // The recording loses its last gap: what was in three parts is in two.
    let mut mended = onsets();
    for (at, onset) in mended.iter_mut().enumerate().skip(32) {
        *onset = format!("+{}.5", 42 + at - 32);
    }
    fs_err::write(project.path("data/train/a_gaps.edf"), recording(0..40, &mended)).unwrap();
    let text = text.replace(LENGTH_S, "50.5");
    project.write("data/train/a_gaps.csv_bi", &text);
    let report = build(&project, &[]).expect(0).json();
    assert_eq!(report["built"], 1);
    let names: Vec<String> =
        project.contents(CACHE).into_keys().filter(|name| name.contains("a_gaps")).collect();
    assert_eq!(
        names,
        [
            "train/a_gaps.part000.labels.npz",
            "train/a_gaps.part000.npz",
            "train/a_gaps.part001.labels.npz",
            "train/a_gaps.part001.npz"
        ]
    );
    assert_eq!(status(&project)["state"], "VALID");
}

#[test]
fn a_part_that_fails_takes_the_recording_with_it() {
    let project = project("split");
    let path = project.path("data/train/a_gaps.edf");
    let mut bytes = fs_err::read(&path).unwrap();
    // The first channel of the last piece becomes constant: three channels and 60 annotation samples a record.
    let (header, record) = (256 * 5, 2 * (3 * HZ + 60));
    for at in 32..40 {
        bytes[header + at * record..][..2 * HZ].fill(0);
    }
    fs_err::write(&path, bytes).unwrap();
    let report = build(&project, &[]).expect(5).json();
    let failed = &report["quarantine"][0];
    assert_eq!(failed["class"], "flat");
    assert!(failed["message"].as_str().unwrap().contains("`a_gaps.part002`, from 43.5 s on"), "{failed}");
    assert!(project.contents(CACHE).keys().all(|name| !name.contains("a_gaps")));
}

#[test]
fn filled_gaps_are_zeros_that_no_window_touches() {
    let project = project("fill");
    build(&project, &[]).expect(0);
    let facts = signal(&project, "a_gaps");
    let gaps: Vec<(u64, u64)> = facts.gaps.iter().map(|gap| (gap.start, gap.end)).collect();
    assert_eq!((facts.samples, gaps), (5150, vec![(2000, 3050), (4250, 4350)]));
    assert_eq!(labels(&project, "a_gaps").events[0].end, 3500);
    let manifest = project.manifest(CACHE);
    let entry = manifest["entries"].as_array().unwrap().iter().find(|e| e["id"] == "a_gaps").unwrap();
    assert_eq!(entry["gaps"][1], serde_json::json!({"start": 4250, "end": 4350}));
    let totals = &manifest["totals"]["train"];
    // 18–20 s and 30.5–35 s of the recording with gaps, 2 s of each piece.
    assert_eq!((&totals["samples"], &totals["seizure_samples"]), (&8000.into(), &(650 + 600).into()));
    // Windows of 4 s: 0–20 s, 32–40 s and 44–48 s; those at 28, 40 and 20 to 28 s touch a gap.
    let train = &status(&project)["splits"]["train"];
    let windows = &train["windows"];
    let total: u64 = ["none", "partial", "full"].iter().map(|class| windows[class].as_u64().unwrap()).sum();
    assert_eq!(total, (5 + 2 + 1) + 10);
    assert_eq!(train["seconds"].as_f64(), Some(80.0));
    project.run(&["preflight"]).expect(0);
}

#[test]
fn memory_is_judged_again_when_the_gaps_are_known() {
    for (gaps, expected) in [("split", 0), ("fill", 5)] {
        let project = project(gaps);
        // Two days between the two halves: 207 MB of zeros where they are filled.
        let onsets: Vec<String> = (0..40).map(|at| format!("+{}", at + at / 20 * 172_800)).collect();
        fs_err::write(project.path("data/train/d_far.edf"), recording(0..40, &onsets)).unwrap();
        let rows = "TERM,0,172840,bckg,1\nTERM,3,5,seiz,1\n";
        let head = "# duration = 172840 secs\nchannel,start_time,stop_time,label,confidence\n";
        project.write("data/train/d_far.csv_bi", &format!("{head}{rows}"));
        let run = build(&project, &["-j", "4", "--memory", "60M"]).expect(expected);
        if gaps == "fill" {
            run.says(&["too-long", "`--memory`"]);
            assert!(project.contents(CACHE).keys().all(|name| !name.contains("d_far")));
            build(&project, &["--memory", "400M"]).expect(0);
            assert_eq!(signal(&project, "d_far").samples, 17_284_000);
        }
    }
}

#[test]
fn a_last_stretch_that_is_left_out_belongs_to_the_recording() {
    for (gaps, stem) in [("split", "a_gaps.part000"), ("fill", "a_gaps")] {
        let project = project(gaps);
        // 28 s, a gap of 12 s, and 1 s that is too short for the filter.
        let onsets: Vec<String> = (0..28).chain([40]).map(|at| format!("+{at}")).collect();
        fs_err::write(project.path("data/train/a_gaps.edf"), recording(0..29, &onsets)).unwrap();
        let rows = "# duration = 41 secs\nchannel,start_time,stop_time,label,confidence\nTERM,0,41,bckg,1\n\
                    TERM,20,25,seiz,1\nTERM,26,40.5,seiz,1\nTERM,40.2,40.8,seiz,1\nTERM,40.5,41.5,seiz,1\n";
        project.write("data/train/a_gaps.csv_bi", rows);
        let local = project.read("configs/local.yaml").replace("high_hz: 30", "high_hz: 8");
        let local = local.replace("steps:\n", "steps:\n    - resample: {rate_hz: 20, method: polyphase}\n");
        project.write("configs/local.yaml", &local);
        build(&project, &[]).expect(0);
        let shown = |version: &str| match project.facts(version, &format!("train/{stem}.labels.npz")) {
            Facts::Labels(facts) => {
                let events: Vec<_> = facts.events.iter().map(|event| (event.start, event.end)).collect();
                let notes: Vec<_> = facts.notes.iter().map(|note| note.code.clone()).collect();
                (events, notes.join(","))
            }
            Facts::Signal(_) => panic!("no labels file"),
        };
        let expected = (vec![(400, 500), (520, 560)], "event-cut,event-in-gap,event-in-gap".to_owned());
        assert_eq!(shown("gapped_v1"), expected, "{gaps}");
        let file = project.path("data/train/a_gaps.edf");
        let told = project.run(&["inspect", file.to_str().unwrap(), "--json"]).json();
        assert_eq!(told["labels"]["status"], "labelled", "{gaps}: {told}");
        // From the files alone it is the same.
        project.write("other.yaml", "cache: {version: gapped_v2}\nlabels: {seizure: [seiz, fnsz]}\n");
        build(&project, &["-c", "other.yaml"]).expect(0);
        assert_eq!(shown("gapped_v2"), expected, "{gaps}");
        let manifest = project.manifest("cache/full/gapped_v2");
        let entries = manifest["entries"].as_array().unwrap();
        assert!(entries.iter().all(|entry| entry["made"]["labels"] == "relabelled"), "{manifest}");
    }
}
