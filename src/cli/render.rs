//! Reports as text for people and as JSON for machines. The JSON is one object with `"schema": 1`.

use crate::cli::table::{Align, Table, bytes, count, duration, lines, plain, share};
use crate::model::failure::FailureClass;
use crate::model::id::Split;
use crate::model::manifest::Entry;
use crate::model::quality::Quality;
use crate::ops::build::BuildReport;
use crate::ops::demo::Corpus;
use crate::ops::dry_run::DryRun;
use crate::ops::explain::Explanation;
use crate::ops::gates::Verdict;
use crate::ops::gc::GcReport;
use crate::ops::inventory::NOT_CHECKED;
use crate::ops::ledger::QuarantineLine;
use crate::ops::marks::Mark;
use crate::ops::mismatch::FieldDifference;
use crate::ops::preflight::PreflightReport;
use crate::ops::status::{ProfileStatus, SplitStatus, StatusReport};
use crate::ops::survey::State;
use crate::ops::verify::VerifyReport;
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// The schema number of every JSON report.
const SCHEMA: u64 = 1;

/// One JSON object with `"schema": 1` in front of the report's own fields.
pub(crate) fn json(report: &impl Serialize) -> String {
    let mut object = Map::new();
    object.insert("schema".to_owned(), SCHEMA.into());
    match serde_json::to_value(report) {
        Ok(Value::Object(fields)) => object.extend(fields),
        Ok(other) => drop(object.insert("report".to_owned(), other)),
        // Reports hold strings, finite numbers and string-keyed maps; say so rather than print nothing.
        Err(error) => drop(object.insert("error".to_owned(), error.to_string().into())),
    }
    format!("{}\n", Value::Object(object))
}

/// What a build did.
pub(crate) fn build(report: &BuildReport) -> String {
    let mut text = String::new();
    if let Some(sentence) = &report.generated {
        let _ = writeln!(text, "{}\n", lines(sentence));
    }
    let done = [
        (report.built, "built"),
        (report.relabelled, "relabelled"),
        (report.linked, "linked"),
        (report.kept, "already there"),
        (report.quarantine.len(), "in quarantine"),
        (report.left, "left"),
    ];
    let parts: Vec<String> =
        done.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let (what, members) = match &report.shard {
        Some(shard) => (format!("{} shard {}", report.profile, shard.shard), shard.members),
        None => (report.profile.to_string(), report.members),
    };
    let done = if report.left == 0 { "complete, all" } else { "interrupted," };
    let _ = writeln!(text, "{what}: {done} of {} ({})", count(members, "recording"), parts.join(", "));
    if report.shard.is_some() {
        let _ = writeln!(text, "{}: {} of {} present", report.profile, report.present, report.members);
    }
    if !report.links.is_empty() {
        let methods: Vec<String> = report
            .links
            .iter()
            .map(|(method, n)| format!("{} by {method}", count(*n as usize, "file")))
            .collect();
        let _ = writeln!(text, "shared: {}", methods.join(", "));
    }
    let _ = writeln!(text, "time: {}", duration(report.seconds));
    text.push_str(&quarantine(&report.quarantine));
    text.push_str(&warnings(&report.warnings));
    for failure in &report.unread {
        let message = plain(&failure.message);
        let _ = writeln!(text, "unread: {}: {message}; what the cache holds of it was kept", failure.class);
    }
    let _ = writeln!(text, "cache: {}", plain(&report.cache_dir.display().to_string()));
    if report.left > 0 {
        let _ = writeln!(text, "hint: run the same command again to go on; what is finished is kept");
    } else if report.has_unknown_failures() {
        let _ = writeln!(text, "hint: {}", remedy(report));
    }
    text
}

