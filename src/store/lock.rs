//! The build lock: one writer a version, or shards side by side, where the file system can promise that.
//!
//! A plain writer holds `lock` alone; a shard holds its own lock alone and `lock` together with other shards.
//! Correctness does not rest on it: temporaries are unique and publishing replaces nothing. Where locks
//! do not exclude, a build goes on and says so; only what deletes must refuse.

use super::dir::{Dir, fault, is_absent};
use super::layout::{self, LOCK};
use crate::error::{Error, Result};
use crate::model::shard::Shard;
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
    /// The open files to which the kernel binds the locks, `LOCK` last; none where locks do not exclude.
    files: Vec<File>,
    shard: Option<Shard>,
    /// Why the lock does not exclude.
    pub(super) note: Option<String>,
}

/// Who holds a lock, for messages only: nothing is decided by it.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    host: String,
    pid: u32,
    since: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shard: Option<String>,
}

/// What came of trying to lock one file.
enum Claim {
    Held(File),
    /// The directory went meanwhile.
    Gone,
    /// The file system does not lock.
    NoLocks(String),
}

const POLL: Duration = Duration::from_millis(100);
/// Longer contents are none of ours.
const LONGEST_HOLDER: u64 = 4096;

impl Lock {
    /// Takes the lock of the version whose `.build` is open, at once or until `patience` is over; for a shard, or
    /// alone. Nothing where the directory went while this one waited.
    pub(super) fn acquire(
        build: &Dir,
        version: &Path,
        shard: Option<Shard>,
        patience: &Patience<'_>,
    ) -> Result<Option<Self>> {
        if let Some(why) = Self::unreliable(build) {
            return Ok(Some(Self::without(&why)));
        }
        // The shard's own lock first: a second run of the shard waits there without keeping plain builds out.
        let own = shard.map(|shard| (shard.lock_name(), false));
        let all = (LOCK.to_owned(), shard.is_some());
        let mut files = Vec::new();
        for (name, is_shared) in own.into_iter().chain([all]) {
            match claim(build, version, &name, is_shared, patience)? {
                Claim::Held(file) => files.push(file),
                Claim::Gone => return Ok(None),
                Claim::NoLocks(why) => return Ok(Some(Self::without(&why))),
            }
        }
        Self { files, shard, note: None }.probed(build).map(Some)
    }

    /// Says who holds the lock, without making or writing anything; nothing where nobody does.
    pub(super) fn peek(build: &Dir) -> Result<Option<String>> {
        let mut file = match build.open_file(LOCK) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(build.error("open", LOCK)(error)),
        };
        Ok(matches!(file.try_lock(), Err(TryLockError::WouldBlock)).then(|| holder(build, &mut file)))
    }

    /// Why locks below `.build` cannot be relied on, as far as the kind of the file system tells.
    pub(super) fn unreliable(build: &Dir) -> Option<String> {
        let kind = build.file_system().and_then(unreliable_kind)?;
        Some(format!("locks on {kind} do not reliably exclude other machines"))
    }

    /// A second open file must fail to lock what the first one holds.
    fn probed(mut self, build: &Dir) -> Result<Self> {
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
        let shard = self.shard.map(|shard| shard.to_string());
        if let Some(file) = self.files.first_mut() {
            // For messages only, so a full disk may prevent it.
            let _ = write_holder(file, shard);
        }
        Ok(self)
    }

    fn without(why: &str) -> Self {
        Self { files: Vec::new(), shard: None, note: Some(format!("{why}; going on without a lock")) }
    }

    /// True where no other writer can be at work.
    pub(super) fn is_exclusive(&self) -> bool {
        self.is_reliable() && self.shard.is_none()
    }

    /// True where locks keep others out.
    pub(super) fn is_reliable(&self) -> bool {
        !self.files.is_empty()
    }

    /// Makes a shard the only writer, where no other is at work; false where one is. In that case the shard may have
    /// lost its hold on `LOCK`, so this is the last thing that a shard does.
    pub(super) fn try_alone(&self) -> bool {
        self.files.last().is_some_and(|file| file.try_lock().is_ok())
    }

    /// True where the file that is locked still has its name, or nothing is locked.
    pub(super) fn is_current(&self, build: &Dir) -> bool {
        use std::os::unix::fs::MetadataExt;
        let Some(Ok(ours)) = self.files.last().map(File::metadata) else { return true };
        build.stat(LOCK).is_ok_and(|named| (named.st_dev, named.st_ino) == (ours.dev(), ours.ino()))
    }
}

