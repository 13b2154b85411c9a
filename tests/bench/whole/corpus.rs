//! Recordings like those of a clinical corpus: one-second records, noise, slow walks and mains. Twelve make three hours at four
//! rates with 25 to 35 signals; others are of one kind and any length.

use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Recordings of the corpus that the peers are measured on.
pub(crate) const COUNT: usize = KINDS.len();

/// Rate, seconds, signals besides the 19.
type Kind = (usize, usize, usize);

const KINDS: [Kind; 12] = [
    (250, 931, 11),
    (250, 733, 11),
    (256, 1210, 12),
    (400, 617, 6),
    (512, 611, 14),
    (250, 1223, 11),
    (256, 1101, 16),
    (400, 853, 10),
    (250, 978, 7),
    (512, 733, 8),
    (256, 911, 8),
    (250, 1087, 8),
];

const NAMES: &str = "FP1 F3 C3 P3 F7 T3 T5 O1 FZ CZ PZ FP2 F4 C4 P4 F8 T4 T6 O2";

/// Writes so many recordings of the corpus, those that are not there yet.
pub(crate) fn write(root: &Path, count: usize) {
    for number in 0..count {
        let folder = ["train", "dev", "eval"][number % COUNT / 9 + number % COUNT / 11];
        write_one(root, folder, number, KINDS[number % COUNT]);
    }
}

/// Writes one recording of 36 signals at 512 Hz, if it is not there yet.
pub(crate) fn write_long(root: &Path, hours: usize) {
    write_one(root, "train", hours, (512, hours * 3600, 36 - 19));
}

fn write_one(root: &Path, folder: &str, number: usize, kind: Kind) {
    let name = format!("aaaaaaa{}", (b'a' + number as u8) as char);
    let directory = root.join(folder).join(&name).join("s001_2012/01_tcp_ar");
    let stem = directory.join(format!("{name}_s001_t000"));
    let done = stem.with_extension("csv");
    if done.exists() {
        return;
    }
    fs_err::create_dir_all(&directory).unwrap();
    let mut file = BufWriter::new(fs_err::File::create(stem.with_extension("edf")).unwrap());
    recording(&mut file, number as u64, kind);
    file.flush().unwrap();
    fs_err::write(done, annotations(kind.1)).unwrap();
}

fn annotations(seconds: usize) -> String {
    let mut text =
        format!("# duration = {seconds}.0000 secs\nchannel,start_time,stop_time,label,confidence\n");
    for (start, stop, label) in [(0, 100, "bckg"), (100, 160, "fnsz"), (160, seconds, "bckg")] {
        let _ = writeln!(text, "FP1-F7,{start}.0000,{stop}.0000,{label},1.0000");
    }
    text
}

fn recording(out: &mut impl Write, seed: u64, (rate, seconds, others): Kind) {
    let extra = (0..others).map(|number| format!("X{number}"));
    let labels: Vec<String> =
        NAMES.split(' ').map(str::to_owned).chain(extra).map(|name| format!("EEG {name}-REF")).collect();
    out.write_all(header(&labels, rate, seconds).as_bytes()).unwrap();
    let mut state = seed + 1;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1 << 24) - 0.5
    };
    // A slow walk for each channel, mains and noise, in steps of 0.15 µV.
    let mut walks = vec![0.0; labels.len()];
    let mains: Vec<f64> =
        (0..rate).map(|i| 60.0 * (std::f64::consts::TAU * 60.0 * i as f64 / rate as f64).sin()).collect();
    for _ in 0..seconds {
        for walk in &mut walks {
            for hum in &mains {
                *walk = *walk * 0.995 + 60.0 * random();
                let value = (*walk + hum + 20.0 * random()) as i16;
                out.write_all(&value.to_le_bytes()).unwrap();
            }
        }
    }
}

fn header(labels: &[String], rate: usize, seconds: usize) -> String {
    let count = labels.len();
    let mut text = format!(
        "{:<8}{:<80}{:<80}01.01.1210.11.12{:<8}{:<44}{seconds:<8}{:<8}{count:<4}",
        0,
        "X X X X",
        "Startdate 01-JAN-2012 X X X",
        256 * (count + 1),
        "",
        1
    );
    for label in labels {
        let _ = write!(text, "{label:<16}");
    }
    for (width, value) in [
        (80, "unknown"),
        (8, "uV"),
        (8, "-5000"),
        (8, "5000"),
        (8, "-32767"),
        (8, "32767"),
        (80, "HP:0.000 Hz LP:0.0 Hz N:0.0"),
        (8, &*rate.to_string()),
        (32, ""),
    ] {
        for _ in 0..count {
            let _ = write!(text, "{value:<width$}");
        }
    }
    text
}
