//! The faces of `export` and `adopt`: to the files of other programs, and from them.

use super::args::{AdoptArgs, ExportArgs};
use super::progress::Talk;
use super::table::{Align, Table, bytes, count, duration, plain};
use super::{context, current_directory, exit, out, render, settings, stop_flag};
use crate::error::{Error, Result};
use crate::ops::adopt::{self, AdoptOptions, AdoptReport, Finding, Verdict};
use crate::ops::export::{self, ExportReport, Layout};
use std::fmt::Write as _;

/// Runs `eegcache export`.
pub(super) fn export(args: &ExportArgs) -> Result<u8> {
    let settings = settings(&args.config)?;
    let layout = Layout::from_name(&args.layout)
        .ok_or_else(|| Error::usage(format!("`{}` is no layout", args.layout), ""))?;
    let (talk, stop) = (Talk::new(), stop_flag());
    let cx = context(&talk, &stop);
    let directory = current_directory()?.join(&args.directory);
    let report = export::export(&cx, &settings, layout, &directory)?;
    out(&if args.json { render::json(&report) } else { text(&report) })?;
    Ok(if report.left == 0 { exit::DONE } else { exit::INTERRUPTED })
}

/// Runs `eegcache adopt`.
pub(super) fn adopt(args: &AdoptArgs) -> Result<u8> {
    let settings = settings(&args.config)?;
    let (talk, stop) = (Talk::new(), stop_flag());
    let cx = context(&talk, &stop);
    let directory = current_directory()?.join(&args.directory);
    let options = AdoptOptions { sample: args.sample, dry_run: args.dry_run };
    let report = adopt::adopt(&cx, &settings, &directory, options)?;
    out(&if args.json { render::json(&report) } else { worth(&report, args.dry_run) })?;
    Ok(match report.left {
        0 if report.is_bad() => exit::GATE,
        0 => exit::DONE,
        _ => exit::INTERRUPTED,
    })
}

/// What a foreign cache is worth.
fn worth(report: &AdoptReport, dry_run: bool) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let _ = writeln!(text, "{}", finding_text(finding));
    }
    for one in report.recordings.iter().filter(|one| !one.findings.is_empty()) {
        let _ = writeln!(text, "{} ({})", plain(&one.file), one.verdict.as_str());
        for finding in &one.findings {
            let _ = writeln!(text, "  {}", finding_text(finding));
        }
    }
    let meaning = [
        (Verdict::Proved, "the same to the last bit when made again from their sources"),
        (Verdict::Consistent, "not made again; their windows agree with each other"),
        (Verdict::Wrong, "something else than their sources give, or with a known defect"),
        (Verdict::Refused, "not to be believed at all"),
    ];
    let mut table = Table::new(&[("VERDICT", Align::Left), ("RECORDINGS", Align::Right), ("", Align::Left)]);
    for (verdict, meaning) in meaning {
        let number = report.verdicts.get(&verdict).copied().unwrap_or_default();
        table.row(vec![verdict.as_str().to_owned(), number.to_string(), meaning.to_owned()]);
    }
    text.push_str(&table.render());
    for warning in &report.warnings {
        let _ = writeln!(text, "warning: {}", plain(warning));
    }
    let imported = count(report.imported.len(), "recording");
    let _ = match (dry_run, report.left) {
        (_, 1..) => writeln!(text, "interrupted, {} left: nothing was imported", report.left),
        (true, _) => writeln!(text, "nothing was imported: `--dry-run`"),
        _ => writeln!(text, "{imported} of the profile in the cache, because they were proved and built"),
    };
    text
}

fn finding_text(finding: &Finding) -> String {
    format!("{}{}: {}", if finding.is_bad { "" } else { "note: " }, finding.code, plain(&finding.text))
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
    let done = if report.left == 0 { "complete, all" } else { "interrupted," };
    let mut text = match all {
        0 => format!("{}: no recording with labels is there to export\n\n", report.layout),
        _ => format!("{}: {done} of {} ({})\n\n", report.layout, count(all, "recording"), parts.join(", ")),
    };
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
