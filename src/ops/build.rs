//! `build`: plan, link, relabel, build what is missing, commit.
//!
//! Every finished recording is durable the moment it is recorded in the journal; the manifest is written at
//! the end. A store error or a signal stops taking new tasks, and what was finished stays.

use crate::error::{Error, Result};
use crate::model::failure::FailureClass;
use crate::model::id::{ProfileName, Split};
use crate::model::inventory::Inventory;
use crate::model::manifest::{Entry, History, MANIFEST_SCHEMA, Manifest, Quarantined, Totals};
use crate::model::recipe::{CONTAINER_REVISION, READER_REVISION};
use crate::model::settings::{LinkMethod, Settings};
use crate::model::window;
use crate::ops::inventory::into_inner;
use crate::ops::process::{Bench, Outcome};
use crate::ops::survey::{Options, Survey, survey, unreachable_dataset, walk};
use crate::ops::{self, Context, Step, estimate, leak, mismatch};
use crate::plan::{self, Kind, Task};
use crate::store::{Line, ManifestState, Store, Wait, Writer};
use crate::{demo, source};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How a build runs.
#[derive(Debug, Clone, Copy)]
pub struct BuildOptions {
    /// Try remembered failures again.
    pub retry_failed: bool,
    /// What to do while another build holds the version.
    pub wait: BuildWait,
    /// Link only: never copy, never process.
    pub link_only: bool,
}

/// What to do while another build holds the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildWait {
    /// Wait.
    Forever,
    /// Give up at once.
    No,
    /// Wait that many seconds.
    Seconds(u64),
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self { retry_failed: false, wait: BuildWait::Forever, link_only: false }
    }
}

/// What a build did.
#[derive(Debug, Clone, Serialize)]
pub struct BuildReport {
    /// The profile.
    pub profile: ProfileName,
    /// The version's directory.
    pub cache_dir: PathBuf,
    /// Recordings of the profile.
    pub members: usize,
    /// Recordings processed.
    pub built: usize,
    /// Recordings shared from another profile or version.
    pub linked: usize,
    /// Recordings whose labels alone were made.
    pub relabelled: usize,
    /// Recordings found present.
    pub kept: usize,
    /// Files shared, by method.
    pub links: BTreeMap<&'static str, u64>,
    /// Bytes of recordings processed.
    pub bytes_read: u64,
    /// Seconds the build took.
    pub seconds: f64,
    /// Recordings in quarantine.
    pub quarantine: Vec<QuarantineLine>,
    /// Recordings left undone by an interruption.
    pub left: usize,
    /// Things the user should hear about.
    pub warnings: Vec<String>,
    /// What was generated, in one sentence.
    pub generated: Option<String>,
}

/// A recording in quarantine.
#[derive(Debug, Clone, Serialize)]
pub struct QuarantineLine {
    /// Its id, or its path.
    pub name: String,
    /// The split.
    pub split: Split,
    /// The class.
    pub class: FailureClass,
    /// The details.
    pub message: String,
    /// True where the dataset file acknowledges exactly this.
    pub known: bool,
}

impl BuildReport {
    /// True where a recording is in quarantine that nobody acknowledged.
    #[must_use]
    pub fn has_unknown_failures(&self) -> bool {
        self.quarantine.iter().any(|line| !line.known)
    }
}

