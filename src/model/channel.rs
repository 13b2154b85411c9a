//! Channel names: how a recorded label becomes the name that the recipe asks for.
//!
//! `EEG_FACTS` section 1 step 2 and section 5: spaces go, a leading `EEG` goes, one trailing
//! `-REF`, `-LE`, `-AR` or `-AVG` goes, dots at the end go (`Fc5.` fills four letters), case does not matter, then
//! synonyms. Any other hyphenated label is a bipolar name and equals only a bipolar name.

use std::collections::BTreeMap;

/// The suffixes that name a reference rather than a second electrode.
pub const REFERENCE_SUFFIXES: [&str; 4] = ["-REF", "-LE", "-AR", "-AVG"];

/// Synonyms of the 10-20 system: the newer names of four electrodes and the older ones used here.
pub const SYNONYMS_10_20: [(&str, &str); 4] = [("T7", "T3"), ("T8", "T4"), ("P7", "T5"), ("P8", "T6")];

/// The 19 electrodes of the 10-20 system in the order of the origin's cache.
pub const ORDER_10_20: [&str; 19] = [
    "Fp1", "F3", "C3", "P3", "F7", "T3", "T5", "O1", "Fz", "Cz", "Pz", "Fp2", "F4", "C4", "P4", "F8", "T4",
    "T6", "O2",
];

/// The 22 pairs of the transverse central parietal montage (TCP, a double banana) of the TUH EEG corpora, in their order:
/// left and right temporal chains, the transverse chain through the vertex, left and right parasagittal chains.
/// This is the montage that goes with recordings against an averaged reference (`01_tcp_ar`).
pub const TCP_22: [&str; 22] = [
    "Fp1-F7", "F7-T3", "T3-T5", "T5-O1", "Fp2-F8", "F8-T4", "T4-T6", "T6-O2", "A1-T3", "T3-C3", "C3-Cz",
    "Cz-C4", "C4-T4", "T4-A2", "Fp1-F3", "F3-C3", "C3-P3", "P3-O1", "Fp2-F4", "F4-C4", "C4-P4", "P4-O2",
];

/// The 20 pairs of `TCP_22` that need no ear electrode, for recordings without them (`03_tcp_ar_a`).
#[must_use]
pub fn tcp_20() -> Vec<&'static str> {
    TCP_22.into_iter().filter(|pair| !pair.contains("A1") && !pair.contains("A2")).collect()
}

/// A recorded label taken apart: the comparison key and the reference suffix that was stripped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelKey {
    /// Upper-case name without spaces, prefix, suffix and dots at its end; aliases applied to it, or to both halves of a bipolar name.
    pub name: String,
    /// The suffix without its hyphen (`REF`, `LE`, `AR`, `AVG`), where there was one.
    pub reference: Option<String>,
}

/// Synonyms as a map from upper-case names to upper-case names.
#[derive(Debug, Clone, Default)]
pub struct Aliases(BTreeMap<String, String>);

impl Aliases {
    /// Makes the map from written names.
    #[must_use]
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(pairs.into_iter().map(|(from, to)| (from.to_uppercase(), to.to_uppercase())).collect())
    }

    fn resolve(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_else(|| name.to_owned())
    }

    /// Returns the comparison key of a recorded label or of a name in a recipe.
    #[must_use]
    pub fn key(&self, label: &str) -> LabelKey {
        let mut name: String = label.chars().filter(|c| *c != ' ').collect::<String>().to_uppercase();
        if let Some(rest) = name.strip_prefix("EEG").filter(|rest| !rest.is_empty()) {
            name = rest.to_owned();
        }
        let suffix =
            REFERENCE_SUFFIXES.iter().find(|suffix| name.len() > suffix.len() && name.ends_with(*suffix));
        if let Some(suffix) = suffix {
            name.truncate(name.len() - suffix.len());
        }
        name.truncate(name.trim_end_matches('.').len());
        let reference = suffix.map(|suffix| suffix[1..].to_owned());
        let whole = self.resolve(&name);
        let name = match name.split_once('-') {
            Some((a, b)) if whole == name => format!("{}-{}", self.resolve(a), self.resolve(b)),
            _ => whole,
        };
        LabelKey { name, reference }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_matched_as_the_origin_matches_them() {
        let aliases = Aliases::new(SYNONYMS_10_20);
        for (label, name, reference) in [
            ("EEG FP1-REF", "FP1", Some("REF")),
            ("EEG T7-LE", "T3", Some("LE")),
            ("eeg P 8 - avg", "T6", Some("AVG")),
            ("Cz", "CZ", None),
            ("T3-P3", "T3-P3", None),
            ("T8-P8", "T4-T6", None),
            ("EEG Fpz-Cz", "FPZ-CZ", None),
            ("F3-A2", "F3-A2", None),
            ("EEG", "EEG", None),
            ("EEG Channel-1", "CHANNEL-1", None),
            ("-REF", "-REF", None),
            ("EKG1", "EKG1", None),
            ("Fc5.", "FC5", None),
            ("T7..", "T3", None),
            ("C3..-REF", "C3", Some("REF")),
            ("..", "", None),
        ] {
            let key = aliases.key(label);
            assert_eq!((key.name.as_str(), key.reference.as_deref()), (name, reference), "{label}");
        }
    }
}
