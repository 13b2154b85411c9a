//! Every sample of every signal, whatever its unit or scale: what a reader of a recording compares with another parser.
//!
//! Nothing is judged here and nothing is kept: samples pass by block by block, records may lie anywhere in
//! time, and the gaps between them are listed. [`read_recording`](crate::formats::read_recording) is the one that refuses.

use crate::formats::header::sample_bytes;
use crate::formats::input::Input;
use crate::formats::records::{Layout, read_blocks, recorded_length};
use crate::formats::tal::Annotations;
use crate::formats::{ATTOSECONDS, attoseconds};
use crate::model::recording::{Header, Kind, Stretch, Tal};
use crate::model::{Failure, Note, Seconds};
use std::io::Read;

/// What lies between two records that do not follow each other at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeGap {
    /// The record behind it.
    pub record: u64,
    /// Onset of that record in seconds, relative to the first record.
    pub onset_s: f64,
    /// Seconds left out; negative where records overlap.
    pub length_s: f64,
}

/// What the annotation signals of a recording hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotated {
    /// Onset of the first record: sample 0 lies here on the clock of the header.
    pub offset: Seconds,
    /// Annotations, time-keeping ones left out, onsets relative to the first record.
    pub annotations: Vec<Tal>,
    /// Gaps and overlaps of more than half a sample of the fastest signal.
    pub gaps: Vec<TimeGap>,
    /// What was odd.
    pub notes: Vec<Note>,
}

/// Hands the samples of all signals but annotation signals to `take`, as (index of the signal, samples of one record).
///
/// The reader stands behind the header; all whole records are read. Classes: `io-error`, `changed-while-reading`, `bad-header`
/// (a record longer than can be counted), `too-long` (longer than memory).
pub fn visit_samples<R: Read>(
    reader: &mut R,
    header: &Header,
    take: &mut dyn FnMut(usize, &[i32]),
) -> Result<Annotated, Failure> {
    let picks: Vec<usize> =
        (0..header.signals.len()).filter(|index| !header.signals[*index].is_annotation).collect();
    let layout = Layout::new(header, &picks)?;
    let (mut annotations, mut onsets, mut samples) = (Annotations::default(), Vec::new(), Vec::new());
    let mut visit = |record: u64, bytes: &[u8]| {
        for (index, range) in picks.iter().zip(&layout.picked) {
            samples.clear();
            decode(header.kind, &bytes[range.clone()], &mut samples);
            take(*index, &samples);
        }
        let kept = |range: &std::ops::Range<usize>| annotations.take(record, &bytes[range.clone()]);
        // Every signal is read, since each may hold annotations; the first onset counts.
        let kept: Vec<Option<Seconds>> = layout.annotations.iter().map(kept).collect();
        onsets.push(kept.into_iter().flatten().next());
        Ok(())
    };
    if header.records_held > 0 {
        read_blocks(&mut Input::new(reader, header.header_bytes), &layout, header.records_held, &mut visit)?;
    }
    let offset = offset(header, &onsets);
    let gaps = gaps(header, &onsets, offset);
    // Time passes in gaps as well.
    let beyond: i128 = gaps.iter().map(|gap| (gap.length_s * ATTOSECONDS as f64) as i128).sum();
    let all = Stretch { first_record: 0, records: header.records_held, onset: Seconds::ZERO };
    let length = recorded_length(header, &[all]).map(|length| length.saturating_add(beyond));
    let (annotations, notes) = annotations.finish(offset, length);
    Ok(Annotated { offset, annotations, gaps, notes })
}

/// EDF: little-endian two's complement, 16 bits; BDF: 24 bits.
fn decode(kind: Kind, bytes: &[u8], samples: &mut Vec<i32>) {
    let chunks = bytes.chunks_exact(sample_bytes(kind));
    match kind {
        Kind::Edf => samples.extend(chunks.map(|b| i32::from(i16::from_le_bytes([b[0], b[1]])))),
        Kind::Bdf => samples.extend(chunks.map(|b| i32::from_le_bytes([0, b[0], b[1], b[2]]) >> 8)),
    }
}

/// The onset of record 0, told by the first record that knows its own.
fn offset(header: &Header, onsets: &[Option<Seconds>]) -> Seconds {
    let known = onsets.iter().enumerate().find_map(|(record, onset)| Some((record, (*onset)?)));
    let (record, onset) = known.unwrap_or((0, Seconds::ZERO));
    (0..record).fold(onset, |onset, _| onset.minus(header.record_duration))
}

fn gaps(header: &Header, onsets: &[Option<Seconds>], offset: Seconds) -> Vec<TimeGap> {
    let half = |rate: crate::model::Rate| {
        ATTOSECONDS * i128::from(rate.denominator()) / (2 * i128::from(rate.numerator()))
    };
    // Without a signal that has a rate, records are no stretches of time.
    let tolerance = header.signals.iter().filter_map(|signal| signal.rate).map(half).min();
    let Some(tolerance) = tolerance else { return Vec::new() };
    let step = attoseconds(header.record_duration);
    let (mut expected, mut gaps) = (attoseconds(offset), Vec::new());
    for (record, onset) in onsets.iter().enumerate() {
        let now = onset.map_or(expected, attoseconds);
        let jump = now.saturating_sub(expected);
        if jump.saturating_abs() > tolerance {
            let seconds = |time: i128| time as f64 / ATTOSECONDS as f64;
            let onset_s = seconds(now.saturating_sub(attoseconds(offset)));
            gaps.push(TimeGap { record: record as u64, onset_s, length_s: seconds(jump) });
        }
        expected = now.saturating_add(step);
    }
    gaps
}
