//! Transforms of large prime length as a cyclic convolution.
//!
//! Where p − 1 has small factors, the powers of a generator put the points into an order in which the transform is a
//! convolution of that length (C. M. Rader, 1968). Else the points meet a chirp, `w[k] = e^(−πi·k²/p)`, in a convolution of at
//! least 2p − 1 points (L. Bluestein, 1970): `X[k] = w[k] · Σ_j (x[j] w[j]) · conj w[k − j]`.

use super::radix::{LARGEST_RADIX, Mixed};
use super::{BATCH, Complex, Point, factors};
use crate::dsp::lane::Lane;
use crate::dsp::roots::{Roots, root};
use crate::dsp::wide::{each, wide};

#[derive(Debug)]
pub(super) struct Prime {
    way: Way,
    /// Transform of the kernel, divided by the inner length.
    spectrum: Vec<[f64; 2]>,
    inner: Mixed,
}

#[derive(Debug)]
enum Way {
    /// Which point comes when, and which bin comes out when.
    Rader {
        take: Vec<u32>,
        put: Vec<u32>,
    },
    Bluestein {
        chirp: Vec<[f64; 2]>,
    },
}

impl Prime {
    pub(super) fn new(len: usize) -> Self {
        if Self::has_powers(len) { Self::rader(len, &factors(len - 1)) } else { Self::bluestein(len) }
    }

    /// True where the convolution takes points and gives bins by powers.
    pub(super) fn has_powers(len: usize) -> bool {
        factors(len - 1).iter().all(|prime| *prime <= LARGEST_RADIX)
    }

    /// Which point comes when, and which bin comes out when, the first ones of both left out; nothing without powers.
    pub(super) fn powers(&self) -> [&[u32]; 2] {
        match &self.way {
            Way::Rader { take, put } => [take, put],
            Way::Bluestein { .. } => [&[], &[]],
        }
    }

    fn rader(len: usize, primes: &[usize]) -> Self {
        let generator = generator(len as u64, primes);
        let mut take = vec![1_u32; len - 1];
        for at in 1..len - 1 {
            take[at] = (u64::from(take[at - 1]) * generator % len as u64) as u32;
        }
        // The inverse of g^t is g^(p − 1 − t).
        let put: Vec<u32> = (0..len - 1).map(|at| take[(len - 1 - at) % (len - 1)]).collect();
        let inner = Mixed::new(len - 1, primes);
        let kernel = put
            .iter()
            .map(|power| {
                let [cos, sin] = root(u64::from(*power), len as u64);
                [cos / inner.len() as f64, -sin / inner.len() as f64]
            })
            .collect();
        Self { way: Way::Rader { take, put }, spectrum: inner.transformed(kernel), inner }
    }

    fn bluestein(len: usize) -> Self {
        let order = 2 * len as u64;
        let roots = Roots::new(order);
        let chirp: Vec<[f64; 2]> = (0..len as u64)
            .map(|k| {
                let square = u128::from(k) * u128::from(k) % u128::from(order);
                let [cos, sin] = roots.get(square as u64);
                [cos, -sin]
            })
            .collect();
        let points = smooth_length(2 * len - 1);
        let inner = Mixed::new(points, &factors(points));
        let mut kernel = vec![[0.0; 2]; points];
        for (k, w) in chirp.iter().enumerate() {
            let conjugate = [w[0] / points as f64, -w[1] / points as f64];
            kernel[k] = conjugate;
            kernel[(points - k) % points] = conjugate;
        }
        Self { way: Way::Bluestein { chirp }, spectrum: inner.transformed(kernel), inner }
    }

    /// As `run`, in place and without scratch, where points come by powers, the first one before them; so do the bins, real and imaginary
    /// parts exchanged. For lengths that have powers and at most `BATCH` sequences; the other buffer is at least as long.
    pub(super) fn run_by_powers<L: Lane>(
        &self,
        points: &mut [Complex<L>],
        other: &mut [Complex<L>],
        batch: usize,
    ) {
        debug_assert!(matches!(self.way, Way::Rader { .. }), "there are no powers");
        let (begin, powers) = points.split_at_mut(batch);
        let other = &mut other[..powers.len()];
        let (product, spare) = self.inner.run(batch, powers, other, &mut []);
        let mut sum = [[L::default(); 2]; BATCH];
        multiply(&self.spectrum, begin, product, &mut sum[..batch], batch);
        // Twice as many passes are an even number: the bins are where the points were.
        self.inner.run(batch, product, spare, &mut []);
        begin.iter_mut().zip(sum).for_each(|(to, [re, im])| *to = [im, re]);
    }

    /// Points of scratch for `batch` transforms side by side.
    pub(super) fn scratch_len(&self, batch: usize) -> usize {
        2 * batch * self.inner.len() + self.inner.scratch_len(batch)
    }

