//! One run of programs: CPU seconds, wall seconds and peak memory, as the system accounts for them.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Ticks a second of `/proc/<pid>/stat`: fixed in Linux' interface.
const TICKS: f64 = 100.0;

/// What a run cost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// User and system seconds; the kernel counts in hundredths.
    pub(crate) cpu: f64,
    /// Seconds from start to exit.
    pub(crate) wall: f64,
    /// The most memory that was resident, in MiB.
    pub(crate) peak: f64,
}

/// Runs programs, one after the other, which must succeed.
pub(crate) fn run(commands: Vec<Command>) -> Cost {
    let costs = commands.into_iter().map(run_one);
    costs.fold(Cost::default(), |total, cost| Cost {
        cpu: total.cpu + cost.cpu,
        wall: total.wall + cost.wall,
        peak: total.peak.max(cost.peak),
    })
}

fn run_one(mut command: Command) -> Cost {
    let (before, began) = (children(), Instant::now());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0_f64;
    let code = loop {
        if let Some(code) = child.try_wait().unwrap() {
            break code;
        }
        let now = fs_err::read_to_string(&status).ok().and_then(|text| high_water(&text));
        peak = peak.max(now.unwrap_or(0.0));
        std::thread::sleep(Duration::from_millis(2));
    };
    let wall = began.elapsed().as_secs_f64();
    assert!(code.success(), "{command:?}: {code}");
    Cost { cpu: children() - before, wall, peak }
}

/// CPU seconds of all children that were waited for.
fn children() -> f64 {
    let text = fs_err::read_to_string("/proc/self/stat").unwrap();
    // Behind the name, which stands in parentheses: cutime and cstime are fields 16 and 17 of proc(5)'s line.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[13..15].iter().map(|field| field.parse::<f64>().unwrap()).sum::<f64>() / TICKS
}

fn high_water(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
}

/// The middle of values, or that of the two middle ones.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// The yardstick of a command that only looks: what it costs to ask the file system for every file once.
pub(crate) fn find(roots: &[std::path::PathBuf]) -> Command {
    let mut command = Command::new("find");
    command.args(roots).args(["-type", "f", "-printf", "%s %T@\\n"]);
    command
}
