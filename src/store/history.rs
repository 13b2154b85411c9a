//! Counts of builds that found everything present: they do not rewrite a manifest of a hundred megabytes for a number.
//!
//! `history.jsonl` holds one sealed line a build, appended with one write, each counting only behind the manifest it was
//! written for, which its `after` names by the number of runs. So a line is counted once, whether the file outlives the
//! next manifest or not, and shards may append beside each other.

use super::dir::{self, Dir, fault, is_absent};
use super::layout::HISTORY;
use super::seal;
use crate::error::Result;
use crate::model::manifest::History;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// A build that found everything present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    /// Runs that the manifest counts.
    after: u64,
    /// Recordings found present.
    kept: u64,
}

/// Returns the counts of a manifest and of the builds since. Lines that are damaged count nothing.
pub(super) fn read(build: &Dir, manifest: History) -> io::Result<History> {
    let mut text = Vec::new();
    match build.open_file(HISTORY) {
        Ok(file) => fault::Watched(&file, "read history").read_to_end(&mut text)?,
        Err(error) if is_absent(&error) => return Ok(manifest),
        Err(error) => return Err(error),
    };
    let lines = text.split(|byte| *byte == b'\n').filter_map(seal::decode::<Line>);
    let since = lines.filter(|line| line.after == manifest.runs);
    Ok(since.fold(manifest, |total, line| History {
        runs: total.runs + 1,
        kept: total.kept + line.kept,
        ..total
    }))
}

/// Counts a build that found `kept` recordings present and changed nothing behind a manifest of `after` runs.
pub(super) fn append(build: &Dir, after: u64, kept: u64, durable: bool) -> Result<()> {
    let mut text = Vec::new();
    let written = seal::encode(&Line { after, kept }, &mut text).and_then(|()| {
        let file = build.open_appending(HISTORY)?;
        fault::point("stat open file")?;
        let is_new = file.metadata()?.len() == 0;
        // A line that was torn must not take this one with it; empty lines count nothing.
        fault::Watched(&file, "write history").write_all(&[b"\n", &text[..]].concat())?;
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
