//! The most memory that a recording takes while it is worked on, told from lengths and rates before any sample is read.

use crate::dsp::apply::Lanes;
use crate::dsp::lane::{Lane, Quad};
use crate::dsp::select::Selection;
use crate::dsp::shape::shape;
use crate::dsp::step::{Needs, groups_abreast, is_reference, needs};
use crate::model::Failure;
use crate::model::recipe::{SignalRecipe, Step};
use crate::model::units::{Rate, Seconds};
use std::collections::BTreeSet;

/// Bytes of a sample while it is worked on, and of a pair of twiddles.
const SAMPLE_BYTES: u64 = 8;
const TWIDDLE_BYTES: u64 = 16;
/// What everything else takes: code, blocks of the reader and the writer, designs, short vectors.
const FIXED_BYTES: u64 = 24 << 20;

/// The picked channels of one rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Pieces {
    /// Onset and samples a channel of each stretch.
    pub stretches: Vec<(Seconds, u64)>,
    /// The rate.
    pub rate: Rate,
}

/// Returns the most memory that `apply_in` needs, its result and the `raw_bytes` of what was read included, somewhat rounded up.
///
/// `lead` are the pieces of the leading channel, `others` those of the picked channels that have another rate. Fails as [`shape`]
/// does.
pub fn peak_bytes(
    recipe: &SignalRecipe,
    selection: &Selection,
    raw_bytes: u64,
    (lead, others): (&Pieces, &[Pieces]),
    lanes: Lanes,
) -> Result<u64, Failure> {
    let shape = shape(recipe, &lead.stretches, lead.rate)?;
    let made = shape.samples - shape.gaps.iter().map(|gap| gap.end - gap.start).sum::<u64>();
    let result = shape.samples * recipe.output_channels().len() as u64 * 4 + made;
    let all = std::iter::once(lead).chain(others);
    let rates: BTreeSet<Rate> = std::iter::once(lead).chain(others).map(|pieces| pieces.rate).collect();
    let rates = rates.len() as u64;
    let working = all.map(|pieces| working(recipe, selection, pieces, (lanes, rates))).max().unwrap_or(0);
    let total = raw_bytes.saturating_add(working).saturating_add(result);
    // Sixteenth: allocations are rounded up.
    Ok((total + total / 16).saturating_add(FIXED_BYTES))
}

/// Bytes of the channels in work and of what lies beside them, where the channels are of so many rates.
fn working(
    recipe: &SignalRecipe,
    selection: &Selection,
    pieces: &Pieces,
    (lanes, rates): (Lanes, u64),
) -> u64 {
    let of = |(_, samples): &(Seconds, u64)| needs(&recipe.steps, *samples, pieces.rate);
    let stretches: Vec<Needs> = pieces.stretches.iter().map(of).collect();
    let sum = |of: fn(&Needs) -> u64| stretches.iter().map(of).sum::<u64>();
    let most = |of: fn(&Needs) -> u64| stretches.iter().map(of).max().unwrap_or(0);
    let mut beside = most(|needs| needs.beside);
    if stretches.len() > 1 {
        // What was made of the stretches before, and the one in work taken out of them.
        beside += sum(|needs| needs.longest) + most(|needs| needs.longest);
    }
    let width = match lanes {
        Lanes::Twelve | Lanes::Four => Quad::WIDTH as u64,
        Lanes::One => 1,
    };
    // Groups abreast are of one rate, and every other rate has a row at least.
    let groups = (selection.montage.rows.len() as u64 + 1).saturating_sub(rates).div_ceil(width);
    let abreast = if lanes == Lanes::Twelve { groups.min(groups_abreast(&recipe.steps) as u64) } else { 1 };
    let in_lanes = held(recipe, selection, width, abreast) * sum(|needs| needs.longest) + width * beside;
    SAMPLE_BYTES * (in_lanes + sum(|needs| needs.single)) + TWIDDLE_BYTES * sum(|needs| needs.twiddles)
}

