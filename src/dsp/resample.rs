//! Change of rate by whole factors: `scipy.signal.resample_poly`, each output sample a weighted sum of its neighbours.

use crate::dsp::buffer::Buffer;
use crate::dsp::fourier::Work;
use crate::dsp::lane::Lane;
use crate::dsp::roots::root;
use crate::dsp::wide::{each, wide};
use std::f64::consts::PI;

/// Zero crossings of the low-pass on either side of its centre, in samples of the slower rate.
const HALF_CROSSINGS: u64 = 10;
/// Output samples that are computed at a time, all of one phase, which meet the same taps.
const TOGETHER: usize = 8;
/// Shape of the Kaiser window, `SciPy`'s default.
const KAISER_BETA: f64 = 5.0;

/// `scipy.signal.resample_poly` by up/down with its default window, prepared.
#[derive(Debug)]
pub(crate) struct Polyphase {
    up: usize,
    down: usize,
    half_length: usize,
    /// For each of the `up` phases its taps in the order in which samples meet them.
    phases: Vec<Vec<f64>>,
}

impl Polyphase {
    /// Prepares the factor up/down, reduced.
    pub(crate) fn new(up: u64, down: u64) -> Self {
        let half = HALF_CROSSINGS * up.max(down);
        let taps = low_pass(half, up.max(down), up as f64);
        let phases = (0..up as usize)
            .map(|phase| taps.iter().skip(phase).step_by(up as usize).copied().rev().collect())
            .collect();
        Self { up: up as usize, down: down as usize, half_length: half as usize, phases }
    }

    /// Brings the samples to ⌈n·up/down⌉; outside of the channel there are zeros.
    pub(crate) fn run<L: Lane>(&self, samples: &mut Buffer<L>, work: &mut Work<L>) {
        let length = (samples.len() * self.up).div_ceil(self.down);
        work.other.fit(length);
        outputs(self, samples, &mut work.other);
        std::mem::swap(samples, &mut work.other);
    }

    /// The last input sample that an output sample sees, and its phase.
    fn place(&self, output: usize) -> (usize, usize) {
        let at = self.half_length + output * self.down;
        (at / self.up, at % self.up)
    }

    /// The outputs from which on, and before which, all that is seen lies within the channel.
    fn inner(&self, samples: usize, outputs: usize) -> [usize; 2] {
        let longest = self.phases.iter().map(Vec::len).max().unwrap_or(0);
        let first = (longest * self.up).saturating_sub(self.half_length).div_ceil(self.down);
        let behind = (samples * self.up).saturating_sub(self.half_length).div_ceil(self.down);
        [first, behind.min(outputs)]
    }
}

wide! {
    /// Computes all outputs: those whose neighbours all lie within the channel some at a time, a whole cycle of phases apart.
    fn outputs<L: Lane>(plan: &Polyphase, samples: &[L], to: &mut [L]) {
        let [first, behind] = plan.inner(samples.len(), to.len());
        let many = TOGETHER * plan.up;
        let (whole, rest) = (plan.down / plan.up, plan.down % plan.up);
        let cycles = behind.saturating_sub(first) / many;
        for cycle in 0..cycles {
            let begin = first + cycle * many;
            let (mut last, mut phase) = plan.place(begin);
            for output in begin..begin + plan.up {
                let taps = &plan.phases[phase];
                let seen = &samples[last + 1 - taps.len()..];
                let sums = sums(seen, plan.down, taps);
                each!(TOGETHER, k, {
                    to[output + k * plan.up] = sums[k];
                });
                // As `place`, without its divisions.
                last += whole;
                phase += rest;
                if phase >= plan.up {
                    (last, phase) = (last + 1, phase - plan.up);
                }
            }
        }
        for output in (0..first.min(to.len())).chain(first + cycles * many..to.len()) {
            to[output] = sum(samples, &plan.phases, plan.place(output));
        }
    }
}

