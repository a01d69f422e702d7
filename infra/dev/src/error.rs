//! What stops the local stack.

use std::io;
use std::path::PathBuf;

/// Why the stack did not start, or ended; each message says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line made no sense.
    #[error("{0}; `cargo dev --help` shows the verbs")]
    Usage(#[from] lexopt::Error),

    /// No Python was found that is new enough.
    #[error("Python 3.10 or newer is needed ({found}): install it, then run `cargo dev` again")]
    Python {
        /// What was found instead.
        found: String,
    },

    /// Python is there, its module `venv` is not.
    #[error(
        "{python} lacks the modules venv and ensurepip: install them (Debian and Ubuntu: `apt install python3-venv`), then run `cargo dev` again"
    )]
    VenvModule {
        /// The interpreter that was asked.
        python: String,
    },

    /// The virtual environment could not be filled.
    #[error(
        "pip could not install {requirements} ({reason}): check the network connection, then run `cargo dev` again"
    )]
    Pip {
        /// The file of pinned packages.
        requirements: PathBuf,
        /// pip's own last word.
        reason: String,
    },

    /// The chosen port is taken.
    #[error("port {0} is in use: choose another one with `cargo dev --port <port>` (0 takes any free one)")]
    PortBusy(u16),

    /// `cargo build` failed and has said why.
    #[error("the functions do not compile: mend what the compiler says above, then run `cargo dev` again")]
    Build,

    /// A helper process ended, or was not ready in time.
    #[error("{name} {what} (last line: {last}); its log is {log}; run `cargo dev` again")]
    Process {
        /// What it is to the reader: "the emulator".
        name: String,
        /// "died", "was not ready within 20 s".
        what: &'static str,
        /// The last line of its log.
        last: String,
        /// The whole log.
        log: PathBuf,
    },

    /// The emulator refused the template.
    #[error("template.yaml could not be deployed: {0}")]
    Deploy(String),

    /// An HTTP call went wrong.
    #[error("{call}: {reason}")]
    Http {
        /// Method and URL.
        call: String,
        /// What came instead of the expected answer.
        reason: String,
    },

    /// Another process holds this state directory.
    #[error("a stack is already running from {}: use it, or end it with `cargo dev down`", .0.display())]
    AlreadyRunning(PathBuf),

    /// The stack that runs was started with other options.
    #[error(
        "a stack is running from {} with another port or another --strict-endpoints: end it with `cargo dev down`",
        .0.display()
    )]
    Another(PathBuf),

    /// The background stack ended before it was ready.
    #[error("the stack did not start; its log is {}", .0.display())]
    Background(PathBuf),

    /// The stack is being ended while something still wanted to start.
    #[error("the stack is ending")]
    Ending,

    /// The running stack refuses webhooks to this machine.
    #[error("the running stack refuses webhooks to this machine: end it with `cargo dev down`")]
    Strict,

    /// The demonstration did not see what it promises.
    #[error("the demo failed: {0}")]
    Demo(String),

    /// The operating system refused something.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was tried, as the rest of "cannot ...".
        doing: String,
        /// The reason.
        source: io::Error,
    },
}

/// Names what was tried when the operating system refuses it.
pub(crate) trait Doing<T> {
    /// Turns an I/O error into [`Error::Io`] with the words "cannot `doing`".
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io { doing: doing(), source })
    }
}
