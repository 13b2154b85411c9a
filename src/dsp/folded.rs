//! Folded: `scipy.signal.resample` from n = g·a to m = g·b samples in three sweeps over the memory.
//!
//! The bins of length n that are equal modulo g form g transforms of length a, and the same bins of length m form g transforms
//! of length b. So after a transforms of length g (every a-th sample), all that happens to a bin happens within its class of
//! bins, in the first-level cache: turn, transform a, cut or add bins, transform back b, turn. Then b transforms of length g give
//! the samples. Real samples need half of it: two columns are the two parts of one complex transform, and classes come in mirrored
//! pairs. (The decomposition is Cooley and Tukey's of 1965, twice, without ever putting the spectrum in order.)

use crate::dsp::buffer::Buffer;
use crate::dsp::fft::{BATCH, Complex, Fft, LONGEST_PLAIN, Point, batches, divisors, factors};
use crate::dsp::fourier::Work;
use crate::dsp::lane::Lane;
use crate::dsp::roots::Roots;
use crate::dsp::wide::wide;
use std::ops::Range;

/// The change of length, prepared.
#[derive(Debug)]
pub(crate) struct Folded {
    /// n and m.
    lengths: [usize; 2],
    /// Transforms of length g, a and b.
    common: Fft,
    from: Fft,
    to: Fft,
    /// e^(−2πi·j·κ/n) / 2n for column j and class κ, in the order in which `unfold` meets them.
    before: Vec<[f64; 2]>,
    /// e^(−2πi·j·κ/m), likewise.
    after: Vec<[f64; 2]>,
    change: Change,
}

/// What happens to the bins.
#[derive(Debug)]
enum Change {
    /// Both lengths are the same.
    Nothing,
    /// Bins are cut off or added.
    Length,
    /// The samples are delayed by half a sample: e^(−πi·k/a) for bin k of a class.
    Delay(Vec<[f64; 2]>),
}

impl Folded {
    /// Returns the common divisor of two lengths that makes all three transforms short, where there is one.
    pub(crate) fn divisor(n: usize, m: usize) -> Option<usize> {
        let common = greatest_common_divisor(n, m);
        let longest = |g: &usize| (n.max(m) / g).max(*g);
        let g = divisors(&factors(common)).into_iter().min_by_key(longest)?;
        // A divisor that is next to nothing leaves the real work to a single transform.
        (g >= BATCH && longest(&g) <= LONGEST_PLAIN).then_some(g)
    }

    /// Prepares the change from n to m samples, where they have such a divisor.
    pub(crate) fn new(n: usize, m: usize) -> Option<Self> {
        let g = Self::divisor(n, m)?;
        let (common, from, to) = (Fft::new(g), Fft::new(n / g), Fft::new(m / g));
        let before = turns(n, from.len(), g, 0.5 / n as f64, |column| column);
        let after = turns(m, to.len(), g, 1.0, |column| column);
        let change = if n == m { Change::Nothing } else { Change::Length };
        Some(Self { lengths: [n, m], common, from, to, before, after, change })
    }

    /// Prepares what takes samples at j to the values at j − 1/2 of the wave through them, halved: a wave at half the rate, which
    /// has none there, is left out.
    pub(crate) fn delayed(n: usize) -> Option<Self> {
        let g = Self::divisor(n, n)?;
        let [from, to] = [n / g; 2].map(Fft::new);
        // Bin κ + g·i turns by e^(−πi·κ/n), together with the columns, and by e^(−πi·i/a).
        let before = turns(2 * n, from.len(), g, 0.25 / n as f64, |column| 2 * column + 1);
        let after = turns(n, to.len(), g, 1.0, |column| column);
        let roots = Roots::new(2 * from.len() as u64);
        let delay = (0..from.len()).map(|bin| roots.get(bin as u64)).map(|[cos, sin]| [cos, -sin]).collect();
        Some(Self {
            lengths: [n, n],
            common: Fft::new(g),
            from,
            to,
            before,
            after,
            change: Change::Delay(delay),
        })
    }

