//! The deployed template in the local emulator, shared by every story of this process.

use std::sync::OnceLock;

use dev::error::Error;
use dev::stack::{Options, Stack};

/// A stack that is started at its first use. It ends with this process: its guard sees to that.
pub(crate) struct LazyStack {
    name: &'static str,
    started: OnceLock<Result<Stack, String>>,
}

/// The stack that stories share; each brings its own tenants.
static SHARED: LazyStack = LazyStack::new("tests");

/// The shared stack.
pub(crate) fn shared() -> &'static Stack {
    SHARED.get()
}

impl LazyStack {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, started: OnceLock::new() }
    }

    /// The running stack.
    pub(crate) fn get(&self) -> &Stack {
        let start = || loop {
            match Stack::start(&Options::isolated(self.name)) {
                Err(Error::AlreadyRunning(_)) => {} // another run was faster: take the next name
                started => return started.map_err(|error| error.to_string()),
            }
        };
        self.started.get_or_init(start).as_ref().unwrap_or_else(|error| panic!("no local stack: {error}"))
    }
}
