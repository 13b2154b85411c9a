//! Quality of what was recorded: channels that are flat or saturated, and the mains that show. Measured, never mended.
//!
//! Everything here looks at the raw integers of the picked channels, before any step. Saturation is one pass over all of
//! them; the mains are a Goertzel filter for each of 13 frequencies over at most 32 s a channel, spread over the
//! recording. An hour of 19 channels at 256 Hz costs about 4 ms, beside some hundreds for the recipe.

use crate::dsp::roots::root;
use crate::dsp::select::Selection;
use crate::dsp::wide::wide;
use crate::model::Note;
use crate::model::quality::Quality;
use crate::model::recording::{Digital, RawChannel, Recording};
use crate::model::units::Rate;
use std::collections::BTreeMap;

/// The mains frequencies of the world, in Hz.
const MAINS: [u64; 2] = [50, 60];
/// Distances in Hz of the frequencies beside the mains whose mean power it is compared with.
const BESIDE: [i64; 6] = [-5, -4, -3, 3, 4, 5];
/// Frequencies that the two need together, ascending; some are beside both.
const FREQUENCIES: [u64; 13] = [45, 46, 47, 50, 53, 54, 55, 56, 57, 60, 63, 64, 65];
/// The frequencies in lanes, filled up with idle ones.
const LANES: usize = 16;
/// Length of a stretch under a Hann window: frequencies 1 Hz apart do not touch.
const STRETCH_S: u64 = 2;
/// How many stretches are looked at: at most, spread evenly, and at least, one behind the other.
const STRETCHES: (usize, usize) = (16, 4);
/// Slower channels hold neither of the two with what lies beside it.
const SLOWEST_HZ: f64 = 110.0;
/// From here on a ratio is mains and not chance: in noise the median over channels stays below 2.
const STANDS_OUT: f64 = 4.0;
/// A share of saturated samples from here on is noted: a second in about a quarter of an hour.
const NOTED_SATURATION: f64 = 0.001;

/// Measures the picked channels of a recording. `early_variance`, `clipped` and `format` are left to others.
#[must_use]
pub fn quality(selection: &Selection, recording: &Recording) -> Quality {
    let label = |channel: &RawChannel| selection.labels.get(&channel.signal).cloned().unwrap_or_default();
    let mut saturated = BTreeMap::new();
    for channel in &recording.channels {
        let share = saturation(channel);
        if share > 0.0 {
            // Two signals may bear one label: the worse one counts.
            let worst: &mut f64 = saturated.entry(label(channel)).or_default();
            *worst = worst.max(rounded(share));
        }
    }
    let (mains_hz, mains_ratio) = mains(recording);
    Quality {
        reference: selection.reference.clone(),
        mains_hz,
        mains_ratio: mains_ratio.map(rounded),
        saturated,
        flat: recording.channels.iter().filter(|channel| channel.samples.is_flat()).map(label).collect(),
        unit_assumed: selection.unit_assumed.clone(),
        ..Quality::default()
    }
}

/// The note on channels that lie at their digital limits for a good while.
pub(crate) fn saturation_note(quality: &Quality) -> Option<Note> {
    let noted = quality.saturated.iter().filter(|(_, share)| **share >= NOTED_SATURATION);
    let texts: Vec<String> =
        noted.map(|(label, share)| format!("`{label}` {:.1} %", 100.0 * share)).collect();
    let text = format!("samples that stay at a digital limit: {}", texts.join(", "));
    (!texts.is_empty()).then(|| Note::new("saturated", text))
}

/// Six digits behind the point: enough for people, and a short text.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// A raw sample.
trait Raw: Copy + Ord + Into<f64> + TryFrom<i64> {}

impl Raw for i16 {}
impl Raw for i32 {}

/// The share of samples that follow an equal one at a digital limit. A single sample there is no saturation: many writers
/// set the limits to the extremes of what they write.
fn saturation(channel: &RawChannel) -> f64 {
    let pairs = channel.samples.len().saturating_sub(1);
    let held = match &channel.samples {
        Digital::I16(samples) => held(samples, channel.digital_limits),
        Digital::I32(samples) => held(samples, channel.digital_limits),
    };
    held as f64 / pairs.max(1) as f64
}

