//! From annotation rows to events in samples: every rule of `EEG_FACTS` section 3.
//!
//! The union over channels decides; every doubt about a seizure is a failure and not a guess.

use crate::formats::annotation::{AnnotationRow, AnnotationTable};
use crate::formats::date::Start;
use crate::formats::{
    ATTOSECONDS, attoseconds, clock, coverage, cross_check, length_attoseconds, order, shown,
};
use crate::model::manifest::{Event, LabelStatus};
use crate::model::recipe::{AnnotationFormat, Fix, LabelRecipe, NoRowMeans, Unlabelled};
use crate::model::{Failure, FailureClass, Note, Rate, RecordingId, Seconds};
use std::collections::{BTreeMap, BTreeSet};

/// An event may reach this far out of the recording, in attoseconds: 1 s.
const OVERHANG: i128 = ATTOSECONDS;

const IN_GAP: &str = "lies in a gap: none of it was recorded";
const LEFT_OUT: &str = "lies in a stretch that is left out";

/// What gets labels of its own: a whole recording, or a part of one that was split at its gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// When it begins, in seconds from the recording's sample 0.
    pub start: Seconds,
    /// Its samples.
    pub samples: u64,
}

/// The recording that is to be labelled, as far as labels depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Recorded<'a> {
    /// Its id.
    pub id: &'a RecordingId,
    /// Samples at `rate`, from its sample 0 to its end, gaps and stretches that were left out included.
    pub samples: u64,
    /// The rate of the labels.
    pub rate: Rate,
    /// The start in its header: what clock times are compared with.
    pub start: Start,
    /// Onset of sample 0 behind that start.
    pub offset: Seconds,
    /// True where it ended before its header says: annotations may go on behind the end.
    pub is_cut_off: bool,
}

/// The labels of one piece.
#[derive(Debug, Clone, PartialEq)]
pub struct Labels {
    /// Seizures in samples, sorted, each within the piece; they may overlap.
    pub events: Vec<Event>,
    /// What is known.
    pub status: LabelStatus,
    /// What is worth knowing.
    pub notes: Vec<Note>,
}

impl Labels {
    /// Returns one 0 or 1 for every sample: the union of the events.
    #[must_use]
    pub fn to_samples(&self, samples: u64) -> Vec<u8> {
        let mut labels = vec![0; usize::try_from(samples).unwrap_or(usize::MAX)];
        for event in &self.events {
            let end = event.end.min(samples) as usize;
            let start = (event.start as usize).min(end);
            labels[start..end].fill(1);
        }
        labels
    }
}

/// True where at least one row has a seizure code; corrections are not looked at.
#[must_use]
pub fn has_seizures(table: &AnnotationTable, recipe: &LabelRecipe) -> bool {
    table.rows.iter().any(|row| recipe.is_seizure(&row.code))
}

/// True where a table has no row, and the recipe takes that for silence and not for the absence of seizures.
#[must_use]
pub fn says_nothing(table: &AnnotationTable, recipe: &LabelRecipe) -> bool {
    table.rows.is_empty() && !table.says_none && recipe.no_row_means == NoRowMeans::Unlabelled
}

/// Turns the rows of a recording into labels.
///
/// No `table` means no annotation file, and `recipe.unlabelled` decides; so it does for a table without a row where
/// `no_row_means` is `unlabelled`, unless the file says that there is no seizure. A format whose rows tile the recording
/// never has no row: that is class `annotation-incomplete`. Further classes: `no-annotation`, `unknown-label`,
/// `bad-annotation` (a row without end or that ends before it begins, a clock time that cannot be placed, a fix that
/// meets no seizure), `event-outside`.
pub fn label(
    table: Option<AnnotationTable>,
    cross_check: Option<AnnotationTable>,
    recipe: &LabelRecipe,
    recorded: &Recorded<'_>,
) -> Result<Labels, Failure> {
    let whole = Piece { start: Seconds::ZERO, samples: recorded.samples };
    label_parts(table, cross_check, recipe, recorded, &[whole]).map(only)
}

/// As [`label`], for the one piece of a recording that was kept.
pub fn label_piece(
    table: Option<AnnotationTable>,
    recipe: &LabelRecipe,
    recorded: &Recorded<'_>,
    piece: Piece,
) -> Result<Labels, Failure> {
    label_parts(table, None, recipe, recorded, &[piece]).map(only)
}

