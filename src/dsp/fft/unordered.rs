//! Transforms whose points come and whose bins go in an order of their own, for callers who move them anyway.
//!
//! The convolution for a large prime (`prime`) takes its points by the powers of a generator and gives its bins so. Whoever
//! gathers the points in that order, and finds the bins where they are, spares two ways through the second-level cache.

use super::prime::Prime;
use super::radix::{LARGEST_RADIX, Mixed};
use super::{Buffers, Complex, Point, factors, side_by_side};
use crate::dsp::lane::Lane;
use crate::dsp::roots::root;
use crate::dsp::wide::wide;

/// A transform of one length, prepared. Its results are those of `Fft`, bit for bit.
#[derive(Debug)]
pub(crate) struct Unordered {
    /// Which point comes at each place.
    points: Vec<u32>,
    /// Which bin lies at each place.
    bins: Vec<u32>,
    first: Option<First>,
    /// What is left of the length, over all places of a block at once.
    rest: Mixed,
}

/// The first pass: the transform of each block of as many places as the prime has, and what its bins meet then.
#[derive(Debug)]
struct First {
    prime: Prime,
    len: usize,
    /// For the second block and those behind it: one for each place but the first.
    twiddles: Vec<[f64; 2]>,
}

impl Unordered {
    /// Prepares the transform of 1 to `LONGEST_PLAIN` points.
    pub(crate) fn new(len: usize) -> Self {
        let primes = factors(len);
        match primes.split_last() {
            Some((prime, rest)) if *prime > LARGEST_RADIX && Prime::has_powers(*prime) => {
                Self::by_powers(len, *prime, rest)
            }
            _ => {
                let order: Vec<u32> = (0..len as u32).collect();
                Self { points: order.clone(), bins: order, first: None, rest: Mixed::new(len, &primes) }
            }
        }
    }

    fn by_powers(len: usize, prime: usize, rest: &[usize]) -> Self {
        let (first, blocks) = (Prime::new(prime), (len / prime) as u32);
        let [take, put] = first.powers().map(|powers| [&[0], powers].concat());
        let points = (0..blocks).flat_map(|block| take.iter().map(move |point| block + blocks * point));
        let bins = (0..blocks).flat_map(|block| put.iter().map(move |bin| bin + prime as u32 * block));
        let turn = |block: u32, bin: u32| {
            let [cos, sin] = root(u64::from(block) * u64::from(bin), len as u64);
            [cos, -sin]
        };
        let twiddles = (1..blocks).flat_map(|block| put[1..].iter().map(move |bin| turn(block, *bin)));
        Self {
            points: points.collect(),
            bins: bins.collect(),
            first: Some(First { len: prime, twiddles: twiddles.collect(), prime: first }),
            rest: Mixed::new(len / prime, rest),
        }
    }

    /// Number of points.
    pub(crate) fn len(&self) -> usize {
        self.points.len()
    }

    /// Which point comes at each place.
    pub(crate) fn points(&self) -> &[u32] {
        &self.points
    }

    /// Which bin lies at each place.
    pub(crate) fn bins(&self) -> &[u32] {
        &self.bins
    }

    /// True where real and imaginary parts of the bins come exchanged.
    pub(crate) fn is_exchanged(&self) -> bool {
        self.first.is_some() && self.rest.len() == 1
    }

    /// As for `Fft`.
    pub(crate) fn scratch_len(&self, batch: usize) -> usize {
        let before = self.first.as_ref().map_or(1, |first| first.len);
        self.rest.scratch_len(batch * before)
    }

    /// As for `Fft`.
    pub(crate) fn ends_where_it_began(&self) -> bool {
        self.rest.ends_where_it_began()
    }

    /// As for `Fft`.
    pub(crate) fn batch(&self) -> usize {
        side_by_side(self.len())
    }

