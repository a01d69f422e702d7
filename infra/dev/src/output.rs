//! The output of the functions: every line goes into a log, some lines also go to the screen.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, IoContext as _};
use crate::trace;

/// Prints a line. A closed terminal is not an error: the stack continues.
pub(crate) fn print_line(line: &str) {
    let _closed = writeln!(io::stdout(), "{line}");
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
