//! eegcache prepares EEG datasets for training.

pub mod error;
pub mod model;
pub mod store;