/// Makes the generated corpus of a dataset that has one, where it is absent. Returns a sentence about it.
pub fn generate(cx: &Context<'_>, settings: &Settings) -> Result<Option<String>> {
    let Some(spec) = settings.dataset.generate.filter(|_| demo::is_unfinished(&settings.dataset.root)) else {
        return Ok(None);
    };
    let root = &settings.dataset.root;
    let corpus = ops::demo::demo(cx.progress, root, spec.recordings, spec.seed)?;
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

/// Builds the profile of `settings`.
pub fn build(cx: &Context<'_>, settings: &Settings, options: BuildOptions) -> Result<BuildReport> {
    let began = Instant::now();
    let generated = if options.link_only { None } else { generate(cx, settings)? };
    if !source::is_reachable(&settings.dataset) {
        return Err(unreachable_dataset(settings));
    }
    let store = Store::new(settings.cache_root.clone());
    let wait = match options.wait {
        BuildWait::Forever => Wait::Forever,
        BuildWait::No => Wait::No,
        BuildWait::Seconds(seconds) => Wait::For(Duration::from_secs(seconds)),
    };
    let taken = walk(settings, &store)?.ok_or_else(|| unreachable_dataset(settings))?;
    // Refuses a mismatch before anything is created below the cache root.
    refuse_mismatch(&survey(settings.clone(), None, Options::LOOK)?)?;
    let writer = store.lock(&settings.profile, &settings.version, wait, &|holder| {
        cx.progress.say(&format!("waiting for another build of this version ({holder})"));
    })?;
    let depth = Options { retry_failed: options.retry_failed, ..Options::PROVE };
    let survey = survey(settings.clone(), Some(&taken), depth)?;
    refuse_mismatch(&survey)?;
    let mut report = work(cx, &survey, &writer, options)?;
    let mut lines = taken.learned;
    lines.extend(survey.learned);
    writer.remember(&settings.dataset.name, &lines)?;
    report.generated = generated;
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

fn refuse_mismatch(survey: &Survey) -> Result<()> {
    let Some(mismatch) = &survey.mismatch else { return Ok(()) };
    Err(mismatch_error(&survey.settings, mismatch))
}

/// The error that shows every differing field and the name under which to go on.
#[must_use]
pub fn mismatch_error(settings: &Settings, mismatch: &mismatch::Mismatch) -> Error {
    let fields: Vec<String> = mismatch
        .fields
        .iter()
        .map(|difference| {
            format!(
                "  {}: {} in the cache, {} configured",
                difference.field, difference.held, difference.wanted
            )
        })
        .collect();
    let verb = if mismatch.exists { "exists and holds what is configured" } else { "is free" };
    Error::NotReady {
        message: format!(
            "VERSION_MISMATCH: `{}` was built from something else, and nothing was overwritten\n{}",
            settings.cache_dir().display(),
            fields.join("\n")
        ),
        hint: format!(
            "version `{next}` {verb}: write `cache: {{version: {next}}}` or add `--set cache.version={next}`; \
             files that did not change are linked, not made again",
            next = mismatch.next_version
        ),
    }
}

fn work(cx: &Context<'_>, survey: &Survey, writer: &Writer, options: BuildOptions) -> Result<BuildReport> {
    let (plan, inventory) = survey.plan()?;
    leak::refuse_shared_recordings(&survey.settings, inventory)?;
    if options.link_only && (plan.count(Kind::Build) > 0 || plan.count(Kind::Relabel) > 0) {
        return Err(Error::NotReady {
            message: "some recordings are in no other profile".to_owned(),
            hint: format!("run `eegcache build --profile {}`", survey.settings.profile),
        });
    }
    if !options.link_only {
        estimate::refuse_full_disk(survey)?;
    }
    writer.begin(&survey.wanted, &mismatch::recipe_value(&survey.settings))?;
    let methods: Vec<LinkMethod> = survey
        .settings
        .link
        .iter()
        .copied()
        .filter(|method| !options.link_only || *method != LinkMethod::Copy)
        .collect();
    let bench = Bench {
        settings: &survey.settings,
        wanted: &survey.wanted,
        store: &survey.store,
        writer,
        shelves: &survey.shelves,
        methods: &methods,
        learned: Mutex::default(),
        links: Mutex::default(),
        warnings: Mutex::default(),
        may_make: !options.link_only,
    };
    let outcomes = run(cx, &bench, survey, &plan.tasks, inventory)?;
    let learned = into_inner(bench.learned);
    writer.remember(&survey.settings.dataset.name, &learned)?;
    let mut warnings: Vec<String> = writer.note.iter().cloned().collect();
    warnings.extend(into_inner(bench.warnings));
    let summary = Summary { outcomes, links: into_inner(bench.links), warnings };
    commit(cx, survey, writer, inventory, summary)
}

struct Summary {
    outcomes: Vec<Option<Outcome>>,
    links: BTreeMap<&'static str, u64>,
    warnings: Vec<String>,
}

/// Runs the tasks in parallel; `None` stands for a task that was not begun because of an interruption.
fn run(
    cx: &Context<'_>,
    bench: &Bench<'_>,
    survey: &Survey,
    tasks: &[Task],
    inventory: &Inventory,
) -> Result<Vec<Option<Outcome>>> {
    let open = |task: &&Task| matches!(task.kind(), Kind::Build | Kind::Link | Kind::Relabel);
    let bytes = tasks.iter().filter(open).map(|t| inventory.recordings[t.recording].file.stamp.bytes).sum();
    cx.progress.start(
        &format!("{}", survey.settings.profile),
        tasks.iter().filter(open).count() as u64,
        bytes,
    );
    let one = |task: &Task| -> Result<Option<Outcome>> {
        let recording = &inventory.recordings[task.recording];
        let present = recording.id.as_ref().ok().and_then(|id| survey.own.held.entries.get(id));
        if let (Kind::Present, Some(entry)) = (task.kind(), present) {
            return Ok(Some(Outcome::Done(Kind::Present, Box::new(refreshed(entry, recording)))));
        }
        if cx.is_stopped() {
            return Ok(None);
        }
        let outcome = bench.run(task, recording)?;
        bench.writer.record(&match &outcome {
            Outcome::Done(_, entry) => Line::Entry(entry.clone()),
            Outcome::Failed(failed) => Line::Quarantined(failed.clone()),
        })?;
        cx.progress.step(Step { kind: task.kind(), bytes: recording.file.stamp.bytes });
        Ok(Some(outcome))
    };
    let outcomes = tasks.par_iter().map(one).collect();
    cx.progress.finish();
    outcomes
}

/// A kept entry with the path and subject that the dataset file gives it now.
fn refreshed(entry: &Entry, recording: &crate::model::inventory::SourceRecording) -> Entry {
    let mut entry = entry.clone();
    entry.source.path.clone_from(&recording.file.path);
    entry.subject.clone_from(&recording.subject);
    entry
}

fn commit(
    cx: &Context<'_>,
    survey: &Survey,
    writer: &Writer,
    inventory: &Inventory,
    summary: Summary,
) -> Result<BuildReport> {
    let left = summary.outcomes.iter().filter(|outcome| outcome.is_none()).count();
    let (mut entries, mut failed, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
    for outcome in summary.outcomes.into_iter().flatten() {
        match outcome {
            Outcome::Done(kind, entry) => {
                kinds.push((kind, entry.source.bytes));
                entries.push(*entry);
            }
            Outcome::Failed(quarantined) => failed.push(quarantined),
        }
    }
    keep_unfinished(survey, inventory, left, &mut entries, &mut failed);
    let count = |kind| kinds.iter().filter(|(k, _)| *k == kind).count();
    let mut report = BuildReport {
        profile: survey.settings.profile.clone(),
        cache_dir: survey.settings.cache_dir(),
        members: inventory.members,
        built: count(Kind::Build),
        linked: count(Kind::Link),
        relabelled: count(Kind::Relabel),
        kept: count(Kind::Present),
        links: summary.links,
        bytes_read: kinds.iter().filter(|(kind, _)| *kind == Kind::Build).map(|(_, bytes)| bytes).sum(),
        seconds: 0.0,
        quarantine: quarantine_lines(&survey.settings, &failed),
        left,
        warnings: [summary.warnings, warnings(&survey.settings, inventory, &entries, &failed)].concat(),
        generated: None,
    };
    let manifest = manifest(survey, &report, entries, failed);
    report.warnings.extend(writer.commit(&manifest, left == 0)?.notes);
    if left > 0 && cx.is_stopped() {
        cx.progress.say(&format!("interrupted: {left} recordings are left"));
    }
    Ok(report)
}

/// After an interruption, what earlier builds finished stays in the manifest.
fn keep_unfinished(
    survey: &Survey,
    inventory: &Inventory,
    left: usize,
    entries: &mut Vec<Entry>,
    failed: &mut Vec<Quarantined>,
) {
    if left == 0 {
        return;
    }
    let done: BTreeSet<String> = entries.iter().map(|e| e.id.to_string()).collect();
    let lost: BTreeSet<String> = failed.iter().map(|f| f.name.clone()).collect();
    for recording in inventory.profile() {
        let name = recording.name();
        if done.contains(name) || lost.contains(name) {
            continue;
        }
        let id = recording.id.as_ref().ok();
        entries
            .extend(id.and_then(|id| survey.own.held.entries.get(id)).filter(|_| survey.has(name)).cloned());
        failed.extend(survey.own.held.quarantine.get(name).cloned());
    }
}

/// Failures as people and scripts see them.
#[must_use]
pub fn quarantine_lines(settings: &Settings, failed: &[Quarantined]) -> Vec<QuarantineLine> {
    let line = |failed: &Quarantined| QuarantineLine {
        name: failed.name.clone(),
        split: failed.split,
        class: failed.class,
        message: failed.message.clone(),
        known: is_known(settings, failed),
    };
    let mut lines: Vec<QuarantineLine> = failed.iter().map(line).collect();
    lines.sort_by(|a, b| a.name.cmp(&b.name));
    lines
}

/// True where the dataset file acknowledges this recording with this class.
#[must_use]
pub fn is_known(settings: &Settings, failed: &Quarantined) -> bool {
    settings
        .dataset
        .known_defects
        .iter()
        .any(|(id, class)| id.as_str() == failed.name && *class == failed.class)
}

/// Acknowledged defects that are something else now, and what the configuration wants to say.
fn warnings(
    settings: &Settings,
    inventory: &Inventory,
    entries: &[Entry],
    failed: &[Quarantined],
) -> Vec<String> {
    let mut warnings = settings.warnings.clone();
    for (id, class) in &settings.dataset.known_defects {
        let known = format!("known defect `{id}: {class}` of dataset `{}`", settings.dataset.name);
        if !inventory.recordings.iter().any(|r| r.name() == id.as_str()) {
            warnings.push(format!("{known} names no recording on disk"));
        } else if entries.iter().any(|entry| &entry.id == id) {
            warnings.push(format!("{known} builds now: remove it from `known_defects`"));
        } else if let Some(other) = failed.iter().find(|f| f.name == id.as_str() && f.class != *class) {
            warnings.push(format!("{known} fails otherwise now: {}: {}", other.class, other.message));
        }
    }
    warnings
}

fn manifest(
    survey: &Survey,
    report: &BuildReport,
    mut entries: Vec<Entry>,
    mut quarantine: Vec<Quarantined>,
) -> Manifest {
    entries.sort_by(|a, b| a.id.cmp(&b.id));
    quarantine.sort_by(|a, b| a.name.cmp(&b.name));
    let mut membership = survey.membership();
    membership.sort();
    let settings = &survey.settings;
    Manifest {
        schema: MANIFEST_SCHEMA,
        profile: settings.profile.clone(),
        version: settings.version.clone(),
        identity: survey.wanted.clone(),
        recipe: mismatch::recipe_value(settings),
        builder: format!("eegcache {}", env!("CARGO_PKG_VERSION")),
        revisions: BTreeMap::from([
            ("container".to_owned(), CONTAINER_REVISION),
            ("reader".to_owned(), READER_REVISION),
        ]),
        licence: settings.dataset.licence.clone(),
        subset: settings.profile_spec().subset.to_string(),
        durable: survey.store.is_durable(),
        membership,
        totals: totals(&entries),
        history: history(survey, report),
        entries,
        quarantine,
    }
}

fn history(survey: &Survey, report: &BuildReport) -> History {
    let before = match &survey.own.held.manifest {
        ManifestState::Read(manifest) => manifest.history,
        _ => History::default(),
    };
    History {
        runs: before.runs + 1,
        built: before.built + report.built as u64,
        linked: before.linked + report.linked as u64,
        relabelled: before.relabelled + report.relabelled as u64,
        kept: before.kept + report.kept as u64,
    }
}

fn totals(entries: &[Entry]) -> BTreeMap<Split, Totals> {
    let mut totals: BTreeMap<Split, Totals> = BTreeMap::new();
    let mut subjects: BTreeMap<Split, BTreeSet<&str>> = BTreeMap::new();
    for entry in entries {
        let spans: Vec<window::Span> = entry.events.iter().map(crate::model::manifest::Event::span).collect();
        let total = totals.entry(entry.split).or_default();
        total.recordings += 1;
        total.samples += entry.samples;
        total.seizure_samples += window::merge(&spans).iter().map(|span| span.end - span.start).sum::<u64>();
        total.bytes += entry.files.iter().map(|record| record.bytes).sum::<u64>();
        subjects.entry(entry.split).or_default().insert(&entry.subject);
    }
    for (split, names) in subjects {
        totals.entry(split).or_default().subjects = names.len() as u64;
    }
    totals
}

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
    /// Bytes that would be written.
    pub bytes_needed: u64,
    /// Bytes free.
    pub bytes_free: u64,
    /// Seconds that processing takes, very roughly.
    pub expected_seconds: f64,
    /// What the version would have to be called.
    pub mismatch: Option<mismatch::Mismatch>,
}

/// Plans without doing.
pub fn dry_run(cx: &Context<'_>, settings: &Settings, retry_failed: bool) -> Result<DryRun> {
    let store = Store::new(settings.cache_root.clone());
    let taken = walk(settings, &store)?.ok_or_else(|| unreachable_dataset(settings))?;
    let survey = survey(settings.clone(), Some(&taken), Options { retry_failed, ..Options::LOOK })?;
    let bytes_free = store.free_bytes()?;
    let mut dry = DryRun {
        profile: settings.profile.clone(),
        cache_dir: settings.cache_dir(),
        present: 0,
        to_link: 0,
        to_relabel: 0,
        to_build: 0,
        quarantined: 0,
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
    let to_read: u64 =
        plan.of(Kind::Build).map(|task| inventory.recordings[task.recording].file.stamp.bytes).sum();
    dry.bytes_needed = estimate::bytes_needed(&survey.settings, plan, inventory);
    dry.expected_seconds = estimate::seconds(to_read, cx.threads);
    Ok(dry)
}

/// What a plan says of one recording, for `explain` and tests.
#[must_use]
pub fn task_of<'a>(plan: &'a plan::Plan, inventory: &Inventory, name: &str) -> Option<&'a Task> {
    plan.tasks.iter().find(|task| inventory.recordings[task.recording].name() == name)
}
