//! Work that takes time: it runs in a thread of its own, while the caller's thread shows how far it is and hears Ctrl-C.
//!
//! The observer is only ever called in the caller's thread, a few times a second, so it needs no locks and
//! slows nothing down. The worker threads belong to the call: none is left behind for a fork to lose, which would leave
//! whoever asks it for work in the child waiting for ever. So whatever may share its work out runs here.

use crate::raise::raise;
use eegcache::error::{Error, Result};
use eegcache::ops::{Allocator, Context, Items, Kind, Progress, Step};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use rayon::{ThreadBuilder, ThreadPoolBuilder};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often the observer hears, and a signal is looked for.
const BEAT: Duration = Duration::from_millis(100);

/// How far the work is.
#[derive(Clone, Default)]
struct Facts {
    what: String,
    done: u64,
    total: u64,
    bytes: u64,
    total_bytes: u64,
    linked: u64,
    items: &'static str,
}

#[derive(Default)]
struct Board {
    state: Mutex<State>,
    over: Condvar,
}

#[derive(Default)]
struct State {
    facts: Facts,
    messages: Vec<String>,
    is_new: bool,
    is_over: bool,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves at worst a wrong count on the screen.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits a beat, or until the work is over; returns whether it is.
    fn wait(&self) -> bool {
        let waited = self.over.wait_timeout_while(self.lock(), BEAT, |state| !state.is_over);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_over
    }

    fn finish_work(&self) {
        self.lock().is_over = true;
        self.over.notify_all();
    }

    /// What the observer has not heard yet.
    fn news(&self) -> Option<(Facts, Vec<String>)> {
        let mut state = self.lock();
        let is_new = std::mem::take(&mut state.is_new);
        let messages = std::mem::take(&mut state.messages);
        (is_new || !messages.is_empty()).then(|| (state.facts.clone(), messages))
    }
}

impl Progress for Board {
    fn start(&self, what: &str, items: Items, bytes: u64) {
        let mut state = self.lock();
        state.facts = Facts {
            what: what.to_owned(),
            total: items.count(),
            total_bytes: bytes,
            items: items.name(),
            ..Facts::default()
        };
        state.is_new = true;
    }

    fn step(&self, step: Step) {
        let mut state = self.lock();
        state.facts.done += 1;
        state.facts.bytes += step.bytes;
        state.facts.linked += u64::from(step.kind == Kind::Link);
        state.is_new = true;
    }

    fn say(&self, line: &str) {
        self.lock().messages.push(line.to_owned());
    }
}

/// Ends the work also where it panics.
struct Ending<'a>(&'a Board);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.finish_work();
    }
}

/// Runs a verb with `threads` worker threads (0: one a core).
///
/// Ctrl-C asks it to stop; whatever it then says of itself is raised as `Interrupted`, caused by the
/// `KeyboardInterrupt`. An exception of the observer stops it as well and is raised as it is.
pub(crate) fn attend<R: Send>(
    py: Python<'_>,
    observer: Option<Py<PyAny>>,
    threads: usize,
    verb: impl FnOnce(&Context<'_>) -> Result<R> + Send,
) -> PyResult<R> {
    let (board, stop) = (Board::default(), AtomicBool::new(false));
    let work = || {
        let _ending = Ending(&board);
        // That of the interpreter, which is nobody's to tell anything.
        let allocator = Allocator::default();
        in_threads(threads, |threads| verb(&Context { progress: &board, stop: &stop, threads, allocator }))
    };
    let (outcome, raised) = std::thread::scope(|scope| {
        let worker = scope.spawn(work);
        let mut raised = None;
        while !py.detach(|| board.wait()) {
            if let Err(error) = beat(py, &board, observer.as_ref()) {
                stop.store(true, Ordering::Relaxed);
                raised.get_or_insert(error);
            }
        }
        let last = beat(py, &board, observer.as_ref());
        (worker.join(), raised.or(last.err()))
    });
    let outcome = outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    settle(py, outcome, raised)
}

/// Does the work in worker threads that are gone, and with them what was left to them to do, when this returns.
fn in_threads<R: Send>(count: usize, work: impl FnOnce(usize) -> Result<R> + Send) -> Result<R> {
    let mut workers = Vec::new();
    let start = |worker: ThreadBuilder| {
        workers.push(std::thread::Builder::new().spawn(|| worker.run())?);
        Ok(())
    };
    let pool = ThreadPoolBuilder::new().num_threads(count).spawn_handler(start).build();
    let pool = pool.map_err(|error| Error::io("start", "worker threads")(std::io::Error::other(error)))?;
    let threads = pool.current_num_threads();
    let done = pool.install(|| work(threads));
    drop(pool);
    // A worker that panicked has handed its panic to `install`.
    for worker in workers {
        drop(worker.join());
    }
    done
}

/// Runs what takes no observer and cannot be stopped half-way; Ctrl-C is raised behind it.
pub(crate) fn run<R: Send>(py: Python<'_>, verb: impl FnOnce() -> Result<R> + Send) -> PyResult<R> {
    attend(py, None, 0, |_| verb())
}

fn beat(py: Python<'_>, board: &Board, observer: Option<&Py<PyAny>>) -> PyResult<()> {
    py.check_signals()?;
    let (Some(observer), Some((facts, messages))) = (observer, board.news()) else { return Ok(()) };
    let Facts { what, done, total, bytes, total_bytes, linked, items } = facts;
    observer.call1(py, (what, done, total, bytes, total_bytes, linked, messages, items)).map(drop)
}

fn settle<R>(py: Python<'_>, outcome: Result<R>, raised: Option<PyErr>) -> PyResult<R> {
    let Some(cause) = raised else { return outcome.map_err(|error| raise(py, &error)) };
    if !cause.is_instance_of::<PyKeyboardInterrupt>(py) {
        return Err(cause);
    }
    let error = match outcome {
        Err(error) => error,
        Ok(_) => Error::Interrupted { message: "everything was finished".to_owned() },
    };
    let exception = raise(py, &error);
    exception.set_cause(py, Some(cause));
    Err(exception)
}
