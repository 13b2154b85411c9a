//! The allocator of the program: mimalloc, or the system's where `ulimit -v` bounds the address space.
//!
//! Beside glibc's it takes a tenth off a build (memory on large pages and cache lines, kept from one recording to the next) and a
//! fifth off `status` of a large dataset (millions of short strings). It reserves a gigabyte of addresses ahead,
//! though: nothing where addresses are free, half of everything under `ulimit -v 2097152`.
//!
//! What one recording frees the next one takes again, within milliseconds; so memory goes back to the system after ten seconds
//! and not after one. A page that comes back has to be cleared first, which took up to a tenth of a build. Where the memory that a
//! build may use is narrow, it goes back at once: what lay about was half as much again as what was in use.
//!
//! Large pages are for recordings: transforms are up to a tenth faster on them. Lists of many small things gain nothing, and a machine that
//! gets its memory from its host as it needs it may pay dearly for each: `status` of 100,000 recordings took 3.1 to 6.4 s of CPU
//! time with them, 3.3 to 3.9 s without. So a program begins without them.

#![expect(unsafe_code, reason = "what an allocator promises, no compiler can check")]

use libmimalloc_sys::{mi_collect, mi_option_get, mi_option_set, mi_option_t};
use mimalloc::MiMalloc;
#[cfg(target_os = "linux")]
use rustix::thread::{disable_transparent_huge_pages, transparent_huge_pages_are_disabled};
use std::alloc::{GlobalAlloc, Layout, System};
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicBool, Ordering};

#[global_allocator]
static ALLOCATOR: Chosen = Chosen;

/// `mi_option_purge_delay` of mimalloc 3, which the bindings leave unnamed: milliseconds until freed memory goes back.
const PURGE_DELAY: mi_option_t = 15;
/// Its value where nobody set another one, for instance by `MIMALLOC_PURGE_DELAY`.
const DEFAULT_DELAY_MS: std::ffi::c_long = 1000;
const DELAY_MS: std::ffi::c_long = 10_000;

/// Lets freed memory stay until the next recording takes it. To be called while there is one thread.
pub(crate) fn keep_freed_memory() {
    // SAFETY: options are numbers that may be read and set at any time by one thread; nobody else is there yet.
    unsafe {
        if !is_bounded() && mi_option_get(PURGE_DELAY) == DEFAULT_DELAY_MS {
            mi_option_set(PURGE_DELAY, DELAY_MS);
        }
    }
}

/// Gives back what is free, and from now on whatever becomes free, unless somebody set another delay.
pub(crate) fn give_back() {
    // SAFETY: the allocator may collect at any time. The option is a machine word, which it reads without a lock whenever memory becomes
    // free: either value will do.
    unsafe {
        if !is_bounded() && mi_option_get(PURGE_DELAY) == DELAY_MS {
            // In this order: without a delay nothing is looked for that was freed while there was one.
            mi_collect(true);
            mi_option_set(PURGE_DELAY, 0);
        }
    }
}

/// True while large pages are off that were on before.
#[cfg(target_os = "linux")]
static ARE_PAGES_SMALL: AtomicBool = AtomicBool::new(false);

/// Turns transparent huge pages off for this process, and for whatever it becomes.
pub(crate) fn small_pages() {
    #[cfg(target_os = "linux")]
    if transparent_huge_pages_are_disabled() == Ok(false) && disable_transparent_huge_pages(true).is_ok() {
        ARE_PAGES_SMALL.store(true, Ordering::Relaxed);
    }
}

/// Turns them on again, where `small_pages` turned them off.
pub(crate) fn large_pages() {
    #[cfg(target_os = "linux")]
    if ARE_PAGES_SMALL.swap(false, Ordering::Relaxed) {
        // Nothing but speed depends on it.
        let _ = disable_transparent_huge_pages(false);
    }
}

/// One of the two, chosen at the first call, for the life of the process.
struct Chosen;

// SAFETY: all calls of a process go to one allocator, with what the caller promises; the choice itself allocates nothing.
unsafe impl GlobalAlloc for Chosen {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: see above, here and below.
        unsafe { chosen().alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: see above.
        unsafe { chosen().alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: see above.
        unsafe { chosen().realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: see above.
        unsafe { chosen().dealloc(memory, layout) }
    }
}

#[inline]
fn chosen() -> &'static dyn GlobalAlloc {
    if is_bounded() { &System } else { &MiMalloc }
}

/// True where the address space of the process was bounded when it began.
#[cfg(unix)]
#[inline]
fn is_bounded() -> bool {
    use rustix::process::{Resource, getrlimit};
    use std::sync::atomic::{AtomicU8, Ordering};

    const UNKNOWN: u8 = 2;
    // The first call comes before `main`, when there is one thread.
    static IS_BOUNDED: AtomicU8 = AtomicU8::new(UNKNOWN);
    match IS_BOUNDED.load(Ordering::Relaxed) {
        UNKNOWN => {
            let is_bounded = getrlimit(Resource::As).current.is_some();
            IS_BOUNDED.store(u8::from(is_bounded), Ordering::Relaxed);
            is_bounded
        }
        known => known == 1,
    }
}

#[cfg(not(unix))]
fn is_bounded() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn large_pages_come_back_where_they_were() {
        let before = transparent_huge_pages_are_disabled();
        small_pages();
        assert_ne!(transparent_huge_pages_are_disabled(), Ok(false));
        large_pages();
        assert_eq!(transparent_huge_pages_are_disabled(), before);
    }

    #[test]
    fn the_option_is_the_one_that_is_meant() {
        keep_freed_memory();
        // SAFETY: as above; tests of this program run no other thread that sets options.
        let found = unsafe { mi_option_get(PURGE_DELAY) };
        assert!(
            is_bounded() || std::env::var_os("MIMALLOC_PURGE_DELAY").is_some() || found == DELAY_MS,
            "{found}"
        );
    }
}
