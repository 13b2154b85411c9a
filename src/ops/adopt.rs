//! `adopt`: what another program's cache of windows is worth, and what of it can be proved.
//!
//! Every recording is put together from its windows. A sample of them is made again from the sources: what is the
//! same to the last bit on every sample that a window covers is proved. Windows drop a recording's tail and all of
//! its provenance, so no file is ever made of them: importing means that the proved recordings are built.

use crate::error::{Error, Result};
use crate::exchange::{self, Continuous, Found};
use crate::formats;
use crate::model::failure::Failure;
use crate::model::inventory::SourceRecording;
use crate::model::manifest::LabelStatus;
use crate::model::recording::Signal;
use crate::model::settings::Settings;
use crate::model::stem::Stem;
use crate::model::window::{WindowClass, Windowing};
use crate::ops::admission::Gate;
use crate::ops::build::{self, BuildOptions};
use crate::ops::labelling::{Timeline, written_name};
use crate::ops::library::Library;
use crate::ops::listing;
use crate::ops::reading::{self, Cut};
use crate::ops::survey::walk;
use crate::ops::{Context, Items, Kind, Step, memory};
use crate::source;
use crate::store::Store;
use crate::store::npz::round_as_stored;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What a foreign cache is worth.
#[derive(Debug, Clone, Serialize)]
pub struct AdoptReport {
    /// Where it lies.
    pub directory: PathBuf,
    /// False where the recordings cannot be reached: nothing can be proved then.
    pub sources_reachable: bool,
    /// What is wrong with the cache as a whole.
    pub findings: Vec<Finding>,
    /// One a recording, by directory, then name.
    pub recordings: Vec<Adopted>,
    /// Recordings, by verdict.
    pub verdicts: BTreeMap<Verdict, usize>,
    /// Recordings that are in the cache of the profile now because they were proved.
    pub imported: Vec<String>,
    /// Recordings left out by an interruption.
    pub left: usize,
    /// Things the user should hear about.
    pub warnings: Vec<String>,
}

/// One recording of it.
#[derive(Debug, Clone, Serialize)]
pub struct Adopted {
    /// The stem of its files.
    pub name: String,
    /// The file with its windows, relative to the cache.
    pub file: String,
    /// Its windows.
    pub windows: u64,
    /// How far it can be trusted.
    pub verdict: Verdict,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// How far a recording can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Made again from its source, it is the same to the last bit.
    Proved,
    /// Its windows agree with each other; it was not made again.
    Consistent,
    /// Made again from its source, it is something else; or it shows a known defect.
    Wrong,
    /// Its files cannot be believed at all.
    Refused,
}

impl Verdict {
    /// Returns the public name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proved => "proved",
            Self::Consistent => "consistent",
            Self::Wrong => "wrong",
            Self::Refused => "refused",
        }
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing, for programs.
    pub code: &'static str,
    /// The details.
    pub text: String,
    /// True where it speaks against the data.
    pub is_bad: bool,
}

impl Finding {
    pub(super) fn bad(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), is_bad: true }
    }

    pub(super) fn note(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), is_bad: false }
    }
}

/// How a foreign cache is examined.
#[derive(Debug, Clone, Copy)]
pub struct AdoptOptions {
    /// How many recordings are made again, evenly chosen.
    pub sample: usize,
    /// Look only, import nothing.
    pub dry_run: bool,
}

impl AdoptReport {
    /// True where anything speaks against the data.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        let wrong = |verdict| self.verdicts.contains_key(&verdict);
        self.findings.iter().any(|finding| finding.is_bad) || wrong(Verdict::Wrong) || wrong(Verdict::Refused)
    }
}

/// Examines the cache at `directory` and builds what of the profile is proved.
pub fn adopt(
    cx: &Context<'_>,
    settings: &Settings,
    directory: &Path,
    options: AdoptOptions,
) -> Result<AdoptReport> {
    let found = exchange::list(directory).map_err(Error::io("list", directory))?;
    if found.is_empty() {
        return Err(Error::usage(
            format!("`{}` holds no `…_windows.npz` and no `…_data.npy`", directory.display()),
            "name the directory of the cache, or that of one of its splits",
        ));
    }
    let library = Library::new(Store::new(settings.cache_root.clone()));
    let taken = walk(settings, &library, &[])?;
    let inventory = taken.as_ref().map(|taken| taken.profile(settings));
    let sources: BTreeMap<&str, &SourceRecording> = inventory
        .iter()
        .flat_map(|all| all.recordings.iter())
        .map(|source| (source.name(), source))
        .collect();
    let examiner = Examiner {
        settings,
        windowing: windowing(settings)?,
        sources: &sources,
        dataset: taken.is_some(),
        gate: Gate::new(memory::available(), cx),
    };
    let (recordings, left) = examiner.all(cx, &found, options.sample);
    let mut findings = whole(settings, &recordings, &found, &sources);
    findings.extend(listing::compare(directory, &found, &recordings));
    let mut report = AdoptReport {
        directory: directory.to_owned(),
        sources_reachable: taken.is_some(),
        findings,
        verdicts: BTreeMap::new(),
        imported: Vec::new(),
        left,
        recordings: recordings.into_iter().map(|examined| examined.adopted).collect(),
        warnings: settings.warnings.clone(),
    };
    for one in &report.recordings {
        *report.verdicts.entry(one.verdict).or_default() += 1;
    }
    if taken.is_none() {
        let text = "sources not reachable: nothing can be proved, and nothing is imported";
        report.warnings.push(text.to_owned());
    }
    if !options.dry_run && left == 0 {
        import(cx, settings, &mut report)?;
    }
    Ok(report)
}

