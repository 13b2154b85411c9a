//! Integration tests, one binary.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod adopt;
mod annotations;
mod build;
mod changes;
mod config;
mod datasets;
mod demo;
mod documents;
mod edf_writer;
mod export;
mod faults;
mod formats;
mod gaps;
mod gc;
mod golden_dsp;
mod inspect;
mod invariant;
mod judging;
mod layers;
mod project;
mod quality;
mod reader;
mod real_recordings;
mod replay;
mod rust_reader;
mod shards;
mod shared;
mod sharing;
mod source;
mod store;
mod tally;
mod tiny;
mod torture;
mod traps;