    /// Brings the samples to the new length.
    pub(crate) fn run<L: Lane>(&self, samples: &mut Buffer<L>, work: &mut Work<L>) {
        let g = self.common.len();
        let side = (g * self.common.batch()).max(BATCH * self.from.len().max(self.to.len()));
        let deepest = [&self.common, &self.from, &self.to].map(|fft| fft.scratch_len(BATCH));
        work.scratch.fit(2 * (2 * side + deepest.into_iter().max().unwrap_or(0)));
        let scratch = work.scratch.as_chunks_mut().0;
        let [before, between] = [&self.from, &self.to].map(|fft| g * even(fft.len()));
        // The longest first, so that it need not move later.
        work.other.fit(before.max(between));
        work.other.fit(before);
        self.columns(samples, work.other.as_chunks_mut().0, scratch);
        samples.fit(between);
        self.classes(work.other.as_chunks().0, samples.as_chunks_mut().0, scratch, side);
        work.other.fit(self.lengths[1]);
        self.rows(samples.as_chunks_mut().0, &mut work.other, scratch);
        std::mem::swap(samples, &mut work.other);
    }

    /// Transforms every a-th sample, two neighbouring columns as the parts of one complex number.
    ///
    /// Columns that were transformed side by side stay so: all of the first bin, all of the second one ...
    fn columns<L: Lane>(&self, samples: &[L], out: &mut [Complex<L>], scratch: &mut [Complex<L>]) {
        let (g, high) = (self.common.len(), self.from.len());
        for batch in batches(high.div_ceil(2), self.common.batch()) {
            let size = batch.len();
            let out = &mut out[batch.start * g..batch.end * g];
            let (space, rest) = scratch.split_at_mut(g * size);
            let (first, second) = if self.common.ends_where_it_began() { (out, space) } else { (space, out) };
            gather(&samples[2 * batch.start..], high, high - 2 * batch.start, first, size);
            let _ = self.common.run(size, first, second, rest);
        }
    }

    /// What happens to the bins, class by class.
    fn classes<L: Lane>(
        &self,
        columns: &[Complex<L>],
        rows: &mut [Complex<L>],
        scratch: &mut [Complex<L>],
        side: usize,
    ) {
        let (mut before, mut after) = (self.before.as_slice(), self.after.as_slice());
        let (g, a, b) = (self.common.len(), self.from.len(), self.to.len());
        let (first, rest) = scratch.split_at_mut(side);
        let (second, rest) = rest.split_at_mut(side);
        for batch in batches(g / 2 + 1, BATCH) {
            let size = batch.len();
            let (turns, later) = before.split_at(even(a) * size);
            before = later;
            let (data, other) = (&mut first[..a * size], &mut second[..a * size]);
            unfold(columns, [g, self.common.batch()], &batch, turns, data);
            let is_first = self.from.ends_where_it_began();
            let _ = self.from.run(size, data, other, rest);
            let (bins, space) =
                if is_first { (&mut *first, &mut *second) } else { (&mut *second, &mut *first) };
            self.recast(&bins[..a * size], &batch, &mut space[..b * size]);
            let (samples, _) = self.to.run(size, &mut space[..b * size], &mut bins[..b * size], rest);
            let (turns, later) = after.split_at(even(b) * size);
            after = later;
            fold(samples, [g, self.common.batch()], &batch, turns, rows);
        }
    }

    /// Changes the bins of each class in the batch, and exchanges the parts of those that stay.
    fn recast<L: Lane>(&self, bins: &[Complex<L>], batch: &Range<usize>, to: &mut [Complex<L>]) {
        let ([n, m], g) = (self.lengths, self.common.len());
        let half = n.min(m).div_ceil(2);
        for (lane, class) in batch.clone().enumerate() {
            // Bins κ + g·i below half of the shorter length, and those that many below the end.
            let kept = [half.saturating_sub(class).div_ceil(g), (half - 1 + class) / g];
            let place = [lane, batch.len()];
            match &self.change {
                Change::Nothing => exchange(bins, 0, to, 0, self.from.len(), place),
                Change::Length => self.cut(bins, to, class, kept, place),
                Change::Delay(delay) => delayed(bins, delay, to, kept, place),
            }
        }
    }

