//! One recording from its bytes to its signal file: read once, forward, hashed on the way; then processed.

use crate::model::artifact::SignalFacts;
use crate::model::failure::{Failure, FailureClass};
use crate::model::id::{Digest, RecordingId};
use crate::model::inventory::SourceRecording;
use crate::model::recipe::{GapPolicy, SignalRecipe};
use crate::model::recording::{Header, Recording, Signal, Stretch};
use crate::model::stem::{PartOf, Stem};
use crate::model::units::{Rate, Seconds};
use crate::ops::labelling::Told;
use crate::ops::process::{Artifact, Bench, Trouble, lock};
use crate::ops::survey::now_ns;
use crate::store::MemoLine;
use crate::{dsp, formats, source};
use std::collections::BTreeMap;

/// A recording as it was read, with its content.
pub(super) struct Raw {
    source: Digest,
    header: Header,
    selection: dsp::Selection,
    recording: Recording,
}

/// A recording that was read, with the files that it will become.
pub(super) struct Cut {
    raw: Raw,
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

impl Raw {
    /// Decides what files the recording becomes: one, or one for every stretch that the steps can run on.
    pub(super) fn cut(self, recipe: &SignalRecipe, id: &RecordingId) -> Result<Cut, Failure> {
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
        let lead = raw.recording.channels.iter().find(|channel| channel.signal == raw.selection.lead);
        let lead =
            lead.ok_or_else(|| Failure::new(FailureClass::MissingChannels, "no channel was picked"))?;
        let shape = |(stem, part, stretches): (Stem, Option<PartOf>, Vec<Stretch>)| {
            let pieces = stretches.iter().map(|s| (s.onset, raw.recording.samples_of(lead, s).len() as u64));
            let shape = dsp::shape(recipe, &pieces.collect::<Vec<_>>(), lead.rate)?;
            Ok(Part { stem, part, shape, stretches })
        };
        let parts: Vec<Part> = files.map(shape).collect::<Result<_, Failure>>()?;
        let rate = parts.first().map_or(lead.rate, |part| part.shape.rate);
        Ok(Cut { raw, rate, parts })
    }
}

impl Cut {
    /// The recording's content.
    pub(super) fn source(&self) -> Digest {
        self.raw.source
    }

    /// Onset of sample 0 behind the start in the header.
    pub(super) fn offset(&self) -> Seconds {
        self.raw.recording.offset
    }

    /// What the recording says itself that its labels may need.
    pub(super) fn told(&self) -> Told {
        Told {
            start: formats::start(&self.raw.header),
            annotations: self.raw.recording.annotations.clone(),
            notes: self.raw.recording.notes.clone(),
        }
    }
}

impl Bench<'_> {
    pub(super) fn make_signal(
        &self,
        recording: &SourceRecording,
        cut: &Cut,
        part: &Part,
    ) -> Result<Artifact<SignalFacts>, Trouble> {
        let recipe = &self.settings.recipe.signal;
        let raw = &cut.raw;
        let signal = if part.stretches.len() == raw.recording.stretches.len() {
            dsp::apply(recipe, &raw.selection, &raw.recording)?
        } else {
            dsp::apply(recipe, &raw.selection, &raw.recording.only(&part.stretches))
                .map_err(|failure| of_part(part, failure))?
        };
        let facts = signal_facts(self.wanted.signal, raw, part, &signal);
        let record = self.writer.write_signal(recording.split, &signal, recipe.dtype, facts.clone())?;
        Ok(Artifact { record, facts, made: "built".to_owned() })
    }

    /// Reads a recording once. Fails with `changed-while-reading` where it is not, from the first to the last byte, the
    /// file that `recording` describes.
    pub(super) fn read(&self, recording: &SourceRecording) -> Result<Raw, Failure> {
        let began_ns = now_ns();
        let path = &recording.file.path;
        let mut reader = source::open(&self.settings.dataset.root, path)?;
        let parsed = self.parse(&mut reader);
        // The rest is hashed also behind a failure, which is remembered under the recording's content.
        let (sha256, stamp) = reader.finish()?;
        if stamp != recording.file.stamp {
            let message = format!("`{path}` is not the file any more that was there when the build began");
            return Err(Failure::new(FailureClass::ChangedWhileReading, message));
        }
        lock(&self.learned).push(MemoLine { path: path.clone(), stamp, sha256, began_ns });
        let (header, selection, recording) = parsed?;
        Ok(Raw { source: sha256, header, selection, recording })
    }

    fn parse(
        &self,
        reader: &mut source::SourceReader,
    ) -> Result<(Header, dsp::Selection, Recording), Failure> {
        let recipe = &self.settings.recipe.signal;
        let bytes = reader.file_bytes();
        let header = formats::read_header(reader, bytes)?;
        let selection = dsp::select(&header.signals, recipe)?;
        let recording =
            formats::read_recording(reader, &header, &selection.picks, recipe.truncated, recipe.gaps)?;
        Ok((header, selection, recording))
    }
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

fn signal_facts(fingerprint: Digest, raw: &Raw, part: &Part, signal: &Signal) -> SignalFacts {
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
        gaps: signal.gaps.clone(),
        interpolated: signal.interpolated.clone(),
        reference: signal.reference.clone(),
        notes: notes.cloned().collect(),
        part: part.part,
    }
}
