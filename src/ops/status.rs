//! `status`: the state of every profile, split by split, and the next step.

use crate::error::Result;
use crate::model::id::{ProfileName, Split};
use crate::model::manifest::{Entry, History, LabelStatus, Member};
use crate::model::settings::Settings;
use crate::model::window::WindowCounts;
use crate::ops::inventory;
use crate::ops::ledger::{QuarantineLine, quarantine};
use crate::ops::library::Library;
use crate::ops::mismatch::Mismatch;
use crate::ops::survey::{Options, State, Survey, survey, walk};
use crate::plan::Kind;
use crate::store::{ManifestState, Store};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The states of the profiles.
#[derive(Debug, Clone, Serialize)]
pub struct StatusReport {
    /// The dataset.
    pub dataset: String,
    /// Its root.
    pub dataset_root: PathBuf,
    /// False where the recordings cannot be reached: the cache is judged by its recorded membership.
    pub sources_reachable: bool,
    /// One a profile.
    pub profiles: Vec<ProfileStatus>,
    /// Things the user should hear about.
    pub warnings: Vec<String>,
}

/// The state of one profile.
#[derive(Debug, Clone, Serialize)]
pub struct ProfileStatus {
    /// The profile.
    pub profile: ProfileName,
    /// `data.cache_dir`.
    pub cache_dir: PathBuf,
    /// The state.
    pub state: State,
    /// Why, where a sentence helps.
    pub reason: Option<String>,
    /// One a split that the profile demands.
    pub splits: BTreeMap<Split, SplitStatus>,
    /// Recordings that another profile or version could lend.
    pub linkable: usize,
    /// Recordings of the recorded size whose content was not looked at.
    pub unchecked: usize,
    /// Recordings in quarantine.
    pub quarantine: Vec<QuarantineLine>,
    /// Where the version means something else than the configuration.
    pub mismatch: Option<Mismatch>,
    /// False where files were made without syncs (`build --no-fsync`).
    pub durable: bool,
    /// Hits and misses over the life of the version.
    pub history: Option<History>,
    /// The command to run next, if any.
    pub next: Option<String>,
}

/// One split of one profile.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct SplitStatus {
    /// Recordings that the profile demands.
    pub members: usize,
    /// Recordings that are there.
    pub have: usize,
    /// Recordings that are not.
    pub missing: usize,
    /// Recordings whose sources changed.
    pub stale: usize,
    /// Recordings that could not be processed.
    pub quarantined: usize,
    /// Recordings without labels.
    pub unlabelled: usize,
    /// Recordings too short for a window.
    pub without_windows: usize,
    /// Recordings at whose rate the windows are no whole number of samples: they have none.
    pub unfit: usize,
    /// Windows by class, of labelled recordings.
    pub windows: WindowCounts,
    /// Windows of unlabelled recordings.
    pub unlabelled_windows: u64,
    /// Seconds of labelled signal.
    pub seconds: f64,
    /// Seconds of seizure.
    pub seizure_seconds: f64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Share of windows with a seizure sample, where there are windows.
    pub seizure_share_of_windows: Option<f64>,
    /// Share of seizure time, where there is time.
    pub seizure_share_of_time: Option<f64>,
}

impl SplitStatus {
    /// True where everything that the profile demands is there, or accounted for.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing + self.stale == 0
    }

    fn with_shares(self) -> Self {
        let total = self.windows.total();
        Self {
            seizure_share_of_windows: (total > 0).then(|| self.windows.seizure() as f64 / total as f64),
            seizure_share_of_time: (self.seconds > 0.0).then(|| self.seizure_seconds / self.seconds),
            ..self
        }
    }
}

/// Reports one profile, or all.
pub fn status(settings: &Settings, only: Option<&ProfileName>) -> Result<StatusReport> {
    let mut names = in_size_order(settings);
    names.retain(|name| only.is_none_or(|only| only == name));
    let library = Library::new(Store::new(settings.cache_root.clone()));
    let taken = walk(settings, &library, &names)?;
    let mut profiles = Vec::new();
    for profile in names {
        let survey = survey(settings.for_profile(&profile), &library, taken.as_ref(), Options::LOOK)?;
        profiles.push(of(&survey));
    }
    let mut warnings = settings.warnings.clone();
    if taken.is_none() {
        warnings.extend(inventory::nothing_matches(settings)?);
    }
    Ok(StatusReport {
        dataset: settings.dataset.name.clone(),
        dataset_root: settings.dataset.root.clone(),
        sources_reachable: taken.is_some(),
        profiles,
        warnings,
    })
}

/// Profiles from the smallest to the largest.
fn in_size_order(settings: &Settings) -> Vec<ProfileName> {
    let mut names: Vec<_> = settings.profiles.iter().collect();
    names.sort_by_key(|(name, spec)| (spec.subset.size(usize::MAX), (*name).clone()));
    names.into_iter().map(|(name, _)| name.clone()).collect()
}

