//! A finished file under a second roof: cloned, linked or copied, whatever the file system can.

use super::Writer;
use super::dir::{Dir, fault, is_refused_link, is_unsupported};
use super::layout::FileName;
use super::publish::{Temporary, is_content};
use crate::error::{Error, Result};
use crate::fault::Watched;
use crate::model::id::Digest;
use crate::model::manifest::FileRecord;
use crate::model::settings::LinkMethod;
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::PoisonError;

const WRITE_BITS: u32 = 0o222;

/// The file that is to be shared.
struct Origin<'a> {
    path: &'a Path,
    dir: Dir,
    leaf: String,
    file: File,
    /// Device and inode.
    inode: (u64, u64),
    record: &'a FileRecord,
    /// Someone could have written into it since it was finished.
    is_writable: bool,
}

impl Writer {
    /// Gives the finished file at `from` the name that `record` holds, by the first of `methods` that
    /// works, and returns that method.
    ///
    /// A file that differs from its record in size, or that is writable and differs in content, is
    /// refused as damaged: the caller builds it anew. A copy is always compared with the record.
    pub fn link(&self, from: &Path, record: &FileRecord, methods: &[LinkMethod]) -> Result<LinkMethod> {
        let file = self.parse_name(&record.name)?;
        let origin = self.open_origin(from, record)?;
        for method in methods {
            if let Some(temporary) = self.try_method(*method, &origin)? {
                self.publish_linked(temporary, &file, record)?;
                return Ok(*method);
            }
        }
        let names: Vec<_> = methods.iter().map(|method| method.as_str()).collect();
        let why = match names.len() {
            0 => "only copies would do, which this command does not make: `eegcache build` does".to_owned(),
            _ => format!(
                "none of the link methods works here ({}): add `copy` to `cache.link`",
                names.join(", ")
            ),
        };
        let none = io::Error::other(why);
        Err(Error::io("link", from)(none))
    }

    fn publish_linked(&self, temporary: Temporary<'_>, file: &FileName, record: &FileRecord) -> Result<()> {
        let placed = self.publish(temporary, file, record.clone())?;
        if is_content(record, placed.bytes, placed.sha256) {
            return Ok(());
        }
        let message = "it is there already with other bytes, and is good; it stays".to_owned();
        Err(Error::Damaged { path: self.path_of(file), message })
    }

    fn open_origin<'a>(&self, path: &'a Path, record: &'a FileRecord) -> Result<Origin<'a>> {
        let (dir, leaf) = self.open_parent(path)?;
        let file = dir.open_file(&leaf).map_err(Error::io("open", path))?;
        let stat = file.metadata().map_err(Error::io("read", path))?;
        if stat.len() != record.bytes {
            let message = format!("it has {} bytes where its record says {}", stat.len(), record.bytes);
            return Err(Error::Damaged { path: path.to_owned(), message });
        }
        let inode = (stat.dev(), stat.ino());
        let is_writable = stat.mode() & WRITE_BITS != 0;
        let origin = Origin { path, dir, leaf, file, inode, record, is_writable };
        if is_writable {
            let digest =
                Digest::of_all(Watched(&origin.file, "read file")).map_err(Error::io("read", path))?;
            origin.check(is_content(record, stat.len(), digest))?;
        }
        Ok(origin)
    }

    /// Opens the directory of a file; below the cache's root without following links.
    fn open_parent(&self, path: &Path) -> Result<(Dir, String)> {
        let no_name = || Error::io("open", path)(io::Error::from(io::ErrorKind::InvalidInput));
        let gone = || Error::io("open", path)(io::Error::from(io::ErrorKind::NotFound));
        let leaf = path.file_name().and_then(|name| name.to_str()).ok_or_else(no_name)?.to_owned();
        let parent = path.parent().ok_or_else(no_name)?;
        let dir = match parent.strip_prefix(self.store().root()) {
            Ok(below) => {
                let names = below.iter().map(|name| name.to_str()).collect::<Option<Vec<_>>>();
                Dir::reach(self.store().root(), &names.ok_or_else(no_name)?)?
            }
            Err(_) => Dir::reach(parent, &[])?,
        };
        Ok((dir.ok_or_else(gone)?, leaf))
    }

