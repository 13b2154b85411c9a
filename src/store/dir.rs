//! A directory of the cache held open: the only place where the store calls the file system.
//!
//! Every step goes from an open directory to a name inside of it and refuses symbolic links, so a
//! link that is planted or swapped in below the root leads nowhere. Only the root itself may be a link.

use crate::error::{Error, Result};
pub(super) use crate::fault;
use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat};
use rustix::io::{Errno, retry_on_intr};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// An open directory and the path under which messages name it.
#[derive(Debug)]
pub(super) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

const AS_DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

impl Dir {
    /// Opens the root of a cache.
    pub(super) fn open_root(path: &Path) -> io::Result<Self> {
        let fd = retry_on_intr(|| {
            fault::interruptible("open root")?;
            rustix::fs::openat(CWD, path, AS_DIRECTORY, Mode::empty())
        })?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Opens the directory that `components` lead to, or returns nothing where one of them is absent.
    pub(super) fn reach(root: &Path, components: &[&str]) -> Result<Option<Self>> {
        let mut dir = match Self::open_root(root) {
            Ok(dir) => dir,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(Error::io("open", root)(error)),
        };
        for name in components {
            dir = match dir.child(name) {
                Ok(child) => child,
                Err(error) if is_absent(&error) => return Ok(None),
                Err(error) => return Err(dir.error("open", name)(error)),
            };
        }
        Ok(Some(dir))
    }

    /// Opens a directory inside of this one.
    pub(super) fn child(&self, name: &str) -> io::Result<Self> {
        let flags = AS_DIRECTORY | OFlags::NOFOLLOW;
        let fd = retry_on_intr(|| {
            fault::interruptible("open directory")?;
            rustix::fs::openat(&self.fd, name, flags, Mode::empty())
        });
        let fd = fd.map_err(explain)?;
        Ok(Self { fd, path: self.path_of(name) })
    }

    /// Opens a directory inside of this one and makes it first where it is absent.
    pub(super) fn child_or_create(&self, name: &str, durable: bool) -> Result<Self> {
        let made = fault::point("make directory").and_then(|()| {
            rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o777)).map_err(io::Error::from)
        });
        match made {
            Ok(()) if durable => self.sync()?,
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // A directory on a read-only file system may well be there.
            Err(error) => return self.child(name).map_err(|_| self.error("create", name)(error)),
        }
        self.child(name).map_err(self.error("open", name))
    }

    /// Opens a regular file for reading; devices, pipes and links are refused without blocking.
    pub(super) fn open_file(&self, name: &str) -> io::Result<File> {
        self.open_with(name, OFlags::RDONLY, Mode::empty())
    }

    /// Makes a file that must not exist, for its owner only.
    pub(super) fn create_new(&self, name: &str) -> io::Result<File> {
        self.open_with(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, PRIVATE)
    }

    /// Opens a file for appending, with the umask's mode where it is new.
    pub(super) fn open_appending(&self, name: &str) -> io::Result<File> {
        self.open_with(name, OFlags::RDWR | OFlags::CREATE | OFlags::APPEND, Mode::from_raw_mode(0o666))
    }

    /// Opens a file for reading and writing, with the umask's mode where it is new.
    pub(super) fn open_or_create(&self, name: &str) -> io::Result<File> {
        self.open_with(name, OFlags::RDWR | OFlags::CREATE, Mode::from_raw_mode(0o666))
    }

    fn open_with(&self, name: &str, flags: OFlags, mode: Mode) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = retry_on_intr(|| {
            fault::interruptible("open file")?;
            rustix::fs::openat(&self.fd, name, flags, mode)
        });
        let file = File::from(fd.map_err(explain)?);
        fault::point("stat open file")?;
        if file.metadata()?.is_file() { Ok(file) } else { Err(not_a_file()) }
    }

    /// Returns what the file system says of a name, links not followed.
    pub(super) fn stat(&self, name: &str) -> io::Result<Stat> {
        fault::point("stat")?;
        Ok(rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Gives a file a second name, in `target`; fails where that name exists.
    pub(super) fn link(&self, name: &str, target: &Self, new: &str) -> io::Result<()> {
        fault::point("link")?;
        Ok(rustix::fs::linkat(&self.fd, name, &target.fd, new, AtFlags::empty())?)
    }

    /// Moves a file without replacing anything.
    pub(super) fn rename_new(&self, name: &str, target: &Self, new: &str) -> io::Result<()> {
        fault::point("rename new")?;
        Ok(rustix::fs::renameat_with(&self.fd, name, &target.fd, new, RenameFlags::NOREPLACE)?)
    }

    /// Moves a file over whatever has its new name.
    pub(super) fn rename(&self, name: &str, target: &Self, new: &str) -> io::Result<()> {
        fault::point("rename")?;
        Ok(rustix::fs::renameat(&self.fd, name, &target.fd, new)?)
    }

    /// Returns the content of a symbolic link.
    pub(super) fn read_link(&self, name: &str) -> io::Result<String> {
        let target = rustix::fs::readlinkat(&self.fd, name, Vec::new())?;
        Ok(target.to_string_lossy().into_owned())
    }

    /// Makes a symbolic link with the given content.
    pub(super) fn symlink(&self, content: &str, name: &str) -> io::Result<()> {
        fault::point("symlink")?;
        Ok(rustix::fs::symlinkat(content, &self.fd, name)?)
    }

    /// Removes a name that is no directory; one that is absent is removed already.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        fault::point("unlink")?;
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Err(Errno::NOENT) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes an empty directory; false where it is not empty or no directory.
    pub(super) fn remove_child(&self, name: &str) -> io::Result<bool> {
        fault::point("rmdir")?;
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOENT) | Ok(()) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the names in this directory durable.
    pub(super) fn sync(&self) -> Result<()> {
        let synced = retry_on_intr(|| {
            fault::interruptible("sync directory")?;
            rustix::fs::fsync(&self.fd)
        });
        synced.map_err(|code| Error::io("sync", &self.path)(code.into()))
    }

    /// Lists the names and their types, sorted; names that are no UTF-8 are none of ours and left out.
    pub(super) fn list(&self) -> Result<Vec<(String, FileType)>> {
        let mut names = self.list_unsorted()?;
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(names)
    }

    /// As `list`, in the order of the file system.
    pub(super) fn list_unsorted(&self) -> Result<Vec<(String, FileType)>> {
        let mut names = Vec::new();
        let unread = |error: io::Error| Error::io("list", &self.path)(error);
        fault::point("list directory").map_err(unread)?;
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(|code| unread(code.into()))? {
            let entry = entry.map_err(|code| unread(code.into()))?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if matches!(name, "." | "..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => match self.stat(name) {
                    Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                    Err(error) if is_absent(&error) => continue,
                    Err(error) => return Err(self.error("stat", name)(error)),
                },
                kind => kind,
            };
            names.push((name.to_owned(), kind));
        }
        Ok(names)
    }

    /// Takes a shared lock on the directory itself; false where somebody has locked it exclusively.
    pub(super) fn try_share(&self) -> io::Result<bool> {
        self.try_flock(FlockOperation::NonBlockingLockShared)
    }

    /// Takes an exclusive lock on the directory itself; false where somebody has locked it.
    pub(super) fn try_own(&self) -> io::Result<bool> {
        self.try_flock(FlockOperation::NonBlockingLockExclusive)
    }

    fn try_flock(&self, operation: FlockOperation) -> io::Result<bool> {
        match retry_on_intr(|| rustix::fs::flock(&self.fd, operation)) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// True where both are one directory, whatever its name is.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let inode = |dir: &Self| rustix::fs::fstat(&dir.fd).map(|stat| (stat.st_dev, stat.st_ino));
        matches!((inode(self), inode(other)), (Ok(a), Ok(b)) if a == b)
    }

    /// Leaves the directory open in programs that this process becomes or starts.
    pub(super) fn inherit(&self) -> io::Result<()> {
        Ok(rustix::io::fcntl_setfd(&self.fd, rustix::io::FdFlags::empty())?)
    }

    /// Returns the number by which the kernel knows the kind of the file system.
    #[cfg(target_os = "linux")]
    pub(super) fn file_system(&self) -> Option<u32> {
        // The magic numbers are 32 bits wide, whatever the width and sign of the field.
        rustix::fs::fstatfs(&self.fd).ok().map(|stat| stat.f_type as u32)
    }

    /// Elsewhere only the probe tells whether locks exclude.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn file_system(&self) -> Option<u32> {
        None
    }

    /// The directory's path, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a name in this directory, for messages.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Wraps a system error with what was tried on which name.
    pub(super) fn error(&self, action: &'static str, name: &str) -> impl FnOnce(io::Error) -> Error + use<> {
        Error::io(action, self.path_of(name))
    }
}

