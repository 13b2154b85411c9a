//! Runs second-order sections over channels: causal (`scipy.signal.sosfilt`) or zero phase (`sosfiltfilt`).
//!
//! Transposed direct form II in double, in `SciPy`'s order of operations, in place. A section waits for its own last result, so
//! some groups of channels go abreast, and causal filters that follow each other share one pass. Products with 1, or with a
//! coefficient that was met already, are left out: they change no bit, but for the sign of a zero.

use crate::dsp::design::Section;
use crate::dsp::lane::Lane;
use crate::dsp::scale::{SUMMED_AT_ONCE, add_sums, mean_of};
use crate::dsp::wide::{each, wide};
use crate::model::recipe::Init;

/// State of one section.
type State<L> = [L; 2];

/// The most groups of channels that go abreast: with more, the states of four sections leave the registers.
pub(crate) const ABREAST: usize = 3;

/// Filters groups of equal length in place with zero phase; the samples are more than `pad_length`.
pub(crate) fn zero_phase<L: Lane>(sections: &[Section], groups: &mut [&mut [L]]) {
    groups.chunks_mut(ABREAST).for_each(|groups| zero_phase_abreast(sections, groups));
}

/// Runs causal filters one after the other over groups of equal length, in place; returns the mean of each group then.
pub(crate) fn causal<L: Lane>(filters: &[(Vec<Section>, Init)], groups: &mut [&mut [L]]) -> Vec<L> {
    let filters = joined(filters);
    groups.chunks_mut(ABREAST).flat_map(|groups| causal_abreast(&filters, groups)).collect()
}

/// Puts filters that need nothing between them into one: a filter that begins at zero, and one whose first sample is zero
/// because the filter before it subtracted its own.
fn joined(filters: &[(Vec<Section>, Init)]) -> Vec<(Vec<Section>, Init)> {
    let mut joined: Vec<(Vec<Section>, Init)> = Vec::new();
    for (sections, init) in filters {
        match joined.last_mut() {
            Some((before, first)) if *init == Init::Zero || *first == Init::FirstSample => {
                before.extend(sections);
            }
            _ => joined.push((sections.clone(), *init)),
        }
    }
    joined
}

/// Some samples pass all filters, and are summed, before the next ones do: they stay in the first caches.
fn causal_abreast<L: Lane>(filters: &[(Vec<Section>, Init)], groups: &mut [&mut [L]]) -> Vec<L> {
    let state = |(sections, _): &(Vec<Section>, Init)| vec![[L::default(); 2]; sections.len() * groups.len()];
    let mut states: Vec<Vec<State<L>>> = filters.iter().map(state).collect();
    let mut offsets: Vec<Option<Vec<L>>> = vec![None; filters.len()];
    let length = groups.first().map_or(0, |samples| samples.len());
    let mut sums = vec![Vec::new(); groups.len()];
    for begin in (0..length).step_by(SUMMED_AT_ONCE) {
        let end = length.min(begin + SUMMED_AT_ONCE);
        let mut block: Vec<&mut [L]> = groups.iter_mut().map(|samples| &mut samples[begin..end]).collect();
        for (((sections, init), state), offset) in filters.iter().zip(&mut states).zip(&mut offsets) {
            if *init == Init::FirstSample {
                let first = offset.get_or_insert_with(|| block.iter().map(|samples| samples[0]).collect());
                for (samples, first) in block.iter_mut().zip(first) {
                    samples.iter_mut().for_each(|sample| *sample = *sample - *first);
                }
            }
            cascade(sections, state, &mut block, Direction::Forward);
        }
        block.iter().zip(&mut sums).for_each(|(samples, sums)| add_sums(samples, sums));
    }
    sums.iter().map(|sums| mean_of(sums, length)).collect()
}

/// Default `padlen` of `sosfiltfilt`: three times the taps, poles and zeros at the origin not counted.
pub(crate) fn pad_length(sections: &[Section]) -> usize {
    let zeros = sections.iter().filter(|section| section.b[2] == 0.0).count();
    let poles = sections.iter().filter(|section| section.a[1] == 0.0).count();
    3 * (2 * sections.len() + 1 - zeros.min(poles))
}

