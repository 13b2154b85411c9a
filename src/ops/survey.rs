//! The survey: what is wanted beside what lies on disk, for one profile. Every verb works from it.

use crate::error::{Error, Result};
use crate::model::failure::Failure;
use crate::model::id::{ProfileName, RecordingId, Split, VersionName};
use crate::model::inventory::{Inventory, SourceRecording};
use crate::model::manifest::{Entry, Identity, Quarantined};
use crate::model::settings::Settings;
use crate::model::shard::Shard;
use crate::model::stem::Stem;
use crate::ops::Context;
use crate::ops::inventory::{self, Taken};
use crate::ops::library::{self, Depth, Library, Loaded};
use crate::ops::members::Members;
use crate::ops::mismatch::{self, Mismatch};
use crate::plan::{self, Kind, Listed, Offer, OnDisk, Plan, Retry, Shelf};
use crate::source;
use crate::store::{ManifestState, MemoLine, Store};
use serde::Serialize;
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashSet};
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
    /// Recordings that could not be read to settle what they hold, by name.
    pub unread: Vec<(String, Failure)>,
    /// The recordings that the profile demands: those of the dataset, or those recorded where it cannot be
    /// reached.
    pub members: Members,
    /// The state of the version.
    pub state: State,
    /// The first damage that size, structure and the manifest's checksum show.
    pub damage: Option<String>,
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
pub fn now_ns() -> i64 {
    // A clock before 1970 makes every memo line racy, which costs time only.
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}

/// Walks the dataset of `settings` once; surveys of several profiles share the result. Meanwhile the versions of
/// `profiles` are read, which nothing but the disk connects.
pub fn walk(settings: &Settings, library: &Library, profiles: &[ProfileName]) -> Result<Option<Taken>> {
    let take = || {
        let began_ns = now_ns();
        inventory::take(settings, &library.store().memo(&settings.dataset.name), began_ns)
    };
    let read = || profiles.iter().for_each(|profile| library.prefetch(profile, &settings.version));
    rayon::join(take, read).0
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
pub fn survey(
    settings: Settings,
    library: &Library,
    taken: Option<&Taken>,
    options: Options<'_>,
) -> Result<Survey> {
    let (wanted, store) = (identity(&settings), library.store());
    let mut inventory = taken.map(|taken| taken.profile(&settings));
    let needed = Needed::new(inventory.as_ref(), options.shard);
    let own =
        load(library, (&settings.profile, &settings.version), &wanted, &|id| needed.has(id), options.depth)?;
    let mismatch = find_mismatch(library, (&settings, &wanted), &own, inventory.as_ref())?;
    let mut survey = Survey {
        members: Members::new(&settings, inventory.as_ref(), &own.held.manifest),
        learned: Vec::new(),
        unread: Vec::new(),
        plan: None,
        inventory: None,
        shelves: vec![own.shelf.clone()],
        store: store.clone(),
        settings,
        wanted,
        own,
        mismatch,
        state: State::NotFound,
        damage: None,
    };
    if survey.mismatch.is_none()
        && let Some(inventory) = &mut inventory
    {
        survey.decide(library, inventory, options)?;
        if is_made_of_others(&survey.own, inventory) {
            let asked = (&survey.settings, &survey.wanted);
            survey.mismatch = Some(mismatch::other_recordings(&survey.store, asked, None));
            survey.plan = None;
        }
    }
    let unread = taken.iter().flat_map(|taken| &taken.unread);
    survey.unread.extend(unread.filter(|(name, _)| survey.members.contains(name)).cloned());
    survey.inventory = inventory;
    survey.damage = survey.find_damage();
    survey.state = survey.find_state();
    Ok(survey)
}

/// Where the version means something else: in this profile, or where this one holds none yet, in another.
fn find_mismatch(
    library: &Library,
    asked: (&Settings, &Identity),
    own: &Loaded,
    inventory: Option<&Inventory>,
) -> Result<Option<Mismatch>> {
    let (settings, wanted) = asked;
    let store = library.store();
    if let Some(held) = &own.identity {
        let recipe = own.held.recipe.as_ref();
        let mismatch = mismatch::compare(store, asked, &settings.profile, held, recipe);
        if mismatch.is_some() {
            return Ok(mismatch);
        }
    }
    if let Some(inventory) = inventory.filter(|inventory| is_foreign(own, inventory)) {
        return Ok(Some(mismatch::other_recordings(store, asked, renamed(own, inventory))));
    }
    if !own.is_empty() {
        return Ok(None);
    }
    let others = settings.profiles.keys().filter(|profile| **profile != settings.profile);
    for profile in others.filter(|profile| store.version_dir(profile, &settings.version).exists()) {
        let other = load(library, (profile, &settings.version), wanted, &|_| false, Depth::Look)?;
        let recipe = other.held.recipe.as_ref();
        let mismatch =
            other.identity.as_ref().and_then(|held| mismatch::compare(store, asked, profile, held, recipe));
        if mismatch.is_some() {
            return Ok(mismatch);
        }
    }
    Ok(None)
}

/// A recording of the version that lies where it lay and has another id now: its path, its id then and now.
fn renamed<'a>(own: &'a Loaded, inventory: &'a Inventory) -> Option<(&'a str, &'a str, &'a str)> {
    let (_, entry) = own.held.entries.iter().next()?;
    let now = inventory.recordings.iter().find(|recording| recording.file.path == entry.source.path)?;
    Some((&entry.source.path, entry.id.recording().as_str(), now.name()))
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
    let Some(first) = held.first() else { return false };
    let names = || inventory.recordings.iter().map(SourceRecording::name);
    // Nearly always the first of them is there; a set of all would cost more than the rest of the question.
    if names().any(|name| name == *first) {
        return false;
    }
    let held: HashSet<&str> = held.into_iter().collect();
    !names().any(|name| held.contains(name))
}

