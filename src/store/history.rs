//! Counts of builds that found everything present: they do not rewrite a manifest of a hundred megabytes for a number.
//!
//! `history.jsonl` holds one sealed line a build, each counting only behind the manifest it was written for, which its
//! `after` names by the number of runs. So a line is counted once, whether the file outlives the next manifest or not.

use super::dir::{self, Dir};
use super::layout::HISTORY;
use super::seal;
use crate::error::Result;
use crate::model::manifest::History;
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};

/// A build that found everything present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    /// Runs that the manifest counts.
    after: u64,
    /// Recordings found present.
    kept: u64,
}

/// Returns the counts of a manifest and of the builds since. Lines that cannot be read count nothing.
pub(super) fn read(build: &Dir, manifest: History) -> History {
    let mut text = Vec::new();
    if build.open_file(HISTORY).and_then(|mut file| file.read_to_end(&mut text)).is_err() {
        return manifest;
    }
    let lines = text.split(|byte| *byte == b'\n').filter_map(seal::decode::<Line>);
    lines.filter(|line| line.after == manifest.runs).fold(manifest, |total, line| History {
        runs: total.runs + 1,
        kept: total.kept + line.kept,
        ..total
    })
}

/// Counts a build that found `kept` recordings present and changed nothing behind a manifest of `after` runs.
pub(super) fn append(build: &Dir, after: u64, kept: u64, durable: bool) -> Result<()> {
    let mut text = Vec::new();
    let written = seal::encode(&Line { after, kept }, &mut text).and_then(|()| {
        let mut file = build.open_appending(HISTORY)?;
        let is_new = file.metadata()?.len() == 0;
        dir::fault::point("write history")?;
        // A line that was torn must not take this one with it; empty lines count nothing.
        file.write_all(&[b"\n", &text[..]].concat())?;
        if durable {
            dir::sync_data(&file)?;
        }
        Ok(is_new)
    });
    match written {
        Ok(true) if durable => build.sync(),
        Ok(_) => Ok(()),
        Err(error) => Err(build.error("write", HISTORY)(error)),
    }
}

/// Removes lines that a new manifest counts; those that stay behind count nothing any more.
pub(super) fn clear(build: &Dir) -> Result<()> {
    build.remove(HISTORY).map_err(build.error("remove", HISTORY))
}
