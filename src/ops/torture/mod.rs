//! Torture inside one process: verbs on a tiny dataset in memory, with a fault at any operation of the file system.
//!
//! The oracle is "same bytes": whatever happens, each file under a final name is one that an undisturbed build
//! makes, what the tool calls valid is, and the next run ends with exactly the files of an undisturbed one. The
//! counterpart that uses the real program is `tests/it/torture`. `EEGCACHE_TORTURE=1` leaves no fault out.

mod exports;
mod flips;
#[path = "../../../tests/it/invariant.rs"]
mod invariant;
mod looking;
mod model;
mod sweep;
#[path = "../../../tests/it/tally.rs"]
mod tally;
#[path = "../../../tests/it/tiny.rs"]
mod tiny;
mod verbs;

use crate::error::{Error, Result};
use crate::model::id::{Digest, ProfileName, VersionName};
use crate::model::settings::Settings;
use crate::ops::build::{BuildOptions, BuildReport, build};
use crate::ops::library::Library;
use crate::ops::load::{Request, load};
use crate::ops::survey::{Options, State, survey, walk};
use crate::ops::verify::{VerifyReport, repair, verify};
use crate::ops::{Context, Quiet};
use crate::store::{Store, Wait};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Digests by file name without directories: what files of that name may hold.
type Oracle = BTreeMap<String, BTreeSet<Digest>>;

/// Finished files by path below the cache root.
type Picture = BTreeMap<String, Digest>;

/// A project on a disk of its own; everything runs on the thread that made it, where faults strike.
struct World {
    dir: tempfile::TempDir,
    /// Keeps this thread a worker of its own pool: no other thread takes part.
    _pool: rayon::ThreadPool,
}

/// What a configuration differs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
struct Variant {
    /// Of the signal fingerprint.
    signal: u8,
    /// Of the label fingerprint.
    labels: u8,
    /// Of the first recording.
    source: u8,
    /// Of the split.
    split: u8,
}

