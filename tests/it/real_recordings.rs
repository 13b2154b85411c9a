//! Real recordings from other libraries' test suites, through `datasets/folder.yaml` with channels of their own.

use crate::project::Project;
use crate::reader::check_cache;
use crate::shared::shared;

struct Case {
    file: &'static str,
    channels: Vec<String>,
    samples: u64,
    /// Unlike the header says.
    notes: &'static [&'static str],
}

fn cases() -> Vec<Case> {
    let numbered = |names: &[&str], count: usize| -> Vec<String> {
        names.iter().flat_map(|name| (1..=count).map(move |number| format!("{name}{number}"))).collect()
    };
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    vec![
        // Sleep-EDF: 30 s records, 100 Hz beside 1 Hz.
        Case {
            file: "edfio/short_psg.edf",
            channels: named(&["EEG Fpz-Cz", "Pz-Oz", "EMG submental"]),
            samples: 76_800,
            notes: &[],
        },
        Case { file: "edfio/short_psg.bdf", channels: named(&["Fpz-Cz"]), samples: 76_800, notes: &[] },
        // BioSemi, 139 signals.
        Case {
            file: "edfio/mne_test.edf",
            channels: numbered(&["A", "B", "C", "D"], 16),
            samples: 1_536,
            notes: &["digital-range"],
        },
        Case {
            file: "EDF.jl/bdf_test.bdf",
            channels: numbered(&["Channel-"], 8),
            samples: 18_688,
            notes: &["wrong-marker"],
        },
    ]
}

#[test]
fn real_recordings_are_what_scipy_makes_of_them() {
    let Some(shared) = shared() else { return };
    for case in cases() {
        let project = Project::bare();
        fs_err::create_dir(project.path("data")).unwrap();
        let name = case.file.rsplit('/').next().unwrap();
        fs_err::copy(shared.join("data").join(case.file), project.path("data").join(name)).unwrap();
        let channels = case.channels.join("\", \"");
        project.write(
            "own.yaml",
            &format!("preprocessing: {{channels: {{order: [\"{channels}\"], interpolate: []}}}}\n"),
        );
        let run = |arguments: &[&str]| {
            let mut command = project.command(&[arguments, &["-c", "own.yaml"]].concat());
            command.env("EEG_DATASET", "folder").env("EEG_DATA_ROOT", project.path("data"));
            crate::project::Run::of(&command.output().unwrap()).expect(0)
        };
        let report = run(&["build", "--json"]).json();
        assert_eq!(report["built"], 1, "{}: {report}", case.file);
        let cache = "cache/full/folder_v1_256hz_10-20";
        let entry = &project.manifest(cache)["entries"][0];
        assert_eq!(entry["samples"], case.samples, "{}", case.file);
        assert_eq!(entry["annotation"]["status"], "unlabelled");
        for note in case.notes {
            let codes = entry["notes"].as_array().unwrap().iter().map(|n| n["code"].as_str().unwrap());
            assert!(codes.clone().any(|code| code == *note), "{}: {note} in {entry}", case.file);
        }
        check_cache(&project, cache, "data", &run(&["status", "--profile", "full", "--json"]));
        run(&["verify"]).says(&["0 damaged"]);
        let only = format!("data.splits=[{}]", entry["split"].as_str().unwrap());
        run(&["preflight", "--set", &only, "--set", "windows.length_s=5"]).says(&["ready"]);
    }
}

#[test]
fn a_channel_that_is_no_voltage_goes_to_quarantine() {
    let Some(shared) = shared() else { return };
    let project = Project::bare();
    fs_err::create_dir(project.path("data")).unwrap();
    fs_err::copy(shared.join("data/edfio/short_psg.edf"), project.path("data/short_psg.edf")).unwrap();
    let mut command = project.command(&["build", "--set"]);
    command.arg("preprocessing.channels={order: [Fpz-Cz, Temprectal], interpolate: []}");
    command.env("EEG_DATASET", "folder").env("EEG_DATA_ROOT", project.path("data"));
    let run = crate::project::Run::of(&command.output().unwrap()).expect(5);
    run.says(&["bad-unit", "DegC"]);
}
