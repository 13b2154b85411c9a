//! The independent judge: `tests/torture/invariant.py` kept running, one question and one answer a line.
#![allow(dead_code, reason = "shared by two test binaries, which use parts of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The digests, as hexadecimal digits, that a file of a name may have: those of undisturbed builds.
pub(crate) type Reference = BTreeMap<String, BTreeSet<String>>;

/// A running judge.
pub(crate) struct Judge {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// How many files it called valid and right so far.
    pub(crate) files: usize,
    tree: Option<String>,
}

impl Judge {
    /// Starts the script; nothing where there is no Python with `NumPy`.
    pub(crate) fn start(directory: &Path, reference: &Reference) -> Option<Self> {
        let python = std::env::var_os("EEGCACHE_PYTHON").unwrap_or_else(|| "python3".into());
        let works = Command::new(&python).args(["-c", "import numpy"]).output();
        if !works.is_ok_and(|output| output.status.success()) {
            super::tally::skip(
                "the independent check in Python: no `python3` with NumPy, nor `EEGCACHE_PYTHON`",
            );
            return None;
        }
        let file = directory.join("reference.json");
        fs_err::write(&file, serde_json::to_vec(reference).unwrap()).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torture/invariant.py");
        let mut process = Command::new(&python)
            .arg(script)
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (questions, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Some(Self { process, questions, answers: BufReader::new(answers), files: 0, tree: None })
    }

    /// Judges a cache; everything that the tool calls valid must be right, and nothing beside the cache may have changed
    /// since the first question.
    #[track_caller]
    pub(crate) fn check(&mut self, root: &Path, what: &dyn std::fmt::Display) {
        writeln!(self.questions, "{}", root.display()).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        let words: Vec<&str> = answer.split_whitespace().collect();
        let ["ok", valid, _, tree] = words[..] else { panic!("{what}: {answer}") };
        self.files += valid.parse::<usize>().unwrap();
        let before = self.tree.get_or_insert_with(|| tree.to_owned());
        assert_eq!(before, tree, "{what}: something beside the cache changed");
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
