//! One recording from its bytes to its signal file: read once, forward, hashed on the way; then processed.

use crate::model::artifact::SignalFacts;
use crate::model::failure::{Failure, FailureClass, Note};
use crate::model::id::{Digest, RecordingId};
use crate::model::inventory::SourceRecording;
use crate::model::quality::Quality;
use crate::model::recipe::{GapPolicy, SignalRecipe};
use crate::model::recording::{Header, RawChannel, Recording, Signal, Stretch};
use crate::model::settings::Settings;
use crate::model::stem::{PartOf, Stem};
use crate::model::units::{Rate, Seconds};
use crate::ops::admission::{self, Gate, Permit};
use crate::ops::labelling::Told;
use crate::ops::process::{Artifact, Bench, Trouble, lock};
use crate::ops::survey::now_ns;
use crate::store::MemoLine;
use crate::{dsp, formats, source};
use std::collections::BTreeMap;

/// A recording as it was read, with its content.
pub(super) struct Raw<'a> {
    source: Digest,
    lanes: dsp::Lanes,
    /// Held until the last file that the recording becomes is written.
    permit: Permit<'a>,
    header: Header,
    selection: dsp::Selection,
    recording: Recording,
}

/// How a recording is let in.
type Terms<'a> = (dsp::Lanes, Permit<'a>);

/// What `parse` leaves.
struct Parsed<'a> {
    header: Header,
    selection: dsp::Selection,
    recording: Recording,
    terms: Terms<'a>,
}

/// A recording that was read, with the files that it will become.
pub(super) struct Cut<'a> {
    raw: Raw<'a>,
    /// The rate of the signals.
    pub(super) rate: Rate,
    /// The recording in one piece, or its parts.
    pub(super) parts: Vec<Part>,
}

/// A signal file to be.
#[derive(Clone)]
#[expect(clippy::struct_field_names, reason = "a file is a part of a recording, or no part")]
pub(super) struct Part {
    pub(super) stem: Stem,
    pub(super) part: Option<PartOf>,
    pub(super) shape: dsp::Shape,
    /// The stretches of the recording that it takes.
    stretches: Vec<Stretch>,
}

impl<'a> Raw<'a> {
    /// Decides what files the recording becomes: one, or one for every stretch that the steps can run on.
    fn cut(self, recipe: &SignalRecipe, id: &RecordingId) -> Result<Cut<'a>, Failure> {
        let mut raw = self;
        let usable = dsp::usable(recipe, &raw.recording)?;
        raw.recording.notes.extend(usable.notes);
        let is_split = recipe.gaps == GapPolicy::Split && raw.recording.stretches.len() > 1;
        let of = usable.stretches.len() as u32;
        let name = |(index, stretches): (u32, Vec<Stretch>)| match stretches.first().filter(|_| is_split) {
            None => (Stem::whole(id.clone()), None, stretches),
            Some(first) => {
                let part = PartOf { of, start_s: first.onset };
                (Stem::of_part(id.clone(), index), Some(part), stretches)
            }
        };
        let files = (0..).zip(dsp::files(recipe, usable.stretches)).map(name);
        let lead = raw.lead()?;
        let shape = |(stem, part, stretches): (Stem, Option<PartOf>, Vec<Stretch>)| {
            let shape = dsp::shape(recipe, &raw.pieces(lead, &stretches), lead.rate)?;
            Ok(Part { stem, part, shape, stretches })
        };
        let parts: Vec<Part> = files.map(shape).collect::<Result<_, Failure>>()?;
        let rate = parts.first().map_or(lead.rate, |part| part.shape.rate);
        Ok(Cut { raw, rate, parts })
    }

    /// The leading channel, which decides the length of signals and labels.
    fn lead(&self) -> Result<&RawChannel, Failure> {
        let lead = self.recording.channels.iter().find(|channel| channel.signal == self.selection.lead);
        lead.ok_or_else(|| Failure::new(FailureClass::MissingChannels, "no channel was picked"))
    }

    /// Onset and samples of some stretches.
    fn pieces(&self, channel: &RawChannel, stretches: &[Stretch]) -> Vec<(Seconds, u64)> {
        let piece = |s: &Stretch| (s.onset, self.recording.samples_of(channel, s).len() as u64);
        stretches.iter().map(piece).collect()
    }
}

