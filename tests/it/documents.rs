//! `README.md` and `CACHE_GUIDE.md` are kept true: their commands run, their examples resolve, their tables are the code's.
//!
//! A `console` block is a session in the project's directory: each `$ ` line is run, what follows is compared. A line
//! `…` stands for any lines, `…` inside of a line for any characters. A `yaml` block begins with the path of its file. What
//! needs the Python package is run where the package is, by `python/tests/test_documents.py`.

use crate::project::{Project, repository};
use eegcache::model::failure::FailureClass;
use eegcache::model::id::{RecordingId, Split};
use eegcache::model::recipe::{AnnotationFormat, Fix, GapPolicy, NoRowMeans};
use eegcache::model::settings::Settings;
use eegcache::model::units::Seconds;
use eegcache::ops::load::{Request, load};
use eegcache::ops::survey::{State, identity};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

static README: LazyLock<String> = LazyLock::new(|| read("README.md"));
static GUIDE: LazyLock<String> = LazyLock::new(|| read("CACHE_GUIDE.md"));
static MAKEFILE: LazyLock<String> = LazyLock::new(|| read("Makefile"));
/// Where the documents say that the project lies.
const PLACE: &str = "/path/to/eegcache";

fn read(name: &str) -> String {
    fs_err::read_to_string(repository().join(name)).unwrap()
}

/// A fenced block: its language, its first line's number and its text.
struct Block {
    language: String,
    line: usize,
    text: String,
}

fn blocks(document: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (index, line) in document.lines().enumerate() {
        match (line.strip_prefix("```"), open) {
            (Some(language), false) => {
                assert!(!language.is_empty(), "line {}: a block without a language", index + 1);
                blocks.push(Block { language: language.to_owned(), line: index + 2, text: String::new() });
                open = true;
            }
            (Some(_), true) => open = false,
            (None, true) => {
                let text = &mut blocks.last_mut().unwrap().text;
                text.push_str(line);
                text.push('\n');
            }
            (None, false) => {}
        }
    }
    assert!(!open, "a block is not closed");
    blocks
}

/// The rows of the first table below a heading, cells trimmed, without header and rule.
fn table(heading: &str) -> Vec<Vec<String>> {
    let lines = GUIDE.lines().skip_while(|line| line.trim_start_matches('#').trim() != heading).skip(1);
    let rows: Vec<Vec<String>> = lines
        .take_while(|line| !line.starts_with("## "))
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect();
    assert!(rows.len() > 2, "no table below `{heading}`");
    rows[2..].to_vec()
}

/// The texts in backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The first column of a table, out of its backticks.
fn names(heading: &str) -> Vec<String> {
    let first = |row: &Vec<String>| quoted(&row[0]).first().cloned().unwrap_or_else(|| row[0].clone());
    table(heading).iter().map(first).collect()
}

/// One project for both documents, as for somebody who reads one after the other.
struct Session {
    project: Project,
    code: i32,
}

impl Session {
    fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("EEG") || name.starts_with("BGB_") || name == "CACHE_ROOT" {
                command.env_remove(name);
            }
        }
        let binaries = Path::new(env!("CARGO_BIN_EXE_eegcache")).parent().unwrap().to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([binaries].into_iter().chain(std::env::split_paths(&path))).unwrap();
        command.args(["-c", script]).env("PATH", path).current_dir(self.project.path(""));
        command.stdin(Stdio::null());
        command
    }

    /// Runs a line and returns what it prints on both streams, progress left out.
    fn run(&mut self, line: &str) -> String {
        let line = line.strip_prefix("make ").map_or_else(|| line.to_owned(), recipe_of);
        let output = self.shell(&format!("exec 2>&1; (exit {}); {line}", self.code)).output().unwrap();
        self.code = output.status.code().unwrap_or(-1);
        let root = fs_err::canonicalize(self.project.path("")).unwrap();
        let text = String::from_utf8(output.stdout).unwrap().replace(root.to_str().unwrap(), PLACE);
        let progress = Regex::new(r"(?m)^\S[^\n]*: \d+/\d+ (recordings|files).*\n").unwrap();
        plain(&progress.replace_all(&text, ""))
    }

    fn console(&mut self, name: &str, block: &Block) {
        assert!(block.text.starts_with("$ "), "{name}:{}: begins with no command", block.line);
        let mut commands: Vec<(usize, &str, String)> = Vec::new();
        for (index, line) in block.text.lines().enumerate() {
            if let Some(command) = line.strip_prefix("$ ") {
                commands.push((block.line + index, command, String::new()));
            } else {
                let shown = &mut commands.last_mut().unwrap().2;
                shown.push_str(line);
                shown.push('\n');
            }
        }
        for (line, command, shown) in commands {
            let printed = self.run(command);
            assert!(
                pattern(&plain(&shown)).is_match(&printed),
                "{name}:{line}: `{command}`\n--- the document shows\n{shown}--- it prints\n{printed}"
            );
        }
    }
}

