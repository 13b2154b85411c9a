//! The survey: what is wanted beside what lies on disk, for one profile. Every verb works from it.

use crate::error::{Error, Result};
use crate::model::id::{ProfileName, RecordingId, Split, VersionName};
use crate::model::inventory::{Inventory, SourceRecording};
use crate::model::manifest::{Entry, Identity, Manifest, Quarantined};
use crate::model::settings::Settings;
use crate::model::shard::Shard;
use crate::model::stem::Stem;
use crate::ops::Context;
use crate::ops::inventory::{self, Taken};
use crate::ops::library::{self, Depth, Loaded};
use crate::ops::mismatch::{self, Mismatch};
use crate::plan::{self, Kind, OnDisk, Plan, Retry, Shelf};
use crate::source;
use crate::store::{ManifestState, MemoLine, Store};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

/// The state of a version; the first that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// No manifest, journal or entry.
    NotFound,
    /// The manifest or a file is damaged.
    Corrupt,
    /// The version means something else than the configuration.
    VersionMismatch,
    /// A source or annotation file changed.
    Stale,
    /// Recordings are missing.
    Incomplete,
    /// Everything that the profile demands is there, or accounted for.
    Valid,
}

impl State {
    /// Returns the public name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "NOT_FOUND",
            Self::Corrupt => "CORRUPT",
            Self::VersionMismatch => "VERSION_MISMATCH",
            Self::Stale => "STALE",
            Self::Incomplete => "INCOMPLETE",
            Self::Valid => "VALID",
        }
    }
}

/// What is wanted beside what lies on disk.
pub struct Survey {
    /// The configuration, for this profile.
    pub settings: Settings,
    /// The cache root.
    pub store: Store,
    /// What the configuration asks for.
    pub wanted: Identity,
    /// The version on disk.
    pub own: Loaded,
    /// Where it means something else.
    pub mismatch: Option<Mismatch>,
    /// The recordings on disk; nothing where the dataset cannot be reached.
    pub inventory: Option<Inventory>,
    /// The own version first, then every other that may share.
    pub shelves: Vec<Shelf>,
    /// What is to be done, for the whole profile or the shard; nothing where the dataset cannot be reached.
    pub plan: Option<Plan>,
    /// Contents learned on the way.
    pub learned: Vec<MemoLine>,
    /// The recordings that the profile demands, by name: those of the dataset, or those recorded where it
    /// cannot be reached.
    pub members: BTreeMap<String, Split>,
}

/// How a survey is made.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// How far unlisted files are trusted.
    pub depth: Depth,
    /// Hash recordings that the memo does not know, where the plan depends on it, and say how far that is.
    pub settle: Option<Context<'a>>,
    /// Which remembered failures are tried again.
    pub retry: Retry,
    /// The part of the profile that is planned, where it is not the whole.
    pub shard: Option<Shard>,
}

impl Options<'_> {
    /// Reading commands: look, hash nothing.
    pub const LOOK: Self = Self { depth: Depth::Look, settle: None, retry: Retry::Nothing, shard: None };
}

/// Nanoseconds since the epoch, for the memo's racily-clean rule.
#[must_use]
pub fn now_ns() -> i128 {
    // A clock before 1970 makes every memo line racy, which costs time only.
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128)
}

/// Walks the dataset of `settings` once; surveys of several profiles share the result.
pub fn walk(settings: &Settings, store: &Store) -> Result<Option<Taken>> {
    inventory::take(settings, &store.memo(&settings.dataset.name), now_ns())
}

/// What the configuration asks for.
#[must_use]
pub fn identity(settings: &Settings) -> Identity {
    Identity {
        dataset: settings.dataset.name.clone(),
        signal: settings.recipe.signal_fingerprint(),
        labels: settings.recipe.label_fingerprint(),
        splits: settings.dataset.split_identity(),
    }
}

