//! Readers against real files, against one file for each defect, and against bytes that no one wrote.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::edf_writer::{EdfFile, EdfSignal};
use crate::shared::shared;
use eegcache::formats::{calibration, read_header, read_recording, records_to_read};
use eegcache::model::recipe::{GapPolicy, TruncationPolicy};
use eegcache::model::recording::{Digital, Header, Kind, Recording, Variant};
use eegcache::model::{Digest, Failure, FailureClass, Rate, Seconds};
use proptest::prelude::*;
use serde_json::Value;
use std::path::Path;

fn load(path: &Path) -> Vec<u8> {
    fs_err::read(path).unwrap()
}

fn load_json(path: &Path) -> Value {
    serde_json::from_slice(&load(path)).unwrap()
}

fn header_of(bytes: &[u8]) -> Result<Header, Failure> {
    read_header(&mut &bytes[..], bytes.len() as u64)
}

/// Reads the picks of `choose` with a policy for counts.
fn read_with(
    bytes: &[u8],
    truncated: TruncationPolicy,
    choose: impl Fn(&Header) -> Vec<usize>,
) -> Result<(Header, Recording), Failure> {
    let mut reader = bytes;
    let header = read_header(&mut reader, bytes.len() as u64)?;
    let picks = choose(&header);
    let recording = read_recording(&mut reader, &header, &picks, truncated, GapPolicy::Error)?;
    Ok((header, recording))
}

fn read(bytes: &[u8]) -> Result<(Header, Recording), Failure> {
    read_with(bytes, TruncationPolicy::Quarantine, ordinary)
}

fn ordinary(header: &Header) -> Vec<usize> {
    (0..header.signals.len()).filter(|index| !header.signals[*index].is_annotation).collect()
}

fn codes(header: &Header, recording: &Recording) -> Vec<String> {
    header.notes.iter().chain(&recording.notes).map(|note| note.code.clone()).collect()
}

