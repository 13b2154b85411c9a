//! The raw side on real directories: what is listed, who it is, and what is refused.

use eegcache::error::Error;
use eegcache::exchange;
use eegcache::model::dataset::{AnnotationFiles, DatasetSpec, SplitRule};
use eegcache::model::inventory::SourceRecording;
use eegcache::model::{Digest, FailureClass, Split};
use eegcache::source;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;

fn tree(files: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in files {
        put(root.path(), file);
    }
    root
}

fn put(root: &Path, file: &str) {
    let path = root.join(file);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, file).unwrap();
}

fn spec(root: &Path) -> DatasetSpec {
    DatasetSpec {
        name: "x".to_owned(),
        title: String::new(),
        licence: String::new(),
        root: root.to_owned(),
        root_origin: "a test".to_owned(),
        recordings: vec![globset::Glob::new("**/*.edf").unwrap()],
        exclude: Vec::new(),
        id: None,
        subject: Some(regex::Regex::new("^[^/]+/([^/]+)/").unwrap()),
        subject_aliases: BTreeMap::new(),
        splits: SplitRule::Directory(vec![
            ("train".to_owned(), Split::Train),
            ("dev".to_owned(), Split::Val),
            ("eval".to_owned(), Split::Eval),
        ]),
        annotations: AnnotationFiles {
            file: vec!["{stem}.csv".to_owned()],
            cross_check: vec!["{stem}.csv_bi".to_owned()],
            cross_check_format: None,
        },
        mains_hz: None,
        known_defects: BTreeMap::new(),
        expect: BTreeMap::new(),
        allow_no_seizures: false,
        split_policy: None,
        generate: None,
    }
}

#[test]
fn exports_say_the_datasets_word_for_its_splits_or_how_they_were_made() {
    let subjects = SplitRule::BySubject { seed: "1".to_owned(), train: 1.0, val: 0.0, pin: BTreeMap::new() };
    let directories = spec(Path::new("data")).splits;
    for (splits, made_by) in [(directories, "directory"), (subjects, "by_subject")] {
        for word in [None, Some("official")] {
            let split_policy = word.map(str::to_owned);
            let spec = DatasetSpec { splits: splits.clone(), split_policy, ..spec(Path::new("data")) };
            let said: serde_json::Value = serde_json::from_str(&exchange::metadata(&spec).unwrap()).unwrap();
            assert_eq!(said["split_policy"], word.unwrap_or(made_by));
            assert_eq!(said["splits"], made_by);
        }
    }
}

fn list(spec: &DatasetSpec) -> Result<Vec<SourceRecording>, Error> {
    source::recordings(spec, &Split::ALL, &|_, _| None)
}

fn paths(found: &[SourceRecording]) -> Vec<&str> {
    found.iter().map(|one| one.file.path.as_str()).collect()
}

