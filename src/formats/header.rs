//! The header of EDF, EDF+, BDF and BDF+: 256 bytes, then 256 bytes for each signal, column by column.
//!
//! Field names and widths: EDF specification (Kemp et al. 1992), EDF+ specification (Kemp and Olivan 2003),
//! `BioSemi` "Which file format". Every count is compared with the file's size before anything is allocated.

use crate::formats::date::date_notes;
use crate::formats::field::{decode_digital, decode_float, decode_seconds, decode_text, decode_whole};
use crate::formats::input::Input;
use crate::model::recording::{Header, Kind, SignalHeader, Variant};
use crate::model::{Failure, FailureClass, Note, Rate, Seconds};
use std::io::Read;
use std::ops::Range;

const BLOCK: usize = 256;

/// Reads the header and leaves `reader` at the first data record. `file_bytes` is the size of the whole file.
///
/// Classes: `not-a-recording` (empty, a pointer or an archive), `bad-header` (a field that cannot be read or
/// contradicts another), `io-error`, `changed-while-reading` (fewer bytes than `file_bytes`). Counts of records that
/// disagree with the size are left to [`crate::formats::records_to_read`], so that a header can always be shown.
pub fn read_header<R: Read>(reader: &mut R, file_bytes: u64) -> Result<Header, Failure> {
    let mut input = Input::new(reader, 0);
    let (fixed, kind) = read_fixed(&mut input, file_bytes)?;
    let main = decode_main(&fixed, file_bytes)?;
    let mut columns = vec![0; main.signals * BLOCK];
    input.fill(&mut columns)?;
    let columns = Columns { bytes: &columns, count: main.signals };
    let signals: Vec<_> = (0..main.signals)
        .map(|index| decode_signal(&columns, index, main.duration.0))
        .collect::<Result<_, _>>()?;
    check_duration(&main, &signals)?;
    let record_bytes = record_bytes(&signals, kind)?;
    let data_bytes = file_bytes - main.header_bytes;
    let mut header = Header {
        kind,
        variant: main.variant,
        patient: decode_text(&fixed[8..88]),
        recording: decode_text(&fixed[88..168]),
        start_date: decode_text(&fixed[168..176]),
        start_time: decode_text(&fixed[176..184]),
        header_bytes: main.header_bytes,
        records_promised: main.records,
        records_held: data_bytes / record_bytes,
        trailing_bytes: data_bytes % record_bytes,
        record_duration: main.duration.0,
        signals,
        notes: Vec::new(),
    };
    header.notes = header_notes(&header, &main, &columns);
    Ok(header)
}

/// Returns the bytes of a data record.
pub(super) fn record_bytes(signals: &[SignalHeader], kind: Kind) -> Result<u64, Failure> {
    let samples = signals.iter().try_fold(0_u64, |sum, signal| sum.checked_add(signal.samples_per_record));
    let bytes = samples.and_then(|samples| samples.checked_mul(sample_bytes(kind) as u64));
    bytes.ok_or_else(|| bad_header("the samples of a record are more than can be counted"))
}

/// Returns the bytes of a sample.
pub(super) fn sample_bytes(kind: Kind) -> usize {
    match kind {
        Kind::Edf => 2,
        Kind::Bdf => 3,
    }
}

fn bad_header(message: impl Into<String>) -> Failure {
    Failure::new(FailureClass::BadHeader, message)
}

fn bad_field(name: &str, range: &Range<usize>, value: &str, expected: &str) -> Failure {
    bad_header(format!("{name} (byte {}) is `{}`, expected {expected}", range.start, value.escape_debug()))
}

fn read_fixed<R: Read>(input: &mut Input<'_, R>, file_bytes: u64) -> Result<([u8; BLOCK], Kind), Failure> {
    if file_bytes == 0 {
        return Err(Failure::new(FailureClass::NotARecording, "the file is empty"));
    }
    let held = file_bytes.min(BLOCK as u64) as usize;
    let mut fixed = [0; BLOCK];
    input.fill(&mut fixed[..held])?;
    let kind = decode_kind(&fixed[..held])?;
    if held < BLOCK {
        return Err(bad_header(format!("the file has {held} bytes, a header has at least {BLOCK}")));
    }
    Ok((fixed, kind))
}

