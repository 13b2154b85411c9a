//! Counts the memory that a thread takes, for the test of estimates.

#![expect(unsafe_code, reason = "an allocator is unsafe code; this one passes everything on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

thread_local! {
    /// Bytes that this thread has and the most that it had; what other threads free for it counts as well, so it may be negative.
    static TAKEN: Cell<[i64; 2]> = const { Cell::new([0; 2]) };
}

fn count(bytes: i64) {
    // A thread that ends has no counter any more.
    let _ = TAKEN.try_with(|taken| {
        let [now, most] = taken.get();
        taken.set([now + bytes, most.max(now + bytes)]);
    });
}

// SAFETY: all calls go to the system's allocator as they come.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: see above, here and below.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: see above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // As an allocator that moves the memory: for a moment both are there.
        count(size as i64);
        // SAFETY: see above.
        let moved = unsafe { System.realloc(memory, layout, size) };
        count(-(layout.size() as i64));
        moved
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: see above.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Returns what `run` returns, and how many bytes it took at most on this thread.
pub(crate) fn most_bytes<T>(run: impl FnOnce() -> T) -> (T, u64) {
    let [before, _] = TAKEN.get();
    TAKEN.set([before; 2]);
    let result = run();
    let [_, most] = TAKEN.get();
    (result, (most - before) as u64)
}
