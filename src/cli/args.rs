//! The command line, as clap reads it.

use crate::model::shard::Shard;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;
use std::time::Duration;

/// A versioned, verified preprocessing cache for EEG datasets
#[derive(Debug, Parser)]
#[command(name = "eegcache", version, propagate_version = true, max_term_width = 110)]
#[command(
    after_help = "Exit codes: 0 done, 1 not ready, 2 usage or configuration, 3 damaged cache, 4 data gate,\n\
    5 built with recordings in quarantine, 74 environment, 75 another build holds it, 130 interrupted"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Link, relabel and build what a profile is missing
    Build(BuildArgs),
    /// Show the state of every profile and the next step
    Status(ReadArgs),
    /// Check a cache before training; with `-- CMD` become CMD if it is ready
    Preflight(PreflightArgs),
    /// Hash every file again and report damage
    Verify(VerifyArgs),
    /// Remove versions, and what nothing needs any more
    Gc(GcArgs),
    /// Say why a recording is a hit, a miss or stale
    Explain(ExplainArgs),
    /// Show or check configurations
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show what is in a recording and how its channels map
    Inspect(InspectArgs),
    /// Write the deterministic demo corpus
    Demo(DemoArgs),
    /// Write the windows of a cache as the files that other programs read
    Export(ExportArgs),
    /// Examine another program's cache of windows and build what of it can be proved
    Adopt(AdoptArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

impl Command {
    /// The worker threads that the command was told to start.
    pub(crate) fn jobs(&self) -> Option<u16> {
        match self {
            Self::Build(args) => args.jobs,
            Self::Export(args) => args.jobs,
            Self::Adopt(args) => args.jobs,
            _ => None,
        }
    }
}

/// Where the configuration comes from.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// A configuration file; may be given several times, later files win
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub(crate) configs: Vec<PathBuf>,
    /// The profile: smoke, dev or full
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The cache root, taken from the project root if it is relative
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_root: Option<String>,
    /// Set a configuration key, for instance `--set windows.length_s=30`
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[expect(clippy::struct_excessive_bools, reason = "flags of the command line")]
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Worker threads (default: all cores)
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// Memory to use at most, for instance 4G (default: most of what is available)
    #[arg(long, value_name = "SIZE", value_parser = crate::ops::memory::parse)]
    pub(crate) memory: Option<u64>,
    /// Print the plan and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Try recordings again that failed before
    #[arg(long)]
    pub(crate) retry_failed: bool,
    /// Do not wait for another build of the same version, exit 75
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Build part K of N of the profile, beside the builders of the other parts (job arrays)
    #[arg(long, value_name = "K/N")]
    pub(crate) shard: Option<Shard>,
    /// Hash every recording instead of trusting what is remembered of it
    #[arg(long)]
    pub(crate) paranoid: bool,
    /// Leave out every sync: faster, for caches that may be thrown away
    #[arg(long)]
    pub(crate) no_fsync: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Print the report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PreflightArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Print the report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// The command to become if the cache is ready; it finds `data.cache_dir` in `EEGCACHE_DIR`
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<std::ffi::OsString>,
}

#[expect(clippy::struct_excessive_bools, reason = "flags of the command line")]
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Look at sizes and structure only
    #[arg(long)]
    pub(crate) quick: bool,
    /// Move damaged files of all profiles to `.damaged/`, so that `build` makes them again
    #[arg(long, conflicts_with = "quick")]
    pub(crate) repair: bool,
    /// Repair also where locks do not exclude: nobody else uses the cache now
    #[arg(long, requires = "repair")]
    pub(crate) assume_exclusive: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[expect(clippy::struct_excessive_bools, reason = "flags of the command line")]
#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
#[command(group = clap::ArgGroup::new("scope").required(true).args(["version", "older_than", "orphans"]))]
pub(crate) struct GcArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Remove this version, in every profile or in that of `--profile`
    #[arg(long, value_name = "NAME")]
    pub(crate) version: Option<String>,
    /// Remove versions whose manifest was written so long ago, for instance 30d
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) older_than: Option<Duration>,
    /// Remove files that nothing needs any more, and what killed builds left behind
    #[arg(long)]
    pub(crate) orphans: bool,
    /// Say what would be removed and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove also where locks do not exclude: nobody else uses the cache now
    #[arg(long)]
    pub(crate) assume_exclusive: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Reads `90s`, `15m`, `12h`, `30d` or `4w`.
fn age(text: &str) -> Result<Duration, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 24 * 3600), ('w', 7 * 24 * 3600)];
    let read = |(unit, seconds): (char, u64)| -> Option<Duration> {
        let digits = text.strip_suffix(unit).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
        digits.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
    };
    let found = units.into_iter().find_map(read);
    found.ok_or_else(|| "an age is a number and one of s, m, h, d, w, for instance 30d".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The recording's id
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Print the report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the resolved configuration
    Show {
        #[command(flatten)]
        config: ConfigArgs,
        /// Say which file and line, variable or flag set each value
        #[arg(long)]
        origin: bool,
        /// Print it as one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Resolve many configurations and print every conflict between them
    Check {
        /// The configuration files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Print the report as one JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The recording
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// With `--json`: minimum, maximum, sum and SHA-256 of the digital samples of every signal, and SHA-256 of what the recipe makes of each channel, in double precision
    #[arg(long, requires = "json")]
    pub(crate) samples: bool,
    /// Draw ten seconds of all channels, before and after the recipe
    #[arg(long, value_name = "OUT.SVG")]
    pub(crate) plot: Option<PathBuf>,
    /// Where the drawing begins; without it at the first seizure, else at the first annotation
    #[arg(long, value_name = "SECONDS", requires = "plot")]
    pub(crate) at: Option<String>,
    /// Print the report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// An empty or absent directory, or one that `demo` made
    pub(crate) directory: PathBuf,
    /// Number of recordings
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) recordings: u32,
    /// Seed: the same seed gives the same bytes
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// How windows lie in files: `<id>_windows.npz`, pairs of `.npy`, or such pairs with listings
    #[arg(long, value_name = "LAYOUT", value_parser = ["windows", "npy", "brain-brr"])]
    pub(crate) layout: String,
    /// An empty or absent directory, or one that `export` made
    pub(crate) directory: PathBuf,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Worker threads (default: all cores)
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// Print the report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AdoptArgs {
    /// The cache: files of windows, or directories of a split that hold such files
    pub(crate) directory: PathBuf,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// How many recordings are made again from their sources, evenly chosen
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) sample: usize,
    /// Examine only, build nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Worker threads (default: all cores)
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// Print the report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
