//! The fuzz targets over fixed corpora: every seed, and the same mutations of each at every run.

#[path = "../fuzz/targets.rs"]
#[allow(clippy::disallowed_methods, unreachable_pub, reason = "shared with the fuzz targets")]
mod targets;

use crate::edf_writer::{EdfFile, EdfSignal};
use crate::project::{Project, repository};
use crate::shared::shared;
use eegcache::model::recording::Kind;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// Mutations of a seed.
const MUTATIONS: u64 = 40;
/// Seeds beyond this size are replayed as they are: their mutations would only cost time.
const LARGEST_MUTATED: usize = 200_000;

/// A generator of numbers that is the same everywhere: `SplitMix64` (Steele, Lea and Flood 2014).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// What reads numbers and names trips over these.
const TOKENS: [&[u8]; 10] = [
    b"-1",
    b"99999999",
    b"1e308",
    b"nan",
    b"\0",
    b"\x14\x14",
    b"../",
    b"\r\n",
    b"\xff\xfe",
    b"18446744073709551616",
];

fn mutate(seed: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len());
        match numbers.below(6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << numbers.below(8),
            1 if !bytes.is_empty() => bytes[at] = numbers.next() as u8,
            2 => bytes.truncate(at),
            3 => {
                let end = (at + numbers.below(64)).min(bytes.len());
                let slice = bytes[at..end].to_vec();
                bytes.splice(at..at, slice);
            }
            4 => drop(bytes.splice(at..at, TOKENS[numbers.below(TOKENS.len())].iter().copied())),
            _ => {
                let token = TOKENS[numbers.below(TOKENS.len())];
                let end = (at + token.len()).min(bytes.len());
                bytes[at..end].copy_from_slice(&token[..end - at]);
            }
        }
    }
    bytes
}

/// Every file below a directory with one of the extensions.
fn files(directory: &Path, extensions: &[&str]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for item in fs_err::read_dir(directory).unwrap() {
        let path = item.unwrap().path();
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        if path.is_dir() {
            found.extend(files(&path, extensions));
        } else if extension.is_some_and(|extension| extensions.contains(&extension.as_str())) {
            found.push(fs_err::read(path).unwrap());
        }
    }
    found
}

fn recordings() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (kind, marker) in [(Kind::Edf, "EDF+D"), (Kind::Bdf, "BDF+C")] {
        let ramp = |count: usize| (0..count).map(|i| (i as i32 * 37) % 2000 - 1000).collect();
        let signals = vec![EdfSignal::new("Fp1", 8, ramp(24)), EdfSignal::new("Cz", 4, ramp(12))];
        let file = EdfFile::new(kind, 3, signals).plus(marker, &["+0", "+1", "+2"]);
        seeds.push(file.annotate(1, "+1.5", Some("0.25"), "seizure").to_bytes());
    }
    if let Some(shared) = shared() {
        seeds.extend(files(&shared.join("data/malformed"), &["edf", "bdf"]));
    }
    seeds
}

/// A cache that was really built: one signal, one labels file, and its manifest.
fn built() -> BTreeMap<&'static str, Vec<Vec<u8>>> {
    let project = Project::mini();
    project.run(&["build", "--profile", "smoke"]);
    let directory = project.path("cache/smoke/mini_v1");
    let manifest = fs_err::read(directory.join("manifest.json")).unwrap();
    let mut npz = files(&directory, &["npz"]);
    npz.sort_by_key(Vec::len);
    let largest = npz.pop().unwrap();
    BTreeMap::from([("npz", vec![npz.swap_remove(0), largest]), ("manifest", vec![manifest])])
}

const CSV: &[u8] =
    b"# version = csv_v1.0.0\n# duration = 10.0000 secs\nchannel,start_time,stop_time,label,confidence\n\
    FP1-F7,0.0000,4.0000,bckg,1.0000\nFP1-F7,4.0000,6.5000,fnsz,1.0000\nFP1-F7,6.5000,10.0000,bckg,1.0000\n";