fn decode_kind(start: &[u8]) -> Result<Kind, Failure> {
    let version = &start[..start.len().min(8)];
    if version == b"\xffBIOSEMI" {
        return Ok(Kind::Bdf);
    }
    if version.len() == 8 && decode_text(version) == "0" && version[0] == b'0' {
        return Ok(Kind::Edf);
    }
    Err(describe_stranger(start))
}

/// Says what a file that begins like no recording begins like.
fn describe_stranger(start: &[u8]) -> Failure {
    use FailureClass::{BadHeader, NotARecording};
    let begins: [(&[u8], FailureClass, &str); 8] = [
        (b"version https://git-lfs", NotARecording, "a Git LFS pointer: fetch the content, `git lfs pull`"),
        (b"/annex/objects/", NotARecording, "a git-annex pointer: fetch the content, `git annex get`"),
        (b"\x1f\x8b", NotARecording, "a gzip archive: unpack it first"),
        (b"PK\x03\x04", NotARecording, "a ZIP archive: unpack it first"),
        (b"\xef\xbb\xbf", BadHeader, "a UTF-8 byte order mark: the file went through a text editor"),
        (b"<", BadHeader, "a web page or XML, perhaps an error page of a download"),
        (b"\0\0\0\0", BadHeader, "NUL bytes, perhaps a broken download"),
        (b"\xff\xff\xff\xff", BadHeader, "0xFF bytes, perhaps a broken medium"),
    ];
    if let Some((_, class, what)) = begins.iter().find(|(magic, ..)| start.starts_with(magic)) {
        return Failure::new(*class, format!("this is no recording but {what}"));
    }
    if start.windows(13).any(|bytes| bytes == b"annex/objects") {
        return Failure::new(NotARecording, "this is no recording but a git-annex pointer: `git annex get`");
    }
    let version = decode_text(&start[..start.len().min(8)]);
    bad_field("version", &(0..8), &version, "`0` (EDF) or 0xFF and `BIOSEMI` (BDF)")
}

/// The numbers of the fixed part, checked against each other and against the size.
struct Main {
    variant: Variant,
    marker: String,
    header_bytes: u64,
    records: Option<u64>,
    /// The duration of a record and whether it was written with a comma.
    duration: (Seconds, bool),
    signals: usize,
}

fn decode_main(fixed: &[u8; BLOCK], file_bytes: u64) -> Result<Main, Failure> {
    let marker = decode_text(&fixed[192..236]);
    let whole = |name: &str, range: Range<usize>| {
        let bytes = &fixed[range.clone()];
        decode_whole(bytes).ok_or_else(|| bad_field(name, &range, &decode_text(bytes), "a whole number"))
    };
    let signals = whole("number of signals", 252..256)?;
    let expected = (signals.max(0) as u64 + 1) * BLOCK as u64;
    let header_bytes = whole("header bytes", 184..192)?;
    if signals < 1 {
        return Err(bad_field("number of signals", &(252..256), &signals.to_string(), "at least 1"));
    }
    if u64::try_from(header_bytes) != Ok(expected) {
        let expected = format!("{expected} for {signals} signals");
        return Err(bad_field("header bytes", &(184..192), &header_bytes.to_string(), &expected));
    }
    if expected > file_bytes {
        return Err(bad_header(format!("the header has {expected} bytes, the file only {file_bytes}")));
    }
    let records = match whole("number of records", 236..244)? {
        -1 => None,
        count if count > 0 => Some(count as u64),
        count => {
            return Err(bad_field("number of records", &(236..244), &count.to_string(), "-1 or at least 1"));
        }
    };
    let duration =
        decode_seconds(&fixed[244..252]).filter(|(duration, _)| *duration >= Seconds::ZERO).ok_or_else(
            || bad_field("record duration", &(244..252), &decode_text(&fixed[244..252]), "seconds"),
        )?;
    let variant = decode_variant(&marker);
    Ok(Main { variant, marker, header_bytes: expected, records, duration, signals: signals as usize })
}