/// Odd extension at both ends, forward and backward, each way begun in the steady state of its first sample.
///
/// The extensions live beside the samples, so the channels are not copied; what the way back would write into the
/// front extension is never needed.
fn zero_phase_abreast<L: Lane>(sections: &[Section], groups: &mut [&mut [L]]) {
    let pad = pad_length(sections);
    let mut front: Vec<Vec<L>> =
        groups.iter().map(|samples| (1..=pad).rev().map(|i| before(samples, i)).collect()).collect();
    let mut back: Vec<Vec<L>> =
        groups.iter().map(|samples| (1..=pad).map(|i| behind(samples, i)).collect()).collect();
    let steady = steady_state(sections);
    let begin = |at: &[L]| -> Vec<State<L>> {
        steady.iter().flat_map(|zi| at.iter().map(|at| [*at * zi[0], *at * zi[1]])).collect()
    };
    let first: Vec<L> = front.iter().map(|front| front[0]).collect();
    let mut state = begin(&first);
    cascade(sections, &mut state, &mut slices(&mut front), Direction::Forward);
    cascade(sections, &mut state, groups, Direction::Forward);
    cascade(sections, &mut state, &mut slices(&mut back), Direction::Forward);
    let last: Vec<L> = back.iter().map(|back| back[pad - 1]).collect();
    let mut state = begin(&last);
    cascade(sections, &mut state, &mut slices(&mut back), Direction::Backward);
    cascade(sections, &mut state, groups, Direction::Backward);
}

/// The sample `i` before the first one, which the channel is turned around.
fn before<L: Lane>(samples: &[L], i: usize) -> L {
    samples[0] + samples[0] - samples[i]
}

/// The sample `i` behind the last one, likewise.
fn behind<L: Lane>(samples: &[L], i: usize) -> L {
    let last = samples.len() - 1;
    samples[last] + samples[last] - samples[last - i]
}

fn slices<L>(vectors: &mut [Vec<L>]) -> Vec<&mut [L]> {
    vectors.iter_mut().map(Vec::as_mut_slice).collect()
}

/// `sosfilt_zi`: the state of every section in the steady state of a unit step.
fn steady_state(sections: &[Section]) -> Vec<[f64; 2]> {
    let mut scale = 1.0;
    sections
        .iter()
        .map(|Section { b, a }| {
            let (b1, b2) = (b[1] - a[0] * b[0], b[2] - a[1] * b[0]);
            let sum = 1.0 + a[0] + a[1];
            let first = (b1 + b2) / sum;
            let second = (1.0 + a[0]) * first - b1;
            let state = [scale * first, scale * second];
            scale *= (b[0] + b[1] + b[2]) / sum;
            state
        })
        .collect()
}

/// Which way time runs.
#[derive(Clone, Copy)]
enum Direction {
    Forward,
    Backward,
}

/// Runs the sections over up to three groups. Several sections a pass overlap in the processor's pipeline; what comes out does not
/// depend on how many of them run together, nor on the other groups. States lie group by group within each section.
fn cascade<L: Lane>(
    sections: &[Section],
    state: &mut [State<L>],
    groups: &mut [&mut [L]],
    direction: Direction,
) {
    let abreast = groups.len();
    for (sections, state) in sections.chunks(4).zip(state.chunks_mut(4 * abreast)) {
        match (abreast, direction) {
            (1, Direction::Forward) => chosen::<L, 1, false>(sections, state, groups),
            (1, Direction::Backward) => chosen::<L, 1, true>(sections, state, groups),
            (2, Direction::Forward) => chosen::<L, 2, false>(sections, state, groups),
            (2, Direction::Backward) => chosen::<L, 2, true>(sections, state, groups),
            (_, Direction::Forward) => chosen::<L, ABREAST, false>(sections, state, groups),
            (_, Direction::Backward) => chosen::<L, ABREAST, true>(sections, state, groups),
        }
    }
}

/// What a section's numerator spares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numerator {
    /// Nothing.
    Any,
    /// b2 is b0.
    Even,
    /// b0 and b2 are 1.
    UnitEven,
    /// b0 is 1, b1 is 0, b2 is −1.
    UnitOdd,
}

impl Numerator {
    fn of(section: &Section) -> Self {
        match section.b {
            [1.0, _, 1.0] => Self::UnitEven,
            [1.0, 0.0, -1.0] => Self::UnitOdd,
            [first, _, last] if first == last => Self::Even,
            _ => Self::Any,
        }
    }
}

/// Numerators of usual cascades, for which the loop is compiled: a band-pass of order 3 with a notch behind it and without, one of
/// order 4, and a notch.
const ORDER_3_NOTCH: u8 = 1;
const ORDER_3: u8 = 2;
const ORDER_4: u8 = 3;
const NOTCH: u8 = 4;
const OTHER: u8 = 0;

