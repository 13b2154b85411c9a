//! A shelf: what one version of one profile holds, and what the file system says of it.
//!
//! There may be 100,000 recordings: a shelf shares the entries of the manifest and lends offers made from them.

use crate::model::id::{Digest, ProfileName, RecordingId, VersionName};
use crate::model::manifest::{Entry, FileRecord, Identity, LabelStatus, Quarantined, Source};
use crate::model::stem::Stem;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What one version of one profile holds; the first shelf of a plan is the version's own. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shelf {
    /// The profile.
    pub profile: ProfileName,
    /// The version.
    pub version: VersionName,
    /// What the listed recordings were made under.
    pub identity: Option<Identity>,
    /// The recordings that manifest and journals list, part by part.
    pub listed: Arc<HashMap<RecordingId, Vec<Listed>>>,
    /// Failures by name.
    pub quarantine: Arc<BTreeMap<String, Quarantined>>,
    /// Names of finished files that lie there and that nobody lists, by recording.
    pub unlisted: Arc<BTreeMap<RecordingId, Vec<String>>>,
    /// Unlisted signal files that were looked at and are better than what is listed.
    pub adopted_signals: BTreeMap<Stem, Adopted>,
    /// Unlisted labels files, likewise.
    pub adopted_labels: BTreeMap<Stem, Adopted>,
    /// False where files were made without syncs: a power loss may have damaged them unseen.
    pub durable: bool,
}

/// A listed recording, or a part of one, and what the file system says of its files.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What is listed.
    pub entry: Arc<Entry>,
    /// The signal file.
    pub signal: OnDisk,
    /// The labels file; `Present` where there is none.
    pub labels: OnDisk,
}

impl Listed {
    /// Compares an entry with what the directory really holds.
    #[must_use]
    pub fn new(entry: Arc<Entry>, files: &BTreeMap<String, u64>) -> Self {
        let on_disk = |record: &FileRecord| match files.get(&record.name) {
            None => OnDisk::Missing,
            Some(bytes) if *bytes == record.bytes => OnDisk::Present,
            Some(bytes) => OnDisk::Size(*bytes),
        };
        let labels = entry.files.labels.as_ref().map_or(OnDisk::Present, on_disk);
        Self { signal: on_disk(&entry.files.signal), labels, entry }
    }

    /// The files and what the file system says of each, the signal first.
    pub fn files(&self) -> impl Iterator<Item = (&FileRecord, OnDisk)> {
        self.entry.files.iter().zip([self.signal, self.labels])
    }

    /// True where every file lies there with its recorded size.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.signal == OnDisk::Present && self.labels == OnDisk::Present
    }

    fn offer<'a>(
        &'a self,
        record: Option<&'a FileRecord>,
        on_disk: OnDisk,
        fingerprint: Digest,
        annotation: Annotations<'a>,
    ) -> Offer<'a> {
        let Source { bytes, sha256, .. } = &self.entry.source;
        let (stem, parts) = (&self.entry.id, self.entry.part.map(|part| part.of));
        Offer {
            stem,
            record,
            parts,
            fingerprint,
            source: *sha256,
            source_bytes: Some(*bytes),
            annotation,
            listed_as: self.entry.annotation.listed_as.as_deref(),
            on_disk,
        }
    }
}

/// An unlisted file and what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// The file.
    pub record: FileRecord,
    /// How many parts the recording has; nothing where it is one piece.
    pub parts: Option<u32>,
    /// The fingerprint it was made under.
    pub fingerprint: Digest,
    /// The recording's content.
    pub source: Digest,
    /// The annotation files' contents (labels only).
    pub annotation: Vec<Digest>,
    /// The name by which a file for many recordings was asked, where it says so (labels only).
    pub listed_as: Option<String>,
}

impl Adopted {
    fn offer<'a>(&'a self, stem: &'a Stem) -> Offer<'a> {
        Offer {
            stem,
            record: Some(&self.record),
            parts: self.parts,
            fingerprint: self.fingerprint,
            source: self.source,
            source_bytes: None,
            annotation: Annotations::Told(&self.annotation),
            listed_as: self.listed_as.as_deref(),
            on_disk: OnDisk::Present,
        }
    }
}

