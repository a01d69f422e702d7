//! The errors of the local stack.

use std::io;
use std::path::PathBuf;

/// Why a command failed. Each message says what was wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line is invalid.
    #[error("{0}. Run `cargo dev --help` to see all commands and options")]
    Usage(#[from] lexopt::Error),

    /// There is no Python, or only an old one.
    #[error("Python 3.10 or newer is required, but {found}. Install it, then run `cargo dev` again")]
    Python {
        /// What was found instead: "`python3` is 3.8".
        found: String,
    },

    /// Python has no module `venv`.
    #[error(
        "`{python}` has no modules venv and ensurepip. Install them (on Debian and Ubuntu: `apt install python3-venv`), then run `cargo dev` again"
    )]
    VenvModule {
        /// The interpreter.
        python: String,
    },

    /// pip failed.
    #[error(
        "pip could not install the packages of {requirements}: {reason}. Check the network connection, then run `cargo dev` again"
    )]
    Pip {
        /// The file of pinned packages.
        requirements: PathBuf,
        /// The last line that pip wrote.
        reason: String,
    },

    /// The chosen port is in use.
    #[error(
        "port {0} is in use. Free it, or begin anew on another one with `cargo dev --fresh --port <port>` (0: any free port)"
    )]
    PortBusy(u16),

    /// Another port was requested than the one that the stack keeps.
    #[error(
        "this stack keeps port {kept}. Leave `--port {requested}` out, or begin anew with `--fresh --port {requested}`"
    )]
    PortDiffers {
        /// The port of the last start.
        kept: u16,
        /// The requested port.
        requested: u16,
    },

    /// No stack runs from this state directory.
    #[error("no stack runs from {}. Start one with `cargo dev`, or in the background with `cargo dev up`", .0.display())]
    NotRunning(PathBuf),

    /// `cargo build` failed and printed the reason.
    #[error("the functions do not compile. Fix the compiler errors above, then run `cargo dev` again")]
    Build,

    /// A helper process ended, or was not ready in time.
    #[error("{name} {what}. The last line of its log: {last}. Read {log}, then run `cargo dev` again")]
    Process {
        /// The process: "the emulator".
        name: String,
        /// What happened: "ended", "was not ready within 20 s".
        what: &'static str,
        /// The last line of its log.
        last: String,
        /// The log file.
        log: PathBuf,
    },

    /// The emulator rejected the template.
    #[error(
        "the emulator did not deploy template.yaml: {0}. Fix the template, or read logs/emulator.log in the state directory. `cargo dev --fresh` begins anew"
    )]
    Deploy(String),

    /// An HTTP request failed.
    #[error("{call} failed: {reason}")]
    Http {
        /// Method and URL.
        call: String,
        /// The error, or the status and body of the response.
        reason: String,
    },

    /// Another process holds this state directory.
    #[error("a stack already runs from {}. Use it, or stop it with `cargo dev down`", .0.display())]
    AlreadyRunning(PathBuf),

    /// The running stack has other options.
    #[error(
        "a stack already runs from {} with a different --port or --strict-endpoints. Stop it with `cargo dev down`, then start again",
        .0.display()
    )]
    OptionsDiffer(PathBuf),

    /// The background stack ended before it was ready.
    #[error("the background stack did not start. Read {}, then run `cargo dev up` again", .0.display())]
    Background(PathBuf),

    /// The stack in this state directory did not stop in time.
    #[error("the stack in {} did not stop within 30 s. Run `cargo dev down` again", .0.display())]
    NotStopped(PathBuf),

    /// A process cannot start because the stack is stopping.
    #[error("the stack is stopping")]
    Stopping,

    /// The running stack rejects webhook URLs on this machine.
    #[error(
        "the running stack rejects webhook URLs on this machine (--strict-endpoints). Stop it with `cargo dev down`, then try again"
    )]
    Strict,

    /// A step of the demo or of the measurement had an unexpected result.
    #[error("unexpected result: {0}. Read the function logs in the state directory")]
    Unexpected(String),

    /// The operating system returned an error.
    #[error("cannot {action}: {source}")]
    Io {
        /// The action, as the rest of "cannot ...".
        action: String,
        /// The error.
        source: io::Error,
    },
}

/// Adds the failed action to an I/O error.
pub(crate) trait IoContext<T> {
    /// Turns an I/O error into [`Error::Io`], with the message "cannot `action`".
    fn context(self, action: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn context(self, action: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io { action: action(), source })
    }
}