    /// Cuts off or adds bins of one class.
    fn cut<L: Lane>(
        &self,
        bins: &[Complex<L>],
        to: &mut [Complex<L>],
        class: usize,
        [low, high]: [usize; 2],
        [lane, size]: [usize; 2],
    ) {
        let ([n, m], g) = (self.lengths, self.common.len());
        let (a, b, shorter) = (self.from.len(), self.to.len(), n.min(m));
        exchange(bins, 0, to, 0, low, [lane, size]);
        (low..b - high).for_each(|bin| to[bin * size + lane] = [L::default(); 2]);
        exchange(bins, a - high, to, b - high, high, [lane, size]);
        if shorter.is_multiple_of(2) && (shorter / 2) % g == class {
            // The bin at half the lower rate stands for both of its signs on the side that has only one.
            let at = |length: usize| [(shorter / 2 - class) / g, (length - shorter / 2 - class) / g];
            let ([up, down], [to_up, to_down]) = (at(n), at(m));
            let [upper, lower] = [bins[up * size + lane], bins[down * size + lane]];
            let half = |bin: Complex<L>| [bin[1] * 0.5, bin[0] * 0.5];
            if m < n {
                to[to_up * size + lane] = [upper[1] + lower[1], upper[0] + lower[0]];
            } else {
                to[to_up * size + lane] = half(upper);
                to[to_down * size + lane] = half(upper);
            }
        }
    }

