//! One recording from its bytes to its signal file: read once, forward, hashed on the way; then processed.

use crate::model::artifact::SignalFacts;
use crate::model::failure::{Failure, FailureClass};
use crate::model::id::{Digest, RecordingId};
use crate::model::inventory::SourceRecording;
use crate::model::recording::{Header, Recording, Signal};
use crate::model::units::{Rate, Seconds};
use crate::ops::admission::Permit;
use crate::ops::labelling::Told;
use crate::ops::process::{Artifact, Bench, Trouble, lock};
use crate::ops::survey::now_ns;
use crate::store::MemoLine;
use crate::{dsp, formats, source};
use std::collections::BTreeMap;

/// A recording as it was read, with its content.
pub(super) struct Raw<'a> {
    pub(super) source: Digest,
    lanes: dsp::Lanes,
    permit: Permit<'a>,
    header: Header,
    selection: dsp::Selection,
    recording: Recording,
}

/// What `parse` leaves.
struct Parsed<'a> {
    header: Header,
    selection: dsp::Selection,
    recording: Recording,
    lanes: dsp::Lanes,
    permit: Permit<'a>,
}

impl Raw<'_> {
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
        raw: Raw<'_>,
    ) -> Result<Artifact<SignalFacts>, Trouble> {
        let recipe = &self.settings.recipe.signal;
        let signal = dsp::apply_in(raw.lanes, recipe, &raw.selection, &raw.recording)?;
        let facts = signal_facts(id, self.wanted.signal, &raw, &signal);
        // The samples go, the memory stays set aside until the result is written.
        let Raw { permit: _permit, recording: samples, .. } = raw;
        drop(samples);
        let record = self.writer.write_signal(recording.split, &signal, recipe.dtype, facts.clone())?;
        Ok(Artifact { record, facts, made: "built".to_owned() })
    }

    /// Reads a recording once; once more where it changed meanwhile.
    pub(super) fn read(&self, recording: &SourceRecording) -> Result<Raw<'_>, Failure> {
        match self.read_once(recording) {
            Err(failure) if failure.class == FailureClass::ChangedWhileReading => self.read_once(recording),
            other => other,
        }
    }

    fn read_once(&self, recording: &SourceRecording) -> Result<Raw<'_>, Failure> {
        let began_ns = now_ns();
        let path = &recording.file.path;
        let mut reader = source::open(&self.settings.dataset.root, path)?;
        let parsed = self.parse(&mut reader);
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
        lock(&self.learned).lines.push(MemoLine { path: path.clone(), stamp, sha256, began_ns });
        let Parsed { header, selection, recording, lanes, permit } = parsed?;
        Ok(Raw { source: sha256, lanes, permit, header, selection, recording })
    }

    fn parse(&self, reader: &mut source::SourceReader) -> Result<Parsed<'_>, Failure> {
        let recipe = &self.settings.recipe.signal;
        let bytes = reader.file_bytes();
        let header = formats::read_header(reader, bytes)?;
        let selection = dsp::select(&header.signals, recipe)?;
        let (lanes, bytes) = self.gate.judge(recipe, &header, &selection)?;
        let permit = self.gate.admit(bytes);
        let recording =
            formats::read_recording(reader, &header, &selection.picks, recipe.truncated, recipe.gaps)?;
        Ok(Parsed { header, selection, recording, lanes, permit })
    }
}

fn signal_facts(id: &RecordingId, fingerprint: Digest, raw: &Raw<'_>, signal: &Signal) -> SignalFacts {
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
