//! The data records: picked channels as raw integers, everything else skipped, annotation signals watched.
//!
//! Records are read in blocks and decoded straight into one vector for each channel, allocated once from
//! counts that the file's size has confirmed. Memory is the picked samples and one block.

use crate::formats::calibration::{calibration, sample_range};
use crate::formats::header::{record_bytes, sample_bytes};
use crate::formats::input::Input;
use crate::formats::tal::Annotations;
use crate::formats::timeline::Timeline;
use crate::formats::{attoseconds, length_attoseconds};
use crate::model::recipe::{GapPolicy, TruncationPolicy};
use crate::model::recording::{Digital, Header, Kind, RawChannel, Recording, Stretch};
use crate::model::{Failure, FailureClass, Note, Seconds};
use std::io::Read;
use std::ops::Range;

/// Bytes read at once, unless a single record is longer.
const BLOCK_BYTES: u64 = 1 << 20;
/// The code of the note of a recording that holds fewer records than its header promises.
const CUT_OFF: &str = "truncated";

/// Returns how many records are used.
///
/// `EEG_FACTS` section 7, "Counts": −1 means what the file holds; fewer than promised is class `truncated`, more is
/// `size-mismatch`, unless the policy keeps whole records. Without a whole record there is nothing to keep.
pub fn records_to_read(header: &Header, truncated: TruncationPolicy) -> Result<u64, Failure> {
    let held = header.records_held;
    let promised = header.records_promised.unwrap_or(held);
    let keeps = truncated == TruncationPolicy::KeepWholeRecords;
    let disagree = |class, what: &str| {
        let trailing = header.trailing_bytes;
        let message = format!(
            "the header promises {promised} records, the file holds {held} and {trailing} bytes: {what} \
             (`truncated: keep_whole_records` uses the whole records)"
        );
        Err(Failure::new(class, message))
    };
    if held == 0 {
        let message =
            format!("the file ends before its first record does, after {} bytes", header.trailing_bytes);
        return Err(Failure::new(FailureClass::Truncated, message));
    }
    if held < promised && !keeps {
        return disagree(FailureClass::Truncated, "an incomplete copy?");
    }
    if held > promised && !keeps {
        return disagree(FailureClass::SizeMismatch, "the count or the content is wrong");
    }
    Ok(held)
}

/// Reads the samples of the signals `picks` (indices into the header) from a reader that stands behind the header.
///
/// Channels come in the order of `picks`; unit, scale and rate are checked for them only. Without picks the
/// annotations alone are read. Bytes behind the last record are left unread. Where `gaps` takes recordings with gaps, the
/// samples of all stretches follow each other, and `Recording::stretches` says when each begins. Classes: those of
/// [`records_to_read`] and [`calibration`], `discontinuous` (a gap under `gaps: error`; an overlap, or a gap that cannot be
/// placed, always), `missing-channels` (a pick that is no channel), `too-long` (no memory), `io-error`,
/// `changed-while-reading`.
pub fn read_recording<R: Read>(
    reader: &mut R,
    header: &Header,
    picks: &[usize],
    truncated: TruncationPolicy,
    gaps: GapPolicy,
) -> Result<Recording, Failure> {
    let records = records_to_read(header, truncated)?;
    let mut channels =
        picks.iter().map(|signal| prepare(header, *signal, records)).collect::<Result<Vec<_>, _>>()?;
    let layout = Layout::new(header, picks)?;
    let mut annotations = Annotations::default();
    let mut timeline = Timeline::new(header, gaps);
    let mut take = |record: u64, bytes: &[u8]| {
        for (channel, range) in channels.iter_mut().zip(&layout.picked) {
            decode_samples(&mut channel.samples, &bytes[range.clone()]);
        }
        watch(&layout, record, bytes, &mut annotations, &mut timeline)
    };
    read_blocks(&mut Input::new(reader, header.header_bytes), &layout, records, &mut take)?;

    let course = timeline.finish(records)?;
    let (annotations, annotation_notes) =
        annotations.finish(course.offset, recorded_length(header, &course.stretches));
    let mut notes: Vec<Note> = count_note(header, records).into_iter().chain(course.notes).collect();
    notes.extend(annotation_notes);
    notes.extend(channels.iter().flat_map(|channel| channel_notes(header, channel)));
    Ok(Recording { channels, stretches: course.stretches, offset: course.offset, annotations, notes })
}

