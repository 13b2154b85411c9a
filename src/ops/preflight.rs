//! `preflight`: the check before training. Every gate has its own message and its own way out.

use crate::error::{Error, ErrorKind, Result};
use crate::model::id::{Digest, Split};
use crate::model::manifest::Entry;
use crate::model::order::Subset;
use crate::model::settings::Settings;
use crate::ops::Context;
use crate::ops::build::{self, BuildOptions};
use crate::ops::library::Library;
use crate::ops::status::{self, SplitStatus};
use crate::ops::survey::{Options, State, Survey, survey, walk};
use crate::ops::{inventory, ledger, mismatch};
use crate::plan::Kind;
use crate::store::{Hold, Store, Wait};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long pre-flight waits for a build that holds the version before it links.
const LINK_WAIT: Duration = Duration::from_secs(30);

/// What the notes that training should hear of say of a recording.
const TRANSIENT: &str =
    "a filter transient at the beginning outweighs the signal: `preprocessing.init: first_sample` avoids it";
const OTHER_MAINS: &str =
    "mains at another frequency than is configured: see `dataset.mains_hz` and `preprocessing.notch_freq`";

const OTHER_SEIZURES: &str = "seizure time differs by more than 1 s from what the cross-checking annotation file says: one of the two files may \
     be cut off; `eegcache explain ID` shows both";

/// The verdict on a cache.
#[derive(Debug, Serialize)]
pub struct PreflightReport {
    /// The resolved `data.cache_dir`.
    pub cache_dir: PathBuf,
    /// The state of the version.
    pub state: State,
    /// True where every gate is passed.
    pub ready: bool,
    /// Every gate that was looked at.
    pub gates: Vec<Gate>,
    /// Recordings linked just now.
    pub linked: usize,
    /// The splits.
    pub splits: BTreeMap<Split, SplitStatus>,
    /// Things the user should hear about.
    pub warnings: Vec<String>,
    /// Keeps `gc` from what was judged, as long as the report lives.
    #[serde(skip)]
    pub hold: Option<Hold>,
}

/// One gate.
#[derive(Debug, Clone, Serialize)]
pub struct Gate {
    /// Its name.
    pub name: &'static str,
    /// Its verdict.
    pub verdict: Verdict,
}

/// The verdict of a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// Passed.
    Pass,
    /// Passed, with something to hear.
    Warn {
        /// What.
        message: String,
    },
    /// Not ready: not found, incomplete, stale, mismatch (exit 1).
    NotReady {
        /// What.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Damaged (exit 3).
    Damaged {
        /// What.
        message: String,
        /// What to do.
        hint: String,
    },
    /// The data forbids training (exit 4).
    Data {
        /// What.
        message: String,
        /// What to do.
        hint: String,
    },
}

/// The gate that decides, where one is shut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What sort of trouble it is.
    pub kind: ErrorKind,
    /// The gate.
    pub gate: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl PreflightReport {
    /// The first shut gate of the gravest kind: damage, then data, then not ready.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        let of_kind =
            |kind| self.gates.iter().find_map(|gate| gate.refusal().filter(|refusal| refusal.kind == kind));
        [ErrorKind::Damaged, ErrorKind::Gate, ErrorKind::NotReady].into_iter().find_map(of_kind)
    }
}

impl Gate {
    fn refusal(&self) -> Option<Refusal> {
        let (kind, message, hint) = match &self.verdict {
            Verdict::Pass | Verdict::Warn { .. } => return None,
            Verdict::NotReady { message, hint } => (ErrorKind::NotReady, message, hint),
            Verdict::Damaged { message, hint } => (ErrorKind::Damaged, message, hint),
            Verdict::Data { message, hint } => (ErrorKind::Gate, message, hint),
        };
        Some(Refusal { kind, gate: self.name, message: message.clone(), hint: hint.clone() })
    }
}

