//! `cargo dev up`, `status` and `down`: run the stack in the background.

use std::env::current_exe;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use crate::error::{Error, IoContext as _};
use crate::foreground;
use crate::health;
use crate::options::Options;
use crate::output::{note, print_line, print_progress, say};
use crate::process::wait_until;
use crate::session;
use crate::stack::{Stack, Summary};
use crate::state::State;

/// How long a stack may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// The pause between two checks whether a starting stack is ready.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Starts a stack in the background, unless one already runs, and prints how to reach it.
///
/// # Errors
/// Returns an error if the stack does not start, or if the running stack has other options.
pub fn up(options: &Options, json: bool) -> Result<(), Error> {
    let dir = &options.dir;
    let summary = if session::is_locked(dir) && options.fresh {
        return Err(Error::AlreadyRunning(dir.clone()));
    } else if session::is_locked(dir) {
        note!("a stack already runs from {}", dir.display());
        wait_for_other(dir)?
    } else {
        fs::create_dir_all(dir).context(|| format!("create {}", dir.display()))?;
        let log = dir.join("dev.log");
        let supervisor = spawn_supervisor(options, &log)?;
        wait_for_own(dir, supervisor, &log)?
    };
    check_options(&summary, options)?;
    print_summary(&summary, None, json);
    Ok(())
}

/// Checks that the running stack has the requested options.
fn check_options(summary: &Summary, options: &Options) -> Result<(), Error> {
    let port_differs =
        options.port.is_some_and(|port| port != 0 && !summary.emulator.ends_with(&format!(":{port}")));
    if summary.strict_endpoints != options.strict_endpoints || port_differs {
        return Err(Error::OptionsDiffer(options.dir.clone()));
    }
    Ok(())
}

/// Runs as the background process, until a signal stops it or the stack fails.
///
/// # Errors
/// Returns an error if the stack does not start, or fails later.
pub fn supervise(options: &Options) -> Result<(), Error> {
    let options = Options { progress: print_progress, events: print_line, ..options.clone() };
    let session = foreground::open_session(&options.dir)?;
    let stack = Stack::start_in(&session, &options)?;
    foreground::watch(&stack, options.progress)
}

/// Prints whether a stack runs and is healthy. Returns exit code 0 if it does both, else 1.
#[must_use]
pub fn status(dir: &Path, json: bool) -> ExitCode {
    if let Some(summary) = find_running(dir) {
        let problem = health::find_problem(&summary.url);
        print_summary(&summary, problem.as_deref(), json);
        return if problem.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let text = if json { "{\"running\":false}" } else { "no stack runs. Start one with `cargo dev up`" };
    say!("{text}");
    ExitCode::FAILURE
}

/// Prints URL and API key of the running stack as a command for a shell.
///
/// # Errors
/// Returns an error if no stack runs from `dir`.
pub fn env(dir: PathBuf) -> Result<(), Error> {
    let summary = find_running(&dir).ok_or(Error::NotRunning(dir))?;
    say!("export URL={} KEY={}", quote(&summary.url), quote(&summary.api_key));
    Ok(())
}

/// Quotes a text for a POSIX shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Stops the stack that runs from `dir`, if there is one, and waits until it has stopped.
///
/// # Errors
/// Returns an error if it does not stop within 30 s.
pub fn down(dir: PathBuf) -> Result<(), Error> {
    if !session::is_locked(&dir) {
        note!("no stack runs from {}", dir.display());
        return Ok(());
    }
    if let Some(state) = State::load(&dir) {
        state.owner.terminate();
    }
    let stopped = wait_until(STOP_TIMEOUT, || !session::is_locked(&dir));
    if stopped { Ok(()) } else { Err(Error::NotStopped(dir)) }
}

/// Returns how to reach the stack that runs from `dir`. Returns `None` if no stack is ready there.
///
/// Ignores the state file of a killed owner: it can still exist while the next owner starts.
pub(crate) fn find_running(dir: &Path) -> Option<Summary> {
    let state = session::is_locked(dir).then(|| State::load(dir)).flatten()?;
    state.summary.filter(|_| state.owner.is_alive())
}

fn spawn_supervisor(options: &Options, log: &Path) -> Result<Child, Error> {
    let action = || format!("write {}", log.display());
    let output = File::options().create(true).append(true).open(log).context(action)?;
    output.set_len(0).context(action)?;
    let mut command = Command::new(current_exe().context(|| "find this program".to_owned())?);
    command.arg("supervise").arg("--dir").arg(&options.dir);
    if options.strict_endpoints {
        command.arg("--strict-endpoints");
    }
    if options.fresh {
        command.arg("--fresh");
    }
    if let Some(port) = options.port {
        command.arg("--port").arg(port.to_string());
    }
    command.stdin(Stdio::null()).stdout(output.try_clone().context(action)?).stderr(output);
    command.process_group(0).spawn().context(|| "start the background process".to_owned())
}

/// Prints the supervisor's log until its stack is ready.
fn wait_for_own(dir: &Path, mut supervisor: Child, log: &Path) -> Result<Summary, Error> {
    let mut lines = BufReader::new(File::open(log).context(|| format!("read {}", log.display()))?);
    let mut line = String::new();
    loop {
        while matches!(lines.read_line(&mut line), Ok(1..)) {
            note!("{}", line.trim_end());
            line.clear();
        }
        if let Some(summary) = find_running(dir) {
            return Ok(summary);
        }
        let ended = !matches!(supervisor.try_wait(), Ok(None));
        if ended && session::is_locked(dir) {
            return wait_for_other(dir); // two commands started at the same time; the other one got the lock
        }
        if ended {
            return Err(Error::Background(log.to_path_buf()));
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// Waits for a stack that another process starts.
fn wait_for_other(dir: &Path) -> Result<Summary, Error> {
    while session::is_locked(dir) {
        if let Some(summary) = find_running(dir) {
            return Ok(summary);
        }
        thread::sleep(POLL_INTERVAL);
    }
    Err(Error::Background(dir.join("dev.log")))
}

/// Prints how to reach a stack, and why it is not healthy.
fn print_summary(summary: &Summary, problem: Option<&str>, json: bool) {
    if json {
        let mut object = serde_json::to_value(summary).unwrap_or_default();
        object["running"] = true.into();
        object["healthy"] = problem.is_none().into();
        object["problem"] = problem.into();
        say!("{object}");
        return;
    }
    say!("base URL     {}", summary.url);
    say!("console      {}/console", summary.url);
    say!("reference    {}/docs", summary.url);
    say!("document     {}/openapi.json", summary.url);
    say!("API key      {}", summary.api_key);
    say!("admin token  {}", summary.admin_token);
    say!("emulator     {} (access key `test`, secret `test`)", summary.emulator);
    say!("health       {}", problem.map_or_else(|| "ok".to_owned(), health::describe));
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn a_quoted_text_is_one_word_of_a_shell() {
        for text in ["http://127.0.0.1:4566/a?b&c", "it's", "$HOME `x` \"y\" z\\", ""] {
            let script = format!("printf %s {}", quote(text));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }
}
