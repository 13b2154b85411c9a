//! The resolved configuration: what `config` makes of all layers, and every verb works from.

use crate::model::dataset::DatasetSpec;
use crate::model::id::{ProfileName, Split, VersionName};
use crate::model::order::{Family, Subset};
use crate::model::recipe::{AnnotationFormat, Recipe};
use crate::model::units::{Rate, Seconds};
use crate::model::window::{Windowing, whole_samples};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Everything a verb needs to know; checked, without an `Option` that means "maybe configured".
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory that holds `configs/`.
    pub project_root: PathBuf,
    /// `cache.root`, absolute.
    pub cache_root: PathBuf,
    /// `cache.version`.
    pub version: VersionName,
    /// `cache.profile`.
    pub profile: ProfileName,
    /// `cache.profiles`, which holds `profile`.
    pub profiles: BTreeMap<ProfileName, ProfileSpec>,
    /// The family that all profiles share.
    pub family: Family,
    /// `cache.link`, in the order in which methods are tried.
    pub link: Vec<LinkMethod>,
    /// `cache.max_quarantined`, a share.
    pub max_quarantined: f64,
    /// The dataset.
    pub dataset: DatasetSpec,
    /// `data.splits`: what is built and demanded.
    pub splits: Vec<Split>,
    /// The recipe.
    pub recipe: Recipe,
    /// `windows`.
    pub windows: WindowSpec,
    /// `labels.expected_share.windows`: lowest and highest share of seizure windows, on `full`.
    pub expected_share: Option<(f64, f64)>,
    /// The flags of the command line that chose this configuration, the profile left out, as a shell reads
    /// them, each behind a blank: a command that mends something must mean the same cache.
    pub flags: String,
    /// Things the user should hear about.
    pub warnings: Vec<String>,
}

/// A profile.
#[derive(Debug, Clone)]
pub struct ProfileSpec {
    /// Its size.
    pub subset: Subset,
    /// The profiles whose files it may share, in order.
    pub reuse_from: Vec<ProfileName>,
}

/// How a file is shared between profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkMethod {
    /// A copy-on-write clone.
    Reflink,
    /// A second name of the same inode.
    Hardlink,
    /// A second set of bytes.
    Copy,
}

impl LinkMethod {
    /// Every method.
    pub const ALL: [Self; 3] = [Self::Reflink, Self::Hardlink, Self::Copy];

    /// Returns the name used in configurations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reflink => "reflink",
            Self::Hardlink => "hardlink",
            Self::Copy => "copy",
        }
    }
}

/// Window length and stride in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WindowSpec {
    /// Length.
    pub length_s: Seconds,
    /// Stride.
    pub stride_s: Seconds,
}

impl WindowSpec {
    /// Returns the windowing in samples, or nothing where either is no whole number of samples at `rate`.
    #[must_use]
    pub fn at(self, rate: Rate) -> Option<Windowing> {
        Windowing::new(whole_samples(self.length_s, rate)?, whole_samples(self.stride_s, rate)?)
    }
}

impl Settings {
    /// The specification of the selected profile.
    #[must_use]
    pub fn profile_spec(&self) -> &ProfileSpec {
        // Cannot fail: `config::resolve` refuses a profile that is not in the map.
        &self.profiles[&self.profile]
    }

    /// True where annotations lie in the recordings themselves and not in files beside them.
    #[must_use]
    pub fn annotations_inside(&self) -> bool {
        let is_own = self.recipe.labels.format == AnnotationFormat::EdfAnnotations;
        is_own && self.dataset.annotations.file.is_empty()
    }

    /// `data.cache_dir`: `<cache.root>/<profile>/<cache.version>`.
    #[must_use]
    pub fn cache_dir(&self) -> PathBuf {
        self.cache_root.join(self.profile.as_str()).join(self.version.as_str())
    }

    /// The command that builds what is missing, in the same configuration.
    #[must_use]
    pub fn build_command(&self) -> String {
        format!("eegcache build{} --profile {}", self.flags, self.profile)
    }

    /// The command that moves damaged files aside, in the same configuration.
    #[must_use]
    pub fn repair_command(&self) -> String {
        format!("eegcache verify --repair{}", self.flags)
    }

    /// The same settings for another profile of the map.
    #[must_use]
    pub fn for_profile(&self, profile: &ProfileName) -> Self {
        Self { profile: profile.clone(), ..self.clone() }
    }
}
