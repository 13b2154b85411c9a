//! One recording from its bytes to its signal file: read once, forward, hashed on the way; then processed.

use crate::model::artifact::SignalFacts;
use crate::model::failure::{Failure, FailureClass};
use crate::model::id::{Digest, RecordingId};
use crate::model::inventory::SourceRecording;
use crate::model::recording::{Header, Recording, Signal};
use crate::model::units::{Rate, Seconds};
use crate::ops::labelling::Told;
use crate::ops::process::{Artifact, Bench, Trouble, lock};
use crate::ops::survey::now_ns;
use crate::store::MemoLine;
use crate::{dsp, formats, source};
use std::collections::BTreeMap;

/// A recording as it was read, with its content.
pub(super) struct Raw {
    pub(super) source: Digest,
    header: Header,
    selection: dsp::Selection,
    recording: Recording,
}

impl Raw {
    /// Samples and rate of the leading channel, which decide the length of the labels.
    pub(super) fn length(&self) -> Result<(u64, Rate), Failure> {
        let lead = self.recording.channels.iter().find(|channel| channel.signal == self.selection.lead);
        let lead =
            lead.ok_or_else(|| Failure::new(FailureClass::MissingChannels, "no channel was picked"))?;
        Ok((lead.samples.len() as u64, lead.rate))
    }

    /// Onset of sample 0 behind the start in the header.
    pub(super) fn offset(&self) -> Seconds {
        self.recording.offset
    }

    /// What the recording says itself that its labels may need.
    pub(super) fn told(&self) -> Told {
        Told {
            start: formats::start(&self.header),
            annotations: self.recording.annotations.clone(),
            notes: self.recording.notes.clone(),
        }
    }
}

impl Bench<'_> {
    pub(super) fn make_signal(
        &self,
        recording: &SourceRecording,
        id: &RecordingId,
        raw: Raw,
    ) -> Result<Artifact<SignalFacts>, Trouble> {
        let recipe = &self.settings.recipe.signal;
        let signal = dsp::apply(recipe, &raw.selection, &raw.recording)?;
        let facts = signal_facts(id, self.wanted.signal, &raw, &signal);
        drop(raw);
        let record = self.writer.write_signal(recording.split, &signal, recipe.dtype, facts.clone())?;
        Ok(Artifact { record, facts, made: "built".to_owned() })
    }

    /// Reads a recording once; once more where it changed meanwhile.
    pub(super) fn read(&self, recording: &SourceRecording) -> Result<Raw, Failure> {
        match self.read_once(recording) {
            Err(failure) if failure.class == FailureClass::ChangedWhileReading => self.read_once(recording),
            other => other,
        }
    }

    fn read_once(&self, recording: &SourceRecording) -> Result<Raw, Failure> {
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

fn signal_facts(id: &RecordingId, fingerprint: Digest, raw: &Raw, signal: &Signal) -> SignalFacts {
    let notes = raw.header.notes.iter().chain(&raw.recording.notes).chain(&signal.notes);
    SignalFacts {
        id: id.clone(),
        fingerprint,
        source_sha256: raw.source,
        arrays: BTreeMap::new(),
        samples: signal.data.ncols() as u64,
        rate_hz: signal.rate,
        input_rate_hz: signal.input_rate,
        offset_s: raw.recording.offset,
        gaps: Vec::new(),
        interpolated: signal.interpolated.clone(),
        reference: signal.reference.clone(),
        notes: notes.cloned().collect(),
    }
}
