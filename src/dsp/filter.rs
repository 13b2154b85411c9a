//! Runs second-order sections over a channel: causal (`scipy.signal.sosfilt`) or zero phase (`sosfiltfilt`).
//!
//! Transposed direct form II in double, in `SciPy`'s order of operations, in place. Causal filters that follow each other share one
//! pass over the memory: each block goes through all of them while it is in the first-level cache.

use crate::dsp::design::Section;
use crate::dsp::lane::Lane;
use crate::dsp::wide::wide;
use crate::model::recipe::{Init, Phase};

/// State of one section.
type State<L> = [L; 2];

/// Samples that pass all causal filters before the next ones do.
const BLOCK: usize = 256;

/// Filters in place. For `Phase::Zero` the samples are more than `pad_length`.
pub(crate) fn filter<L: Lane>(sections: &[Section], phase: Phase, samples: &mut [L]) {
    match phase {
        Phase::Zero => zero_phase(sections, samples),
        Phase::Causal(init) => causal(&[(sections.to_vec(), init)], samples),
    }
}

/// Runs causal filters one after the other, in place.
pub(crate) fn causal<L: Lane>(filters: &[(Vec<Section>, Init)], samples: &mut [L]) {
    let state = |(sections, _): &(Vec<Section>, Init)| vec![[L::default(); 2]; sections.len()];
    let mut states: Vec<Vec<State<L>>> = filters.iter().map(state).collect();
    let mut offsets: Vec<Option<L>> = vec![None; filters.len()];
    for block in samples.chunks_mut(BLOCK) {
        for (((sections, init), state), offset) in filters.iter().zip(&mut states).zip(&mut offsets) {
            if *init == Init::FirstSample {
                let first = *offset.get_or_insert(block[0]);
                for sample in block.iter_mut() {
                    *sample = *sample - first;
                }
            }
            cascade(sections, state, block, Direction::Forward);
        }
    }
}

/// Default `padlen` of `sosfiltfilt`: three times the taps, poles and zeros at the origin not counted.
pub(crate) fn pad_length(sections: &[Section]) -> usize {
    let zeros = sections.iter().filter(|section| section.b[2] == 0.0).count();
    let poles = sections.iter().filter(|section| section.a[1] == 0.0).count();
    3 * (2 * sections.len() + 1 - zeros.min(poles))
}

/// Odd extension at both ends, forward and backward, each way begun in the steady state of its first sample.
///
/// The extensions live beside the samples, so the channel is not copied; what the way back would write into the
/// front extension is never needed.
fn zero_phase<L: Lane>(sections: &[Section], samples: &mut [L]) {
    let pad = pad_length(sections);
    let (first, last) = (samples[0], samples[samples.len() - 1]);
    let mut front: Vec<L> = (1..=pad).rev().map(|i| first + first - samples[i]).collect();
    let mut back: Vec<L> = (1..=pad).map(|i| last + last - samples[samples.len() - 1 - i]).collect();
    let steady = steady_state(sections);
    let begin = |at: L| -> Vec<State<L>> { steady.iter().map(|zi| [at * zi[0], at * zi[1]]).collect() };
    let mut state = begin(front[0]);
    cascade(sections, &mut state, &mut front, Direction::Forward);
    cascade(sections, &mut state, samples, Direction::Forward);
    cascade(sections, &mut state, &mut back, Direction::Forward);
    let mut state = begin(back[pad - 1]);
    cascade(sections, &mut state, &mut back, Direction::Backward);
    cascade(sections, &mut state, samples, Direction::Backward);
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

wide! {
    /// Runs the sections over the samples. Several sections a pass overlap in the processor's pipeline; what comes out
    /// does not depend on how many of them run together.
    fn cascade<L: Lane>(sections: &[Section], state: &mut [State<L>], samples: &mut [L], direction: Direction) {
        for (sections, state) in sections.chunks(4).zip(state.chunks_mut(4)) {
            match sections.len() {
                1 => directed::<L, 1>(sections, state, samples, direction),
                2 => directed::<L, 2>(sections, state, samples, direction),
                3 => directed::<L, 3>(sections, state, samples, direction),
                _ => directed::<L, 4>(sections, state, samples, direction),
            }
        }
    }
}

#[inline(always)]
fn directed<L: Lane, const S: usize>(
    sections: &[Section],
    state: &mut [State<L>],
    samples: &mut [L],
    direction: Direction,
) {
    let (Some(sections), Some(state)) = (sections.first_chunk::<S>(), state.first_chunk_mut::<S>()) else {
        return;
    };
    match direction {
        Direction::Forward => run(sections, state, samples.iter_mut()),
        Direction::Backward => run(sections, state, samples.iter_mut().rev()),
    }
}

#[inline(always)]
fn run<'a, L: Lane + 'a, const S: usize>(
    sections: &[Section; S],
    state: &mut [State<L>; S],
    samples: impl Iterator<Item = &'a mut L>,
) {
    let mut held = *state;
    for sample in samples {
        let mut value = *sample;
        for (Section { b, a }, [first, second]) in sections.iter().zip(&mut held) {
            let out = value * b[0] + *first;
            *first = value * b[1] - out * a[0] + *second;
            *second = value * b[2] - out * a[1];
            value = out;
        }
        *sample = value;
    }
    *state = held;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::design::{Band, butterworth, notch};

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
        filter(&low, Phase::Zero, &mut samples);
        assert!(samples.iter().all(|x| (x - 100.0).abs() < 1e-9));
        filter(&high, Phase::Zero, &mut samples);
        assert!(samples.iter().all(|x| x.abs() < 1e-6));
        let mut samples = vec![3000.0; 300];
        filter(&high, Phase::Causal(Init::FirstSample), &mut samples);
        assert!(samples.iter().all(|x| *x == 0.0));
    }

    #[test]
    fn the_number_of_sections_a_pass_changes_nothing() {
        let cascade_of_six = butterworth(6, Band::Pass(1.0, 30.0), 200.0);
        let signal: Vec<f64> = (0..500).map(|i| f64::from((i * 7919) % 613 - 300)).collect();
        let (mut together, mut apart) = (signal.clone(), signal);
        filter(&cascade_of_six, Phase::Causal(Init::Zero), &mut together);
        for section in &cascade_of_six {
            filter(&[*section], Phase::Causal(Init::Zero), &mut apart);
        }
        assert_eq!(together, apart);
    }
}
