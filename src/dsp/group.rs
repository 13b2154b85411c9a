//! Groups of up to four channels in lanes: loading them, writing them, and the two reference steps across them.
//!
//! Flat channels belong to no group: their rows of the output stay zero, and no mean takes them in.

use crate::dsp::lane::{Lane, Quad};
use crate::dsp::montage::Row;
use crate::dsp::settle::Mix;
use crate::dsp::step::Track;
use crate::model::units::Rate;
use ndarray::Array2;

/// Samples that pass between rows and lanes at a time; they stay in the first-level cache.
const BLOCK: usize = 512;

/// Up to four channels on their way through the steps.
#[derive(Debug)]
pub(crate) struct Group {
    /// What the lanes hold.
    pub(crate) members: Vec<Member>,
    /// Their samples; lanes without a member hold zeros.
    pub(crate) track: Track<Quad>,
}

/// One lane.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// Index of the row.
    pub(crate) row: usize,
    /// Its name.
    pub(crate) name: String,
}

/// The rows of the result and the way back to µV.
#[derive(Debug)]
pub(crate) struct Output {
    /// channels × samples.
    pub(crate) data: Array2<f32>,
    /// Centre and divisor of each row.
    pub(crate) scale: Vec<[f64; 2]>,
    /// The column at which each stretch begins; what lies between them stays zero.
    starts: Vec<usize>,
}

/// Puts the rows that are not flat into groups: rows of one rate together, in their order.
pub(crate) fn groups(rows: &[Mix]) -> Vec<Vec<usize>> {
    let mut by_rate: Vec<(Rate, Vec<usize>)> = Vec::new();
    for (index, row) in rows.iter().enumerate().filter(|(_, row)| !row.is_flat) {
        match by_rate.iter_mut().find(|(rate, _)| *rate == row.rate()) {
            Some((_, members)) => members.push(index),
            None => by_rate.push((row.rate(), vec![index])),
        }
    }
    by_rate.iter().flat_map(|(_, members)| members.chunks(Quad::WIDTH).map(<[usize]>::to_vec)).collect()
}

impl Group {
    /// Reads the raw samples of some rows, which share rate and length, into memory that is no longer needed.
    ///
    /// `stretches` are the rows' samples in each stretch of a recording with gaps, empty without gaps.
    pub(crate) fn load(
        rows: &[Mix],
        members: Vec<usize>,
        mut lanes: Vec<Quad>,
        stretches: Vec<usize>,
    ) -> Self {
        let first = &rows[members[0]];
        lanes.resize(first.samples(), Quad::default());
        let mut block = [0.0; BLOCK];
        for (index, chunk) in lanes.chunks_mut(BLOCK).enumerate() {
            for lane in 0..Quad::WIDTH {
                let block = &mut block[..chunk.len()];
                match members.get(lane) {
                    Some(row) => rows[*row].read(index * BLOCK, block),
                    None => block.fill(0.0),
                }
                chunk.iter_mut().zip(block).for_each(|(to, x)| to.set(lane, *x));
            }
        }
        let rate = first.rate();
        let members = members.into_iter().map(|row| Member { row, name: rows[row].name.clone() }).collect();
        Self { members, track: Track { stretches, ..Track::new(lanes, rate) } }
    }
}

impl Output {
    /// Returns rows of zeros in µV for stretches that begin at `starts`.
    pub(crate) fn new(channels: usize, samples: usize, starts: Vec<usize>) -> Self {
        Self { data: Array2::zeros((channels, samples)), scale: vec![[0.0, 1.0]; channels], starts }
    }

    /// Writes the members' rows, rounded to float32; what is not finite becomes 0.
    pub(crate) fn write(&mut self, group: &Group) {
        for (lane, member) in group.members.iter().enumerate() {
            let scale = &group.track.scale;
            self.scale[member.row] = [scale.centre.get(lane), scale.divisor.get(lane)];
        }
        let width = self.data.ncols();
        let Some(data) = self.data.as_slice_mut() else { return };
        for (stretch, start) in group.track.apart().zip(&self.starts) {
            for (index, block) in stretch.chunks(BLOCK).enumerate() {
                for (lane, member) in group.members.iter().enumerate() {
                    let at = member.row * width + start + index * BLOCK;
                    for (to, sample) in data[at..at + block.len()].iter_mut().zip(block) {
                        let value = sample.get(lane) as f32;
                        *to = if value.is_finite() { value } else { 0.0 };
                    }
                }
            }
        }
    }
}

/// Subtracts the mean of all channels, sample by sample, in place.
pub(crate) fn average(groups: &mut [Group]) {
    let Some(length) = groups.first().map(|group| group.track.samples.len()) else { return };
    let count: usize = groups.iter().map(|group| group.members.len()).sum();
    let mut mean = vec![0.0; length];
    for group in &*groups {
        for (sum, sample) in mean.iter_mut().zip(&group.track.samples) {
            (0..group.members.len()).for_each(|lane| *sum += sample.get(lane));
        }
    }
    for sum in &mut mean {
        *sum /= count as f64;
    }
    for group in groups {
        for (sample, mean) in group.track.samples.iter_mut().zip(&mean) {
            *sample = *sample - Quad::splat(*mean);
        }
        if !group.track.is_in_microvolts() {
            // Rows of different scales are mixed now, and no line leads back to µV.
            group.track.forget_scale();
        }
    }
}

/// Makes the pairs of a bipolar step; a pair with a flat channel in it stays out, so it is written as zeros.
///
/// `select` has made sure that nothing scaled the channels before.
pub(crate) fn pairwise(groups: &[Group], pairs: &[Row]) -> Vec<Group> {
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
    for chunk in alive.chunks(Quad::WIDTH) {
        let silence = vec![Quad::default(); first.track.samples.len()];
        let stretches = first.track.stretches.clone();
        let mut track = Track { stretches, ..Track::new(silence, first.track.rate) };
        for (lane, (_, pair)) in chunk.iter().enumerate() {
            for (sign, row) in &pair.terms {
                let Some((group, from)) = place(*row) else { continue };
                for (to, sample) in track.samples.iter_mut().zip(&group.track.samples) {
                    to.set(lane, to.get(lane) + sample.get(from) * sign);
                }
            }
        }
        let members = chunk.iter().map(|(row, pair)| Member { row: *row, name: pair.name.clone() }).collect();
        made.push(Group { members, track });
    }
    made
}
