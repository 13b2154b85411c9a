//! `build`: plan, link, relabel, build what is missing, commit.
//!
//! Every finished recording is durable once it is recorded in the journal; the manifest is written at the end.
//! A store error or a signal stops taking new tasks, and what was finished stays.

use crate::error::{Error, Result};
use crate::model::failure::Failure;
use crate::model::id::{ProfileName, RecordingId};
use crate::model::inventory::{Inventory, SourceRecording};
use crate::model::manifest::{Entry, Identity, Quarantined};
use crate::model::settings::{LinkMethod, Settings};
use crate::model::shard::Shard;
use crate::model::stem::Stem;
use crate::ops::admission::Gate;
use crate::ops::inventory::{self, Taken, into_inner};
use crate::ops::ledger::{Ledger, QuarantineLine, Recorded, quarantine_lines};
use crate::ops::library::{Depth, Library};
use crate::ops::process::{Bench, Outcome, REMEMBER_EVERY};
use crate::ops::remarks;
use crate::ops::survey::{Options, Survey, identity, now_ns, survey, unreachable_dataset};
use crate::ops::{Context, Items, Step, demo, estimate, leak, memory, mismatch};
use crate::plan::{Kind, Plan, Retry, Task, Work};
use crate::store::{Glance, Held, Line, ManifestState, Memo, MemoLine, Next, Store, Wait, Writer};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Cheap tasks share one durable journal write: linking thousands of files would otherwise wait for thousands.
const BATCH: usize = 256;

/// How a build runs.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct BuildOptions {
    /// Try remembered failures again.
    pub retry_failed: bool,
    /// What to do while another build holds the version.
    pub wait: Wait,
    /// Link only: never copy, never process.
    pub link_only: bool,
    /// Build this part of the profile, beside builders of the others.
    pub shard: Option<Shard>,
    /// Hash every recording instead of trusting the memo.
    pub paranoid: bool,
    /// Leave out every sync: for caches that may be thrown away.
    pub no_fsync: bool,
    /// Bytes of memory that recordings in work may need together, most of what is available where nobody says. They change no
    /// result.
    pub memory: Option<u64>,
}

impl Default for BuildOptions {
    /// A plain build that waits.
    fn default() -> Self {
        Self {
            retry_failed: false,
            wait: Wait::Forever,
            link_only: false,
            shard: None,
            paranoid: false,
            no_fsync: false,
            memory: None,
        }
    }
}

impl BuildOptions {
    /// Which remembered failures are tried again.
    pub(super) fn retry(&self) -> Retry {
        match (self.link_only, self.retry_failed) {
            (true, _) => Retry::Nothing,
            (false, false) => Retry::Transient,
            (false, true) => Retry::Everything,
        }
    }

    /// The cache of `settings`, written as these options say.
    fn store(&self, settings: &Settings) -> Store {
        let store = Store::new(settings.cache_root.clone());
        if self.no_fsync { store.without_fsync() } else { store }
    }

