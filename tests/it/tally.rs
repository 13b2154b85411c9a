//! The count of injected faults and of what was left out: `make test` and `make torture` print both at the end.
#![allow(dead_code, clippy::print_stderr, reason = "shared by two test binaries, which use parts of it")]

use std::io::Write;

/// True in `make torture`.
pub(crate) fn is_long() -> bool {
    std::env::var_os("EEGCACHE_TORTURE").is_some()
}

/// Every how many-th fault is injected: all of them in `make torture`.
pub(crate) fn stride(fast: usize) -> usize {
    thin(fast, 1)
}

/// As `stride`, where `make torture` takes but every `long`-th: the faults are many, and much like those that are all
/// injected elsewhere. `EEGCACHE_TORTURE=all` leaves none out.
pub(crate) fn thin(fast: usize, long: usize) -> usize {
    match std::env::var_os("EEGCACHE_TORTURE") {
        None => fast,
        Some(value) if value == "all" => 1,
        Some(_) => long,
    }
}

/// Enters faults of a kind that were injected and judged.
pub(crate) fn count(kind: &str, faults: usize) {
    line(&format!("{faults}\t{kind}"));
}

/// Says what cannot be tested here, and why.
pub(crate) fn skip(what: &str) {
    line(&format!("skipped: {what}"));
}

fn line(text: &str) {
    eprintln!("{text}");
    let Some(path) = std::env::var_os("EEGCACHE_TALLY") else { return };
    let file = fs_err::OpenOptions::new().create(true).append(true).open(std::path::PathBuf::from(path));
    file.and_then(|mut file| file.write_all(format!("{text}\n").as_bytes())).unwrap();
}
