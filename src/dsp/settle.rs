//! What only samples can tell: which of two equal signals is used, what is flat, who helps to interpolate.

use crate::dsp::interpolate::weights;
use crate::dsp::montage::{Montage, Row};
use crate::dsp::select::{FEWEST_SOURCES, Input, Origin, Selection, ambiguous, too_few_sources};
use crate::dsp::wide::wide;
use crate::model::recipe::{FlatPolicy, SignalRecipe};
use crate::model::recording::{Calibration, Digital, RawChannel, Recording};
use crate::model::units::Rate;
use crate::model::{Failure, FailureClass, Note};

/// A channel before the first step: a weighted sum of recorded ones.
#[derive(Debug, Clone)]
pub(crate) struct Mix<'a> {
    /// The name as the recipe writes it.
    pub(crate) name: String,
    /// Weights and recorded channels of one rate and length.
    pub(crate) terms: Vec<(f64, &'a RawChannel)>,
    /// True where a recorded channel in it is flat: the output is zero.
    pub(crate) is_flat: bool,
}

impl Mix<'_> {
    /// The rate of the channel.
    pub(crate) fn rate(&self) -> Rate {
        self.terms[0].1.rate
    }

    /// Number of samples.
    pub(crate) fn samples(&self) -> usize {
        self.terms[0].1.samples.len()
    }

    /// Writes µV from sample `start` on, each recorded value rounded to float32 (`EEG_FACTS` section 1 step 1).
    pub(crate) fn read(&self, start: usize, to: &mut [f64]) {
        for (index, (weight, channel)) in self.terms.iter().enumerate() {
            let (scale, is_first) = (channel.calibration, index == 0);
            match &channel.samples {
                Digital::I16(samples) => microvolts(&samples[start..], scale, *weight, is_first, to),
                Digital::I32(samples) => microvolts(&samples[start..], scale, *weight, is_first, to),
            }
        }
    }
}

/// A raw sample.
trait Raw: Copy + Into<f64> {}

impl Raw for i16 {}
impl Raw for i32 {}

wide! {
    /// The first channel of a sum meets zero, the next ones what is there.
    fn microvolts<T: Raw>(samples: &[T], scale: Calibration, weight: f64, is_first: bool, to: &mut [f64]) {
        let weighted =
            |digital: T| f64::from((scale.gain_uv * digital.into() + scale.offset_uv) as f32) * weight;
        if is_first {
            to.iter_mut().zip(samples).for_each(|(to, digital)| *to = 0.0 + weighted(*digital));
        } else {
            to.iter_mut().zip(samples).for_each(|(to, digital)| *to += weighted(*digital));
        }
    }
}

/// Settles every channel before the first step.
pub(crate) fn settle<'a>(
    recipe: &SignalRecipe,
    selection: &Selection,
    recording: &'a Recording,
    notes: &mut Vec<Note>,
) -> Result<Vec<Mix<'a>>, Failure> {
    let mut settler = Settler { selection, recording, notes };
    let sources = settler.sources()?;
    let inputs = settler.inputs(&sources)?;
    settler.judge_flat(recipe.flat, &inputs)?;
    mix(&selection.montage, &inputs)
}

struct Settler<'a, 'b> {
    selection: &'b Selection,
    recording: &'a Recording,
    notes: &'b mut Vec<Note>,
}

