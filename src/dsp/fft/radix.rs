//! Mixed-radix passes without bit reversal (Stockham): radices 2 to 5 and their products by hand, other small primes by one
//! loop, large primes as a convolution.
//!
//! A pass reads one buffer and writes the other: `y[q + s(rp + k)] = w^(pk) · Σ_j x[q + s(p + mj)] · e^(−2πi·jk/r)`, with
//! w = e^(−2πi/(rm)); then the length shrinks by r and the stride s grows by it. Two radices in one pass halve the way
//! through the second-level cache.

use super::prime::Prime;
use super::{Buffers, Complex, Point};
use crate::dsp::lane::Lane;
use crate::dsp::roots::root;
use crate::dsp::wide::{each, wide};

/// Larger primes cost less as a convolution.
pub(crate) const LARGEST_RADIX: usize = 61;
const HALF: usize = LARGEST_RADIX / 2;

#[derive(Debug)]
pub(super) struct Mixed {
    len: usize,
    passes: Vec<Pass>,
}

#[derive(Debug)]
struct Pass {
    /// The product of both.
    radix: usize,
    /// Radices of the two steps within the pass; the second one may be 1.
    radices: [usize; 2],
    /// r − 1 twiddles for each of the m butterflies.
    twiddles: Vec<[f64; 2]>,
    /// Twiddles between the two steps, the bins of the first step by the points of the second.
    inner: Vec<[f64; 2]>,
    /// (cos, sin) of 2π·jk/r for radices without a butterfly of their own: for k = 1 to r/2 those of j = 1 to r/2.
    circle: Vec<[f64; 2]>,
    /// The transform of the radix itself, where it is large.
    prime: Option<Box<Prime>>,
}