    /// Tries one method; nothing where the file system, or this file, does not allow it.
    fn try_method(&self, method: LinkMethod, origin: &Origin<'_>) -> Result<Option<Temporary<'_>>> {
        if self.is_unsupported(method, origin) {
            return Ok(None);
        }
        match method {
            LinkMethod::Reflink => self.reflink(origin),
            LinkMethod::Hardlink => self.hardlink(origin),
            LinkMethod::Copy => self.copy(origin).map(Some),
        }
    }

    fn reflink(&self, origin: &Origin<'_>) -> Result<Option<Temporary<'_>>> {
        let temporary = self.create_temporary()?;
        let cloned =
            fault::point("clone").and_then(|()| reflink_copy::reflink_file(&origin.file, temporary.file()));
        match cloned {
            Ok(()) => {
                temporary.seal(origin.record.bytes, self.finished_mode(), self.store().is_durable())?;
                Ok(Some(temporary))
            }
            Err(error) if is_exhausted(&error) => Err(temporary.error("clone into")(error)),
            Err(_) => {
                self.remember_unsupported(LinkMethod::Reflink, origin);
                Ok(None)
            }
        }
    }

    fn hardlink(&self, origin: &Origin<'_>) -> Result<Option<Temporary<'_>>> {
        // Its content was just compared; from here on nobody shall write into what two names share.
        if origin.is_writable && super::dir::set_mode(&origin.file, self.finished_mode()).is_err() {
            return Ok(None);
        }
        // It may have been built without syncs; where it was not, its data is clean and this costs nothing.
        if self.store().is_durable() {
            super::dir::sync_data(&origin.file).map_err(Error::io("sync", origin.path))?;
        }
        let name = self.unique_name();
        match origin.dir.link(&origin.leaf, self.temporaries(), &name) {
            Ok(()) => {}
            // Too many links, or links to others' files are forbidden: true of this file only.
            Err(error) if is_refused_link(&error) => return Ok(None),
            Err(error) if is_unsupported(&error) => {
                self.remember_unsupported(LinkMethod::Hardlink, origin);
                return Ok(None);
            }
            Err(error) => return Err(Error::io("link", origin.path)(error)),
        }
        let file = origin.file.try_clone().map_err(Error::io("open", origin.path))?;
        let temporary = Temporary::adopt(self.temporaries(), name.clone(), file);
        let stat = self.temporaries().stat(&name).map_err(temporary.error("read"))?;
        // The name may have been given to another file since it was opened.
        Ok(((stat.st_dev, stat.st_ino) == origin.inode).then_some(temporary))
    }

    fn copy(&self, origin: &Origin<'_>) -> Result<Temporary<'_>> {
        let temporary = self.create_temporary()?;
        let mut out = temporary.hashed();
        let mut file = &origin.file;
        let mut source = fault::Watched(file, "read to copy");
        io::Seek::rewind(&mut file).map_err(Error::io("read", origin.path))?;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let bytes = match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::io("read", origin.path)(error)),
            };
            out.write_all(&buffer[..bytes]).map_err(temporary.error("write"))?;
        }
        let (bytes, sha256) = out.finish();
        origin.check(is_content(origin.record, bytes, sha256))?;
        temporary.seal(bytes, self.finished_mode(), self.store().is_durable())?;
        Ok(temporary)
    }

    fn is_unsupported(&self, method: LinkMethod, origin: &Origin<'_>) -> bool {
        let known = self.unsupported().lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(&(origin.inode.0, method.as_str()))
    }

    /// A method that a file system does not know is not tried on it again.
    fn remember_unsupported(&self, method: LinkMethod, origin: &Origin<'_>) {
        let mut known = self.unsupported().lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((origin.inode.0, method.as_str()));
    }
}

impl Origin<'_> {
    fn check(&self, is_right: bool) -> Result<()> {
        if is_right {
            return Ok(());
        }
        let message = "its bytes are not those of its record".to_owned();
        Err(Error::Damaged { path: self.path.to_owned(), message })
    }
}

/// True where the machine lacks something, which another method would not mend.
fn is_exhausted(error: &io::Error) -> bool {
    let codes = [Errno::NOSPC, Errno::DQUOT, Errno::IO, Errno::MFILE, Errno::NFILE, Errno::ROFS];
    Errno::from_io_error(error).is_some_and(|code| codes.contains(&code))
}
