//! From the library's errors to Python's exceptions, and from reports to JSON text.

use eegcache::error::{Error, Result};
use eegcache::ops::gates::Refusal;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rustix::io::Errno;
use serde::Serialize;

/// Turns the library's results into Python's.
pub(crate) trait Raise<T> {
    /// Raises the error as the exception of its kind.
    fn raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> Raise<T> for Result<T> {
    fn raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| raise(py, &error))
    }
}

/// The exception of an error's kind.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    exception(py, error.kind().as_str(), &error.to_string(), error.hint().as_deref(), None)
}

/// The exception of an error with which nothing but a read failed.
pub(crate) fn raise_read(py: Python<'_>, error: &Error) -> PyErr {
    let Error::Io { source, .. } = error else { return raise(py, error) };
    let hint = match source.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE | Errno::NFILE) => "close what is open, or raise the limit: `ulimit -n`",
        Some(Errno::NOMEM) => "copy the windows that are kept: each view keeps its recording mapped",
        _ => "mend this and read it again",
    };
    exception(py, error.kind().as_str(), &error.to_string(), Some(hint), None)
}

/// The exception of a shut gate, with the whole report.
pub(crate) fn raise_refusal(py: Python<'_>, refusal: &Refusal, report: &str) -> PyErr {
    let message = format!("{}: {}", refusal.gate, refusal.message);
    exception(py, refusal.kind.as_str(), &message, Some(&refusal.hint), Some((refusal.gate, report)))
}

fn exception(
    py: Python<'_>,
    kind: &str,
    message: &str,
    hint: Option<&str>,
    gate: Option<(&str, &str)>,
) -> PyErr {
    let make = || {
        let of_kind = py.import("eegcache.errors")?.getattr("_of_kind")?;
        let (gate, report) = gate.unzip();
        of_kind.call1((kind, message, hint, gate, report))
    };
    make().map_or_else(|error| error, PyErr::from_value)
}

/// A report as JSON text.
pub(crate) fn json(report: &impl Serialize) -> PyResult<String> {
    // Reports hold strings, finite numbers and string-keyed maps, which always are JSON.
    serde_json::to_string(report).map_err(|error| PyRuntimeError::new_err(error.to_string()))
}
