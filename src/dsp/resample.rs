//! Change of rate: `scipy.signal.resample` (one transform of the whole channel) and `scipy.signal.resample_poly`.

use crate::dsp::fft::{Complex, Fft};
use crate::dsp::lane::Lane;
use crate::dsp::roots::{Roots, root};
use std::f64::consts::PI;

/// Zero crossings of the low-pass on either side of its centre, in samples of the slower rate.
const HALF_CROSSINGS: u64 = 10;
/// Shape of the Kaiser window, `SciPy`'s default.
const KAISER_BETA: f64 = 5.0;

/// `scipy.signal.resample` from one length to another, prepared.
#[derive(Debug)]
pub(crate) struct Fourier {
    from: Transform,
    to: Transform,
}

/// A real transform of one length: half as long and complex where the length is even.
#[derive(Debug)]
struct Transform {
    len: usize,
    fft: Fft,
    roots: Roots,
}

impl Fourier {
    /// Prepares the change from `from` samples to `to`; both at least 1.
    pub(crate) fn new(from: usize, to: usize) -> Self {
        Self { from: Transform::new(from), to: Transform::new(to) }
    }

    /// Returns the samples at the new length; destroys the old ones.
    pub(crate) fn run<L: Lane>(&self, samples: &mut [L]) -> Vec<L> {
        let bins = self.from.len.min(self.to.len) / 2 + 1;
        let mut spectrum = self.from.forward(samples, bins);
        // SciPy scales the spectrum by to/from and the inverse transform divides by `to`.
        let scale = 1.0 / self.from.len as f64;
        for bin in &mut spectrum {
            *bin = [bin[0] * scale, bin[1] * scale];
        }
        let shorter = self.from.len.min(self.to.len);
        if shorter.is_multiple_of(2) && self.from.len != self.to.len {
            // The bin at half the lower rate stands for both of its signs on one side only.
            let factor = if self.to.len < self.from.len { 2.0 } else { 0.5 };
            let bin = &mut spectrum[shorter / 2];
            *bin = [bin[0] * factor, bin[1] * factor];
        }
        self.to.inverse(&spectrum)
    }
}

impl Transform {
    fn new(len: usize) -> Self {
        let points = if len.is_multiple_of(2) { len / 2 } else { len };
        Self { len, fft: Fft::new(points), roots: Roots::new(len as u64) }
    }

    /// Returns the first `bins` bins, at most len/2 + 1.
    fn forward<L: Lane>(&self, samples: &mut [L], bins: usize) -> Vec<Complex<L>> {
        let points = self.fft.len();
        let mut other = vec![[L::default(); 2]; points];
        let mut scratch = vec![[L::default(); 2]; self.fft.scratch_len()];
        if self.len % 2 == 1 {
            let mut data: Vec<Complex<L>> = samples.iter().map(|x| [*x, L::default()]).collect();
            return self.fft.run(&mut data, &mut other, &mut scratch).0[..bins].to_vec();
        }
        let (halves, _) = samples.as_chunks_mut::<2>();
        let (halves, _) = self.fft.run(halves, &mut other, &mut scratch);
        (0..bins).map(|k| self.untangle(k, halves[k % points], halves[(points - k) % points])).collect()
    }

    /// X\[k\] = E + w·O from Z = E + iO at k and at −k, with w = e^(−2πi·k/len).
    #[inline(always)]
    fn untangle<L: Lane>(&self, k: usize, z: Complex<L>, mirrored: Complex<L>) -> Complex<L> {
        let even = [(z[0] + mirrored[0]) * 0.5, (z[1] - mirrored[1]) * 0.5];
        let odd = [(z[1] + mirrored[1]) * 0.5, (mirrored[0] - z[0]) * 0.5];
        let [cos, sin] = self.roots.get(k as u64);
        [even[0] + odd[0] * cos + odd[1] * sin, even[1] + odd[1] * cos - odd[0] * sin]
    }

