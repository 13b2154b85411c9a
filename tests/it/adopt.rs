//! `adopt` on caches as other programs left them, made with numpy from a cache of ours: whole, in both layouts, and with
//! every defect that is known.

use crate::export::{in_time, make_pipe, numpy};
use crate::project::Project;
use serde_json::Value;

const FULL: &str = "cache/full/mini_v1";
const MAKE: &str = include_str!("adopt_numpy.py");

/// A project with a cache; the directory `built` keeps it as the model, `cache` is free for what is adopted.
fn project() -> Project {
    let project = Project::mini();
    project.run(&["build"]).expect(0);
    project
}

/// Makes a foreign cache with numpy from the project's own one; false where there is no numpy.
fn make(project: &Project, what: &str, directory: &str) -> bool {
    let what = std::path::PathBuf::from(what);
    numpy(MAKE, &[&what, &project.path(FULL), &project.path(directory)])
}

fn verdicts(report: &Value) -> Vec<(String, u64)> {
    let all = report["verdicts"].as_object().unwrap();
    all.iter().map(|(name, number)| (name.clone(), number.as_u64().unwrap())).collect()
}

fn codes(report: &Value) -> Vec<String> {
    let recordings = report["recordings"].as_array().unwrap().iter();
    let all = recordings.chain(std::iter::once(report)).flat_map(|one| one["findings"].as_array().unwrap());
    let mut codes: Vec<String> = all.map(|one| one["code"].as_str().unwrap().to_owned()).collect();
    codes.sort();
    codes.dedup();
    codes
}

#[test]
fn both_eras_are_proved_and_what_is_imported_is_what_build_makes() {
    let project = project();
    let model = project.contents(FULL);
    for what in ["compressed", "stored", "pairs"] {
        let directory = format!("foreign/{what}");
        if !make(&project, what, &directory) {
            return;
        }
        let root = format!("adopted-{what}");
        let report = project.run(&["adopt", &directory, "--sample", "99", "--cache-root", &root, "--json"]);
        let report = report.expect(0).json();
        let all = report["recordings"].as_array().unwrap().len() as u64;
        assert_eq!(verdicts(&report), [("proved".to_owned(), all)], "{report}");
        assert_eq!(report["imported"].as_array().unwrap().len() as u64, all);
        let adopted = project.contents(&format!("{root}/full/mini_v1"));
        assert!(
            !adopted.is_empty() && adopted.iter().all(|(name, bytes)| model.get(name) == Some(bytes)),
            "{what}"
        );
        // The rest is built on top, and the whole is what it would have been.
        let rest = project.run(&["build", "--cache-root", &root, "--json"]).expect(0).json();
        assert_eq!(rest["kept"].as_u64(), Some(all), "{rest}");
        assert_eq!(project.contents(&format!("{root}/full/mini_v1")), model);
    }
}

#[test]
fn our_own_export_is_proved() {
    let project = project();
    for layout in ["windows", "brain-brr"] {
        project.run(&["export", "--layout", layout, &format!("out/{layout}")]).expect(0);
        let run = project.run(&["adopt", &format!("out/{layout}"), "--sample", "3", "--dry-run"]).expect(0);
        run.says(&["proved               3", "consistent", "nothing was imported: `--dry-run`"]);
    }
}

/// Windows of a cache that stores half precision, and windows of what was computed before it was rounded.
#[test]
fn windows_of_half_precision_are_proved_too() {
    let project = project();
    let half = ["--set", "storage.dtype=float16", "--set", "cache.version=half"];
    project.run(&[&["build"], &half[..]].concat()).expect(0);
    project.run(&[&["export", "--layout", "npy", "out/half"], &half[..]].concat()).expect(0);
    project.run(&["export", "--layout", "npy", "out/single"]).expect(0);
    for directory in ["out/half", "out/single"] {
        let adopt = [&["adopt", directory, "--sample", "4", "--dry-run"], &half[..]].concat();
        project.run(&adopt).expect(0).says(&["proved               4"]);
    }
    // They do not pass for the samples of a cache of single precision.
    project.run(&["adopt", "out/half", "--sample", "2", "--dry-run"]).expect(4).says(&["signal-differs"]);
}