/// EDF+ § 2.1.3.5 (2003): the reserved field "must start with `EDF+C`" or `EDF+D`; BDF+ likewise, though some
/// writers of BDF+ put EDF's marker.
fn decode_variant(marker: &str) -> Variant {
    match marker.get(..5).map(str::to_ascii_uppercase).as_deref() {
        Some("EDF+C" | "BDF+C") => Variant::Continuous,
        Some("EDF+D" | "BDF+D") => Variant::Discontinuous,
        _ => Variant::Plain,
    }
}

/// The signal part: all labels, then all transducers, and so on.
struct Columns<'a> {
    bytes: &'a [u8],
    count: usize,
}

/// A column: the widths of the columns before it, and its own.
type Column = (usize, usize);
const LABEL: Column = (0, 16);
const TRANSDUCER: Column = (16, 80);
const DIMENSION: Column = (96, 8);
const PHYSICAL: [Column; 2] = [(104, 8), (112, 8)];
const DIGITAL: [Column; 2] = [(120, 8), (128, 8)];
const PREFILTER: Column = (136, 80);
const SAMPLES: Column = (216, 8);

impl<'a> Columns<'a> {
    fn range(&self, (before, width): Column, index: usize) -> Range<usize> {
        let start = before * self.count + width * index;
        start..start + width
    }

    fn field(&self, column: Column, index: usize) -> &'a [u8] {
        &self.bytes[self.range(column, index)]
    }
}

fn decode_signal(columns: &Columns<'_>, index: usize, duration: Seconds) -> Result<SignalHeader, Failure> {
    let text = |column| decode_text(columns.field(column, index));
    let label = text(LABEL);
    let samples = decode_whole(columns.field(SAMPLES, index)).filter(|samples| *samples > 0);
    let samples_per_record = samples.ok_or_else(|| {
        let range = columns.range(SAMPLES, index);
        let range = range.start + BLOCK..range.end + BLOCK;
        let name = format!("samples per record of signal {index} `{label}`");
        bad_field(&name, &range, &text(SAMPLES), "a whole number, at least 1")
    })? as u64;
    let is_annotation =
        ["EDF Annotations", "BDF Annotations"].iter().any(|name| label.eq_ignore_ascii_case(name));
    let [low, high] = PHYSICAL.map(|column| decode_float(columns.field(column, index)));
    let [bottom, top] = DIGITAL.map(|column| decode_digital(columns.field(column, index)));
    Ok(SignalHeader {
        transducer: text(TRANSDUCER),
        dimension: text(DIMENSION),
        physical: low.zip(high).map(|((low, _), (high, _))| (low, high)),
        digital: bottom.zip(top),
        prefilter: text(PREFILTER),
        samples_per_record,
        is_annotation,
        rate: if is_annotation { None } else { rate(samples_per_record, duration) },
        label,
    })
}

/// Samples per record / record duration, exactly.
fn rate(samples: u64, duration: Seconds) -> Option<Rate> {
    let (numerator, denominator) = duration.as_fraction();
    let denominator = u64::try_from(denominator).ok()?;
    Rate::new(samples.checked_mul(denominator)?, u64::try_from(numerator).ok()?)
}

fn check_duration(main: &Main, signals: &[SignalHeader]) -> Result<(), Failure> {
    let ordinary = signals.iter().find(|signal| !signal.is_annotation);
    match ordinary {
        Some(signal) if main.duration.0 == Seconds::ZERO => Err(bad_header(format!(
            "record duration (byte 244) is 0, which leaves signal `{}` without a rate",
            signal.label
        ))),
        _ => Ok(()),
    }
}

