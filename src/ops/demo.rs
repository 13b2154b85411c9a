//! `demo`: the generated corpus, on demand or because a configuration names it.

use crate::demo;
use crate::error::Result;
use crate::model::failure::FailureClass;
use crate::ops::{Kind, Progress, Step};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A corpus that lies there now.
#[derive(Debug, Clone, Serialize)]
pub struct Corpus {
    /// Where.
    pub directory: PathBuf,
    /// Recordings.
    pub recordings: usize,
    /// Bytes.
    pub bytes: u64,
    /// Recordings with a defect, on purpose.
    pub defects: Vec<(String, FailureClass)>,
}

/// Writes the corpus of that size and seed; a complete one is left as it is.
pub fn demo(progress: &dyn Progress, directory: &Path, recordings: usize, seed: u64) -> Result<Corpus> {
    progress.start("demo corpus", recordings as u64, 0);
    let on_file = |_done: usize, _of: usize| progress.step(Step { kind: Kind::Build, bytes: 0 });
    let report = demo::write(directory, demo::DemoSpec { recordings, seed }, &on_file)?;
    progress.finish();
    Ok(Corpus {
        directory: directory.to_owned(),
        recordings: report.recordings,
        bytes: report.bytes,
        defects: report.defects,
    })
}