#[test]
fn recordings_are_listed_with_who_they_are_and_what_belongs_to_them() {
    let root = tree(&[
        "train/p1/s1/p1_t0.edf",
        "train/p1/s1/p1_t0.csv",
        "train/p1/s1/p1_t0.csv_bi",
        "train/p1/s2/p1_t1.edf",
        "train/p1/s2/p1_t1.csv_bi",
        "dev/p2/s1/p2_t0.edf",
        "dev/p2/s1/notes.txt",
        "eval/p3/s1/p3_t0.edf",
        "train/.git/annex/objects/a/b.edf",
        "train/p1/s1/._p1_t0.edf",
    ]);
    let known = Digest::of(b"known");
    let memo = |path: &str, stamp: &_| {
        let eegcache::model::inventory::Stamp { bytes, mtime_ns, ctime_ns, inode } = *stamp;
        assert!(bytes > 0 && mtime_ns > 1_600_000_000_000_000_000 && ctime_ns >= mtime_ns && inode > 0);
        path.ends_with("p1_t0.edf").then_some(known)
    };
    let found = source::recordings(&spec(root.path()), &[Split::Train, Split::Val], &memo).unwrap();
    assert_eq!(paths(&found), ["dev/p2/s1/p2_t0.edf", "train/p1/s1/p1_t0.edf", "train/p1/s2/p1_t1.edf"]);
    let ids: Vec<&str> = found.iter().map(|one| one.id.as_ref().unwrap().as_str()).collect();
    assert_eq!(ids, ["p2_t0", "p1_t0", "p1_t1"]);
    let subjects: Vec<(&str, Split)> = found.iter().map(|one| (one.subject.as_str(), one.split)).collect();
    assert_eq!(subjects, [("p2", Split::Val), ("p1", Split::Train), ("p1", Split::Train)]);
    let beside: Vec<(bool, bool)> =
        found.iter().map(|one| (one.annotation.is_some(), one.cross_check.is_some())).collect();
    assert_eq!(beside, [(false, false), (true, true), (false, true)]);
    assert_eq!(found[1].file.stamp.bytes, "train/p1/s1/p1_t0.edf".len() as u64);
    assert_eq!(found.iter().map(|one| one.file.sha256).collect::<Vec<_>>(), [None, Some(known), None]);
    let (digest, stamp) = source::hash(root.path(), &found[1].file.path).unwrap();
    assert_eq!((digest, stamp), (Digest::of(b"train/p1/s1/p1_t0.edf"), found[1].file.stamp));
}

#[test]
fn what_is_no_file_is_listed_and_fails_when_it_is_opened() {
    let root = tree(&["train/p1/a.edf", "objects/b", "elsewhere/c.edf"]);
    let at = |name: &str| root.path().join(name);
    fs_err::create_dir(at("train/p1/directory.edf")).unwrap();
    symlink("../../objects/b", at("train/p1/link.edf")).unwrap();
    symlink("../../objects/absent", at("train/p1/dangling.edf")).unwrap();
    symlink("../elsewhere", at("train/followed")).unwrap();
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, at("train/p1/fifo.edf"), rustix::fs::FileType::Fifo, mode, 0)
        .unwrap();
    fs_err::write(at("train/p1").join(OsStr::from_bytes(b"n\xffn.edf")), b"").unwrap();
    let mut spec = spec(root.path());
    spec.recordings = vec![globset::Glob::new("train/**/*.edf").unwrap()];
    let found = list(&spec).unwrap();
    let outcome = |one: &SourceRecording| match &one.id {
        Err(failure) => Some(failure.class),
        Ok(_) => source::open(root.path(), &one.file.path).err().map(|failure| failure.class),
    };
    let outcomes: Vec<_> = found.iter().map(|one| (one.file.path.as_str(), outcome(one))).collect();
    assert_eq!(
        outcomes,
        [
            ("train/p1/a.edf", None),
            ("train/p1/dangling.edf", Some(FailureClass::NotARecording)),
            ("train/p1/directory.edf", Some(FailureClass::NotARecording)),
            ("train/p1/fifo.edf", Some(FailureClass::NotARecording)),
            ("train/p1/link.edf", None),
            ("train/p1/n\\xffn.edf", Some(FailureClass::BadName)),
        ]
    );
    assert_eq!(found[4].file.stamp.bytes, "objects/b".len() as u64, "a link has the stamp of its target");
}

#[test]
fn ids_and_subjects_come_from_the_path() {
    let root = tree(&["train/chb 01/chb01_03.edf", "train/chb 02/other.edf"]);
    let mut spec = spec(root.path());
    spec.id = Some(regex::Regex::new(r"/(?<x>[^/]+)/(?<id>chb[^/]*)\.edf$").unwrap());
    spec.subject = Some(regex::Regex::new("/(chb [0-9]+)/").unwrap());
    spec.subject_aliases = BTreeMap::from([("chb 01".to_owned(), "chb 21".to_owned())]);
    let found = list(&spec).unwrap();
    assert_eq!(found[0].name(), "chb01_03");
    assert_eq!(found[0].subject, "chb 21");
    assert_eq!(found[1].id.as_ref().unwrap_err().class, FailureClass::BadName);
    assert_eq!(found[1].name(), "train/chb 02/other.edf");
    // A recording whose subject cannot be told might leak, so it has no id either.
    spec.id = None;
    spec.subject = Some(regex::Regex::new("/(chb 01)/").unwrap());
    assert_eq!(list(&spec).unwrap()[1].id.as_ref().unwrap_err().class, FailureClass::BadName);
}

