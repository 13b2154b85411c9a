//! `dataset.splits`, subjects and `data.splits`.

use crate::config::check::Cursor;
use crate::config::suggest::quoted;
use crate::model::dataset::SplitRule;
use crate::model::id::Split;
use std::cmp::Reverse;
use std::collections::BTreeMap;

const EXAMPLE: &str = "write `splits: {directory: {train: train, val: dev, eval: eval}}` or \
                       `splits: {by_subject: {seed: 1, train: 0.7, val: 0.15}}`";

/// Returns the split of that name.
pub(crate) fn split(at: &Cursor<'_>, name: &str) -> Option<Split> {
    Split::from_name(name).or_else(|| {
        let hint = match name {
            "dev" | "valid" | "validation" => "did you mean `val`? ",
            "test" | "evaluation" => "did you mean `eval`? ",
            _ => "",
        };
        let names = quoted(Split::ALL.map(Split::as_str));
        at.fail(format!("`{}`: there is no split `{name}`", at.key), format!("{hint}the splits are {names}"))
    })
}

/// Reads `dataset.splits`.
pub(crate) fn rule(at: &Cursor<'_>, aliases: &Cursor<'_>) -> Option<SplitRule> {
    at.required(EXAMPLE).then_some(())?;
    at.keys(&["directory", "by_subject"]).then_some(())?;
    match (at.at("directory").is_given(), at.at("by_subject").is_given()) {
        (true, false) => directory(&at.at("directory")),
        (false, true) => by_subject(&at.at("by_subject"), aliases),
        (true, true) => {
            at.fail(format!("`{}` has both `directory` and `by_subject`", at.key), "keep one of the two")
        }
        (false, false) => at.fail(format!("`{}` says nothing", at.key), EXAMPLE),
    }
}

fn directory(at: &Cursor<'_>) -> Option<SplitRule> {
    let mut folders: Vec<(String, Split)> = Vec::new();
    for (name, entry) in at.entries()? {
        let split = split(&entry, &name)?;
        entry.required("write a value, or delete the key").then_some(())?;
        for (folder, item) in entry.texts()? {
            let folder = folder.trim_start_matches("./").trim_end_matches('/').to_owned();
            if folder.is_empty() || folder.starts_with('/') || folder.split('/').any(|part| part == "..") {
                return item.fail(
                    format!(
                        "`{}` is `{}`, which is no folder below the dataset's root",
                        item.key,
                        item.shown()
                    ),
                    "write the folder's name, or `.` for the root itself",
                );
            }
            if let Some((_, other)) = folders.iter().find(|(known, _)| *known == folder) {
                let message = format!("the folder `{folder}` belongs to `{other}` and to `{split}`");
                return item.fail(message, "a recording lies in one split: name the folder once");
            }
            folders.push((folder, split));
        }
    }
    if folders.is_empty() {
        return at.fail(format!("`{}` names no folder", at.key), EXAMPLE);
    }
    // The first match wins, so the folder that lies deeper must come first; the root matches everything.
    folders.sort_by_key(|(folder, _)| (folder == ".", Reverse(folder.len()), folder.clone()));
    Some(SplitRule::Directory(folders))
}

fn by_subject(at: &Cursor<'_>, aliases: &Cursor<'_>) -> Option<SplitRule> {
    at.keys(&["seed", "train", "val", "pin"]);
    at.at("seed").required("write `seed: 1`; another seed is another division");
    let seed = seed(&at.at("seed"));
    let share = |key: &str, default: f64| {
        let at = at.at(key);
        if !at.is_given() {
            return Some(default);
        }
        let share = at.number()?;
        (0.0..=1.0)
            .contains(&share)
            .then_some(share)
            .or_else(|| at.wrong("a share from 0 to 1", "70 % is `0.7`"))
    };
    let (train, val) = (share("train", 0.7), share("val", 0.15));
    let pin = pins(&at.at("pin"), aliases);
    let (seed, train, val, pin) = (seed?, train?, val?, pin?);
    // A sum such as 0.7 + 0.3 may miss 1 by a rounding.
    if train + val > 1.0 + 1e-9 || train == 0.0 {
        let message =
            format!("`{}` gives {train} to train and {val} to val, which is more than there is", at.key);
        let empty = format!("`{}` gives nothing to train", at.key);
        return at.fail(
            if train == 0.0 { empty } else { message },
            "train and val are shares of 1; eval gets the rest",
        );
    }
    Some(SplitRule::BySubject { seed, train, val, pin })
}

