//! Start dates and times: odd ones are noted, and never fatal, because no sample depends on them.

use crate::model::Note;
use crate::model::recording::Header;

/// When a recording starts, as far as its header says so; exact to the second, which is all that the format holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Start {
    /// Days since 1970-01-01.
    pub day: Option<i64>,
    /// Seconds since midnight.
    pub second: Option<u32>,
}

/// Returns the start that a header names. Colons are taken for dots here: they leave no doubt about a time.
#[must_use]
pub fn start(header: &Header) -> Start {
    let day = parse_date(&header.start_date.replace(':', ".")).map(Date::days);
    let time = two_digits_each(&header.start_time.replace(':', ".")).filter(is_of_a_day);
    Start { day, second: time.map(|[hour, minute, second]| hour * 3600 + minute * 60 + second) }
}

/// Returns what is odd about the start fields of a header.
pub(super) fn date_notes(date: &str, time: &str, recording: &str) -> Vec<Note> {
    let mut notes = Vec::new();
    match parse_date(date) {
        None => notes
            .push(Note::new("start-date", format!("start date `{date}` is no `dd.mm.yy` of the calendar"))),
        Some(main) => {
            if let Some(long) = recording_date(recording).filter(|long| disagree(main, *long)) {
                let long = format!("{:02}.{:02}.{:04}", long.day, long.month, long.year);
                let text = format!("start date `{date}` but `Startdate {long}` in the recording field");
                notes.push(Note::new("start-date", text));
            }
        }
    }
    if !is_time(time) {
        notes.push(Note::new("start-time", format!("start time `{time}` is no `hh.mm.ss` of a day")));
    }
    notes
}

/// Returns the start of a recording as `2021-03-15T22:10:05`, or as it is written where that is no date or time.
#[must_use]
pub fn iso_start(header: &Header) -> String {
    let (date, time) = (&header.start_date, &header.start_time);
    match parse_date(date).filter(|_| is_time(time)) {
        Some(main) => {
            let long =
                recording_date(&header.recording).filter(|long| !main.year_known && !disagree(main, *long));
            let year = long.map_or(main.year, |long| long.year);
            format!("{year:04}-{:02}-{:02}T{}", main.month, main.day, time.replace('.', ":"))
        }
        None => format!("{date} {time}"),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Date {
    day: u32,
    month: u32,
    /// With its century; nothing for `yy`, which the specification asks for after 2084.
    year: u32,
    year_known: bool,
}

impl Date {
    /// Days since 1970-01-01 in the Gregorian calendar, counted in years that begin with March.
    fn days(self) -> i64 {
        let (year, month) = (i64::from(self.year) - i64::from(self.month <= 2), i64::from(self.month));
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + i64::from(self.day) - 1;
        365 * year + year / 4 - year / 100 + year / 400 + of_year - 719_468
    }
}

fn disagree(main: Date, long: Date) -> bool {
    (main.day, main.month) != (long.day, long.month)
        || (main.year_known && main.year % 100 != long.year % 100)
}

/// EDF+ § 2.1.3.2 (2003): "1985 as a clipping date": 85 is 1985, 84 is 2084.
fn parse_date(text: &str) -> Option<Date> {
    let [day, month, year] = two_digits_each(&text.replace("yy", "84"))?;
    let year = if year < 85 { 2000 + year } else { 1900 + year };
    let date = Date { day, month, year, year_known: !text.ends_with("yy") };
    (1..=days_of(month, year)).contains(&day).then_some(date)
}

fn two_digits_each(text: &str) -> Option<[u32; 3]> {
    let bytes = text.as_bytes();
    if bytes.len() != 8 || bytes[2] != b'.' || bytes[5] != b'.' {
        return None;
    }
    let mut numbers = [0; 3];
    for (number, pair) in numbers.iter_mut().zip(bytes.chunks(3)) {
        let digits = pair[..2].iter().all(u8::is_ascii_digit);
        *number = digits.then(|| u32::from(pair[0] - b'0') * 10 + u32::from(pair[1] - b'0'))?;
    }
    Some(numbers)
}

/// Days of a month, 0 for a month that does not exist.
fn days_of(month: u32, year: u32) -> u32 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 0,
    }
}

/// Reads the date of `Startdate 15-MAR-2021 …`; an anonymous `Startdate X` has none.
fn recording_date(recording: &str) -> Option<Date> {
    const MONTHS: [&str; 12] =
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    let mut parts = recording.strip_prefix("Startdate ")?.split(' ').next()?.split('-');
    let day = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))? as u32 + 1;
    let year = parts.next()?.parse().ok()?;
    Some(Date { day, month, year, year_known: true })
}

fn is_time(text: &str) -> bool {
    two_digits_each(text).is_some_and(|time| is_of_a_day(&time))
}

fn is_of_a_day([hour, minute, second]: &[u32; 3]) -> bool {
    *hour < 24 && *minute < 60 && *second < 60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (date, days) in [
            ("01.01.70", Some(36_525)),
            ("29.02.00", Some(11_016)),
            ("24.04.89", Some(7053)),
            ("21.11.26", Some(20_778)),
        ] {
            assert_eq!(parse_date(date).map(Date::days), days, "{date}");
        }
    }

    #[test]
    fn odd_dates_are_noted() {
        for (date, time, recording, codes) in [
            ("15.03.21", "22.10.05", "Startdate 15-MAR-2021 X X X", &[][..]),
            ("15.03.21", "22.10.05", "Startdate X X X X", &[]),
            ("31.12.84", "00.00.00", "X", &[]),
            ("13.03.59", "23.59.59", "Startdate 13-MAR-2059 X", &[]),
            ("15.03.yy", "22.10.05", "Startdate 15-MAR-2121 X", &[]),
            ("29.02.16", "22.10.05", "", &[]),
            ("29.02.14", "22.10.05", "", &["start-date"]),
            ("29.00.14", "22.10.05", "", &["start-date"]),
            ("15:03:21", "22.10.05", "", &["start-date"]),
            ("15.03.21", "22.10.05", "Startdate 16-MAR-2021 X", &["start-date"]),
            ("42.00.00", "26.00.99", "", &["start-date", "start-time"]),
            ("", "", "", &["start-date", "start-time"]),
            ("é.03.21", "22.10.05", "", &["start-date"]),
        ] {
            let notes = date_notes(date, time, recording);
            assert_eq!(
                notes.iter().map(|note| note.code.as_str()).collect::<Vec<_>>(),
                codes,
                "{date} {time}"
            );
        }
    }
}
