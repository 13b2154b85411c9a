//! What a large dataset costs when there is nothing to do: `make bench-scale`, or with fewer recordings
//! `make bench-scale N=20000`. It makes a source tree and a valid cache of that many recordings in a temporary
//! directory (`DIR=` keeps it for the next run), measures the commands beside `find` and prints one table.
//! Never a test: figures are ratios of one run, taken in turn.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "the table is the result")]

mod corpus;
mod measure;

use corpus::Corpus;
use eegcache::model::{ProfileName, VersionName};
use eegcache::store::{ManifestState, Store};
use measure::{Cost, Row};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Runs of each command, in turn with `find`.
const RUNS: usize = 7;

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let recordings = arguments.first().map_or(100_000, |text| text.parse().expect("N is a number"));
    let kept = arguments.get(1).filter(|text| !text.is_empty()).map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let root = kept.unwrap_or_else(|| temporary.path().to_owned());
    let corpus = Corpus::make(&root, recordings);
    println!(
        "{recordings} recordings, medians of {RUNS} runs in turn with find; times in seconds, memory in MB\n"
    );
    let finds = [
        ("find, dataset", find(&[corpus.dataset()])),
        ("find, cache", find(&[corpus.cache()])),
        ("find, both", find(&[corpus.dataset(), corpus.cache()])),
    ];
    let commands: [(&str, &[&str]); 5] = [
        ("status", &["status"]),
        ("status --profile full", &["status", "--profile", "full"]),
        ("preflight", &["preflight"]),
        ("build, nothing to do", &["build"]),
        ("build, nothing to do, -j 1", &["build", "-j", "1"]),
    ];
    let rows = commands.map(|(name, arguments)| {
        let run = || corpus.eegcache(arguments);
        Row::measure(name, run, &finds, RUNS)
    });
    measure::print(&finds, &rows);
    manifest(&corpus.cache());
}

/// The yardstick: what it costs to ask the file system for every file once.
fn find(roots: &[PathBuf]) -> impl Fn() -> Command + use<> {
    let roots = roots.to_vec();
    move || {
        let mut command = Command::new("find");
        command.args(&roots).args(["-type", "f", "-printf", "%s %T@\\n"]);
        command
    }
}

/// Size of the largest manifest, and what reading it costs.
fn manifest(cache: &Path) {
    let (store, profile) = (Store::new(cache.to_owned()), ProfileName::new("full").unwrap());
    let version = VersionName::new(corpus::VERSION).unwrap();
    let path = store.version_dir(&profile, &version).join("manifest.json");
    let mut seconds: Vec<f64> = Vec::new();
    let mut entries = 0;
    for _ in 0..RUNS {
        let began = Instant::now();
        let held = store.load(&profile, &version).unwrap();
        assert!(matches!(held.manifest, ManifestState::Read(_)));
        entries = held.entries.len();
        drop(std::hint::black_box(held));
        seconds.push(began.elapsed().as_secs_f64());
    }
    let bytes = fs_err::metadata(path).unwrap().len();
    println!(
        "\nmanifest: {entries} entries, {:.1} MB, read in {:.3} s",
        bytes as f64 / 1e6,
        Cost::median(&mut seconds)
    );
}
