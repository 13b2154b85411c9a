//! Change of rate by `scipy.signal.resample`: one transform of the whole channel, bins cut off or added, one transform back.
//!
//! Where both lengths have a good common divisor, as whole seconds of usual rates do, `folded` does it in three sweeps over
//! the memory, and `halved` with two thirds of the work to half as many samples. Else a real transform of each length is made
//! of a complex one.

use crate::dsp::buffer::Buffer;
use crate::dsp::fft::{Complex, Fft, LARGEST_RADIX, factors};
use crate::dsp::folded::Folded;
use crate::dsp::halved::Halved;
use crate::dsp::lane::Lane;
use crate::dsp::roots::Roots;

/// `scipy.signal.resample` from one length to another, prepared.
#[derive(Debug)]
pub(crate) enum Fourier {
    /// To half as many samples.
    Halved(Halved),
    /// Through a common divisor.
    Folded(Folded),
    /// One real transform of each length.
    Whole(Box<[Transform; 2]>),
}

/// Buffers that one channel after another uses.
#[derive(Debug, Default)]
pub(crate) struct Work<L> {
    pub(crate) other: Buffer<L>,
    pub(crate) spectrum: Vec<Complex<L>>,
    /// Of complex numbers.
    pub(crate) scratch: Buffer<L>,
    pub(crate) odd: Buffer<L>,
}

/// Points of the complex transform that a real one is made of.
fn points(len: usize) -> usize {
    if len.is_multiple_of(2) { len / 2 } else { len }
}

/// The prime factor of those points that becomes a convolution, or 0.
fn convolved(len: usize) -> usize {
    factors(points(len)).last().copied().filter(|prime| *prime > LARGEST_RADIX).unwrap_or(0)
}

/// Empties a vector and gives it room: first the old memory goes, then the new one comes.
fn make_room<T>(vector: &mut Vec<T>, length: usize) {
    vector.clear();
    if vector.capacity() < length {
        *vector = Vec::new();
        vector.reserve_exact(length);
    }
}

/// A real transform of one length: half as long and complex where the length is even.
#[derive(Debug)]
pub(crate) struct Transform {
    len: usize,
    fft: Fft,
    roots: Roots,
}

impl Fourier {
    /// Returns how many samples at most lie in buffers beside a channel on the way from `from` samples to `to`.
    pub(crate) fn buffers(from: usize, to: usize) -> u64 {
        let longer = from.max(to);
        if Self::folds(from, to) {
            return longer as u64;
        }
        // The spectrum; another buffer where a length is even, else what the complex transform is made of and becomes.
        let most = |is_odd: usize| [from, to].into_iter().filter(|len| len % 2 == is_odd).max().unwrap_or(0);
        // A convolution of up to 2.2 times as many complex points, twice, beside two buffers of a split transform.
        let prime = convolved(from).max(convolved(to));
        (longer + 2 + most(0) + 4 * most(1) + 13 * prime) as u64
    }

    /// Returns how many twiddles at most are kept for the change.
    pub(crate) fn twiddles(from: usize, to: usize) -> u64 {
        if Self::folds(from, to) {
            return u64::midpoint(from as u64, to as u64);
        }
        // Of a convolution the chirp, the kernel and its transform, and the twiddles of that.
        [from, to].map(|len| (points(len) + 12 * convolved(len)) as u64).iter().sum()
    }

    fn folds(from: usize, to: usize) -> bool {
        Folded::divisor(from, to).is_some()
    }

    /// Prepares the change from `from` samples to `to`; both at least 1.
    pub(crate) fn new(from: usize, to: usize) -> Self {
        if let Some(halved) = Halved::new(from, to) {
            Self::Halved(halved)
        } else if let Some(folded) = Folded::new(from, to) {
            Self::Folded(folded)
        } else {
            Self::whole(from, to)
        }
    }

    fn whole(from: usize, to: usize) -> Self {
        Self::Whole(Box::new([from, to].map(Transform::new)))
    }

    /// Brings the samples to the new length.
    pub(crate) fn run<L: Lane>(&self, samples: &mut Buffer<L>, work: &mut Work<L>) {
        let (from, to) = match self {
            Self::Halved(halved) => return halved.run(samples, work),
            Self::Folded(folded) => return folded.run(samples, work),
            Self::Whole(transforms) => (&transforms[0], &transforms[1]),
        };
        let shorter = from.len.min(to.len);
        make_room(&mut work.spectrum, from.len.max(to.len) / 2 + 1);
        from.forward(samples, shorter / 2 + 1, work);
        if shorter.is_multiple_of(2) && from.len != to.len {
            // The bin at half the lower rate stands for both of its signs on one side only.
            let factor = if to.len < from.len { 2.0 } else { 0.5 };
            let bin = &mut work.spectrum[shorter / 2];
            *bin = [bin[0] * factor, bin[1] * factor];
        }
        to.inverse(samples, work);
    }
}

impl Transform {
    fn new(len: usize) -> Self {
        Self { len, fft: Fft::new(points(len)), roots: Roots::new(len as u64) }
    }

