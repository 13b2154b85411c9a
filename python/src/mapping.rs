//! Arrays of finished files, mapped into memory; no descriptor stays open, however many are mapped.
//!
//! A file is looked into once, when it is first asked for, and compared with what was promised of it. From then on
//! its stamp tells whether its name is still its own, so mapping it again costs little. A view keeps what it shows mapped.

#![expect(unsafe_code, reason = "no compiler knows that nobody writes to a file that is mapped")]

use crate::raise::{Raise, raise_read};
use eegcache::error::{Error, Result};
use eegcache::ops::finished::{self, Finished, Promise};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// An array in a file: its name, the type of its elements as `NumPy` writes it, its shape, offset and bytes.
struct Place {
    name: &'static str,
    element: String,
    shape: Box<[u64]>,
    offset: usize,
    bytes: usize,
}

/// What tells a file from any other that has its name later.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(file: impl AsFd) -> rustix::io::Result<Self> {
        let stat = rustix::fs::fstat(file)?;
        Ok(Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            bytes: stat.st_size as u64,
            modified: (stat.st_mtime, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime, stat.st_ctime_nsec as i64),
        })
    }
}

/// A file that was what is promised of it.
#[pyclass(frozen, module = "eegcache._native")]
pub(crate) struct Found {
    path: PathBuf,
    stamp: Stamp,
    places: Box<[Place]>,
}

/// Looks into the file `name` in the directory of a version; raises `NotReadyError` where it is not what was promised.
#[pyfunction]
pub(crate) fn find(
    py: Python<'_>,
    directory: PathBuf,
    name: &str,
    bytes: u64,
    content: u64,
) -> PyResult<Found> {
    let found = py.detach(|| {
        let path = directory.join(name);
        let Finished { file, arrays } = finished::finished(&directory, name, Promise { bytes, content })?;
        let stamp = Stamp::of(&file).map_err(|errno| Error::io("read", &path)(errno.into()))?;
        let places = arrays.into_iter().map(|(name, place)| Place {
            name,
            element: place.element.to_string(),
            shape: place.shape.into(),
            offset: place.offset as usize,
            bytes: place.bytes as usize,
        });
        Ok(Found { places: places.collect(), path, stamp })
    });
    found.map_err(|error: Error| raise_read(py, &error))
}

#[pymethods]
impl Found {
    /// The array `array`, mapped; nothing where the name is another file's by now, or nobody's.
    fn map(&self, py: Python<'_>, array: &str) -> PyResult<Option<Mapped>> {
        let unknown = || {
            let message = format!("`{}` holds no array `{array}`", self.path.display());
            Error::usage(message, "name one of its arrays")
        };
        let place = self.places.iter().find(|place| place.name == array).ok_or_else(unknown).raise(py)?;
        let memory = py.detach(|| Memory::of(&self.path, self.stamp));
        let Some(memory) = memory.map_err(|error| raise_read(py, &error))? else { return Ok(None) };
        // `find` compared the frame of the file with its size; but what lies behind the end is nobody's to read.
        if place.offset.checked_add(place.bytes).is_none_or(|end| end > memory.bytes) {
            return Ok(None);
        }
        let (element, shape) = (place.element.clone(), place.shape.clone());
        Ok(Some(Mapped { address: memory.start + place.offset, element, shape, _memory: memory }))
    }
}

/// An array in mapped memory, which is mapped for as long as this lives.
#[pyclass(frozen, module = "eegcache._native")]
pub(crate) struct Mapped {
    address: usize,
    element: String,
    shape: Box<[u64]>,
    _memory: Memory,
}

#[pymethods]
impl Mapped {
    /// From which `numpy.asarray` makes a read-only array that refers to this object.
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        interface.set_item("typestr", &self.element)?;
        interface.set_item("shape", PyTuple::new(py, &self.shape)?)?;
        interface.set_item("data", (self.address, true))?;
        Ok(interface)
    }
}

/// A whole file in memory.
struct Memory {
    start: usize,
    bytes: usize,
}

impl Memory {
    /// Maps the file that has this stamp; nothing where the name is not its own any more.
    fn of(path: &Path, stamp: Stamp) -> Result<Option<Self>> {
        // Not blocking: a pipe has the name, perhaps.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::STALE) => return Ok(None),
            Err(errno) => return Err(Error::io("open", path)(errno.into())),
        };
        let cannot = |errno: Errno| Error::io("map", path)(errno.into());
        if Stamp::of(&file).map_err(cannot)? != stamp {
            return Ok(None);
        }
        let bytes = stamp.bytes as usize;
        // SAFETY: the system chooses a place that nothing else has. A finished file never changes: it is only replaced.
        let start = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), bytes, ProtFlags::READ, MapFlags::SHARED, &file, 0)
        };
        Ok(Some(Self { start: start.map_err(cannot)?.expose_provenance(), bytes }))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let start = std::ptr::with_exposed_provenance_mut(self.start);
        // SAFETY: `of` mapped it, and every array in it refers to the object that is dropped now. What the system refuses to
        // give back stays mapped, which harms nobody.
        let _ = unsafe { rustix::mm::munmap(start, self.bytes) };
    }
}
