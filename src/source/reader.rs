//! `SourceReader`: one file, read once, forward only, hashed while it is read.
//!
//! `finish` is the only way to a source identity: it drains the rest and compares what the file system
//! says of the descriptor before and after. The reader keeps no buffer; whoever reads small pieces
//! brings one. Messages name the path below the root, never the root, since they end up in manifests.

use crate::fault;
use crate::model::failure::{Failure, FailureClass};
use crate::model::id::Digest;
use crate::model::inventory::Stamp;
use rustix::fs::{Advice, Mode, OFlags};
use sha2::{Digest as _, Sha256};
use std::fs::{File, FileType};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// Annotation files are read whole, up to this many bytes.
pub const ANNOTATION_BYTES_LIMIT: u64 = 64 << 20;

/// Read at once while draining: large enough for few calls, small enough to be hashed within the L2 cache.
const CHUNK: usize = 256 << 10;

/// An open regular file below a dataset root.
#[derive(Debug)]
pub struct SourceReader {
    file: File,
    relative: String,
    device: u64,
    before: Stamp,
    hasher: Sha256,
    offset: u64,
}

/// Opens `relative` below `root` for reading, once and forward only.
///
/// Fails with class `not-a-recording` for everything that is no regular file (and for a link to
/// nothing), without ever blocking on a FIFO; with `io-error` where the system refuses.
pub fn open(root: &Path, relative: &str) -> Result<SourceReader, Failure> {
    let path = root.join(relative);
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let descriptor = rustix::io::retry_on_intr(|| {
        fault::interruptible("open source")?;
        rustix::fs::open(&path, flags, Mode::empty())
    });
    let descriptor = descriptor.map_err(|error| refused(&path, relative, &error.into()))?;
    let file = File::from(descriptor);
    let metadata = stat(&file).map_err(|error| io_failure(relative, "look at", 0, &error))?;
    if !metadata.is_file() {
        return Err(not_a_file(relative, metadata.file_type()));
    }
    // Only advice: a file system that does not know it reads as well without.
    let _ = rustix::fs::fadvise(&file, 0, None, Advice::Sequential);
    Ok(SourceReader {
        file,
        relative: relative.to_owned(),
        device: metadata.dev(),
        before: super::stamp(&metadata),
        hasher: Sha256::new(),
        offset: 0,
    })
}

fn stat(file: &File) -> io::Result<std::fs::Metadata> {
    fault::point("stat open source")?;
    file.metadata()
}

/// Says why `open` failed: a link to nothing and a socket are no trouble of the machine.
fn refused(path: &Path, relative: &str, error: &io::Error) -> Failure {
    match fs_err::symlink_metadata(path).map(|metadata| metadata.file_type()) {
        Ok(kind) if kind.is_symlink() && error.kind() == ErrorKind::NotFound => {
            let target = fs_err::read_link(path).unwrap_or_default();
            let annex = target.to_string_lossy().contains(".git/annex/");
            let why = if annex { ", whose content git-annex has not fetched yet" } else { "" };
            let message =
                format!("`{relative}` is a link to `{}`, which does not exist{why}", target.display());
            Failure::new(FailureClass::NotARecording, message)
        }
        Ok(kind) if !kind.is_file() && !kind.is_symlink() => not_a_file(relative, kind),
        _ => io_failure(relative, "open", 0, error),
    }
}

fn not_a_file(relative: &str, kind: FileType) -> Failure {
    let kind = match kind {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    };
    Failure::new(FailureClass::NotARecording, format!("`{relative}` is {kind}, not a regular file"))
}

fn io_failure(relative: &str, action: &str, offset: u64, error: &io::Error) -> Failure {
    let at = if offset > 0 { format!(" at byte {offset}") } else { String::new() };
    Failure::new(FailureClass::IoError, format!("cannot {action} `{relative}`{at}: {error}"))
}