    /// Leaves the first `bins` bins, divided by the length, in the spectrum; at most len/2 + 1.
    ///
    /// `SciPy` scales the spectrum by to/from and the inverse transform divides by `to`: together that is 1/from.
    fn forward<L: Lane>(&self, samples: &mut [L], bins: usize, work: &mut Work<L>) {
        let points = self.fft.len();
        work.scratch.fit(2 * self.fft.scratch_len(1));
        work.spectrum.clear();
        let scale = 1.0 / self.len as f64;
        if self.len % 2 == 1 {
            let mut data: Vec<Complex<L>> = samples.iter().map(|x| [*x * scale, L::default()]).collect();
            let mut other = vec![[L::default(); 2]; points];
            let (result, _) = self.fft.run(1, &mut data, &mut other, work.scratch.as_chunks_mut().0);
            work.spectrum.extend_from_slice(&result[..bins]);
            return;
        }
        work.other.fit(self.len);
        let (data, other) = (samples.as_chunks_mut().0, work.other.as_chunks_mut().0);
        let (halves, _) = self.fft.run(1, data, other, work.scratch.as_chunks_mut().0);
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
    fn inverse<L: Lane>(&self, samples: &mut Buffer<L>, work: &mut Work<L>) {
        let zero = [L::default(); 2];
        let points = self.fft.len();
        work.scratch.fit(2 * self.fft.scratch_len(1));
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
            let (result, _) = self.fft.run(1, &mut data, &mut other, work.scratch.as_chunks_mut().0);
            samples.fit(self.len);
            samples.iter_mut().zip(result).for_each(|(sample, z)| *sample = z[1]);
            return;
        }
        spectrum[points][1] = L::default();
        samples.fit(self.len);
        work.other.fit(self.len);
        let (data, other) = (samples.as_chunks_mut().0, work.other.as_chunks_mut().0);
        let pairs = spectrum.iter().zip(spectrum.iter().rev()).enumerate();
        for (point, (k, (bin, mirrored))) in data.iter_mut().zip(pairs) {
            let [re, im] = self.tangle(k, *bin, *mirrored);
            *point = [im, re];
        }
        self.fft.run(1, data, other, work.scratch.as_chunks_mut().0);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::lane::Quad;
    use crate::dsp::wide::{Width, narrowed};

    fn wave(len: usize) -> Vec<f64> {
        (0..len).map(|i| (i as f64 * 0.37).sin() * 50.0 + f64::from((i * 7919 % 101) as u32)).collect()
    }

    /// Usual rates over whole seconds, odd and prime ones too, up and down, and lengths with nothing in common.
    const LENGTHS: [(usize, usize); 18] = [
        (1000, 1024),
        (1001, 513),
        (514, 1027),
        (997, 1021),
        (250 * 37, 256 * 37),
        (512 * 41, 256 * 41),
        (250 * 31, 125 * 31),
        (512 * 743, 256 * 743),
        (400 * 63, 256 * 63),
        (256 * 61, 250 * 61),
        (125 * 47, 128 * 47),
        (81 * 7, 27 * 7),
        (45 * 14, 35 * 14),
        (35 * 26, 45 * 26),
        (1200, 1200),
        (250 * 134, 256 * 134),
        (125 * 134, 128 * 134),
        (2 * 101, 3 * 101),
    ];

    #[test]
    fn a_slow_wave_survives() {
        let tone = |n: usize, rate: f64| -> Vec<f64> {
            (0..n).map(|i| (std::f64::consts::TAU * 4.0 * i as f64 / rate).cos()).collect()
        };
        let mut found = Buffer::from(tone(1000, 250.0));
        Fourier::new(1000, 1024).run(&mut found, &mut Work::default());
        assert!(found.iter().zip(&tone(1024, 256.0)).all(|(a, b)| (a - b).abs() < 1e-12));
    }

    #[test]
    fn four_channels_equal_four_times_one_and_narrow_equals_wide() {
        for (from, to) in LENGTHS {
            let mut alone = Buffer::from(wave(from));
            let together: Vec<Quad> = alone.iter().map(|x| Quad([*x, -x, 1.0, x * 3.0])).collect();
            let mut together = Buffer::from(together);
            let original = together.clone();
            let plan = Fourier::new(from, to);
            plan.run(&mut alone, &mut Work::default());
            plan.run(&mut together, &mut Work::default());
            assert_eq!(alone.len(), to);
            assert!(alone.iter().zip(&*together).all(|(a, b)| *a == b.get(0)), "{from} {to}");
            for width in [Width::Baseline, Width::Avx2] {
                let mut narrow = original.clone();
                narrowed(width, || plan.run(&mut narrow, &mut Work::default()));
                assert_eq!(*together, *narrow, "{from} {to} {width:?}");
            }
        }
    }

    #[test]
    fn both_ways_agree() {
        for (from, to) in LENGTHS {
            let plans =
                [Folded::new(from, to).map(Fourier::Folded), Halved::new(from, to).map(Fourier::Halved)];
            if plans[0].is_none() {
                assert!([(1001, 513), (514, 1027), (997, 1021)].contains(&(from, to)), "{from} {to}");
            }
            assert_eq!(plans[1].is_some(), from == 2 * to, "{from} {to}");
            let mut whole = Buffer::from(wave(from));
            Fourier::whole(from, to).run(&mut whole, &mut Work::default());
            for plan in plans.into_iter().flatten() {
                let mut other = Buffer::from(wave(from));
                plan.run(&mut other, &mut Work::default());
                let error = other.iter().zip(&*whole).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(other.len() == to && error < 1e-12, "{from} {to}: {error:e}");
            }
        }
    }
}
