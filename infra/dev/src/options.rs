//! The options of a stack.

use std::path::PathBuf;

use crate::{environment, session};

/// Who runs the processes of the functions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RunBy {
    /// The stack.
    Stack,
    /// The caller, with [`Stack::function_env`](crate::stack::Stack::function_env).
    Caller,
}

/// The options of a stack.
#[derive(Clone, Debug)]
pub struct Options {
    /// The state directory: lock, `state.json`, logs. Only one stack at a time runs from it.
    pub dir: PathBuf,
    /// The port of the emulator. `None`: 4566, or any free port if 4566 is in use. `Some(0)`: any free
    /// port. A kept port comes before both.
    pub port: Option<u16>,
    /// Whether the next start has the same URL, API key and events.
    pub keeps_state: bool,
    /// Whether to forget what an earlier start kept.
    pub fresh: bool,
    /// Whether to reject webhook URLs on this machine, as in AWS.
    pub strict_endpoints: bool,
    /// The number of processes of `delivery`; other functions have two. A receiver that does not answer holds one of
    /// them for 15 s. With the default of 16, six such receivers, with two batches each, delay no other delivery.
    pub delivery_processes: usize,
    /// Who runs the processes of the functions.
    pub run_by: RunBy,
    /// Receives a line for each step of the start.
    pub progress: fn(&str),
    /// Receives a line for each step of an event, each warning and each error.
    pub events: fn(&str),
}

impl Options {
    /// Returns options for a stack that can run beside other stacks, without output.
    ///
    /// It uses any free port, and the state directory `name`. If a stack already runs from that
    /// directory, it uses `name-2`, `name-3` and so on.
    #[must_use]
    pub fn isolated(name: &str) -> Self {
        let stacks = environment::root().join(".dev/stacks");
        let mut dir = stacks.join(name);
        let mut n = 1;
        while session::is_locked(&dir) {
            n += 1;
            dir = stacks.join(format!("{name}-{n}"));
        }
        Self { dir, port: Some(0), keeps_state: false, fresh: true, ..Self::default() }
    }

    /// Returns the number of processes of a function.
    pub(crate) fn processes_of(&self, function: &str) -> usize {
        if function == "delivery" { self.delivery_processes } else { 2 }
    }
}

impl Default for Options {
    /// Returns the options of a plain `cargo dev`, without output.
    fn default() -> Self {
        Self {
            dir: environment::root().join(".dev"),
            port: None,
            keeps_state: true,
            fresh: false,
            strict_endpoints: false,
            delivery_processes: 16,
            run_by: RunBy::Stack,
            progress: |_| (),
            events: |_| (),
        }
    }
}
