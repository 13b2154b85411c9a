//! Quality: how well a recording was recorded, and how much of it a recipe changed.
//!
//! Measured once, when a signal file is made, and never mended: what is wrong enough to keep a recording out is a
//! `FailureClass`, what is worth a sentence is a `Note`. `dsp` measures, `entry.json` and the manifest keep it.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// Quality of one signal file. Shares go from 0 to 1; recorded channels bear the labels of the recording.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quality {
    /// What the content is: `EDF`, `EDF+C`, `BDF+D` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The reference suffix of the picked labels (`REF`, `LE`, `AR`, `AVG`), where they have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The mains frequency that shows, 50 or 60 Hz: the one whose power stands out more, if it stands out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mains_hz: Option<u64>,
    /// Line noise: power at 50 or 60 Hz, whichever is more, over the power beside it, the median of the recorded channels.
    /// Nothing where the rate is too low or the recording too short to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mains_ratio: Option<f64>,
    /// Share of the samples of a recorded channel that follow an equal one at a digital limit; channels without any are left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub saturated: BTreeMap<String, f64>,
    /// Recorded channels of which all samples are equal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flat: Vec<String>,
    /// Recorded channels that name no physical dimension: µV was assumed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unit_assumed: Vec<String>,
    /// Share of a channel's variance that lies in its first 5 s, behind the last filter; empty where nothing is filtered.
    #[serde(skip_serializing_if = "Shares::is_empty")]
    pub early_variance: Shares,
    /// Share of the output samples at the limit of a clip that is the recipe's last step; nothing without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clipped: Option<f64>,
}

/// No share and no ratio is ever NaN, which JSON could not keep.
impl Eq for Quality {}

/// Channels of the 10–20 system, and the bytes of their names.
const CHANNELS: usize = 19;
const NAMES_BYTES: usize = 40;

/// Shares of channels by name. Nineteen of them stand in each of 100,000 entries: they are kept as one text and one list, since a
/// text for every name takes longer to read than all the rest of an entry.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shares {
    /// The names, one behind the other.
    names: String,
    /// Where each name ends, and its share.
    shares: Vec<(usize, f64)>,
}

impl Shares {
    /// The names with their shares, in the order in which they were collected.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        let starts = std::iter::once(0).chain(self.shares.iter().map(|(end, _)| *end));
        starts.zip(&self.shares).map(|(start, (end, share))| (&self.names[start..*end], *share))
    }

    /// True where there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }
}

impl<T: AsRef<str>> FromIterator<(T, f64)> for Shares {
    fn from_iter<I: IntoIterator<Item = (T, f64)>>(shares: I) -> Self {
        let mut all = Self::default();
        for (name, share) in shares {
            all.names.push_str(name.as_ref());
            all.shares.push((all.names.len(), share));
        }
        all
    }
}

impl Serialize for Shares {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Shares {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Shares;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shares by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shares, A::Error> {
        let mut all =
            Shares { names: String::with_capacity(NAMES_BYTES), shares: Vec::with_capacity(CHANNELS) };
        while map.next_key_seed(Behind(&mut all.names))?.is_some() {
            all.shares.push((all.names.len(), map.next_value()?));
        }
        Ok(all)
    }
}

/// Writes a name behind those before it.
struct Behind<'a>(&'a mut String);

impl<'de> DeserializeSeed<'de> for Behind<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Behind<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<(), E> {
        self.0.push_str(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_written_and_read_as_a_map() {
        for map in [&[][..], &[("Cz", 0.017)], &[("", 0.0), ("Fp1", 1.0), ("É \"x\"\n", 1e-6)]] {
            let map: BTreeMap<&str, f64> = map.iter().copied().collect();
            let shares: Shares = map.iter().map(|(name, share)| (name, *share)).collect();
            let text = serde_json::to_string(&shares).unwrap();
            assert_eq!(text, serde_json::to_string(&map).unwrap());
            assert_eq!(serde_json::from_str::<Shares>(&text).unwrap(), shares);
            // Lines of journals are read by way of a value.
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::from_value::<Shares>(value).unwrap(), shares);
            assert_eq!(shares.iter().collect::<BTreeMap<_, _>>(), map);
        }
        assert!(serde_json::from_str::<Shares>("[1]").is_err());
    }
}
