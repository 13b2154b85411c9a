//! The Python face: verbs of the library for `import eegcache`, and nothing that is not a verb.
//!
//! Every function takes a `Place` (files, flags, environment, directory), runs with the interpreter's lock released
//! in threads that end with the call (`attend`), and returns its report as JSON text, which `eegcache/_report.py` makes an object of. Errors are
//! raised as the classes of `eegcache/errors.py`, one a kind. What reads samples is `NumPy`, in memory that `mapping` maps.

#![expect(clippy::needless_pass_by_value, reason = "the interpreter hands arguments over by value")]

mod attend;
mod mapping;
mod raise;
mod reader;

use attend::{attend, run};
use eegcache::error::{Error, ErrorKind, Result};
use eegcache::model::ProfileName;
use eegcache::model::settings::Settings;
use eegcache::ops::adopt::AdoptOptions;
use eegcache::ops::build::BuildOptions;
use eegcache::ops::export::Layout;
use eegcache::ops::load::{Request, Resolved};
use eegcache::ops::{self, Wait};
use pyo3::prelude::*;
use raise::{json, raise_refusal};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where a configuration comes from: `eegcache._place.Place`.
#[derive(Debug, FromPyObject)]
struct Place {
    configs: Vec<PathBuf>,
    profile: Option<String>,
    cache_root: Option<String>,
    set: Vec<String>,
    env: BTreeMap<String, String>,
    project: PathBuf,
}

impl Place {
    fn load(self) -> Result<Resolved> {
        let Self { configs, profile, cache_root, set, env, project } = self;
        ops::load::load(&env, &project, &Request { configs, profile, cache_root, set })
    }

    fn settings(self) -> Result<Settings> {
        self.load().map(|resolved| resolved.settings)
    }

    /// The settings, and the profile where the caller named one: the others are left out then.
    fn with_only(self) -> Result<(Settings, Option<ProfileName>)> {
        let is_named = self.profile.is_some();
        let settings = self.settings()?;
        let only = is_named.then(|| settings.profile.clone());
        Ok((settings, only))
    }
}

/// Every kind of error with its exit code.
#[pyfunction]
fn error_kinds() -> Vec<(&'static str, u8)> {
    ErrorKind::ALL.iter().map(|kind| (kind.as_str(), kind.exit_code())).collect()
}

/// The resolved `data.cache_dir`.
#[pyfunction]
fn resolve(py: Python<'_>, place: Place) -> PyResult<PathBuf> {
    run(py, || place.settings()).map(|settings| settings.cache_dir())
}

#[pyfunction]
fn status(py: Python<'_>, place: Place) -> PyResult<String> {
    let report = run(py, || {
        let (settings, only) = place.with_only()?;
        ops::status::status(&settings, only.as_ref())
    });
    json(&report?)
}

#[pyfunction]
fn explain(py: Python<'_>, place: Place, id: &str) -> PyResult<String> {
    json(&run(py, || ops::explain::explain(&place.load()?, id))?)
}

/// The report of a passed pre-flight; that of a failed one is on the exception.
#[pyfunction]
fn preflight(py: Python<'_>, place: Place, observer: Option<Py<PyAny>>) -> PyResult<String> {
    let report = attend(py, observer, 0, |cx| ops::preflight::preflight(cx, &place.settings()?))?;
    match report.refusal() {
        None => json(&report),
        Some(refusal) => Err(raise_refusal(py, &refusal, &json(&report)?)),
    }
}

#[pyfunction]
fn verify(
    py: Python<'_>,
    place: Place,
    quick: bool,
    repair: bool,
    observer: Option<Py<PyAny>>,
) -> PyResult<String> {
    let report = attend(py, observer, 0, |cx| {
        let (settings, only) = place.with_only()?;
        if repair {
            ops::verify::repair(cx, &settings, false)
        } else {
            ops::verify::verify(cx, &settings, only.as_ref(), quick)
        }
    });
    json(&report?)
}

/// What `build` is asked for beside the configuration: `eegcache._verbs.build`.
#[derive(Debug, FromPyObject)]
struct BuildArgs {
    jobs: usize,
    retry_failed: bool,
    wait: bool,
    memory: Option<String>,
}

