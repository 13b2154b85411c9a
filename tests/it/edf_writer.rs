//! A tiny writer of EDF, EDF+, BDF and BDF+ for tests. Every field can be set to nonsense.
#![allow(dead_code, reason = "each test area uses its own part of the writer")]
#![expect(clippy::expect_used, reason = "a test may panic")]

use eegcache::model::recording::Kind;

/// One signal: header fields as written, and all of its samples.
#[derive(Debug, Clone)]
pub(crate) struct EdfSignal {
    pub(crate) label: String,
    pub(crate) transducer: String,
    pub(crate) dimension: String,
    pub(crate) physical: [String; 2],
    pub(crate) digital: [String; 2],
    pub(crate) prefilter: String,
    pub(crate) samples_per_record: usize,
    /// As many as records × samples per record; what is missing is 0.
    pub(crate) samples: Vec<i32>,
}

impl EdfSignal {
    /// A µV channel with a gain of 0.1 µV and an offset of 0.05 µV over 16 bits.
    pub(crate) fn new(label: &str, samples_per_record: usize, samples: Vec<i32>) -> Self {
        Self {
            label: label.to_owned(),
            transducer: "AgAgCl electrode".to_owned(),
            dimension: "uV".to_owned(),
            physical: ["-3276.75".to_owned(), "3276.75".to_owned()],
            digital: ["-32768".to_owned(), "32767".to_owned()],
            prefilter: String::new(),
            samples_per_record,
            samples,
        }
    }

    pub(crate) fn dimension(mut self, dimension: &str) -> Self {
        dimension.clone_into(&mut self.dimension);
        self
    }

    pub(crate) fn limits(mut self, physical: [&str; 2], digital: [&str; 2]) -> Self {
        self.physical = physical.map(str::to_owned);
        self.digital = digital.map(str::to_owned);
        self
    }
}

/// An annotation of a record: onset, duration and text as written (`+1.5`, `3`, `Seizure`).
pub(crate) type EdfAnnotation = (usize, String, Option<String>, String);

/// A whole file.
#[derive(Debug, Clone)]
pub(crate) struct EdfFile {
    pub(crate) kind: Kind,
    /// The reserved field: empty, `EDF+C`, `EDF+D`, `BDF+C` …
    pub(crate) marker: String,
    pub(crate) patient: String,
    pub(crate) recording: String,
    pub(crate) date: String,
    pub(crate) time: String,
    pub(crate) record_duration: String,
    pub(crate) records: usize,
    /// What the header says, where it should not be `records`.
    pub(crate) records_field: Option<String>,
    pub(crate) signals: Vec<EdfSignal>,
    /// Onset of every record (`+0`); with them an annotation signal is written behind the others.
    pub(crate) onsets: Option<Vec<String>>,
    pub(crate) annotations: Vec<EdfAnnotation>,
    /// Samples a record of the annotation signal.
    pub(crate) annotation_samples: usize,
}

impl EdfFile {
    /// A plain file of one-second records.
    pub(crate) fn new(kind: Kind, records: usize, signals: Vec<EdfSignal>) -> Self {
        Self {
            kind,
            marker: String::new(),
            patient: "X X X X".to_owned(),
            recording: "Startdate 15-MAR-2021 X X X".to_owned(),
            date: "15.03.21".to_owned(),
            time: "22.10.05".to_owned(),
            record_duration: "1".to_owned(),
            records,
            records_field: None,
            signals,
            onsets: None,
            annotations: Vec::new(),
            annotation_samples: 60,
        }
    }

    /// Makes it EDF+ or BDF+: a marker (`EDF+C`) and the onset of every record.
    pub(crate) fn plus(mut self, marker: &str, onsets: &[&str]) -> Self {
        marker.clone_into(&mut self.marker);
        self.onsets = Some(onsets.iter().map(|onset| (*onset).to_owned()).collect());
        self
    }

