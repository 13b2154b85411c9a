//! Whether the files that a shelf holds of a recording are the ones that are wanted, and if not, why.

use crate::model::id::{Digest, RecordingId};
use crate::model::inventory::SourceRecording;
use crate::model::manifest::FileRecord;
use crate::model::stem::Stem;
use crate::plan::{Change, Offer, OnDisk, Reason, annotation_digests, labels_name, signal_name};

/// Which files are asked for: the signals or the labels of a recording, under a fingerprint.
pub(super) struct Asked<'a> {
    pub(super) id: &'a RecordingId,
    pub(super) recording: &'a SourceRecording,
    pub(super) fingerprint: Digest,
    /// Labels, where true; else signals.
    pub(super) labels: bool,
}

impl Asked<'_> {
    /// Whether the own files can stay, and why; nothing where there are none.
    pub(super) fn judge(&self, held: &[Offer<'_>]) -> Option<Result<Reason, Reason>> {
        let mut verdict = None;
        for offer in held {
            match self.judge_one(offer) {
                Err(reason) => return Some(Err(reason)),
                Ok(reason) if verdict.is_none() => verdict = Some(reason),
                Ok(_) => {}
            }
        }
        let missing = || Err(self.missing_part(held));
        verdict.map(|reason| if are_whole(held) { Ok(reason) } else { missing() })
    }

    fn missing_part(&self, held: &[Offer<'_>]) -> Reason {
        let parts = held.iter().filter_map(|offer| offer.parts).max().unwrap_or(0);
        let stem = |part| Stem::of_part(self.id.clone(), part);
        let missing = (0..parts).map(stem).find(|stem| held.iter().all(|offer| offer.stem != stem));
        let split = self.recording.split;
        let name = |stem| if self.labels { labels_name(split, &stem) } else { signal_name(split, &stem) };
        missing.map_or(Reason::New, |stem| Reason::FileMissing(name(stem)))
    }

    fn judge_one(&self, offer: &Offer<'_>) -> Result<Reason, Reason> {
        if offer.fingerprint != self.fingerprint {
            return Err(Reason::New);
        }
        let matched = match compare(offer, self.recording, self.labels) {
            Match::Source(change) => return Err(Reason::SourceChanged(change)),
            Match::Annotation(change) => return Err(Reason::AnnotationChanged(change)),
            Match::Same => Reason::Matches,
            Match::Unchecked => Reason::Unchecked,
        };
        let Some(record) = offer.record else { return Ok(matched) };
        match offer.on_disk {
            OnDisk::Missing => Err(Reason::FileMissing(record.name.clone())),
            OnDisk::Size(actual) => {
                Err(Reason::FileDamaged { name: record.name.clone(), expected: record.bytes, actual })
            }
            OnDisk::Present if !record.is_in(self.recording.split) => {
                Err(Reason::Moved { from: record.name.clone() })
            }
            OnDisk::Present => Ok(matched),
        }
    }

    /// The files of a shelf where they are whole and have the fingerprint and the sources, wherever they lie.
    pub(super) fn find(&self, held: &[Offer<'_>]) -> Option<Vec<FileRecord>> {
        let usable = |offer: &Offer<'_>| {
            offer.fingerprint == self.fingerprint
                && offer.on_disk == OnDisk::Present
                && matches!(compare(offer, self.recording, self.labels), Match::Same | Match::Unchecked)
        };
        if !held.iter().all(usable) || !are_whole(held) {
            return None;
        }
        held.iter().map(|offer| offer.record.cloned()).collect()
    }
}

fn are_whole(held: &[Offer<'_>]) -> bool {
    Stem::are_whole(held.iter().map(|offer| (offer.stem, offer.parts)))
}

/// How an offer's sources compare with what lies on disk.
enum Match {
    Same,
    Unchecked,
    Source(Change),
    Annotation(Change),
}

fn compare(offer: &Offer<'_>, recording: &SourceRecording, labels: bool) -> Match {
    let (file, sources) = (&recording.file, offer.source_bytes);
    // Of what cannot be looked at nobody knows that it changed.
    let is_unread = labels && recording.has_unread_annotation();
    if let Some(bytes) = sources.filter(|bytes| *bytes != file.stamp.bytes && !file.stamp.is_unknown()) {
        return Match::Source(Change {
            was: format!("{bytes} bytes"),
            now: format!("{} bytes", file.stamp.bytes),
        });
    }
    if let Some(sha256) = file.sha256.filter(|sha256| *sha256 != offer.source) {
        return Match::Source(Change { was: digest(offer.source), now: digest(sha256) });
    }
    if labels && !is_unread {
        let (was, now) = (offer.annotation.digests(), annotation_digests(recording));
        if now != was {
            return Match::Annotation(Change { was: digests(&was), now: digests(&now) });
        }
        if let Some(change) = renamed(offer, recording) {
            return Match::Annotation(change);
        }
    }
    if file.sha256.is_none() || is_unread { Match::Unchecked } else { Match::Same }
}

/// A list says something else of another name, and no content tells that the recording was renamed.
fn renamed(offer: &Offer<'_>, recording: &SourceRecording) -> Option<Change> {
    let (was, now) = offer.listed_as.zip(recording.listed_as.as_deref())?;
    let shown = |name: &str| format!("listed as `{name}`");
    (was != now).then(|| Change { was: shown(was), now: shown(now) })
}

fn digest(sha256: Digest) -> String {
    format!("sha256 {}", sha256.short())
}

/// Digests for people.
pub(super) fn digests(all: &[Digest]) -> String {
    let texts: Vec<String> = all.iter().map(|one| digest(*one)).collect();
    if texts.is_empty() { "no annotation file".to_owned() } else { texts.join(", ") }
}
