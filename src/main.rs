//! The `eegcache` program; everything is in `cli`, but for the allocator, which a program has only one of.

mod allocator;

use std::process::ExitCode;

fn main() -> ExitCode {
    allocator::keep_freed_memory();
    ExitCode::from(eegcache::cli::main(allocator::give_back))
}