/// Checks a pick and allocates its samples.
fn prepare(header: &Header, signal: usize, records: u64) -> Result<RawChannel, Failure> {
    let field = header.signals.get(signal).filter(|field| !field.is_annotation);
    let field = field.ok_or_else(|| {
        Failure::new(FailureClass::MissingChannels, format!("signal {signal} is no channel of the recording"))
    })?;
    let rate = field.rate.ok_or_else(|| {
        let (samples, duration) = (field.samples_per_record, header.record_duration);
        let message =
            format!("channel `{}`: {samples} samples in {duration} s are no usable rate", field.label);
        Failure::new(FailureClass::BadHeader, message)
    })?;
    let calibration = calibration(field, header.kind)?;
    let samples =
        records.checked_mul(field.samples_per_record).and_then(|count| allocate(header.kind, count));
    let samples = samples.ok_or_else(|| {
        let count = u128::from(records) * u128::from(field.samples_per_record);
        Failure::new(
            // Not a property of the recording: a machine with more memory reads it.
            FailureClass::IoError,
            format!("channel `{}`: no memory for {count} samples", field.label),
        )
    })?;
    let digital_limits = field.digital.unwrap_or(sample_range(header.kind));
    Ok(RawChannel { signal, rate, calibration, digital_limits, samples })
}

fn allocate(kind: Kind, count: u64) -> Option<Digital> {
    let count = usize::try_from(count).ok()?;
    Some(match kind {
        Kind::Edf => {
            let mut samples = Vec::new();
            samples.try_reserve_exact(count).ok()?;
            Digital::I16(samples)
        }
        Kind::Bdf => {
            let mut samples = Vec::new();
            samples.try_reserve_exact(count).ok()?;
            Digital::I32(samples)
        }
    })
}

/// Where things lie inside of a record.
pub(super) struct Layout {
    record_bytes: usize,
    pub(super) picked: Vec<Range<usize>>,
    pub(super) annotations: Vec<Range<usize>>,
}

impl Layout {
    pub(super) fn new(header: &Header, picks: &[usize]) -> Result<Self, Failure> {
        let record_bytes = record_bytes(&header.signals, header.kind)?;
        let record_bytes = usize::try_from(record_bytes)
            .map_err(|_| Failure::new(FailureClass::TooLong, "a record does not fit into memory"))?;
        let mut start = 0;
        let ranges: Vec<_> = header
            .signals
            .iter()
            .map(|signal| {
                let end = start + signal.samples_per_record as usize * sample_bytes(header.kind);
                std::mem::replace(&mut start, end)..end
            })
            .collect();
        let annotated = (0..ranges.len()).filter(|index| header.signals[*index].is_annotation);
        Ok(Self {
            record_bytes,
            picked: picks.iter().map(|index| ranges[*index].clone()).collect(),
            annotations: annotated.map(|index| ranges[index].clone()).collect(),
        })
    }
}

