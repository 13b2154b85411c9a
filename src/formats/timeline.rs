//! Where the records lie in time: gaps and overlaps, decided by the time-keeping annotations alone.
//!
//! The header's marker only says how much to trust silence: a file marked discontinuous must show that it
//! is not, others are continuous until an onset says otherwise.

use crate::formats::tal::Count;
use crate::formats::{ATTOSECONDS, attoseconds, shown};
use crate::model::recording::{Header, Variant};
use crate::model::{Failure, FailureClass, Note, Seconds};

/// Slow drift between the onsets and the nominal duration that is still one stretch of time.
const DRIFT_LIMIT: i128 = ATTOSECONDS;

/// The onsets of the records, as far as they were read.
pub(super) struct Timeline {
    /// Record duration in attoseconds; nothing where no signal needs time (annotation-only files).
    step: Option<i128>,
    duration: Seconds,
    /// Half a sample of the fastest signal: a smaller jump moves no sample.
    tolerance: i128,
    must_prove: bool,
    /// First and last onset with the number of its record.
    first: Option<(u64, Seconds)>,
    last: Option<(u64, i128)>,
    missing: Count,
}

impl Timeline {
    pub(super) fn new(header: &Header) -> Self {
        let half = |rate: crate::model::Rate| {
            ATTOSECONDS * i128::from(rate.denominator()) / (2 * i128::from(rate.numerator()))
        };
        let tolerance = header.signals.iter().filter_map(|signal| signal.rate).map(half).min();
        Self {
            step: tolerance.map(|_| attoseconds(header.record_duration)),
            duration: header.record_duration,
            tolerance: tolerance.unwrap_or(0),
            must_prove: header.variant == Variant::Discontinuous,
            first: None,
            last: None,
            missing: Count::default(),
        }
    }

    /// Takes the onset of a record, and refuses one that does not continue what came before.
    pub(super) fn push(&mut self, record: u64, onset: Option<Seconds>) -> Result<(), Failure> {
        let Some(onset) = onset else {
            self.missing.add(record);
            let silent_start = self.must_prove && self.step.is_some() && record == 0;
            return if silent_start { Err(unproven(record)) } else { Ok(()) };
        };
        let (first, start) = *self.first.get_or_insert((record, onset));
        let now = attoseconds(onset);
        if let (Some(step), Some((before, last))) = (self.step, self.last) {
            let expected = |since: u64| i128::from(record - since).saturating_mul(step);
            let jump = now.saturating_sub(last.saturating_add(expected(before)));
            let drift = now.saturating_sub(attoseconds(start).saturating_add(expected(first)));
            if jump.saturating_abs() > self.tolerance || drift.saturating_abs() > DRIFT_LIMIT {
                return Err(broken(record, onset, if jump == 0 { drift } else { jump }));
            }
        }
        self.last = Some((record, now));
        Ok(())
    }

    /// Returns the onset of the first record, and what was odd.
    pub(super) fn finish(self, records: u64) -> Result<(Seconds, Vec<Note>), Failure> {
        let last = records.saturating_sub(1);
        if self.must_prove && self.step.is_some() && self.last.is_none_or(|(known, _)| known < last) {
            return Err(unproven(last));
        }
        let note = self.missing.note("time-keeping-missing", "records have no time-keeping annotation");
        let (record, onset) = self.first.unwrap_or((0, Seconds::ZERO));
        let offset = (0..record).fold(onset, |onset, _| onset.minus(self.duration));
        Ok((offset, note.into_iter().collect()))
    }
}

fn broken(record: u64, onset: Seconds, jump: i128) -> Failure {
    let what = if jump > 0 { "a gap" } else { "an overlap" };
    let message =
        format!("record {record} begins at {onset} s, which leaves {what} of {} s", shown(jump.abs()));
    Failure::new(FailureClass::Discontinuous, message)
}

