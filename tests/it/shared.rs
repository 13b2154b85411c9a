//! The test data that lies beside the repository, and not in it.
#![expect(clippy::print_stderr, reason = "a skipped test must be seen")]

use std::path::{Path, PathBuf};

/// Returns the directory of shared data, or nothing with a visible line where it is absent.
pub(crate) fn shared() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let directory = std::env::var_os("EEGCACHE_SHARED").map_or_else(beside, PathBuf::from);
    if directory.join("data").is_dir() {
        return Some(directory);
    }
    eprintln!("skipped: no test data in `{}` (set EEGCACHE_SHARED)", directory.display());
    None
}
