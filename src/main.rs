//! The `eegcache` program; everything is in `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(eegcache::cli::main())
}
