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

    /// Brings the samples to the new length.
    pub(crate) fn run<L: Lane>(&self, samples: &mut Vec<L>, work: &mut Work<L>) {
        let shorter = self.from.len.min(self.to.len);
        self.from.forward(samples, shorter / 2 + 1, work);
        if shorter.is_multiple_of(2) && self.from.len != self.to.len {
            // The bin at half the lower rate stands for both of its signs on one side only.
            let factor = if self.to.len < self.from.len { 2.0 } else { 0.5 };
            let bin = &mut work.spectrum[shorter / 2];
            *bin = [bin[0] * factor, bin[1] * factor];
        }
        self.to.inverse(samples, work);
    }
}

/// Buffers that one channel after another uses.
#[derive(Debug, Default)]
pub(crate) struct Work<L> {
    other: Vec<L>,
    spectrum: Vec<Complex<L>>,
    scratch: Vec<Complex<L>>,
}

impl Transform {
    fn new(len: usize) -> Self {
        let points = if len.is_multiple_of(2) { len / 2 } else { len };
        Self { len, fft: Fft::new(points), roots: Roots::new(len as u64) }
    }

    /// Leaves the first `bins` bins, divided by the length, in the spectrum; at most len/2 + 1.
    ///
    /// `SciPy` scales the spectrum by to/from and the inverse transform divides by `to`: together that is 1/from.
    fn forward<L: Lane>(&self, samples: &mut [L], bins: usize, work: &mut Work<L>) {
        let points = self.fft.len();
        work.scratch.resize(self.fft.scratch_len(), [L::default(); 2]);
        work.spectrum.clear();
        let scale = 1.0 / self.len as f64;
        if self.len % 2 == 1 {
            let mut data: Vec<Complex<L>> = samples.iter().map(|x| [*x * scale, L::default()]).collect();
            let mut other = vec![[L::default(); 2]; points];
            let (result, _) = self.fft.run(&mut data, &mut other, &mut work.scratch);
            work.spectrum.extend_from_slice(&result[..bins]);
            return;
        }
        work.other.resize(self.len, L::default());
        let (data, other) = (samples.as_chunks_mut().0, work.other.as_chunks_mut().0);
        let (halves, _) = self.fft.run(data, other, &mut work.scratch);
        let scale = 0.5 * scale;
        work.spectrum.push(self.untangle(0, halves[0], halves[0], scale));
        let pairs = halves[1..].iter().zip(halves[1..].iter().rev()).take(bins - 1).enumerate();
        work.spectrum.extend(pairs.map(|(k, (z, mirrored))| self.untangle(k + 1, *z, *mirrored, scale)));
        if bins > points {
            work.spectrum.push(self.untangle(points, halves[0], halves[0], scale));
        }
    }

    /// X = E + w·O from Z = E + iO at k and at −k, with w = e^(−2πi·k/len); all times 2·scale.
    #[inline(always)]
    fn untangle<L: Lane>(&self, k: usize, z: Complex<L>, mirrored: Complex<L>, scale: f64) -> Complex<L> {
        let even = [(z[0] + mirrored[0]) * scale, (z[1] - mirrored[1]) * scale];
        let odd = [(z[1] + mirrored[1]) * scale, (mirrored[0] - z[0]) * scale];
        let [cos, sin] = self.roots.get(k as u64);
        [even[0] + odd[0] * cos + odd[1] * sin, even[1] + odd[1] * cos - odd[0] * sin]
    }

    /// Σ X·e^(2πi·jk/len) over the spectrum, which is Hermitian and zero beyond its end.
    ///
    /// Parts are exchanged before and after, so that the forward transform is the inverse one.
    fn inverse<L: Lane>(&self, samples: &mut Vec<L>, work: &mut Work<L>) {
        let zero = [L::default(); 2];
        let points = self.fft.len();
        work.scratch.resize(self.fft.scratch_len(), zero);
        work.spectrum.resize(self.len / 2 + 1, zero);
        // The imaginary parts at zero and at half the rate mean nothing in a real signal (`irfft` drops them too).
        work.spectrum[0][1] = L::default();
        let spectrum = &mut work.spectrum;
        if self.len % 2 == 1 {
            let mut data = vec![zero; points];
            for (k, [re, im]) in spectrum.iter().enumerate() {
                data[(points - k) % points] = [L::default() - *im, *re];
                data[k] = [*im, *re];
            }
            let mut other = vec![zero; points];
            let (result, _) = self.fft.run(&mut data, &mut other, &mut work.scratch);
            samples.clear();
            samples.extend(result.iter().map(|z| z[1]));
            return;
        }
        spectrum[points][1] = L::default();
        samples.resize(self.len, L::default());
        work.other.resize(self.len, L::default());
        let (data, other) = (samples.as_chunks_mut().0, work.other.as_chunks_mut().0);
        let pairs = spectrum.iter().zip(spectrum.iter().rev()).enumerate();
        for (point, (k, (bin, mirrored))) in data.iter_mut().zip(pairs) {
            let [re, im] = self.tangle(k, *bin, *mirrored);
            *point = [im, re];
        }
        self.fft.run(data, other, &mut work.scratch);
        if !self.fft.ends_where_it_began() {
            std::mem::swap(samples, &mut work.other);
        }
        samples.as_chunks_mut().0.iter_mut().for_each(|pair: &mut Complex<L>| pair.swap(0, 1));
    }

    /// Z = E + iO, times two, from X at k and at len/2 − k.
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

    /// Brings the samples to ⌈n·up/down⌉; outside of the channel there are zeros.
    pub(crate) fn run<L: Lane>(&self, samples: &mut Vec<L>, work: &mut Work<L>) {
        let length = (samples.len() * self.up).div_ceil(self.down);
        work.other.clear();
        work.other.reserve(length);
        let (mut last, mut phase) = (self.half_length / self.up, self.half_length % self.up);
        for _ in 0..length {
            work.other.push(self.output(samples, last, phase));
            phase += self.down;
            last += phase / self.up;
            phase %= self.up;
        }
        std::mem::swap(samples, &mut work.other);
    }

    /// One output sample: the last input sample that it sees has the index `last`.
    #[inline(always)]
    fn output<L: Lane>(&self, samples: &[L], last: usize, phase: usize) -> L {
        let taps = &self.phases[phase];
        let first = (last + 1).saturating_sub(taps.len());
        let skipped = taps.len() - (last + 1 - first);
        let seen = &samples[first.min(samples.len())..(last + 1).min(samples.len())];
        seen.iter().zip(&taps[skipped..]).fold(L::default(), |sum, (sample, tap)| sum + *sample * *tap)
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
        let mut found = tone(1000, 250.0);
        Fourier::new(1000, 1024).run(&mut found, &mut Work::default());
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12));
        let mut found = tone(1000, 250.0);
        Polyphase::new(128, 125).run(&mut found, &mut Work::default());
        assert_eq!(found.len(), 1024);
        assert!(found[100..900].iter().zip(&expected[100..900]).all(|(a, b)| (a - b).abs() < 1e-3));
    }

    #[test]
    fn four_channels_equal_four_times_one() {
        for (from, to) in [(1000, 1024), (1001, 513), (514, 1027), (997, 1021)] {
            let mut alone = wave(from);
            let mut together: Vec<Quad> = alone.iter().map(|x| Quad([*x, -x, 1.0, x * 3.0])).collect();
            Fourier::new(from, to).run(&mut alone, &mut Work::default());
            Fourier::new(from, to).run(&mut together, &mut Work::default());
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
