//! Admission: recordings are worked on together as long as the memory that they need at most fits the budget.
//!
//! The need is estimated from a recording's header before any of its samples is read, and again when its gaps are known. One that
//! does not fit with twelve channels at a time is worked on with four, or channel by channel; one that does not fit even so is refused.
//! What recordings leave to the next ones is not counted; so it goes back to the system as soon as half of the budget is in use.

use crate::dsp::{self, Lanes, Pieces, Selection};
use crate::model::failure::{Failure, FailureClass};
use crate::model::recipe::SignalRecipe;
use crate::model::recording::{Header, Kind};
use crate::model::units::Seconds;
use crate::ops::{Allocator, Context};
use std::sync::{Condvar, Mutex, Once, PoisonError};

/// The budget and what of it is in use.
#[derive(Debug)]
pub struct Gate {
    budget: u64,
    workers: u64,
    used: Mutex<u64>,
    freed: Condvar,
    /// The first recording was read.
    is_processing: Once,
    /// Half of the budget was in use once.
    is_narrow: Once,
    allocator: Allocator,
}

/// Memory set aside; given back when dropped.
#[derive(Debug)]
pub struct Permit<'a> {
    gate: &'a Gate,
    bytes: u64,
}

impl Gate {
    /// Returns a gate for so many bytes, which the workers share.
    #[must_use]
    pub fn new(budget: u64, cx: &Context<'_>) -> Self {
        Self {
            budget,
            workers: cx.threads.max(1) as u64,
            used: Mutex::new(0),
            freed: Condvar::new(),
            is_processing: Once::new(),
            is_narrow: Once::new(),
            allocator: cx.allocator,
        }
    }

    /// Says how a recording has to be worked on to fit, and the bytes that this takes, given what it needs each way; class
    /// `too-long` where it cannot.
    pub fn judge(&self, need: impl Fn(Lanes) -> Result<u64, Failure>) -> Result<(Lanes, u64), Failure> {
        let mut frugal = 0;
        // Twelve channels are a little faster than four: not worth it where other workers would have to wait for the memory.
        let share = self.budget / self.workers;
        for (lanes, most) in [(Lanes::Twelve, share), (Lanes::Four, self.budget), (Lanes::One, self.budget)] {
            frugal = need(lanes)?;
            if frugal <= most {
                return Ok((lanes, frugal));
            }
        }
        let message = format!(
            "channel by channel the recording needs {frugal} bytes of memory, {} are allowed; `--memory` allows more",
            self.budget
        );
        Err(Failure::new(FailureClass::TooLong, message))
    }

    /// Waits until so many bytes are free; `judge` has made sure that they can be.
    pub fn admit(&self, bytes: u64) -> Permit<'_> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while *used > 0 && used.saturating_add(bytes) > self.budget {
            used = self.freed.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        *used = used.saturating_add(bytes);
        let total = *used;
        drop(used);
        self.spare(total);
        Permit { gate: self, bytes }
    }

    /// To be called when a recording was read, before its channels go through the steps.
    pub(super) fn begin_processing(&self) {
        self.is_processing.call_once(self.allocator.large_pages);
    }

    /// Sees to it that freed memory does not add to so much that is in use.
    fn spare(&self, used: u64) {
        if used > self.budget / 2 {
            self.is_narrow.call_once(self.allocator.give_back);
        }
    }
}

impl Permit<'_> {
    /// The bytes that are set aside.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Sets aside `bytes` instead, where the difference is free now; says whether it is.
    #[must_use]
    pub fn grow(&mut self, bytes: u64) -> bool {
        let mut used = self.gate.used.lock().unwrap_or_else(PoisonError::into_inner);
        let total = (*used - self.bytes).saturating_add(bytes);
        let is_free = total <= self.gate.budget;
        if is_free {
            (*used, self.bytes) = (total, bytes);
        }
        drop(used);
        if is_free {
            self.gate.spare(total);
        }
        is_free
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.gate.used.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.gate.freed.notify_all();
    }
}

