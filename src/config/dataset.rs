//! `dataset`: the section of a dataset file.

use crate::config::annotations::{self, Annotations};
use crate::config::check::Cursor;
use crate::config::paths;
use crate::config::sections::Sections;
use crate::config::spelling::one_of_two;
use crate::config::splits;
use crate::config::suggest::did_you_mean;
use crate::model::dataset::{DatasetSpec, ExpectedCounts, Generate, SplitRule};
use crate::model::failure::FailureClass;
use crate::model::id::{RecordingId, Split};
use crate::model::recipe::Fix;
use crate::model::units::Seconds;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const KEYS: [&str; 17] = [
    "title",
    "licence",
    "root",
    "recordings",
    "exclude",
    "id",
    "subject",
    "subject_aliases",
    "splits",
    "annotations",
    "mains_hz",
    "known_defects",
    "expect",
    "allow_no_seizures",
    "split_policy",
    "fixes",
    "generate",
];

const GLOB_HINT: &str = "write a pattern below the root, for instance `recordings: \"**/*.edf\"`";

/// The section, as far as it can be read.
#[derive(Debug, Default)]
pub(crate) struct Dataset {
    pub(crate) root: Option<PathBuf>,
    pub(crate) root_origin: String,
    pub(crate) annotations: Option<Annotations>,
    pub(crate) fixes: Option<BTreeMap<String, Vec<Fix>>>,
    pub(crate) mains_hz: Option<f64>,
    pub(crate) splits: Option<SplitRule>,
    pub(crate) is_generated: bool,
    pub(crate) spec: Option<DatasetSpec>,
}

/// Reads the section; `name` is the stem of the dataset file.
pub(crate) fn read(sections: &Sections<'_>, name: &str, project_root: &Path) -> Dataset {
    let at = &sections.dataset;
    if !at.is_given() {
        at.fail::<()>(
            format!("`configs/datasets/{name}.yaml` has no `dataset` section"),
            "write at least `dataset: {root: …, recordings: \"**/*.edf\", splits: …}`",
        );
        return Dataset::default();
    }
    at.keys(&KEYS);
    let root = root(sections, project_root);
    let mut dataset = Dataset {
        root_origin: root.as_ref().map_or_else(|| at.at("root").place(), |(at, _)| at.place()),
        root: root.map(|(_, path)| path),
        annotations: annotations::read(&at.at("annotations")),
        fixes: fixes(&at.at("fixes")),
        mains_hz: at.at("mains_hz").number(),
        splits: splits::rule(&at.at("splits"), &at.at("subject_aliases")),
        is_generated: at.at("generate").is_given(),
        spec: None,
    };
    dataset.spec = spec(at, name, &dataset);
    dataset
}

fn root<'a>(sections: &Sections<'a>, project_root: &Path) -> Option<(Cursor<'a>, PathBuf)> {
    let (ours, theirs) = (sections.dataset.at("root"), sections.data.at("data_dir"));
    let hint = "write where the recordings lie: `root: ${EEG_DATA_ROOT}`";
    let read = |at: &Cursor<'a>| at.required(hint).then(|| paths::read(at, project_root))?;
    let show = |path: &PathBuf| format!("`{}`", paths::shown(path, project_root));
    let mend = "the dataset file says where its recordings lie: delete `data.data_dir`, \
                or choose the dataset that you mean by `data: {dataset: NAME}`";
    one_of_two(&ours, &theirs, read, show, mend)
}

