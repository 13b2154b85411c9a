//! From what an annotation file counts from (midnight, another file's start) to seconds from sample 0.
//!
//! Sample 0 lies at the header's start plus the onset of the first record, sub-second included. A clock time is
//! the first such moment from there on; a recording that sees it twice is refused.

use crate::formats::annotation::{AnnotationRow, AnnotationTable, TimeOrigin};
use crate::formats::date::Start;
use crate::formats::label::Recorded;
use crate::formats::{ATTOSECONDS, attoseconds, length_attoseconds};
use crate::model::{Failure, FailureClass, Note, Seconds};

const DAY: i64 = 86_400;
/// A clock time may lie this far before sample 0 and still mean today, in attoseconds: 1 s.
const SLACK: i128 = ATTOSECONDS;

/// Returns every time of day in a text as seconds from midnight, with the words behind it.
///
/// `21.11.29` and `21:11:29`; blanks within are the typist's. `24:21:29` is past midnight.
pub(super) fn clock_times(text: &str) -> Vec<(Seconds, String)> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let is_part = |c: char| c.is_ascii_digit() || c == '.' || c == ':';
    let mut times: Vec<(Seconds, String)> = Vec::new();
    let mut rest = text.as_str();
    while let Some(begin) = rest.find(is_part) {
        let run = &rest[begin..];
        let (run, behind) = run.split_at(run.find(|c| !is_part(c)).unwrap_or(run.len()));
        let words = &behind[..behind.find(is_part).unwrap_or(behind.len())];
        times.extend(clock_time(run).map(|time| (time, words.to_owned())));
        rest = behind;
    }
    times
}

fn clock_time(run: &str) -> Option<Seconds> {
    let mut parts = run.trim_matches(['.', ':']).split(['.', ':']);
    let mut number = |limit: i64| {
        let part = parts.next().filter(|part| matches!(part.len(), 1 | 2))?;
        part.parse().ok().filter(|number: &i64| *number < limit)
    };
    let (hour, minute, second) = (number(25)?, number(60)?, number(60)?);
    parts.next().is_none().then(|| Seconds::whole(hour % 24 * 3600 + minute * 60 + second))
}

/// Returns the time from one clock time to the next occurrence of another.
pub(super) fn length_between(begin: Seconds, end: Seconds) -> Seconds {
    let length = end.minus(begin);
    if length < Seconds::ZERO { length.plus(Seconds::whole(DAY)) } else { length }
}

/// Makes the times of a table count from sample 0 of the recording.
///
/// Class `bad-annotation` where the header's start is no time, or where a clock time names two moments of the recording.
pub(super) fn settle(table: &mut AnnotationTable, recorded: &Recorded<'_>) -> Result<(), Failure> {
    match std::mem::take(&mut table.origin) {
        TimeOrigin::Midnight { begins } if !table.rows.is_empty() => from_midnight(table, begins, recorded),
        TimeOrigin::SampleZero | TimeOrigin::Midnight { .. } => Ok(()),
        TimeOrigin::Header(other) => from_header(table, other, recorded),
    }
}

fn from_midnight(
    table: &mut AnnotationTable,
    begins: Option<Seconds>,
    recorded: &Recorded<'_>,
) -> Result<(), Failure> {
    let Some(second) = recorded.start.second else {
        return Err(bad("the annotations are clock times, and the header's start time is none"));
    };
    let start = Seconds::whole(second.into());
    if let Some(begins) = begins.filter(|begins| attoseconds(begins.minus(start)).abs() > SLACK) {
        let text = format!(
            "the annotations say that the recording begins at {}, its header says {}, which is used",
            shown_clock(begins),
            shown_clock(start)
        );
        table.notes.push(Note::new("start-differs", text));
    }
    let zero = start.plus(recorded.offset);
    table.rows.iter_mut().try_for_each(|row| place(row, zero, recorded))
}

fn place(row: &mut AnnotationRow, zero: Seconds, recorded: &Recorded<'_>) -> Result<(), Failure> {
    let day = Seconds::whole(DAY);
    let clock = row.start;
    let length = row.end.map(|end| length_between(clock, end));
    let raw = clock.minus(zero);
    let days = (attoseconds(raw).saturating_add(SLACK)).div_euclid(i128::from(DAY) * ATTOSECONDS);
    let start = raw.minus(Seconds::whole(days as i64 * DAY));
    if attoseconds(start.plus(day)) < length_attoseconds(recorded.samples, recorded.rate) {
        return Err(bad(&format!(
            "line {}: {} comes more than once in a recording of more than a day",
            row.line,
            shown_clock(clock)
        )));
    }
    (row.start, row.end) = (start, length.map(|length| start.plus(length)));
    Ok(())
}

