//! eegcache prepares EEG datasets for training.

pub mod cli;
pub mod config;
pub mod error;
pub mod model;
pub mod ops;