/// A file that a shelf holds, and what it was made from.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The recording, or the part of one.
    pub stem: &'a Stem,
    /// The file; nothing where the recording is unlabelled and has no labels file.
    pub record: Option<&'a FileRecord>,
    /// How many parts the recording has; nothing where it is one piece.
    pub parts: Option<u32>,
    /// The fingerprint it was made under.
    pub fingerprint: Digest,
    /// The recording's content.
    pub source: Digest,
    /// The recording's bytes, where known.
    pub source_bytes: Option<u64>,
    /// The annotation files' contents (labels only).
    pub annotation: Annotations<'a>,
    /// The name by which a file for many recordings was asked (labels only); nothing also where that is not on record.
    pub listed_as: Option<&'a str>,
    /// What the file system says.
    pub on_disk: OnDisk,
}

/// The annotation files that labels were made from.
#[derive(Debug, Clone, Copy)]
pub enum Annotations<'a> {
    /// As a manifest lists them.
    Listed(&'a [Source]),
    /// As a file says itself.
    Told(&'a [Digest]),
}

impl Annotations<'_> {
    /// Their contents, the deciding one first.
    #[must_use]
    pub fn digests(self) -> Vec<Digest> {
        match self {
            Self::Listed(files) => files.iter().map(|file| file.sha256).collect(),
            Self::Told(digests) => digests.to_vec(),
        }
    }
}

/// What the file system says of an offered file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDisk {
    /// The recorded size.
    Present,
    /// No such file.
    Missing,
    /// Another size: damaged.
    Size(u64),
}

impl Shelf {
    /// An empty shelf.
    #[must_use]
    pub fn empty(profile: ProfileName, version: VersionName) -> Self {
        let (listed, quarantine, unlisted) = Default::default();
        let (adopted_signals, adopted_labels) = Default::default();
        Self {
            profile,
            version,
            identity: None,
            listed,
            quarantine,
            unlisted,
            adopted_signals,
            adopted_labels,
            durable: true,
        }
    }

    /// How people call the shelf: `full/v1_256hz_10-20`.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}/{}", self.profile, self.version)
    }

    /// The signal files of a recording, part by part.
    #[must_use]
    pub fn signals(&self, id: &RecordingId) -> Vec<Offer<'_>> {
        self.offers(id, &self.adopted_signals, |listed, identity| {
            let (record, nothing) = (&listed.entry.files.signal, Annotations::Told(&[]));
            Some(listed.offer(Some(record), listed.signal, identity.signal, nothing))
        })
    }

    /// The labels of a recording, part by part, also where it is known to have none.
    #[must_use]
    pub fn labels(&self, id: &RecordingId) -> Vec<Offer<'_>> {
        self.offers(id, &self.adopted_labels, |listed, identity| {
            let (record, annotation) = (listed.entry.files.labels.as_ref(), &listed.entry.annotation);
            let is_known = record.is_some() || annotation.status == LabelStatus::Unlabelled;
            let files = Annotations::Listed(&annotation.files);
            is_known.then(|| listed.offer(record, listed.labels, identity.labels, files))
        })
    }

    /// What is adopted goes first: it was adopted because nothing listed lies there.
    fn offers<'a>(
        &'a self,
        id: &RecordingId,
        adopted: &'a BTreeMap<Stem, Adopted>,
        offer: impl Fn(&'a Listed, &'a Identity) -> Option<Offer<'a>>,
    ) -> Vec<Offer<'a>> {
        let listed = self.listed.get(id).into_iter().flatten();
        let identity = self.identity.as_ref();
        let offers = listed.filter_map(|listed| offer(listed, identity?));
        if adopted.is_empty() {
            return offers.collect();
        }
        let mut all: Vec<Offer<'a>> = offers.filter(|offer| !adopted.contains_key(offer.stem)).collect();
        let first = Stem::whole(id.clone());
        let adopted = adopted.range(first..).take_while(|(stem, _)| stem.recording() == id);
        all.extend(adopted.map(|(stem, adopted)| adopted.offer(stem)));
        all.sort_by_key(|offer| offer.stem);
        all
    }

    /// True where anything is known of the recording's files.
    #[must_use]
    pub fn holds(&self, id: &RecordingId) -> bool {
        self.listed.contains_key(id) || !self.signals(id).is_empty() || !self.labels(id).is_empty()
    }

    /// The names of the recording's files, and of its parts' files, that lie there, listed or not.
    pub fn names(&self, id: &RecordingId) -> impl Iterator<Item = &str> {
        let listed = self.listed.get(id).into_iter().flatten().flat_map(Listed::files);
        let there = listed.filter(|(_, on_disk)| *on_disk != OnDisk::Missing);
        let unlisted = self.unlisted.get(id).into_iter().flatten();
        there.map(|(record, _)| record.name.as_str()).chain(unlisted.map(String::as_str))
    }
}