pub(super) fn read_blocks<R: Read>(
    input: &mut Input<'_, R>,
    layout: &Layout,
    records: u64,
    take: &mut impl FnMut(u64, &[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let block = (BLOCK_BYTES / layout.record_bytes as u64).clamp(1, records);
    let mut buffer = vec![0; block as usize * layout.record_bytes];
    let mut record = 0;
    while record < records {
        let count = block.min(records - record) as usize;
        let bytes = &mut buffer[..count * layout.record_bytes];
        input.fill(bytes)?;
        for bytes in bytes.chunks_exact(layout.record_bytes) {
            take(record, bytes)?;
            record += 1;
        }
    }
    Ok(())
}

/// EDF: little-endian two's complement, 16 bits; BDF: 24 bits.
fn decode_samples(samples: &mut Digital, bytes: &[u8]) {
    match samples {
        Digital::I16(samples) => {
            samples.extend(bytes.chunks_exact(2).map(|sample| i16::from_le_bytes([sample[0], sample[1]])));
        }
        // The three bytes go to the top of a 32-bit integer; the shift back extends the sign.
        Digital::I32(samples) => samples.extend(
            bytes.chunks_exact(3).map(|sample| i32::from_le_bytes([0, sample[0], sample[1], sample[2]]) >> 8),
        ),
    }
}

/// EDF+ § 2.2.4: the first annotation signal keeps the time; another one is believed where it is silent.
fn watch(
    layout: &Layout,
    record: u64,
    bytes: &[u8],
    annotations: &mut Annotations,
    timeline: &mut Timeline,
) -> Result<(), Failure> {
    let mut onset: Option<Seconds> = None;
    for range in &layout.annotations {
        let kept = annotations.take(record, &bytes[range.clone()]);
        onset = onset.or(kept);
    }
    if layout.annotations.is_empty() { Ok(()) } else { timeline.push(record, onset) }
}

/// From sample 0 to the end of the last record, where a signal has a rate.
pub(super) fn recorded_length(header: &Header, stretches: &[Stretch]) -> Option<i128> {
    let signal = header.signals.iter().find(|signal| signal.rate.is_some())?;
    let last = stretches.last()?;
    let samples = last.records.checked_mul(signal.samples_per_record)?;
    Some(attoseconds(last.onset).saturating_add(length_attoseconds(samples, signal.rate?)))
}

/// Says by the notes of a reading whether the recording ended before its header's count of records did.
#[must_use]
pub fn is_cut_off(notes: &[Note]) -> bool {
    notes.iter().any(|note| note.code == CUT_OFF)
}

fn count_note(header: &Header, records: u64) -> Option<Note> {
    let promised = header.records_promised.filter(|promised| *promised != records)?;
    let code = if promised > records { CUT_OFF } else { "size-mismatch" };
    let text =
        format!("the header promises {promised} records, the {records} whole ones in the file are used");
    Some(Note::new(code, text))
}

fn channel_notes(header: &Header, channel: &RawChannel) -> Vec<Note> {
    let signal = &header.signals[channel.signal];
    let mut notes = Vec::new();
    if signal.dimension.is_empty() {
        let text = format!("channel `{}` names no physical dimension, uV is assumed", signal.label);
        notes.push(Note::new("unit-assumed", text));
    }
    if channel.calibration.gain_uv < 0.0 {
        let text = format!("channel `{}` has inverted limits, its sign is turned", signal.label);
        notes.push(Note::new("inverted-polarity", text));
    }
    let outside = samples_outside(channel, header.kind);
    if outside > 0 {
        let (low, high) = channel.digital_limits;
        let text = format!(
            "channel `{}`: {outside} samples beyond the digital limits {low} to {high}",
            signal.label
        );
        notes.push(Note::new("digital-range", text));
    }
    notes
}

/// Counts samples beyond the digital limits; none can be where these are the sample type's own.
fn samples_outside(channel: &RawChannel, kind: Kind) -> usize {
    let (a, b) = channel.digital_limits;
    let (low, high) = (a.min(b), a.max(b));
    if (low, high) == sample_range(kind) {
        return 0;
    }
    // Both limits lie within the sample type: `calibration` saw to it.
    match &channel.samples {
        Digital::I16(samples) => outside(samples, low as i16, high as i16),
        Digital::I32(samples) => outside(samples, low as i32, high as i32),
    }
}

/// Counts samples beyond two limits. Mostly there are none, which their range tells at once.
fn outside<T: Copy + Ord>(samples: &[T], low: T, high: T) -> usize {
    let range = |(least, most): (T, T), sample: &T| (least.min(*sample), most.max(*sample));
    let (least, most) = samples.iter().fold((high, low), range);
    if least >= low && most <= high {
        return 0;
    }
    samples.iter().filter(|sample| **sample < low || **sample > high).count()
}
