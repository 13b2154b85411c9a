//! The build lock: one writer a version, where the file system can promise that.
//!
//! Correctness does not rest on it: temporaries are unique and publishing replaces nothing. Where locks
//! do not exclude, a build goes on and says so; only what deletes must refuse.

use super::dir::{Dir, fault, is_absent};
use super::layout::LOCK;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// How long to wait for another build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// Until it is done.
    Forever,
    /// At most so long.
    For(Duration),
}

/// What is left of the time to wait, and who decides whether to go on waiting.
pub(super) struct Patience<'a> {
    began: Instant,
    wait: Wait,
    on_wait: &'a dyn Fn(&str) -> bool,
}

impl<'a> Patience<'a> {
    /// Begins to wait.
    pub(super) fn new(wait: Wait, on_wait: &'a dyn Fn(&str) -> bool) -> Self {
        Self { began: Instant::now(), wait, on_wait }
    }

    /// Waits a moment for `holder`, or fails where the time is over.
    fn wait(&self, version: &Path, holder: String) -> Result<()> {
        let is_over = match self.wait {
            Wait::No => true,
            Wait::Forever => false,
            Wait::For(limit) => self.began.elapsed() >= limit,
        };
        if is_over {
            return Err(Error::Busy { path: version.to_owned(), holder });
        }
        if !(self.on_wait)(&holder) {
            let message = format!("gave up waiting for another build ({holder}); nothing was begun");
            return Err(Error::Interrupted { message });
        }
        // Polling keeps the wait interruptible and needs no second thread for a time limit.
        std::thread::sleep(POLL);
        Ok(())
    }
}

/// A held lock; dropping it releases.
#[derive(Debug)]
pub(super) struct Lock {
    /// The open file to which the kernel binds the lock; nothing where locks do not exclude.
    file: Option<File>,
    /// Why the lock does not exclude.
    pub(super) note: Option<String>,
}

/// Who holds a lock, for messages only: nothing is decided by it.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    host: String,
    pid: u32,
    since: String,
}

const POLL: Duration = Duration::from_millis(100);
/// Longer contents are none of ours.
const LONGEST_HOLDER: u64 = 4096;

impl Lock {
    /// Takes the lock of the version whose `.build` is open, at once or until `patience` is over.
    /// Nothing where the directory went while this one waited.
    pub(super) fn acquire(build: &Dir, version: &Path, patience: &Patience<'_>) -> Result<Option<Self>> {
        if let Some(kind) = build.file_system().and_then(unreliable_kind) {
            let why = format!("locks on {kind} do not reliably exclude other machines");
            return Ok(Some(Self::without(&why)));
        }
        loop {
            let mut file = match build.open_or_create(LOCK) {
                Ok(file) => file,
                Err(error) if is_absent(&error) => return Ok(None),
                Err(error) => return Err(build.error("open", LOCK)(error)),
            };
            match fault::point("lock").map_err(TryLockError::Error).and_then(|()| file.try_lock()) {
                Ok(()) => return Self::probe(build, file).map(Some),
                Err(TryLockError::Error(error)) if is_no_lock(&error) => {
                    return Ok(Some(Self::without(&format!("the file system does not lock: {error}"))));
                }
                Err(TryLockError::Error(error)) => return Err(build.error("lock", LOCK)(error)),
                Err(TryLockError::WouldBlock) => {}
            }
            patience.wait(version, read_holder(&mut file))?;
        }
    }

    /// A second open file must fail to lock what the first one holds.
    fn probe(build: &Dir, mut file: File) -> Result<Self> {
        let second = build.open_or_create(LOCK).map_err(build.error("open", LOCK))?;
        let locked = fault::point("lock").map_err(TryLockError::Error).and_then(|()| second.try_lock());
        match locked {
            Err(TryLockError::WouldBlock) => {}
            // Trouble of the machine says nothing about the file system.
            Err(TryLockError::Error(error)) if !is_no_lock(&error) => {
                return Err(build.error("lock", LOCK)(error));
            }
            _ => return Ok(Self::without("a probe shows that locks do not exclude here")),
        }
        // For messages only, so a full disk may prevent it.
        let _ = write_holder(&mut file);
        Ok(Self { file: Some(file), note: None })
    }