/// The numerator of one section of a cascade.
const fn numerator(cascade: u8, section: usize) -> Numerator {
    use Numerator::{Any, Even, UnitEven, UnitOdd};
    match cascade {
        ORDER_3_NOTCH => [Even, UnitOdd, UnitEven, Even][section],
        ORDER_3 => [Even, UnitOdd, UnitEven, Any][section],
        ORDER_4 => [Even, UnitEven, UnitEven, UnitEven][section],
        NOTCH => [Even, Any, Any, Any][section],
        _ => Any,
    }
}

fn is(cascade: u8, sections: &[Section]) -> bool {
    sections.iter().enumerate().all(|(at, section)| Numerator::of(section) == numerator(cascade, at))
}

fn chosen<L: Lane, const W: usize, const BACK: bool>(
    sections: &[Section],
    state: &mut [State<L>],
    groups: &mut [&mut [L]],
) {
    match sections.len() {
        1 if is(NOTCH, sections) => run::<L, W, 1, NOTCH, BACK>(sections, state, groups),
        1 => run::<L, W, 1, OTHER, BACK>(sections, state, groups),
        2 => run::<L, W, 2, OTHER, BACK>(sections, state, groups),
        3 if is(ORDER_3, sections) => run::<L, W, 3, ORDER_3, BACK>(sections, state, groups),
        3 => run::<L, W, 3, OTHER, BACK>(sections, state, groups),
        _ if is(ORDER_4, sections) => run::<L, W, 4, ORDER_4, BACK>(sections, state, groups),
        _ if is(ORDER_3_NOTCH, sections) => run::<L, W, 4, ORDER_3_NOTCH, BACK>(sections, state, groups),
        _ => run::<L, W, 4, OTHER, BACK>(sections, state, groups),
    }
}

wide! {
    fn run<L: Lane, const W: usize, const S: usize, const CASCADE: u8, const BACK: bool>(
        sections: &[Section],
        state: &mut [State<L>],
        groups: &mut [&mut [L]],
    ) {
        let (Some(sections), Some(groups)) = (sections.first_chunk::<S>(), groups.first_chunk_mut::<W>()) else {
            return;
        };
        let length = groups[0].len();
        let groups = groups.each_mut().map(|samples| &mut samples[..length]);
        let mut held = [[[L::default(); 2]; W]; S];
        each!(S, s, {
            each!(W, w, {
                held[s][w] = state[s * W + w];
            });
        });
        for i in 0..length {
            let at = if BACK { length - 1 - i } else { i };
            let mut values = [L::default(); W];
            each!(W, w, {
                values[w] = groups[w][at];
            });
            each!(S, s, {
                each!(W, w, {
                    values[w] = pass(numerator(CASCADE, s), &sections[s], &mut held[s][w], values[w]);
                });
            });
            each!(W, w, {
                groups[w][at] = values[w];
            });
        }
        each!(S, s, {
            each!(W, w, {
                state[s * W + w] = held[s][w];
            });
        });
    }
}

