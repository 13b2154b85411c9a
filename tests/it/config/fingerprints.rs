//! Fingerprints: ten committed recipes, spellings that are equal, fields that are not.

use super::Project;
use eegcache::model::id::Digest;
use std::path::Path;

fn fingerprints(text: &str) -> (Digest, Digest) {
    let recipe = Project::new().config("x.yaml", text).ok().settings.recipe;
    (recipe.signal_fingerprint(), recipe.label_fingerprint())
}

/// The vectors: the lines of a config in YAML, and what it resolves to on top of the shipped files.
#[test]
fn ten_recipes_keep_their_fingerprints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fingerprints.json");
    let vectors: Vec<serde_json::Value> =
        serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap();
    assert_eq!(vectors.len(), 10);
    let mut wrong = Vec::new();
    for vector in &vectors {
        let text = |key: &str| vector[key].as_str().unwrap_or_else(|| panic!("no {key} in {vector}"));
        let lines = |key: &str| {
            vector[key]
                .as_array()
                .unwrap()
                .iter()
                .map(|line| line.as_str().unwrap())
                .collect::<Vec<_>>()
                .join("\n")
        };
        let (signal, labels) = fingerprints(&lines("config"));
        if (signal.to_string().as_str(), labels.to_string().as_str()) != (text("signal"), text("labels")) {
            wrong.push(format!("{}: signal {signal}, labels {labels}", text("name")));
        }
    }
    assert!(
        wrong.is_empty(),
        "a fingerprint changed, so every cache made before would be built again:\n{}",
        wrong.join("\n")
    );
}

/// The labels of shipped datasets: a reader that finds something else has another revision.
#[test]
fn shipped_datasets_keep_their_label_fingerprints() {
    let project = crate::project::Project::bare();
    for (dataset, expected) in [
        ("tusz", "31cfad8fc4b0566b5a8324a15eeccbcae93fae96a97816b10f4a18b719d00fae"),
        ("chbmit", "b128aa01a6f5ed3f23a3bf3b25b6cf49b868cef0dbbdf9e1e472e58e30206d28"),
        ("siena", "3c4199c8ad16b0f9ddc77188113fc00828b38890f3fa0c1b1dc5b04f7efcac06"),
        ("bids", "dec8853565e5cd98759d1ff8ef89a553e6268e781d00ea8778fbaf51c3d2a51b"),
    ] {
        let chosen = format!("data.dataset={dataset}");
        let shown = project.run(&["config", "show", "--json", "--set", &chosen]).expect(0).json();
        let derived = shown["derived"].as_array().unwrap();
        let labels = derived.iter().find(|line| line["key"] == "fingerprints.labels").unwrap();
        assert_eq!(labels["value"], expected, "{dataset}");
    }
}

/// The flat keys of base.yaml, written out.
const WRITTEN_OUT: &str = "\
preprocessing:
  channels:
    order: [Fp1, F3, C3, P3, F7, T3, T5, O1, Fz, Cz, Pz, Fp2, F4, C4, P4, F8, T4, T6, O2]
    aliases: {T7: T3, T8: T4, P7: T5, P8: T6}
    interpolate: [Fz, Pz]
    duplicates: error
  steps:
    - resample: {rate_hz: 256, method: fft}
    - bandpass: {low_hz: 0.5, high_hz: 120, order: 3, phase: causal, init: zero}
    - notch: {freq_hz: 60, q: 30, phase: causal}
    - zscore: {epsilon: 1.0e-8}
    - clip: {limit: 10}
";

