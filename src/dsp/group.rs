//! Groups of channels in lanes, up to four: loading them, writing them, and the two reference steps across them.
//!
//! Flat channels belong to no group: their rows of the output stay zero, and no mean takes them in.

use crate::dsp::buffer::Buffer;
use crate::dsp::lane::Lane;
use crate::dsp::montage::Row;
use crate::dsp::quality::rounded;
use crate::dsp::scale::Norm;
use crate::dsp::settle::Mix;
use crate::dsp::shape::Shape;
use crate::dsp::step::Track;
use crate::dsp::wide::{each, wide};
use crate::model::units::Rate;
use ndarray::Array2;

/// Samples that pass between rows and lanes at a time; they stay in the first-level cache.
const BLOCK: usize = 256;
/// Channels of the widest lane.
const WIDEST: usize = 4;

/// As many channels as there are lanes, on their way through the steps.
#[derive(Debug)]
pub(crate) struct Group<L> {
    /// What the lanes hold.
    pub(crate) members: Vec<Member>,
    /// Their samples; lanes without a member hold zeros.
    pub(crate) track: Track<L>,
}

/// One lane.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// Index of the row.
    pub(crate) row: usize,
    /// Its name.
    pub(crate) name: String,
}

/// A stored number: float32, or float64 where the last rounding is left out.
pub(crate) trait Stored: Copy + Default {
    /// Rounds a result; what is not finite becomes 0.
    fn of(value: f64) -> Self;

    /// Rounds four samples of every channel; comes back channel by channel.
    fn of_four<L: Lane>(four: [L; 4]) -> [[Self; 4]; 4];

    /// True where the value is as large as the limit, rounded as values are.
    fn reaches(self, limit: f64) -> bool;
}

impl Stored for f32 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        let value = value as f32;
        if value.is_finite() { value } else { 0.0 }
    }

    #[inline(always)]
    fn of_four<L: Lane>(four: [L; 4]) -> [[Self; 4]; 4] {
        L::apart_as_floats(four)
    }

    #[inline(always)]
    fn reaches(self, limit: f64) -> bool {
        self.abs() >= limit as f32
    }
}

impl Stored for f64 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        if value.is_finite() { value } else { 0.0 }
    }

    #[inline(always)]
    fn of_four<L: Lane>(four: [L; 4]) -> [[Self; 4]; 4] {
        let apart = L::apart(four);
        let mut values = [[0.0; 4]; 4];
        each!(WIDEST, lane, {
            each!(WIDEST, sample, {
                values[lane][sample] = Self::of(apart[lane][sample]);
            });
        });
        values
    }

    #[inline(always)]
    fn reaches(self, limit: f64) -> bool {
        self.abs() >= limit
    }
}

/// The rows of the result and the way back to µV.
#[derive(Debug)]
pub(crate) struct Output<T> {
    /// channels × samples.
    pub(crate) data: Array2<T>,
    /// Centre and divisor of each row.
    pub(crate) scale: Vec<[f64; 2]>,
    /// How many samples are as large as the limit.
    pub(crate) clipped: u64,
    /// The limit of a clip that is the last step.
    limit: Option<f64>,
    /// The column at which each stretch begins; what lies between them stays zero.
    starts: Vec<usize>,
}

/// Puts the rows that are not flat into groups of `width`: rows of one rate together, in their order.
pub(crate) fn groups(rows: &[Mix], width: usize) -> Vec<Vec<usize>> {
    let mut by_rate: Vec<(Rate, Vec<usize>)> = Vec::new();
    for (index, row) in rows.iter().enumerate().filter(|(_, row)| !row.is_flat) {
        match by_rate.iter_mut().find(|(rate, _)| *rate == row.rate()) {
            Some((_, members)) => members.push(index),
            None => by_rate.push((row.rate(), vec![index])),
        }
    }
    by_rate.iter().flat_map(|(_, members)| members.chunks(width).map(<[usize]>::to_vec)).collect()
}

