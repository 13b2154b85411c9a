//! Discrete Fourier transforms of any length, for one channel or four in lanes.
//!
//! Lengths up to some thousand go through mixed-radix passes (`radix`), large prime factors as a convolution
//! (`prime`), longer lengths are split into columns and rows that fit the cache. Twiddles come from `roots`, so the
//! result is the same to the last bit on every processor. Only the forward transform exists: the inverse is the
//! forward one with real and imaginary parts exchanged before and after, which callers fold into their own loops. Callers who
//! move points and bins anyway spare their order too (`unordered`).

mod point;
mod prime;
mod radix;
mod unordered;

use crate::dsp::lane::Lane;
use crate::dsp::roots::Roots;
use crate::dsp::wide::wide;
pub(crate) use point::{Complex, Point};
pub(crate) use radix::LARGEST_RADIX;
use radix::Mixed;
use std::ops::Range;
pub(crate) use unordered::Unordered;

/// The buffer that holds the result, and the spare one.
type Buffers<'a, L> = (&'a mut [Complex<L>], &'a mut [Complex<L>]);

/// Longer transforms are split, unless they are prime.
pub(crate) const LONGEST_PLAIN: usize = 8192;
/// Points of transforms side by side at most. One column alone takes 64 bytes of every row, each a line and a page of its own:
/// four at once were a quarter faster over ten hours.
pub(crate) const POINTS_SIDE_BY_SIDE: usize = 16384;
/// Columns or rows transformed side by side: their points lie together in memory and in the caches.
pub(crate) const BATCH: usize = 4;

/// A transform of one length, prepared.
#[derive(Debug)]
pub(crate) struct Fft {
    len: usize,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Mixed(Mixed),
    Split(Box<Split>),
}

/// n = columns · rows (the four-step transform), several columns or rows at a time.
#[derive(Debug)]
struct Split {
    columns: Fft,
    rows: Fft,
    /// e^(−2πi·j·k/n) for column j and bin k, in the order in which the batches of columns meet them.
    twiddles: Vec<[f64; 2]>,
}

/// Returns the prime factors in ascending order.
pub(crate) fn factors(mut n: usize) -> Vec<usize> {
    let mut found = Vec::new();
    let mut prime = 2;
    while prime * prime <= n {
        while n.is_multiple_of(prime) {
            found.push(prime);
            n /= prime;
        }
        prime += 1;
    }
    if n > 1 {
        found.push(n);
    }
    found
}

/// Returns all divisors of ∏ primes in ascending order.
pub(crate) fn divisors(primes: &[usize]) -> Vec<usize> {
    let mut divisors = vec![1];
    for prime in primes {
        let more: Vec<usize> = divisors.iter().map(|divisor| divisor * prime).collect();
        divisors.extend(more);
        divisors.sort_unstable();
        divisors.dedup();
    }
    divisors
}

impl Fft {
    /// Prepares the transform of `len` ≥ 1 points.
    pub(crate) fn new(len: usize) -> Self {
        let primes = factors(len);
        let largest = primes.last().copied().unwrap_or(1);
        let way = if len <= LONGEST_PLAIN || largest == len {
            Way::Mixed(Mixed::new(len, &primes))
        } else if largest > LARGEST_RADIX {
            Way::Split(Box::new(Split::new(largest, len / largest)))
        } else {
            let columns = divisors(&primes).into_iter().rfind(|d| d * d <= len).unwrap_or(1);
            Way::Split(Box::new(Split::new(columns, len / columns)))
        };
        Self { len, way }
    }

    /// Number of points.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Number of points of the scratch that `run` needs for `batch` transforms.
    pub(crate) fn scratch_len(&self, batch: usize) -> usize {
        match &self.way {
            Way::Mixed(mixed) => mixed.scratch_len(batch),
            Way::Split(split) => split.scratch_len(),
        }
    }

    /// True where `run` leaves the result in the buffer that held the data.
    pub(crate) fn ends_where_it_began(&self) -> bool {
        match &self.way {
            Way::Mixed(mixed) => mixed.ends_where_it_began(),
            Way::Split(_) => false,
        }
    }

