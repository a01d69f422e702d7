//! The guard: a small process that outlives its owner for a moment.
//!
//! The owner of a stack (`cargo dev`, or a test process, whose statics are never dropped) holds
//! the other end of the guard's standard input. However the owner ends, even by SIGKILL, the
//! system closes that pipe; the guard then ends what the owner left behind.

use std::io::{self, Read as _};
use std::path::Path;

use crate::error::{Doing as _, Error};
use crate::process;
use crate::state::State;

/// Waits for standard input to close, then ends what `owner` recorded in `dir` and left running.
///
/// # Errors
/// When standard input cannot be read.
pub fn run(dir: &Path, owner: u32) -> Result<(), Error> {
    io::stdin().read_to_end(&mut Vec::new()).doing(|| "wait for the owner to end".to_owned())?;
    if let Some(state) = State::load(dir).filter(|state| state.owner.pid == owner) {
        process::end(&state.processes);
    }
    Ok(())
}