impl Cut<'_> {
    /// The memory that the most demanding of the files needs while it is made. All raw samples are held until the last one is
    /// written, and what a part takes of them lies there a second time.
    fn peak_bytes(&self, recipe: &SignalRecipe, lanes: dsp::Lanes) -> Result<u64, Failure> {
        let Raw { recording, selection, .. } = &self.raw;
        let lead = self.raw.lead()?;
        let raw: u64 = recording.channels.iter().map(|channel| channel.samples.bytes()).sum();
        let records = |stretches: &[Stretch]| stretches.iter().map(|s| s.records).sum::<u64>();
        let all = records(&recording.stretches).max(1);
        let of_part = |part: &Part| {
            let is_copied = part.stretches.len() < recording.stretches.len();
            let copied = if is_copied { raw / all * records(&part.stretches) } else { 0 };
            let pieces = |channel: &RawChannel| dsp::Pieces {
                stretches: self.raw.pieces(channel, &part.stretches),
                rate: channel.rate,
            };
            let is_other = |channel: &&RawChannel| channel.rate != lead.rate;
            let others: Vec<_> = recording.channels.iter().filter(is_other).map(pieces).collect();
            dsp::peak_bytes(recipe, selection, raw + copied, (&pieces(lead), &others), lanes)
        };
        self.parts.iter().map(of_part).try_fold(0, |most, bytes| Ok(bytes?.max(most)))
    }

    /// The recording's content.
    pub(super) fn source(&self) -> Digest {
        self.raw.source
    }

    /// The finished signal of one of its files.
    pub(super) fn signal(&self, recipe: &SignalRecipe, part: &Part) -> Result<Signal, Failure> {
        let raw = &self.raw;
        if part.stretches.len() == raw.recording.stretches.len() {
            dsp::apply_in(raw.lanes, recipe, &raw.selection, &raw.recording)
        } else {
            dsp::apply_in(raw.lanes, recipe, &raw.selection, &raw.recording.only(&part.stretches))
                .map_err(|failure| of_part(part, failure))
        }
    }

    /// Onset of sample 0 behind the start in the header.
    pub(super) fn offset(&self) -> Seconds {
        self.raw.recording.offset
    }

    /// When it ends, where its last stretch was left out.
    pub(super) fn ends(&self) -> Option<Seconds> {
        let kept: Vec<Stretch> = self.parts.iter().flat_map(|part| part.stretches.iter().copied()).collect();
        ends(&self.raw.header, &self.raw.recording, &kept)
    }

    /// What was odd about it while it was read.
    pub(super) fn notes(&self) -> &[Note] {
        &self.raw.recording.notes
    }

    /// What the recording says itself that its labels may need.
    pub(super) fn told(&self) -> Told {
        Told {
            start: formats::start(&self.raw.header),
            is_annotated: formats::has_annotations(&self.raw.header),
            annotations: self.raw.recording.annotations.clone(),
            notes: self.raw.recording.notes.clone(),
        }
    }
}

impl Bench<'_> {
    pub(super) fn make_signal(
        &self,
        recording: &SourceRecording,
        cut: &Cut<'_>,
        part: &Part,
    ) -> Result<Artifact<SignalFacts>, Trouble> {
        let recipe = &self.settings.recipe.signal;
        self.gate.begin_processing();
        let signal = cut.signal(recipe, part)?;
        let facts = signal_facts(self.wanted.signal, cut, part, &signal);
        let record = self.writer.write_signal(recording.split, &signal, recipe.dtype, facts.clone())?;
        Ok(Artifact { record, facts, made: "built".to_owned() })
    }

    /// Reads a recording as soon as there is memory for it, and decides what files it becomes. Fails with
    /// `changed-while-reading` where it is not, from the first to the last byte, the file that `recording` describes, and with
    /// `too-long` where it needs more memory than there may be.
    pub(super) fn read(&self, recording: &SourceRecording, id: &RecordingId) -> Result<Cut<'_>, Failure> {
        let recipe = &self.settings.recipe.signal;
        let mut cut = self.read_once(recording, None)?.cut(recipe, id)?;
        let no_wider = [cut.raw.lanes, cut.raw.lanes.max(dsp::Lanes::Four)];
        for lanes in no_wider {
            if cut.peak_bytes(recipe, lanes)? <= cut.raw.permit.bytes() {
                cut.raw.lanes = lanes;
                return Ok(cut);
            }
        }
        // Gaps take room where they are filled, and parts lie beside the whole: the header knew of neither.
        let (lanes, bytes) = self.gate.judge(|lanes| cut.peak_bytes(recipe, lanes))?;
        if cut.raw.permit.grow(bytes) {
            cut.raw.lanes = lanes;
            return Ok(cut);
        }
        // Who waits with samples in hand may wait for somebody who does the same.
        drop(cut);
        let permit = self.gate.admit(bytes);
        self.read_once(recording, Some((lanes, permit)))?.cut(recipe, id)
    }

    fn read_once<'a>(
        &'a self,
        recording: &SourceRecording,
        admitted: Option<Terms<'a>>,
    ) -> Result<Raw<'a>, Failure> {
        let began_ns = now_ns();
        let path = &recording.file.path;
        let mut reader = source::open(&self.settings.dataset.root, path)?;
        let parsed = parse(&self.settings.recipe.signal, &self.gate, &mut reader, admitted);
        if let Err(failure) = &parsed
            && failure.class == FailureClass::TooLong
        {
            // Refused before it starts, by every build whose budget is too small: nothing of it is read.
            return Err(failure.clone());
        }
        // The rest is hashed also behind a failure, which is remembered under the recording's content.
        let (sha256, stamp) = reader.finish()?;
        if stamp != recording.file.stamp {
            let message = format!("`{path}` is not the file any more that was there when the build began");
            return Err(Failure::new(FailureClass::ChangedWhileReading, message));
        }
        lock(&self.learned).push(MemoLine { path: path.clone(), stamp, sha256, began_ns });
        let Parsed { header, selection, recording, terms: (lanes, permit) } = parsed?;
        Ok(Raw { source: sha256, lanes, permit, header, selection, recording })
    }
}

