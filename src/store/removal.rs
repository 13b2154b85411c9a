//! Removing versions and what is left over, in an order in which no instant shows more than is there.
//!
//! Only names that this program gives are removed, each from an open directory and without following links; what else
//! lies in a version stays, and the directory with it. The manifest goes first and the lock last: a version that is
//! half removed is never taken for whole, and a build that waits for the lock finds it gone and begins anew.

use super::dir::{Dir, is_absent};
use super::journal::{self, Unusable};
use super::layout::{
    self, BUILD, DAMAGED, FileName, HISTORY, LATEST, LOCK, MANIFEST, Place, REMOVED, TEMPORARIES,
};
use super::lock::{Lock, Patience};
use super::merge::uncounted;
use super::{Held, ManifestState, Store, Wait, manifest, npz, setup};
use crate::error::{Error, Result};
use crate::model::id::{ProfileName, Split, VersionName};
use rustix::fs::Stat;
use std::collections::BTreeSet;

/// A name that can be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Relative to the version: `train/x.npz`, `.build/tmp/…`; or to the root: `.damaged/…`.
    pub name: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// Device and inode.
    pub inode: (u64, u64),
    /// How many names the file has.
    pub links: u64,
}

/// What lies in a version.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// What this program put there.
    pub ours: Vec<Item>,
    /// What it did not: these names stay.
    pub foreign: Vec<String>,
}

/// Who keeps a version from being removed.
#[derive(Debug)]
pub enum Claimed {
    /// Nobody: it can be removed.
    Yours(Box<Claim>),
    /// A build or a reader, as a phrase.
    Held(String),
    /// It has no directory.
    Absent,
}

/// A version that nobody else writes or reads.
#[derive(Debug)]
pub struct Claim {
    profile: Dir,
    version: Dir,
    name: VersionName,
    // Behind the directories: it is released last.
    _lock: Lock,
}

impl Store {
    /// Takes a version away from builders and readers, without waiting.
    ///
    /// Where locks do not exclude, `Error::NotReady`, unless `assume` says that nobody else is there.
    pub fn claim(&self, profile: &ProfileName, version: &VersionName, assume: bool) -> Result<Claimed> {
        let components = Place::Version(profile, version).components();
        let Some(dir) = Dir::reach(self.root(), &components)? else { return Ok(Claimed::Absent) };
        let build = dir.child_or_create(BUILD, false)?;
        let lock = match Lock::acquire(&build, dir.path(), None, &Patience::new(Wait::No, &|_| false)) {
            Ok(Some(lock)) => lock,
            Ok(None) => return Ok(Claimed::Absent),
            Err(Error::Busy { holder, .. }) => {
                return Ok(Claimed::Held(format!("a build holds it ({holder})")));
            }
            Err(error) => return Err(error),
        };
        let mut note = lock.note.clone();
        match dir.try_own() {
            Ok(true) => {}
            Ok(false) => return Ok(Claimed::Held("a reader holds it".to_owned())),
            Err(error) => note = Some(format!("the file system does not lock directories: {error}")),
        }
        if let Some(note) = note.filter(|_| !assume) {
            return Err(not_exclusive(&dir, &note));
        }
        let Some(above) = Dir::reach(self.root(), &Place::Profile(profile).components())? else {
            return Ok(Claimed::Absent);
        };
        Ok(Claimed::Yours(Box::new(Claim {
            profile: above,
            version: dir,
            name: version.clone(),
            _lock: lock,
        })))
    }

    /// Says who holds a version, without making or writing anything; nothing where nobody does.
    pub fn holder(&self, profile: &ProfileName, version: &VersionName) -> Result<Option<String>> {
        let components = Place::Version(profile, version).components();
        let Some(dir) = Dir::reach(self.root(), &components)? else { return Ok(None) };
        if let Some(build) = child(&dir, BUILD)?
            && let Some(holder) = Lock::peek(&build)?
        {
            return Ok(Some(format!("a build holds it ({holder})")));
        }
        // Where directories cannot be locked, nobody holds one.
        Ok((!dir.try_own().unwrap_or(true)).then(|| "a reader holds it".to_owned()))
    }

