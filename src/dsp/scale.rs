//! Normalisation and clipping, and the sums behind them.
//!
//! Sums run over blocks of fixed length, then pairwise over the blocks, each channel by itself: the order of additions
//! depends on the length only, and the error stays as small as that of `NumPy`'s pairwise sums.

use crate::dsp::lane::Lane;
use crate::dsp::wide::{each, wide};

/// Samples of a block.
const BLOCK: usize = 256;
/// Blocks that are summed side by side.
const BESIDE: usize = 4;
/// Samples of as many blocks as are summed side by side.
pub(crate) const SUMMED_AT_ONCE: usize = BESIDE * BLOCK;
/// Additions that go side by side.
const CHAINS: usize = 4;

/// What a normalisation subtracts and divides by.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Scale<L> {
    /// Subtracted first.
    pub(crate) centre: L,
    /// Divided by then.
    pub(crate) divisor: L,
}

/// Mean and Σ (x − mean)² of some samples.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Moments<L> {
    /// The mean.
    pub(crate) mean: L,
    /// Σ (x − mean)².
    pub(crate) squares: L,
}

impl<L: Lane> Moments<L> {
    /// Returns the moments of at least one sample, whose mean may be known.
    pub(crate) fn of(samples: &[L], known: Option<L>) -> Self {
        let mean = known.unwrap_or_else(|| mean(samples));
        Self { mean, squares: squares(samples, mean) }
    }
}

/// Returns the moments of at least one sample in one pass instead of two, right to some ten digits.
///
/// The sums are those of distances from the mean of the first block, so that an offset does not outweigh them.
pub(crate) fn rough_moments<L: Lane>(samples: &[L]) -> Moments<L> {
    let shift = mean(&samples[..samples.len().min(BLOCK)]);
    let mut sums = vec![[L::default(); 2]; samples.len().div_ceil(BLOCK)];
    block_moments(samples, shift, &mut sums);
    let [sum, squares] = [0, 1].map(|which| sums.iter().fold(L::default(), |sum, block| sum + block[which]));
    let apart = sum * (1.0 / samples.len() as f64);
    Moments { mean: shift + apart, squares: squares - apart * sum }
}

wide! {
    fn block_moments<L: Lane>(samples: &[L], shift: L, sums: &mut [[L; 2]]) {
        // Four chains of additions each, which need not wait for each other.
        for (samples, sums) in samples.chunks(BLOCK).zip(sums) {
            let (mut sum, mut squares) = ([L::default(); CHAINS], [L::default(); CHAINS]);
            let (fours, rest) = samples.as_chunks::<4>();
            for four in fours {
                each!(CHAINS, k, {
                    let apart = four[k] - shift;
                    sum[k] = sum[k] + apart;
                    squares[k] = squares[k] + apart * apart;
                });
            }
            for sample in rest {
                let apart = *sample - shift;
                sum[0] = sum[0] + apart;
                squares[0] = squares[0] + apart * apart;
            }
            *sums = [sum, squares].map(|of| (of[0] + of[1]) + (of[2] + of[3]));
        }
    }
}

/// Returns the mean.
pub(crate) fn mean<L: Lane>(samples: &[L]) -> L {
    let mut sums = Vec::with_capacity(samples.len().div_ceil(BLOCK));
    add_sums(samples, &mut sums);
    mean_of(&sums, samples.len())
}

/// Adds the sums of the blocks of some samples, of which there are `SUMMED_AT_ONCE` unless they are the last ones.
pub(crate) fn add_sums<L: Lane>(samples: &[L], sums: &mut Vec<L>) {
    let before = sums.len();
    sums.resize(before + samples.len().div_ceil(BLOCK), L::default());
    block_sums(samples, &mut sums[before..]);
}

/// Returns the mean of samples of whose blocks these are the sums.
pub(crate) fn mean_of<L: Lane>(sums: &[L], samples: usize) -> L {
    total(sums, samples) * (1.0 / samples as f64)
}

/// Returns Σ (x − mean)².
pub(crate) fn squares<L: Lane>(samples: &[L], mean: L) -> L {
    let mut sums = vec![L::default(); samples.len().div_ceil(BLOCK)];
    block_squares(samples, mean, &mut sums);
    total(&sums, samples.len())
}

/// Adds the sums of blocks pairwise.
fn total<L: Lane>(sums: &[L], samples: usize) -> L {
    if samples <= BLOCK {
        return sums.first().copied().unwrap_or_default();
    }
    let half = samples.div_ceil(2).next_multiple_of(BLOCK).min(samples);
    let (left, right) = sums.split_at(half / BLOCK);
    total(left, half) + total(right, samples - half)
}

wide! {
    fn block_sums<L: Lane>(samples: &[L], sums: &mut [L]) {
        each_block(samples, sums, &Plain);
    }
}

wide! {
    fn block_squares<L: Lane>(samples: &[L], mean: L, sums: &mut [L]) {
        each_block(samples, sums, &Squared(mean));
    }
}

/// What is summed. (A type, not a function value: a call through one would stay narrow.)
trait Term<L> {
    fn of(&self, sample: L) -> L;
}

struct Plain;
struct Squared<L>(L);

impl<L: Lane> Term<L> for Plain {
    #[inline(always)]
    fn of(&self, sample: L) -> L {
        sample
    }
}

impl<L: Lane> Term<L> for Squared<L> {
    #[inline(always)]
    fn of(&self, sample: L) -> L {
        let apart = sample - self.0;
        apart * apart
    }
}