    /// As for `Fft`.
    pub(crate) fn run<'a, L: Lane>(
        &self,
        batch: usize,
        data: &'a mut [Complex<L>],
        other: &'a mut [Complex<L>],
        scratch: &mut [Complex<L>],
    ) -> Buffers<'a, L> {
        let Some(First { prime, len, twiddles }) = &self.first else {
            return self.rest.run(batch, data, other, scratch);
        };
        let mut twiddles = twiddles.chunks_exact(len - 1);
        for (at, block) in data.chunks_exact_mut(batch * len).enumerate() {
            prime.run_by_powers(block, other, batch);
            if !self.is_exchanged() {
                let twiddles = if at == 0 { None } else { twiddles.next() };
                turn(block, twiddles.unwrap_or_default(), batch);
            }
        }
        self.rest.run(batch * len, data, other, scratch)
    }
}

wide! {
    /// Exchanges the parts, and turns what has a twiddle; the first points have none.
    fn turn<P: Point>(block: &mut [P], twiddles: &[[f64; 2]], batch: usize) {
        let without = if twiddles.is_empty() { block.len() } else { batch };
        let (first, others) = block.split_at_mut(without);
        for point in first {
            *point = point.exchanged();
        }
        for (points, w) in others.chunks_exact_mut(batch).zip(twiddles) {
            let w = P::turn(*w);
            for point in points {
                *point = point.exchanged().times(w);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::fft::{BATCH, Fft};
    use crate::dsp::lane::Quad;
    use crate::dsp::wide::{Width, narrowed};

    /// Sequences side by side.
    fn points(len: usize, batch: usize) -> Vec<Complex<Quad>> {
        let value = |i: usize| f64::from((i * 7919 % 613) as u32) - 300.0;
        let lanes = |i: usize| Quad([0, 1, 2, 3].map(|channel| value(4 * i + channel)));
        (0..batch * len).map(|i| [lanes(2 * i), lanes(2 * i + 1)]).collect()
    }

    fn in_order(unordered: &Unordered, batch: usize) -> Vec<Complex<Quad>> {
        let len = unordered.len();
        let original = points(len, batch);
        let mut scratch = vec![[Quad::default(); 2]; unordered.scratch_len(batch)];
        let place = |point: &u32| &original[batch * *point as usize..][..batch];
        let mut data: Vec<_> = unordered.points().iter().flat_map(place).copied().collect();
        let mut other = data.clone();
        unordered.run(batch, &mut data, &mut other, &mut scratch);
        let found = if unordered.ends_where_it_began() { data } else { other };
        let mut bins = vec![[Quad::default(); 2]; batch * len];
        for (bin, found) in unordered.bins().iter().zip(found.chunks_exact(batch)) {
            let parts = |[re, im]: Complex<Quad>| if unordered.is_exchanged() { [im, re] } else { [re, im] };
            let to = &mut bins[batch * *bin as usize..][..batch];
            to.iter_mut().zip(found).for_each(|(to, found)| *to = parts(*found));
        }
        bins
    }

    #[test]
    fn in_order_it_is_the_transform_bit_for_bit() {
        // Powers alone, powers in two and in twelve blocks, two large primes, one whose powers are no use, and small ones.
        for len in [67, 743, 2 * 229, 12 * 67, 67 * 71, 167 * 3, 1, 2, 990, 61 * 4] {
            let (fft, unordered) = (Fft::new(len), Unordered::new(len));
            let is_by_powers = [67, 743, 2 * 229, 12 * 67, 67 * 71].contains(&len);
            assert_eq!(unordered.first.is_some(), is_by_powers, "{len}");
            for batch in 1..=BATCH {
                let mut scratch = vec![[Quad::default(); 2]; fft.scratch_len(batch)];
                let mut data = points(len, batch);
                let expected = fft.run(batch, &mut data, &mut points(len, batch), &mut scratch).0.to_vec();
                for width in [Width::Baseline, Width::Avx2, Width::Avx512] {
                    let found = narrowed(width, || in_order(&unordered, batch));
                    assert!(found == expected, "{len}, {batch} side by side, {width:?}");
                }
            }
        }
    }
}