/// The command of a make target, with the program that was built for this test.
fn recipe_of(target: &str) -> String {
    let rest =
        MAKEFILE.split(&format!("\n{target}:")).nth(1).unwrap_or_else(|| panic!("no target `{target}`"));
    let recipe = rest.lines().nth(1).unwrap().trim().trim_start_matches('@');
    recipe.replace("$(EEGCACHE)", "eegcache").replace("$(CONFIG_FLAGS)", "")
}

/// Times, the way of linking and columns behind a path differ from machine to machine.
fn plain(text: &str) -> String {
    let filters =
        [(r"(?m)\btime: .*$", "time: T"), (r"by (reflink|hardlink|copy)\b", "by LINK"), (" +# ", " # ")];
    let apply = |text: String, (from, to): (&str, &str)| {
        Regex::new(from).unwrap().replace_all(&text, to).into_owned()
    };
    filters.into_iter().fold(text.to_owned(), apply)
}

fn pattern(shown: &str) -> Regex {
    let line = |line: &str| match line {
        "…" => r"(?:[^\n]*\n)*?".to_owned(),
        _ => line.split('…').map(regex::escape).collect::<Vec<_>>().join(r"[^\n]*") + r"\n",
    };
    Regex::new(&format!("^{}$", shown.lines().map(line).collect::<String>())).unwrap()
}

fn has_numpy() -> bool {
    let probe = Command::new("python3").args(["-c", "import numpy"]).stderr(Stdio::null()).status();
    probe.is_ok_and(|status| status.success())
}

#[test]
fn every_command_prints_what_the_documents_show() {
    let mut session = Session { project: Project::bare(), code: 0 };
    let numpy = has_numpy();
    for (name, document) in [("README.md", &*README), ("CACHE_GUIDE.md", &*GUIDE)] {
        let blocks = blocks(document);
        for (index, block) in blocks.iter().enumerate() {
            match block.language.as_str() {
                _ if needs_package(block) => {
                    eprintln!("left to `make test-python`: {name}:{}: needs the Python package", block.line);
                }
                "console" => session.console(name, block),
                "yaml" => session.project.write(path_of(name, block), &block.text),
                "python" if numpy => {
                    let printed = run_python(&session, block);
                    let shown = blocks.get(index + 1).filter(|next| next.language == "text");
                    let shown = shown.unwrap_or_else(|| panic!("{name}:{}: shows no output", block.line));
                    assert_eq!(printed, shown.text, "{name}:{}", block.line);
                }
                "python" => eprintln!("skipped: {name}:{}: python3 has no numpy", block.line),
                "sh" | "text" => {}
                other => panic!("{name}:{}: a block in `{other}`", block.line),
            }
        }
    }
}

/// `python/tests/test_documents.py` takes the blocks of which this is true.
fn needs_package(block: &Block) -> bool {
    match block.language.as_str() {
        "console" => block.text.starts_with("$ python "),
        "python" => block.text.contains("import eegcache\n"),
        _ => false,
    }
}

fn run_python(session: &Session, block: &Block) -> String {
    session.project.write("example.py", &block.text);
    let output = session.shell("exec 2>&1; python3 example.py").env("PYTHONUTF8", "1").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The path in a block's first line, `# configs/…`.
fn path_of<'a>(name: &str, block: &'a Block) -> &'a str {
    let first = block.text.lines().next().unwrap_or_default();
    let is_yaml = |path: &&str| {
        path.starts_with("configs/") && Path::new(path).extension().is_some_and(|e| e == "yaml")
    };
    let path = first.strip_prefix("# ").filter(is_yaml);
    path.unwrap_or_else(|| panic!("{name}:{}: begins with no `# configs/….yaml`", block.line))
}

