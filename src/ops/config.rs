//! `config show` and `config check`: what a configuration means, and where many of them disagree.
//!
//! A row and a conflict are values; `cli` turns them into text or JSON.

use crate::config::{Environment, Outline, Resolution, Setting, shown_path};
use crate::error::{Problem, Result};
use crate::model::id::Digest;
use crate::ops::load::{Request, inspect, load};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The resolved configuration, for `config show`.
#[derive(Debug, Clone, Serialize)]
pub struct ShowReport {
    /// The directory that holds `configs/`.
    pub project_root: PathBuf,
    /// Every value of our sections with its place.
    pub values: Vec<Setting>,
    /// What follows from them: `data.cache_dir` and the fingerprints.
    pub derived: Vec<Setting>,
    /// What the user should hear about.
    pub warnings: Vec<String>,
}

/// Resolves a configuration and returns it with the place of every value.
pub fn show(env: &Environment, cwd: &Path, request: &Request) -> Result<ShowReport> {
    let resolved = load(env, cwd, request)?;
    let settings = resolved.settings;
    let derive = |key: &str, value: String, origin: &str| Setting {
        key: key.to_owned(),
        value: value.clone().into(),
        origin: origin.to_owned(),
        shown: value,
    };
    let directory = settings.cache_dir().display().to_string();
    let derived = vec![
        derive("data.cache_dir", directory, "<cache.root>/<cache.profile>/<cache.version>"),
        derive(
            "fingerprints.signal",
            settings.recipe.signal_fingerprint().to_string(),
            "SHA-256 of the signal recipe",
        ),
        derive(
            "fingerprints.labels",
            settings.recipe.label_fingerprint().to_string(),
            "SHA-256 of the label recipe",
        ),
    ];
    Ok(ShowReport {
        project_root: settings.project_root,
        values: resolved.values.into_iter().filter(|setting| setting.key != "data.cache_dir").collect(),
        derived,
        warnings: settings.warnings,
    })
}

/// The confusion matrix of many configurations, for `config check`.
#[derive(Debug, Clone, Serialize)]
pub struct CheckReport {
    /// One row a file, in the order of the command line.
    pub rows: Vec<CheckRow>,
    /// Everything that is wrong in one of them or between them; any is exit code 2.
    pub conflicts: Vec<Conflict>,
    /// What the user should hear about.
    pub warnings: Vec<String>,
}

/// What one configuration says and means; a field is absent where it cannot be resolved.
#[derive(Debug, Clone, Serialize)]
pub struct CheckRow {
    /// The file as it was named.
    pub file: String,
    /// `data.dataset`.
    pub dataset: Option<String>,
    /// `cache.profile`.
    pub profile: Option<String>,
    /// `cache.version`.
    pub version: Option<String>,
    /// The directories that the file names by itself: key and value.
    pub claims: Vec<(String, String)>,
    /// The resolved `data.cache_dir`.
    pub cache_dir: Option<String>,
    /// The signal fingerprint.
    pub signal: Option<Digest>,
    /// The label fingerprint.
    pub labels: Option<Digest>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The files that it concerns.
    pub files: Vec<String>,
    /// Where it was written, for a mistake inside of a file.
    pub origin: Option<String>,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

/// Resolves every file as if it alone were given by `-c`, and compares them.
pub fn check(env: &Environment, cwd: &Path, files: &[PathBuf]) -> Result<CheckReport> {
    let mut cases = Vec::new();
    for file in files {
        let request = Request { configs: vec![file.clone()], ..Request::default() };
        cases.push((file.display().to_string(), inspect(env, cwd, &request)?));
    }
    let mut conflicts = own_conflicts(&cases);
    let outlines: Vec<Case<'_>> =
        cases.iter().map(|(file, case)| Case { file, outline: &case.outline }).collect();
    conflicts.extend(one_place_different_data(&outlines));
    conflicts.extend(same_data_twice(&outlines));
    conflicts.extend(one_data_many_names(&outlines));
    conflicts.extend(one_name_many_data(&outlines));
    conflicts.extend(one_place_different_members(&outlines));
    let warnings: BTreeSet<String> = cases.iter().flat_map(|(_, case)| case.warnings.clone()).collect();
    let rows = cases.iter().map(|(file, case)| row(file, case)).collect();
    Ok(CheckReport { rows, conflicts, warnings: warnings.into_iter().collect() })
}

fn row(file: &str, case: &Resolution) -> CheckRow {
    let outline = &case.outline;
    CheckRow {
        file: file.to_owned(),
        dataset: outline.dataset.clone(),
        profile: outline.profile.clone(),
        version: outline.version.clone(),
        claims: outline.claims.iter().map(|claim| (claim.key.clone(), claim.value.clone())).collect(),
        cache_dir: outline.cache_dir.as_ref().map(|path| shown_path(path, &outline.project_root)),
        signal: outline.signal,
        labels: outline.labels,
    }
}

/// The mistakes inside of each file; one that several files share (it lies in a lower layer) is told once.
fn own_conflicts(cases: &[(String, Resolution)]) -> Vec<Conflict> {
    let mut found: Vec<(&Problem, Vec<String>)> = Vec::new();
    for (file, case) in cases {
        for problem in &case.problems {
            match found.iter_mut().find(|(known, _)| *known == problem) {
                Some((_, files)) => files.push(file.clone()),
                None => found.push((problem, vec![file.clone()])),
            }
        }
    }
    let conflict = |(problem, files): (&Problem, Vec<String>)| Conflict {
        files,
        origin: problem.origin.clone(),
        message: problem.message.clone(),
        hint: problem.hint.clone(),
    };
    found.into_iter().map(conflict).collect()
}

#[derive(Clone, Copy)]
struct Case<'a> {
    file: &'a str,
    outline: &'a Outline,
}

