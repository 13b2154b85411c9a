//! L4, the face: arguments, text, progress.

pub mod config;