/// One piece, one set of labels.
fn only(labels: Vec<Labels>) -> Labels {
    let nothing = Labels { events: Vec::new(), status: LabelStatus::Unlabelled, notes: Vec::new() };
    labels.into_iter().next().unwrap_or(nothing)
}

/// As [`label`], for a recording in pieces, which lie in order: returns the labels of each.
///
/// Times in annotations count from the recording's sample 0 and run on through gaps. An event is cut to the pieces that it
/// meets, which is noted; one that meets none is noted as `event-in-gap`, or as `event-cut` behind the end of a recording that
/// is cut off.
pub fn label_parts(
    table: Option<AnnotationTable>,
    cross_check: Option<AnnotationTable>,
    recipe: &LabelRecipe,
    recorded: &Recorded<'_>,
    pieces: &[Piece],
) -> Result<Vec<Labels>, Failure> {
    let Recorded { samples, rate, .. } = *recorded;
    let fixes = recipe.fixes.get(recorded.id.as_str()).map_or(&[][..], Vec::as_slice);
    let missing = match (&table, recipe.format) {
        (Some(_), _) => "the annotation file has no row for it",
        (None, AnnotationFormat::EdfAnnotations) => "no EDF+ annotations belong to it",
        (None, _) => "no annotation file belongs to it",
    };
    let Some(mut table) = table.filter(|table| !says_nothing(table, recipe)) else {
        return without_table(recipe, fixes, missing).map(|labels| vec![labels; pieces.len()]);
    };
    check_codes(&table, recipe)?;
    clock::settle(&mut table, recorded)?;
    let seizures = table.rows.iter().filter(|row| recipe.is_seizure(&row.code));
    let seizures = correct(seizures, fixes)?;
    let mut notes = table.notes.clone();
    notes.extend(order::check(&table, &seizures, recipe)?);
    if recipe.format.is_tiling() {
        let names_durations = recipe.format != AnnotationFormat::TuhTse;
        notes.extend(coverage::check(&table, &seizures, recorded, names_durations)?);
    } else {
        notes.extend(order::notes(&table, &seizures, samples, rate));
    }
    // Only lengths are compared, so what the other file's times count from does not matter.
    let cross_check = cross_check.and_then(|other| cross_check::note(&table, &other, recipe));
    let labels = |(events, own): (Vec<Event>, Vec<Note>)| Labels {
        status: if events.is_empty() { LabelStatus::LabelledEmpty } else { LabelStatus::Labelled },
        events,
        notes: notes.iter().cloned().chain(own).chain(cross_check.clone()).collect(),
    };
    Ok(place(&seizures, pieces, recorded)?.into_iter().map(labels).collect())
}

/// From sample 0 to the end of the last piece, in attoseconds.
fn kept_length(pieces: &[Piece], rate: Rate) -> i128 {
    pieces
        .last()
        .map_or(0, |last| attoseconds(last.start).saturating_add(length_attoseconds(last.samples, rate)))
}

/// From sample 0 to the end of the recording, in attoseconds: further than its last piece where what is behind was left out.
fn length(pieces: &[Piece], recorded: &Recorded<'_>) -> i128 {
    kept_length(pieces, recorded.rate).max(length_attoseconds(recorded.samples, recorded.rate))
}

fn without_table(recipe: &LabelRecipe, fixes: &[Fix], missing: &str) -> Result<Labels, Failure> {
    let (status, notes) = match recipe.unlabelled {
        Unlabelled::Error => {
            let message = format!(
                "no annotations for this recording: {missing} (see `dataset.annotations`; `labels.unlabelled: keep` takes it \
                 without labels)"
            );
            return Err(Failure::new(FailureClass::NoAnnotation, message));
        }
        Unlabelled::Keep => (LabelStatus::Unlabelled, Vec::new()),
        Unlabelled::Background => {
            let note = Note::new("declared-background", "no annotations: declared to be free of seizures");
            (LabelStatus::LabelledEmpty, vec![note])
        }
    };
    correct(std::iter::empty(), fixes)?;
    Ok(Labels { events: Vec::new(), status, notes })
}

fn check_codes(table: &AnnotationTable, recipe: &LabelRecipe) -> Result<(), Failure> {
    match table.rows.iter().find(|row| recipe.meaning(&row.code).is_none()) {
        None => Ok(()),
        Some(row) => {
            let message = format!(
                "line {}: code `{}` is neither seizure nor background: add it to `labels.seizure` or `labels.background`",
                row.line, row.code
            );
            Err(Failure::new(FailureClass::UnknownLabel, message))
        }
    }
}