fn held<T: Raw>(samples: &[T], limits: (i64, i64)) -> u64 {
    let mut count = 0;
    // A limit beyond the sample type is never reached.
    if let (Ok(a), Ok(b)) = (T::try_from(limits.0), T::try_from(limits.1)) {
        count_held(samples, [a, b], &mut count);
    }
    count
}

/// Pairs counted before the sum is widened; it fits into 16 bits, in which eight are added at once.
const COUNTED: usize = 1 << 14;

wide! {
    fn count_held<T: Raw>(samples: &[T], limits: [T; 2], count: &mut u64) {
        let [low, high] = [limits[0].min(limits[1]), limits[0].max(limits[1])];
        // Mostly no sample comes near a limit, which is told at half the cost.
        let range = |(least, most): (T, T), sample: &T| (least.min(*sample), most.max(*sample));
        let (least, most) = samples.iter().fold((high, low), range);
        if least > low && most < high {
            return;
        }
        let behind = samples.get(1..).unwrap_or_default();
        for (first, second) in samples.chunks(COUNTED).zip(behind.chunks(COUNTED)) {
            let mut held = 0_u16;
            for (a, b) in first.iter().zip(second) {
                // It never wraps; a check for that would keep eight from being counted at once.
                held = held.wrapping_add(u16::from(*a == *b && (*a == low || *a == high)));
            }
            *count += u64::from(held);
        }
    }
}

/// The mains frequency that stands out, and the ratio of the stronger one.
fn mains(recording: &Recording) -> (Option<u64>, Option<f64>) {
    let mut tuned: Vec<Tuned> = Vec::new();
    let mut ratios: [Vec<f64>; MAINS.len()] = Default::default();
    for channel in &recording.channels {
        let known = tuned.iter().position(|tuned| tuned.rate == channel.rate);
        let place = known.unwrap_or_else(|| {
            tuned.push(Tuned::new(channel.rate));
            tuned.len() - 1
        });
        let Some(powers) = tuned[place].powers(&channel.samples) else { continue };
        for (index, ratios) in ratios.iter_mut().enumerate() {
            ratios.extend(ratio(&powers, MAINS[index], channel.rate));
        }
    }
    let medians = ratios.iter_mut().zip(MAINS).filter_map(|(ratios, hertz)| Some((hertz, median(ratios)?)));
    match medians.reduce(|a, b| if b.1 > a.1 { b } else { a }) {
        None => (None, None),
        Some((hertz, ratio)) => ((ratio >= STANDS_OUT).then_some(hertz), Some(ratio)),
    }
}

