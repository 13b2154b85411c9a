//! One step of a recipe: whether it can run on a channel, what length and rate it leaves, and running it.

use crate::dsp::design::{Band, Section, butterworth, notch};
use crate::dsp::filter::{causal, filter, pad_length};
use crate::dsp::fourier::{Fourier, Work};
use crate::dsp::lane::Lane;
use crate::dsp::resample::Polyphase;
use crate::dsp::scale::{Moments, Scale, clip, robust, zscore};
use crate::model::recipe::{Init, Phase, ResampleMethod, SignalRecipe, Step};
use crate::model::units::Rate;
use crate::model::{Failure, FailureClass};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The largest factor of a polyphase conversion (`EEG_FACTS` section 2).
const LARGEST_FACTOR: u128 = 10_000;

/// Returns samples and rate after all steps, or the reason why a step cannot run on so many samples at that rate.
pub fn output_length(
    recipe: &SignalRecipe,
    input_samples: u64,
    input_rate: Rate,
) -> Result<(u64, Rate), Failure> {
    shape_after(&recipe.steps, input_samples, input_rate)
}

/// As `output_length`, for a list of steps.
pub(crate) fn shape_after(steps: &[Step], samples: u64, rate: Rate) -> Result<(u64, Rate), Failure> {
    if samples < 2 {
        let message = format!("a channel holds {samples} sample(s), at least 2 are needed");
        return Err(Failure::new(FailureClass::TooShort, message));
    }
    steps.iter().try_fold((samples, rate), |(samples, rate), step| step_shape(step, samples, rate))
}

fn step_shape(step: &Step, samples: u64, rate: Rate) -> Result<(u64, Rate), Failure> {
    if let Step::Resample { rate_hz, method } = step {
        return Ok((resampled_length(samples, rate, *rate_hz, *method)?, *rate_hz));
    }
    if let Some(edge) = upper_edge(step).filter(|edge| *edge >= rate.as_f64() / 2.0) {
        let message = format!(
            "`{}` needs {edge} Hz, but the rate at that point is {rate} Hz, which holds frequencies below {} Hz",
            step.name(),
            rate.as_f64() / 2.0
        );
        return Err(Failure::new(FailureClass::RateTooLow, message));
    }
    match sections(step, rate) {
        Some((sections, Phase::Zero)) if samples <= pad_length(&sections) as u64 => {
            let message = format!(
                "`{}` with zero phase needs more than {} samples, the channel has {samples} at that point",
                step.name(),
                pad_length(&sections)
            );
            Err(Failure::new(FailureClass::TooShort, message))
        }
        _ => Ok((samples, rate)),
    }
}

fn resampled_length(samples: u64, from: Rate, to: Rate, method: ResampleMethod) -> Result<u64, Failure> {
    let (up, down) = to.ratio_to(from);
    let (whole, rest) = (u128::from(samples) * up / down, u128::from(samples) * up % down);
    let length = match method {
        ResampleMethod::Fft => whole + u128::from(2 * rest > down || (2 * rest == down && whole % 2 == 1)),
        ResampleMethod::Polyphase if up.max(down) > LARGEST_FACTOR => {
            let message = format!(
                "from {from} Hz to {to} Hz the polyphase factors are {up}/{down}, more than {LARGEST_FACTOR}; \
                 `resample: {{rate_hz: {to}, method: fft}}` converts any rate"
            );
            return Err(Failure::new(FailureClass::OddRate, message));
        }
        ResampleMethod::Polyphase => whole + u128::from(rest > 0),
    };
    match u64::try_from(length) {
        Ok(length) if length >= 2 => Ok(length),
        _ => {
            let message =
                format!("{samples} samples at {from} Hz become {length} at {to} Hz, at least 2 are needed");
            Err(Failure::new(FailureClass::TooShort, message))
        }
    }
}

/// Returns the highest frequency of a filter, in Hz.
fn upper_edge(step: &Step) -> Option<f64> {
    match step {
        Step::Bandpass { high_hz, .. } => Some(*high_hz),
        Step::Highpass { freq_hz, .. } | Step::Lowpass { freq_hz, .. } | Step::Notch { freq_hz, .. } => {
            Some(*freq_hz)
        }
        _ => None,
    }
}

/// Designs a filter step for a rate; nothing for other steps.
fn sections(step: &Step, rate: Rate) -> Option<(Vec<Section>, Phase)> {
    let hertz = rate.as_f64();
    match step {
        Step::Bandpass { low_hz, high_hz, order, phase } => {
            Some((butterworth(*order, Band::Pass(*low_hz, *high_hz), hertz), *phase))
        }
        Step::Highpass { freq_hz, order, phase } => {
            Some((butterworth(*order, Band::High(*freq_hz), hertz), *phase))
        }
        Step::Lowpass { freq_hz, order, phase } => {
            Some((butterworth(*order, Band::Low(*freq_hz), hertz), *phase))
        }
        Step::Notch { freq_hz, q, phase } => Some((vec![notch(*freq_hz, *q, hertz)], *phase)),
        _ => None,
    }
}