/// Surveys the profile of `settings`.
pub fn survey(settings: Settings, taken: Option<&Taken>, options: Options<'_>) -> Result<Survey> {
    let store = Store::new(settings.cache_root.clone());
    let wanted = identity(&settings);
    let mut inventory = taken.map(|taken| taken.profile(&settings));
    let names = needed_names(inventory.as_ref(), options.shard);
    let own = load(&store, &settings.profile, &settings.version, &wanted, &names, options.depth)?;
    let mismatch = own
        .identity
        .as_ref()
        .and_then(|held| mismatch::compare(&store, &settings, &wanted, held, own.held.recipe.as_ref()));
    let mismatch = mismatch.or_else(|| {
        let others = inventory.as_ref().is_some_and(|inventory| is_foreign(&own, inventory));
        others.then(|| mismatch::other_recordings(&store, &settings, &wanted))
    });
    let mut shelves = vec![own.shelf.clone()];
    let members = membership(&settings, inventory.as_ref(), &own);
    let mut survey = Survey {
        members,
        learned: Vec::new(),
        plan: None,
        inventory: None,
        shelves: Vec::new(),
        settings,
        store,
        wanted,
        own,
        mismatch,
    };
    if survey.mismatch.is_none()
        && let Some(inventory) = &mut inventory
    {
        let open = survey.not_in_place(&names);
        shelves.extend(survey.other_shelves(&open, options.depth)?);
        survey.shelves = shelves;
        survey.decide(inventory, options);
        if is_made_of_others(&survey.own, inventory) {
            survey.mismatch =
                Some(mismatch::other_recordings(&survey.store, &survey.settings, &survey.wanted));
            survey.plan = None;
        }
    } else {
        survey.shelves = shelves;
    }
    survey.inventory = inventory;
    Ok(survey)
}

fn membership(settings: &Settings, inventory: Option<&Inventory>, own: &Loaded) -> BTreeMap<String, Split> {
    match (inventory, &own.held.manifest) {
        (Some(inventory), _) => inventory.profile().iter().map(|r| (r.name().to_owned(), r.split)).collect(),
        (None, ManifestState::Read(manifest)) => recorded(settings, manifest),
        (None, _) => BTreeMap::new(),
    }
}

/// True where a version was made for recordings of which the dataset holds none: another dataset under the same name.
/// Where nothing says what the files are, they speak for themselves.
fn is_foreign(own: &Loaded, inventory: &Inventory) -> bool {
    let held: Vec<&str> = match &own.held.manifest {
        ManifestState::Read(manifest) => {
            manifest.entries.iter().map(|entry| entry.id.recording().as_str()).collect()
        }
        _ if own.held.identity.is_none() => own.files.keys().map(|name| recording(name)).collect(),
        _ => return false,
    };
    let here: BTreeSet<&str> = inventory.recordings.iter().map(SourceRecording::name).collect();
    !held.is_empty() && !held.iter().any(|name| here.contains(name))
}

/// True where nothing says what the files are, and every one of them was made from another recording than the dataset
/// has under its name. A recording whose content is not known proves nothing.
fn is_made_of_others(own: &Loaded, inventory: &Inventory) -> bool {
    if own.held.identity.is_some() {
        return false;
    }
    let mut compared = 0;
    for recording in &inventory.recordings {
        let Ok(id) = &recording.id else { continue };
        let signals = Stem::of(&own.shelf.signals, id).next().map(|(_, offer)| offer);
        let Some(offer) = signals.or_else(|| Stem::of(&own.shelf.labels, id).next().map(|(_, offer)| offer))
        else {
            continue;
        };
        if recording.file.sha256.is_none_or(|sha256| sha256 == offer.source) {
            return false;
        }
        compared += 1;
    }
    compared > 0
}

/// The recordings that a manifest was made for, of the splits in force.
fn recorded(settings: &Settings, manifest: &Manifest) -> BTreeMap<String, Split> {
    let members = manifest.membership.iter().filter(|member| settings.splits.contains(&member.split));
    members.map(|member| (member.name.clone(), member.split)).collect()
}

fn load(
    store: &Store,
    profile: &ProfileName,
    version: &VersionName,
    identity: &Identity,
    names: &BTreeSet<String>,
    depth: Depth,
) -> Result<Loaded> {
    let wanted = library::Wanted { identity, names: &|name| names.contains(recording(name)) };
    library::load(store, profile, version, &wanted, depth)
}