/// True where nothing says what the files are, and every one of them was made from another recording than the dataset
/// has under its name. A recording whose content is not known proves nothing.
fn is_made_of_others(own: &Loaded, inventory: &Inventory) -> bool {
    if own.held.identity.is_some() {
        return false;
    }
    let mut compared = 0;
    for recording in inventory.recordings.iter() {
        let Ok(id) = &recording.id else { continue };
        let (signals, labels) = (own.shelf.signals(id), own.shelf.labels(id));
        let Some(offer) = signals.first().or_else(|| labels.first()) else { continue };
        if recording.file.sha256.is_none_or(|sha256| sha256 == offer.source) {
            return false;
        }
        compared += 1;
    }
    compared > 0
}

fn load(
    library: &Library,
    (profile, version): (&ProfileName, &VersionName),
    identity: &Identity,
    is_needed: &dyn Fn(&str) -> bool,
    depth: Depth,
) -> Result<Loaded> {
    let wanted = library::Wanted { identity, names: &|name| is_needed(recording(name)) };
    library.load(profile, version, &wanted, depth)
}

/// The ids that a profile, or a shard of it, needs, collected when somebody asks: mostly nobody does.
struct Needed<'a> {
    inventory: Option<&'a Inventory>,
    shard: Option<Shard>,
    ids: OnceCell<HashSet<&'a str>>,
}

impl<'a> Needed<'a> {
    fn new(inventory: Option<&'a Inventory>, shard: Option<Shard>) -> Self {
        Self { inventory, shard, ids: OnceCell::new() }
    }

    fn has(&self, id: &str) -> bool {
        let members = || self.inventory.into_iter().flat_map(|inventory| planned_ids(inventory, self.shard));
        self.ids.get_or_init(|| members().map(RecordingId::as_str).collect()).contains(id)
    }
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

/// Says for each recording of the profile whether it is planned.
fn planned(inventory: &Inventory, shard: Option<Shard>) -> Vec<bool> {
    let sizes: Vec<u64> = inventory.profile().iter().map(|r| r.file.stamp.bytes).collect();
    shard.map_or_else(|| vec![true; sizes.len()], |shard| shard.cut(&sizes))
}

/// The ids of the recordings that are planned.
fn planned_ids(inventory: &Inventory, shard: Option<Shard>) -> impl Iterator<Item = &RecordingId> {
    let own = planned(inventory, shard);
    inventory.profile().iter().zip(own).filter_map(|(r, own)| r.id.as_ref().ok().filter(|_| own))
}

impl Survey {
    /// Plans with what the own version holds. Only where that is not everything, the other versions are read as well.
    fn decide(&mut self, library: &Library, inventory: &mut Inventory, options: Options<'_>) -> Result<()> {
        let is_settled =
            |plan: &Plan| plan.count(Kind::Present) + plan.count(Kind::Quarantined) == plan.tasks.len();
        if !self.own.shelf.listed.is_empty() {
            self.plan = Some(self.planned(inventory, options));
        }
        if self.plan.as_ref().is_some_and(is_settled) {
            return Ok(());
        }
        let open = self.not_in_place(inventory, options.shard);
        let others = self.other_shelves(library, &open, options.depth)?;
        self.shelves.extend(others);
        self.plan = Some(self.planned(inventory, options));
        Ok(())
    }