fn unproven(record: u64) -> Failure {
    let message = format!(
        "marked discontinuous, and record {record} has no time-keeping annotation that shows it is not"
    );
    Failure::new(FailureClass::Discontinuous, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Rate;
    use crate::model::recording::{Kind, SignalHeader};

    fn header(variant: Variant, duration: &str, samples: u64) -> Header {
        let record_duration = Seconds::parse(duration).unwrap();
        let signal = SignalHeader {
            label: "Cz".to_owned(),
            transducer: String::new(),
            dimension: "uV".to_owned(),
            physical: None,
            digital: None,
            prefilter: String::new(),
            samples_per_record: samples,
            is_annotation: false,
            rate: Rate::from_decimal("256"),
        };
        Header {
            kind: Kind::Edf,
            variant,
            patient: String::new(),
            recording: String::new(),
            start_date: String::new(),
            start_time: String::new(),
            header_bytes: 512,
            records_promised: None,
            records_held: 0,
            trailing_bytes: 0,
            record_duration,
            signals: vec![signal],
            notes: Vec::new(),
        }
    }

    /// Returns the offset and the number of notes, or the class.
    fn outcome(variant: Variant, duration: &str, onsets: &[&str]) -> Result<(String, usize), String> {
        let mut timeline = Timeline::new(&header(variant, duration, 256));
        let run = || {
            for (record, onset) in onsets.iter().enumerate() {
                timeline.push(record as u64, Seconds::parse(onset))?;
            }
            timeline.finish(onsets.len() as u64)
        };
        run().map(|(offset, notes)| (offset.to_string(), notes.len())).map_err(|failure| failure.message)
    }

    #[test]
    fn onsets_decide_whether_a_recording_is_one_stretch() {
        use Variant::{Continuous, Discontinuous, Plain};
        let read = |offset: &str, notes| Ok((offset.to_owned(), notes));
        for (variant, duration, onsets, expected) in [
            (Continuous, "1", &["0", "1", "2"][..], read("0", 0)),
            (Discontinuous, "1", &["0", "1", "2"], read("0", 0)),
            (Continuous, "1", &["0.3945312", "1.3945312", "2.3945312"], read("0.3945312", 0)),
            (Continuous, "0.333333", &["0", "0.3333333", "0.6666667", "1"], read("0", 0)),
            // Half a sample at 256 Hz is 1.953125 ms.
            (Continuous, "1", &["0", "1.001953125"], read("0", 0)),
            (Plain, "1", &["0", "", "2"], read("0", 1)),
            (Plain, "1", &["", "", "2"], read("0", 1)),
            (Continuous, "1", &["", ""], read("0", 1)),
            (Plain, "1", &[], read("0", 0)),
        ] {
            assert_eq!(outcome(variant, duration, onsets), expected, "{onsets:?}");
        }
        for (variant, onsets, words) in [
            (Continuous, &["0", "1", "7"][..], "record 2 begins at 7 s, which leaves a gap of 5 s"),
            (Plain, &["0", "1", "1.5"], "an overlap of 0.5 s"),
            (Continuous, &["0", "1.00390625"], "a gap of 0.00390625 s"),
            (Continuous, &["0", "", "1"], "an overlap of 1 s"),
            (Discontinuous, &["", "1"], "record 0 has no time-keeping"),
            (Discontinuous, &["0", "1", ""], "record 2 has no time-keeping"),
            (Discontinuous, &["0", "-1"], "an overlap"),
        ] {
            let message = outcome(variant, "1", onsets).unwrap_err();
            assert!(message.contains(words), "{onsets:?}: {message}");
        }
    }

    #[test]
    fn slow_drift_ends_somewhere() {
        let onsets: Vec<String> = (0..700).map(|i| format!("{}.{:06}", i, i * 1500 % 1_000_000)).collect();
        let onsets: Vec<&str> = onsets.iter().map(String::as_str).collect();
        assert!(outcome(Variant::Continuous, "1", &onsets[..600]).is_ok());
        assert!(outcome(Variant::Continuous, "1", &onsets).is_err());
    }
}