    /// Returns Σ X\[k\]·e^(2πi·jk/len) over a spectrum that is Hermitian and zero beyond the given bins.
    fn inverse<L: Lane>(&self, spectrum: &[Complex<L>]) -> Vec<L> {
        let zero = [L::default(); 2];
        // The imaginary parts at zero and at half the rate mean nothing in a real signal (`irfft` drops them too).
        let bin = |k: usize| match spectrum.get(k) {
            Some(bin) if k == 0 || 2 * k == self.len => [bin[0], L::default()],
            Some(bin) => *bin,
            None => zero,
        };
        let points = self.fft.len();
        let mut other = vec![zero; points];
        let mut scratch = vec![zero; self.fft.scratch_len()];
        // Parts are exchanged before and after, so the forward transform is the inverse one.
        if self.len % 2 == 1 {
            let mut data = vec![zero; points];
            for k in 0..=points / 2 {
                let [re, im] = bin(k);
                data[k] = [im, re];
                if k > 0 {
                    data[points - k] = [L::default() - im, re];
                }
            }
            return self.fft.run(&mut data, &mut other, &mut scratch).0.iter().map(|z| z[1]).collect();
        }
        let mut samples = vec![L::default(); self.len];
        let (data, _) = samples.as_chunks_mut::<2>();
        for (k, point) in data.iter_mut().enumerate() {
            let [re, im] = self.tangle(k, bin(k), bin(points - k));
            *point = [im, re];
        }
        let (result, _) = self.fft.run(data, &mut other, &mut scratch);
        result.iter().flat_map(|[im, re]| [*re, *im]).collect()
    }

    /// Z = E + iO (times two) from X at k and at half − k.
    #[inline(always)]
    fn tangle<L: Lane>(&self, k: usize, x: Complex<L>, mirrored: Complex<L>) -> Complex<L> {
        let even = [x[0] + mirrored[0], x[1] - mirrored[1]];
        let turned = [x[0] - mirrored[0], x[1] + mirrored[1]];
        let [cos, sin] = self.roots.get(k as u64);
        let odd = [turned[0] * cos - turned[1] * sin, turned[1] * cos + turned[0] * sin];
        [even[0] - odd[1], even[1] + odd[0]]
    }
}

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

    /// Returns ⌈n·up/down⌉ samples; outside of the channel there are zeros.
    pub(crate) fn run<L: Lane>(&self, samples: &[L]) -> Vec<L> {
        let length = (samples.len() * self.up).div_ceil(self.down);
        (0..length)
            .map(|m| {
                let place = m * self.down + self.half_length;
                // The last sample that this output sees; the earlier ones come before it.
                let (last, taps) = (place / self.up, &self.phases[place % self.up]);
                let first = (last + 1).saturating_sub(taps.len());
                let skipped = taps.len() - (last + 1 - first);
                let seen = &samples[first.min(samples.len())..(last + 1).min(samples.len())];
                let product = seen.iter().zip(&taps[skipped..]);
                product.fold(L::default(), |sum, (sample, tap)| sum + *sample * *tap)
            })
            .collect()
    }
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
    use crate::dsp::lane::Quad;

    fn wave(len: usize) -> Vec<f64> {
        (0..len).map(|i| (i as f64 * 0.37).sin() * 50.0 + f64::from((i * 7919 % 101) as u32)).collect()
    }

    #[test]
    fn a_slow_wave_survives_both_methods() {
        let tone = |n: usize, rate: f64| -> Vec<f64> {
            (0..n).map(|i| (std::f64::consts::TAU * 4.0 * i as f64 / rate).cos()).collect()
        };
        let expected = tone(1024, 256.0);
        let found = Fourier::new(1000, 1024).run(&mut tone(1000, 250.0));
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12));
        let found = Polyphase::new(128, 125).run(&tone(1000, 250.0));
        assert_eq!(found.len(), 1024);
        assert!(found[100..900].iter().zip(&expected[100..900]).all(|(a, b)| (a - b).abs() < 1e-3));
    }

    #[test]
    fn four_channels_equal_four_times_one() {
        for (from, to) in [(1000, 1024), (1001, 513), (514, 1027), (997, 1021)] {
            let channel = wave(from);
            let mut lanes: Vec<Quad> = channel.iter().map(|x| Quad([*x, -x, 1.0, x * 3.0])).collect();
            let alone = Fourier::new(from, to).run(&mut channel.clone());
            let together = Fourier::new(from, to).run(&mut lanes);
            assert_eq!(alone.len(), to);
            assert!(alone.iter().zip(&together).all(|(a, b)| *a == b.get(0)), "{from} {to}");
        }
    }

    #[test]
    fn the_bessel_function_is_right() {
        // Abramowitz & Stegun, table 9.8; I0(5) to 17 digits.
        assert!((bessel_i0(5.0) - 27.239_871_823_604_442).abs() < 1e-14);
        assert_eq!(bessel_i0(0.0), 1.0);
    }
}