    /// Transforms back to samples, two neighbouring columns at once.
    fn rows<L: Lane>(&self, rows: &mut [Complex<L>], samples: &mut [L], scratch: &mut [Complex<L>]) {
        let (g, high) = (self.common.len(), self.to.len());
        for batch in batches(high.div_ceil(2), self.common.batch()) {
            let size = batch.len();
            let (space, rest) = scratch.split_at_mut(g * size);
            let row = &mut rows[batch.start * g..batch.end * g];
            let (done, _) = self.common.run(size, row, space, rest);
            scatter(done, size, &mut samples[2 * batch.start..], high, high - 2 * batch.start);
        }
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// The number of columns, rounded up to pairs.
fn even(columns: usize) -> usize {
    columns.next_multiple_of(2)
}

/// scale · e^(−2πi·f(j)·κ/length), batch by batch of classes κ, column j by column, one unused column behind an odd number of them.
fn turns(length: usize, columns: usize, g: usize, scale: f64, f: impl Fn(usize) -> usize) -> Vec<[f64; 2]> {
    let roots = Roots::new(length as u64);
    let mut turns = Vec::with_capacity(even(columns) * (g / 2 + 1));
    for batch in batches(g / 2 + 1, BATCH) {
        for column in 0..even(columns) {
            turns.extend(batch.clone().map(|class| {
                let [cos, sin] = roots.get((f(column) * class) as u64);
                [cos * scale, -sin * scale]
            }));
        }
    }
    turns
}

wide! {
    /// Takes the first `2 · size` columns (or the `left` that are left) of rows that lie `apart` samples from each other.
    fn gather<L: Lane>(samples: &[L], apart: usize, left: usize, to: &mut [Complex<L>], size: usize) {
        for (to, row) in to.chunks_exact_mut(size).zip(samples.chunks(apart)) {
            let row = &row[..left.min(2 * size)];
            let (pairs, single) = row.as_chunks::<2>();
            to.iter_mut().zip(pairs).for_each(|(to, pair)| *to = *pair);
            if let [single] = single {
                to[size - 1] = [*single, L::default()];
            }
        }
    }
}

wide! {
    /// The way back of `gather`, parts exchanged.
    fn scatter<L: Lane>(from: &[Complex<L>], size: usize, samples: &mut [L], apart: usize, left: usize) {
        for (points, row) in from.chunks_exact(size).zip(samples.chunks_mut(apart)) {
            let row = &mut row[..left.min(2 * size)];
            let (pairs, single) = row.as_chunks_mut::<2>();
            pairs.iter_mut().zip(points).for_each(|(pair, point)| *pair = [point[1], point[0]]);
            if let [single] = single {
                *single = points[size - 1][1];
            }
        }
    }
}

wide! {
    /// Takes the columns of a batch of classes apart: X = (Z\[κ\] + conj Z\[−κ\]) / 2 and Y = (Z\[κ\] − conj Z\[−κ\]) / 2i of
    /// Z = X + iY. The halves are in the turns. The shape: bins of a column, and how many columns lie side by side.
    fn unfold<L: Lane>(
        columns: &[Complex<L>],
        shape: [usize; 2],
        batch: &Range<usize>,
        turns: &[[f64; 2]],
        to: &mut [Complex<L>],
    ) {
        let ([g, beside], size) = (shape, batch.len());
        let sides = columns.chunks(g * beside).zip(to.chunks_mut(2 * beside * size));
        for ((side, to), turns) in sides.zip(turns.chunks(2 * beside * size)) {
            let beside = side.len() / g;
            for (lane, class) in batch.clone().enumerate() {
                let mirror = if class == 0 { 0 } else { g - class };
                let (bins, mirrored) = (&side[class * beside..][..beside], &side[mirror * beside..][..beside]);
                for (pair, (z, mirrored)) in bins.iter().zip(mirrored).enumerate() {
                    let at = 2 * pair * size + lane;
                    to[at] = [z[0] + mirrored[0], z[1] - mirrored[1]].times(turns[at]);
                    if let Some(to) = to.get_mut(at + size) {
                        *to = [z[1] + mirrored[1], mirrored[0] - z[0]].times(turns[at + size]);
                    }
                }
            }
        }
    }
}

wide! {
    /// Puts two neighbouring columns S and T, parts exchanged, into one, which is S − iT at κ and iT* − S* at −κ.
    fn fold<L: Lane>(
        from: &[Complex<L>],
        shape: [usize; 2],
        batch: &Range<usize>,
        turns: &[[f64; 2]],
        rows: &mut [Complex<L>],
    ) {
        let ([g, beside], size) = (shape, batch.len());
        let sides = rows.chunks_mut(g * beside).zip(from.chunks(2 * beside * size));
        for ((side, from), turns) in sides.zip(turns.chunks(2 * beside * size)) {
            let beside = side.len() / g;
            for (lane, class) in batch.clone().enumerate() {
                for pair in 0..beside {
                    let at = 2 * pair * size + lane;
                    let s = from[at].times(turns[at]);
                    let t = match from.get(at + size) {
                        Some(t) => t.times(turns[at + size]),
                        None => [L::default(); 2],
                    };
                    if class == 0 || 2 * class == g {
                        // Its own mirror: a sum of real columns is real there.
                        side[class * beside + pair] = [t[1], s[1]];
                    } else {
                        side[class * beside + pair] = [s[0] + t[1], s[1] - t[0]];
                        side[(g - class) * beside + pair] = [t[1] - s[0], s[1] + t[0]];
                    }
                }
            }
        }
    }
}

/// Copies `count` bins of one class, parts exchanged.
#[inline(always)]
fn exchange<L: Lane>(
    bins: &[Complex<L>],
    first: usize,
    to: &mut [Complex<L>],
    to_first: usize,
    count: usize,
    [lane, size]: [usize; 2],
) {
    let from = bins[first * size..].chunks_exact(size).take(count);
    for (to, bin) in to[to_first * size..].chunks_exact_mut(size).zip(from) {
        to[lane] = [bin[lane][1], bin[lane][0]];
    }
}

/// Turns the bins of one class below half of the rate, and those above, which are the negative ones; parts exchanged.
#[inline(always)]
fn delayed<L: Lane>(
    bins: &[Complex<L>],
    delay: &[[f64; 2]],
    to: &mut [Complex<L>],
    [low, high]: [usize; 2],
    [lane, size]: [usize; 2],
) {
    let rows = bins.chunks_exact(size).zip(to.chunks_exact_mut(size)).zip(delay).enumerate();
    for (bin, ((from, to), turn)) in rows {
        let sign = if bin < low { 1.0 } else { -1.0 };
        let is_kept = bin < low || bin >= delay.len() - high;
        let factor = if is_kept { [turn[0] * sign, turn[1] * sign] } else { [0.0; 2] };
        to[lane] = from[lane].times(factor).exchanged();
    }
}
