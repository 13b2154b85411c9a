//! `build --dry-run`: the plan and what it costs, without doing anything.

use crate::error::Result;
use crate::model::id::ProfileName;
use crate::model::settings::Settings;
use crate::ops::build::{self, BuildOptions};
use crate::ops::library::Library;
use crate::ops::mismatch::Mismatch;
use crate::ops::survey::{Options, survey};
use crate::ops::{Context, estimate};
use crate::plan::Kind;
use crate::store::Store;
use serde::Serialize;
use std::path::PathBuf;

/// What `--dry-run` prints.
#[derive(Debug, Clone, Serialize)]
pub struct DryRun {
    /// The profile.
    pub profile: ProfileName,
    /// The version's directory.
    pub cache_dir: PathBuf,
    /// Recordings present.
    pub present: usize,
    /// Recordings that would be linked.
    pub to_link: usize,
    /// Recordings whose labels would be made.
    pub to_relabel: usize,
    /// Recordings that would be processed.
    pub to_build: usize,
    /// Recordings in quarantine.
    pub quarantined: usize,
    /// Recordings of the recorded size whose content was not looked at, counted as present.
    pub unchecked: usize,
    /// Bytes that would be written.
    pub bytes_needed: u64,
    /// Bytes free.
    pub bytes_free: u64,
    /// Seconds that processing takes, very roughly.
    pub expected_seconds: f64,
    /// What the version would have to be called.
    pub mismatch: Option<Mismatch>,
}

/// Plans without doing.
pub fn dry_run(cx: &Context<'_>, settings: &Settings, options: BuildOptions) -> Result<DryRun> {
    let library = Library::new(Store::new(settings.cache_root.clone()));
    let read = || library.prefetch(&settings.profile, &settings.version);
    let (taken, ()) = rayon::join(|| options.walk(settings, library.store()), read);
    let taken = taken?;
    let survey = survey(
        settings.clone(),
        &library,
        Some(&taken),
        Options {
            retry: options.retry(),
            shard: options.shard,
            settle: options.paranoid.then_some(*cx),
            ..Options::LOOK
        },
    )?;
    if survey.later().is_some() {
        build::refuse_mismatch(&survey)?;
    }
    let bytes_free = library.store().free_bytes()?;
    let mut dry = DryRun {
        profile: settings.profile.clone(),
        cache_dir: settings.cache_dir(),
        present: 0,
        to_link: 0,
        to_relabel: 0,
        to_build: 0,
        quarantined: 0,
        unchecked: 0,
        bytes_needed: 0,
        bytes_free,
        expected_seconds: 0.0,
        mismatch: survey.mismatch.clone(),
    };
    if survey.mismatch.is_some() {
        return Ok(dry);
    }
    let (plan, inventory) = survey.plan()?;
    dry.present = plan.count(Kind::Present);
    dry.to_link = plan.count(Kind::Link);
    dry.to_relabel = plan.count(Kind::Relabel);
    dry.to_build = plan.count(Kind::Build);
    dry.quarantined = plan.count(Kind::Quarantined);
    dry.unchecked = survey.unchecked();
    let to_read: u64 =
        plan.of(Kind::Build).map(|task| inventory.recordings[task.recording].file.stamp.bytes).sum();
    dry.bytes_needed = estimate::bytes_needed(&survey.settings, plan, inventory);
    dry.expected_seconds = estimate::seconds(to_read, cx.threads);
    Ok(dry)
}