impl Refusal {
    /// Returns the error that stops whoever needs the cache in `cache_dir`.
    #[must_use]
    pub fn into_error(self, cache_dir: &Path) -> Error {
        let (message, hint) = (format!("{}: {}", self.gate, self.message), self.hint);
        match self.kind {
            ErrorKind::Damaged => Error::Damaged { path: cache_dir.to_owned(), message },
            ErrorKind::Gate => Error::Gate { message, hint },
            _ => Error::NotReady { message, hint },
        }
    }
}

/// Judges the profile of `settings` and changes nothing: for the many processes of one training job.
pub fn look(settings: &Settings) -> Result<(PreflightReport, Survey)> {
    let library = Library::new(Store::new(settings.cache_root.clone()));
    // Held first: what is read stays.
    let hold = library.store().hold(&settings.profile, &settings.version)?;
    let taken = walk(settings, &library, std::slice::from_ref(&settings.profile))?;
    let survey = survey(settings.clone(), &library, taken.as_ref(), Options::LOOK)?;
    Ok((judge(&survey, 0, settings.warnings.clone(), hold)?, survey))
}

/// Checks the profile of `settings`; links what other profiles hold if that is all that is missing.
pub fn preflight(cx: &Context<'_>, settings: &Settings) -> Result<PreflightReport> {
    let store = Store::new(settings.cache_root.clone());
    let before = Library::new(store.clone());
    // Held first: what is read stays.
    let mut hold = store.hold(&settings.profile, &settings.version)?;
    let taken = walk(settings, &before, std::slice::from_ref(&settings.profile))?;
    let mut survey_now = survey(settings.clone(), &before, taken.as_ref(), Options::LOOK)?;
    let mut linked = 0;
    let mut warnings = settings.warnings.clone();
    if is_linkable(&survey_now) {
        match link(cx, settings) {
            Ok(count) => linked = count,
            Err(error) => warnings.push(format!(
                "what is missing could be linked, but was not: {error}; run `{}`",
                settings.build_command()
            )),
        }
        // Linking may have made the directory.
        hold = store.hold(&settings.profile, &settings.version)?;
        let after = Library::new(store);
        survey_now = survey(settings.clone(), &after, taken.as_ref(), Options::LOOK)?;
    }
    judge(&survey_now, linked, warnings, hold)
}

fn judge(
    survey: &Survey,
    linked: usize,
    mut warnings: Vec<String>,
    hold: Option<Hold>,
) -> Result<PreflightReport> {
    if survey.inventory.is_none() {
        warnings.push("sources not reachable: not checked".to_owned());
        warnings.extend(inventory::nothing_matches(&survey.settings)?);
    }
    let splits = status::splits(survey);
    let gates = gates(survey, &splits)?;
    let ready = gates.iter().all(|gate| gate.refusal().is_none());
    let (cache_dir, state) = (survey.settings.cache_dir(), survey.state);
    Ok(PreflightReport { cache_dir, state, ready, gates, linked, splits, warnings, hold })
}

/// Fails with what the gate says that decides, where one is shut.
pub(super) fn refuse(survey: &Survey) -> Result<()> {
    let report = judge(survey, 0, Vec::new(), None)?;
    report.refusal().map_or(Ok(()), |refusal| Err(refusal.into_error(&report.cache_dir)))
}

fn is_linkable(survey: &Survey) -> bool {
    let Some(plan) = &survey.plan else { return false };
    survey.mismatch.is_none()
        && survey.damage.is_none()
        && plan.count(Kind::Link) > 0
        && plan.tasks.iter().all(|t| matches!(t.kind(), Kind::Link | Kind::Present | Kind::Quarantined))
}

fn link(cx: &Context<'_>, settings: &Settings) -> Result<usize> {
    let options = BuildOptions { wait: Wait::For(LINK_WAIT), link_only: true, ..BuildOptions::default() };
    build::build(cx, settings, options).map(|report| report.linked)
}