    /// What the dataset holds now.
    pub(super) fn walk(&self, settings: &Settings, store: &Store) -> Result<Taken> {
        let memo = if self.paranoid { Memo::default() } else { store.memo(&settings.dataset.name) };
        inventory::take(settings, &memo, now_ns())?.ok_or_else(|| unreachable_dataset(settings))
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
    /// Recordings of the profile that are in the cache or in quarantine now.
    pub present: usize,
    /// The part of the profile that was built, where it was not the whole.
    pub shard: Option<ShardLine>,
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
    /// Recordings that could not be read to see whether they changed, and why; what the cache holds of them stays.
    pub unread: Vec<Failure>,
    /// Things the user should hear about.
    pub warnings: Vec<String>,
    /// What was generated, in a sentence.
    pub generated: Option<String>,
}

/// A part of a profile.
#[derive(Debug, Clone, Serialize)]
pub struct ShardLine {
    /// Which one, `3/8`.
    pub shard: String,
    /// Its recordings.
    pub members: usize,
}

impl BuildReport {
    /// True where a recording is in quarantine that nobody acknowledged.
    #[must_use]
    pub fn has_unknown_failures(&self) -> bool {
        self.quarantine.iter().any(|line| !line.known)
    }
}

/// Builds the profile of `settings`.
pub fn build(cx: &Context<'_>, settings: &Settings, options: BuildOptions) -> Result<BuildReport> {
    build_some(cx, settings, options, None)
}

/// Builds the recordings of the profile that `only` names, or all; the others are left.
pub(super) fn build_some(
    cx: &Context<'_>,
    settings: &Settings,
    options: BuildOptions,
    only: Option<&BTreeSet<String>>,
) -> Result<BuildReport> {
    let began = Instant::now();
    let generated = if options.link_only { None } else { demo::generate(cx.progress, settings)? };
    let store = options.store(settings);
    let library = Library::new(store.clone());
    // A mismatch is refused before anything is made below the cache root, and again under the lock.
    let (taken, before) = rayon::join(|| options.walk(settings, &store), || Before::look(settings, &store));
    let (taken, before) = (taken?, before?);
    let writer = lock(cx, &store, settings, options)?;
    before.lend(settings, &library)?;
    // Pre-flight never reads recordings: equal sizes are good enough for what it links.
    let settle = (!options.link_only).then_some(*cx);
    let how = Options { depth: Depth::Prove, settle, retry: options.retry(), shard: options.shard };
    let survey = survey(settings.clone(), &library, Some(&taken), how)?;
    refuse_mismatch(&survey)?;
    let learned = [&taken.learned[..], &survey.learned].concat();
    let forgotten = remember(&writer, settings, &learned);
    if cx.is_stopped() {
        let message = "while recordings were hashed; what was hashed is remembered".to_owned();
        return Err(Error::Interrupted { message });
    }
    let (plan, inventory) = survey.plan()?;
    refuse(&survey, plan, inventory, options)?;
    let mut report = carry_out(cx, &survey, &writer, options, only)?;
    report.warnings.extend(forgotten);
    report.generated = generated;
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

/// The version as it was before its lock was taken.
struct Before {
    held: Held,
    glance: Glance,
}

impl Before {
    /// Reads the version and refuses one that means something else.
    fn look(settings: &Settings, store: &Store) -> Result<Self> {
        let (profile, version) = (&settings.profile, &settings.version);
        let (glance, held) = (store.glance(profile, version)?, store.load(profile, version)?);
        let wanted = identity(settings);
        let is_same = |held: &Identity| {
            (&held.dataset, held.signal, held.labels) == (&wanted.dataset, wanted.signal, wanted.labels)
        };
        if !held.identity.as_ref().is_some_and(is_same) || matches!(held.manifest, ManifestState::Later(_)) {
            // Only a survey knows what differs, and what files say where nothing else does.
            let library = Library::new(store.clone());
            refuse_mismatch(&survey(settings.clone(), &library, None, Options::LOOK)?)?;
        }
        Ok(Self { held, glance })
    }

    /// Under the lock, what was read before need not be read again where no manifest and no journal changed meanwhile.
    fn lend(self, settings: &Settings, library: &Library) -> Result<()> {
        let (profile, version) = (&settings.profile, &settings.version);
        if self.glance.is_same(&library.store().glance(profile, version)?) {
            library.put(profile, version, self.held)?;
        }
        Ok(())
    }
}

/// Waits for another build of the version, saying once for whom, until a signal asks to stop.
fn lock(cx: &Context<'_>, store: &Store, settings: &Settings, options: BuildOptions) -> Result<Writer> {
    let is_told = std::cell::Cell::new(false);
    let on_wait = |holder: &str| {
        if !is_told.replace(true) {
            cx.progress.say(&format!("waiting for another build of this version ({holder})"));
        }
        !cx.is_stopped()
    };
    let (profile, version) = (&settings.profile, &settings.version);
    match options.shard {
        None => store.lock(profile, version, options.wait, &on_wait),
        Some(shard) => store.lock_shard(profile, version, shard, options.wait, &on_wait),
    }
}

pub(super) fn refuse_mismatch(survey: &Survey) -> Result<()> {
    if let Some(reason) = survey.later() {
        let manifest = survey.settings.cache_dir().join("manifest.json");
        return Err(Error::NotReady {
            message: format!("VERSION_MISMATCH: `{}`: {reason}", manifest.display()),
            hint: "use that version of eegcache, or another `cache.version`".to_owned(),
        });
    }
    match &survey.mismatch {
        None => Ok(()),
        Some(mismatch) => Err(mismatch::mismatch_error(&survey.settings, mismatch)),
    }
}

/// What is wrong before the work begins.
fn refuse(survey: &Survey, plan: &Plan, inventory: &Inventory, options: BuildOptions) -> Result<()> {
    leak::refuse_shared_recordings(&survey.settings, inventory)?;
    if !options.link_only {
        return estimate::refuse_full_disk(survey);
    }
    if plan.count(Kind::Build) + plan.count(Kind::Relabel) == 0 {
        return Ok(());
    }
    Err(Error::NotReady {
        message: "some recordings are in no other profile".to_owned(),
        hint: format!("run `{}`", survey.settings.build_command()),
    })
}

fn carry_out(
    cx: &Context<'_>,
    survey: &Survey,
    writer: &Writer,
    options: BuildOptions,
    only: Option<&BTreeSet<String>>,
) -> Result<BuildReport> {
    let (plan, inventory) = survey.plan()?;
    let may_use = |method: &LinkMethod| !options.link_only || *method != LinkMethod::Copy;
    let methods: Vec<LinkMethod> = survey.settings.link.iter().copied().filter(may_use).collect();
    let bench = Bench {
        settings: &survey.settings,
        wanted: &survey.wanted,
        store: &survey.store,
        writer,
        shelves: &survey.shelves,
        methods: &methods,
        may_make: !options.link_only,
        gate: Gate::new(options.memory.unwrap_or_else(memory::available), cx),
        learned: Mutex::default(),
        links: Mutex::default(),
        warnings: Mutex::default(),
    };
    let run = Run { cx, bench: &bench, survey, inventory, only };
    let known: Vec<Option<Outcome>> = plan.tasks.par_iter().map(|task| run.known(task)).collect();
    if !known.iter().all(Option::is_some) {
        writer.begin(&survey.wanted, &mismatch::recipe_value(&survey.settings))?;
    }
    let outcomes = run.all(&plan.tasks, known);
    let outcomes = outcomes.map_err(|error| estimate::explain_full_disk(survey, error))?;
    bench.remember(1);
    let Bench { links, warnings, .. } = bench;
    let ledger = Ledger::new(outcomes);
    let mut report = report(survey, inventory, &ledger, options);
    report.links = into_inner(links);
    report.warnings.extend(writer.note.iter().cloned().chain(into_inner(warnings)));
    commit(survey, writer, ledger, &mut report)?;
    Ok(report)
}

/// Writes the manifest; what others finished meanwhile goes into it as well.
fn commit(survey: &Survey, writer: &Writer, ledger: Ledger, report: &mut BuildReport) -> Result<()> {
    let Settings { profile, version, .. } = &survey.settings;
    let committed = writer.merge(&survey.own.held, |merge| {
        let now = if merge.is_shared { Some(survey.store.files(profile, version)?) } else { None };
        // A plain build is alone: what it found before, and what it made, is all there is.
        let Recorded { manifest, present } =
            ledger.into_manifest(survey, merge, now.as_ref().unwrap_or(&survey.own.files));
        report.present = present;
        Ok(Next { manifest, is_complete: report.left == 0 && present == report.members })
    })?;
    report.warnings.extend(committed.notes);
    Ok(())
}

/// The memo is an accelerator: where it cannot be written, the next build hashes again.
fn remember(writer: &Writer, settings: &Settings, lines: &[MemoLine]) -> Option<String> {
    if lines.is_empty() {
        return None;
    }
    let error = writer.remember(&settings.dataset.name, lines).err()?;
    Some(format!("contents of the recordings were not remembered: {error}"))
}

fn report(survey: &Survey, inventory: &Inventory, ledger: &Ledger, options: BuildOptions) -> BuildReport {
    let settings = &survey.settings;
    let warnings = settings.warnings.iter().chain(&survey.own.held.notes).cloned();
    BuildReport {
        profile: settings.profile.clone(),
        cache_dir: settings.cache_dir(),
        members: inventory.members,
        present: 0,
        shard: options.shard.map(|shard| ShardLine {
            shard: shard.to_string(),
            members: survey.plan.as_ref().map_or(0, |plan| plan.tasks.len()),
        }),
        built: ledger.count(Kind::Build),
        linked: ledger.count(Kind::Link),
        relabelled: ledger.count(Kind::Relabel),
        kept: ledger.count(Kind::Present),
        links: BTreeMap::new(),
        bytes_read: ledger.bytes_read,
        seconds: 0.0,
        quarantine: quarantine_lines(settings, &ledger.failed),
        left: ledger.left,
        unread: unread(survey, ledger),
        warnings: warnings.chain(ledger.warnings(settings, inventory)).collect(),
        generated: None,
    }
}

/// Recordings that were kept although they could not be read; others are processed, or in quarantine with the reason.
fn unread(survey: &Survey, ledger: &Ledger) -> Vec<Failure> {
    let kept: BTreeSet<&str> = ledger.entries.iter().map(|entry| entry.id.recording().as_str()).collect();
    let unread = survey.unread.iter().filter(|(name, _)| kept.contains(name.as_str()));
    unread.map(|(_, failure)| failure.clone()).collect()
}

/// The tasks of a plan on their way through the worker threads.
struct Run<'a> {
    cx: &'a Context<'a>,
    bench: &'a Bench<'a>,
    survey: &'a Survey,
    inventory: &'a Inventory,
    /// The recordings that are wanted; all where there is no such set.
    only: Option<&'a BTreeSet<String>>,
}

impl Run<'_> {
    /// Runs all tasks whose outcome is not known; `None` stands for one that was not begun because of an interruption.
    fn all(&self, tasks: &[Task], known: Vec<Option<Outcome>>) -> Result<Vec<Option<Outcome>>> {
        let open = |task: &&Task| matches!(task.kind(), Kind::Build | Kind::Link | Kind::Relabel);
        let bytes = tasks.iter().filter(open).map(|task| self.source(task).file.stamp.bytes).sum();
        let recordings = tasks.iter().filter(open).count() as u64;
        self.cx.progress.start(self.survey.settings.profile.as_str(), Items::Recordings(recordings), bytes);
        let (long, short): (Vec<usize>, Vec<usize>) = (0..tasks.len())
            .filter(|index| known[*index].is_none())
            .partition(|index| matches!(tasks[*index].kind(), Kind::Build | Kind::Relabel));
        let mut outcomes = known;
        let done = self.short(tasks, &short).and_then(|mut done| {
            done.extend(self.long(tasks, &long)?);
            Ok(done)
        });
        self.cx.progress.finish();
        for (index, outcome) in done? {
            outcomes[index] = outcome;
        }
        Ok(outcomes)
    }

