//! L3, the verbs: the only place where layers meet. Each verb returns a report and prints nothing.

pub mod config;
pub mod load;
