//! Integration tests, one binary.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod demo;
mod source;
//! The one integration test binary.

mod edf_writer;
mod formats;
mod shared;
//! All integration tests in one binary.

mod config;
mod golden_dsp;