fn from_header(table: &mut AnnotationTable, other: Start, recorded: &Recorded<'_>) -> Result<(), Failure> {
    let (Some(theirs), Some(ours)) = (other.second, recorded.start.second) else {
        return Err(bad("the start time of the recording or of its annotation file is none"));
    };
    let days = other.day.zip(recorded.start.day).map(|(theirs, ours)| theirs - ours);
    if days.is_none() {
        table
            .notes
            .push(Note::new("start-date", "recording and annotation file are taken to start on one day"));
    }
    let ahead = days.unwrap_or(0) * DAY + i64::from(theirs) - i64::from(ours);
    let shift = Seconds::whole(ahead).minus(recorded.offset);
    for row in &mut table.rows {
        row.start = row.start.plus(shift);
        row.end = row.end.map(|end| end.plus(shift));
    }
    Ok(())
}

fn bad(message: &str) -> Failure {
    Failure::new(FailureClass::BadAnnotation, message)
}

fn shown_clock(time: Seconds) -> String {
    let seconds = attoseconds(time) / ATTOSECONDS;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::annotation::tests::shape;
    use crate::model::{Rate, RecordingId};

    #[test]
    fn clock_times_are_found_however_they_are_typed() {
        for (text, expected) in [
            (": 21.11.29", "75+0+29"),
            ("21:11:29 ", ""),
            (":1 6.49.25", ""),
            ("24:21:32", ""),
            ("21.60.00", "none"),
            ("21.11", "none"),
            ("2011.11.29", "none"),
            ("", "none"),
        ] {
            assert_eq!(clock_times(text).is_empty(), expected == "none", "{text}");
        }
        let times = clock_times("15.43.53 (CLINICAL ONSET); 15.43.59 (ELECTRIC ONSET)");
        let seen: Vec<String> = times.iter().map(|(time, words)| format!("{time} {words}")).collect();
        assert_eq!(seen, ["56633 (CLINICALONSET);", "56639 (ELECTRICONSET)"]);
        assert_eq!(clock_times(":1 6.49.25")[0].0, Seconds::whole(60565));
        assert_eq!(clock_times("24:21:32")[0].0, Seconds::whole(1292));
    }

    /// Settles one row in a recording that starts at `start` of day 10.
    fn settled(
        origin: TimeOrigin,
        row: (i64, i64),
        start: u32,
        offset: &str,
        hours: u64,
    ) -> Result<String, String> {
        let id = RecordingId::new("a").unwrap();
        let recorded = Recorded {
            id: &id,
            samples: hours * 3600,
            rate: Rate::new(1, 1).unwrap(),
            start: Start { day: Some(10), second: Some(start) },
            offset: Seconds::parse(offset).unwrap(),
            is_cut_off: false,
        };
        let (first, last) = (Seconds::whole(row.0), Some(Seconds::whole(row.1)));
        let row = AnnotationRow { channel: None, start: first, end: last, code: "s".to_owned(), line: 1 };
        let mut table = AnnotationTable { rows: vec![row], origin, ..AnnotationTable::default() };
        settle(&mut table, &recorded).map_err(|failure| failure.message)?;
        Ok(format!("{} {}", shape(&table), table.notes.iter().map(|n| n.code.as_str()).collect::<String>()))
    }

    #[test]
    fn clock_times_count_from_the_first_sample() {
        let none = TimeOrigin::Midnight { begins: None };
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(settled(none, (3600, 3660), 1800, "0", 2), ok("1800-1860 s "));
        assert_eq!(settled(none, (3600, 3660), 1800, "0.25", 2), ok("1799.75-1859.75 s "));
        // Past midnight, and the end past midnight.
        assert_eq!(settled(none, (60, 120), 86_000, "0", 2), ok("460-520 s "));
        assert_eq!(settled(none, (86_390, 20), 86_000, "0", 2), ok("390-420 s "));
        // A second before the first sample is not tomorrow.
        assert_eq!(settled(none, (1800, 1805), 1800, "0.5", 2), ok("-0.5-4.5 s "));
        assert_eq!(settled(none, (1799, 1805), 1800, "0.5", 2), ok("86398.5-86404.5 s "));
        assert!(
            settled(none, (3600, 3660), 1800, "0", 25).unwrap_err().contains("01:00:00 comes more than once")
        );
        assert!(settled(none, (1700, 1760), 1800, "0", 24).is_ok());
        let claimed = |second| TimeOrigin::Midnight { begins: Some(Seconds::whole(second)) };
        assert_eq!(settled(claimed(1801), (3600, 3660), 1800, "0", 2), ok("1800-1860 s "));
        assert_eq!(settled(claimed(1810), (3600, 3660), 1800, "0", 2), ok("1800-1860 s start-differs"));
    }

    #[test]
    fn another_file_has_a_start_of_its_own() {
        let header = |day, second| TimeOrigin::Header(Start { day, second });
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(settled(header(Some(10), Some(1800)), (30, 60), 1800, "0.5", 2), ok("29.5-59.5 s "));
        assert_eq!(settled(header(Some(11), Some(0)), (30, 60), 86_000, "0", 2), ok("430-460 s "));
        assert_eq!(settled(header(None, Some(1810)), (30, 60), 1800, "0", 2), ok("40-70 s start-date"));
        assert!(settled(header(Some(10), None), (30, 60), 1800, "0", 2).is_err());
    }
}
