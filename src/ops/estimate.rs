//! What a build will need: bytes from the headers of the recordings, time from a rough figure.

use crate::error::{Error, Result};
use crate::model::inventory::{Inventory, SourceRecording};
use crate::model::manifest::FileRecord;
use crate::model::recipe::Dtype;
use crate::model::settings::{LinkMethod, Settings};
use crate::model::stem::Stem;
use crate::ops::survey::Survey;
use crate::plan::{self, Action, Kind, Plan, Task, Work};
use crate::{dsp, formats, source};
use rayon::prelude::*;

/// Recording bytes a second and thread that a two-core machine of 2026 processes; only `--dry-run` shows what follows from it.
const BYTES_PER_SECOND: f64 = 60e6;

/// Bytes that a build will write. Labels are next to nothing, links are free; where nothing but copying is allowed, copies
/// count. That the system will refuse links is not foreseen.
#[must_use]
pub fn bytes_needed(settings: &Settings, plan: &Plan, inventory: &Inventory) -> u64 {
    let sources: Vec<_> = plan.of(Kind::Build).map(|task| &inventory.recordings[task.recording]).collect();
    let built: u64 = sources.par_iter().map(|source| result_bytes(settings, source)).sum();
    let are_copied = settings.link.iter().all(|method| *method == LinkMethod::Copy);
    built + if are_copied { plan.tasks.iter().flat_map(linked).map(|record| record.bytes).sum() } else { 0 }
}

/// The files that a task links.
fn linked(task: &Task) -> impl Iterator<Item = &FileRecord> {
    let decisions = match &task.work {
        Work::Files(work) => [Some(&work.signal), Some(&work.labels)],
        Work::Quarantined(_) => [None, None],
    };
    decisions.into_iter().flatten().flat_map(|decision| match &decision.action {
        Action::Link { records, .. } => records.as_slice(),
        _ => &[],
    })
}

/// Turns the system's word for a full disk into bytes: what is still to be written, and what is free.
#[must_use]
pub fn explain_full_disk(survey: &Survey, error: Error) -> Error {
    let full = |source: &std::io::Error| {
        matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
    };
    let (Error::Io { source, .. }, Ok((plan, inventory))) = (&error, survey.plan()) else { return error };
    if !full(source) {
        return error;
    }
    let settings = &survey.settings;
    let done = survey.store.files(&settings.profile, &settings.version).unwrap_or_default();
    let is_open = |source: &&SourceRecording| {
        let is_done =
            |stem: &dyn std::fmt::Display| done.contains_key(&plan::signal_name(source.split, &stem));
        source.id.as_ref().is_ok_and(|id| !is_done(id) && !is_done(&Stem::of_part(id.clone(), 0)))
    };
    let sources = plan.of(Kind::Build).map(|task| &inventory.recordings[task.recording]);
    let built: u64 = sources.filter(is_open).map(|source| result_bytes(settings, source)).sum();
    // Links take nothing: who ran out of space over one was copying.
    let copied = plan.tasks.iter().flat_map(linked).filter(|record| !done.contains_key(&record.name));
    let needed = built + copied.map(|record| record.bytes).sum::<u64>();
    let free = survey.store.free_bytes().unwrap_or_default();
    if needed <= free {
        // Bytes are there: inodes or a quota are used up, which the system's own words say best.
        return error;
    }
    Error::NoSpace { path: settings.cache_root.clone(), needed, free }
}

/// Seconds that processing `bytes` of recordings takes, very roughly.
#[must_use]
pub fn seconds(bytes: u64, threads: usize) -> f64 {
    bytes as f64 / BYTES_PER_SECOND / threads.max(1) as f64
}

/// Bytes of both files of a recording, from its header; 0 where it will fail anyway.
fn result_bytes(settings: &Settings, recording: &SourceRecording) -> u64 {
    let recipe = &settings.recipe.signal;
    let read = || -> Option<u64> {
        let mut reader = source::open(&settings.dataset.root, &recording.file.path).ok()?;
        let bytes = reader.file_bytes();
        let header = formats::read_header(&mut reader, bytes).ok()?;
        let selection = dsp::select(&header.signals, recipe).ok()?;
        let signal = &header.signals[selection.lead];
        let samples = signal.samples_per_record.checked_mul(header.records_held)?;
        let (samples, _) = dsp::output_length(recipe, samples, signal.rate?).ok()?;
        let width = match recipe.dtype {
            Dtype::Float32 => 4,
            Dtype::Float16 => 2,
        };
        Some(samples * (recipe.output_channels().len() as u64 * width + 1) + 4096)
    };
    read().unwrap_or(0)
}

/// Refuses a build that cannot fit.
pub fn refuse_full_disk(survey: &Survey) -> Result<()> {
    let (plan, inventory) = survey.plan()?;
    let needed = bytes_needed(&survey.settings, plan, inventory);
    if needed == 0 {
        return Ok(());
    }
    let free = survey.store.free_bytes()?;
    if needed > free {
        return Err(Error::NoSpace { path: survey.settings.cache_root.clone(), needed, free });
    }
    Ok(())
}
