//! Runs a recipe over a recording: some channels at a time, from raw integers into the rows of the output.
//!
//! A few groups of channels pass all steps before the next ones begin, so beside the output only twelve channels are in
//! memory, or four, or a single one where that is scarce. A reference step needs all channels at once: then all groups are held.

use crate::dsp::buffer::Buffer;
use crate::dsp::early::Early;
use crate::dsp::group::{Group, Output, Stored, average, groups, pairwise};
use crate::dsp::lane::{Lane, Quad};
use crate::dsp::montage::Row;
use crate::dsp::quality::{quality, saturation_note};
use crate::dsp::select::Selection;
use crate::dsp::settle::{Mix, settle};
use crate::dsp::shape::{Shape, shape};
use crate::dsp::step::{Runner, Track, groups_abreast, is_reference, needs, shape_after};
use crate::model::recipe::{SignalRecipe, Step};
use crate::model::recording::{Recording, Signal, Stretch};
use crate::model::units::Rate;
use crate::model::{Failure, FailureClass};

/// How many channels are worked on at once. The result is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lanes {
    /// Four side by side, up to three such groups abreast where the recipe gains by it: fastest.
    Twelve,
    /// Four side by side.
    Four,
    /// One after the other: a quarter of the memory of four.
    One,
}

/// Applies a recipe to the picked channels of a recording.
///
/// The result has the recipe's channels as rows and float32 samples, finite everywhere. Its notes are those of the
/// selection and of the processing; what the reader noted stays in `recording.notes`. A recording with several stretches is
/// filled: zeros lie between them. Fails with `too-short`, `flat`,
/// `ambiguous-channels`, `missing-channels`, `rate-too-low` or `odd-rate`.
pub fn apply(recipe: &SignalRecipe, selection: &Selection, recording: &Recording) -> Result<Signal, Failure> {
    apply_in(Lanes::Twelve, recipe, selection, recording)
}

/// As `apply`, with so many channels at once.
pub fn apply_in(
    lanes: Lanes,
    recipe: &SignalRecipe,
    selection: &Selection,
    recording: &Recording,
) -> Result<Signal, Failure> {
    match lanes {
        Lanes::Twelve => apply_wide::<Quad, f32>(groups_abreast(&recipe.steps), recipe, selection, recording),
        Lanes::Four => apply_wide::<Quad, f32>(1, recipe, selection, recording),
        Lanes::One => apply_wide::<f64, f32>(1, recipe, selection, recording),
    }
}

/// As `apply_in`, without the rounding to float32 at the end: what is compared with other programs and processors.
pub fn apply_in_double(
    lanes: Lanes,
    recipe: &SignalRecipe,
    selection: &Selection,
    recording: &Recording,
) -> Result<Signal<f64>, Failure> {
    match lanes {
        Lanes::Twelve => apply_wide::<Quad, f64>(groups_abreast(&recipe.steps), recipe, selection, recording),
        Lanes::Four => apply_wide::<Quad, f64>(1, recipe, selection, recording),
        Lanes::One => apply_wide::<f64, f64>(1, recipe, selection, recording),
    }
}

fn apply_wide<L: Lane, T: Stored>(
    abreast: usize,
    recipe: &SignalRecipe,
    selection: &Selection,
    recording: &Recording,
) -> Result<Signal<T>, Failure> {
    let mut notes = selection.notes.clone();
    refuse_short(selection, recording)?;
    let rows = settle(recipe, selection, recording, &mut notes)?;
    let shape = common_shape(recipe, &rows, recording)?;
    let pairs = selection.montage.pairs.as_deref();
    let channels: Vec<String> = match pairs {
        Some(pairs) => pairs.iter().map(|pair| pair.name.clone()).collect(),
        None => rows.iter().map(|row| row.name.clone()).collect(),
    };
    let starts = shape.starts.iter().map(|start| *start as usize).collect();
    let size = (channels.len(), shape.samples as usize);
    let mut output = Output::new(size, starts, last_limit(&recipe.steps));
    let mut run = Run::<L> {
        steps: &recipe.steps,
        stretches: &recording.stretches,
        runner: Runner::default(),
        abreast,
        spare: Vec::new(),
        early: Early::new(&recipe.steps),
    };
    run.rows(&rows, pairs, &mut output)?;
    let mut quality = quality(selection, recording);
    let (early_variance, transient) = run.early.finish();
    quality.early_variance = early_variance.into_iter().collect();
    quality.clipped = output.clipped_share(&shape);
    notes.extend(transient);
    notes.extend(saturation_note(&quality));
    let Output { data, scale, .. } = output;
    let input_rate = recording.channels.iter().find(|channel| channel.signal == selection.lead);
    Ok(Signal {
        data,
        channels,
        rate: shape.rate,
        scale,
        interpolated: selection.interpolated.clone(),
        input_rate: input_rate.map_or(shape.rate, |channel| channel.rate),
        quality,
        gaps: shape.gaps,
        notes,
    })
}