/// Builds the members of the profile whose every file is proved.
fn import(cx: &Context<'_>, settings: &Settings, report: &mut AdoptReport) -> Result<()> {
    let (proved, doubted): (Vec<&Adopted>, Vec<&Adopted>) =
        report.recordings.iter().partition(|one| one.verdict == Verdict::Proved);
    let mut only: BTreeSet<String> = proved.iter().map(|one| recording_of(&one.name)).collect();
    for one in doubted {
        only.remove(&recording_of(&one.name));
    }
    if only.is_empty() {
        return Ok(());
    }
    let built = build::build_some(cx, settings, BuildOptions::default(), Some(&only))?;
    report.warnings.extend(built.warnings.into_iter().filter(|warning| !settings.warnings.contains(warning)));
    let store = Store::new(settings.cache_root.clone());
    let held = store.load(&settings.profile, &settings.version)?;
    let entries = held.entries.keys().filter(|stem| only.contains(stem.recording().as_str()));
    report.imported = entries.map(ToString::to_string).collect();
    Ok(())
}

/// The recording that a stem of files belongs to.
fn recording_of(stem: &str) -> String {
    Stem::parse(stem).map_or_else(|_| stem.to_owned(), |stem| stem.recording().to_string())
}

fn windowing(settings: &Settings) -> Result<Windowing> {
    let rate = settings.recipe.labels.rate_hz;
    rate.and_then(|rate| settings.windows.at(rate)).ok_or_else(|| {
        Error::usage("the recipe has no sampling rate of its own", "set `preprocessing.sampling_rate`")
    })
}

/// A recording with what the cache as a whole is judged by.
pub(super) struct Examined {
    pub(super) adopted: Adopted,
    /// Windows without, with some, and with all but only seizure samples; nothing where labels cannot be read.
    pub(super) classes: Option<Vec<WindowClass>>,
}

/// A recording, or a part of one, made again from its source.
struct Remade<'a> {
    cut: Cut<'a>,
    /// Which of its parts.
    part: usize,
    signal: Signal,
}

struct Examiner<'a> {
    settings: &'a Settings,
    windowing: Windowing,
    sources: &'a BTreeMap<&'a str, &'a SourceRecording>,
    dataset: bool,
    gate: Gate,
}