impl BuildArgs {
    fn options(&self) -> Result<BuildOptions> {
        let memory = self.memory.as_deref().map(|text| {
            let hint = |reason| Error::usage(format!("`memory` is `{text}`"), reason);
            ops::memory::parse(text).map_err(hint)
        });
        Ok(BuildOptions {
            retry_failed: self.retry_failed,
            wait: if self.wait { Wait::Forever } else { Wait::No },
            memory: memory.transpose()?,
            ..BuildOptions::default()
        })
    }
}

#[pyfunction]
fn build(py: Python<'_>, place: Place, args: BuildArgs, observer: Option<Py<PyAny>>) -> PyResult<String> {
    let report = attend(py, observer, args.jobs, |cx| {
        let report = ops::build::build(cx, &place.settings()?, args.options()?)?;
        if report.left > 0 {
            let message = format!(
                "{} of {} recordings are left; what was finished is kept",
                report.left, report.members
            );
            return Err(Error::Interrupted { message });
        }
        Ok(report)
    });
    json(&report?)
}

#[pyfunction]
fn dry_run(py: Python<'_>, place: Place, args: BuildArgs) -> PyResult<String> {
    let plan = attend(py, None, args.jobs, |cx| {
        let settings = place.settings()?;
        let plan = ops::dry_run::dry_run(cx, &settings, args.options()?)?;
        match &plan.mismatch {
            Some(mismatch) => Err(ops::mismatch::mismatch_error(&settings, mismatch)),
            None => Ok(plan),
        }
    });
    json(&plan?)
}

/// `directory` is absolute.
#[pyfunction]
fn export(
    py: Python<'_>,
    place: Place,
    layout: &str,
    directory: PathBuf,
    jobs: usize,
    observer: Option<Py<PyAny>>,
) -> PyResult<String> {
    let report = attend(py, observer, jobs, |cx| {
        let layout = Layout::from_name(layout).ok_or_else(|| {
            let hint = "the layouts are `windows`, `npy` and `brain-brr`";
            Error::usage(format!("`{layout}` is no layout"), hint)
        })?;
        let report = ops::export::export(cx, &place.settings()?, layout, &directory)?;
        if report.left > 0 {
            let message = format!("{} recordings are left; what was exported is kept", report.left);
            return Err(Error::Interrupted { message });
        }
        Ok(report)
    });
    json(&report?)
}

/// What `adopt` is asked for beside the configuration: `eegcache._verbs.adopt`. `directory` is absolute.
#[derive(Debug, FromPyObject)]
struct AdoptArgs {
    directory: PathBuf,
    sample: usize,
    dry_run: bool,
    jobs: usize,
}

#[pyfunction]
fn adopt(py: Python<'_>, place: Place, args: AdoptArgs, observer: Option<Py<PyAny>>) -> PyResult<String> {
    let options = AdoptOptions { sample: args.sample, dry_run: args.dry_run };
    let report = attend(py, observer, args.jobs, |cx| {
        let report = ops::adopt::adopt(cx, &place.settings()?, &args.directory, options)?;
        if report.left > 0 {
            let message = format!("{} recordings are left; nothing was imported", report.left);
            return Err(Error::Interrupted { message });
        }
        Ok(report)
    });
    json(&report?)
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<reader::Version>()?;
    module.add_class::<mapping::Found>()?;
    module.add_class::<mapping::Mapped>()?;
    for function in [
        wrap_pyfunction!(error_kinds, module)?,
        wrap_pyfunction!(resolve, module)?,
        wrap_pyfunction!(status, module)?,
        wrap_pyfunction!(explain, module)?,
        wrap_pyfunction!(preflight, module)?,
        wrap_pyfunction!(verify, module)?,
        wrap_pyfunction!(build, module)?,
        wrap_pyfunction!(dry_run, module)?,
        wrap_pyfunction!(export, module)?,
        wrap_pyfunction!(adopt, module)?,
        wrap_pyfunction!(mapping::find, module)?,
    ] {
        module.add_function(function)?;
    }
    Ok(())
}