    /// How many transforms `run` takes best at a time.
    pub(crate) fn batch(&self) -> usize {
        match &self.way {
            Way::Mixed(_) => side_by_side(self.len),
            Way::Split(_) => 1,
        }
    }

    /// Transforms `batch` sequences that lie point by point beside each other (one, where `batch()` says so); returns the buffer that
    /// holds the result, and the other one, whose content is destroyed.
    ///
    /// Both buffers have exactly `len · batch` points, the scratch at least `scratch_len(batch)`.
    pub(crate) fn run<'a, L: Lane>(
        &self,
        batch: usize,
        data: &'a mut [Complex<L>],
        other: &'a mut [Complex<L>],
        scratch: &mut [Complex<L>],
    ) -> Buffers<'a, L> {
        match &self.way {
            Way::Mixed(mixed) => mixed.run(batch, data, other, scratch),
            Way::Split(split) => {
                split.run(data, other, scratch);
                (other, data)
            }
        }
    }
}

impl Split {
    fn new(columns: usize, rows: usize) -> Self {
        let (columns, rows) = (Fft::new(columns), Fft::new(rows));
        let n = (columns.len * rows.len) as u64;
        let roots = Roots::new(n);
        let mut twiddles = Vec::with_capacity(n as usize);
        for batch in batches(rows.len, columns.batch()) {
            for k in 0..columns.len {
                twiddles.extend(batch.clone().map(|j| {
                    let [cos, sin] = roots.get(j as u64 * k as u64);
                    [cos, -sin]
                }));
            }
        }
        Self { columns, rows, twiddles }
    }

    /// Points of one of the two buffers for a batch of columns or rows.
    fn side(&self) -> usize {
        (self.columns.len * self.columns.batch()).max(self.rows.len * self.rows.batch())
    }

    fn scratch_len(&self) -> usize {
        let (columns, rows) = (&self.columns, &self.rows);
        2 * self.side() + columns.scratch_len(columns.batch()).max(rows.scratch_len(rows.batch()))
    }

    fn run<L: Lane>(&self, data: &mut [Complex<L>], out: &mut [Complex<L>], scratch: &mut [Complex<L>]) {
        let (columns, rows) = (&self.columns, &self.rows);
        let (high, wide) = (columns.len, rows.len);
        let side = self.side();
        let (first, rest) = scratch.split_at_mut(side);
        let (second, rest) = rest.split_at_mut(side);
        let mut twiddles = self.twiddles.as_slice();
        for batch in batches(wide, columns.batch()) {
            let size = batch.len();
            let (first, second) = (&mut first[..high * size], &mut second[..high * size]);
            copy(&data[batch.start..], wide, first, size, size);
            let (column, _) = columns.run(size, first, second, rest);
            let (now, later) = twiddles.split_at(column.len());
            twiddles = later;
            turn(column, now);
            copy(column, size, &mut data[batch.start..], wide, size);
        }
        for batch in batches(high, rows.batch()) {
            let size = batch.len();
            let (first, second) = (&mut first[..wide * size], &mut second[..wide * size]);
            interleave(&data[batch.start * wide..], wide, first, size);
            let (row, _) = rows.run(size, first, second, rest);
            copy(row, size, &mut out[batch.start..], high, size);
        }
    }
}

/// How many transforms of a length go best side by side.
fn side_by_side(len: usize) -> usize {
    (POINTS_SIDE_BY_SIDE / len).clamp(1, BATCH)
}

/// Cuts 0..count into ranges of `size`, the last one shorter.
pub(crate) fn batches(count: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).step_by(size).map(move |begin| begin..(begin + size).min(count))
}

wide! {
    /// Copies the first `size` points of every `apart` points to the first of every `to_apart`.
    fn copy<L: Lane>(from: &[Complex<L>], apart: usize, to: &mut [Complex<L>], to_apart: usize, size: usize) {
        for (to, from) in to.chunks_mut(to_apart).zip(from.chunks(apart)) {
            to[..size].iter_mut().zip(&from[..size]).for_each(|(to, point)| *to = *point);
        }
    }
}

wide! {
    /// Puts `size` sequences that lie `apart` points from each other side by side.
    fn interleave<L: Lane>(from: &[Complex<L>], apart: usize, to: &mut [Complex<L>], size: usize) {
        for (i, to) in to.chunks_exact_mut(size).enumerate() {
            to.iter_mut().enumerate().for_each(|(sequence, to)| *to = from[sequence * apart + i]);
        }
    }
}

