//! Halved: `scipy.signal.resample` to half as many samples, with two transforms of half the length instead of three.
//!
//! The bins below half of the new rate are those of the even samples and those of the odd ones, turned; so each result is the
//! mean of an even sample and of what lies between its odd neighbours on the wave through all odd samples. Only the
//! latter takes transforms. What the even samples hold at half of the new rate counts twice, as in `SciPy`; what the odd ones hold
//! there does not count.

use crate::dsp::buffer::Buffer;
use crate::dsp::folded::Folded;
use crate::dsp::fourier::Work;
use crate::dsp::lane::Lane;
use crate::dsp::wide::wide;

/// The change of length, prepared.
#[derive(Debug)]
pub(crate) struct Halved {
    between: Folded,
}

impl Halved {
    /// Prepares the change from n to m samples, where m is half of n and transforms of m are made of short ones.
    pub(crate) fn new(n: usize, m: usize) -> Option<Self> {
        let between = (n == 2 * m).then(|| Folded::delayed(m))??;
        Some(Self { between })
    }

    /// Brings the samples to the new length.
    pub(crate) fn run<L: Lane>(&self, samples: &mut Buffer<L>, work: &mut Work<L>) {
        let length = samples.len() / 2;
        let mut odd = std::mem::take(&mut work.odd);
        odd.fit(length);
        let mut alternating = L::default();
        part(samples, &mut odd, &mut alternating);
        self.between.run(&mut odd, work);
        let fastest =
            if length.is_multiple_of(2) { alternating * (0.5 / length as f64) } else { L::default() };
        join(samples, &odd, fastest);
        samples.truncate(length);
        work.odd = odd;
    }
}

wide! {
    /// Takes the odd samples out, and the sum of the even ones with alternating signs.
    fn part<L: Lane>(samples: &[L], odd: &mut [L], alternating: &mut L) {
        let mut sign = 1.0;
        for ([even, next], odd) in samples.as_chunks().0.iter().zip(odd) {
            *odd = *next;
            *alternating = *alternating + *even * sign;
            sign = -sign;
        }
    }
}

wide! {
    /// Puts half of the even samples, what lies between the odd ones, and a wave at half the rate into the first half.
    fn join<L: Lane>(samples: &mut [L], between: &[L], fastest: L) {
        let mut fastest = fastest;
        for (at, between) in between.iter().enumerate() {
            samples[at] = samples[2 * at] * 0.5 + *between + fastest;
            fastest = fastest * -1.0;
        }
    }
}
