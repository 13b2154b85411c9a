//! The gates of `preflight`: every one has its own message and its own way out.

use crate::error::{Error, ErrorKind, Result};
use crate::model::id::{Digest, Split};
use crate::model::manifest::Entry;
use crate::model::order::Subset;
use crate::model::settings::{Settings, WindowSpec};
use crate::ops::status::SplitStatus;
use crate::ops::survey::{State, Survey};
use crate::ops::{ledger, mismatch};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// What the notes that training should hear of say of a recording.
const TRANSIENT: &str =
    "a filter transient at the beginning outweighs the signal: `preprocessing.init: first_sample` avoids it";
const OTHER_MAINS: &str =
    "mains at another frequency than is configured: see `dataset.mains_hz` and `preprocessing.notch_freq`";

const OTHER_SEIZURES: &str = "seizure time is not confirmed by the cross-checking annotation file, which differs by more than 1 s or cannot be read: \
     `eegcache explain ID` says which";

/// One gate.
#[derive(Debug, Clone, Serialize)]
pub struct Gate {
    /// Its name.
    pub name: &'static str,
    /// Its verdict.
    pub verdict: Verdict,
}

/// The splits that a profile demands, as `status` counts them.
type Splits = BTreeMap<Split, SplitStatus>;

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

impl Gate {
    /// What it says where it is shut.
    pub(super) fn refusal(&self) -> Option<Refusal> {
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

/// Judges what a survey found, gate by gate. An error is the machine's, not a verdict.
pub(super) fn gates(survey: &Survey, splits: &Splits) -> Result<Vec<Gate>> {
    let gate = |name, verdict| Gate { name, verdict };
    let mut gates = vec![gate("cache", cache(survey, splits))];
    if !matches!(gates[0].verdict, Verdict::Pass) && survey.own.held.entries.is_empty() {
        // Nothing is there that the other gates could judge.
        return Ok(gates);
    }
    let entries: Vec<&Entry> = survey.settings.splits.iter().flat_map(|s| survey.entries(*s)).collect();
    // What is missing, or not in the manifest yet, may hold windows and seizures; the first gate has said so.
    let mut whole = splits.clone();
    whole.retain(|split, status| status.is_complete() && survey.is_split_on_record(*split));
    gates.push(gate("windows", windows(survey, splits, &whole, &entries)));
    gates.extend(whole.iter().map(|(split, status)| gate("seizures", seizures(survey, *split, status))));
    gates.extend(
        whole.iter().filter_map(|(split, status)| {
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

fn cache(survey: &Survey, splits: &Splits) -> Verdict {
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
                survey.off_record().unwrap_or_default()
            } else {
                format!("recordings {what} ({})", counts.join(", "))
            };
            not_ready(format!("{}: `{directory}`: {detail}", state.as_str()))
        }
    }
}

/// Every split that is asked for has recordings, and every recording and split has windows.
fn windows(survey: &Survey, splits: &Splits, whole: &Splits, entries: &[&Entry]) -> Verdict {
    // Where the dataset can be reached, it says which recordings there are; else only a manifest that fits.
    let known = if survey.inventory.is_some() { splits } else { whole };
    unfit(survey.settings.windows, entries)
        .or_else(|| without_recordings(known))
        .or_else(|| without_windows(survey.settings.windows, whole))
        .unwrap_or(Verdict::Pass)
}

fn unfit(windows: WindowSpec, entries: &[&Entry]) -> Option<Verdict> {
    let mut unfit = entries.iter().filter(|entry| windows.at(entry.rate_hz).is_none());
    let first = unfit.next()?;
    let message = format!(
        "windows of {} s every {} s are no whole number of samples at {} Hz, the rate of `{}`, so it has none; {} more \
         like it",
        windows.length_s,
        windows.stride_s,
        first.rate_hz,
        first.id,
        unfit.count()
    );
    let hint =
        "choose `windows` that are, or give all recordings one rate with `preprocessing.sampling_rate`";
    Some(Verdict::Data { message, hint: hint.to_owned() })
}

fn without_recordings(splits: &Splits) -> Option<Verdict> {
    let names = names(splits, |status| status.members == 0)?;
    let message = format!("there is no recording in {names}: training or validating there would see nothing");
    let hint = "take a larger profile, correct `dataset.splits` (of `by_subject` the seed, the shares or `pin`), or leave the \
                split out with `data.splits`";
    Some(Verdict::Data { message, hint: hint.to_owned() })
}

fn without_windows(windows: WindowSpec, splits: &Splits) -> Option<Verdict> {
    let is_empty = |status: &SplitStatus| status.windows.total() + status.unlabelled_windows == 0;
    let names = names(splits, is_empty)?;
    let length = windows.length_s;
    let message =
        format!("no window of {length} s in {names}: training or validating there would see nothing");
    let hint = "shorten `windows.length_s`, take a larger profile, or leave the split out with `data.splits`";
    Some(Verdict::Data { message, hint: hint.to_owned() })
}

/// The splits that are so, as a sentence names them.
fn names(splits: &Splits, is_so: impl Fn(&SplitStatus) -> bool) -> Option<String> {
    let names: Vec<&str> =
        splits.iter().filter(|(_, status)| is_so(status)).map(|(split, _)| split.as_str()).collect();
    (!names.is_empty()).then(|| names.join(" and "))
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
    let is_known = survey.inventory.is_some() || survey.is_on_record();
    if expected.is_empty() || !is_full(&survey.settings) || !is_known {
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
    let unknown = ledger::quarantine(survey).iter().filter(|line| !line.known).count();
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
