//! One step of a recipe: whether it can run on a channel, what length and rate it leaves, and running it.

use crate::dsp::buffer::Buffer;
use crate::dsp::design::{Band, Section, butterworth, notch};
use crate::dsp::filter::{ABREAST, causal, pad_length, zero_phase};
use crate::dsp::fourier::{Fourier, Work};
use crate::dsp::lane::Lane;
use crate::dsp::resample::Polyphase;
use crate::dsp::scale::{Moments, Norm, Scale, clip, normalise, robust, zscore};
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
            "`{}` needs {edge} Hz, but the rate at that point is {rate} Hz, which holds frequencies below {} Hz; \
             a `resample` step before it, or a lower edge, helps",
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

/// What a stretch of a channel needs on its way through steps.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Needs {
    /// Its samples before or after a step, whichever are most.
    pub(crate) longest: u64,
    /// Samples in buffers beside it.
    pub(crate) beside: u64,
    /// Samples of a single channel beside all of it.
    pub(crate) single: u64,
    /// Twiddles that are kept.
    pub(crate) twiddles: u64,
}

/// Returns what so many samples need at most; buffers of one step stay for the next.
pub(crate) fn needs(steps: &[Step], samples: u64, rate: Rate) -> Needs {
    let (mut needs, mut at) = (Needs { longest: samples, ..Needs::default() }, (samples, rate));
    for step in steps {
        let Ok(next) = step_shape(step, at.0, at.1) else { break };
        needs.longest = needs.longest.max(next.0);
        match step {
            Step::Resample { rate_hz, .. } if *rate_hz == at.1 => {}
            Step::Resample { method: ResampleMethod::Fft, .. } => {
                let (from, to) = (at.0 as usize, next.0 as usize);
                needs.beside += Fourier::buffers(from, to);
                needs.twiddles += Fourier::twiddles(from, to);
            }
            Step::Resample { method: ResampleMethod::Polyphase, .. } => needs.beside += at.0.max(next.0),
            // The values of a channel, sorted; the mean of all channels.
            Step::Robust { .. } | Step::ReferenceAverage => needs.single = needs.single.max(at.0),
            _ => {}
        }
        at = next;
    }
    needs
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

/// Returns the phase of a filter.
fn phase(step: &Step) -> Option<Phase> {
    match step {
        Step::Bandpass { phase, .. }
        | Step::Highpass { phase, .. }
        | Step::Lowpass { phase, .. }
        | Step::Notch { phase, .. } => Some(*phase),
        _ => None,
    }
}

/// True for steps that filter.
pub(crate) fn is_filter(step: &Step) -> bool {
    phase(step).is_some()
}

/// How many groups of channels a recipe works on abreast, at most `ABREAST`.
///
/// Causal filters in a row are one cascade of several sections, which leaves the processor little to wait for; filters with zero
/// phase go through the channels one by one, twice each, and gain by three groups what their memory is worth.
pub(crate) fn groups_abreast(steps: &[Step]) -> usize {
    if steps.iter().any(|step| phase(step) == Some(Phase::Zero)) { ABREAST } else { 1 }
}

/// True for steps that need all channels at once.
pub(crate) fn is_reference(step: &Step) -> bool {
    matches!(step, Step::ReferenceAverage | Step::ReferenceBipolar { .. })
}

/// Channels on their way through the steps.
#[derive(Debug, Clone)]
pub(crate) struct Track<L> {
    /// The samples.
    pub(crate) samples: Buffer<L>,
    /// Their rate.
    pub(crate) rate: Rate,
    /// µV = x · divisor + centre, up to clipping.
    pub(crate) scale: Scale<L>,
    /// Samples of each stretch of a recording with gaps, which follow each other in `samples`; empty where there is no gap.
    pub(crate) stretches: Vec<usize>,
    /// Mean and squares of all samples, where they were computed since the last change.
    pub(crate) moments: Option<Moments<L>>,
    /// Their mean alone, which a filter tells in passing.
    pub(crate) mean: Option<L>,
    /// A normalisation that the samples have not been through yet; `scale` knows of it already.
    pub(crate) pending: Option<Norm<L>>,
}

impl<L: Lane> Track<L> {
    /// Returns a track in µV.
    pub(crate) fn new(samples: Buffer<L>, rate: Rate) -> Self {
        let scale = Scale { centre: L::default(), divisor: L::splat(1.0) };
        Self { samples, rate, scale, stretches: Vec::new(), moments: None, mean: None, pending: None }
    }

    /// The samples, stretch by stretch.
    pub(crate) fn apart(&self) -> impl Iterator<Item = &[L]> {
        self.lengths().into_iter().scan(&self.samples[..], |rest, length| {
            let (stretch, behind) = rest.split_at(length);
            *rest = behind;
            Some(stretch)
        })
    }

    /// True where both can be filtered together.
    fn is_like(&self, other: &Self) -> bool {
        self.rate == other.rate
            && self.samples.len() == other.samples.len()
            && self.stretches == other.stretches
    }

    fn lengths(&self) -> Vec<usize> {
        if self.stretches.is_empty() { vec![self.samples.len()] } else { self.stretches.clone() }
    }
}

/// Runs the filters that the steps begin with, causal ones that follow each other together; returns how many there were.
fn filtered<L: Lane>(steps: &[Step], tracks: &mut [&mut Track<L>]) -> usize {
    let mut done = 0;
    for alike in tracks.chunk_by_mut(|a, b| a.is_like(b)) {
        let rate = alike[0].rate;
        let causal_filters: Vec<_> = steps.iter().map_while(|step| causal_filter(step, rate)).collect();
        let forth_and_back = sections(&steps[0], rate).filter(|_| causal_filters.is_empty());
        done = causal_filters.len().max(forth_and_back.iter().count());
        let (mut begin, mut means) = (0, Vec::new());
        for length in alike[0].lengths() {
            let mut stretches: Vec<&mut [L]> =
                alike.iter_mut().map(|track| &mut track.samples[begin..begin + length]).collect();
            match &forth_and_back {
                Some((sections, _)) => zero_phase(sections, &mut stretches),
                None => means = causal(&causal_filters, &mut stretches),
            }
            begin += length;
        }
        for (index, track) in alike.iter_mut().enumerate() {
            track.forget_statistics();
            // That of a stretch is not that of all.
            track.mean = means.get(index).copied().filter(|_| track.stretches.is_empty());
        }
    }
    done
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
    /// the samples of their own, on all tracks; returns how many steps these were.
    ///
    /// Filters and resampling run over each stretch by itself: never over a gap, and over no sample that was not
    /// recorded. Statistics are those of all stretches together.
    pub(crate) fn run(&mut self, steps: &[Step], tracks: &mut [&mut Track<L>]) -> Result<usize, Failure> {
        for track in &mut *tracks {
            track.settle();
        }
        if steps.first().is_some_and(is_filter) {
            return Ok(filtered(steps, tracks));
        }
        let mut done = 0;
        for track in tracks {
            done = self.run_alone(steps, track)?;
        }
        Ok(done)
    }

    /// Runs a step that is no filter.
    fn run_alone(&mut self, steps: &[Step], track: &mut Track<L>) -> Result<usize, Failure> {
        let Some(step) = steps.first() else { return Ok(0) };
        let (moments, mean) = (track.moments, track.mean);
        track.forget_statistics();
        let (limit, together) = match steps.get(1) {
            Some(Step::Clip { limit }) => (*limit, 2),
            _ => (f64::INFINITY, 1),
        };
        match step {
            Step::Resample { rate_hz, method } => self.resample(track, *rate_hz, *method)?,
            Step::Zscore { epsilon } => {
                let moments = moments.unwrap_or_else(|| Moments::of(&track.samples, mean));
                track.rescale(zscore(moments, track.samples.len(), *epsilon), limit);
                return Ok(together);
            }
            Step::Robust { epsilon } => {
                track.rescale(robust(&track.samples, *epsilon), limit);
                return Ok(together);
            }
            Step::Clip { limit } => clip(&mut track.samples, *limit),
            _ => {}
        }
        Ok(1)
    }

    fn resample(&mut self, track: &mut Track<L>, rate: Rate, method: ResampleMethod) -> Result<(), Failure> {
        let rates = [track.rate, rate];
        if rate == track.rate {
            return Ok(());
        }
        if track.stretches.is_empty() {
            self.convert(&mut track.samples, rates, method)?;
        } else {
            let length = |samples: &[L]| resampled_length(samples.len() as u64, rates[0], rate, method);
            let lengths: Vec<u64> = track.apart().map(length).collect::<Result<_, _>>()?;
            let mut joined = Vec::with_capacity(lengths.iter().sum::<u64>() as usize);
            for stretch in track.apart() {
                let mut alone = stretch.to_vec().into();
                self.convert(&mut alone, rates, method)?;
                joined.extend_from_slice(&alone);
            }
            track.stretches = lengths.into_iter().map(|length| length as usize).collect();
            track.samples = joined.into();
        }
        track.rate = rate;
        Ok(())
    }

    /// Changes the rate of one stretch from the first to the second.
    fn convert(
        &mut self,
        samples: &mut Buffer<L>,
        rates: [Rate; 2],
        method: ResampleMethod,
    ) -> Result<(), Failure> {
        let from = samples.len();
        let to = resampled_length(from as u64, rates[0], rates[1], method)? as usize;
        match method {
            ResampleMethod::Fft => {
                let plan = self.fourier.entry((from, to)).or_insert_with(|| Rc::new(Fourier::new(from, to)));
                plan.run(samples, &mut self.work);
            }
            ResampleMethod::Polyphase => {
                let (up, down) = rates[1].ratio_to(rates[0]);
                // Both fit: `resampled_length` has refused larger factors.
                let factors = (up as u64, down as u64);
                let plan = self
                    .polyphase
                    .entry(factors)
                    .or_insert_with(|| Rc::new(Polyphase::new(factors.0, factors.1)));
                plan.run(samples, &mut self.work);
            }
        }
        Ok(())
    }
}

impl<L: Lane> Track<L> {
    /// True as long as no step has scaled the channels.
    pub(crate) fn is_in_microvolts(&self) -> bool {
        let is = |lane: L, value: f64| (0..L::WIDTH).all(|channel| lane.get(channel) == value);
        is(self.scale.centre, 0.0) && is(self.scale.divisor, 1.0)
    }

    /// To be called where the samples change.
    pub(crate) fn forget_statistics(&mut self) {
        (self.moments, self.mean) = (None, None);
    }

    /// Declares that no line leads back to µV.
    pub(crate) fn forget_scale(&mut self) {
        self.scale = Scale { centre: L::default(), divisor: L::splat(1.0) };
    }

    /// Announces a normalisation, and remembers how to come back: µV = (x·d + c)·divisor + centre.
    fn rescale(&mut self, step: Scale<L>, limit: f64) {
        self.pending = Some(Norm { scale: step, limit });
        let before = self.scale;
        self.scale = Scale {
            centre: step.centre * before.divisor + before.centre,
            divisor: step.divisor * before.divisor,
        };
    }

    /// Does the normalisation that is still to be done.
    pub(crate) fn settle(&mut self) {
        if let Some(norm) = self.pending.take() {
            normalise(&mut self.samples, norm);
        }
    }

    /// Returns the normalisation that is still to be done, or one that changes nothing.
    pub(crate) fn outstanding(&self) -> Norm<L> {
        let none = Scale { centre: L::default(), divisor: L::splat(1.0) };
        self.pending.unwrap_or(Norm { scale: none, limit: f64::INFINITY })
    }
}
