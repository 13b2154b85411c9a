//! The `eegcache` program; everything is in `cli`, but for the allocator, which a program has only one of.

mod allocator;

use eegcache::ops::Allocator;
use std::process::ExitCode;

fn main() -> ExitCode {
    allocator::keep_freed_memory();
    allocator::small_pages();
    let allocator = Allocator { give_back: allocator::give_back, large_pages: allocator::large_pages };
    ExitCode::from(eegcache::cli::main(allocator))
}
