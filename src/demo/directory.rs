//! The directory of the corpus: whose it is, and how files get into it.
//!
//! ```text
//! .eegcache-demo.json      written first ("complete": false) and again at the end
//! README.txt
//! train|dev|eval/<subject>/s001_2012/<montage>/<stem>.{edf,csv,csv_bi}
//! ```
//! A file appears whole, by rename. The directory itself is locked meanwhile, so that of two processes the second waits
//! and finds the work done.

use crate::demo::plan::{Defect, Planned};
use crate::demo::{DemoSpec, GENERATOR_REVISION, annotation, edf};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const MARKER: &str = ".eegcache-demo.json";

/// Says that a directory is a demo corpus, and which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Marker {
    generator: u64,
    seed: u64,
    recordings: usize,
    complete: bool,
}

impl Marker {
    fn new(spec: DemoSpec, complete: bool) -> Self {
        Self { generator: GENERATOR_REVISION, seed: spec.seed, recordings: spec.recordings, complete }
    }
}

/// A directory that is ours to write into.
#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
    spec: DemoSpec,
    was_complete: bool,
    // Held for its lock.
    _descriptor: fs_err::File,
}

impl Directory {
    /// Makes sure that `root` is empty, absent or a corpus of this very specification, and marks it.
    pub(super) fn claim(root: &Path, spec: DemoSpec) -> Result<Self> {
        fs_err::create_dir_all(root).map_err(Error::io("create", root))?;
        let descriptor = fs_err::File::open(root).map_err(Error::io("open", root))?;
        // Only for convenience: without locks two processes write the same bytes twice.
        let _ = descriptor.file().lock();
        let was_complete = match read_marker(root)? {
            Some(marker) => owned(root, marker, spec)?,
            None => false,
        };
        let directory = Self { root: root.to_owned(), spec, was_complete, _descriptor: descriptor };
        if !was_complete {
            directory.mark(false)?;
        }
        Ok(directory)
    }

    /// True where an earlier run had finished.
    pub(super) fn is_complete(&self) -> bool {
        self.was_complete
    }

    /// Says that nothing is missing any more.
    pub(super) fn complete(&self) -> Result<()> {
        if self.was_complete { Ok(()) } else { self.mark(true) }
    }

    fn mark(&self, complete: bool) -> Result<()> {
        let path = self.root.join(MARKER);
        let text = serde_json::to_string(&Marker::new(self.spec, complete))
            .map_err(|error| Error::io("write", &path)(error.into()))?;
        self.write_text(MARKER, &(text + "\n"))
    }

    /// True where every file of the recording is there. A file of 0 bytes is what a crash of the machine leaves.
    pub(super) fn holds(&self, planned: &Planned) -> bool {
        self.paths(planned).iter().all(|(_, path)| is_there(path))
    }

    /// Writes the missing files of a recording.
    pub(super) fn write_recording(&self, planned: &Planned, seed: u64) -> Result<()> {
        let parent = self.root.join(planned.parent());
        fs_err::create_dir_all(&parent).map_err(Error::io("create", &parent))?;
        for (kind, path) in self.paths(planned).into_iter().filter(|(_, path)| !is_there(path)) {
            let bytes = match kind {
                "edf" => edf::encode(planned, seed),
                "csv" => annotation::per_channel(planned).into_bytes(),
                _ => annotation::two_class(planned).into_bytes(),
            };
            publish(&path, &bytes)?;
        }
        Ok(())
    }

    /// Writes a text file at the top.
    pub(super) fn write_text(&self, name: &str, text: &str) -> Result<()> {
        publish(&self.root.join(name), text.as_bytes())
    }

    /// Returns the bytes of all files of `planned`.
    pub(super) fn bytes(&self, planned: &[Planned]) -> Result<u64> {
        let paths = planned.iter().flat_map(|one| self.paths(one));
        paths.map(|(_, path)| Ok(fs_err::metadata(&path).map_err(Error::io("look at", &path))?.len())).sum()
    }

    fn paths(&self, planned: &Planned) -> Vec<(&'static str, PathBuf)> {
        let annotated = planned.defect != Some(Defect::NoAnnotation);
        let kinds: &[&str] = if annotated { &["edf", "csv", "csv_bi"] } else { &["edf"] };
        let stem = self.root.join(planned.parent()).join(planned.stem());
        kinds.iter().map(|kind| (*kind, stem.with_extension(kind))).collect()
    }
}

fn is_there(path: &Path) -> bool {
    fs_err::metadata(path).is_ok_and(|metadata| metadata.len() > 0)
}

/// True where a corpus is still to be written or an earlier run was interrupted; a directory of anything else is not.
pub(super) fn is_unfinished(root: &Path) -> bool {
    match read_marker(root) {
        _ if !root.exists() => true,
        Ok(Some(marker)) => !marker.complete,
        // An empty directory has no marker; one with anything else in it is an error.
        Ok(None) => true,
        Err(_) => false,
    }
}

/// Returns the marker, nothing for an empty directory, and refuses what is not ours.
fn read_marker(root: &Path) -> Result<Option<Marker>> {
    let foreign = |what: String| {
        Error::usage(
            format!("`{}` is not a demo corpus: {what}", root.display()),
            "the demo is written only into an empty directory or one that it made: choose another",
        )
    };
    match fs_err::read_to_string(root.join(MARKER)) {
        Ok(text) => {
            serde_json::from_str(&text).map(Some).map_err(|error| foreign(format!("`{MARKER}` says {error}")))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut entries = fs_err::read_dir(root).map_err(Error::io("list", root))?;
            // A run that was killed at once leaves nothing but the temporary of its marker.
            let other = entries.find_map(|entry| {
                let name = entry.ok()?.file_name().to_string_lossy().into_owned();
                (name != temporary_name(MARKER)).then_some(name)
            });
            other.map_or(Ok(None), |name| Err(foreign(format!("it holds `{name}`"))))
        }
        Err(error) => Err(Error::io("read", root.join(MARKER))(error)),
    }
}

/// Returns whether the corpus that the marker describes was finished; refuses another one than `spec`.
fn owned(root: &Path, marker: Marker, spec: DemoSpec) -> Result<bool> {
    if marker == Marker::new(spec, marker.complete) {
        return Ok(marker.complete);
    }
    let message = format!(
        "`{}` holds another demo corpus: {} recordings of seed {} by generator revision {}, where {} of seed {} by revision \
         {GENERATOR_REVISION} are wanted",
        root.display(),
        marker.recordings,
        marker.seed,
        marker.generator,
        spec.recordings,
        spec.seed
    );
    Err(Error::usage(message, format!("remove it with `rm -r {}` and run the command again", root.display())))
}

fn temporary_name(name: &str) -> String {
    format!(".{name}.tmp")
}

/// Makes a file appear whole. The lock makes the fixed temporary name ours; a leftover of it is overwritten.
fn publish(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(temporary_name(&name));
    fs_err::write(&temporary, bytes).map_err(Error::io("write", &temporary))?;
    fs_err::rename(&temporary, path).map_err(Error::io("write", path))
}