    /// Returns what lies in a version; nothing where it has no directory, or none that this program made. A directory
    /// in which nothing is left was one: a removal was killed just before its end.
    pub fn contents(&self, profile: &ProfileName, version: &VersionName) -> Result<Option<Contents>> {
        let components = Place::Version(profile, version).components();
        let Some(dir) = Dir::reach(self.root(), &components)? else { return Ok(None) };
        let contents = contents(&dir)?;
        Ok((!contents.ours.is_empty() || contents.foreign.is_empty()).then_some(contents))
    }

    /// True where a version of ours lies: something of it besides a lock that a refused build has left.
    pub fn is_version(&self, profile: &ProfileName, version: &VersionName) -> Result<bool> {
        let components = Place::Version(profile, version).components();
        let Some(dir) = Dir::reach(self.root(), &components)? else { return Ok(false) };
        if is_own_manifest(&dir)? {
            return Ok(true);
        }
        for split in Split::ALL {
            let Some(files) = child(&dir, split.as_str())? else { continue };
            for (name, kind) in files.list()? {
                if !kind.is_dir() && is_finished(&files, &format!("{split}/{name}"))? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// True for an archive in a version that another program made.
    pub fn is_foreign(&self, profile: &ProfileName, version: &VersionName, name: &str) -> Result<bool> {
        let components = Place::Version(profile, version).components();
        let Some(dir) = Dir::reach(self.root(), &components)? else { return Ok(false) };
        let Some((split, _)) = name.split_once('/') else { return Ok(false) };
        child(&dir, split)?.map_or(Ok(false), |files| is_finished(&files, name).map(|ours| !ours))
    }

    /// Returns when the manifest of a version was written, or last found to need no change, in seconds since the epoch;
    /// nothing where there is none, nor one that a killed removal took away.
    pub fn committed_at(&self, profile: &ProfileName, version: &VersionName) -> Result<Option<i64>> {
        let components = Place::Version(profile, version).components();
        let Some(dir) = Dir::reach(self.root(), &components)? else { return Ok(None) };
        let modified = |dir: &Dir, name| Ok(stat(dir, name)?.map(|stat| stat.st_mtime));
        let (manifest, build) = (modified(&dir, MANIFEST)?, child(&dir, BUILD)?);
        match (manifest, build) {
            (Some(written), Some(build)) => Ok(modified(&build, HISTORY)?.max(Some(written))),
            (None, Some(build)) => modified(&build, REMOVED),
            (written, None) => Ok(written),
        }
    }

    /// Returns what was moved to `.damaged/` longer than `age_s` seconds ago.
    pub fn damaged(&self, age_s: u64) -> Result<Vec<Item>> {
        let Some(dir) = Dir::reach(self.root(), &[DAMAGED])? else { return Ok(Vec::new()) };
        let limit = setup::now_ns().saturating_sub(age_s.saturating_mul(1_000_000_000));
        let is_old = |name: &str| {
            let stem = name.strip_suffix(".reason.txt").unwrap_or(name);
            // `<profile>--<version>--<name>--<nanoseconds>`
            let moved = stem.rsplit_once("--").and_then(|(_, moved)| moved.parse::<u64>().ok());
            moved.is_some_and(|moved| moved <= limit)
        };
        let names = dir.list()?.into_iter().filter(|(name, kind)| !kind.is_dir() && is_old(name));
        names.map(|(name, _)| item(&dir, DAMAGED, &name)).collect()
    }

    /// Removes what `damaged` returned.
    pub fn remove_damaged(&self, items: &[Item]) -> Result<()> {
        let Some(dir) = Dir::reach(self.root(), &[DAMAGED])? else { return Ok(()) };
        for leaf in items.iter().filter_map(|item| item.name.strip_prefix(DAMAGED)?.strip_prefix('/')) {
            dir.remove(leaf).map_err(dir.error("remove", leaf))?;
        }
        Ok(())
    }

    /// Points `latest` at the complete version that was written last, or removes it, where it leads to nothing.
    pub fn mend_latest(&self, profile: &ProfileName) -> Result<()> {
        let Some(dir) = Dir::reach(self.root(), &Place::Profile(profile).components())? else {
            return Ok(());
        };
        let Ok(target) = dir.read_link(LATEST) else { return Ok(()) };
        if let Ok(version) = VersionName::new(target)
            && self.is_version(profile, &version)?
        {
            return Ok(());
        }
        dir.remove(LATEST).map_err(dir.error("remove", LATEST))?;
        let mut complete = Vec::new();
        for version in self.versions(profile)? {
            if is_complete(&self.load(profile, &version)?) {
                complete.push((self.committed_at(profile, &version)?, version));
            }
        }
        match complete.into_iter().max() {
            None => Ok(()),
            Some((_, version)) => dir.symlink(version.as_str(), LATEST).map_err(dir.error("link", LATEST)),
        }
    }

    /// Returns what a version holds that nothing needs: files that neither manifest nor a journal lists and that are of no
    /// member, neither of those on record nor of `members`, unfinished files, and journals that say nothing more than the
    /// manifest.
    pub fn orphans(
        &self,
        profile: &ProfileName,
        version: &VersionName,
        members: &BTreeSet<String>,
    ) -> Result<Vec<Item>> {
        let components = Place::Version(profile, version).components();
        let Some(dir) = Dir::reach(self.root(), &components)? else { return Ok(Vec::new()) };
        let held = Held::read(Some(&dir), profile, version)?;
        let needed = Needed::new(&held, members);
        let build = child(&dir, BUILD)?;
        let mut orphans = Vec::new();
        for item in contents(&dir)?.ours {
            let leaf = item.name.strip_prefix(BUILD).and_then(|rest| rest.strip_prefix('/'));
            let is_orphan = match (leaf, &build) {
                (Some(leaf), Some(build)) => is_left_over(build, leaf, &held)?,
                (Some(_), None) => false,
                (None, _) => !needed.needs(&item.name),
            };
            orphans.extend(is_orphan.then_some(item));
        }
        Ok(orphans)
    }
}

/// The error of a command that deletes where locks do not exclude.
pub(super) fn not_exclusive(dir: &Dir, note: &str) -> Error {
    let note = note.trim_end_matches("; going on without a lock");
    Error::NotReady {
        message: format!("nothing is removed from `{}`: {note}", dir.path().display()),
        hint: "when no build runs and nobody reads, on any machine, say `--assume-exclusive`".to_owned(),
    }
}

impl Claim {
    /// Removes the version: the manifest first, the lock last. Returns whether the directory is gone as well; it stays
    /// where it holds what is not ours.
    pub fn remove_version(self) -> Result<bool> {
        let dir = &self.version;
        if is_own_manifest(dir)? {
            take_away_manifest(dir)?;
        }
        dir.sync()?;
        let contents = contents(dir)?;
        // Journals next: they list files as well.
        let is_journal = |item: &&Item| layout::is_journal_name(layout::leaf(&item.name));
        let (journals, rest): (Vec<&Item>, Vec<&Item>) = contents.ours.iter().partition(is_journal);
        let (own, finished): (Vec<&Item>, Vec<&Item>) =
            rest.into_iter().partition(|item| item.name.starts_with(BUILD));
        let is_last =
            |item: &&Item| [LOCK, REMOVED].iter().any(|last| item.name == format!("{BUILD}/{last}"));
        // `lock` before `removed`, as names sort: who finds the second alone can still tell the age.
        let (last, own): (Vec<&Item>, Vec<&Item>) = own.into_iter().partition(is_last);
        self.remove_items(journals.into_iter().chain(finished))?;
        for split in Split::ALL {
            dir.remove_child(split.as_str()).map_err(dir.error("remove", split.as_str()))?;
        }
        self.remove_items(own.into_iter())?;
        if let Some(build) = child(dir, BUILD)? {
            build.remove_child(TEMPORARIES).map_err(build.error("remove", TEMPORARIES))?;
        }
        self.remove_items(last.into_iter())?;
        dir.remove_child(BUILD).map_err(dir.error("remove", BUILD))?;
        let name = self.name.as_str();
        self.profile.remove_child(name).map_err(self.profile.error("remove", name))
    }

    /// Removes names that `Store::orphans` returned.
    pub fn remove_orphans(&self, items: &[Item]) -> Result<()> {
        self.remove_items(items.iter())
    }

    fn remove_items<'a>(&self, items: impl Iterator<Item = &'a Item>) -> Result<()> {
        for item in items {
            let mut names: Vec<&str> = item.name.split('/').collect();
            let Some(leaf) = names.pop() else { continue };
            // Each step goes through open directories, as everywhere: a link that was swapped in leads nowhere.
            let mut below: Option<Dir> = None;
            for name in names {
                let parent = below.as_ref().unwrap_or(&self.version);
                below = Some(parent.child(name).map_err(parent.error("open", name))?);
            }
            remove(below.as_ref().unwrap_or(&self.version), leaf)?;
        }
        Ok(())
    }
}

/// Opens a directory; nothing where it is absent.
fn child(dir: &Dir, name: &str) -> Result<Option<Dir>> {
    match dir.child(name) {
        Ok(child) => Ok(Some(child)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(dir.error("open", name)(error)),
    }
}

/// Returns what the file system says of a name; nothing where it is absent.
fn stat(dir: &Dir, name: &str) -> Result<Option<Stat>> {
    match dir.stat(name) {
        Ok(stat) => Ok(Some(stat)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(dir.error("read", name)(error)),
    }
}

/// Takes the manifest out of its place, so that the version is no version any more. It is kept until the end: its age is
/// the version's, should the removal be killed and begun again.
fn take_away_manifest(dir: &Dir) -> Result<()> {
    let moved = match child(dir, BUILD)? {
        Some(build) => dir.rename(MANIFEST, &build, REMOVED),
        None => return remove(dir, MANIFEST),
    };
    match moved {
        Err(error) if is_absent(&error) => Ok(()),
        // Where there is no space for a name, removing needs none.
        Err(_) => remove(dir, MANIFEST),
        Ok(()) => Ok(()),
    }
}

fn remove(dir: &Dir, name: &str) -> Result<()> {
    dir.remove(name).map_err(dir.error("remove", name))
}

fn item(dir: &Dir, place: &str, name: &str) -> Result<Item> {
    let stat = dir.stat(name).map_err(dir.error("read", name))?;
    // What a lock file holds comes and goes with whoever holds it.
    let bytes = if name == LOCK { 0 } else { stat.st_size as u64 };
    let name = if place.is_empty() { name.to_owned() } else { format!("{place}/{name}") };
    Ok(Item { name, bytes, inode: (stat.st_dev, stat.st_ino), links: stat.st_nlink })
}

/// Sorts what lies in a version into ours and others', directories of ours left out.
fn contents(dir: &Dir) -> Result<Contents> {
    let mut contents = Contents::default();
    for (name, kind) in dir.list()? {
        match (name.as_str(), kind.is_dir()) {
            (MANIFEST, false) if is_own_manifest(dir)? => contents.ours.push(item(dir, "", MANIFEST)?),
            (BUILD, true) => list(dir, BUILD, &mut contents, |_, path| Ok(is_builders(path)))?,
            (split, true) if Split::from_name(split).is_some() => {
                list(dir, split, &mut contents, is_finished)?;
            }
            _ => contents.foreign.push(name),
        }
    }
    Ok(contents)
}

/// Says of a file by its directory and its path in the version whether it is ours.
type IsOurs = fn(&Dir, &str) -> Result<bool>;

fn list(above: &Dir, place: &str, contents: &mut Contents, is_ours: IsOurs) -> Result<()> {
    let Some(dir) = child(above, layout::leaf(place))? else { return Ok(()) };
    for (name, kind) in dir.list()? {
        let path = format!("{place}/{name}");
        if place == BUILD && name == TEMPORARIES && kind.is_dir() {
            list(&dir, &path, contents, |_, _| Ok(true))?;
        } else if !kind.is_dir() && is_ours(&dir, &path)? {
            contents.ours.push(item(&dir, place, &name)?);
        } else {
            contents.foreign.push(path);
        }
    }
    Ok(())
}

/// True for a file of ours, whole or damaged: other programs call theirs `.npz` as well.
fn is_finished(dir: &Dir, path: &str) -> Result<bool> {
    if FileName::parse(path).is_none() {
        return Ok(false);
    }
    let leaf = layout::leaf(path);
    match dir.open_file(leaf) {
        Ok(file) => npz::is_foreign(&file).map(|foreign| !foreign).map_err(dir.error("read", leaf)),
        // No regular file: a link, a pipe. It is no file of anybody's.
        Err(error) if error.kind() != std::io::ErrorKind::PermissionDenied => Ok(true),
        Err(error) => Err(dir.error("read", leaf)(error)),
    }
}

/// True where `manifest.json` has our seal, or whatever it holds, builds of ours have left their history beside it.
fn is_own_manifest(dir: &Dir) -> Result<bool> {
    if let Some(build) = child(dir, BUILD)?
        && build.list()?.iter().any(|(name, _)| tells_history(name))
    {
        return Ok(true);
    }
    match dir.open_file(MANIFEST) {
        Ok(file) => manifest::is_sealed(&file).map_err(dir.error("read", MANIFEST)),
        // A link or a pipe is nobody's manifest.
        Err(_) => Ok(false),
    }
}

/// True for what a build leaves that began to write.
fn tells_history(leaf: &str) -> bool {
    [layout::IDENTITY, HISTORY, REMOVED].contains(&leaf) || layout::is_journal_name(leaf)
}

fn is_builders(path: &str) -> bool {
    let leaf = layout::leaf(path);
    [LOCK, layout::MERGE, layout::IDENTITY, HISTORY, REMOVED].contains(&leaf)
        || layout::is_shard_name(leaf)
        || layout::is_journal_name(leaf)
}

/// True where a file of builders is of no use any more.
fn is_left_over(build: &Dir, leaf: &str, held: &Held) -> Result<bool> {
    if leaf.starts_with(TEMPORARIES) || leaf == REMOVED {
        return Ok(true);
    }
    if layout::is_journal_name(leaf) { says_nothing_new(build, leaf, held) } else { Ok(false) }
}

/// True for a journal that cannot be read, or whose entries the manifest holds. A later program's stays.
fn says_nothing_new(build: &Dir, name: &str, held: &Held) -> Result<bool> {
    match journal::read(build, name)? {
        Err(Unusable::Damaged) => Ok(true),
        Err(Unusable::Later(_) | Unusable::NoFile(_)) => Ok(false),
        Ok(_) => {
            let is_merged = matches!(held.manifest, ManifestState::Read(_));
            Ok(is_merged && uncounted(held, Held::told_by(build, &[name.to_owned()])?).is_empty())
        }
    }
}

/// What a version needs of its files.
struct Needed<'a> {
    listed: BTreeSet<String>,
    recorded: BTreeSet<String>,
    /// The members that the configuration in force demands.
    members: &'a BTreeSet<String>,
    /// Without a manifest nobody knows what is needed.
    is_known: bool,
}

impl<'a> Needed<'a> {
    fn new(held: &Held, members: &'a BTreeSet<String>) -> Self {
        let records = held.entries.values().flat_map(|entry| entry.files.iter());
        let listed = records.map(|record| record.name.clone()).collect();
        let (recorded, is_known) = match &held.manifest {
            ManifestState::Read(manifest) => {
                (manifest.membership.iter().map(|member| member.name.clone()).collect(), true)
            }
            _ => (BTreeSet::new(), false),
        };
        Self { listed, recorded, members, is_known }
    }

    fn needs(&self, name: &str) -> bool {
        let Some(file) = FileName::parse(name) else { return true };
        let id = file.id.recording().as_str();
        // A member's file may be adopted by the next build.
        !self.is_known
            || self.listed.contains(name)
            || self.recorded.contains(id)
            || self.members.contains(id)
    }
}

fn is_complete(held: &Held) -> bool {
    let ManifestState::Read(manifest) = &held.manifest else { return false };
    // Recordings are counted, not parts.
    let finished = manifest.entries.iter().filter(|entry| entry.id.is_first()).count();
    finished + manifest.quarantine.len() >= manifest.membership.len()
}
