//! "Did you mean": the nearest of the names that would have been right.

/// Returns the candidate that `word` was probably meant to be. What differs in its digits alone was meant as it stands.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let score = |candidate: &str| {
        let other = candidate.to_lowercase();
        let typo = is_typo(word, candidate);
        let related =
            other.len() >= 3 && lower.len() >= 3 && (other.starts_with(&lower) || lower.starts_with(&other));
        let likeness = strsim::jaro_winkler(&lower, &other);
        (typo || related || likeness > 0.84).then_some(likeness + f64::from(u8::from(typo)))
    };
    let letters = |name: &str| name.to_lowercase().replace(|c: char| c.is_ascii_digit(), "");
    let differs = |candidate: &&str| lower == candidate.to_lowercase() || letters(word) != letters(candidate);
    let candidates = candidates.into_iter().filter(differs);
    let scored = candidates.filter_map(|candidate| Some((score(candidate)?, candidate)));
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, candidate)| candidate)
}

/// True where `word` is `candidate` with a slip of the finger (one edit in every five letters, at most two) or cut short.
pub(crate) fn is_typo(word: &str, candidate: &str) -> bool {
    let (lower, other) = (word.to_lowercase(), candidate.to_lowercase());
    let allowed = (lower.len().max(other.len()) / 5).clamp(1, 2);
    let cut_short = other.starts_with(&lower) && lower.len() * 5 >= other.len() * 3;
    word != candidate && (cut_short || strsim::osa_distance(&lower, &other) <= allowed)
}

/// Returns `` did you mean `x`? `` or nothing, ready to begin a hint.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |name| format!("did you mean `{name}`? "))
}

/// Returns the names in backticks, with commas.
pub fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_told_from_other_words() {
        let ours = ["cache", "preprocessing", "windows", "labels", "storage", "data"];
        for (word, meant) in [
            ("cahe", "cache"),
            ("preprocesing", "preprocessing"),
            ("preprocess", "preprocessing"),
            ("lables", "labels"),
            ("window", "windows"),
            ("Cache", "cache"),
            ("sotrage", "storage"),
            ("dat", "data"),
        ] {
            assert!(ours.iter().any(|ours| is_typo(word, ours) && *ours == meant), "{word}");
            assert_eq!(nearest(word, ours), Some(meant));
        }
        for other in
            ["model", "training", "experiment", "stage", "logging", "cuda", "evaluation", "postprocessing"]
        {
            assert!(!ours.iter().any(|ours| is_typo(other, ours)), "{other}");
        }
        assert_eq!(nearest("float64", ["float32", "float16"]), None);
        assert_eq!(nearest("Float32", ["float32", "float16"]), Some("float32"));
        assert_eq!(nearest("flaot16", ["float32", "float16"]), Some("float16"));
    }
}
