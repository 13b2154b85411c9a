//! What a version holds: its manifest, with everything that journals tell since.

use super::dir::{Dir, fault, is_absent};
use super::journal::{self, Header, Line, Recorded};
use super::layout::{BUILD, HISTORY, IDENTITY, MANIFEST};
use super::{history, manifest};
use crate::error::Result;
use crate::model::id::{ProfileName, RecordingId, VersionName};
use crate::model::manifest::{Entry, History, Identity, Manifest, Quarantined};
use crate::model::stem::Stem;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

/// The manifest on disk.
#[derive(Debug, Clone, PartialEq)]
pub enum ManifestState {
    /// There is none.
    Absent,
    /// It is whole.
    Read(Box<Manifest>),
    /// It cannot be used, and why.
    Damaged(String),
    /// A later program wrote it; it must not be replaced.
    Later(String),
}

/// What a version holds by its manifest and its journals; no finished file was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The manifest as it lies on disk, without what the journals tell.
    pub manifest: ManifestState,
    /// What the version means: by the manifest, else by the latest journal.
    pub identity: Option<Identity>,
    /// The full recipe, from the same place.
    pub recipe: Option<serde_json::Value>,
    /// The finished recordings, part by part where they were split; those that no journal changed are the
    /// manifest's own.
    pub entries: BTreeMap<Stem, Arc<Entry>>,
    /// The recordings that could not be processed, by name.
    pub quarantine: BTreeMap<String, Quarantined>,
    /// Hits and misses, with the builds that changed nothing since the manifest was written.
    pub history: History,
    /// False where some of it was made without syncs: a power loss may have damaged it unseen.
    pub durable: bool,
    /// How many journals there are.
    pub journals: usize,
    /// What people should hear about: journals that could not be used, and why.
    pub notes: Vec<String>,
}

impl Held {
    fn new(manifest: ManifestState) -> Self {
        let mut held = Self {
            manifest,
            identity: None,
            recipe: None,
            entries: BTreeMap::new(),
            quarantine: BTreeMap::new(),
            history: History::default(),
            durable: true,
            journals: 0,
            notes: Vec::new(),
        };
        if let ManifestState::Read(manifest) = &held.manifest {
            held.durable = manifest.durable;
            held.identity = Some(manifest.identity.clone());
            held.recipe = Some(manifest.recipe.clone());
            held.history = manifest.history;
            held.entries =
                manifest.entries.iter().map(|entry| (entry.id.clone(), Arc::clone(entry))).collect();
            held.quarantine = manifest.quarantine.iter().map(|one| (one.name.clone(), one.clone())).collect();
        }
        held
    }

    /// Nothing at all.
    pub(super) fn nothing() -> Self {
        Self::new(ManifestState::Absent)
    }

    /// Reads manifest and journals of an open version, all of one moment: where a writer replaced the manifest and removed
    /// journals meanwhile, they are read again.
    pub(super) fn read(dir: Option<&Dir>, profile: &ProfileName, version: &VersionName) -> Result<Self> {
        let Some(dir) = dir else { return Ok(Self::new(ManifestState::Absent)) };
        for _ in 1..ATTEMPTS {
            let before = moment(dir)?;
            let held = Self::read_once(dir, profile, version)?;
            if moment(dir)? == before {
                return Ok(held);
            }
        }
        Self::read_once(dir, profile, version)
    }