impl<L: Lane> Group<L> {
    /// Reads the raw samples of some rows, which share rate and length, into memory that is no longer needed.
    ///
    /// Room for `room` samples spares the steps to come a move. `stretches` are the rows' samples in each stretch of a recording with gaps, empty without gaps.
    pub(crate) fn load(
        rows: &[Mix],
        members: Vec<usize>,
        (mut lanes, room): (Buffer<L>, usize),
        stretches: Vec<usize>,
    ) -> Self {
        let first = &rows[members[0]];
        lanes.empty(room.max(first.samples()));
        let mut blocks = [[0.0; BLOCK]; WIDEST];
        for begin in (0..first.samples()).step_by(BLOCK) {
            let length = BLOCK.min(first.samples() - begin);
            for (row, block) in members.iter().zip(&mut blocks) {
                rows[*row].read(begin, &mut block[..length]);
            }
            into_lanes(&blocks, lanes.grow(length));
        }
        let rate = first.rate();
        let members = members.into_iter().map(|row| Member { row, name: rows[row].name.clone() }).collect();
        Self { members, track: Track { stretches, ..Track::new(lanes, rate) } }
    }
}

impl<T: Stored> Output<T> {
    /// Returns rows of zeros in µV for stretches that begin at `starts`; samples that reach `limit` will be counted.
    pub(crate) fn new(size: (usize, usize), starts: Vec<usize>, limit: Option<f64>) -> Self {
        let data = Array2::from_elem(size, T::default());
        Self { data, scale: vec![[0.0, 1.0]; size.0], clipped: 0, limit, starts }
    }

    /// Writes the members' rows, rounded; what is not finite becomes 0.
    pub(crate) fn write<L: Lane>(&mut self, group: &Group<L>) {
        for (lane, member) in group.members.iter().enumerate() {
            let scale = &group.track.scale;
            self.scale[member.row] = [scale.centre.get(lane), scale.divisor.get(lane)];
        }
        let (norm, width) = (group.track.outstanding(), self.data.ncols());
        let Some(data) = self.data.as_slice_mut() else { return };
        let mut blocks = [[T::default(); BLOCK]; WIDEST];
        for (stretch, start) in group.track.apart().zip(&self.starts) {
            for (chunk, begin) in stretch.chunks(BLOCK).zip((*start..).step_by(BLOCK)) {
                into_blocks(chunk, norm, &mut blocks);
                for (member, block) in group.members.iter().zip(&blocks) {
                    let values = &block[..chunk.len()];
                    data[member.row * width + begin..][..values.len()].copy_from_slice(values);
                    // Without a limit no sample reaches it.
                    if let Some(limit) = self.limit {
                        count_reaching(values, limit, &mut self.clipped);
                    }
                }
            }
        }
    }
}

impl<T> Output<T> {
    /// The share of samples at the limit of the last step; gaps are left out.
    pub(crate) fn clipped_share(&self, shape: &Shape) -> Option<f64> {
        let gaps: u64 = shape.gaps.iter().map(|gap| gap.end - gap.start).sum();
        let samples = (shape.samples - gaps) * self.data.nrows() as u64;
        self.limit.map(|_| rounded(self.clipped as f64 / samples.max(1) as f64))
    }
}

wide! {
    fn into_lanes<L: Lane>(blocks: &[[f64; BLOCK]; WIDEST], to: &mut [L]) {
        let (fours, rest) = to.as_chunks_mut::<4>();
        let begin = 4 * fours.len();
        for (i, to) in fours.iter_mut().enumerate() {
            *to = L::side_by_side(std::array::from_fn(|lane| blocks[lane].as_chunks().0[i]));
        }
        for (i, to) in rest.iter_mut().enumerate() {
            *to = L::from_channels(|lane| blocks[lane][begin + i]);
        }
    }
}

wide! {
    /// Normalises and rounds the samples, at most a block of them, channel by channel.
    fn into_blocks<L: Lane; T: Stored>(samples: &[L], norm: Norm<L>, blocks: &mut [[T; BLOCK]; WIDEST]) {
        let (fours, rest) = samples.as_chunks::<4>();
        for (i, four) in fours.iter().enumerate() {
            let apart = T::of_four([norm.of(four[0]), norm.of(four[1]), norm.of(four[2]), norm.of(four[3])]);
            each!(WIDEST, lane, {
                if lane < L::WIDTH {
                    blocks[lane].as_chunks_mut::<4>().0[i] = apart[lane];
                }
            });
        }
        for (i, sample) in rest.iter().enumerate() {
            let sample = norm.of(*sample);
            for (lane, block) in blocks.iter_mut().enumerate().take(L::WIDTH) {
                block[4 * fours.len() + i] = T::of(sample.get(lane));
            }
        }
    }
}

