//! The output: lines for the terminal, and the output of the functions, which goes into a log and partly to the screen.

use std::fmt::Arguments;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use crate::error::{Error, IoContext as _};
use crate::trace;

/// When this process started.
static STARTED_AT: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Whether the reader of standard output has gone, for example `head` after its last line.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Prints a line to standard output, in the form of `println!`. A closed pipe is not an error.
macro_rules! say {
    ($($argument:tt)*) => { $crate::output::print(format_args!($($argument)*)) };
}

/// Prints a line to standard error, in the form of `eprintln!`. A closed pipe is not an error.
macro_rules! note {
    ($($argument:tt)*) => { $crate::output::print_note(format_args!($($argument)*)) };
}

pub(crate) use {note, say};

/// Starts the clock of the lines that a start prints.
pub fn start_clock() {
    LazyLock::force(&STARTED_AT);
}

/// Prints a line, and remembers whether its reader has gone.
pub fn print(line: Arguments) {
    if writeln!(io::stdout(), "{line}").is_err() {
        CLOSED.store(true, Ordering::SeqCst);
    }
}

/// Prints a line to standard error.
pub fn print_note(line: Arguments) {
    let _closed = writeln!(io::stderr(), "{line}");
}

/// Whether the reader of standard output has gone.
pub(crate) fn is_closed() -> bool {
    CLOSED.load(Ordering::SeqCst)
}

/// Prints a line.
pub(crate) fn print_line(line: &str) {
    say!("{line}");
}

/// Prints a step of a start with the time since this process started.
pub(crate) fn print_progress(line: &str) {
    say!("{}", with_time(line));
}

/// Prints a step of a start to standard error.
pub(crate) fn note_progress(line: &str) {
    note!("{}", with_time(line));
}

fn with_time(line: &str) -> String {
    format!("{:6.1} s  {line}", STARTED_AT.elapsed().as_secs_f64())
}

/// The output of all processes of one function.
#[derive(Debug)]
pub(crate) struct Output {
    function: String,
    log: Mutex<File>,
    screen: fn(&str),
}

impl Output {
    /// Creates an empty log. `screen` gets the lines that a developer needs to see.
    pub(crate) fn new(function: &str, log: &Path, screen: fn(&str)) -> Result<Self, Error> {
        let file = File::create(log).context(|| format!("write {}", log.display()))?;
        Ok(Self { function: function.to_owned(), log: Mutex::new(file), screen })
    }

    /// Writes one line of a process of the function.
    pub(crate) fn write_line(&self, line: &str) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let _disk_full = writeln!(log, "{line}");
        if let Some(formatted) = trace::format_line(&self.function, line) {
            (self.screen)(&formatted);
        }
    }
}