/// Applies the fixes to the seizure rows that begin at their onset; one without `start` and `end` takes them away.
///
/// A fix that meets nothing is a failure: it was written for other annotations than these.
fn correct<'a>(
    seizures: impl Iterator<Item = &'a AnnotationRow>,
    fixes: &[Fix],
) -> Result<Vec<AnnotationRow>, Failure> {
    let mut met = vec![false; fixes.len()];
    let mut rows = Vec::new();
    for row in seizures {
        let Some(index) = fixes.iter().position(|fix| fix.onset == row.start) else {
            rows.push(row.clone());
            continue;
        };
        met[index] = true;
        let fix = &fixes[index];
        if fix.start.is_some() || fix.end.is_some() {
            let (start, end) = (fix.start.unwrap_or(row.start), fix.end.or(row.end));
            rows.push(AnnotationRow { start, end, ..row.clone() });
        }
    }
    match fixes.iter().zip(met).find(|(_, met)| !met) {
        None => Ok(rows),
        Some((fix, _)) => {
            let message = format!("the fix for onset {} s (`fixes`) meets no recorded seizure", fix.onset);
            Err(Failure::new(FailureClass::BadAnnotation, message))
        }
    }
}

/// Events of one piece while they are put together: span and code, with the channels that were marked.
type Placed<'a> = BTreeMap<(u64, u64, &'a str), BTreeSet<&'a str>>;

/// The events of a piece, with notes.
type Found = (Vec<Event>, Vec<Note>);

