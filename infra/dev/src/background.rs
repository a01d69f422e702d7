//! `cargo dev up`, `status` and `down`: the stack in the background.

use std::env::current_exe;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use crate::error::{Doing as _, Error};
use crate::foreground;
use crate::output::to_screen;
use crate::process::wait_until;
use crate::session;
use crate::stack::{Options, Stack, Summary};
use crate::state::State;

/// How long a stack may take to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often a starting stack is asked whether it is ready.
const TICK: Duration = Duration::from_millis(50);

/// Starts a stack in the background, unless one runs, and prints how to reach it.
///
/// # Errors
/// When it does not start; its log tells why.
pub fn up(options: &Options, json: bool) -> Result<(), Error> {
    let dir = &options.dir;
    if session::is_held(dir) {
        eprintln!("a stack is already running from {}", dir.display());
        print(&as_asked(wait_for_another(dir)?, options)?, json);
        return Ok(());
    }
    fs::create_dir_all(dir).doing(|| format!("create {}", dir.display()))?;
    let log = dir.join("dev.log");
    let supervisor = spawn_supervisor(options, &log)?;
    print(&as_asked(wait_for_own(dir, supervisor, &log)?, options)?, json);
    Ok(())
}

/// The stack that runs, unless it is not what was asked for.
fn as_asked(summary: Summary, options: &Options) -> Result<Summary, Error> {
    let port_differs =
        options.port.is_some_and(|port| port != 0 && !summary.emulator.ends_with(&format!(":{port}")));
    if summary.strict_endpoints != options.strict_endpoints || port_differs {
        return Err(Error::Another(options.dir.clone()));
    }
    Ok(summary)
}

/// The background process itself: stays until it is told to end, or the stack dies.
///
/// # Errors
/// When the stack does not start, or dies.
pub fn supervise(options: &Options) -> Result<(), Error> {
    let options = Options { progress: to_screen, events: to_screen, ..options.clone() };
    let session = foreground::open(&options.dir)?;
    let stack = Stack::start_in(&session, &options)?;
    foreground::stay(&stack, options.progress)
}

/// Says whether a stack runs; the exit code is 0 if one does, otherwise 1.
#[must_use]
pub fn status(dir: &Path, json: bool) -> ExitCode {
    if let Some(summary) = running(dir) {
        print(&summary, json);
        return ExitCode::SUCCESS;
    }
    let no = if json { "{\"running\":false}" } else { "no stack is running: `cargo dev up` starts one" };
    println!("{no}");
    ExitCode::FAILURE
}

/// Ends the stack that runs from `dir`, if one does, and returns when it is gone.
///
/// # Errors
/// When it does not end.
pub fn down(dir: PathBuf) -> Result<(), Error> {
    if !session::is_held(&dir) {
        eprintln!("no stack is running from {}", dir.display());
        return Ok(());
    }
    if let Some(state) = State::load(&dir) {
        state.owner.terminate();
    }
    let gone = wait_until(PATIENCE, || !session::is_held(&dir));
    if gone { Ok(()) } else { Err(Error::AlreadyRunning(dir)) }
}

/// How to reach the stack that runs from `dir`; `None` if there is none, or none that is ready.
///
/// The state may still be that of an owner that was killed, while the next one clears up behind it.
pub(crate) fn running(dir: &Path) -> Option<Summary> {
    let state = session::is_held(dir).then(|| State::load(dir)).flatten()?;
    state.summary.filter(|_| state.owner.is_alive())
}

fn spawn_supervisor(options: &Options, log: &Path) -> Result<Child, Error> {
    let doing = || format!("write {}", log.display());
    let output = File::options().create(true).append(true).open(log).doing(doing)?;
    output.set_len(0).doing(doing)?;
    let mut command = Command::new(current_exe().doing(|| "find this program".to_owned())?);
    command.arg("supervise").arg("--dir").arg(&options.dir);
    if options.strict_endpoints {
        command.arg("--strict-endpoints");
    }
    if let Some(port) = options.port {
        command.arg("--port").arg(port.to_string());
    }
    command.stdin(Stdio::null()).stdout(output.try_clone().doing(doing)?).stderr(output);
    command.process_group(0).spawn().doing(|| "start the background process".to_owned())
}

/// Shows what the supervisor writes until its stack is ready.
fn wait_for_own(dir: &Path, mut supervisor: Child, log: &Path) -> Result<Summary, Error> {
    let mut lines = BufReader::new(File::open(log).doing(|| format!("read {}", log.display()))?);
    let mut line = String::new();
    loop {
        while matches!(lines.read_line(&mut line), Ok(1..)) {
            eprint!("{line}");
            line.clear();
        }
        if let Some(summary) = running(dir) {
            return Ok(summary);
        }
        let ended = !matches!(supervisor.try_wait(), Ok(None));
        if ended && session::is_held(dir) {
            return wait_for_another(dir); // two were started at once, and the other was first
        }
        if ended {
            return Err(Error::Background(log.to_path_buf()));
        }
        thread::sleep(TICK);
    }
}

/// Waits for a stack that another process is starting.
fn wait_for_another(dir: &Path) -> Result<Summary, Error> {
    while session::is_held(dir) {
        if let Some(summary) = running(dir) {
            return Ok(summary);
        }
        thread::sleep(TICK);
    }
    Err(Error::Background(dir.join("dev.log")))
}

fn print(summary: &Summary, json: bool) {
    if json {
        println!("{}", serde_json::to_string(summary).unwrap_or_default());
        return;
    }
    println!("URL          {}", summary.url);
    println!("admin token  {}", summary.admin_token);
    println!("console      {}", summary.console);
    println!("emulator     {} (sign as test, test)", summary.emulator);
}
