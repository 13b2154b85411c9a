//! Mixed-radix passes without bit reversal (Stockham): radices 4, 2, 3, 5 by hand, other small primes by one loop, large
//! primes as a convolution.
//!
//! A pass reads one buffer and writes the other: `y[q + s(rp + k)] = w^(pk) · Σ_j x[q + s(p + mj)] · e^(−2πi·jk/r)`, with
//! w = e^(−2πi/(rm)); then the length shrinks by r and the stride s grows by it.

use super::prime::Prime;
use super::{Buffers, Complex, add, sub, times};
use crate::dsp::lane::Lane;
use crate::dsp::roots::root;
use crate::dsp::wide::wide;

/// Larger primes cost less as a convolution.
pub(crate) const LARGEST_RADIX: usize = 31;
const HALF: usize = LARGEST_RADIX / 2;

#[derive(Debug)]
pub(super) struct Mixed {
    len: usize,
    passes: Vec<Pass>,
}

#[derive(Debug)]
struct Pass {
    radix: usize,
    /// r − 1 twiddles for each of the m butterflies.
    twiddles: Vec<[f64; 2]>,
    /// (cos, sin) of 2π·i/r, for radices without a butterfly of their own.
    circle: Vec<[f64; 2]>,
    /// The transform of the radix itself, where it is large.
    prime: Option<Box<Prime>>,
}

impl Mixed {
    /// Prepares a transform of `len` = ∏ primes points; large primes come first, where the stride is short.
    pub(super) fn new(len: usize, primes: &[usize]) -> Self {
        let twos = primes.iter().filter(|prime| **prime == 2).count();
        let fours = std::iter::repeat_n(4, twos / 2).chain(std::iter::repeat_n(2, twos % 2));
        let mut rest = len;
        let odd = primes.iter().rev().copied().filter(|prime| *prime != 2);
        let passes = odd
            .chain(fours)
            .map(|radix| {
                let pass = Pass::new(radix, rest);
                rest /= radix;
                pass
            })
            .collect();
        Self { len, passes }
    }

    /// Number of points.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// True where an even number of passes brings the result back.
    pub(super) fn ends_where_it_began(&self) -> bool {
        self.passes.len().is_multiple_of(2)
    }

    /// Points of scratch for `batch` transforms side by side.
    pub(super) fn scratch_len(&self, batch: usize) -> usize {
        let mut stride = batch;
        let lengths = self.passes.iter().map(|pass| {
            let length = pass.prime.as_ref().map_or(0, |prime| prime.scratch_len(stride));
            stride *= pass.radix;
            length
        });
        lengths.max().unwrap_or(0)
    }

    /// Transforms `batch` sequences whose points lie beside each other.
    pub(super) fn run<'a, L: Lane>(
        &self,
        batch: usize,
        data: &'a mut [Complex<L>],
        other: &'a mut [Complex<L>],
        scratch: &mut [Complex<L>],
    ) -> Buffers<'a, L> {
        let (mut from, mut to, mut stride) = (data, other, batch);
        for pass in &self.passes {
            match &pass.prime {
                Some(prime) => pass.convolve(prime, from, to, stride, scratch),
                None => sweep(pass, from, to, stride),
            }
            stride *= pass.radix;
            (from, to) = (to, from);
        }
        (from, to)
    }

    /// Transforms a kernel once.
    pub(super) fn transformed(&self, mut kernel: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
        let (mut other, mut scratch) = (kernel.clone(), vec![[0.0; 2]; self.scratch_len(1)]);
        self.run(1, &mut kernel, &mut other, &mut scratch).0.to_vec()
    }
}

wide! {
    /// One pass over all butterflies.
    fn sweep<L: Lane>(pass: &Pass, from: &[Complex<L>], to: &mut [Complex<L>], stride: usize) {
        match pass.radix {
            2 => pass.butterflies::<L, Two, 2>(from, to, stride),
            3 => pass.butterflies::<L, Three, 3>(from, to, stride),
            4 => pass.butterflies::<L, Four, 4>(from, to, stride),
            5 => pass.butterflies::<L, Five, 5>(from, to, stride),
            _ => pass.odd_butterflies(from, to, stride),
        }
    }
}

