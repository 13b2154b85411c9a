//! Mixed-radix passes without bit reversal (Stockham): radices 4, 2, 3, 5 by hand, other small primes by one loop.
//!
//! A pass reads one buffer and writes the other: `y[q + s(rp + k)] = w^(pk) · Σ_j x[q + s(p + mj)] · e^(−2πi·jk/r)`, with
//! w = e^(−2πi/(rm)); then the length shrinks by r and the stride s grows by it.

use super::{Buffers, Complex, times};
use crate::dsp::lane::Lane;
use crate::dsp::roots::root;

/// Larger primes cost less as a convolution.
pub(super) const LARGEST_RADIX: usize = 31;
const HALF: usize = LARGEST_RADIX / 2;

#[derive(Debug)]
pub(super) struct Mixed {
    passes: Vec<Pass>,
}

#[derive(Debug)]
struct Pass {
    radix: usize,
    /// r − 1 twiddles for each of the m butterflies.
    twiddles: Vec<[f64; 2]>,
    /// (cos, sin) of 2π·i/r, for radices without a butterfly of their own.
    circle: Vec<[f64; 2]>,
}

impl Mixed {
    pub(super) fn new(len: usize, primes: &[usize]) -> Self {
        let twos = primes.iter().filter(|prime| **prime == 2).count();
        let fours = std::iter::repeat_n(4, twos / 2).chain(std::iter::repeat_n(2, twos % 2));
        let mut rest = len;
        let passes = fours
            .chain(primes.iter().copied().filter(|prime| *prime != 2))
            .map(|radix| {
                let pass = Pass::new(radix, rest);
                rest /= radix;
                pass
            })
            .collect();
        Self { passes }
    }

    /// True where an even number of passes brings the result back.
    pub(super) fn ends_where_it_began(&self) -> bool {
        self.passes.len().is_multiple_of(2)
    }

    /// Transforms `batch` sequences whose points lie beside each other.
    pub(super) fn run<'a, L: Lane>(
        &self,
        batch: usize,
        data: &'a mut [Complex<L>],
        other: &'a mut [Complex<L>],
    ) -> Buffers<'a, L> {
        let (mut from, mut to, mut stride) = (data, other, batch);
        for pass in &self.passes {
            pass.run(from, to, stride);
            stride *= pass.radix;
            (from, to) = (to, from);
        }
        (from, to)
    }
}

impl Pass {
    fn new(radix: usize, len: usize) -> Self {
        let turn = |k: usize| {
            let [cos, sin] = root(k as u64, len as u64);
            [cos, -sin]
        };
        let twiddles = (0..len / radix).flat_map(|p| (1..radix).map(move |k| turn(p * k))).collect();
        let circle = (0..radix).map(|i| root(i as u64, radix as u64)).collect();
        Self { radix, twiddles, circle }
    }

    fn run<L: Lane>(&self, from: &[Complex<L>], to: &mut [Complex<L>], stride: usize) {
        match self.radix {
            2 => self.butterflies::<L, 2>(from, to, stride, two),
            3 => self.butterflies::<L, 3>(from, to, stride, three),
            4 => self.butterflies::<L, 4>(from, to, stride, four),
            5 => self.butterflies::<L, 5>(from, to, stride, five),
            _ => self.odd_butterflies(from, to, stride),
        }
    }

    #[inline(always)]
    fn butterflies<L: Lane, const R: usize>(
        &self,
        from: &[Complex<L>],
        to: &mut [Complex<L>],
        stride: usize,
        butterfly: impl Fn([Complex<L>; R]) -> [Complex<L>; R],
    ) {
        let apart = from.len() / R;
        let inputs: [&[Complex<L>]; R] = std::array::from_fn(|j| &from[apart * j..apart * (j + 1)]);
        let blocks = to.chunks_exact_mut(stride * R).zip(self.twiddles.chunks_exact(R - 1));
        for (p, (block, twiddles)) in blocks.enumerate() {
            for q in 0..stride {
                let points = butterfly(std::array::from_fn(|j| inputs[j][stride * p + q]));
                block[q] = points[0];
                for k in 1..R {
                    block[q + stride * k] = times(points[k], twiddles[k - 1]);
                }
            }
        }
    }

