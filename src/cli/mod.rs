//! L4, the face: arguments in, text and exit codes out. Results go to stdout, talk to stderr.

mod args;
pub mod config;
mod exchange;
mod inspect;
mod plot;
mod progress;
mod render;
mod table;

use crate::error::{Error, Result};
use crate::model::settings::Settings;
use crate::model::{ProfileName, VersionName};
use crate::ops::build::{BuildOptions, BuildReport};
use crate::ops::gc::{GcOptions, Scope};
use crate::ops::inspect::InspectOptions;
use crate::ops::load::{Request, Resolved};
use crate::ops::preflight::PreflightReport;
use crate::ops::survey::State;
use crate::ops::{self, Allocator, Context};
use args::{BuildArgs, Cli, Command, ConfigArgs, ConfigCommand, DemoArgs, ExplainArgs, InspectArgs};
use args::{GcArgs, PreflightArgs, ReadArgs, VerifyArgs};
use clap::{CommandFactory, Parser};
use progress::{Talk, line};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Exit codes that belong to reports; those of errors are the kinds'.
mod exit {
    use crate::error::ErrorKind;

    pub(super) const DONE: u8 = 0;
    pub(super) const NOT_READY: u8 = ErrorKind::NotReady.exit_code();
    pub(super) const USAGE: u8 = ErrorKind::Config.exit_code();
    pub(super) const DAMAGED: u8 = ErrorKind::Damaged.exit_code();
    pub(super) const GATE: u8 = ErrorKind::Gate.exit_code();
    pub(super) const ENVIRONMENT: u8 = ErrorKind::Io.exit_code();
    pub(super) const QUARANTINE: u8 = 5;
    pub(super) const INTERRUPTED: u8 = ErrorKind::Interrupted.exit_code();
}

/// What `main` was given.
static ALLOCATOR: OnceLock<Allocator> = OnceLock::new();

/// Runs the program with the process's arguments and environment; returns its exit code.
///
/// The allocator is the program's, as far as it can be told anything.
#[must_use]
pub fn main(allocator: Allocator) -> u8 {
    let cli = Cli::parse();
    ALLOCATOR.get_or_init(|| allocator);
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            say_error(&error);
            error.kind().exit_code()
        }
    }
}

fn run(command: Command) -> Result<u8> {
    if !matches!(command, Command::Config(_) | Command::Completions { .. }) {
        start_threads(command.jobs())?;
    }
    match command {
        Command::Build(args) => build(&args),
        Command::Status(args) => status(&args),
        Command::Preflight(args) => preflight(&args),
        Command::Verify(args) => verify(&args),
        Command::Gc(args) => gc(&args),
        Command::Explain(args) => explain(&args),
        Command::Config(ConfigCommand::Show { config, origin, json }) => config_show(&config, origin, json),
        Command::Config(ConfigCommand::Check { files, json }) => config_check(&files, json),
        Command::Inspect(args) => inspect(&args),
        Command::Demo(args) => demo(&args),
        Command::Export(args) => exchange::export(&args),
        Command::Adopt(args) => exchange::adopt(&args),
        Command::Completions { shell } => completions(shell),
    }
}

/// An error and what to do about it, on stderr.
fn say_error(error: &Error) {
    if let Error::Config(config) = error {
        for problem in &config.problems {
            line(&format!("error: {}", table::lines(&problem.to_string())));
            if let Some(hint) = &problem.hint {
                line(&format!("hint: {}", table::lines(hint)));
            }
        }
        return;
    }
    line(&format!("error: {}", table::lines(&error.to_string())));
    if let Some(hint) = error.hint() {
        line(&format!("hint: {}", table::lines(&hint)));
    }
}

/// Writes a result to stdout. A reader that went away (`| head`) is no error; a full disk is.
fn out(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("write", "standard output")(error))
        }
        _ => Ok(()),
    }
}

fn environment() -> BTreeMap<String, String> {
    let pairs = std::env::vars_os();
    pairs.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}

fn current_directory() -> Result<PathBuf> {
    std::env::current_dir().map_err(Error::io("find", "the current directory"))
}

fn request(args: &ConfigArgs) -> Request {
    Request {
        configs: args.configs.clone(),
        profile: args.profile.clone(),
        cache_root: args.cache_root.clone(),
        set: args.set.clone(),
    }
}

fn load(args: &ConfigArgs) -> Result<Resolved> {
    ops::load::load(&environment(), &current_directory()?, &request(args))
}

fn settings(args: &ConfigArgs) -> Result<Settings> {
    load(args).map(|resolved| resolved.settings)
}