    fn without(why: &str) -> Self {
        Self { file: None, note: Some(format!("{why}; going on without a lock")) }
    }

    /// True where no other writer can be at work.
    pub(super) fn is_exclusive(&self) -> bool {
        self.file.is_some()
    }

    /// True where the file that is locked still has its name, or nothing is locked.
    pub(super) fn is_current(&self, build: &Dir) -> bool {
        use std::os::unix::fs::MetadataExt;
        let Some(Ok(ours)) = self.file.as_ref().map(File::metadata) else { return true };
        build.stat(LOCK).is_ok_and(|named| (named.st_dev, named.st_ino) == (ours.dev(), ours.ino()))
    }
}

impl Drop for Lock {
    /// Unlocks, where closing alone would not: the kernel binds the lock to the open file, which a
    /// process forked meanwhile keeps open until it becomes another program.
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // Closing follows in any case, and nothing is decided by whether this succeeded.
            let _ = file.unlock();
        }
    }
}

fn is_no_lock(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let codes = [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP, Errno::INVAL];
    Errno::from_io_error(error).is_some_and(|code| codes.contains(&code))
}

/// File systems whose locks may be local to a machine, by the numbers of `statfs(2)`.
fn unreliable_kind(magic: u32) -> Option<&'static str> {
    match magic {
        0x0000_6969 => Some("NFS"),
        0x0BD0_0BD0 => Some("Lustre"),
        0x4750_4653 => Some("GPFS"),
        0x0000_517B | 0xFF53_4D42 | 0xFE53_4D42 => Some("CIFS"),
        0x1983_0326 => Some("BeeGFS"),
        _ => None,
    }
}

fn read_holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(LONGEST_HOLDER).read_to_string(&mut text));
    match read.ok().and_then(|_| serde_json::from_str::<Holder>(&text).ok()) {
        // The file may have been written by anyone: its texts reach a terminal escaped.
        Some(Holder { host, pid, since }) => {
            format!("host {}, pid {pid}, since {}", host.escape_debug(), since.escape_debug())
        }
        None => "holder unknown".to_owned(),
    }
}

fn write_holder(file: &mut File) -> io::Result<()> {
    let holder = Holder { host: host(), pid: std::process::id(), since: timestamp(SystemTime::now()) };
    file.set_len(0)?;
    file.rewind()?;
    fault::Watched(file, "write holder").write_all(&serde_json::to_vec(&holder)?)
}

/// Returns the machine's name, reduced to what a file name may hold.
pub(super) fn host() -> String {
    let name = fs_err::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(32).collect();
    if name.is_empty() { "host".to_owned() } else { name }
}

/// Returns a time as `2026-01-31T23:59:59Z`.
fn timestamp(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days, for years from 1970 on.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_calendar_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_lock_ends_although_a_forked_process_keeps_its_descriptor() {
        let directory = tempfile::tempdir().unwrap();
        let build = Dir::open_root(directory.path()).unwrap();
        let acquire = || Lock::acquire(&build, directory.path(), &Patience::new(Wait::No, &|_| true));
        let lock = acquire().unwrap().unwrap();
        assert!(acquire().is_err());
        let inherited = lock.file.as_ref().map(File::try_clone).unwrap().unwrap();
        drop(lock);
        assert!(acquire().is_ok());
        drop(inherited);
    }

    #[test]
    fn network_file_systems_are_known_by_number() {
        assert_eq!(unreliable_kind(0x6969), Some("NFS"));
        assert_eq!(unreliable_kind(0xEF53), None, "ext4");
    }
}