    /// Tasks that process a recording, each recorded as soon as it is done.
    fn long(&self, tasks: &[Task], indices: &[usize]) -> Result<Vec<(usize, Option<Outcome>)>> {
        let one = |index: &usize| -> Result<_> {
            let outcome = self.one(&tasks[*index])?;
            outcome.as_ref().map_or(Ok(()), |outcome| self.bench.writer.record_all(&lines(outcome)))?;
            self.bench.remember(REMEMBER_EVERY);
            Ok((*index, outcome))
        };
        indices.par_iter().map(one).collect()
    }

    /// Tasks that take next to no time, recorded together.
    fn short(&self, tasks: &[Task], indices: &[usize]) -> Result<Vec<(usize, Option<Outcome>)>> {
        let mut all = Vec::with_capacity(indices.len());
        for batch in indices.chunks(BATCH) {
            let one = |index: &usize| Ok((*index, self.one(&tasks[*index])?));
            let done: Vec<(usize, Option<Outcome>)> = batch.par_iter().map(one).collect::<Result<_>>()?;
            let lines: Vec<Line> =
                done.iter().filter_map(|(_, outcome)| outcome.as_ref()).flat_map(lines).collect();
            if !lines.is_empty() {
                self.bench.writer.record_all(&lines)?;
            }
            all.extend(done);
        }
        Ok(all)
    }