impl<'a> Settler<'a, '_> {
    fn channel(&self, signal: usize) -> Result<&'a RawChannel, Failure> {
        self.recording.channels.iter().find(|channel| channel.signal == signal).ok_or_else(|| {
            let message = format!("signal {signal} was asked for and not read: a defect of this program");
            Failure::new(FailureClass::Panic, message)
        })
    }

    /// The first of several signals, if they hold the same.
    fn settled(&mut self, name: &str, signals: &[usize]) -> Result<&'a RawChannel, Failure> {
        let first = self.channel(signals[0])?;
        for other in &signals[1..] {
            let second = self.channel(*other)?;
            let same = first.samples == second.samples && first.calibration == second.calibration;
            if !same || first.rate != second.rate {
                let label =
                    |signal: usize| (signal, self.selection.labels.get(&signal).map_or("", String::as_str));
                return Err(ambiguous(name, label(signals[0]), label(*other), "their samples differ"));
            }
            let text = format!(
                "signals {} and {other} both answer to `{name}` and hold the same samples",
                signals[0]
            );
            let note = Note::new("duplicate", text);
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        Ok(first)
    }

    fn sources(&mut self) -> Result<Vec<([f64; 3], &'a RawChannel)>, Failure> {
        let mut sources = Vec::new();
        for source in &self.selection.sources {
            let name = self.selection.labels.get(&source.signals[0]).cloned().unwrap_or_default();
            let channel = self.settled(&name, &source.signals)?;
            if !channel.samples.is_flat() {
                sources.push((source.direction, channel));
            }
        }
        Ok(sources)
    }

    fn inputs(&mut self, sources: &[([f64; 3], &'a RawChannel)]) -> Result<Vec<Mix<'a>>, Failure> {
        let mut made = self.interpolate(sources)?.into_iter();
        let mut inputs = Vec::new();
        for input in &self.selection.inputs {
            let name = input.name.clone();
            let terms = match &input.origin {
                Origin::Recorded(signals) => vec![(1.0, self.settled(&name, signals)?)],
                Origin::Interpolated(_) => made.next().unwrap_or_default(),
            };
            let is_flat = terms.iter().any(|(_, channel)| channel.samples.is_flat());
            inputs.push(Mix { name, terms, is_flat });
        }
        Ok(inputs)
    }

    /// Returns the terms of each missing electrode; all are solved at once.
    fn interpolate(
        &mut self,
        sources: &[([f64; 3], &'a RawChannel)],
    ) -> Result<Vec<Vec<(f64, &'a RawChannel)>>, Failure> {
        let names = &self.selection.interpolated;
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let direction = |input: &Input| match input.origin {
            Origin::Interpolated(direction) => Some(direction),
            Origin::Recorded(_) => None,
        };
        let targets: Vec<[f64; 3]> = self.selection.inputs.iter().filter_map(direction).collect();
        let from: Vec<[f64; 3]> = sources.iter().map(|(direction, _)| *direction).collect();
        let solved = (from.len() >= FEWEST_SOURCES).then(|| weights(&from, &targets)).flatten();
        let solved = solved.ok_or_else(|| too_few_sources(names, sources.len()))?;
        let text = format!("`{}` interpolated from {} electrodes", names.join("`, `"), sources.len());
        self.notes.push(Note::new("interpolated", text));
        let terms =
            |row: Vec<f64>| row.into_iter().zip(sources.iter().map(|(_, channel)| *channel)).collect();
        Ok(solved.into_iter().map(terms).collect())
    }

    fn judge_flat(&mut self, policy: FlatPolicy, inputs: &[Mix<'a>]) -> Result<(), Failure> {
        let flat: Vec<String> =
            inputs.iter().filter(|input| input.is_flat).map(|input| input.name.clone()).collect();
        if flat.is_empty() {
            return Ok(());
        }
        let names = flat.join("`, `");
        if policy == FlatPolicy::Quarantine {
            let message = format!("all raw samples of `{names}` are equal; `flat: zero` keeps the recording");
            return Err(Failure::new(FailureClass::Flat, message));
        }
        self.notes
            .push(Note::new("flat", format!("all raw samples of `{names}` are equal; written as zeros")));
        Ok(())
    }
}

/// Puts inputs together to the montage's rows.
fn mix<'a>(montage: &Montage, inputs: &[Mix<'a>]) -> Result<Vec<Mix<'a>>, Failure> {
    montage.rows.iter().map(|row| mix_row(row, inputs)).collect()
}

fn mix_row<'a>(row: &Row, inputs: &[Mix<'a>]) -> Result<Mix<'a>, Failure> {
    let parts = || row.terms.iter().map(|(sign, input)| (sign, &inputs[*input]));
    let terms: Vec<(f64, &RawChannel)> = parts()
        .flat_map(|(sign, input)| input.terms.iter().map(move |(weight, raw)| (sign * weight, *raw)))
        .collect();
    let shape = |channel: &RawChannel| (channel.rate, channel.samples.len());
    if terms.iter().any(|(_, channel)| shape(channel) != shape(terms[0].1)) {
        let message = format!("`{}` needs channels of one rate, they have several", row.name);
        return Err(Failure::new(FailureClass::OddRate, message));
    }
    let is_flat = parts().any(|(_, input)| input.is_flat);
    Ok(Mix { name: row.name.clone(), terms, is_flat })
}