/// Sums every block from its first sample to its last; four blocks at once, whose additions need not wait for each other.
#[inline(always)]
fn each_block<L: Lane>(samples: &[L], sums: &mut [L], term: &impl Term<L>) {
    for (samples, sums) in samples.chunks(SUMMED_AT_ONCE).zip(sums.chunks_mut(BESIDE)) {
        if samples.len() == SUMMED_AT_ONCE {
            let (mut four, step) = ([L::default(); BESIDE], BLOCK);
            for i in 0..BLOCK {
                for k in 0..BESIDE {
                    four[k] = four[k] + term.of(samples[step * k + i]);
                }
            }
            sums.copy_from_slice(&four);
        } else {
            for (block, sum) in samples.chunks(BLOCK).zip(sums) {
                for sample in block {
                    *sum = *sum + term.of(*sample);
                }
            }
        }
    }
}

/// A normalisation that is still to be done: subtract, divide, then limit to ±limit (no limit is an infinite one).
///
/// The last one of a recipe happens on the way out, so that the samples are not written and read once more for it.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Norm<L> {
    /// What is subtracted and divided by.
    pub(crate) scale: Scale<L>,
    /// Largest magnitude that stays.
    pub(crate) limit: f64,
}

impl<L: Lane> Norm<L> {
    /// Returns the normalised sample.
    #[inline(always)]
    pub(crate) fn of(&self, sample: L) -> L {
        ((sample - self.scale.centre) / self.scale.divisor).limited(self.limit)
    }
}

/// Scale of (x − mean) / (std + ε) over so many samples; ddof 0.
pub(crate) fn zscore<L: Lane>(moments: Moments<L>, samples: usize, epsilon: f64) -> Scale<L> {
    let variance = moments.squares * (1.0 / samples as f64);
    Scale { centre: moments.mean, divisor: variance.map(|v| v.sqrt() + epsilon) }
}

/// Scale of (x − median) / (IQR + ε).
pub(crate) fn robust<L: Lane>(samples: &[L], epsilon: f64) -> Scale<L> {
    let (mut centre, mut divisor) = (L::default(), L::default());
    for channel in 0..L::WIDTH {
        let mut values: Vec<f64> = samples.iter().map(|lane| lane.get(channel)).collect();
        values.sort_unstable_by(f64::total_cmp);
        centre.set(channel, median(&values));
        divisor.set(channel, quantile(&values, 3) - quantile(&values, 1) + epsilon);
    }
    Scale { centre, divisor }
}

wide! {
    /// Normalises in place.
    pub(crate) fn normalise<L: Lane>(samples: &mut [L], norm: Norm<L>) {
        for sample in samples {
            *sample = norm.of(*sample);
        }
    }
}

wide! {
    /// Limits to ±limit in place.
    pub(crate) fn clip<L: Lane>(samples: &mut [L], limit: f64) {
        for sample in samples {
            *sample = sample.limited(limit);
        }
    }
}

/// `numpy.median` of sorted values.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// `numpy.percentile(…, 25·quarters)` of sorted values, linear between neighbours.
fn quantile(sorted: &[f64], quarters: usize) -> f64 {
    let place = quarters * (sorted.len() - 1);
    let (low, share) = (sorted[place / 4], (place % 4) as f64 / 4.0);
    let high = sorted[(place / 4 + 1).min(sorted.len() - 1)];
    // NumPy interpolates from the nearer neighbour.
    if share < 0.5 { low + (high - low) * share } else { high - (high - low) * (1.0 - share) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::lane::Quad;

    #[test]
    fn statistics_are_right_for_every_length() {
        for len in [2_usize, 3, 255, 256, 257, 1000, 4097, 70_001] {
            let mut samples: Vec<f64> = (0..len).map(|i| 1e6 + f64::from((i * 7919 % 1009) as u32)).collect();
            let exact: f64 = samples.iter().map(|x| x - 1e6).sum::<f64>() / len as f64 + 1e6;
            let (moments, rough) = (Moments::of(&samples, None), rough_moments(&samples));
            let found = zscore(moments, len, 1e-8);
            normalise(&mut samples, Norm { scale: found, limit: f64::INFINITY });
            assert!((found.centre / exact - 1.0).abs() < 1e-14, "{len}");
            assert!((rough.mean / exact - 1.0).abs() < 1e-12, "{len}");
            assert!((rough.squares / moments.squares - 1.0).abs() < 1e-9, "{len}");
            assert!(mean(&samples).abs() < 1e-8, "{len}");
            assert!((squares(&samples, 0.0) / len as f64 - 1.0).abs() < 1e-6, "{len}");
        }
    }

    #[test]
    fn percentiles_are_numpys() {
        // numpy.percentile([1, 2, 4, 8, 16, 32], [25, 75]) = [2.5, 14], numpy.median = 6.
        let mut samples = [32.0, 1.0, 8.0, 2.0, 16.0, 4.0];
        let scale = robust(&samples, 0.5);
        normalise(&mut samples, Norm { scale, limit: f64::INFINITY });
        assert_eq!((scale.centre, scale.divisor), (6.0, 12.0));
        assert_eq!(samples[0], 26.0 / 12.0);
        let odd = [Quad([3.0, 0.0, 0.0, 0.0]), Quad([1.0, 0.0, 0.0, 0.0]), Quad([2.0, 0.0, 0.0, 0.0])];
        assert_eq!(robust(&odd, 1.0).centre.get(0), 2.0);
    }

    #[test]
    fn clipping_keeps_what_is_within() {
        let mut samples = [-11.0, 10.5, 3.0, f64::NAN];
        clip(&mut samples, 10.0);
        assert_eq!(samples[..3], [-10.0, 10.0, 3.0]);
        assert!(samples[3].is_nan());
    }
}
