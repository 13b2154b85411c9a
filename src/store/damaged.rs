//! Damaged files are moved aside with the reason, never deleted silently and never served again.

use super::dir::{Dir, fault, is_absent};
use super::layout::{self, MANIFEST};
use super::{Writer, setup};
use crate::error::{Error, Result};
use crate::model::Digest;
use std::io::Write;
use std::path::PathBuf;

/// Bytes of a name that leave room for `.reason.txt` in the 255 of a file system.
const LONGEST: usize = 240;

impl Writer {
    /// Moves a finished file, or the manifest, to `.damaged/` below the root and writes the reason beside it.
    ///
    /// Returns where it lies now; nothing where it was gone already. Other names of the same file stay: the caller finds them.
    pub fn set_aside(&self, name: &str, reason: &str) -> Result<Option<PathBuf>> {
        let root = self.store().root();
        let root = Dir::open_root(root).map_err(Error::io("open", root))?;
        let aside = root.child_or_create(layout::DAMAGED, self.store().is_durable())?;
        let (place, leaf) = if name == MANIFEST {
            (self.version_dir(), MANIFEST.to_owned())
        } else {
            let file = self.parse_name(name)?;
            (&self.split(file.split).dir, file.leaf())
        };
        let now_ns = setup::now_ns();
        let label = self.version_dir().path().strip_prefix(self.store().root()).unwrap_or(place.path());
        let target = format!("{}--{}--{now_ns}", label.display(), name).replace('/', "--");
        // Names are legal that together are longer than one may be: then the reason tells what it was.
        let target = if target.len() > LONGEST {
            format!("{}--{now_ns}", Digest::of(target.as_bytes()))
        } else {
            target
        };
        match place.rename(&leaf, &aside, &target) {
            Ok(()) => {}
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(place.error("move", &leaf)(error)),
        }
        let note = format!("{target}.reason.txt");
        let text = format!("{}/{name}\n{reason}\nmoved {now_ns} ns after 1970-01-01\n", label.display());
        let written = aside
            .open_or_create(&note)
            .and_then(|file| fault::Watched(&file, "write reason").write_all(text.as_bytes()));
        written.map_err(aside.error("write", &note))?;
        place.sync()?;
        aside.sync()?;
        Ok(Some(aside.path_of(&target)))
    }
}
