//! A dataset of five recordings so small that a build takes milliseconds, and the project around it.
#![allow(dead_code, reason = "shared by two test binaries, which use parts of it")]

use std::fmt::Write;
use std::path::Path;

/// The paths of the recordings below the dataset's root, without their ending.
pub(crate) const RECORDINGS: [&str; 5] = ["train/a_1", "train/a_2", "train/b_1", "dev/c_1", "eval/d_1"];

const BASE: &str = "\
cache:
  version: v1
  root: cache
  profile: full
  link: [reflink, hardlink, copy]
  profiles:
    smoke: {subset: first_3_files, reuse_from: [full]}
    full: {subset: all_files, reuse_from: [smoke]}
data: {dataset: tiny}
preprocessing:
  channels: {order: [Fp1, Cz]}
  steps:
    - clip: {limit: 10}
windows: {length_s: 1, stride_s: 1}
labels: {seizure: [seiz], background: [bckg, fnsz], unlabelled: error}
";

const DATASET: &str = "\
dataset:
  title: five very small recordings
  licence: CC0-1.0
  root: data
  recordings: \"**/*.edf\"
  subject: '([^/_]+)_[^/]*$'
  splits: {directory: {train: train, val: dev, eval: eval}}
  annotations: {format: tusz_csv, file: \"{stem}.csv\"}
";

/// Writes configuration and dataset below `project`.
pub(crate) fn write_project(project: &Path) {
    write(&project.join("configs/cache/base.yaml"), BASE.as_bytes());
    write(&project.join("configs/datasets/tiny.yaml"), DATASET.as_bytes());
    write_dataset(&project.join("data"), 0);
}

/// Writes the dataset; each `variant` of the first recording has the same size and other samples.
pub(crate) fn write_dataset(root: &Path, variant: u8) {
    for (number, name) in RECORDINGS.iter().enumerate() {
        let variant = if number == 0 { variant } else { 0 };
        write(&root.join(format!("{name}.edf")), &recording(number as u8 + 16 * variant));
        write(&root.join(format!("{name}.csv")), annotations(number).as_bytes());
    }
}

fn write(path: &Path, content: &[u8]) {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, content).unwrap();
}

fn annotations(number: usize) -> String {
    let (code, start) = (["seiz", "fnsz"][number % 2], 1 + number % 3);
    format!(
        "# version = csv_v1.0.0\n#\nchannel,start_time,stop_time,label,confidence\n\
         FP1-F7,0.0000,{start}.0000,bckg,1.0000\nFP1-F7,{start}.0000,4.0000,{code},1.0000\n"
    )
}

/// EDF (Kemp et al. 1992): two channels, four records of one second, eight samples each.
pub(crate) fn recording(seed: u8) -> Vec<u8> {
    const CHANNELS: [&str; 2] = ["EEG FP1-REF", "EEG CZ-REF"];
    let mut head = format!("{:8}{:80}{:80}", "0", "X X X X", "Startdate 15-MAR-2021 X X X");
    write!(head, "{:8}{:8}{:<8}{:44}{:<8}{:<8}{:<4}", "15.03.21", "22.10.05", 768, "", 4, 1, 2).unwrap();
    for (width, fields) in [
        (16, CHANNELS),
        (80, ["", ""]),
        (8, ["uV", "uV"]),
        (8, ["-100", "-100"]),
        (8, ["100", "100"]),
        (8, ["-32768", "-32768"]),
        (8, ["32767", "32767"]),
        (80, ["", ""]),
        (8, ["8", "8"]),
        (32, ["", ""]),
    ] {
        for field in fields {
            write!(head, "{field:width$}").unwrap();
        }
    }
    let sample = |index: i32| ((index * 977 + i32::from(seed) * 7919) % 5000 - 2500) as i16;
    let mut bytes = head.into_bytes();
    bytes.extend((0..64).flat_map(|index| sample(index).to_le_bytes()));
    bytes
}