#[test]
fn equal_pipelines_have_equal_fingerprints() {
    let base = fingerprints("");
    for text in [
        WRITTEN_OUT,
        &WRITTEN_OUT.replace("- zscore: {epsilon: 1.0e-8}", "- zscore"),
        &WRITTEN_OUT.replace("- zscore: {epsilon: 1.0e-8}", "- zscore: {}"),
        &WRITTEN_OUT.replace("- zscore: {epsilon: 1.0e-8}", "- zscore:"),
        &WRITTEN_OUT.replace("q: 30, ", ""),
        &WRITTEN_OUT.replace("interpolate: [Fz, Pz]", "interpolate: [PZ, fz]"),
        &WRITTEN_OUT.replace("rate_hz: 256,", "rate_hz: 512/2,"),
        "preprocessing: {normalize: true, use_mne: false}",
        "preprocessing: {sampling_rate: 256.0, clip: 10, bandpass: [0.50, 120]}",
        "preprocessing: {channels: {duplicates: error}, gaps: error, truncated: quarantine, flat: quarantine}",
        "data: {sampling_rate: 256}",
        "labels: {seizure: [tnsz, mysz, tcsz, spsz, absz, cpsz, fnsz, gnsz, seiz]}",
        "windows: {length_s: 30, stride_s: 1.5}",
        "cache: {version: other, root: elsewhere, profile: smoke, link: [copy]}",
        "data: {dataset: tusz}",
    ] {
        assert_eq!(fingerprints(text), base, "{text}");
    }
}

#[test]
fn any_field_of_the_signal_changes_its_fingerprint_alone() {
    let edit = |from: &str, to: &str| {
        assert!(WRITTEN_OUT.contains(from), "{from}");
        WRITTEN_OUT.replace(from, to)
    };
    let texts = [
        edit("[Fp1, F3,", "[F3, Fp1,"),
        edit(", O2]", "]"),
        edit("P8: T6", "P8: O2"),
        edit("T8: T4, ", ""),
        edit("[Fz, Pz]", "[Fz]"),
        edit("duplicates: error", "duplicates: first"),
        edit("method: fft", "method: polyphase"),
        edit("low_hz: 0.5", "low_hz: 0.4"),
        edit("high_hz: 120", "high_hz: 100"),
        edit("order: 3", "order: 4"),
        edit("phase: causal, init: zero", "phase: zero"),
        edit("init: zero", "init: first_sample"),
        edit("freq_hz: 60", "freq_hz: 50"),
        edit("q: 30", "q: 25"),
        edit("q: 30, phase: causal", "q: 30, phase: zero"),
        edit("1.0e-8", "1.0e-7"),
        edit("zscore", "robust"),
        edit("limit: 10", "limit: 9"),
        edit("    - clip: {limit: 10}\n", ""),
        edit("    - clip: {limit: 10}\n", "    - clip: {limit: 10}\n    - clip: {limit: 10}\n"),
        edit(
            "    - zscore: {epsilon: 1.0e-8}\n    - clip: {limit: 10}\n",
            "    - clip: {limit: 10}\n    - zscore\n",
        ),
        edit("    - zscore", "    - reference: average\n    - zscore"),
        edit("    - zscore", "    - reference: {bipolar: [[Fp1, F7]]}\n    - zscore"),
        edit("    - zscore", "    - reference: {bipolar: [[F7, Fp1]]}\n    - zscore"),
        edit("    - notch", "    - highpass: {freq_hz: 1, order: 2, phase: zero}\n    - notch"),
        edit("    - notch", "    - lowpass: {freq_hz: 1, order: 2, phase: zero}\n    - notch"),
        "preprocessing: {truncated: keep_whole_records}".to_owned(),
        "preprocessing: {flat: zero}".to_owned(),
        "storage: {dtype: float16}".to_owned(),
    ];
    let base = fingerprints("");
    let mut seen = vec![base.0];
    for text in texts {
        let (signal, labels) = fingerprints(&text);
        assert!(!seen.contains(&signal), "{text}");
        assert_eq!(labels, base.1, "{text}");
        seen.push(signal);
    }
}

/// The fingerprints of a dataset of one's own.
fn own(dataset: &str, rest: &str) -> (Digest, Digest) {
    let project = Project::new().config("x.yaml", rest).set("data.dataset=own");
    let text = format!(
        "dataset:\n  root: d\n  recordings: '*.edf'\n  splits: {{by_subject: {{seed: 1}}}}\n  {dataset}\n"
    );
    project.write("configs/datasets/own.yaml", &text);
    let recipe = project.ok().settings.recipe;
    (recipe.signal_fingerprint(), recipe.label_fingerprint())
}

