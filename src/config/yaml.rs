//! Text to values: the only file that knows `serde_yaml`.
//!
//! A document must be one map with text keys; what else YAML allows is refused with a line. `spans`
//! finds the lines, this file the values.

use crate::config::spans::{self, Lines};
use figment::value::{Dict, Empty, Tag, Value};

/// A configuration file taken apart.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// The values.
    pub(crate) values: Dict,
    /// The line of every key and list item.
    pub(crate) lines: Lines,
}

/// Why a text is no configuration.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The line, where it is known.
    pub(crate) line: Option<usize>,
    /// What is wrong.
    pub(crate) message: String,
    /// How to mend it.
    pub(crate) hint: String,
}

impl Fault {
    fn new(line: Option<usize>, message: impl Into<String>, hint: &str) -> Self {
        Self { line, message: message.into(), hint: hint.to_owned() }
    }
}

/// Reads a configuration file; an empty one is fine.
pub(crate) fn parse(text: &str) -> Result<Document, Vec<Fault>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let scan = spans::scan(text);
    let faults = structural_faults(&scan);
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut value: serde_yaml::Value =
        serde_yaml::from_str(text).map_err(|error| vec![syntax_fault(text, &error)])?;
    value.apply_merge().map_err(|error| vec![syntax_fault(text, &error)])?;
    match convert(value) {
        Value::Dict(_, values) => Ok(Document { values, lines: scan.lines }),
        Value::Empty(..) => Ok(Document { values: Dict::new(), lines: scan.lines }),
        _ => Err(vec![Fault::new(
            Some(1),
            "a configuration file must be a map of `key: value` lines",
            "write for instance `cache: {profile: smoke}`",
        )]),
    }
}

/// Reads one value, as it stands behind a `--set key=` or in a variable; nothing where it is no YAML.
pub(crate) fn value(text: &str) -> Option<Value> {
    if !structural_faults(&spans::scan(text)).is_empty() {
        return None;
    }
    serde_yaml::from_str(text).ok().map(convert)
}

fn structural_faults(scan: &spans::Scan) -> Vec<Fault> {
    let duplicate = |d: &spans::Duplicate| {
        Fault::new(
            Some(d.line),
            format!("the key `{}` was already written in line {}", d.key, d.first),
            "keep one of the two and delete the other",
        )
    };
    let mut faults: Vec<Fault> = scan.duplicates.iter().map(duplicate).collect();
    if let Some(line) = scan.documents.get(1) {
        let message = "a second YAML document begins here; only one in a file is read";
        faults.push(Fault::new(Some(*line), message, "delete the line `---`, or split the file"));
    }
    let tag = |(line, tag): &(usize, String)| {
        let message = format!("the YAML tag `{tag}` is not supported");
        Fault::new(Some(*line), message, "write the value itself; `${NAME}` takes it from the environment")
    };
    faults.extend(scan.tags.iter().map(tag));
    faults
}

fn syntax_fault(text: &str, error: &serde_yaml::Error) -> Fault {
    let line = error.location().map(|location| location.line());
    let full = error.to_string();
    let message = full.split(" at line ").next().unwrap_or(&full).to_owned();
    let here = line.and_then(|n| text.lines().nth(n.max(1) - 1)).unwrap_or_default();
    let variable = here.find("${").is_some_and(|at| here[..at].contains(['{', '[']));
    let hint = if variable {
        "inside of `{…}` and `[…]` a `${NAME}` needs quotes: `\"${NAME}\"`"
    } else if here.trim_start_matches(' ').starts_with('\t') {
        "YAML indents with spaces; this line begins with a tab"
    } else if message.contains("mapping values are not allowed") {
        "a text that holds `: ` needs quotes; a nested key needs a line of its own, further to the right"
    } else if message.contains("did not find expected") {
        "look for a missing quote, bracket or comma, or a wrong indentation, in this line or right above it"
    } else if message.contains("cannot start any token") {
        "a text that begins with `@`, `` ` `` or `%` needs quotes"
    } else {
        "see the line above as well: YAML notices a mistake only where the text stops making sense"
    };
    Fault::new(line, format!("this is not valid YAML: {message}"), hint)
}

fn convert(value: serde_yaml::Value) -> Value {
    match value {
        serde_yaml::Value::Null => Value::Empty(Tag::Default, Empty::Unit),
        serde_yaml::Value::Bool(flag) => Value::from(flag),
        serde_yaml::Value::Number(number) => convert_number(&number),
        serde_yaml::Value::String(text) => Value::from(text),
        serde_yaml::Value::Sequence(items) => Value::from(items.into_iter().map(convert).collect::<Vec<_>>()),
        serde_yaml::Value::Mapping(map) => {
            let entries = map.into_iter().map(|(key, value)| (key_text(&key), convert(value)));
            Value::from(entries.collect::<Dict>())
        }
        serde_yaml::Value::Tagged(tagged) => convert(tagged.value),
    }
}

fn convert_number(number: &serde_yaml::Number) -> Value {
    match (number.as_i64(), number.as_u64()) {
        (Some(number), _) => Value::from(number),
        (None, Some(number)) => Value::from(number),
        (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
    }
}

/// Returns the text of a key; numbers and the like are taken as they read.
fn key_text(key: &serde_yaml::Value) -> String {
    match key {
        serde_yaml::Value::String(text) => text.clone(),
        serde_yaml::Value::Number(number) => number.to_string(),
        serde_yaml::Value::Bool(flag) => flag.to_string(),
        serde_yaml::Value::Null => "~".to_owned(),
        _ => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        parse(text).unwrap_err().remove(0)
    }

    #[test]
    fn faults_have_a_line() {
        for (text, line, part) in [
            ("a: 1\nb: [1, 2\nc: 3\n", 3, "valid YAML"),
            ("a: 1\nb: c: d\n", 2, "mapping values"),
            ("a:\n\t- 1\n", 2, "valid YAML"),
            ("a: {x: 1}\nb: 2\na: 3\n", 3, "already written in line 1"),
            ("a:\n  x: 1\n  y: 2\n  x: 3\n", 4, "`a.x`"),
            ("a: 1\n---\nb: 1\n", 2, "second YAML document"),
            ("- 1\n- 2\n", 1, "must be a map"),
            ("a: !env HOME\n", 1, "`!env`"),
        ] {
            let fault = fault(text);
            assert_eq!(fault.line, Some(line), "{text:?}: {fault:?}");
            assert!(fault.message.contains(part), "{text:?}: {fault:?}");
        }
    }

    #[test]
    fn empty_files_are_fine() {
        for text in ["", "# nothing\n", "---\n", "\u{feff}", "\r\n"] {
            assert!(parse(text).unwrap().values.is_empty(), "{text:?}");
        }
    }

    #[test]
    fn anchors_and_merge_keys_are_resolved() {
        let document = parse("a: &x {p: 1}\nb:\n  <<: *x\n  q: 2\nc: *x\n").unwrap();
        assert_eq!(document.values["b"].as_dict().unwrap().len(), 2);
        assert_eq!(document.values["c"], document.values["a"]);
    }

    #[test]
    fn lone_values_are_yaml() {
        assert_eq!(value("256"), Some(Value::from(256_i64)));
        assert_eq!(value("[copy]"), Some(Value::from(vec!["copy"])));
        assert_eq!(value("[copy"), None);
        assert_eq!(value("a b"), Some(Value::from("a b")));
    }
}