    fn read_once(dir: &Dir, profile: &ProfileName, version: &VersionName) -> Result<Self> {
        let mut held = Self::new(read_manifest(dir, profile, version)?);
        match dir.child(BUILD) {
            Ok(build) => {
                match history::read(&build, held.history) {
                    Ok(history) => held.history = history,
                    Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
                        held.notes.push(format!("`{HISTORY}` is not used: {error}"));
                    }
                    Err(error) => return Err(build.error("read", HISTORY)(error)),
                }
                held.merge_journals(&build, profile, version)?;
                held.recall_identity(&build, profile, version)?;
            }
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(dir.error("open", BUILD)(error)),
        }
        Ok(held)
    }

    /// Without manifest and journals, a file that every writer leaves says what the version means.
    fn recall_identity(&mut self, build: &Dir, profile: &ProfileName, version: &VersionName) -> Result<()> {
        if self.identity.is_none()
            && let Ok(Recorded { header, .. }) = journal::read(build, IDENTITY)?
            && (&header.profile, &header.version) == (profile, version)
        {
            (self.identity, self.recipe) = (header.identity, header.recipe);
        }
        Ok(())
    }

    /// The entries that the named journals alone would tell.
    pub(super) fn told_by(build: &Dir, names: &[String]) -> Result<Vec<Arc<Entry>>> {
        let mut told = Self::nothing();
        for name in names {
            let lines = journal::read(build, name)?.map(|one| one.lines).unwrap_or_default();
            for line in lines {
                told.merge_line(line);
            }
        }
        Ok(told.entries.into_values().collect())
    }

    fn merge_journals(&mut self, build: &Dir, profile: &ProfileName, version: &VersionName) -> Result<()> {
        let mut journals = Vec::new();
        for name in journal::names(build)? {
            self.journals += 1;
            match journal::read(build, &name)? {
                Ok(one) if one.header.profile == *profile && one.header.version == *version => {
                    journals.push((one, name));
                }
                Ok(one) => {
                    let (profile, version) = (one.header.profile, one.header.version);
                    self.notes.push(format!("`{name}` is not used: it belongs to `{profile}/{version}`"));
                }
                Err(reason) => self.notes.push(format!("`{name}` is not used: {reason}")),
            }
        }
        journals.sort_by(|(a, a_name), (b, b_name)| {
            (a.header.began_ns, a_name).cmp(&(b.header.began_ns, b_name))
        });
        if self.identity.is_none() {
            self.take_identity(journals.iter().map(|(one, _)| &one.header));
        }
        for (one, name) in journals {
            self.merge_journal(one, &name);
        }
        Ok(())
    }

    /// Without a manifest, the latest journal says what the version means.
    fn take_identity<'a>(&mut self, headers: impl DoubleEndedIterator<Item = &'a Header>) {
        if let Some(header) = headers.rev().find(|header| header.identity.is_some()) {
            self.identity.clone_from(&header.identity);
            self.recipe.clone_from(&header.recipe);
        }
    }

    fn merge_journal(&mut self, journal: Recorded, name: &str) {
        let is_same = |a: &Identity, b: &Identity| {
            // Splits may differ: entries say for themselves where they are.
            (&a.dataset, a.signal, a.labels) == (&b.dataset, b.signal, b.labels)
        };
        match (&self.identity, &journal.header.identity) {
            (Some(ours), Some(theirs)) if !is_same(ours, theirs) => {
                self.notes.push(format!("`{name}` is not used: its fingerprints or dataset are others"));
            }
            _ => {
                self.durable &= journal.header.durable;
                journal.lines.into_iter().for_each(|line| self.merge_line(line));
            }
        }
    }

    fn merge_line(&mut self, line: Line) {
        match line {
            Line::Entry(entry) => match manifest::check_names(&entry) {
                Ok(()) => {
                    self.quarantine.remove(entry.id.recording().as_str());
                    self.entries.insert(entry.id.clone(), Arc::new(*entry));
                }
                Err(reason) => self.notes.push(format!("a line of a journal is not used: {reason}")),
            },
            Line::Quarantined(one) => {
                self.forget(&one.name);
                self.quarantine.insert(one.name.clone(), one);
            }
            Line::Removed { name } | Line::Replacing { name } => self.forget(&name),
        }
    }

    /// True where all parts of a recording are there, or the recording in one piece.
    #[must_use]
    pub fn is_whole(&self, id: &RecordingId) -> bool {
        let entries = Stem::of(&self.entries, id);
        Stem::are_whole(entries.map(|(stem, entry)| (stem, entry.part.map(|part| part.of))))
    }

    /// Forgets what `name` names: a recording with all its parts, the entry of one file, or a quarantined recording.
    fn forget(&mut self, name: &str) {
        if let Some(file) = super::layout::FileName::parse(name) {
            let is_meant = |entry: &Entry| entry.files.iter().any(|record| record.name == name);
            if self.entries.get(&file.id).is_some_and(|entry| is_meant(entry)) {
                self.entries.remove(&file.id);
            }
        } else if let Ok(id) = RecordingId::new(name) {
            let stems: Vec<Stem> = Stem::of(&self.entries, &id).map(|(stem, _)| stem.clone()).collect();
            for stem in &stems {
                self.entries.remove(stem);
            }
        }
        self.quarantine.remove(name);
    }
}

