//! Where a function's lines go: all into its log, some onto the screen.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::error::{Doing as _, Error};
use crate::trace;

/// Prints a line; a screen that has gone away stops nothing.
pub(crate) fn to_screen(line: &str) {
    let _gone = writeln!(io::stdout(), "{line}");
}

/// The output of all processes of one function.
#[derive(Debug)]
pub(crate) struct Output {
    function: String,
    log: Mutex<File>,
    screen: fn(&str),
}

impl Output {
    /// Begins a fresh log; `screen` gets the lines a person should see.
    pub(crate) fn new(function: &str, log: &Path, screen: fn(&str)) -> Result<Self, Error> {
        let file = File::create(log).doing(|| format!("write {}", log.display()))?;
        Ok(Self { function: function.to_owned(), log: Mutex::new(file), screen })
    }

    /// Takes one line that a process of the function wrote.
    pub(crate) fn line(&self, line: &str) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let _full_disk = writeln!(log, "{line}");
        if let Some(readable) = trace::readable(&self.function, line) {
            (self.screen)(&readable);
        }
    }
}
