//! The `eegcache` program; everything is in `cli`, but for the allocator, which a program has only one of.

mod allocator;

use std::process::ExitCode;

fn main() -> ExitCode {
    allocator::keep_freed_memory();
    eegcache::ops::memory::set_give_back(allocator::give_back);
    ExitCode::from(eegcache::cli::main())
}