    fn planned(&mut self, inventory: &mut Inventory, options: Options<'_>) -> Plan {
        let wanted = plan::Wanted {
            identity: &self.wanted,
            unlabelled: self.settings.recipe.labels.unlabelled,
            annotations_inside: self.settings.annotations_inside(),
            retry: options.retry,
        };
        let own = planned(inventory, options.shard);
        if let Some(cx) = options.settle {
            let mut open = plan::undecided(&wanted, inventory, &self.shelves);
            // What could not be read for a first plan is not tried again for a second one.
            let tried: HashSet<&str> = self.unread.iter().map(|(name, _)| name.as_str()).collect();
            open.retain(|index| own[*index] && !tried.contains(inventory.recordings[*index].name()));
            let settled = inventory::settle(&cx, &self.settings, &mut inventory.recordings, &open);
            self.learned.extend(settled.learned);
            self.unread.extend(settled.unread);
        }
        let mut plan = plan::plan(&wanted, inventory, &self.shelves);
        plan.tasks.retain(|task| own[task.recording]);
        plan
    }

    /// The ids that the own version does not hold whole: only these are worth a look into unlisted files elsewhere.
    fn not_in_place(&self, inventory: &Inventory, shard: Option<Shard>) -> HashSet<String> {
        let shelf = &self.own.shelf;
        let are_present = |offers: &[Offer<'_>]| {
            !offers.is_empty() && offers.iter().all(|offer| offer.on_disk == OnDisk::Present)
        };
        let is_open =
            |id: &&RecordingId| !(are_present(&shelf.signals(id)) && are_present(&shelf.labels(id)));
        planned_ids(inventory, shard).filter(is_open).map(|id| id.as_str().to_owned()).collect()
    }

    /// All versions of the own profile and of the profiles it may share with, the own version left out.
    fn other_shelves(&self, library: &Library, ids: &HashSet<String>, depth: Depth) -> Result<Vec<Shelf>> {
        let settings = &self.settings;
        let profiles = std::iter::once(&settings.profile).chain(&settings.profile_spec().reuse_from);
        let mut shelves = Vec::new();
        for profile in profiles {
            for version in self.store.versions(profile)? {
                if (profile, &version) != (&settings.profile, &settings.version) {
                    let is_needed = |id: &str| ids.contains(id);
                    shelves.push(load(library, (profile, &version), &self.wanted, &is_needed, depth)?.shelf);
                }
            }
        }
        Ok(shelves)
    }

