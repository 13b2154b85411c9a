//! The traps of EDF, EDF+ and BDF that `EEG_FACTS` section 7 lists, each one a file and what must become of it.
//!
//! A recording that falls into a trap is read exactly right, with a note where a person should know, or refused with its
//! class. Two traps need a build: recordings with gaps (`gaps.rs` has more of them), and a directory named like a recording.

use crate::edf_writer::{EdfFile, EdfSignal};
use crate::project::Project;
use eegcache::model::recording::Kind;
use serde_json::{Value, json};

/// Samples a second of most channels, and seconds of most files.
const RATE: usize = 64;
const SECONDS: usize = 12;

/// A channel that is no other's: a ramp with a step of its own.
fn ramp(step: i32, count: usize) -> Vec<i32> {
    (0..count as i32).map(|index| (index * step) % 2001 - 1000).collect()
}

fn channel(label: &str) -> EdfSignal {
    EdfSignal::new(label, RATE, ramp(7, RATE * SECONDS))
}

fn plain(signals: Vec<EdfSignal>) -> EdfFile {
    EdfFile::new(Kind::Edf, SECONDS, signals)
}

fn cz() -> EdfFile {
    plain(vec![channel("Cz")])
}

/// Onsets of the records, each a second long, with jumps before some of them.
fn onsets(first: f64, jumps: &[(usize, f64)]) -> Vec<String> {
    let onset = |record: usize| {
        let late: f64 = jumps.iter().filter(|(at, _)| *at <= record).map(|(_, by)| by).sum();
        format!("+{}", first + record as f64 + late)
    };
    (0..SECONDS).map(onset).collect()
}

