//! Change of rate by whole factors: `scipy.signal.resample_poly`, each output sample a weighted sum of its neighbours.

use crate::dsp::fourier::{Work, fit};
use crate::dsp::lane::Lane;
use crate::dsp::roots::root;
use crate::dsp::wide::wide;
use std::f64::consts::PI;

/// Zero crossings of the low-pass on either side of its centre, in samples of the slower rate.
const HALF_CROSSINGS: u64 = 10;
/// Output samples that are computed at a time.
const TOGETHER: usize = 4;
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
    pub(crate) fn run<L: Lane>(&self, samples: &mut Vec<L>, work: &mut Work<L>) {
        let length = (samples.len() * self.up).div_ceil(self.down);
        fit(&mut work.other, length);
        outputs(self, samples, &mut work.other);
        std::mem::swap(samples, &mut work.other);
    }

    /// The input samples that one output sample sees, the last of which has the index `last`, and their taps.
    #[inline(always)]
    fn seen<'a, L: Lane>(&'a self, samples: &'a [L], (last, phase): (usize, usize)) -> (&'a [L], &'a [f64]) {
        let taps = &self.phases[phase];
        let first = (last + 1).saturating_sub(taps.len());
        let skipped = taps.len() - (last + 1 - first);
        let seen = &samples[first.min(samples.len())..(last + 1).min(samples.len())];
        (seen, &taps[skipped..][..seen.len()])
    }
}

wide! {
    fn outputs<L: Lane>(plan: &Polyphase, samples: &[L], to: &mut [L]) {
        let mut place = (plan.half_length / plan.up, plan.half_length % plan.up);
        for to in to.chunks_mut(TOGETHER) {
            let mut seen = [(&samples[..0], &plan.phases[0][..0]); TOGETHER];
            for seen in &mut seen[..to.len()] {
                *seen = plan.seen(samples, place);
                let phase = place.1 + plan.down;
                place = (place.0 + phase / plan.up, phase % plan.up);
            }
            to.copy_from_slice(&sums(seen)[..to.len()]);
        }
    }
}

/// Some weighted sums, each in the order of its samples. A sum waits for the one before it, so several go side by side.
#[inline(always)]
fn sums<L: Lane>(seen: [(&[L], &[f64]); TOGETHER]) -> [L; TOGETHER] {
    let common = seen[1..].iter().fold(seen[0].0.len(), |common, (samples, _)| common.min(samples.len()));
    let mut sums = [L::default(); TOGETHER];
    let begun = seen.map(|(samples, taps)| (&samples[..common], &taps[..common]));
    for i in 0..common {
        for (sum, (samples, taps)) in sums.iter_mut().zip(begun) {
            *sum = *sum + samples[i] * taps[i];
        }
    }
    for (sum, (samples, taps)) in sums.iter_mut().zip(seen) {
        for (sample, tap) in samples[common..].iter().zip(&taps[common..]) {
            *sum = *sum + *sample * *tap;
        }
    }
    sums
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
        let (mut found, expected) = (tone(1000, 250.0), tone(1024, 256.0));
        Polyphase::new(128, 125).run(&mut found, &mut Work::default());
        assert_eq!(found.len(), 1024);
        assert!(found[100..900].iter().zip(&expected[100..900]).all(|(a, b)| (a - b).abs() < 1e-3));
    }

    #[test]
    fn the_bessel_function_is_right() {
        // Abramowitz & Stegun, table 9.8; I0(5) to 17 digits.
        assert!((bessel_i0(5.0) - 27.239_871_823_604_442).abs() < 1e-14);
        assert_eq!(bessel_i0(0.0), 1.0);
    }
}
