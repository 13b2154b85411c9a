//! The text of `config show` and `config check`. Nothing is printed here.

use crate::ops::config::{CheckReport, CheckRow, Conflict, ShowReport};
use std::fmt::Write as _;

/// Returns the resolved configuration, a line a value; with `origin` also where each was written.
#[must_use]
pub fn show_text(report: &ShowReport, origin: bool) -> String {
    let lines: Vec<(String, &str)> = report
        .values
        .iter()
        .chain(&report.derived)
        .map(|setting| (format!("{}: {}", setting.key, setting.shown), setting.origin.as_str()))
        .collect();
    // A column that one long list pushes off the screen helps nobody.
    let width =
        lines.iter().map(|(line, _)| line.chars().count()).filter(|width| *width <= 72).max().unwrap_or(0);
    let mut text = String::new();
    for (line, place) in lines {
        if origin {
            let _ = writeln!(text, "{line:width$}   # {place}");
        } else {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

/// Returns the confusion matrix and every conflict.
#[must_use]
pub fn check_text(report: &CheckReport) -> String {
    let head =
        ["config", "dataset", "profile", "version", "names itself", "data.cache_dir", "signal", "labels"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(report.rows.iter().map(cells));
    let widths = std::array::from_fn::<usize, 8, _>(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    let mut text = String::new();
    for row in &rows {
        let line: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "{}", line.join("  ").trim_end());
    }
    let _ = writeln!(text, "\nconflicts: {}", report.conflicts.len());
    for (index, conflict) in report.conflicts.iter().enumerate() {
        text.push_str(&conflict_text(index + 1, conflict));
    }
    text
}

fn cells(row: &CheckRow) -> [String; 8] {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let short = |digest: Option<crate::model::id::Digest>| {
        digest.map_or_else(|| "-".to_owned(), |digest| digest.short())
    };
    [
        row.file.clone(),
        or_dash(&row.dataset),
        or_dash(&row.profile),
        or_dash(&row.version),
        claims(row),
        or_dash(&row.cache_dir),
        short(row.signal),
        short(row.labels),
    ]
}

/// What a file names by itself: the directory, and the section where it is not `data`.
fn claims(row: &CheckRow) -> String {
    let mut named: Vec<String> = Vec::new();
    for (key, value) in &row.claims {
        let section = key.split('.').next().unwrap_or_default();
        named.push(format!("{value} ({section})"));
    }
    if named.is_empty() { "-".to_owned() } else { named.join(", ") }
}

fn conflict_text(number: usize, conflict: &Conflict) -> String {
    let origin = conflict.origin.as_ref().map_or_else(String::new, |origin| format!("{origin}: "));
    let mut text = format!("{number:>3}. {origin}{}\n", conflict.message);
    // Whose conflict it is, unless the place or the message already says so.
    let unnamed: Vec<&str> = conflict
        .files
        .iter()
        .map(String::as_str)
        .filter(|file| !origin.contains(file) && !conflict.message.contains(file))
        .collect();
    if !unnamed.is_empty() {
        let _ = writeln!(text, "     in: {}", unnamed.join(", "));
    }
    if let Some(hint) = &conflict.hint {
        let _ = writeln!(text, "     hint: {hint}");
    }
    text
}