wide! {
    fn turn<L: Lane>(block: &mut [Complex<L>], twiddles: &[[f64; 2]], stride: usize) {
        for (points, w) in block.chunks_exact_mut(stride).zip(twiddles) {
            for point in points {
                *point = times(*point, *w);
            }
        }
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
        let prime = (radix > LARGEST_RADIX).then(|| Box::new(Prime::new(radix)));
        Self { radix, twiddles, circle, prime }
    }

    fn convolve<L: Lane>(
        &self,
        prime: &Prime,
        from: &[Complex<L>],
        to: &mut [Complex<L>],
        stride: usize,
        scratch: &mut [Complex<L>],
    ) {
        let apart = from.len() / self.radix;
        let blocks = to.chunks_exact_mut(stride * self.radix).zip(self.twiddles.chunks_exact(self.radix - 1));
        for (p, (block, twiddles)) in blocks.enumerate() {
            prime.run(&from[stride * p..], apart, block, stride, scratch);
            if p > 0 {
                turn(&mut block[stride..], twiddles, stride);
            }
        }
    }

    #[inline(always)]
    fn butterflies<L: Lane, B: Butterfly<R>, const R: usize>(
        &self,
        from: &[Complex<L>],
        to: &mut [Complex<L>],
        stride: usize,
    ) {
        let apart = from.len() / R;
        let blocks = to.chunks_exact_mut(stride * R).zip(self.twiddles.chunks_exact(R - 1));
        for (p, (block, twiddles)) in blocks.enumerate() {
            let inputs: [&[Complex<L>]; R] =
                std::array::from_fn(|j| &from[apart * j + stride * p..][..stride]);
            let mut parts = block.chunks_exact_mut(stride);
            let outputs: [&mut [Complex<L>]; R] =
                std::array::from_fn(|_| &mut parts.next().unwrap_or_default()[..stride]);
            for q in 0..stride {
                let points = B::of(std::array::from_fn(|j| inputs[j][q]));
                outputs[0][q] = points[0];
                for k in 1..R {
                    outputs[k][q] = times(points[k], twiddles[k - 1]);
                }
            }
        }
    }

    /// Pairs j with r − j: their sum meets only cosines, their difference only sines.
    #[inline(always)]
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

/// A transform of few points. (A type, not a function value: a call through one would stay narrow.)
trait Butterfly<const R: usize> {
    fn of<L: Lane>(points: [Complex<L>; R]) -> [Complex<L>; R];
}

struct Two;
struct Three;
struct Four;
struct Five;

impl Butterfly<2> for Two {
    #[inline(always)]
    fn of<L: Lane>([a, b]: [Complex<L>; 2]) -> [Complex<L>; 2] {
        [add(a, b), sub(a, b)]
    }
}

impl Butterfly<3> for Three {
    #[inline(always)]
    fn of<L: Lane>([a, b, c]: [Complex<L>; 3]) -> [Complex<L>; 3] {
        /// sin(2π/3)
        const SIN: f64 = 0.866_025_403_784_438_6;
        let sum = add(b, c);
        let middle = sub(a, scaled(sum, 0.5));
        let side = scaled(sub(b, c), SIN);
        [add(a, sum), sub_i(middle, side), add_i(middle, side)]
    }
}

impl Butterfly<4> for Four {
    #[inline(always)]
    fn of<L: Lane>([a, b, c, d]: [Complex<L>; 4]) -> [Complex<L>; 4] {
        let (ac, bd) = (add(a, c), add(b, d));
        let (a_c, b_d) = (sub(a, c), sub(b, d));
        [add(ac, bd), sub_i(a_c, b_d), sub(ac, bd), add_i(a_c, b_d)]
    }
}

impl Butterfly<5> for Five {
    #[inline(always)]
    fn of<L: Lane>([a, b, c, d, e]: [Complex<L>; 5]) -> [Complex<L>; 5] {
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
}