impl Drop for Lock {
    /// Unlocks, where closing alone would not: the kernel binds the lock to the open file, which a
    /// process forked meanwhile keeps open until it becomes another program.
    fn drop(&mut self) {
        if let Some(file) = self.files.first() {
            // So that nobody is told that this one still holds it.
            let _ = file.set_len(0);
        }
        for file in &self.files {
            // Closing follows in any case, and nothing is decided by whether this succeeded.
            let _ = file.unlock();
        }
    }
}

/// Locks one file below `.build`, at once or until `patience` is over.
fn claim(build: &Dir, version: &Path, name: &str, is_shared: bool, patience: &Patience<'_>) -> Result<Claim> {
    loop {
        let mut file = match build.open_or_create(name) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(Claim::Gone),
            Err(error) => return Err(build.error("open", name)(error)),
        };
        let locked = fault::point("lock").map_err(TryLockError::Error);
        match locked.and_then(|()| if is_shared { file.try_lock_shared() } else { file.try_lock() }) {
            Ok(()) => return Ok(Claim::Held(file)),
            Err(TryLockError::Error(error)) if is_no_lock(&error) => {
                return Ok(Claim::NoLocks(format!("the file system does not lock: {error}")));
            }
            Err(TryLockError::Error(error)) => return Err(build.error("lock", name)(error)),
            Err(TryLockError::WouldBlock) => {}
        }
        patience.wait(version, holder(build, &mut file))?;
    }
}

/// Says who holds a lock: what its file tells, else the shards that hold it together.
fn holder(build: &Dir, file: &mut File) -> String {
    if let Some(holder) = read_holder(file) {
        return holder;
    }
    let names = build.list().unwrap_or_default().into_iter().map(|(name, _)| name);
    let shards = names.filter(|name| layout::is_shard_name(name));
    let mut holders: Vec<String> =
        shards.filter_map(|name| read_holder(&mut build.open_file(&name).ok()?)).collect();
    match (holders.len(), holders.pop()) {
        (_, None) => "holder unknown".to_owned(),
        (1, Some(holder)) => holder,
        (count, Some(holder)) => format!("{count} shards, {holder} among them"),
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

/// What a lock file tells; nothing where it is empty or where its writer is known to have died.
fn read_holder(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.take(LONGEST_HOLDER).read_to_string(&mut text)).ok()?;
    let holder = serde_json::from_str::<Holder>(&text).ok()?;
    if holder.host == host() && is_dead(holder.pid) {
        return None;
    }
    // The file may have been written by anyone: its texts reach a terminal escaped.
    let [host, since] = [&holder.host, &holder.since].map(|text| text.escape_debug());
    let shard = holder.shard.map(|shard| format!("shard {}, ", shard.escape_debug())).unwrap_or_default();
    Some(format!("{shard}host {host}, pid {}, since {since}", holder.pid))
}

fn write_holder(file: &mut File, shard: Option<String>) -> io::Result<()> {
    let since = timestamp(SystemTime::now());
    let holder = Holder { host: host(), pid: std::process::id(), since, shard };
    file.set_len(0)?;
    file.rewind()?;
    fault::Watched(file, "write holder").write_all(&serde_json::to_vec(&holder)?)
}

/// True where no process of this machine has the number; false where that cannot be told.
pub(super) fn is_dead(pid: u32) -> bool {
    let processes = Path::new("/proc");
    processes.join("self").exists() && !processes.join(pid.to_string()).exists()
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
        let acquire = || Lock::acquire(&build, directory.path(), None, &Patience::new(Wait::No, &|_| true));
        let lock = acquire().unwrap().unwrap();
        assert!(acquire().is_err());
        let inherited = lock.files.first().map(File::try_clone).unwrap().unwrap();
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
