//! Folded: `scipy.signal.resample` from n = g·a to m = g·b samples in three sweeps over the memory.
//!
//! The bins of length n that are equal modulo g form g transforms of length a, and the same bins of length m form g transforms
//! of length b. So after a transforms of length g (every a-th sample), all that happens to a bin happens within its class of
//! bins, in the first-level cache: turn, transform a, cut or add bins, transform back b, turn. Then b transforms of length g give
//! the samples. Real samples need half of it: two columns are the two parts of one complex transform, and classes come in mirrored
//! pairs. (The decomposition is Cooley and Tukey's of 1965, twice, without ever putting the spectrum in order.) The transforms of
//! length g take points and give bins in the order that suits them, since both are moved anyway.

use crate::dsp::buffer::Buffer;
use crate::dsp::fft::{
    BATCH, Complex, Fft, LONGEST_PLAIN, POINTS_SIDE_BY_SIDE, Point, Unordered, batches, divisors, factors,
};
use crate::dsp::fourier::Work;
use crate::dsp::lane::Lane;
use crate::dsp::roots::Roots;
use crate::dsp::wide::{each, wide};

/// Batches of columns that are taken from the samples at once, or put there.
const SETS: usize = 4;

/// The change of length, prepared.
#[derive(Debug)]
pub(crate) struct Folded {
    /// n and m.
    lengths: [usize; 2],
    /// Transforms of length g, a and b.
    common: Unordered,
    from: Fft,
    to: Fft,
    /// κ ≤ g/2, neighbours where their bins are neighbours.
    classes: Vec<Class>,
    /// e^(−2πi·j·κ/n) / 2n for column j and class κ, in the order in which `unfold` meets them.
    before: Vec<[f64; 2]>,
    /// e^(−2πi·j·κ/m), likewise.
    after: Vec<[f64; 2]>,
    change: Change,
}

