//! eegcache prepares EEG datasets for training.

pub mod error;
pub mod formats;
pub mod model;