/// A list that does not name a recording says nothing of it, a file of its own without a row does.
#[test]
fn silence_means_what_the_format_makes_likely() {
    for (format, silence, other) in [
        ("chbmit_summary", "unlabelled", "empty"),
        ("siena_list", "unlabelled", "empty"),
        ("bids_events", "empty", "unlabelled"),
        ("wfdb_seizures", "empty", "unlabelled"),
    ] {
        let with =
            |rest: &str| own(&format!("annotations: {{format: {format}, file: '{{stem}}.x'{rest}}}"), "");
        assert_eq!(with(""), with(&format!(", no_row_means: {silence}")), "{format}");
        assert_ne!(with(""), with(&format!(", no_row_means: {other}")), "{format}");
    }
}

/// Its notes stand in the labels files.
#[test]
fn the_format_of_the_cross_check_counts_where_it_is_not_the_usual_one() {
    for (format, usual, other) in [
        ("tusz_csv", "tusz_csv_bi", "tuh_tse"),
        ("chbmit_summary", "wfdb_seizures", "chbmit_summary"),
        ("tuh_tse", "tuh_tse", "tusz_csv"),
    ] {
        let with = |rest: &str| {
            own(
                &format!(
                    "annotations: {{format: {format}, file: '{{stem}}.x', cross_check: '{{stem}}.y'{rest}}}"
                ),
                "",
            )
            .1
        };
        assert_eq!(with(""), with(&format!(", cross_check_format: {usual}")), "{format}");
        assert_ne!(with(""), with(&format!(", cross_check_format: {other}")), "{format}");
    }
}

#[test]
fn any_field_of_the_labels_changes_their_fingerprint_alone() {
    let csv = "annotations: {format: tusz_csv, file: '{stem}.csv'}";
    let base = own(csv, "");
    let mut seen = vec![base.1];
    for (dataset, rest) in [
        (csv, "labels: {seizure: [seiz]}"),
        (csv, "labels: {background: [bckg, null_]}"),
        (csv, "labels: {unlabelled: keep}"),
        (csv, "labels: {unlabelled: background}"),
        ("annotations: {format: tusz_csv_bi, file: '{stem}.csv'}", ""),
        ("annotations: {format: tusz_csv, file: '{stem}.csv', no_row_means: unlabelled}", ""),
        (
            "annotations: {format: tusz_csv, file: '{stem}.csv'}\n  fixes: {a: [{onset: 1, end: 2, why: x}]}",
            "",
        ),
        (
            "annotations: {format: tusz_csv, file: '{stem}.csv'}\n  fixes: {a: [{onset: 1, end: 3, why: x}]}",
            "",
        ),
        (
            "annotations: {format: tusz_csv, file: '{stem}.csv'}\n  fixes: {a: [{onset: 1, remove: true, why: x}]}",
            "",
        ),
    ] {
        let (signal, labels) = own(dataset, rest);
        assert_eq!(signal, base.0, "{dataset} {rest}");
        assert!(!seen.contains(&labels), "{dataset} {rest}");
        seen.push(labels);
    }
    // The reason of a fix is for people, the name of a file and a cross-check decide nothing.
    let fix = |why: &str| own(&format!("{csv}\n  fixes: {{a: [{{onset: 1, end: 2, why: {why}}}]}}"), "").1;
    assert_eq!(fix("x"), fix("y"));
    assert_eq!(
        own("annotations: {format: tusz_csv, file: 'l/{stem}.csv', cross_check: '{stem}.b'}", ""),
        base
    );
    // The rate is the time base of the labels too.
    let rate = own(csv, "preprocessing: {sampling_rate: 250}");
    assert!(rate.0 != base.0 && rate.1 != base.1);
}
