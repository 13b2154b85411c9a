//! Reading the merged tree: every getter either returns a checked value or notes a problem and goes on.
//!
//! So one pass finds every mistake. A getter that returns nothing has either found no value, or has
//! already said what is wrong with it.

use crate::config::expand::ExpandError;
use crate::config::node::{Datum, Node, Origin};
use crate::config::suggest::{did_you_mean, quoted};
use crate::error::Problem;
use std::cell::RefCell;

/// Collects what is found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<String>>,
}

impl Findings {
    /// Notes a problem.
    pub(crate) fn problem(
        &self,
        origin: Option<&Origin>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let hint = hint.into();
        let problem = Problem {
            message: message.into(),
            origin: origin.map(|origin| origin.place.clone()),
            hint: (!hint.is_empty()).then_some(hint),
        };
        let mut problems = self.problems.borrow_mut();
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }

    /// True where no problem has been noted.
    pub(crate) fn is_empty(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// Notes a warning.
    pub(crate) fn warn(&self, text: impl Into<String>) {
        self.warnings.borrow_mut().push(text.into());
    }

    /// Returns problems and warnings.
    pub(crate) fn into_parts(self) -> (Vec<Problem>, Vec<String>) {
        (self.problems.into_inner(), self.warnings.into_inner())
    }
}

/// A value was wrong, and that has been noted: there is nothing to go on with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noted;

/// A key, with the value it has, if any.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    findings: &'a Findings,
    /// The whole key with dots.
    pub(crate) key: String,
    /// The value; absent where the key was not written.
    pub(crate) node: Option<&'a Node>,
    /// The map that would hold the key.
    parent: Option<&'a Node>,
}

impl<'a> Cursor<'a> {
    /// A cursor on a section.
    pub(crate) fn section(findings: &'a Findings, key: &str, node: Option<&'a Node>) -> Self {
        Self { findings, key: key.to_owned(), node, parent: None }
    }

    /// A cursor on a key of this map.
    pub(crate) fn at(&self, key: &str) -> Self {
        let node = match self.node.map(|node| &node.datum) {
            Some(Datum::Map(entries)) => entries.get(key),
            _ => None,
        };
        Self { node, parent: self.node, key: format!("{}.{key}", self.key), findings: self.findings }
    }

    /// True where the key has a value that is not `null`.
    pub(crate) fn is_given(&self) -> bool {
        self.node.is_some_and(|node| node.datum != Datum::Null)
    }

    /// True where the value is `null` or `false`: the ways to switch something off.
    pub(crate) fn is_off(&self) -> bool {
        self.node.is_some_and(|node| matches!(node.datum, Datum::Null | Datum::Flag(false)))
    }

