//! Commands side by side: CPU and wall time of whole processes, their peak memory, and the ratios between them.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Kernel clock ticks a second in `/proc/<pid>/stat`: 100 on every Linux.
const TICKS: f64 = 100.0;

/// What runs of a command cost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// Seconds of all processors, the mean of the runs: the kernel counts in ticks of 10 ms.
    pub(crate) cpu: f64,
    /// Seconds, the median of the runs.
    pub(crate) wall: f64,
    /// The most memory that was resident, in MB.
    pub(crate) peak: f64,
}

impl Cost {
    /// The middle of values.
    pub(crate) fn median(values: &mut [f64]) -> f64 {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    fn of(runs: &[Self]) -> Self {
        let mut walls: Vec<f64> = runs.iter().map(|run| run.wall).collect();
        Self {
            cpu: runs.iter().map(|run| run.cpu).sum::<f64>() / runs.len() as f64,
            wall: Self::median(&mut walls),
            peak: runs.iter().map(|run| run.peak).fold(0.0, f64::max),
        }
    }
}

/// Runs a command that must succeed.
fn run(mut command: Command) -> Cost {
    let (before, began) = (children_cpu(), Instant::now());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (mut peak, mut wall) = (0.0_f64, None);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            wall.get_or_insert_with(|| began.elapsed().as_secs_f64());
            break status;
        }
        peak = peak.max(resident(child.id()));
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(status.success(), "{command:?}: {status}");
    Cost { cpu: children_cpu() - before, wall: wall.unwrap_or_default(), peak }
}

/// CPU seconds of all children that ended: fields 16 and 17 of proc(5)'s `/proc/self/stat`.
fn children_cpu() -> f64 {
    let stat = fs_err::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let ticks: f64 = fields[13..15].iter().map(|field| field.parse::<f64>().unwrap()).sum();
    ticks / TICKS
}

fn resident(pid: u32) -> f64 {
    let status = fs_err::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes =
        line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|text| text.parse::<f64>().ok());
    kilobytes.unwrap_or_default() / 1e3
}

/// A command beside the yardsticks.
pub(crate) struct Row {
    name: &'static str,
    cost: Cost,
    yardsticks: Vec<Cost>,
}

impl Row {
    /// Runs the command and every yardstick in turn; the first round only warms the caches.
    pub(crate) fn measure<F: Fn() -> Command>(
        name: &'static str,
        command: impl Fn() -> Command,
        yardsticks: &[(&str, F)],
        runs: usize,
    ) -> Self {
        let mut costs = vec![Vec::new(); yardsticks.len() + 1];
        for round in 0..=runs {
            let all = std::iter::once(run(command())).chain(yardsticks.iter().map(|(_, find)| run(find())));
            for (kept, cost) in costs.iter_mut().zip(all) {
                if round > 0 {
                    kept.push(cost);
                }
            }
        }
        let mut costs = costs.iter().map(|runs| Cost::of(runs));
        Self { name, cost: costs.next().unwrap_or_default(), yardsticks: costs.collect() }
    }
}

/// Prints the table of ratios.
pub(crate) fn print<F>(yardsticks: &[(&str, F)], rows: &[Row]) {
    print!("{:<28} {:>7} {:>7} {:>7}", "", "cpu", "wall", "memory");
    for (name, _) in yardsticks {
        print!("   {:>15}", format!("× {name}"));
    }
    println!("\n{:<28} {:>7} {:>7} {:>7}{}", "", "", "", "", "      cpu    wall ".repeat(yardsticks.len()));
    for (index, (name, _)) in yardsticks.iter().enumerate() {
        let runs: Vec<Cost> = rows.iter().map(|row| row.yardsticks[index]).collect();
        let cost = Cost::of(&runs);
        println!("{name:<28} {:>7.3} {:>7.3} {:>7.0}", cost.cpu, cost.wall, cost.peak);
    }
    for Row { name, cost, yardsticks } in rows {
        print!("{name:<28} {:>7.3} {:>7.3} {:>7.0}", cost.cpu, cost.wall, cost.peak);
        for find in yardsticks {
            print!("    {:>6.2} {:>7.2}", cost.cpu / find.cpu, cost.wall / find.wall);
        }
        println!();
    }
}