/// Returns the events of every piece, with notes. Rows of several channels with equal times and code are one event.
fn place(
    seizures: &[AnnotationRow],
    pieces: &[Piece],
    recorded: &Recorded<'_>,
) -> Result<Vec<Found>, Failure> {
    let end_of_all = length(pieces, recorded);
    let mut rows: BTreeMap<(Seconds, Seconds, &str), (usize, BTreeSet<&str>)> = BTreeMap::new();
    for row in seizures {
        let end = row.end.unwrap_or(row.start);
        let stretch = rows.entry((row.start, end, &row.code)).or_insert((row.line, BTreeSet::new()));
        stretch.1.extend(row.channel.as_deref());
    }
    let mut placed: Vec<(Placed<'_>, Vec<Note>)> = vec![Default::default(); pieces.len()];
    for ((start, end, code), (line, channels)) in rows {
        let said = |what: &str| format!("line {line}: `{code}` {start} s to {end} s {what}");
        if recorded.is_cut_off && attoseconds(start) >= end_of_all {
            let note = Note::new("event-cut", said("lies behind the end of what the file holds"));
            if let Some((_, notes)) = placed.last_mut() {
                notes.push(note);
            }
            continue;
        }
        let spans = to_spans(start, end, pieces, recorded)
            .map_err(|what| Failure::new(FailureClass::EventOutside, said(&what)))?;
        if spans.is_empty() {
            let before = pieces.iter().rposition(|piece| piece.start <= start).unwrap_or(0);
            let is_behind = attoseconds(start) >= kept_length(pieces, recorded.rate);
            let what = if is_behind { LEFT_OUT } else { IN_GAP };
            placed[before].1.push(Note::new("event-in-gap", said(what)));
        }
        for (piece, (first, last), note) in spans {
            let (events, notes) = &mut placed[piece];
            notes.extend(note.map(|(kind, what)| Note::new(kind, said(&what))));
            events.entry((first, last, code)).or_default().extend(&channels);
        }
    }
    let event = |((start, end, code), channels): ((u64, u64, &str), BTreeSet<&str>)| Event {
        start,
        end,
        code: code.to_owned(),
        channels: channels.into_iter().map(str::to_owned).collect(),
    };
    Ok(placed.into_iter().map(|(events, notes)| (events.into_iter().map(event).collect(), notes)).collect())
}

/// A piece by its index, half-open samples in it, and the code and text of a note.
type InPiece = (usize, (u64, u64), Option<(&'static str, String)>);

/// Returns [⌊(start − s)·rate⌋, ⌊(end − s)·rate⌋) cut to every piece that it meets, where s is the piece's start; or what is
/// wrong with the event.
fn to_spans(
    start: Seconds,
    end: Seconds,
    pieces: &[Piece],
    recorded: &Recorded<'_>,
) -> Result<Vec<InPiece>, String> {
    let (rate, length) = (recorded.rate, length(pieces, recorded));
    let is_whole = pieces.len() == 1 && kept_length(pieces, rate) == length;
    let (before, behind) = ((-attoseconds(start)).max(0), (attoseconds(end) - length).max(0));
    let overhang = before.saturating_add(behind);
    let refused = if recorded.is_cut_off { before } else { overhang };
    if refused > OVERHANG {
        return Err(format!("reaches {} s out of the signal's {} s", shown(overhang), shown(length)));
    }
    let mut spans = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let count = i64::try_from(piece.samples).unwrap_or(i64::MAX);
        let sample = |time: Seconds| time.minus(piece.start).floor_samples(rate);
        let (begin, stop) = (sample(start), sample(end));
        let (first, last) = (begin.max(0), stop.max(begin.saturating_add(1)).min(count));
        if first >= last {
            continue;
        }
        let is_cut = first != begin || stop > count;
        let note = match (is_cut, is_whole) {
            (true, true) => {
                let text = format!("is cut by {} s to the signal's {} s", shown(overhang), shown(length));
                Some(("event-cut", text))
            }
            (true, false) => Some(("event-cut", format!("is cut to part {index}"))),
            (false, _) if stop == begin => {
                Some(("event-widened", "covers no sample and was given one".to_owned()))
            }
            (false, _) => None,
        };
        spans.push((index, (first as u64, last as u64), note));
    }
    let is_outside = attoseconds(end) <= 0 || attoseconds(start) >= length;
    if spans.is_empty() && (is_whole || is_outside) {
        return Err(format!("leaves nothing within the signal's {} s", shown(length)));
    }
    Ok(spans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::read_annotations;
    use crate::model::recipe::GapPolicy;

    const HZ: u64 = 100;
    const SAMPLES: u64 = 30 * HZ;

    fn codes(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn recipe() -> LabelRecipe {
        LabelRecipe {
            format: AnnotationFormat::TuszCsv,
            seizure: codes(&["seiz", "fnsz", "gnsz"]),
            background: codes(&["bckg"]),
            cross_check: None,
            unlabelled: Unlabelled::Error,
            no_row_means: NoRowMeans::Empty,
            names: BTreeMap::new(),
            fixes: BTreeMap::new(),
            rate_hz: None,
            gaps: GapPolicy::Error,
        }
    }

    /// A `.csv` of 30 s; every row is `channel,start,stop,code`.
    fn table(rows: &[&str]) -> AnnotationTable {
        let head = "# duration = 30.0000 secs\nchannel,start_time,stop_time,label,confidence\n";
        let text =
            head.to_owned() + &rows.iter().map(|row| format!("{row},1.0")).collect::<Vec<_>>().join("\n");
        read_annotations(AnnotationFormat::TuszCsv, text.as_bytes(), "").unwrap()
    }

    fn recorded(id: &RecordingId, samples: u64) -> Recorded<'_> {
        let rate = Rate::new(HZ, 1).unwrap();
        let start = Start { day: Some(0), second: Some(3600) };
        Recorded { id, samples, rate, start, offset: Seconds::ZERO, is_cut_off: false }
    }

    fn run(table: Option<&AnnotationTable>, recipe: &LabelRecipe, samples: u64) -> Result<Labels, Failure> {
        let id = RecordingId::new("a_s001_t000").unwrap();
        label(table.cloned(), None, recipe, &recorded(&id, samples))
    }

    #[test]
    fn events_go_to_the_part_that_was_recorded() {
        let mut recipe = recipe();
        recipe.format = AnnotationFormat::None;
        let seconds = |text: &str| Seconds::parse(text).unwrap();
        // 0 to 10 s, 15.005 to 20.005 s, 29 to 30 s.
        let pieces = [("0", 10), ("15.005", 5), ("29", 1)];
        let pieces = pieces.map(|(start, s)| Piece { start: seconds(start), samples: s * HZ });
        for (rows, expected) in [
            (&["A,2,4,fnsz", "A,29.5,30,fnsz"][..], "200-400 fnsz A|; |; 50-100 fnsz A|"),
            // (16 − 15.005) · 100 = 99.5: rounded down in the part, not on the recording's grid.
            (&["A,16,17,fnsz"], "|; 99-199 fnsz A|; |"),
            (&["A,9,16,fnsz"], "900-1000 fnsz A|event-cut; 0-99 fnsz A|event-cut; |"),
            (&["A,9,29.5,fnsz"], "900-1000 fnsz A|event-cut; 0-500 fnsz A|event-cut; 0-50 fnsz A|event-cut"),
            (&["A,10,15,fnsz"], "|event-in-gap; |; |"),
            (&["A,21,22,fnsz"], "|; |event-in-gap; |"),
            (&["A,9.999,9.9999,fnsz"], "999-1000 fnsz A|event-widened; |; |"),
            (&["A,29.5,30.5,fnsz"], "|; |; 50-100 fnsz A|event-cut"),
            (&["A,29.5,31.5,fnsz"], "event-outside"),
            (&["A,30,30.5,fnsz"], "event-outside"),
        ] {
            let id = RecordingId::new("a").unwrap();
            let table = table(rows);
            let labels = label_parts(Some(table), None, &recipe, &recorded(&id, SAMPLES), &pieces);
            let shown = match labels {
                Err(failure) => failure.class.to_string(),
                Ok(all) => all.into_iter().map(|one| shape(&Ok(one))).collect::<Vec<_>>().join("; "),
            };
            assert_eq!(shown, expected, "{rows:?}");
        }
    }

    #[test]
    fn annotations_go_on_behind_the_end_of_a_recording_that_is_cut_off() {
        let id = RecordingId::new("a").unwrap();
        let label = |rows: &[&str], format, is_cut_off| {
            let recipe = LabelRecipe { format, ..recipe() };
            let recorded = Recorded { is_cut_off, ..recorded(&id, 12 * HZ) };
            shape(&label(Some(table(rows)), None, &recipe, &recorded))
        };
        let (tiling, marking) = (AnnotationFormat::TuszCsv, AnnotationFormat::None);
        for (rows, cut_off) in [
            (&["A,0,5,bckg", "A,5,9,fnsz", "A,9,30,bckg"][..], "500-900 fnsz A|"),
            (&["A,0,5,bckg", "A,5,20,fnsz", "A,20,30,bckg"], "500-1200 fnsz A|event-cut"),
            (&["A,0,12,bckg", "A,12,20,fnsz", "A,20,30,bckg"], "|event-cut"),
            (&["A,0,12,bckg", "A,-2,5,fnsz", "A,5,30,bckg"], "event-outside"),
        ] {
            assert_eq!(label(rows, tiling, true), cut_off, "{rows:?}");
            assert_eq!(label(rows, tiling, false), "annotation-incomplete", "{rows:?}");
            // `table` names a duration, which is only noted where rows mark what happened.
            let noted = if cut_off.contains('|') {
                let (events, notes) = cut_off.split_once('|').unwrap();
                let notes: Vec<&str> =
                    std::iter::once("duration-differs").chain((!notes.is_empty()).then_some(notes)).collect();
                format!("{events}|{}", notes.join(","))
            } else {
                cut_off.to_owned()
            };
            assert_eq!(label(rows, marking, true), noted, "{rows:?}");
        }
        // A hole is one, wherever the recording ends.
        assert_eq!(label(&["A,0,5,bckg", "A,9,30,bckg"], tiling, true), "annotation-incomplete");
        assert_eq!(label(&["A,0,20,bckg"], tiling, true), "annotation-incomplete");
    }

    /// `start-end code channels`, the codes of the notes behind `|`; or the class.
    fn shape(result: &Result<Labels, Failure>) -> String {
        let event = |e: &Event| format!("{}-{} {} {}", e.start, e.end, e.code, e.channels.join("+"));
        match result {
            Err(failure) => failure.class.to_string(),
            Ok(labels) => {
                let events: Vec<_> = labels.events.iter().map(event).collect();
                let notes: Vec<_> = labels.notes.iter().map(|note| note.code.as_str()).collect();
                format!("{}|{}", events.join(", "), notes.join(","))
            }
        }
    }

    #[test]
    fn rows_become_events() {
        for (rows, expected) in [
            (&["A,0,30,bckg"][..], "|"),
            (&["A,0,10,bckg", "A,10,20,fnsz", "A,20,30,bckg"], "1000-2000 fnsz A|"),
            // Exact decimals, rounded down: 10.29 · 100 is 1028.9999… in binary.
            (&["A,0,10.29,bckg", "A,10.29,20.0099,fnsz", "A,20.0099,30,bckg"], "1029-2000 fnsz A|"),
            // The union over channels; equal rows are one event with its channels sorted.
            (
                &[
                    "B,0,10,bckg",
                    "B,10,30,gnsz",
                    "A,0,10,bckg",
                    "A,10,30,gnsz",
                    "C,0,12,bckg",
                    "C,12,30,gnsz",
                ],
                "1000-3000 gnsz A+B, 1200-3000 gnsz C|",
            ),
            (&["A,0,30,fnsz", "A,0,30,gnsz"], "0-3000 fnsz A, 0-3000 gnsz A|"),
            // Different times, equal samples.
            (&["A,0,30,bckg", "A,10.001,20,fnsz", "B,0,30,bckg", "B,10.002,20,fnsz"], "1000-2000 fnsz A+B|"),
            (&["A,20,30,bckg", "A,5,20,fnsz", "A,0,10,bckg"], "500-2000 fnsz A|"),
            (&["A,0,30,bckg", "A,10.001,10.002,fnsz"], "1000-1001 fnsz A|event-widened"),
            (&["A,0,30,bckg", "A,29.999,30.0,fnsz"], "2999-3000 fnsz A|"),
            (&["A,0,30,bckg", "A,20,30.5,fnsz"], "2000-3000 fnsz A|event-cut"),
            (&["A,0,30,bckg", "A,20,31,fnsz"], "2000-3000 fnsz A|event-cut"),
            (&["A,0,30,bckg", "A,20,31.0001,fnsz"], "event-outside"),
            (&["A,0,30,bckg", "A,-0.5,5,fnsz"], "0-500 fnsz A|event-cut"),
            (&["A,0,30,bckg", "A,-0.6,30.6,fnsz"], "event-outside"),
            (&["A,0,30,bckg", "A,30,30.2,fnsz"], "event-outside"),
            (&["A,0,30,bckg", "A,30.2,30.2001,fnsz"], "event-outside"),
            (&["A,0,30,bckg", "A,-0.5,0,fnsz"], "event-outside"),
            (&["A,0,30,bckg", "A,40,50,fnsz"], "event-outside"),
            (&["A,0,30,bckg", "A,-999999999999999999,999999999999999999,fnsz"], "event-outside"),
            (&["A,0,30,bckg", "A,10,10,fnsz"], "bad-annotation"),
            (&["A,0,30,bckg", "A,10,9,fnsz"], "bad-annotation"),
            (&["A,0,30,bckg", "A,10,9,bckg"], "bad-annotation"),
            (&["A,0,30,bckg", "A,10,20,artf"], "unknown-label"),
            (&["A,0,30,bckg", "A,10,20,FNSZ"], "unknown-label"),
        ] {
            assert_eq!(shape(&run(Some(&table(rows)), &recipe(), SAMPLES)), expected, "{rows:?}");
        }
    }

    #[test]
    fn unknown_codes_name_their_line_and_the_mend() {
        let failure = run(Some(&table(&["A,0,10,bckg", "A,10,30,artf"])), &recipe(), SAMPLES).unwrap_err();
        for word in ["line 4", "`artf`", "`labels.seizure`", "`labels.background`"] {
            assert!(failure.message.contains(word), "{failure}");
        }
    }

    #[test]
    fn every_channel_tiles_the_recording() {
        for (rows, samples, expected) in [
            (&["A,0,30,bckg", "B,0,10,bckg"][..], SAMPLES, "annotation-incomplete"),
            (&["A,0,10,bckg", "A,11,30,bckg"], SAMPLES, "annotation-incomplete"),
            (&["A,1,30,bckg"], SAMPLES, "annotation-incomplete"),
            (&["A,0,10,bckg", "A,10.0011,30,bckg"], SAMPLES, "annotation-incomplete"),
            (&["A,0,10,bckg", "A,10.001,30,bckg"], SAMPLES, "|"),
            (&["A,0,20,bckg", "A,10,15,bckg", "A,18,30,bckg"], SAMPLES, "|"),
            (&[], SAMPLES, "annotation-incomplete"),
            (&["A,0,30,bckg"], SAMPLES + HZ, "|"),
            (&["A,0,30,bckg"], SAMPLES - HZ, "|"),
            (&["A,0,30,bckg"], SAMPLES + HZ + 1, "annotation-incomplete"),
            (&["A,0,30,bckg"], SAMPLES - HZ - 1, "annotation-incomplete"),
        ] {
            assert_eq!(shape(&run(Some(&table(rows)), &recipe(), samples)), expected, "{rows:?} {samples}");
        }
        let mut unmeasured = table(&["A,0,29.2,bckg"]);
        unmeasured.duration = None;
        assert_eq!(shape(&run(Some(&unmeasured), &recipe(), SAMPLES)), "|no-duration");
        assert_eq!(shape(&run(Some(&unmeasured), &recipe(), SAMPLES + HZ)), "annotation-incomplete");
    }

    #[test]
    fn what_nothing_means_is_declared() {
        use LabelStatus::{LabelledEmpty, Unlabelled as NotLabelled};
        let empty = AnnotationTable::default();
        for (table, format, unlabelled, no_row_means, expected) in [
            (
                None,
                AnnotationFormat::TuszCsv,
                Unlabelled::Error,
                NoRowMeans::Empty,
                Err(FailureClass::NoAnnotation),
            ),
            (None, AnnotationFormat::TuszCsv, Unlabelled::Keep, NoRowMeans::Empty, Ok((NotLabelled, 0))),
            (
                None,
                AnnotationFormat::TuszCsv,
                Unlabelled::Background,
                NoRowMeans::Empty,
                Ok((LabelledEmpty, 1)),
            ),
            (
                Some(&empty),
                AnnotationFormat::None,
                Unlabelled::Error,
                NoRowMeans::Empty,
                Ok((LabelledEmpty, 0)),
            ),
            (
                Some(&empty),
                AnnotationFormat::None,
                Unlabelled::Error,
                NoRowMeans::Unlabelled,
                Err(FailureClass::NoAnnotation),
            ),
            (
                Some(&empty),
                AnnotationFormat::None,
                Unlabelled::Keep,
                NoRowMeans::Unlabelled,
                Ok((NotLabelled, 0)),
            ),
        ] {
            let recipe = LabelRecipe { format, unlabelled, no_row_means, ..recipe() };
            let outcome = run(table, &recipe, SAMPLES);
            let outcome = outcome.map(|labels| (labels.status, labels.notes.len())).map_err(|f| f.class);
            assert_eq!(outcome, expected, "{unlabelled:?} {no_row_means:?}");
        }
    }

    #[test]
    fn fixes_move_or_take_away_the_seizure_at_their_onset() {
        let seconds = |text: &str| Seconds::parse(text).unwrap();
        let rows = [
            "A,0,10,bckg",
            "A,10.0000,20,fnsz",
            "B,0,10,bckg",
            "B,10,20,fnsz",
            "A,20,30,bckg",
            "B,20,30,bckg",
        ];
        let inverted = ["A,0,30,bckg", "A,10,9,fnsz"];
        for (rows, onset, start, end, expected) in [
            (&rows[..], "10", None, Some("15"), "1000-1500 fnsz A+B|"),
            (&rows, "10.0", Some("11"), None, "1100-2000 fnsz A+B|"),
            (&rows, "10", None, None, "|"),
            (&rows, "0", None, Some("15"), "bad-annotation"),
            (&rows, "10", None, Some("10"), "bad-annotation"),
            (&rows, "10", None, Some("40"), "event-outside"),
            (&inverted, "10", None, Some("15"), "1000-1500 fnsz A|"),
        ] {
            let why = "checked by eye".to_owned();
            let fix = Fix { onset: seconds(onset), start: start.map(seconds), end: end.map(seconds), why };
            let mut recipe = recipe();
            recipe.fixes.insert("a_s001_t000".to_owned(), vec![fix]);
            recipe.fixes.insert("another".to_owned(), Vec::new());
            assert_eq!(
                shape(&run(Some(&table(rows)), &recipe, SAMPLES)),
                expected,
                "{onset} {start:?} {end:?}"
            );
            recipe.unlabelled = Unlabelled::Background;
            assert_eq!(shape(&run(None, &recipe, SAMPLES)), "bad-annotation");
        }
    }

    #[test]
    fn formats_that_only_mark_what_happened_have_rules_of_their_own() {
        let head = "onset\tduration\teventType\tchannels\trecordingDuration\n";
        for (rows, expected) in [
            (&["0 30 bckg n/a 30"][..], "|"),
            (&["5 10 fnsz n/a 30"], "500-1500 fnsz |"),
            (&["5 10 fnsz F3 30", "5 10 fnsz C3 30"], "500-1500 fnsz C3+F3|"),
            (
                &["5 10 fnsz n/a 30", "3 0 bckg n/a 30", "2 -1 bckg n/a 30"],
                "500-1500 fnsz |empty-row,unsorted-rows",
            ),
            (
                &["5 10 fnsz n/a 30", "8 10 gnsz n/a 30"],
                "500-1500 fnsz , 800-1800 gnsz |overlapping-seizures",
            ),
            (&["5 10 fnsz F3 30", "8 10 fnsz C3 30"], "500-1500 fnsz F3, 800-1800 fnsz C3|"),
            (&["5 10 fnsz n/a 31"], "500-1500 fnsz |"),
            (&["5 10 fnsz n/a 32"], "500-1500 fnsz |duration-differs"),
            (&["3 n/a bckg n/a 30"], "|empty-row"),
            (&["5 n/a fnsz n/a 30"], "bad-annotation"),
            (&["5 0 fnsz n/a 30"], "bad-annotation"),
            (&["5 -1 fnsz n/a 30"], "bad-annotation"),
            (&["5 100 fnsz n/a 30"], "event-outside"),
            (&["5 100 bckg n/a 30"], "|"),
            (&["5 10 impd n/a 30"], "unknown-label"),
        ] {
            let text = head.to_owned() + &rows.join("\n").replace(' ', "\t");
            let table = read_annotations(AnnotationFormat::BidsEvents, text.as_bytes(), "").unwrap();
            let recipe = LabelRecipe { format: AnnotationFormat::BidsEvents, ..recipe() };
            assert_eq!(shape(&run(Some(&table), &recipe, SAMPLES)), expected, "{rows:?}");
        }
    }

    #[test]
    fn a_fix_gives_an_end_to_a_seizure_without_one() {
        let text = "onset\tduration\teventType\n5\tn/a\tfnsz\n";
        let table = read_annotations(AnnotationFormat::BidsEvents, text.as_bytes(), "").unwrap();
        let seconds = |text: &str| Seconds::parse(text).unwrap();
        let fix = Fix { onset: seconds("5"), start: None, end: Some(seconds("7")), why: "seen".to_owned() };
        let mut recipe = LabelRecipe { format: AnnotationFormat::BidsEvents, ..recipe() };
        recipe.fixes.insert("a_s001_t000".to_owned(), vec![fix]);
        assert_eq!(shape(&run(Some(&table), &recipe, SAMPLES)), "500-700 fnsz |");
    }

    #[test]
    fn a_file_that_says_there_is_none_is_not_silent() {
        let recipe = LabelRecipe {
            format: AnnotationFormat::ChbmitSummary,
            no_row_means: NoRowMeans::Unlabelled,
            ..recipe()
        };
        let text = b"File Name: x.edf\nNumber of Seizures in File: 0\n";
        for (name, expected) in [("x.edf", "|"), ("y.edf", "no-annotation")] {
            let table = read_annotations(AnnotationFormat::ChbmitSummary, text, name).unwrap();
            assert_eq!(shape(&run(Some(&table), &recipe, SAMPLES)), expected, "{name}");
        }
    }

    #[test]
    fn the_cross_check_only_notes() {
        let deciding = table(&["A,0,30,bckg", "A,10,20,fnsz", "B,0,30,bckg", "B,15,25,gnsz"]);
        let id = RecordingId::new("a").unwrap();
        for (rows, expected) in [
            (&["TERM,10,25,seiz"][..], ""),
            (&["TERM,10,18,seiz", "TERM,17,24,seiz"], ""),
            (&["TERM,10,23.9999,seiz"], "cross-check"),
            (&["TERM,0,30,bckg"], "cross-check"),
            (&["TERM,25,10,seiz", "TERM,10,25,seiz"], ""),
        ] {
            let (deciding, other) = (Some(deciding.clone()), Some(table(rows)));
            let labels = label(deciding, other, &recipe(), &recorded(&id, SAMPLES)).unwrap();
            let notes: Vec<_> = labels.notes.iter().map(|note| note.code.as_str()).collect();
            assert_eq!(notes.join(","), expected, "{rows:?}");
            assert_eq!(labels.status, LabelStatus::Labelled);
        }
    }

    #[test]
    fn samples_are_the_union_of_the_events() {
        let event = |start, end| Event { start, end, code: "seiz".to_owned(), channels: Vec::new() };
        let events = vec![event(1, 3), event(2, 4), event(7, 99), event(50, 60)];
        let labels = Labels { events, status: LabelStatus::Labelled, notes: Vec::new() };
        assert_eq!(labels.to_samples(9), [0, 1, 1, 1, 0, 0, 0, 1, 1]);
        assert!(labels.to_samples(0).is_empty());
    }

    #[test]
    fn seizures_are_seen_before_labelling() {
        assert!(has_seizures(&table(&["A,0,10,bckg", "A,10,30,seiz"]), &recipe()));
        assert!(!has_seizures(&table(&["A,0,30,bckg"]), &recipe()));
    }
}
