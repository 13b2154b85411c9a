//! Looking at what is there: names and sizes, and what files say of themselves. Nothing is written.

use super::Store;
use super::dir::{Dir, is_absent};
use super::layout::{FileName, Part, Place};
use super::npz::{self, Archive, Flaw};
use crate::error::{Error, Result};
use crate::model::artifact::Facts;
use crate::model::id::{ProfileName, Split, VersionName};
use crate::model::manifest::FileRecord;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::fs::File;

/// A finished file that was read to its last byte.
#[derive(Debug, Clone, PartialEq)]
pub struct Scanned {
    /// Its name, `train/<id>.npz`.
    pub name: String,
    /// What it holds and says of itself, or why it is damaged.
    pub outcome: std::result::Result<(FileRecord, Facts), String>,
}

impl Store {
    /// Returns the finished files of a version by name, with their bytes. Links, directories and
    /// names that no finished file can have are left out.
    pub fn files(&self, profile: &ProfileName, version: &VersionName) -> Result<BTreeMap<String, u64>> {
        let mut files: Vec<(String, u64)> = Vec::new();
        for split in Split::ALL {
            let place = Place::Split(profile, version, split);
            let Some(dir) = Dir::reach(self.root(), &place.components())? else { continue };
            let mut listed = dir.list_unsorted()?;
            listed.retain(|(leaf, kind)| kind.is_file() && FileName::is_leaf(leaf));
            let size = |(leaf, _): (String, _)| match dir.stat(&leaf) {
                Ok(stat) => Some(Ok((format!("{split}/{leaf}"), stat.st_size as u64))),
                Err(error) if is_absent(&error) => None,
                Err(error) => Some(Err(dir.error("read", &leaf)(error))),
            };
            let sizes: Vec<(String, u64)> = listed.into_par_iter().filter_map(size).collect::<Result<_>>()?;
            files.extend(sizes);
        }
        // Sorted once, at the end, which a map does faster than one by one.
        files.sort_unstable();
        Ok(files.into_iter().collect())
    }

    /// Reads the named files to the last byte, many at once, in the order of `names`; those that went meanwhile are
    /// left out. `Error::Io` where the machine would not read one: that says nothing about its bytes.
    pub fn scan(
        &self,
        profile: &ProfileName,
        version: &VersionName,
        names: &[String],
    ) -> Result<Vec<Scanned>> {
        let scan = |name: &String| self.scan_one(profile, version, name).transpose();
        names.par_iter().filter_map(scan).collect()
    }

    /// Reads a file to the last byte; nothing where there is none. `Error::Io` as for `scan`.
    pub fn scan_one(
        &self,
        profile: &ProfileName,
        version: &VersionName,
        name: &str,
    ) -> Result<Option<Scanned>> {
        let examine = || {
            let (name, file) = self.open_finished(profile, version, name)?;
            let found = npz::verify(&file).and_then(|found| {
                check_facts(&name, &found.facts)?;
                let record = FileRecord { name: name.to_string(), bytes: found.bytes, sha256: found.sha256 };
                Ok((record, found.facts))
            });
            found.map_err(|flaw| self.flawed(profile, version, &name, flaw))
        };
        let scanned = |outcome| Some(Scanned { name: name.to_owned(), outcome });
        match examine() {
            Ok(found) => Ok(scanned(Ok(found))),
            Err(Error::Damaged { message, .. }) => Ok(scanned(Err(message))),
            Err(error) if error.is_absence() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns what a finished file says of itself; its arrays are not looked at.
    pub fn facts(&self, profile: &ProfileName, version: &VersionName, name: &str) -> Result<Facts> {
        Ok(self.open(profile, version, name)?.1.facts)
    }

    /// Opens a finished file for reading and returns where its members lie.
    pub fn open(&self, profile: &ProfileName, version: &VersionName, name: &str) -> Result<(File, Archive)> {
        let (name, file) = self.open_finished(profile, version, name)?;
        let archive = Archive::read(&file).and_then(|archive| {
            check_facts(&name, &archive.facts)?;
            Ok(archive)
        });
        archive.map(|archive| (file, archive)).map_err(|flaw| self.flawed(profile, version, &name, flaw))
    }

    /// A file is damaged only by its bytes; where the machine would not read them, that is what is wrong.
    fn flawed(&self, profile: &ProfileName, version: &VersionName, name: &FileName, flaw: Flaw) -> Error {
        let path = self.version_dir(profile, version).join(name.to_string());
        match flaw {
            Flaw::Unread(source) => Error::io("read", path)(source),
            Flaw::Damaged(message) => Error::Damaged { path, message },
        }
    }

    fn open_finished(
        &self,
        profile: &ProfileName,
        version: &VersionName,
        name: &str,
    ) -> Result<(FileName, File)> {
        let Some(file_name) = FileName::parse(name) else {
            let message = format!("{name:?} is no name of a finished file");
            return Err(Error::Damaged { path: self.version_dir(profile, version), message });
        };
        let place = Place::Split(profile, version, file_name.split);
        let gone = || {
            Error::io("open", place.path(self.root()).join(file_name.leaf()))(
                std::io::ErrorKind::NotFound.into(),
            )
        };
        let dir = Dir::reach(self.root(), &place.components())?.ok_or_else(gone)?;
        let leaf = file_name.leaf();
        match dir.open_file(&leaf) {
            Ok(file) => Ok((file_name, file)),
            // A link, a pipe or a directory in its place.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
                Err(Error::Damaged { path: dir.path_of(&leaf), message: error.to_string() })
            }
            Err(error) => Err(dir.error("open", &leaf)(error)),
        }
    }
}

/// A file says of itself what its name says.
fn check_facts(name: &FileName, facts: &Facts) -> std::result::Result<(), String> {
    let part = match facts {
        Facts::Signal(_) => Part::Signal,
        Facts::Labels(_) => Part::Labels,
    };
    if (facts.id(), part) == (&name.id, name.part) {
        return Ok(());
    }
    let right = FileName::new(name.split, facts.id().clone(), part);
    Err(format!("its `entry.json` says that it is `{}`", right.leaf()))
}
