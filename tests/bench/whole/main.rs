//! The whole program beside what people use today and beside the least that any program could do: `make bench`.
//!
//! Corpora are generated once below `target/`. Programs run in turn, pair by pair, and the table shows medians of ratios (of CPU
//! seconds where nothing else is said: user and system, start to exit), since absolute times drift. What cannot be run is named and
//! skipped. The peer is `peer.py` beside this file. `cargo bench --bench whole -- --runs 5` makes five pairs instead of three.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints a table")]

mod corpus;
#[path = "../cost.rs"]
mod cost;
mod floor;
mod place;
#[path = "../scale/corpus.rs"]
mod scale;
mod table;

use cost::{Cost, find};
use place::Place;
use std::path::Path;
use table::Table;

/// Recordings of the cache that only has to be looked at; `make bench-scale` takes 100,000.
const LOOKED_AT: usize = 20_000;
/// Hours of the recordings of 36 channels at 512 Hz.
const SHORT: usize = 1;
const LONG: usize = 10;
/// Kibibytes of address space that the long one has to do with.
const TWO_GIB: u64 = 2 << 20;

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
    beside_peers(&place, &mut table);
    beside_itself(&place, &mut table);
    growth(&place, &mut table);
    reading(&place, &mut table);
    looking(&place, &mut table);
    table.print();
}

/// The program beside what people write with other packages, and beside the least that any program could do.
fn beside_peers(place: &Place, table: &mut Table) {
    let default = || vec![place.build(&[])];
    let peer = |reader: &'static str, recipe: &'static str, layout: &'static str, save: &'static str| {
        move || vec![place.peer(&[reader, recipe, layout, save])]
    };
    let continuous = peer("edfio", "brain_brr", "continuous", "savez");
    if place.has("numpy, scipy, edfio") {
        table.pair("default / edfio + SciPy", 1.0 / 8.0, cpu, &default, &continuous);
        let steps = || vec![place.build(&["-c", "steps.yaml"])];
        let zero_phase = peer("edfio", "zero_phase", "continuous", "savez");
        table.pair("steps / edfio + SciPy", 1.0 / 7.0, cpu, &steps, &zero_phase);
        let exported = || vec![place.build(&[]), place.export()];
        let windows = peer("edfio", "brain_brr", "windows", "savez");
        table.pair("default + export windows / edfio + SciPy", 1.0 / 5.0, cpu, &exported, &windows);
        table.pair("default / edfio + SciPy, peak MiB", 0.25, |cost| cost.peak, &default, &continuous);
    } else {
        table.skip("the rows beside edfio + SciPy: numpy, scipy or edfio is missing", place);
    }
    let result = place.result_bytes();
    let floor = || vec![place.floor(result)];
    table.pair("default / floor", 3.0, cpu, &default, &floor);
    if place.has("numpy, scipy, mne") {
        let origin = peer("mne", "brain_brr", "windows", "savez_compressed");
        table.pair_once("default / the origin as it stands", 1.0 / 45.0, cpu, &default, &origin);
    } else {
        table.skip("the origin as it stands: numpy, scipy or mne is missing", place);
    }
}

fn beside_itself(place: &Place, table: &mut Table) {
    let two = || vec![place.build_with(2, "corpus", &[])];
    let one = || vec![place.build(&[])];
    table.pair("-j 2 / -j 1, wall s (two free cores)", 0.6, |cost| cost.wall, &two, &one);
}

/// What twice the recordings, ten times the hours and a narrow memory cost.
fn growth(place: &Place, table: &mut Table) {
    let (once, twice) = (corpus::COUNT, 2 * corpus::COUNT);
    place.recordings("twice", |root| corpus::write(root, twice));
    let build = |corpus: &'static str| move || vec![place.build_with(1, corpus, &[])];
    let name = format!("CPU s a recording: {twice} / {once} recordings");
    let (each, other) = (build("twice"), build("corpus"));
    table.pair_of(
        &name,
        1.2,
        (&each, |cost| cost.cpu / twice as f64),
        (&other, |cost| cost.cpu / once as f64),
    );
    place.recordings("long", |root| corpus::write_long(root, LONG));
    place.recordings("short", |root| corpus::write_long(root, SHORT));
    let name = format!("CPU s an hour, 36 × 512 Hz: {LONG} h / {SHORT} h");
    let (long, short) = (build("long"), build("short"));
    let (an_hour, another) = (|cost: &Cost| cost.cpu / LONG as f64, |cost: &Cost| cost.cpu / SHORT as f64);
    table.pair_of(&name, 1.2, (&long, an_hour), (&short, another));
    let narrow = || vec![place.within(TWO_GIB, "long")];
    let name = format!("{LONG} h of 36 × 512 Hz under `ulimit -v`, peak MiB / 2048");
    table.beside_number(&name, 1.0, |cost| cost.peak, &narrow, (TWO_GIB >> 10) as f64);
}

/// One random window through the Python package, beside `NumPy`.
fn reading(place: &Place, table: &mut Table) {
    let _ = cost::run(vec![place.build(&[])]);
    let Some(lines) = place.reading() else {
        return table.skip(
            "one random window: the package `eegcache` is missing, `make test-python` makes it",
            place,
        );
    };
    for how in ["a view", "copied"] {
        let time =
            |name: &str| lines.lines().find_map(|line| place::microseconds(line, &format!("{name}, {how}")));
        let (Some(ours), Some(theirs)) = (time("windows[i]"), time("np.memmap")) else {
            return table.skip("one random window: the benchmark of the package says something else", place);
        };
        table.row(&format!("one random window, {how}, µs / np.memmap"), 2.0, ours, theirs, ours / theirs);
    }
}

/// Commands that find nothing to do, beside `find`.
fn looking(place: &Place, table: &mut Table) {
    let corpus = scale::Corpus::make(&place.scale(), LOOKED_AT);
    let trees = [corpus.dataset(), corpus.cache()];
    for (name, arguments) in
        [("status", &["status"][..]), ("preflight", &["preflight"]), ("build, nothing to do", &["build"])]
    {
        let ours = || vec![corpus.eegcache(arguments)];
        for (which, roots) in [("dataset and cache", &trees[..]), ("dataset", &trees[..1])] {
            let name = format!("{name} of {LOOKED_AT} / find, {which}");
            table.pair(&name, 3.0, cpu, &ours, &|| vec![find(roots)]);
        }
    }
}

fn cpu(cost: &Cost) -> f64 {
    cost.cpu
}
