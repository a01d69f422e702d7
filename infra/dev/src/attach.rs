//! Runs a command on the running stack, or on a temporary one.

use crate::background;
use crate::error::Error;
use crate::foreground;
use crate::options::Options;
use crate::output::note_progress;
use crate::stack::Stack;

/// Calls `action` with the base URL of a stack that allows webhook URLs on this machine.
///
/// If no stack runs, starts one and stops it afterwards.
///
/// # Errors
/// Returns an error if the running stack rejects such URLs, or if no stack can start.
pub(crate) fn run_on_stack(options: &Options, action: fn(&str) -> Result<(), Error>) -> Result<(), Error> {
    if let Some(summary) = background::find_running(&options.dir) {
        return if summary.strict_endpoints { Err(Error::Strict) } else { action(&summary.url) };
    }
    let options = Options { progress: note_progress, ..options.clone() };
    let session = foreground::open_session(&options.dir)?;
    let stack = Stack::start_in(&session, &options)?;
    action(&stack.summary().url)
}