/// What to do about failures: where every recording fails alike, it is rather the configuration that is wrong.
fn remedy(report: &BuildReport) -> &'static str {
    let mut classes = report.quarantine.iter().filter(|line| !line.known).map(|line| line.class);
    let first = classes.next();
    let are_alike = report.quarantine.len() == report.members && classes.all(|class| Some(class) == first);
    match first.filter(|_| are_alike) {
        Some(FailureClass::MissingChannels) => {
            "none has these channels: compare `preprocessing.channels` with what `eegcache inspect FILE` shows"
        }
        Some(FailureClass::NoAnnotation) => {
            "none has an annotation: compare `dataset.annotations` and `dataset.root` with the names of the files"
        }
        Some(FailureClass::BadName) => "no path fits: correct `dataset.id` and `dataset.subject`",
        Some(FailureClass::TooLong) => "allow more with `--memory`",
        Some(FailureClass::RateTooLow | FailureClass::OddRate) => {
            "all fail alike: correct the steps of the recipe"
        }
        _ => "mend the recordings, or acknowledge them in `known_defects` of the dataset file",
    }
}

fn warnings(warnings: &[String]) -> String {
    warnings.iter().fold(String::new(), |mut text, warning| {
        let _ = writeln!(text, "warning: {}", plain(warning));
        text
    })
}

fn quarantine(lines: &[QuarantineLine]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[
        ("QUARANTINE", Align::Left),
        ("SPLIT", Align::Left),
        ("CLASS", Align::Left),
        ("", Align::Left),
        ("WHY", Align::Left),
    ]);
    for line in lines {
        table.row(vec![
            plain(&line.name),
            line.split.to_string(),
            line.class.to_string(),
            if line.known { "known defect" } else { "NEW" }.to_owned(),
            shortened(&plain(&line.message)),
        ]);
    }
    format!("\n{}\n", table.render())
}

/// A demo corpus that lies there now.
pub(crate) fn demo(corpus: &Corpus) -> String {
    let mut text = format!(
        "{} ({}) at {}\n",
        count(corpus.recordings, "recording"),
        bytes(corpus.bytes),
        plain(&corpus.directory.display().to_string())
    );
    for (id, class) in &corpus.defects {
        let _ = writeln!(text, "defect on purpose: {}: {class}", plain(id));
    }
    text
}

/// A message that fits on a screen; `explain` and `--json` show the whole.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 110;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// What a build would do.
pub(crate) fn dry_run(plan: &DryRun) -> String {
    let mut text = format!("plan for {} at {}\n", plan.profile, plain(&plan.cache_dir.display().to_string()));
    for (number, what) in [
        (plan.present, "present"),
        (plan.to_link, "to link from other profiles or versions"),
        (plan.to_relabel, "to relabel"),
        (plan.to_build, "to build"),
        (plan.quarantined, "in quarantine"),
    ] {
        let _ = writeln!(text, "{number:>8}  {what}");
    }
    if plan.unchecked > 0 {
        let _ = writeln!(text, "{:>8}  of them unchecked: right size, content not looked at", plan.unchecked);
    }
    let _ = writeln!(text, "bytes needed {}, free {}", bytes(plan.bytes_needed), bytes(plan.bytes_free));
    if plan.to_build > 0 {
        let _ = writeln!(text, "expected time roughly {}", duration(plan.expected_seconds));
    }
    text
}

fn paint(state: State, colour: bool) -> String {
    let code = match state {
        State::Valid => "32",
        State::NotFound | State::Incomplete | State::Stale => "33",
        State::Corrupt | State::VersionMismatch => "31",
    };
    if colour { format!("\u{1b}[{code}m{}\u{1b}[0m", state.as_str()) } else { state.as_str().to_owned() }
}

/// The state of every profile on one screen.
pub(crate) fn status(report: &StatusReport, colour: bool) -> String {
    let checked = if report.sources_reachable { String::new() } else { format!(" ({NOT_CHECKED})") };
    let root = report.dataset_root.display().to_string();
    let mut text = format!("dataset {} at {}{checked}\n\n", plain(&report.dataset), plain(&root));
    let mut table = Table::new(&[
        ("PROFILE", Align::Left),
        ("STATE", Align::Left),
        ("SPLIT", Align::Left),
        ("HAVE", Align::Right),
        ("MISSING", Align::Right),
        ("STALE", Align::Right),
        ("QUARANTINE", Align::Right),
        ("WINDOWS", Align::Right),
        ("SEIZURE", Align::Right),
        ("OF TIME", Align::Right),
        ("SIZE", Align::Right),
    ]);
    for profile in &report.profiles {
        let mut first = true;
        for (split, status) in &profile.splits {
            table.row(status_row(profile, *split, status, first, colour));
            first = false;
        }
    }
    text.push_str(&table.render());
    report.profiles.iter().for_each(|profile| text.push_str(&remarks(profile)));
    text.push_str(&warnings(&report.warnings));
    text
}