#[test]
fn every_yaml_example_resolves() {
    let project = Project::bare();
    let mut seen = 0;
    for (name, document) in [("README.md", &*README), ("CACHE_GUIDE.md", &*GUIDE)] {
        for block in blocks(document).iter().filter(|block| block.language == "yaml") {
            let path = path_of(name, block);
            project.write(path, &block.text);
            let mut command = match path.strip_prefix("configs/datasets/") {
                Some(file) => {
                    let mut command = project.command(&["config", "show"]);
                    command.env("EEG_DATASET", file.trim_end_matches(".yaml")).env("EEG_DATA_ROOT", "/data");
                    command
                }
                None => project.command(&["config", "show", "-c", path]),
            };
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{name}:{}: {said}", block.line);
            seen += 1;
        }
    }
    assert!(seen >= 4, "{seen} examples");
}

#[test]
fn the_table_of_states_is_the_codes() {
    use State::{Corrupt, Incomplete, NotFound, Stale, Valid, VersionMismatch};
    let all = [NotFound, Corrupt, VersionMismatch, Stale, Incomplete, Valid];
    for state in all {
        // Fails to compile when a state is added.
        match state {
            NotFound | Corrupt | VersionMismatch | Stale | Incomplete | Valid => {}
        }
    }
    assert_eq!(names("States"), all.map(State::as_str));
}

#[test]
fn the_table_of_exit_codes_is_the_programs() {
    let help = Project::bare().run(&["--help"]).expect(0).stdout;
    let said = help.split("Exit codes:").nth(1).unwrap();
    let code = Regex::new(r"(?:^|,)\s*(\d+) ").unwrap();
    let of_program: Vec<&str> =
        code.captures_iter(said).map(|found| found.get(1).unwrap().as_str()).collect();
    let in_table = names("Exit codes");
    assert_eq!(in_table, of_program);
    let priority = GUIDE.split("If several apply: ").nth(1).unwrap().split('.').next().unwrap();
    let mut ranked: Vec<&str> = priority.split(", ").collect();
    assert_eq!(ranked, ["130", "2", "75", "74", "3", "4", "1", "5"]);
    ranked.push("0");
    assert_eq!(ranked.into_iter().collect::<BTreeSet<_>>(), of_program.into_iter().collect());
}

#[test]
fn the_table_of_classes_is_the_codes() {
    let rows = table("Quarantine");
    let in_table: Vec<String> = rows.iter().map(|row| quoted(&row[0])[0].clone()).collect();
    let in_code: Vec<&str> = FailureClass::ALL.iter().map(|class| class.as_str()).collect();
    assert_eq!(in_table, in_code);
    for (row, class) in rows.iter().zip(FailureClass::ALL) {
        assert!(!row[1].is_empty() && !row[2].is_empty(), "{class} is not explained");
        assert_eq!(row[2].contains("tried by every build"), class.is_transient(), "{class}");
    }
}

