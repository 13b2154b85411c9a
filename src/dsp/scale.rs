//! Normalisation and clipping, and the sums behind them.
//!
//! Sums run over blocks of fixed length, then pairwise over the blocks, each channel by itself: the order of additions
//! depends on the length only, and the error stays as small as that of `NumPy`'s pairwise sums.

use crate::dsp::lane::Lane;

const BLOCK: usize = 256;

/// What a normalisation subtracts and divides by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale<L> {
    /// Subtracted first.
    pub(crate) centre: L,
    /// Divided by then.
    pub(crate) divisor: L,
}

/// Returns Σ f(x).
fn sum<L: Lane>(samples: &[L], f: impl Fn(L) -> L + Copy) -> L {
    if samples.len() <= BLOCK {
        return samples.iter().fold(L::default(), |sum, sample| sum + f(*sample));
    }
    let half = samples.len().div_ceil(2).next_multiple_of(BLOCK).min(samples.len());
    let (left, right) = samples.split_at(half);
    sum(left, f) + sum(right, f)
}

/// Returns the mean.
pub(crate) fn mean<L: Lane>(samples: &[L]) -> L {
    sum(samples, |x| x) * (1.0 / samples.len() as f64)
}

/// Returns Σ (x − mean)².
pub(crate) fn squares<L: Lane>(samples: &[L], mean: L) -> L {
    sum(samples, |x| {
        let apart = x - mean;
        apart * apart
    })
}

/// (x − mean) / (std + ε) in place, ddof 0.
pub(crate) fn zscore<L: Lane>(samples: &mut [L], epsilon: f64) -> Scale<L> {
    let centre = mean(samples);
    let variance = squares(samples, centre) * (1.0 / samples.len() as f64);
    let divisor = variance.map(|v| v.sqrt() + epsilon);
    normalise(samples, Scale { centre, divisor })
}

/// (x − median) / (IQR + ε) in place.
pub(crate) fn robust<L: Lane>(samples: &mut [L], epsilon: f64) -> Scale<L> {
    let (mut centre, mut divisor) = (L::default(), L::default());
    for channel in 0..L::WIDTH {
        let mut values: Vec<f64> = samples.iter().map(|lane| lane.get(channel)).collect();
        values.sort_unstable_by(f64::total_cmp);
        centre.set(channel, median(&values));
        divisor.set(channel, quantile(&values, 3) - quantile(&values, 1) + epsilon);
    }
    normalise(samples, Scale { centre, divisor })
}

fn normalise<L: Lane>(samples: &mut [L], scale: Scale<L>) -> Scale<L> {
    for sample in samples {
        *sample = (*sample - scale.centre) / scale.divisor;
    }
    scale
}

/// Limits to ±limit in place.
pub(crate) fn clip<L: Lane>(samples: &mut [L], limit: f64) {
    for sample in samples {
        *sample = sample.map(|x| x.clamp(-limit, limit));
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
            let found = zscore(&mut samples, 1e-8);
            assert!((found.centre / exact - 1.0).abs() < 1e-14, "{len}");
            assert!(mean(&samples).abs() < 1e-8, "{len}");
            assert!((squares(&samples, 0.0) / len as f64 - 1.0).abs() < 1e-6, "{len}");
        }
    }

    #[test]
    fn percentiles_are_numpys() {
        // numpy.percentile([1, 2, 4, 8, 16, 32], [25, 75]) = [2.5, 14], numpy.median = 6.
        let mut samples = [32.0, 1.0, 8.0, 2.0, 16.0, 4.0];
        let scale = robust(&mut samples, 0.5);
        assert_eq!((scale.centre, scale.divisor), (6.0, 12.0));
        assert_eq!(samples[0], 26.0 / 12.0);
        let mut odd = [Quad([3.0, 0.0, 0.0, 0.0]), Quad([1.0, 0.0, 0.0, 0.0]), Quad([2.0, 0.0, 0.0, 0.0])];
        assert_eq!(robust(&mut odd, 1.0).centre.get(0), 2.0);
    }

    #[test]
    fn clipping_keeps_what_is_within() {
        let mut samples = [-11.0, 10.5, 3.0, f64::NAN];
        clip(&mut samples, 10.0);
        assert_eq!(samples[..3], [-10.0, 10.0, 3.0]);
        assert!(samples[3].is_nan());
    }
}
