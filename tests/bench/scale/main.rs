//! What a large dataset costs when there is nothing to do: `make bench-scale`, or with fewer recordings
//! `make bench-scale N=20000`. It makes a source tree and a valid cache of that many recordings, and another of a fifth of it, in a
//! temporary directory (`DIR=` keeps them for the next run), measures the commands beside `find` and prints one table.
//! Never a test: figures are ratios of one run, taken in turn.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table is the result")]

mod corpus;
#[path = "../cost.rs"]
mod cost;

use corpus::Corpus;
use cost::{Cost, find, median, run};
use eegcache::model::{ProfileName, VersionName};
use eegcache::store::{ManifestState, Store};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Runs of each command, in turn with `find`.
const RUNS: usize = 7;
/// The smaller corpus has one recording in so many.
const LESS: usize = 5;
const COMMANDS: [(&str, &[&str]); 5] = [
    ("status", &["status"]),
    ("status --profile full", &["status", "--profile", "full"]),
    ("preflight", &["preflight"]),
    ("build, nothing to do", &["build"]),
    ("build, nothing to do, -j 1", &["build", "-j", "1"]),
];

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let recordings = arguments.first().map_or(100_000, |text| text.parse().expect("N is a number"));
    let kept = arguments.get(1).filter(|text| !text.is_empty()).map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let root = kept.unwrap_or_else(|| temporary.path().to_owned());
    let sizes = [recordings / LESS, recordings];
    println!(
        "medians of {RUNS} runs in turn with find; times in seconds, memory in MiB; × is the ratio of CPU times"
    );
    let measured = sizes.map(|size| {
        let corpus = Corpus::make(&root.join(size.to_string()), size);
        println!(
            "\n{size} recordings\n{:<28} {:>8} {:>8} {:>7} {:>15} {:>22}",
            "", "CPU", "wall", "memory", "× find, dataset", "× find, dataset, cache"
        );
        let measured = measure(&corpus);
        (measured, manifest(&corpus.full()))
    });
    growth(sizes, &measured);
}

/// Measures and prints every command beside `find`; returns their CPU seconds.
fn measure(corpus: &Corpus) -> Vec<f64> {
    let trees = [corpus.dataset(), corpus.cache()];
    let mut finds = [Vec::new(), Vec::new()];
    let rows: Vec<_> = COMMANDS
        .iter()
        .map(|(name, arguments)| {
            eprintln!("measuring: {name}");
            // The first round only warms the caches.
            let round = || {
                let ours = run(vec![corpus.eegcache(arguments)]);
                [ours, run(vec![find(&trees[..1])]), run(vec![find(&trees)])]
            };
            let _ = round();
            let rounds: Vec<[Cost; 3]> = (0..RUNS).map(|_| round()).collect();
            finds[0].extend(rounds.iter().map(|round| round[1]));
            finds[1].extend(rounds.iter().map(|round| round[2]));
            (*name, rounds)
        })
        .collect();
    print("find, dataset", &finds[0], "");
    print("find, dataset and cache", &finds[1], "");
    let mut seconds = Vec::new();
    for (name, rounds) in rows {
        let ours: Vec<Cost> = rounds.iter().map(|round| round[0]).collect();
        let ratio = |which: usize| {
            mean(rounds.iter().map(|round| round[0].cpu)) / mean(rounds.iter().map(|round| round[which].cpu))
        };
        print(name, &ours, &format!("{:>15.2} {:>22.2}", ratio(1), ratio(2)));
        seconds.push(mean(ours.iter().map(|cost| cost.cpu)));
    }
    seconds
}

fn print(name: &str, costs: &[Cost], ratios: &str) {
    let wall = median(costs.iter().map(|cost| cost.wall).collect());
    let peak = costs.iter().map(|cost| cost.peak).fold(0.0, f64::max);
    println!("{name:<28} {:>8.3} {wall:>8.3} {peak:>7.0} {ratios}", mean(costs.iter().map(|cost| cost.cpu)));
}

/// CPU times are counted in hundredths: a mean is finer than the median.
fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

/// Prints the size of a manifest and what reading it costs; returns the seconds.
fn manifest(directory: &Path) -> f64 {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let (version, profile) = (name(directory), name(directory.parent().unwrap()));
    let store = Store::new(directory.ancestors().nth(2).unwrap().to_owned());
    let (version, profile) = (VersionName::new(version).unwrap(), ProfileName::new(profile).unwrap());
    let mut seconds: Vec<f64> = Vec::new();
    let mut entries = 0;
    for _ in 0..RUNS {
        let began = Instant::now();
        let held = store.load(&profile, &version).unwrap();
        seconds.push(began.elapsed().as_secs_f64());
        assert!(matches!(held.manifest, ManifestState::Read(_)));
        entries = held.entries.len();
    }
    let (bytes, seconds) =
        (fs_err::metadata(directory.join("manifest.json")).unwrap().len(), median(seconds));
    println!("manifest: {entries} entries, {:.1} MB, read in {seconds:.3} s", bytes as f64 / 1e6);
    seconds
}

/// The cost of a recording in the larger corpus over that in the smaller one: 1 where it grows in a straight line.
fn growth(sizes: [usize; 2], [small, large]: &[(Vec<f64>, f64); 2]) {
    let more = sizes[1] as f64 / sizes[0] as f64;
    println!("\nCPU a recording of {} over that of {}", sizes[1], sizes[0]);
    for (index, (name, _)) in COMMANDS.iter().enumerate() {
        println!("{name:<28} {:>8.2}", large.0[index] / small.0[index] / more);
    }
    println!("{:<28} {:>8.2}", "reading the manifest", large.1 / small.1 / more);
}
