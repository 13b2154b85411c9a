//! What can stop a command. A bad recording is no `Error` but a `model::Failure` in the report.
//!
//! Each kind has one exit code, which every face shows; each message says where, what and how much, and
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

/// What sort of trouble an error is: it decides the exit code, and which exception other languages raise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The command line or the configuration is wrong.
    Config,
    /// The machine said no.
    Io,
    /// Not enough space.
    NoSpace,
    /// Another build holds the version.
    Busy,
    /// The cache is damaged.
    Damaged,
    /// The data itself forbids going on.
    Gate,
    /// The cache is not ready.
    NotReady,
    /// Interrupted by a signal.
    Interrupted,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Config,
        Self::Io,
        Self::NoSpace,
        Self::Busy,
        Self::Damaged,
        Self::Gate,
        Self::NotReady,
        Self::Interrupted,
    ];

    /// Returns the public name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Io => "io",
            Self::NoSpace => "no-space",
            Self::Busy => "busy",
            Self::Damaged => "damaged",
            Self::Gate => "gate",
            Self::NotReady => "not-ready",
            Self::Interrupted => "interrupted",
        }
    }

    /// Returns the exit code of a command that this kind of error stopped.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::NotReady => 1,
            Self::Config => 2,
            Self::Damaged => 3,
            Self::Gate => 4,
            Self::Io | Self::NoSpace => 74,
            Self::Busy => 75,
            Self::Interrupted => 130,
        }
    }
}

impl Error {
    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(_) => ErrorKind::Config,
            Self::Io { .. } => ErrorKind::Io,
            Self::NoSpace { .. } => ErrorKind::NoSpace,
            Self::Busy { .. } => ErrorKind::Busy,
            Self::Damaged { .. } => ErrorKind::Damaged,
            Self::Gate { .. } => ErrorKind::Gate,
            Self::NotReady { .. } => ErrorKind::NotReady,
            Self::Interrupted { .. } => ErrorKind::Interrupted,
        }
    }

    /// Returns what to do next; the hints of all problems, a line each, where a configuration is wrong.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Config(config) => {
                let hints: Vec<&str> = config.problems.iter().filter_map(|p| p.hint.as_deref()).collect();
                hints.join("\n")
            }
            Self::Gate { hint, .. } | Self::NotReady { hint, .. } => hint.clone(),
            Self::NoSpace { needed, free, .. } => format!(
                "free {} bytes more, take a smaller profile, or move the cache with `--cache-root`; what is \
                 finished is kept",
                needed.saturating_sub(*free)
            ),
            Self::Busy { .. } => "wait for it, or leave out `--no-wait`".to_owned(),
            Self::Io { .. } => {
                "mend this and run the same command again: nothing that is finished is lost".to_owned()
            }
            Self::Damaged { .. } => "run `eegcache verify`".to_owned(),
            Self::Interrupted { .. } => "run the same command again to go on".to_owned(),
        };
        (!hint.is_empty()).then_some(hint)
    }

    /// True where a name was not there.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }

    /// Wraps a system error with what was tried and where.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { action, path, source: without_path(source) }
    }

    /// Returns a configuration error with a single problem.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        let problem =
            Problem { message: message.into(), origin: None, hint: (!hint.is_empty()).then_some(hint) };
        Self::Config(ConfigError { problems: vec![problem] })
    }
}

/// The system's own error, where a library put words and the path around it.
fn without_path(error: std::io::Error) -> std::io::Error {
    let inner = error.get_ref().and_then(|wrapped| wrapped.source());
    let code = inner.and_then(|inner| inner.downcast_ref::<std::io::Error>()?.raw_os_error());
    code.map_or(error, std::io::Error::from_raw_os_error)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_named_once() {
        let error = fs_err::read("/nowhere/x").map_err(Error::io("read", "/nowhere/x")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read `/nowhere/x`: No such file or directory (os error 2)");
        assert!(error.is_absence());
        let own = Error::io("start", "it")(std::io::Error::other("no reason"));
        assert_eq!(own.to_string(), "cannot start `it`: no reason");
    }
}