/// Power at a frequency over the mean power beside it; nothing where the rate does not hold all of these.
fn ratio(powers: &[f64; LANES], hertz: u64, rate: Rate) -> Option<f64> {
    let power =
        |hertz: u64| FREQUENCIES.iter().position(|known| *known == hertz).map_or(0.0, |at| powers[at]);
    let beside: f64 = BESIDE.iter().map(|apart| power(hertz.saturating_add_signed(*apart))).sum();
    let highest = hertz.saturating_add_signed(BESIDE[BESIDE.len() - 1]) as f64;
    (rate.as_f64() > 2.0 * highest && beside > 0.0).then(|| power(hertz) * BESIDE.len() as f64 / beside)
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Filters tuned to the frequencies at one rate.
struct Tuned {
    rate: Rate,
    /// 2·cos ω of each frequency.
    twice: [f64; LANES],
    hann: Vec<f64>,
}

impl Tuned {
    fn new(rate: Rate) -> Self {
        let length = STRETCH_S * rate.numerator() / rate.denominator();
        // f Hz turn by f·d/n a sample.
        let turn = |hertz: u64| root(hertz * rate.denominator() % rate.numerator(), rate.numerator())[0];
        let mut twice = [0.0; LANES];
        twice.iter_mut().zip(FREQUENCIES).for_each(|(twice, hertz)| *twice = 2.0 * turn(hertz));
        Self { rate, twice, hann: (0..length).map(|index| 0.5 - 0.5 * root(index, length)[0]).collect() }
    }

    /// The powers of a channel at all frequencies, summed over stretches; nothing where it is flat or too short. A stretch that
    /// lies across a gap holds a step, whose power spreads over all of them alike.
    fn powers(&self, samples: &Digital) -> Option<[f64; LANES]> {
        let length = self.hann.len();
        let count = STRETCHES.0.min(samples.len() / length.max(1));
        if self.rate.as_f64() <= SLOWEST_HZ || count < STRETCHES.1 || samples.is_flat() {
            return None;
        }
        let last = samples.len() - length;
        let mut powers = [0.0; LANES];
        for index in 0..count {
            let start = last / (count - 1) * index;
            let stretch = match samples {
                Digital::I16(samples) => self.windowed(&samples[start..start + length]),
                Digital::I32(samples) => self.windowed(&samples[start..start + length]),
            };
            goertzel(&stretch, &self.twice, &mut powers);
        }
        Some(powers)
    }

    /// Samples less their mean, under the window.
    fn windowed<T: Raw>(&self, samples: &[T]) -> Vec<f64> {
        let mean = samples.iter().map(|sample| (*sample).into()).sum::<f64>() / samples.len() as f64;
        samples.iter().zip(&self.hann).map(|(sample, weight)| ((*sample).into() - mean) * weight).collect()
    }
}

wide! {
    /// Adds |Σ x·e^{−iωn}|² for each 2·cos ω (G. Goertzel, "An algorithm for the evaluation of finite trigonometric
    /// series", Amer. Math. Monthly 65, 1958).
    fn goertzel<>(samples: &[f64], twice: &[f64; LANES], powers: &mut [f64; LANES]) {
        let (mut one, mut two) = ([0.0; LANES], [0.0; LANES]);
        for sample in samples {
            for lane in 0..LANES {
                let next = sample + twice[lane] * one[lane] - two[lane];
                (one[lane], two[lane]) = (next, one[lane]);
            }
        }
        for lane in 0..LANES {
            powers[lane] += one[lane] * one[lane] + two[lane] * two[lane] - twice[lane] * one[lane] * two[lane];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::apply::apply;
    use crate::dsp::select::select;
    use crate::dsp::test_recordings::{brain_brr, channel, header, hertz, noise, recipe, recording};
    use crate::model::recipe::Step;
    use crate::model::recording::Signal;

    const RATE: u64 = 256;

    /// Applies steps to one channel.
    fn made(rate: u64, samples: Vec<i16>, steps: Vec<Step>) -> Signal {
        let mut recipe = recipe(&["Cz"]);
        recipe.steps = steps;
        let selection = select(&[header("Cz", rate)], &recipe).unwrap();
        apply(&recipe, &selection, &recording(vec![channel(0, rate, samples)])).unwrap()
    }

    fn with_mains(hertz: u64, amplitude: f64) -> Vec<i16> {
        let wave = |index: u64| amplitude * root(index * hertz % RATE, RATE)[1];
        noise(3, 40 * RATE as usize).iter().zip(0..).map(|(x, index)| x / 4 + wave(index) as i16).collect()
    }

    #[test]
    fn the_frequencies_are_those_that_the_two_need() {
        let mut needed: Vec<u64> = MAINS
            .iter()
            .flat_map(|hertz| BESIDE.iter().chain(&[0]).map(|apart| hertz.saturating_add_signed(*apart)))
            .collect();
        needed.sort_unstable();
        needed.dedup();
        assert_eq!(needed, FREQUENCIES);
    }

    #[test]
    fn mains_that_stand_out_are_found() {
        for (hertz, amplitude, found) in [
            (50, 400.0, Some(50)),
            (60, 400.0, Some(60)),
            (60, 0.0, None),
            // Beside both.
            (55, 400.0, None),
            (10, 400.0, None),
        ] {
            let quality = made(RATE, with_mains(hertz, amplitude), brain_brr()).quality;
            assert_eq!(quality.mains_hz, found, "{hertz} Hz, {amplitude}: {quality:?}");
        }
        // A sine of 400 over uniform noise of ±256, each with its power in the bins of a Hann window of 512 samples:
        // (400/2)²·512·(1/2)²/(3/8) beside 256²/3.
        let ratio = made(RATE, with_mains(60, 400.0), Vec::new()).quality.mains_ratio.unwrap();
        let expected = 1.0 + (400.0_f64 / 2.0).powi(2) * 512.0 * 0.25 / 0.375 / (256.0_f64.powi(2) / 3.0);
        assert!((ratio / expected - 1.0).abs() < 0.2, "{ratio} beside {expected}");
    }

    #[test]
    fn a_rate_too_low_or_a_recording_too_short_has_no_ratio() {
        for (rate, seconds, has_ratio) in [
            (256, 7, false),
            (256, 8, true),
            (100, 40, false),
            (110, 40, false),
            (128, 40, true),
            (1, 40, false),
        ] {
            let quality = made(rate, noise(3, (rate * seconds) as usize), Vec::new()).quality;
            assert_eq!(quality.mains_ratio.is_some(), has_ratio, "{rate} Hz, {seconds} s");
            assert_eq!(quality.mains_hz, None, "{rate} Hz, {seconds} s");
        }
        let slow = Rate::new(1, 3).unwrap();
        assert!(Tuned::new(slow).powers(&Digital::I16(noise(0, 100))).is_none());
    }

    #[test]
    fn the_filters_give_the_powers_of_the_discrete_transform() {
        let rate = hertz(RATE);
        let (samples, tuned) = (noise(7, 8 * RATE as usize), Tuned::new(rate));
        let found = tuned.powers(&Digital::I16(samples.clone())).unwrap();
        for (hertz, power) in FREQUENCIES.iter().zip(found) {
            let mut expected = 0.0;
            for stretch in samples.chunks(512) {
                let windowed = tuned.windowed(stretch);
                let sum = |part: usize| -> f64 {
                    windowed.iter().zip(0..).map(|(x, n)| x * root(hertz * n % RATE, RATE)[part]).sum()
                };
                expected += sum(0).powi(2) + sum(1).powi(2);
            }
            assert!((power / expected - 1.0).abs() < 1e-9, "{hertz} Hz: {power} {expected}");
        }
    }

    #[test]
    fn samples_that_stay_at_a_limit_or_are_clipped_are_counted() {
        let mut samples = noise(3, 40 * RATE as usize);
        // One alone is an extreme, not saturation.
        samples[7] = -32768;
        samples[1000..2024].fill(32767);
        let steps = vec![Step::Zscore { epsilon: 1e-8 }, Step::Clip { limit: 2.5 }];
        let signal = made(RATE, samples.clone(), steps.clone());
        assert_eq!(signal.quality.saturated["Cz"], rounded(1023.0 / (40.0 * RATE as f64 - 1.0)));
        assert_eq!(signal.quality.clipped, Some(rounded(1025.0 / (40.0 * RATE as f64))));
        let notes: Vec<_> = signal.notes.iter().map(|note| note.text.as_str()).collect();
        assert_eq!(notes, ["samples that stay at a digital limit: `Cz` 10.0 %"]);
        let behind = [steps, vec![Step::Zscore { epsilon: 1e-8 }]].concat();
        assert_eq!(made(RATE, samples, behind).quality.clipped, None, "scaled again behind the clip");
        // No float32 is as large: the limit is infinite there, not the zero that stands for what is not finite.
        let beyond = made(RATE, noise(3, 4000), vec![Step::Clip { limit: 1e300 }]);
        assert_eq!(beyond.quality.clipped, Some(0.0));
        let quiet = made(RATE, noise(3, 4000), Vec::new());
        assert_eq!((quiet.quality.saturated.len(), quiet.quality.clipped), (0, None));
    }

    #[test]
    fn pairs_are_counted_over_every_block() {
        for length in [0, 1, 2, COUNTED - 1, COUNTED, COUNTED + 1, 3 * COUNTED + 2] {
            for value in [-3_i32, 5] {
                assert_eq!(
                    held(&vec![value; length], (5, -3)),
                    (length as u64).saturating_sub(1),
                    "{length}"
                );
            }
            assert_eq!(held(&vec![4_i32; length], (5, -3)), 0);
            assert_eq!(held(&vec![4_i16; length], (-40_000, 40_000)), 0);
        }
    }
}