fn spec(at: &Cursor<'_>, name: &str, dataset: &Dataset) -> Option<DatasetSpec> {
    let title = at.at("title").optional(Cursor::text);
    let licence = at.at("licence").optional(Cursor::text);
    let recordings = recordings(&at.at("recordings"));
    let exclude = at.at("exclude").optional(globs);
    let id = at.at("id").optional(|at| pattern(at, "id"));
    let subject = at.at("subject").optional(|at| pattern(at, "subject"));
    let subject_aliases = splits::aliases(&at.at("subject_aliases"));
    let known_defects = known_defects(&at.at("known_defects"));
    let expect = expect(&at.at("expect"));
    let allow_no_seizures = at.at("allow_no_seizures").optional(Cursor::flag);
    let split_policy = at.at("split_policy").optional(Cursor::text);
    let mains_hz = at.at("mains_hz").optional(Cursor::positive);
    let generate = at.at("generate").optional(generate);
    Some(DatasetSpec {
        name: name.to_owned(),
        title: title.ok()?.unwrap_or_else(|| name.to_owned()),
        licence: licence.ok()?.unwrap_or_else(|| "unknown".to_owned()),
        root: dataset.root.clone()?,
        root_origin: String::new(),
        recordings: recordings?,
        exclude: exclude.ok()?.unwrap_or_default(),
        id: id.ok()?,
        subject: subject.ok()?,
        subject_aliases: subject_aliases?,
        splits: dataset.splits.clone()?,
        annotations: dataset.annotations.as_ref()?.files.clone(),
        mains_hz: mains_hz.ok()?,
        known_defects: known_defects?,
        expect: expect?,
        allow_no_seizures: allow_no_seizures.ok()?.unwrap_or(false),
        split_policy: split_policy.ok()?,
        generate: generate.ok()?,
    })
}

fn recordings(at: &Cursor<'_>) -> Option<Vec<globset::Glob>> {
    at.required(GLOB_HINT).then(|| globs(at))?
}

fn globs(at: &Cursor<'_>) -> Option<Vec<globset::Glob>> {
    let items = at.texts()?;
    if items.is_empty() {
        return at.fail(format!("`{}` is an empty list", at.key), GLOB_HINT);
    }
    items.into_iter().map(|(text, item)| glob(&item, &text)).collect()
}

fn glob(at: &Cursor<'_>, text: &str) -> Option<globset::Glob> {
    if text.starts_with('/') || text.split('/').any(|part| part == "..") {
        let message = format!("`{}` is `{text}`, which leaves the dataset's root", at.key);
        return at.fail(message, "write it relative to `dataset.root`, for instance `\"**/*.edf\"`");
    }
    match globset::GlobBuilder::new(text).literal_separator(true).build() {
        Ok(glob) => Some(glob),
        Err(error) => at.fail(
            format!("`{}` is `{text}`, which is no pattern: {}", at.key, error.kind()),
            "`*` stands for a part of a name, `**/` for any folders: `\"**/*.edf\"`",
        ),
    }
}

fn pattern(at: &Cursor<'_>, group: &str) -> Option<regex::Regex> {
    let text = at.text()?;
    let regex = match regex::Regex::new(&text) {
        Ok(regex) => regex,
        Err(error) => {
            let full = error.to_string();
            let last = full.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
            return at.fail(
                format!("`{}` is `{text}`, which is no regular expression: {last}", at.key),
                "write it in single quotes, where YAML leaves backslashes alone",
            );
        }
    };
    if regex.captures_len() < 2 {
        return at.fail(
            format!("`{}` is `{text}`, which has no group that says which part is the {group}", at.key),
            format!("put the part in brackets, for instance `'(?P<{group}>[^/_]+)[^/]*$'`"),
        );
    }
    Some(regex)
}

fn known_defects(at: &Cursor<'_>) -> Option<BTreeMap<RecordingId, FailureClass>> {
    if !at.is_given() {
        return Some(BTreeMap::new());
    }
    let read = |(id, at): (String, Cursor<'_>)| {
        let id = recording_id(&at, &id);
        let class = at.required("write its class, for instance `truncated`");
        let class = class.then(|| at.choice(FailureClass::ALL, FailureClass::as_str))?;
        Some((id?, class?))
    };
    at.entries()?.into_iter().map(read).collect::<Vec<_>>().into_iter().collect()
}

fn recording_id(at: &Cursor<'_>, text: &str) -> Option<RecordingId> {
    RecordingId::new(text)
        .map_err(|error| {
            at.fail::<()>(
                format!("`{}`: {error}", at.key),
                "write the id, which is the file's name without its ending",
            )
        })
        .ok()
}