const CSV_BI: &[u8] =
    b"# version = csv_v1.0.0\n# duration = 10.0000 secs\nchannel,start_time,stop_time,label,confidence\n\
    TERM,0.0000,4.0000,bckg,1.0000\nTERM,4.0000,6.5000,seiz,1.0000\nTERM,6.5000,10.0000,bckg,1.0000\n";
const SUMMARY: &[u8] = b"Data Sampling Rate: 256 Hz\n\nFile Name: chb05_06.edf\nFile Start Time: 17:59:07\nFile End Time: \
    18:59:07\nNumber of Seizures in File: 1\nSeizure Start Time: 417 seconds\nSeizure End Time: 532 seconds\n";
const SIENA: &[u8] = b"Data Sampling Rate: 512 hz\n\nSeizure n 1(in file PN00-1.edf)\nFile name: PN00-1.edf\nRegistration \
    start time: 19.39.33\nRegistration end time: 20.22.58\nSeizure start time: 19.58.36\nSeizure end time: 19.59.46\n";
const EVENTS: &[u8] = b"onset\tduration\teventType\tconfidence\tchannels\tdateTime\trecordingDuration\n4.0\t2.5\tsz\tn/a\tn/a\t\
    2020-01-01 10:00:00\t10.0\n";
/// Sample numbers of a seizure as the binary side file holds them: code, interval, and so on.
const SEIZURES: &[u8] = &[0, 236, 6, 0, 0, 170, 4, 128, 0, 0, 0, 0, 0, 236, 1, 0, 0, 115, 4, 132, 0, 0];

fn seeds() -> BTreeMap<&'static str, Vec<Vec<u8>>> {
    let text = |seed: &[u8]| vec![seed.to_vec()];
    let mut seeds = built();
    seeds.extend([
        ("header", recordings()),
        ("recording", recordings()),
        ("edf_annotations", recordings()),
        ("tusz_csv", text(CSV)),
        ("tusz_csv_bi", text(CSV_BI)),
        ("tuh_tse", text(b"version = tse_v1.0.0\n\n0.0000 4.0000 bckg 1.0000\n4.0000 6.5000 fnsz 1.0000\n")),
        ("chbmit_summary", text(SUMMARY)),
        ("siena_list", text(SIENA)),
        ("bids_events", text(EVENTS)),
        ("wfdb_seizures", text(SEIZURES)),
        ("config", files(&repository().join("configs"), &["yaml"])),
    ]);
    if let Some(shared) = shared() {
        let data = shared.join("data");
        let mut add =
            |name, extensions: &[&str]| seeds.get_mut(name).unwrap().extend(files(&data, extensions));
        add("bids_events", &["tsv"]);
        add("wfdb_seizures", &["seizures"]);
        add("chbmit_summary", &["txt"]);
        add("siena_list", &["txt"]);
    }
    seeds
}

#[test]
fn every_target_survives_its_corpus() {
    let mut seeds = seeds();
    let (mut inputs, began) = (0_u32, Instant::now());
    for (index, (name, target)) in targets::TARGETS.iter().enumerate() {
        let seeds = seeds.remove(name).unwrap();
        let mut numbers = Numbers(index as u64);
        let mut accepted = 0;
        for seed in &seeds {
            accepted += u32::from(target(seed));
            let mutations = if seed.len() <= LARGEST_MUTATED { MUTATIONS } else { 0 };
            for _ in 0..mutations {
                target(&mutate(seed, &mut numbers));
            }
            inputs += 1 + mutations as u32;
        }
        assert!(accepted > 0, "no seed of `{name}` reaches behind its first check");
    }
    assert!(seeds.is_empty(), "seeds without a target: {:?}", seeds.keys());
    eprintln!(
        "replayed {inputs} inputs through {} targets in {:.1?}",
        targets::TARGETS.len(),
        began.elapsed()
    );
}