/// Applies steps to one channel in double precision, without the rounding to float32 at either end.
///
/// Reference steps need other channels and are left out. Returns the samples and their rate.
pub fn apply_to_channel(steps: &[Step], rate: Rate, samples: &[f64]) -> Result<(Vec<f64>, Rate), Failure> {
    shape_after(steps, samples.len() as u64, rate)?;
    let (mut runner, mut track) = (Runner::default(), Track::new(samples.to_vec().into(), rate));
    let mut rest = steps;
    while !rest.is_empty() {
        rest = &rest[runner.run(rest, &mut [&mut track])?..];
    }
    track.settle();
    Ok((track.samples.to_vec(), track.rate))
}

/// The limit of a clip that is the last step: behind another one it shows in no sample any more.
fn last_limit(steps: &[Step]) -> Option<f64> {
    match steps.last() {
        Some(Step::Clip { limit }) => Some(*limit),
        _ => None,
    }
}

/// A channel of one sample is flat by definition, so length is judged before flatness.
fn refuse_short(selection: &Selection, recording: &Recording) -> Result<(), Failure> {
    let Some(short) = recording.channels.iter().find(|channel| channel.samples.len() < 2) else {
        return Ok(());
    };
    let label = selection.labels.get(&short.signal).map_or("", String::as_str);
    let message = format!(
        "signal {} `{label}` holds {} samples, at least 2 are needed",
        short.signal,
        short.samples.len()
    );
    Err(Failure::new(FailureClass::TooShort, message))
}

/// Returns the columns of the output, which are the same for every channel.
fn common_shape(recipe: &SignalRecipe, rows: &[Mix], recording: &Recording) -> Result<Shape, Failure> {
    let stops: Vec<usize> =
        recipe.steps.iter().enumerate().filter(|(_, step)| is_reference(step)).map(|(at, _)| at).collect();
    for stop in stops.into_iter().chain([recipe.steps.len()]) {
        let shapes = |row: &Mix| -> Result<Vec<(u64, Rate)>, Failure> {
            let lengths = lengths(row, &recording.stretches).into_iter();
            lengths.map(|n| shape_after(&recipe.steps[..stop], n as u64, row.rate())).collect()
        };
        let first = shapes(&rows[0])?;
        for row in rows {
            let other = shapes(row)?;
            if let Some((first, other)) = first.iter().zip(other).find(|(first, other)| *first != other) {
                let (first, other) = ((rows[0].name.as_str(), *first), (row.name.as_str(), other));
                return Err(different_shapes(recipe.steps.get(stop), first, other));
            }
        }
    }
    let onsets = recording.stretches.iter().map(|stretch| stretch.onset);
    let pieces = onsets.zip(lengths(&rows[0], &recording.stretches)).map(|(onset, n)| (onset, n as u64));
    shape(recipe, &pieces.collect::<Vec<_>>(), rows[0].rate())
}

/// The samples of a row in each stretch.
fn lengths(row: &Mix, stretches: &[Stretch]) -> Vec<usize> {
    let records: u64 = stretches.iter().map(|stretch| stretch.records).sum();
    let in_record = row.samples() / records.max(1) as usize;
    match stretches {
        [_] => vec![row.samples()],
        stretches => stretches.iter().map(|stretch| stretch.records as usize * in_record).collect(),
    }
}