#[test]
fn ids_that_span_directories_are_written_with_underscores() {
    let root = tree(&["train/p1/s1/x.edf", "train/p1/s2/x.edf"]);
    let mut spec = spec(root.path());
    spec.id = Some(regex::Regex::new(r"([^/]+/[^/]+)\.edf$").unwrap());
    let found = list(&spec).unwrap();
    assert_eq!([found[0].name(), found[1].name()], ["s1_x", "s2_x"]);
}

#[test]
fn duplicate_ids_are_refused_with_a_regex_that_mends_them() {
    for files in [
        ["train/p1/s1/x.edf", "train/p1/s2/x.edf"],
        ["train/p1/s1/x.edf", "eval/p2/s1/X.edf"],
        ["train/p1/x.edf", "train/p1/x.y/x.edf"],
    ] {
        let root = tree(&files);
        let mut spec = spec(root.path());
        let Error::Config(error) = list(&spec).unwrap_err() else { panic!("{files:?}") };
        let problem = &error.problems[0];
        for file in files {
            assert!(problem.message.contains(&format!("`{file}`")), "{}", problem.message);
        }
        let hint = problem.hint.as_ref().unwrap();
        let regex = hint.split_once("id: '").unwrap().1.split_once('\'').unwrap().0;
        spec.id = Some(regex::Regex::new(regex).unwrap());
        assert_eq!(list(&spec).unwrap().iter().filter(|one| one.id.is_ok()).count(), 2, "{regex}");
    }
}

#[test]
fn a_subject_in_two_splits_is_refused_whatever_splits_are_in_force() {
    let root = tree(&["train/p1/a.edf", "eval/p1/b.edf", "dev/p2/c.edf"]);
    let mut spec = spec(root.path());
    let result = source::recordings(&spec, &[Split::Train], &|_, _| None);
    let Error::Gate { message, hint } = result.unwrap_err() else { panic!() };
    for words in ["`p1`", "eval (`eval/p1/b.edf`)", "train (`train/p1/a.edf`)"] {
        assert!(message.contains(words), "{message}");
    }
    assert!(hint.contains("subject_aliases") && hint.contains("by_subject"), "{hint}");
    // An alias can also make a leak.
    spec.subject = Some(regex::Regex::new(r"^([^/]+/[^/]+)/").unwrap());
    assert_eq!(list(&spec).unwrap().len(), 3);
    spec.subject_aliases = BTreeMap::from([("train/p1".to_owned(), "dev/p2".to_owned())]);
    assert!(matches!(list(&spec), Err(Error::Gate { .. })));
    spec.splits = SplitRule::BySubject { seed: "s".to_owned(), train: 0.5, val: 0.25, pin: BTreeMap::new() };
    assert_eq!(list(&spec).unwrap().len(), 3, "one subject has one split by hash");
}

#[test]
fn wrong_descriptions_are_refused() {
    let root = tree(&["train/p1/a.edf", "test/p2/b.edf"]);
    let Error::Config(error) = list(&spec(root.path())).unwrap_err() else { panic!() };
    assert!(error.to_string().contains("`test/p2/b.edf`"), "{error}");
    let root = tree(&["train/p1/a.edf"]);
    let mut leaving = spec(root.path());
    leaving.annotations.file = vec!["../../../{stem}.csv".to_owned()];
    let Error::Config(error) = list(&leaving).unwrap_err() else { panic!() };
    assert!(error.to_string().contains("`../../../{stem}.csv`"), "{error}");
    let absent = spec(&root.path().join("absent"));
    assert!(!source::is_reachable(&absent).unwrap() && source::is_reachable(&leaving).unwrap());
    assert!(matches!(list(&absent), Err(Error::Io { .. })));
}