impl Read for SourceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = loop {
            match fault::Watched(&self.file, "read source").read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.hasher.update(&buffer[..count]);
        self.offset += count as u64;
        Ok(count)
    }
}

impl SourceReader {
    /// Size of the file in bytes, as it was when it was opened. (`bytes` is taken by `std::io::Read`.)
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.before.bytes
    }

    /// What the file system said when it was opened.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.before
    }

    /// Reads what is left and returns the identity of all bytes.
    ///
    /// Fails with class `changed-while-reading` where device, inode, size or times of the open file are
    /// not what they were, or where other than `file_bytes()` bytes came; with `io-error` where reading fails.
    pub fn finish(mut self) -> Result<(Digest, Stamp), Failure> {
        self.drain()?;
        let metadata = stat(&self.file).map_err(|error| io_failure(&self.relative, "look at", 0, &error))?;
        let after = super::stamp(&metadata);
        if let Some(change) = self.change(metadata.dev(), &after) {
            let message = format!("`{}` changed while it was read: {change}", self.relative);
            return Err(Failure::new(FailureClass::ChangedWhileReading, message));
        }
        Ok((Digest::from_bytes(self.hasher.finalize().into()), after))
    }

    fn drain(&mut self) -> Result<(), Failure> {
        // A recording is normally read to its end, which one small read confirms.
        let mut probe = [0; 64];
        let count = self.read(&mut probe).map_err(|error| self.failure(&error))?;
        if count == 0 {
            return Ok(());
        }
        let mut buffer = vec![0; CHUNK];
        while self.read(&mut buffer).map_err(|error| self.failure(&error))? > 0 {}
        Ok(())
    }

    fn failure(&self, error: &io::Error) -> Failure {
        io_failure(&self.relative, "read", self.offset, error)
    }

    fn change(&self, device: u64, after: &Stamp) -> Option<String> {
        let before = &self.before;
        if after.bytes != before.bytes {
            Some(format!("{} bytes before, {} after", before.bytes, after.bytes))
        } else if self.offset != before.bytes {
            Some(format!("{} bytes by its size, {} read", before.bytes, self.offset))
        } else if (device, after) != (self.device, before) {
            Some("its times, inode or device are not what they were".to_owned())
        } else {
            None
        }
    }
}

/// Returns the identity of a file's bytes; fails as `open` and `finish` do.
pub fn hash(root: &Path, relative: &str) -> Result<(Digest, Stamp), Failure> {
    open(root, relative)?.finish()
}