/// Reads a recording once, whatever was known of it, and decides what files it becomes.
pub(super) fn read_cut<'a>(
    settings: &Settings,
    gate: &'a Gate,
    recording: &SourceRecording,
    id: &RecordingId,
) -> Result<Cut<'a>, Failure> {
    let recipe = &settings.recipe.signal;
    let mut reader = source::open(&settings.dataset.root, &recording.file.path)?;
    let Parsed { header, selection, recording, terms: (lanes, permit) } =
        parse(recipe, gate, &mut reader, None)?;
    let (source, _) = reader.finish()?;
    Raw { source, lanes, permit, header, selection, recording }.cut(recipe, id)
}

/// Reads the header and, as soon as there is memory for them, the picked channels.
fn parse<'a>(
    recipe: &SignalRecipe,
    gate: &'a Gate,
    reader: &mut source::SourceReader,
    admitted: Option<Terms<'a>>,
) -> Result<Parsed<'a>, Failure> {
    let bytes = reader.file_bytes();
    let header = formats::read_header(reader, bytes)?;
    let selection = dsp::select(&header.signals, recipe)?;
    let terms = if let Some(terms) = admitted {
        terms
    } else {
        let need = |lanes| Ok(admission::peak_bytes(recipe, &header, &selection, lanes));
        let (lanes, bytes) = gate.judge(need)?;
        (lanes, gate.admit(bytes))
    };
    let recording =
        formats::read_recording(reader, &header, &selection.picks, recipe.truncated, recipe.gaps)?;
    Ok(Parsed { header, selection, recording, terms })
}

/// When a recording ends, in seconds from its sample 0, where its last stretch is none of those kept: what was annotated
/// there is no less part of it.
pub(super) fn ends(header: &Header, recording: &Recording, kept: &[Stretch]) -> Option<Seconds> {
    let last = recording.stretches.last().filter(|last| !kept.contains(last))?;
    Some((0..last.records).fold(last.onset, |end, _| end.plus(header.record_duration)))
}

/// A failure of one part, which is one of the whole recording.
fn of_part(part: &Part, failure: Failure) -> Failure {
    match part.part {
        None => failure,
        Some(place) => {
            let message = format!("`{}`, from {} s on: {}", part.stem, place.start_s, failure.message);
            Failure::new(failure.class, message)
        }
    }
}

fn signal_facts(fingerprint: Digest, cut: &Cut<'_>, part: &Part, signal: &Signal) -> SignalFacts {
    let raw = &cut.raw;
    let notes = raw.header.notes.iter().chain(&raw.recording.notes).chain(&signal.notes);
    SignalFacts {
        id: part.stem.clone(),
        fingerprint,
        source_sha256: raw.source,
        arrays: BTreeMap::new(),
        samples: signal.data.ncols() as u64,
        rate_hz: signal.rate,
        input_rate_hz: signal.input_rate,
        offset_s: raw.recording.offset,
        ends_s: cut.ends(),
        gaps: signal.gaps.clone(),
        interpolated: signal.interpolated.clone(),
        quality: Some(Box::new(Quality { format: Some(raw.header.format()), ..signal.quality.clone() })),
        notes: notes.cloned().collect(),
        part: part.part,
    }
}
