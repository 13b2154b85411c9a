//! A version for reading: its recordings and its windows.

use crate::Place;
use crate::attend::run;
use crate::raise::{Raise, json};
use eegcache::error::{Error, Result};
use eegcache::model::id::Split;
use eegcache::model::settings::WindowSpec;
use eegcache::model::units::Seconds;
use eegcache::model::window::WindowClass;
use eegcache::ops::finished::Promise;
use eegcache::ops::open::{self, Opened, WindowRow};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::PathBuf;

/// Bytes of a window's row: `eegcache._windows.ROW` names the fields.
const ROW_BYTES: usize = 32;
/// Unlabelled, among the classes of `eegcache._windows`.
const UNLABELLED: i8 = -1;

/// What is promised of a file: its bytes, and its content in short.
type Promised = (u64, u64);

/// An opened version.
#[pyclass(frozen, module = "eegcache._native")]
pub(crate) struct Version {
    opened: Opened,
}

#[pymethods]
impl Version {
    /// Opens what a configuration means; every gate of pre-flight must be passed.
    #[staticmethod]
    fn open(py: Python<'_>, place: Place) -> PyResult<Self> {
        let opened = run(py, || open::open(&place.settings()?))?;
        Ok(Self { opened })
    }

    /// Opens the directory of a version.
    #[staticmethod]
    fn open_directory(py: Python<'_>, directory: PathBuf) -> PyResult<Self> {
        let opened = run(py, || open::open_directory(&directory))?;
        Ok(Self { opened })
    }

    /// Everything but the samples, as JSON.
    fn describe(&self) -> PyResult<String> {
        json(&self.opened)
    }

    /// What is promised of the signal and of the labels of every recording, in the order of `describe`.
    fn promises(&self) -> Vec<(Promised, Option<Promised>)> {
        let promised = |promise: Promise| (promise.bytes, promise.content);
        self.opened.promises().map(|(signal, labels)| (promised(signal), labels.map(promised))).collect()
    }

    /// The windows of a split, a row each.
    #[pyo3(signature = (split, length_s=None, stride_s=None))]
    fn windows<'py>(
        &self,
        py: Python<'py>,
        split: &str,
        length_s: Option<&str>,
        stride_s: Option<&str>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let rows = py.detach(|| self.rows(split, length_s, stride_s)).raise(py)?;
        let bytes: Vec<u8> = rows.iter().flat_map(encode).collect();
        Ok(PyBytes::new(py, &bytes))
    }
}

impl Version {
    fn rows(&self, split: &str, length_s: Option<&str>, stride_s: Option<&str>) -> Result<Vec<WindowRow>> {
        let named = Split::from_name(split);
        let split = named.ok_or_else(|| {
            Error::usage(format!("there is no split `{split}`"), "the splits are `train`, `val` and `eval`")
        })?;
        let configured = self.opened.windows;
        let length_s = seconds("length_s", length_s, configured.map(|windows| windows.length_s))?;
        let stride_s = seconds("stride_s", stride_s, configured.map(|windows| windows.stride_s))?;
        self.opened.windows(split, WindowSpec { length_s, stride_s })
    }
}

fn seconds(name: &str, text: Option<&str>, configured: Option<Seconds>) -> Result<Seconds> {
    let Some(text) = text else {
        let hint = format!("pass `{name}`, or open the cache by a configuration");
        return configured.ok_or_else(|| Error::usage(format!("nothing says what `{name}` is"), hint));
    };
    Seconds::parse(text).ok_or_else(|| {
        Error::usage(
            format!("`{name}`: `{text}` is no plain number of seconds"),
            "for instance `60` or `0.5`",
        )
    })
}

fn encode(row: &WindowRow) -> [u8; ROW_BYTES] {
    let class = match row.class {
        Some(WindowClass::None) => 0,
        Some(WindowClass::Partial) => 1,
        Some(WindowClass::Full) => 2,
        None => UNLABELLED,
    };
    let mut bytes = [0; ROW_BYTES];
    bytes[..8].copy_from_slice(&row.start.to_ne_bytes());
    bytes[8..12].copy_from_slice(&row.recording.to_ne_bytes());
    bytes[12..16].copy_from_slice(&row.window.to_ne_bytes());
    bytes[16..20].copy_from_slice(&row.length.to_ne_bytes());
    bytes[20..24].copy_from_slice(&row.seizure.to_ne_bytes());
    bytes[24] = class.to_ne_bytes()[0];
    bytes
}