    /// Transforms `batch` sequences side by side: point j of them begins at `from[j · apart]`, bin k at `to[k · batch]`.
    pub(super) fn run<L: Lane>(
        &self,
        from: &[Complex<L>],
        apart: usize,
        to: &mut [Complex<L>],
        batch: usize,
        scratch: &mut [Complex<L>],
    ) {
        let side = batch * self.inner.len();
        let (first, rest) = scratch.split_at_mut(side);
        let (second, rest) = rest.split_at_mut(side);
        match &self.way {
            Way::Rader { take, .. } => reorder(take, from, apart, first, batch),
            Way::Bluestein { chirp } => meet(chirp, from, apart, first, batch),
        }
        let (product, spare) = self.inner.run(batch, first, second, rest);
        let is_rader = matches!(self.way, Way::Rader { .. });
        let begin = if is_rader { &from[..batch] } else { &[] };
        multiply(&self.spectrum, begin, product, &mut to[..begin.len()], batch);
        let (convolved, _) = self.inner.run(batch, product, spare, rest);
        match &self.way {
            Way::Rader { put, .. } => restore(put, convolved, to, batch),
            Way::Bluestein { chirp } => leave(chirp, convolved, to, batch),
        }
    }
}

/// Returns the smallest number whose powers are all numbers below the prime.
fn generator(prime: u64, factors: &[usize]) -> u64 {
    let power = |base: u64, mut exponent: u64| {
        let (mut result, mut square) = (1, base);
        while exponent > 0 {
            if exponent % 2 == 1 {
                result = result * square % prime;
            }
            square = square * square % prime;
            exponent /= 2;
        }
        result
    };
    let is_generator =
        |base: &u64| factors.iter().all(|factor| power(*base, (prime - 1) / *factor as u64) != 1);
    (2..prime).find(is_generator).unwrap_or(1)
}

/// Returns the smallest 2^a·3^b·5^c that is at least `least`.
fn smooth_length(least: usize) -> usize {
    let mut best = least.next_power_of_two();
    let mut fives = 1;
    while fives < best {
        let mut threes = fives;
        while threes < best {
            let mut candidate = threes;
            while candidate < least {
                candidate *= 2;
            }
            best = best.min(candidate);
            threes *= 3;
        }
        fives *= 5;
    }
    best
}

wide! {
    fn reorder<P: Point>(take: &[u32], from: &[P], apart: usize, to: &mut [P], batch: usize) {
        if batch == BATCH {
            for (to, at) in to.as_chunks_mut::<BATCH>().0.iter_mut().zip(take) {
                // A count that is known becomes four moves, not a call.
                each!(BATCH, i, {
                    to[i] = from[*at as usize * apart..][..BATCH][i];
                });
            }
            return;
        }
        for (to, at) in to.chunks_exact_mut(batch).zip(take) {
            let points = &from[*at as usize * apart..][..batch];
            to.iter_mut().zip(points).for_each(|(to, point)| *to = *point);
        }
    }
}

wide! {
    fn meet<P: Point>(chirp: &[[f64; 2]], from: &[P], apart: usize, to: &mut [P], batch: usize) {
        let (points, rest) = to.split_at_mut(batch * chirp.len());
        for ((at, to), w) in points.chunks_exact_mut(batch).enumerate().zip(chirp) {
            let (points, w) = (&from[at * apart..][..batch], P::turn(*w));
            to.iter_mut().zip(points).for_each(|(to, point)| *to = point.times(w));
        }
        rest.fill(P::default());
    }
}

wide! {
    /// Multiplies with the kernel and exchanges the parts, which turns the next transform into the inverse one. What `begin`
    /// holds goes to every point of the result; together with bin 0 it is the first point of `sum`.
    fn multiply<P: Point>(
        spectrum: &[[f64; 2]],
        begin: &[P],
        points: &mut [P],
        sum: &mut [P],
        batch: usize,
    ) {
        for ((sum, begin), bin) in sum.iter_mut().zip(begin).zip(&*points) {
            *sum = begin.add(*bin);
        }
        if batch == BATCH {
            for (points, w) in points.as_chunks_mut::<BATCH>().0.iter_mut().zip(spectrum) {
                let w = P::turn(*w);
                each!(BATCH, i, {
                    points[i] = points[i].times(w).exchanged();
                });
            }
        } else {
            for (points, w) in points.chunks_exact_mut(batch).zip(spectrum) {
                let w = P::turn(*w);
                for point in points {
                    *point = point.times(w).exchanged();
                }
            }
        }
        for (point, begin) in points.iter_mut().zip(begin) {
            *point = point.add(begin.exchanged());
        }
    }
}

wide! {
    fn restore<P: Point>(put: &[u32], from: &[P], to: &mut [P], batch: usize) {
        if batch == BATCH {
            for (points, at) in from.as_chunks::<BATCH>().0.iter().zip(put) {
                let to = &mut to[*at as usize * BATCH..][..BATCH];
                each!(BATCH, i, {
                    to[i] = points[i].exchanged();
                });
            }
            return;
        }
        for (points, at) in from.chunks_exact(batch).zip(put) {
            let to = &mut to[*at as usize * batch..][..batch];
            to.iter_mut().zip(points).for_each(|(to, point)| *to = point.exchanged());
        }
    }
}

wide! {
    fn leave<P: Point>(chirp: &[[f64; 2]], from: &[P], to: &mut [P], batch: usize) {
        for ((points, to), w) in from.chunks_exact(batch).zip(to.chunks_exact_mut(batch)).zip(chirp) {
            let w = P::turn(*w);
            to.iter_mut().zip(points).for_each(|(to, point)| *to = point.exchanged().times(w));
        }
    }
}
