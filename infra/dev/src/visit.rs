//! A visit to the stack that runs, or to one of its own that ends with the visit.

use crate::background;
use crate::error::Error;
use crate::foreground;
use crate::stack::{Options, Stack};

/// Does `what` with the base URL of a stack that takes webhooks to this machine.
pub(crate) fn visit(options: &Options, what: fn(&str) -> Result<(), Error>) -> Result<(), Error> {
    if let Some(summary) = background::running(&options.dir) {
        return if summary.strict_endpoints { Err(Error::Strict) } else { what(&summary.url) };
    }
    let options = Options { progress: |line| eprintln!("{line}"), ..options.clone() };
    let session = foreground::open(&options.dir)?;
    let stack = Stack::start_in(&session, &options)?;
    what(&stack.summary().url)
}
