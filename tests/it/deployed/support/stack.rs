//! The deployed template in the local emulator, shared by every story of this process.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use dev::error::Error;
use dev::options::{Options, RunBy};
use dev::stack::Stack;

use crate::support::client::Tenant;
use crate::support::place::Place;

/// A stack that is started at its first use. It ends with the last of its stories, or with this process: its guard sees to that.
pub(in crate::deployed) struct LazyStack {
    name: &'static str,
    delivery_processes: Option<usize>,
    run_by: RunBy,
    started: OnceLock<Result<Stack, String>>,
    /// The stories of the stack that have not ended.
    stories: AtomicUsize,
}

/// A story of a stack that other stories do not use. The last one stops the stack when it ends: processes without work poll on,
/// and take the processors from other stories.
pub(in crate::deployed) struct Story(&'static LazyStack);

/// The stack that stories share; each brings its own tenants.
static SHARED: LazyStack = LazyStack::new("tests");

/// The shared stack.
pub(in crate::deployed) fn shared() -> &'static Stack {
    SHARED.get()
}

impl LazyStack {
    pub(in crate::deployed) const fn new(name: &'static str) -> Self {
        Self {
            name,
            delivery_processes: None,
            run_by: RunBy::Stack,
            started: OnceLock::new(),
            stories: AtomicUsize::new(1),
        }
    }

    /// The same for this many stories.
    pub(in crate::deployed) const fn with_stories(mut self, count: usize) -> Self {
        self.stories = AtomicUsize::new(count);
        self
    }

    /// The same with this many processes of delivery.
    pub(in crate::deployed) const fn with_delivery_processes(mut self, count: usize) -> Self {
        self.delivery_processes = Some(count);
        self
    }

    /// The same without processes of the functions: the story runs them.
    pub(in crate::deployed) const fn without_functions(mut self) -> Self {
        self.run_by = RunBy::Caller;
        self
    }

    /// Begins a story of this stack. It ends when this is dropped.
    pub(in crate::deployed) const fn story(&'static self) -> Story {
        Story(self)
    }

    /// The running stack.
    pub(in crate::deployed) fn get(&self) -> &Stack {
        let start = || loop {
            let mut options = Options::isolated(self.name);
            options.delivery_processes = self.delivery_processes.unwrap_or(options.delivery_processes);
            options.run_by = self.run_by;
            match Stack::start(&options) {
                Err(Error::AlreadyRunning(_)) => {} // another run was faster: take the next name
                started => return started.map_err(|error| error.to_string()),
            }
        };
        self.started.get_or_init(start).as_ref().unwrap_or_else(|error| panic!("no local stack: {error}"))
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        let is_last = self.0.stories.fetch_sub(1, Ordering::Relaxed) == 1;
        if is_last && let Some(Ok(stack)) = self.0.started.get() {
            stack.stop();
        }
    }
}

impl Tenant {
    /// Makes a tenant of the tier pro on the shared stack.
    pub(in crate::deployed) fn deployed() -> Self {
        Self::deployed_of_tier("pro")
    }

    /// Makes a tenant of this tier on the shared stack.
    pub(in crate::deployed) fn deployed_of_tier(tier: &str) -> Self {
        Self::at(Place::Deployed(shared()), tier)
    }
}
