//! Keeps what is logged, so that a story can read it.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Mutex};

use runtime::telemetry::Log;

/// Returns a log that drops its lines.
pub(crate) fn no_log() -> Log {
    Log::new("triggers", |_| ())
}

/// A writer of log lines. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Returns the lines that were written since the last call.
    pub(crate) fn take(&self) -> String {
        String::from_utf8(mem::take(&mut *self.0.lock().expect("no holder panics"))).expect("text")
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no holder panics").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