    /// Where the value was written.
    pub(crate) fn origin(&self) -> Option<&'a Origin> {
        self.node.or(self.parent).map(|node| &node.origin)
    }

    /// Where the value was written, as messages show it.
    pub(crate) fn place(&self) -> String {
        self.origin().map_or_else(|| "nowhere".to_owned(), |origin| origin.place.clone())
    }

    /// The value as one line of YAML.
    pub(crate) fn shown(&self) -> String {
        self.node.map_or_else(|| "null".to_owned(), Node::to_flow)
    }

    /// Notes a problem at this place; returns nothing, so that it can end a getter.
    pub(crate) fn fail<T>(&self, message: impl Into<String>, hint: impl Into<String>) -> Option<T> {
        self.findings.problem(self.origin(), message, hint);
        None
    }

    /// Notes that the value is of the wrong kind.
    pub(crate) fn wrong<T>(&self, expected: &str, hint: impl Into<String>) -> Option<T> {
        self.fail(format!("`{}` must be {expected}, not `{}`", self.key, self.shown()), hint)
    }

    /// Notes a problem where the key is absent.
    pub(crate) fn required(&self, hint: &str) -> bool {
        if !self.is_given() {
            self.fail::<()>(format!("`{}` is not set", self.key), hint);
        }
        self.is_given()
    }

    /// Notes a variable that could not be filled in.
    fn is_broken(&self) -> bool {
        match self.node.and_then(|node| node.broken.as_ref()) {
            None => return false,
            Some(ExpandError::Unset(name)) => self.fail::<()>(
                format!("`{}` needs the environment variable `{name}`, which is not set", self.key),
                format!("`export {name}=…`, or write a default: `${{{name}:-…}}`"),
            ),
            Some(ExpandError::Malformed(text)) => self.fail::<()>(
                format!("`{}` holds `{text}`, which names no variable", self.key),
                "write `${NAME}` or `${NAME:-default}`",
            ),
        };
        true
    }

    /// Notes every key of this map that is not in `known`, and a value that is no map.
    pub(crate) fn keys(&self, known: &[&str]) -> bool {
        let Some(entries) = self.entries() else { return false };
        for (key, cursor) in entries.iter().filter(|(key, _)| !known.contains(&key.as_str())) {
            let hint = format!(
                "{}the keys here are {}",
                did_you_mean(key, known.iter().copied()),
                quoted(known.iter().copied())
            );
            cursor.fail::<()>(format!("unknown key `{}`", cursor.key), hint);
        }
        true
    }

    /// The entries of a map.
    pub(crate) fn entries(&self) -> Option<Vec<(String, Self)>> {
        match &self.node?.datum {
            Datum::Null => None,
            Datum::Map(entries) => Some(entries.keys().map(|key| (key.clone(), self.at(key))).collect()),
            _ if self.is_broken() => None,
            _ => self.wrong("a map", format!("write `{}: {{key: value}}`", self.name())),
        }
    }

    /// The entries of a map whose values are texts.
    pub(crate) fn text_entries(&self) -> Option<Vec<(String, String)>> {
        let read = |(key, at): (String, Self)| {
            at.required("write a value, or delete the key").then_some(())?;
            Some((key, at.text()?))
        };
        self.entries()?.into_iter().map(read).collect()
    }

    /// The last part of the key.
    pub(crate) fn name(&self) -> &str {
        self.key.rsplit('.').next().unwrap_or(&self.key)
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Option<Vec<Self>> {
        match &self.node?.datum {
            Datum::Null => None,
            Datum::List(items) => {
                let items = items.iter().enumerate().map(|(index, node)| self.item(index, node));
                items.map(|item| item.required("write a value, or delete the item").then_some(item)).collect()
            }
            _ if self.is_broken() => None,
            _ => self.wrong("a list", format!("write `{}: [{}]`", self.name(), self.shown())),
        }
    }

    fn item(&self, index: usize, node: &'a Node) -> Self {
        Self {
            findings: self.findings,
            key: format!("{}[{index}]", self.key),
            node: Some(node),
            parent: self.node,
        }
    }

    /// A list of texts; one text stands for a list of one.
    pub(crate) fn texts(&self) -> Option<Vec<(String, Self)>> {
        if matches!(self.node?.datum, Datum::Text(_)) {
            return Some(vec![(self.text()?, self.clone())]);
        }
        self.items()?.into_iter().map(|item| Some((item.text()?, item))).collect()
    }

    /// A text that is not empty.
    pub(crate) fn text(&self) -> Option<String> {
        let node = self.node?;
        if self.is_broken() {
            return None;
        }
        match (&node.text, &node.datum) {
            (Some(text), _) | (None, Datum::Text(text)) if text.trim().is_empty() => {
                self.fail(format!("`{}` is empty", self.key), "write a value, or delete the key")
            }
            (_, Datum::Null) => None,
            (Some(text), _) | (None, Datum::Text(text)) => Some(text.clone()),
            (None, Datum::List(_) | Datum::Map(_)) => self.wrong("a text", ""),
            (None, _) => {
                let quoted = format!("write it in quotes: `{}: \"{}\"`", self.name(), self.shown());
                self.wrong("a text", quoted)
            }
        }
    }

    /// A finite number.
    pub(crate) fn number(&self) -> Option<f64> {
        match &self.node?.datum {
            Datum::Null => None,
            Datum::Whole(number) => Some(*number as f64),
            Datum::Real(number) if number.is_finite() => Some(*number),
            Datum::Real(_) => self.wrong("a finite number", "write a plain number"),
            _ if self.is_broken() => None,
            Datum::Text(text) if is_plain_number(text.trim()) => {
                self.wrong("a number", format!("remove the quotes: `{}: {}`", self.name(), text.trim()))
            }
            _ => self.wrong("a number", ""),
        }
    }

    /// A finite number above zero.
    pub(crate) fn positive(&self) -> Option<f64> {
        match self.number()? {
            number if number > 0.0 => Some(number),
            _ => self.wrong("above 0", ""),
        }
    }

    /// A number as exact decimal text.
    pub(crate) fn decimal(&self) -> Option<String> {
        let number = self.number()?;
        match self.node?.datum {
            Datum::Whole(whole) => Some(whole.to_string()),
            // Rust prints the shortest digits that read back as the same number, and never an exponent.
            _ => Some(number.to_string()),
        }
    }

    /// A whole number from 0.
    pub(crate) fn whole(&self) -> Option<u64> {
        let number = self.number()?;
        match self.node?.datum {
            Datum::Whole(whole) if u64::try_from(whole).is_ok() => Some(whole as u64),
            _ if number >= 0.0 && number == number.trunc() && number < 9.0e15 => Some(number as u64),
            _ => self.wrong("a whole number from 0", ""),
        }
    }

    /// Reads a key that may be absent.
    pub(crate) fn optional<T>(&self, read: impl Fn(&Self) -> Option<T>) -> Result<Option<T>, Noted> {
        if self.is_given() { read(self).map(Some).ok_or(Noted) } else { Ok(None) }
    }

    /// True or false.
    pub(crate) fn flag(&self) -> Option<bool> {
        match self.node?.datum {
            Datum::Null => None,
            Datum::Flag(flag) => Some(flag),
            _ if self.is_broken() => None,
            _ => self.wrong("`true` or `false`", ""),
        }
    }

    /// One of the named choices.
    pub(crate) fn choice<T: Copy>(&self, all: &[T], name: fn(T) -> &'static str) -> Option<T> {
        let text = self.text()?;
        let found = all.iter().copied().find(|value| name(*value) == text);
        let names = || all.iter().map(|value| name(*value));
        found.or_else(|| {
            let message = format!("`{}` is `{text}`, which is none of {}", self.key, quoted(names()));
            self.fail(message, did_you_mean(&text, names()).trim_end().to_owned())
        })
    }
}
/// True for a text that YAML reads as a number where it has no quotes.
fn is_plain_number(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+']);
    let is_octal = digits.starts_with('0') && digits[1..].starts_with(|c: char| c.is_ascii_digit());
    !is_octal && text.parse::<f64>().is_ok_and(f64::is_finite)
}
