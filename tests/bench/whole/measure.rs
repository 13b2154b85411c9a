//! One run of a program: CPU seconds, wall seconds and peak memory, as the system accounts for them.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Ticks a second of `/proc/<pid>/stat`: fixed in Linux' interface.
const TICKS: f64 = 100.0;

/// What a run cost.
pub struct Cost {
    /// User and system seconds.
    pub cpu: f64,
    /// Seconds from start to exit.
    pub wall: f64,
    /// Peak resident memory in MiB.
    pub peak: f64,
}

pub fn run(command: &mut Command) -> Cost {
    let (before, began) = (children(), Instant::now());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0_f64;
    let code = loop {
        peak =
            peak.max(fs_err::read_to_string(&status).ok().and_then(|text| high_water(&text)).unwrap_or(0.0));
        if let Some(code) = child.try_wait().unwrap() {
            break code;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let wall = began.elapsed().as_secs_f64();
    assert!(code.success(), "{command:?}: {code}");
    Cost { cpu: children() - before, wall, peak }
}

/// CPU seconds of all children that were waited for.
fn children() -> f64 {
    let text = fs_err::read_to_string("/proc/self/stat").unwrap();
    // Behind the name, which stands in parentheses: cutime and cstime are fields 16 and 17 of the line.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[13..15].iter().map(|field| field.parse::<f64>().unwrap()).sum::<f64>() / TICKS
}

fn high_water(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}