wide! {
    /// Counts at most a block, so that 32 bits hold what reaches the limit.
    fn count_reaching<T: Stored>(values: &[T], limit: f64, count: &mut u64) {
        let mut reaching = 0_u32;
        for value in values {
            // It never wraps; a check for that would keep eight from being counted at once.
            reaching = reaching.wrapping_add(u32::from(value.reaches(limit)));
        }
        *count += u64::from(reaching);
    }
}

/// Subtracts the mean of all channels, sample by sample, in place.
pub(crate) fn average<L: Lane>(groups: &mut [Group<L>]) {
    let Some(length) = groups.first().map(|group| group.track.samples.len()) else { return };
    let count: usize = groups.iter().map(|group| group.members.len()).sum();
    let mut mean = vec![0.0; length];
    for group in &*groups {
        for (sum, sample) in mean.iter_mut().zip(&*group.track.samples) {
            (0..group.members.len()).for_each(|lane| *sum += sample.get(lane));
        }
    }
    for sum in &mut mean {
        *sum /= count as f64;
    }
    for group in groups {
        for (sample, mean) in group.track.samples.iter_mut().zip(&mean) {
            *sample = *sample - L::splat(*mean);
        }
        group.track.forget_statistics();
        if !group.track.is_in_microvolts() {
            // Rows of different scales are mixed now, and no line leads back to µV.
            group.track.forget_scale();
        }
    }
}

/// Makes the pairs of a bipolar step; a pair with a flat channel in it stays out, so it is written as zeros.
///
/// `select` has made sure that nothing scaled the channels before.
pub(crate) fn pairwise<L: Lane>(groups: &[Group<L>], pairs: &[Row]) -> Vec<Group<L>> {
    let Some(first) = groups.first() else { return Vec::new() };
    let place = |row: usize| {
        groups.iter().find_map(|group| {
            let lane = group.members.iter().position(|member| member.row == row)?;
            Some((group, lane))
        })
    };
    let alive: Vec<(usize, &Row)> = pairs
        .iter()
        .enumerate()
        .filter(|(_, pair)| pair.terms.iter().all(|(_, row)| place(*row).is_some()))
        .collect();
    let mut made = Vec::new();
    for chunk in alive.chunks(L::WIDTH) {
        let silence = vec![L::default(); first.track.samples.len()];
        let stretches = first.track.stretches.clone();
        let mut track = Track { stretches, ..Track::new(silence.into(), first.track.rate) };
        for (lane, (_, pair)) in chunk.iter().enumerate() {
            for (sign, row) in &pair.terms {
                let Some((group, from)) = place(*row) else { continue };
                for (to, sample) in track.samples.iter_mut().zip(&*group.track.samples) {
                    to.set(lane, to.get(lane) + sample.get(from) * sign);
                }
            }
        }
        let members = chunk.iter().map(|(row, pair)| Member { row: *row, name: pair.name.clone() }).collect();
        made.push(Group { members, track });
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::lane::Quad;
    use crate::dsp::scale::Scale;
    use crate::dsp::wide::{Width, narrowed};

    #[test]
    fn rounding_is_that_of_each_value_on_every_processor() {
        let odd = [0.0, -0.0, 0.1, -1.5e-320, 1e-40, 3.4e38, -3.5e38, 1e300, f64::NAN, f64::INFINITY, -1e-46];
        let samples: Vec<Quad> =
            (0..23).map(|i| Quad([0, 1, 2, 3].map(|c| odd[(i + 3 * c) % odd.len()]))).collect();
        let scale = Scale { centre: Quad::splat(0.0), divisor: Quad::splat(1.0) };
        for limit in [f64::INFINITY, 1.0] {
            let norm = Norm { scale, limit };
            for width in [Width::Baseline, Width::Avx2, Width::Avx512] {
                let mut found = [[7.0_f32; BLOCK]; WIDEST];
                narrowed(width, || into_blocks(&samples, norm, &mut found));
                for (i, sample) in samples.iter().enumerate() {
                    for (channel, row) in found.iter().enumerate() {
                        let expected = f32::of(norm.of(*sample).get(channel));
                        assert_eq!(row[i].to_bits(), expected.to_bits(), "{width:?}, {limit}: {sample:?}");
                    }
                }
            }
        }
    }
}