/// Takes one sample through one section.
#[inline(always)]
fn pass<L: Lane>(
    numerator: Numerator,
    Section { b, a }: &Section,
    [first, second]: &mut State<L>,
    value: L,
) -> L {
    let begun = match numerator {
        Numerator::Any | Numerator::Even => value * b[0],
        Numerator::UnitEven | Numerator::UnitOdd => value,
    };
    let out = begun + *first;
    *first = match numerator {
        Numerator::UnitOdd => *second - out * a[0],
        _ => value * b[1] - out * a[0] + *second,
    };
    let ended = match numerator {
        Numerator::Even | Numerator::UnitEven => begun,
        Numerator::Any | Numerator::UnitOdd => value * b[2],
    };
    *second = ended - out * a[1];
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::design::{Band, butterworth, notch};
    use crate::dsp::scale::mean;

    #[test]
    fn padding_is_scipys() {
        let band = |order| pad_length(&butterworth(order, Band::Pass(0.5, 120.0), 256.0));
        assert_eq!((band(4), band(3)), (27, 21));
        assert_eq!(pad_length(&[notch(60.0, 30.0, 256.0)]), 9);
        // Odd order: one section is of first order.
        assert_eq!(pad_length(&butterworth(3, Band::High(0.5), 256.0)), 12);
        assert_eq!(pad_length(&butterworth(4, Band::Low(40.0), 256.0)), 15);
    }

    #[test]
    fn a_constant_passes_unharmed_or_vanishes() {
        let low = butterworth(5, Band::Low(40.0), 256.0);
        let high = butterworth(5, Band::High(1.0), 256.0);
        let mut samples = vec![100.0; 300];
        zero_phase(&low, &mut [&mut samples]);
        assert!(samples.iter().all(|x| (x - 100.0).abs() < 1e-9));
        zero_phase(&high, &mut [&mut samples]);
        assert!(samples.iter().all(|x| x.abs() < 1e-6));
        let mut samples = vec![3000.0; 300];
        causal_alone(&high, Init::FirstSample, &mut [&mut samples]);
        assert!(samples.iter().all(|x| *x == 0.0));
    }

    fn causal_alone(sections: &[Section], init: Init, groups: &mut [&mut [f64]]) {
        let means = causal(&[(sections.to_vec(), init)], groups);
        assert!(means.iter().zip(groups).all(|(told, samples)| *told == mean(samples)));
    }

    fn signal(seed: i32) -> Vec<f64> {
        long_signal(700, seed)
    }

    fn long_signal(length: i32, seed: i32) -> Vec<f64> {
        (0..length).map(|i| f64::from((i % 613 * 7919 + seed * 104_729) % 613 - 300)).collect()
    }

    #[test]
    fn the_mean_is_that_of_the_result_to_the_last_bit() {
        let band = butterworth(3, Band::Pass(0.5, 120.0), 256.0);
        for length in [1, 255, 256, 1024, 1025, 70_001] {
            for abreast in [1, 3, 4] {
                let mut groups: Vec<Vec<f64>> = (0..abreast).map(|seed| long_signal(length, seed)).collect();
                causal_alone(&band, Init::FirstSample, &mut slices(&mut groups));
            }
        }
    }

    #[test]
    fn products_left_out_and_groups_abreast_change_no_bit() {
        let (band, notch) =
            (|order| butterworth(order, Band::Pass(0.5, 120.0), 256.0), notch(60.0, 30.0, 256.0));
        let cascades = [
            (ORDER_3_NOTCH, [band(3), vec![notch]].concat()),
            (ORDER_3, band(3)),
            (ORDER_4, band(4)),
            (NOTCH, vec![notch]),
        ];
        for (cascade, sections) in cascades {
            assert!(is(cascade, &sections), "{cascade}: {sections:?}");
            let mut plain: Vec<Vec<f64>> = (0..3).map(signal).collect();
            for samples in &mut plain {
                for (section, state) in sections.iter().zip(&mut vec![[0.0; 2]; sections.len()]) {
                    for x in &mut *samples {
                        *x = pass(Numerator::Any, section, state, *x);
                    }
                }
            }
            for abreast in 1..=3 {
                let mut groups: Vec<Vec<f64>> = (0..3).map(signal).collect();
                for groups in slices(&mut groups).chunks_mut(abreast) {
                    causal_alone(&sections, Init::Zero, groups);
                }
                let bits = |all: &[Vec<f64>]| all.iter().flatten().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&groups), bits(&plain), "{cascade}, {abreast} abreast");
            }
        }
    }

    #[test]
    fn filters_in_one_pass_equal_one_after_the_other() {
        use Init::{FirstSample, Zero};
        let (band, notch) = (butterworth(3, Band::Pass(0.5, 120.0), 256.0), vec![notch(60.0, 30.0, 256.0)]);
        for (first, second) in
            [(Zero, Zero), (FirstSample, Zero), (FirstSample, FirstSample), (Zero, FirstSample)]
        {
            let filters = [(band.clone(), first), (notch.clone(), second)];
            assert_eq!(joined(&filters).len(), if (first, second) == (Zero, FirstSample) { 2 } else { 1 });
            let (mut together, mut apart) = (signal(1), signal(1));
            causal(&filters, &mut [&mut together]);
            for (sections, init) in filters {
                causal_alone(&sections, init, &mut [&mut apart]);
            }
            assert_eq!(together, apart, "{first:?} {second:?}");
        }
    }

    #[test]
    fn the_number_of_sections_a_pass_changes_nothing() {
        let cascade_of_six = butterworth(6, Band::Pass(1.0, 30.0), 200.0);
        let (mut together, mut apart) = (signal(0), signal(0));
        causal_alone(&cascade_of_six, Init::Zero, &mut [&mut together]);
        for section in &cascade_of_six {
            causal_alone(&[*section], Init::Zero, &mut [&mut apart]);
        }
        assert_eq!(together, apart);
    }
}