/// The id of the recording in a file's name: `train/x.labels.npz` and `train/x.part000.npz` → `x`.
fn recording(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or(name);
    let stem = file.strip_suffix(".npz").map_or(file, |stem| stem.strip_suffix(".labels").unwrap_or(stem));
    match plan::stem_of(name) {
        Some(part) if part.part().is_some() => &stem[..part.recording().as_str().len()],
        _ => stem,
    }
}

fn needed_names(inventory: Option<&Inventory>, shard: Option<Shard>) -> BTreeSet<String> {
    let Some(inventory) = inventory else { return BTreeSet::new() };
    let own = planned(inventory, shard);
    let needed =
        inventory.profile().iter().zip(own).filter_map(|(r, own)| r.id.as_ref().ok().filter(|_| own));
    needed.map(|id| id.as_str().to_owned()).collect()
}

/// Says for each recording of the profile whether it is planned.
fn planned(inventory: &Inventory, shard: Option<Shard>) -> Vec<bool> {
    let sizes: Vec<u64> = inventory.profile().iter().map(|r| r.file.stamp.bytes).collect();
    shard.map_or_else(|| vec![true; sizes.len()], |shard| shard.cut(&sizes))
}

impl Survey {
    /// The names that the own version does not hold whole: only these are worth a look into unlisted files elsewhere.
    fn not_in_place(&self, names: &BTreeSet<String>) -> BTreeSet<String> {
        let shelf = &self.own.shelf;
        let whole = |name: &&String| {
            let id = RecordingId::new(name.as_str()).ok();
            id.is_some_and(|id| {
                [&shelf.signals, &shelf.labels].into_iter().all(|held| {
                    let mut offers = Stem::of(held, &id).peekable();
                    offers.peek().is_some() && offers.all(|(_, offer)| offer.on_disk == OnDisk::Present)
                })
            })
        };
        names.iter().filter(|name| !whole(name)).cloned().collect()
    }

    /// All versions of the own profile and of the profiles it may share with, the own version left out.
    fn other_shelves(&self, names: &BTreeSet<String>, depth: Depth) -> Result<Vec<Shelf>> {
        let settings = &self.settings;
        let profiles = std::iter::once(&settings.profile).chain(&settings.profile_spec().reuse_from);
        let mut shelves = Vec::new();
        for profile in profiles {
            for version in self.store.versions(profile)? {
                if (profile, &version) != (&settings.profile, &settings.version) {
                    shelves.push(load(&self.store, profile, &version, &self.wanted, names, depth)?.shelf);
                }
            }
        }
        Ok(shelves)
    }

    fn decide(&mut self, inventory: &mut Inventory, options: Options<'_>) {
        let wanted = plan::Wanted {
            identity: &self.wanted,
            unlabelled: self.settings.recipe.labels.unlabelled,
            annotations_inside: self.settings.annotations_inside(),
            retry: options.retry,
        };
        let own = planned(inventory, options.shard);
        if let Some(cx) = options.settle {
            let mut open = plan::undecided(&wanted, inventory, &self.shelves);
            open.retain(|recording| own[*recording]);
            self.learned.extend(inventory::settle(&cx, &self.settings, &mut inventory.recordings, &open));
        }
        let mut plan = plan::plan(&wanted, inventory, &self.shelves);
        plan.tasks.retain(|task| own[task.recording]);
        self.plan = Some(plan);
    }

    /// The state of the version.
    #[must_use]
    pub fn state(&self) -> State {
        if self.own.is_empty() {
            return State::NotFound;
        }
        if self.damage().is_some() {
            return State::Corrupt;
        }
        if self.mismatch.is_some() || self.later().is_some() {
            return State::VersionMismatch;
        }
        if let Some(plan) = &self.plan {
            let accounted = |kind| matches!(kind, Kind::Present | Kind::Quarantined);
            if plan.tasks.iter().any(plan::Task::is_stale) {
                return State::Stale;
            }
            if !plan.tasks.iter().all(|task| accounted(task.kind())) || !self.is_on_record() {
                return State::Incomplete;
            }
            return State::Valid;
        }
        if self.missing_members() == 0 && self.is_on_record() { State::Valid } else { State::Incomplete }
    }

