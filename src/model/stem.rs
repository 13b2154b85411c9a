//! The stem of finished files: a recording, or one part of a recording that was split at its gaps.
//!
//! `<id>` names the files of a whole recording, `<id>.part000`, `<id>.part001` … those of its parts. Ids
//! cannot end like that, so a stem is read back in one way only.

use crate::model::id::{InvalidName, RecordingId};
use crate::model::units::Seconds;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// What stands between the id and the number of a part.
const PART: &str = ".part";

/// The stem of a signal file and of its labels file. Stems of one recording follow each other in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stem {
    recording: RecordingId,
    part: Option<u32>,
}

/// Where a part lies in its recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartOf {
    /// How many parts the recording has.
    pub of: u32,
    /// When the part begins, in seconds from the recording's sample 0.
    pub start_s: Seconds,
}

impl Stem {
    /// The stem of a recording that is one piece.
    #[must_use]
    pub fn whole(recording: RecordingId) -> Self {
        Self { recording, part: None }
    }

    /// The stem of a part, counted from 0.
    #[must_use]
    pub fn of_part(recording: RecordingId, part: u32) -> Self {
        Self { recording, part: Some(part) }
    }

    /// Reads `<id>` or `<id>.partNNN`, as it is written and in no other way.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if let Some((id, number)) = text.rsplit_once(PART)
            && let (Ok(recording), Ok(part)) = (RecordingId::new(id), number.parse())
        {
            let stem = Self::of_part(recording, part);
            if stem.to_string() == text {
                return Ok(stem);
            }
        }
        RecordingId::new(text).map(Self::whole)
    }

    /// True where `parse` would read the text; makes no text of its own for whole recordings.
    #[must_use]
    pub fn is_valid(text: &str) -> bool {
        RecordingId::is_valid(text) || Self::parse(text).is_ok()
    }

    /// The recording.
    #[must_use]
    pub fn recording(&self) -> &RecordingId {
        &self.recording
    }

    /// The number of the part, from 0; nothing for a whole recording.
    #[must_use]
    pub fn part(&self) -> Option<u32> {
        self.part
    }

    /// True for one stem of every recording: the whole, or the first part.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.part.unwrap_or(0) == 0
    }

    /// Returns what a map holds of one recording, in the order of its parts.
    pub fn of<'a, T>(
        map: &'a BTreeMap<Self, T>,
        recording: &'a RecordingId,
    ) -> impl Iterator<Item = (&'a Self, &'a T)> {
        map.range(Self::whole(recording.clone())..).take_while(move |(stem, _)| stem.recording == *recording)
    }

    /// True where these stems, with the number of parts that each claims, are the whole of one recording.
    pub fn are_whole<'a>(stems: impl IntoIterator<Item = (&'a Self, Option<u32>)>) -> bool {
        let stems: Vec<_> = stems.into_iter().collect();
        match stems.as_slice() {
            [] => false,
            [(stem, None)] => stem.part.is_none(),
            stems => stems.iter().enumerate().all(|(index, (stem, parts))| {
                parts.is_some_and(|parts| parts as usize == stems.len())
                    && stem.part.is_some_and(|part| part as usize == index)
            }),
        }
    }
}

impl fmt::Display for Stem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            None => write!(f, "{}", self.recording),
            Some(part) => write!(f, "{}{PART}{part:03}", self.recording),
        }
    }
}

impl Serialize for Stem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.part {
            None => self.recording.serialize(serializer),
            Some(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Stem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stem(text: &str) -> Stem {
        Stem::parse(text).unwrap()
    }

    #[test]
    fn stems_are_read_back_as_they_were_written() {
        for (text, recording, part) in [
            ("a", "a", None),
            ("a.part000", "a", Some(0)),
            ("a.b.part017", "a.b", Some(17)),
            ("a.part1000", "a", Some(1000)),
            ("a.part", "a.part", None),
            ("a.part00", "a.part00", None),
        ] {
            let read = stem(text);
            assert_eq!(
                (read.recording().as_str(), read.part(), read.to_string().as_str()),
                (recording, part, text)
            );
        }
        for text in ["", "a.part0000", "a.part000.part001", ".part000", "a.labels", "a.part99999999999"] {
            assert!(Stem::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn parts_of_a_recording_follow_each_other_and_are_whole_together() {
        let names = ["a", "a-b", "a.b", "b.part001", "b.part000", "b.part1000", "b.part010"];
        let map: BTreeMap<Stem, &str> = names.iter().map(|name| (stem(name), *name)).collect();
        let id = RecordingId::new("b").unwrap();
        let found: Vec<String> = Stem::of(&map, &id).map(|(stem, _)| stem.to_string()).collect();
        assert_eq!(found, ["b.part000", "b.part001", "b.part010", "b.part1000"]);
        let whole = |stems: &[(&str, Option<u32>)]| {
            let stems: Vec<(Stem, Option<u32>)> = stems.iter().map(|(text, of)| (stem(text), *of)).collect();
            Stem::are_whole(stems.iter().map(|(stem, of)| (stem, *of)))
        };
        assert!(whole(&[("a", None)]) && whole(&[("a.part000", Some(1))]));
        assert!(whole(&[("a.part000", Some(2)), ("a.part001", Some(2))]));
        for stems in [
            &[][..],
            &[("a", Some(1))],
            &[("a.part000", None)],
            &[("a.part000", Some(2))],
            &[("a.part001", Some(2))],
            &[("a.part000", Some(2)), ("a.part001", Some(3))],
            &[("a", None), ("a.part000", Some(1))],
            &[("a.part000", Some(2)), ("a.part002", Some(2))],
        ] {
            assert!(!whole(stems), "{stems:?}");
        }
    }
}