impl Examiner<'_> {
    /// Examines all recordings, a few of them against their sources. Returns how many an interruption left out, too.
    fn all(&self, cx: &Context<'_>, found: &[Found], sample: usize) -> (Vec<Examined>, usize) {
        let chosen = evenly(found.len(), sample);
        cx.progress.start("adopt", Items::Recordings(found.len() as u64), 0);
        let one = |(index, found): (usize, &Found)| {
            let examined = (!cx.is_stopped()).then(|| self.one(found, chosen.contains(&index)));
            cx.progress.step(Step { kind: Kind::Present, bytes: 0 });
            examined
        };
        let examined: Vec<Examined> = found.par_iter().enumerate().filter_map(one).collect();
        cx.progress.finish();
        let left = found.len() - examined.len();
        (examined, left)
    }

    fn one(&self, found: &Found, is_chosen: bool) -> Examined {
        let channels = self.settings.recipe.signal.output_channels();
        let mut adopted = Adopted {
            name: found.stem.clone(),
            file: found.name(),
            windows: 0,
            verdict: Verdict::Refused,
            findings: Vec::new(),
        };
        let continuous = match found.read(channels.len(), self.windowing) {
            Ok(continuous) => continuous,
            Err(reason) => {
                adopted.findings.push(Finding::bad("unreadable", reason));
                return Examined { adopted, classes: None };
            }
        };
        adopted.windows = continuous.windows;
        adopted.findings = self.alone(&continuous, &channels);
        let is_same = match self.sources.get(recording_of(&found.stem).as_str()) {
            Some(source) if is_chosen => {
                let against = self.against(source, found, &continuous, &channels);
                let is_same = against.is_empty();
                adopted.findings.extend(against);
                is_same
            }
            None if self.dataset => {
                adopted
                    .findings
                    .push(Finding::note("no-source", "the dataset has no recording of that name"));
                false
            }
            _ => false,
        };
        adopted.verdict = if adopted.findings.iter().any(|finding| finding.is_bad) {
            Verdict::Wrong
        } else if is_same {
            Verdict::Proved
        } else {
            Verdict::Consistent
        };
        Examined { classes: self.classes(&continuous), adopted }
    }

    /// What a recording shows without its source.
    fn alone(&self, continuous: &Continuous, channels: &[String]) -> Vec<Finding> {
        let mut findings = Vec::new();
        let interpolated = &self.settings.recipe.signal.channels.interpolate;
        let rows = continuous.data.chunks_exact(continuous.samples.max(1));
        for (name, row) in channels.iter().zip(rows) {
            if row.iter().any(|value| !value.is_finite()) {
                findings.push(Finding::bad("not-finite", format!("`{name}` holds NaN or infinity")));
            } else if row.iter().all(|value| value.to_bits() == row[0].to_bits()) {
                findings.push(if interpolated.contains(name) && row[0] == 0.0 {
                    Finding::bad("D1", format!("`{name}` is all zero: its interpolation failed silently"))
                } else {
                    Finding::bad("flat", format!("`{name}` never changes"))
                });
            }
        }
        if continuous.labels.is_none() {
            findings.push(Finding::bad("no-labels", "it has windows without labels"));
        }
        findings
    }

    fn classes(&self, continuous: &Continuous) -> Option<Vec<WindowClass>> {
        let labels = continuous.labels.as_ref()?;
        let seizure = |window: u64| {
            let start = (window * self.windowing.stride()) as usize;
            labels[start..start + self.windowing.length() as usize].iter().filter(|label| **label).count()
                as u64
        };
        Some((0..continuous.windows).map(|window| self.windowing.class(seizure(window))).collect())
    }

    /// What differs when the recording is made again; nothing where all is the same.
    fn against(
        &self,
        source: &SourceRecording,
        found: &Found,
        continuous: &Continuous,
        channels: &[String],
    ) -> Vec<Finding> {
        let mut remade = match self.remake(source, &found.stem) {
            Ok(Some(remade)) => remade,
            Ok(None) => {
                let text = "its source becomes other files: the recording has no such part, or is in parts";
                return vec![Finding::bad("no-such-part", text)];
            }
            Err(failure) => {
                let text = format!("its source is not usable here: {}: {}", failure.class, failure.message);
                return vec![Finding::bad("source-unusable", text)];
            }
        };
        if !remade.signal.gaps.is_empty() {
            let text =
                "its gaps are filled: which windows were left out for them is not known from the files";
            return vec![Finding::note("gaps", text)];
        }
        let mut findings = Vec::new();
        let expected = self.windowing.count(remade.signal.data.ncols() as u64);
        if expected != continuous.windows {
            let text = format!("{} windows where its source gives {expected}", continuous.windows);
            findings.push(Finding::bad("window-count", text));
        }
        findings.extend(self.signal_against(&mut remade.signal, continuous, channels));
        findings.extend(self.labels_against(source, &remade, continuous));
        findings
    }

    /// Windows may have been cut from the samples as they were computed, or as a cache of the recipe stores them.
    fn signal_against(
        &self,
        signal: &mut Signal,
        continuous: &Continuous,
        channels: &[String],
    ) -> Option<Finding> {
        differing_rows(signal, continuous, channels)?;
        round_as_stored(signal, self.settings.recipe.signal.dtype);
        differing_rows(signal, continuous, channels)
    }

    /// The file `stem` of a recording, made from the source as `build` makes it; nothing where it makes no such file.
    fn remake(
        &self,
        source: &SourceRecording,
        stem: &str,
    ) -> std::result::Result<Option<Remade<'_>>, Failure> {
        let id = source.id.as_ref().map_err(Clone::clone)?;
        let cut = reading::read_cut(self.settings, &self.gate, source, id)?;
        let Some(part) = cut.parts.iter().position(|part| part.stem.to_string() == stem) else {
            return Ok(None);
        };
        let signal = cut.signal(&self.settings.recipe.signal, &cut.parts[part])?;
        Ok(Some(Remade { cut, part, signal }))
    }

    /// The labels, made from the source as `build` makes them.
    fn relabel(
        &self,
        source: &SourceRecording,
        remade: &Remade<'_>,
    ) -> std::result::Result<Option<formats::Labels>, Failure> {
        let (settings, recipe) = (self.settings, &self.settings.recipe.labels);
        let id = source.id.as_ref().map_err(Clone::clone)?;
        let told = remade.cut.told();
        let table = match &source.annotation {
            _ if settings.annotations_inside() => told.table()?,
            Some(file) => {
                let (bytes, ..) = source::read_small(&settings.dataset.root, &file.path)?;
                Some(formats::read_annotations(recipe.format, &bytes, written_name(recipe, source))?)
            }
            None => None,
        };
        let time = Timeline::of_cut(&remade.cut);
        let recorded = time.recorded(id, told.start);
        let labels = formats::label_parts(table, None, recipe, &recorded, &time.places())?;
        Ok(labels.into_iter().nth(remade.part).filter(|labels| labels.status != LabelStatus::Unlabelled))
    }

    fn labels_against(
        &self,
        source: &SourceRecording,
        remade: &Remade<'_>,
        continuous: &Continuous,
    ) -> Vec<Finding> {
        let Some(held) = &continuous.labels else { return Vec::new() };
        let has_none = source.annotation.is_none() && !self.settings.annotations_inside();
        let held_seizure = held.iter().filter(|label| **label).count();
        let labels = match self.relabel(source, remade) {
            Ok(Some(labels)) => labels.to_samples(remade.signal.data.ncols() as u64),
            _ if has_none && held_seizure == 0 => {
                return vec![Finding::bad("D4", "it has no annotation file and passes for background")];
            }
            Ok(None) => return vec![Finding::bad("labels-differ", "it is unlabelled, and has labels")],
            Err(failure) => {
                let text = format!("{}: {}", failure.class, failure.message);
                return vec![Finding::bad("labels-unusable", text)];
            }
        };
        let right = &labels[..held.len().min(labels.len())];
        let differing = right.iter().zip(held).filter(|(right, held)| (**right == 1) != **held).count();
        let seizure: usize = right.iter().map(|label| usize::from(*label == 1)).sum();
        match (differing, held_seizure) {
            (0, _) => Vec::new(),
            (_, 0) => {
                let text = format!("{seizure} samples of seizure are labelled background");
                vec![Finding::bad("seizures-missing", text)]
            }
            _ => vec![Finding::bad("labels-differ", format!("{differing} labels of {} differ", right.len()))],
        }
    }
}

