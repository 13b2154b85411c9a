//! A source tree shaped like a clinical corpus, with small recordings, and the cache that belongs to it. Finished files
//! are written by the store; the program itself proves them, writes the manifest and links the small profiles.

use eegcache::model::artifact::{LabelFacts, SignalFacts};
use eegcache::model::manifest::{Event, Identity, LabelStatus};
use eegcache::model::quality::Quality;
use eegcache::model::recipe::Dtype;
use eegcache::model::recording::Signal;
use eegcache::model::settings::Settings;
use eegcache::model::stem::Stem;
use eegcache::model::{Digest, Rate, RecordingId, Seconds, Split};
use eegcache::ops::load::{self, Request};
use eegcache::ops::survey;
use eegcache::store::{Store, Wait, Writer};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Recordings of a session, and sessions of a subject.
const OF_SESSION: usize = 4;
const OF_SUBJECT: usize = 8;
/// Samples a channel: enough for windows of a quarter of a second.
const SAMPLES: usize = 256;
const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/cache/base.yaml");
const LOCAL: &str = "data: {dataset: scale}
cache: {version: @}
windows: {length_s: 0.25, stride_s: 0.0625}
";
const DATASET: &str = "dataset:
  title: synthetic
  licence: CC0-1.0
  root: data
  recordings: \"**/*.edf\"
  subject: '([^/_]+)_[^/]*$'
  splits: {directory: {train: train, val: dev, eval: eval}}
  annotations: {format: tusz_csv, file: \"{stem}.csv\", cross_check: \"{stem}.csv_bi\"}
";

/// The corpus and its cache in one project.
pub(crate) struct Corpus {
    root: PathBuf,
    version: String,
}

/// One recording.
struct One {
    split: Split,
    id: String,
    directory: PathBuf,
    number: usize,
}

impl Corpus {
    /// Makes a project of `recordings` recordings below `root`, or takes the one that is there, if it is this program's.
    pub(crate) fn make(root: &Path, recordings: usize) -> Self {
        let mut corpus = Self { root: root.to_owned(), version: "unknown".to_owned() };
        corpus.write("configs/cache/base.yaml", &fs_err::read_to_string(SHIPPED).unwrap());
        corpus.write("configs/datasets/scale.yaml", DATASET);
        let settings = corpus.settings();
        // What is left of a program that made other files has another name, and must not be measured along.
        corpus.version =
            format!("scale_{recordings}_{}", &settings.recipe.signal_fingerprint().to_string()[..12]);
        let settings = corpus.settings();
        if corpus.full().join("manifest.json").exists() {
            return corpus;
        }
        for directory in [corpus.cache(), corpus.dataset()] {
            if directory.exists() {
                fs_err::remove_dir_all(directory).unwrap();
            }
        }
        let store = Store::new(settings.cache_root.clone()).without_fsync();
        let writer = store.lock(&settings.profile, &settings.version, Wait::No, &|_| false).unwrap();
        let identity = survey::identity(&settings);
        (0..recordings).into_par_iter().for_each(|number| {
            let one = One::new(&settings.dataset.root, number);
            fill(&settings, &writer, &identity, &one);
        });
        drop(writer);
        for profile in ["full", "dev", "smoke"] {
            let status = corpus.eegcache(&["build", "--profile", profile]).status().unwrap();
            assert!(status.success(), "{profile}: {status}");
        }
        corpus
    }

    /// The configuration of the version.
    fn settings(&self) -> Settings {
        self.write("configs/local.yaml", &LOCAL.replace('@', &self.version));
        load::load(&BTreeMap::new(), &self.root, &Request::default()).unwrap().settings
    }

    /// The directory of the largest profile.
    pub(crate) fn full(&self) -> PathBuf {
        self.cache().join("full").join(&self.version)
    }

    /// The root of the recordings.
    pub(crate) fn dataset(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The root of the cache.
    pub(crate) fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// The program, in the project.
    pub(crate) fn eegcache(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eegcache"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("EEG") || text.starts_with("BGB_") || text == "CACHE_ROOT" {
                command.env_remove(&name);
            }
        }
        command.current_dir(&self.root).args(arguments);
        command
    }

    fn write(&self, relative: &str, text: &str) {
        let path = self.root.join(relative);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
}

impl One {
    fn new(root: &Path, number: usize) -> Self {
        let (subject, session) = (number / OF_SUBJECT, number / OF_SESSION % (OF_SUBJECT / OF_SESSION) + 1);
        // Eight subjects in ten train, one validates, one evaluates.
        let (split, folder) = match subject % 10 {
            0 => (Split::Val, "dev"),
            1 => (Split::Eval, "eval"),
            _ => (Split::Train, "train"),
        };
        let name = format!("a{subject:07}");
        let id = format!("{name}_s{session:03}_t{:03}", number % OF_SESSION);
        let directory = root.join(folder).join(name).join(format!("s{session:03}_2010/01_tcp_ar"));
        Self { split, id, directory, number }
    }

    /// One recording in four holds a seizure on ten channels.
    fn events(&self) -> Vec<Event> {
        let channels = (0..10).map(|channel| format!("FP{channel}-F{channel}")).collect();
        let start = (self.number % 50) as u64;
        let event = Event { start, end: start + 150, code: "fnsz".to_owned(), channels };
        if self.number.is_multiple_of(4) { vec![event] } else { Vec::new() }
    }
}

/// Writes a recording, its annotations and its finished files.
fn fill(settings: &Settings, writer: &Writer, identity: &Identity, one: &One) {
    fs_err::create_dir_all(&one.directory).unwrap();
    let put = |ending: &str, bytes: &[u8]| {
        fs_err::write(one.directory.join(format!("{}.{ending}", one.id)), bytes).unwrap();
        Digest::of(bytes)
    };
    let channels = settings.recipe.signal.output_channels();
    let source_sha256 = put("edf", &edf(&channels, one));
    let annotation_sha256 =
        vec![put("csv", annotation(one, 22).as_bytes()), put("csv_bi", annotation(one, 1).as_bytes())];
    let id = Stem::whole(RecordingId::new(one.id.as_str()).unwrap());
    let (part, rate_hz) = (None, Rate::new(256, 1).unwrap());
    let rows = channels.len();
    let signal = Signal {
        data: ndarray::Array2::from_elem((rows, SAMPLES), one.number as f32),
        channels,
        rate: rate_hz,
        scale: vec![[0.0, 1.0]; rows],
        interpolated: Vec::new(),
        input_rate: rate_hz,
        quality: quality(&settings.recipe.signal.channels.order),
        gaps: Vec::new(),
        notes: Vec::new(),
    };
    let facts = SignalFacts {
        id: id.clone(),
        fingerprint: identity.signal,
        source_sha256,
        arrays: BTreeMap::new(),
        samples: SAMPLES as u64,
        rate_hz,
        input_rate_hz: rate_hz,
        offset_s: Seconds::ZERO,
        ends_s: None,
        gaps: Vec::new(),
        interpolated: Vec::new(),
        quality: Some(Box::new(quality(&settings.recipe.signal.channels.order))),
        notes: Vec::new(),
        part,
    };
    writer.write_signal(one.split, &signal, Dtype::Float32, facts).unwrap();
    let (events, fingerprint) = (one.events(), identity.labels);
    let (samples, notes, arrays) = (SAMPLES as u64, Vec::new(), BTreeMap::new());
    let status = if events.is_empty() { LabelStatus::LabelledEmpty } else { LabelStatus::Labelled };
    let facts = LabelFacts {
        id,
        fingerprint,
        source_sha256,
        annotation_sha256,
        listed_as: None,
        arrays,
        samples,
        rate_hz,
        status,
        events,
        notes,
        part,
    };
    writer.write_labels(one.split, &[0; SAMPLES], facts).unwrap();
}

/// What every entry says of its quality; as long as that of a real recording.
fn quality(channels: &[String]) -> Quality {
    Quality {
        format: Some("EDF".to_owned()),
        reference: Some("REF".to_owned()),
        mains_hz: Some(60),
        mains_ratio: Some(12.345_678),
        early_variance: channels.iter().map(|channel| (channel, 0.017)).collect(),
        clipped: Some(0.000_123),
        ..Quality::default()
    }
}

/// A plain EDF file (Kemp et al. 1992) of one record; no two are equal.
fn edf(channels: &[String], one: &One) -> Vec<u8> {
    let count = channels.len();
    let mut header =
        format!("{:<8}{:<80}{:<80}01.01.1009.00.00{:<8}{:<44}", 0, one.id, "", 256 * (count + 1), "");
    let _ = write!(header, "{:<8}{:<8}{count:<4}", 1, 1);
    for (width, text) in
        [(16, ""), (80, ""), (8, "uV"), (8, "-3000"), (8, "3000"), (8, "-32767"), (8, "32767")]
            .into_iter()
            .chain([(80, ""), (8, "16"), (32, "")])
    {
        for channel in channels {
            let label = format!("EEG {}-REF", channel.to_uppercase());
            let _ = write!(header, "{:<width$}", if width == 16 { &label } else { text });
        }
    }
    let mut bytes = header.into_bytes();
    bytes.resize(bytes.len() + 2 * 16 * count, 0);
    bytes
}

/// A table of `rows` channels, as long as such tables are.
fn annotation(one: &One, rows: usize) -> String {
    let mut text = format!("# version = csv_v1.0.0\n# bname = {}\n# duration = 1.0000 secs\n", one.id);
    text.push_str("channel,start_time,stop_time,label,confidence\n");
    for row in 0..rows {
        let _ = writeln!(text, "C{row},0.0000,1.0000,bckg,1.0000");
    }
    text
}
