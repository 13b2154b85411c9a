//! Bounded address space: ten hours of 36 channels at 512 Hz in 2 GiB, only in `make torture`, since that writes two gigabytes.

use crate::project::{Project, Run};
use crate::tally;
use crate::torture::{has, shell};
use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::Path;

const HOURS: usize = 10;
const CHANNELS: usize = 36;
const RATE: usize = 512;
/// The picked channels lead; what follows is recorded and not asked for.
const PICKED: &str = "FP1 F3 C3 P3 F7 T3 T5 O1 FZ CZ PZ FP2 F4 C4 P4 F8 T4 T6 O2";

#[test]
fn ten_hours_of_36_channels_are_built_in_2_gib() {
    if !tally::is_long() {
        return tally::skip("ten hours of 36 channels at 512 Hz: `make torture` builds them");
    }
    let project = Project::bare();
    project.write(
        "configs/datasets/long.yaml",
        "dataset:\n  title: long\n  licence: CC0-1.0\n  root: data\n  recordings: \"*.edf\"\n  subject: '([^/]+)[.]edf$'\n  \
         splits: {by_subject: {seed: 1, train: 1.0, val: 0.0}}\n  \
         annotations: {format: tusz_csv, file: \"{stem}.csv\"}\n",
    );
    project.write("configs/local.yaml", "data: {dataset: long}\ncache: {version: long_v1}\n");
    let seconds = HOURS * 3600;
    project.write(
        "data/night.csv",
        &format!("# duration = {seconds}.0000 secs\nchannel,start_time,stop_time,label,confidence\nFP1-F7,0.0000,{seconds}.0000,bckg,1.0000\n"),
    );
    write_recording(&project.path("data/night.edf"));
    let command = project.command(&["build", "-j", "1", "--memory", "2G", "--json"]);
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -v 2097152; exec \"$0\" \"$@\""]).arg(command.get_program());
    limited.args(command.get_args()).current_dir(project.path(""));
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let report = Run::of(&limited.output().unwrap()).expect(0).json();
    assert_eq!(report["built"], 1, "{report}");
    let entry = &project.manifest("cache/full/long_v1")["entries"][0];
    assert_eq!(entry["samples"], seconds * 256);
}

/// The allocator that reserves a gigabyte ahead is not taken where addresses are bounded: half of two would be gone.
#[test]
fn where_addresses_are_bounded_none_are_reserved_ahead() {
    if !has(&["strace", "-f", "-e", "trace=none", "true"]) {
        return;
    }
    let project = Project::bare();
    for (limit, reserves) in [("unlimited", true), ("2097152", false)] {
        let traced = format!("ulimit -v {limit}; exec strace -f -qq -o trace -e trace=mmap \"$0\" --version");
        shell(&project, &traced).expect(0);
        let trace = fs_err::read_to_string(project.path("trace")).unwrap();
        let sizes: Vec<u64> = trace.lines().filter_map(mapped).collect();
        assert!(!sizes.is_empty(), "{trace}");
        assert_eq!(sizes.iter().any(|size| *size >= 1 << 30), reserves, "{limit}: {trace}");
    }
}

/// The bytes that a traced `mmap` asks for.
fn mapped(line: &str) -> Option<u64> {
    line.split_once("mmap(")?.1.split(", ").nth(1)?.parse().ok()
}

/// One second of noise and mains, again and again.
fn write_recording(path: &Path) {
    let mut out = BufWriter::new(fs_err::File::create(path).unwrap());
    out.write_all(header().as_bytes()).unwrap();
    let mut state = 7_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 20) as i16 - 2048
    };
    for _ in 0..HOURS * 3600 {
        let second: Vec<u8> = (0..CHANNELS * RATE).flat_map(|_| noise().to_le_bytes()).collect();
        out.write_all(&second).unwrap();
    }
    out.flush().unwrap();
}

/// A plain EDF header (Kemp et al. 1992).
fn header() -> String {
    let others = (0..CHANNELS).map(|number| format!("X{number}"));
    let names = PICKED.split(' ').map(str::to_owned).chain(others).take(CHANNELS);
    let labels: Vec<String> = names.map(|name| format!("EEG {name}-REF")).collect();
    let (bytes, records, rate) = (256 * (CHANNELS + 1), HOURS * 3600, RATE.to_string());
    let mut text = format!(
        "{:<8}{:<80}{:<80}01.01.1201.02.03{bytes:<8}{:<44}{records:<8}{:<8}{CHANNELS:<4}",
        0, "X X X X", "Startdate 01-JAN-2012 X X X", "", 1
    );
    for label in labels {
        let _ = write!(text, "{label:<16}");
    }
    let fields = [
        (80, ""),
        (8, "uV"),
        (8, "-5000"),
        (8, "5000"),
        (8, "-32767"),
        (8, "32767"),
        (80, ""),
        (8, &*rate),
        (32, ""),
    ];
    for (width, value) in fields {
        text.push_str(&format!("{value:<width$}").repeat(CHANNELS));
    }
    text
}