wide! {
    fn turn<P: Point>(points: &mut [P], twiddles: &[[f64; 2]]) {
        points.iter_mut().zip(twiddles).for_each(|(point, w)| *point = point.times(P::turn(*w)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::lane::Quad;
    use proptest::prelude::*;

    fn noise(len: usize, seed: u64) -> Vec<Complex<f64>> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
        };
        (0..len).map(|_| [next(), next()]).collect()
    }

    fn transform<L: Lane>(input: &[Complex<L>]) -> Vec<Complex<L>> {
        let fft = Fft::new(input.len());
        let mut data = input.to_vec();
        let mut other = data.clone();
        let mut scratch = vec![[L::default(); 2]; fft.scratch_len(1)];
        fft.run(1, &mut data, &mut other, &mut scratch).0.to_vec()
    }

    fn distance(a: &[Complex<f64>], b: &[Complex<f64>]) -> f64 {
        let norm = a.iter().map(|z| z[0] * z[0] + z[1] * z[1]).sum::<f64>().sqrt();
        let apart = |(x, y): (&Complex<f64>, &Complex<f64>)| (x[0] - y[0]).powi(2) + (x[1] - y[1]).powi(2);
        a.iter().zip(b).map(apart).sum::<f64>().sqrt() / norm.max(1e-300)
    }

    #[test]
    fn short_lengths_equal_the_definition() {
        for len in 1..=160 {
            let input = noise(len, len as u64);
            let naive: Vec<_> = (0..len)
                .map(|k| {
                    input.iter().enumerate().fold([0.0; 2], |sum, (j, z)| {
                        let [cos, sin] = crate::dsp::roots::root((j * k) as u64, len as u64);
                        [sum[0] + z[0] * cos + z[1] * sin, sum[1] + z[1] * cos - z[0] * sin]
                    })
                })
                .collect();
            assert!(distance(&naive, &transform(&input)) < 2e-15, "{len}");
        }
    }

    #[test]
    fn every_kind_of_length_equals_the_oracle() {
        let long = [
            2048,
            2049,
            3125,
            4093,
            8192,
            2 * 4093,
            6 * 1201,
            37 * 41,
            112_500,
            65_537,
            2 * 65_537,
            30_030,
            67 * 127 * 2,
            9001,
            100_003,
            1201 * 250,
        ];
        for len in (161..=600).chain(long) {
            let input = noise(len, 7);
            let mut expected: Vec<_> =
                input.iter().map(|z| rustfft::num_complex::Complex::new(z[0], z[1])).collect();
            rustfft::FftPlanner::new().plan_fft_forward(len).process(&mut expected);
            let expected: Vec<_> = expected.iter().map(|z| [z.re, z.im]).collect();
            let error = distance(&expected, &transform(&input));
            assert!(error < 3e-15, "{len}: {error:e}");
        }
    }

    #[test]
    fn lanes_do_not_know_each_other() {
        for len in [12, 97, 509, 2 * 1201, 5000] {
            let channels: Vec<_> = (0..4).map(|c| noise(len, 100 + c)).collect();
            let lanes: Vec<Complex<Quad>> = (0..len)
                .map(|i| [0, 1].map(|part| Quad([0, 1, 2, 3].map(|c: usize| channels[c][i][part]))))
                .collect();
            let together = transform(&lanes);
            for (c, channel) in channels.iter().enumerate() {
                let alone = transform(channel);
                assert!(
                    together.iter().zip(&alone).all(|(a, b)| a[0].get(c) == b[0] && a[1].get(c) == b[1]),
                    "{len}"
                );
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn there_and_back(len in 1_usize..3000, seed: u64) {
            let input = noise(len, seed);
            let swap = |z: &Complex<f64>| [z[1] / len as f64, z[0] / len as f64];
            let forth: Vec<_> = transform(&input).iter().map(swap).collect();
            let back: Vec<_> = transform(&forth).iter().map(|z| [z[1], z[0]]).collect();
            prop_assert!(distance(&input, &back) < 5e-15);
        }
    }
}