/// A flag that SIGINT, SIGTERM and SIGHUP raise.
fn stop_flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    // Without the handler a signal ends the process at once, which the cache survives as well.
    let _ = ctrlc::set_handler(move || {
        if raised.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(exit::INTERRUPTED));
        }
        line("interrupted: finishing the recordings in hand; once more to stop at once");
    });
    flag
}

/// Starts so many worker threads; where nobody says how many one a core, or none where none can be started.
fn start_threads(jobs: Option<u16>) -> Result<()> {
    let can_start = || std::thread::Builder::new().spawn(|| ()).is_ok();
    let jobs = jobs.or_else(|| (!can_start()).then_some(1));
    let mut pool = rayon::ThreadPoolBuilder::new().num_threads(jobs.map_or(0, usize::from));
    if jobs == Some(1) {
        // No second thread where one is enough.
        pool = pool.use_current_thread();
    }
    pool.build_global().map_err(|error| Error::io("start", "worker threads")(std::io::Error::other(error)))
}

fn context<'a>(talk: &'a Talk, stop: &'a AtomicBool) -> Context<'a> {
    Context { progress: talk, stop, threads: rayon::current_num_threads(), allocator: allocator() }
}

fn allocator() -> Allocator {
    ALLOCATOR.get().copied().unwrap_or_default()
}

fn build(args: &BuildArgs) -> Result<u8> {
    let settings = settings(&args.config)?;
    let (talk, stop) = (Talk::new(), stop_flag());
    let cx = context(&talk, &stop);
    let options = BuildOptions {
        retry_failed: args.retry_failed,
        wait: if args.no_wait { ops::Wait::No } else { ops::Wait::Forever },
        link_only: false,
        shard: args.shard,
        paranoid: args.paranoid,
        no_fsync: args.no_fsync,
        memory: args.memory,
    };
    if args.dry_run {
        let plan = ops::dry_run::dry_run(&cx, &settings, options)?;
        if let Some(mismatch) = &plan.mismatch {
            return Err(ops::mismatch::mismatch_error(&settings, mismatch));
        }
        out(&if args.json { render::json(&plan) } else { render::dry_run(&plan) })?;
        return Ok(exit::DONE);
    }
    let report = ops::build::build(&cx, &settings, options)?;
    out(&if args.json { render::json(&report) } else { render::build(&report) })?;
    Ok(build_code(&report))
}

fn build_code(report: &BuildReport) -> u8 {
    if report.left > 0 {
        exit::INTERRUPTED
    } else if report.has_unknown_failures() || !report.unread.is_empty() {
        exit::QUARANTINE
    } else {
        exit::DONE
    }
}

fn status(args: &ReadArgs) -> Result<u8> {
    let settings = settings(&args.config)?;
    let only = args.config.profile.as_ref().map(|_| settings.profile.clone());
    let report = ops::status::status(&settings, only.as_ref())?;
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    out(&if args.json { render::json(&report) } else { render::status(&report, colour) })?;
    let corrupt = report.profiles.iter().any(|profile| profile.state == State::Corrupt);
    Ok(match report.profiles.as_slice() {
        _ if corrupt => exit::DAMAGED,
        [only_one] if only.is_some() && only_one.state != State::Valid => exit::NOT_READY,
        _ => exit::DONE,
    })
}

fn preflight(args: &PreflightArgs) -> Result<u8> {
    let settings = settings(&args.config)?;
    let (talk, stop) = (Talk::new(), AtomicBool::new(false));
    let cx = context(&talk, &stop);
    let report = ops::preflight::preflight(&cx, &settings)?;
    let becomes = report.ready && !args.command.is_empty();
    if args.json && !becomes {
        out(&render::json(&report))?;
    }
    line(render::preflight(&report).trim_end());
    if becomes {
        return become_command(args, &report);
    }
    if report.ready && !args.json {
        out(&format!("{}\n", report.cache_dir.display()))?;
    }
    Ok(preflight_code(&report))
}

fn preflight_code(report: &PreflightReport) -> u8 {
    report.refusal().map_or(exit::DONE, |refusal| refusal.kind.exit_code())
}

/// Replaces this process; only a command that cannot be started comes back.
fn become_command(args: &PreflightArgs, report: &PreflightReport) -> Result<u8> {
    use std::os::unix::process::CommandExt;
    // The descriptor goes on to the command and its children: `gc` leaves the version alone until they end.
    report.hold.as_ref().map_or(Ok(()), ops::Hold::inherit)?;
    // The command would inherit small pages too.
    (allocator().large_pages)();
    let error = std::process::Command::new(&args.command[0])
        .args(&args.command[1..])
        .env("EEGCACHE_DIR", &report.cache_dir)
        .exec();
    let command = PathBuf::from(&args.command[0]);
    Err(Error::usage(
        format!("cannot start `{}`: {error}", command.display()),
        "the cache is ready; check the command behind `--`",
    ))
}