/// The rows that are not the same to the last bit on the samples that windows cover.
fn differing_rows(signal: &Signal, continuous: &Continuous, channels: &[String]) -> Option<Finding> {
    let covered = continuous.samples.min(signal.data.ncols());
    let mut differing = Vec::new();
    for (index, name) in channels.iter().enumerate() {
        let held = &continuous.data[index * continuous.samples..][..covered];
        let pairs = || signal.data.row(index).into_iter().zip(held);
        if pairs().any(|(right, held)| right.to_bits() != held.to_bits()) {
            let most = pairs().map(|(right, held)| (right - held).abs()).fold(0.0, f32::max);
            differing.push(format!("{name} by up to {most:.2e}"));
        }
    }
    (!differing.is_empty()).then(|| {
        Finding::bad(
            "signal-differs",
            format!("{} of {} channels: {}", differing.len(), channels.len(), differing.join(", ")),
        )
    })
}

/// Which of `all` are taken where at most `sample` are.
fn evenly(all: usize, sample: usize) -> BTreeSet<usize> {
    let sample = sample.min(all);
    (0..sample).map(|index| index * all / sample).collect()
}

/// What is wrong with the cache as a whole, its listings aside.
fn whole(
    settings: &Settings,
    recordings: &[Examined],
    found: &[Found],
    sources: &BTreeMap<&str, &SourceRecording>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let classes = || recordings.iter().filter_map(|one| one.classes.as_ref()).flatten();
    let is_without = classes().next().is_some() && classes().all(|class| *class == WindowClass::None);
    if is_without && !settings.dataset.allow_no_seizures {
        let text = format!("not one of {} windows holds a seizure", classes().count());
        findings.push(Finding::bad("no-seizures", text));
    }
    let mut places: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for one in found {
        places.entry(("recording", &one.stem)).or_default().insert(one.directory);
        if let Some(source) = sources.get(recording_of(&one.stem).as_str()) {
            places.entry(("subject", &source.subject)).or_default().insert(one.directory);
        }
    }
    for ((what, name), directories) in places.iter().filter(|(_, directories)| directories.len() > 1) {
        let list: Vec<&str> = directories.iter().copied().collect();
        let text = format!("{what} `{name}` is in {}", list.join(" and "));
        findings.push(Finding::bad("two-splits", text));
    }
    findings
}