fn close(actual: f64, expected: &Value, what: &str) {
    let expected = expected.as_f64().unwrap();
    assert!(
        (actual - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        "{what}: {actual} is not {expected}"
    );
}

// ---- real recordings -----------------------------------------------------------------------------------------

#[test]
fn real_recordings_are_read_as_the_independent_parser_reads_them() {
    let Some(shared) = shared() else { return };
    let mut checked = 0;
    for entry in fs_err::read_dir(shared.join("data/golden")).unwrap() {
        let golden = load_json(&entry.unwrap().path());
        let Some(path) = golden.get("split_path").and_then(Value::as_str) else { continue };
        check_golden(path, &load(&shared.join("data").join(path)), &golden["spec"]);
        checked += 1;
    }
    assert_eq!(checked, 18);
}

fn check_golden(name: &str, bytes: &[u8], spec: &Value) {
    assert_eq!(Digest::of(bytes).to_string(), spec["sha256"], "{name}");
    // Every signal is read, also those that are no voltage, which `calibration` would refuse.
    let mut reader = bytes;
    let header = read_header(&mut reader, bytes.len() as u64).unwrap();
    check_header(name, &header, spec);
    let mut permissive = header.clone();
    for signal in &mut permissive.signals {
        "uV".clone_into(&mut signal.dimension);
    }
    let picks = ordinary(&header);
    let policy = TruncationPolicy::Quarantine;
    let recording = read_recording(&mut reader, &permissive, &picks, policy, GapPolicy::Error).unwrap();
    for channel in &recording.channels {
        check_samples(name, &header, channel, &spec["signals"][channel.signal]);
    }
    check_annotations(name, &recording, spec);
}

fn check_header(name: &str, header: &Header, spec: &Value) {
    let kind = if header.kind == Kind::Edf { "EDF" } else { "BDF" };
    let variant = match header.variant {
        Variant::Plain => kind.to_owned(),
        Variant::Continuous => format!("{kind}+C"),
        Variant::Discontinuous => format!("{kind}+D"),
    };
    assert_eq!((kind, variant.as_str()), (spec["kind"].as_str().unwrap(), spec["variant"].as_str().unwrap()));
    for (field, expected) in [
        (&header.patient, "patient"),
        (&header.recording, "recording"),
        (&header.start_date, "startdate"),
        (&header.start_time, "starttime"),
    ] {
        assert_eq!(field, spec[expected].as_str().unwrap(), "{name}: {expected}");
    }
    assert_eq!(header.header_bytes, spec["header_bytes"], "{name}");
    assert_eq!(header.records_promised.map_or(-1, |n| n as i64), spec["n_records_header"], "{name}");
    assert_eq!(header.records_held, spec["n_records_actual"], "{name}");
    assert_eq!(header.trailing_bytes, spec["trailing_bytes"], "{name}");
    close(header.record_duration.as_f64(), &spec["record_duration"], name);
    assert_eq!(header.signals.len(), spec["n_signals"], "{name}");
    for (signal, spec) in header.signals.iter().zip(spec["signals"].as_array().unwrap()) {
        assert_eq!(signal.label, spec["label"].as_str().unwrap(), "{name}");
        assert_eq!(signal.transducer, spec["transducer"].as_str().unwrap(), "{name}");
        assert_eq!(signal.dimension, spec["dimension"].as_str().unwrap(), "{name}");
        assert_eq!(signal.prefilter, spec["prefilter"].as_str().unwrap(), "{name}");
        assert_eq!(signal.is_annotation, spec["is_annotations"], "{name}");
        assert_eq!(signal.samples_per_record, spec["samples_per_record"], "{name}");
        let (low, high) = signal.physical.unwrap();
        assert_eq!(
            (Value::from(low), Value::from(high)),
            (spec["physical_min"].clone(), spec["physical_max"].clone())
        );
        let (low, high) = signal.digital.unwrap();
        close(low as f64, &spec["digital_min"], name);
        close(high as f64, &spec["digital_max"], name);
        match signal.rate {
            Some(rate) => close(rate.as_f64(), &spec["sfreq"], name),
            None => assert!(signal.is_annotation, "{name}"),
        }
    }
}

fn check_samples(
    name: &str,
    header: &Header,
    channel: &eegcache::model::recording::RawChannel,
    spec: &Value,
) {
    let name = format!("{name}, signal {}", channel.signal);
    let samples = channel.samples.to_i32();
    assert_eq!(samples.len(), spec["n_samples"], "{name}");
    let little_endian: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    assert_eq!(Digest::of(&little_endian).to_string(), spec["digital"]["sha256_i32le"], "{name}");
    assert_eq!(samples.iter().map(|s| i64::from(*s)).sum::<i64>(), spec["digital"]["sum"], "{name}");
    assert_eq!(i64::from(*samples.iter().min().unwrap()), spec["digital"]["min"], "{name}");
    assert_eq!(i64::from(*samples.iter().max().unwrap()), spec["digital"]["max"], "{name}");

    let signal = &header.signals[channel.signal];
    let Ok(line) = calibration(signal, header.kind) else {
        assert!(!signal.dimension.ends_with('V'), "{name}");
        return;
    };
    let factor = if signal.dimension == "V" { 1e6 } else { 1.0 };
    let gain = line.gain_uv / factor;
    let expected = spec["physical_spec"]["gain"].as_f64().unwrap();
    assert!((gain - expected).abs() <= 1e-12 * expected.abs(), "{name}: gain {gain} is not {expected}");
    let mean = samples.iter().map(|s| f64::from(*s)).sum::<f64>() / samples.len() as f64;
    close((line.gain_uv * mean + line.offset_uv) / factor, &spec["physical_spec"]["mean"], &name);
    for (sample, expected) in samples.iter().zip(spec["physical_spec"]["first5"].as_array().unwrap()) {
        close((line.gain_uv * f64::from(*sample) + line.offset_uv) / factor, expected, &name);
    }
}

fn check_annotations(name: &str, recording: &Recording, spec: &Value) {
    let expected = spec["annotations_spec"].as_array().unwrap();
    assert_eq!(recording.annotations.len(), expected.len(), "{name}");
    let first = spec["record_onsets_first5"].get(0).and_then(Value::as_str).unwrap_or("0");
    assert_eq!(Some(recording.offset), Seconds::parse(first), "{name}");
    for (tal, expected) in recording.annotations.iter().zip(expected) {
        let onset = Seconds::parse(expected["onset"].as_str().unwrap()).unwrap();
        assert_eq!(tal.onset, onset.minus(recording.offset), "{name}");
        assert_eq!(tal.duration, expected["duration"].as_str().and_then(Seconds::parse), "{name}");
        assert_eq!(tal.text, expected["text"].as_str().unwrap(), "{name}");
    }
}

#[test]
fn every_real_recording_without_reference_values_is_read_too() {
    let Some(shared) = shared() else { return };
    let mut checked = 0;
    for (folder, extension) in [("chbmit/chb05", "edf"), ("siena/PN00", "edf")] {
        for entry in fs_err::read_dir(shared.join("data/epilepsy2bids").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == extension) {
                let choose = |h: &Header| {
                    ordinary(h).into_iter().filter(|i| calibration(&h.signals[*i], h.kind).is_ok()).collect()
                };
                let (_, recording) = read_with(&load(&path), TruncationPolicy::Quarantine, choose).unwrap();
                assert!(recording.channels.len() >= 19, "{}", path.display());
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 13);
}

// ---- one defect a file ---------------------------------------------------------------------------------------

/// The EEG channels of the defect files: everything but oxygen saturation and respiration.
fn eeg(header: &Header) -> Vec<usize> {
    let is_eeg = |index: &usize| !["SpO2", "Resp"].contains(&header.signals[*index].label.as_str());
    ordinary(header).into_iter().filter(is_eeg).collect()
}

/// Outcomes that a reader alone cannot decide, and who does.
const DECIDED_ELSEWHERE: [(&str, &str); 4] = [
    ("bdf_named_edf.edf", "the caller knows the name"),
    ("sig_flat.edf", "the policy `flat` is signal processing"),
    ("sig_saturated.edf", "saturation is a quality note of signal processing"),
    ("one_sample.edf", "too short for what is decided by the steps"),
];

fn class_of(code: &str) -> Option<FailureClass> {
    FailureClass::from_name(code).or(match code {
        "E_HEADER" | "E_NREC" | "E_RECDUR" | "E_MAGIC" => Some(FailureClass::BadHeader),
        "E_TRUNCATED" => Some(FailureClass::Truncated),
        "E_SIZE_MISMATCH" => Some(FailureClass::SizeMismatch),
        "E_CAL" => Some(FailureClass::BadCalibration),
        "E_DISCONTINUOUS" => Some(FailureClass::Discontinuous),
        "E_EMPTY" | "E_POINTER" => Some(FailureClass::NotARecording),
        _ => None,
    })
}

fn notes_of(code: &str) -> &'static [&'static str] {
    match code {
        "" => &["fractional-rate"],
        "W_TRAILING" => &["trailing-bytes"],
        "W_NREC" => &["records-unknown"],
        "W_COMMA" => &["decimal-comma"],
        "W_POLARITY" => &["inverted-polarity"],
        "W_DUP" => &["duplicate-label"],
        "W_ENC" => &["non-ascii"],
        "W_LABEL" => &["empty-label"],
        "W_DATE" => &["start-date"],
        "W_PLUS" => &["annotations-missing", "annotations-in-plain"],
        "W_TAL" => &["time-keeping-missing", "unreadable-annotation"],
        // An onset of thirty digits cannot be kept, so it cannot be compared either.
        "W_EVENT_RANGE" => &["annotation-outside", "unreadable-annotation"],
        "W_RANGE" => &["digital-range"],
        "unit-assumed" => &["unit-assumed"],
        other => panic!("unknown code {other}"),
    }
}

#[test]
fn every_defect_has_its_class_or_its_note() {
    let Some(shared) = shared() else { return };
    let outcomes = load_json(&shared.join("data/golden/malformed_outcomes.json"));
    let outcomes = outcomes.as_array().unwrap();
    assert_eq!(outcomes.len(), 86);
    let mut wrong = Vec::new();
    for outcome in outcomes {
        let file = outcome["file"].as_str().unwrap();
        let bytes = load(&shared.join("data/malformed").join(file));
        let (expect, code) =
            (outcome["meta"]["expect"].as_str().unwrap(), outcome["meta"]["code"].as_str().unwrap_or(""));
        let result = read_with(&bytes, TruncationPolicy::Quarantine, eeg);
        let notes = result.as_ref().map(|(header, recording)| codes(header, recording)).unwrap_or_default();
        let elsewhere = DECIDED_ELSEWHERE.iter().any(|(name, _)| *name == file);
        let right = match (expect, &result) {
            ("accept", Ok(_)) => notes.is_empty(),
            ("accept_warn", Ok(_)) => {
                elsewhere || notes.iter().any(|note| notes_of(code).contains(&note.as_str()))
            }
            ("reject", Err(failure)) => Some(failure.class) == class_of(code),
            _ => false,
        };
        if !right {
            let result = result.map(|_| notes);
            wrong.push(format!("{file}: expected {expect} {code}, got {result:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn samples_behind_a_defect_are_those_of_the_independent_parser() {
    let Some(shared) = shared() else { return };
    let outcomes = load_json(&shared.join("data/golden/malformed_outcomes.json"));
    let mut checked = 0;
    for outcome in outcomes.as_array().unwrap() {
        let file = outcome["file"].as_str().unwrap();
        let bytes = load(&shared.join("data/malformed").join(file));
        let Ok((header, recording)) = read_with(&bytes, TruncationPolicy::Quarantine, eeg) else { continue };
        for channel in &recording.channels {
            let spec = &outcome["spec"]["signals"][channel.signal];
            let little_endian: Vec<u8> =
                channel.samples.to_i32().iter().flat_map(|s| s.to_le_bytes()).collect();
            assert_eq!(Digest::of(&little_endian).to_string(), spec["digital"]["sha256_i32le"], "{file}");
            assert_eq!(header.signals[channel.signal].label, spec["label"].as_str().unwrap(), "{file}");
            checked += 1;
        }
    }
    assert!(checked > 600, "{checked}");
}

#[test]
fn annotation_onsets_count_from_the_first_sample() {
    let Some(shared) = shared() else { return };
    let bytes = load(&shared.join("data/malformed/ok_subsecond_start.edf"));
    let (_, recording) = read_with(&bytes, TruncationPolicy::Quarantine, eeg).unwrap();
    assert_eq!(Some(recording.offset), Seconds::parse("0.3945312"));
    assert_eq!(Some(recording.annotations[0].onset), Seconds::parse("2.5"));
}

// ---- files of our own ----------------------------------------------------------------------------------------

fn ramp(count: usize) -> Vec<i32> {
    (0..count).map(|i| (i as i32 * 37) % 2000 - 1000).collect()
}

/// Three records of two channels and, in EDF+, annotations.
fn small(kind: Kind) -> EdfFile {
    EdfFile::new(kind, 3, vec![EdfSignal::new("Fp1", 8, ramp(24)), EdfSignal::new("Cz", 4, ramp(12))])
}

#[test]
fn what_is_written_is_read() {
    for kind in [Kind::Edf, Kind::Bdf] {
        let marker = if kind == Kind::Edf { "EDF+C" } else { "BDF+C" };
        for file in [small(kind), small(kind).plus(marker, &["+0", "+1", "+2"])] {
            let choose = |_: &Header| vec![1, 0];
            let (header, recording) =
                read_with(&file.to_bytes(), TruncationPolicy::Quarantine, choose).unwrap();
            let samples: Vec<_> = recording.channels.iter().map(|c| (c.signal, c.samples.to_i32())).collect();
            assert_eq!(samples, [(1, ramp(12)), (0, ramp(24))], "in the order of the picks");
            assert_eq!(recording.channels[0].rate, Rate::new(4, 1).unwrap());
            assert_eq!(matches!(recording.channels[0].samples, Digital::I16(_)), kind == Kind::Edf);
            assert!(codes(&header, &recording).is_empty(), "{:?}", codes(&header, &recording));
        }
    }
}

#[test]
fn negative_24_bit_samples_keep_their_sign() {
    let samples = vec![-8_388_608, -1, 0, 8_388_607];
    let signal = EdfSignal::new("Cz", 4, samples.clone()).limits(["-1", "1"], ["-8388608", "8388607"]);
    let (_, recording) = read(&EdfFile::new(Kind::Bdf, 1, vec![signal]).to_bytes()).unwrap();
    assert_eq!(recording.channels[0].samples, Digital::I32(samples));
}

#[test]
fn counts_follow_the_policy() {
    use FailureClass::{SizeMismatch, Truncated};
    use TruncationPolicy::{KeepWholeRecords, Quarantine};
    let record = 24;
    for (field, cut, policy, expected) in [
        ("3", 0, Quarantine, Ok((3, None))),
        ("3", -5, Quarantine, Ok((3, Some("trailing-bytes")))),
        ("-1", 0, Quarantine, Ok((3, Some("records-unknown")))),
        ("-1", 1, Quarantine, Ok((2, Some("records-unknown")))),
        ("4", 0, Quarantine, Err((Truncated, "promises 4 records, the file holds 3"))),
        ("3", 1, Quarantine, Err((Truncated, "promises 3 records, the file holds 2 and 23 bytes"))),
        ("2", 0, Quarantine, Err((SizeMismatch, "promises 2 records, the file holds 3"))),
        ("4", 0, KeepWholeRecords, Ok((3, Some("truncated")))),
        ("3", 1, KeepWholeRecords, Ok((2, Some("truncated")))),
        ("2", 0, KeepWholeRecords, Ok((3, Some("size-mismatch")))),
        ("3", 3 * record, KeepWholeRecords, Err((Truncated, "before its first record"))),
        ("-1", 2 * record + 1, Quarantine, Err((Truncated, "before its first record"))),
    ] {
        let mut bytes = EdfFile { records_field: Some(field.to_owned()), ..small(Kind::Edf) }.to_bytes();
        bytes.resize((bytes.len() as i64 - cut) as usize, 7);
        let result = read_with(&bytes, policy, ordinary);
        match (result, expected) {
            (Ok((header, recording)), Ok((records, note))) => {
                assert_eq!(records_to_read(&header, policy), Ok(records));
                assert_eq!(
                    recording.channels[0].samples.to_i32(),
                    ramp(8 * records as usize),
                    "{field} {cut}"
                );
                assert!(
                    note.is_none_or(|note| codes(&header, &recording).contains(&note.to_owned())),
                    "{field} {cut}"
                );
                assert_eq!(note.is_none(), codes(&header, &recording).is_empty(), "{field} {cut}");
            }
            (Err(failure), Err((class, words))) => {
                assert!(
                    failure.class == class && failure.message.contains(words),
                    "{field} {cut}: {failure}"
                );
            }
            (result, expected) => panic!("{field} {cut}: {expected:?}, got {:?}", result.map(|_| ())),
        }
    }
}

#[test]
fn only_picked_channels_have_to_be_sound() {
    let broken = [
        (EdfSignal::new("X", 8, ramp(24)).dimension("%"), FailureClass::BadUnit),
        (EdfSignal::new("X", 8, ramp(24)).limits(["5", "5"], ["-100", "100"]), FailureClass::BadCalibration),
        (
            EdfSignal::new("X", 8, ramp(24)).limits(["-1", "1"], ["-100", "40000"]),
            FailureClass::BadCalibration,
        ),
        (EdfSignal::new("X", 8, ramp(24)).limits(["-1", ""], ["-100", "100"]), FailureClass::BadCalibration),
    ];
    for (signal, class) in broken {
        let mut file = small(Kind::Edf);
        file.signals.insert(0, signal);
        let bytes = file.to_bytes();
        assert_eq!(read(&bytes).unwrap_err().class, class);
        let (_, recording) = read_with(&bytes, TruncationPolicy::Quarantine, |_| vec![1, 2]).unwrap();
        assert_eq!(recording.channels[0].samples.to_i32(), ramp(24));
    }
}

#[test]
fn what_is_no_channel_cannot_be_picked() {
    let bytes = small(Kind::Edf).plus("EDF+C", &["+0", "+1", "+2"]).to_bytes();
    for pick in [2, 99] {
        let failure = read_with(&bytes, TruncationPolicy::Quarantine, |_| vec![pick]).unwrap_err();
        assert_eq!(failure.class, FailureClass::MissingChannels);
    }
}

#[test]
fn the_time_keeping_annotations_decide() {
    let contiguous = ["+0.25", "+1.25", "+2.25"];
    let gap = ["+0", "+1", "+9"];
    for (marker, onsets, accepted) in [
        ("EDF+C", contiguous, true),
        ("EDF+D", contiguous, true),
        ("", contiguous, true),
        ("EDF+C", gap, false),
        ("EDF+D", gap, false),
        ("", gap, false),
        ("EDF+D", ["", "+1", "+2"], false),
        ("EDF+D", ["+0", "+1", ""], false),
        ("EDF+C", ["+0", "+1", ""], true),
    ] {
        let result = read(&small(Kind::Edf).plus(marker, &onsets).to_bytes());
        let class = result.map(|_| ()).map_err(|failure| failure.class);
        let expected = if accepted { Ok(()) } else { Err(FailureClass::Discontinuous) };
        assert_eq!(class, expected, "{marker} {onsets:?}");
    }
    let unmarked = EdfFile { marker: "EDF+D".to_owned(), ..small(Kind::Edf) };
    assert_eq!(read(&unmarked.to_bytes()).unwrap_err().class, FailureClass::Discontinuous);
}

#[test]
fn gaps_are_refused_or_leave_stretches_as_the_recipe_says() {
    let read = |marker: &str, onsets: [&str; 3], gaps: GapPolicy| {
        let bytes = small(Kind::Edf).plus(marker, &onsets).to_bytes();
        let mut reader = &bytes[..];
        let header = read_header(&mut reader, bytes.len() as u64).unwrap();
        read_recording(&mut reader, &header, &[0], TruncationPolicy::Quarantine, gaps)
    };
    // The marker decides nothing, the time-keeping annotations do.
    for marker in ["EDF+D", "EDF+C", ""] {
        let failure = read(marker, ["+0.5", "+1.5", "+9"], GapPolicy::Error).unwrap_err();
        assert_eq!(failure.class, FailureClass::Discontinuous, "{marker}");
        for gaps in [GapPolicy::Split, GapPolicy::Fill] {
            let recording = read(marker, ["+0.5", "+1.5", "+9"], gaps).unwrap();
            let at: Vec<_> = recording
                .stretches
                .iter()
                .map(|s| (s.first_record, s.records, s.onset.to_string()))
                .collect();
            assert_eq!(at, [(0, 2, "0".to_owned()), (2, 1, "8.5".to_owned())], "{marker}");
            let whole = read(marker, ["+0.5", "+1.5", "+2.5"], gaps).unwrap();
            assert_eq!((whole.stretches.len(), &whole.channels), (1, &recording.channels), "{marker}");
            let overlap = read(marker, ["+0", "+1", "+1.5"], gaps).unwrap_err();
            assert_eq!(overlap.class, FailureClass::Discontinuous, "{marker}");
        }
    }
}

#[test]
fn annotations_are_read_without_any_channel() {
    let file = small(Kind::Bdf).plus("BDF+C", &["+0.5", "+1.5", "+2.5"]);
    let file = file.annotate(0, "+0.75", Some("1"), "Seizure").annotate(2, "+3", None, "end");
    let (_, recording) = read_with(&file.to_bytes(), TruncationPolicy::Quarantine, |_| Vec::new()).unwrap();
    assert!(recording.channels.is_empty());
    let read: Vec<_> = recording.annotations.iter().map(|tal| (tal.onset, tal.text.as_str())).collect();
    assert_eq!(read, [(Seconds::parse("0.25").unwrap(), "Seizure"), (Seconds::parse("2.5").unwrap(), "end")]);
}

#[test]
fn rates_are_exact_fractions() {
    for (duration, samples, rate) in [
        ("0.5", 100, (200, 1)),
        ("0.97656", 250, (3_125_000, 12_207)),
        ("3", 512, (512, 3)),
        ("1,5", 3, (2, 1)),
    ] {
        let signal = EdfSignal::new("Cz", samples, ramp(samples));
        let file =
            EdfFile { record_duration: duration.to_owned(), ..EdfFile::new(Kind::Edf, 1, vec![signal]) };
        let (_, recording) = read(&file.to_bytes()).unwrap();
        assert_eq!(Some(recording.channels[0].rate), Rate::new(rate.0, rate.1), "{duration}");
    }
}

#[test]
fn strangers_are_told_apart() {
    use FailureClass::{BadHeader, NotARecording};
    for (bytes, class, words) in [
        (&b""[..], NotARecording, "empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", NotARecording, "git lfs pull"),
        (
            b"/annex/objects/MD5E-s1048576--d41d8cd98f00b204e9800998ecf8427e.edf\n",
            NotARecording,
            "git annex get",
        ),
        (b"../../.git/annex/objects/xx/yy/MD5E-s1--d4.edf", NotARecording, "git annex get"),
        (b"\x1f\x8b\x08\x00", NotARecording, "gzip"),
        (b"PK\x03\x04", NotARecording, "ZIP"),
        (b"<html>", BadHeader, "web page"),
        (b"\xef\xbb\xbf0       ", BadHeader, "byte order mark"),
        (b"\0\0\0\0\0\0\0\0\0", BadHeader, "NUL"),
        (b"1       X", BadHeader, "version (byte 0) is `1`"),
        (b"0", BadHeader, "version"),
        (b"0       X", BadHeader, "9 bytes"),
    ] {
        let failure = header_of(bytes).unwrap_err();
        assert!(failure.class == class && failure.message.contains(words), "{bytes:?}: {failure}");
    }
}

#[test]
fn a_file_that_shrinks_under_the_reader_has_changed() {
    let bytes = small(Kind::Edf).to_bytes();
    let header = header_of(&bytes).unwrap();
    let mut reader = &bytes[768..bytes.len() - 1];
    let policy = TruncationPolicy::Quarantine;
    let failure = read_recording(&mut reader, &header, &[0], policy, GapPolicy::Error).unwrap_err();
    assert_eq!(failure.class, FailureClass::ChangedWhileReading);
    let failure = read_header(&mut &bytes[..300], bytes.len() as u64).unwrap_err();
    assert_eq!(failure.class, FailureClass::ChangedWhileReading);
}

/// The largest claims that the fields can make cost nothing.
#[test]
fn claims_are_checked_against_the_size_before_memory_is_taken() {
    let mut bytes = small(Kind::Edf).to_bytes();
    bytes[252..256].copy_from_slice(b"9999");
    bytes[184..192].copy_from_slice(b"2560000 ");
    assert_eq!(header_of(&bytes).unwrap_err().class, FailureClass::BadHeader);
    let mut bytes = small(Kind::Edf).to_bytes();
    bytes[236..244].copy_from_slice(b"99999999");
    bytes[256 + 216 * 2..][..8].copy_from_slice(b"99999999");
    assert_eq!(read(&bytes).unwrap_err().class, FailureClass::Truncated);
}

// ---- bytes that no one wrote ---------------------------------------------------------------------------------

fn seeds() -> Vec<Vec<u8>> {
    let plus = small(Kind::Edf).plus("EDF+D", &["+0", "+1", "+2"]).annotate(1, "+1.5", Some("1"), "Seizure");
    let bdf = small(Kind::Bdf).plus("BDF+C", &["+0.5", "+1.5", "+2.5"]);
    [small(Kind::Edf), plus, small(Kind::Bdf), bdf].iter().map(EdfFile::to_bytes).collect()
}

/// Reads whatever it is under both policies; what is read keeps its promises.
fn survive(bytes: &[u8]) {
    for policy in TruncationPolicy::ALL {
        if let Ok((header, recording)) = read_with(bytes, *policy, ordinary) {
            let records = records_to_read(&header, *policy).unwrap();
            for channel in &recording.channels {
                let expected = records * header.signals[channel.signal].samples_per_record;
                assert_eq!(channel.samples.len() as u64, expected);
                assert!(channel.calibration.gain_uv.is_finite() && channel.calibration.gain_uv != 0.0);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn mutated_recordings_never_panic(
        seed in 0_usize..4,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = seeds().swap_remove(seed);
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        survive(&bytes);
    }

    /// Numbers where numbers stand: the fields that decide sizes, with the texts that break readers.
    #[test]
    fn mutated_numbers_never_panic(
        seed in 0_usize..4,
        edits in proptest::collection::vec((0_usize..9, prop::sample::select(NUMBERS.to_vec())), 1..4),
    ) {
        let mut bytes = seeds().swap_remove(seed);
        let signals: usize = String::from_utf8_lossy(&bytes[252..256]).trim().parse().unwrap();
        let columns = [104, 112, 120, 128, 216].map(|before| 256 + before * signals);
        for (field, text) in edits {
            let (start, width) = match field {
                0 => (184, 8),
                1 => (236, 8),
                2 => (244, 8),
                3 => (252, 4),
                other => (columns[other - 4], 8),
            };
            let text = format!("{text:<width$}");
            bytes[start..start + width].copy_from_slice(&text.as_bytes()[..width]);
        }
        survive(&bytes);
    }

    #[test]
    fn random_bytes_never_panic(
        magic in proptest::bool::ANY,
        mut bytes in proptest::collection::vec(any::<u8>(), 0..1500),
    ) {
        if magic && bytes.len() >= 256 {
            bytes[..8].copy_from_slice(b"0       ");
            bytes[184..192].copy_from_slice(b"512     ");
            bytes[236..256].copy_from_slice(b"-1      1       1   ");
        }
        survive(&bytes);
    }
}

const NUMBERS: [&str; 16] = [
    "0", "-1", "1", "2", "99999999", "-9999999", "1e400", "1e-300", "nan", "inf", "", "0.00001", "1,5",
    "12.0", "0x10", "+3",
];
