//! Annotation codes: which mean a seizure, which do not, and which nobody has declared.
//!
//! A declared code is a name, or the beginning of names with a `*` behind it. The closest declaration
//! wins: the name itself, then the longest beginning, so `background: ["*"]` is "everything else".

use crate::model::recipe::LabelRecipe;
use std::collections::BTreeSet;

/// What a code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// A seizure.
    Seizure,
    /// Anything else.
    Background,
}

impl LabelRecipe {
    /// Returns what a code means; nothing where it is not declared.
    #[must_use]
    pub fn meaning(&self, code: &str) -> Option<Meaning> {
        let seizure = closeness(&self.seizure, code).map(|close| (close, Meaning::Seizure));
        let background = closeness(&self.background, code).map(|close| (close, Meaning::Background));
        // Equal closeness means one and the same declaration in both lists, which `config` refuses.
        let (Some(best), other) = (seizure.or(background), background) else { return None };
        Some(other.filter(|other| other.0 > best.0).unwrap_or(best).1)
    }

    /// True where a code means a seizure.
    #[must_use]
    pub fn is_seizure(&self, code: &str) -> bool {
        self.meaning(code) == Some(Meaning::Seizure)
    }
}

/// How closely the declarations meet a code: the bytes that decide, one more for the name itself.
fn closeness(declared: &BTreeSet<String>, code: &str) -> Option<usize> {
    if declared.contains(code) {
        return Some(code.len() + 1);
    }
    let beginnings = declared.iter().filter_map(|declared| declared.strip_suffix('*'));
    beginnings.filter(|beginning| code.starts_with(beginning)).map(str::len).max()
}

#[cfg(test)]
mod tests {
    use super::Meaning::{Background, Seizure};
    use super::*;
    use crate::model::recipe::{AnnotationFormat, GapPolicy, NoRowMeans, Unlabelled};
    use std::collections::BTreeMap;

    #[test]
    fn the_closest_declaration_wins() {
        let set = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect();
        let recipe = |seizure: &[&str], background: &[&str]| LabelRecipe {
            format: AnnotationFormat::BidsEvents,
            seizure: set(seizure),
            background: set(background),
            cross_check: None,
            unlabelled: Unlabelled::Error,
            no_row_means: NoRowMeans::Empty,
            names: BTreeMap::new(),
            fixes: BTreeMap::new(),
            rate_hz: None,
            gaps: GapPolicy::Error,
        };
        for (seizure, background, code, expected) in [
            (&["seiz"][..], &["bckg"][..], "seiz", Some(Seizure)),
            (&["seiz"], &["bckg"], "bckg", Some(Background)),
            (&["seiz"], &["bckg"], "seizure", None),
            (&["sz*"], &["bckg"], "sz_foc_ia", Some(Seizure)),
            (&["sz*"], &["bckg"], "sz", Some(Seizure)),
            (&["sz*"], &["bckg"], "s", None),
            (&["sz*"], &["*"], "impd", Some(Background)),
            (&["sz*"], &["*"], "sz_x", Some(Seizure)),
            (&["sz*"], &["sz_non*"], "sz_nonepileptic", Some(Background)),
            (&["sz*"], &["sz"], "sz", Some(Background)),
            (&["sz_non_x", "sz"], &["sz_non*"], "sz_non_x", Some(Seizure)),
            (&["s"], &["*"], "", Some(Background)),
        ] {
            assert_eq!(
                recipe(seizure, background).meaning(code),
                expected,
                "{seizure:?} {background:?} {code}"
            );
        }
    }
}