    fn find_state(&self) -> State {
        if self.own.is_empty() && self.mismatch.is_none() {
            return State::NotFound;
        }
        if self.damage.is_some() {
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

    fn find_damage(&self) -> Option<String> {
        if let ManifestState::Damaged(reason) = &self.own.held.manifest {
            return Some(format!("manifest.json: {reason}"));
        }
        if let Some((name, reason)) = self.own.damaged.first() {
            return Some(format!("{name}: {reason}"));
        }
        self.own.wrong_size.clone()
    }

    /// True where manifest and journals together list every file, for these members, in the configured split. A journal that
    /// is not merged yet is no defect: readers read both.
    #[must_use]
    pub fn is_on_record(&self) -> bool {
        // Whoever found it valid has compared it already.
        self.state == State::Valid || self.off_record().is_none()
    }

    /// True where the manifest lists a split as it is demanded, whatever it says of the others.
    #[must_use]
    pub fn is_split_on_record(&self, split: Split) -> bool {
        if self.inventory.is_none() || self.state == State::Valid {
            return self.is_on_record();
        }
        let ManifestState::Read(manifest) = &self.own.held.manifest else { return false };
        let recorded = manifest.membership.iter().filter(|member| member.split == split);
        self.own.adopted == 0
            && self.own.identity.as_ref().is_some_and(|held| held.splits == self.wanted.splits)
            && recorded.eq(self.members.iter().filter(|member| member.split == split))
    }

    /// Why the manifest is not one for what is asked for.
    #[must_use]
    pub fn off_record(&self) -> Option<String> {
        // Whoever trains reads the manifest: journals alone are not enough, and `build` merges them at once.
        let ManifestState::Read(manifest) = &self.own.held.manifest else {
            return Some("the manifest is missing; what is finished is kept".to_owned());
        };
        let wanted = self.settings.profile_spec().subset.to_string();
        if self.inventory.is_none() && manifest.subset != wanted {
            return Some(format!(
                "the manifest was made for `{}`, `{wanted}` is configured",
                manifest.subset
            ));
        }
        let is_unknown = |split: &&Split| !manifest.membership.iter().any(|member| member.split == **split);
        if let Some(split) = self.settings.splits.iter().find(is_unknown).filter(|_| self.inventory.is_none())
        {
            return Some(format!("the manifest was made without a recording of {split}"));
        }
        let is_moved = |e: &&std::sync::Arc<Entry>| {
            !source::is_placed(&self.settings.dataset, &e.source.path, &e.subject, e.split)
        };
        if self.inventory.is_none()
            && let Some(entry) = manifest.entries.iter().find(is_moved)
        {
            let path = &entry.source.path;
            return Some(format!(
                "the manifest was made under other rules: `{path}` has another subject or split now"
            ));
        }
        let same_split = |held: &Identity| held.splits == self.wanted.splits;
        let is_same = Members::recorded(&self.settings, manifest) == self.members
            && self.own.adopted == 0
            && self.own.identity.as_ref().is_some_and(same_split);
        (!is_same).then(|| "the manifest was made for other recordings or splits".to_owned())
    }

    /// Members without files and without a remembered failure, judged by manifest and directory alone.
    fn missing_members(&self) -> usize {
        self.members.names().filter(|name| !self.has(name) && !self.failed(name)).count()
    }

    /// True where the files of a recording, of all its parts, lie there with their recorded sizes.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let Some(parts) = self.own.shelf.listed.get(name) else { return false };
        let in_place = |entry: &Entry| self.members.split(name).is_none_or(|split| split == entry.split);
        parts.iter().all(|part| in_place(&part.entry) && part.is_present())
            && Stem::are_whole(
                parts.iter().map(|Listed { entry, .. }| (&entry.id, entry.part.map(|part| part.of))),
            )
    }

    /// True where an entry's files are among `files`, with their recorded sizes and in the configured split.
    #[must_use]
    pub fn is_in_place(&self, entry: &Entry, files: &BTreeMap<String, u64>) -> bool {
        self.members.split(entry.id.recording().as_str()).is_none_or(|split| split == entry.split)
            && entry.files.iter().all(|record| files.get(&record.name) == Some(&record.bytes))
    }

    /// True where the version remembers a failure.
    #[must_use]
    pub fn failed(&self, name: &str) -> bool {
        self.own.held.quarantine.contains_key(name)
    }

    /// The entries of the profile's members, of one split, part by part; a manifest may list others as well.
    pub fn entries(&self, split: Split) -> impl Iterator<Item = &Entry> {
        let is_member =
            move |entry: &&Entry| self.members.split(entry.id.recording().as_str()) == Some(split);
        let entries = self.own.held.entries.values().map(std::sync::Arc::as_ref);
        entries.filter(move |entry| entry.split == split).filter(is_member)
    }

    /// The remembered failures of the profile's members.
    pub fn failures(&self) -> impl Iterator<Item = &Quarantined> {
        self.own.held.quarantine.values().filter(|failed| self.members.contains(&failed.name))
    }

    /// How many recordings have the recorded size and were not looked at.
    #[must_use]
    pub fn unchecked(&self) -> usize {
        let tasks = self.plan.iter().flat_map(|plan| &plan.tasks);
        tasks.filter(|task| task.is_unchecked()).count()
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
