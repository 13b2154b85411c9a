//! Whether an annotation file is whole: the rows of each channel tile the recording.
//!
//! `EEG_FACTS` section 3: a half-downloaded file loses seizures silently, so a hole is class
//! `annotation-incomplete`. Rows may overlap; only holes matter.

use crate::formats::annotation::{AnnotationRow, AnnotationTable};
use crate::formats::label::Recorded;
use crate::formats::{ATTOSECONDS, attoseconds, length_attoseconds, shown};
use crate::model::{Failure, FailureClass, Note};
use std::collections::BTreeMap;

/// A hole as wide as this is the printing of a number, not a missing row: 1 ms, a quarter sample at 256 Hz.
const HOLE: i128 = ATTOSECONDS / 1000;
/// The file's duration and the signal's may differ by this much: 1 s.
const DIFFERENCE: i128 = ATTOSECONDS;
/// Why rows are missing, most likely.
const PARTIAL: &str = "a partial download?";

/// Checks that the rows tile 0 … duration for each channel, and that the duration is the signal's.
///
/// `corrected` are rows of the same table that a fix moved; they cover as well as the recorded ones. Where the file names no
/// duration the signal's own length, less 1 s, has to be reached, which is noted where it `names_durations` otherwise. Annotations
/// may last longer than a recording that is cut off.
pub(super) fn check(
    table: &AnnotationTable,
    corrected: &[AnnotationRow],
    recorded: &Recorded<'_>,
    names_durations: bool,
) -> Result<Option<Note>, Failure> {
    let signal = length_attoseconds(recorded.samples, recorded.rate);
    let (end, note) = match table.duration.map(attoseconds) {
        Some(claimed) if recorded.is_cut_off && claimed > signal => (claimed, None),
        Some(claimed) if claimed.abs_diff(signal) > DIFFERENCE.unsigned_abs() => {
            let message =
                format!("the annotations last {} s, the signal {} s", shown(claimed), shown(signal));
            let cause = if claimed < signal { PARTIAL } else { "is the recording cut off?" };
            return Err(incomplete(&message, cause));
        }
        Some(claimed) => (claimed, None),
        None => {
            let note = Note::new("no-duration", "the annotation file names no duration");
            (signal - DIFFERENCE, names_durations.then_some(note))
        }
    };
    let mut channels: BTreeMap<Option<&str>, Vec<(i128, i128)>> = BTreeMap::new();
    for row in table.rows.iter().chain(corrected) {
        let stretch = (attoseconds(row.start), attoseconds(row.end.unwrap_or(row.start)));
        channels.entry(row.channel.as_deref()).or_default().push(stretch);
    }
    if channels.is_empty() && end > HOLE {
        let message = format!("no row at all, although the recording lasts {} s", shown(signal));
        return Err(incomplete(&message, PARTIAL));
    }
    for (channel, mut stretches) in channels {
        stretches.sort_unstable();
        if let Some((from, to)) = first_hole(&stretches, end) {
            let of = channel.map_or(String::new(), |channel| format!(" of channel `{channel}`"));
            let message = format!("no row{of} from {} s to {} s", shown(from), shown(to));
            return Err(incomplete(&message, PARTIAL));
        }
    }
    Ok(note)
}

fn first_hole(stretches: &[(i128, i128)], end: i128) -> Option<(i128, i128)> {
    let mut covered = 0_i128;
    for (from, to) in stretches {
        // A row beyond the end leaves no hole: `place` judges it.
        if *from.min(&end) > covered.saturating_add(HOLE) {
            return Some((covered, *from));
        }
        covered = covered.max(*to);
    }
    (end > covered.saturating_add(HOLE)).then_some((covered, end))
}

fn incomplete(message: &str, cause: &str) -> Failure {
    Failure::new(FailureClass::AnnotationIncomplete, format!("{message} ({cause})"))
}