/// What the bytes of a cache depend on.
type Identity<'a> = (&'a str, Digest, Digest);

impl<'a> Case<'a> {
    fn identity(&self) -> Option<Identity<'a>> {
        Some((self.outline.dataset.as_deref()?, self.outline.signal?, self.outline.labels?))
    }
}

/// Groups cases by a key; those without the key are left out.
fn group<'a, K: Ord>(cases: &[Case<'a>], key: impl Fn(&Case<'a>) -> Option<K>) -> BTreeMap<K, Vec<Case<'a>>> {
    let mut groups: BTreeMap<K, Vec<Case<'a>>> = BTreeMap::new();
    for case in cases {
        if let Some(key) = key(case) {
            groups.entry(key).or_default().push(*case);
        }
    }
    groups
}

fn conflict(cases: &[Case<'_>], message: String, hint: &str) -> Conflict {
    let files = cases.iter().map(|case| case.file.to_owned()).collect();
    Conflict { files, origin: None, message, hint: Some(hint.to_owned()) }
}

/// Lists `file: text` for every case.
fn listed(cases: &[Case<'_>], text: impl Fn(&Case<'_>) -> String) -> String {
    cases.iter().map(|case| format!("`{}` {}", case.file, text(case))).collect::<Vec<_>>().join("; ")
}

/// One version name under one root with different meanings: a version never changes its meaning.
fn one_place_different_data(cases: &[Case<'_>]) -> Vec<Conflict> {
    let groups = group(cases, |case| {
        case.identity()?;
        Some((case.outline.cache_root.as_deref()?, case.outline.version.as_deref()?))
    });
    let different =
        |cases: &Vec<Case<'_>>| cases.iter().map(Case::identity).collect::<BTreeSet<_>>().len() > 1;
    let describe = |case: &Case<'_>| {
        let (dataset, signal, labels) = case.identity().unwrap_or(("", Digest::of(b""), Digest::of(b"")));
        format!("means dataset {dataset}, signal {}, labels {}", signal.short(), labels.short())
    };
    groups
        .iter()
        .filter(|(_, cases)| different(cases))
        .map(|((root, version), cases)| {
            let root = shown_path(root, &cases[0].outline.project_root);
            let message = format!(
                "the version `{version}` below `{root}` means different data: {}",
                listed(cases, describe)
            );
            conflict(
                cases,
                message,
                "give each meaning a `cache.version` of its own, or make the recipes equal",
            )
        })
        .collect()
}

/// One directory for different recordings: each build would make the other incomplete.
fn one_place_different_members(cases: &[Case<'_>]) -> Vec<Conflict> {
    let groups = group(cases, |case| case.outline.subset.as_ref().and(case.outline.cache_dir.as_deref()));
    let subset = |case: &Case<'_>| case.outline.subset.clone().unwrap_or_default();
    let different = |cases: &Vec<Case<'_>>| cases.iter().map(subset).collect::<BTreeSet<_>>().len() > 1;
    let conflicting = groups.iter().filter(|(_, cases)| different(cases));
    conflicting
        .map(|(path, cases)| {
            let shown = shown_path(path, &cases[0].outline.project_root);
            let takes = listed(cases, |case| format!("takes `{}`", subset(case)));
            let message = format!("`{shown}` is to hold different recordings: {takes}");
            conflict(
                cases,
                message,
                "give each choice of recordings a profile of its own, or make `subset` equal",
            )
        })
        .collect()
}

/// The same data kept in two places: under two roots, or under two version names of one profile.
fn same_data_twice(cases: &[Case<'_>]) -> Vec<Conflict> {
    let groups = group(cases, Case::identity);
    let mut conflicts = Vec::new();
    for cases in groups.values() {
        let place = |case: &Case<'_>| {
            let path = case.outline.cache_dir.as_deref();
            format!(
                "in `{}`",
                path.map_or_else(String::new, |path| shown_path(path, &case.outline.project_root))
            )
        };
        let roots: BTreeSet<_> = cases.iter().filter_map(|case| case.outline.cache_root.as_deref()).collect();
        if roots.len() > 1 {
            let message =
                format!("the same data is kept below {} cache roots: {}", roots.len(), listed(cases, place));
            conflicts.push(conflict(
                cases,
                message,
                "use one `cache.root`: profiles share files only below one root",
            ));
            continue;
        }
        for cases in group(cases, |case| case.outline.profile.as_deref()).values() {
            let versions: BTreeSet<_> =
                cases.iter().filter_map(|case| case.outline.version.as_deref()).collect();
            if versions.len() > 1 {
                let message = format!(
                    "the same data is kept under {} versions: {}",
                    versions.len(),
                    listed(cases, place)
                );
                conflicts.push(conflict(cases, message, "use one `cache.version` for one meaning"));
            }
        }
    }
    conflicts
}

/// The directories that a configuration names by itself.
fn claimed(case: &Case<'_>) -> BTreeSet<PathBuf> {
    case.outline.claims.iter().map(|claim| claim.path.clone()).collect()
}

/// Different directories named for the same data.
fn one_data_many_names(cases: &[Case<'_>]) -> Vec<Conflict> {
    let names = |case: &Case<'_>| {
        let named: BTreeSet<_> =
            case.outline.claims.iter().map(|claim| format!("`{}`", claim.value)).collect();
        format!("names {}", named.into_iter().collect::<Vec<_>>().join(", "))
    };
    let mut conflicts = Vec::new();
    for cases in group(cases, Case::identity).values() {
        let claiming: Vec<Case<'_>> =
            cases.iter().filter(|case| !case.outline.claims.is_empty()).copied().collect();
        let count = claiming.iter().flat_map(claimed).collect::<BTreeSet<_>>().len();
        if count > 1 {
            let message =
                format!("{count} directories are named for the same data: {}", listed(&claiming, names));
            let hint = "delete `data.cache_dir` and `experiment.cache_dir` everywhere: all of them then share one cache";
            conflicts.push(conflict(&claiming, message, hint));
        }
    }
    conflicts
}

/// One directory named for different data.
fn one_name_many_data(cases: &[Case<'_>]) -> Vec<Conflict> {
    let mut named: BTreeMap<PathBuf, Vec<Case<'_>>> = BTreeMap::new();
    for case in cases.iter().filter(|case| case.identity().is_some()) {
        for path in claimed(case) {
            named.entry(path).or_default().push(*case);
        }
    }
    let describe = |case: &Case<'_>| {
        let (dataset, signal, _) = case.identity().unwrap_or(("", Digest::of(b""), Digest::of(b"")));
        let profile = case.outline.profile.as_deref().unwrap_or("unknown");
        format!("(dataset {dataset}, profile {profile}, signal {})", signal.short())
    };
    named.retain(|_, cases| {
        let meanings = cases.iter().map(|case| (case.identity(), case.outline.profile.as_deref()));
        meanings.collect::<BTreeSet<_>>().len() > 1
    });
    named
        .iter()
        .map(|(path, cases)| {
            let shown = shown_path(path, &cases[0].outline.project_root);
            let message = format!("`{shown}` is named for different data: {}", listed(cases, describe));
            conflict(cases, message, "delete the lines: every profile and version has its own directory")
        })
        .collect()
}
