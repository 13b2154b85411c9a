//! eegcache turns EEG datasets into a versioned, verified preprocessing cache.
//!
//! It reads EDF and BDF recordings and their seizure annotations, applies one declared recipe and keeps the
//! result in three profiles (smoke, dev, full) that share every finished file. It builds only what is missing, and
//! says before training starts whether the cache is the right one.
//!
//! ```text
//! configs/*.yaml          recordings + annotations        cache/
//!      │ ops::load             │ source, formats            │ store
//!      ▼                       ▼                            ▼
//!   [Layer]                Inventory                 manifest + journals
//!      │ config::resolve       │                            │
//!      ▼                       ▼                            │
//!   Settings, Recipe ────► plan::plan ◄─────────────────────┘
//!                              │
//!                              ▼
//!          Plan = [Task: signal × labels × Reason] ──► status · preflight · explain · --dry-run stop here
//!                              │ rayon, each task (ops::process):
//!                              ▼
//!  formats::read_* ─► Recording ─ dsp::apply ─► Signal ─ Writer::write_* ─► Entry ─ Writer::record ─► journal
//!                                                                                    │ Writer::commit
//!                              text │ json ◄─ cli::render ─ BuildReport ◄────────── manifest
//! ```
//!
//! | module | may import | world it may touch |
//! |---|---|---|
//! | `model`, `error`, `fault` | – | nothing |
//! | `config`, `formats`, `dsp`, `plan` | `model`, `error` | nothing (`formats` sees only `Read`, once, forward) |
//! | `container` | – | nothing: bytes of `.npy` headers and ZIP frames |
//! | `source`, `demo` | `model`, `error`, `fault` | dataset roots, read-only; the demo's own directory |
//! | `store` | `model`, `error`, `fault`, `container` | below the cache root only |
//! | `exchange` | `model`, `error`, `fault`, `container` | a directory that it is handed, for other programs' files |
//! | `ops` | all above | threads, clock, configuration files |
//! | `cli` | `ops`, `model`, `config`, `error` | terminal, arguments, environment |
//! | `python/`, a package of its own | `ops`, `model`, `config`, `error` | the interpreter, cache files that are mapped |
//!
//! What is deliberately absent:
//! * `dsp` and `formats` never see a path; `plan` never sees a file; `config` never opens one.
//! * No dataset is named in `src/`: a new dataset is a YAML file. (An annotation *format* is code.)
//! * Nothing but `store` writes below the cache root; nothing writes below a dataset root. Files for other programs go elsewhere.
//! * A finished file never changes after it was published.
//! * No modification time, absolute path, host name or thread count enters a fingerprint.
//! * A lost or torn manifest costs time, never correctness.
//! * A bad recording is a `Failure` in the report; only a bad cache or configuration stops a run.
//! * The library prints nothing and reads no environment.

pub mod cli;
pub mod config;
pub mod container;
pub mod demo;
pub mod dsp;
pub mod error;
pub mod exchange;
mod fault;
pub mod formats;
pub mod model;
pub mod ops;
pub mod plan;
pub mod source;
pub mod store;
