//! The demo corpus: synthetic EEG recordings in the folder shape of a hospital seizure corpus.
//!
//! `write` is the only door: it fills a directory that is empty, absent or its own (a marker file says so), and
//! touches nothing else. The same seed gives the same bytes on every machine: random numbers come from `ChaCha`,
//! transcendental functions from `libm`, everything else from IEEE `+ - * /` in a fixed order.
//! Four recordings have a defect each, so that a first build shows what quarantine is.

mod annotation;
mod directory;
mod edf;
mod electrode;
mod plan;
mod random;
mod signal;

use crate::error::{Error, Result};
use crate::model::failure::FailureClass;
use directory::Directory;
use plan::{Defect, Planned};
use rayon::prelude::*;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Revision of the generator: any change of a byte for any seed raises it.
pub const GENERATOR_REVISION: u64 = 1;

/// The largest corpus; a bound for mistyped numbers, far above any use.
pub const RECORDINGS_LIMIT: usize = 10_000;

/// What to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoSpec {
    /// Number of recordings, at least 1. From 12 on, four of them are defective.
    pub recordings: usize,
    /// Everything random follows from it.
    pub seed: u64,
}

/// What is in the directory now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoReport {
    /// Recordings in the corpus.
    pub recordings: usize,
    /// Recordings of which a file was missing and has been written; 0 where there was nothing to do.
    pub written: usize,
    /// Bytes of all recordings and annotation files.
    pub bytes: u64,
    /// Ids of the recordings with a defect and the class in which each is meant to fail, in path order.
    pub defects: Vec<(String, FailureClass)>,
}

/// True where `directory` is absent, empty, or holds a corpus whose writing was interrupted.
#[must_use]
pub fn is_unfinished(directory: &Path) -> bool {
    directory::is_unfinished(directory)
}

/// Writes the corpus into `directory`, or completes it where an earlier run was interrupted.
///
/// `on_file` is told after each recording how many are done, and of how many. Fails with `Error::Config` where the directory
/// holds something that `write` did not make, or a corpus of another specification; nothing is touched then.
pub fn write(
    directory: &Path,
    spec: DemoSpec,
    on_file: &(dyn Fn(usize, usize) + Sync),
) -> Result<DemoReport> {
    if !(1..=RECORDINGS_LIMIT).contains(&spec.recordings) {
        let message =
            format!("a demo corpus has 1 to {RECORDINGS_LIMIT} recordings, not {}", spec.recordings);
        return Err(Error::usage(message, ""));
    }
    let directory = Directory::claim(directory, spec)?;
    let planned = plan::plan(spec);
    let missing: Vec<&Planned> = planned.iter().filter(|one| !directory.holds(one)).collect();
    if !missing.is_empty() || !directory.is_complete() {
        directory.write_text("README.txt", README)?;
    }
    let done = AtomicUsize::new(0);
    missing.par_iter().try_for_each(|one| -> Result<()> {
        directory.write_recording(one, spec.seed)?;
        on_file(done.fetch_add(1, Ordering::Relaxed) + 1, missing.len());
        Ok(())
    })?;
    directory.complete()?;
    Ok(DemoReport {
        recordings: planned.len(),
        written: missing.len(),
        bytes: directory.bytes(&planned)?,
        defects: planned.iter().filter_map(|one| Some((one.stem(), one.defect?.class()))).collect(),
    })
}

impl Defect {
    /// The class in which a recording with this defect fails.
    fn class(self) -> FailureClass {
        match self {
            Self::Truncated => FailureClass::Truncated,
            Self::NoCz => FailureClass::MissingChannels,
            Self::NoAnnotation => FailureClass::NoAnnotation,
            Self::Flat => FailureClass::Flat,
        }
    }
}

const README: &str = "\
This directory was made by `eegcache demo`.

It holds SYNTHETIC EEG: no person, no patient, no hospital is behind it. The recordings are random numbers
shaped like EEG (1/f background, alpha rhythm, blinks, muscle, mains hum, spike-and-wave seizures) for
trying out eegcache. They are of no use for research on brains or for training anything but a habit.

  train/ dev/ eval/            three splits without a common subject
    <subject>/<session>/<montage>/
      <recording>.edf          the signals, European Data Format
      <recording>.csv          annotations, a row for each channel and event
      <recording>.csv_bi       annotations, two classes

In a corpus of 12 recordings or more, four are defective on purpose: one is truncated, one lacks the
channel Cz, one has no annotations, one has a dead electrode. Deleting the directory is always safe.

To the extent possible under law, this data is dedicated to the public domain under CC0 1.0:
https://creativecommons.org/publicdomain/zero/1.0/
";
