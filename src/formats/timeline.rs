//! Where the records lie in time: gaps and overlaps, decided by the time-keeping annotations alone.
//!
//! The header's marker only says how much to trust silence: a file marked discontinuous must show that it
//! is not, others are continuous until an onset says otherwise. A gap is refused, or begins a new stretch, as
//! the recipe's `gaps` says; records that overlap or run backwards are refused always.

use crate::formats::tal::Count;
use crate::formats::{ATTOSECONDS, attoseconds, shown};
use crate::model::recipe::GapPolicy;
use crate::model::recording::{Header, Stretch, Variant};
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
    splits_at_gaps: bool,
    /// First and last onset of the present stretch with the number of its record.
    first: Option<(u64, Seconds)>,
    last: Option<(u64, i128)>,
    missing: Count,
    /// Where gaps were found: the record behind, and its onset on the header's clock.
    breaks: Vec<(u64, Seconds)>,
    /// Onset of record 0 on the header's clock, once one is known.
    offset: Option<Seconds>,
}

/// Where a recording's records lie in time.
pub(super) struct Course {
    /// Onset of the first record on the header's clock.
    pub(super) offset: Seconds,
    /// Records without a gap between them.
    pub(super) stretches: Vec<Stretch>,
    /// What was odd.
    pub(super) notes: Vec<Note>,
}

impl Timeline {
    pub(super) fn new(header: &Header, gaps: GapPolicy) -> Self {
        let half = |rate: crate::model::Rate| {
            ATTOSECONDS * i128::from(rate.denominator()) / (2 * i128::from(rate.numerator()))
        };
        let tolerance = header.signals.iter().filter_map(|signal| signal.rate).map(half).min();
        Self {
            step: tolerance.map(|_| attoseconds(header.record_duration)),
            duration: header.record_duration,
            tolerance: tolerance.unwrap_or(0),
            must_prove: header.variant == Variant::Discontinuous,
            splits_at_gaps: gaps != GapPolicy::Error,
            first: None,
            last: None,
            missing: Count::default(),
            breaks: Vec::new(),
            offset: None,
        }
    }

    /// Takes the onset of a record: it continues what came before, begins a new stretch, or is refused.
    pub(super) fn push(&mut self, record: u64, onset: Option<Seconds>) -> Result<(), Failure> {
        let Some(onset) = onset else {
            self.missing.add(record);
            let silent_start = self.must_prove && self.step.is_some() && record == 0;
            return if silent_start { Err(unproven(record)) } else { Ok(()) };
        };
        self.offset.get_or_insert_with(|| (0..record).fold(onset, |onset, _| onset.minus(self.duration)));
        if let Some(jump) = self.jump(record, onset) {
            self.break_off(record, onset, jump)?;
        }
        self.first.get_or_insert((record, onset));
        self.last = Some((record, attoseconds(onset)));
        Ok(())
    }

    /// Returns how far an onset is from where the present stretch would have it, in attoseconds, if that is too far.
    fn jump(&self, record: u64, onset: Seconds) -> Option<i128> {
        let (step, (first, start), (before, last)) = (self.step?, self.first?, self.last?);
        let now = attoseconds(onset);
        let expected = |since: u64| i128::from(record - since).saturating_mul(step);
        let jump = now.saturating_sub(last.saturating_add(expected(before)));
        let drift = now.saturating_sub(attoseconds(start).saturating_add(expected(first)));
        let is_broken = jump.saturating_abs() > self.tolerance || drift.saturating_abs() > DRIFT_LIMIT;
        is_broken.then_some(if jump == 0 { drift } else { jump })
    }

    fn break_off(&mut self, record: u64, onset: Seconds, jump: i128) -> Result<(), Failure> {
        if jump <= 0 || !self.splits_at_gaps {
            return Err(broken(record, onset, jump));
        }
        if let Some((before, _)) = self.last.filter(|(before, _)| before + 1 != record) {
            return Err(Failure::new(
                FailureClass::Discontinuous,
                format!(
                    "a gap of {} s lies somewhere before record {record}: the records behind record {before} have no \
                     time-keeping annotation",
                    shown(jump)
                ),
            ));
        }
        self.breaks.push((record, onset));
        self.first = None;
        Ok(())
    }