fn gates(survey: &Survey, splits: &BTreeMap<Split, SplitStatus>) -> Result<Vec<Gate>> {
    let gate = |name, verdict| Gate { name, verdict };
    let mut gates = vec![gate("cache", cache(survey, splits))];
    if !matches!(gates[0].verdict, Verdict::Pass) && survey.own.held.entries.is_empty() {
        // Nothing is there that the other gates could judge.
        return Ok(gates);
    }
    let entries: Vec<&Entry> = survey.settings.splits.iter().flat_map(|s| survey.entries(*s)).collect();
    gates.push(gate("windows", windows(survey, splits, &entries)));
    // What is missing may hold the seizures; the first gate has said so.
    let complete = || splits.iter().filter(|(_, status)| status.is_complete());
    gates.extend(complete().map(|(split, status)| gate("seizures", seizures(survey, *split, status))));
    gates.extend(
        splits.iter().filter_map(|(split, status)| {
            Some(gate("expected-share", expected_share(survey, *split, status)?))
        }),
    );
    gates.push(gate("subjects", subjects(&entries)));
    gates.push(gate("recordings", recordings(&entries)));
    gates.extend(expect(survey).map(|verdict| gate("expect", verdict)));
    gates.push(gate("channels", channels(survey, &entries)?));
    gates.push(gate("quarantine", quarantine(survey)));
    let noted = |code, what| noted(&entries, code, what);
    gates.extend(noted("dc-transient", TRANSIENT).map(|verdict| gate("dc-transient", verdict)));
    gates.extend(noted("mains-mismatch", OTHER_MAINS).map(|verdict| gate("mains-mismatch", verdict)));
    gates.extend(noted("cross-check", OTHER_SEIZURES).map(|verdict| gate("cross-check", verdict)));
    Ok(gates)
}

fn build_command(settings: &Settings) -> String {
    format!("run `{}`", settings.build_command())
}

fn repair_hint(survey: &Survey) -> String {
    format!("run `{}`, then `{}`", survey.settings.repair_command(), survey.settings.build_command())
}

fn cache(survey: &Survey, splits: &BTreeMap<Split, SplitStatus>) -> Verdict {
    let settings = &survey.settings;
    let directory = settings.cache_dir().display().to_string();
    let not_ready = |message| Verdict::NotReady { message, hint: build_command(settings) };
    match survey.state {
        State::Valid => Verdict::Pass,
        State::NotFound => not_ready(format!("NOT_FOUND: there is no cache at `{directory}`")),
        State::Corrupt => Verdict::Damaged {
            message: format!("CORRUPT: `{directory}`: {}", survey.damage.clone().unwrap_or_default()),
            hint: repair_hint(survey),
        },
        State::VersionMismatch => {
            let error = survey.mismatch.as_ref().map(|m| mismatch::mismatch_error(settings, m));
            match error {
                Some(Error::NotReady { message, hint }) => Verdict::NotReady { message, hint },
                _ => not_ready(format!(
                    "VERSION_MISMATCH: `{directory}`: {}",
                    survey.later().unwrap_or_default()
                )),
            }
        }
        state @ (State::Stale | State::Incomplete) => {
            let counts: Vec<String> = splits
                .iter()
                .filter(|(_, s)| s.missing + s.stale > 0)
                .map(|(split, s)| format!("{split}: {} of {}", s.missing + s.stale, s.members))
                .collect();
            let what = if state == State::Stale { "made from older sources" } else { "missing" };
            let detail = if counts.is_empty() {
                "the manifest was made for other recordings or splits".to_owned()
            } else {
                format!("recordings {what} ({})", counts.join(", "))
            };
            not_ready(format!("{}: `{directory}`: {detail}", state.as_str()))
        }
    }
}

