//! A cache of windows that another program made: which recordings lie in a directory, and the continuous signal of
//! one, put together again where its overlapping windows agree.

use crate::exchange::archive::{Reason, Stream, open_npy, open_npz};
use crate::exchange::layout::Layout;
use crate::model::window::Windowing;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// More bytes of one recording than this are refused: two days of 19 channels at 256 Hz.
const LARGEST: u64 = 4 << 30;
/// Directories of a cache by the names that are in use, itself first.
const DIRECTORIES: [&str; 6] = [".", "train", "dev", "val", "eval", "test"];

/// A recording's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The stem, which should be the recording's id.
    pub stem: String,
    /// The directory, relative to the cache.
    pub directory: &'static str,
    /// How its windows lie in files.
    pub layout: Layout,
    data: PathBuf,
    labels: Option<PathBuf>,
}

/// A recording put together from its windows.
#[derive(Debug)]
pub struct Continuous {
    /// The number of windows.
    pub windows: u64,
    /// Samples that windows cover, from the start.
    pub samples: usize,
    /// Row behind row, `samples` each.
    pub data: Vec<f32>,
    /// One a sample, true where a seizure is; nothing where there are no labels.
    pub labels: Option<Vec<bool>>,
}

/// Lists the recordings of a cache: by directory, then stem.
pub fn list(root: &Path) -> std::io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for directory in DIRECTORIES {
        let place = root.join(directory);
        if place.is_dir() {
            found.extend(list_one(&place, directory)?);
        }
    }
    Ok(found)
}

fn list_one(place: &Path, directory: &'static str) -> std::io::Result<Vec<Found>> {
    let mut found = BTreeMap::new();
    for entry in fs_err::read_dir(place)? {
        let entry = entry?;
        // A name that is no text is no recording's stem.
        let Ok(name) = entry.file_name().into_string() else { continue };
        for layout in [Layout::Windows, Layout::Npy] {
            let endings = layout.endings();
            let Some(stem) = name.strip_suffix(endings[0]) else { continue };
            let labels = endings.get(1).map(|ending| place.join(format!("{stem}{ending}")));
            let labels = labels.filter(|path| path.exists());
            let one = Found { stem: stem.to_owned(), directory, layout, data: entry.path(), labels };
            found.insert(name.clone(), one);
        }
    }
    Ok(found.into_values().collect())
}

impl Found {
    /// The name of the file with the windows, relative to the cache.
    #[must_use]
    pub fn name(&self) -> String {
        let leaf = format!("{}{}", self.stem, self.layout.endings()[0]);
        if self.directory == "." { leaf } else { format!("{}/{leaf}", self.directory) }
    }

    /// Reads all windows and puts them together; fails with the reason why they cannot be believed.
    pub fn read(&self, rows: usize, windowing: Windowing) -> Result<Continuous, Reason> {
        let (data, labels) = match self.layout {
            Layout::Windows => {
                let [windows, labels] = open_npz(&self.data, ["windows.npy", "labels.npy"])?;
                (windows.ok_or("it has no `windows`")?, labels)
            }
            _ => (open_npy(&self.data)?, self.labels.as_deref().map(open_npy).transpose()?),
        };
        let length = windowing.length();
        let windows = data.shape.first().copied().unwrap_or(0);
        if data.shape != [windows, rows as u64, length] {
            return Err(format!("its windows are {:?} and not n × {rows} × {length}", data.shape));
        }
        if let Some(labels) = labels.as_ref().filter(|labels| labels.shape != [windows, length]) {
            return Err(format!("its labels are {:?} and not {windows} × {length}", labels.shape));
        }
        let data = assemble(data, rows, windowing).map_err(|reason| format!("windows: {reason}"))?;
        let labels = labels.map(|labels| assemble(labels, 1, windowing)).transpose();
        let labels = labels.and_then(|labels| labels.map(|labels| to_flags(&labels)).transpose());
        let labels = labels.map_err(|reason| format!("labels: {reason}"))?;
        let samples = data.len() / rows.max(1);
        Ok(Continuous { windows, samples, data, labels })
    }
}

fn to_flags(labels: &[f32]) -> Result<Vec<bool>, Reason> {
    let flag = |(at, label): (usize, &f32)| match *label {
        0.0 => Ok(false),
        1.0 => Ok(true),
        other => Err(format!("sample {at} is {other}, neither 0 nor 1")),
    };
    labels.iter().enumerate().map(flag).collect()
}

/// Puts rows together from overlapping windows. Each sample is covered up to length/stride times; all must be the
/// same to the last bit.
fn assemble(mut stream: Stream, rows: usize, windowing: Windowing) -> Result<Vec<f32>, Reason> {
    let windows = stream.shape.first().copied().unwrap_or(0);
    let (length, stride) = (windowing.length() as usize, windowing.stride() as usize);
    if stride > length {
        return Err("between the windows of this stride there are samples in no window".to_owned());
    }
    let samples = match windows {
        0 => 0,
        windows => (windows - 1)
            .checked_mul(stride as u64)
            .and_then(|last| last.checked_add(length as u64))
            .unwrap_or(u64::MAX),
    };
    if samples.checked_mul(4 * rows as u64).is_none_or(|bytes| bytes > LARGEST) {
        return Err(format!("{windows} windows are more than any recording has"));
    }
    let samples = samples as usize;
    // Zeroed pages cost nothing before they are written: a file that lies about its length is soon at its end.
    let mut all = vec![0.0_f32; samples * rows];
    let (mut bytes, mut window) = (vec![0; length * 4], vec![0.0; length]);
    for index in 0..windows as usize {
        let start = index * stride;
        // What the window before has brought already.
        let known = if index == 0 { 0 } else { length - stride };
        for row in 0..rows {
            stream.read(&mut bytes, &mut window)?;
            let place = &mut all[row * samples + start..row * samples + start + length];
            let differs = |at: &usize| place[*at].to_bits() != window[*at].to_bits();
            if let Some(at) = (0..known).find(differs) {
                return Err(format!(
                    "window {index} contradicts the one before at sample {} of row {row}",
                    start + at
                ));
            }
            place[known..].copy_from_slice(&window[known..]);
        }
    }
    stream.finish()?;
    Ok(all)
}
