//! The origin's spellings beside ours: two names of one setting that must not contradict each other.

use crate::config::check::Cursor;
use crate::config::layer::LayerKind;

/// Reads a setting that has two spellings: ours, and the origin's.
///
/// Ours counts; the origin's takes its place where ours was not written, or only by a built-in default or as the
/// default of a variable. Two different values that people wrote are a mistake, whichever layer is higher.
pub(crate) fn one_of_two<'a, T: PartialEq>(
    ours: &Cursor<'a>,
    theirs: &Cursor<'a>,
    read: impl Fn(&Cursor<'a>) -> Option<T>,
    show: impl Fn(&T) -> String,
    hint: &str,
) -> Option<(Cursor<'a>, T)> {
    if !theirs.is_given() {
        return Some((ours.clone(), read(ours)?));
    }
    let value = read(theirs)?;
    let weak = ours
        .node
        .is_none_or(|node| node.origin.kind == LayerKind::Default || node.fallback || node.broken.is_some());
    if weak {
        return Some((theirs.clone(), value));
    }
    let own = read(ours)?;
    if own != value {
        return contradiction(ours, &show(&own), theirs, &show(&value), hint);
    }
    Some((ours.clone(), own))
}

/// Notes that two spellings say different things; an empty `hint` stands for the usual one.
pub(crate) fn contradiction<T>(
    ours: &Cursor<'_>,
    own: &str,
    theirs: &Cursor<'_>,
    other: &str,
    hint: &str,
) -> Option<T> {
    let message = format!("`{}` is {other}, but `{}` is {own} ({})", theirs.key, ours.key, ours.place());
    let usual =
        format!("they are two spellings of one setting: set `{}` and delete `{}`", ours.key, theirs.key);
    theirs.fail(message, if hint.is_empty() { usual } else { hint.to_owned() })
}