impl World {
    fn new() -> Self {
        // In memory, where there is such a place: thousands of builds with all their syncs.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        tiny::write_project(dir.path());
        tiny::write_dataset(&dir.path().join("data1"), 1);
        // The memo trusts stamps only of files that were at rest.
        std::thread::sleep(std::time::Duration::from_millis(30));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().unwrap();
        Self { dir, _pool: pool }
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// What asks for a profile; signal and labels variants have a version of their own.
    fn request(profile: &str, variant: Variant) -> Request {
        Request {
            profile: Some(profile.to_owned()),
            set: vec![
                format!("cache.version=v{}{}", variant.signal, variant.labels),
                format!("preprocessing.steps=[{{clip: {{limit: {}}}}}]", 10 + variant.signal),
                format!("labels.seizure=[{}]", ["seiz", "seiz, fnsz"][usize::from(variant.labels)]),
                format!("labels.background=[{}]", ["bckg, fnsz", "bckg"][usize::from(variant.labels)]),
            ],
            ..Request::default()
        }
    }

    /// The settings of a profile.
    fn settings(&self, profile: &str, variant: Variant) -> Settings {
        let request = Self::request(profile, variant);
        let mut settings = load(&BTreeMap::new(), self.dir.path(), &request).unwrap().settings;
        settings.dataset.root = self.path(["data", "data1"][usize::from(variant.source)]);
        if variant.split == 1 {
            let crate::model::dataset::SplitRule::Directory(folders) = &mut settings.dataset.splits else {
                panic!("the dataset has folders");
            };
            let (first, second) = (folders[0].1, folders[1].1);
            (folders[0].1, folders[1].1) = (second, first);
        }
        settings
    }

    fn store(&self) -> Store {
        Store::new(self.path("cache"))
    }

    fn clear(&self) {
        let _ = fs_err::remove_dir_all(self.path("cache"));
    }

    /// The versions that have a directory.
    fn versions(&self) -> Vec<(ProfileName, VersionName)> {
        let store = self.store();
        let profiles = ["full", "smoke"].map(|name| ProfileName::new(name).unwrap());
        let of = |profile: &ProfileName| {
            let versions = store.versions(profile).unwrap().into_iter();
            versions.map(|version| (profile.clone(), version)).collect::<Vec<_>>()
        };
        profiles.iter().flat_map(of).collect()
    }

    /// Every file in the directory of a split, whatever it is.
    fn picture(&self) -> Picture {
        let mut picture = Picture::new();
        if !self.path("cache").exists() {
            return picture;
        }
        for entry in walkdir::WalkDir::new(self.path("cache")).min_depth(4).max_depth(4) {
            let entry = entry.unwrap();
            let name = entry.path().strip_prefix(self.path("cache")).unwrap().to_str().unwrap().to_owned();
            if entry.file_type().is_file() && !name.contains("/.build/") {
                picture.insert(name, Digest::of(&fs_err::read(entry.path()).unwrap()));
            }
        }
        picture
    }

    /// Every file that manifest and journals list and that lies there in its size, with whether it is what they say.
    fn claims(&self) -> BTreeMap<String, bool> {
        let store = self.store();
        let mut claims = BTreeMap::new();
        for (profile, version) in self.versions() {
            let files = store.files(&profile, &version).unwrap();
            let held = store.load(&profile, &version).unwrap();
            for record in held.entries.values().flat_map(|entry| entry.files.iter()) {
                if files.get(&record.name) == Some(&record.bytes) {
                    let path = store.version_dir(&profile, &version).join(&record.name);
                    let is_right = Digest::of(&fs_err::read(path).unwrap()) == record.sha256;
                    claims.insert(format!("{profile}/{version}/{}", record.name), is_right);
                }
            }
        }
        claims
    }

    /// What killed builds may leave behind, and a finished one may not: temporaries and journals.
    fn leftovers(&self) -> Vec<String> {
        let of = |(profile, version): &(ProfileName, VersionName)| {
            let build = self.store().version_dir(profile, version).join(".build");
            let names = |directory: PathBuf| {
                let items = fs_err::read_dir(directory).into_iter().flatten();
                items.map(|item| item.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
            };
            let journals = names(build.clone()).into_iter().filter(|name| name.starts_with("journal-"));
            journals.chain(names(build.join("tmp"))).collect::<Vec<_>>()
        };
        self.versions().iter().flat_map(of).collect()
    }

    fn state(&self, settings: &Settings) -> State {
        let library = Library::new(self.store());
        let taken = walk(settings, &library, &[]).unwrap();
        survey(settings.clone(), &library, taken.as_ref(), Options::LOOK).unwrap().state
    }

    /// Flips bits of a file in place, through its read-only mode: every name of the inode changes.
    fn damage(&self, relative: &str, at: usize, bits: u8) {
        let path = self.path("cache").join(relative);
        let mut bytes = fs_err::read(&path).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= bits;
        let mode = fs_err::metadata(&path).unwrap().mode();
        set_mode(&path, 0o600);
        fs_err::write(&path, bytes).unwrap();
        set_mode(&path, mode & 0o7777);
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs_err::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

/// Runs with a context that hears nothing and is never stopped.
fn quietly<T>(work: impl FnOnce(&Context<'_>) -> T) -> T {
    work(&Context {
        progress: &Quiet,
        stop: &AtomicBool::new(false),
        threads: 1,
        allocator: crate::ops::Allocator::default(),
    })
}

fn build_profile(settings: &Settings) -> Result<BuildReport> {
    build_with(settings, BuildOptions::default())
}

fn build_with(settings: &Settings, options: BuildOptions) -> Result<BuildReport> {
    let options = BuildOptions { wait: Wait::No, ..options };
    quietly(|cx| build(cx, settings, options))
}

fn verify_all(settings: &Settings, quick: bool) -> Result<VerifyReport> {
    quietly(|cx| verify(cx, settings, None, quick))
}

/// What could not be read is an error here, as it is one of the program's.
fn repair_all(settings: &Settings) -> Result<VerifyReport> {
    readable(quietly(|cx| repair(cx, settings, false))?)
}

fn readable(report: VerifyReport) -> Result<VerifyReport> {
    let Some(unread) = report.unread.first() else { return Ok(report) };
    assert!(report.moved.is_empty(), "{report:?}");
    Err(Error::io("read", &unread.name)(std::io::Error::other(unread.reason.clone())))
}

/// Enters the files of a picture into the oracle.
fn learn(oracle: &mut Oracle, picture: &Picture) {
    for (name, digest) in picture {
        let leaf = name.rsplit('/').next().unwrap().to_owned();
        oracle.entry(leaf).or_default().insert(*digest);
    }
}

/// True for a file that an undisturbed build makes.
fn is_known(oracle: &Oracle, name: &str, digest: Digest) -> bool {
    let leaf = name.rsplit('/').next().unwrap_or(name);
    oracle.get(leaf).is_some_and(|digests| digests.contains(&digest))
}

fn reference(oracle: &Oracle) -> invariant::Reference {
    let digits = |digests: &BTreeSet<Digest>| digests.iter().map(ToString::to_string).collect();
    oracle.iter().map(|(leaf, digests)| (leaf.clone(), digits(digests))).collect()
}

/// The errors that the machine is to blame for: exit code 74.
fn is_environment(error: &Error) -> bool {
    matches!(error, Error::Io { .. } | Error::NoSpace { .. })
}

/// Copies a directory; names of one inode stay names of one inode.
fn copy_tree(from: &Path, to: &Path) {
    let mut inodes: BTreeMap<u64, PathBuf> = BTreeMap::new();
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        let kind = entry.file_type();
        if kind.is_dir() {
            fs_err::create_dir_all(&target).unwrap();
        } else if kind.is_symlink() {
            fs_err::os::unix::fs::symlink(fs_err::read_link(entry.path()).unwrap(), &target).unwrap();
        } else {
            let inode = entry.metadata().unwrap().ino();
            match inodes.get(&inode) {
                Some(first) => fs_err::hard_link(first, &target).unwrap(),
                None => drop(fs_err::copy(entry.path(), &target).unwrap()),
            }
            inodes.entry(inode).or_insert(target);
        }
    }
}