    /// Why the version belongs to a later program.
    #[must_use]
    pub fn later(&self) -> Option<&str> {
        match &self.own.held.manifest {
            ManifestState::Later(reason) => Some(reason),
            _ => None,
        }
    }

    /// The first damage that size, structure and the manifest's checksum show.
    #[must_use]
    pub fn damage(&self) -> Option<String> {
        if let ManifestState::Damaged(reason) = &self.own.held.manifest {
            return Some(format!("manifest.json: {reason}"));
        }
        if let Some((name, reason)) = self.own.damaged.first() {
            return Some(format!("{name}: {reason}"));
        }
        self.own.held.entries.values().flat_map(|entry| entry.files.iter()).find_map(|record| {
            let bytes = *self.own.files.get(&record.name)?;
            (bytes != record.bytes)
                .then(|| format!("{}: {bytes} bytes instead of {}", record.name, record.bytes))
        })
    }

    /// True where manifest and journals together list every file, for these members, in the configured split. A journal that
    /// is not merged yet is no defect: readers read both.
    fn is_on_record(&self) -> bool {
        let recorded = match &self.own.held.manifest {
            ManifestState::Read(manifest) => recorded(&self.settings, manifest) == self.members,
            // Whoever trains reads the manifest: journals alone are not enough, and `build` merges them at once.
            _ => false,
        };
        let same_split = |held: &Identity| held.splits == self.wanted.splits;
        recorded && self.own.adopted == 0 && self.own.identity.as_ref().is_some_and(same_split)
    }

    /// Members without files and without a remembered failure, judged by manifest and directory alone.
    fn missing_members(&self) -> usize {
        self.members.keys().filter(|name| !self.has(name) && !self.failed(name)).count()
    }

    /// True where the files of a recording, of all its parts, lie there with their recorded sizes.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let Ok(id) = RecordingId::new(name) else { return false };
        let mut entries = Stem::of(&self.own.held.entries, &id).map(|(_, entry)| entry).peekable();
        entries.peek().is_some()
            && entries.all(|entry| self.is_in_place(entry, &self.own.files))
            && self.own.held.is_whole(&id)
    }

    /// True where an entry's files are among `files`, with their recorded sizes and in the configured split.
    #[must_use]
    pub fn is_in_place(&self, entry: &Entry, files: &BTreeMap<String, u64>) -> bool {
        self.members.get(entry.id.recording().as_str()).is_none_or(|split| *split == entry.split)
            && entry.files.iter().all(|record| files.get(&record.name) == Some(&record.bytes))
    }

    /// True where the version remembers a failure.
    #[must_use]
    pub fn failed(&self, name: &str) -> bool {
        self.own.held.quarantine.contains_key(name)
    }

    /// The entries of the profile's members, of one split, part by part; a manifest may list others as well.
    pub fn entries(&self, split: Split) -> impl Iterator<Item = &Entry> {
        let is_member = move |entry: &&Entry| self.members.get(entry.id.recording().as_str()) == Some(&split);
        self.own.held.entries.values().filter(move |entry| entry.split == split).filter(is_member)
    }

    /// The remembered failures of the profile's members.
    pub fn failures(&self) -> impl Iterator<Item = &Quarantined> {
        self.own.held.quarantine.values().filter(|failed| self.members.contains_key(&failed.name))
    }

    /// The plan, or the error that says that the dataset cannot be reached.
    pub fn plan(&self) -> Result<(&Plan, &Inventory)> {
        match (&self.plan, &self.inventory) {
            (Some(plan), Some(inventory)) => Ok((plan, inventory)),
            _ => Err(unreachable_dataset(&self.settings)),
        }
    }
}

/// The error of a command that needs the recordings.
#[must_use]
pub fn unreachable_dataset(settings: &Settings) -> Error {
    if source::is_reachable(&settings.dataset).unwrap_or(false) {
        return inventory::no_recordings(settings);
    }
    Error::usage(
        format!(
            "the recordings of dataset `{}` are not there: `{}`, the `dataset.root` of {}, is no readable directory",
            settings.dataset.name,
            settings.dataset.root.display(),
            settings.dataset.root_origin
        ),
        "correct it there, or set the variable it reads (often `EEG_DATA_ROOT`)",
    )
}
