//! eegcache prepares EEG datasets for training.

pub mod dsp;
pub mod error;
pub mod model;
