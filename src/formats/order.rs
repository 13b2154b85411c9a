//! Whether rows make sense one by one and beside each other: ends before begins, disorder, overlaps, lengths.
//!
//! A seizure without a length is a failure. Where rows tile the recording, so is a stretch of background; where they only
//! mark what happened, it is worth a note, because nothing is lost with it.

use crate::formats::annotation::{AnnotationRow, AnnotationTable, TWO_ENDS, bad_line};
use crate::formats::{ATTOSECONDS, attoseconds, length_attoseconds, shown};
use crate::model::recipe::LabelRecipe;
use crate::model::{Failure, Note, Rate, Seconds};
use std::collections::BTreeMap;

/// Every row ends behind its begin: background as recorded, seizures as corrected.
pub(super) fn check(
    table: &AnnotationTable,
    seizures: &[AnnotationRow],
    recipe: &LabelRecipe,
) -> Result<Option<Note>, Failure> {
    if let Some(row) = seizures.iter().find(|row| !is_forward(row)) {
        return Err(refused(row, &table.notes));
    }
    let empty = || table.rows.iter().filter(|row| !recipe.is_seizure(&row.code) && !is_forward(row));
    let Some(first) = empty().next() else { return Ok(None) };
    if recipe.format.is_tiling() {
        return Err(refused(first, &table.notes));
    }
    let text = format!(
        "{} background rows have no length or no end, the first in line {}",
        empty().count(),
        first.line
    );
    Ok(Some(Note::new("empty-row", text)))
}

fn is_forward(row: &AnnotationRow) -> bool {
    row.end.is_some_and(|end| end > row.start)
}

fn refused(row: &AnnotationRow, notes: &[Note]) -> Failure {
    let own = format!("line {}: ", row.line);
    let mut two_ends = notes.iter().filter(|note| note.code == TWO_ENDS);
    let two_ends = two_ends.find_map(|note| note.text.strip_prefix(&own));
    let what = match (row.end, two_ends) {
        (Some(end), _) => format!("`{}` ends at {end} s, begins at {} s", row.code, row.start),
        (None, None) => {
            format!("`{}` begins at {} s and has no end (`fixes` can give it one)", row.code, row.start)
        }
        (None, Some(why)) => {
            format!("`{}` begins at {} s, and {why}: `fixes` can give it one end", row.code, row.start)
        }
    };
    bad_line(row.line, what)
}

/// Returns what is odd about rows that mark what happened, and about the length that the file claims.
pub(super) fn notes(
    table: &AnnotationTable,
    seizures: &[AnnotationRow],
    samples: u64,
    rate: Rate,
) -> Vec<Note> {
    let mut notes = Vec::new();
    if let Some(pair) = table.rows.windows(2).find(|pair| pair[1].start < pair[0].start) {
        let text = format!("rows are not in the order of time, the first in line {}", pair[1].line);
        notes.push(Note::new("unsorted-rows", text));
    }
    notes.extend(overlap(seizures));
    let signal = length_attoseconds(samples, rate);
    let claimed = table.duration.map(attoseconds);
    if let Some(claimed) = claimed.filter(|claimed| claimed.abs_diff(signal) > ATTOSECONDS.unsigned_abs()) {
        let text = format!(
            "the annotations say that the recording lasts {} s, it lasts {} s",
            shown(claimed),
            shown(signal)
        );
        notes.push(Note::new("duration-differs", text));
    }
    notes
}

/// Two seizures of one channel at a time: their union is what counts.
fn overlap(seizures: &[AnnotationRow]) -> Option<Note> {
    let mut channels: BTreeMap<Option<&str>, Vec<(Seconds, Seconds, usize)>> = BTreeMap::new();
    for row in seizures {
        let stretch = (row.start, row.end.unwrap_or(row.start), row.line);
        channels.entry(row.channel.as_deref()).or_default().push(stretch);
    }
    let first = channels.into_values().find_map(|mut stretches| {
        stretches.sort_unstable();
        let mut covered = stretches.first()?.1;
        stretches.into_iter().skip(1).find_map(|(start, end, line)| {
            let overlaps = start < covered;
            covered = covered.max(end);
            overlaps.then_some(line)
        })
    })?;
    Some(Note::new("overlapping-seizures", format!("the seizure in line {first} overlaps with another one")))
}