    fn source(&self, task: &Task) -> &SourceRecording {
        &self.inventory.recordings[task.recording]
    }

    /// The outcome of a recording that is present, or failed, exactly as the manifest or a journal says.
    fn known(&self, task: &Task) -> Option<Outcome> {
        let (source, held) = (self.source(task), &self.survey.own.held);
        match (&task.work, &source.id) {
            (Work::Files(_), Ok(id)) => {
                let entries = self.known_entries(task, id)?;
                let entries = entries
                    .into_iter()
                    .map(|entry| refreshed(&self.survey.settings, entry, source))
                    .collect();
                Some(Outcome::Done(Kind::Present, entries))
            }
            (Work::Quarantined(failure), id) => {
                let is_held = id.as_ref().is_ok_and(|id| Stem::of(&held.entries, id).next().is_some());
                let outcome = self.bench.failed(source, failure.clone());
                let is_same = |failed: &Quarantined| held.quarantine.get(&failed.name) == Some(failed);
                let is_known = matches!(&outcome, Outcome::Failed(failed) if is_same(failed));
                (task.drop.is_empty() && !is_held && is_known).then_some(outcome)
            }
            (Work::Files(_), Err(_)) => None,
        }
    }

    /// The entries of a recording, of all its parts, where every file lies in the split where it belongs.
    fn known_entries<'b>(&'b self, task: &Task, id: &'b RecordingId) -> Option<Vec<&'b Arc<Entry>>> {
        let held = &self.survey.own.held;
        if task.kind() != Kind::Present || !held.is_whole(id) {
            return None;
        }
        let entries: Vec<&Arc<Entry>> = Stem::of(&held.entries, id).map(|(_, entry)| entry).collect();
        let in_place = |entry: &&Arc<Entry>| {
            entry.split == task.split && entry.files.iter().all(|record| record.is_in(task.split))
        };
        entries.iter().all(in_place).then_some(entries)
    }