fn plus(marker: &str, onsets: &[String]) -> EdfFile {
    cz().plus(marker, &onsets.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Bytes of a file with some of them written over.
fn patched(file: &EdfFile, at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut made = file.to_bytes();
    made[at..at + bytes.len()].copy_from_slice(bytes);
    made
}

/// What must become of a file.
enum Outcome {
    /// It is read, with exactly these notes, and the report holds these values, found by their JSON pointers.
    Read(&'static [&'static str], Vec<(&'static str, Value)>),
    /// It is refused with this class.
    Refused(&'static str),
}

use Outcome::{Read, Refused};

struct Trap {
    name: &'static str,
    file: &'static str,
    bytes: Vec<u8>,
    /// What is asked for beyond channel Cz as it was recorded.
    set: &'static [&'static str],
    outcome: Outcome,
}

fn trap(name: &'static str, bytes: Vec<u8>, outcome: Outcome) -> Trap {
    Trap { name, file: "x.edf", bytes, set: &[], outcome }
}

impl Trap {
    fn set(self, set: &'static [&'static str]) -> Self {
        Self { set, ..self }
    }

    fn named(self, file: &'static str) -> Self {
        Self { file, ..self }
    }

    fn judge(&self, project: &Project) -> Result<(), String> {
        fs_err::write(project.path(self.file), &self.bytes).unwrap();
        let mut arguments = vec!["inspect", self.file, "--json", "--samples"];
        let bare = ["preprocessing.channels={order: [Cz], interpolate: []}", "preprocessing.steps=[]"];
        bare.iter().chain(self.set).for_each(|set| arguments.extend(["--set", set]));
        let run = project.run(&arguments);
        let report = run.json();
        let class = report["class"].as_str();
        match &self.outcome {
            Refused(expected) if class == Some(expected) && run.code == 5 => Ok(()),
            Refused(expected) => Err(format!("refused as {class:?}, not {expected}")),
            Read(..) if class.is_some() => Err(format!("refused: {class:?} {}", report["message"])),
            Read(notes, values) => {
                let found = report["notes"].as_array().unwrap();
                let mut codes: Vec<&str> = found.iter().map(|note| note["code"].as_str().unwrap()).collect();
                codes.dedup();
                if codes != *notes {
                    return Err(format!("notes {}", report["notes"]));
                }
                let differs = values.iter().find(|(at, value)| report.pointer(at) != Some(value));
                differs.map_or(Ok(()), |(at, value)| {
                    Err(format!("{at} is {:?}, not {value}", report.pointer(at)))
                })
            }
        }
    }
}

/// The sum of the samples, which tells whether they are the right ones.
fn sum(samples: &[i32]) -> Value {
    json!(samples.iter().map(|sample| i64::from(*sample)).sum::<i64>())
}

const SUM: &str = "/signals/0/digital/sum";
const COUNT: &str = "/signals/0/samples";

fn whole() -> (&'static str, Value) {
    (SUM, sum(&ramp(7, RATE * SECONDS)))
}

// ---- rates and durations ------------------------------------------------------------------------------------

fn durations() -> Vec<Trap> {
    let with = |duration: &str| EdfFile { record_duration: duration.to_owned(), ..cz() }.to_bytes();
    let rate = |numerator: u64, denominator: u64| ("/signals/0/rate", json!([numerator, denominator]));
    vec![
        trap("a record of a tenth of a second", with("0.1"), Read(&[], vec![whole(), rate(640, 1)])),
        trap(
            "a record of half a minute",
            with("30"),
            Read(&["fractional-rate"], vec![whole(), rate(32, 15)]),
        ),
        trap(
            "a rate that is no whole number",
            with("0.97656"),
            Read(&["fractional-rate"], vec![whole(), rate(800_000, 12_207)]),
        ),
        trap("a decimal comma", with("0,5"), Read(&["decimal-comma"], vec![whole(), rate(128, 1)])),
        trap("a duration of 0 beside channels", with("0"), Refused("bad-header")),
        trap("a duration below 0", with("-1"), Refused("bad-header")),
        trap("a duration that is no number", with("nan"), Refused("bad-header")),
        trap(
            "a duration of 0 where there are only annotations",
            EdfFile { record_duration: "0".to_owned(), ..EdfFile::new(Kind::Edf, 1, Vec::new()) }
                .plus("EDF+C", &["+0"])
                .annotate(0, "+3", Some("2"), "Seizure")
                .to_bytes(),
            Refused("missing-channels"),
        ),
    ]
}

// ---- limits and units ---------------------------------------------------------------------------------------

fn limits() -> Vec<Trap> {
    let with = |physical, digital| plain(vec![channel("Cz").limits(physical, digital)]).to_bytes();
    let beside = plain(vec![channel("Cz"), channel("X").limits(["5", "5"], ["0", "0"]).dimension("%")]);
    let range = |low: f64, high: f64| ("/signals/0/range_uv", json!([low, high]));
    vec![
        trap(
            "physical limits the wrong way round",
            with(["100", "-100"], ["-1000", "1000"]),
            Read(&["inverted-polarity"], vec![whole(), range(-99.600_000_000_000_01, 100.0)]),
        ),
        trap("equal physical limits", with(["100", "100"], ["-1000", "1000"]), Refused("bad-calibration")),
        trap("equal digital limits", with(["-100", "100"], ["5", "5"]), Refused("bad-calibration")),
        trap(
            "digital limits beyond 16 bits",
            with(["-100", "100"], ["-40000", "40000"]),
            Refused("bad-calibration"),
        ),
        trap(
            "a physical limit that is no number",
            with(["-100", "?"], ["-1000", "1000"]),
            Refused("bad-calibration"),
        ),
        trap("broken limits of a channel that nobody asked for", beside.to_bytes(), Read(&[], vec![whole()])),
        trap(
            "samples beyond the digital limits",
            with(["-100", "100"], ["-900", "900"]),
            Read(&["digital-range"], vec![whole()]),
        ),
        trap(
            "no unit",
            plain(vec![channel("Cz").dimension("")]).to_bytes(),
            Read(&["unit-assumed"], vec![whole()]),
        ),
        trap(
            "volts",
            plain(vec![channel("Cz").limits(["-0.001", "0.001"], ["-1000", "1000"]).dimension("V")])
                .to_bytes(),
            Read(&[], vec![range(-1000.0, 996.0)]),
        ),
        trap(
            "a unit that is no voltage",
            plain(vec![channel("Cz").dimension("mmHg")]).to_bytes(),
            Refused("bad-unit"),
        ),
    ]
}

// ---- labels, dates, header ----------------------------------------------------------------------------------

fn labels() -> Vec<Trap> {
    let two = |a: &str, b: &str, step| {
        plain(vec![channel(a), EdfSignal::new(b, RATE, ramp(step, RATE * SECONDS))]).to_bytes()
    };
    let used = ("/signals/0/used", json!("channel"));
    vec![
        trap("one label twice, different samples", two("Cz", "Cz", 3), Refused("ambiguous-channels")),
        trap(
            "one label twice, equal samples",
            two("Cz", "Cz", 7),
            Read(&["duplicate-label", "duplicate"], vec![whole()]),
        ),
        trap(
            "one label twice, and the first is wanted",
            two("Cz", "CZ ", 3),
            Read(&["duplicate"], vec![whole()]),
        )
        .set(&["preprocessing.channels={order: [Cz], interpolate: [], duplicates: first}"]),
        trap("a label with dots", two("Cz..", "Fc5.", 3), Read(&[], vec![whole(), used.clone()])),
        trap("a label in lower case", two("eeg cz-ref", "x", 3), Read(&[], vec![whole(), used.clone()])),
        trap("an empty label", two("Cz", "", 3), Read(&["empty-label"], vec![whole(), used])),
        trap("a label that is not ASCII", two("Cz", "Cz\u{b5}", 3), Read(&["non-ascii"], vec![whole()])),
        trap(
            "a patient that is not ASCII",
            EdfFile { patient: "M\u{fc}ller".to_owned(), ..cz() }.to_bytes(),
            Read(&["non-ascii"], vec![whole()]),
        ),
        trap("a name of two electrodes is no electrode", two("Cz-Pz", "X", 3), Refused("missing-channels")),
    ]
}

fn dates() -> Vec<Trap> {
    let with = |date: &str, time: &str| {
        EdfFile { date: date.to_owned(), time: time.to_owned(), recording: String::new(), ..cz() }.to_bytes()
    };
    let start = |text: &str| ("/start", json!(text));
    vec![
        trap(
            "a date with colons",
            with("15:03:21", "22:10:05"),
            Read(&["start-date", "start-time"], vec![whole()]),
        ),
        trap("an impossible day", with("31.02.21", "22.10.05"), Read(&["start-date"], vec![whole()])),
        trap("a month of 0", with("15.00.21", "22.10.05"), Read(&["start-date"], vec![whole()])),
        trap("no date at all", with("", ""), Read(&["start-date", "start-time"], vec![whole()])),
        // EDF specification: 85 to 99 is the last century.
        trap(
            "a year of the last century",
            with("15.03.85", "22.10.05"),
            Read(&[], vec![start("1985-03-15T22:10:05")]),
        ),
        trap(
            "a year of this century",
            with("15.03.84", "22.10.05"),
            Read(&[], vec![start("2084-03-15T22:10:05")]),
        ),
    ]
}

fn headers() -> Vec<Trap> {
    vec![
        trap("header bytes too few", patched(&cz(), 184, b"256     "), Refused("bad-header")),
        trap("header bytes too many", patched(&cz(), 184, b"99999999"), Refused("bad-header")),
        trap("a million channels", patched(&cz(), 252, b"1e6 "), Refused("bad-header")),
        trap("more channels than the file has bytes for", many_signals(), Refused("bad-header")),
        trap(
            "a channel that claims 99,999,999 samples",
            patched(&cz(), 256 + 216, b"99999999"),
            Refused("truncated"),
        ),
        trap("an empty file", Vec::new(), Refused("not-a-recording")),
        trap(
            "a BDF under the name of an EDF",
            bdf().to_bytes(),
            Read(&["misnamed"], vec![("/format", json!("BDF"))]),
        ),
        trap(
            "an EDF under the name of a BDF",
            cz().to_bytes(),
            Read(&["misnamed"], vec![("/format", json!("EDF"))]),
        )
        .named("x.bdf"),
    ]
}

/// A file that says it has 9999 signals, and a header that is as long as that.
fn many_signals() -> Vec<u8> {
    let mut bytes = patched(&cz(), 184, b"2560000 ");
    bytes[252..256].copy_from_slice(b"9999");
    bytes
}

// ---- BDF ----------------------------------------------------------------------------------------------------

fn bdf() -> EdfFile {
    let wide = EdfSignal::new("Cz", RATE, (0..RATE * SECONDS).map(|i| i as i32 * 9973 - 3_000_000).collect());
    let status = EdfSignal::new("Status", RATE, vec![0x01_0203; RATE * SECONDS]);
    let whole_range = ["-8388608", "8388607"];
    let signals = vec![
        wide.limits(["-262144", "262143"], whole_range),
        status.dimension("Boolean").limits(["-8388608", "8388607"], whole_range),
    ];
    EdfFile::new(Kind::Bdf, SECONDS, signals)
}

fn wide() -> Vec<Trap> {
    let samples: Vec<i32> = (0..RATE * SECONDS).map(|i| i as i32 * 9973 - 3_000_000).collect();
    let values = vec![
        (SUM, sum(&samples)),
        ("/signals/0/digital/min", json!(-3_000_000)),
        ("/signals/1/digital/sum", json!(0x01_0203 * RATE * SECONDS)),
    ];
    vec![
        trap("24 bits and a status channel", bdf().to_bytes(), Read(&[], values)).named("x.bdf"),
        trap("the status channel asked for", bdf().to_bytes(), Refused("bad-unit"))
            .named("x.bdf")
            .set(&["preprocessing.channels={order: [Cz, Status], interpolate: []}"]),
    ]
}

// ---- annotations and time -----------------------------------------------------------------------------------

/// An annotation signal in front of the channels, between them, and one more behind.
fn annotations_everywhere() -> EdfFile {
    let silent = |label: &str| {
        EdfSignal::new(label, 20, vec![0; 20 * SECONDS])
            .dimension("")
            .limits(["-1", "1"], ["-32768", "32767"])
    };
    let mut file = plus("EDF+C", &onsets(0.0, &[])).annotate(3, "+3.5", Some("2"), "Seizure");
    file.signals = vec![silent("EDF Annotations"), channel("Cz"), silent("EDF Annotations"), channel("Pz")];
    file
}

fn annotations() -> Vec<Trap> {
    let annotation = |onset: f64| ("/annotations/0/onset", json!(onset));
    let unmarked = EdfFile { marker: String::new(), ..plus("EDF+C", &onsets(0.0, &[])) };
    vec![
        trap(
            "annotation signals that are not last, and several",
            annotations_everywhere().to_bytes(),
            Read(
                &[],
                vec![
                    ("/signals/1/digital/sum", whole().1),
                    annotation(3.5),
                    ("/signals/0/used", json!("annotations")),
                ],
            ),
        ),
        trap(
            "an annotation signal in a plain EDF",
            unmarked.to_bytes(),
            Read(&["annotations-in-plain"], vec![whole(), ("/signals/1/used", json!("annotations"))]),
        ),
        trap(
            "an annotation signal asked for",
            plus("EDF+C", &onsets(0.0, &[])).to_bytes(),
            Refused("missing-channels"),
        )
        .set(&["preprocessing.channels={order: [EDF Annotations], interpolate: []}"]),
        trap(
            "a start between two seconds",
            plus("EDF+C", &onsets(0.375, &[])).annotate(3, "+3.5", Some("2"), "Seizure").to_bytes(),
            Read(&[], vec![whole(), annotation(3.125), ("/offset_s", json!(0.375))]),
        ),
        trap(
            "EDF+D without a gap",
            plus("EDF+D", &onsets(0.0, &[])).to_bytes(),
            Read(&[], vec![whole(), ("/gaps", json!([]))]),
        ),
        trap("a gap", plus("EDF+D", &onsets(0.0, &[(5, 3.0)])).to_bytes(), Refused("discontinuous")),
        trap(
            "a gap under EDF+C",
            plus("EDF+C", &onsets(0.0, &[(5, 3.0)])).to_bytes(),
            Refused("discontinuous"),
        ),
        trap(
            "a gap in a plain EDF",
            plus("", &onsets(0.0, &[(5, 3.0)])).to_bytes(),
            Refused("discontinuous"),
        ),
        trap(
            "records that overlap",
            plus("EDF+D", &onsets(0.0, &[(5, -0.5)])).to_bytes(),
            Refused("discontinuous"),
        )
        .set(&["preprocessing.gaps=fill"]),
        trap(
            "BDF+D with EDF's marker and a gap",
            EdfFile { kind: Kind::Bdf, ..plus("EDF+D", &onsets(0.0, &[(5, 3.0)])) }.to_bytes(),
            Refused("discontinuous"),
        )
        .named("x.bdf"),
    ]
}

// ---- counts -------------------------------------------------------------------------------------------------

fn counts() -> Vec<Trap> {
    let promise = |records: &str, more: i64| {
        let mut bytes = EdfFile { records_field: Some(records.to_owned()), ..cz() }.to_bytes();
        bytes.resize((bytes.len() as i64 + more) as usize, 7);
        bytes
    };
    let record = 2 * RATE as i64;
    let keep: &[&str] = &["preprocessing.truncated=keep_whole_records"];
    let part = |records: usize| vec![(SUM, sum(&ramp(7, RATE * records))), (COUNT, json!(RATE * records))];
    vec![
        trap("-1 records", promise("-1", 0), Read(&["records-unknown"], part(12))),
        trap(
            "-1 records and part of one",
            promise("-1", -3),
            Read(&["records-unknown", "trailing-bytes"], part(11)),
        ),
        trap("a record too few", promise("12", -record), Refused("truncated")),
        trap("a byte too few", promise("12", -1), Refused("truncated")),
        trap("a record more than promised", promise("11", 0), Refused("size-mismatch")),
        trap("a byte too many", promise("12", 1), Read(&["trailing-bytes"], part(12))),
        trap("a record too few, whole ones kept", promise("12", -record), Read(&["truncated"], part(11)))
            .set(keep),
        trap(
            "half a record too few, whole ones kept",
            promise("12", -record / 2),
            Read(&["truncated"], part(11)),
        )
        .set(keep),
        trap(
            "a record more than promised, whole ones kept",
            promise("11", 0),
            Read(&["size-mismatch"], part(12)),
        )
        .set(keep),
    ]
}

#[test]
fn every_trap_is_read_right_or_refused_with_its_class() {
    let project = Project::bare();
    let groups = [durations(), limits(), labels(), dates(), headers(), wide(), annotations(), counts()];
    let traps: Vec<Trap> = groups.into_iter().flatten().collect();
    let wrong: Vec<String> = traps
        .iter()
        .filter_map(|trap| trap.judge(&project).err().map(|why| format!("{}: {why}", trap.name)))
        .collect();
    assert!(wrong.is_empty(), "{} of {} traps:\n{}", wrong.len(), traps.len(), wrong.join("\n"));
}

/// Digests of the channels behind the recipe, in double precision.
fn processed(project: &Project, file: &EdfFile, set: &[&str]) -> Vec<String> {
    fs_err::write(project.path("y.edf"), file.to_bytes()).unwrap();
    let mut arguments = vec!["inspect", "y.edf", "--json", "--samples"];
    for set in set {
        arguments.extend(["--set", set]);
    }
    let report = project.run(&arguments).expect(0).json();
    let channels = report["processed"].as_array().unwrap();
    channels.iter().map(|channel| channel["sha256_f64le"].as_str().unwrap().to_owned()).collect()
}

/// Resampled over the whole recording: the length of records and the other channels' rates change nothing.
#[test]
fn channels_of_different_rates_are_resampled_whole() {
    let project = Project::bare();
    let steps = "preprocessing.steps=[{resample: {rate_hz: 50, method: fft}}, {zscore: {epsilon: 1.0e-8}}]";
    let order = |channels: &str| format!("preprocessing.channels={{order: {channels}, interpolate: []}}");
    let slow = ramp(13, 20 * SECONDS);
    let mixed = plain(vec![channel("Cz"), EdfSignal::new("Pz", 20, slow.clone())]);
    let together = processed(&project, &mixed, &[&order("[Cz, Pz]"), steps]);
    let one_record = |signal: EdfSignal| EdfFile {
        record_duration: SECONDS.to_string(),
        records: 1,
        ..plain(vec![EdfSignal { samples_per_record: signal.samples.len(), ..signal }])
    };
    let alone = [
        processed(&project, &one_record(channel("Cz")), &[&order("[Cz]"), steps]),
        processed(&project, &one_record(EdfSignal::new("Pz", 20, slow)), &[&order("[Pz]"), steps]),
    ];
    assert_eq!(together, alone.concat());
}

#[test]
fn gaps_are_refused_split_or_filled() {
    for (gaps, code, stems) in
        [("error", 5, &[][..]), ("split", 0, &["x.part000", "x.part001"]), ("fill", 0, &["x"])]
    {
        let project = folder();
        let file = plus("EDF+D", &onsets(0.0, &[(5, 3.0)])).to_bytes();
        fs_err::write(project.path("data/x.edf"), file).unwrap();
        let gaps = format!("preprocessing.gaps={gaps}");
        project.run(&["build", "--set", &gaps]).expect(code);
        let manifest = project.manifest("cache/full/own");
        let entries = manifest["entries"].as_array().unwrap();
        assert_eq!(
            entries.iter().map(|entry| entry["id"].as_str().unwrap()).collect::<Vec<_>>(),
            stems,
            "{gaps}"
        );
        let samples: u64 = entries.iter().map(|entry| entry["samples"].as_u64().unwrap()).sum();
        let expected = match stems.len() {
            0 => 0,
            1 => (SECONDS + 3) * RATE,
            _ => SECONDS * RATE,
        };
        assert_eq!(samples, expected as u64, "{gaps}");
    }
}

#[test]
fn a_directory_that_is_named_like_a_recording_is_none() {
    let project = folder();
    fs_err::create_dir(project.path("data/x.edf")).unwrap();
    fs_err::write(project.path("data/x.edf/y.edf"), cz().to_bytes()).unwrap();
    project.run(&["build"]).expect(5).says(&["not-a-recording", "is a directory"]);
    project.run(&["inspect", "data/x.edf"]).expect(2).says(&["is a directory"]);
    let manifest = project.manifest("cache/full/own");
    assert_eq!(manifest["quarantine"][0]["class"], "not-a-recording");
}

/// Recordings in `data` of which Cz is kept as it was recorded.
fn folder() -> Project {
    let project = Project::bare();
    fs_err::create_dir(project.path("data")).unwrap();
    project.write("configs/local.yaml", "data: {dataset: own}\n");
    project.write(
        "configs/datasets/own.yaml",
        "cache: {version: own}\nlabels: {unlabelled: keep}\n\
         preprocessing: {channels: {order: [Cz], interpolate: []}, steps: []}\nwindows: {length_s: 1, stride_s: 1}\n\
         dataset:\n  root: data\n  recordings: \"*.edf\"\n  splits: {by_subject: {seed: 1, train: 1, val: 0}}\n  \
         annotations: {format: none}\n  allow_no_seizures: true\n",
    );
    project
}