/// The bins that are κ modulo g, and those that are −κ.
#[derive(Debug, Clone, Copy)]
struct Class {
    /// κ.
    bin: usize,
    /// Where bins κ and −κ of the transforms of length g lie.
    given: [usize; 2],
    /// Where these transforms take points κ and −κ, on the way back.
    taken: [usize; 2],
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
        let (common, from, to) = (Unordered::new(g), Fft::new(n / g), Fft::new(m / g));
        let classes = classes_of(&common);
        let before = turns(n, from.len(), &classes, 0.5 / n as f64, |column| column);
        let after = turns(m, to.len(), &classes, 1.0, |column| column);
        let change = if n == m { Change::Nothing } else { Change::Length };
        Some(Self { lengths: [n, m], common, from, to, classes, before, after, change })
    }

    /// Prepares what takes samples at j to the values at j − 1/2 of the wave through them, halved: a wave at half the rate, which
    /// has none there, is left out.
    pub(crate) fn delayed(n: usize) -> Option<Self> {
        let g = Self::divisor(n, n)?;
        let [from, to] = [n / g; 2].map(Fft::new);
        let common = Unordered::new(g);
        let classes = classes_of(&common);
        // Bin κ + g·i turns by e^(−πi·κ/n), together with the columns, and by e^(−πi·i/a).
        let before = turns(2 * n, from.len(), &classes, 0.25 / n as f64, |column| 2 * column + 1);
        let after = turns(n, to.len(), &classes, 1.0, |column| column);
        let roots = Roots::new(2 * from.len() as u64);
        let delay = (0..from.len()).map(|bin| roots.get(bin as u64)).map(|[cos, sin]| [cos, -sin]).collect();
        Some(Self { lengths: [n, n], common, from, to, classes, before, after, change: Change::Delay(delay) })
    }

    /// Brings the samples to the new length.
    pub(crate) fn run<L: Lane>(&self, samples: &mut Buffer<L>, work: &mut Work<L>) {
        let g = self.common.len();
        let side = BATCH * self.from.len().max(self.to.len());
        let deepest = self.from.scratch_len(BATCH).max(self.to.scratch_len(BATCH));
        let sides = (2 * side).max(g * self.common.batch() * self.sets());
        work.scratch.fit(2 * (sides + deepest.max(self.common.scratch_len(BATCH))));
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
        let (g, high, beside) = (self.common.len(), self.from.len(), self.common.batch());
        for sets in batches(high.div_ceil(2), self.sets() * beside) {
            let out = &mut out[sets.start * g..sets.end * g];
            let (space, rest) = scratch.split_at_mut(out.len());
            let begins_there = self.common.ends_where_it_began();
            let shape = [high, (2 * sets.len()).min(high - 2 * sets.start)];
            let first = if begins_there { &mut *out } else { &mut *space };
            gather(self.common.points(), &samples[2 * sets.start..], shape, first, beside);
            for (out, space) in out.chunks_mut(g * beside).zip(space.chunks_mut(g * beside)) {
                let (first, second) = if begins_there { (out, space) } else { (space, out) };
                let _ = self.common.run(first.len() / g, first, second, rest);
            }
        }
    }

    /// How many batches of columns are taken from the samples, or put there, at once: so many that a stretch of a row is long enough to be
    /// read ahead.
    fn sets(&self) -> usize {
        (POINTS_SIDE_BY_SIDE / (self.common.len() * self.common.batch())).clamp(1, SETS)
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
        let (a, b) = (self.from.len(), self.to.len());
        let shape = [self.common.len(), self.common.batch()];
        let (first, rest) = scratch.split_at_mut(side);
        let (second, rest) = rest.split_at_mut(side);
        for batch in self.classes.chunks(BATCH) {
            let size = batch.len();
            let (turns, later) = before.split_at(even(a) * size);
            before = later;
            let (data, other) = (&mut first[..a * size], &mut second[..a * size]);
            if self.common.is_exchanged() {
                unfold::<L, true>(columns, shape, batch, turns, data);
            } else {
                unfold::<L, false>(columns, shape, batch, turns, data);
            }
            let is_first = self.from.ends_where_it_began();
            let _ = self.from.run(size, data, other, rest);
            let (bins, space) =
                if is_first { (&mut *first, &mut *second) } else { (&mut *second, &mut *first) };
            self.recast(&bins[..a * size], batch, &mut space[..b * size]);
            let (samples, _) = self.to.run(size, &mut space[..b * size], &mut bins[..b * size], rest);
            let (turns, later) = after.split_at(even(b) * size);
            after = later;
            fold(samples, shape, batch, turns, rows);
        }
    }

    /// Changes the bins of each class in the batch, and exchanges the parts of those that stay.
    fn recast<L: Lane>(&self, bins: &[Complex<L>], batch: &[Class], to: &mut [Complex<L>]) {
        let ([n, m], g) = (self.lengths, self.common.len());
        let half = n.min(m).div_ceil(2);
        for (lane, class) in batch.iter().map(|class| class.bin).enumerate() {
            // Bins κ + g·i below half of the shorter length, and those that many below the end.
            let kept = [half.saturating_sub(class).div_ceil(g), (half - 1 + class) / g];
            let place = [lane, batch.len()];
            match &self.change {
                Change::Nothing => exchange(bins, to, [0, 0], self.from.len(), place),
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
        exchange(bins, to, [0, 0], low, [lane, size]);
        (low..b - high).for_each(|bin| to[bin * size + lane] = [L::default(); 2]);
        exchange(bins, to, [a - high, b - high], high, [lane, size]);
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
        let (g, high, beside) = (self.common.len(), self.to.len(), self.common.batch());
        for sets in batches(high.div_ceil(2), self.sets() * beside) {
            let rows = &mut rows[sets.start * g..sets.end * g];
            let (space, rest) = scratch.split_at_mut(rows.len());
            for (rows, space) in rows.chunks_mut(g * beside).zip(space.chunks_mut(g * beside)) {
                let _ = self.common.run(rows.len() / g, rows, space, rest);
            }
            let done = if self.common.ends_where_it_began() { rows } else { space };
            let shape = [high, (2 * sets.len()).min(high - 2 * sets.start)];
            let samples = &mut samples[2 * sets.start..];
            if self.common.is_exchanged() {
                scatter::<L, true>(self.common.bins(), done, beside, samples, shape);
            } else {
                scatter::<L, false>(self.common.bins(), done, beside, samples, shape);
            }
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

/// Returns the classes in the order in which the bins lie.
fn classes_of(common: &Unordered) -> Vec<Class> {
    let g = common.len();
    let (mut given, mut taken) = (vec![0; g], vec![0; g]);
    for (place, (bin, point)) in common.bins().iter().zip(common.points()).enumerate() {
        given[*bin as usize] = place;
        taken[*point as usize] = place;
    }
    let mut is_met = vec![false; g / 2 + 1];
    let nearest_zero = common.bins().iter().map(|bin| *bin as usize).map(|bin| bin.min(g - bin));
    nearest_zero
        .filter(|bin| !std::mem::replace(&mut is_met[*bin], true))
        .map(|bin| {
            let both = [bin, (g - bin) % g];
            Class { bin, given: both.map(|bin| given[bin]), taken: both.map(|point| taken[point]) }
        })
        .collect()
}

/// scale · e^(−2πi·f(j)·κ/length), batch by batch of classes κ, column j by column, one unused column behind an odd number of them.
fn turns(
    length: usize,
    columns: usize,
    classes: &[Class],
    scale: f64,
    f: impl Fn(usize) -> usize,
) -> Vec<[f64; 2]> {
    let roots = Roots::new(length as u64);
    let mut turns = Vec::with_capacity(even(columns) * classes.len());
    for batch in classes.chunks(BATCH) {
        for column in 0..even(columns) {
            turns.extend(batch.iter().map(|class| {
                let [cos, sin] = roots.get((f(column) * class.bin) as u64);
                [cos * scale, -sin * scale]
            }));
        }
    }
    turns
}

wide! {
    /// Takes the first columns of some rows, in the order given: `beside` pairs of columns lie side by side, row by row, then the next
    /// ones. The shape: how far rows lie from each other, and how many columns are taken.
    fn gather<L: Lane>(rows: &[u32], samples: &[L], shape: [usize; 2], to: &mut [Complex<L>], beside: usize) {
        let ([apart, columns], g) = (shape, rows.len());
        for (place, row) in rows.iter().enumerate() {
            let row = &samples[*row as usize * apart..][..columns];
            for (to, columns) in to.chunks_mut(g * beside).zip(row.chunks(2 * beside)) {
                let width = to.len() / g;
                let to = &mut to[place * width..][..width];
                let (pairs, single) = columns.as_chunks::<2>();
                if let (BATCH, Some(pairs)) = (width, pairs.first_chunk::<BATCH>()) {
                    // A count that is known becomes moves, not a call.
                    each!(BATCH, pair, {
                        to[pair] = pairs[pair];
                    });
                    continue;
                }
                to.iter_mut().zip(pairs).for_each(|(to, pair)| *to = *pair);
                if let [single] = single {
                    to[width - 1] = [*single, L::default()];
                }
            }
        }
    }
}

wide! {
    /// The way back of `gather`, parts exchanged unless they are already.
    fn scatter<L: Lane, const EXCHANGED: bool>(
        rows: &[u32],
        from: &[Complex<L>],
        beside: usize,
        samples: &mut [L],
        shape: [usize; 2],
    ) {
        let ([apart, columns], g) = (shape, rows.len());
        let parts = |[re, im]: Complex<L>| if EXCHANGED { [re, im] } else { [im, re] };
        for (place, row) in rows.iter().enumerate() {
            let row = &mut samples[*row as usize * apart..][..columns];
            for (from, columns) in from.chunks(g * beside).zip(row.chunks_mut(2 * beside)) {
                let width = from.len() / g;
                let points = &from[place * width..][..width];
                let (pairs, single) = columns.as_chunks_mut::<2>();
                pairs.iter_mut().zip(points).for_each(|(pair, point)| *pair = parts(*point));
                if let [single] = single {
                    *single = parts(points[width - 1])[0];
                }
            }
        }
    }
}

wide! {
    /// Takes the columns of a batch of classes apart: X = (Z\[κ\] + conj Z\[−κ\]) / 2 and Y = (Z\[κ\] − conj Z\[−κ\]) / 2i of
    /// Z = X + iY. The halves are in the turns. The shape: bins of a column, and how many columns lie side by side.
    fn unfold<L: Lane, const EXCHANGED: bool>(
        columns: &[Complex<L>],
        shape: [usize; 2],
        batch: &[Class],
        turns: &[[f64; 2]],
        to: &mut [Complex<L>],
    ) {
        let ([g, beside], size) = (shape, batch.len());
        let parts = |[re, im]: Complex<L>| if EXCHANGED { [im, re] } else { [re, im] };
        let sides = columns.chunks(g * beside).zip(to.chunks_mut(2 * beside * size));
        for ((side, to), turns) in sides.zip(turns.chunks(2 * beside * size)) {
            let beside = side.len() / g;
            for (lane, class) in batch.iter().enumerate() {
                let [bins, mirrored] = class.given.map(|place| &side[place * beside..][..beside]);
                for (pair, (z, mirrored)) in bins.iter().zip(mirrored).enumerate() {
                    let (z, mirrored) = (parts(*z), parts(*mirrored));
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
        batch: &[Class],
        turns: &[[f64; 2]],
        rows: &mut [Complex<L>],
    ) {
        let ([g, beside], size) = (shape, batch.len());
        let sides = rows.chunks_mut(g * beside).zip(from.chunks(2 * beside * size));
        for ((side, from), turns) in sides.zip(turns.chunks(2 * beside * size)) {
            let beside = side.len() / g;
            for (lane, class) in batch.iter().enumerate() {
                let [place, mirror] = class.taken;
                for pair in 0..beside {
                    let at = 2 * pair * size + lane;
                    let s = from[at].times(turns[at]);
                    let t = match from.get(at + size) {
                        Some(t) => t.times(turns[at + size]),
                        None => [L::default(); 2],
                    };
                    if place == mirror {
                        // A sum of real columns is real there.
                        side[place * beside + pair] = [t[1], s[1]];
                    } else {
                        side[place * beside + pair] = [s[0] + t[1], s[1] - t[0]];
                        side[mirror * beside + pair] = [t[1] - s[0], s[1] + t[0]];
                    }
                }
            }
        }
    }
}

wide! {
    /// Copies `count` bins of one class, parts exchanged: from bin `ends[0]` on to bin `ends[1]` on. The place: which sequence of how
    /// many.
    fn exchange<P: Point>(bins: &[P], to: &mut [P], ends: [usize; 2], count: usize, place: [usize; 2]) {
        let [lane, size] = place;
        let from = bins[ends[0] * size..].chunks_exact(size).take(count);
        for (to, bin) in to[ends[1] * size..].chunks_exact_mut(size).zip(from) {
            to[lane] = bin[lane].exchanged();
        }
    }
}

wide! {
    /// Turns the bins of one class below half of the rate, and those above, which are the negative ones; parts exchanged. Kept are so
    /// many of both; the place is that of `exchange`.
    fn delayed<P: Point>(bins: &[P], delay: &[[f64; 2]], to: &mut [P], kept: [usize; 2], place: [usize; 2]) {
        let ([low, high], [lane, size]) = (kept, place);
        let rows = bins.chunks_exact(size).zip(to.chunks_exact_mut(size)).zip(delay).enumerate();
        for (bin, ((from, to), turn)) in rows {
            let sign = if bin < low { 1.0 } else { -1.0 };
            let is_kept = bin < low || bin >= delay.len() - high;
            let factor = if is_kept { [turn[0] * sign, turn[1] * sign] } else { [0.0; 2] };
            to[lane] = from[lane].times(P::turn(factor)).exchanged();
        }
    }
}
