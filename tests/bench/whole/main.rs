//! The whole program beside what people use today and beside the least that any program could do: `make bench`.
//!
//! A corpus is generated once below `target/`. Programs run in turn, pair by pair, and the table shows medians of ratios of CPU
//! seconds (user and system, start to exit), since absolute times drift. What cannot be run is named and skipped. The peer is
//! `peer.py` beside this file. `cargo bench --bench whole -- --runs 5` makes five pairs instead of three.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints a table")]
#![allow(missing_docs, unreachable_pub, reason = "a program")]

mod corpus;
mod floor;
mod measure;

use measure::{Cost, median, run};
use std::path::{Path, PathBuf};
use std::process::Command;

const STEPS: &str = "\
preprocessing:
  channels:
    order: [Fp1, F3, C3, P3, F7, T3, T5, O1, Fz, Cz, Pz, Fp2, F4, C4, P4, F8, T4, T6, O2]
    aliases: {T7: T3, T8: T4, P7: T5, P8: T6}
    interpolate: [Fz, Pz]
  steps:
    - bandpass: {low_hz: 0.5, high_hz: 120, order: 4, phase: zero}
    - notch: {freq_hz: 60, q: 30, phase: zero}
    - resample: {rate_hz: 256, method: polyphase}
    - zscore: {epsilon: 1.0e-8}
    - clip: {limit: 10}
";

/// Where everything lies.
struct Place {
    root: PathBuf,
    python: String,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [verb, data, out, bytes] = arguments.as_slice()
        && verb == "floor"
    {
        return floor::floor(Path::new(data), Path::new(out), bytes.parse().unwrap());
    }
    let runs = arguments.iter().skip_while(|a| *a != "--runs").nth(1).map_or(3, |n| n.parse().unwrap());
    let place = Place::prepare();
    let mut table = Table::new(runs);
    let result = run(&mut place.build(1, None)).result_bytes(&place);
    println!(
        "corpus: {} recordings, {} MB; the result has {} MB",
        corpus::COUNT,
        place.bytes() >> 20,
        result >> 20
    );
    let peer = place.has("numpy, scipy, edfio");
    let origin = place.has("numpy, scipy, mne");
    let default = || place.build(1, None);
    let first = |name: &str, limit: f64, table: &mut Table, recipe: &str, steps: Option<&str>| {
        if !peer {
            return println!("skipped: {name}: numpy, scipy or edfio is missing in `{}`", place.python);
        }
        let other = || place.peer(&["edfio", recipe, "continuous", "savez"]);
        table.pair(name, limit, &|| place.build(1, steps), &other, |cost| cost.cpu);
    };
    first("default / edfio + SciPy", 1.0 / 8.0, &mut table, "brain_brr", None);
    first("steps / edfio + SciPy", 1.0 / 7.0, &mut table, "zero_phase", Some("steps.yaml"));
    let least = || place.floor(result);
    table.pair("default / floor", 3.0, &default, &least, |cost| cost.cpu);
    if peer {
        let other = || place.peer(&["edfio", "brain_brr", "continuous", "savez"]);
        table.pair("default / edfio + SciPy, peak memory", 0.25, &default, &other, |cost| cost.peak);
    }
    table.pair("-j 2 / -j 1, wall (two free cores)", 0.6, &|| place.build(2, None), &default, |cost| {
        cost.wall
    });
    if origin {
        table.runs = 1;
        let other = || place.peer(&["mne", "brain_brr", "windows", "savez_compressed"]);
        table.pair("default / the origin as it stands", 1.0 / 45.0, &default, &other, |cost| cost.cpu);
    } else {
        println!("skipped: the origin as it stands: numpy, scipy or mne is missing in `{}`", place.python);
    }
    table.print();
}

impl Place {
    fn prepare() -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
        let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
        for file in ["cache/base.yaml", "datasets/tusz.yaml"] {
            let target = root.join("configs").join(file);
            fs_err::create_dir_all(target.parent().unwrap()).unwrap();
            fs_err::copy(configs.join(file), target).unwrap();
        }
        fs_err::write(root.join("steps.yaml"), STEPS).unwrap();
        corpus::write(&root.join("corpus"));
        Self { root, python: std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned()) }
    }

    fn has(&self, packages: &str) -> bool {
        let mut python = Command::new(&self.python);
        python.args(["-c", &format!("import {packages}")]).stderr(std::process::Stdio::null());
        python.status().is_ok_and(|status| status.success())
    }

    fn build(&self, jobs: usize, config: Option<&str>) -> Command {
        let cache = self.fresh("cache");
        let mut command = Command::new(env!("CARGO_BIN_EXE_eegcache"));
        command
            .current_dir(&self.root)
            .env("EEG_DATASET", "tusz")
            .env("EEG_DATA_ROOT", self.root.join("corpus"));
        command.env("CACHE_ROOT", cache).args(["build", "-j", &jobs.to_string()]);
        if let Some(config) = config {
            command.args(["-c", config]);
        }
        command
    }

    fn peer(&self, options: &[&str]) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/whole/peer.py");
        let mut command = Command::new(&self.python);
        command.arg(script).arg(self.root.join("corpus")).arg(self.fresh("peer")).args(options);
        command
    }

    fn floor(&self, bytes: u64) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("floor").arg(self.root.join("corpus")).arg(self.fresh("floor")).arg(bytes.to_string());
        command
    }

    /// An empty directory.
    fn fresh(&self, name: &str) -> PathBuf {
        let directory = self.root.join(name);
        if directory.exists() {
            fs_err::remove_dir_all(&directory).unwrap();
        }
        fs_err::create_dir_all(&directory).unwrap();
        directory
    }

    fn bytes(&self) -> u64 {
        floor::files(&self.root.join("corpus"), "edf")
            .iter()
            .map(|file| fs_err::metadata(file).unwrap().len())
            .sum()
    }
}

impl Cost {
    fn result_bytes(&self, place: &Place) -> u64 {
        assert!(self.cpu > 0.0);
        floor::files(&place.root.join("cache"), "npz")
            .iter()
            .map(|file| fs_err::metadata(file).unwrap().len())
            .sum()
    }
}

/// Rows of the table, measured one after the other.
struct Table {
    runs: usize,
    rows: Vec<String>,
}

impl Table {
    fn new(runs: usize) -> Self {
        let head = format!(
            "{:<40} {:>10} {:>10} {:>8} {:>8}",
            "ours / theirs", "ours", "theirs", "ratio", "at most"
        );
        Self { runs, rows: vec![head] }
    }

    /// Runs both in turn; the command is made anew each time, which empties its directory.
    fn pair(
        &mut self,
        name: &str,
        limit: f64,
        ours: &dyn Fn() -> Command,
        theirs: &dyn Fn() -> Command,
        figure: impl Fn(&Cost) -> f64,
    ) {
        eprintln!("measuring: {name}");
        let pairs: Vec<[f64; 2]> =
            (0..self.runs).map(|_| [figure(&run(&mut ours())), figure(&run(&mut theirs()))]).collect();
        let column = |which: usize| median(pairs.iter().map(|pair| pair[which]).collect());
        let ratio = median(pairs.iter().map(|pair| pair[0] / pair[1]).collect());
        let row = format!("{name:<40} {:>10.2} {:>10.2} {ratio:>8.3} {limit:>8.3}", column(0), column(1));
        self.rows.push(row);
    }

    fn print(&self) {
        println!(
            "\nCPU seconds (memory: MiB, wall: seconds), medians; the ratio is the median over the pairs"
        );
        self.rows.iter().for_each(|row| println!("{row}"));
    }
}
