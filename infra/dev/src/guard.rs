//! The guard: a small process that stops the other processes of a stack when their owner ends.
//!
//! The owner is `cargo dev`, or a test process, whose statics are never dropped. The owner holds the
//! other end of the guard's standard input. When the owner ends, even by SIGKILL, the operating
//! system closes that pipe. The guard then stops the processes that the owner left behind.

use std::io::{self, Read as _};
use std::path::Path;

use crate::error::{Error, IoContext as _};
use crate::process;
use crate::state::State;

/// Waits until standard input is closed, then stops the processes that `owner` recorded in `dir`.
///
/// # Errors
/// Returns an error if standard input cannot be read.
pub fn run(dir: &Path, owner: u32) -> Result<(), Error> {
    io::stdin().read_to_end(&mut Vec::new()).context(|| "wait for the owner to end".to_owned())?;
    if let Some(state) = State::load(dir).filter(|state| state.owner.pid == owner) {
        process::stop(&state.processes);
    }
    Ok(())
}
