//! `demo`: the generated corpus, on demand or because a configuration names it.

use crate::demo;
use crate::error::Result;
use crate::model::failure::FailureClass;
use crate::model::settings::Settings;
use crate::ops::{Items, Kind, Progress, Step};
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
    progress.start("demo corpus", Items::Recordings(recordings as u64), 0);
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

/// Makes the generated corpus of a dataset that has one, where it is absent. Returns a sentence about it.
pub fn generate(progress: &dyn Progress, settings: &Settings) -> Result<Option<String>> {
    let Some(spec) = settings.dataset.generate.filter(|_| demo::is_unfinished(&settings.dataset.root)) else {
        return Ok(None);
    };
    let root = &settings.dataset.root;
    let corpus = demo(progress, root, spec.recordings, spec.seed)?;
    Ok(Some(format!(
        "no dataset of yours is configured: {} generated demo recordings ({} MB) were written to `{}`\n\
         to use real data: `export EEG_DATASET=NAME EEG_DATA_ROOT=DIR`, NAME one of: {}",
        corpus.recordings,
        corpus.bytes / 1_000_000,
        root.display(),
        other_datasets(settings).join(", ")
    )))
}

/// The datasets that `configs/datasets` describes, this one left out.
fn other_datasets(settings: &Settings) -> Vec<String> {
    let listed = fs_err::read_dir(settings.project_root.join("configs/datasets"));
    let files = listed.into_iter().flatten().flatten().map(|item| item.path());
    let yaml = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let mut names: Vec<String> =
        yaml.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect();
    names.retain(|name| *name != settings.dataset.name);
    names.sort();
    names
}
