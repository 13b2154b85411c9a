//! What can be said about a configuration even where something in it is wrong: a row of `config check`.

use crate::model::id::Digest;
use std::path::PathBuf;

/// A directory that a configuration names by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// `data.cache_dir` or `experiment.cache_dir`.
    pub key: String,
    /// As it was written, variables filled in.
    pub value: String,
    /// Taken from the project root.
    pub path: PathBuf,
    /// Where it was written.
    pub origin: String,
}

/// The names and fingerprints of a configuration, as far as they can be resolved.
#[derive(Debug, Clone, Default)]
pub struct Outline {
    /// The directory that holds `configs/`.
    pub project_root: PathBuf,
    /// `data.dataset`.
    pub dataset: Option<String>,
    /// `cache.profile`.
    pub profile: Option<String>,
    /// `cache.version`.
    pub version: Option<String>,
    /// `cache.root`, absolute.
    pub cache_root: Option<PathBuf>,
    /// `<cache.root>/<profile>/<cache.version>`.
    pub cache_dir: Option<PathBuf>,
    /// Which recordings the profile takes, for instance `first_50_files`.
    pub subset: Option<String>,
    /// The dataset's root, absolute.
    pub dataset_root: Option<PathBuf>,
    /// The signal fingerprint.
    pub signal: Option<Digest>,
    /// The label fingerprint.
    pub labels: Option<Digest>,
    /// The directories that the configuration names by itself.
    pub claims: Vec<Claim>,
    /// Where `cache.root` was written.
    pub cache_root_origin: String,
    /// Where the dataset's root was written.
    pub dataset_root_origin: String,
}

/// One value of the resolved configuration.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Setting {
    /// The whole key with dots.
    pub key: String,
    /// The value.
    pub value: serde_json::Value,
    /// Where it was written.
    pub origin: String,
    /// The value as one line of YAML.
    #[serde(skip)]
    pub shown: String,
}
