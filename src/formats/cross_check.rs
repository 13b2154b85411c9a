//! The second annotation file: it decides nothing, and a difference is worth a note.

use crate::formats::annotation::{AnnotationRow, AnnotationTable};
use crate::formats::{ATTOSECONDS, attoseconds, shown};
use crate::model::Note;
use crate::model::recipe::LabelRecipe;

/// Returns a note where the seizure time of the two files, each as recorded, differs by more than 1 s.
pub(super) fn note(
    deciding: &AnnotationTable,
    other: &AnnotationTable,
    recipe: &LabelRecipe,
) -> Option<Note> {
    let (first, second) = (seizure_time(deciding, recipe), seizure_time(other, recipe));
    let text = format!(
        "the annotations hold {} s of seizure, the cross-checking file {} s",
        shown(first),
        shown(second)
    );
    (first.abs_diff(second) > ATTOSECONDS.unsigned_abs()).then(|| Note::new("cross-check", text))
}

/// Length of the union of all seizure rows in attoseconds.
fn seizure_time(table: &AnnotationTable, recipe: &LabelRecipe) -> i128 {
    let seizures = table.rows.iter().filter(|row| recipe.is_seizure(&row.code));
    let stretch = |row: &AnnotationRow| Some((attoseconds(row.start), attoseconds(row.end?)));
    let mut stretches: Vec<_> = seizures.filter_map(stretch).collect();
    stretches.sort_unstable();
    let (mut total, mut covered) = (0_i128, i128::MIN);
    for (from, to) in stretches {
        let from = from.max(covered);
        if to > from {
            total = total.saturating_add(to - from);
            covered = to;
        }
    }
    total
}