#[test]
fn a_pipe_in_place_of_a_listing_is_not_waited_for() {
    let project = project();
    project.run(&["export", "--layout", "npy", "out"]).expect(0);
    make_pipe(&project.path("out/train/manifest.json"));
    let run = in_time(&project, &["adopt", "out", "--sample", "0", "--dry-run"]);
    run.expect(4).says(&["stale-manifest", "it is no regular file"]);
}

#[test]
fn a_dataset_may_say_that_it_has_no_seizures() {
    let project = project();
    if !make(&project, "no-seizures", "foreign") {
        return;
    }
    let config = project.read("configs/datasets/mini.yaml");
    project.write("configs/datasets/mini.yaml", &format!("{config}  allow_no_seizures: true\n"));
    let report = project.run(&["adopt", "foreign", "--sample", "99", "--dry-run", "--json"]).expect(4).json();
    let found = codes(&report);
    // What a recording of it shows is said all the same.
    assert!(
        found.contains(&"seizures-missing".into()) && !found.contains(&"no-seizures".into()),
        "{found:?}"
    );
}

#[test]
fn without_the_sources_nothing_is_imported() {
    let project = project();
    project.run(&["export", "--layout", "npy", "out"]).expect(0);
    fs_err::rename(project.path("data"), project.path("away")).unwrap();
    let run = project.run(&["adopt", "out", "--sample", "99", "--cache-root", "new"]).expect(0);
    run.says(&["sources not reachable", "nothing is imported", "0 recordings of the profile"]);
    assert!(!project.path("new").exists());
}

/// A project with a recording with gaps, its windows exported to `out`.
fn exported_gaps(gaps: &str) -> Project {
    let project = crate::gaps::project(gaps);
    let local = project.read("configs/local.yaml");
    let local = local.replace("stride_s: 4", "stride_s: 2");
    // Windows of a cache are read without its sources: their rate must be one of the recipe.
    let resample = "    - resample: {rate_hz: 80, method: polyphase}\n    - zscore";
    project.write("configs/local.yaml", &local.replace("    - zscore", resample));
    project.run(&["build"]).expect(0);
    project.run(&["export", "--layout", "npy", "out"]).expect(0);
    project
}

#[test]
fn parts_of_a_recording_are_proved_one_by_one_and_imported_together() {
    let adopt = ["adopt", "out", "--sample", "99", "--cache-root", "new", "--json"];
    let project = exported_gaps("split");
    let report = project.run(&adopt).expect(0).json();
    assert_eq!(verdicts(&report), [("proved".to_owned(), 3 + 5)], "{report}");
    let imported = report["imported"].as_array().unwrap();
    assert!(imported.len() == 3 + 5 && imported.contains(&"a_gaps.part001".into()), "{report}");
    assert_eq!(project.contents("new/full/gapped_v1"), project.contents("cache/full/gapped_v1"));

    // Where one part is something else, the recording is not imported; a part too many has no source.
    let pair =
        |stem: &str| ["data", "labels"].map(|what| project.path(&format!("out/train/{stem}_{what}.npy")));
    for (part, other) in pair("a_gaps.part001").iter().zip(pair("a_piece0")) {
        fs_err::copy(other, part).unwrap();
    }
    for (piece, part) in pair("a_piece0").iter().zip(pair("a_gaps.part003")) {
        fs_err::copy(piece, part).unwrap();
    }
    fs_err::remove_dir_all(project.path("new")).unwrap();
    let report = project.run(&adopt).expect(4).json();
    assert_eq!(verdicts(&report), [("proved".to_owned(), 7), ("wrong".to_owned(), 2)], "{report}");
    assert!(codes(&report).contains(&"no-such-part".to_owned()), "{report}");
    let imported = report["imported"].as_array().unwrap();
    assert!(imported.len() == 5 && !imported.contains(&"a_gaps.part000".into()), "{report}");
}

