//! `${NAME}` and `${NAME:-default}` in texts.
//!
//! As in a shell, the default is used where the variable is unset or empty; it may hold further
//! variables.

use std::collections::BTreeMap;

/// The environment, as it is handed in.
pub type Environment = BTreeMap<String, String>;

/// A text with its variables filled in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Expansion {
    /// The result.
    pub(crate) text: String,
    /// Variables that were set and used.
    pub(crate) used: Vec<String>,
    /// True where a default took the place of a variable.
    pub(crate) fallback: bool,
    /// True where the whole text was one `${…}`.
    pub(crate) whole: bool,
}

/// Why a text cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ExpandError {
    /// The variable is not set and has no default.
    Unset(String),
    /// This is no `${NAME}`.
    Malformed(String),
}

/// Fills in the variables of `text`; nothing where it holds none.
pub(crate) fn expand(text: &str, env: &Environment) -> Result<Option<Expansion>, ExpandError> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut result = Expansion::default();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        result.text.push_str(&rest[..start]);
        let inside = &rest[start + 2..];
        let end = closing(inside).ok_or_else(|| ExpandError::Malformed(rest[start..].to_owned()))?;
        substitute(&inside[..end], env, &mut result)?;
        result.whole = start == 0 && rest.len() == text.len() && inside.len() == end + 1;
        rest = &inside[end + 1..];
    }
    result.text.push_str(rest);
    Ok(Some(result))
}

/// Returns the index of the brace that closes the variable whose inside begins `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut bytes = text.bytes().enumerate().peekable();
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b'$' if bytes.peek().is_some_and(|(_, next)| *next == b'{') => depth += 1,
            b'}' if depth == 0 => return Some(index),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn substitute(inside: &str, env: &Environment, result: &mut Expansion) -> Result<(), ExpandError> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(valid) || name.as_bytes()[0].is_ascii_digit() {
        return Err(ExpandError::Malformed(format!("${{{inside}}}")));
    }
    match (env.get(name), default) {
        (Some(value), default) if !value.is_empty() || default.is_none() => {
            result.text.push_str(value);
            result.used.push(name.to_owned());
        }
        (_, Some(default)) => {
            result.fallback = true;
            match expand(default, env)? {
                Some(inner) => {
                    result.text.push_str(&inner.text);
                    result.used.extend(inner.used);
                }
                None => result.text.push_str(default),
            }
        }
        (_, None) => return Err(ExpandError::Unset(name.to_owned())),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Option<(String, bool, bool)>, ExpandError> {
        let env = [("A", "1"), ("B", "x y"), ("EMPTY", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        expand(text, &env).map(|e| e.map(|e| (e.text, e.whole, e.fallback)))
    }

    #[test]
    fn variables_are_filled_in_as_in_a_shell() {
        for (text, expected, whole, fallback) in [
            ("${A}", "1", true, false),
            ("${A}/${B}", "1/x y", false, false),
            ("a${A}", "a1", false, false),
            ("${A}a", "1a", false, false),
            ("${NO:-d}", "d", true, true),
            ("${EMPTY:-d}", "d", true, true),
            ("${EMPTY}", "", true, false),
            ("${NO:-${A}/b}", "1/b", true, true),
            ("${NO:-}", "", true, true),
        ] {
            assert_eq!(check(text), Ok(Some((expected.to_owned(), whole, fallback))), "{text}");
        }
        assert_eq!(check("a$A {A}"), Ok(None));
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(check("${NO}"), Err(ExpandError::Unset("NO".to_owned())));
        for text in ["${", "${A", "${}", "${1A}", "${A B}", "${A-b}"] {
            assert!(matches!(check(text), Err(ExpandError::Malformed(_))), "{text}");
        }
    }
}