fn causal_filter(step: &Step, rate: Rate) -> Option<(Vec<Section>, Init)> {
    match sections(step, rate)? {
        (sections, Phase::Causal(init)) => Some((sections, init)),
        _ => None,
    }
}

/// True for steps that filter.
pub(crate) fn is_filter(step: &Step) -> bool {
    upper_edge(step).is_some()
}

/// True for steps that need all channels at once.
pub(crate) fn is_reference(step: &Step) -> bool {
    matches!(step, Step::ReferenceAverage | Step::ReferenceBipolar { .. })
}

/// Channels on their way through the steps.
#[derive(Debug, Clone)]
pub(crate) struct Track<L> {
    /// The samples.
    pub(crate) samples: Vec<L>,
    /// Their rate.
    pub(crate) rate: Rate,
    /// µV = x · divisor + centre, up to clipping.
    pub(crate) scale: Scale<L>,
    /// Mean and squares, where they were computed since the last change.
    pub(crate) moments: Option<Moments<L>>,
}

impl<L: Lane> Track<L> {
    /// Returns a track in µV.
    pub(crate) fn new(samples: Vec<L>, rate: Rate) -> Self {
        let scale = Scale { centre: L::default(), divisor: L::splat(1.0) };
        Self { samples, rate, scale, moments: None }
    }
}

/// Runs steps and keeps what was prepared for a length, so that the next channels need not prepare it again.
#[derive(Default)]
pub(crate) struct Runner<L> {
    work: Work<L>,
    fourier: BTreeMap<(usize, usize), Rc<Fourier>>,
    polyphase: BTreeMap<(u64, u64), Rc<Polyphase>>,
}

impl<L: Lane> Runner<L> {
    /// Runs the first of the steps (a reference step changes nothing here) and those behind it that need no pass over
    /// the samples of their own; returns how many these were.
    pub(crate) fn run(&mut self, steps: &[Step], track: &mut Track<L>) -> Result<usize, Failure> {
        let Some(step) = steps.first() else { return Ok(0) };
        let moments = track.moments.take();
        let filters: Vec<_> = steps.iter().map_while(|step| causal_filter(step, track.rate)).collect();
        if !filters.is_empty() {
            causal(&filters, &mut track.samples);
            return Ok(filters.len());
        }
        if let Some((sections, phase)) = sections(step, track.rate) {
            filter(&sections, phase, &mut track.samples);
            return Ok(1);
        }
        let (limit, together) = match steps.get(1) {
            Some(Step::Clip { limit }) => (*limit, 2),
            _ => (f64::INFINITY, 1),
        };
        match step {
            Step::Resample { rate_hz, method } => self.resample(track, *rate_hz, *method)?,
            Step::Zscore { epsilon } => {
                let moments = moments.unwrap_or_else(|| Moments::of(&track.samples));
                track.rescale(|samples| zscore(samples, moments, *epsilon, limit));
                return Ok(together);
            }
            Step::Robust { epsilon } => {
                track.rescale(|samples| robust(samples, *epsilon, limit));
                return Ok(together);
            }
            Step::Clip { limit } => clip(&mut track.samples, *limit),
            _ => {}
        }
        Ok(1)
    }

    fn resample(&mut self, track: &mut Track<L>, rate: Rate, method: ResampleMethod) -> Result<(), Failure> {
        if rate == track.rate {
            return Ok(());
        }
        let from = track.samples.len();
        let to = resampled_length(from as u64, track.rate, rate, method)? as usize;
        match method {
            ResampleMethod::Fft => {
                let plan = self.fourier.entry((from, to)).or_insert_with(|| Rc::new(Fourier::new(from, to)));
                plan.run(&mut track.samples, &mut self.work);
            }
            ResampleMethod::Polyphase => {
                let (up, down) = rate.ratio_to(track.rate);
                // Both fit: `resampled_length` has refused larger factors.
                let factors = (up as u64, down as u64);
                let plan = self
                    .polyphase
                    .entry(factors)
                    .or_insert_with(|| Rc::new(Polyphase::new(factors.0, factors.1)));
                plan.run(&mut track.samples, &mut self.work);
            }
        }
        track.rate = rate;
        Ok(())
    }
}

impl<L: Lane> Track<L> {
    /// True as long as no step has scaled the channels.
    pub(crate) fn is_in_microvolts(&self) -> bool {
        let is = |lane: L, value: f64| (0..L::WIDTH).all(|channel| lane.get(channel) == value);
        is(self.scale.centre, 0.0) && is(self.scale.divisor, 1.0)
    }

    /// Declares that no line leads back to µV.
    pub(crate) fn forget_scale(&mut self) {
        self.scale = Scale { centre: L::default(), divisor: L::splat(1.0) };
    }

    /// Normalises and remembers how to come back: µV = (x·d + c)·divisor + centre.
    fn rescale(&mut self, normalise: impl FnOnce(&mut [L]) -> Scale<L>) {
        let step = normalise(&mut self.samples);
        let before = self.scale;
        self.scale = Scale {
            centre: step.centre * before.divisor + before.centre,
            divisor: step.divisor * before.divisor,
        };
    }
}