/// What the file system says of a version's manifest, journals and counts: where it says the same again, they hold the
/// same. What cannot be asked is never the same; whoever reads it then says what is wrong.
#[derive(Debug, Clone)]
pub struct Glance(Option<Vec<Seen>>);

/// A name with the file's inode, bytes, and the times of its last change in nanoseconds.
type Seen = (String, [i128; 4]);

impl Glance {
    /// Looks at an open version.
    pub(super) fn at(dir: Option<&Dir>) -> Self {
        Self(dir.map_or(Ok(Vec::new()), Self::look).ok())
    }

    /// True where nothing changed between two looks.
    #[must_use]
    pub fn is_same(&self, later: &Self) -> bool {
        self.0.is_some() && self.0 == later.0
    }

    fn look(dir: &Dir) -> io::Result<Vec<Seen>> {
        let mut seen = Vec::new();
        seen.extend(Self::look_at(dir, MANIFEST)?);
        let build = match dir.child(BUILD) {
            Ok(build) => build,
            Err(error) if is_absent(&error) => return Ok(seen),
            Err(error) => return Err(error),
        };
        let journals = journal::names(&build).map_err(io::Error::other)?;
        for name in [IDENTITY, HISTORY].into_iter().chain(journals.iter().map(String::as_str)) {
            seen.extend(Self::look_at(&build, name)?);
        }
        Ok(seen)
    }

    /// The file is opened: on a network file system only that asks the server again.
    fn look_at(dir: &Dir, name: &str) -> io::Result<Option<Seen>> {
        let file = match dir.open_file(name) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        fault::point("stat open file")?;
        let stat = file.metadata()?;
        let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        let times =
            [nanoseconds(stat.mtime(), stat.mtime_nsec()), nanoseconds(stat.ctime(), stat.ctime_nsec())];
        Ok(Some((name.to_owned(), [stat.ino().into(), stat.len().into(), times[0], times[1]])))
    }
}

/// How often manifest and journals may change while they are read.
const ATTEMPTS: usize = 8;

/// What tells two states of a version apart: the manifest's file and the names of the journals.
type Moment = (Option<(u64, i64, i64, i128)>, Vec<String>);

fn moment(dir: &Dir) -> Result<Moment> {
    let stat = match dir.stat(MANIFEST) {
        Ok(stat) => Some(stat),
        Err(error) if is_absent(&error) => None,
        Err(error) => return Err(dir.error("read", MANIFEST)(error)),
    };
    let manifest =
        stat.map(|stat| (stat.st_ino, stat.st_size, stat.st_mtime, i128::from(stat.st_mtime_nsec)));
    match dir.child(BUILD) {
        Ok(build) => Ok((manifest, journal::names(&build)?)),
        Err(error) if is_absent(&error) => Ok((manifest, Vec::new())),
        Err(error) => Err(dir.error("open", BUILD)(error)),
    }
}

fn read_manifest(dir: &Dir, profile: &ProfileName, version: &VersionName) -> Result<ManifestState> {
    let open = || dir.open_file(MANIFEST);
    let usual = open().and_then(|file| {
        let manifest = manifest::entries::read(fault::Watched(&file, "read manifest"), profile, version)?;
        // What is not as it was written is read again, whole, to say what it is.
        let text = if manifest.is_some() { Vec::new() } else { whole(&open()?)? };
        Ok(manifest.ok_or(text))
    });
    let text = match usual {
        Ok(Ok(manifest)) => return Ok(ManifestState::Read(Box::new(manifest))),
        Ok(Err(text)) => text,
        Err(error) if is_absent(&error) => return Ok(ManifestState::Absent),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
            return Ok(ManifestState::Damaged(error.to_string()));
        }
        Err(error) => return Err(dir.error("read", MANIFEST)(error)),
    };
    Ok(match manifest::decode(&text, profile, version) {
        Ok(manifest) => ManifestState::Read(Box::new(manifest)),
        Err(reason) => manifest::later(&text).map_or(ManifestState::Damaged(reason), ManifestState::Later),
    })
}

fn whole(file: &File) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    // Room for all of it at once: it may be large, and growing would copy it again and again.
    fault::point("stat open file")?;
    text.try_reserve_exact(usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX))?;
    fault::Watched(file, "read manifest").read_to_end(&mut text)?;
    Ok(text)
}