fn verify(args: &VerifyArgs) -> Result<u8> {
    let settings = settings(&args.config)?;
    let only: Option<ProfileName> = args.config.profile.as_ref().map(|_| settings.profile.clone());
    let (talk, stop) = (Talk::new(), AtomicBool::new(false));
    let cx = context(&talk, &stop);
    let report = if args.repair {
        ops::verify::repair(&cx, &settings, args.assume_exclusive)?
    } else {
        ops::verify::verify(&cx, &settings, only.as_ref(), args.quick)?
    };
    out(&if args.json { render::json(&report) } else { render::verify(&report) })?;
    if !report.unread.is_empty() {
        let moved = if args.repair { "; nothing was moved" } else { "" };
        line(&format!("error: {} could not be read{moved}", table::count(report.unread.len(), "file")));
        line(
            "hint: mend what keeps them from being read, or remove one that stays so: `eegcache build` makes it again",
        );
        return Ok(exit::ENVIRONMENT);
    }
    Ok(match (report.damaged.is_empty(), report.missing.is_empty()) {
        (false, _) => exit::DAMAGED,
        (true, false) => exit::NOT_READY,
        (true, true) => exit::DONE,
    })
}

fn gc(args: &GcArgs) -> Result<u8> {
    let settings = settings(&args.config)?;
    let version = args.version.as_deref().map(VersionName::new).transpose();
    let version = version.map_err(|error| Error::usage(format!("--version: {error}"), ""))?;
    let scope = match (version, args.older_than) {
        (Some(version), _) => Scope::Version(version),
        (None, Some(age)) => Scope::OlderThan(age),
        (None, None) => Scope::Orphans,
    };
    let options = GcOptions {
        scope,
        profile: args.config.profile.as_ref().map(|_| settings.profile.clone()),
        dry_run: args.dry_run,
        assume_exclusive: args.assume_exclusive,
    };
    let report = ops::gc::gc(&settings, &options)?;
    out(&if args.json { render::json(&report) } else { render::gc(&report) })?;
    Ok(exit::DONE)
}

fn explain(args: &ExplainArgs) -> Result<u8> {
    let explanation = ops::explain::explain(&load(&args.config)?, &args.id)?;
    out(&if args.json { render::json(&explanation) } else { render::explain(&explanation) })?;
    Ok(exit::DONE)
}

/// Warnings on stderr: they are talk, not result.
fn warn(warnings: &[String]) {
    for warning in warnings {
        line(&format!("warning: {}", table::plain(warning)));
    }
}

fn config_show(args: &ConfigArgs, origin: bool, json: bool) -> Result<u8> {
    let report = ops::config::show(&environment(), &current_directory()?, &request(args))?;
    out(&if json { render::json(&report) } else { config::show_text(&report, origin) })?;
    warn(&report.warnings);
    Ok(exit::DONE)
}

fn config_check(files: &[PathBuf], json: bool) -> Result<u8> {
    let report = ops::config::check(&environment(), &current_directory()?, files)?;
    out(&if json { render::json(&report) } else { config::check_text(&report) })?;
    warn(&report.warnings);
    Ok(if report.conflicts.is_empty() { exit::DONE } else { exit::USAGE })
}

fn inspect(args: &InspectArgs) -> Result<u8> {
    let settings = settings(&args.config)?;
    let start_s = args.at.as_deref().map(plot::start).transpose()?;
    let options = InspectOptions { samples: args.samples, page: args.plot.is_some(), page_start_s: start_s };
    let here = current_directory()?;
    let (report, page) = ops::inspect::inspect(&settings, &here.join(&args.file), options)?;
    out(&if args.json { render::json(&report) } else { inspect::text(&report) })?;
    if let Some(path) = &args.plot {
        plot::write(&settings, &here.join(path), &report, page.as_ref())?;
    }
    Ok(if report.class.is_none() { exit::DONE } else { exit::QUARANTINE })
}

fn demo(args: &DemoArgs) -> Result<u8> {
    let talk = Talk::new();
    let corpus = ops::demo::demo(&talk, &args.directory, args.recordings as usize, args.seed)?;
    out(&render::demo(&corpus))?;
    Ok(exit::DONE)
}

fn completions(shell: clap_complete::Shell) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "eegcache", &mut script);
    out(&String::from_utf8_lossy(&script))?;
    Ok(exit::DONE)
}