fn status_row(
    profile: &ProfileStatus,
    split: Split,
    status: &SplitStatus,
    first: bool,
    colour: bool,
) -> Vec<String> {
    let some = |n: usize| if n == 0 { String::new() } else { n.to_string() };
    let (name, state) = if first {
        (profile.profile.to_string(), paint(profile.state, colour))
    } else {
        (String::new(), String::new())
    };
    vec![
        name,
        state,
        split.to_string(),
        format!("{}/{}", status.have, status.members),
        some(status.missing),
        some(status.stale),
        some(status.quarantined),
        (status.windows.total() + status.unlabelled_windows).to_string(),
        share(status.seizure_share_of_windows),
        share(status.seizure_share_of_time),
        bytes(status.bytes),
    ]
}

fn remarks(profile: &ProfileStatus) -> String {
    let mut lines = Vec::new();
    if let Some(reason) = &profile.reason {
        lines.push(plain(reason));
    }
    let known = profile.quarantine.iter().filter(|line| line.known).count();
    if !profile.quarantine.is_empty() {
        let names: Vec<String> = profile
            .quarantine
            .iter()
            .take(6)
            .map(|line| format!("{} ({})", plain(&line.name), line.class))
            .collect();
        let more = if profile.quarantine.len() > 6 { ", …" } else { "" };
        lines.push(format!(
            "in quarantine: {}{more}; {known} of {} known",
            names.join(", "),
            profile.quarantine.len()
        ));
    }
    let unfit: usize = profile.splits.values().map(|split| split.unfit).sum();
    if unfit > 0 {
        lines.push(format!(
            "without windows: at the rate of {} `windows` are no whole number of samples",
            count(unfit, "recording")
        ));
    }
    if profile.unchecked > 0 {
        lines.push(format!(
            "{} unchecked: right size, content not looked at",
            count(profile.unchecked, "recording")
        ));
    }
    if profile.linkable > 0 {
        lines.push(format!(
            "{} can be shared from other profiles or versions",
            count(profile.linkable, "recording")
        ));
    }
    if !profile.durable {
        lines.push("built with `--no-fsync`: after a power loss run `eegcache verify`".to_owned());
    }
    if let Some(history) = &profile.history {
        lines.push(format!(
            "over {}: {} built, {} linked, {} relabelled, {} found present",
            count(history.runs as usize, "build"),
            history.built,
            history.linked,
            history.relabelled,
            history.kept
        ));
    }
    if let Some(next) = &profile.next {
        lines.push(format!("next: `{next}`"));
    }
    if lines.is_empty() {
        return String::new();
    }
    format!("\n{}\n  {}\n", profile.profile, lines.join("\n  "))
}

/// Every gate on a line of its own; the gates that are shut say what to do.
pub(crate) fn preflight(report: &PreflightReport) -> String {
    let mut text = String::new();
    if report.linked > 0 {
        let _ =
            writeln!(text, "{} linked from other profiles or versions", count(report.linked, "recording"));
    }
    for gate in &report.gates {
        match &gate.verdict {
            Verdict::Pass => {}
            Verdict::Warn { message } => {
                let _ = writeln!(text, "warning: {}: {}", gate.name, plain(message));
            }
            Verdict::NotReady { message, hint }
            | Verdict::Damaged { message, hint }
            | Verdict::Data { message, hint } => {
                let _ = writeln!(text, "error: {}: {}\nhint: {}", gate.name, lines(message), lines(hint));
            }
        }
    }
    text.push_str(&warnings(&report.warnings));
    if report.ready {
        let parts: Vec<String> = report
            .splits
            .iter()
            .map(|(split, s)| {
                let windows = s.windows.total() + s.unlabelled_windows;
                format!(
                    "{split} {} recordings, {windows} windows, {} seizure",
                    s.have,
                    share(s.seizure_share_of_windows)
                )
            })
            .collect();
        let _ = writeln!(text, "ready: {}", parts.join("; "));
    }
    text
}

