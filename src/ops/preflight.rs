//! `preflight`: the check before training. It links what other profiles hold, and asks every gate.

use crate::error::{ErrorKind, Result};
use crate::model::id::Split;
use crate::model::settings::Settings;
use crate::ops::build::{self, BuildOptions};
use crate::ops::gates::{Gate, Refusal, gates};
use crate::ops::library::Library;
use crate::ops::status::{self, SplitStatus};
use crate::ops::survey::{Options, State, Survey, survey, walk};
use crate::ops::{Context, inventory};
use crate::plan::Kind;
use crate::store::{Hold, Store, Wait};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How long pre-flight waits for a build that holds the version before it links.
const LINK_WAIT: Duration = Duration::from_secs(30);

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
    /// Recordings of the recorded size whose content was not looked at.
    pub unchecked: usize,
    /// The splits.
    pub splits: BTreeMap<Split, SplitStatus>,
    /// Things the user should hear about.
    pub warnings: Vec<String>,
    /// Keeps `gc` from what was judged, as long as the report lives.
    #[serde(skip)]
    pub hold: Option<Hold>,
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
        warnings.extend(inventory::unchecked(&survey.settings)?);
    }
    let unchecked = survey.unchecked();
    if unchecked > 0 {
        warnings.push(format!(
            "unchecked: {unchecked} of the recorded size whose content was not looked at; `{}` looks",
            survey.settings.build_command()
        ));
    }
    let splits = status::splits(survey);
    let gates = gates(survey, &splits)?;
    let ready = gates.iter().all(|gate| gate.refusal().is_none());
    let (cache_dir, state) = (survey.settings.cache_dir(), survey.state);
    Ok(PreflightReport { cache_dir, state, ready, gates, linked, unchecked, splits, warnings, hold })
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
