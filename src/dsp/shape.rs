//! Where a recording with gaps ends up in the output: which stretches can be processed, and at which columns they begin.
//!
//! Filters and resamplers never run across a gap, so each stretch is processed by itself. `gaps: split` makes a file of
//! each; `gaps: fill` puts them on one time axis, and the columns between them hold zeros.

use crate::dsp::step::{output_length, shape_after};
use crate::model::recipe::{GapPolicy, SignalRecipe};
use crate::model::recording::{Recording, Stretch};
use crate::model::units::{Rate, Seconds};
use crate::model::window::Span;
use crate::model::{Failure, FailureClass, Note};

/// A recording longer than this is not filled: its file would be mostly zeros. One week, in seconds.
const LONGEST_FILLED_S: f64 = 604_800.0;

/// The stretches that every step can run on.
#[derive(Debug, Clone, PartialEq)]
pub struct Usable {
    /// In order, at least one.
    pub stretches: Vec<Stretch>,
    /// A note on those that are too short.
    pub notes: Vec<Note>,
}

/// The columns of a signal file.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// How many there are.
    pub samples: u64,
    /// Their rate.
    pub rate: Rate,
    /// The column at which each stretch begins.
    pub starts: Vec<u64>,
    /// Columns that were never recorded, sorted and disjoint.
    pub gaps: Vec<Span>,
}

/// Returns the stretches of a recording that are long enough for every step on every channel.
///
/// A recording without gaps has one stretch, and what is wrong with it is found later. Fails with `too-short` where no
/// stretch is long enough.
pub fn usable(recipe: &SignalRecipe, recording: &Recording) -> Result<Usable, Failure> {
    let all = &recording.stretches;
    if all.len() < 2 {
        return Ok(Usable { stretches: all.clone(), notes: Vec::new() });
    }
    let too_short = |stretch: &Stretch| {
        recording.channels.iter().find_map(|channel| {
            let samples = recording.samples_of(channel, stretch).len() as u64;
            let failure = shape_after(&recipe.steps, samples, channel.rate).err()?;
            (failure.class == FailureClass::TooShort).then_some(failure)
        })
    };
    let (short, stretches): (Vec<_>, Vec<_>) =
        all.iter().map(|stretch| (too_short(stretch), *stretch)).partition(|(why, _)| why.is_some());
    let stretches: Vec<Stretch> = stretches.into_iter().map(|(_, stretch)| stretch).collect();
    let Some((Some(why), first)) = short.first() else { return Ok(Usable { stretches, notes: Vec::new() }) };
    if stretches.is_empty() {
        return Err(why.clone());
    }
    let text = format!(
        "{} of {} stretches between gaps are left out, the first of {} records at {} s: {}",
        short.len(),
        all.len(),
        first.records,
        first.onset,
        why.message
    );
    Ok(Usable { stretches, notes: vec![Note::new("stretch-too-short", text)] })
}

/// Returns the stretches that each signal file takes: under `gaps: split` a file for every one.
#[must_use]
pub fn files(recipe: &SignalRecipe, stretches: Vec<Stretch>) -> Vec<Vec<Stretch>> {
    match recipe.gaps {
        GapPolicy::Split => stretches.into_iter().map(|stretch| vec![stretch]).collect(),
        GapPolicy::Error | GapPolicy::Fill => vec![stretches],
    }
}

/// Returns the columns that stretches with an onset (in seconds from sample 0) and a number of samples at `rate` become.
///
/// Under `gaps: fill` column k lies k/r after the recording's sample 0: a stretch begins at the nearest column, at the
/// earliest behind the one before it. Otherwise there is one stretch, and it begins at column 0. Fails as
/// [`output_length`] does, and with `too-long` for a recording that is filled to more than a week.
pub fn shape(recipe: &SignalRecipe, stretches: &[(Seconds, u64)], rate: Rate) -> Result<Shape, Failure> {
    let mut shape = Shape { samples: 0, rate, starts: Vec::new(), gaps: Vec::new() };
    for (onset, samples) in stretches {
        let (length, rate) = output_length(recipe, *samples, rate)?;
        let start = match recipe.gaps {
            GapPolicy::Fill => nearest_column(*onset, rate)?.max(shape.samples),
            GapPolicy::Error | GapPolicy::Split => shape.samples,
        };
        if start > shape.samples {
            shape.gaps.push(Span { start: shape.samples, end: start });
        }
        shape.starts.push(start);
        (shape.samples, shape.rate) = (start + length, rate);
    }
    Ok(shape)
}

