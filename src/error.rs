//! What can stop a command. A bad recording is no `Error` but a `model::Failure` in the report.
//!
//! Each kind has one exit code, assigned in `cli`; each message says where, what and how much, and
//! `hint` says what to do next.

use std::path::{Path, PathBuf};

/// The result of everything that can stop a command.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What stopped a command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line or the configuration is wrong (exit 2).
    #[error(transparent)]
    Config(#[from] ConfigError),

    /// The machine said no: space, permission, I/O, descriptors (exit 74).
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried, as a verb: `read`, `write`, `link`.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// Not enough space for what is to be built (exit 74).
    #[error("not enough space below `{}`: {needed} bytes needed, {free} free", path.display())]
    NoSpace {
        /// The cache root.
        path: PathBuf,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },

    /// Another build holds the version (exit 75).
    #[error("`{}` is held by another build ({holder})", path.display())]
    Busy {
        /// The version's directory.
        path: PathBuf,
        /// Who holds it, as the lock file tells.
        holder: String,
    },

    /// The cache is damaged (exit 3).
    #[error("damaged cache: `{}`: {message}", path.display())]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What.
        message: String,
    },

    /// The data itself forbids going on: labels, leakage, channels (exit 4).
    #[error("{message}")]
    Gate {
        /// What.
        message: String,
        /// What to do.
        hint: String,
    },

    /// The cache is not ready: not found, incomplete, stale, mismatch (exit 1).
    #[error("{message}")]
    NotReady {
        /// What.
        message: String,
        /// What to do.
        hint: String,
    },

    /// Interrupted by a signal (exit 130).
    #[error("interrupted: {message}")]
    Interrupted {
        /// What was finished and is kept.
        message: String,
    },
}

impl Error {
    /// Wraps a system error with what was tried and where.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Returns a configuration error with a single problem.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        let problem =
            Problem { message: message.into(), origin: None, hint: (!hint.is_empty()).then_some(hint) };
        Self::Config(ConfigError { problems: vec![problem] })
    }
}

/// Everything that is wrong with a configuration, found in one pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError {
    /// The problems, at least one.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, with the key in backticks.
    pub message: String,
    /// Where it was written: `configs/x.yaml:12`, `environment variable EEGCACHE_…`, `--set …`.
    pub origin: Option<String>,
    /// How to mend it.
    pub hint: Option<String>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        write!(f, "{}", self.message)
    }
}