/// The most memory that a recording needs by its header, as if it had no gaps; 0 where something is wrong with it, which is said
/// when it is read.
#[must_use]
pub fn peak_bytes(recipe: &SignalRecipe, header: &Header, selection: &Selection, lanes: Lanes) -> u64 {
    let samples =
        |signal: usize| header.signals[signal].samples_per_record.saturating_mul(header.records_held);
    let width = match header.kind {
        Kind::Edf => 2,
        Kind::Bdf => 4,
    };
    let raw = selection.picks.iter().map(|pick| samples(*pick).saturating_mul(width)).sum();
    let pieces = |signal: usize| {
        let rate = header.signals[signal].rate?;
        Some(Pieces { stretches: vec![(Seconds::ZERO, samples(signal))], rate })
    };
    let Some(lead) = pieces(selection.lead) else { return 0 };
    let is_other = |signal: &&usize| header.signals[**signal].rate != Some(lead.rate);
    let others: Vec<Pieces> =
        selection.picks.iter().filter(is_other).filter_map(|pick| pieces(*pick)).collect();
    dsp::peak_bytes(recipe, selection, raw, (&lead, &others), lanes).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    struct Quiet;

    impl crate::ops::Progress for Quiet {}

    fn gate(budget: u64, threads: usize, give_back: fn()) -> Gate {
        let stop = AtomicBool::new(false);
        let allocator = Allocator { give_back, ..Allocator::default() };
        Gate::new(budget, &Context { progress: &Quiet, stop: &stop, threads, allocator })
    }

    #[test]
    fn freed_memory_goes_back_once_more_than_half_of_the_budget_is_in_use() {
        static TIMES: AtomicUsize = AtomicUsize::new(0);
        let give_back = || {
            TIMES.fetch_add(1, Ordering::Relaxed);
        };
        let gate = gate(100, 2, give_back);
        let times = || TIMES.load(Ordering::Relaxed);
        let (_first, mut second) = (gate.admit(30), gate.admit(20));
        assert_eq!(times(), 0);
        assert!(!second.grow(71) && times() == 0);
        assert!(second.grow(21) && times() == 1);
        drop(second);
        let _third = gate.admit(60);
        assert_eq!(times(), 1);
    }

    #[test]
    fn what_does_not_fit_waits_for_what_is_there() {
        let gate = gate(100, 2, || ());
        let (first, second) = (gate.admit(40), gate.admit(60));
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _third = gate.admit(50);
                sender.send(*gate.used.lock().unwrap()).unwrap();
            });
            assert!(receiver.recv_timeout(std::time::Duration::from_millis(50)).is_err());
            drop(first);
            assert!(receiver.recv_timeout(std::time::Duration::from_millis(50)).is_err());
            drop(second);
            assert_eq!(receiver.recv().unwrap(), 50);
        });
        assert_eq!(*gate.used.lock().unwrap(), 0);
    }

    #[test]
    fn a_permit_grows_by_what_is_free_and_gives_all_of_it_back() {
        let gate = gate(100, 2, || ());
        let (mut first, second) = (gate.admit(40), gate.admit(30));
        assert!(!first.grow(71) && first.bytes() == 40);
        assert!(first.grow(70) && *gate.used.lock().unwrap() == 100);
        drop(second);
        assert!(first.grow(100));
        drop(first);
        assert_eq!(*gate.used.lock().unwrap(), 0);
    }

    #[test]
    fn who_fits_no_way_is_too_long() {
        let need = |lanes| {
            Ok(match lanes {
                Lanes::Twelve => 200,
                Lanes::Four => 80,
                Lanes::One => 30,
            })
        };
        for (budget, expected) in [
            (800, Some((Lanes::Twelve, 200))),
            (799, Some((Lanes::Four, 80))),
            (80, Some((Lanes::Four, 80))),
            (79, Some((Lanes::One, 30))),
            (29, None),
        ] {
            let found = gate(budget, 4, || ()).judge(need);
            assert_eq!(found.as_ref().ok(), expected.as_ref(), "{budget}");
            assert!(found.is_ok() || found.is_err_and(|failure| failure.class == FailureClass::TooLong));
        }
    }
}