/// What verification found.
pub(crate) fn verify(report: &VerifyReport) -> String {
    let mut text = String::new();
    for damage in &report.damaged {
        let _ = writeln!(
            text,
            "damaged: {}/{}/{}: {}",
            damage.profile,
            damage.version,
            plain(&damage.name),
            plain(&damage.reason)
        );
    }
    for missing in &report.missing {
        let place = format!("{}/{}", missing.profile, missing.version);
        let _ = writeln!(text, "missing: {place}/{}: `eegcache build` makes it again", plain(&missing.name));
    }
    for unread in &report.unread {
        let place = format!("{}/{}", unread.profile, unread.version);
        let _ = writeln!(text, "unread: {place}/{}: {}", plain(&unread.name), plain(&unread.reason));
    }
    for moved in &report.moved {
        let _ = writeln!(text, "moved: {}", plain(moved));
    }
    if !report.unlisted.is_empty() {
        let _ = writeln!(
            text,
            "{} listed by no manifest: `eegcache build` adopts what the profile needs",
            count(report.unlisted.len(), "file")
        );
    }
    let _ = writeln!(
        text,
        "{} in {}: {} verified, {} damaged, {} missing",
        count(report.files, "file"),
        if report.versions.is_empty() { "no version".to_owned() } else { report.versions.join(", ") },
        bytes(report.bytes),
        report.damaged.len(),
        report.missing.len()
    );
    text
}

/// What was removed, and what was not.
pub(crate) fn gc(report: &GcReport) -> String {
    let mut table = Table::new(&[
        (if report.dry_run { "WOULD REMOVE" } else { "REMOVED" }, Align::Left),
        ("WHAT", Align::Left),
        ("FILES", Align::Right),
        ("SIZE", Align::Right),
        ("FREES", Align::Right),
    ]);
    for removed in &report.removed {
        table.row(vec![
            plain(&removed.place),
            removed.what.to_owned(),
            removed.files.to_string(),
            bytes(removed.bytes),
            bytes(removed.freed),
        ]);
    }
    let mut text = if report.removed.is_empty() { String::new() } else { table.render() };
    for kept in &report.kept {
        let _ = writeln!(text, "kept: {}: {}", plain(&kept.place), plain(&kept.why));
    }
    let verb = if report.dry_run { "would free" } else { "freed" };
    let _ = writeln!(text, "{verb} {} of {}", bytes(report.freed), bytes(report.bytes));
    if report.freed < report.bytes {
        let _ = writeln!(text, "the rest is shared with other profiles or versions, where it stays");
    }
    text
}

/// Why a recording is what it is.
pub(crate) fn explain(e: &Explanation) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{} ({}, subject {})", plain(&e.name), e.split, plain(&e.subject));
    let _ = writeln!(text, "  recording    {}", plain(&e.path));
    let _ =
        writeln!(text, "  sha256       {}", e.sha256.as_deref().unwrap_or("not known without reading it"));
    for annotation in &e.annotations {
        let _ = writeln!(text, "  annotation   {}", plain(annotation));
    }
    let place = e.position.map_or(NOT_CHECKED.to_owned(), |place| format!("place {place} in the order"));
    let member = if e.is_member { "a member" } else { "not a member" };
    let _ = writeln!(text, "  profile      {member} ({place}), version is {}", e.state.as_str());
    for field in e.mismatch.iter().flat_map(|mismatch| &mismatch.fields) {
        let FieldDifference { field, held, wanted } = field;
        let _ = writeln!(
            text,
            "  differs      {field}: {} in the cache, {} configured",
            plain(held),
            plain(wanted)
        );
    }
    for set in &e.configured {
        let _ =
            writeln!(text, "  configured   {}: {}   # {}", set.key, plain(&set.value), plain(&set.origin));
    }
    for file in &e.files {
        let _ = writeln!(
            text,
            "  {:<12} {}: {}; build would {}",
            file.file,
            file.verdict,
            plain(&file.because),
            plain(&file.action)
        );
    }
    if let Some(failure) = &e.failure {
        let _ = writeln!(text, "  quarantine   {}", plain(failure));
    }
    if let Some(entry) = &e.entry {
        made(e, entry, &mut text);
    }
    text
}