fn header_notes(header: &Header, main: &Main, columns: &Columns<'_>) -> Vec<Note> {
    let mut notes = date_notes(&header.start_date, &header.start_time, &header.recording);
    notes.extend(count_notes(header));
    notes.extend(marker_notes(header, &main.marker));
    notes.extend(label_notes(&header.signals));
    notes.extend(encoding_note(header));
    let has_comma = |column| (0..columns.count).any(|index| columns.field(column, index).contains(&b','));
    if main.duration.1 || PHYSICAL.into_iter().any(has_comma) {
        notes.push(Note::new("decimal-comma", "numbers are written with a decimal comma"));
    }
    let odd = header.signals.iter().find_map(|signal| signal.rate.filter(|rate| rate.denominator() != 1));
    if let Some(rate) = odd {
        notes.push(Note::new("fractional-rate", format!("the rate is {rate} Hz, no whole number")));
    }
    notes
}

fn count_notes(header: &Header) -> Vec<Note> {
    let (held, trailing) = (header.records_held, header.trailing_bytes);
    let mut notes = Vec::new();
    if header.records_promised.is_none() {
        let text = format!("the header says -1 records (recording not closed), the file holds {held}");
        notes.push(Note::new("records-unknown", text));
    }
    if trailing > 0 && header.records_promised.is_none_or(|promised| promised == held) {
        let text = format!("{trailing} bytes behind the last whole record are left out");
        notes.push(Note::new("trailing-bytes", text));
    }
    notes
}

fn marker_notes(header: &Header, marker: &str) -> Vec<Note> {
    let annotated = header.signals.iter().any(|signal| signal.is_annotation);
    let mut notes = Vec::new();
    match header.variant {
        Variant::Plain if annotated => {
            notes.push(Note::new(
                "annotations-in-plain",
                "an annotation signal without an EDF+ or BDF+ marker",
            ));
        }
        Variant::Continuous | Variant::Discontinuous if !annotated => {
            notes.push(Note::new(
                "annotations-missing",
                format!("marked `{marker}` but no annotation signal"),
            ));
        }
        _ => {}
    }
    let own = match header.kind {
        Kind::Edf => "EDF",
        Kind::Bdf => "BDF",
    };
    if header.variant != Variant::Plain && !marker.get(..3).is_some_and(|name| name.eq_ignore_ascii_case(own))
    {
        notes.push(Note::new("wrong-marker", format!("marked `{marker}` but the samples are {own}'s")));
    }
    notes
}

fn label_notes(signals: &[SignalHeader]) -> Vec<Note> {
    let mut labels: Vec<&str> =
        signals.iter().filter(|s| !s.is_annotation).map(|s| s.label.as_str()).collect();
    labels.sort_unstable();
    let empty = labels.iter().filter(|label| label.is_empty()).count();
    let mut twice: Vec<&str> = labels
        .windows(2)
        .filter(|pair| pair[0] == pair[1] && !pair[0].is_empty())
        .map(|pair| pair[0])
        .collect();
    twice.dedup();
    let mut notes = Vec::new();
    if empty > 0 {
        notes.push(Note::new("empty-label", format!("{empty} signals have no label")));
    }
    if !twice.is_empty() {
        let text = format!("more than one signal is called `{}`", twice.join("`, `"));
        notes.push(Note::new("duplicate-label", text));
    }
    notes
}

/// Non-ASCII bytes are read as Latin-1. Dimensions are left out: their micro sign is no oddity.
fn encoding_note(header: &Header) -> Option<Note> {
    let signal_fields = |signal: &SignalHeader| {
        [&signal.label, &signal.transducer, &signal.prefilter].iter().all(|text| text.is_ascii())
    };
    let mut fields = Vec::new();
    for (name, text) in [("patient", &header.patient), ("recording", &header.recording)] {
        if !text.is_ascii() {
            fields.push(format!("`{name}`"));
        }
    }
    let signals: Vec<_> = (0..header.signals.len()).filter(|i| !signal_fields(&header.signals[*i])).collect();
    if let Some(first) = signals.first() {
        fields.push(format!(
            "{} signals, the first being {first} `{}`",
            signals.len(),
            header.signals[*first].label
        ));
    }
    let text = format!("non-ASCII bytes were read as Latin-1 in {}", fields.join(", "));
    (!fields.is_empty()).then(|| Note::new("non-ascii", text))
}