/// Channels that are held at once, lanes without one included.
fn held(recipe: &SignalRecipe, selection: &Selection, width: u64, abreast: u64) -> u64 {
    if !recipe.steps.iter().any(is_reference) {
        return width * abreast;
    }
    let groups = |rows: usize| (rows as u64).next_multiple_of(width);
    // The groups before a reference step, and the pairs that a bipolar one makes of them.
    let is_bipolar = recipe.steps.iter().any(|step| matches!(step, Step::ReferenceBipolar { .. }));
    let pairs = if is_bipolar { groups(recipe.output_channels().len()) } else { 0 };
    groups(selection.montage.rows.len()) + pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::apply::apply_in;
    use crate::dsp::select::select;
    use crate::dsp::test_memory::most_bytes;
    use crate::dsp::test_recordings::{brain_brr, channel, header, hertz, noise, recipe, recording};
    use crate::model::recipe::{GapPolicy, ResampleMethod};
    use crate::model::recording::{Recording, Stretch};

    const FIVE: [&str; 5] = ["Fp1", "Fp2", "C3", "C4", "O1"];

    fn to(rate: u64, method: ResampleMethod) -> Step {
        Step::Resample { rate_hz: hertz(rate), method }
    }

    /// Records of a second, with a gap of a second behind each stretch.
    fn in_stretches(lengths: &[u64]) -> Vec<Stretch> {
        let begin = |at: usize| lengths[..at].iter().sum::<u64>();
        let stretch = |(at, records): (usize, &u64)| Stretch {
            first_record: begin(at),
            records: *records,
            onset: Seconds::parse(&(begin(at) + at as u64).to_string()).unwrap(),
        };
        lengths.iter().enumerate().map(stretch).collect()
    }

    fn pieces(rate: u64, stretches: &[Stretch]) -> Pieces {
        let stretches = stretches.iter().map(|one| (one.onset, one.records * rate)).collect();
        Pieces { stretches, rate: hertz(rate) }
    }

    /// The bytes that `apply_in` takes at most, and the estimate, both without the recording and what is fixed.
    fn taken(steps: &[Step], rates: [u64; 5], lengths: &[u64], lanes: Lanes) -> [u64; 2] {
        let mut recipe = recipe(&FIVE);
        (recipe.steps, recipe.gaps) = (steps.to_vec(), GapPolicy::Fill);
        let signals: Vec<_> = FIVE.iter().zip(rates).map(|(label, rate)| header(label, rate)).collect();
        let selection = select(&signals, &recipe).unwrap();
        let seconds: u64 = lengths.iter().sum();
        let read = |signal: &usize| {
            channel(*signal, rates[*signal], noise(*signal, (seconds * rates[*signal]) as usize))
        };
        let channels = recording(selection.picks.iter().map(read).collect());
        let recording = Recording { stretches: in_stretches(lengths), ..channels };
        let lead = pieces(rates[0], &recording.stretches);
        let other = |rate: &&u64| **rate != rates[0];
        let others: Vec<_> =
            rates.iter().filter(other).map(|rate| pieces(*rate, &recording.stretches)).collect();
        let (made, counted) = most_bytes(|| apply_in(lanes, &recipe, &selection, &recording));
        made.unwrap();
        let estimate = peak_bytes(&recipe, &selection, 0, (&lead, &others), lanes).unwrap();
        [counted, estimate - FIXED_BYTES]
    }

    #[test]
    fn the_estimate_is_what_is_taken_or_somewhat_more() {
        use ResampleMethod::{Fft, Polyphase};
        let average = || [brain_brr()[..2].to_vec(), vec![Step::ReferenceAverage]].concat();
        let pairs = [(0, 2), (1, 3), (2, 4)].map(|(a, b)| (FIVE[a].to_owned(), FIVE[b].to_owned())).to_vec();
        let bipolar = vec![to(256, Fft), Step::ReferenceBipolar { pairs }];
        let cases = [
            ("folded", brain_brr(), 250, vec![600]),
            ("halved", brain_brr(), 512, vec![300]),
            ("nothing to resample", brain_brr(), 256, vec![600]),
            ("a prime number of seconds", brain_brr(), 250, vec![601]),
            ("whole, a large prime up", vec![to(20, Fft)], 10, vec![18_013]),
            ("whole, a large prime down", vec![to(10, Fft)], 20, vec![18_013]),
            ("whole, odd", vec![to(5, Fft)], 7, vec![18_013]),
            ("polyphase up", vec![to(256, Polyphase)], 250, vec![600]),
            ("polyphase down", vec![to(256, Polyphase)], 1000, vec![200]),
            ("up and down", vec![to(1000, Fft), to(250, Fft)], 250, vec![200]),
            ("robust", vec![Step::Robust { epsilon: 1e-8 }], 256, vec![600]),
            ("average", average(), 250, vec![600]),
            ("bipolar", bipolar, 250, vec![600]),
            ("gaps", brain_brr(), 250, vec![200, 300, 100]),
            ("gaps, up", vec![to(256, Fft)], 100, vec![300, 700, 100]),
        ];
        for lanes in [Lanes::Twelve, Lanes::Four, Lanes::One] {
            for (name, steps, rate, lengths) in &cases {
                check(name, taken(steps, [*rate; 5], lengths, lanes), lanes);
            }
            let rates = [100, 100, 500, 500, 500];
            check("mixed rates", taken(&[to(100, Polyphase)], rates, &[600], lanes), lanes);
        }
    }

    /// Scratch of the transforms and blocks belong to what is fixed.
    fn check(name: &str, [counted, estimate]: [u64; 2], lanes: Lanes) {
        const SCRATCH: u64 = 1 << 20;
        assert!(counted <= estimate + SCRATCH, "{name}, {lanes:?}: {counted} bytes, estimated {estimate}");
        assert!(estimate <= 2 * counted + SCRATCH, "{name}, {lanes:?}: only {counted} bytes, not {estimate}");
    }
}
