//! Faults on demand: a test lets the n-th file-system operation of its thread fail, fall short or be the last.
//!
//! `store`, `source` and `exchange` announce every operation here before it happens. Outside of tests nothing fails
//! on demand and nothing is counted: the functions are empty and cost nothing.

use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::os::unix::fs::FileExt;

#[cfg(test)]
pub(crate) use on_demand::{Fault, Plan, plan, was_hit};
pub(crate) use on_demand::{interruptible, point, portion, uninterrupted};

/// An open file whose reads and writes are announced under a name.
#[derive(Debug)]
pub(crate) struct Watched<'a>(pub(crate) &'a File, pub(crate) &'static str);

impl Watched<'_> {
    /// Writes all bytes at a place, whatever the position is.
    pub(crate) fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        point(self.1)?;
        self.0.write_all_at(bytes, offset)
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let allowed = portion(self.1, buffer.len())?;
        self.0.read(&mut buffer[..allowed])
    }
}

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let allowed = portion(self.1, bytes.len())?;
        self.0.write(&bytes[..allowed])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        let allowed = portion(self.1, bytes)?;
        if allowed == bytes {
            return self.0.write_vectored(slices);
        }
        let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| &**slice);
        self.0.write(&first[..allowed.min(first.len())])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod on_demand {
    use rustix::io::Errno;
    use std::cell::{Cell, RefCell};
    use std::io;

    /// What goes wrong.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Fault {
        /// The system refuses. `EINTR` comes only where a system may give it.
        Error(Errno),
        /// A read or a write moves fewer bytes than were asked for.
        Short,
        /// The program has a defect.
        Panic,
    }

    impl From<Errno> for Fault {
        fn from(code: Errno) -> Self {
            Self::Error(code)
        }
    }

    /// What shall go wrong, and when.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Plan {
        /// The operation that fails, counted from 0.
        pub(crate) at: usize,
        /// Whether all later ones fail too, as after a death: not even cleaning up is done.
        pub(crate) forever: bool,
        /// The fault.
        pub(crate) fault: Fault,
    }

    thread_local! {
        static PLAN: Cell<Option<Plan>> = const { Cell::new(None) };
        static HIT: Cell<bool> = const { Cell::new(false) };
        static LOG: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }

    /// Sets the plan of this thread and returns the operations that there were under the last one.
    pub(crate) fn plan(plan: Option<Plan>) -> Vec<&'static str> {
        PLAN.set(plan);
        if plan.is_some() {
            HIT.set(false);
        }
        LOG.take()
    }

    /// True where something went wrong under the last plan.
    pub(crate) fn was_hit() -> bool {
        HIT.get()
    }

    fn next(operation: &'static str) -> Option<Fault> {
        let count = LOG.with_borrow_mut(|log| {
            log.push(operation);
            log.len() - 1
        });
        let plan = PLAN.get().filter(|plan| count == plan.at || (plan.forever && count > plan.at))?;
        if plan.fault == Fault::Panic {
            HIT.set(true);
            panic!("a fault on demand at `{operation}`");
        }
        Some(plan.fault)
    }

    fn fail(code: Errno) -> Errno {
        HIT.set(true);
        code
    }

    /// An operation is about to happen that no signal interrupts.
    pub(crate) fn point(operation: &'static str) -> io::Result<()> {
        Ok(uninterrupted(operation)?)
    }

    /// As `point`, with the error as the system gives it.
    pub(crate) fn uninterrupted(operation: &'static str) -> Result<(), Errno> {
        match next(operation) {
            Some(Fault::Error(code)) if code != Errno::INTR => Err(fail(code)),
            _ => Ok(()),
        }
    }

    /// An operation is about to happen that a signal may interrupt: whoever calls this tries it again then.
    pub(crate) fn interruptible(operation: &'static str) -> Result<(), Errno> {
        match next(operation) {
            Some(Fault::Error(code)) => Err(fail(code)),
            _ => Ok(()),
        }
    }

    /// A read or a write of so many bytes is about to happen; returns how many may be moved.
    pub(crate) fn portion(operation: &'static str, bytes: usize) -> io::Result<usize> {
        match next(operation) {
            Some(Fault::Error(code)) => Err(fail(code).into()),
            Some(Fault::Short) if bytes > 1 => {
                HIT.set(true);
                Ok(bytes.min(bytes / 2 % 7 + 1))
            }
            _ => Ok(bytes),
        }
    }
}

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "the tests' versions fail on demand")]
mod on_demand {
    use std::io;

    #[inline]
    pub(crate) fn point(_operation: &'static str) -> io::Result<()> {
        Ok(())
    }

    #[inline]
    pub(crate) fn uninterrupted(_operation: &'static str) -> rustix::io::Result<()> {
        Ok(())
    }

    #[inline]
    pub(crate) fn interruptible(_operation: &'static str) -> rustix::io::Result<()> {
        Ok(())
    }

    #[inline]
    pub(crate) fn portion(_operation: &'static str, bytes: usize) -> io::Result<usize> {
        Ok(bytes)
    }
}