/// ⌊onset·rate + 1/2⌋, exactly.
fn nearest_column(onset: Seconds, rate: Rate) -> Result<u64, Failure> {
    if onset.as_f64() > LONGEST_FILLED_S {
        let message = format!(
            "its last stretch begins {onset} s after the first: more than a week is not filled (`gaps: split` takes it)"
        );
        return Err(Failure::new(FailureClass::TooLong, message));
    }
    let floor = onset.floor_samples(rate);
    let (n, d) = onset.as_fraction();
    let (up, down) = (i128::from(rate.numerator()), i128::from(rate.denominator()));
    // At most 6·10²³ · 10⁹ and 10¹⁸ · 10⁹: both fit. Twice the rest of the division tells which column is nearer.
    let rest = (n * up).rem_euclid(d * down);
    let column = floor + i64::from(2 * rest >= d * down);
    Ok(column.max(0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::test_recordings::{brain_brr, channel, hertz, noise, recipe};
    use crate::model::recipe::{Phase, Step};

    fn seconds(text: &str) -> Seconds {
        Seconds::parse(text).unwrap()
    }

    #[test]
    fn stretches_lie_at_the_nearest_column_and_never_overlap() {
        let mut recipe = recipe(&["Cz"]);
        for (policy, stretches, columns, starts, gaps) in [
            (GapPolicy::Error, &[("0", 100)][..], 100, &[0][..], &[][..]),
            (GapPolicy::Split, &[("7.5", 100)], 100, &[0], &[]),
            (GapPolicy::Fill, &[("0", 100), ("2", 50)], 250, &[0, 200], &[(100, 200)]),
            // 2.004 s · 100 Hz = 200.4, 2.005 s = 200.5.
            (GapPolicy::Fill, &[("0", 100), ("2.004", 50)], 250, &[0, 200], &[(100, 200)]),
            (GapPolicy::Fill, &[("0", 100), ("2.005", 50)], 251, &[0, 201], &[(100, 201)]),
            (GapPolicy::Fill, &[("0.5", 100), ("2", 50)], 250, &[50, 200], &[(0, 50), (150, 200)]),
            // A gap of less than half a sample leaves no column.
            (GapPolicy::Fill, &[("0", 100), ("1.004", 50), ("1.5", 10)], 160, &[0, 100, 150], &[]),
        ] {
            recipe.gaps = policy;
            let stretches: Vec<_> = stretches.iter().map(|(onset, n)| (seconds(onset), *n)).collect();
            let shape = shape(&recipe, &stretches, hertz(100)).unwrap();
            let found: Vec<(u64, u64)> = shape.gaps.iter().map(|gap| (gap.start, gap.end)).collect();
            assert_eq!(
                (shape.samples, &shape.starts[..], &found[..]),
                (columns, starts, gaps),
                "{stretches:?}"
            );
        }
        recipe.steps = brain_brr();
        let at_500 = [(seconds("0"), 2500), (seconds("10.001"), 501)];
        let filled = shape(&recipe, &at_500, hertz(500)).unwrap();
        assert_eq!((filled.samples, filled.rate, filled.starts), (2560 + 257, hertz(256), vec![0, 2560]));
        let far = [(seconds("0"), 100), (seconds("999999999999999999.999999999999999999"), 100)];
        let failure = shape(&recipe, &far, hertz(100)).unwrap_err();
        assert_eq!(failure.class, FailureClass::TooLong);
    }

    #[test]
    fn stretches_too_short_for_a_step_are_left_out_and_noted() {
        let mut recipe = recipe(&["Cz"]);
        recipe.steps = vec![Step::Bandpass { low_hz: 0.5, high_hz: 30.0, order: 4, phase: Phase::Zero }];
        let stretch =
            |first_record, records, onset: &str| Stretch { first_record, records, onset: seconds(onset) };
        let mut recording = crate::dsp::test_recordings::recording(vec![channel(0, 100, noise(0, 100))]);
        // Ten samples a record: 20, 30 and 50 samples; the filter needs more than 27.
        recording.stretches = vec![stretch(0, 2, "0"), stretch(2, 3, "5"), stretch(5, 5, "9.5")];
        let found = usable(&recipe, &recording).unwrap();
        assert_eq!(found.stretches, &recording.stretches[1..]);
        assert!(found.notes[0].text.starts_with("1 of 3 stretches"), "{}", found.notes[0].text);
        recording.stretches = vec![stretch(0, 2, "0"), stretch(2, 2, "5"), stretch(4, 1, "9.5")];
        recording.channels[0].samples = crate::model::recording::Digital::I16(noise(0, 50));
        assert_eq!(usable(&recipe, &recording).unwrap_err().class, FailureClass::TooShort);
    }
}