    /// Pairs j with r − j: their sum meets only cosines, their difference only sines.
    fn odd_butterflies<L: Lane>(&self, from: &[Complex<L>], to: &mut [Complex<L>], stride: usize) {
        let (radix, half) = (self.radix, self.radix / 2);
        let apart = from.len() / radix;
        let (mut sums, mut differences) = ([[L::default(); 2]; HALF], [[L::default(); 2]; HALF]);
        let blocks = to.chunks_exact_mut(stride * radix).zip(self.twiddles.chunks_exact(radix - 1));
        for (p, (block, twiddles)) in blocks.enumerate() {
            for q in 0..stride {
                let at = stride * p + q;
                let mut total = from[at];
                for j in 1..=half {
                    let (a, b) = (from[at + apart * j], from[at + apart * (radix - j)]);
                    sums[j - 1] = add(a, b);
                    differences[j - 1] = sub(a, b);
                    total = add(total, sums[j - 1]);
                }
                block[q] = total;
                for k in 1..=half {
                    let (even, odd) = self.bin(k, from[at], &sums[..half], &differences[..half]);
                    block[q + stride * k] = times(add(even, odd), twiddles[k - 1]);
                    block[q + stride * (radix - k)] = times(sub(even, odd), twiddles[radix - k - 1]);
                }
            }
        }
    }

    /// Returns the cosine part and the sine part of bin k.
    #[inline(always)]
    fn bin<L: Lane>(
        &self,
        k: usize,
        first: Complex<L>,
        sums: &[Complex<L>],
        differences: &[Complex<L>],
    ) -> (Complex<L>, Complex<L>) {
        let (mut even, mut odd, mut turn) = (first, [L::default(); 2], 0);
        for (s, d) in sums.iter().zip(differences) {
            turn += k;
            if turn >= self.radix {
                turn -= self.radix;
            }
            let [cos, sin] = self.circle[turn];
            even = [even[0] + s[0] * cos, even[1] + s[1] * cos];
            odd = [odd[0] + d[1] * sin, odd[1] - d[0] * sin];
        }
        (even, odd)
    }
}

#[inline(always)]
fn add<L: Lane>(a: Complex<L>, b: Complex<L>) -> Complex<L> {
    [a[0] + b[0], a[1] + b[1]]
}

#[inline(always)]
fn sub<L: Lane>(a: Complex<L>, b: Complex<L>) -> Complex<L> {
    [a[0] - b[0], a[1] - b[1]]
}

/// Returns a − i·b.
#[inline(always)]
fn sub_i<L: Lane>(a: Complex<L>, b: Complex<L>) -> Complex<L> {
    [a[0] + b[1], a[1] - b[0]]
}

/// Returns a + i·b.
#[inline(always)]
fn add_i<L: Lane>(a: Complex<L>, b: Complex<L>) -> Complex<L> {
    [a[0] - b[1], a[1] + b[0]]
}

#[inline(always)]
fn scaled<L: Lane>(a: Complex<L>, factor: f64) -> Complex<L> {
    [a[0] * factor, a[1] * factor]
}

#[inline(always)]
fn two<L: Lane>([a, b]: [Complex<L>; 2]) -> [Complex<L>; 2] {
    [add(a, b), sub(a, b)]
}

#[inline(always)]
fn three<L: Lane>([a, b, c]: [Complex<L>; 3]) -> [Complex<L>; 3] {
    /// sin(2π/3)
    const SIN: f64 = 0.866_025_403_784_438_6;
    let sum = add(b, c);
    let middle = sub(a, scaled(sum, 0.5));
    let side = scaled(sub(b, c), SIN);
    [add(a, sum), sub_i(middle, side), add_i(middle, side)]
}

#[inline(always)]
fn four<L: Lane>([a, b, c, d]: [Complex<L>; 4]) -> [Complex<L>; 4] {
    let (ac, bd) = (add(a, c), add(b, d));
    let (a_c, b_d) = (sub(a, c), sub(b, d));
    [add(ac, bd), sub_i(a_c, b_d), sub(ac, bd), add_i(a_c, b_d)]
}

#[inline(always)]
fn five<L: Lane>([a, b, c, d, e]: [Complex<L>; 5]) -> [Complex<L>; 5] {
    /// cos and sin of 2π/5 and of 4π/5
    const COS: [f64; 2] = [0.309_016_994_374_947_45, -0.809_016_994_374_947_4];
    const SIN: [f64; 2] = [0.951_056_516_295_153_5, 0.587_785_252_292_473_1];
    let (be, cd) = (add(b, e), add(c, d));
    let (b_e, c_d) = (sub(b, e), sub(c, d));
    let first = add(a, add(scaled(be, COS[0]), scaled(cd, COS[1])));
    let second = add(a, add(scaled(be, COS[1]), scaled(cd, COS[0])));
    let first_side = add(scaled(b_e, SIN[0]), scaled(c_d, SIN[1]));
    let second_side = sub(scaled(b_e, SIN[1]), scaled(c_d, SIN[0]));
    [
        add(a, add(be, cd)),
        sub_i(first, first_side),
        sub_i(second, second_side),
        add_i(second, second_side),
        add_i(first, first_side),
    ]
}