    fn one(&self, task: &Task) -> Result<Option<Outcome>> {
        let source = self.source(task);
        if self.cx.is_stopped() || self.only.is_some_and(|only| !only.contains(source.name())) {
            return Ok(None);
        }
        let outcome = self.bench.run(task, source)?;
        if matches!(task.kind(), Kind::Build | Kind::Link | Kind::Relabel) {
            self.cx.progress.step(Step { kind: task.kind(), bytes: source.file.stamp.bytes });
        }
        Ok(Some(outcome))
    }
}

fn lines(outcome: &Outcome) -> Vec<Line> {
    match outcome {
        Outcome::Done(_, entries) => {
            entries.iter().map(|entry| Line::Entry(Box::new((**entry).clone()))).collect()
        }
        Outcome::Failed(failed) => vec![Line::Quarantined((**failed).clone())],
    }
}

/// A kept entry with the path, the subject and the remarks that name and dataset file give it now.
fn refreshed(settings: &Settings, entry: &Arc<Entry>, recording: &SourceRecording) -> Arc<Entry> {
    let path = &recording.file.path;
    let notes = remarks::renewed(settings, path, entry);
    if (&entry.source.path, &entry.subject) == (path, &recording.subject) && notes.is_none() {
        return Arc::clone(entry);
    }
    let mut entry = (**entry).clone();
    entry.source.path.clone_from(path);
    entry.subject.clone_from(&recording.subject);
    entry.notes = notes.unwrap_or(entry.notes);
    Arc::new(entry)
}