impl Mixed {
    /// Prepares a transform of `len` = ∏ primes points; large primes come first, where the stride is short.
    pub(super) fn new(len: usize, primes: &[usize]) -> Self {
        let twos = primes.iter().filter(|prime| **prime == 2).count();
        let fours = std::iter::repeat_n(4, twos / 2).chain(std::iter::repeat_n(2, twos % 2));
        let odd = |range: std::ops::RangeInclusive<usize>| {
            primes.iter().rev().copied().filter(move |prime| range.contains(prime))
        };
        let small: Vec<usize> = odd(3..=5).chain(fours).collect();
        let mut rest = len;
        let single = odd(6..=usize::MAX).map(|radix| [radix, 1]);
        let passes = single
            .chain(small.chunks(2).map(|pair| [pair[0], *pair.get(1).unwrap_or(&1)]))
            .map(|radices| {
                let pass = Pass::new(radices, rest);
                rest /= pass.radix;
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
    fn sweep<P: Point>(pass: &Pass, from: &[P], to: &mut [P], stride: usize) {
        match pass.radices {
            [2, 1] => pass.butterflies::<P, Two, One, 2, 1>(from, to, stride),
            [3, 1] => pass.butterflies::<P, Three, One, 3, 1>(from, to, stride),
            [4, 1] => pass.butterflies::<P, Four, One, 4, 1>(from, to, stride),
            [5, 1] => pass.butterflies::<P, Five, One, 5, 1>(from, to, stride),
            [5, 5] => pass.butterflies::<P, Five, Five, 5, 5>(from, to, stride),
            [5, 4] => pass.butterflies::<P, Five, Four, 5, 4>(from, to, stride),
            [5, 3] => pass.butterflies::<P, Five, Three, 5, 3>(from, to, stride),
            [5, 2] => pass.butterflies::<P, Five, Two, 5, 2>(from, to, stride),
            [4, 4] => pass.butterflies::<P, Four, Four, 4, 4>(from, to, stride),
            [4, 2] => pass.butterflies::<P, Four, Two, 4, 2>(from, to, stride),
            [3, 4] => pass.butterflies::<P, Three, Four, 3, 4>(from, to, stride),
            [3, 3] => pass.butterflies::<P, Three, Three, 3, 3>(from, to, stride),
            [3, 2] => pass.butterflies::<P, Three, Two, 3, 2>(from, to, stride),
            [7, 1] => pass.odd_butterflies(3, from, to, stride),
            [11, 1] => pass.odd_butterflies(5, from, to, stride),
            [13, 1] => pass.odd_butterflies(6, from, to, stride),
            [17, 1] => pass.odd_butterflies(8, from, to, stride),
            [19, 1] => pass.odd_butterflies(9, from, to, stride),
            [radix, _] => pass.odd_butterflies(radix / 2, from, to, stride),
        }
    }
}

wide! {
    fn turn<P: Point>(block: &mut [P], twiddles: &[[f64; 2]], stride: usize) {
        for (points, w) in block.chunks_exact_mut(stride).zip(twiddles) {
            let w = P::turn(*w);
            for point in points {
                *point = point.times(w);
            }
        }
    }
}

impl Pass {
    fn new(radices: [usize; 2], len: usize) -> Self {
        let radix = radices[0] * radices[1];
        let turn = |k: usize, n: usize| {
            let [cos, sin] = root(k as u64, n as u64);
            [cos, -sin]
        };
        let twiddles = (0..len / radix).flat_map(|p| (1..radix).map(move |k| turn(p * k, len))).collect();
        let inner = (0..radices[0]).flat_map(|k| (0..radices[1]).map(move |j| turn(k * j, radix))).collect();
        let half = if radix > LARGEST_RADIX { 0 } else { radix as u64 / 2 };
        let circle = (1..=half).flat_map(|k| (1..=half).map(move |j| root(j * k, radix as u64))).collect();
        let prime = (radices[0] > LARGEST_RADIX).then(|| Box::new(Prime::new(radix)));
        Self { radix, radices, twiddles, inner, circle, prime }
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

    /// Butterflies of r = A·B points: A points that lie B apart, then B points of one bin of the first step.
    #[inline(always)]
    fn butterflies<P: Point, A: Butterfly<RA>, B: Butterfly<RB>, const RA: usize, const RB: usize>(
        &self,
        from: &[P],
        to: &mut [P],
        stride: usize,
    ) {
        let mut inner = [[P::turn([1.0, 0.0]); RB]; RA];
        each!(RA, k, {
            each!(RB, j, {
                inner[k][j] = P::turn(self.inner[k * RB + j]);
            });
        });
        let mut turns = [[P::turn([1.0, 0.0]); RA]; RB];
        let blocks = to.chunks_exact_mut(stride * self.radix).zip(self.twiddles.chunks_exact(self.radix - 1));
        for (p, (block, twiddles)) in blocks.enumerate() {
            let place = Place { from, apart: from.len() / self.radix, begin: stride * p, block, stride };
            // The twiddles of the first block are 1.
            if p == 0 {
                place.transform::<A, B, RA, RB, false>(&inner, &turns);
                continue;
            }
            each!(RB, b, {
                each!(RA, a, {
                    if a + b > 0 {
                        turns[b][a] = P::turn(twiddles[RA * b + a - 1]);
                    }
                });
            });
            place.transform::<A, B, RA, RB, true>(&inner, &turns);
        }
    }

    /// Pairs j with r − j: their sum meets only cosines, their difference only sines.
    #[inline(always)]
    fn odd_butterflies<P: Point>(&self, half: usize, from: &[P], to: &mut [P], stride: usize) {
        let radix = 2 * half + 1;
        let apart = from.len() / radix;
        let (mut sums, mut differences) = ([P::default(); HALF], [P::default(); HALF]);
        let blocks = to.chunks_exact_mut(stride * radix).zip(self.twiddles.chunks_exact(radix - 1));
        for (p, (block, twiddles)) in blocks.enumerate() {
            for q in 0..stride {
                let at = stride * p + q;
                let mut total = from[at];
                for j in 1..=half {
                    let (a, b) = (from[at + apart * j], from[at + apart * (radix - j)]);
                    sums[j - 1] = a.add(b);
                    differences[j - 1] = a.sub(b);
                    total = total.add(sums[j - 1]);
                }
                block[q] = total;
                let (sums, differences) = (&sums[..half], &differences[..half]);
                let mut rows = self.circle.chunks(2 * half).zip((1..).step_by(2));
                for (circle, k) in rows.by_ref().take(half / 2) {
                    let [one, two] = parts(from[at], sums, differences, circle);
                    put(block, twiddles, [q, stride], k, one);
                    put(block, twiddles, [q, stride], k + 1, two);
                }
                if let Some((circle, k)) = rows.next() {
                    let [one] = parts(from[at], sums, differences, circle);
                    put(block, twiddles, [q, stride], k, one);
                }
            }
        }
    }
}

/// The even and the odd part of N bins: sums meet cosines, differences meet sines. An addition takes the processor some cycles; with
/// two bins at once it has others to begin meanwhile.
#[inline(always)]
fn parts<P: Point, const N: usize>(
    first: P,
    sums: &[P],
    differences: &[P],
    circle: &[[f64; 2]],
) -> [[P; 2]; N] {
    let half = sums.len();
    let circle: [&[[f64; 2]]; N] = std::array::from_fn(|bin| &circle[half * bin..][..half]);
    let mut parts = [[first, P::default()]; N];
    for j in 0..half {
        each!(N, bin, {
            let [cos, sin] = circle[bin][j];
            let [even, odd] = parts[bin];
            parts[bin] = [even.add(sums[j].scaled(cos)), odd.add(differences[j].scaled(sin))];
        });
    }
    parts
}

/// Turns a bin and its mirror image, and puts them where they belong.
#[inline(always)]
fn put<P: Point>(
    block: &mut [P],
    twiddles: &[[f64; 2]],
    [q, stride]: [usize; 2],
    k: usize,
    [even, odd]: [P; 2],
) {
    let [bin, mirrored] = even.cross(odd);
    let mirror = twiddles.len() + 1 - k;
    block[q + stride * k] = bin.times(P::turn(twiddles[k - 1]));
    block[q + stride * mirror] = mirrored.times(P::turn(twiddles[mirror - 1]));
}

/// Where the points of some butterflies come from, and where their bins go.
struct Place<'a, P> {
    from: &'a [P],
    /// From one point of a butterfly to the next.
    apart: usize,
    /// The first point of the first butterfly.
    begin: usize,
    block: &'a mut [P],
    /// Butterflies side by side, which is also how far their bins lie from each other.
    stride: usize,
}

impl<P: Point> Place<'_, P> {
    /// Transforms A·B points in two steps; bin a + A·b is turned by `turns[b][a]`.
    #[inline(always)]
    fn transform<A: Butterfly<RA>, B: Butterfly<RB>, const RA: usize, const RB: usize, const TURNED: bool>(
        self,
        inner: &[[P::Turn; RB]; RA],
        turns: &[[P::Turn; RA]; RB],
    ) {
        let Self { from, apart, begin, block, stride } = self;
        assert!(begin + stride <= apart && from.len() >= apart * RA * RB && block.len() == stride * RA * RB);
        for q in 0..stride {
            let mut grid = [[P::default(); RB]; RA];
            each!(RB, j, {
                let mut points = [P::default(); RA];
                each!(RA, a, {
                    #[expect(unsafe_code, reason = "a check for each point costs as much as its arithmetic")]
                    // SAFETY: begin + q is less than `apart`, of which there are A·B in `from`; both asserted above.
                    let point = unsafe { *from.get_unchecked(apart * (RB * a + j) + begin + q) };
                    points[a] = point;
                });
                let bins = A::of(points);
                each!(RA, k, {
                    grid[k][j] = if j * k == 0 { bins[k] } else { bins[k].times(inner[k][j]) };
                });
            });
            each!(RA, a, {
                let bins = B::of(grid[a]);
                each!(RB, b, {
                    let bin = if TURNED && a + b > 0 { bins[b].times(turns[b][a]) } else { bins[b] };
                    #[expect(unsafe_code, reason = "as above")]
                    // SAFETY: q is less than `stride`, of which there are A·B in `block`.
                    unsafe {
                        *block.get_unchecked_mut(stride * (RA * b + a) + q) = bin;
                    }
                });
            });
        }
    }
}

/// A transform of few points. (A type, not a function value: a call through one would stay narrow.)
trait Butterfly<const R: usize> {
    fn of<P: Point>(points: [P; R]) -> [P; R];
}

struct One;
struct Two;
struct Three;
struct Four;
struct Five;

impl Butterfly<1> for One {
    #[inline(always)]
    fn of<P: Point>(points: [P; 1]) -> [P; 1] {
        points
    }
}

impl Butterfly<2> for Two {
    #[inline(always)]
    fn of<P: Point>([a, b]: [P; 2]) -> [P; 2] {
        [a.add(b), a.sub(b)]
    }
}

impl Butterfly<3> for Three {
    #[inline(always)]
    fn of<P: Point>([a, b, c]: [P; 3]) -> [P; 3] {
        /// sin(2π/3)
        const SIN: f64 = 0.866_025_403_784_438_6;
        let sum = b.add(c);
        let [first, second] = a.sub(sum.scaled(0.5)).cross(b.sub(c).scaled(SIN));
        [a.add(sum), first, second]
    }
}

impl Butterfly<4> for Four {
    #[inline(always)]
    fn of<P: Point>([a, b, c, d]: [P; 4]) -> [P; 4] {
        let (ac, bd) = (a.add(c), b.add(d));
        let [first, third] = a.sub(c).cross(b.sub(d));
        [ac.add(bd), first, ac.sub(bd), third]
    }
}

impl Butterfly<5> for Five {
    #[inline(always)]
    fn of<P: Point>([a, b, c, d, e]: [P; 5]) -> [P; 5] {
        /// cos and sin of 2π/5 and of 4π/5
        const COS: [f64; 2] = [0.309_016_994_374_947_45, -0.809_016_994_374_947_4];
        const SIN: [f64; 2] = [0.951_056_516_295_153_5, 0.587_785_252_292_473_1];
        let (be, cd) = (b.add(e), c.add(d));
        let (b_e, c_d) = (b.sub(e), c.sub(d));
        let first = a.add(be.scaled(COS[0]).add(cd.scaled(COS[1])));
        let second = a.add(be.scaled(COS[1]).add(cd.scaled(COS[0])));
        let first_side = b_e.scaled(SIN[0]).add(c_d.scaled(SIN[1]));
        let second_side = b_e.scaled(SIN[1]).sub(c_d.scaled(SIN[0]));
        let ([first, fourth], [second, third]) = (first.cross(first_side), second.cross(second_side));
        [a.add(be.add(cd)), first, second, third, fourth]
    }
}