/// Weighted sums of samples that lie `apart` from one sum to the next, each in the order of its samples. A sum waits for the
/// one before it, so several go side by side.
#[inline(always)]
fn sums<L: Lane>(samples: &[L], apart: usize, taps: &[f64]) -> [L; TOGETHER] {
    let mut seen = [&samples[..0]; TOGETHER];
    each!(TOGETHER, k, {
        seen[k] = &samples[k * apart..][..taps.len()];
    });
    let mut sums = [L::default(); TOGETHER];
    // Two taps a turn: so half of the addresses have to be computed.
    let (pairs, single) = taps.as_chunks::<2>();
    for (i, [one, two]) in pairs.iter().enumerate() {
        let (one, two) = (L::splat(*one), L::splat(*two));
        each!(TOGETHER, k, {
            let [first, second] = seen[k].as_chunks::<2>().0[i];
            sums[k] = sums[k] + first * one;
            sums[k] = sums[k] + second * two;
        });
    }
    if let [tap] = single {
        each!(TOGETHER, k, {
            sums[k] = sums[k] + seen[k][taps.len() - 1] * *tap;
        });
    }
    sums
}

/// One weighted sum of the samples up to `last`, as far as there are any.
#[inline(always)]
fn sum<L: Lane>(samples: &[L], phases: &[Vec<f64>], (last, phase): (usize, usize)) -> L {
    let taps = &phases[phase];
    let first = (last + 1).saturating_sub(taps.len());
    let skipped = taps.len() - (last + 1 - first);
    let seen = &samples[first.min(samples.len())..(last + 1).min(samples.len())];
    let mut sum = L::default();
    for (sample, tap) in seen.iter().zip(&taps[skipped..]) {
        sum = sum + *sample * *tap;
    }
    sum
}

/// `firwin(2·half + 1, 1/slowest, window=("kaiser", 5.0)) · gain`: the sum of its taps is `gain`.
fn low_pass(half: u64, slowest: u64, gain: f64) -> Vec<f64> {
    let one_side: Vec<f64> = (0..=half)
        .map(|m| {
            let [_, sin] = root(m, 2 * slowest);
            let sinc = if m == 0 { 1.0 } else { sin / (PI * m as f64 / slowest as f64) };
            let place = m as f64 / half as f64;
            sinc * bessel_i0(KAISER_BETA * (1.0 - place * place).sqrt())
        })
        .collect();
    let taps: Vec<f64> = one_side[1..].iter().rev().chain(&one_side).copied().collect();
    let sum: f64 = taps.iter().sum();
    taps.iter().map(|tap| tap / sum * gain).collect()
}

/// Modified Bessel function of the first kind, order 0: Σ (x²/4)^k / k!². All terms are positive, nothing cancels.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..60 {
        term *= quarter / f64::from(k * k);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_wave_survives() {
        let tone = |n: usize, rate: f64| -> Vec<f64> {
            (0..n).map(|i| (std::f64::consts::TAU * 4.0 * i as f64 / rate).cos()).collect()
        };
        let (mut found, expected) = (Buffer::from(tone(1000, 250.0)), tone(1024, 256.0));
        Polyphase::new(128, 125).run(&mut found, &mut Work::default());
        assert_eq!(found.len(), 1024);
        assert!(found[100..900].iter().zip(&expected[100..900]).all(|(a, b)| (a - b).abs() < 1e-3));
    }

    #[test]
    fn outputs_some_at_a_time_equal_each_by_itself() {
        for (up, down) in [(128, 125), (16, 25), (1, 2), (1, 4), (2, 1), (125, 128), (64, 1)] {
            let plan = Polyphase::new(up, down);
            for length in [2_usize, 21, 100, 1000, 4003] {
                let wave: Vec<f64> =
                    (0..length).map(|i| f64::from((i * 7919 % 613) as u32) - 300.5).collect();
                let mut found = Buffer::from(wave.clone());
                plan.run(&mut found, &mut Work::default());
                assert_eq!(found.len(), (length * up as usize).div_ceil(down as usize));
                for (output, found) in found.iter().enumerate() {
                    let expected = sum(&wave, &plan.phases, plan.place(output));
                    assert_eq!(found.to_bits(), expected.to_bits(), "{up}/{down}, {length}: {output}");
                }
            }
        }
    }

    #[test]
    fn the_bessel_function_is_right() {
        // Abramowitz & Stegun, table 9.8; I0(5) to 17 digits.
        assert!((bessel_i0(5.0) - 27.239_871_823_604_442).abs() < 1e-14);
        assert_eq!(bessel_i0(0.0), 1.0);
    }
}