fn seed(at: &Cursor<'_>) -> Option<String> {
    match at.node.map(|node| &node.datum) {
        Some(crate::config::node::Datum::Whole(number)) => Some(number.to_string()),
        _ => at.text(),
    }
}

fn pins(at: &Cursor<'_>, aliases: &Cursor<'_>) -> Option<BTreeMap<String, Split>> {
    let mut pins = BTreeMap::new();
    if !at.is_given() {
        return Some(pins);
    }
    for (name, entry) in at.entries()? {
        let split = split(&entry, &name)?;
        entry.required("write a value, or delete the key").then_some(())?;
        for (subject, item) in entry.texts()? {
            if let Some(alias) = aliases.at(&subject).text() {
                let message =
                    format!("`{}` pins `{subject}`, which is only another name of `{alias}`", item.key);
                return item.fail(message, format!("pin `{alias}`"));
            }
            if let Some(other) = pins.insert(subject.clone(), split) {
                let message = format!("the subject `{subject}` is pinned to `{other}` and to `{split}`");
                return item.fail(message, "a subject lies in one split: pin it once");
            }
        }
    }
    Some(pins)
}

/// Reads `dataset.subject_aliases`.
pub(crate) fn aliases(at: &Cursor<'_>) -> Option<BTreeMap<String, String>> {
    if !at.is_given() {
        return Some(BTreeMap::new());
    }
    let aliases: BTreeMap<String, String> = at.text_entries()?.into_iter().collect();
    if let Some((from, to)) = aliases.iter().find(|(_, to)| aliases.contains_key(*to)) {
        let message = format!("`{}` leads to `{to}`, which is itself an alias", at.at(from).key);
        return at.at(from).fail(message, "let every alias lead straight to the final name");
    }
    Some(aliases)
}

/// Returns the splits that a rule can give.
fn possible(rule: &SplitRule) -> Vec<Split> {
    let can = |split: &Split| match rule {
        SplitRule::Directory(folders) => folders.iter().any(|(_, other)| other == split),
        SplitRule::BySubject { train, val, pin, .. } => {
            let share = match split {
                Split::Train => *train,
                Split::Val => *val,
                Split::Eval => 1.0 - *train - *val,
            };
            share > 1e-9 || pin.values().any(|other| other == split)
        }
    };
    Split::ALL.into_iter().filter(can).collect()
}

/// Reads `data.splits`: what is built and demanded; by default all that the dataset has.
pub(crate) fn selected(at: &Cursor<'_>, rule: Option<&SplitRule>) -> Option<Vec<Split>> {
    if !at.is_given() {
        return rule.map(possible);
    }
    let items = at.texts()?;
    if items.is_empty() {
        return at
            .fail(format!("`{}` is an empty list", at.key), "write for instance `splits: [train, val]`");
    }
    let mut wanted = Vec::new();
    for (name, item) in items {
        let split = split(&item, &name)?;
        if wanted.contains(&split) {
            return item.fail(format!("`{}` lists `{split}` twice", at.key), "delete one of the two");
        }
        if rule.is_some_and(|rule| !possible(rule).contains(&split)) {
            let message = format!("`{}` asks for `{split}`, which the dataset does not have", item.key);
            return item.fail(message, "delete it, or add it to `dataset.splits`");
        }
        wanted.push(split);
    }
    wanted.sort_unstable();
    Some(wanted)
}