    /// Adds an annotation to a record.
    pub(crate) fn annotate(mut self, record: usize, onset: &str, duration: Option<&str>, text: &str) -> Self {
        self.annotations.push((record, onset.to_owned(), duration.map(str::to_owned), text.to_owned()));
        self
    }

    /// Returns the bytes of the file.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.header();
        for record in 0..self.records {
            for signal in &self.signals {
                let start = record * signal.samples_per_record;
                for index in start..start + signal.samples_per_record {
                    let sample = signal.samples.get(index).copied().unwrap_or(0).to_le_bytes();
                    bytes.extend_from_slice(&sample[..self.sample_bytes()]);
                }
            }
            bytes.extend(self.annotation_bytes(record));
        }
        bytes
    }

    fn sample_bytes(&self) -> usize {
        if self.kind == Kind::Edf { 2 } else { 3 }
    }

    fn annotation_bytes(&self, record: usize) -> Vec<u8> {
        let Some(onsets) = &self.onsets else { return Vec::new() };
        let mut bytes = match onsets.get(record).filter(|onset| !onset.is_empty()) {
            Some(onset) => format!("{onset}\x14\x14\0").into_bytes(),
            None => Vec::new(),
        };
        for (_, onset, duration, text) in self.annotations.iter().filter(|(at, ..)| *at == record) {
            let duration = duration.as_ref().map_or(String::new(), |duration| format!("\x15{duration}"));
            bytes.extend(format!("{onset}{duration}\x14{text}\x14\0").into_bytes());
        }
        let size = self.annotation_samples * self.sample_bytes();
        assert!(bytes.len() <= size, "the annotations of record {record} need {} bytes", bytes.len());
        bytes.resize(size, 0);
        bytes
    }

    fn header(&self) -> Vec<u8> {
        let mut signals = self.signals.clone();
        if self.onsets.is_some() {
            let label = if self.kind == Kind::Edf { "EDF Annotations" } else { "BDF Annotations" };
            let mut signal = EdfSignal::new(label, self.annotation_samples, Vec::new());
            signal = signal.dimension("").limits(["-1", "1"], ["-32768", "32767"]);
            signals.push(EdfSignal { transducer: String::new(), ..signal });
        }
        let version: &[u8] = if self.kind == Kind::Edf { b"0" } else { b"\xffBIOSEMI" };
        let mut bytes = padded(version, 8);
        let size = (256 * (signals.len() + 1)).to_string();
        let records = self.records_field.clone().unwrap_or(self.records.to_string());
        let plain = if self.kind == Kind::Bdf && self.marker.is_empty() { "24BIT" } else { &self.marker };
        for (text, width) in [
            (self.patient.as_str(), 80),
            (&self.recording, 80),
            (&self.date, 8),
            (&self.time, 8),
            (&size, 8),
            (plain, 44),
            (&records, 8),
            (&self.record_duration, 8),
            (&signals.len().to_string(), 4),
        ] {
            bytes.extend(padded(&latin1(text), width));
        }
        let mut column = |width: usize, field: &dyn Fn(&EdfSignal) -> String| {
            for signal in &signals {
                bytes.extend(padded(&latin1(&field(signal)), width));
            }
        };
        column(16, &|signal| signal.label.clone());
        column(80, &|signal| signal.transducer.clone());
        column(8, &|signal| signal.dimension.clone());
        column(8, &|signal| signal.physical[0].clone());
        column(8, &|signal| signal.physical[1].clone());
        column(8, &|signal| signal.digital[0].clone());
        column(8, &|signal| signal.digital[1].clone());
        column(80, &|signal| signal.prefilter.clone());
        column(8, &|signal| signal.samples_per_record.to_string());
        column(32, &|_| String::new());
        bytes
    }
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).expect("a Latin-1 character")).collect()
}

fn padded(text: &[u8], width: usize) -> Vec<u8> {
    assert!(text.len() <= width, "`{}` does not fit into {width} bytes", String::from_utf8_lossy(text));
    let mut field = text.to_vec();
    field.resize(width, b' ');
    field
}
