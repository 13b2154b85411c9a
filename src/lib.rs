//! eegcache prepares EEG datasets for training.

pub mod demo;
pub mod dsp;
pub mod cli;
pub mod config;
pub mod error;
pub mod formats;
pub mod model;
pub mod source;
pub mod store;
pub mod ops;