fn expect(at: &Cursor<'_>) -> Option<BTreeMap<Split, ExpectedCounts>> {
    if !at.is_given() {
        return Some(BTreeMap::new());
    }
    let read = |(name, at): (String, Cursor<'_>)| {
        let split = splits::split(&at, &name);
        at.keys(&["recordings", "subjects"]);
        let recordings = at.at("recordings").optional(Cursor::whole);
        let subjects = at.at("subjects").optional(Cursor::whole);
        Some((split?, ExpectedCounts { recordings: recordings.ok()?, subjects: subjects.ok()? }))
    };
    at.entries()?.into_iter().map(read).collect::<Vec<_>>().into_iter().collect()
}

fn fixes(at: &Cursor<'_>) -> Option<BTreeMap<String, Vec<Fix>>> {
    if !at.is_given() {
        return Some(BTreeMap::new());
    }
    let read = |(id, at): (String, Cursor<'_>)| {
        let id = recording_id(&at, &id);
        at.required("list the corrections of this recording").then_some(())?;
        let fixes: Vec<Option<Fix>> = at.items()?.iter().map(fix).collect();
        Some((id?.to_string(), fixes.into_iter().collect::<Option<Vec<_>>>()?))
    };
    at.entries()?.into_iter().map(read).collect::<Vec<_>>().into_iter().collect()
}

fn fix(at: &Cursor<'_>) -> Option<Fix> {
    at.keys(&["onset", "start", "end", "remove", "why"]).then_some(())?;
    let hint = "write for instance `{onset: 765, end: 825, why: \"the list says an hour later\"}`";
    let complete = ["onset", "why"].map(|key| at.at(key).required(hint));
    let time = |key: &str| at.at(key).optional(seconds);
    let (onset, start, end) = (time("onset"), time("start"), time("end"));
    let remove = at.at("remove").optional(Cursor::flag).ok()?.unwrap_or(false);
    let why = at.at("why").text();
    complete.iter().all(|given| *given).then_some(())?;
    let (onset, start, end) = (onset.ok()??, start.ok()?, end.ok()?);
    if remove == (start.is_some() || end.is_some()) {
        let message =
            format!("`{}` must say what is right: `start`, `end` or both, or else `remove: true`", at.key);
        return at.fail(message, hint);
    }
    let first = start.unwrap_or(onset);
    if let Some(last) = end.filter(|end| *end <= first) {
        return at
            .fail(format!("`{}` ends at {last} s, which is not after its start at {first} s", at.key), hint);
    }
    Some(Fix { onset, start, end, why: why? })
}

fn seconds(at: &Cursor<'_>) -> Option<Seconds> {
    match at.number()? {
        number if number >= 0.0 => {
            let exact = Seconds::parse(&at.decimal()?);
            exact.or_else(|| at.wrong("a number of seconds with at most 18 digits", ""))
        }
        _ => at.wrong("a number of seconds from 0", ""),
    }
}

fn generate(at: &Cursor<'_>) -> Option<Generate> {
    at.keys(&["recordings", "seed"]);
    let hint = "write `generate: {recordings: 60, seed: 7}`";
    let complete = ["recordings", "seed"].map(|key| at.at(key).required(hint));
    let (recordings, seed) = (at.at("recordings").whole(), at.at("seed").whole());
    complete.iter().all(|given| *given).then_some(())?;
    Some(Generate { recordings: usize::try_from(recordings?).ok()?, seed: seed? })
}

/// Checks the name of a dataset and finds its mend.
pub(crate) fn unknown(at: &Cursor<'_>, name: &str, known: &[String]) {
    let names = known.iter().map(String::as_str);
    let listed = if known.is_empty() {
        "there is no file in `configs/datasets/`".to_owned()
    } else {
        format!("the datasets are {}", crate::config::suggest::quoted(names.clone()))
    };
    at.fail::<()>(
        format!("`{}` is `{name}`, but there is no `configs/datasets/{name}.yaml`", at.key),
        format!("{}{listed}; a new dataset is a new file there", did_you_mean(name, names)),
    );
}