/// Reads a whole annotation file.
///
/// Fails with class `bad-annotation` for more than `ANNOTATION_BYTES_LIMIT` bytes and for everything
/// that is no regular file; else as `open` and `finish` do.
pub fn read_small(root: &Path, relative: &str) -> Result<(Vec<u8>, Digest, Stamp), Failure> {
    let mut reader = open(root, relative).map_err(|failure| match failure.class {
        FailureClass::NotARecording => Failure::new(FailureClass::BadAnnotation, failure.message),
        _ => failure,
    })?;
    if reader.file_bytes() > ANNOTATION_BYTES_LIMIT {
        let bytes = reader.file_bytes();
        let message = format!(
            "`{relative}` has {bytes} bytes, more than the {ANNOTATION_BYTES_LIMIT} of an annotation file"
        );
        return Err(Failure::new(FailureClass::BadAnnotation, message));
    }
    let mut content = Vec::with_capacity(reader.file_bytes() as usize);
    // A file that grows meanwhile is bounded here and found out by `finish`.
    let bound = reader.file_bytes() + 1;
    if let Err(error) = reader.by_ref().take(bound).read_to_end(&mut content) {
        return Err(reader.failure(&error));
    }
    let (digest, stamp) = reader.finish()?;
    Ok((content, digest, stamp))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    type Change = fn(&Path);

    fn class_of(result: Result<impl Sized, Failure>) -> FailureClass {
        result.err().expect("should have failed").class
    }

    #[test]
    fn the_hash_is_that_of_all_bytes_however_few_were_read() {
        let root = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..600_000_u32).map(|i| (i % 251) as u8).collect();
        fs_err::write(root.path().join("x.edf"), &content).unwrap();
        for read in [0, 1, 256, 300_000, content.len()] {
            let mut reader = open(root.path(), "x.edf").unwrap();
            let mut head = vec![0; read];
            reader.read_exact(&mut head).unwrap();
            assert_eq!(head, content[..read]);
            let (digest, stamp) = reader.finish().unwrap();
            assert_eq!((digest, stamp.bytes), (Digest::of(&content), 600_000), "{read} bytes read");
        }
        assert_eq!(read_small(root.path(), "x.edf").unwrap().0, content);
    }

    #[test]
    fn only_regular_files_are_opened_and_nothing_blocks() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs_err::create_dir(at("directory.edf")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo.edf"), rustix::fs::FileType::Fifo, Mode::RWXU, 0)
            .unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket.edf")).unwrap();
        symlink("/dev/null", at("device.edf")).unwrap();
        symlink("../.git/annex/objects/x", at("annex.edf")).unwrap();
        for (name, class, words) in [
            ("directory.edf", FailureClass::NotARecording, "is a directory"),
            ("fifo.edf", FailureClass::NotARecording, "is a FIFO"),
            ("socket.edf", FailureClass::NotARecording, "is a socket"),
            ("device.edf", FailureClass::NotARecording, "is a device"),
            ("annex.edf", FailureClass::NotARecording, "git-annex has not fetched"),
            ("absent.edf", FailureClass::IoError, "cannot open `absent.edf`"),
        ] {
            let failure = open(root.path(), name).unwrap_err();
            assert_eq!(failure.class, class, "{name}");
            assert!(failure.message.contains(words), "{failure}");
            assert!(!failure.message.contains(&*root.path().to_string_lossy()), "{failure}");
        }
        assert_eq!(class_of(read_small(root.path(), "directory.edf")), FailureClass::BadAnnotation);
    }

    #[test]
    fn links_to_files_are_followed() {
        let root = tempfile::tempdir().unwrap();
        fs_err::write(root.path().join("object"), b"bytes").unwrap();
        symlink("object", root.path().join("x.edf")).unwrap();
        assert_eq!(hash(root.path(), "x.edf").unwrap().0, Digest::of(b"bytes"));
    }

    #[test]
    fn a_change_under_the_reader_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("x.edf");
        let changes: [(&str, Change); 4] = [
            ("grown", |path| fs_err::write(path, [1; 2000]).unwrap()),
            ("shrunk", |path| fs_err::write(path, [0; 10]).unwrap()),
            ("rewritten in place", |path| fs_err::write(path, [1; 1000]).unwrap()),
            ("replaced", |path| {
                fs_err::write(path.with_extension("new"), [0; 1000]).unwrap();
                fs_err::rename(path.with_extension("new"), path).unwrap();
            }),
        ];
        for (what, change) in changes {
            fs_err::write(&path, [0; 1000]).unwrap();
            let mut reader = open(root.path(), "x.edf").unwrap();
            reader.read_exact(&mut [0; 100]).unwrap();
            // Coarse kernel clocks tick every few milliseconds.
            std::thread::sleep(std::time::Duration::from_millis(20));
            change(&path);
            assert_eq!(class_of(reader.finish()), FailureClass::ChangedWhileReading, "{what}");
        }
    }

    #[test]
    fn annotation_files_are_bounded() {
        let root = tempfile::tempdir().unwrap();
        let file = fs_err::File::create(root.path().join("x.csv")).unwrap();
        file.set_len(ANNOTATION_BYTES_LIMIT + 1).unwrap();
        assert_eq!(class_of(read_small(root.path(), "x.csv")), FailureClass::BadAnnotation);
    }
}