fn made(e: &Explanation, entry: &Entry, text: &mut String) {
    let _ = writeln!(
        text,
        "  made         signal {}, labels {}",
        entry.made.signal,
        entry.made.labels.as_deref().unwrap_or("none")
    );
    let samples = match e.parts.len() {
        0 => format!("{} samples", entry.samples),
        parts => {
            format!(
                "{} samples in {}",
                e.parts.iter().map(|part| part.samples).sum::<u64>(),
                count(parts, "part")
            )
        }
    };
    let _ = writeln!(
        text,
        "  content      {samples} at {} Hz, {}",
        entry.rate_hz,
        e.seizures.map_or("not labelled".to_owned(), |seizures| count(seizures, "seizure"))
    );
    for mark in &e.marks {
        let _ = writeln!(text, "  seizure      {}", seizure(mark));
    }
    for line in entry.quality.as_deref().map(quality_lines).into_iter().flatten() {
        let _ = writeln!(text, "  quality      {}", plain(&line));
    }
    for note in &entry.notes {
        let _ = writeln!(text, "  note         {}: {}", note.code, plain(&note.text));
    }
}

/// `417 s to 532 s: seiz`.
pub(crate) fn seizure(mark: &Mark) -> String {
    let codes: Vec<String> = mark.codes.iter().map(|code| plain(code)).collect();
    format!("{} s to {} s: {}", mark.start_s, mark.end_s, codes.join(", "))
}

/// Quality in a line or two: what was recorded, then what the recipe made of it.
pub(crate) fn quality_lines(quality: &Quality) -> Vec<String> {
    let mains = match (quality.mains_ratio, quality.mains_hz) {
        (Some(ratio), Some(hertz)) => format!("mains {hertz} Hz, {ratio:.1} times the power beside them"),
        (Some(ratio), None) => format!("no mains stand out (ratio {ratio:.1})"),
        (None, _) => "mains cannot be judged".to_owned(),
    };
    let reference = quality.reference.as_ref().map(|reference| format!("reference {reference}"));
    let listed = |what: &str, labels: &[String]| {
        (!labels.is_empty()).then(|| format!("{what}: {}", labels.join(", ")))
    };
    let saturated: Vec<String> =
        quality.saturated.iter().map(|(label, share)| format!("{label} {}", percent(*share))).collect();
    let recorded = [
        Some(mains),
        reference,
        listed("saturated", &saturated),
        listed("flat", &quality.flat),
        listed("unit assumed", &quality.unit_assumed),
    ];
    let early = quality.early_variance.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    let made = [
        quality.clipped.map(|share| format!("{} of the samples clipped", percent(share))),
        early.map(|(name, share)| {
            format!("at most {} of the variance in the first 5 s ({name})", percent(share))
        }),
    ];
    let line = |facts: &[Option<String>]| facts.iter().flatten().cloned().collect::<Vec<_>>().join("; ");
    [line(&recorded), line(&made)].into_iter().filter(|line| !line.is_empty()).collect()
}

/// A share from 0 to 1, with two digits that count.
fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    let digits = match percent {
        10.0.. => 0,
        1.0.. => 1,
        0.1.. => 2,
        0.01.. => 3,
        _ if percent > 0.0 => 4,
        _ => 0,
    };
    format!("{percent:.digits$} %")
}