fn different_shapes(stop: Option<&Step>, first: (&str, (u64, Rate)), second: (&str, (u64, Rate))) -> Failure {
    let place =
        stop.map_or("after the last step".to_owned(), |step| format!("at the step `{}`", step.name()));
    let ((a, (samples, rate)), (b, (other_samples, other_rate))) = (first, second);
    let message = format!(
        "{place} `{a}` has {samples} samples at {rate} Hz and `{b}` {other_samples} at {other_rate} Hz; a `resample` \
         step before it brings channels of different rates together"
    );
    Failure::new(FailureClass::OddRate, message)
}

struct Run<'a, L> {
    steps: &'a [Step],
    stretches: &'a [Stretch],
    runner: Runner<L>,
    /// How many groups pass the steps together.
    abreast: usize,
    /// The samples of groups before, for the next ones to overwrite.
    spare: Vec<Buffer<L>>,
    early: Early,
}

impl<L: Lane> Run<'_, L> {
    fn rows<T: Stored>(
        &mut self,
        rows: &[Mix],
        pairs: Option<&[Row]>,
        output: &mut Output<T>,
    ) -> Result<(), Failure> {
        let reference = self.steps.iter().position(is_reference);
        let mut held = Vec::new();
        let (groups, abreast) = (groups(rows, L::WIDTH), self.abreast);
        // Only what is of one rate can be filtered together.
        let alike = groups.chunk_by(|a, b| rows[a[0]].rate() == rows[b[0]].rate());
        for together in alike.flat_map(|alike| alike.chunks(abreast)) {
            let mut loaded: Vec<_> = together.iter().map(|members| self.load(rows, members)).collect();
            self.local(0, reference.unwrap_or(self.steps.len()), &mut loaded)?;
            if reference.is_some() {
                held.append(&mut loaded);
            }
            for group in loaded {
                output.write(&group);
                self.spare.push(group.track.samples);
            }
        }
        let mut begin = reference.unwrap_or(self.steps.len());
        while begin < self.steps.len() {
            match (&self.steps[begin], pairs) {
                (Step::ReferenceBipolar { .. }, Some(pairs)) => held = pairwise(&held, pairs),
                _ => average(&mut held),
            }
            let end = self.steps[begin + 1..]
                .iter()
                .position(is_reference)
                .map_or(self.steps.len(), |at| begin + 1 + at);
            for together in held.chunks_mut(self.abreast) {
                self.local(begin + 1, end, together)?;
            }
            begin = end;
        }
        for group in &held {
            output.write(group);
        }
        Ok(())
    }

    fn load(&mut self, rows: &[Mix], members: &[usize]) -> Group<L> {
        let apart = match self.stretches {
            [_] => Vec::new(),
            stretches => lengths(&rows[members[0]], stretches),
        };
        let first = &rows[members[0]];
        let longest = needs(self.steps, first.samples() as u64, first.rate()).longest as usize;
        Group::load(rows, members.to_vec(), (self.spare.pop().unwrap_or_default(), longest), apart)
    }

    /// Runs the steps from `begin` to before `end`, none of which is a reference.
    fn local(&mut self, begin: usize, end: usize, groups: &mut [Group<L>]) -> Result<(), Failure> {
        let mut at = begin;
        while at < end {
            let mut tracks: Vec<_> = groups.iter_mut().map(|group| &mut group.track).collect();
            at += self.runner.run(&self.steps[at..end], &mut tracks)?;
            for group in &mut *groups {
                self.early.observe(at - 1, group);
            }
        }
        if end < self.steps.len() {
            for group in groups {
                group.track.settle();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::select::select;
    use crate::dsp::test_recordings::{brain_brr, channel, header, hertz, noise, recipe, recording};
    use crate::dsp::wide::{Width, narrowed};
    use crate::model::recipe::{FlatPolicy, ResampleMethod};
    use crate::model::units::Seconds;

    /// Selects, reads noise of `seconds` and applies; channels in `flat` hold 7 throughout.
    fn run(
        labels: &[(&str, u64)],
        seconds: u64,
        flat: &[&str],
        recipe: &SignalRecipe,
    ) -> Result<Signal, Failure> {
        let signals: Vec<_> = labels.iter().map(|(label, rate)| header(label, *rate)).collect();
        let selection = select(&signals, recipe)?;
        let read = |signal: &usize| {
            let (label, rate) = labels[*signal];
            let mut samples = noise(*signal, (seconds * rate) as usize);
            if flat.contains(&label) {
                samples.fill(7);
            }
            channel(*signal, rate, samples)
        };
        apply(recipe, &selection, &recording(selection.picks.iter().map(read).collect()))
    }

    const SIX: [(&str, u64); 6] =
        [("Fp1", 250), ("Fp2", 250), ("C3", 250), ("C4", 250), ("O1", 250), ("O2", 250)];

    fn six() -> SignalRecipe {
        recipe(&SIX.map(|(label, _)| label))
    }

    #[test]
    fn a_channel_does_not_depend_on_its_company() {
        let mut whole = six();
        whole.steps = brain_brr();
        let together = run(&SIX, 21, &[], &whole).unwrap();
        assert_eq!(together.data.dim(), (6, 21 * 256));
        for (row, (label, _)) in SIX.iter().enumerate() {
            let mut single = recipe(&[label]);
            single.steps = brain_brr();
            let alone = run(&SIX, 21, &[], &single).unwrap();
            assert_eq!(alone.data.row(0), together.data.row(row), "{label}");
            assert_eq!(alone.scale[0], together.scale[row], "{label}");
        }
    }

    #[test]
    fn memory_and_processor_change_no_bit() {
        let mut average = six();
        average.steps = brain_brr();
        average.steps.insert(3, Step::ReferenceAverage);
        let mut zero = six();
        let phase = crate::model::recipe::Phase::Zero;
        zero.steps = vec![
            Step::Bandpass { low_hz: 0.5, high_hz: 100.0, order: 4, phase },
            Step::Notch { freq_hz: 60.0, q: 30.0, phase },
            Step::Resample { rate_hz: hertz(256), method: ResampleMethod::Polyphase },
            Step::Robust { epsilon: 1e-8 },
        ];
        let mut plain = six();
        plain.steps = brain_brr();
        let signals = SIX.map(|(label, rate)| header(label, rate));
        for recipe in [plain, average, zero] {
            let selection = select(&signals, &recipe).unwrap();
            let read = |signal: &usize| channel(*signal, 250, noise(*signal, 21 * 250));
            let recording = recording(selection.picks.iter().map(read).collect());
            for recording in [with_gaps(&recording), recording] {
                let whole = apply(&recipe, &selection, &recording).unwrap();
                for lanes in [Lanes::Four, Lanes::One] {
                    assert_eq!(whole, apply_in(lanes, &recipe, &selection, &recording).unwrap(), "{lanes:?}");
                }
                for width in [Width::Baseline, Width::Avx2] {
                    let narrow = narrowed(width, || apply(&recipe, &selection, &recording));
                    assert_eq!(whole, narrow.unwrap(), "{width:?}");
                }
            }
        }
    }

    /// The same samples in 21 records of a second: 8 s, a gap of 2 s, 3 s, a gap of 4.5 s, 10 s.
    fn with_gaps(recording: &Recording) -> Recording {
        let stretch = |first_record, records, onset: &str| Stretch {
            first_record,
            records,
            onset: Seconds::parse(onset).unwrap(),
        };
        let stretches = vec![stretch(0, 8, "0"), stretch(8, 3, "10"), stretch(11, 10, "17.5")];
        Recording { stretches, ..recording.clone() }
    }

    #[test]
    fn stretches_are_filtered_apart_and_normalised_together() {
        let signals = SIX.map(|(label, rate)| header(label, rate));
        let mut recipe = six();
        recipe.gaps = crate::model::recipe::GapPolicy::Fill;
        let selection = select(&signals, &recipe).unwrap();
        // Different levels, so that statistics of one stretch are not those of another.
        let ramp = |signal: &usize| {
            let noise = noise(*signal, 21 * 250).into_iter().enumerate();
            channel(*signal, 250, noise.map(|(i, x)| x / 64 + (i / 100 * i) as i16 / 64).collect())
        };
        let recording = with_gaps(&recording(selection.picks.iter().map(ramp).collect()));
        let columns = [0..2048, 2560..3328, 4480..7040];
        recipe.steps = brain_brr()[..3].to_vec();
        let filtered = apply(&recipe, &selection, &recording).unwrap();
        assert_eq!(filtered.data.ncols(), 7040);
        for (stretch, columns) in recording.stretches.iter().zip(columns.clone()) {
            let alone = apply(&recipe, &selection, &recording.only(&[*stretch])).unwrap();
            let there = filtered.data.slice(ndarray::s![.., columns.start..columns.end]);
            let start = alone.data.ncols() - columns.len();
            assert_eq!(there, alone.data.slice(ndarray::s![.., start..]));
        }
        for steps in
            [&[Step::Zscore { epsilon: 0.0 }][..], &[Step::ReferenceAverage, Step::Zscore { epsilon: 0.0 }]]
        {
            recipe.steps = [&brain_brr()[..3], steps].concat();
            let scaled = apply(&recipe, &selection, &recording).unwrap();
            for row in scaled.data.rows() {
                let values = columns.iter().cloned().flatten().map(|at| f64::from(row[at]));
                let (sum, squares) = values.fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
                let n = f64::from(2048 + 768 + 2560);
                assert!((sum / n).abs() < 1e-5 && (squares / n - 1.0).abs() < 1e-5, "{sum} {squares}");
            }
        }
    }

    #[test]
    fn the_scale_leads_back_to_microvolts() {
        let mut whole = six();
        let plain = run(&SIX, 4, &[], &whole).unwrap();
        assert_eq!(plain.scale[0], [0.0, 1.0]);
        whole.steps = vec![Step::Robust { epsilon: 0.5 }, Step::Zscore { epsilon: 1e-8 }];
        let scaled = run(&SIX, 4, &[], &whole).unwrap();
        for (row, [centre, divisor]) in scaled.scale.iter().enumerate() {
            for (z, microvolts) in scaled.data.row(row).iter().zip(plain.data.row(row)) {
                assert!((f64::from(*z) * divisor + centre - f64::from(*microvolts)).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn flat_channels_are_refused_or_zero_and_in_no_mean() {
        let mut recipe = six();
        recipe.steps = vec![Step::ReferenceAverage];
        let failure = run(&SIX, 4, &["C3", "O2"], &recipe).unwrap_err();
        assert_eq!(failure.class, FailureClass::Flat);
        assert!(failure.message.contains("`C3`, `O2`"), "{failure}");
        recipe.flat = FlatPolicy::Zero;
        let signal = run(&SIX, 4, &["C3", "O2"], &recipe).unwrap();
        assert!(signal.data.row(2).iter().chain(signal.data.row(5)).all(|x| *x == 0.0));
        let column = signal.data.column(17);
        assert!(column.sum().abs() < 1e-4 && column[0] != 0.0);
        assert!(signal.notes.iter().any(|note| note.code == "flat"));
    }

    #[test]
    fn equal_duplicates_are_one_and_different_ones_a_failure() {
        let recipe = recipe(&["Cz"]);
        let signals = [header("Cz", 256), header("EEG CZ", 256)];
        let selection = select(&signals, &recipe).unwrap();
        let with = |seed| recording(vec![channel(0, 256, noise(1, 512)), channel(1, 256, noise(seed, 512))]);
        let signal = apply(&recipe, &selection, &with(1)).unwrap();
        assert_eq!(signal.notes[0].code, "duplicate");
        let failure = apply(&recipe, &selection, &with(2)).unwrap_err();
        assert_eq!(failure.class, FailureClass::AmbiguousChannels);
        assert!(
            failure.message.contains("signal 0 `Cz`") && failure.message.contains("signal 1 `EEG CZ`"),
            "{failure}"
        );
    }

    #[test]
    fn pairs_are_differences_whichever_way_they_were_recorded() {
        let pairs = vec![("Fp1".to_owned(), "C3".to_owned()), ("C4".to_owned(), "O2".to_owned())];
        let mut bipolar = six();
        bipolar.steps = vec![Step::ReferenceBipolar { pairs: pairs.clone() }];
        let made = run(&SIX, 4, &[], &bipolar).unwrap();
        let plain = run(&SIX, 4, &[], &six()).unwrap();
        assert_eq!(made.channels, ["Fp1-C3", "C4-O2"]);
        let expected = &plain.data.row(0) - &plain.data.row(2);
        assert!(made.data.row(0).iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4));
        let turned = run(&[("C3-Fp1", 250), ("C4-O2", 250)], 4, &[], &bipolar).unwrap();
        let recorded = run(&[("C3-Fp1", 250), ("C4-O2", 250)], 4, &[], &recipe(&["C3-Fp1"])).unwrap();
        assert_eq!(turned.data.row(0), -&recorded.data.row(0));
        for before in [Step::Zscore { epsilon: 0.0 }, Step::ReferenceAverage, bipolar.steps[0].clone()] {
            let mut recipe = bipolar.clone();
            recipe.steps.insert(0, before);
            assert!(run(&SIX, 4, &[], &recipe).is_err());
        }
    }

    #[test]
    fn what_cannot_run_is_refused_with_its_class() {
        let bandpass = |high_hz| {
            vec![Step::Bandpass { low_hz: 0.5, high_hz, order: 4, phase: crate::model::recipe::Phase::Zero }]
        };
        let poly = |rate_hz| vec![Step::Resample { rate_hz, method: ResampleMethod::Polyphase }];
        let mixed = [("Cz", 250), ("O1", 200)];
        let same = [("Cz", 250), ("O1", 250)];
        for (labels, seconds, steps, class) in [
            (same, 0, vec![], FailureClass::TooShort),
            (same, 4, bandpass(125.0), FailureClass::RateTooLow),
            (mixed, 4, bandpass(110.0), FailureClass::RateTooLow),
            (mixed, 4, vec![], FailureClass::OddRate),
            (mixed, 4, vec![Step::ReferenceAverage], FailureClass::OddRate),
            (same, 4, poly(Rate::new(256_001, 1000).unwrap()), FailureClass::OddRate),
        ] {
            let mut recipe = recipe(&["Cz", "O1"]);
            recipe.steps = steps;
            let failure = run(&labels, seconds, &[], &recipe).unwrap_err();
            assert_eq!(failure.class, class, "{failure}");
        }
        let mut short = recipe(&["Cz"]);
        short.steps = bandpass(100.0);
        let selection = select(&[header("Cz", 250)], &short).unwrap();
        let apply_to =
            |samples| apply(&short, &selection, &recording(vec![channel(0, 250, noise(0, samples))]));
        assert_eq!(apply_to(27).unwrap_err().class, FailureClass::TooShort);
        assert!(apply_to(28).is_ok());
    }

    #[test]
    fn channels_of_different_rates_meet_at_the_new_one() {
        let mut recipe = recipe(&["Cz", "O1", "O2"]);
        recipe.steps = vec![
            Step::Resample { rate_hz: hertz(128), method: ResampleMethod::Polyphase },
            Step::ReferenceAverage,
        ];
        let signal = run(&[("O1", 512), ("Cz", 100), ("O2", 128)], 3, &[], &recipe).unwrap();
        assert_eq!((signal.data.dim(), signal.rate, signal.input_rate), ((3, 384), hertz(128), hertz(100)));
        assert!(signal.data.column(100).sum().abs() < 1e-3);
    }

    #[test]
    fn an_offset_before_a_causal_filter_is_noticed() {
        let mut recipe = recipe(&["Cz"]);
        recipe.steps = brain_brr();
        let selection = select(&[header("Cz", 256)], &recipe).unwrap();
        let with = |offset: i16| {
            let samples = noise(0, 60 * 256).iter().map(|x| x / 4 + offset).collect();
            let signal = apply(&recipe, &selection, &recording(vec![channel(0, 256, samples)])).unwrap();
            signal.notes.iter().any(|note| note.code == "dc-transient")
        };
        assert!(!with(0) && with(30_000));
    }
}
