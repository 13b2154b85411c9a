//! The two annotation files of a recording: a row for each channel and event, and the two-class summary.

use crate::demo::electrode::{PAIRS, position};
use crate::demo::plan::{Channel, Planned, Seizure, TICKS, Ticks};
use std::fmt::Write;

/// A focal seizure is annotated in the pairs that get at least this share of it.
const VISIBLE: f64 = 0.35;
/// It reaches the farthest of them so much later.
const SPREADING: f64 = 4.0 * TICKS as f64;

/// Returns the file with a row for each channel and event. The rows of a channel tile the whole recording.
pub(super) fn per_channel(planned: &Planned) -> String {
    let mut text = head(planned);
    let ears = planned.channels.contains(&Channel::Eeg("A1"));
    for (a, b) in PAIRS.into_iter().filter(|(a, b)| ears || (*a != "A1" && *b != "A2")) {
        let events = planned.seizures.iter().filter_map(|seizure| Some((onset(seizure, a, b)?, *seizure)));
        tile(&mut text, &format!("{a}-{b}"), events, planned, |seizure| seizure.code);
    }
    text
}

/// Returns the file with two classes, the union over all channels.
pub(super) fn two_class(planned: &Planned) -> String {
    let mut text = head(planned);
    let events = planned.seizures.iter().map(|seizure| (seizure.start, *seizure));
    tile(&mut text, "TERM", events, planned, |_| "seiz");
    text
}

fn head(planned: &Planned) -> String {
    format!(
        "# version = csv_v1.0.0\n# bname = {}\n# duration = {}.0000 secs\n# montage_file = synthetic\n#\n\
         channel,start_time,stop_time,label,confidence\n",
        planned.stem(),
        planned.seconds
    )
}

/// Returns when a seizure shows in a pair of electrodes, if it does. The pair at the focus sees all of it.
fn onset(seizure: &Seizure, a: &str, b: &str) -> Option<Ticks> {
    let Some(focus) = seizure.focus else { return Some(seizure.start) };
    if a == focus || b == focus {
        return Some(seizure.start);
    }
    let weight = seizure.weight(position(a)).max(seizure.weight(position(b)));
    (weight >= VISIBLE).then(|| seizure.start + (SPREADING * (1.0 - weight)) as Ticks)
}

fn tile(
    text: &mut String,
    channel: &str,
    events: impl Iterator<Item = (Ticks, Seizure)>,
    planned: &Planned,
    code: impl Fn(&Seizure) -> &'static str,
) {
    let mut row = |from: Ticks, to: Ticks, label: &str| {
        let (from, to) = (decimal(from), decimal(to));
        // Writing into a `String` cannot fail.
        let _ = writeln!(text, "{channel},{from},{to},{label},1.0000");
    };
    let mut now = 0;
    for (start, seizure) in events {
        row(now, start, "bckg");
        row(start, seizure.end, code(&seizure));
        now = seizure.end;
    }
    row(now, planned.seconds as Ticks * TICKS, "bckg");
}

fn decimal(ticks: Ticks) -> String {
    format!("{}.{:04}", ticks / TICKS, ticks % TICKS)
}