#[test]
fn the_table_of_gates_is_the_codes() {
    let source = read("src/ops/gates.rs");
    let gate = Regex::new(r#"gate\("([a-z-]+)""#).unwrap();
    let in_code: BTreeSet<String> = gate.captures_iter(&source).map(|found| found[1].to_owned()).collect();
    assert_eq!(names("Pre-flight gates").into_iter().collect::<BTreeSet<_>>(), in_code);
}

#[test]
fn the_table_of_profiles_is_the_configurations() {
    let base = read("configs/cache/base.yaml");
    let base: serde_yaml::Value = serde_yaml::from_str(&base).unwrap();
    let profiles = base["cache"]["profiles"].as_mapping().unwrap();
    let in_file: Vec<(String, String, Vec<String>)> = profiles
        .iter()
        .map(|(name, spec)| {
            let text = |value: &serde_yaml::Value| value.as_str().unwrap().to_owned();
            let lenders = spec["reuse_from"].as_sequence().unwrap().iter().map(text).collect();
            (text(name), text(&spec["subset"]), lenders)
        })
        .collect();
    let row = |row: &Vec<String>| (quoted(&row[0])[0].clone(), quoted(&row[1])[0].clone(), quoted(&row[2]));
    assert_eq!(table("Profiles and reuse").iter().map(row).collect::<Vec<_>>(), in_file);
}

#[test]
fn the_reference_of_dataset_files_has_every_key() {
    let project = Project::bare();
    project.write("configs/datasets/odd.yaml", "dataset: {root: x, recordings: \"*.edf\", no_such_key: 1}\n");
    let output = project.command(&["config", "show"]).env("EEG_DATASET", "odd").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let keys = said.split("the keys here are ").nth(1).unwrap_or_else(|| panic!("{said}"));
    let in_code = quoted(keys.lines().next().unwrap());
    assert_eq!(names("Dataset files"), in_code);
    let example = blocks(&GUIDE).into_iter().find(|block| block.text.contains("hospital.yaml")).unwrap();
    let example: serde_yaml::Value = serde_yaml::from_str(&example.text).unwrap();
    let used = example["dataset"].as_mapping().unwrap();
    for key in in_code.iter().filter(|key| *key != "generate") {
        assert!(used.contains_key(key.as_str()), "the example does not show `{key}`");
    }
}

#[test]
fn the_table_of_annotation_formats_is_the_codes() {
    let formats: Vec<&str> = AnnotationFormat::ALL.iter().map(|format| format.as_str()).collect();
    assert_eq!(names("Annotations"), formats);
}

#[test]
fn the_table_of_datasets_is_what_is_shipped() {
    let files = fs_err::read_dir(repository().join("configs/datasets")).unwrap();
    let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    let shipped: BTreeSet<String> = files.map(|item| stem(item.unwrap().path())).collect();
    let shown = table("Shipped datasets");
    for row in &shown {
        let name = &quoted(&row[0])[0];
        let root = (name != "demo").then(|| ("EEG_DATA_ROOT".to_owned(), "/data".to_owned()));
        let request = Request { set: vec![format!("data.dataset={name}")], ..Request::default() };
        let loaded = load(&root.into_iter().collect(), &repository(), &request).unwrap();
        assert_eq!(quoted(&row[1]), [loaded.settings.recipe.labels.format.as_str()], "{row:?}");
    }
    assert_eq!(shown.iter().map(|row| quoted(&row[0])[0].clone()).collect::<BTreeSet<_>>(), shipped);
}

#[test]
fn the_table_of_make_targets_is_the_makefiles() {
    let phony = MAKEFILE.lines().find_map(|line| line.strip_prefix(".PHONY:")).unwrap();
    let in_makefile: BTreeSet<String> = phony.split_whitespace().map(str::to_owned).collect();
    let in_table: BTreeSet<String> =
        names("Make targets").iter().map(|name| name.trim_start_matches("make ").to_owned()).collect();
    assert_eq!(in_table, in_makefile);
    let promised = ["cache-smoke", "cache-dev", "cache-full", "cache-status", "cache-verify", "preflight"];
    for target in promised.iter().chain(&["test", "check", "bench", "demo-data", "help"]) {
        assert!(in_makefile.contains(*target), "{target}");
        assert!(MAKEFILE.contains(&format!("\n{target}: ## ")), "`{target}` says nothing of itself");
    }
    assert!(MAKEFILE.contains(".DEFAULT_GOAL := help"));
}

#[test]
fn ci_runs_the_two_commands_of_the_readme() {
    let first = blocks(&README).into_iter().find(|block| block.language == "sh").unwrap();
    let commands: Vec<&str> = first.text.lines().map(|line| line.split('#').next().unwrap().trim()).collect();
    assert_eq!(commands, ["make cache-smoke", "make test"]);
    let ci = read(".ci/run");
    for command in commands {
        assert!(ci.lines().any(|line| line.trim() == command), "`.ci/run` does not run `{command}`");
    }
}

#[test]
fn every_link_leads_somewhere() {
    let slug = |heading: &str| -> String {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        heading.to_lowercase().chars().filter(kept).collect::<String>().trim().replace(' ', "-")
    };
    let anchors = |document: &str| -> BTreeSet<String> {
        document
            .lines()
            .filter(|line| line.starts_with('#'))
            .map(|line| slug(line.trim_start_matches('#')))
            .collect()
    };
    let link = Regex::new(r"\]\(([^)]+)\)").unwrap();
    for (name, document) in [("README.md", &*README), ("CACHE_GUIDE.md", &*GUIDE)] {
        for found in link.captures_iter(document).map(|found| found[1].to_owned()) {
            let (file, anchor) = found.split_once('#').unwrap_or((&found, ""));
            let file = if file.is_empty() { name } else { file };
            assert!(repository().join(file).is_file(), "{name}: `{found}`");
            let target = match file {
                "README.md" => &*README,
                "CACHE_GUIDE.md" => &*GUIDE,
                _ => continue,
            };
            assert!(anchor.is_empty() || anchors(target).contains(anchor), "{name}: `{found}`");
        }
    }
}

/// A way to change one input of the cache.
enum Probe {
    /// By the configuration, as `--set` takes it.
    Set(&'static str),
    /// In the resolved value, for what stands in dataset files and what is not supported yet.
    Edit(fn(&mut Settings)),
}

fn settings(set: &[String]) -> Settings {
    let request = Request { set: set.to_vec(), ..Request::default() };
    let loaded = load(&BTreeMap::new(), &repository(), &request);
    loaded.unwrap_or_else(|error| panic!("{set:?}: {error}")).settings
}

/// Every row of the table of fingerprints with a change of that input.
const PROBES: &[(&str, Probe)] = &[
    ("preprocessing.channels.order", Probe::Set("preprocessing.channels.order=[Cz, Fz]")),
    ("preprocessing.channels.aliases", Probe::Set("preprocessing.channels.aliases={T9: T3}")),
    ("preprocessing.channels.interpolate", Probe::Set("preprocessing.channels.interpolate=[Fz]")),
    ("preprocessing.channels.duplicates", Probe::Set("preprocessing.channels.duplicates=first")),
    ("preprocessing.steps", Probe::Set("preprocessing.steps=[{resample: {rate_hz: 256, method: fft}}]")),
    ("preprocessing.steps", Probe::Set("preprocessing.bandpass=[1, 70]")),
    ("preprocessing.steps", Probe::Set("preprocessing.notch_freq=50")),
    ("preprocessing.steps", Probe::Set("preprocessing.normalize=robust")),
    ("preprocessing.steps", Probe::Set("preprocessing.clip=20")),
    ("preprocessing.steps", Probe::Set("preprocessing.init=first_sample")),
    ("preprocessing.sampling_rate", Probe::Set("preprocessing.sampling_rate=512")),
    (
        "preprocessing.gaps",
        Probe::Edit(|s| {
            s.recipe.signal.gaps = GapPolicy::Split;
            s.recipe.labels.gaps = GapPolicy::Split;
        }),
    ),
    ("preprocessing.truncated", Probe::Set("preprocessing.truncated=keep_whole_records")),
    ("preprocessing.flat", Probe::Set("preprocessing.flat=zero")),
    ("storage.dtype", Probe::Set("storage.dtype=float16")),
    ("labels.seizure", Probe::Set("labels.seizure=[seiz]")),
    ("labels.background", Probe::Set("labels.background=[bckg, artf]")),
    ("labels.unlabelled", Probe::Set("labels.unlabelled=keep")),
    ("dataset.annotations.format", Probe::Edit(|s| s.recipe.labels.format = AnnotationFormat::TuszCsvBi)),
    (
        "dataset.annotations.no_row_means",
        Probe::Edit(|s| s.recipe.labels.no_row_means = NoRowMeans::Unlabelled),
    ),
    (
        "dataset.annotations.names",
        Probe::Edit(|s| drop(s.recipe.labels.names.insert("a".to_owned(), "b".to_owned()))),
    ),
    (
        "dataset.fixes",
        Probe::Edit(|s| {
            let onset = Seconds::parse("7").unwrap();
            let fix = Fix { onset, start: None, end: Seconds::parse("9"), why: "listed wrongly".to_owned() };
            s.recipe.labels.fixes.insert("x".to_owned(), vec![fix]);
        }),
    ),
    (
        "dataset.splits",
        Probe::Edit(|s| {
            let (seed, pin) = ("1".to_owned(), BTreeMap::new());
            s.dataset.splits =
                eegcache::model::dataset::SplitRule::BySubject { seed, train: 0.7, val: 0.1, pin };
        }),
    ),
    (
        "dataset.subject_aliases",
        Probe::Edit(|s| drop(s.dataset.subject_aliases.insert("a".to_owned(), "b".to_owned()))),
    ),
    ("windows.length_s", Probe::Set("windows.length_s=30")),
    ("windows.stride_s", Probe::Set("windows.stride_s=5")),
    ("labels.expected_share", Probe::Set("labels.expected_share.windows=[0.1, 0.2]")),
    ("data.splits", Probe::Set("data.splits=[train]")),
    ("cache.version", Probe::Set("cache.version=another")),
    ("cache.root", Probe::Set("cache.root=elsewhere")),
    ("cache.profile", Probe::Set("cache.profile=smoke")),
    ("cache.profiles", Probe::Set("cache.profiles.smoke.subset=first_9_files")),
    ("cache.link", Probe::Set("cache.link=[copy]")),
    ("cache.max_quarantined", Probe::Set("cache.max_quarantined=0.5")),
    ("dataset.title", Probe::Edit(|s| s.dataset.title.push('x'))),
    ("dataset.licence", Probe::Edit(|s| s.dataset.licence.push('x'))),
    ("dataset.root", Probe::Edit(|s| s.dataset.root = PathBuf::from("/elsewhere"))),
    ("dataset.recordings", Probe::Edit(|s| s.dataset.recordings.clear())),
    ("dataset.exclude", Probe::Edit(|s| s.dataset.exclude = s.dataset.recordings.clone())),
    ("dataset.id", Probe::Edit(|s| s.dataset.id = Some(Regex::new("(x)").unwrap()))),
    ("dataset.subject", Probe::Edit(|s| s.dataset.subject = None)),
    ("dataset.annotations.file", Probe::Edit(|s| s.dataset.annotations.file.clear())),
    ("dataset.annotations.cross_check", Probe::Edit(|s| s.dataset.annotations.cross_check.clear())),
    (
        "dataset.annotations.cross_check_format",
        Probe::Edit(|s| s.recipe.labels.cross_check = Some(AnnotationFormat::TuhTse)),
    ),
    ("dataset.mains_hz", Probe::Edit(|s| s.dataset.mains_hz = None)),
    (
        "dataset.known_defects",
        Probe::Edit(|s| {
            s.dataset.known_defects.insert(RecordingId::new("x").unwrap(), FailureClass::Flat);
        }),
    ),
    (
        "dataset.expect",
        Probe::Edit(|s| {
            let counts = eegcache::model::dataset::ExpectedCounts { recordings: Some(1), subjects: None };
            s.dataset.expect.insert(Split::Train, counts);
        }),
    ),
    ("dataset.allow_no_seizures", Probe::Edit(|s| s.dataset.allow_no_seizures ^= true)),
    ("dataset.split_policy", Probe::Edit(|s| s.dataset.split_policy = Some("x".to_owned()))),
    ("dataset.generate", Probe::Edit(|s| s.dataset.generate = None)),
];

#[test]
fn the_table_of_fingerprints_is_what_the_code_does() {
    let rows = table("Fingerprints");
    let marks: BTreeMap<String, [bool; 3]> = rows
        .iter()
        .map(|row| (quoted(&row[0])[0].clone(), [&row[1], &row[2], &row[3]].map(|cell| cell == "●")))
        .collect();
    assert_eq!(marks.len(), rows.len(), "a row stands there twice");
    let probed: BTreeSet<&str> = PROBES.iter().map(|(key, _)| *key).collect();
    assert_eq!(marks.keys().map(String::as_str).collect::<BTreeSet<_>>(), probed);
    let before = identity(&settings(&[]));
    for (key, probe) in PROBES {
        let changed = match probe {
            Probe::Set(assignment) => settings(&[(*assignment).to_owned()]),
            Probe::Edit(edit) => {
                let mut changed = settings(&[]);
                edit(&mut changed);
                changed
            }
        };
        let after = identity(&changed);
        let differs =
            [after.signal != before.signal, after.labels != before.labels, after.splits != before.splits];
        assert_eq!(differs, marks[*key], "{key}: signal, labels, split");
    }
}

#[test]
fn the_table_of_fingerprints_knows_every_field_of_the_recipe() {
    let mut settings = settings(&[]);
    settings.recipe.labels.names.insert("a".to_owned(), "b".to_owned());
    settings.recipe.labels.cross_check = Some(AnnotationFormat::TuhTse);
    let recipe = serde_json::to_value(&settings.recipe).unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    // A new field needs a row and a probe above before it is added here.
    assert_eq!(keys(&recipe["signal"]), ["channels", "dtype", "flat", "gaps", "steps", "truncated"]);
    assert_eq!(keys(&recipe["signal"]["channels"]), ["aliases", "duplicates", "interpolate", "order"]);
    let labels = [
        "background",
        "cross_check",
        "fixes",
        "format",
        "gaps",
        "names",
        "no_row_means",
        "rate_hz",
        "seizure",
        "unlabelled",
    ];
    assert_eq!(keys(&recipe["labels"]), labels);
}