fn windows(survey: &Survey, splits: &BTreeMap<Split, SplitStatus>, entries: &[&Entry]) -> Verdict {
    let windows = survey.settings.windows;
    let mut unfit = entries.iter().filter(|entry| windows.at(entry.rate_hz).is_none());
    if let Some(first) = unfit.next() {
        return Verdict::Data {
            message: format!(
                "windows of {} s every {} s are no whole number of samples at {} Hz, the rate of `{}`, so it has none; \
                 {} more like it",
                windows.length_s,
                windows.stride_s,
                first.rate_hz,
                first.id,
                unfit.count()
            ),
            hint: "choose `windows` that are, or give all recordings one rate with `preprocessing.sampling_rate`"
                .to_owned(),
        };
    }
    let unpeopled: Vec<&str> =
        splits.iter().filter(|(_, status)| status.members == 0).map(|(split, _)| split.as_str()).collect();
    if !unpeopled.is_empty() {
        return Verdict::Data {
            message: format!(
                "there is no recording in {}: training or validating there would see nothing",
                unpeopled.join(" and ")
            ),
            hint: "take a larger profile, correct `dataset.splits` (of `by_subject` the seed, the shares or `pin`), or leave the \
                   split out with `data.splits`"
                .to_owned(),
        };
    }
    let empty: Vec<&str> = splits
        .iter()
        .filter(|(_, s)| s.is_complete() && s.windows.total() + s.unlabelled_windows == 0)
        .map(|(split, _)| split.as_str())
        .collect();
    if empty.is_empty() {
        return Verdict::Pass;
    }
    Verdict::Data {
        message: format!(
            "no window of {} s in {}: training or validating there would see nothing",
            windows.length_s,
            empty.join(" and ")
        ),
        hint: "shorten `windows.length_s`, take a larger profile, or leave the split out with `data.splits`"
            .to_owned(),
    }
}

fn is_full(settings: &Settings) -> bool {
    settings.profile_spec().subset == Subset::All
}

fn seizures(survey: &Survey, split: Split, status: &SplitStatus) -> Verdict {
    // A split without windows has a gate of its own.
    if status.windows.total() + status.unlabelled_windows == 0
        || status.windows.seizure() > 0
        || survey.settings.dataset.allow_no_seizures
    {
        return Verdict::Pass;
    }
    let message = format!("{split} holds no seizure in {} windows", status.windows.total());
    if split == Split::Train {
        let hint = "check `labels.seizure` and the annotation files with `eegcache explain ID`; a dataset without \
                    seizures says `dataset: {allow_no_seizures: true}`";
        return Verdict::Data { message, hint: hint.to_owned() };
    }
    Verdict::Warn { message }
}

fn expected_share(survey: &Survey, split: Split, status: &SplitStatus) -> Option<Verdict> {
    let (low, high) = survey.settings.expected_share.filter(|_| is_full(&survey.settings))?;
    let share = status.seizure_share_of_windows.unwrap_or(0.0);
    if (low..=high).contains(&share) {
        return Some(Verdict::Pass);
    }
    Some(Verdict::Data {
        message: format!(
            "{split}: {:.2} % of windows hold a seizure, expected {:.2} to {:.2} %",
            100.0 * share,
            100.0 * low,
            100.0 * high
        ),
        hint: "check the annotations, or correct `labels.expected_share`".to_owned(),
    })
}

pub(super) fn subjects(entries: &[&Entry]) -> Verdict {
    let mut seen: HashMap<&str, &Entry> = HashMap::new();
    for entry in entries {
        let first = seen.entry(&entry.subject).or_insert(entry);
        if first.split != entry.split {
            let message = format!(
                "subject `{}` is in two splits: `{}` ({}) and `{}` ({})",
                entry.subject, first.id, first.split, entry.id, entry.split
            );
            let hint = "mend `dataset.subject` or `dataset.splits`, then build again: entries move by link";
            return Verdict::Data { message, hint: hint.to_owned() };
        }
    }
    Verdict::Pass
}

pub(super) fn recordings(entries: &[&Entry]) -> Verdict {
    let mut seen: HashMap<Digest, &Entry> = HashMap::new();
    for entry in entries {
        let first = seen.entry(entry.source.sha256).or_insert(entry);
        if first.split != entry.split {
            let message = format!(
                "one recording is in two splits: `{}` ({}) and `{}` ({}) hold the same bytes",
                first.source.path, first.split, entry.source.path, entry.split
            );
            return Verdict::Data { message, hint: "remove one of the two files".to_owned() };
        }
    }
    Verdict::Pass
}