#[test]
fn windows_with_a_gap_left_out_between_them_prove_nothing_and_are_not_imported() {
    let project = exported_gaps("fill");
    let report =
        project.run(&["adopt", "out", "--sample", "99", "--cache-root", "new", "--json"]).expect(4).json();
    assert_eq!(verdicts(&report), [("proved".to_owned(), 5), ("refused".to_owned(), 1)], "{report}");
    assert!(!report["imported"].as_array().unwrap().contains(&"a_gaps".into()), "{report}");
}

/// What is done to a foreign cache, and what `adopt` must say of it.
const DEFECTS: &[(&str, &[&str])] = &[
    ("zero-fz", &["D1", "signal-differs"]),
    ("flat-cz", &["flat", "signal-differs"]),
    ("not-finite", &["not-finite", "signal-differs"]),
    ("one-bit", &["signal-differs"]),
    ("overlap", &["unreadable"]),
    ("no-seizures", &["no-seizures", "seizures-missing", "stale-manifest"]),
    ("shifted-labels", &["labels-differ"]),
    ("half-labels", &["unreadable"]),
    ("no-labels", &["no-labels"]),
    ("missing-tail", &["window-count"]),
    ("stale-manifest", &["stale-manifest"]),
    ("two-splits", &["two-splits"]),
    ("stranger", &["no-source"]),
];

#[test]
fn every_known_defect_is_named_and_nothing_of_it_is_imported() {
    let project = project();
    for (what, expected) in DEFECTS {
        let directory = format!("foreign/{what}");
        if !make(&project, what, &directory) {
            return;
        }
        let code = if *what == "stranger" { 0 } else { 4 };
        let report =
            project.run(&["adopt", &directory, "--sample", "99", "--dry-run", "--json"]).expect(code).json();
        let found = codes(&report);
        assert!(expected.iter().all(|code| found.iter().any(|found| found == code)), "{what}: {found:?}");
        let only_expected = found.iter().all(|code| expected.contains(&code.as_str()));
        assert!(only_expected || *what == "shifted-labels", "{what}: {found:?}");
        assert_eq!(report["imported"], serde_json::json!([]));
    }
}

#[test]
fn hostile_files_are_refused_at_little_cost() {
    let project = project();
    if !make(&project, "hostile", "foreign") {
        return;
    }
    let report = project
        .run(&["adopt", "foreign", "--sample", "99", "--cache-root", "new", "--json"])
        .expect(4)
        .json();
    let recordings = report["recordings"].as_array().unwrap();
    assert!(recordings.len() >= 12, "{report}");
    for one in recordings {
        assert_eq!(
            (&one["verdict"], &one["findings"][0]["code"]),
            (&"refused".into(), &"unreadable".into()),
            "{one}"
        );
    }
    for (name, why) in [
        ("object_data.npy", "it holds objects: nothing is unpickled"),
        ("object_windows.npz", "it holds objects: nothing is unpickled"),
        ("fortran_data.npy", "in Fortran order"),
        ("big_endian_data.npy", "`>f4` and not `<f4`"),
        ("double_data.npy", "`<f8` and not `<f4`"),
        ("int8_labels_data.npy", "`|i1` and not `<f4`"),
        ("version_data.npy", "of version 2.0 and not 1.0"),
    ] {
        let one = recordings.iter().find(|one| one["file"] == name).unwrap();
        assert!(one["findings"][0]["text"].as_str().unwrap().contains(why), "{one}");
    }
    assert!(!project.path("new").exists() && !project.path("escaped").exists());
    project.run(&["adopt", "configs"]).expect(2).says(&["holds no", "hint:"]);
    project.run(&["adopt", "nowhere"]).expect(2);
}
