//! A recording on one screen: header, signals with their mapping and a sparkline each, annotations, gaps, verdict.

use super::render::{quality_lines, seizure};
use super::table::{Align, Table, bytes, count, duration, plain};
use crate::ops::inspect::{InspectedAnnotation, InspectedSignal, Inspection};
use std::fmt::Write as _;

/// Annotations and gaps listed before the rest is only counted; `--json` has all.
const LISTED: usize = 20;

/// What is in a recording.
pub(crate) fn text(report: &Inspection) -> String {
    let mut text = format!("{} ({})\n", plain(&report.file.display().to_string()), bytes(report.bytes));
    for (name, value) in head(report) {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name:<12} {}", plain(&value));
        }
    }
    text.push('\n');
    if !report.signals.is_empty() {
        text.push_str(&signals(report));
    }
    list(&mut text, &report.annotations, "annotation", annotation);
    list(&mut text, &report.gaps, "gap", |gap| {
        let what = if gap.seconds < 0.0 { "overlap" } else { "gap" };
        format!("{what} of {} s before record {}, at {} s", gap.seconds.abs(), gap.record, gap.onset)
    });
    if let Some(labels) = &report.labels {
        let from = labels.file.as_deref().unwrap_or("the recording");
        let seizures = count(labels.seizures.len(), "seizure");
        let _ = writeln!(text, "labels of {} ({}): {seizures}", plain(from), labels.format);
        list(&mut text, &labels.seizures, "seizure", |mark| format!("seizure from {}", seizure(mark)));
    }
    for line in report.quality.iter().flat_map(quality_lines) {
        let _ = writeln!(text, "quality: {line}");
    }
    for note in &report.notes {
        let _ = writeln!(text, "note: {}: {}", note.code, plain(&note.text));
    }
    match report.class {
        Some(class) => {
            let message = report.message.as_deref().unwrap_or_default();
            let _ = writeln!(text, "quarantine: {class}: {}", plain(message));
        }
        None => text.push_str("usable under the configured recipe\n"),
    }
    text
}

fn head(report: &Inspection) -> Vec<(&'static str, Option<String>)> {
    let seconds = |value: f64| format!("{value} s");
    let records = report.records.map(|held| match report.records_promised {
        Some(promised) if promised == held => held.to_string(),
        Some(promised) => format!("{held}, the header promises {promised}"),
        None => format!("{held}, the header does not know"),
    });
    vec![
        ("format", report.format.clone()),
        ("start", report.start.clone()),
        ("records", records),
        ("record", report.record_seconds.map(seconds)),
        ("duration", report.duration_s.map(duration)),
        ("offset", report.offset_s.filter(|offset| *offset != 0.0).map(seconds)),
        ("sha256", report.sha256.clone()),
        ("interpolate", (!report.interpolated.is_empty()).then(|| report.interpolated.join(" "))),
    ]
}

fn annotation(one: &InspectedAnnotation) -> String {
    let length = one.duration.map_or_else(String::new, |length| format!(" for {length} s"));
    format!("annotation at {} s{length}: {}", one.onset, plain(&one.text))
}

fn list<T>(text: &mut String, items: &[T], noun: &str, line: impl Fn(&T) -> String) {
    for item in items.iter().take(LISTED) {
        let _ = writeln!(text, "{}", line(item));
    }
    if items.len() > LISTED {
        let more = count(items.len() - LISTED, &format!("more {noun}"));
        let _ = writeln!(text, "{more} (`--json` lists all)");
    }
}

fn signals(report: &Inspection) -> String {
    let mut table = Table::new(&[
        ("#", Align::Right),
        ("LABEL", Align::Left),
        ("IS", Align::Left),
        ("USED AS", Align::Left),
        ("RATE HZ", Align::Right),
        ("UNIT", Align::Left),
        ("RANGE UV", Align::Left),
        ("AMPLITUDE OVER TIME", Align::Left),
    ]);
    for (index, signal) in report.signals.iter().enumerate() {
        table.row(vec![
            (index + 1).to_string(),
            plain(&signal.label),
            signal.maps_to.as_deref().map(plain).unwrap_or_default(),
            signal.used.to_owned(),
            signal.rate.map_or_else(String::new, rate),
            plain(&signal.dimension),
            signal.range_uv.map_or_else(String::new, |(low, high)| format!("{low:.1} … {high:.1}")),
            sparkline(signal),
        ]);
    }
    table.render()
}

fn rate((numerator, denominator): (u64, u64)) -> String {
    if denominator == 1 { numerator.to_string() } else { format!("{numerator}/{denominator}") }
}

/// Peak-to-peak amplitude over time in eighths of the largest one.
fn sparkline(signal: &InspectedSignal) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if signal.flat {
        return "flat".to_owned();
    }
    let bar = |share: &f32| BARS[((share * 7.0).round() as usize).min(7)];
    signal.envelope.iter().map(bar).collect()
}
