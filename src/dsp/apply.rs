//! Runs a recipe over a recording: four channels at a time, from raw integers into the rows of the output.
//!
//! Each group of channels passes all steps before the next one begins, so beside the output only four channels are in
//! memory. A reference step needs all channels at once: then all groups are held.

use crate::dsp::early::Early;
use crate::dsp::group::{Group, Output, average, groups, pairwise};
use crate::dsp::montage::Row;
use crate::dsp::select::Selection;
use crate::dsp::settle::{Mix, settle};
use crate::dsp::step::{Runner, Track, is_reference, shape_after};
use crate::model::recipe::{SignalRecipe, Step};
use crate::model::recording::{Recording, Signal};
use crate::model::units::Rate;
use crate::model::{Failure, FailureClass};

/// Applies a recipe to the picked channels of a recording.
///
/// The result has the recipe's channels as rows and float32 samples, finite everywhere. Its notes are those of the
/// selection and of the processing; what the reader noted stays in `recording.notes`. Fails with `too-short`, `flat`,
/// `ambiguous-channels`, `missing-channels`, `rate-too-low` or `odd-rate`.
pub fn apply(recipe: &SignalRecipe, selection: &Selection, recording: &Recording) -> Result<Signal, Failure> {
    let mut notes = selection.notes.clone();
    refuse_short(selection, recording)?;
    let rows = settle(recipe, selection, recording, &mut notes)?;
    let (samples, rate) = common_shape(&recipe.steps, &rows)?;
    let pairs = selection.montage.pairs.as_deref();
    let channels: Vec<String> = match pairs {
        Some(pairs) => pairs.iter().map(|pair| pair.name.clone()).collect(),
        None => rows.iter().map(|row| row.name.clone()).collect(),
    };
    let mut output = Output::new(channels.len(), samples as usize);
    let mut run = Run { steps: &recipe.steps, runner: Runner::default(), early: Early::new(&recipe.steps) };
    run.rows(&rows, pairs, &mut output)?;
    notes.extend(run.early.notes());
    let Output { data, scale } = output;
    let input_rate = recording.channels.iter().find(|channel| channel.signal == selection.lead);
    Ok(Signal {
        data,
        channels,
        rate,
        scale,
        interpolated: selection.interpolated.clone(),
        input_rate: input_rate.map_or(rate, |channel| channel.rate),
        reference: selection.reference.clone(),
        notes,
    })
}

/// Applies steps to one channel in double precision, without the rounding to float32 at either end.
///
/// Reference steps need other channels and are left out. Returns the samples and their rate.
pub fn apply_to_channel(steps: &[Step], rate: Rate, samples: &[f64]) -> Result<(Vec<f64>, Rate), Failure> {
    shape_after(steps, samples.len() as u64, rate)?;
    let (mut runner, mut track) = (Runner::default(), Track::new(samples.to_vec(), rate));
    for step in steps {
        runner.run(step, &mut track)?;
    }
    Ok((track.samples, track.rate))
}

/// A channel of one sample is flat by definition, so length is judged before flatness.
fn refuse_short(selection: &Selection, recording: &Recording) -> Result<(), Failure> {
    let Some(short) = recording.channels.iter().find(|channel| channel.samples.len() < 2) else {
        return Ok(());
    };
    let label = selection.labels.get(&short.signal).map_or("", String::as_str);
    let message = format!(
        "signal {} `{label}` holds {} samples, at least 2 are needed",
        short.signal,
        short.samples.len()
    );
    Err(Failure::new(FailureClass::TooShort, message))
}

/// Returns samples and rate of the output, which are the same for every channel.
fn common_shape(steps: &[Step], rows: &[Mix]) -> Result<(u64, Rate), Failure> {
    let stops = steps.iter().enumerate().filter(|(_, step)| is_reference(step)).map(|(index, _)| index);
    let mut shape = (0, rows[0].rate());
    for stop in stops.chain([steps.len()]) {
        shape = shape_after(&steps[..stop], rows[0].samples() as u64, rows[0].rate())?;
        for row in rows {
            let other = shape_after(&steps[..stop], row.samples() as u64, row.rate())?;
            if other != shape {
                return Err(different_shapes(steps.get(stop), (&rows[0].name, shape), (&row.name, other)));
            }
        }
    }
    Ok(shape)
}

fn different_shapes(stop: Option<&Step>, first: (&str, (u64, Rate)), second: (&str, (u64, Rate))) -> Failure {
    let place =
        stop.map_or("after the last step".to_owned(), |step| format!("at the step `{}`", step.name()));
    let ((a, (samples, rate)), (b, (other_samples, other_rate))) = (first, second);
    let message = format!(
        "{place} `{a}` has {samples} samples at {rate} Hz and `{b}` {other_samples} at {other_rate} Hz; a `resample` \
         step before it brings channels of different rates together"
    );
    Failure::new(FailureClass::OddRate, message)
}

struct Run<'a> {
    steps: &'a [Step],
    runner: Runner,
    early: Early,
}

impl Run<'_> {
    fn rows(&mut self, rows: &[Mix], pairs: Option<&[Row]>, output: &mut Output) -> Result<(), Failure> {
        let reference = self.steps.iter().position(is_reference);
        let mut held = Vec::new();
        for members in groups(rows) {
            let mut group = Group::load(rows, members);
            self.local(0, reference.unwrap_or(self.steps.len()), &mut group)?;
            match reference {
                Some(_) => held.push(group),
                None => output.write(&group),
            }
        }
        let mut begin = reference.unwrap_or(self.steps.len());
        while begin < self.steps.len() {
            match (&self.steps[begin], pairs) {
                (Step::ReferenceBipolar { .. }, Some(pairs)) => held = pairwise(&held, pairs)?,
                _ => average(&mut held),
            }
            let end = self.steps[begin + 1..]
                .iter()
                .position(is_reference)
                .map_or(self.steps.len(), |at| begin + 1 + at);
            for group in &mut held {
                self.local(begin + 1, end, group)?;
            }
            begin = end;
        }
        held.iter().for_each(|group| output.write(group));
        Ok(())
    }

    /// Runs the steps from `begin` to before `end`, none of which is a reference.
    fn local(&mut self, begin: usize, end: usize, group: &mut Group) -> Result<(), Failure> {
        for (index, step) in self.steps.iter().enumerate().take(end).skip(begin) {
            self.runner.run(step, &mut group.track)?;
            self.early.observe(index, group);
        }
        Ok(())
    }
}