/// The dataset's own counts: of what lies on disk where it can be reached, else of the recorded membership.
fn expect(survey: &Survey) -> Option<Verdict> {
    let expected = &survey.settings.dataset.expect;
    if expected.is_empty() || !is_full(&survey.settings) {
        return None;
    }
    let mut wrong = Vec::new();
    for (split, counts) in expected.iter().filter(|(split, _)| survey.settings.splits.contains(split)) {
        let recordings = survey.members.iter().filter(|member| member.split == *split).count() as u64;
        let subjects = subject_count(survey, *split);
        if let Some(right) = counts.recordings.filter(|right| *right != recordings) {
            wrong.push(format!("{split}: {recordings} recordings instead of {right}"));
        }
        if let (Some(found), Some(right)) = (subjects, counts.subjects)
            && found != right
        {
            wrong.push(format!("{split}: {found} subjects instead of {right}"));
        }
    }
    if wrong.is_empty() {
        return Some(Verdict::Pass);
    }
    Some(Verdict::Data {
        message: format!("dataset `{}` is not whole: {}", survey.settings.dataset.name, wrong.join(", ")),
        hint: "complete the download, or correct `dataset.expect`".to_owned(),
    })
}

/// Nothing where the dataset cannot be reached: recordings in quarantine do not record their subject.
fn subject_count(survey: &Survey, split: Split) -> Option<u64> {
    let members = survey.inventory.as_ref()?.profile().iter().filter(|r| r.split == split);
    Some(members.map(|r| r.subject.as_str()).collect::<BTreeSet<_>>().len() as u64)
}

/// Channel names and order, as the first signal file of every split says them itself. A file that the machine would not
/// read is not damaged: it stops the command.
fn channels(survey: &Survey, entries: &[&Entry]) -> Result<Verdict> {
    let wanted = survey.settings.recipe.signal.output_channels();
    for split in &survey.settings.splits {
        let present = |entry: &&&Entry| entry.split == *split && survey.has(entry.id.recording().as_str());
        let Some(entry) = entries.iter().find(present) else { continue };
        let name = &entry.files.signal.name;
        let path = survey.settings.cache_dir().join(name);
        match survey.store.channels(&survey.settings.profile, &survey.settings.version, name) {
            Ok(found) if found == wanted => {}
            Ok(found) => {
                return Ok(Verdict::Data {
                    message: format!(
                        "`{}` holds channels [{}], the recipe asks for [{}]",
                        path.display(),
                        found.join(" "),
                        wanted.join(" ")
                    ),
                    hint: repair_hint(survey),
                });
            }
            Err(error @ Error::Damaged { .. }) => {
                let hint = repair_hint(survey);
                return Ok(Verdict::Damaged { message: error.to_string(), hint });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Verdict::Pass)
}

fn quarantine(survey: &Survey) -> Verdict {
    let unknown = survey.failures().filter(|failed| !ledger::is_known(&survey.settings, failed)).count();
    let members = survey.members.len();
    let share = (survey.settings.max_quarantined * members as f64).floor() as usize;
    let limit = share.max(2);
    if unknown <= limit {
        return Verdict::Pass;
    }
    Verdict::Data {
        message: format!(
            "{unknown} of {members} recordings are in quarantine beyond the known defects, at most {limit} may be"
        ),
        hint: "`eegcache status` lists them; mend the data, acknowledge them in `known_defects`, or raise \
               `cache.max_quarantined`"
            .to_owned(),
    }
}

/// A warning where recordings bear a note of that code.
fn noted(entries: &[&Entry], code: &str, what: &str) -> Option<Verdict> {
    let mut marked: Vec<&str> = entries
        .iter()
        .filter(|entry| entry.notes.iter().any(|note| note.code == code))
        .map(|entry| entry.id.recording().as_str())
        .collect();
    marked.dedup();
    let first = marked.first()?;
    let others = if marked.len() > 1 { format!(" and {} more", marked.len() - 1) } else { String::new() };
    Some(Verdict::Warn { message: format!("`{first}`{others}: {what}") })
}
