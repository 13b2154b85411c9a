//! How far the work is: a bar on a terminal, plain lines elsewhere, always on stderr.

use super::table::bytes;
use crate::ops::{Items, Kind, Progress, Step};
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Seconds between plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Talks about progress on stderr.
pub(crate) struct Talk {
    state: Mutex<State>,
    bar: bool,
}

#[derive(Default)]
struct State {
    bar: Option<ProgressBar>,
    what: String,
    items: Option<Items>,
    total: u64,
    done: u64,
    linked: u64,
    bytes: u64,
    total_bytes: u64,
    began: Option<Instant>,
    last_line: Option<Instant>,
}

impl Talk {
    /// A bar where stderr is a terminal.
    pub(crate) fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { state: Mutex::default(), bar: std::io::stderr().is_terminal() && !dumb }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic elsewhere leaves at worst a wrong count on the screen.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A line on stderr; a closed stderr must not stop a build.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

impl State {
    /// `12/60 recordings, 3 linked, 24.1 MB of 98.0 MB, 4.2 recordings/s, 11 s left`
    fn summary(&self) -> String {
        let name = self.items.map_or("", Items::name);
        let mut parts = vec![format!("{}/{} {name}", self.done, self.total)];
        if self.linked > 0 {
            parts.push(format!("{} linked", self.linked));
        }
        if self.total_bytes > 0 {
            parts.push(format!("{} of {}", bytes(self.bytes), bytes(self.total_bytes)));
        }
        let seconds = self.began.map_or(0.0, |began| began.elapsed().as_secs_f64());
        if self.done > 0 && seconds > 0.2 {
            let rate = self.done as f64 / seconds;
            parts.push(format!("{rate:.1} {name}/s"));
            if self.done < self.total {
                parts.push(format!("{} left", HumanDuration(self.left(seconds, rate))));
            }
        }
        parts.join(", ")
    }

    /// Time left, by bytes where they are known: recordings differ in length.
    fn left(&self, seconds: f64, rate: f64) -> Duration {
        let left = if self.bytes > 0 && self.total_bytes > 0 {
            seconds * self.total_bytes.saturating_sub(self.bytes) as f64 / self.bytes as f64
        } else {
            (self.total - self.done) as f64 / rate
        };
        Duration::from_secs_f64(left.clamp(0.0, 1e9))
    }
}

impl Progress for Talk {
    fn start(&self, what: &str, items: Items, bytes: u64) {
        let mut state = self.lock();
        let now = Instant::now();
        *state = State {
            what: what.to_owned(),
            items: Some(items),
            total: items.count(),
            total_bytes: bytes,
            began: Some(now),
            last_line: Some(now),
            ..State::default()
        };
        if self.bar && items.count() > 0 {
            let bar = ProgressBar::with_draw_target(Some(items.count()), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{prefix:>12} [{bar:32}] {msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            state.bar = Some(bar);
        }
    }

    fn step(&self, step: Step) {
        let mut state = self.lock();
        state.done += 1;
        state.linked += u64::from(step.kind == Kind::Link);
        state.bytes += step.bytes;
        let summary = state.summary();
        if let Some(bar) = &state.bar {
            bar.set_message(summary);
            bar.inc(1);
            return;
        }
        let due = state.last_line.is_none_or(|last| last.elapsed() >= LINE_EVERY);
        if !self.bar && due {
            state.last_line = Some(Instant::now());
            line(&format!("{}: {summary}", state.what));
        }
    }

    fn finish(&self) {
        let mut state = self.lock();
        if let Some(bar) = state.bar.take() {
            bar.finish_and_clear();
        }
        if state.total > 0 {
            line(&format!("{}: {}", state.what, state.summary()));
        }
    }

    fn say(&self, text: &str) {
        match &self.lock().bar {
            Some(bar) => bar.suspend(|| line(text)),
            None => line(text),
        }
    }
}
