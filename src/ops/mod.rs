//! L3, the verbs: the only place where the layers meet. Each returns a report and prints nothing.
//!
//! `load` makes settings of files and environment; `survey` compares what is wanted with what lies
//! on disk; every other verb works from a survey. What touches threads, memory or signals comes in as a `Context`.

pub mod admission;
pub mod adopt;
pub mod build;
pub mod config;
pub mod demo;
pub mod dry_run;
pub mod estimate;
pub mod explain;
pub mod export;
pub mod finished;
pub mod gates;
pub mod gc;
pub mod inspect;
pub mod inventory;
mod labelling;
pub mod leak;
pub mod ledger;
pub mod library;
mod listing;
pub mod load;
pub mod marks;
pub mod members;
pub mod memory;
pub mod mismatch;
pub mod open;
pub mod preflight;
pub mod process;
pub mod reader;
mod reading;
mod remarks;
pub mod status;
pub mod survey;
#[cfg(test)]
mod torture;
pub mod verify;

pub use crate::plan::Kind;
pub use crate::store::{Hold, Wait};
use std::sync::atomic::{AtomicBool, Ordering};

/// What a verb needs of the world besides files.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Hears how far the work is.
    pub progress: &'a dyn Progress,
    /// Set by a signal: finish what is in hand, commit, stop.
    pub stop: &'a AtomicBool,
    /// Worker threads.
    pub threads: usize,
    /// How the program's allocator is told what is coming.
    pub allocator: Allocator,
}

/// What the program's allocator can be told; by default nothing comes of it.
#[derive(Debug, Clone, Copy)]
pub struct Allocator {
    /// Gives freed memory back to the system, now and from now on, where it is kept otherwise.
    pub give_back: fn(),
    /// From now on memory may come in large pages: recordings are worked on, no longer lists of many small things.
    pub large_pages: fn(),
}

impl Default for Allocator {
    fn default() -> Self {
        Self { give_back: || (), large_pages: || () }
    }
}

impl Context<'_> {
    /// True once a signal asked to stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Hears how far the work is; the default hears nothing.
pub trait Progress: Sync {
    /// A stretch of work begins.
    fn start(&self, _what: &str, _items: Items, _bytes: u64) {}
    /// One of the items is done.
    fn step(&self, _step: Step) {}
    /// The stretch is over.
    fn finish(&self) {}
    /// Something the user should hear now.
    fn say(&self, _line: &str) {}
}

/// What is counted while work goes on, and how many of them there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Items {
    /// Recordings.
    Recordings(u64),
    /// Files of the cache.
    Files(u64),
}

impl Items {
    /// How many.
    #[must_use]
    pub fn count(self) -> u64 {
        match self {
            Self::Recordings(count) | Self::Files(count) => count,
        }
    }

    /// Their name, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Recordings(_) => "recordings",
            Self::Files(_) => "files",
        }
    }
}

/// One of the items is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// How.
    pub kind: Kind,
    /// Bytes of the item.
    pub bytes: u64,
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {}
