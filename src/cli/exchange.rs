//! The face of `export`: to the files of other programs.

use super::args::ExportArgs;
use super::progress::Talk;
use super::table::{Align, Table, bytes, count, duration, plain};
use super::{current_directory, exit, out, render, settings, start_threads, stop_flag};
use crate::error::{Error, Result};
use crate::ops::Context;
use crate::ops::export::{self, ExportReport, Layout};
use std::fmt::Write as _;

/// Runs `eegcache export`.
pub(super) fn export(args: &ExportArgs) -> Result<u8> {
    let settings = settings(&args.config)?;
    let layout = Layout::from_name(&args.layout)
        .ok_or_else(|| Error::usage(format!("`{}` is no layout", args.layout), ""))?;
    start_threads(args.jobs)?;
    let (talk, stop) = (Talk::new(), stop_flag());
    let cx = Context { progress: &talk, stop: &stop, threads: rayon::current_num_threads() };
    let directory = current_directory()?.join(&args.directory);
    let report = export::export(&cx, &settings, layout, &directory)?;
    out(&if args.json { render::json(&report) } else { text(&report) })?;
    Ok(if report.left == 0 { exit::DONE } else { exit::INTERRUPTED })
}

/// What an export did.
fn text(report: &ExportReport) -> String {
    let all = report.exported + report.kept + report.left;
    let parts: Vec<String> =
        [(report.exported, "written"), (report.kept, "already there"), (report.left, "left")]
            .iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, what)| format!("{number} {what}"))
            .collect();
    let mut text = format!(
        "{}: {} of {} ({})\n\n",
        report.layout,
        if report.left == 0 { "complete, all" } else { "interrupted," },
        count(all, "recording"),
        parts.join(", ")
    );
    let mut table = Table::new(&[
        ("SPLIT", Align::Left),
        ("RECORDINGS", Align::Right),
        ("WINDOWS", Align::Right),
        ("NONE", Align::Right),
        ("PARTIAL", Align::Right),
        ("FULL", Align::Right),
    ]);
    for (split, held) in &report.splits {
        let counts = [held.windows.total(), held.windows.none, held.windows.partial, held.windows.full];
        let mut row = vec![(*split).to_owned(), held.recordings.to_string()];
        row.extend(counts.map(|number| number.to_string()));
        table.row(row);
    }
    text.push_str(&table.render());
    let _ = writeln!(text, "\n{} written, time: {}", bytes(report.bytes), duration(report.seconds));
    if !report.without_windows.is_empty() {
        let _ = writeln!(text, "shorter than a window, no file: {}", names(&report.without_windows));
    }
    if !report.removed.is_empty() {
        let _ = writeln!(text, "not wanted any more, removed: {}", names(&report.removed));
    }
    for warning in &report.warnings {
        let _ = writeln!(text, "warning: {}", plain(warning));
    }
    let _ = writeln!(text, "export: {}", plain(&report.directory.display().to_string()));
    if report.left > 0 {
        text.push_str("hint: run the same command again to go on; what is finished is kept\n");
    }
    text
}

/// The first names of a list.
fn names(all: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown: Vec<String> = all.iter().take(SHOWN).map(|name| plain(name)).collect();
    let more = if all.len() > SHOWN { format!(", … ({} in all)", all.len()) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