/// Reports what a survey found.
#[must_use]
pub fn of(survey: &Survey) -> ProfileStatus {
    let state = survey.state;
    let plan = survey.plan.as_ref();
    let is_recorded = matches!(survey.own.held.manifest, ManifestState::Read(_));
    let history = is_recorded.then_some(survey.own.held.history);
    ProfileStatus {
        profile: survey.settings.profile.clone(),
        cache_dir: survey.settings.cache_dir(),
        state,
        reason: reason(survey, state),
        splits: splits(survey),
        linkable: plan.map_or(0, |plan| plan.count(Kind::Link)),
        unchecked: survey.unchecked(),
        quarantine: quarantine(survey),
        mismatch: survey.mismatch.clone(),
        durable: survey.own.held.durable,
        history,
        next: next(survey, state),
    }
}

fn reason(survey: &Survey, state: State) -> Option<String> {
    match state {
        State::Corrupt => survey.damage.clone(),
        State::Incomplete => {
            let is_missing = splits(survey).values().any(|split| split.missing > 0);
            match survey.own.held.manifest {
                ManifestState::Read(_) if is_missing => None,
                ManifestState::Read(_) => Some(format!("everything is there, but {}", survey.off_record()?)),
                _ => survey.off_record(),
            }
        }
        State::VersionMismatch if survey.later().is_some() => survey.later().map(str::to_owned),
        State::VersionMismatch => {
            let fields = survey.mismatch.iter().flat_map(|m| &m.fields);
            let texts: Vec<String> =
                fields.take(3).map(|f| format!("{}: {} → {}", f.field, f.held, f.wanted)).collect();
            Some(format!("was built from something else: {}", texts.join("; ")))
        }
        _ => None,
    }
}

fn next(survey: &Survey, state: State) -> Option<String> {
    let build = survey.settings.build_command();
    match state {
        State::Valid => None,
        State::Corrupt => Some(survey.settings.repair_command()),
        State::VersionMismatch => survey
            .mismatch
            .as_ref()
            .map(|mismatch| format!("{build} --set cache.version={}", mismatch.next_version)),
        _ => Some(build),
    }
}

/// Counts of every split that the profile demands.
#[must_use]
pub fn splits(survey: &Survey) -> BTreeMap<Split, SplitStatus> {
    let mut splits: BTreeMap<Split, SplitStatus> = BTreeMap::new();
    for split in &survey.settings.splits {
        splits.insert(*split, SplitStatus::default());
    }
    match (&survey.plan, survey.mismatch.is_some()) {
        (Some(plan), _) => {
            for task in &plan.tasks {
                let status = splits.entry(task.split).or_default();
                status.members += 1;
                match task.kind() {
                    Kind::Present => status.have += 1,
                    Kind::Quarantined => status.quarantined += 1,
                    _ if task.is_stale() => status.stale += 1,
                    _ => status.missing += 1,
                }
            }
        }
        (None, mismatch) => {
            for Member { name, split } in survey.members.iter() {
                let status = splits.entry(*split).or_default();
                status.members += 1;
                if mismatch {
                    status.missing += 1;
                } else if survey.has(name) {
                    status.have += 1;
                } else if survey.failed(name) {
                    status.quarantined += 1;
                } else {
                    status.missing += 1;
                }
            }
        }
    }
    for (split, status) in &mut splits {
        let present: Vec<&Entry> =
            survey.entries(*split).filter(|entry| survey.has(entry.id.recording().as_str())).collect();
        for parts in present.chunk_by(|a, b| a.id.recording() == b.id.recording()) {
            add(status, survey, parts);
        }
        *status = status.with_shares();
    }
    splits
}

/// Adds a recording, part by part where it was split.
fn add(status: &mut SplitStatus, survey: &Survey, parts: &[&Entry]) {
    let mut windows = 0;
    for entry in parts {
        let windowing = survey.settings.windows.at(entry.rate_hz);
        let counts = windowing.map_or(WindowCounts::default(), |windowing| entry.windows(windowing));
        windows += counts.total();
        status.bytes += entry.files.iter().map(|record| record.bytes).sum::<u64>();
        if entry.annotation.status == LabelStatus::Unlabelled {
            status.unlabelled_windows += counts.total();
            continue;
        }
        status.windows = status.windows.plus(counts);
        status.seconds += entry.rate_hz.duration_s(entry.recorded_samples());
        status.seizure_seconds += entry.rate_hz.duration_s(entry.seizure_samples());
    }
    status.without_windows += usize::from(windows == 0);
    let is_unfit = |entry: &&Entry| survey.settings.windows.at(entry.rate_hz).is_none();
    status.unfit += usize::from(parts.iter().any(is_unfit));
    let is_unlabelled = |entry: &&Entry| entry.annotation.status == LabelStatus::Unlabelled;
    status.unlabelled += usize::from(parts.iter().any(is_unlabelled));
}
