//! What a fuzzer throws bytes at: one function a reader of foreign bytes.
//!
//! The same functions are replayed over fixed corpora by `make test`; they return whether the bytes were accepted,
//! so that a replay can tell that it did not miss its target. None may panic, hang or exhaust memory.

use eegcache::config::{self, Environment, Layer, LayerKind, Surroundings};
use eegcache::formats;
use eegcache::model::id::{ProfileName, RecordingId, Split, VersionName};
use eegcache::model::recipe::{AnnotationFormat, GapPolicy, TruncationPolicy};
use eegcache::model::stem::Stem;
use eegcache::store::{self, ManifestState, Store, layout};
use std::path::Path;

/// A reader and its name, which is the name of its fuzz target.
pub type Target = (&'static str, fn(&[u8]) -> bool);

/// All of them.
pub const TARGETS: [Target; 13] = [
    ("header", header),
    ("recording", recording),
    ("tusz_csv", |bytes| annotations(AnnotationFormat::TuszCsv, bytes)),
    ("tusz_csv_bi", |bytes| annotations(AnnotationFormat::TuszCsvBi, bytes)),
    ("tuh_tse", |bytes| annotations(AnnotationFormat::TuhTse, bytes)),
    ("chbmit_summary", |bytes| annotations(AnnotationFormat::ChbmitSummary, bytes)),
    ("wfdb_seizures", |bytes| annotations(AnnotationFormat::WfdbSeizures, bytes)),
    ("siena_list", |bytes| annotations(AnnotationFormat::SienaList, bytes)),
    ("bids_events", |bytes| annotations(AnnotationFormat::BidsEvents, bytes)),
    ("edf_annotations", |bytes| annotations(AnnotationFormat::EdfAnnotations, bytes)),
    ("npz", npz),
    ("manifest", manifest),
    ("config", configuration),
];

/// Runs the target of a name, as a fuzzer does.
#[allow(dead_code, reason = "the replay goes through the table")]
pub fn run(name: &str, bytes: &[u8]) -> bool {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    target(bytes)
}

/// The header of a recording.
pub fn header(bytes: &[u8]) -> bool {
    formats::read_header(&mut &*bytes, bytes.len() as u64).is_ok()
}

/// Samples and annotation signals, under each policy.
pub fn recording(bytes: &[u8]) -> bool {
    let mut accepted = false;
    for (truncated, gaps) in [
        (TruncationPolicy::Quarantine, GapPolicy::Error),
        (TruncationPolicy::KeepWholeRecords, GapPolicy::Split),
        (TruncationPolicy::KeepWholeRecords, GapPolicy::Fill),
    ] {
        let mut rest = bytes;
        let Ok(header) = formats::read_header(&mut rest, bytes.len() as u64) else { return false };
        let picks: Vec<usize> =
            (0..header.signals.len()).filter(|index| !header.signals[*index].is_annotation).collect();
        accepted |= formats::read_recording(&mut rest, &header, &picks, truncated, gaps).is_ok();
    }
    let mut rest = bytes;
    if let Ok(header) = formats::read_header(&mut rest, bytes.len() as u64) {
        let _ = formats::visit_samples(&mut rest, &header, &mut |_, _| {});
    }
    accepted
}

/// An annotation file; the name is one that the formats with many recordings in a file may hold.
pub fn annotations(format: AnnotationFormat, bytes: &[u8]) -> bool {
    ["chb05_06.edf", "PN00-1.edf"].iter().any(|name| formats::read_annotations(format, bytes, name).is_ok())
}

/// A finished file of the cache.
pub fn npz(bytes: &[u8]) -> bool {
    let (_keep, store, profile, version) = cache();
    let name = layout::FileName::new(
        Split::Train,
        Stem::whole(RecordingId::new("a").unwrap()),
        layout::Part::Signal,
    );
    let directory = store.version_dir(&profile, &version).join("train");
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join(name.leaf());
    std::fs::write(&path, bytes).unwrap();
    // The scan holds the file against its name, which is that of another recording: nothing comes out, nothing may break.
    let _ = store.scan(&profile, &version, &["train/a.npz".to_owned()]);
    store::npz::Archive::read(&std::fs::File::open(path).unwrap()).is_ok()
}

/// A manifest.
pub fn manifest(bytes: &[u8]) -> bool {
    let (_keep, store, profile, version) = cache();
    let directory = store.version_dir(&profile, &version);
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join(layout::MANIFEST), bytes).unwrap();
    store.load(&profile, &version).is_ok_and(|held| matches!(held.manifest, ManifestState::Read(_)))
}

/// The cache that the seeds of manifests were built in.
fn cache() -> (tempfile::TempDir, Store, ProfileName, VersionName) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::new(directory.path().join("cache")).without_fsync();
    (directory, store, ProfileName::new("smoke").unwrap(), VersionName::new("mini_v1").unwrap())
}

/// A configuration file, above the built-in defaults and a dataset.
pub fn configuration(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let env = Environment::new();
    let Ok(layer) = Layer::from_yaml(LayerKind::Experiment, "fuzz.yaml", text, &env) else { return false };
    let demo = include_str!("../../configs/datasets/demo.yaml");
    let demo = Layer::from_yaml(LayerKind::Dataset, "demo.yaml", demo, &env).unwrap();
    let layers = [config::defaults().unwrap(), demo, layer];
    let datasets = ["demo".to_owned()];
    let around = Surroundings { project_root: Path::new("/project"), datasets: &datasets, env: &env };
    config::resolve(&layers, Some("demo"), around).settings.is_some()
}