    /// Returns where the records lie.
    pub(super) fn finish(self, records: u64) -> Result<Course, Failure> {
        let last = records.saturating_sub(1);
        if self.must_prove && self.step.is_some() && self.last.is_none_or(|(known, _)| known < last) {
            return Err(unproven(last));
        }
        let notes = self.missing.note("time-keeping-missing", "records have no time-keeping annotation");
        let offset = self.offset.unwrap_or(Seconds::ZERO);
        let starts = std::iter::once((0, offset)).chain(self.breaks.iter().copied());
        let ends = self.breaks.iter().map(|(record, _)| *record).chain([records]);
        let stretch = |((first_record, onset), end): ((u64, Seconds), u64)| Stretch {
            first_record,
            records: end - first_record,
            onset: trimmed(onset.minus(offset)),
        };
        let stretches: Vec<Stretch> = starts.zip(ends).map(stretch).collect();
        let gaps = gap_note(&stretches, self.duration);
        Ok(Course { offset, stretches, notes: notes.into_iter().chain(gaps).collect() })
    }
}

/// The same time without zeros at its end, which a difference of decimals may have.
fn trimmed(time: Seconds) -> Seconds {
    Seconds::parse(&time.to_string()).unwrap_or(time)
}

/// How many gaps there are and how long they are together.
fn gap_note(stretches: &[Stretch], duration: Seconds) -> Option<Note> {
    let (last, rest) = stretches.split_last()?;
    let first = rest.first()?;
    let recorded: u64 = rest.iter().map(|stretch| stretch.records).sum();
    let missing =
        attoseconds(last.onset).saturating_sub(attoseconds(duration).saturating_mul(i128::from(recorded)));
    let text = format!(
        "{} gaps of {} s together, the first behind record {}",
        rest.len(),
        shown(missing),
        first.records - 1
    );
    Some(Note::new("gaps", text))
}

fn broken(record: u64, onset: Seconds, jump: i128) -> Failure {
    let (what, way_out) = match jump {
        1.. => ("a gap", " (`gaps: split` or `gaps: fill` takes recordings with gaps)"),
        _ => ("an overlap", ""),
    };
    let message = format!(
        "record {record} begins at {onset} s, which leaves {what} of {} s{way_out}",
        shown(jump.abs())
    );
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
        course(variant, duration, onsets, GapPolicy::Error)
            .map(|course| (course.offset.to_string(), course.notes.len()))
    }

    fn course(variant: Variant, duration: &str, onsets: &[&str], gaps: GapPolicy) -> Result<Course, String> {
        let mut timeline = Timeline::new(&header(variant, duration, 256), gaps);
        let run = || {
            for (record, onset) in onsets.iter().enumerate() {
                timeline.push(record as u64, Seconds::parse(onset))?;
            }
            timeline.finish(onsets.len() as u64)
        };
        run().map_err(|failure: Failure| failure.message)
    }

    #[test]
    fn gaps_begin_new_stretches_where_the_recipe_takes_them() {
        use Variant::{Continuous, Discontinuous, Plain};
        // `first record+records@onset`, the offset before them.
        for (variant, onsets, expected) in [
            (Discontinuous, &["0", "1", "2"][..], "0: 0+3@0"),
            (Discontinuous, &["0", "1", "7", "8.5"], "0: 0+2@0 2+1@7 3+1@8.5"),
            (Continuous, &["0.25", "1.25", "7.125"], "0.25: 0+2@0 2+1@6.875"),
            (Plain, &["", "1", "2", "90"], "0: 0+3@0 3+1@90"),
            // The new stretch has an onset and a drift of its own.
            (Continuous, &["0", "5.001", "6.002", "7.003"], "0: 0+1@0 1+3@5.001"),
        ] {
            let course = course(variant, "1", onsets, GapPolicy::Fill).unwrap();
            let shown = |s: &Stretch| format!(" {}+{}@{}", s.first_record, s.records, s.onset);
            let stretches: String = course.stretches.iter().map(shown).collect();
            assert_eq!(format!("{}:{stretches}", course.offset), expected);
            let gaps = course.notes.iter().find(|note| note.code == "gaps");
            assert_eq!(gaps.is_some(), course.stretches.len() > 1);
        }
        let course = course(Continuous, "1", &["0", "1", "7", "8.5"], GapPolicy::Split).unwrap();
        assert_eq!(course.notes[0].text, "2 gaps of 5.5 s together, the first behind record 1");
    }

    #[test]
    fn overlaps_and_gaps_at_an_unknown_place_are_refused_under_every_policy() {
        for gaps in [GapPolicy::Split, GapPolicy::Fill] {
            for (onsets, words) in [
                (&["0", "1", "1.5"][..], "an overlap of 0.5 s"),
                (&["0", "5", "1"], "an overlap of 5 s"),
                (&["0", "-1"], "an overlap of 2 s"),
                (&["0", "", "7"], "a gap of 5 s lies somewhere before record 2: the records behind record 0"),
            ] {
                let message = course(Variant::Discontinuous, "1", onsets, gaps).err().unwrap();
                assert!(message.contains(words), "{onsets:?}: {message}");
            }
        }
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