/// Makes the content of a file durable. An error is final: the kernel may have dropped the dirty
/// pages, so a second attempt on the same descriptor would report success for lost data.
pub(super) fn sync_file(file: &File) -> io::Result<()> {
    Ok(retry_on_intr(|| {
        fault::interruptible("sync file")?;
        rustix::fs::fsync(file)
    })?)
}

/// Makes the content of a file durable, and of its metadata only what reading it needs.
pub(super) fn sync_data(file: &File) -> io::Result<()> {
    Ok(retry_on_intr(|| {
        fault::interruptible("sync data")?;
        rustix::fs::fdatasync(file)
    })?)
}

/// Sets the permission bits of a file.
pub(super) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    fault::point("set mode")?;
    Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?)
}

/// True where a name, or a directory on the way to it, does not exist.
pub(super) fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// True where the system refuses an operation as such, so that another way may work.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    let codes = [Errno::OPNOTSUPP, Errno::NOTSUP, Errno::NOSYS, Errno::INVAL, Errno::NOTTY, Errno::XDEV];
    Errno::from_io_error(error).is_some_and(|code| codes.contains(&code))
}

/// True where hard links are refused for this file or this user only.
pub(super) fn is_refused_link(error: &io::Error) -> bool {
    let codes = [Errno::MLINK, Errno::PERM, Errno::ACCESS];
    Errno::from_io_error(error).is_some_and(|code| codes.contains(&code))
}

fn explain(code: Errno) -> io::Error {
    match code {
        // Linux answers ENOTDIR where a directory without links is asked for and a link is found.
        Errno::LOOP | Errno::NOTDIR => io::Error::new(
            io::ErrorKind::InvalidInput,
            "a symbolic link or of another type; links inside a cache are not followed",
        ),
        code => code.into(),
    }
}

fn not_a_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")
}
